//! The delivery order of SQS fair queues. The functions are pure: the time is a parameter.
//!
//! A queue delivers messages in the order in which they became visible, but those of quiet groups
//! before those of noisy groups.
//!
//! AWS: "Amazon SQS fair queues",
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>,
//! and "How Amazon SQS fair queues work",
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use muster_domain::Timestamp;

/// The group of a message. A message without a group is never noisy, because it has no backlog.
type MessageGroup = Option<String>;

/// The minimum number of messages in flight of a group that is noisy by concurrency.
const MIN_IN_FLIGHT: usize = 30;

/// The share that makes a group noisy, of the messages in flight or of the recent processing time:
/// more than a tenth.
const SHARE: u32 = 10;

/// The time for which processing is recent, and after which a noisy group without messages in
/// flight is quiet.
///
/// AWS documents the second, but not for how long processing is recent.
const RECENT: Duration = Duration::from_mins(5);

/// The visible messages and those in flight, by arrival number, with their groups.
#[derive(Debug, Default)]
pub struct FairOrder {
    /// The visible messages by group: their places in the common order, and their arrival numbers.
    visible: BTreeMap<MessageGroup, VecDeque<(u64, u64)>>,
    /// The number of visible messages.
    count: usize,
    /// The next place in the common order.
    next_place: u64,
    /// The messages in flight, each with its group and the time of its receive.
    in_flight: HashMap<u64, (MessageGroup, Timestamp)>,
    /// The number of messages in flight of each group.
    in_flight_by_group: BTreeMap<String, usize>,
    recent: ProcessingTime,
    /// The noisy groups, each with the last time at which it had a message in flight.
    noisy: BTreeMap<String, Timestamp>,
}

/// The recent processing times, from the receive of a message to its end.
#[derive(Debug, Default)]
struct ProcessingTime {
    /// The parts in the order of their ends.
    parts: VecDeque<(Timestamp, MessageGroup, Duration)>,
    by_group: BTreeMap<String, Duration>,
    total: Duration,
}

impl FairOrder {
    /// Adds a message that became visible.
    pub fn add(&mut self, group: &MessageGroup, arrival: u64) {
        let place = self.next_place;
        self.next_place += 1;
        self.count += 1;
        self.visible
            .entry(group.clone())
            .or_default()
            .push_back((place, arrival));
    }

    /// Removes a message, if it is visible.
    pub fn remove(&mut self, group: &MessageGroup, arrival: u64) {
        let Some(messages) = self.visible.get_mut(group) else {
            return;
        };
        let Some(at) = messages.iter().position(|(_, visible)| *visible == arrival) else {
            return;
        };
        messages.remove(at);
        self.count -= 1;
        if messages.is_empty() {
            self.visible.remove(group);
        }
    }

    /// Returns the number of visible messages.
    pub fn visible(&self) -> usize {
        self.count
    }

    /// Returns the next message to deliver. Among noisy groups, the one with the fewest messages in
    /// flight is first.
    pub fn next(&self) -> Option<u64> {
        let first = |messages: &VecDeque<(u64, u64)>| messages.front().copied();
        let (noisy, quiet): (Vec<_>, Vec<_>) = self.visible.iter().partition(|(group, _)| {
            group
                .as_ref()
                .is_some_and(|group| self.noisy.contains_key(group))
        });
        let quiet = quiet
            .into_iter()
            .filter_map(|(_, messages)| first(messages))
            .min();
        let fewest =
            |group: &MessageGroup| group.as_ref().map_or(0, |group| self.in_flight_of(group));
        let noisy = noisy
            .into_iter()
            .filter_map(|(group, messages)| Some((fewest(group), first(messages)?)))
            .min();
        quiet
            .or(noisy.map(|(_, first)| first))
            .map(|(_, arrival)| arrival)
    }

    /// Moves a visible message into flight.
    pub fn start_flight(&mut self, group: &MessageGroup, arrival: u64, now: Timestamp) {
        self.remove(group, arrival);
        self.in_flight.insert(arrival, (group.clone(), now));
        if let Some(group) = group {
            *self.in_flight_by_group.entry(group.clone()).or_default() += 1;
        }
    }

    /// Ends the flight of a message, if it is in flight, and adds its processing time.
    pub fn end_flight(&mut self, arrival: u64, now: Timestamp) {
        let Some((group, since)) = self.in_flight.remove(&arrival) else {
            return;
        };
        if let Some(group) = &group {
            if let Some(count) = self.in_flight_by_group.get_mut(group) {
                *count -= 1;
            }
            self.in_flight_by_group.retain(|_, count| *count > 0);
            if let Some(last) = self.noisy.get_mut(group) {
                *last = now;
            }
        }
        self.recent.add(group, now, now.since(since));
    }

    /// Updates the noisy groups. Each receive calls it first.
    pub fn update_noisy(&mut self, now: Timestamp) {
        self.recent.forget(now);
        for group in self.visible.keys().flatten() {
            if self.has_many_in_flight(group) || self.recent.is_mostly_of(group) {
                self.noisy.entry(group.clone()).or_insert(now);
            }
        }
        for (group, last) in &mut self.noisy {
            if self.in_flight_by_group.contains_key(group) {
                *last = now;
            }
        }
        let Self { visible, noisy, .. } = self;
        // A group without a backlog is quiet.
        let backlogs: Vec<_> = visible.keys().flatten().collect();
        noisy.retain(|group, last| {
            backlogs.binary_search(&group).is_ok() && last.plus(RECENT) > now
        });
    }

    fn in_flight_of(&self, group: &str) -> usize {
        self.in_flight_by_group
            .get(group)
            .copied()
            .unwrap_or_default()
    }

    fn has_many_in_flight(&self, group: &str) -> bool {
        let own = self.in_flight_of(group);
        own >= MIN_IN_FLIGHT && own * SHARE as usize > self.in_flight.len()
    }
}

impl ProcessingTime {
    fn add(&mut self, group: MessageGroup, end: Timestamp, time: Duration) {
        self.total += time;
        if let Some(group) = &group {
            *self.by_group.entry(group.clone()).or_default() += time;
        }
        self.parts.push_back((end, group, time));
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((end, group, time)) = self.parts.front()
            && end.plus(RECENT) < now
        {
            self.total -= *time;
            if let Some(sum) = group
                .as_ref()
                .and_then(|group| self.by_group.get_mut(group))
            {
                *sum -= *time;
            }
            self.parts.pop_front();
        }
        self.by_group.retain(|_, sum| !sum.is_zero());
    }

    fn is_mostly_of(&self, group: &str) -> bool {
        self.by_group
            .get(group)
            .is_some_and(|sum| *sum * SHARE > self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue with numbered messages.
    #[derive(Default)]
    struct QueueFixture {
        order: FairOrder,
        groups: Vec<MessageGroup>,
    }

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn at(secs: u64) -> Timestamp {
        START.plus(Duration::from_secs(secs))
    }

    impl QueueFixture {
        /// Sends messages of a group; an empty text is no group.
        fn send(&mut self, group: &str, count: usize) {
            for _ in 0..count {
                let group = Some(group.to_owned()).filter(|group| !group.is_empty());
                self.order.add(&group, self.groups.len() as u64);
                self.groups.push(group);
            }
        }

        /// Receives messages, one per call, and returns their numbers.
        fn receive(&mut self, count: usize, now: Timestamp) -> Vec<u64> {
            let mut received = Vec::new();
            for _ in 0..count {
                self.order.update_noisy(now);
                let Some(next) = self.order.next() else { break };
                self.order
                    .start_flight(&self.groups[usize::try_from(next).unwrap()], next, now);
                received.push(next);
            }
            received
        }

        /// Receives and deletes messages that each take this long.
        fn process(&mut self, count: usize, now: u64, secs: u64) -> Vec<u64> {
            let received = self.receive(count, at(now));
            for &arrival in &received {
                self.order.end_flight(arrival, at(now + secs));
            }
            received
        }

        fn group_of_next(&mut self, now: u64) -> String {
            self.order.update_noisy(at(now));
            let next = self.order.next().expect("a message is visible");
            self.groups[usize::try_from(next).unwrap()]
                .clone()
                .unwrap_or_default()
        }
    }

    #[test]
    fn messages_without_groups_keep_their_order() {
        let mut fixture = QueueFixture::default();
        fixture.send("", 100);
        assert_eq!(fixture.process(50, 0, 60), (0..50).collect::<Vec<_>>());
        assert_eq!(fixture.receive(60, at(70)), (50..100).collect::<Vec<_>>());
        assert_eq!(fixture.order.visible(), 0);
    }

    #[test]
    fn group_with_30_in_flight_is_behind_quiet_groups() {
        for (in_flight, next) in [(29, "noisy"), (30, "quiet")] {
            let mut fixture = QueueFixture::default();
            fixture.send("noisy", 60);
            fixture.receive(in_flight, at(0));
            fixture.send("quiet", 1);
            assert_eq!(fixture.group_of_next(0), next, "{in_flight}");
        }
    }

    #[test]
    fn group_with_a_tenth_in_flight_is_not_noisy() {
        for (others, next) in [(270, "busy"), (269, "quiet")] {
            let mut fixture = QueueFixture::default();
            fixture.send("", others);
            fixture.send("busy", 31);
            fixture.receive(others + 30, at(0));
            fixture.send("quiet", 1);
            assert_eq!(fixture.group_of_next(0), next, "30 of {}", others + 30);
        }
    }

    #[test]
    fn message_without_group_is_quiet() {
        let mut fixture = QueueFixture::default();
        fixture.send("noisy", 60);
        fixture.receive(30, at(0));
        fixture.send("", 1);
        assert_eq!(fixture.group_of_next(0), "");
    }

    #[test]
    fn group_with_more_than_a_tenth_of_the_time_is_noisy() {
        for (secs, next) in [(1, "slow"), (2, "quiet")] {
            let mut fixture = QueueFixture::default();
            fixture.send("", 9);
            fixture.process(9, 0, 1);
            fixture.send("slow", 2);
            assert_eq!(fixture.process(1, 10, secs), [9]);
            fixture.send("quiet", 1);
            assert_eq!(fixture.group_of_next(20), next, "{secs} of {} s", 9 + secs);
        }
    }

    #[test]
    fn noisy_group_with_fewest_in_flight_is_first() {
        let mut fixture = QueueFixture::default();
        fixture.send("first", 80);
        fixture.receive(31, at(0));
        fixture.send("second", 80);
        fixture.receive(30, at(0));
        assert_eq!(
            fixture.group_of_next(0),
            "second",
            "30 against 31, though its messages are younger"
        );
        fixture.receive(1, at(0));
        assert_eq!(
            fixture.group_of_next(0),
            "first",
            "31 each, and the oldest message is first"
        );
    }

    #[test]
    fn noisy_group_is_quiet_once_its_backlog_is_consumed() {
        let mut fixture = QueueFixture::default();
        fixture.send("noisy", 31);
        let received = fixture.receive(30, at(0));
        assert_eq!(fixture.group_of_next(0), "noisy");
        // Below both limits, and still noisy while there is a backlog.
        for &arrival in &received {
            fixture.order.end_flight(arrival, at(0));
        }
        fixture.send("quiet", 1);
        assert_eq!(fixture.group_of_next(1), "quiet");
        fixture.receive(2, at(1));
        fixture.order.update_noisy(at(1));
        fixture.send("noisy", 1);
        fixture.send("quiet", 1);
        assert_eq!(fixture.group_of_next(1), "noisy", "plain order");
    }

    #[test]
    fn noisy_group_is_quiet_after_5_minutes_without_flight() {
        let mut fixture = QueueFixture::default();
        fixture.send("noisy", 60);
        let received = fixture.receive(30, at(0));
        fixture.order.update_noisy(at(10));
        for &arrival in &received {
            fixture.order.end_flight(arrival, at(10));
        }
        fixture.send("quiet", 1);
        assert_eq!(fixture.group_of_next(300), "quiet");
        assert_eq!(fixture.group_of_next(311), "noisy");
    }
}
