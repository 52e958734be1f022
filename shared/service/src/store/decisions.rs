//! Reads of tickets with their decisions: a single ticket, or the open tickets of a team.

use std::{cmp::Reverse, collections::HashSet};

use super::{Error, Store, items, keys};
use muster_domain::{
    Error as Rejected, ListTickets, ListedState, Load, OrganizationId, TeamId, Ticket, TicketId,
    TicketPage, TicketState,
};

impl Store {
    /// Reads a ticket with its latest decision, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`TicketNotFound`](muster_domain::Error::TicketNotFound), also for a deleted ticket;
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn decided_ticket(
        &self,
        org: &OrganizationId,
        id: &TicketId,
    ) -> Result<Ticket, Error> {
        let ticket = self
            .get(&keys::ticket(org, id))
            .await?
            .map(items::ticket)
            .transpose()?;
        let ticket = ticket.filter(|ticket| ticket.state != TicketState::Deleted);
        ticket.ok_or_else(|| Rejected::TicketNotFound.into())
    }

    /// Reads one page of a team's open tickets: the assigned ones, newest decision first, then the
    /// waiting ones in the order of their assignment (priority, then age). Ids break ties, in the
    /// direction of the list.
    ///
    /// Two round trips for the first page: the load in parallel with a page of each index
    /// partition, then the tickets of the page. Three for a later page, since the load determines
    /// the position at which the waiting tickets begin: the load, the index entries up to the end
    /// of the page (about 4,000 in a round trip), the tickets. One if the page has no tickets. A
    /// call reads 100 tickets, and all calls run in parallel.
    ///
    /// The total is exact. The index is eventually consistent: a ticket that was just written may
    /// be missing, and a page leaves out tickets that were just closed or left the team.
    ///
    /// # Errors
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound), [`Error::Unavailable`] or
    /// [`Error::Internal`].
    pub async fn open_tickets(
        &self,
        org: &OrganizationId,
        id: TeamId,
        list: ListTickets,
    ) -> Result<TicketPage, Error> {
        let ListTickets { page, state } = list;
        let (load, ids) = if page.skip == 0 {
            let first = Span {
                skip: 0,
                limit: page.limit,
            };
            let [assigned, waiting] = [ListedState::Assigned, ListedState::Waiting]
                .map(|part| state.is_none_or(|state| state == part).then_some(first));
            let (load, read) =
                tokio::join!(self.load(org, id), self.listed(org, id, assigned, waiting));
            // A team that does not exist has no tickets, so its error precedes errors of the
            // queries.
            let load = load?;
            let (mut ids, waiting) = read?;
            ids.truncate(TicketCount::of(load).assigned);
            ids.extend(waiting);
            (load, ids)
        } else {
            let load = self.load(org, id).await?;
            let [assigned, waiting] = TicketCount::of(load).spans(list);
            let (mut ids, waiting) = self.listed(org, id, assigned, waiting).await?;
            ids.extend(waiting);
            (load, ids)
        };
        // The index is eventually consistent and can list a ticket in both parts. `BatchGetItem`
        // rejects a repeated key.
        let mut seen = HashSet::new();
        let ids: Vec<_> = ids
            .into_iter()
            .filter(|ticket| seen.insert(ticket.clone()))
            .take(page.limit)
            .collect();
        let tickets = self.tickets_of(org, ids.into_iter()).await?;
        Ok(TicketPage {
            tickets: in_order(org, id, state, tickets),
            total: TicketCount::of(load).total(state),
        })
    }

    /// Reads a team's load, strongly consistent. One round trip.
    async fn load(&self, org: &OrganizationId, id: TeamId) -> Result<Load, Error> {
        let load = self
            .get(&keys::load(org, id))
            .await?
            .map(items::load)
            .transpose()?;
        load.ok_or_else(|| Rejected::TeamNotFound.into())
    }

    /// Reads a part of a team's assigned tickets, newest decision first, and a part of its waiting
    /// tickets, most urgent first. One round trip for each 4,000 entries or so, both parts in
    /// parallel.
    async fn listed(
        &self,
        org: &OrganizationId,
        id: TeamId,
        assigned: Option<Span>,
        waiting: Option<Span>,
    ) -> Result<(Vec<TicketId>, Vec<TicketId>), Error> {
        tokio::try_join!(
            self.indexed(keys::open_partition(org, id), false, assigned),
            self.indexed(keys::waiting_partition(org, id), true, waiting),
        )
    }

    /// Reads the ticket ids of a part of an index partition, eventually consistent, as every read
    /// of a global secondary index.
    async fn indexed(
        &self,
        partition: String,
        forward: bool,
        span: Option<Span>,
    ) -> Result<Vec<TicketId>, Error> {
        let Some(Span { mut skip, limit }) = span else {
            return Ok(Vec::new());
        };
        let call = self
            .index_query(partition)
            .scan_index_forward(forward)
            .projection_expression("pk");
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let wanted =
                i32::try_from(skip.saturating_add(limit - found.len())).unwrap_or(i32::MAX);
            let page = self
                .send(|| {
                    call.clone()
                        .limit(wanted)
                        .set_exclusive_start_key(start.clone())
                        .send()
                })
                .await?;
            let entries = page.items.unwrap_or_default();
            for item in entries.iter().skip(skip) {
                let ticket = items::text(item, "pk").and_then(keys::ticket_of);
                found.push(
                    ticket.ok_or_else(|| {
                        Error::internal("an index entry of a team is not a ticket")
                    })?,
                );
            }
            skip = skip.saturating_sub(entries.len());
            start = page.last_evaluated_key;
            if start.is_none() || found.len() >= limit {
                return Ok(found);
            }
        }
    }

    /// Reads tickets, strongly consistent, in no order. Leaves out ids without a ticket. The ids
    /// must differ.
    pub(super) async fn tickets_of(
        &self,
        org: &OrganizationId,
        ids: impl Iterator<Item = TicketId>,
    ) -> Result<Vec<Ticket>, Error> {
        let keys: Vec<_> = ids.map(|id| keys::ticket(org, &id).attributes()).collect();
        self.get_all(&keys)
            .await?
            .into_iter()
            .map(items::ticket)
            .collect()
    }
}

/// A part of an index partition: at most `limit` entries, after the first `skip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    skip: usize,
    limit: usize,
}

/// The number of a team's open tickets, by their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TicketCount {
    assigned: usize,
    waiting: usize,
}

impl TicketCount {
    fn of(load: Load) -> Self {
        let count = |tickets: u64| usize::try_from(tickets).unwrap_or(usize::MAX);
        Self {
            assigned: count(load.open_tickets.saturating_sub(load.waiting_tickets)),
            waiting: count(load.waiting_tickets),
        }
    }

    fn total(self, state: Option<ListedState>) -> usize {
        match state {
            Some(ListedState::Assigned) => self.assigned,
            Some(ListedState::Waiting) => self.waiting,
            None => self.assigned.saturating_add(self.waiting),
        }
    }

    /// Returns the parts of the assigned and of the waiting tickets that a page shows.
    fn spans(self, ListTickets { page, state }: ListTickets) -> [Option<Span>; 2] {
        let assigned = if state == Some(ListedState::Waiting) {
            0
        } else {
            self.assigned
        };
        let waiting = if state == Some(ListedState::Assigned) {
            0
        } else {
            self.waiting
        };
        // The positions in the list at which each part begins and ends.
        [(0, assigned), (assigned, assigned.saturating_add(waiting))].map(|(begin, end)| {
            let skip = usize::try_from(page.skip).unwrap_or(usize::MAX);
            let (from, to) = (skip.max(begin), page.end().min(end));
            (from < to).then(|| Span {
                skip: from - begin,
                limit: to - from,
            })
        })
    }
}

/// Puts the tickets that the team still holds in this state into the order of the list.
///
/// A ticket can have moved since the index was written: its place follows its state as read from
/// the table.
fn in_order(
    org: &OrganizationId,
    team: TeamId,
    state: Option<ListedState>,
    tickets: Vec<Ticket>,
) -> Vec<Ticket> {
    let place = |ticket: &Ticket| keys::ticket_by_state(org, ticket).map(|key| key.sk);
    let (mut assigned, mut waiting): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
    for ticket in tickets
        .into_iter()
        .filter(|ticket| ticket.team_id == Some(team))
    {
        match ticket.state {
            TicketState::Assigned if state != Some(ListedState::Waiting) => assigned.push(ticket),
            TicketState::Waiting if state != Some(ListedState::Assigned) => waiting.push(ticket),
            TicketState::Assigned
            | TicketState::Waiting
            | TicketState::Unrouted
            | TicketState::Closed
            | TicketState::Deleted => {}
        }
    }
    assigned.sort_by_cached_key(|ticket| Reverse(place(ticket)));
    waiting.sort_by_cached_key(place);
    assigned.extend(waiting);
    assigned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use muster_domain::PageRange;

    proptest! {
        /// The pages of any size partition the list: no position is on two pages or on none.
        #[test]
        fn spans_of_all_pages_cover_each_part_once(
            assigned in 0_usize..40,
            waiting in 0_usize..40,
            limit in 1_usize..50,
            state in prop_oneof![Just(None), Just(Some(ListedState::Assigned)), Just(Some(ListedState::Waiting))],
        ) {
            let count = TicketCount { assigned, waiting };
            let mut shown = Vec::new();
            for number in 0..=count.total(state) / limit + 1 {
                let page = PageRange { skip: number as u128 * limit as u128, limit };
                let before = shown.len();
                for (part, span) in count.spans(ListTickets { page, state }).into_iter().enumerate() {
                    shown.extend(span.into_iter().flat_map(|Span { skip, limit }| (skip..skip + limit).map(move |at| (part, at))));
                }
                prop_assert!(shown.len() - before <= limit);
            }
            let whole = |part, length| (0..length).map(move |at| (part, at));
            let assigned = whole(0, assigned).filter(|_| state != Some(ListedState::Waiting));
            let waiting = whole(1, waiting).filter(|_| state != Some(ListedState::Assigned));
            prop_assert_eq!(shown, assigned.chain(waiting).collect::<Vec<_>>());
        }
    }

    #[test]
    fn page_of_any_number_has_a_span_or_none() {
        let count = TicketCount {
            assigned: 3,
            waiting: 2,
        };
        for skip in [5, u128::from(u64::MAX), u128::MAX] {
            let page = PageRange { skip, limit: 1000 };
            assert_eq!(
                count.spans(ListTickets { page, state: None }),
                [None, None],
                "{skip}"
            );
        }
    }
}
