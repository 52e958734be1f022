//! Teams: what people edit, and what routing counts.

use super::{
    Description, Error, Member, OrganizationId, Tags, TeamId, TeamName, Timestamp, UserId,
};

/// How a team's tickets are given to its members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueStrategy {
    /// In rotation.
    #[default]
    RoundRobin,
    /// To whoever has the fewest open tickets.
    LeastBusy,
    /// To whoever knows most of what the ticket is about.
    SkillBased,
}

impl QueueStrategy {
    /// Every strategy, in the document's order.
    pub const ALL: [Self; 3] = [Self::RoundRobin, Self::LeastBusy, Self::SkillBased];

    /// The strategy as both the table and the contracts write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
            Self::SkillBased => "skill_based",
        }
    }

    /// Parses what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.as_str() == text)
    }
}

/// What a client gives to create a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTeam {
    /// Its name, unique within the organization.
    pub name: TeamName,
    /// What it is for.
    pub description: Option<Description>,
    /// Who leads it: an active user, who need not be a member.
    pub lead_id: Option<UserId>,
    /// How its tickets are given out.
    pub queue_strategy: QueueStrategy,
    /// What it knows.
    pub specializations: Tags,
}

/// What a client gives to change a team. `None` keeps; `Some(None)` clears.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamChanges {
    /// A new name.
    pub name: Option<TeamName>,
    /// A new description, or none.
    pub description: Option<Option<Description>>,
    /// A new lead, or none.
    pub lead_id: Option<Option<UserId>>,
    /// A new strategy.
    pub queue_strategy: Option<QueueStrategy>,
    /// New specializations in place of the old.
    pub specializations: Option<Tags>,
}

/// Of which versions a team has to be for a request to change it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum IfVersion {
    /// Of any.
    #[default]
    Any,
    /// Of one of these.
    OneOf(Vec<u64>),
}

impl IfVersion {
    /// Checks the version that a team is of.
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

/// A team: what people edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Which team.
    pub id: TeamId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its name, unique within the organization.
    pub name: TeamName,
    /// What it is for.
    pub description: Option<Description>,
    /// Who leads it.
    pub lead_id: Option<UserId>,
    /// How its tickets are given out.
    pub queue_strategy: QueueStrategy,
    /// What it knows.
    pub specializations: Tags,
    /// How many members it has, at most [`MAX_MEMBERS`](super::MAX_MEMBERS).
    pub member_count: u32,
    /// Grows with every edit and change of roster, never with tickets or profiles.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last edited, or its roster last changed.
    pub updated_at: Timestamp,
}

impl Team {
    /// The team that `new` asks for, with no members.
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

    /// The team after `changes`, or `None` if they change nothing.
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

/// A team's load: the counters of routing. Kept apart from the team, so that an assignment never
/// rewrites a description.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// How many decisions the team has made.
    pub turn: u64,
    /// Its open tickets, the waiting ones included.
    pub open_tickets: u64,
    /// The part of them that nobody has yet.
    pub waiting_tickets: u64,
    /// Tickets resolved by their due date.
    pub sla_met: u64,
    /// Tickets resolved that had a due date.
    pub sla_due: u64,
    /// The number of its present members whose profile is active.
    pub eligible: u64,
}

/// A team and everybody who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The team.
    pub team: Team,
    /// Its present members, in the order in which they joined.
    pub members: Vec<Member>,
}
