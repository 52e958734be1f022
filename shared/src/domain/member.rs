//! Memberships: a user in a team.

use super::{Error, Resolved, Tags, Team, Timestamp, User, UserField, UserId, UserStatus};

/// The most members a team may have.
pub const MAX_MEMBERS: u32 = 500;

/// What a member is in a team. Derived from the team's lead, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberRole {
    /// One of the team.
    Member,
    /// The one who leads it.
    Lead,
}

impl MemberRole {
    /// The role as the contracts write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Lead => "lead",
        }
    }
}

/// Somebody to add to a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    /// Who.
    pub user_id: UserId,
    /// As what: a lead replaces the team's lead.
    pub role: MemberRole,
    /// What they know, for skill-based routing.
    pub skills: Tags,
}

/// What a client gives to change a membership. `None` keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberChanges {
    /// As what: a lead replaces the team's lead, and a lead who becomes a member leaves the team without one.
    pub role: Option<MemberRole>,
    /// What they know, in place of what they knew.
    pub skills: Option<Tags>,
}

/// A user's membership of a team, with the figures that routing keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// A copy of the user's profile.
    pub user: User,
    /// What they know, for skill-based routing.
    pub skills: Tags,
    /// When they joined, or last returned. Members come in this order, ties by user id.
    pub joined_at: Timestamp,
    /// When they left. A membership stays until its team goes, for its figures.
    pub removed_at: Option<Timestamp>,
    /// The team's turn at this member's latest decision; for a newcomer, the turn at which they joined.
    pub last_turn: u64,
    /// Open tickets of this team assigned to the member.
    pub open_tickets: u64,
    /// The part of them that is being worked on.
    pub in_progress_tickets: u64,
    /// Tickets of this team that the member resolved.
    pub resolved: Resolved,
}

impl Member {
    /// Whether the member can be given a ticket: an active user whose membership is not removed.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.removed_at.is_none() && self.user.status == UserStatus::Active
    }

    /// What the member is in `team`.
    #[must_use]
    pub fn role_in(&self, team: &Team) -> MemberRole {
        if team.lead_id == Some(self.user.id) { MemberRole::Lead } else { MemberRole::Member }
    }

    /// The membership that `user` gets by joining, or by returning to the one they left.
    ///
    /// A newcomer starts at the team's current `turn`, so that they are not owed the turns of before; a returner keeps
    /// figures and turn.
    ///
    /// # Errors
    /// [`Error::AlreadyMember`], then [`Error::UserInactive`].
    pub fn joining(
        user: User,
        skills: Tags,
        previous: Option<&Self>,
        turn: u64,
        now: Timestamp,
    ) -> Result<Self, Error> {
        if previous.is_some_and(|member| member.removed_at.is_none()) {
            return Err(Error::AlreadyMember);
        }
        if user.status != UserStatus::Active {
            return Err(Error::UserInactive(UserField::UserId));
        }
        Ok(Self {
            user,
            skills,
            joined_at: now,
            removed_at: None,
            last_turn: previous.map_or(turn, |member| member.last_turn),
            open_tickets: previous.map_or(0, |member| member.open_tickets),
            in_progress_tickets: previous.map_or(0, |member| member.in_progress_tickets),
            resolved: previous.map_or_else(Resolved::default, |member| member.resolved),
        })
    }
}
