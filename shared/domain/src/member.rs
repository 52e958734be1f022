//! Memberships: a user in a team.

use super::{Error, Resolved, Tags, Team, Timestamp, User, UserField, UserId, UserStatus};

/// The most members a team may have.
pub const MAX_MEMBERS: u32 = 500;

/// The role of a member in a team. It is derived from the team's lead and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberRole {
    /// A member that does not lead the team.
    Member,
    /// The lead of the team.
    Lead,
}

impl MemberRole {
    /// Returns the text in the contracts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Lead => "lead",
        }
    }
}

/// A user to add to a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    /// The user.
    pub user_id: UserId,
    /// The role. A new lead replaces the team's lead.
    pub role: MemberRole,
    /// The skills, for skill-based routing.
    pub skills: Tags,
}

/// The changes of a membership by a request. `None` keeps a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberChanges {
    /// The new role. A new lead replaces the team's lead. A lead that becomes a member leaves the
    /// team without a lead.
    pub role: Option<MemberRole>,
    /// The new skills, in place of the old ones.
    pub skills: Option<Tags>,
}

/// A user's membership of a team, with the counters of routing. A user that is not in the team has
/// [`PastCounters`] or no item.
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
    /// The team's turn at this member's latest decision; for a new member, the turn at which
    /// they joined.
    pub last_turn: u64,
    /// Open tickets of this team assigned to the member.
    pub open_tickets: u64,
    /// The number of them that are in progress.
    pub in_progress_tickets: u64,
    /// Tickets of this team that the member resolved.
    pub resolved: Resolved,
}

/// The counters of a user that is not in a team and has or had tickets of it: a former member, or a
/// placeholder for an assignee that never was a member. They have no copy of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCounters {
    /// The user.
    pub user_id: UserId,
    /// The number of times that the user joined or left the team.
    pub rev: u64,
    /// The team's turn at the user's latest decision; for a placeholder, the turn at its creation.
    pub last_turn: u64,
    /// Open tickets of this team assigned to the user.
    pub open_tickets: u64,
    /// The number of them that are in progress.
    pub in_progress_tickets: u64,
    /// Tickets of this team that the user resolved.
    pub resolved: Resolved,
}

impl PastCounters {
    /// Returns the placeholder for an assignee that is not a member. It carries their ticket
    /// counters and is never eligible. It starts without tickets, at the team's current `turn`.
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
    /// Returns whether tickets can be assigned to the member: whether the user is active.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.user.status == UserStatus::Active
    }

    /// Returns the role of the member in `team`.
    #[must_use]
    pub fn role_in(&self, team: &Team) -> MemberRole {
        if team.lead_id == Some(self.user.id) {
            MemberRole::Lead
        } else {
            MemberRole::Member
        }
    }

    /// Returns the membership of a user that joins the team, or returns to it with the counters of
    /// `past`.
    ///
    /// A new member starts at the team's current `turn`, so round robin does not owe it earlier
    /// turns. A member that returns keeps counters and turn.
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

/// A team and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The team.
    pub team: Team,
    /// The members, in the order of joining.
    pub members: Vec<Member>,
}
