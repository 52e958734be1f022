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
    /// As what: a lead replaces the team's lead, and a lead who becomes a member leaves the team
    /// without one.
    pub role: Option<MemberRole>,
    /// What they know, in place of what they knew.
    pub skills: Option<Tags>,
}

/// A user's membership of a team, with the counters of routing. A user who is not in the team has a
/// [`PastCounters`] or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// A copy of the user's profile.
    pub user: User,
    /// The skills of the member, for skill-based routing.
    pub skills: Tags,
    /// The time of joining, or of the latest return. Members are sorted by it, then by user id.
    pub joined_at: Timestamp,
    /// The number of times that the user joined or left the team.
    pub rev: u64,
    /// The team's turn at this member's latest decision; for a newcomer, the turn at which they
    /// joined.
    pub last_turn: u64,
    /// Open tickets of this team assigned to the member.
    pub open_tickets: u64,
    /// The number of them that are in progress.
    pub in_progress_tickets: u64,
    /// Tickets of this team that the member resolved.
    pub resolved: Resolved,
}

/// The counters of a user who is not in a team, and holds or held tickets of it: a former member,
/// or an assignee from outside. It has no copy of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCounters {
    /// The user.
    pub user_id: UserId,
    /// The number of times that the user joined or left the team.
    pub rev: u64,
    /// The team's turn at the user's latest decision; for an assignee from outside, the turn at
    /// which their first ticket came.
    pub last_turn: u64,
    /// Open tickets of this team assigned to the user.
    pub open_tickets: u64,
    /// The number of them that are in progress.
    pub in_progress_tickets: u64,
    /// Tickets of this team that the user resolved.
    pub resolved: Resolved,
}

impl PastCounters {
    /// Returns the counters of a user who was never in the team, without tickets yet, at the team's
    /// current `turn`.
    #[must_use]
    pub fn placeholder(user_id: UserId, turn: u64) -> Self {
        Self {
            user_id,
            rev: 0,
            last_turn: turn,
            open_tickets: 0,
            in_progress_tickets: 0,
            resolved: Resolved::default(),
        }
    }
}

impl Member {
    /// Whether the member can be given a ticket: whether the user is active.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.user.status == UserStatus::Active
    }

    /// What the member is in `team`.
    #[must_use]
    pub fn role_in(&self, team: &Team) -> MemberRole {
        if team.lead_id == Some(self.user.id) {
            MemberRole::Lead
        } else {
            MemberRole::Member
        }
    }

    /// Returns the membership of `user`, who joins, or returns to the team that they left with
    /// `past`.
    ///
    /// A newcomer starts at the team's current `turn`, so that they are not owed earlier turns. A
    /// returning user keeps counters and turn.
    ///
    /// # Errors
    /// [`Error::UserInactive`].
    pub fn joining(
        user: User,
        skills: Tags,
        past: Option<&PastCounters>,
        turn: u64,
        now: Timestamp,
    ) -> Result<Self, Error> {
        if user.status != UserStatus::Active {
            return Err(Error::UserInactive(UserField::UserId));
        }
        let newcomer = PastCounters::placeholder(user.id, turn);
        let PastCounters {
            user_id: _,
            rev,
            last_turn,
            open_tickets,
            in_progress_tickets,
            resolved,
        } = past.unwrap_or(&newcomer);
        Ok(Self {
            user,
            skills,
            joined_at: now,
            rev: rev + 1,
            last_turn: *last_turn,
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            resolved: *resolved,
        })
    }

    /// Returns the counters that remain after the member has left the team.
    #[must_use]
    pub fn leaving(&self) -> PastCounters {
        let Self {
            user,
            skills: _,
            joined_at: _,
            rev,
            last_turn,
            open_tickets,
            in_progress_tickets,
            resolved,
        } = self;
        PastCounters {
            user_id: user.id,
            rev: rev + 1,
            last_turn: *last_turn,
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            resolved: *resolved,
        }
    }
}
