//! Decisions about tickets: reading them, one or a team's.

use std::collections::HashSet;

use super::{Error, Store, expression::s, items, keys};
use crate::domain::{Error as Refused, OrganizationId, Page, TeamId, Ticket, TicketId, TicketPage, TicketState};

/// A ticket as the index knows it: when it was decided about, in milliseconds, and which it is.
type Indexed = (i64, TicketId);

impl Store {
    /// Reads a ticket with its latest decision, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`TicketNotFound`](crate::domain::Error::TicketNotFound), for a deleted one too; [`Error::Unavailable`],
    /// [`Error::Internal`].
    pub async fn decided_ticket(&self, org: &OrganizationId, id: &TicketId) -> Result<Ticket, Error> {
        let ticket = self.get(&keys::ticket(org, id)).await?.map(items::ticket).transpose()?;
        let ticket = ticket.filter(|ticket| ticket.state != TicketState::Deleted);
        ticket.ok_or_else(|| Refused::TicketNotFound.into())
    }

    /// Reads one page of a team's open tickets, those that wait included, the latest decision first, ties by id.
    ///
    /// Two round trips for early pages: the team beside the index, then the page's tickets, a hundred a call and all calls at
    /// once. Of the assigned tickets the index is read up to the end of the page, of the waiting ones whole, for it has those by
    /// urgency: about 4,000 tickets a round trip. Tickets are read for the page alone.
    ///
    /// The total is exact. The index lags behind the table, for some milliseconds as a rule: a ticket that has just come may
    /// be missing, and one that has just closed or left the team leaves its page that much shorter.
    ///
    /// # Errors
    /// [`TeamNotFound`](crate::domain::Error::TeamNotFound), [`Error::Unavailable`], [`Error::Internal`].
    pub async fn open_tickets(&self, org: &OrganizationId, id: TeamId, page: Page) -> Result<TicketPage, Error> {
        let (team, assigned, waiting) = tokio::join!(
            self.team_and_load(org, id),
            self.indexed(keys::open_partition(org, id), page.end(), keys::assigned_at_of),
            self.indexed(keys::waiting_partition(org, id), usize::MAX, keys::waiting_since_of),
        );
        let (_, load) = team?.ok_or(Refused::TeamNotFound)?;
        let mut indexed = assigned?;
        indexed.extend(waiting?);
        indexed.sort_unstable_by(|one, other| other.cmp(one));
        // The index may show one ticket under its old key and its new, and no batch may name an item twice.
        let mut seen = HashSet::new();
        indexed.retain(|(_, ticket)| seen.insert(ticket.clone()));

        let mut tickets = self.tickets_of(org, page.cut(indexed).map(|(_, ticket)| ticket)).await?;
        tickets.retain(|ticket| ticket.is_open() && ticket.team_id == Some(id));
        tickets.sort_unstable_by(|one, other| {
            (other.decision.decided_at, &other.id).cmp(&(one.decision.decided_at, &one.id))
        });
        let total = usize::try_from(load.open_tickets).unwrap_or(usize::MAX);
        Ok(TicketPage { tickets, total })
    }

    /// Reads the last `wanted` entries of an index partition, eventually consistent, as an index can only be read.
    async fn indexed(
        &self,
        partition: String,
        wanted: usize,
        decided_at: fn(&str) -> Option<i64>,
    ) -> Result<Vec<Indexed>, Error> {
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name("gsi1")
            .scan_index_forward(false)
            .key_condition_expression("gsi1pk = :partition")
            .expression_attribute_values(":partition", s(partition))
            .projection_expression("pk, gsi1sk");
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let limit = i32::try_from(wanted - found.len()).ok();
            let page =
                self.send(|| call.clone().set_limit(limit).set_exclusive_start_key(start.clone()).send()).await?;
            for item in page.items.unwrap_or_default() {
                let at = items::text(&item, "gsi1sk").and_then(decided_at);
                let ticket = items::text(&item, "pk").and_then(keys::ticket_of);
                found.push(at.zip(ticket).ok_or_else(|| Error::internal("an entry of the index is no ticket's"))?);
            }
            start = page.last_evaluated_key;
            if start.is_none() || found.len() >= wanted {
                return Ok(found);
            }
        }
    }

    /// Reads tickets, strongly consistent, in no order; those that do not exist are left out. No id may come twice.
    async fn tickets_of(
        &self,
        org: &OrganizationId,
        ids: impl Iterator<Item = TicketId>,
    ) -> Result<Vec<Ticket>, Error> {
        let keys: Vec<_> = ids.map(|id| keys::ticket(org, &id).attributes()).collect();
        self.get_all(&keys).await?.into_iter().map(items::ticket).collect()
    }
}
