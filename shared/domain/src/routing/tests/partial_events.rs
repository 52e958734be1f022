//! Snapshots that mention some of the fields, and events that arrive late.

use super::*;

/// Returns team `n` with one member and the specialization VPN.
fn specialists(n: u128) -> TeamInput {
    TeamInput::new(
        team(n, QueueStrategy::RoundRobin, &["vpn"]),
        Load::default(),
        vec![member(n * 100, &[], 0)],
    )
}

fn seconds(at: i64) -> Timestamp {
    Timestamp::from_secs(1_736_000_000 + at)
}

/// Returns an event of ticket 0 that mentions no field.
fn empty(at: i64) -> TicketEvent {
    TicketEvent {
        ticket: TicketSnapshot::empty(ticket_id(0)),
        ..event(0, at, None)
    }
}

impl SimulatedTable {
    /// Commits an event of ticket 0 that mentions only the fields that `mention` sets. Returns
    /// the ticket, and the number of superseded events.
    fn send_partial(
        &mut self,
        at: i64,
        mention: impl FnOnce(&mut TicketSnapshot),
    ) -> (Ticket, usize) {
        let mut event = empty(at);
        mention(&mut event.ticket);
        let tasks = [TicketTask {
            ticket_id: ticket_id(0),
            trigger: Trigger::Events(vec![event]),
        }];
        let plan = self.plan(&tasks);
        let written = plan
            .groups
            .iter()
            .flatten()
            .map(|writes| writes.decisions.superseded);
        let superseded = plan.superseded + written.sum::<usize>();
        self.commit(&tasks);
        (self.tickets[&ticket_id(0)].clone(), superseded)
    }
}

fn status(status: TicketStatus) -> impl FnOnce(&mut TicketSnapshot) {
    move |ticket| ticket.status = Some(status)
}

#[test]
fn snapshot_with_status_alone_keeps_every_other_field() {
    let mut table = SimulatedTable::with_teams([specialists(1)]);
    let (before, _) = table.send_partial(1, |ticket| {
        ticket.status = Some(TicketStatus::Open);
        ticket.priority = FieldUpdate::Set(Priority::Critical);
        ticket.category = FieldUpdate::Set(Folded::of("Network"));
        ticket.subcategory = FieldUpdate::Set(Folded::of("VPN"));
        ticket.tags = FieldUpdate::Set(Topics::of(["remote"]));
        ticket.team_id = Some(team_id(1));
        ticket.created_at = Some(seconds(0));
        ticket.due_at = update(Some(9));
    });
    let (after, _) = table.send_partial(7, status(TicketStatus::Resolved));
    assert_eq!(
        (after.priority, after.topics(), after.due_at),
        (before.priority, before.topics(), Some(seconds(9)))
    );
    let credit = after.credit().unwrap();
    assert_eq!((credit.resolution_ms, credit.in_time), (7000, Some(true)));
    assert_eq!(table.team_input(team_id(1)).load.sla_met, 1);
}

#[test]
fn null_clears_a_field_and_makes_the_priority_medium() {
    let mut table = SimulatedTable::with_teams([specialists(1)]);
    table.send_partial(1, |ticket| {
        ticket.priority = FieldUpdate::Set(Priority::Low);
        ticket.category = FieldUpdate::Set(Folded::of("network"));
        ticket.subcategory = FieldUpdate::Set(Folded::of("lan"));
        ticket.tags = FieldUpdate::Set(Topics::of(["remote"]));
        ticket.due_at = update(Some(9));
        ticket.resolved_at = update(Some(8));
    });
    let (after, _) = table.send_partial(2, |ticket| {
        ticket.priority = FieldUpdate::Cleared;
        ticket.category = FieldUpdate::Cleared;
        ticket.subcategory = FieldUpdate::Cleared;
        ticket.tags = FieldUpdate::Cleared;
        ticket.due_at = FieldUpdate::Cleared;
        ticket.resolved_at = FieldUpdate::Cleared;
    });
    assert_eq!(
        (after.priority, after.topics()),
        (Priority::Medium, Vec::new())
    );
    assert_eq!((after.due_at, after.resolved_at), (None, None));
}

#[test]
fn older_event_fills_the_fields_that_no_newer_one_mentions() {
    let mut table = SimulatedTable::with_teams([specialists(1)]);
    let (resolved, _) = table.send_partial(7, status(TicketStatus::Resolved));
    assert_eq!(
        (resolved.created_at, resolved.credit().unwrap().in_time),
        (seconds(7), None)
    );
    let (filled, superseded) = table.send_partial(1, |ticket| {
        ticket.status = Some(TicketStatus::Open);
        ticket.team_id = Some(team_id(1));
        ticket.created_at = Some(seconds(0));
        ticket.due_at = update(Some(9));
    });
    assert_eq!((filled.status, superseded), (TicketStatus::Resolved, 0));
    assert_eq!(
        (
            filled.credit().unwrap().resolution_ms,
            filled.credit().unwrap().in_time
        ),
        (7000, Some(true))
    );
    assert_eq!(
        table.team_input(team_id(1)).load.sla_met,
        1,
        "the credit follows"
    );
}

#[test]
fn unrouted_ticket_whose_category_arrives_late_is_routed() {
    let mut table = SimulatedTable::with_teams([specialists(1)]);
    let (unrouted, _) = table.send_partial(2, status(TicketStatus::Open));
    assert_eq!(unrouted.state, TicketState::Unrouted);
    let (routed, _) = table.send_partial(1, |ticket| {
        ticket.status = Some(TicketStatus::New);
        ticket.category = FieldUpdate::Set(Folded::of("VPN"));
    });
    assert_eq!(
        (routed.state, routed.team_id),
        (TicketState::Assigned, Some(team_id(1)))
    );
    assert_eq!(routed.status, TicketStatus::Open);
}

#[test]
fn team_matched_by_specialization_yields_to_an_older_named_team() {
    let mut table = SimulatedTable::with_teams([specialists(1), specialists(2)]);
    let (matched, _) = table.send_partial(2, |ticket| {
        ticket.category = FieldUpdate::Set(Folded::of("vpn"));
    });
    assert_eq!(matched.team_id, Some(team_id(1)));
    let (moved, _) = table.send_partial(1, |ticket| ticket.team_id = Some(team_id(2)));
    assert_eq!(
        (moved.team_id, moved.assignee_id),
        (Some(team_id(2)), Some(user_id(200)))
    );
}

#[test]
fn unreported_creation_time_is_the_earliest_event() {
    let mut table = SimulatedTable::with_teams([specialists(1)]);
    assert_eq!(
        table
            .send_partial(5, status(TicketStatus::Open))
            .0
            .created_at,
        seconds(5)
    );
    assert_eq!(
        table
            .send_partial(3, status(TicketStatus::New))
            .0
            .created_at,
        seconds(3)
    );
    assert_eq!(
        table
            .send_partial(9, status(TicketStatus::Open))
            .0
            .created_at,
        seconds(3)
    );
    assert_eq!(
        table
            .send_partial(4, |ticket| ticket.created_at = Some(seconds(8)))
            .0
            .created_at,
        seconds(8)
    );
    assert_eq!(
        table
            .send_partial(1, status(TicketStatus::New))
            .0
            .created_at,
        seconds(8)
    );
}

#[test]
fn open_status_without_a_resolution_time_clears_it() {
    let mut table = SimulatedTable::with_teams([specialists(1)]);
    let resolve = |ticket: &mut TicketSnapshot| {
        ticket.status = Some(TicketStatus::Resolved);
        ticket.team_id = Some(team_id(1));
        ticket.created_at = Some(seconds(0));
        ticket.due_at = update(Some(5));
        ticket.resolved_at = update(Some(4));
    };
    assert_eq!(
        table
            .send_partial(4, resolve)
            .0
            .credit()
            .unwrap()
            .resolution_ms,
        4000
    );
    assert_eq!(
        table
            .send_partial(6, status(TicketStatus::Open))
            .0
            .resolved_at,
        None
    );
    let (again, _) = table.send_partial(8, status(TicketStatus::Resolved));
    assert_eq!(
        (
            again.credit().unwrap().resolution_ms,
            again.credit().unwrap().in_time
        ),
        (8000, Some(false))
    );
}

#[test]
fn credit_without_a_resolution_time_counts_the_first_close() {
    let mut table = SimulatedTable::with_teams([specialists(1)]);
    table.send_partial(0, |ticket| ticket.created_at = Some(seconds(0)));
    let resolution =
        |(ticket, _): (Ticket, usize)| ticket.credit().map(|credit| credit.resolution_ms);
    assert_eq!(
        resolution(table.send_partial(2, status(TicketStatus::Resolved))),
        Some(2000)
    );
    assert_eq!(
        resolution(table.send_partial(3, status(TicketStatus::Closed))),
        Some(2000)
    );
    assert_eq!(
        resolution(table.send_partial(4, status(TicketStatus::Cancelled))),
        None
    );
    assert_eq!(
        resolution(table.send_partial(5, status(TicketStatus::Closed))),
        Some(2000),
        "it was not open meanwhile"
    );
    assert_eq!(
        resolution(table.send_partial(9, status(TicketStatus::Resolved))),
        Some(2000)
    );
    // The reopening arrives after the close that followed it.
    assert_eq!(
        resolution(table.send_partial(8, status(TicketStatus::Open))),
        Some(9000)
    );
}

#[test]
fn superseded_event_is_counted_and_a_duplicate_is_not() {
    let mut table = SimulatedTable::with_teams([specialists(1)]);
    let mention = |ticket: &mut TicketSnapshot| {
        ticket.status = Some(TicketStatus::Open);
        ticket.team_id = Some(team_id(1));
        ticket.created_at = Some(seconds(0));
    };
    // The event at 5 stays the version of the assignee: Muster selected a member after it.
    for (at, superseded) in [(5, 0), (5, 0), (9, 0), (5, 0), (4, 1), (4, 1), (9, 0)] {
        assert_eq!(table.send_partial(at, mention).1, superseded, "at {at}");
    }
    // An event that sets one field still is not superseded.
    assert_eq!(
        table
            .send_partial(6, |ticket| (mention(ticket), ticket.due_at = update(None))
                .1)
            .1,
        0
    );
    // Neither is one that names only a team that does not exist.
    assert_eq!(
        table
            .send_partial(10, |ticket| ticket.team_id = Some(team_id(7)))
            .1,
        0
    );

    let mut deleted = empty(20);
    deleted.kind = TicketEventKind::Deleted;
    table.commit(&[TicketTask {
        ticket_id: ticket_id(0),
        trigger: Trigger::Events(vec![deleted]),
    }]);
    assert_eq!(
        table.send_partial(19, mention).1,
        1,
        "the deletion is newer"
    );
    assert_eq!(
        table.send_partial(21, mention).1,
        0,
        "the deletion is final, and older"
    );
}

#[test]
fn reopened_ticket_keeps_an_assignee_that_the_snapshot_names() {
    let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 2)]);
    let named = |status| {
        move |ticket: &mut TicketSnapshot| {
            ticket.status = Some(status);
            ticket.team_id = Some(team_id(1));
            ticket.assignee_id = Some(user_id(100));
        }
    };
    table.send_partial(1, named(TicketStatus::Closed));
    team_input_mut(&mut table.input, team_id(1))
        .member_mut(user_id(100))
        .unwrap()
        .user
        .status = UserStatus::Inactive;
    let (reopened, _) = table.send_partial(2, named(TicketStatus::Open));
    assert_eq!(
        (reopened.assignee_id, reopened.decision.reason),
        (Some(user_id(100)), Reason::Adopted)
    );
    table.send_partial(3, status(TicketStatus::Closed));
    let (routed, _) = table.send_partial(4, status(TicketStatus::Open));
    assert_eq!(
        routed.assignee_id,
        Some(user_id(101)),
        "nothing names the assignee, who is not eligible"
    );
}

#[test]
fn missing_team_counts_as_no_team_and_the_decision_says_so() {
    for gone in [true, false] {
        let mut table =
            SimulatedTable::with_teams([specialists(1), specialists(2), specialists(7)]);
        table.delete_team(team_id(7));
        let missing = team_id(if gone { 7 } else { 8 });
        let (matched, _) = table.send_partial(5, |ticket| {
            ticket.status = Some(TicketStatus::Open);
            ticket.team_id = Some(missing);
            ticket.category = FieldUpdate::Set(Folded::of("vpn"));
        });
        assert_eq!(
            (matched.state, matched.team_id),
            (TicketState::Assigned, Some(team_id(1)))
        );
        assert!(matched.decision.replaces_missing_team);
        assert_eq!(matched.versions.team, None);
        let (stays, _) = table.send_partial(6, |ticket| ticket.team_id = Some(missing));
        assert_eq!(
            (stays.team_id, stays.decision),
            (Some(team_id(1)), matched.decision)
        );
        let (moved, _) = table.send_partial(4, |ticket| ticket.team_id = Some(team_id(2)));
        assert_eq!(
            moved.team_id,
            Some(team_id(2)),
            "an older event that names an existing team counts"
        );
        assert!(!moved.decision.replaces_missing_team);
    }
}

#[test]
fn missing_team_is_the_reason_until_a_team_matches() {
    let mut table = SimulatedTable::with_teams([specialists(1)]);
    let (unrouted, _) = table.send_partial(1, |ticket| ticket.team_id = Some(team_id(8)));
    assert_eq!(
        (unrouted.state, unrouted.decision.reason),
        (TicketState::Unrouted, Reason::TeamMissing)
    );
    let (still, _) = table.send_partial(2, status(TicketStatus::InProgress));
    assert_eq!(
        still.decision.reason,
        Reason::TeamMissing,
        "an absent team is unchanged"
    );
    let (matched, _) = table.send_partial(3, |ticket| {
        ticket.tags = FieldUpdate::Set(Topics::of(["VPN"]));
    });
    assert_eq!(matched.team_id, Some(team_id(1)));
    assert!(matched.decision.replaces_missing_team);
}
