//! The schedule's job: starts pending work again, and counts waiting and unrouted tickets.

use std::time::Duration;

use futures_util::future::try_join_all;
use muster_contracts::jobs::{Job, UnroutedTotals, WaitingTotals};
use muster_domain::{OrganizationId, Timestamp};
use muster_service::{
    error_chain,
    store::{PendingItem, PendingWork, UnroutedCount},
    telemetry,
};

use crate::{Error, runner::Run};

/// The running totals of the counts. A total is `None` if a page could not be counted: the metric
/// is less important than the jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) waiting: Option<WaitingTotals>,
    pub(crate) unrouted: Option<UnroutedTotals>,
}

impl Run<'_> {
    /// Starts the jobs of all marked loads, and of other pending work older than
    /// [`RESTART_AFTER`]. Counts the waiting and the unrouted tickets. A job that is in flight runs
    /// twice, which is harmless.
    ///
    /// Continues in a follow-up message that carries the running totals. Only the last message
    /// records a metric, and none does if the count of a page failed.
    pub(crate) async fn restart_unfinished(
        &mut self,
        mut after: Option<String>,
        mut totals: Totals,
    ) -> Result<(), Error> {
        if after.is_none() {
            totals = Totals {
                waiting: Some(WaitingTotals::default()),
                unrouted: Some(UnroutedTotals::default()),
            };
        }
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
            if let Some(before) = totals.waiting {
                totals.waiting = self.count_waiting(before, &page.entries).await;
            }
            if let Some(before) = totals.unrouted {
                totals.unrouted = self.count_unrouted(before, &page.entries).await;
            }
            after = page.next;
            let Totals { waiting, unrouted } = totals;
            if after.is_none() {
                telemetry::record(|metrics| {
                    metrics.waiting = waiting.or(metrics.waiting);
                    metrics.unrouted = unrouted.or(metrics.unrouted);
                });
                return Ok(());
            }
            if !self.has_time_left() {
                let rest = Job::RestartPendingWork {
                    after,
                    waiting,
                    unrouted,
                };
                return self.enqueue(vec![rest], Duration::ZERO).await;
            }
        }
    }

    /// Adds the waiting tickets of a page to the totals. `None` if they cannot be read.
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
            | PendingWork::RouteUnrouted(_)
            | PendingWork::CountUnrouted(_) => None,
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

    /// Adds the unrouted tickets of a page's organizations to the totals, and removes old marks of
    /// organizations without any. `None` if they cannot be read.
    async fn count_unrouted(
        &self,
        before: UnroutedTotals,
        marked: &[PendingItem],
    ) -> Option<UnroutedTotals> {
        let counts = marked.iter().filter_map(|marked| match &marked.work {
            PendingWork::CountUnrouted(org) => Some(self.count_unrouted_of(org)),
            PendingWork::Drain(..)
            | PendingWork::Sweep(..)
            | PendingWork::IndexSpecializations(..)
            | PendingWork::CopyProfile(..)
            | PendingWork::RouteUnrouted(_) => None,
        });
        let counts = try_join_all(counts)
            .await
            .inspect_err(|error| {
                tracing::warn!(
                    error = error_chain(error),
                    "unrouted tickets were not counted"
                );
            })
            .ok()?;
        Some(UnroutedTotals {
            tickets: before.tickets + counts.iter().map(|count| count.tickets).sum::<u64>(),
            at_least: before.at_least || counts.iter().any(|count| !count.is_complete),
        })
    }

    /// Counts the unrouted tickets of an organization. Removes its mark if it has none and the mark
    /// is old.
    async fn count_unrouted_of(&self, org: &OrganizationId) -> Result<UnroutedCount, Error> {
        let store = &self.runner.store;
        let count = store
            .count_unrouted(org, self.runner.pace.count_page)
            .await?;
        if count.tickets == 0 {
            store.remove_stock_mark(org, self.runner.started_at).await?;
        }
        if !count.is_complete {
            tracing::warn!(
                organization = org.as_str(),
                at_least = count.tickets,
                "the organization has more unrouted tickets than one count reads"
            );
        }
        Ok(count)
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
        // The schedule counts the tickets itself.
        PendingWork::CountUnrouted(_) => None,
    }
}
