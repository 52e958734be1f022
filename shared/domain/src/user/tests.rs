//! Tests of profiles and of merging user events.

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

fn after(known: Option<&Profile>, version: EventVersion, said: UserSnapshot) -> Option<Profile> {
    Profile::merged(known, id(), &[(version, said)])
}

#[test]
fn absent_fields_and_duplicates_change_no_field() {
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
fn events_of_equal_time_are_ordered_by_id() {
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
    let superseded = |version, said| Profile::superseded(Some(&known), id(), &[(version, said)]);
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

    // Within a batch, events are merged in order, so the newest supersedes none.
    let batch = [
        (at(7, "e"), full("C", UserStatus::Active)),
        (at(6, "d"), full("B", UserStatus::Active)),
    ];
    assert_eq!(Profile::superseded(Some(&known), id(), &batch), 0);
}

#[test]
fn event_without_a_shown_change_keeps_the_version() {
    let created = after(None, at(5, "a"), full("Ann", UserStatus::Active)).unwrap();
    let seen = after(Some(&created), at(9, "b"), full("Ann", UserStatus::Active)).unwrap();
    assert_eq!(seen.user, created.user);
    assert_eq!(
        after(Some(&seen), at(7, "c"), full("Late", UserStatus::Active)),
        None
    );
}

#[test]
fn unreported_fields_have_defaults() {
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

    // The creation arrives late, and sets the fields that the deactivation did not mention.
    let known = after(Some(&known), at(5, "a"), full("Ann", UserStatus::Active)).unwrap();
    assert_eq!(
        (known.user.name.as_str(), known.user.status),
        ("Ann", UserStatus::Inactive)
    );
}

#[test]
fn deletion_is_final_at_any_version() {
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
fn deleted_user_is_shown_as_inactive() {
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
    /// Every order, repetition and batching of the same events results in the same profile.
    #[test]
    fn profile_is_independent_of_order_and_batches(
        events in proptest::collection::btree_map(0..9_u8, event(), 1..9),
        order in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>()), 1..30),
    ) {
        // The ids of events are unique.
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
