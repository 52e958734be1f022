//! The JSON of an event: a ticket in the fields of either platform, in the format of `CloudEvents`.

use muster_domain::{Contract, OrganizationId, Priority, TeamId, TicketStatus, Timestamp, UserId};
use serde::Serialize;
use uuid::Uuid;

use super::{
    catalog::Topic,
    lifecycle::{EventKind, Snapshot, TicketLifecycle},
};

/// A ticket event in the format of `CloudEvents` 1.0. The order of its fields in JSON is fixed.
#[derive(Debug, Clone, Serialize)]
pub struct ScenarioEvent {
    specversion: &'static str,
    id: String,
    source: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    datacontenttype: &'static str,
    data: EventData,
}

#[derive(Debug, Clone, Serialize)]
struct EventData {
    organization_id: String,
    ticket: TicketPayload,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum TicketPayload {
    Toptickets(TopticketsTicket),
    Itsm(ItsmTicket),
}

#[derive(Debug, Clone, Serialize)]
struct TopticketsTicket {
    id: String,
    status: &'static str,
    priority: &'static str,
    category: &'static str,
    subcategory: &'static str,
    tags: &'static [&'static str],
    team_id: Option<String>,
    assignee_id: Option<String>,
    created_at: String,
    updated_at: String,
    resolved_at: Option<String>,
    due_at: String,
}

#[derive(Debug, Clone, Serialize)]
struct ItsmTicket {
    id: String,
    status: &'static str,
    priority: &'static str,
    category: &'static str,
    subcategory: &'static str,
    tags: &'static [&'static str],
    assigned_team_id: Option<String>,
    assigned_user_id: Option<String>,
    created_at: i64,
    updated_at: i64,
    resolved_at: Option<i64>,
    due_date: i64,
}

impl ScenarioEvent {
    /// Returns the platform's event for a change of a ticket. `step` is the index of the change;
    /// the creation has 0.
    pub(super) fn new(
        organization: &OrganizationId,
        ticket_id: Uuid,
        lifecycle: &TicketLifecycle,
        step: usize,
    ) -> Self {
        let snapshot = &lifecycle.snapshots[step];
        let (source, ticket) = match lifecycle.contract {
            Contract::Toptickets => (
                "/toptickets/tickets",
                TicketPayload::Toptickets(TopticketsTicket::new(ticket_id, lifecycle, snapshot)),
            ),
            Contract::Itsm => (
                "/itsm/tickets",
                TicketPayload::Itsm(ItsmTicket::new(ticket_id, lifecycle, snapshot)),
            ),
        };
        Self {
            specversion: "1.0",
            id: format!("{ticket_id}.{}", step + 1),
            source,
            kind: match snapshot.kind {
                EventKind::Created => "ticket.created",
                EventKind::Updated => "ticket.updated",
                EventKind::Unassigned => "ticket.unassigned",
                EventKind::Deleted => "ticket.deleted",
            },
            time: snapshot.updated_at.iso8601(),
            datacontenttype: "application/json",
            data: EventData {
                organization_id: organization.as_str().to_owned(),
                ticket,
            },
        }
    }
}

impl TopticketsTicket {
    fn new(id: Uuid, lifecycle: &TicketLifecycle, snapshot: &Snapshot) -> Self {
        let TicketLifecycle {
            contract: _,
            topic,
            priority,
            created_at,
            due_at,
            snapshots: _,
        } = lifecycle;
        let Topic {
            category,
            subcategory,
            tags,
        } = topic;
        let Snapshot {
            kind: _,
            status,
            team,
            assignee,
            resolved_at,
            updated_at,
        } = snapshot;
        Self {
            id: id.to_string(),
            status: match status {
                // TopTickets has one status for new and reopened tickets.
                TicketStatus::New => "open",
                other => other.as_str(),
            },
            priority: match priority {
                Priority::Critical => "urgent",
                other => other.as_str(),
            },
            category,
            subcategory,
            tags,
            team_id: team.map(|team| team.uuid().to_string()),
            assignee_id: assignee.map(|user| user.uuid().to_string()),
            created_at: created_at.iso8601(),
            updated_at: updated_at.iso8601(),
            resolved_at: resolved_at.map(Timestamp::iso8601),
            due_at: due_at.iso8601(),
        }
    }
}

impl ItsmTicket {
    fn new(id: Uuid, lifecycle: &TicketLifecycle, snapshot: &Snapshot) -> Self {
        let TicketLifecycle {
            contract: _,
            topic,
            priority,
            created_at,
            due_at,
            snapshots: _,
        } = lifecycle;
        let Topic {
            category,
            subcategory,
            tags,
        } = topic;
        let Snapshot {
            kind: _,
            status,
            team,
            assignee,
            resolved_at,
            updated_at,
        } = snapshot;
        Self {
            id: id.to_string(),
            status: status.as_str(),
            priority: priority.as_str(),
            category,
            subcategory,
            tags,
            assigned_team_id: team.map(|team| format!("{}{}", TeamId::PREFIX, team.uuid())),
            assigned_user_id: assignee.map(|user| format!("{}{}", UserId::PREFIX, user.uuid())),
            created_at: created_at.secs(),
            updated_at: updated_at.secs(),
            resolved_at: resolved_at.map(Timestamp::secs),
            due_date: due_at.secs(),
        }
    }
}
