//! The schedule's job: starts pending work again, and counts waiting tickets.

use std::time::Duration;

use muster_contracts::jobs::{Job, WaitingTotals};
use muster_domain::Timestamp;
use muster_service::{
    error_chain,
    store::{PendingItem, PendingWork},
    telemetry,
};

use crate::{Error, runner::Run};

impl Run<'_> {
    /// Starts the jobs of all marked loads, and of other pending work older than
    /// [`RESTART_AFTER`]. Counts the waiting tickets. A job that is in flight runs twice, which is
    /// harmless.
    ///
    /// Continues in a follow-up message that carries the running totals. Only the last message
    /// records the metric, and none does if the count of a page failed.
    pub(crate) async fn restart_unfinished(
        &mut self,
        mut after: Option<String>,
        waiting: Option<WaitingTotals>,
    ) -> Result<(), Error> {
        let mut waiting = if after.is_none() {
            Some(WaitingTotals::default())
        } else {
            waiting
        };
        loop {
            let page = self
                .runner
                .store
                .pending_work(after.as_deref(), self.runner.pace.page)
                .await?;
            let restarted: Vec<Job> = page
                .entries
                .iter()
                .filter_map(|marked| job_of(marked, self.runner.started_at))
                .collect();
            self.start(&restarted).await?;
            if let Some(before) = waiting {
                waiting = self.count_waiting(before, &page.entries).await;
            }
            after = page.next;
            if after.is_none() {
                telemetry::record(|metrics| metrics.waiting = waiting.or(metrics.waiting));
                return Ok(());
            }
            if !self.has_time_left() {
                return self
                    .enqueue(
                        vec![Job::RestartPendingWork { after, waiting }],
                        Duration::ZERO,
                    )
                    .await;
            }
        }
    }

    /// Adds the waiting tickets of a page to the totals. `None` if they cannot be read: the metric
    /// is less important than the jobs.
    async fn count_waiting(
        &self,
        before: WaitingTotals,
        marked: &[PendingItem],
    ) -> Option<WaitingTotals> {
        let teams = marked.iter().filter_map(|marked| match &marked.work {
            PendingWork::Drain(org, team) => Some((org, *team)),
            PendingWork::Sweep(..)
            | PendingWork::IndexSpecializations(..)
            | PendingWork::CopyProfile(..)
            | PendingWork::RouteUnrouted(_) => None,
        });
        let waiting = self.runner.store.waiting_tickets(teams).await;
        let waiting = waiting
            .inspect_err(|error| {
                tracing::warn!(
                    error = error_chain(error),
                    "waiting tickets were not counted"
                );
            })
            .ok()?;
        Some(WaitingTotals {
            tickets: before.tickets + waiting.iter().sum::<u64>(),
            teams: before.teams + waiting.len() as u64,
        })
    }
}

/// The age at which the schedule starts the job of pending work again. Younger work usually has a
/// message in flight. Drains have no minimum age: waiting tickets are urgent, and a drain without
/// work costs one read.
const RESTART_AFTER: Duration = Duration::from_mins(5);

/// Returns the job that finishes a pending item, if it is due.
fn job_of(marked: &PendingItem, now: Timestamp) -> Option<Job> {
    let PendingItem { since, work } = marked;
    let is_old = now.since(*since) >= RESTART_AFTER;
    match work {
        PendingWork::Drain(org, team) => Some(Job::drain(org, *team, 0)),
        PendingWork::Sweep(org, team) => is_old.then(|| Job::sweep(org, *team, 0)),
        PendingWork::IndexSpecializations(org, team) => {
            is_old.then(|| Job::index_specializations(org, *team))
        }
        PendingWork::CopyProfile(org, user) => is_old.then(|| Job::copy_profile(org, *user, false)),
        PendingWork::RouteUnrouted(org) => is_old.then(|| Job::route_unrouted(org, None)),
    }
}
