//! Ticket events of a platform, parsed.

use std::sync::Arc;

use super::{
    EventVersion, FieldUpdate, Folded, OrganizationId, Priority, TeamId, TicketId, TicketStatus,
    Timestamp, Topics, UserId,
};

/// The kind of a ticket event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketEventKind {
    /// The ticket was created or changed: the snapshot describes it.
    Snapshot,
    /// The ticket was taken from its assignee, and needs another one.
    Unassigned,
    /// The ticket was deleted, permanently.
    Deleted,
}

/// An event about one ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketEvent {
    /// The organization of the ticket.
    pub organization_id: OrganizationId,
    /// The kind of the event.
    pub kind: TicketEventKind,
    /// The version, which orders the events of a ticket.
    pub version: Arc<EventVersion>,
    /// The ticket at this version.
    pub ticket: TicketSnapshot,
}

/// A ticket as its platform describes it at the version of the event.
///
/// An absent field keeps its value, and `null` clears a field. For `status`, `created_at`, the team
/// and the assignee, `null` is the same as absent: `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketSnapshot {
    /// The ticket.
    pub id: TicketId,
    /// The status.
    pub status: Option<TicketStatus>,
    /// The priority. Clearing sets it to medium.
    pub priority: FieldUpdate<Priority>,
    /// The category, folded.
    pub category: FieldUpdate<Folded>,
    /// The subcategory, folded.
    pub subcategory: FieldUpdate<Folded>,
    /// The tags, folded.
    pub tags: FieldUpdate<Topics>,
    /// The team.
    pub team_id: Option<TeamId>,
    /// The assignee.
    pub assignee_id: Option<UserId>,
    /// The time of creation.
    pub created_at: Option<Timestamp>,
    /// The time of resolution.
    pub resolved_at: FieldUpdate<Timestamp>,
    /// The time by which the ticket has to be resolved.
    pub due_at: FieldUpdate<Timestamp>,
}

impl TicketSnapshot {
    /// Returns a snapshot that mentions no field but the id.
    #[must_use]
    pub fn empty(id: TicketId) -> Self {
        Self {
            id,
            status: None,
            priority: FieldUpdate::Absent,
            category: FieldUpdate::Absent,
            subcategory: FieldUpdate::Absent,
            tags: FieldUpdate::Absent,
            team_id: None,
            assignee_id: None,
            created_at: None,
            resolved_at: FieldUpdate::Absent,
            due_at: FieldUpdate::Absent,
        }
    }
}
