//! The reads of `muster tickets list`.

use std::collections::BTreeSet;

use muster_domain::{
    ListTeams, ListTickets, ListedState, Order, OrganizationId, PageRange, Priority, SortBy,
    TeamId, Ticket, TicketId, TicketState, UserId,
};
use muster_service::store::{Error, Store, Table, TicketList};
use tokio::time::Instant;

use super::rows::Rows;
use crate::commands::CALL_TIMEOUT;

/// The number of index entries of a page. One call reads their tickets and the organization.
const PAGE: usize = 99;

/// The tickets of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// Tickets without a team; of every priority if `None`.
    Unrouted(Option<Priority>),
    /// Tickets that wait with a team, or with any team if `None`; of every priority if `None`.
    Waiting(Option<TeamId>, Option<Priority>),
    /// Assigned tickets of a team.
    Assigned(TeamId),
}

/// A list of the index that is in the order of priority, then age.
#[derive(Debug, Clone, Copy)]
enum Source {
    Unrouted,
    Waiting(TeamId),
}

impl Source {
    /// Returns whether the table still has the ticket in this list. The index is eventually
    /// consistent.
    fn has(self, ticket: &Ticket) -> bool {
        match self {
            Self::Unrouted => ticket.state == TicketState::Unrouted,
            Self::Waiting(team) => {
                ticket.state == TicketState::Waiting && ticket.team_id == Some(team)
            }
        }
    }
}

/// Reads up to `limit` tickets of a list, with the names of their teams and assignees. Returns also
/// whether there are more.
///
/// Two round trips for each 100 tickets and each team with waiting tickets, and one for the names.
/// The waiting tickets of all teams need two more, for the teams and their loads.
pub(super) async fn read(
    table: &Table,
    organization: &OrganizationId,
    selection: Selection,
    limit: usize,
) -> Result<(Rows, bool), Error> {
    let (tickets, has_more) = match selection {
        Selection::Unrouted(priority) => {
            urgent(table, organization, &[Source::Unrouted], priority, limit).await?
        }
        Selection::Waiting(Some(team), priority) => {
            urgent(
                table,
                organization,
                &[Source::Waiting(team)],
                priority,
                limit,
            )
            .await?
        }
        Selection::Waiting(None, priority) => {
            let teams = store(table)
                .list_teams(organization, &all_teams())
                .await?
                .teams;
            let waiting = teams.iter().filter(|team| team.load.waiting_tickets > 0);
            let lists: Vec<_> = waiting.map(|team| Source::Waiting(team.team.id)).collect();
            urgent(table, organization, &lists, priority, limit).await?
        }
        Selection::Assigned(team) => {
            let list = ListTickets {
                page: PageRange { skip: 0, limit },
                state: Some(ListedState::Assigned),
            };
            let page = store(table).open_tickets(organization, team, list).await?;
            let has_more = page.total > page.tickets.len();
            (page.tickets, has_more)
        }
    };
    let teams: BTreeSet<TeamId> = tickets.iter().filter_map(|ticket| ticket.team_id).collect();
    let teams: Vec<_> = teams.into_iter().collect();
    let users: BTreeSet<UserId> = tickets
        .iter()
        .filter_map(|ticket| ticket.assignee_id)
        .collect();
    let names = store(table);
    let (teams, users) = tokio::try_join!(
        names.teams(organization, &teams),
        names.users(organization, users)
    )?;
    let rows = Rows {
        tickets,
        teams,
        users,
    };
    Ok((rows, has_more))
}

/// Reads the most urgent tickets of these lists.
async fn urgent(
    table: &Table,
    organization: &OrganizationId,
    lists: &[Source],
    priority: Option<Priority>,
    limit: usize,
) -> Result<(Vec<Ticket>, bool), Error> {
    let mut found: Vec<Ticket> = Vec::new();
    let mut has_more = false;
    for list in lists {
        let (tickets, is_cut) = first(table, organization, *list, priority, limit).await?;
        found.extend(tickets);
        has_more |= is_cut;
    }
    found.sort_by_cached_key(|ticket| {
        (ticket.priority.rank(), ticket.created_at, ticket.id.clone())
    });
    has_more |= found.len() > limit;
    found.truncate(limit);
    Ok((found, has_more))
}

/// Reads the first tickets of a list, page by page. Returns also whether the list may have more.
async fn first(
    table: &Table,
    organization: &OrganizationId,
    list: Source,
    priority: Option<Priority>,
    limit: usize,
) -> Result<(Vec<Ticket>, bool), Error> {
    let mut found: Vec<Ticket> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let access = store(table);
        let (ids, next): (Vec<TicketId>, _) = match list {
            Source::Unrouted => {
                let page = access.unrouted_tickets(organization, after.as_deref(), PAGE);
                let page = page.await?;
                let ids = page.entries.into_iter().map(|(id, _)| id);
                (ids.collect(), page.next)
            }
            Source::Waiting(team) => {
                let list = TicketList::Waiting(team);
                let page = access.listed_tickets(organization, list, after.as_deref(), PAGE);
                let page = page.await?;
                (page.entries, page.next)
            }
        };
        // The index can have two entries of a ticket for a moment, and a batch must not repeat a
        // key.
        let ids: BTreeSet<_> = ids.into_iter().collect();
        let read = access.tickets(organization, &ids).await?.by_id;
        let is_past = |ticket: &Ticket| priority.is_some_and(|wanted| ticket.priority > wanted);
        let ends = read.values().any(is_past);
        let is_wanted = |ticket: &Ticket| {
            list.has(ticket) && priority.is_none_or(|wanted| ticket.priority == wanted)
        };
        found.extend(read.into_values().filter(is_wanted));
        after = next;
        if ends || after.is_none() || found.len() >= limit {
            return Ok((found, after.is_some() && !ends));
        }
    }
}

fn all_teams() -> ListTeams {
    ListTeams {
        page: PageRange {
            skip: 0,
            limit: usize::MAX,
        },
        search: None,
        sort_by: SortBy::CreatedAt,
        order: Order::Ascending,
        count: false,
        loads: true,
        max_bytes: usize::MAX,
    }
}

/// Returns the table with the deadline of one operation.
pub(super) fn store(table: &Table) -> Store {
    table.until(Instant::now() + CALL_TIMEOUT)
}
