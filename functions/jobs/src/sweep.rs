//! Sweeping a deleted team.

use std::time::Duration;

use muster_contracts::jobs::{FailedOn, Job};
use muster_domain::{OrganizationId, TeamId};
use muster_service::store::TicketList;

use crate::{Error, runner::Run};

impl Run<'_> {
    /// Removes a deleted team's memberships and specializations, then unassigns its open tickets.
    ///
    /// Ends when the team's tombstone counts no open ticket. Tickets with a retry job of their own
    /// may still be counted; the schedule sweeps the team again. If the eventually consistent index
    /// shows fewer tickets than the count, the job is sent again with a delay.
    pub(super) async fn sweep_team(
        &mut self,
        org: &OrganizationId,
        team: TeamId,
        empty_reads: u32,
    ) -> Result<(), Error> {
        let runner = self.runner;
        let store = &runner.store;
        let Some(mut gone) = store.deleted_team(org, team).await? else {
            return Ok(());
        };
        while store.delete_memberships(org, team).await? {
            if !self.has_time_left() {
                return self
                    .enqueue(vec![Job::sweep(org, team, 0)], Duration::ZERO)
                    .await;
            }
        }
        store.index_specializations(org, team, runner.now()).await?;
        while gone.open_tickets > 0 {
            for list in [TicketList::Assigned(team), TicketList::Waiting(team)] {
                if !self.process_list(org, list, FailedOn::TeamGone).await? {
                    return self
                        .enqueue(vec![Job::sweep(org, team, 0)], Duration::ZERO)
                        .await;
                }
            }
            let Some(left) = store.deleted_team(org, team).await? else {
                return Ok(());
            };
            if left.open_tickets >= gone.open_tickets {
                if left.open_tickets <= self.retried.len() as u64 {
                    return Ok(());
                }
                return self
                    .requeue_with_backoff(empty_reads, |empty_reads| {
                        Job::sweep(org, team, empty_reads)
                    })
                    .await;
            }
            gone = left;
        }
        Ok(store.mark_swept(org, team).await?)
    }
}
