//! Announcements on the bus, as the console shows them.

use muster_domain::{OrganizationId, TeamId};
use serde_json::Value;

/// An announcement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AnnouncementSummary {
    /// The time of the change, in ISO 8601 with milliseconds.
    pub(super) time: String,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) organization_id: Option<OrganizationId>,
    /// The team of a membership.
    pub(super) team_id: Option<TeamId>,
    /// The ticket's id, or the name of the team or the member.
    pub(super) name: String,
}

impl AnnouncementSummary {
    /// Reads the JSON of an event. `None` if it is none of Muster's.
    pub(super) fn parse(event: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(event).ok()?;
        let text = |pointer: &str| Some(event.pointer(pointer)?.as_str()?.to_owned());
        let kind = text("/type")?;
        let subject = text("/subject")?;
        let team_id = text("/data/team_id").filter(|_| kind.starts_with("member."));
        Some(Self {
            time: text("/time")?,
            organization_id: text("/data/organization_id")
                .and_then(|id| OrganizationId::parse(&id).ok()),
            team_id: team_id.and_then(|id| TeamId::parse(&id).ok()),
            name: text("/data/ticket_id")
                .or_else(|| text("/data/name"))
                .unwrap_or_else(|| subject.clone()),
            kind,
            subject,
        })
    }
}
