//! Events that arrive late, and the versions of fields.

use super::*;

#[test]
fn older_event_sets_only_unmentioned_fields() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    table.send_event(5, |event| event.ticket.team_id = None);
    let ticket = table.send_event(3, |event| event.ticket.status = Some(TicketStatus::OnHold));
    assert_eq!(
        (ticket.team_id, ticket.status),
        (Some(team_id(1)), TicketStatus::New)
    );
    assert_eq!(ticket.state, TicketState::Assigned);
    assert_eq!(
        ticket.versions.newest().unwrap().at,
        Timestamp::from_secs(1_736_000_005)
    );
}

#[test]
fn removed_assignee_does_not_return_with_older_event() {
    let other = TeamInput::new(
        team(2, QueueStrategy::RoundRobin, &[]),
        Load::default(),
        vec![member(200, &[], 0)],
    );
    let mut table =
        SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 1), other]);
    assert_eq!(table.send_event(1, |_| {}).assignee_id, Some(user_id(100)));
    team_input_mut(&mut table.input, team_id(1))
        .member_mut(user_id(100))
        .unwrap()
        .user
        .status = UserStatus::Inactive;
    let unassigned = table.send_event(5, |event| {
        event.kind = TicketEventKind::Unassigned;
        event.ticket.team_id = None;
    });
    assert_eq!(unassigned.state, TicketState::Waiting);
    assert_eq!(
        table
            .send_event(3, |event| event.ticket.team_id = Some(team_id(2)))
            .assignee_id,
        Some(user_id(200))
    );
    let stays = table.send_event(4, |event| {
        event.ticket.team_id = None;
        event.ticket.assignee_id = Some(user_id(100));
    });
    assert_eq!(
        (stays.team_id, stays.assignee_id),
        (Some(team_id(2)), Some(user_id(200)))
    );
}

#[test]
fn waiting_ticket_accepts_assignee_of_older_event() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 0)]);
    assert_eq!(table.send_event(5, |_| {}).state, TicketState::Waiting);
    assert_eq!(
        table
            .send_event(3, |event| event.ticket.assignee_id = Some(user_id(100)))
            .assignee_id,
        Some(user_id(100))
    );

    // A member that was selected since stays: the decision is newer than the snapshot.
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 1)]);
    team_input_mut(&mut table.input, team_id(1))
        .member_mut(user_id(100))
        .unwrap()
        .user
        .status = UserStatus::Inactive;
    assert_eq!(table.send_event(5, |_| {}).state, TicketState::Waiting);
    team_input_mut(&mut table.input, team_id(1))
        .member_mut(user_id(100))
        .unwrap()
        .user
        .status = UserStatus::Active;
    table.commit(&[TicketTask {
        ticket_id: ticket_id(0),
        trigger: Trigger::Waiting,
    }]);
    assert_eq!(
        table
            .send_event(3, |event| event.ticket.assignee_id = Some(user_id(200)))
            .assignee_id,
        Some(user_id(100))
    );
}

#[test]
fn unassigned_without_fields_leaves_them_to_older_event() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    table.send_event(5, |event| {
        event.kind = TicketEventKind::Unassigned;
        event.ticket.status = None;
    });
    let told = table.send_event(3, |event| {
        event.ticket.status = Some(TicketStatus::OnHold);
        event.ticket.priority = FieldUpdate::Set(Priority::High);
    });
    assert_eq!(
        (told.status, told.priority),
        (TicketStatus::OnHold, Priority::High)
    );
    let older = table.send_event(2, |event| event.ticket.status = Some(TicketStatus::Closed));
    assert_eq!(older.status, TicketStatus::OnHold);
}

#[test]
fn deletion_is_final_for_newer_events() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    table.send_event(1, |event| event.kind = TicketEventKind::Deleted);
    assert_eq!(table.send_event(2, |_| {}).state, TicketState::Deleted);
}
