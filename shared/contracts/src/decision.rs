//! A decision, explained. Neither document has it, so its fields are the same in both contracts;
//! ids and times are written as each of them writes them.

use serde::Serialize;

#[cfg(feature = "openapi")]
use crate::schema;
use muster_domain::{
    Candidate, Decision, PassOverReason, QueueStrategy, TeamId, Ticket, Timestamp, UserId,
};

/// How a contract writes ids and times.
pub(super) struct WireFormat<T> {
    pub(super) team_id: fn(TeamId) -> String,
    pub(super) user_id: fn(UserId) -> String,
    pub(super) time: fn(Timestamp) -> T,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Decision))]
pub(super) struct DecisionOut<T> {
    /// The ticket, by the id that its platform gave it.
    ticket_id: String,
    /// The team that the ticket is with, if there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::TeamId>))]
    team_id: Option<String>,
    /// The user whom the ticket is assigned to, if there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::UserId>))]
    assignee_id: Option<String>,
    /// Where the ticket stands in routing.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TicketState))]
    state: &'static str,
    /// The ticket's own status.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TicketStatus))]
    status: &'static str,
    /// The strategy that the team distributed tickets by at the time, if a team was found.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::QueueStrategy>))]
    strategy: Option<&'static str>,
    /// The team's turn that the decision was, counted from 1, if somebody was chosen.
    turn: Option<u64>,
    /// Why, in one sentence.
    reason: String,
    /// The strategy that decided in place of the one above, because that had nothing to go by.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::QueueStrategy>))]
    fallback: Option<&'static str>,
    /// How many members were considered.
    considered: u64,
    /// How many of them could have been given the ticket.
    eligible: u64,
    /// The best three, best first.
    candidates: Vec<CandidateOut>,
    /// When it was decided.
    decided_at: T,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Candidate))]
struct CandidateOut {
    /// The member.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::UserId))]
    user_id: String,
    /// Open tickets of the team that the member had.
    open_tickets: u64,
    /// The team's turn at the member's latest ticket.
    last_turn: u64,
    /// How many skills the member has in common with the ticket.
    matched_skills: u64,
    /// Whether the member could have been given the ticket.
    eligible: bool,
    /// Why the member was passed over.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::WhyNot>))]
    why_not: Option<&'static str>,
}

impl<T> DecisionOut<T> {
    /// The latest decision about a ticket.
    pub(super) fn new(ticket: &Ticket, format: &WireFormat<T>) -> Self {
        let Ticket {
            id,
            rev: _,
            versions: _,
            status,
            priority: _,
            category: _,
            subcategory: _,
            tags: _,
            created_at: _,
            resolved_at: _,
            closed_at: _,
            due_at: _,
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
