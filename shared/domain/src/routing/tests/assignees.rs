//! Assignees that an event names or removes.

use super::*;

#[test]
fn reassignment_by_event_takes_no_turn() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 3)]);
    assert_eq!(table.send_event(1, |_| {}).assignee_id, Some(user_id(100)));
    let adopted = table.send_event(2, |event| event.ticket.assignee_id = Some(user_id(102)));
    assert_eq!(
        (adopted.assignee_id, adopted.decision.reason),
        (Some(user_id(102)), Reason::Adopted)
    );
    let team_input = table.team_input(team_id(1));
    assert_eq!(team_input.load.turn, 1);
    assert_eq!(team_input.member(user_id(102)).unwrap().last_turn, 0);
}

#[test]
fn echo_of_the_selected_assignee_keeps_the_decision() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 3)]);
    let ours = table.send_event(1, |_| {});
    let echoed = table.send_event(2, |event| event.ticket.assignee_id = ours.assignee_id);
    assert_eq!(
        (echoed.decision, echoed.assignee_id),
        (ours.decision, ours.assignee_id)
    );
}

#[test]
fn assignee_from_outside_gets_a_placeholder() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 1)]);
    table.send_event(1, |event| event.ticket.assignee_id = Some(user_id(999)));
    let team_input = table.team_input(team_id(1));
    assert_eq!(team_input.member(user_id(999)), None);
    assert_eq!(
        team_input.past(user_id(999)),
        Some(&PastCounters {
            open_tickets: 1,
            ..PastCounters::placeholder(user_id(999), 0)
        })
    );
    assert_eq!(team_input.load.open_tickets, 1);
}

#[test]
fn former_member_keeps_counting_and_returns_with_counters() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    assert_eq!(table.send_event(1, |_| {}).assignee_id, Some(user_id(100)));
    team_input_mut(&mut table.input, team_id(1)).toggle_membership(user_id(100));
    let past = |table: &SimulatedTable| table.team_input(team_id(1)).past(user_id(100)).cloned();
    let left = past(&table).unwrap();
    assert_eq!((left.open_tickets, left.last_turn, left.rev), (1, 1, 2));
    table.send_event(2, |event| {
        event.ticket.status = Some(TicketStatus::Resolved);
    });
    assert_eq!(
        past(&table).map(|past| (past.open_tickets, past.resolved.tickets)),
        Some((0, 1))
    );
    team_input_mut(&mut table.input, team_id(1)).toggle_membership(user_id(100));
    let member = &table.team_input(team_id(1)).member(user_id(100)).unwrap();
    assert_eq!(
        (member.last_turn, member.resolved.tickets, member.rev),
        (1, 1, 3)
    );
}

#[test]
fn unassigned_ticket_avoids_its_previous_assignee() {
    for (people, expected) in [(2, 101), (1, 100)] {
        let mut table =
            SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, people)]);
        assert_eq!(table.send_event(1, |_| {}).assignee_id, Some(user_id(100)));
        let again = table.send_event(2, |event| event.kind = TicketEventKind::Unassigned);
        assert_eq!(again.assignee_id, Some(user_id(expected)));
        assert_eq!(table.team_input(team_id(1)).load.turn, 2);
    }
}

#[test]
fn ticket_without_team_keeps_assignee_on_joining_one() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    let theirs = table.send_event(1, |event| {
        event.ticket.team_id = None;
        event.ticket.assignee_id = Some(user_id(101));
    });
    assert_eq!(
        (theirs.state, theirs.team_id),
        (TicketState::Assigned, None)
    );
    let ours = table.send_event(2, |_| {});
    assert_eq!(
        (ours.team_id, ours.assignee_id),
        (Some(team_id(1)), Some(user_id(101)))
    );
}

#[test]
fn late_move_keeps_assignee_named_by_newer_reopening() {
    let mut inactive = member(100, &[], 0);
    inactive.user.status = UserStatus::Inactive;
    let teams = [
        TeamInput::new(
            team(1, QueueStrategy::RoundRobin, &[]),
            Load::default(),
            vec![inactive],
        ),
        TeamInput::new(
            team(2, QueueStrategy::RoundRobin, &[]),
            Load::default(),
            vec![member(100, &[], 0)],
        ),
    ];
    let snapshot = |status, team: u128| {
        move |event: &mut TicketEvent| {
            event.ticket.status = Some(status);
            event.ticket.team_id = Some(team_id(team));
            event.ticket.assignee_id = Some(user_id(100));
        }
    };
    let close = (1, snapshot(TicketStatus::Resolved, 2));
    let move_team = (2, snapshot(TicketStatus::Open, 1));
    // The team does not exist, so the field keeps the version of the close.
    let reopen = (3, snapshot(TicketStatus::Open, 3));
    for order in [[close, move_team, reopen], [close, reopen, move_team]] {
        let mut table = SimulatedTable::with_teams(teams.clone());
        for (at, change) in order {
            table.send_event(at, change);
        }
        let ticket = &table.tickets[&ticket_id(0)];
        assert_eq!(
            (ticket.state, ticket.team_id, ticket.assignee_id),
            (TicketState::Assigned, Some(team_id(1)), Some(user_id(100))),
            "{:?}",
            order.map(|(at, _)| at)
        );
    }
}
