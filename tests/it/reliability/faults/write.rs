//! Every write of the API, with its request and its effect.

use muster_domain::Contract::{self, Itsm, Toptickets};
use reqwest::Method;
use serde_json::{Value, json};

use super::{FaultFixture, TeamState, TeamsState};
use crate::support::{fault_injection::InjectedFault, invoke::TestInvocation};

/// A write of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Create,
    CreateWithLead,
    Describe,
    Rename,
    Lead,
    ClearLead,
    Delete,
    Add,
    AddLead,
    Return,
    Remove,
    RemoveLead,
    Learn,
    Promote,
    Demote,
    /// Writes with `If-Match`, and creations with an `Idempotency-Key`.
    DescribeIf,
    DeleteIf,
    CreateOnce,
    AddOnce,
}

impl Write {
    /// Every write under each contract that has it.
    pub(super) const ALL: [(Self, Contract); 30] = [
        (Self::Create, Toptickets),
        (Self::Create, Itsm),
        (Self::CreateWithLead, Itsm),
        (Self::Describe, Toptickets),
        (Self::Describe, Itsm),
        (Self::Rename, Toptickets),
        (Self::Rename, Itsm),
        (Self::Lead, Itsm),
        (Self::ClearLead, Itsm),
        (Self::Delete, Toptickets),
        (Self::Delete, Itsm),
        (Self::Add, Toptickets),
        (Self::Add, Itsm),
        (Self::AddLead, Itsm),
        (Self::Return, Toptickets),
        (Self::Return, Itsm),
        (Self::Remove, Toptickets),
        (Self::Remove, Itsm),
        (Self::RemoveLead, Toptickets),
        (Self::Learn, Toptickets),
        (Self::Learn, Itsm),
        (Self::Promote, Toptickets),
        (Self::Demote, Itsm),
        (Self::DescribeIf, Toptickets),
        (Self::DescribeIf, Itsm),
        (Self::DeleteIf, Itsm),
        (Self::CreateOnce, Toptickets),
        (Self::CreateOnce, Itsm),
        (Self::AddOnce, Toptickets),
        (Self::AddOnce, Itsm),
    ];

    pub(super) fn invocation(self, fixture: &FaultFixture, contract: Contract) -> TestInvocation {
        let (team, user) = (fixture.team_path(), |n| fixture.user(n));
        let members = format!("{team}/members");
        let (method, target, body) = match self {
            Self::Create | Self::CreateOnce => (
                Method::POST,
                "/v1/teams".to_owned(),
                json!({ "name": "New" }),
            ),
            Self::CreateWithLead => (
                Method::POST,
                "/v1/teams".to_owned(),
                json!({ "name": "New", "lead_id": user(3) }),
            ),
            Self::Describe | Self::DescribeIf => {
                (Method::PATCH, team, json!({ "description": "New" }))
            }
            Self::Rename => (Method::PATCH, team, json!({ "name": "New" })),
            Self::Lead => (Method::PATCH, team, json!({ "lead_id": user(3) })),
            Self::ClearLead => (Method::PATCH, team, json!({ "lead_id": null })),
            Self::Delete | Self::DeleteIf => (Method::DELETE, team, Value::Null),
            Self::Add | Self::AddOnce => (Method::POST, members, json!({ "user_id": user(3) })),
            Self::AddLead => (
                Method::POST,
                members,
                json!({ "user_id": user(3), "role": "lead" }),
            ),
            Self::Return => (Method::POST, members, json!({ "user_id": user(2) })),
            Self::Remove => (
                Method::DELETE,
                format!("{members}/{}", user(0)),
                Value::Null,
            ),
            Self::RemoveLead => (
                Method::DELETE,
                format!("{members}/{}", user(1)),
                Value::Null,
            ),
            Self::Learn => (
                Method::PATCH,
                format!("{members}/{}", user(0)),
                json!({ "skills": ["VPN"] }),
            ),
            Self::Promote => (
                Method::PATCH,
                format!("{members}/{}", user(0)),
                json!({ "role": "lead", "skills": ["VPN"] }),
            ),
            Self::Demote => (
                Method::PATCH,
                format!("{members}/{}", user(1)),
                json!({ "role": "member" }),
            ),
        };
        let body = Some(body).filter(|body| !body.is_null());
        let invocation = TestInvocation::new(fixture.token(contract), method, target, body);
        match self {
            // The versions of a new team and of one with a roster.
            Self::DescribeIf | Self::DeleteIf => invocation.with("if-match", "\"1\", \"5\""),
            Self::CreateOnce | Self::AddOnce => invocation.with("idempotency-key", "once"),
            _ => invocation,
        }
    }

    /// Returns the status of success.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Create
            | Self::CreateOnce
            | Self::CreateWithLead
            | Self::Add
            | Self::AddOnce
            | Self::AddLead
            | Self::Return => 201,
            Self::Describe
            | Self::DescribeIf
            | Self::Rename
            | Self::Lead
            | Self::ClearLead
            | Self::Learn
            | Self::Promote
            | Self::Demote => 200,
            Self::Delete | Self::DeleteIf | Self::Remove | Self::RemoveLead => 204,
        }
    }

    /// Returns the state after the write.
    pub(super) fn apply(self, fixture: &FaultFixture, mut state: TeamsState) -> TeamsState {
        let user = |n| fixture.user(n);
        let moves = !matches!(
            self,
            Self::Create
                | Self::CreateOnce
                | Self::CreateWithLead
                | Self::Delete
                | Self::DeleteIf
                | Self::Learn
        );
        if moves {
            state.team().version += 1;
        }
        match self {
            Self::Create | Self::CreateOnce | Self::CreateWithLead => {
                let lead = if self == Self::CreateWithLead {
                    user(3)
                } else {
                    String::new()
                };
                let (description, members, skilled) = Default::default();
                let new = TeamState {
                    description,
                    lead,
                    version: 1,
                    members,
                    skilled,
                };
                state.teams.insert("New".to_owned(), new);
            }
            Self::Describe | Self::DescribeIf => "New".clone_into(&mut state.team().description),
            Self::Rename => {
                let team = state.teams.remove("Team").expect("the team exists");
                state.teams.insert("New".to_owned(), team);
            }
            Self::Lead => state.team().lead = user(3),
            Self::ClearLead | Self::Demote => state.team().lead.clear(),
            Self::Delete | Self::DeleteIf => {
                state.teams.remove("Team");
                state.deleted_teams += 1;
            }
            Self::Add | Self::AddOnce => drop(state.team().members.insert(user(3))),
            Self::AddLead => {
                state.team().members.insert(user(3));
                state.team().lead = user(3);
            }
            Self::Return => drop(state.team().members.insert(user(2))),
            Self::Remove => drop(state.team().members.remove(&user(0))),
            Self::RemoveLead => {
                state.team().members.remove(&user(1));
                state.team().lead.clear();
            }
            Self::Learn => drop(state.team().skilled.insert(user(0))),
            Self::Promote => {
                state.team().skilled.insert(user(0));
                state.team().lead = user(0);
            }
        }
        state
    }

    /// Returns the `ETag` of the response. It is the version of the remaining team, in every
    /// response that shows a team.
    pub(super) fn etag(self, contract: Contract, left: &TeamsState) -> String {
        if matches!(
            self,
            Self::Delete | Self::DeleteIf | Self::Remove | Self::RemoveLead
        ) {
            return String::new();
        }
        let is_members = matches!(
            self,
            Self::Add
                | Self::AddOnce
                | Self::AddLead
                | Self::Return
                | Self::Learn
                | Self::Promote
                | Self::Demote
        );
        if is_members && contract == Itsm {
            return String::new();
        }
        let is_new = matches!(
            self,
            Self::Create | Self::CreateOnce | Self::CreateWithLead | Self::Rename
        );
        format!(
            "\"{}\"",
            left.teams[if is_new { "New" } else { "Team" }].version
        )
    }

    pub(super) fn is_transaction(self) -> bool {
        !matches!(self, Self::Describe | Self::ClearLead | Self::Learn)
    }

    /// Returns the transient faults of this write: those that every write is tested with, then
    /// those of which each write is tested with some.
    pub(super) fn transient_faults(self) -> (Vec<InjectedFault>, Vec<InjectedFault>) {
        let (conflict, of_its_own) = if self.is_transaction() {
            let canceled = [
                InjectedFault::Canceled("ThrottlingError"),
                InjectedFault::Canceled("ProvisionedThroughputExceeded"),
            ];
            let under_way = InjectedFault::Respond(400, "TransactionInProgressException");
            (
                InjectedFault::Canceled("TransactionConflict"),
                canceled.into_iter().chain([under_way]).collect(),
            )
        } else {
            (
                InjectedFault::Respond(400, "TransactionConflictException"),
                Vec::new(),
            )
        };
        let hard = vec![
            conflict,
            InjectedFault::ConnectionClosed,
            InjectedFault::ResponseReplaced,
            InjectedFault::ResponseDropped,
            InjectedFault::ResponseTruncated,
        ];
        let mut plain = vec![
            InjectedFault::Respond(400, "ThrottlingException"),
            InjectedFault::Respond(400, "ProvisionedThroughputExceededException"),
            InjectedFault::Respond(400, "RequestLimitExceeded"),
            InjectedFault::Respond(500, "InternalServerError"),
            InjectedFault::Respond(503, "ServiceUnavailable"),
            InjectedFault::ConnectionRefused,
        ];
        plain.extend(of_its_own);
        (hard, plain)
    }
}
