//! The decision about a ticket, with its explanation.
//!
//! Neither document has it, so both contracts have the same fields. Ids and times have the form of
//! the contract.

use serde::Serialize;

#[cfg(feature = "openapi")]
use crate::schema;
use muster_domain::{
    Candidate, Decision, PassOverReason, QueueStrategy, TeamId, Ticket, Timestamp, UserId,
};

/// The form of ids and times in a contract.
pub(super) struct WireFormat<T> {
    pub(super) team_id: fn(TeamId) -> String,
    pub(super) user_id: fn(UserId) -> String,
    pub(super) time: fn(Timestamp) -> T,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Decision))]
pub(super) struct DecisionOut<T> {
    /// The id of the ticket on its platform.
    ticket_id: String,
    /// The team of the ticket, if it has one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::TeamId>))]
    team_id: Option<String>,
    /// The assignee, if there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::UserId>))]
    assignee_id: Option<String>,
    /// The state of the ticket in routing.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TicketState))]
    state: &'static str,
    /// The status of the ticket on its platform.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TicketStatus))]
    status: &'static str,
    /// The priority of the ticket.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Priority))]
    priority: &'static str,
    /// The time when the ticket was created.
    created_at: T,
    /// The time when the ticket is due, if there is one.
    due_at: Option<T>,
    /// The team's queue strategy at the time of the decision, if a team was found.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::QueueStrategy>))]
    strategy: Option<&'static str>,
    /// The turn of the team that the decision took, from 1, if a member was selected.
    turn: Option<u64>,
    /// The explanation, in one sentence.
    reason: String,
    /// The strategy that was applied instead, because `strategy` could not rank the members.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::QueueStrategy>))]
    fallback: Option<&'static str>,
    /// The number of members that were considered.
    considered: u64,
    /// The number of those members that were eligible.
    eligible: u64,
    /// The best three candidates, best first.
    candidates: Vec<CandidateOut>,
    /// The time of the decision.
    decided_at: T,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Candidate))]
struct CandidateOut {
    /// The member.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::UserId))]
    user_id: String,
    /// Open tickets of the team that were assigned to the member.
    open_tickets: u64,
    /// The turn of the team that the member got last.
    last_turn: u64,
    /// The number of skills that match the ticket.
    matched_skills: u64,
    /// Whether the member was eligible.
    eligible: bool,
    /// The reason why the member was passed over.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::WhyNot>))]
    why_not: Option<&'static str>,
}

impl<T> DecisionOut<T> {
    /// Renders the latest decision about a ticket.
    pub(super) fn new(ticket: &Ticket, format: &WireFormat<T>) -> Self {
        let Ticket {
            id,
            rev: _,
            versions: _,
            status,
            priority,
            category: _,
            subcategory: _,
            tags: _,
            created_at,
            resolved_at: _,
            closed_at: _,
            due_at,
            team_id,
            assignee_id,
            state,
            decision,
        } = ticket;
        let Decision {
            reason: _,
            strategy,
            turn,
            fallback,
            considered,
            eligible,
            candidates,
            replaces_missing_team: _,
            decided_at,
        } = decision;
        Self {
            ticket_id: id.as_str().to_owned(),
            team_id: team_id.map(format.team_id),
            assignee_id: assignee_id.map(format.user_id),
            state: state.as_str(),
            status: status.as_str(),
            priority: priority.as_str(),
            created_at: (format.time)(*created_at),
            due_at: due_at.map(format.time),
            strategy: strategy.map(QueueStrategy::as_str),
            turn: *turn,
            reason: decision.explanation(),
            fallback: fallback.map(QueueStrategy::as_str),
            considered: *considered,
            eligible: *eligible,
            candidates: candidates
                .iter()
                .map(|candidate| CandidateOut::new(candidate, format))
                .collect(),
            decided_at: (format.time)(*decided_at),
        }
    }
}

impl CandidateOut {
    fn new<T>(candidate: &Candidate, format: &WireFormat<T>) -> Self {
        let Candidate {
            user_id,
            open_tickets,
            last_turn,
            matched_skills,
            pass_over_reason,
        } = *candidate;
        Self {
            user_id: (format.user_id)(user_id),
            open_tickets,
            last_turn,
            matched_skills,
            eligible: candidate.is_eligible(),
            why_not: pass_over_reason.map(PassOverReason::as_str),
        }
    }
}
