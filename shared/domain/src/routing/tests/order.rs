//! Snapshots lead to the same ticket in any order and in any batches.

use super::*;

/// The teams that exist; tickets may name [`MISSING`] as well.
const TEAMS: [u128; 2] = [1, 2];
const MISSING: u128 = 3;

prop_compose! {
    /// A snapshot that names every field. A resolved or closed one has a resolution time.
    fn full_snapshot()(
        (at, time) in (0..5_i64, option::of(0..3_i64)),
        status in select(TicketStatus::ALL.to_vec()),
        priority in select(Priority::ALL.to_vec()),
        category in option::of(select(TOPICS.to_vec())),
        tags in vec(select(TOPICS.to_vec()), 0..3),
        (created, resolved, due) in (0..3_i64, 0..40_i64, option::of(0..40_i64)),
        team in 1..=MISSING,
        assignee in select(vec![100_u128, 101, 102, 999]),
    ) -> TicketEvent {
        let mut event = event(0, at, Some(team_id(team)));
        Arc::make_mut(&mut event.version).time = time.map(|time| Timestamp::from_secs(1_736_000_000 + time));
        event.ticket = TicketSnapshot {
            status: Some(status),
            priority: FieldUpdate::Set(priority),
            category: category.map_or(FieldUpdate::Cleared, |category| FieldUpdate::Set(Folded::of(category))),
            subcategory: FieldUpdate::Cleared,
            tags: FieldUpdate::Set(Topics::of(tags)),
            assignee_id: Some(user_id(assignee)),
            created_at: Some(Timestamp::from_secs(1_736_000_000 + created)),
            resolved_at: update(status.is_resolved().then_some(resolved)),
            due_at: update(due),
            ..event.ticket
        };
        event
    }
}

impl SimulatedTable {
    /// Commits a batch of events of ticket 0, in any order.
    fn send_batch(&mut self, mut events: Vec<TicketEvent>) {
        if !events.is_empty() {
            events.sort_by(|a, b| a.version.cmp(&b.version));
            self.commit(&[TicketTask {
                ticket_id: ticket_id(0),
                trigger: Trigger::Events(events),
            }]);
        }
    }
}

/// Returns the facts that do not depend on Muster's own decisions: the reported fields, the credit,
/// the named team and assignee, and the SLA counters of the teams.
fn outcome(table: &SimulatedTable) -> impl PartialEq + std::fmt::Debug + use<> {
    let ticket = &table.tickets[&ticket_id(0)];
    let sla = TEAMS.map(|team| {
        let Load {
            sla_met, sla_due, ..
        } = table.team_input(team_id(team)).load;
        (sla_met, sla_due)
    });
    (
        (
            ticket.status,
            ticket.priority,
            ticket.topics().into_iter().cloned().collect::<Topics>(),
        ),
        (ticket.created_at, ticket.resolved_at, ticket.due_at),
        (ticket.credit(), sla),
        (ticket.team_id, ticket.assignee_id),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn full_snapshots_in_any_order_lead_to_one_outcome(
        team_inputs in (a_team_input(1), a_team_input(2)),
        events in vec(full_snapshot(), 1..6),
        order in vec((any::<prop::sample::Index>(), any::<bool>()), 0..12),
    ) {
        let mut in_order = SimulatedTable::with_teams([team_inputs.0.without_open_tickets(), team_inputs.1.without_open_tickets()]);
        let mut shuffled = in_order.clone();
        let mut events = events;
        for (n, event) in events.iter_mut().enumerate() {
            // Ids of events are random, and unique.
            Arc::make_mut(&mut event.version).event_id = format!("e{}", (n * 7 + 3) % 11);
        }
        events.sort_by(|a, b| a.version.cmp(&b.version));
        for event in &events {
            in_order.send_batch(vec![event.clone()]);
        }
        let mut batch: Vec<TicketEvent> = Vec::new();
        let cut_at_random = order.into_iter().map(|(index, cut)| (index.get(&events), cut));
        for (event, cut) in cut_at_random.chain(events.iter().rev().map(|event| (event, false))) {
            batch.push(event.clone());
            if cut {
                shuffled.send_batch(std::mem::take(&mut batch));
            }
        }
        shuffled.send_batch(batch);
        prop_assert_eq!(outcome(&shuffled), outcome(&in_order), "{:?}", events);
    }
}
