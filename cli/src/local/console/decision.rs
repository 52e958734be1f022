//! Decisions, from the changes of tickets.

use muster_domain::{
    Candidate, Change, ChangeKind, Decision, OrganizationId, QueueStrategy, Reason, TeamId, Ticket,
    TicketState, Timestamp, UserId,
};

/// A new decision about a ticket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecisionSummary {
    pub(super) at: Timestamp,
    pub(super) organization_id: OrganizationId,
    pub(super) ticket_id: String,
    pub(super) state: TicketState,
    pub(super) team_id: Option<TeamId>,
    pub(super) assignee_id: Option<UserId>,
    /// The reason, in a few words.
    pub(super) reason: String,
}

/// Returns the decision of a change, if it has a new one.
pub(super) fn decision(change: &Change) -> Option<DecisionSummary> {
    let ChangeKind::Ticket {
        before,
        after: Some(after),
    } = &change.kind
    else {
        return None;
    };
    let previous = before.as_ref().map(|before| &before.decision);
    if previous == Some(&after.decision) || after.state == TicketState::Deleted {
        return None;
    }
    Some(DecisionSummary {
        at: after.decision.decided_at,
        organization_id: change.organization_id.clone(),
        ticket_id: after.id.as_str().to_owned(),
        state: after.state,
        team_id: after.team_id,
        assignee_id: after.assignee_id,
        reason: short_reason(after),
    })
}

/// Returns the reason of the decision without the figures that do not fit on a line.
fn short_reason(ticket: &Ticket) -> String {
    let decision = &ticket.decision;
    match strategy_reason(decision, ticket) {
        Some(reason) => reason,
        None => lower_first(decision.explanation().trim_end_matches('.')),
    }
}

/// Returns the reason if the strategy compared several members.
fn strategy_reason(decision: &Decision, ticket: &Ticket) -> Option<String> {
    let Candidate {
        open_tickets,
        last_turn,
        matched_skills,
        ..
    } = decision.candidates.first()?;
    if decision.reason != Reason::Strategy || decision.eligible == 1 {
        return None;
    }
    let reason = match (decision.strategy?, decision.fallback) {
        (_, Some(_)) => format!("no skill matches; fewest open tickets ({open_tickets})"),
        (QueueStrategy::SkillBased, None) => {
            let topics = ticket.topics().len();
            format!("most matching skills ({matched_skills} of {topics})")
        }
        (QueueStrategy::LeastBusy, None) => format!("fewest open tickets ({open_tickets})"),
        (QueueStrategy::RoundRobin, None) => {
            format!("longest wait for a turn (since turn {last_turn})")
        }
    };
    Some(if decision.replaces_missing_team {
        format!("the team that it names does not exist; {reason}")
    } else {
        reason
    })
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
