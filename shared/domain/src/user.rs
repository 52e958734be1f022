//! Users: people of the organization, kept by the platform and copied here.

use super::{EventVersion, OrganizationId, TextError, Timestamp, UserId, text::parse_line, word};

/// Whether a user can be given work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    /// May join teams, lead them, and is given tickets.
    Active,
    /// Stays where they are, and is given nothing new.
    Inactive,
    /// The same, by an administrator's hand.
    Suspended,
    /// Deleted by the platform, which is final. The tombstone keeps late events from bringing the
    /// user back.
    Deleted,
}

impl UserStatus {
    /// What a platform can say of a user who is there.
    pub const REPORTED: [Self; 3] = [Self::Active, Self::Inactive, Self::Suspended];

    /// The status as the table writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    /// Parses what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::REPORTED
            .into_iter()
            .chain([Self::Deleted])
            .find(|status| status.as_str() == text)
    }

    /// Parses a platform's word for the status of a user who is there, without regard to case and
    /// separators.
    #[must_use]
    pub fn parse_reported(text: &str) -> Option<Self> {
        let word = word::canonical(text);
        Self::REPORTED
            .into_iter()
            .find(|status| status.as_str() == word)
    }

    /// The status as the contracts write it: neither has a word for somebody who is gone.
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
    /// Who it is.
    pub id: UserId,
    /// The name people see.
    pub name: String,
    /// The address people write to; empty while nobody said it.
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

impl User {
    /// The role of somebody of whom no other was said.
    pub const DEFAULT_ROLE: &str = "agent";
    /// The most characters a name, an address or a role may have.
    pub const MAX_CHARS: usize = 255;
    /// The most characters the address of a picture may have: some carry a signature.
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

    /// Returns a user of whom only the id is known, at version 0: the base of tombstones and of new
    /// profiles.
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

    /// Trims and checks the address of a picture.
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
    /// Whose user.
    pub organization_id: OrganizationId,
    /// When it was said.
    pub version: EventVersion,
    /// The user as they were then.
    pub user: UserSnapshot,
}

/// A user as their platform describes them. What is `None` was not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSnapshot {
    /// Who it is.
    pub id: UserId,
    /// The name people see.
    pub name: Option<String>,
    /// The address people write to.
    pub email: Option<String>,
    /// The user's role on the platform.
    pub role: Option<String>,
    /// Where the picture is; `Some(None)`: there is none.
    pub avatar_url: Option<Option<String>>,
    /// Whether the user can be given work.
    pub status: Option<UserStatus>,
}

impl UserSnapshot {
    /// Says nothing but who it is.
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

/// A profile, and when each part of it was said.
///
/// A part keeps what was said last of it, so that events lead to the same profile in whatever order
/// they come, those that leave parts out too. What nobody has said yet has a stand-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What is known.
    pub user: User,
    /// Since when.
    pub versions: FieldVersions,
}

/// The version of the event that set each part of a profile; `None` where nothing did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldVersions {
    /// The name's.
    pub name: Option<EventVersion>,
    /// The address's.
    pub email: Option<EventVersion>,
    /// The role's.
    pub role: Option<EventVersion>,
    /// The picture's.
    pub avatar_url: Option<EventVersion>,
    /// The status's.
    pub status: Option<EventVersion>,
}

impl FieldVersions {
    /// All of it by one event.
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

    /// Returns whether a part has a newer version than this one, and none has this one.
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
    /// Returns the profile of a user without any event: active, with every part unsaid.
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

    /// Erases a user: returns the tombstone that replaces `known`, whether or not there is a
    /// profile.
    ///
    /// The tombstone of a deleted user gets a new version as well, so that it is copied into the
    /// memberships again. That repairs an erasure whose copy was lost.
    #[must_use]
    pub fn erased(known: Option<&Self>, id: UserId, now: Timestamp) -> Self {
        let known = known.map(|known| &known.user);
        Self {
            user: User::tombstone(id, next_version(known, now)),
            versions: FieldVersions::default(),
        }
    }

    /// The profile after what was said, in any order; nothing if none of it is news.
    ///
    /// The user's version grows only if something changed that is shown, so that nothing else is
    /// copied anywhere.
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

    /// Returns how many of these events change nothing because newer ones have set every part that
    /// they mention. An event that still is the version of a part is a duplicate, and is not
    /// counted.
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
            let mentions_a_part = *snapshot != UserSnapshot::empty(id);
            mentions_a_part && profile == before && profile.versions.supersedes(version)
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
            // Deletion is final at any version, so the tombstone needs no versions. Without them,
            // the order of several deletions makes no difference.
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

/// Returns the version of a profile that changes at `at`. It is above the known one, and above 0.
fn next_version(known: Option<&User>, at: Timestamp) -> i64 {
    let at = at.millis().max(1);
    known.map_or(at, |known| at.max(known.version.saturating_add(1)))
}

/// Sets a part of a profile to what a later event says of it.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> UserId {
        UserId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap()
    }

    fn at(millis: i64, event_id: &str) -> EventVersion {
        EventVersion {
            at: Timestamp::from_millis(millis),
            time: None,
            event_id: event_id.to_owned(),
        }
    }

    fn full(name: &str, status: UserStatus) -> UserSnapshot {
        UserSnapshot {
            id: id(),
            name: Some(name.to_owned()),
            email: Some(format!("{name}@acme.example")),
            role: Some("manager".to_owned()),
            avatar_url: Some(Some(format!("https://acme.example/{name}"))),
            status: Some(status),
        }
    }

    fn after(
        known: Option<&Profile>,
        version: EventVersion,
        said: UserSnapshot,
    ) -> Option<Profile> {
        Profile::merged(known, id(), &[(version, said)])
    }

    #[test]
    fn what_is_not_said_stays_and_duplicates_change_nothing() {
        let created = after(None, at(5, "a"), full("Ann", UserStatus::Active)).unwrap();
        assert_eq!(
            (created.user.name.as_str(), created.user.version),
            ("Ann", 5)
        );
        assert_eq!(
            after(Some(&created), at(5, "a"), full("Ann", UserStatus::Active)),
            None
        );
        assert_eq!(
            after(
                Some(&created),
                at(4, "b"),
                full("Old", UserStatus::Inactive)
            ),
            None
        );

        let said = UserSnapshot {
            name: Some("Anna".to_owned()),
            ..UserSnapshot::empty(id())
        };
        let renamed = after(Some(&created), at(9, "b"), said).unwrap();
        assert_eq!(
            renamed.user,
            User {
                name: "Anna".to_owned(),
                version: 9,
                ..created.user.clone()
            }
        );

        let said = UserSnapshot {
            avatar_url: Some(None),
            ..UserSnapshot::empty(id())
        };
        assert_eq!(
            after(Some(&renamed), at(10, "c"), said)
                .unwrap()
                .user
                .avatar_url,
            None
        );
    }

    #[test]
    fn of_one_moment_the_larger_event_id_counts_and_versions_grow() {
        let first = after(None, at(5, "a"), full("First", UserStatus::Active)).unwrap();
        let second = after(Some(&first), at(5, "b"), full("Second", UserStatus::Active)).unwrap();
        assert_eq!(
            (second.user.name.as_str(), second.user.version),
            ("Second", 6)
        );
        assert_eq!(
            after(Some(&second), at(5, "a"), full("First", UserStatus::Active)),
            None
        );
    }

    #[test]
    fn superseded_event_is_counted_and_a_duplicate_is_not() {
        let known = after(None, at(5, "a"), full("Ann", UserStatus::Active)).unwrap();
        let superseded =
            |version, said| Profile::superseded(Some(&known), id(), &[(version, said)]);
        assert_eq!(superseded(at(4, "b"), full("Old", UserStatus::Inactive)), 1);
        assert_eq!(
            superseded(at(5, "a"), full("Ann", UserStatus::Active)),
            0,
            "a duplicate"
        );
        assert_eq!(
            superseded(at(6, "c"), full("New", UserStatus::Active)),
            0,
            "newer"
        );
        assert_eq!(
            superseded(at(4, "b"), UserSnapshot::empty(id())),
            0,
            "mentions no part"
        );

        // Within a batch, the newest event supersedes none that came before it in order.
        let batch = [
            (at(7, "e"), full("C", UserStatus::Active)),
            (at(6, "d"), full("B", UserStatus::Active)),
        ];
        assert_eq!(Profile::superseded(Some(&known), id(), &batch), 0);
    }

    #[test]
    fn what_changes_nothing_that_is_shown_is_remembered_without_a_new_version() {
        let created = after(None, at(5, "a"), full("Ann", UserStatus::Active)).unwrap();
        let seen = after(Some(&created), at(9, "b"), full("Ann", UserStatus::Active)).unwrap();
        assert_eq!(seen.user, created.user);
        assert_eq!(
            after(Some(&seen), at(7, "c"), full("Late", UserStatus::Active)),
            None
        );
    }

    #[test]
    fn somebody_of_whom_little_is_said_has_stand_ins() {
        let off = UserSnapshot {
            status: Some(UserStatus::Inactive),
            ..UserSnapshot::empty(id())
        };
        let known = after(None, at(9, "b"), off).unwrap();
        let User {
            name,
            email,
            role,
            status,
            ..
        } = &known.user;
        assert_eq!(
            (name.clone(), email.as_str(), role.as_str()),
            (id().uuid().to_string(), "", "agent")
        );
        assert_eq!(*status, UserStatus::Inactive);

        let mail = UserSnapshot {
            email: Some("a@acme.example".to_owned()),
            ..UserSnapshot::empty(id())
        };
        let known = after(Some(&known), at(8, "a"), mail).unwrap();
        assert_eq!(known.user.name, "a@acme.example");

        // The creation comes late, and tells what the deactivation left out.
        let known = after(Some(&known), at(5, "a"), full("Ann", UserStatus::Active)).unwrap();
        assert_eq!(
            (known.user.name.as_str(), known.user.status),
            ("Ann", UserStatus::Inactive)
        );
    }

    #[test]
    fn deletion_is_final_whenever_it_was_said() {
        let created = after(None, at(9, "a"), full("Ann", UserStatus::Active)).unwrap();
        let gone = UserSnapshot {
            status: Some(UserStatus::Deleted),
            ..UserSnapshot::empty(id())
        };
        let deleted = after(Some(&created), at(5, "b"), gone.clone()).unwrap();
        assert_eq!(
            deleted,
            Profile {
                user: User::tombstone(id(), 10),
                versions: FieldVersions::default()
            }
        );
        assert_eq!(
            after(
                Some(&deleted),
                at(99, "c"),
                full("Back", UserStatus::Active)
            ),
            None
        );
        assert_eq!(
            after(None, at(5, "b"), gone.clone()).unwrap().user,
            User::tombstone(id(), 5)
        );

        // In one batch, in any order.
        let events = [
            (at(9, "a"), full("Ann", UserStatus::Active)),
            (at(5, "b"), gone),
        ];
        for events in [events.clone(), {
            let [first, second] = events;
            [second, first]
        }] {
            assert_eq!(
                Profile::merged(None, id(), &events).unwrap().user,
                User::tombstone(id(), 9)
            );
        }
    }

    #[test]
    fn erasure_of_any_user_leaves_the_same_tombstone() {
        let User {
            name,
            email,
            role,
            avatar_url,
            status,
            ..
        } = User::tombstone(id(), 7);
        assert_eq!(
            (name.as_str(), email.as_str(), role.as_str(), avatar_url),
            ("Deleted user", "", "agent", None)
        );
        assert_eq!(status, UserStatus::Deleted);

        let now = Timestamp::from_millis(7);
        let known = after(None, at(9, "a"), full("Ann", UserStatus::Active)).unwrap();
        let tombstone = |version| Profile {
            user: User::tombstone(id(), version),
            versions: FieldVersions::default(),
        };
        assert_eq!(
            Profile::erased(None, id(), now),
            tombstone(7),
            "without a profile"
        );
        let erased = Profile::erased(Some(&known), id(), now);
        assert_eq!(
            erased,
            tombstone(10),
            "with a profile from a clock that is ahead"
        );
        assert_eq!(
            Profile::erased(Some(&erased), id(), now),
            tombstone(11),
            "a second time, to copy it again"
        );
    }

    #[test]
    fn contracts_show_somebody_deleted_as_inactive() {
        assert_eq!(UserStatus::Deleted.shown(), "inactive");
        assert_eq!(UserStatus::Suspended.shown(), "suspended");
        assert_eq!(UserStatus::parse("deleted"), Some(UserStatus::Deleted));
        assert_eq!(UserStatus::parse_reported("deleted"), None);
        assert_eq!(
            UserStatus::parse_reported("Suspended "),
            Some(UserStatus::Suspended)
        );
    }

    prop_compose! {
        fn event()(
            millis in 0..4_i64,
            event_id in "[a-c]",
            name in proptest::option::of("[x-z]"),
            email in proptest::option::of("[x-z]"),
            avatar_url in proptest::option::of(proptest::option::of("[x-z]")),
            status in proptest::option::weighted(0.5, prop_oneof![
                12 => proptest::sample::select(UserStatus::REPORTED.to_vec()),
                1 => Just(UserStatus::Deleted),
            ]),
        ) -> (EventVersion, UserSnapshot) {
            (at(millis, &event_id), UserSnapshot { id: id(), name, email, role: None, avatar_url, status })
        }
    }

    proptest! {
        /// However events are ordered, repeated and cut into batches, the profile is the same in
        /// the end.
        #[test]
        fn order_and_batches_do_not_matter(
            events in proptest::collection::btree_map(0..9_u8, event(), 1..9),
            order in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>()), 1..30),
        ) {
            // Two events never have one id.
            let events: Vec<_> = events
                .into_iter()
                .map(|(n, (version, said))| (EventVersion { event_id: format!("{}{n}", version.event_id), ..version }, said))
                .collect();
            let expected = Profile::merged(None, id(), &events).unwrap();

            let mut known: Option<Profile> = None;
            let mut batch = Vec::new();
            for (index, cut) in order {
                batch.push(index.get(&events).clone());
                if cut {
                    known = Profile::merged(known.as_ref(), id(), &std::mem::take(&mut batch)).or(known);
                }
            }
            batch.extend(events.iter().rev().cloned());
            let versions = known.as_ref().map(|known| known.user.version);
            let found = Profile::merged(known.as_ref(), id(), &batch).or(known).unwrap();
            prop_assert!(versions.is_none_or(|before| before <= found.user.version));
            prop_assert_eq!(&found.versions, &expected.versions);
            prop_assert_eq!(User { version: 0, ..found.user }, User { version: 0, ..expected.user });
        }
    }
}
