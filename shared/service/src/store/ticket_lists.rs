//! Lists of an organization's open tickets by state, read page by page.

use std::collections::HashSet;

use super::{
    Error, Store,
    expression::s,
    index::IndexNames,
    items,
    keys::{self, TicketListKeys},
};
use muster_domain::{FindTickets, FoundTickets, OrganizationId, TicketPosition};

impl Store {
    /// Reads a page of a list of tickets. Two round trips: a query of an index, eventually
    /// consistent, then the tickets, strongly consistent. One if the page has no entry. A call
    /// reads 100 tickets.
    ///
    /// The page has the tickets as the table has them, in the order of the list. It leaves out a
    /// ticket that left the list after the index was written, so it may be short. A ticket that
    /// was just written may be missing. A ticket that moves within the list while its pages are
    /// read may be on two pages or on none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn find_tickets(
        &self,
        org: &OrganizationId,
        find: &FindTickets,
    ) -> Result<FoundTickets, Error> {
        let (positions, has_more) = self.positions(org, find).await?;
        let next = positions.last().filter(|_| has_more).cloned();
        // The index can show a ticket under its old and its new key. `BatchGetItem` rejects a
        // repeated key.
        let mut seen = HashSet::new();
        let ids = positions
            .into_iter()
            .map(|position| position.id)
            .filter(|id| seen.insert(id.clone()));
        let tickets = self.tickets_of(org, ids).await?;
        Ok(FoundTickets {
            tickets: find.selection.select(tickets),
            next,
        })
    }

    /// Reads the positions of a page. Returns true if there are more after them. One round trip.
    async fn positions(
        &self,
        org: &OrganizationId,
        find: &FindTickets,
    ) -> Result<(Vec<TicketPosition>, bool), Error> {
        let FindTickets {
            selection,
            limit,
            after,
        } = find;
        let list = TicketListKeys::of(org, selection);
        let IndexNames { index: _, pk, sk } = list.index.names();
        let start = after
            .as_ref()
            .map(|position| list.start_after(org, selection, position));
        // One entry more tells if there is a next page.
        let mut call = self
            .query_of(list.index, list.partition)
            .scan_index_forward(list.is_forward)
            .limit(i32::try_from(limit.saturating_add(1)).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start);
        if let Some(prefix) = list.prefix {
            call = call
                .key_condition_expression(format!("{pk} = :pk AND begins_with({sk}, :prefix)"))
                .expression_attribute_values(":prefix", s(prefix));
        }
        let page = self.send(|| call.clone().send()).await?;
        let positions: Option<Vec<_>> = page
            .items()
            .iter()
            .map(|entry| keys::ticket_position(selection, items::text(entry, sk)?))
            .collect();
        let mut positions = positions.ok_or_else(|| {
            Error::internal("an index entry of a list of tickets is not a ticket")
        })?;
        let has_more = positions.len() > *limit || page.last_evaluated_key.is_some();
        positions.truncate(*limit);
        Ok((positions, has_more))
    }
}
