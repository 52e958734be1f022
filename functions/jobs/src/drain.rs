//! Draining a team: assigning its waiting tickets.

use muster_contracts::jobs::{FailedOn, Job};
use muster_domain::{OrganizationId, TeamId};
use muster_service::store::TicketList;

use crate::{Error, runner::Run};

impl Run<'_> {
    /// Assigns a team's waiting tickets, the most urgent first, then the oldest.
    ///
    /// Ends when the table shows no waiting ticket or no eligible member. Tickets with a retry job
    /// of their own may still wait. If the eventually consistent index shows fewer tickets than the
    /// table counts, the job is sent again with a delay.
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
            let Some(team_input) = store.team_input(org, team).await? else {
                return Ok(());
            };
            let waiting = team_input.load.waiting_tickets;
            if waiting == 0 {
                return Ok(store.mark_drained(org, team).await?);
            }
            if team_input.eligible() == 0 {
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
                .process_list(org, TicketList::Waiting(team), FailedOn::Waiting)
                .await?
            {
                return self.enqueue_rest(Job::drain(org, team, 0)).await;
            }
        }
    }
}
