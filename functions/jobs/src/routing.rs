//! Tickets that could not be assigned at once.

use std::collections::HashSet;

use muster_contracts::jobs::{FailedOn, Job};
use muster_domain::{OrganizationId, TeamId, TicketId, routing::TicketTask};
use muster_service::{
    assign::{self, Failure},
    store::{self, IndexPage, TicketList},
};

use super::{Error, Run};

impl Run<'_> {
    /// Assigns a team's waiting tickets, the most urgent first, then the oldest.
    ///
    /// It is over when no ticket waits or no member is eligible, by the table itself. Tickets that
    /// jobs of their own retry may still wait. Where the index shows fewer than wait, it is looked
    /// at again later.
    pub(super) async fn drain_team(
        &mut self,
        org: &OrganizationId,
        team: TeamId,
        empty_reads: u32,
    ) -> Result<(), Error> {
        let runner = self.runner;
        let store = &runner.store;
        let mut before = None;
        loop {
            let Some(desk) = store.team_input(org, team).await? else {
                return Ok(());
            };
            let waiting = desk.load.waiting_tickets;
            if waiting == 0 {
                return Ok(store.mark_drained(org, team).await?);
            }
            if desk.eligible() == 0 {
                return Ok(());
            }
            if before
                .replace(waiting)
                .is_some_and(|before| waiting >= before)
            {
                if waiting <= self.retried.len() as u64 {
                    return Ok(());
                }
                return self
                    .requeue_with_backoff(empty_reads, |empty_reads| {
                        Job::drain(org, team, empty_reads)
                    })
                    .await;
            }
            if !self
                .settle_list(org, TicketList::Waiting(team), FailedOn::Waiting)
                .await?
            {
                return self.enqueue_rest(Job::drain(org, team, 0)).await;
            }
        }
    }

    /// Settles all tickets of a list, at least one page that has any to settle. Returns false if
    /// the time or the pages are used up before the end; a later job begins the list again, since
    /// settled tickets leave it.
    pub(super) async fn settle_list(
        &mut self,
        org: &OrganizationId,
        list: TicketList,
        failed_on: FailedOn,
    ) -> Result<bool, Error> {
        let mut after = None;
        loop {
            let SettledPage { next, tickets } = self
                .settle_page(org, list, after.as_deref(), failed_on)
                .await?;
            if next.is_none() {
                return Ok(true);
            }
            // A page of tickets that the chain skips is no progress.
            if tickets > 0 && !self.has_time_left() {
                return Ok(false);
            }
            after = next;
        }
    }

    /// Settles one page of a list. Jobs of their own retry the tickets that fail.
    async fn settle_page(
        &mut self,
        org: &OrganizationId,
        list: TicketList,
        after: Option<&str>,
        failed_on: FailedOn,
    ) -> Result<SettledPage, Error> {
        let IndexPage { entries, next } = self
            .runner
            .store
            .listed_tickets(org, list, after, self.runner.pace.page)
            .await?;
        let tickets = self.settle_tickets(org, entries, failed_on).await?;
        Ok(SettledPage { next, tickets })
    }

    /// Settles tickets that an index shows, except those that jobs of their own retry. Returns the
    /// number of them. Starts a job for each ticket that fails.
    pub(super) async fn settle_tickets(
        &mut self,
        org: &OrganizationId,
        found: Vec<TicketId>,
        failed_on: FailedOn,
    ) -> Result<usize, Error> {
        // The index may show one ticket under its old key and its new, and no transaction may write
        // an item twice.
        let mut seen = HashSet::new();
        let once = found
            .into_iter()
            .filter(|id| !self.retried.contains(id) && seen.insert(id.clone()));
        let work: Vec<_> = once
            .map(|ticket_id| TicketTask {
                ticket_id,
                trigger: failed_on.into(),
            })
            .collect();
        let failures = assign::settle(&self.runner.store, org, &work, self.runner.now).await;
        let failed = work.iter().zip(failures);
        let failed: Vec<_> = failed
            .filter_map(|(work, failure)| Some((&work.ticket_id, failure?)))
            .collect();
        let everything_failed = failed.len() == work.len();
        self.retry_alone(org, &failed, everything_failed, failed_on)
            .await?;
        Ok(work.len())
    }

    /// Starts a job for each ticket that failed, and remembers it for the rest of the chain.
    ///
    /// # Errors
    /// The table is unavailable for everything of a page, or more tickets of this chain failed than
    /// [`MAX_RETRIED`]: then the queue delivers the whole job again.
    async fn retry_alone(
        &mut self,
        org: &OrganizationId,
        failed: &[(&TicketId, Failure)],
        everything_failed: bool,
        failed_on: FailedOn,
    ) -> Result<(), Error> {
        let Some((_, first)) = failed.first() else {
            return Ok(());
        };
        let is_outage = everything_failed
            && failed
                .iter()
                .all(|(_, failure)| !is_about_the_ticket(failure));
        if is_outage || self.retried.len() + failed.len() > MAX_RETRIED {
            return Err(Error::Ticket(first.clone()));
        }
        let error = Error::Ticket(first.clone());
        let (organization, tickets) = (org.as_str(), failed.len());
        tracing::warn!(organization, tickets, %error, "tickets are retried alone");
        let jobs: Vec<_> = failed
            .iter()
            .map(|(id, _)| Job::process_ticket(org, id, failed_on))
            .collect();
        self.start(&jobs).await?;
        self.retried
            .extend(failed.iter().map(|(id, _)| (*id).clone()));
        Ok(())
    }

    /// Settles one ticket. A failure has the queue deliver this job again, and no other.
    pub(super) async fn settle_ticket(
        &self,
        org: &OrganizationId,
        ticket_id: TicketId,
        failed_on: FailedOn,
    ) -> Result<(), Error> {
        let work = [TicketTask {
            ticket_id,
            trigger: failed_on.into(),
        }];
        let failures = assign::settle(&self.runner.store, org, &work, self.runner.now).await;
        failures
            .into_iter()
            .flatten()
            .next()
            .map_or(Ok(()), |failure| Err(Error::Ticket(failure)))
    }
}

/// A page of a list after its tickets were settled.
struct SettledPage {
    /// The cursor of the next page, if there is one.
    next: Option<String>,
    /// The number of tickets that the page had to settle.
    tickets: usize,
}

/// The most tickets that one chain retries alone. More are no fault of single tickets.
const MAX_RETRIED: usize = 100;

/// Whether a failure is of one ticket: an item that cannot be read. An unavailable table fails
/// every ticket.
fn is_about_the_ticket(failure: &Failure) -> bool {
    match failure {
        Failure::UnknownOrganization => false,
        Failure::Store(error) => matches!(**error, store::Error::Internal(_)),
    }
}
