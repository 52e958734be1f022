//! Waiting until the events that were sent are processed.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};

use muster_domain::{
    EventVersion, OrganizationId, Ticket, TicketEvent, TicketEventKind, TicketId, TicketSnapshot,
    TicketState,
};
use muster_service::store::{Error, Table};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{checked::CheckedEvent, rejected::RejectedEvents};
use crate::commands::CALL_TIMEOUT;

/// The maximum number of tickets of one round of reads, which takes about one read unit for each.
const TICKETS_PER_ROUND: usize = 500;

/// The pause after a round in which a ticket was done, and the longest pause.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// The time without progress after which the dead-letter queue is read.
const STALLED: Duration = Duration::from_secs(2);

/// A ticket, and the version that it has once its events are processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub organization: OrganizationId,
    pub ticket: TicketId,
    /// The newest version that an event leaves in the ticket. `None` if no event leaves one.
    version: Option<Arc<EventVersion>>,
}

/// Returns the tickets of these events, in the order of their first events.
pub(super) fn targets(events: &[CheckedEvent]) -> VecDeque<Target> {
    let mut positions = HashMap::new();
    let mut targets: Vec<Target> = Vec::new();
    for CheckedEvent { event, .. } in events {
        let ticket = &event.ticket.id;
        let position = *positions
            .entry((&event.organization_id, ticket))
            .or_insert(targets.len());
        if position == targets.len() {
            targets.push(Target {
                organization: event.organization_id.clone(),
                ticket: ticket.clone(),
                version: None,
            });
        }
        if leaves_version(event) {
            let version = &mut targets[position].version;
            *version = version.take().max(Some(Arc::clone(&event.version)));
        }
    }
    targets.into()
}

/// Returns whether the ticket has at least the version of this event after it is processed. An
/// event without fields leaves no version, and neither does one that only names a team, because the
/// team may not exist.
fn leaves_version(event: &TicketEvent) -> bool {
    let only_team = TicketSnapshot {
        team_id: event.ticket.team_id,
        ..TicketSnapshot::empty(event.ticket.id.clone())
    };
    event.kind != TicketEventKind::Snapshot || event.ticket != only_team
}

impl Target {
    /// Returns whether the events of the ticket are processed. A deleted ticket ignores all events.
    fn is_reached(&self, ticket: &Ticket) -> bool {
        let has_version = self
            .version
            .as_ref()
            .is_none_or(|version| ticket.versions.newest() >= Some(version));
        has_version || ticket.state == TicketState::Deleted
    }
}

/// The result of a wait.
#[derive(Debug, Default)]
pub(super) struct Waited {
    /// The tickets whose events are processed.
    pub tickets: Vec<(OrganizationId, Ticket)>,
    /// The other tickets that have a dead letter, with its reason.
    pub rejected: Vec<(Target, String)>,
    /// The tickets whose events are not processed.
    pub pending: Vec<Target>,
    /// The time that the wait took.
    pub took: Duration,
}

/// Reads the tickets until each has reached the version of its last event or has a dead letter, the
/// time is over, or the user interrupts.
///
/// A round reads up to 500 tickets in parallel, one call for each 99 of an organization. Pauses
/// grow from 100 milliseconds to 2 seconds while no ticket is done.
///
/// # Errors
/// The table fails.
pub(super) async fn wait(
    table: &Table,
    targets: VecDeque<Target>,
    rejected: &mut RejectedEvents,
    timeout: Duration,
    interrupt: &mut JoinHandle<io::Result<()>>,
) -> Result<Waited, Error> {
    let began = Instant::now();
    let mut pending = targets;
    let mut waited = Waited::default();
    let (mut pause, mut last_progress) = (PAUSES[0], began);
    loop {
        let before = waited.tickets.len();
        read_round(table, &mut pending, &mut waited.tickets).await?;
        if waited.tickets.len() > before {
            (pause, last_progress) = (PAUSES[0], Instant::now());
        }
        let is_over = began.elapsed() >= timeout;
        if !pending.is_empty() && (is_over || last_progress.elapsed() >= STALLED) {
            rejected.read().await;
            last_progress = Instant::now();
        }
        let is_open = |target: &Target| rejected.reason(target).is_none();
        if is_over || !pending.iter().any(is_open) {
            break;
        }
        tokio::select! {
            biased;
            _ = &mut *interrupt => break,
            () = sleep(pause.min(timeout.saturating_sub(began.elapsed()))) => {}
        }
        pause = PAUSES[1].min(pause * 3 / 2);
    }
    for target in pending {
        match rejected.reason(&target) {
            Some(reason) => waited.rejected.push((target, reason.to_owned())),
            None => waited.pending.push(target),
        }
    }
    waited.took = began.elapsed();
    Ok(waited)
}

/// Reads the first tickets. Those that are done move to `done`, the others to the end of `pending`.
async fn read_round(
    table: &Table,
    pending: &mut VecDeque<Target>,
    done: &mut Vec<(OrganizationId, Ticket)>,
) -> Result<(), Error> {
    let round = pending.len().min(TICKETS_PER_ROUND);
    let mut organizations: BTreeMap<OrganizationId, Vec<Target>> = BTreeMap::new();
    for target in pending.drain(..round) {
        let of_organization = organizations.entry(target.organization.clone());
        of_organization.or_default().push(target);
    }
    let store = table.until(Instant::now() + CALL_TIMEOUT);
    for (organization, targets) in organizations {
        let ids = targets.iter().map(|target| &target.ticket);
        let mut read = store.tickets(&organization, ids).await?;
        for target in targets {
            match read.by_id.remove(&target.ticket) {
                Some(ticket) if target.is_reached(&ticket) => {
                    done.push((organization.clone(), ticket));
                }
                Some(_) | None => pending.push_back(target),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::checked::tests::event, *};

    #[test]
    fn target_is_the_newest_version_of_a_ticket() {
        let updated = "ticket.updated";
        let events = [
            event(
                1,
                "B",
                updated,
                "2026-03-02T09:05:00Z",
                json!({ "status": "open" }),
            ),
            event(
                2,
                "A",
                updated,
                "2026-03-02T09:00:00Z",
                json!({ "status": "open" }),
            ),
            event(
                3,
                "B",
                updated,
                "2026-03-02T09:01:00Z",
                json!({ "priority": null }),
            ),
        ];
        let found: Vec<_> = targets(&events)
            .into_iter()
            .map(|target| {
                let version = target.version.unwrap();
                (target.ticket.to_string(), version.event_id.clone())
            })
            .collect();
        let expected = [("B", "e-1"), ("A", "e-2")];
        assert_eq!(
            found,
            expected.map(|(id, event)| (id.to_owned(), event.to_owned()))
        );
    }

    #[test]
    fn event_without_own_fields_leaves_no_version() {
        let at = "2026-03-02T09:00:00Z";
        let team = json!({ "team_id": "550e8400-e29b-41d4-a716-446655440000" });
        for (kind, fields, expected) in [
            ("ticket.updated", json!({}), false),
            ("ticket.updated", team, false),
            ("ticket.updated", json!({ "category": "VPN" }), true),
            ("ticket.unassigned", json!({}), true),
            ("ticket.deleted", json!({}), true),
        ] {
            let event = event(1, "A", kind, at, fields);
            assert_eq!(leaves_version(&event.event), expected, "{}", event.body);
            assert_eq!(targets(&[event])[0].version.is_some(), expected);
        }
    }
}
