//! Lists: their pages, orders and results.

use std::iter::{Skip, Take};

use super::{Folded, Load, Team, TeamId, Ticket};

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRange {
    /// The number of entries before the page. The type is wide enough for every page number times
    /// every page size.
    pub skip: u128,
    /// The maximum number of entries on the page, at least 1.
    pub limit: usize,
}

impl PageRange {
    /// Returns the number of entries up to the end of the page.
    #[must_use]
    pub fn end(self) -> usize {
        usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .saturating_add(self.limit)
    }

    /// Returns the entries of the page from a list, or from the start of a list that includes it.
    pub fn cut<L: IntoIterator>(self, list: L) -> Take<Skip<L::IntoIter>> {
        list.into_iter()
            .skip(usize::try_from(self.skip).unwrap_or(usize::MAX))
            .take(self.limit)
    }
}

/// The sort key of teams. Ties are ordered by id, in the direction of the sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    /// The time of creation, which is the order of ids.
    #[default]
    CreatedAt,
    /// The time of the last edit or change of the roster.
    UpdatedAt,
    /// The folded name, by code points.
    Name,
}

/// The direction of a list.
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
    /// The part of the list.
    pub page: PageRange,
    /// The text that the folded names have to contain.
    pub search: Option<Folded>,
    /// The sort key.
    pub sort_by: SortBy,
    /// The direction.
    pub order: Order,
    /// Whether the response shows the number of teams on all pages.
    pub count: bool,
    /// Whether the response shows the teams' loads.
    pub loads: bool,
    /// The maximum number of bytes of texts in a response. A page with more is rejected, so the
    /// store may stop reading it.
    pub max_bytes: usize,
}

impl ListTeams {
    /// The end of the pages that are read from the first team on. A later page would read too many
    /// teams that it does not show.
    const MAX_END: usize = 100;

    /// Returns whether the page is read from the first team on, in the order of creation.
    #[must_use]
    pub fn is_first_page(&self) -> bool {
        let is_near = self.page.skip == 0 || self.page.end() <= Self::MAX_END;
        is_near && self.search.is_none() && self.sort_by == SortBy::CreatedAt
    }

    /// Returns whether the search finds a team of this name. Without a search, every team is found.
    #[must_use]
    pub fn finds(&self, name: &Folded) -> bool {
        self.search.as_ref().is_none_or(|part| name.contains(part))
    }

    /// Sorts the found teams by key, then by id. Returns the ids on this page, and the number of
    /// teams on all pages.
    #[must_use]
    pub fn select<K: Ord>(&self, mut found: Vec<(K, TeamId)>) -> (Vec<TeamId>, usize) {
        found.sort_unstable();
        if self.order == Order::Descending {
            found.reverse();
        }
        let total = found.len();
        (self.page.cut(found).map(|(_, id)| id).collect(), total)
    }
}

/// A team in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTeam {
    /// The team.
    pub team: Team,
    /// Its load.
    pub load: Load,
}

/// A page of teams, and the number of teams on all pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamPage {
    /// The teams on the page.
    pub teams: Vec<ListedTeam>,
    /// The number of teams on all pages. Unspecified unless [`ListTeams::count`] is set.
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
    pub page: PageRange,
    /// The state of the tickets to list; both states if `None`.
    pub state: Option<ListedState>,
}

/// A page of a team's open tickets, and the number of tickets on all pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketPage {
    /// The tickets on the page.
    pub tickets: Vec<Ticket>,
    /// The number of tickets on all pages.
    pub total: usize,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn list(skip: u128, limit: usize, order: Order) -> ListTeams {
        ListTeams {
            page: PageRange { skip, limit },
            search: None,
            sort_by: SortBy::CreatedAt,
            order,
            count: true,
            loads: true,
            max_bytes: 1,
        }
    }

    fn team(number: u128) -> TeamId {
        TeamId::new(Uuid::from_u128(number))
    }

    #[test]
    fn first_pages_end_at_100_or_begin_at_0() {
        for (skip, limit, is_first) in [
            (0, 20, true),
            (0, 1000, true),
            (80, 20, true),
            (81, 20, false),
            (1, 100, false),
            (u128::MAX, 1, false),
        ] {
            let list = list(skip, limit, Order::Ascending);
            assert_eq!(list.is_first_page(), is_first, "{skip} {limit}");
            assert!(
                !ListTeams {
                    sort_by: SortBy::Name,
                    ..list.clone()
                }
                .is_first_page()
            );
            assert!(
                !ListTeams {
                    search: Some(Folded::of("x")),
                    ..list
                }
                .is_first_page()
            );
        }
    }

    #[test]
    fn ties_go_by_id_in_the_direction_of_the_list() {
        let found = vec![
            ("b", team(1)),
            ("a", team(3)),
            ("a", team(2)),
            ("c", team(4)),
        ];
        for (order, expected) in [(Order::Ascending, [3, 1]), (Order::Descending, [1, 3])] {
            assert_eq!(
                list(1, 2, order).select(found.clone()),
                (expected.map(team).to_vec(), 4)
            );
        }
        assert_eq!(list(4, 2, Order::Ascending).select(found), (Vec::new(), 4));
    }
}
