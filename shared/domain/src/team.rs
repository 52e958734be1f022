//! Teams: the fields that people edit, and the load that routing counts.

use super::{Description, Error, OrganizationId, Tags, TeamId, TeamName, Timestamp, UserId};

/// The strategy by which a team selects a member for a ticket.
///
/// `routing::strategy` has one file for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueStrategy {
    /// The member with the oldest turn.
    #[default]
    RoundRobin,
    /// The member with the fewest open tickets.
    LeastBusy,
    /// The member with the most matching skills.
    SkillBased,
}

impl QueueStrategy {
    /// Every strategy, in the order of the API documents.
    pub const ALL: [Self; 3] = [Self::RoundRobin, Self::LeastBusy, Self::SkillBased];

    /// Returns the text in the table and in the contracts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
            Self::SkillBased => "skill_based",
        }
    }

    /// Parses the text of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.as_str() == text)
    }
}

/// The fields of a team to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTeam {
    /// The name, unique within the organization.
    pub name: TeamName,
    /// The description.
    pub description: Option<Description>,
    /// The lead: an active user. The lead need not be a member.
    pub lead_id: Option<UserId>,
    /// The strategy.
    pub queue_strategy: QueueStrategy,
    /// The topics that the team handles.
    pub specializations: Tags,
}

/// The changes of a team by a request. `None` keeps a value; `Some(None)` clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamChanges {
    /// The new name.
    pub name: Option<TeamName>,
    /// The new description.
    pub description: Option<Option<Description>>,
    /// The new lead.
    pub lead_id: Option<Option<UserId>>,
    /// The new strategy.
    pub queue_strategy: Option<QueueStrategy>,
    /// The new specializations, in place of the old ones.
    pub specializations: Option<Tags>,
}

/// The versions of a team that a request accepts, from its `If-Match` header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum IfVersion {
    /// Every version.
    #[default]
    Any,
    /// These versions.
    OneOf(Vec<u64>),
}

impl IfVersion {
    /// Checks the version of a team.
    ///
    /// # Errors
    /// [`Error::VersionMismatch`].
    pub fn check(&self, version: u64) -> Result<(), Error> {
        match self {
            Self::OneOf(versions) if !versions.contains(&version) => Err(Error::VersionMismatch),
            Self::Any | Self::OneOf(_) => Ok(()),
        }
    }
}

/// A team: the fields that people edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// The team's id.
    pub id: TeamId,
    /// The organization of the team.
    pub organization_id: OrganizationId,
    /// The name, unique within the organization.
    pub name: TeamName,
    /// The description.
    pub description: Option<Description>,
    /// The lead.
    pub lead_id: Option<UserId>,
    /// The strategy.
    pub queue_strategy: QueueStrategy,
    /// The topics that the team handles.
    pub specializations: Tags,
    /// The number of members, at most [`MAX_MEMBERS`](super::MAX_MEMBERS).
    pub member_count: u32,
    /// The version behind the `ETag`. It grows with every edit and change of the roster, never with
    /// tickets or profiles.
    pub version: u64,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last edit or change of the roster.
    pub updated_at: Timestamp,
}

impl Team {
    /// Creates a team without members.
    #[must_use]
    pub fn create(
        id: TeamId,
        organization_id: OrganizationId,
        new: NewTeam,
        now: Timestamp,
    ) -> Self {
        let NewTeam {
            name,
            description,
            lead_id,
            queue_strategy,
            specializations,
        } = new;
        Self {
            id,
            organization_id,
            name,
            description,
            lead_id,
            queue_strategy,
            specializations,
            member_count: 0,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// Returns the team after `changes`, or `None` if all values are equal: such a request does not
    /// write, and the version stays.
    #[must_use]
    pub fn changed(&self, changes: &TeamChanges, now: Timestamp) -> Option<Self> {
        let TeamChanges {
            name,
            description,
            lead_id,
            queue_strategy,
            specializations,
        } = changes.clone();
        let mut team = self.clone();
        team.name = name.unwrap_or(team.name);
        team.description = description.unwrap_or(team.description);
        team.lead_id = lead_id.unwrap_or(team.lead_id);
        team.queue_strategy = queue_strategy.unwrap_or(team.queue_strategy);
        team.specializations = specializations.unwrap_or(team.specializations);
        if team == *self {
            return None;
        }
        team.version += 1;
        team.updated_at = now;
        Some(team)
    }
}

/// A team's load: the counters of routing. They are an item of their own, so that a decision does
/// not rewrite the description, and edits do not conflict with decisions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// The number of decisions of the team's strategies. Every decision is conditional on it, which
    /// serializes the decisions of a team.
    pub turn: u64,
    /// Open tickets, the waiting ones included.
    pub open_tickets: u64,
    /// Waiting tickets.
    pub waiting_tickets: u64,
    /// Tickets resolved by their due date.
    pub sla_met: u64,
    /// Tickets resolved that had a due date.
    pub sla_due: u64,
    /// The number of members with an active profile.
    pub eligible: u64,
}
