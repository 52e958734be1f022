//! Messages of the job queues: work that one request cannot finish, done a bounded page at a time
//! by the jobs function.

use std::collections::BTreeSet;

use muster_domain::{OrganizationId, TeamId, TicketId, UserId, routing::Trigger};
use serde::{Deserialize, Serialize};

/// A job queue.
///
/// Jobs of a few round trips have a queue of their own, so that no long job delays them. On each
/// queue the messages of an organization are a group, so that a busy organization delays its own
/// jobs and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Drains and profile copies, up to [`URGENT_PAGES`] pages of each.
    Urgent,
    /// All other jobs, and the rest of drains and copies.
    Long,
}

/// The most pages of a drain or a profile copy on the urgent queue. The rest continues on the long
/// queue.
///
/// A page of a drain has 90 tickets, and a page of a copy 100 memberships. Most teams and users
/// have fewer than three pages.
pub const URGENT_PAGES: usize = 3;

/// Totals of waiting tickets, carried along a chain of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingTotals {
    /// Tickets that wait.
    pub tickets: u64,
    /// Teams in which tickets wait.
    pub teams: u64,
}

/// A message of a job queue: a job, and its place in a chain of jobs that continue each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMessage {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// The number of messages before this one in its chain: 0 for a job that a change or the
    /// schedule starts.
    #[serde(default, skip_serializing_if = "is_first")]
    pub hop: u32,
    /// Tickets that failed earlier in the chain. A [`Job::ProcessTicket`] retries each, so the
    /// chain skips them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub retried: BTreeSet<String>,
    /// Whether the chain has used up its pages on the urgent queue and stays on the long queue.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_rest: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_first(hop: &u32) -> bool {
    *hop == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl JobMessage {
    /// The first message of a chain.
    #[must_use]
    pub fn first(job: Job) -> Self {
        Self {
            job,
            hop: 0,
            retried: BTreeSet::new(),
            is_rest: false,
        }
    }

    /// Returns the queue of the message.
    #[must_use]
    pub fn lane(&self) -> Lane {
        if self.is_rest {
            Lane::Long
        } else {
            self.job.lane()
        }
    }
}

/// A job of a [`JobMessage`].
///
/// Each can be done twice, late, or in any order: it empty_reads at the table as it is, and leaves
/// nothing to do for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Unassign the open tickets of a deleted team, then remove its memberships and
    /// specializations.
    SweepTeam {
        /// Whose team.
        organization_id: String,
        /// The team's bare UUID.
        team_id: String,
        /// How often the index showed nothing of what is left to do.
        #[serde(rename = "looks", default)]
        empty_reads: u32,
    },
    /// Assign a team's waiting tickets, as far as somebody is eligible.
    DrainTeam {
        /// Whose team.
        organization_id: String,
        /// The team's bare UUID.
        team_id: String,
        /// How often the index showed nothing of what is left to do.
        #[serde(rename = "looks", default)]
        empty_reads: u32,
    },
    /// Index the topics that a team knows; if the team has come to know topics, start the
    /// organization's pass.
    IndexSpecializations {
        /// Whose team.
        organization_id: String,
        /// The team's bare UUID.
        team_id: String,
    },
    /// Route the organization's unrouted tickets that share a topic of its pass.
    RouteUnrouted {
        /// Whose tickets.
        organization_id: String,
        /// The pass that the job continues. Without one, the job begins a pass if one is due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        progress: Option<PassProgress>,
    },
    /// Settle one ticket that failed beside others of its list.
    #[serde(rename = "settle_ticket")]
    ProcessTicket {
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
        #[serde(rename = "second_look", default)]
        second_pass: bool,
        /// The revision of the profile at the beginning of the first look. After the second, the
        /// profile is copied if it still has this revision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rev: Option<u64>,
    },
    /// Start again whatever the index of work shows unfinished, and count who waits.
    #[serde(rename = "restart_unfinished")]
    RestartPendingWork {
        /// Where the last page ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// Who waits as far as the last page, unless that was not counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waiting: Option<WaitingTotals>,
    },
}

/// The progress of a pass over the unrouted tickets, carried from one job to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassProgress {
    /// The holder of the lease.
    pub owner: String,
    /// The revision of the pass when it began: the merges that it covers.
    pub rev: u64,
    /// The time when it began, in milliseconds.
    pub began_at: i64,
    /// The cursor of the next page; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether the pass has come to its end. The next job empty_reads for topics that were merged
    /// meanwhile.
    #[serde(default)]
    pub is_complete: bool,
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

impl From<FailedOn> for Trigger {
    fn from(list: FailedOn) -> Self {
        match list {
            FailedOn::Waiting => Self::Waiting,
            FailedOn::Unrouted => Self::Unrouted,
            FailedOn::TeamGone => Self::TeamDeleted,
        }
    }
}

impl Job {
    /// The retry of one ticket of a list.
    #[must_use]
    pub fn process_ticket(org: &OrganizationId, ticket: &TicketId, list: FailedOn) -> Self {
        Self::ProcessTicket {
            organization_id: org.to_string(),
            ticket_id: ticket.to_string(),
            list,
        }
    }

    /// The sweep of a team, after so many empty_reads in vain.
    #[must_use]
    pub fn sweep(org: &OrganizationId, team: TeamId, empty_reads: u32) -> Self {
        Self::SweepTeam {
            organization_id: org.to_string(),
            team_id: team.uuid().to_string(),
            empty_reads,
        }
    }

    /// The drain of a team, after so many empty_reads in vain.
    #[must_use]
    pub fn drain(org: &OrganizationId, team: TeamId, empty_reads: u32) -> Self {
        Self::DrainTeam {
            organization_id: org.to_string(),
            team_id: team.uuid().to_string(),
            empty_reads,
        }
    }

    /// The copying of a user's profile. A second look alone is enough where no membership can be
    /// new to the index.
    #[must_use]
    pub fn copy_profile(org: &OrganizationId, user: UserId, second_pass: bool) -> Self {
        let (organization_id, user_id) = (org.to_string(), user.uuid().to_string());
        Self::CopyProfile {
            organization_id,
            user_id,
            after: None,
            second_pass,
            rev: None,
        }
    }

    /// The indexing of a team's specializations.
    #[must_use]
    pub fn index_specializations(org: &OrganizationId, team: TeamId) -> Self {
        Self::IndexSpecializations {
            organization_id: org.to_string(),
            team_id: team.uuid().to_string(),
        }
    }

    /// The pass over an organization's unrouted tickets, from its beginning or from where it is.
    #[must_use]
    pub fn route_unrouted(org: &OrganizationId, progress: Option<PassProgress>) -> Self {
        Self::RouteUnrouted {
            organization_id: org.to_string(),
            progress,
        }
    }

    /// Returns the queue on which a chain that starts with this job begins.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::DrainTeam { .. } | Self::CopyProfile { .. } => Lane::Urgent,
            Self::SweepTeam { .. }
            | Self::IndexSpecializations { .. }
            | Self::RouteUnrouted { .. }
            | Self::ProcessTicket { .. }
            | Self::RestartPendingWork { .. } => Lane::Long,
        }
    }

    /// Returns the organization of the job; none for the schedule's, which is for all
    /// organizations.
    #[must_use]
    pub fn organization_id(&self) -> Option<&str> {
        match self {
            Self::SweepTeam {
                organization_id, ..
            }
            | Self::DrainTeam {
                organization_id, ..
            }
            | Self::IndexSpecializations {
                organization_id, ..
            }
            | Self::RouteUnrouted {
                organization_id, ..
            }
            | Self::ProcessTicket {
                organization_id, ..
            }
            | Self::CopyProfile {
                organization_id, ..
            } => Some(organization_id),
            Self::RestartPendingWork { .. } => None,
        }
    }

    /// The job's name, as its message has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SweepTeam { .. } => "sweep_team",
            Self::DrainTeam { .. } => "drain_team",
            Self::IndexSpecializations { .. } => "index_specializations",
            Self::RouteUnrouted { .. } => "route_unrouted",
            Self::ProcessTicket { .. } => "settle_ticket",
            Self::CopyProfile { .. } => "copy_profile",
            Self::RestartPendingWork { .. } => "restart_unfinished",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;

    #[test]
    fn job_message_without_hop_starts_a_chain() {
        let job = Job::SweepTeam {
            organization_id: "org".to_owned(),
            team_id: "t".to_owned(),
            empty_reads: 3,
        };
        let first = JobMessage::first(job.clone());
        let body = json(&first);
        assert_eq!(body, json(&job));
        assert_eq!(serde_json::from_str::<JobMessage>(&body).unwrap(), first);
    }

    #[test]
    fn job_message_keeps_its_place_in_the_chain() {
        let waiting = Some(WaitingTotals {
            tickets: 3,
            teams: 1,
        });
        let job = Job::RestartPendingWork {
            after: Some("{}".to_owned()),
            waiting,
        };
        let later = JobMessage {
            job,
            hop: 7,
            retried: ["T-1".to_owned()].into(),
            is_rest: true,
        };
        let body = json(&later);
        assert_eq!(
            serde_json::from_str::<JobMessage>(&body).unwrap(),
            later,
            "{body}"
        );
    }
}
