//! A decision, explained. Neither document has it, so its fields are the same in both contracts; ids and times are written as
//! each of them writes them.

use serde::Serialize;

use crate::domain::{Candidate, Decision, QueueStrategy, TeamId, Ticket, Timestamp, UserId, WhyNot};

/// How a contract writes ids and times.
pub(super) struct Forms<T> {
    pub(super) team_id: fn(TeamId) -> String,
    pub(super) user_id: fn(UserId) -> String,
    pub(super) time: fn(Timestamp) -> T,
}

#[derive(Serialize)]
pub(super) struct DecisionOut<T> {
    ticket_id: String,
    team_id: Option<String>,
    assignee_id: Option<String>,
    state: &'static str,
    status: &'static str,
    strategy: Option<&'static str>,
    turn: Option<u64>,
    reason: String,
    fallback: Option<&'static str>,
    considered: u64,
    eligible: u64,
    candidates: Vec<CandidateOut>,
    decided_at: T,
}

#[derive(Serialize)]
struct CandidateOut {
    user_id: String,
    open_tickets: u64,
    last_turn: u64,
    matched_skills: u64,
    eligible: bool,
    why_not: Option<&'static str>,
}

impl<T> DecisionOut<T> {
    /// The latest decision about a ticket.
    pub(super) fn new(ticket: &Ticket, forms: &Forms<T>) -> Self {
        let Ticket {
            id,
            rev: _,
            version: _,
            status,
            priority: _,
            topics: _,
            created_at: _,
            resolved_at: _,
            due_at: _,
            team_id,
            team_version: _,
            assignee_id,
            assignee_version: _,
            state,
            credit: _,
            decision,
        } = ticket;
        let Decision { reason: _, strategy, turn, fallback, considered, eligible, candidates, decided_at } = decision;
        Self {
            ticket_id: id.as_str().to_owned(),
            team_id: team_id.map(forms.team_id),
            assignee_id: assignee_id.map(forms.user_id),
            state: state.as_str(),
            status: status.as_str(),
            strategy: strategy.map(QueueStrategy::as_str),
            turn: *turn,
            reason: decision.sentence(),
            fallback: fallback.map(QueueStrategy::as_str),
            considered: *considered,
            eligible: *eligible,
            candidates: candidates.iter().map(|candidate| CandidateOut::new(candidate, forms)).collect(),
            decided_at: (forms.time)(*decided_at),
        }
    }
}

impl CandidateOut {
    fn new<T>(candidate: &Candidate, forms: &Forms<T>) -> Self {
        let Candidate { user_id, open_tickets, last_turn, matched_skills, why_not } = *candidate;
        Self {
            user_id: (forms.user_id)(user_id),
            open_tickets,
            last_turn,
            matched_skills,
            eligible: candidate.is_eligible(),
            why_not: why_not.map(WhyNot::as_str),
        }
    }
}
