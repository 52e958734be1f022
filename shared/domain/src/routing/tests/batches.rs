//! The transactions of a batch, and the input that it requires.

use super::*;

proptest! {
    #[test]
    fn batch_ends_as_its_tickets_one_by_one(
        team_inputs in (a_team_input(1), a_team_input(2)),
        // Tickets that name a team and tickets that name none are reconciled in batches of their
        // own.
        names_team in any::<bool>(),
        tickets in vec((1..3_u128, vec(select(TOPICS.to_vec()), 0..3), option::of(select(vec![100_u128, 101, 999]))), 1..150),
    ) {
        let mut at_once = SimulatedTable::with_teams([team_inputs.0.without_open_tickets(), team_inputs.1.without_open_tickets()]);
        let mut one_by_one = at_once.clone();
        let tasks: Vec<_> = tickets.into_iter().enumerate().map(|(n, (team, topics, assignee))| {
            let mut event = event(n, i64::try_from(n).unwrap(), names_team.then_some(team_id(team)));
            event.ticket.tags = FieldUpdate::Set(Topics::of(topics));
            event.ticket.assignee_id = assignee.map(user_id);
            TicketTask { ticket_id: ticket_id(n), trigger: Trigger::Events(vec![event]) }
        }).collect();
        at_once.commit(&tasks);
        for task in &tasks {
            one_by_one.commit(std::slice::from_ref(task));
        }
        prop_assert_eq!(&at_once.tickets, &one_by_one.tickets);
        for team in [1, 2].map(team_id) {
            let members = |table: &SimulatedTable| {
                let mut members = table.team_input(team).members.clone();
                members.sort_by_key(|member| member.user.id);
                members
            };
            prop_assert_eq!(at_once.team_input(team).load, one_by_one.team_input(team).load);
            prop_assert_eq!(members(&at_once), members(&one_by_one));
            prop_assert_eq!(&at_once.team_input(team).past_counters, &one_by_one.team_input(team).past_counters);
        }
    }
}

#[test]
fn eighty_tickets_of_one_team_are_one_transaction() {
    let table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 8)]);
    let plan = table.plan(&new_tickets(0..80, team_id(1), |_| Topics::default()));
    let [group] = &plan.groups[..] else {
        panic!("{} groups", plan.groups.len())
    };
    let [writes] = &group[..] else {
        panic!("{} transactions", group.len())
    };
    assert_eq!(
        (
            writes.tickets.len(),
            writes.members.len(),
            writes.loads.len()
        ),
        (80, 8, 1)
    );
}

#[test]
fn batch_above_100_items_is_cut_into_transactions() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 8)]);
    let plan = table.plan(&new_tickets(0..200, team_id(1), |_| Topics::default()));
    let cut: Vec<_> = plan.groups[0]
        .iter()
        .map(|writes| writes.tickets.len())
        .collect();
    assert_eq!(cut, [91, 91, 18]);
    table.commit(&new_tickets(0..200, team_id(1), |_| Topics::default()));
    assert_eq!(table.team_input(team_id(1)).load.turn, 200);
}

#[test]
fn closings_of_one_user_are_one_counter_write() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    table.commit(&new_tickets(0..10, team_id(1), |_| Topics::default()));
    let closing: Vec<_> = (0..10)
        .map(|n| {
            let mut event = event(n, 100, None);
            event.ticket.status = Some(TicketStatus::Closed);
            TicketTask {
                ticket_id: ticket_id(n),
                trigger: Trigger::Events(vec![event]),
            }
        })
        .collect();
    let plan = table.plan(&closing);
    let writes = &plan.groups[0][0];
    assert_eq!(
        (
            writes.tickets.len(),
            writes.members.len(),
            writes.loads.len()
        ),
        (10, 2, 1)
    );
    assert_eq!(
        writes.loads[&team_id(1)].turn,
        None,
        "a closing is no decision"
    );
}

#[test]
fn new_counters_require_the_load() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 1)]);
    let closed = |n: usize| {
        let mut event = event(n, 1, Some(team_id(1)));
        event.ticket.status = Some(TicketStatus::Closed);
        event.ticket.assignee_id = Some(user_id(900 + n as u128));
        TicketTask {
            ticket_id: ticket_id(n),
            trigger: Trigger::Events(vec![event]),
        }
    };
    let tasks: Vec<_> = (0..60).map(closed).collect();
    let plan = table.plan(&tasks);
    assert_eq!(
        plan.groups[0]
            .iter()
            .map(|writes| writes.loads.len())
            .collect::<Vec<_>>(),
        [1, 1]
    );
    table.commit(&tasks);
}

#[test]
fn plan_requests_counters_of_named_nonmembers() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    let named = |ticket, user| {
        let mut event = event(ticket, 1, Some(team_id(1)));
        event.ticket.assignee_id = Some(user_id(user));
        TicketTask {
            ticket_id: ticket_id(ticket),
            trigger: Trigger::Events(vec![event]),
        }
    };
    let mut input = PlanningInput::default();
    input
        .teams
        .insert(team_id(1), table.input.teams[&team_id(1)].clone());
    assert!(
        plan(&[named(0, 100)], &BTreeMap::new(), &input, NOW).is_ok(),
        "a member is input"
    );
    let missing = plan(
        &[named(0, 100), named(1, 999)],
        &BTreeMap::new(),
        &input,
        NOW,
    )
    .unwrap_err();
    assert_eq!(
        missing,
        MissingInput {
            past_counters: [(team_id(1), user_id(999))].into(),
            ..MissingInput::default()
        }
    );
    // Both tickets of the batch count in one new item.
    let plan = table.plan(&[named(0, 999), named(1, 999)]);
    let writes = &plan.groups[0][0];
    let write = &writes.members[&(team_id(1), user_id(999))];
    assert_eq!((write.delta.open, write.items()), (2, 2));
    assert_eq!(writes.items(), 2 + 1 + 2);
    table.commit(&[named(0, 999), named(1, 999)]);
}

#[test]
fn plan_without_a_team_match_requests_one() {
    let mut event = event(0, 1, None);
    event.ticket.tags = FieldUpdate::Set(Topics::of(["VPN "]));
    let tasks = [TicketTask {
        ticket_id: ticket_id(0),
        trigger: Trigger::Events(vec![event]),
    }];
    let missing = plan(&tasks, &BTreeMap::new(), &PlanningInput::default(), NOW).unwrap_err();
    let wanted = UnmatchedTicket {
        ticket_id: ticket_id(0),
        topics: Topics::of(["vpn"]),
        rejected: None,
    };
    assert_eq!(
        missing,
        MissingInput {
            unmatched_tickets: vec![wanted],
            ..MissingInput::default()
        }
    );
}

#[test]
fn event_of_closed_ticket_requires_its_credited_team() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    table.send_event(1, |_| {});
    table.send_event(2, |event| {
        event.ticket.status = Some(TicketStatus::Resolved);
    });
    for (kind, status) in [
        (TicketEventKind::Deleted, None),
        (TicketEventKind::Snapshot, Some(TicketStatus::Cancelled)),
        (TicketEventKind::Snapshot, Some(TicketStatus::Open)),
    ] {
        let mut event = event(0, 3, None);
        (event.kind, event.ticket.status) = (kind, status);
        let tasks = [TicketTask {
            ticket_id: ticket_id(0),
            trigger: Trigger::Events(vec![event]),
        }];
        let missing = plan(&tasks, &table.tickets, &PlanningInput::default(), NOW).unwrap_err();
        assert_eq!(
            missing,
            MissingInput {
                teams: [team_id(1)].into(),
                ..MissingInput::default()
            }
        );
    }
}
