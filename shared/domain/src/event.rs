//! What a platform says happened, parsed.

use super::{
    EventVersion, FieldUpdate, Folded, OrganizationId, Priority, TeamId, TicketId, TicketStatus,
    Timestamp, Topics, UserId,
};

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketEventKind {
    /// The ticket was created or changed: the snapshot is what it is now.
    Snapshot,
    /// It was taken from its assignee, and wants another.
    Unassigned,
    /// It is gone for good.
    Deleted,
}

/// An event about one ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketEvent {
    /// Whose ticket.
    pub organization_id: OrganizationId,
    /// What happened.
    pub kind: TicketEventKind,
    /// When it was said.
    pub version: EventVersion,
    /// The ticket as it was then.
    pub ticket: TicketSnapshot,
}

/// A ticket as its platform describes it at the version of the event.
///
/// An absent field keeps its value. `null` clears a field, but says nothing about `status`,
/// `created_at`, the team and the assignee, for which `None` stands for both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketSnapshot {
    /// Which ticket.
    pub id: TicketId,
    /// Where it is in its life.
    pub status: Option<TicketStatus>,
    /// The priority; cleared, it is medium.
    pub priority: FieldUpdate<Priority>,
    /// The category, folded.
    pub category: FieldUpdate<Folded>,
    /// The subcategory, folded.
    pub subcategory: FieldUpdate<Folded>,
    /// The tags, folded.
    pub tags: FieldUpdate<Topics>,
    /// Whose queue it is in.
    pub team_id: Option<TeamId>,
    /// Whose it is.
    pub assignee_id: Option<UserId>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: FieldUpdate<Timestamp>,
    /// When it has to be resolved.
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
