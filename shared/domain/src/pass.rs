//! The pass of an organization over its unrouted tickets, and the filter that saves its reads.

use std::{collections::BTreeSet, fmt, time::Duration};

use sha2::{Digest, Sha256};

use super::{Folded, Timestamp};

/// A topic of a pass: the first 64 bits of the SHA-256 of the folded text. A collision costs reads
/// and changes no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicHash(u64);

impl TopicHash {
    /// Hashes a folded topic.
    #[must_use]
    pub fn of(topic: &Folded) -> Self {
        let hash: [u8; 32] = Sha256::digest(topic.as_str()).into();
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// Parses the text of [`Display`](fmt::Display).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }

    /// Returns the bits of the topic in a [`TopicFilter`]: three of 64, of which some may be equal.
    fn bits(self) -> u64 {
        (0..TopicFilter::BITS_PER_TOPIC).fold(0, |bits, n| bits | 1 << (self.0 >> (6 * n) & 63))
    }
}

impl fmt::Display for TopicHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A Bloom filter of a ticket's topics: 64 bits, at the end of the index key of an unrouted ticket.
///
/// A filter shows every topic of the ticket. It shows another topic for about 3 in 1,000 tickets of
/// three topics, and for nearly every ticket of 40 topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicFilter(u64);

impl TopicFilter {
    const BITS_PER_TOPIC: u32 = 3;

    /// Returns the filter of these topics.
    #[must_use]
    pub fn of<'t>(topics: impl IntoIterator<Item = &'t Folded>) -> Self {
        Self(
            topics
                .into_iter()
                .fold(0, |bits, topic| bits | TopicHash::of(topic).bits()),
        )
    }

    /// Parses the text of [`Display`](fmt::Display).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }

    /// Returns false only if the ticket does not have this topic.
    #[must_use]
    pub fn may_have(self, topic: TopicHash) -> bool {
        topic.bits() & !self.0 == 0
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Parses 16 hex digits.
fn parse_hex(text: &str) -> Option<u64> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The topics that a pass covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassTopics {
    /// Every topic: more than [`PassTopics::MAX`] were merged.
    All,
    /// These topics.
    These(BTreeSet<TopicHash>),
}

impl PassTopics {
    /// The maximum number of topics of a pass. More count as all.
    pub const MAX: usize = 200;

    /// Returns false only if the ticket of a filter has none of the topics.
    #[must_use]
    pub fn may_match(&self, filter: TopicFilter) -> bool {
        match self {
            Self::All => true,
            Self::These(topics) => topics.iter().any(|&topic| filter.may_have(topic)),
        }
    }

    /// Returns whether this many more topics fit, even if none of them is among these.
    #[must_use]
    pub fn has_room_for(&self, more: usize) -> bool {
        match self {
            Self::All => false,
            Self::These(topics) => topics.len() + more <= Self::MAX,
        }
    }
}

/// The pass of an organization over its unrouted tickets.
///
/// The topics of new specializations are merged into it. It stays pending until a pass over all of
/// them has begun late enough after the last merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingPass {
    /// The number of merges so far.
    pub rev: u64,
    /// The revision that the latest complete pass covered.
    pub covered: u64,
    /// The topics merged since the pass was last finished.
    pub topics: PassTopics,
    /// The time of the last merge.
    pub merged_at: Timestamp,
    /// The end of the lease of the running pass, if there is one.
    pub leased_until: Option<Timestamp>,
    /// Whether the pass has work left.
    pub is_pending: bool,
}

impl RoutingPass {
    /// The time after the last merge at which the last pass begins.
    ///
    /// A merge is stamped before its transaction. The commit may come 60 seconds later, at the end
    /// of the jobs function's time. A ticket that was planned before the commit may be written 30
    /// seconds after it, and the index then lags. So the last pass begins at least 90
    /// seconds after the commit.
    pub const LAST_PASS_AFTER: Duration = Duration::from_secs(150);
    /// The time for which a pass holds its lease without renewing it: longer than one invocation of
    /// the jobs function, and shorter than the interval of the schedule.
    pub const LEASE: Duration = Duration::from_mins(2);
    /// The pause after a pass before the next one of the same lease. Topics that are merged
    /// meanwhile share one pass.
    pub const PAUSE: Duration = Duration::from_secs(5);

    /// Returns whether another pass holds the lease.
    #[must_use]
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.leased_until.is_some_and(|until| now < until)
    }

    /// Returns whether topics were merged that no complete pass has covered.
    #[must_use]
    pub fn has_new_topics(&self) -> bool {
        self.rev > self.covered
    }

    /// Returns the time from which on the last pass may begin.
    #[must_use]
    pub fn last_pass_at(&self) -> Timestamp {
        self.merged_at.plus(Self::LAST_PASS_AFTER)
    }

    /// Returns whether a pass over revision `rev` that began at `began_at` was the last: it covers
    /// every merge, and began late enough.
    #[must_use]
    pub fn is_finished_by(&self, rev: u64, began_at: Timestamp) -> bool {
        self.rev == rev && began_at >= self.last_pass_at()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn filter_shows_every_topic_of_the_ticket(texts in prop::collection::vec(".{1,20}", 0..40)) {
            let topics: Vec<_> = texts.iter().map(|text| Folded::of(text)).collect();
            let filter = TopicFilter::of(&topics);
            prop_assert_eq!(TopicFilter::parse(&filter.to_string()), Some(filter));
            for topic in topics.iter().map(TopicHash::of) {
                prop_assert!(filter.may_have(topic));
                prop_assert!(PassTopics::These([topic].into()).may_match(filter));
                prop_assert_eq!(TopicHash::parse(&topic.to_string()), Some(topic));
            }
        }
    }

    #[test]
    fn filter_of_three_topics_rarely_shows_another() {
        let topics = |from: usize| {
            (from..from + 3)
                .map(|n| Folded::of(&format!("topic {n}")))
                .collect::<Vec<_>>()
        };
        let other = TopicHash::of(&Folded::of("vpn"));
        let shown = (0..10_000)
            .filter(|n| TopicFilter::of(&topics(n * 3)).may_have(other))
            .count();
        assert!((1..100).contains(&shown), "{shown} of 10,000");
        assert!(!TopicFilter::of(&[]).may_have(other));
    }

    #[test]
    fn only_16_hex_digits_are_a_filter() {
        for none in [
            "",
            "0",
            "00000000000000000",
            "000000000000000g",
            "+000000000000000",
        ] {
            assert_eq!(TopicFilter::parse(none), None, "{none:?}");
        }
    }

    #[test]
    fn more_than_200_topics_match_everything() {
        let topics = |count: usize| PassTopics::These((0..count as u64).map(TopicHash).collect());
        assert!(topics(150).has_room_for(50));
        assert!(!topics(151).has_room_for(50));
        assert!(!PassTopics::All.has_room_for(0));
        assert!(PassTopics::All.may_match(TopicFilter::of(&[])));
        assert!(!topics(200).may_match(TopicFilter::of(&[])));
    }

    #[test]
    fn last_pass_begins_after_the_last_merge_and_covers_it() {
        let at = Timestamp::from_secs;
        let pass = RoutingPass {
            rev: 3,
            covered: 2,
            topics: PassTopics::All,
            merged_at: at(1000),
            leased_until: Some(at(1100)),
            is_pending: true,
        };
        assert!(pass.is_finished_by(3, at(1150)));
        assert!(!pass.is_finished_by(3, at(1149)));
        assert!(!pass.is_finished_by(2, at(2000)), "a merge came later");
        assert!(pass.is_leased(at(1099)) && !pass.is_leased(at(1100)));
        assert!(pass.has_new_topics());
    }
}
