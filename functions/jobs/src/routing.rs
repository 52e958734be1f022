//! Tickets that could not be assigned at once.

use std::{collections::HashSet, time::Duration};

use muster::{
    assign,
    domain::{Folded, OrganizationId, TeamId},
    jobs::Job,
    routing::{Cause, Work},
    store::{Page, TicketList},
};

use super::{AtWork, Error};

impl AtWork<'_> {
    /// Assigns a team's waiting tickets, the most urgent first, then the oldest.
    ///
    /// It is over when none waits or nobody is eligible, by the table itself; where the index shows fewer than wait, it is looked
    /// at again later.
    pub(super) async fn drain_team(&self, org: &OrganizationId, team: TeamId, looks: u32) -> Result<(), Error> {
        let mut before = None;
        loop {
            let Some(desk) = self.store.desk(org, team).await? else { return Ok(()) };
            let waiting = desk.load.waiting_tickets;
            if waiting == 0 {
                return Ok(self.store.nothing_waits(org, team).await?);
            }
            if desk.eligible() == 0 {
                return Ok(());
            }
            if before.replace(waiting).is_some_and(|before| waiting >= before) {
                return self.look_again(looks, |looks| Job::drain(org, team, looks)).await;
            }
            if !self.settle_list(org, TicketList::Waiting(team), &Cause::Waiting).await? {
                return self.enqueue(&[Job::drain(org, team, 0)], Duration::ZERO).await;
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
        let rest = |after, second_look| Job::RouteUnrouted { organization_id: org.to_string(), after, second_look };
        loop {
            after = self.settle_page(org, TicketList::Unrouted, after.as_deref(), &Cause::Unrouted).await?;
            if after.is_none() {
                return if second_look { Ok(()) } else { self.enqueue(&[rest(None, true)], Self::SECOND_LOOK).await };
            }
            if !self.goes_on() {
                return self.enqueue(&[rest(after, second_look)], Duration::ZERO).await;
            }
        }
    }

    /// Settles all tickets of a list. False if the time was up before; those that are settled are no longer in it.
    pub(super) async fn settle_list(
        &self,
        org: &OrganizationId,
        list: TicketList,
        cause: &Cause,
    ) -> Result<bool, Error> {
        let mut after = None;
        while self.goes_on() {
            after = self.settle_page(org, list, after.as_deref(), cause).await?;
            if after.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Settles one page of a list; gives where the next begins. The first ticket that fails fails the job, which then begins the
    /// list again.
    async fn settle_page(
        &self,
        org: &OrganizationId,
        list: TicketList,
        after: Option<&str>,
        cause: &Cause,
    ) -> Result<Option<String>, Error> {
        let Page { found, next } = self.store.listed_tickets(org, list, after, Self::PAGE).await?;
        // The index may show one ticket under its old key and its new, and no transaction may write an item twice.
        let mut seen = HashSet::new();
        let once = found.into_iter().filter(|id| seen.insert(id.clone()));
        let work: Vec<_> = once.map(|ticket_id| Work { ticket_id, cause: cause.clone() }).collect();
        let failures = assign::settle(&self.store, org, &work, self.now).await;
        match failures.into_iter().flatten().next() {
            Some(failure) => Err(Error::Ticket(failure)),
            None => Ok(next),
        }
    }
}
