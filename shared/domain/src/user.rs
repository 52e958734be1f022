//! Users: profiles that the platform owns and Muster copies.

use super::{EventVersion, OrganizationId, TextError, Timestamp, UserId, text::parse_line, word};

/// The status of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    /// The user may join and lead teams, and is eligible for tickets.
    Active,
    /// The user stays in their teams, and gets no new tickets.
    Inactive,
    /// The same as inactive, set by an administrator.
    Suspended,
    /// Deleted by the platform, which is final. The tombstone keeps late events from bringing the
    /// user back.
    Deleted,
}

impl UserStatus {
    /// The statuses that a platform reports of a user that is not deleted.
    pub const REPORTED: [Self; 3] = [Self::Active, Self::Inactive, Self::Suspended];

    /// Returns the stored text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    /// Parses the text of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::REPORTED
            .into_iter()
            .chain([Self::Deleted])
            .find(|status| status.as_str() == text)
    }

    /// Parses a platform's spelling of the status of a user that is not deleted: case and
    /// separators do not count.
    #[must_use]
    pub fn parse_reported(text: &str) -> Option<Self> {
        let word = word::canonical(text);
        Self::REPORTED
            .into_iter()
            .find(|status| status.as_str() == word)
    }

    /// Returns the text in the contracts. They have no word for a deleted user: it is shown as
    /// inactive.
    #[must_use]
    pub fn shown(self) -> &'static str {
        match self {
            Self::Deleted => Self::Inactive.as_str(),
            status => status.as_str(),
        }
    }
}

/// A user's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The name that is shown.
    pub name: String,
    /// The email address; empty until an event reports it.
    pub email: String,
    /// The user's role on the platform, such as `agent`.
    pub role: String,
    /// The URL of the picture.
    pub avatar_url: Option<String>,
    /// The status.
    pub status: UserStatus,
    /// The version: it grows with every change of the profile. A profile copy never replaces one
    /// with a higher version.
    pub version: i64,
}

impl User {
    /// The role until an event reports one.
    pub const DEFAULT_ROLE: &str = "agent";
    /// The maximum number of characters of a name, an address or a role.
    pub const MAX_CHARS: usize = 255;
    /// The maximum number of characters of the URL of a picture. Some have a signature.
    pub const MAX_URL_CHARS: usize = 2048;
    /// The name under which both contracts show a deleted user.
    pub const DELETED_NAME: &str = "Deleted user";

    /// Returns the tombstone of a deleted user. It holds no personal data: only the id, the status
    /// and a version.
    #[must_use]
    pub fn tombstone(id: UserId, version: i64) -> Self {
        Self {
            name: Self::DELETED_NAME.to_owned(),
            status: UserStatus::Deleted,
            version,
            ..Self::blank(id)
        }
    }

    /// Returns a user with default fields, at version 0: the base of tombstones and new profiles.
    fn blank(id: UserId) -> Self {
        Self {
            id,
            name: String::new(),
            email: String::new(),
            role: Self::DEFAULT_ROLE.to_owned(),
            avatar_url: None,
            status: UserStatus::Inactive,
            version: 0,
        }
    }

    /// Trims and checks a name, an address or a role.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse_text(text: &str) -> Result<String, TextError> {
        parse_line(text, Self::MAX_CHARS).map(str::to_owned)
    }

    /// Trims and checks the URL of a picture.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse_url(text: &str) -> Result<String, TextError> {
        parse_line(text, Self::MAX_URL_CHARS).map(str::to_owned)
    }
}

/// An event about one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserEvent {
    /// The organization of the user.
    pub organization_id: OrganizationId,
    /// The version of the event.
    pub version: EventVersion,
    /// The user at this version.
    pub user: UserSnapshot,
}

/// A user as the platform describes them. `None` means that the event does not mention the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSnapshot {
    /// The user's id.
    pub id: UserId,
    /// The name that is shown.
    pub name: Option<String>,
    /// The email address.
    pub email: Option<String>,
    /// The user's role on the platform.
    pub role: Option<String>,
    /// The URL of the picture; `Some(None)` clears it.
    pub avatar_url: Option<Option<String>>,
    /// The status.
    pub status: Option<UserStatus>,
}

impl UserSnapshot {
    /// Returns a snapshot that mentions only the id.
    #[must_use]
    pub fn empty(id: UserId) -> Self {
        Self {
            id,
            name: None,
            email: None,
            role: None,
            avatar_url: None,
            status: None,
        }
    }
}

/// A profile, with the version of each field.
///
/// Each field has the value of the newest event that mentioned it. So the profile does not depend
/// on the order of arrival, even if events mention only some of the fields. A field that no event
/// mentioned has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The fields.
    pub user: User,
    /// Their versions.
    pub versions: FieldVersions,
}

/// The version of the event that set each field of a profile; `None` if no event mentioned it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldVersions {
    /// The version of the name.
    pub name: Option<EventVersion>,
    /// The version of the email address.
    pub email: Option<EventVersion>,
    /// The version of the role.
    pub role: Option<EventVersion>,
    /// The version of the picture.
    pub avatar_url: Option<EventVersion>,
    /// The version of the status.
    pub status: Option<EventVersion>,
}

impl FieldVersions {
    /// Returns the versions after an event that mentions every field.
    #[must_use]
    pub fn all(version: &EventVersion) -> Self {
        let version = || Some(version.clone());
        Self {
            name: version(),
            email: version(),
            role: version(),
            avatar_url: version(),
            status: version(),
        }
    }

    /// Returns whether a field has a newer version than this one, and none has this one.
    fn supersedes(&self, version: &EventVersion) -> bool {
        let Self {
            name,
            email,
            role,
            avatar_url,
            status,
        } = self;
        let versions = || {
            [name, email, role, avatar_url, status]
                .into_iter()
                .flatten()
        };
        versions().any(|newer| newer > version) && !versions().any(|same| same == version)
    }
}

impl Profile {
    /// Returns the profile of a user without any event: active, with default fields.
    fn unknown(id: UserId) -> Self {
        let user = User {
            status: UserStatus::Active,
            ..User::blank(id)
        };
        Self {
            user,
            versions: FieldVersions::default(),
        }
    }

    /// Erases a user: returns the tombstone that replaces the profile `known`, or creates one.
    ///
    /// The tombstone of a deleted user gets a new version as well, so that it is copied into the
    /// memberships again. That repairs an erasure after a lost copy job.
    #[must_use]
    pub fn erased(known: Option<&Self>, id: UserId, now: Timestamp) -> Self {
        let known = known.map(|known| &known.user);
        Self {
            user: User::tombstone(id, next_version(known, now)),
            versions: FieldVersions::default(),
        }
    }

    /// Merges events, in any order, into the profile `known`. Returns `None` if every event is a
    /// duplicate or superseded.
    ///
    /// The user's version grows only if a shown field changes. A change of the versions alone
    /// starts no job that copies the profile.
    #[must_use]
    pub fn merged(
        known: Option<&Self>,
        id: UserId,
        events: &[(EventVersion, UserSnapshot)],
    ) -> Option<Self> {
        if events.is_empty() {
            return None;
        }
        let mut profile = known.cloned().unwrap_or_else(|| Self::unknown(id));
        let mut events: Vec<_> = events.iter().collect();
        events.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (version, snapshot) in &events {
            profile.apply(version, snapshot);
        }
        if known == Some(&profile) {
            return None;
        }
        let known = known.map(|known| &known.user);
        if known != Some(&profile.user) {
            let latest = events
                .last()
                .map_or(Timestamp::from_millis(0), |(version, _)| version.at);
            profile.user.version = next_version(known, latest);
        }
        Some(profile)
    }

    /// Returns the number of superseded events: newer ones have set every field that they mention.
    /// An event that still is the version of a field is a duplicate, and not counted.
    #[must_use]
    pub fn superseded(
        known: Option<&Self>,
        id: UserId,
        events: &[(EventVersion, UserSnapshot)],
    ) -> usize {
        let mut profile = known.cloned().unwrap_or_else(|| Self::unknown(id));
        let mut events: Vec<_> = events.iter().collect();
        events.sort_by(|(a, _), (b, _)| a.cmp(b));
        let is_superseded = |(version, snapshot): &&(EventVersion, UserSnapshot)| {
            let before = profile.clone();
            profile.apply(version, snapshot);
            let mentions_a_field = *snapshot != UserSnapshot::empty(id);
            mentions_a_field && profile == before && profile.versions.supersedes(version)
        };
        events.into_iter().filter(is_superseded).count()
    }

    fn apply(&mut self, version: &EventVersion, snapshot: &UserSnapshot) {
        let Self { user, versions } = self;
        if user.status == UserStatus::Deleted {
            return;
        }
        let UserSnapshot {
            id,
            name,
            email,
            role,
            avatar_url,
            status,
        } = snapshot;
        if *status == Some(UserStatus::Deleted) {
            // A deletion is final at any version, so the tombstone needs no versions. Without them,
            // the order of several deletions does not matter.
            *self = Self {
                user: User::tombstone(*id, user.version),
                versions: FieldVersions::default(),
            };
            return;
        }
        set(&mut user.name, &mut versions.name, name.as_ref(), version);
        set(
            &mut user.email,
            &mut versions.email,
            email.as_ref(),
            version,
        );
        set(&mut user.role, &mut versions.role, role.as_ref(), version);
        set(
            &mut user.avatar_url,
            &mut versions.avatar_url,
            avatar_url.as_ref(),
            version,
        );
        set(
            &mut user.status,
            &mut versions.status,
            status.as_ref(),
            version,
        );
        if versions.name.is_none() {
            user.name = if user.email.is_empty() {
                user.id.uuid().to_string()
            } else {
                user.email.clone()
            };
        }
    }
}

/// Returns the version of a profile that changes at `at`. It is above the known one even if that
/// came from a clock that is ahead, and above 0.
fn next_version(known: Option<&User>, at: Timestamp) -> i64 {
    let at = at.millis().max(1);
    known.map_or(at, |known| at.max(known.version.saturating_add(1)))
}

/// Sets a field that an event mentions, unless a newer event or this one has set it already.
fn set<T: Clone>(
    part: &mut T,
    set_by: &mut Option<EventVersion>,
    said: Option<&T>,
    version: &EventVersion,
) {
    if let Some(said) = said
        && set_by.as_ref().is_none_or(|set_by| set_by < version)
    {
        part.clone_from(said);
        *set_by = Some(version.clone());
    }
}

#[cfg(test)]
mod tests;
