//! The placement of a ticket: state, team and assignee.

use std::fmt;

/// The placement of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) state: String,
    pub(super) team: Option<String>,
    pub(super) assignee: Option<String>,
}

impl Placement {
    pub(super) fn assigned(team: &str, user: &str) -> Self {
        Self {
            state: "assigned".to_owned(),
            team: Some(team.to_owned()),
            assignee: Some(user.to_owned()),
        }
    }

    pub(super) fn waiting(team: &str) -> Self {
        Self {
            state: "waiting".to_owned(),
            team: Some(team.to_owned()),
            assignee: None,
        }
    }

    pub(super) fn unrouted() -> Self {
        Self {
            state: "unrouted".to_owned(),
            team: None,
            assignee: None,
        }
    }

    pub(super) fn closed(team: Option<&str>, user: Option<&str>) -> Self {
        Self {
            state: "closed".to_owned(),
            team: team.map(str::to_owned),
            assignee: user.map(str::to_owned),
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "is {} in {:?} to {:?}",
            self.state, self.team, self.assignee
        )
    }
}
