//! Lists: which page of which order, and what comes back.

use std::iter::{Skip, Take};

use super::{Folded, Load, Team, Ticket};

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many to leave out at the start. Wide enough for any page of any size, so that no page number overflows.
    pub skip: u128,
    /// How many to answer with at most, at least 1.
    pub limit: usize,
}

impl Page {
    /// How many the list has up to the end of this page.
    #[must_use]
    pub fn end(self) -> usize {
        usize::try_from(self.skip).unwrap_or(usize::MAX).saturating_add(self.limit)
    }

    /// Cuts this page out of what the list begins with.
    pub fn cut<L: IntoIterator>(self, list: L) -> Take<Skip<L::IntoIter>> {
        list.into_iter().skip(usize::try_from(self.skip).unwrap_or(usize::MAX)).take(self.limit)
    }
}

/// What teams are sorted by. Ties go by id, in the sort's direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    /// By creation, which is id order.
    #[default]
    CreatedAt,
    /// By the last edit or change of roster.
    UpdatedAt,
    /// By folded name, code point by code point.
    Name,
}

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest or oldest first.
    Ascending,
    /// Largest or newest first.
    Descending,
}

/// A page of teams to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListTeams {
    /// Which part of them.
    pub page: Page,
    /// Only teams with this in their folded name.
    pub search: Option<Folded>,
    /// What to sort by.
    pub sort_by: SortBy,
    /// Which way.
    pub order: Order,
    /// Whether the caller wants to know how many there are in all.
    pub count: bool,
}

impl ListTeams {
    /// Whether the table's own order is the one asked for, so that the first pages can be read without the rest.
    #[must_use]
    pub fn is_stored_order(&self) -> bool {
        self.search.is_none() && self.sort_by == SortBy::CreatedAt
    }

    /// Picks this page out of all the organization's teams. Returns its teams and the number of teams on all pages.
    #[must_use]
    pub fn page_of(&self, mut teams: Vec<Team>) -> (Vec<Team>, usize) {
        if let Some(part) = &self.search {
            teams.retain(|team| team.name.folded().contains(part));
        }
        match self.sort_by {
            SortBy::CreatedAt => teams.sort_by_cached_key(|team| team.id),
            SortBy::UpdatedAt => teams.sort_by_cached_key(|team| (team.updated_at, team.id)),
            SortBy::Name => teams.sort_by_cached_key(|team| (team.name.folded(), team.id)),
        }
        if self.order == Order::Descending {
            teams.reverse();
        }
        let total = teams.len();
        (self.page.cut(teams).collect(), total)
    }
}

/// A team in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The team.
    pub team: Team,
    /// Its load.
    pub load: Load,
}

/// One page, and how many teams there are on all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamPage {
    /// The teams on the page.
    pub teams: Vec<Listed>,
    /// The teams on all pages. Meaningless unless [`ListTeams::count`] asked for it.
    pub total: usize,
}

/// The state of tickets in a list of a team's open tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedState {
    /// Assigned to a user.
    Assigned,
    /// In the team's queue, without an assignee.
    Waiting,
}

/// A page of a team's open tickets to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTickets {
    /// The part of the list.
    pub page: Page,
    /// The state of the tickets to list; both states if `None`.
    pub state: Option<ListedState>,
}

/// One page of a team's open tickets, and how many there are on all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketPage {
    /// The tickets on the page.
    pub tickets: Vec<Ticket>,
    /// The tickets on all pages.
    pub total: usize,
}
