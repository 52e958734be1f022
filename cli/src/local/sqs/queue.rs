//! One queue as SQS standard queues are: who may see which message when. Pure: the time is passed
//! in.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use muster_domain::Timestamp;
use uuid::Uuid;

use super::{
    fair_order::FairOrder,
    message::{Receipt, ReceivedMessage, StoredMessage},
};

/// How a queue treats its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAttributes {
    /// How long a message that was received stays unseen by others.
    pub visibility_timeout: Duration,
    /// How long a message is kept.
    pub retention: Duration,
    /// After how many receives a message goes to the dead-letter queue; never, where there is none.
    pub max_receives: Option<u32>,
}

/// A queue. Messages are known by the order in which they arrived.
#[derive(Debug)]
pub struct StandardQueue {
    /// Tells its receipts from those of others, and of the queue by this name before a restart.
    id: Uuid,
    attributes: QueueAttributes,
    messages: BTreeMap<u64, StoredMessage>,
    /// The visible messages and those in flight, for the order of delivery.
    order: FairOrder,
    /// Sent, and to be seen only later.
    delayed: BTreeSet<(Timestamp, u64)>,
    /// ReceivedMessage, with the time at which they are seen again.
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

    /// Puts a message in, to be seen after a delay.
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

    /// Lets be seen what is due, and takes out what has been received too often: those messages are
    /// returned.
    ///
    /// SQS moves them when they would be received once more, which nobody can tell from here: they
    /// are not seen either way.
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
            // What was deleted is in no set, so it is there.
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

    /// Receives up to so many messages of up to so many bytes together, at least one if there is
    /// one. Others do not see them for the queue's visibility timeout. Messages of quiet groups are
    /// first, as [`FairOrder`] has it.
    pub fn receive(
        &mut self,
        max: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> Vec<ReceivedMessage> {
        self.receive_with_timeout(self.attributes.visibility_timeout, max, max_bytes, now)
    }

    /// The same with a visibility timeout of the receiver's own.
    pub fn receive_with_timeout(
        &mut self,
        visibility_timeout: Duration,
        max: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> Vec<ReceivedMessage> {
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
            received.push(ReceivedMessage {
                receipt,
                message: message.clone(),
            });
        }
        received
    }

    /// Deletes a message that was received, unless it was received again since. True if it was
    /// there.
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
        // The message is in flight, perhaps until another time than the receipt's, or visible
        // again.
        self.order.end_flight(arrival, now);
        if !self.in_flight.remove(&(until, arrival)) {
            self.in_flight.retain(|(_, flying)| *flying != arrival);
            self.order.remove(&message.group, arrival);
        }
        true
    }

    /// Has a message that was received be seen again after this time, and no sooner or later. False
    /// if it is not in flight, or was received again since.
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

    /// Whether a receipt is of the last receive of a message that is here.
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

    /// After how many receives a message goes to the dead-letter queue.
    pub fn max_receives(&self) -> Option<u32> {
        self.attributes.max_receives
    }

    /// How many could be received now.
    pub fn visible(&self) -> usize {
        self.order.visible()
    }

    /// How many were sent with a delay that is not over.
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// How many were received and not deleted yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// When something becomes visible next by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        let first = |set: &BTreeSet<(Timestamp, u64)>| set.first().map(|(time, _)| *time);
        first(&self.delayed)
            .into_iter()
            .chain(first(&self.in_flight))
            .min()
    }

    /// Everything in it, in the order of arrival.
    pub fn messages(&self) -> impl Iterator<Item = &StoredMessage> {
        self.messages.values()
    }
}

/// Takes out what is due.
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

    fn bodies(received: &[ReceivedMessage]) -> Vec<&str> {
        received
            .iter()
            .map(|received| received.message.body.as_str())
            .collect()
    }

    #[test]
    fn what_is_received_is_unseen_until_it_is_due_and_gone_once_deleted() {
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
    fn the_last_receipt_deletes_even_what_is_visible_again() {
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
    fn a_receiver_may_say_when_a_message_is_seen_again() {
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
    fn a_receipt_is_of_one_queue() {
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
    fn a_receipt_is_told_as_text() {
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
    fn a_delay_keeps_a_message_back() {
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
    fn what_was_received_too_often_is_dead() {
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
    fn a_batch_is_bounded_in_bytes_and_never_empty() {
        let mut queue = queue(None);
        for body in ["12345678", "1234", "5678", "9"] {
            send(&mut queue, body, 0, at(0));
        }
        assert_eq!(bodies(&queue.receive(10, 3, at(0))), ["12345678"]);
        assert_eq!(bodies(&queue.receive(10, 8, at(0))), ["1234", "5678"]);
        assert_eq!(bodies(&queue.receive(10, 8, at(0))), ["9"]);
    }

    #[test]
    fn nothing_is_kept_longer_than_it_may() {
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
