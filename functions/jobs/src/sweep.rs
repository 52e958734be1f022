//! Sweeping a deleted team.

use std::time::Duration;

use muster::{
    domain::{Folded, OrganizationId, TeamId},
    jobs::Job,
    routing::Cause,
    store::TicketList,
};

use super::{AtWork, Error};

impl AtWork<'_> {
    /// How many tickets are unassigned together: as many as fit a transaction beside what their team left.
    const SWEPT_TOGETHER: usize = 99;

    /// Unassigns the open tickets of a deleted team, then removes its memberships and specializations.
    ///
    /// It is over when the count of open tickets that the team left is 0; where the index shows none while there are some, it is
    /// looked at again later.
    pub(super) async fn sweep_team(&self, org: &OrganizationId, team: TeamId, job: &Job) -> Result<(), Error> {
        let mut before = None;
        let mut after = None;
        loop {
            let Some(gone) = self.store.gone(org, team).await? else { return Ok(()) };
            if gone.open_tickets == 0 {
                while self.store.delete_memberships(org, team).await? {
                    if !self.goes_on() {
                        return self.enqueue(std::slice::from_ref(job), Duration::ZERO).await;
                    }
                }
                let formerly: Vec<_> = gone.specializations.as_slice().iter().map(|tag| Folded::of(tag)).collect();
                self.store.index_specializations(org, team, &formerly).await?;
                return Ok(self.store.swept(org, team).await?);
            }
            if !self.goes_on() {
                return self.enqueue(std::slice::from_ref(job), Duration::ZERO).await;
            }
            // What an index still shows though it is done is passed over; else it would be all that is ever looked at.
            if before.replace(gone.open_tickets).is_none_or(|before| gone.open_tickets < before) {
                after = None;
            }
            let mut page = self
                .store
                .listed_tickets(org, TicketList::Assigned(team), after.as_deref(), Self::SWEPT_TOGETHER)
                .await?;
            if page.found.is_empty() {
                page = self.store.listed_tickets(org, TicketList::Waiting(team), None, Self::SWEPT_TOGETHER).await?;
                // Where it goes on is no place among the assigned, which `after` is.
                page.next = None;
            }
            self.settle(org, &page.found, &Cause::TeamGone).await?;
            let swept = self.store.gone(org, team).await?.is_none_or(|left| left.open_tickets < gone.open_tickets);
            if !swept && page.next.is_none() {
                return self.enqueue(std::slice::from_ref(job), Self::LAG).await;
            }
            after = page.next;
        }
    }
}
