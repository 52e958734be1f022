//! Rate limits: requests of a subject in a clock minute, over all instances.
//!
//! Each instance counts the requests that it admits. It reports its first request of a minute to
//! the table, and then every ten, concurrently with the calls of the request. The response has the
//! total of all reports, a lower bound of the requests that all instances admitted. So a subject
//! below its limit is never rejected, and the first report tells a new instance that a limit is
//! reached. The limit can be exceeded by requests that other instances admitted and have not
//! reported: at most 10 for each concurrent request, which on Lambda is one in an instance.
//!
//! A report is not retried, even if its response was lost: counted twice, it could reject a subject
//! below its limit. Unreported requests exceed the limit too. While the table accepts no reports,
//! each instance limits its own requests and keeps serving: availability is worth more than an
//! exact limit.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;

use crate::{
    error_chain,
    store::{self, Store},
};
use muster_domain::{Subject, Timestamp};

/// The requests of each subject and minute that an instance knows.
///
/// The size is bounded: the least recently used count is evicted, with its unreported requests.
/// Each minute has its own count, also if the clock was set back. A subject never waits longer than
/// the current minute.
#[derive(Debug)]
pub struct RateLimits {
    counts: Mutex<LruCache<(Subject, i64), RequestCount>>,
}

/// One subject's requests in one minute.
#[derive(Debug, Clone, Copy, Default)]
struct RequestCount {
    /// The requests that this instance admitted.
    own: u64,
    /// A lower bound of the requests that other instances admitted.
    others: u64,
}

/// A report of requests to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageReport {
    subject: Subject,
    minute: i64,
    /// The number of requests since the previous report.
    requests: u64,
}

impl UsageReport {
    /// The number of requests in a report, except the first of a minute.
    const REQUESTS: u64 = 10;
}

impl RequestCount {
    /// Returns the number of own requests in reports so far. The first report has one request.
    fn reported(&self) -> u64 {
        self.own
            .checked_sub(1)
            .map_or(0, |later| 1 + later - later % UsageReport::REQUESTS)
    }
}

/// The subject has reached its limit for this minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// The seconds until the next minute, rounded up.
    pub retry_after: u64,
}

impl RateLimits {
    /// Returns counts for up to `capacity` pairs of subject and minute, about 120 bytes each.
    #[must_use]
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            counts: Mutex::new(LruCache::new(capacity)),
        }
    }

    /// Admits and counts a request of a subject with `limit` requests per minute. Returns a report
    /// that the caller has to [send](Self::report), if one is due.
    ///
    /// # Errors
    /// [`Exceeded`]; the request is not counted.
    pub fn admit(
        &self,
        subject: Subject,
        limit: u32,
        now: Timestamp,
    ) -> Result<Option<UsageReport>, Exceeded> {
        let minute = now.minute();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_or_insert_mut((subject, minute), RequestCount::default);
        if count.own + count.others >= u64::from(limit) {
            return Err(Exceeded {
                retry_after: until_next_minute(now),
            });
        }
        let before = count.reported();
        count.own += 1;
        let requests = count.reported() - before;
        Ok((requests > 0).then_some(UsageReport {
            subject,
            minute,
            requests,
        }))
    }

    /// Adds a report to the count in the table, and stores the total of the response. Costs one
    /// round trip of at most half a second. A failed report is lost.
    pub async fn report(&self, report: UsageReport, store: &Store) {
        match store
            .count_requests(report.subject, report.minute, report.requests)
            .await
        {
            Ok(total) => self.apply_total(report, total),
            Err(error @ store::Error::Unavailable(_)) => {
                tracing::debug!(error = error_chain(&error), "requests were not reported");
            }
            // This error is permanent, such as a missing permission.
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "requests cannot be reported");
            }
        }
    }

    /// Stores the total of all instances that the response to a report has.
    fn apply_total(
        &self,
        UsageReport {
            subject,
            minute,
            requests: _,
        }: UsageReport,
        total: u64,
    ) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.peek_mut(&(subject, minute)) {
            // The total may include other reports of this instance that are in flight or lost.
            // Counting them as included keeps `others` a lower bound.
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

    /// Returns a time within a minute.
    fn within(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000 + 4_200)
    }

    #[test]
    fn limit_holds_with_and_without_responses_to_reports() {
        for limit in [1, 9, 10, 11, 200, 2_000] {
            for have_responses in [false, true] {
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
                    if let Some(report) = due.filter(|_| have_responses) {
                        total += report.requests;
                        limits.apply_total(report, total);
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
    fn requests_of_other_instances_count_after_a_report() {
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
        limits.apply_total(third, 81);
        limits.apply_total(second, 11);
        limits.apply_total(first, 1);
        for _ in 25..40 {
            limits.admit(subject(0), 100, within(7)).unwrap();
        }
        assert!(limits.admit(subject(0), 100, within(7)).is_err());
        assert!(
            limits.admit(subject(1), 100, within(7)).is_ok(),
            "another subject's requests are its own"
        );
        // A response after the end of its minute does not affect the next minute.
        limits.apply_total(third, 1_000);
        assert!(limits.admit(subject(0), 100, within(8)).is_ok());
    }

    #[test]
    fn first_report_of_a_new_instance_tells_of_an_exhausted_limit() {
        let limits = limits(1);
        let first = limits
            .admit(subject(0), 100, within(7))
            .unwrap()
            .expect("the first request is reported");
        limits.apply_total(first, 101);
        assert!(limits.admit(subject(0), 100, within(7)).is_err());
    }

    #[test]
    fn clock_set_back_uses_the_count_of_its_minute() {
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
    fn retry_after_ends_with_the_minute() {
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

    /// A step of the simulation. A slot of an instance holds one request in flight.
    #[derive(Debug, Clone)]
    enum SimulationStep {
        /// A free slot starts a request of a subject.
        Request(Index, usize),
        /// The table counts the slot's report.
        RequestCount(Index),
        /// The response to the slot's report arrives, if the report was counted.
        Respond(Index),
        /// The slot's report is lost, before or after it is counted, and the request ends.
        Lose(Index),
        /// The clock shows another minute.
        Clock(i64),
    }

    fn steps(losses: u32) -> impl Strategy<Value = Vec<SimulationStep>> {
        let slot = any::<Index>;
        let step = prop_oneof![
            60 => (slot(), 0_usize..2).prop_map(|(slot, subject)| SimulationStep::Request(slot, subject)),
            12 => slot().prop_map(SimulationStep::RequestCount),
            12 => slot().prop_map(SimulationStep::Respond),
            losses => slot().prop_map(SimulationStep::Lose),
            1 => (0_i64..3).prop_map(SimulationStep::Clock),
        ];
        vec(step, 0..1_000)
    }

    /// Instances that share one table.
    struct Simulation {
        instances: Vec<RateLimits>,
        limit: u32,
        minute: i64,
        /// The report of each request in flight, and the response of the table.
        slots: Vec<Option<(UsageReport, Option<u64>)>>,
        table: HashMap<(Subject, i64), u64>,
        admitted: HashMap<(Subject, i64), u64>,
        lost: HashMap<(Subject, i64), u64>,
    }

    impl Simulation {
        fn new(instances: usize, concurrent: usize, limit: u32, capacity: usize) -> Self {
            Self {
                instances: (0..instances).map(|_| limits(capacity)).collect(),
                limit,
                minute: 0,
                slots: vec![None; instances * concurrent],
                table: HashMap::new(),
                admitted: HashMap::new(),
                lost: HashMap::new(),
            }
        }

        /// Applies a step, and asserts that no subject is rejected below its limit.
        fn take(&mut self, step: &SimulationStep) -> Result<(), TestCaseError> {
            let (SimulationStep::Request(at, _)
            | SimulationStep::RequestCount(at)
            | SimulationStep::Respond(at)
            | SimulationStep::Lose(at)) = step
            else {
                if let SimulationStep::Clock(minute) = step {
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
                (SimulationStep::Request(_, n), None) => {
                    let key = (subject(*n), self.minute);
                    let admitted = self.admitted.entry(key).or_default();
                    match instance.admit(key.0, self.limit, within(key.1)) {
                        Ok(due) => {
                            *admitted += 1;
                            *slot = due.map(|report| (report, None));
                        }
                        Err(_) => prop_assert!(
                            *admitted >= u64::from(self.limit),
                            "rejected after {admitted}"
                        ),
                    }
                }
                (SimulationStep::RequestCount(_), Some((report, None))) => {
                    let total = self
                        .table
                        .entry((report.subject, report.minute))
                        .or_default();
                    *total += report.requests;
                    *slot = Some((report, Some(*total)));
                }
                (SimulationStep::Respond(_), Some((report, Some(total)))) => {
                    instance.apply_total(report, total);
                    *slot = None;
                }
                (SimulationStep::Lose(_), Some((report, _))) => {
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
        /// The limit is exceeded by at most ten for each concurrent request and each lost report.
        #[test]
        fn admitted_requests_stay_within_the_bound(
            (instances, concurrent, limit) in (1_usize..6, 1_usize..4, 1_u32..60),
            steps in prop_oneof![steps(0), steps(2)],
        ) {
            let mut simulation = Simulation::new(instances, concurrent, limit, 100);
            for step in &steps {
                simulation.take(step)?;
            }
            for (minute, admitted) in &simulation.admitted {
                let lost = simulation.lost.get(minute).copied().unwrap_or(0);
                let beyond = if instances == 1 { 0 } else { 10 * (simulation.slots.len() as u64 + lost) };
                prop_assert!(*admitted <= u64::from(limit) + beyond, "{admitted} of {limit}, {lost} reports lost");
            }
        }

        /// Also with lost reports and evicted counts.
        #[test]
        fn subject_below_its_limit_is_never_rejected(
            (instances, concurrent, limit, capacity) in (1_usize..6, 1_usize..4, 1_u32..60, 1_usize..4),
            steps in steps(5),
        ) {
            let mut simulation = Simulation::new(instances, concurrent, limit, capacity);
            for step in &steps {
                simulation.take(step)?;
            }
        }
    }
}
