//! The announcements of tickets.

use serde::Serialize;

use super::announcement::{Announcement, SequencePoint};
#[cfg(feature = "openapi")]
use super::forms;
use muster_domain::{Change, Decision, QueueStrategy, Ticket, TicketState};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Assignment))]
pub(super) struct TicketData<'a> {
    /// The organization of the ticket.
    organization_id: &'a str,
    /// Identifies the ticket.
    ticket_id: &'a str,
    /// The team of the ticket, if it has one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<forms::Uuid>))]
    team_id: Option<String>,
    /// The member who the ticket is assigned to, if there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<forms::Uuid>))]
    assignee_id: Option<String>,
    /// The team before this change.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<forms::Uuid>))]
    previous_team_id: Option<String>,
    /// The assignee before this change.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<forms::Uuid>))]
    previous_assignee_id: Option<String>,
    /// The state in routing.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::TicketState))]
    state: &'static str,
    /// The status of the ticket on the platform.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::TicketStatus))]
    status: &'static str,
    /// The priority of the ticket.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Priority))]
    priority: &'static str,
    /// The decision behind the change.
    decision: DecisionData,
}

/// The decision about the ticket, without its candidates.
//
// The API has the candidates and their load, for clients with the scope `teams:read`.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Decision))]
struct DecisionData {
    /// The strategy that decided; `null` if none did.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::schema::QueueStrategy>))]
    strategy: Option<&'static str>,
    /// The number of the decision in the team; `null` for a decision of no strategy.
    turn: Option<u64>,
    /// The reason, as a sentence.
    reason: String,
    /// The strategy that decided in place of the team's own, if it did.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::schema::QueueStrategy>))]
    fallback: Option<&'static str>,
    /// The number of members that were compared.
    considered: u64,
    /// The number of members that could get the ticket.
    eligible: u64,
    /// The time of the decision.
    #[cfg_attr(feature = "openapi", schema(value_type = forms::Timestamp))]
    decided_at: String,
}

impl DecisionData {
    fn new(decision: &Decision) -> Self {
        let Decision {
            reason: _,
            strategy,
            turn,
            fallback,
            considered,
            eligible,
            candidates: _,
            replaces_missing_team: _,
            decided_at,
        } = decision;
        Self {
            strategy: strategy.map(QueueStrategy::as_str),
            turn: *turn,
            reason: decision.explanation(),
            fallback: fallback.map(QueueStrategy::as_str),
            considered: *considered,
            eligible: *eligible,
            decided_at: decided_at.iso8601_millis(),
        }
    }
}

pub(super) fn announcements(
    change: &Change,
    before: Option<&Ticket>,
    after: &Ticket,
) -> Vec<Announcement> {
    let held = |ticket: &Ticket| {
        (ticket.state == TicketState::Assigned).then_some((ticket.team_id, ticket.assignee_id))
    };
    let waits = |ticket: &Ticket| (ticket.state == TicketState::Waiting).then_some(ticket.team_id);
    let is_unrouted = |ticket: &Ticket| ticket.state == TicketState::Unrouted;
    let (was, is) = (before.and_then(held), held(after));

    // A ticket that is unassigned can be assigned to the same member again, if no other is
    // eligible. The platform has unassigned it, so it needs the announcement although the assignee
    // is the same. The turn of the decision shows it.
    let turn = after.decision.turn;
    let is_given_again =
        turn.is_some() && before.is_some_and(|before| before.decision.turn != turn);

    let mut kinds = Vec::new();
    if is.is_some() && (is != was || is_given_again) {
        kinds.push("ticket.assigned");
    }
    if was.is_some() && is.is_none() && after.is_open() {
        kinds.push("ticket.unassigned");
    }
    if waits(after).is_some() && waits(after) != before.and_then(waits) {
        kinds.push("ticket.waiting");
    }
    if is_unrouted(after) && !before.is_some_and(is_unrouted) {
        kinds.push("ticket.unrouted");
    }
    let announce = |(part, kind)| {
        let point = SequencePoint {
            revision: after.rev,
            part,
            at: after.decision.decided_at,
        };
        let data = TicketData {
            organization_id: change.organization_id.as_str(),
            ticket_id: after.id.as_str(),
            team_id: after.team_id.map(|id| id.uuid().to_string()),
            assignee_id: after.assignee_id.map(|id| id.uuid().to_string()),
            previous_team_id: before
                .and_then(|before| before.team_id)
                .map(|id| id.uuid().to_string()),
            previous_assignee_id: before
                .and_then(|before| before.assignee_id)
                .map(|id| id.uuid().to_string()),
            state: after.state.as_str(),
            status: after.status.as_str(),
            priority: after.priority.as_str(),
            decision: DecisionData::new(&after.decision),
        };
        Announcement::new(change, kind, &point, format!("tickets/{}", after.id), data)
    };
    kinds.into_iter().enumerate().map(announce).collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_json_snapshot;
    use muster_domain::{
        Candidate, ChangeKind, Priority, Reason, TeamId, TicketId, TicketStatus, TicketVersions,
        Topics,
    };
    use serde_json::Value;

    use super::*;
    use crate::events::outbound::fixtures::{
        MORNING, alex, announced, event, kinds, later, robin, team_id,
    };

    /// Makes a ticket in a state, at a revision.
    fn ticket(state: TicketState, rev: u64) -> Ticket {
        let assigned = state == TicketState::Assigned;
        let decision = match state {
            TicketState::Assigned => Decision {
                strategy: Some(QueueStrategy::LeastBusy),
                turn: Some(8),
                considered: 3,
                eligible: 2,
                candidates: vec![Candidate {
                    user_id: alex(),
                    open_tickets: 1,
                    last_turn: 4,
                    matched_skills: 0,
                    pass_over_reason: None,
                }],
                ..Decision::without_strategy(Reason::Strategy, later(10))
            },
            TicketState::Unrouted => Decision::without_strategy(Reason::NoTeamMatches, later(20)),
            _ => Decision {
                considered: 3,
                ..Decision::without_strategy(Reason::NoEligibleMember, later(30))
            },
        };
        Ticket {
            id: TicketId::parse("TKT-1").unwrap(),
            rev,
            versions: TicketVersions::default(),
            status: if state == TicketState::Closed {
                TicketStatus::Closed
            } else {
                TicketStatus::Open
            },
            priority: Priority::High,
            category: None,
            subcategory: None,
            tags: Topics::of(["vpn"]),
            created_at: MORNING,
            resolved_at: None,
            closed_at: None,
            due_at: None,
            team_id: (state != TicketState::Unrouted).then(team_id),
            assignee_id: assigned.then(alex),
            state,
            decision,
        }
    }

    fn ticket_changed(before: Option<Ticket>, after: Ticket) -> Vec<Announcement> {
        announced(
            "ORG#org#TICKET#TKT-1/TICKET",
            ChangeKind::Ticket {
                before,
                after: Some(after),
            },
        )
    }

    use TicketState::{Assigned, Closed, Deleted, Unrouted, Waiting};

    #[test]
    fn ticket_decisions_are_announced() {
        let reassigned = Ticket {
            assignee_id: Some(robin()),
            ..ticket(Assigned, 2)
        };
        assert_json_snapshot!(
            "ticket.assigned",
            event(&ticket_changed(Some(reassigned), ticket(Assigned, 3)))
        );
        assert_json_snapshot!(
            "ticket.waiting",
            event(&ticket_changed(None, ticket(Waiting, 1)))
        );
        assert_json_snapshot!(
            "ticket.unrouted",
            event(&ticket_changed(None, ticket(Unrouted, 1)))
        );
    }

    #[test]
    fn unassigned_precedes_the_new_state() {
        let announced = ticket_changed(Some(ticket(Assigned, 1)), ticket(Unrouted, 2));
        assert_eq!(kinds(&announced), ["ticket.unassigned", "ticket.unrouted"]);
        let events: Vec<Value> = announced
            .iter()
            .map(|one| serde_json::from_str(&one.event).unwrap())
            .collect();
        assert!(events[0]["sequence"].as_str() < events[1]["sequence"].as_str());
        assert_json_snapshot!("ticket.unassigned", events[0]);
    }

    #[test]
    fn next_revision_follows_all_parts_of_this_one() {
        let sequence = |announced: Vec<Announcement>| {
            let last: Value = serde_json::from_str(&announced.last().unwrap().event).unwrap();
            last["sequence"].as_str().unwrap().to_owned()
        };
        let two_parts = sequence(ticket_changed(
            Some(ticket(Assigned, 8)),
            ticket(Waiting, 9),
        ));
        let next = sequence(ticket_changed(
            Some(ticket(Waiting, 9)),
            ticket(Assigned, 10),
        ));
        assert!(two_parts < next, "{two_parts} {next}");
    }

    #[test]
    fn each_ticket_change_has_its_announcements() {
        let moved = |state, rev| Ticket {
            team_id: Some(TeamId::new(robin().uuid())),
            ..ticket(state, rev)
        };
        let busy = Ticket {
            status: TicketStatus::InProgress,
            ..ticket(Assigned, 2)
        };
        let mut again = ticket(Assigned, 2);
        again.decision.turn = Some(9);
        let was_hers = Ticket {
            assignee_id: Some(alex()),
            ..ticket(Closed, 2)
        };
        let cases = vec![
            (None, ticket(Assigned, 1), &["ticket.assigned"][..]),
            (None, ticket(Closed, 1), &[]),
            (None, ticket(Deleted, 1), &[]),
            (Some(ticket(Assigned, 1)), busy, &[]),
            (Some(ticket(Assigned, 1)), again, &["ticket.assigned"]),
            (
                Some(ticket(Assigned, 1)),
                moved(Assigned, 2),
                &["ticket.assigned"],
            ),
            (Some(ticket(Assigned, 1)), was_hers.clone(), &[]),
            (Some(ticket(Assigned, 1)), ticket(Deleted, 2), &[]),
            (Some(was_hers), ticket(Assigned, 3), &["ticket.assigned"]),
            (
                Some(ticket(Closed, 1)),
                ticket(Waiting, 2),
                &["ticket.waiting"],
            ),
            (Some(ticket(Waiting, 1)), ticket(Waiting, 2), &[]),
            (
                Some(ticket(Waiting, 1)),
                moved(Waiting, 2),
                &["ticket.waiting"],
            ),
            (
                Some(ticket(Waiting, 1)),
                ticket(Assigned, 2),
                &["ticket.assigned"],
            ),
            (
                Some(ticket(Waiting, 1)),
                ticket(Unrouted, 2),
                &["ticket.unrouted"],
            ),
            (Some(ticket(Unrouted, 1)), ticket(Unrouted, 2), &[]),
            (
                Some(ticket(Assigned, 1)),
                ticket(Waiting, 2),
                &["ticket.unassigned", "ticket.waiting"],
            ),
        ];
        for (before, after, expected) in cases {
            let context = format!(
                "{:?} to {:?}",
                before.as_ref().map(|ticket| ticket.state),
                after.state
            );
            assert_eq!(kinds(&ticket_changed(before, after)), expected, "{context}");
        }
    }

    #[test]
    fn record_read_again_has_the_same_announcements() {
        let once = ticket_changed(None, ticket(Assigned, 1));
        assert_eq!(once, ticket_changed(None, ticket(Assigned, 1)));
    }
}
