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
    /// Removes a deleted team's memberships and specializations, then unassigns its open tickets.
    ///
    /// It is over when the count of open tickets that the team left is 0; where the index shows none while there are some, it is
    /// looked at again later.
    pub(super) async fn sweep_team(&self, org: &OrganizationId, team: TeamId, looks: u32) -> Result<(), Error> {
        let Some(mut gone) = self.store.gone(org, team).await? else { return Ok(()) };
        while self.store.delete_memberships(org, team).await? {
            if !self.goes_on() {
                return self.enqueue(&[Job::sweep(org, team, 0)], Duration::ZERO).await;
            }
        }
        let formerly: Vec<_> = gone.specializations.as_slice().iter().map(|tag| Folded::of(tag)).collect();
        self.store.index_specializations(org, team, &formerly).await?;
        while gone.open_tickets > 0 {
            for list in [TicketList::Assigned(team), TicketList::Waiting(team)] {
                if !self.settle_list(org, list, &Cause::TeamGone).await? {
                    return self.enqueue(&[Job::sweep(org, team, 0)], Duration::ZERO).await;
                }
            }
            let Some(left) = self.store.gone(org, team).await? else { return Ok(()) };
            if left.open_tickets >= gone.open_tickets {
                return self.look_again(looks, |looks| Job::sweep(org, team, looks)).await;
            }
            gone = left;
        }
        Ok(self.store.swept(org, team).await?)
    }
}
