//! Processing the tickets of a list, with a retry job for each ticket that fails.

use std::collections::HashSet;

use muster_contracts::jobs::{FailedOn, Job};
use muster_domain::{OrganizationId, TicketId, routing::TicketTask};
use muster_service::{
    assignment::{self, Failure},
    error_chain,
    store::{self, IndexPage, TicketList},
};

use crate::{Error, runner::Run};

impl Run<'_> {
    /// Processes the tickets of a list, at least one page with tickets. Returns false if time or
    /// pages run out before the end. A later job begins the list again, because processed tickets
    /// leave it.
    pub(super) async fn process_list(
        &mut self,
        org: &OrganizationId,
        list: TicketList,
        failed_on: FailedOn,
    ) -> Result<bool, Error> {
        let mut after = None;
        loop {
            let ProcessedPage { next, tickets } = self
                .process_page(org, list, after.as_deref(), failed_on)
                .await?;
            if next.is_none() {
                return Ok(true);
            }
            // A page of skipped tickets is no progress.
            if tickets > 0 && !self.has_time_left() {
                return Ok(false);
            }
            after = next;
        }
    }

    /// Processes one page of a list.
    async fn process_page(
        &mut self,
        org: &OrganizationId,
        list: TicketList,
        after: Option<&str>,
        failed_on: FailedOn,
    ) -> Result<ProcessedPage, Error> {
        let IndexPage { entries, next } = self
            .runner
            .store
            .listed_tickets(org, list, after, self.runner.pace.page)
            .await?;
        let tickets = self.process_tickets(org, entries, failed_on).await?;
        Ok(ProcessedPage { next, tickets })
    }

    /// Processes tickets of an index, except those with a retry job of their own. Returns their
    /// number. Starts a retry job for each ticket that fails.
    pub(super) async fn process_tickets(
        &mut self,
        org: &OrganizationId,
        found: Vec<TicketId>,
        failed_on: FailedOn,
    ) -> Result<usize, Error> {
        // The eventually consistent index can show a ticket under its old and its new key, and a
        // transaction must not write an item twice.
        let mut seen = HashSet::new();
        let once = found
            .into_iter()
            .filter(|id| !self.retried.contains(id) && seen.insert(id.clone()));
        let tasks: Vec<_> = once
            .map(|ticket_id| TicketTask {
                ticket_id,
                trigger: failed_on.into(),
            })
            .collect();
        let failures =
            assignment::process(&self.runner.store, org, &tasks, self.runner.started_at).await;
        let failed = tasks.iter().zip(failures);
        let failed: Vec<_> = failed
            .filter_map(|(task, failure)| Some((&task.ticket_id, failure?)))
            .collect();
        let all_failed = failed.len() == tasks.len();
        self.start_retries(org, &failed, all_failed, failed_on)
            .await?;
        Ok(tasks.len())
    }

    /// Starts a retry job for each ticket that failed. The rest of the chain skips these tickets.
    ///
    /// # Errors
    /// The table was unavailable for all tickets of a page, or more than [`MAX_RETRIED`] tickets of
    /// the chain failed: SQS redelivers the whole job.
    async fn start_retries(
        &mut self,
        org: &OrganizationId,
        failed: &[(&TicketId, Failure)],
        all_failed: bool,
        failed_on: FailedOn,
    ) -> Result<(), Error> {
        let Some((_, first)) = failed.first() else {
            return Ok(());
        };
        let is_outage = all_failed && failed.iter().all(|(_, failure)| !is_of_the_ticket(failure));
        if is_outage || self.retried.len() + failed.len() > MAX_RETRIED {
            return Err(Error::Ticket(first.clone()));
        }
        let error = Error::Ticket(first.clone());
        let (organization, tickets) = (org.as_str(), failed.len());
        tracing::warn!(
            organization,
            tickets,
            error = error_chain(&error),
            "tickets failed; each is retried by a job of its own"
        );
        let jobs: Vec<_> = failed
            .iter()
            .map(|(id, _)| Job::process_ticket(org, id, failed_on))
            .collect();
        self.start(&jobs).await?;
        self.retried
            .extend(failed.iter().map(|(id, _)| (*id).clone()));
        Ok(())
    }

    /// Processes one ticket. After a failure SQS redelivers this job alone.
    pub(super) async fn process_ticket(
        &self,
        org: &OrganizationId,
        ticket_id: TicketId,
        failed_on: FailedOn,
    ) -> Result<(), Error> {
        let tasks = [TicketTask {
            ticket_id,
            trigger: failed_on.into(),
        }];
        let failures =
            assignment::process(&self.runner.store, org, &tasks, self.runner.started_at).await;
        failures
            .into_iter()
            .flatten()
            .next()
            .map_or(Ok(()), |failure| Err(Error::Ticket(failure)))
    }
}

/// A processed page of a list.
struct ProcessedPage {
    /// The cursor of the next page, if there is one.
    next: Option<String>,
    /// The number of processed tickets.
    tickets: usize,
}

/// The most tickets of a chain with a retry job of their own. More failures have a common cause.
const MAX_RETRIED: usize = 100;

/// Returns whether a failure is of one ticket: an unreadable item. An unavailable table fails every
/// ticket.
fn is_of_the_ticket(failure: &Failure) -> bool {
    match failure {
        Failure::UnknownOrganization => false,
        Failure::Store(error) => matches!(**error, store::Error::Internal(_)),
    }
}
