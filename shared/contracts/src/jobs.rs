//! The messages of the job queues. The jobs function does the work of a request or event that is
//! unbounded, one page at a time.

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

/// The maximum number of pages of a drain or a profile copy on the urgent queue. The rest continues
/// on the long queue.
///
/// A page of a drain has 90 tickets, and a page of a copy 100 memberships. Most teams and users
/// have fewer than three pages.
pub const URGENT_PAGES: usize = 3;

/// Totals of waiting tickets, carried along a chain of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingTotals {
    /// The number of waiting tickets.
    pub tickets: u64,
    /// The number of teams with waiting tickets.
    pub teams: u64,
}

/// Totals of unrouted tickets, carried along a chain of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnroutedTotals {
    /// The number of unrouted tickets.
    pub tickets: u64,
    /// True if the count of an organization ended early. There are at least `tickets` then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub at_least: bool,
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
/// Jobs are idempotent and can run late or in any order: each reads the present state of the table
/// and does the work that remains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Unassign the open tickets of a deleted team, then remove its memberships and
    /// specializations.
    SweepTeam {
        /// The organization of the team.
        organization_id: String,
        /// The team's bare UUID.
        team_id: String,
        /// The number of successive reads of the index that showed none of the remaining work. The
        /// index is eventually consistent.
        #[serde(rename = "looks", default)]
        empty_reads: u32,
    },
    /// Assign a team's waiting tickets, until no member is eligible.
    DrainTeam {
        /// The organization of the team.
        organization_id: String,
        /// The team's bare UUID.
        team_id: String,
        /// The number of successive reads of the index that showed none of the remaining work. The
        /// index is eventually consistent.
        #[serde(rename = "looks", default)]
        empty_reads: u32,
    },
    /// Index the specializations of a team. If the team has new ones, start the organization's
    /// pass.
    IndexSpecializations {
        /// The organization of the team.
        organization_id: String,
        /// The team's bare UUID.
        team_id: String,
    },
    /// Route the organization's unrouted tickets that share a topic of its pass.
    RouteUnrouted {
        /// The organization of the tickets.
        organization_id: String,
        /// The pass that the job continues. Without one, the job begins a pass if one is due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        progress: Option<PassProgress>,
    },
    /// Process one ticket that failed while others of its list succeeded.
    #[serde(rename = "settle_ticket")]
    ProcessTicket {
        /// The organization of the ticket.
        organization_id: String,
        /// The ticket.
        ticket_id: String,
        /// The list on which it failed.
        list: FailedOn,
    },
    /// Copy a user's profile into their memberships. Of a deleted user, also clear the lead of
    /// teams.
    CopyProfile {
        /// The organization of the user.
        organization_id: String,
        /// The user's bare UUID.
        user_id: String,
        /// The cursor of the next page; none before the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// Whether this is the second pass, for memberships that the index did not show before.
        #[serde(rename = "second_look", default)]
        second_pass: bool,
        /// The revision of the profile at the beginning of the first pass. After the second pass,
        /// the profile counts as copied if it still has this revision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rev: Option<u64>,
    },
    /// Restart all pending work of the index, and count the waiting and the unrouted tickets.
    #[serde(rename = "restart_unfinished")]
    RestartPendingWork {
        /// The cursor of the next page; none before the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// The totals of the pages so far; none if a page could not be counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waiting: Option<WaitingTotals>,
        /// The totals of the pages so far; none if a page could not be counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unrouted: Option<UnroutedTotals>,
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
    /// Whether the pass has read its last page. The next job checks for topics that were merged
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
    /// Returns the retry of one ticket of a list.
    #[must_use]
    pub fn process_ticket(org: &OrganizationId, ticket: &TicketId, list: FailedOn) -> Self {
        Self::ProcessTicket {
            organization_id: org.to_string(),
            ticket_id: ticket.to_string(),
            list,
        }
    }

    /// Returns the sweep of a team, after a number of empty reads.
    #[must_use]
    pub fn sweep(org: &OrganizationId, team: TeamId, empty_reads: u32) -> Self {
        Self::SweepTeam {
            organization_id: org.to_string(),
            team_id: team.uuid().to_string(),
            empty_reads,
        }
    }

    /// Returns the drain of a team, after a number of empty reads.
    #[must_use]
    pub fn drain(org: &OrganizationId, team: TeamId, empty_reads: u32) -> Self {
        Self::DrainTeam {
            organization_id: org.to_string(),
            team_id: team.uuid().to_string(),
            empty_reads,
        }
    }

    /// Returns the copying of a user's profile. The second pass alone is enough if the index cannot
    /// lack a new membership.
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

    /// Returns the indexing of a team's specializations.
    #[must_use]
    pub fn index_specializations(org: &OrganizationId, team: TeamId) -> Self {
        Self::IndexSpecializations {
            organization_id: org.to_string(),
            team_id: team.uuid().to_string(),
        }
    }

    /// Returns the pass over an organization's unrouted tickets, from its beginning or its
    /// progress.
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

    /// Returns the organization of the job; none for the schedule's job, which is for all
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

    /// Returns the job's name, which is the tag of its message.
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
            unrouted: Some(UnroutedTotals {
                tickets: 5,
                at_least: true,
            }),
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

    /// The messages are an interface between versions of the functions: a rename of a variant or a
    /// field must not change them.
    #[test]
    fn job_messages_have_stable_names() {
        let org = OrganizationId::parse("org").unwrap();
        let team = TeamId::parse("550e8400-e29b-41d4-a716-446655440000").unwrap();
        let user = UserId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap();
        let ticket = TicketId::parse("T-1").unwrap();
        let restart = Job::RestartPendingWork {
            after: None,
            waiting: None,
            unrouted: None,
        };
        for (job, expected) in [
            (
                Job::sweep(&org, team, 1),
                r#"{"job":"sweep_team","organization_id":"org","team_id":"550e8400-e29b-41d4-a716-446655440000","looks":1}"#,
            ),
            (
                Job::drain(&org, team, 2),
                r#"{"job":"drain_team","organization_id":"org","team_id":"550e8400-e29b-41d4-a716-446655440000","looks":2}"#,
            ),
            (
                Job::index_specializations(&org, team),
                r#"{"job":"index_specializations","organization_id":"org","team_id":"550e8400-e29b-41d4-a716-446655440000"}"#,
            ),
            (
                Job::route_unrouted(&org, None),
                r#"{"job":"route_unrouted","organization_id":"org"}"#,
            ),
            (
                Job::process_ticket(&org, &ticket, FailedOn::TeamGone),
                r#"{"job":"settle_ticket","organization_id":"org","ticket_id":"T-1","list":"team_gone"}"#,
            ),
            (
                Job::copy_profile(&org, user, true),
                r#"{"job":"copy_profile","organization_id":"org","user_id":"123e4567-e89b-12d3-a456-426614174000","second_look":true}"#,
            ),
            (restart, r#"{"job":"restart_unfinished"}"#),
        ] {
            let body = json(&job);
            assert_eq!(body, expected);
            assert!(body.starts_with(&format!(r#"{{"job":"{}""#, job.name())));
        }
    }
}
