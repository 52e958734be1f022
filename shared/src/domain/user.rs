//! Users: people of the organization, kept by the platform and copied here.

use super::UserId;

/// Whether a user can be given work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    /// May join teams, lead them, and is given tickets.
    Active,
    /// Stays where they are, and is given nothing new.
    Inactive,
    /// The same, by an administrator's hand.
    Suspended,
}

impl UserStatus {
    /// The status as both the table and the contracts write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
        }
    }

    /// Parses what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Inactive, Self::Suspended].into_iter().find(|status| status.as_str() == text)
    }
}

/// A user's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who it is.
    pub id: UserId,
    /// The name people see.
    pub name: String,
    /// The address people write to.
    pub email: String,
    /// The user's role on the platform, such as `agent`.
    pub role: String,
    /// Where the picture is.
    pub avatar_url: Option<String>,
    /// Whether the user can be given work.
    pub status: UserStatus,
    /// Grows with every change of the profile; a copy never replaces one of a higher version.
    pub version: i64,
}
