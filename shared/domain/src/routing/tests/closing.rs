//! Closed and reopened tickets, and the credit.

use super::*;

#[test]
fn reopened_ticket_returns_to_eligible_assignee() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    let first = table.send_event(1, |_| {}).assignee_id;
    let close = |event: &mut TicketEvent| {
        event.ticket.status = Some(TicketStatus::Resolved);
        event.ticket.due_at = FieldUpdate::Set(event.version.at);
    };
    assert_eq!(
        table.send_event(3, close).credit().unwrap().in_time,
        Some(true),
        "the due moment itself is in time"
    );
    let reopened = table.send_event(4, |_| {});
    assert_eq!(
        (reopened.assignee_id, reopened.decision.reason),
        (first, Reason::Reopened)
    );
    assert_eq!(
        table.team_input(team_id(1)).load,
        Load {
            turn: 1,
            open_tickets: 1,
            ..Load::default()
        }
    );

    table.send_event(5, close);
    team_input_mut(&mut table.input, team_id(1))
        .member_mut(user_id(100))
        .unwrap()
        .user
        .status = UserStatus::Suspended;
    assert_eq!(table.send_event(6, |_| {}).assignee_id, Some(user_id(101)));
}

#[test]
fn credit_counts_first_close_and_ends_if_cancelled() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 1)]);
    table.send_event(1, |event| {
        event.ticket.created_at = Some(Timestamp::from_secs(1_736_000_000));
    });
    let with = |status, resolved_at: Option<i64>| {
        move |event: &mut TicketEvent| {
            event.ticket.status = Some(status);
            event.ticket.resolved_at =
                resolved_at.map_or(FieldUpdate::Absent, |at| update(Some(at)));
        }
    };
    assert_eq!(
        table
            .send_event(9, with(TicketStatus::Resolved, Some(7)))
            .credit()
            .unwrap()
            .resolution_ms,
        7000
    );
    assert_eq!(
        table
            .send_event(20, with(TicketStatus::Closed, None))
            .credit()
            .unwrap()
            .resolution_ms,
        7000
    );
    assert_eq!(
        table
            .send_event(21, with(TicketStatus::Cancelled, None))
            .credit(),
        None
    );
}

#[test]
fn credit_is_equal_for_batched_and_single_closings() {
    let closings = [
        (9, TicketStatus::Resolved),
        (20, TicketStatus::Closed),
        (30, TicketStatus::Open),
    ];
    for closings in [
        &closings[..2],
        &[closings[0], closings[2], (40, TicketStatus::Resolved)],
    ] {
        let events = |(at, status)| {
            let mut event = event(0, at, None);
            event.ticket.status = Some(status);
            event
        };
        let events: Vec<_> = closings.iter().copied().map(events).collect();
        let settled = |batches: Vec<Vec<TicketEvent>>| {
            let mut table =
                SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 1)]);
            table.send_event(1, |_| {});
            for events in batches {
                table.commit(&[TicketTask {
                    ticket_id: ticket_id(0),
                    trigger: Trigger::Events(events),
                }]);
            }
            table.tickets[&ticket_id(0)].credit()
        };
        let one_by_one = settled(events.iter().map(|event| vec![event.clone()]).collect());
        assert!(one_by_one.is_some());
        assert_eq!(settled(vec![events]), one_by_one);
    }
}

#[test]
fn ticket_reopened_after_team_deletion_has_no_team() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    table.send_event(1, |_| {});
    table.send_event(2, |event| event.ticket.status = Some(TicketStatus::Closed));
    table.delete_team(team_id(1));
    let reopened = table.send_event(3, |event| event.ticket.assignee_id = Some(user_id(101)));
    assert_eq!(
        (reopened.state, reopened.team_id),
        (TicketState::Assigned, None)
    );
}
