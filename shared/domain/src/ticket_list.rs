//! Lists of an organization's open tickets by state, read page by page with a cursor.

use std::cmp::Reverse;

use sha2::{Digest, Sha256};

use super::{OrganizationId, Priority, TeamId, Ticket, TicketId, TicketState, Timestamp, UserId};
use crate::hex;

/// The tickets that a list has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketSelection {
    /// Tickets without a team, by priority, then age.
    Unrouted {
        /// The priority of the tickets; any if `None`.
        priority: Option<Priority>,
    },
    /// Tickets with a team and without an assignee, by priority, then age.
    Waiting {
        /// The team of the tickets; any if `None`.
        team: Option<TeamId>,
        /// The priority of the tickets; any if `None`.
        priority: Option<Priority>,
    },
    /// Tickets of a team that are assigned, newest decision first.
    Assigned {
        /// The team of the tickets.
        team: TeamId,
        /// The assignee; any if `None`. The index does not know assignees, so a page with this
        /// filter may have fewer tickets than its limit.
        assignee: Option<UserId>,
    },
}

/// The place of a ticket in a list: the values that order the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketPosition {
    /// The priority, in a list by priority.
    pub priority: Option<Priority>,
    /// The time of creation, in a list by priority; else the time of the decision.
    pub at: Timestamp,
    /// The ticket.
    pub id: TicketId,
}

/// A page of a list to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindTickets {
    /// The tickets of the list.
    pub selection: TicketSelection,
    /// The maximum number of tickets on the page, at least 1.
    pub limit: usize,
    /// The position after which the page begins; the first page if `None`.
    pub after: Option<TicketPosition>,
}

impl FindTickets {
    /// The upper bound of [`limit`](Self::limit), so that one call reads the tickets of a page.
    pub const MAX_LIMIT: u32 = 100;
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTickets {
    /// The tickets on the page.
    pub tickets: Vec<Ticket>,
    /// The position after which the next page begins, if there is one.
    pub next: Option<TicketPosition>,
}

impl TicketSelection {
    /// Returns the state of the tickets.
    #[must_use]
    pub fn state(&self) -> TicketState {
        match self {
            Self::Unrouted { .. } => TicketState::Unrouted,
            Self::Waiting { .. } => TicketState::Waiting,
            Self::Assigned { .. } => TicketState::Assigned,
        }
    }

    /// Returns the team of all tickets, if the list has one.
    #[must_use]
    pub fn team(&self) -> Option<TeamId> {
        match self {
            Self::Unrouted { .. } => None,
            Self::Waiting { team, .. } => *team,
            Self::Assigned { team, .. } => Some(*team),
        }
    }

    /// Returns the assignee of all tickets, if the list has one.
    #[must_use]
    pub fn assignee(&self) -> Option<UserId> {
        match self {
            Self::Unrouted { .. } | Self::Waiting { .. } => None,
            Self::Assigned { assignee, .. } => *assignee,
        }
    }

    /// Returns the priority of all tickets, if the list has one.
    #[must_use]
    pub fn priority(&self) -> Option<Priority> {
        match self {
            Self::Unrouted { priority } | Self::Waiting { priority, .. } => *priority,
            Self::Assigned { .. } => None,
        }
    }

    /// Returns true if the list has a ticket.
    #[must_use]
    pub fn includes(&self, ticket: &Ticket) -> bool {
        ticket.state == self.state()
            && (self.team().is_none() || self.team() == ticket.team_id)
            && (self.assignee().is_none() || self.assignee() == ticket.assignee_id)
            && self
                .priority()
                .is_none_or(|priority| priority == ticket.priority)
    }

    /// Returns true if the list can have a ticket at a position. A query of the index rejects a
    /// start outside its range.
    #[must_use]
    pub fn can_have(&self, position: &TicketPosition) -> bool {
        match (self, position.priority) {
            (Self::Assigned { .. }, of_position) => of_position.is_none(),
            (Self::Unrouted { .. } | Self::Waiting { .. }, None) => false,
            (Self::Unrouted { .. } | Self::Waiting { .. }, Some(of_position)) => self
                .priority()
                .is_none_or(|priority| priority == of_position),
        }
    }

    /// Returns the tickets that the list has, in its order. Ids break ties, in the direction of the
    /// list.
    #[must_use]
    pub fn select(&self, tickets: Vec<Ticket>) -> Vec<Ticket> {
        let mut selected: Vec<_> = tickets
            .into_iter()
            .filter(|ticket| self.includes(ticket))
            .collect();
        match self {
            Self::Assigned { .. } => selected.sort_by_cached_key(|ticket| {
                Reverse((ticket.decision.decided_at, ticket.id.as_str().to_owned()))
            }),
            Self::Unrouted { .. } | Self::Waiting { .. } => {
                selected.sort_by_cached_key(|ticket| {
                    let id = ticket.id.as_str().to_owned();
                    (ticket.priority.rank(), ticket.created_at, id)
                });
            }
        }
        selected
    }

    /// Returns a digest of the selection and its organization, in 16 hexadecimal digits. A cursor
    /// has it, so that a cursor of another list is recognized.
    #[must_use]
    pub fn digest(&self, organization: &OrganizationId) -> String {
        let team = self.team().map(|team| team.uuid().to_string());
        let assignee = self.assignee().map(|user| user.uuid().to_string());
        let mut hash = Sha256::new();
        for part in [
            Some(organization.as_str()),
            Some(self.state().as_str()),
            team.as_deref(),
            assignee.as_deref(),
            self.priority().map(Priority::as_str),
        ] {
            // No part contains the separator.
            hash.update(part.unwrap_or_default());
            hash.update("#");
        }
        let hash: [u8; 32] = hash.finalize().into();
        hex(&hash[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, Reason, TicketStatus, TicketVersions, Topics};

    fn ticket(id: &str, state: TicketState, priority: Priority, at: i64) -> Ticket {
        Ticket {
            id: TicketId::parse(id).unwrap(),
            rev: 1,
            versions: TicketVersions::default(),
            status: TicketStatus::Open,
            priority,
            category: None,
            subcategory: None,
            tags: Topics::default(),
            created_at: Timestamp::from_millis(at),
            resolved_at: None,
            closed_at: None,
            due_at: None,
            team_id: Some(team(1)),
            assignee_id: Some(user(1)),
            state,
            decision: Decision::without_strategy(Reason::Adopted, Timestamp::from_millis(100 - at)),
        }
    }

    fn team(n: u128) -> TeamId {
        TeamId::new(uuid::Uuid::from_u128(n))
    }

    fn user(n: u128) -> UserId {
        UserId::new(uuid::Uuid::from_u128(n))
    }

    fn selections() -> Vec<TicketSelection> {
        let mut selections = Vec::new();
        for priority in [None, Some(Priority::High)] {
            selections.push(TicketSelection::Unrouted { priority });
            for team in [None, Some(team(1)), Some(team(2))] {
                selections.push(TicketSelection::Waiting { team, priority });
            }
        }
        for assignee in [None, Some(user(1)), Some(user(2))] {
            for team in [team(1), team(2)] {
                selections.push(TicketSelection::Assigned { team, assignee });
            }
        }
        selections
    }

    #[test]
    fn selection_has_its_state_team_assignee_and_priority() {
        for selection in selections() {
            for state in TicketState::ALL {
                for priority in Priority::ALL {
                    let expected = state == selection.state()
                        && selection.team().is_none_or(|id| id == team(1))
                        && selection.assignee().is_none_or(|id| id == user(1))
                        && selection.priority().is_none_or(|wanted| wanted == priority);
                    let ticket = ticket("T", state, priority, 1);
                    assert_eq!(
                        selection.includes(&ticket),
                        expected,
                        "{selection:?} {state:?} {priority:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn selected_tickets_are_in_the_order_of_the_list() {
        let ids = |selection: TicketSelection| {
            let state = selection.state();
            let tickets = vec![
                ticket("b", state, Priority::Low, 1),
                ticket("d", state, Priority::High, 3),
                ticket("a", state, Priority::High, 2),
                ticket("c", state, Priority::High, 2),
                ticket("closed", TicketState::Closed, Priority::High, 2),
            ];
            let selected = selection.select(tickets);
            let ids: Vec<_> = selected
                .iter()
                .map(|ticket| ticket.id.to_string())
                .collect();
            ids.join(" ")
        };
        let (team, priority) = (None, None);
        assert_eq!(ids(TicketSelection::Waiting { team, priority }), "a c d b");
        assert_eq!(ids(TicketSelection::Unrouted { priority }), "a c d b");
        // The decisions are the reverse of the creations.
        let assigned = TicketSelection::Assigned {
            team: self::team(1),
            assignee: None,
        };
        assert_eq!(ids(assigned), "b c a d");
    }

    #[test]
    fn position_outside_the_list_is_recognized() {
        let position = |priority| TicketPosition {
            priority,
            at: Timestamp::from_millis(1),
            id: TicketId::parse("T").unwrap(),
        };
        for selection in selections() {
            for priority in [None, Some(Priority::High), Some(Priority::Low)] {
                let expected = match (selection.state(), selection.priority()) {
                    (TicketState::Assigned, _) => priority.is_none(),
                    (_, None) => priority.is_some(),
                    (_, wanted) => priority == wanted,
                };
                assert_eq!(
                    selection.can_have(&position(priority)),
                    expected,
                    "{selection:?} {priority:?}"
                );
            }
        }
    }

    #[test]
    fn digest_differs_for_each_list() {
        let mut digests = std::collections::BTreeSet::new();
        let organizations = ["org", "org1"].map(|id| OrganizationId::parse(id).unwrap());
        for organization in &organizations {
            for selection in selections() {
                let digest = selection.digest(organization);
                assert_eq!(digest.len(), 16);
                assert!(digests.insert(digest), "{selection:?}");
            }
        }
    }
}
