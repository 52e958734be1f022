//! What a platform says happened, parsed.

use super::{EventVersion, OrganizationId, Priority, TeamId, TicketId, TicketStatus, Timestamp, Topics, UserId};

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

/// A ticket as its platform describes it. What is `None` was not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketSnapshot {
    /// Which ticket.
    pub id: TicketId,
    /// Where it is in its life.
    pub status: Option<TicketStatus>,
    /// How much it matters.
    pub priority: Priority,
    /// What it is about.
    pub topics: Topics,
    /// Whose queue it is in.
    pub team_id: Option<TeamId>,
    /// Whose it is.
    pub assignee_id: Option<UserId>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When it has to be resolved.
    pub due_at: Option<Timestamp>,
}
