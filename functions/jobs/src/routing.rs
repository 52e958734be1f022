//! Tickets that could not be assigned at once.

use std::{collections::HashSet, time::Duration};

use muster::{
    assign,
    domain::{Folded, OrganizationId, TeamId, TicketId},
    jobs::Job,
    routing::{Cause, Work},
    store::TicketList,
};

use super::{AtWork, Error};

impl AtWork<'_> {
    /// Assigns a team's waiting tickets, the most urgent first, then the oldest.
    ///
    /// It is over when none waits or nobody is eligible, by the table itself; where the index shows fewer than wait, it is looked
    /// at again later.
    pub(super) async fn drain_team(&self, org: &OrganizationId, team: TeamId, job: &Job) -> Result<(), Error> {
        loop {
            let Some(desk) = self.store.desk(org, team).await? else { return Ok(()) };
            if desk.load.waiting_tickets == 0 {
                return Ok(self.store.nothing_waits(org, team).await?);
            }
            if desk.eligible() == 0 {
                return Ok(());
            }
            if !self.goes_on() {
                return self.enqueue(std::slice::from_ref(job), Duration::ZERO).await;
            }
            let mut after = None;
            let mut drained = false;
            loop {
                let page =
                    self.store.listed_tickets(org, TicketList::Waiting(team), after.as_deref(), Self::PAGE).await?;
                self.settle(org, &page.found, &Cause::Waiting).await?;
                let left = self.store.desk(org, team).await?.map_or(0, |desk| desk.load.waiting_tickets);
                drained |= left < desk.load.waiting_tickets;
                after = page.next;
                if drained || after.is_none() {
                    break;
                }
            }
            if !drained {
                return self.enqueue(std::slice::from_ref(job), Self::LAG).await;
            }
        }
    }

    /// Has a team found by what it knows now, and tries the unrouted tickets if it knows anything.
    pub(super) async fn index_specializations(
        &self,
        org: &OrganizationId,
        team: TeamId,
        formerly: &[String],
    ) -> Result<(), Error> {
        let formerly: Vec<_> = formerly.iter().map(|tag| Folded::of(tag)).collect();
        let known = self.store.index_specializations(org, team, &formerly).await?;
        if known.is_empty() {
            return Ok(());
        }
        let tries = Job::RouteUnrouted { organization_id: org.as_str().to_owned(), after: None, second_look: false };
        self.enqueue(&[tries], Duration::ZERO).await
    }

    /// Tries an organization's unrouted tickets, page by page.
    ///
    /// A ticket that was being looked at when a team came to know of it may be written as unrouted only after this has passed
    /// by. So there is a second look, once nothing can be under way that began before the first.
    pub(super) async fn route_unrouted(
        &self,
        org: &OrganizationId,
        mut after: Option<String>,
        second_look: bool,
    ) -> Result<(), Error> {
        let organization_id = org.as_str().to_owned();
        loop {
            let page = self.store.listed_tickets(org, TicketList::Unrouted, after.as_deref(), Self::PAGE).await?;
            self.settle(org, &page.found, &Cause::Unrouted).await?;
            after = page.next;
            if after.is_none() {
                if second_look {
                    return Ok(());
                }
                let again = Job::RouteUnrouted { organization_id, after: None, second_look: true };
                return self.enqueue(&[again], Self::SECOND_LOOK).await;
            }
            if !self.goes_on() {
                let rest = Job::RouteUnrouted { organization_id, after, second_look };
                return self.enqueue(&[rest], Duration::ZERO).await;
            }
        }
    }

    /// Settles tickets that an index showed; the first that fails fails the job, which then looks at all of it again.
    pub(super) async fn settle(&self, org: &OrganizationId, tickets: &[TicketId], cause: &Cause) -> Result<(), Error> {
        // The index may show one ticket under its old key and its new, and no transaction may write an item twice.
        let mut seen = HashSet::new();
        let once = tickets.iter().filter(|&id| seen.insert(id));
        let work: Vec<_> = once.map(|id| Work { ticket_id: id.clone(), cause: cause.clone() }).collect();
        let failures = assign::settle(&self.store, org, &work, self.now).await;
        failures.into_iter().flatten().next().map_or(Ok(()), |failure| Err(Error::Ticket(failure)))
    }
}
