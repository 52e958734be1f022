//! The team of a ticket: named, moved or matched.

use super::*;

#[test]
fn move_to_existing_team_routes_there() {
    let mut other = TeamInput::new(
        team(2, QueueStrategy::RoundRobin, &[]),
        Load::default(),
        vec![member(200, &[], 0)],
    );
    other.load.turn = 4;
    let mut table =
        SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 1), other]);
    table.send_event(1, |_| {});
    let stays = table.send_event(2, |event| event.ticket.team_id = Some(team_id(9)));
    assert_eq!(
        (stays.team_id, stays.assignee_id),
        (Some(team_id(1)), Some(user_id(100)))
    );
    let moved = table.send_event(3, |event| event.ticket.team_id = Some(team_id(2)));
    assert_eq!(
        (moved.team_id, moved.assignee_id),
        (Some(team_id(2)), Some(user_id(200)))
    );
    assert_eq!(moved.decision.turn, Some(5));
}

#[test]
fn ticket_without_team_goes_to_best_matching_team() {
    let team_input = |n, specializations: &[&str], people: u128, open| {
        let members = (0..people).map(|at| member(n * 10 + at, &[], 0)).collect();
        let load = Load {
            open_tickets: open,
            ..Load::default()
        };
        TeamInput::new(
            team(n, QueueStrategy::RoundRobin, specializations),
            load,
            members,
        )
    };
    let routed = |team_inputs: Vec<TeamInput>| {
        let table = SimulatedTable::with_teams(team_inputs);
        let mut event = event(0, 1, None);
        event.ticket.tags = FieldUpdate::Set(Topics::of(["VPN", "dns"]));
        let plan = table.plan(&[TicketTask {
            ticket_id: ticket_id(0),
            trigger: Trigger::Events(vec![event]),
        }]);
        plan.groups[0][0].tickets[0].1.clone()
    };
    let to = |team_inputs: Vec<TeamInput>| routed(team_inputs).team_id;
    assert_eq!(
        to(vec![
            team_input(1, &["vpn"], 1, 0),
            team_input(2, &["VPN", "DNS"], 1, 50)
        ]),
        Some(team_id(2)),
        "most matches"
    );
    assert_eq!(
        to(vec![
            team_input(1, &["vpn", "dns"], 0, 0),
            team_input(2, &["vpn"], 1, 50)
        ]),
        Some(team_id(2)),
        "nobody is last"
    );
    assert_eq!(
        to(vec![
            team_input(1, &["vpn"], 2, 9),
            team_input(2, &["vpn"], 3, 9)
        ]),
        Some(team_id(2)),
        "fewest for each"
    );
    assert_eq!(
        to(vec![
            team_input(2, &["vpn"], 1, 9),
            team_input(1, &["vpn"], 1, 9)
        ]),
        Some(team_id(1)),
        "the oldest"
    );
    assert_eq!(
        to(vec![team_input(1, &["vpn"], 0, 0)]),
        Some(team_id(1)),
        "it waits with the only one that knows"
    );
    let unrouted = routed(vec![team_input(1, &["printer"], 1, 0)]);
    assert_eq!(
        (unrouted.state, unrouted.decision.reason),
        (TicketState::Unrouted, Reason::NoTeamMatches)
    );
}
