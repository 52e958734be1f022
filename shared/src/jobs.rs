//! What one request cannot finish, and is done a bounded page at a time by the jobs function.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    domain::{OrganizationId, TeamId},
    queue::Message,
    telemetry::Waiting,
    wire::json,
};

/// A job, as its message on the job queue says it.
///
/// Each can be done twice, late, or in any order: it looks at the table as it is, and leaves nothing to do for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Unassign the open tickets of a deleted team, then remove its memberships and specializations.
    SweepTeam {
        /// Whose team.
        organization_id: String,
        /// The team's bare UUID.
        team_id: String,
        /// How often the index showed nothing of what is left to do.
        #[serde(default)]
        looks: u32,
    },
    /// Assign a team's waiting tickets, as far as somebody is eligible.
    DrainTeam {
        /// Whose team.
        organization_id: String,
        /// The team's bare UUID.
        team_id: String,
        /// How often the index showed nothing of what is left to do.
        #[serde(default)]
        looks: u32,
    },
    /// Find a team by what it knows, and no longer by what it knew; then try the organization's unrouted tickets.
    IndexSpecializations {
        /// Whose team.
        organization_id: String,
        /// The team's bare UUID.
        team_id: String,
        /// What it knew before the change, as written there.
        formerly: Vec<String>,
    },
    /// Try the organization's unrouted tickets again.
    RouteUnrouted {
        /// Whose tickets.
        organization_id: String,
        /// Where the last page ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// Whether this is the second look, for tickets that became unrouted during the first.
        #[serde(default)]
        second_look: bool,
    },
    /// Copy a user's profile into their memberships, and take a deleted user out of every lead.
    CopyProfile {
        /// Whose user.
        organization_id: String,
        /// The user's bare UUID.
        user_id: String,
        /// Where the last page ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// Whether this is the second look, for memberships that the index did not show yet.
        #[serde(default)]
        second_look: bool,
    },
    /// Start again whatever the index of work shows unfinished, and count who waits.
    RestartUnfinished {
        /// Where the last page ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// Who waits as far as the last page, unless that was not counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waiting: Option<Waiting>,
    },
}

impl Job {
    /// The sweep of a team, after so many looks in vain.
    #[must_use]
    pub fn sweep(org: &OrganizationId, team: TeamId, looks: u32) -> Self {
        Self::SweepTeam { organization_id: org.to_string(), team_id: team.uuid().to_string(), looks }
    }

    /// The drain of a team, after so many looks in vain.
    #[must_use]
    pub fn drain(org: &OrganizationId, team: TeamId, looks: u32) -> Self {
        Self::DrainTeam { organization_id: org.to_string(), team_id: team.uuid().to_string(), looks }
    }

    /// The message that starts the job.
    #[must_use]
    pub fn message(&self, delay: Duration) -> Message {
        Message { delay, ..Message::new(json(self)) }
    }
}
