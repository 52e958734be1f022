//! A standard queue of SQS: visibility, delays, redelivery. The functions are pure: the time is a
//! parameter.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use muster_domain::Timestamp;
use uuid::Uuid;

use super::{
    fair_order::FairOrder,
    message::{MessageDelivery, Receipt, StoredMessage},
};

/// The configuration of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAttributes {
    /// The time for which a received message is invisible.
    pub visibility_timeout: Duration,
    /// The retention period of a message.
    pub retention: Duration,
    /// The receive count at which a message moves to the dead-letter queue, if there is one.
    pub max_receives: Option<u32>,
}

/// A queue. Its messages are identified by the order of their arrival.
#[derive(Debug)]
pub struct StandardQueue {
    /// Identifies its receipts, also across restarts.
    id: Uuid,
    attributes: QueueAttributes,
    messages: BTreeMap<u64, StoredMessage>,
    /// The visible messages and those in flight, for the delivery order.
    order: FairOrder,
    /// Delayed messages, each with the time at which it becomes visible.
    delayed: BTreeSet<(Timestamp, u64)>,
    /// Messages in flight, each with the time at which it becomes visible again.
    in_flight: BTreeSet<(Timestamp, u64)>,
    arrivals: u64,
}

impl StandardQueue {
    pub fn new(attributes: QueueAttributes) -> Self {
        Self {
            id: Uuid::new_v4(),
            attributes,
            messages: BTreeMap::new(),
            order: FairOrder::default(),
            delayed: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            arrivals: 0,
        }
    }

    /// Sends a message, which becomes visible after the delay.
    pub fn send(&mut self, message: StoredMessage, delay: Duration, now: Timestamp) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        if delay.is_zero() {
            self.order.add(&message.group, arrival);
        } else {
            self.delayed.insert((now.plus(delay), arrival));
        }
        self.messages.insert(arrival, message);
    }

    /// Makes due messages visible, and removes and returns those with too many receives.
    ///
    /// SQS moves a message at the receive that would exceed the maximum. The difference cannot be
    /// observed: the message is invisible either way.
    pub fn advance(&mut self, now: Timestamp) -> Vec<StoredMessage> {
        let QueueAttributes {
            visibility_timeout: _,
            retention,
            max_receives,
        } = self.attributes;
        let mut dead = Vec::new();
        for due in [
            take_due(&mut self.delayed, now),
            take_due(&mut self.in_flight, now),
        ]
        .concat()
        {
            self.order.end_flight(due, now);
            // Deletion removes a message from all sets, so it exists here.
            let Some(message) = self.messages.get(&due) else {
                continue;
            };
            if max_receives.is_some_and(|max| message.receives >= max) {
                dead.extend(self.messages.remove(&due));
            } else {
                self.order.add(&message.group, due);
            }
        }
        while let Some((&oldest, message)) = self.messages.first_key_value()
            && Timestamp::from_millis(message.sent).plus(retention) < now
        {
            self.order.remove(&message.group, oldest);
            self.order.end_flight(oldest, now);
            self.messages.remove(&oldest);
            self.delayed.retain(|(_, arrival)| *arrival != oldest);
            self.in_flight.retain(|(_, arrival)| *arrival != oldest);
        }
        dead
    }

    /// Receives up to `max` messages with up to `max_bytes` together, but at least one if there is
    /// one. They are invisible for the queue's visibility timeout. [`FairOrder`] decides the order.
    pub fn receive(
        &mut self,
        max: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> Vec<MessageDelivery> {
        self.receive_with_timeout(self.attributes.visibility_timeout, max, max_bytes, now)
    }

    /// Receives messages with a visibility timeout of the receiver.
    pub fn receive_with_timeout(
        &mut self,
        visibility_timeout: Duration,
        max: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> Vec<MessageDelivery> {
        let mut received = Vec::new();
        let mut bytes = 0;
        self.order.update_noisy(now);
        while received.len() < max
            && let Some(arrival) = self.order.next()
            && let Some(message) = self.messages.get_mut(&arrival)
        {
            bytes += message.size();
            if bytes > max_bytes && !received.is_empty() {
                break;
            }
            self.order.start_flight(&message.group, arrival, now);
            message.receives += 1;
            message.first_received.get_or_insert(now.millis());
            let until = now.plus(visibility_timeout);
            self.in_flight.insert((until, arrival));
            let receipt = Receipt {
                queue: self.id,
                arrival,
                receives: message.receives,
                until,
            };
            received.push(MessageDelivery {
                receipt,
                message: message.clone(),
            });
        }
        received
    }

    /// Deletes a message by its latest receipt. Returns whether the message was deleted.
    pub fn delete(&mut self, receipt: Receipt, now: Timestamp) -> bool {
        let Receipt {
            queue: _,
            arrival,
            receives: _,
            until,
        } = receipt;
        if !self.is_latest(receipt) {
            return false;
        }
        let Some(message) = self.messages.remove(&arrival) else {
            return false;
        };
        // The message is visible again, or in flight, possibly until another time than the
        // receipt's.
        self.order.end_flight(arrival, now);
        if !self.in_flight.remove(&(until, arrival)) {
            self.in_flight.retain(|(_, flying)| *flying != arrival);
            self.order.remove(&message.group, arrival);
        }
        true
    }

    /// Changes the time at which a message in flight becomes visible again. Returns false if it is
    /// not in flight, or was received again.
    pub fn change_visibility(&mut self, time: Duration, receipt: Receipt, now: Timestamp) -> bool {
        let arrival = receipt.arrival;
        let flying = self
            .in_flight
            .iter()
            .find(|(_, flying)| *flying == arrival)
            .copied();
        match flying {
            Some(flying) if self.is_latest(receipt) => {
                self.in_flight.remove(&flying);
                self.in_flight.insert((now.plus(time), arrival));
                true
            }
            _ => false,
        }
    }

    /// Tells whether a receipt belongs to the latest receive of a message.
    fn is_latest(
        &self,
        Receipt {
            queue,
            arrival,
            receives,
            until: _,
        }: Receipt,
    ) -> bool {
        queue == self.id
            && self
                .messages
                .get(&arrival)
                .is_some_and(|message| message.receives == receives)
    }

    /// Returns the receive count at which a message moves to the dead-letter queue.
    pub fn max_receives(&self) -> Option<u32> {
        self.attributes.max_receives
    }

    /// Returns the number of visible messages.
    pub fn visible(&self) -> usize {
        self.order.visible()
    }

    /// Returns the number of delayed messages.
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// Returns the number of messages in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns the next time at which a message becomes visible by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        let first = |set: &BTreeSet<(Timestamp, u64)>| set.first().map(|(time, _)| *time);
        first(&self.delayed)
            .into_iter()
            .chain(first(&self.in_flight))
            .min()
    }

    /// Returns all messages in the order of arrival.
    pub fn messages(&self) -> impl Iterator<Item = &StoredMessage> {
        self.messages.values()
    }
}

/// Removes and returns the due arrivals.
fn take_due(waiting: &mut BTreeSet<(Timestamp, u64)>, now: Timestamp) -> Vec<u64> {
    let later = waiting.split_off(&(now, u64::MAX));
    std::mem::replace(waiting, later)
        .into_iter()
        .map(|(_, arrival)| arrival)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::message::InvalidReceipt, *};

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);
    const VISIBILITY: Duration = Duration::from_secs(30);

    fn queue(max_receives: Option<u32>) -> StandardQueue {
        StandardQueue::new(QueueAttributes {
            visibility_timeout: VISIBILITY,
            retention: Duration::from_hours(1),
            max_receives,
        })
    }

    fn at(secs: u64) -> Timestamp {
        START.plus(Duration::from_secs(secs))
    }

    fn send(queue: &mut StandardQueue, body: &str, delay: u64, now: Timestamp) {
        queue.send(
            StoredMessage::new(body.to_owned(), BTreeMap::new(), now),
            Duration::from_secs(delay),
            now,
        );
    }

    fn bodies(received: &[MessageDelivery]) -> Vec<&str> {
        received
            .iter()
            .map(|received| received.message.body.as_str())
            .collect()
    }

    #[test]
    fn received_message_is_hidden_until_due_or_deleted() {
        let mut queue = queue(None);
        for body in ["a", "b", "c"] {
            send(&mut queue, body, 0, at(0));
        }
        let first = queue.receive(2, usize::MAX, at(1));
        assert_eq!(bodies(&first), ["a", "b"]);
        assert_eq!(
            (queue.visible(), queue.in_flight(), queue.next_due()),
            (1, 2, Some(at(31)))
        );
        assert!(queue.delete(first[0].receipt, at(0)));
        assert!(!queue.delete(first[0].receipt, at(0)), "once");

        assert!(queue.advance(at(30)).is_empty());
        assert_eq!((queue.visible(), queue.in_flight()), (1, 1));
        assert!(queue.advance(at(31)).is_empty());
        let again = queue.receive(10, usize::MAX, at(31));
        assert_eq!(bodies(&again), ["c", "b"]);
        assert_eq!(
            again
                .iter()
                .map(|received| received.message.receives)
                .collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(again[1].message.first_received, Some(at(1).millis()));
        assert_eq!(again[1].message.id, first[1].message.id);

        assert!(!queue.delete(first[1].receipt, at(0)), "an older receipt");
        assert!(queue.delete(again[1].receipt, at(0)) && queue.delete(again[0].receipt, at(0)));
        assert_eq!(
            (queue.visible(), queue.in_flight(), queue.next_due()),
            (0, 0, None)
        );
        assert_eq!(queue.messages().count(), 0);
    }

    #[test]
    fn latest_receipt_deletes_a_visible_message() {
        let mut queue = queue(None);
        send(&mut queue, "a", 0, at(0));
        let received = queue.receive(1, usize::MAX, at(0));
        queue.advance(at(30));
        assert_eq!(queue.visible(), 1);
        assert!(queue.delete(received[0].receipt, at(0)));
        assert_eq!(queue.visible(), 0);
        assert!(queue.receive(1, usize::MAX, at(30)).is_empty());
    }

    #[test]
    fn visibility_timeout_can_be_changed_by_receipt() {
        let mut queue = queue(None);
        for body in ["a", "b"] {
            send(&mut queue, body, 0, at(0));
        }
        let received = queue.receive_with_timeout(Duration::from_mins(5), 10, usize::MAX, at(0));
        queue.advance(at(299));
        assert_eq!((queue.visible(), queue.in_flight()), (0, 2));
        assert!(queue.change_visibility(Duration::ZERO, received[0].receipt, at(299)));
        assert!(queue.change_visibility(Duration::from_mins(1), received[1].receipt, at(299)));
        queue.advance(at(300));
        assert!(
            !queue.change_visibility(Duration::ZERO, received[0].receipt, at(300)),
            "no longer in flight"
        );
        assert_eq!(bodies(&queue.receive(10, usize::MAX, at(300))), ["a"]);
        assert!(
            !queue.change_visibility(Duration::ZERO, received[0].receipt, at(300)),
            "received again"
        );
        assert!(
            queue.delete(received[1].receipt, at(0)),
            "whenever it is seen again"
        );
        assert_eq!(
            (queue.visible(), queue.in_flight(), queue.messages().count()),
            (0, 1, 1)
        );
    }

    #[test]
    fn receipt_of_another_queue_is_rejected() {
        let [mut before, mut after] = [queue(None), queue(None)];
        let [stale, own] = [&mut before, &mut after].map(|queue| {
            send(queue, "a", 0, at(0));
            queue.receive(1, usize::MAX, at(0))[0].receipt
        });
        assert!(
            !after.change_visibility(Duration::ZERO, stale, at(1)) && !after.delete(stale, at(0))
        );
        assert_eq!(after.messages().count(), 1);
        assert!(after.change_visibility(Duration::ZERO, own, at(1)) && after.delete(own, at(0)));
    }

    #[test]
    fn receipt_is_parsed_from_its_text() {
        let mut queue = queue(None);
        send(&mut queue, "a", 0, at(0));
        let receipt = queue.receive(1, usize::MAX, at(0))[0].receipt;
        assert_eq!(receipt.to_string().parse(), Ok(receipt));
        let of = receipt.queue;
        for none in [
            "",
            "1.2.3.4",
            &format!("{of}.1.2"),
            &format!("{of}.1.2.x"),
            &format!("{of}.1.2.3.4"),
        ] {
            assert_eq!(none.parse::<Receipt>(), Err(InvalidReceipt), "{none}");
        }
    }

    #[test]
    fn delayed_message_is_hidden_until_due() {
        let mut queue = queue(None);
        send(&mut queue, "late", 5, at(0));
        send(&mut queue, "now", 0, at(0));
        assert_eq!(
            (queue.visible(), queue.delayed(), queue.next_due()),
            (1, 1, Some(at(5)))
        );
        assert_eq!(bodies(&queue.receive(10, usize::MAX, at(4))), ["now"]);
        queue.advance(at(5));
        assert_eq!(queue.delayed(), 0);
        assert_eq!(bodies(&queue.receive(10, usize::MAX, at(5))), ["late"]);
    }

    #[test]
    fn message_at_its_maximum_receives_is_dead() {
        let mut queue = queue(Some(10));
        send(&mut queue, "poison", 0, at(0));
        for receive in 0..10 {
            let now = at(receive * 30);
            assert!(queue.advance(now).is_empty(), "receive {receive}");
            assert_eq!(
                queue.receive(1, usize::MAX, now).len(),
                1,
                "receive {receive}"
            );
        }
        assert!(queue.advance(at(299)).is_empty());
        let dead = queue.advance(at(300));
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].body.as_str(), dead[0].receives), ("poison", 10));
        assert_eq!(queue.messages().count(), 0);
    }

    #[test]
    fn batch_is_bounded_in_bytes_and_never_empty() {
        let mut queue = queue(None);
        for body in ["12345678", "1234", "5678", "9"] {
            send(&mut queue, body, 0, at(0));
        }
        assert_eq!(bodies(&queue.receive(10, 3, at(0))), ["12345678"]);
        assert_eq!(bodies(&queue.receive(10, 8, at(0))), ["1234", "5678"]);
        assert_eq!(bodies(&queue.receive(10, 8, at(0))), ["9"]);
    }

    #[test]
    fn message_older_than_the_retention_is_deleted() {
        let mut queue = queue(None);
        send(&mut queue, "flying", 0, at(0));
        queue.receive(1, usize::MAX, at(0));
        send(&mut queue, "visible", 0, at(0));
        send(&mut queue, "delayed", 900, at(0));
        send(&mut queue, "newer", 0, at(1));
        queue.advance(at(3601));
        assert_eq!(bodies(&queue.receive(10, usize::MAX, at(3601))), ["newer"]);
        assert_eq!(queue.messages().count(), 1);
    }
}
