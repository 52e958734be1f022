//! What one request cannot finish, and is done a bounded page at a time by the jobs function.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{OrganizationId, TeamId, TicketId},
    queue::Message,
    routing::Cause,
    telemetry::Waiting,
    wire::json,
};

/// A message of the job queue: a job, and its place in a chain of jobs that continue each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMessage {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// The number of messages before this one in its chain: 0 for a job that a change or the schedule starts.
    #[serde(default, skip_serializing_if = "is_first")]
    pub hop: u32,
    /// Tickets that failed earlier in the chain. A [`Job::SettleTicket`] retries each, so the chain skips them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub retried: BTreeSet<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(hop: &u32) -> bool {
    *hop == 0
}

impl JobMessage {
    /// The message as the queue takes it, held back for this delay.
    #[must_use]
    pub fn message(&self, delay: Duration) -> Message {
        Message { delay, ..Message::new(json(self)) }
    }
}

/// A job of a [`JobMessage`].
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
    /// Settle one ticket that failed beside others of its list.
    SettleTicket {
        /// The organization of the ticket.
        organization_id: String,
        /// The ticket.
        ticket_id: String,
        /// The list on which it failed.
        list: FailedOn,
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

/// The list of open tickets on which a ticket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedOn {
    /// The waiting tickets of a team.
    Waiting,
    /// The tickets without a team.
    Unrouted,
    /// The tickets of a deleted team.
    TeamGone,
}

impl From<FailedOn> for Cause {
    fn from(list: FailedOn) -> Self {
        match list {
            FailedOn::Waiting => Self::Waiting,
            FailedOn::Unrouted => Self::Unrouted,
            FailedOn::TeamGone => Self::TeamGone,
        }
    }
}

impl Job {
    /// The retry of one ticket of a list.
    #[must_use]
    pub fn settle(org: &OrganizationId, ticket: &TicketId, list: FailedOn) -> Self {
        Self::SettleTicket { organization_id: org.to_string(), ticket_id: ticket.to_string(), list }
    }

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

    /// The job's name, as its message has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SweepTeam { .. } => "sweep_team",
            Self::DrainTeam { .. } => "drain_team",
            Self::IndexSpecializations { .. } => "index_specializations",
            Self::RouteUnrouted { .. } => "route_unrouted",
            Self::SettleTicket { .. } => "settle_ticket",
            Self::CopyProfile { .. } => "copy_profile",
            Self::RestartUnfinished { .. } => "restart_unfinished",
        }
    }

    /// The message that starts a chain with this job, held back for this delay.
    #[must_use]
    pub fn message(&self, delay: Duration) -> Message {
        Message { delay, ..Message::new(json(self)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_message_without_hop_starts_a_chain() {
        let job = Job::SweepTeam { organization_id: "org".to_owned(), team_id: "t".to_owned(), looks: 3 };
        let first = JobMessage { job: job.clone(), hop: 0, retried: BTreeSet::new() };
        let body = job.message(Duration::ZERO).body;
        assert_eq!(first.message(Duration::ZERO).body, body);
        assert_eq!(serde_json::from_str::<JobMessage>(&body).unwrap(), first);
    }

    #[test]
    fn job_message_keeps_its_place_in_the_chain() {
        let waiting = Some(Waiting { tickets: 3, teams: 1 });
        let job = Job::RestartUnfinished { after: Some("{}".to_owned()), waiting };
        let later = JobMessage { job, hop: 7, retried: ["T-1".to_owned()].into() };
        let body = later.message(Duration::ZERO).body;
        assert_eq!(serde_json::from_str::<JobMessage>(&body).unwrap(), later, "{body}");
    }
}
