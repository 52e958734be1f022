//! How many requests a subject may make in a clock minute, over all instances together.
//!
//! Each instance counts the requests that it admits. It reports its first request of a minute to
//! the table, and then every ten, beside the request's own calls. The response has the total of all
//! reports. From that an instance knows a lower bound of the requests that the others admitted, so
//! a subject below its limit is never refused. The first report tells a new instance at once of a
//! subject that has reached its limit. Beyond the limit go requests that other instances admitted
//! and have not yet reported: at most 10 for each request under way at once, which on Lambda is one
//! in an instance.
//!
//! A report is not repeated, even where its response was lost: it may be counted, and counted twice
//! it would refuse a subject below its limit. Requests that could not be reported go beyond the
//! limit too. While the table takes no reports, each instance limits the requests that it admits
//! itself, and goes on serving: an API that responds is worth more than an exact limit.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;

use crate::store::{self, Store};
use muster_domain::{Subject, Timestamp};

/// The requests of each subject and minute, as far as an instance knows them.
///
/// Bounded, the least recently used count going first, with its requests that were not reported.
/// Each minute has a count of its own, also one that the clock shows again because it was set back.
/// A subject never waits for longer than the minute that the clock shows.
#[derive(Debug)]
pub struct RateLimits {
    counts: Mutex<LruCache<(Subject, i64), Count>>,
}

/// One subject's requests in one minute.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// How many it admitted itself.
    own: u64,
    /// How many the others admitted, at the least.
    others: u64,
}

/// Requests that are to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    subject: Subject,
    minute: i64,
    /// The number of requests since the report before.
    requests: u64,
}

impl Report {
    /// The number of requests in a report, but for the first of a minute.
    const REQUESTS: u64 = 10;
}

impl Count {
    /// The number of the instance's own requests that reports were made of. The first report is of
    /// one request.
    fn reported(&self) -> u64 {
        self.own
            .checked_sub(1)
            .map_or(0, |later| 1 + later - later % Report::REQUESTS)
    }
}

/// The subject has made as many requests in this minute as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Whole seconds until the next minute begins, rounded up.
    pub retry_after: u64,
}

impl RateLimits {
    /// Counts of up to `capacity` subjects and minutes, about 120 bytes each.
    #[must_use]
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            counts: Mutex::new(LruCache::new(capacity)),
        }
    }

    /// Admits a request of a subject that may make `limit` a minute, and counts it. Returns a
    /// report that the caller has to [make](Self::report), if one is due.
    ///
    /// # Errors
    /// [`Exceeded`]; the request is not counted.
    pub fn admit(
        &self,
        subject: Subject,
        limit: u32,
        now: Timestamp,
    ) -> Result<Option<Report>, Exceeded> {
        let minute = now.minute();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_or_insert_mut((subject, minute), Count::default);
        if count.own + count.others >= u64::from(limit) {
            return Err(Exceeded {
                retry_after: until_next_minute(now),
            });
        }
        let before = count.reported();
        count.own += 1;
        let requests = count.reported() - before;
        Ok((requests > 0).then_some(Report {
            subject,
            minute,
            requests,
        }))
    }

    /// Adds the report to the count in the table, and learns the total from the response. One round
    /// trip, of half a second at most; a report that fails is lost.
    pub async fn report(&self, report: Report, store: &Store) {
        match store
            .count_requests(report.subject, report.minute, report.requests)
            .await
        {
            Ok(total) => self.learn(report, total),
            Err(error @ store::Error::Unavailable(_)) => {
                tracing::debug!(%error, "requests were not reported");
            }
            // This does not pass by itself. A permission may be missing.
            Err(error) => tracing::warn!(%error, "requests cannot be reported"),
        }
    }

    /// Takes note of how many requests were reported by all instances, as a report was answered.
    fn learn(
        &self,
        Report {
            subject,
            minute,
            requests: _,
        }: Report,
        total: u64,
    ) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.peek_mut(&(subject, minute)) {
            // Other reports of this instance may be on their way to the table, or lost on it, and
            // be in the total or not. They are taken to be in it: then the rest of it can only be
            // the others'.
            count.others = count.others.max(total.saturating_sub(count.reported()));
        }
    }
}

fn until_next_minute(now: Timestamp) -> u64 {
    let left = Timestamp::from_secs((now.minute() + 1) * 60).since(now);
    left.as_secs() + u64::from(left.subsec_millis() > 0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use muster_domain::OrganizationId;

    fn limits(capacity: usize) -> RateLimits {
        RateLimits::new(NonZeroUsize::new(capacity).unwrap())
    }

    fn subject(n: usize) -> Subject {
        Subject::of_token(&OrganizationId::parse("org").unwrap(), &n.to_string())
    }

    /// A moment of the minute that has this number.
    fn within(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000 + 4_200)
    }

    #[test]
    fn as_many_requests_are_admitted_as_the_limit_says_whatever_becomes_of_the_reports() {
        for limit in [1, 9, 10, 11, 200, 2_000] {
            for are_answered in [false, true] {
                let (limits, mut total) = (limits(1), 0);
                for n in 1..=limit {
                    let due = limits.admit(subject(0), limit, within(7)).unwrap();
                    let requests = due.map(|report| report.requests);
                    let expected = if n == 1 {
                        Some(1)
                    } else {
                        (n % 10 == 1).then_some(10)
                    };
                    assert_eq!(requests, expected, "request {n} of {limit}");
                    if let Some(report) = due.filter(|_| are_answered) {
                        total += report.requests;
                        limits.learn(report, total);
                    }
                }
                for _ in 0..25 {
                    assert_eq!(
                        limits.admit(subject(0), limit, within(7)),
                        Err(Exceeded { retry_after: 56 })
                    );
                }
                assert!(
                    limits.admit(subject(0), limit, within(8)).is_ok(),
                    "the next minute is another"
                );
            }
        }
        assert!(limits(1).admit(subject(0), 0, within(7)).is_err());
    }

    #[test]
    fn what_others_admitted_counts_once_it_is_heard_of() {
        let limits = limits(9);
        let due: Vec<_> = (0..25)
            .filter_map(|_| limits.admit(subject(0), 100, within(7)).unwrap())
            .collect();
        let [first, second, third] = due[..] else {
            panic!("one report, and then one of every ten: {due:?}")
        };
        assert_eq!(
            [first, second, third].map(|report| report.requests),
            [1, 10, 10]
        );
        // The third report overtakes the others, which are in the total already: 60 are others'.
        limits.learn(third, 81);
        limits.learn(second, 11);
        limits.learn(first, 1);
        for _ in 25..40 {
            limits.admit(subject(0), 100, within(7)).unwrap();
        }
        assert!(limits.admit(subject(0), 100, within(7)).is_err());
        assert!(
            limits.admit(subject(1), 100, within(7)).is_ok(),
            "another subject's requests are its own"
        );
        // A report that is answered when its minute is over says nothing of the next one.
        limits.learn(third, 1_000);
        assert!(limits.admit(subject(0), 100, within(8)).is_ok());
    }

    #[test]
    fn first_report_of_a_new_instance_tells_of_an_exhausted_limit() {
        let limits = limits(1);
        let first = limits
            .admit(subject(0), 100, within(7))
            .unwrap()
            .expect("the first request is reported");
        limits.learn(first, 101);
        assert!(limits.admit(subject(0), 100, within(7)).is_err());
    }

    #[test]
    fn a_clock_that_was_set_back_finds_the_minute_that_it_shows() {
        let limits = limits(9);
        let fill = |minute| {
            (0..99)
                .take_while(|_| limits.admit(subject(0), 20, within(minute)).is_ok())
                .count()
        };
        assert_eq!(
            (fill(7), fill(67), fill(7), fill(8), fill(6)),
            (20, 20, 0, 20, 20)
        );
    }

    #[test]
    fn the_next_minute_is_as_far_as_the_clock_says() {
        for (millis, seconds) in [
            (0, 60),
            (1, 60),
            (1_000, 59),
            (58_999, 2),
            (59_000, 1),
            (59_001, 1),
            (59_999, 1),
            (60_000, 60),
            (-1, 1),
        ] {
            assert_eq!(
                until_next_minute(Timestamp::from_millis(millis)),
                seconds,
                "{millis}"
            );
            let day = 20_000 * 24 * 3_600_000;
            assert_eq!(
                until_next_minute(Timestamp::from_millis(day + millis)),
                seconds,
                "{millis}"
            );
        }
    }

    /// Something that happens to one of the requests under way, each of which is a slot of an
    /// instance.
    #[derive(Debug, Clone)]
    enum Step {
        /// The slot, where it is free, takes a request of a subject.
        Request(Index, usize),
        /// The table counts the slot's report.
        Count(Index),
        /// The answer to the slot's report, if it was counted, arrives.
        Answer(Index),
        /// The slot's report is lost before it is counted or after, and the request goes on.
        Lose(Index),
        /// The clock shows another minute.
        Clock(i64),
    }

    fn steps(losses: u32) -> impl Strategy<Value = Vec<Step>> {
        let slot = any::<Index>;
        let step = prop_oneof![
            60 => (slot(), 0_usize..2).prop_map(|(slot, subject)| Step::Request(slot, subject)),
            12 => slot().prop_map(Step::Count),
            12 => slot().prop_map(Step::Answer),
            losses => slot().prop_map(Step::Lose),
            1 => (0_i64..3).prop_map(Step::Clock),
        ];
        vec(step, 0..1_000)
    }

    /// Instances over one table.
    struct World {
        instances: Vec<RateLimits>,
        limit: u32,
        minute: i64,
        /// Of each request under way the report, and what the table answered.
        slots: Vec<Option<(Report, Option<u64>)>>,
        table: HashMap<(Subject, i64), u64>,
        admitted: HashMap<(Subject, i64), u64>,
        lost: HashMap<(Subject, i64), u64>,
    }

    impl World {
        fn new(instances: usize, at_once: usize, limit: u32, capacity: usize) -> Self {
            Self {
                instances: (0..instances).map(|_| limits(capacity)).collect(),
                limit,
                minute: 0,
                slots: vec![None; instances * at_once],
                table: HashMap::new(),
                admitted: HashMap::new(),
                lost: HashMap::new(),
            }
        }

        /// Does what a step says, and asserts that nobody is refused below the limit.
        fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
            let (Step::Request(at, _) | Step::Count(at) | Step::Answer(at) | Step::Lose(at)) = step
            else {
                if let Step::Clock(minute) = step {
                    self.minute = *minute;
                }
                return Ok(());
            };
            let at = at.index(self.slots.len());
            let (instance, slot) = (
                &self.instances[at % self.instances.len()],
                &mut self.slots[at],
            );
            match (step, *slot) {
                (Step::Request(_, n), None) => {
                    let key = (subject(*n), self.minute);
                    let admitted = self.admitted.entry(key).or_default();
                    match instance.admit(key.0, self.limit, within(key.1)) {
                        Ok(due) => {
                            *admitted += 1;
                            *slot = due.map(|report| (report, None));
                        }
                        Err(_) => prop_assert!(
                            *admitted >= u64::from(self.limit),
                            "refused after {admitted}"
                        ),
                    }
                }
                (Step::Count(_), Some((report, None))) => {
                    let total = self
                        .table
                        .entry((report.subject, report.minute))
                        .or_default();
                    *total += report.requests;
                    *slot = Some((report, Some(*total)));
                }
                (Step::Answer(_), Some((report, Some(total)))) => {
                    instance.learn(report, total);
                    *slot = None;
                }
                (Step::Lose(_), Some((report, _))) => {
                    *self
                        .lost
                        .entry((report.subject, report.minute))
                        .or_default() += 1;
                    *slot = None;
                }
                _ => {}
            }
            Ok(())
        }
    }

    proptest! {
        /// Ten beyond the limit for each request under way at once, and for each report that was
        /// lost.
        #[test]
        fn no_more_are_admitted_than_the_bound_says(
            (instances, at_once, limit) in (1_usize..6, 1_usize..4, 1_u32..60),
            steps in prop_oneof![steps(0), steps(2)],
        ) {
            let mut world = World::new(instances, at_once, limit, 100);
            for step in &steps {
                world.take(step)?;
            }
            for (minute, admitted) in &world.admitted {
                let lost = world.lost.get(minute).copied().unwrap_or(0);
                let beyond = if instances == 1 { 0 } else { 10 * (world.slots.len() as u64 + lost) };
                prop_assert!(*admitted <= u64::from(limit) + beyond, "{admitted} of {limit}, {lost} reports lost");
            }
        }

        /// Not even where reports are lost, and counts forgotten.
        #[test]
        fn nobody_is_refused_below_the_limit(
            (instances, at_once, limit, capacity) in (1_usize..6, 1_usize..4, 1_u32..60, 1_usize..4),
            steps in steps(5),
        ) {
            let mut world = World::new(instances, at_once, limit, capacity);
            for step in &steps {
                world.take(step)?;
            }
        }
    }
}
