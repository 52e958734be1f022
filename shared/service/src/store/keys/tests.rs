//! Tests of the keys.

use super::*;
use muster_domain::{
    Contract, Decision, Fingerprint, IdempotencyKey, KeyKind, Priority, Reason, SecretKey,
    TeamName, TicketPosition, TicketSelection, TicketStatus, TicketVersions, Topics,
};

const TEAM: &str = "550e8400-e29b-41d4-a716-446655440000";
const USER: &str = "123e4567-e89b-12d3-a456-426614174000";

fn org() -> OrganizationId {
    OrganizationId::parse("org_9f8e").unwrap()
}

fn team_id() -> TeamId {
    TeamId::parse(TEAM).unwrap()
}

fn user_id() -> UserId {
    UserId::parse(USER).unwrap()
}

fn request(key: &str) -> Idempotency {
    Idempotency {
        subject: Subject::of_token(&org(), "sub"),
        key: IdempotencyKey::parse(key).unwrap(),
        fingerprint: Fingerprint::of(Contract::Itsm, "POST", "/v1/teams", b"{}"),
    }
}

#[test]
fn key_of_the_stock_equals_its_golden() {
    assert_golden([(stock(&org()), "ORG#org_9f8e#STOCK", "STOCK")]);
}

/// Stored keys outlive the code: a change of these strings needs a migration.
fn assert_golden<const N: usize>(keys: [(Key, &str, &str); N]) {
    for (key, pk, sk) in keys {
        assert_eq!((key.pk.as_str(), key.sk.as_str()), (pk, sk));
    }
}

#[test]
fn keys_of_teams_equal_their_goldens() {
    assert_golden([
        (organization(&org()), "ORG#org_9f8e", "ORG"),
        (
            team(&org(), team_id()),
            "ORG#org_9f8e",
            &format!("TEAM#{TEAM}"),
        ),
        (
            load(&org(), team_id()),
            &format!("ORG#org_9f8e#TEAM#{TEAM}"),
            "LOAD",
        ),
        (
            deleted_team(&org(), team_id()),
            &format!("ORG#org_9f8e#TEAM#{TEAM}"),
            "GONE",
        ),
        (
            name_claim(&org(), &Folded::of(" Café ")),
            "ORG#org_9f8e#NAMES",
            "NAME#café",
        ),
    ]);
}

#[test]
fn keys_of_users_and_members_equal_their_goldens() {
    assert_golden([
        (
            user(&org(), user_id()),
            &format!("ORG#org_9f8e#USER#{USER}"),
            "USER",
        ),
        (
            lead(&org(), user_id(), team_id()),
            &format!("ORG#org_9f8e#USER#{USER}"),
            &format!("LEAD#{TEAM}"),
        ),
        (
            membership(&org(), team_id(), user_id()),
            &format!("ORG#org_9f8e#TEAM#{TEAM}"),
            &format!("MEMBER#{USER}"),
        ),
        (
            past(&org(), team_id(), user_id()),
            &format!("ORG#org_9f8e#TEAM#{TEAM}"),
            &format!("PAST#{USER}"),
        ),
        (
            membership_by_user(&org(), team_id(), user_id()),
            &format!("ORG#org_9f8e#USER#{USER}"),
            &format!("TEAM#{TEAM}"),
        ),
    ]);
}

#[test]
fn keys_of_saved_responses_equal_their_goldens() {
    let subject = request("a").subject.hash();
    assert_golden([
        (
            saved_response(&org(), &request("a#TEAM#b"), 0),
            &format!("ORG#org_9f8e#IDEM#{subject}#0#a#TEAM#b"),
            "IDEM",
        ),
        (
            saved_response(&org(), &request("1#a"), 12),
            &format!("ORG#org_9f8e#IDEM#{subject}#12#1#a"),
            "IDEM",
        ),
    ]);
}

#[test]
fn keys_of_credentials_equal_their_goldens() {
    let hash = SecretKey::generate(KeyKind::Itsm, || 0).hash();
    assert_golden([
        (api_key(hash), &format!("KEY#{hash}"), "KEY"),
        (
            rate(Subject::of_key(hash), 28_934_400),
            &format!("KEY#{hash}"),
            "RATE#28934400",
        ),
        (
            api_key_by_organization(&org(), 1_736_064_000_000),
            "ORG#org_9f8e#KEYS",
            "001736064000000",
        ),
        (token_issuer(&org()), "ORG#org_9f8e", "JWKS"),
    ]);
}

#[test]
fn mark_begins_with_its_time_in_one_of_16_shards() {
    let since = Timestamp::from_millis(1_736_064_000_123);
    let mut shards = std::collections::BTreeSet::new();
    for n in 0..200_u128 {
        let load = load(&org(), TeamId::new(uuid::Uuid::from_u128(n)));
        let Key { pk, sk } = pending_work(&load, since);
        assert_eq!(sk, format!("001736064000123#{}#{}", load.pk, load.sk));
        assert_eq!(pending_since(&sk), Some(since));
        shards.insert(pk);
    }
    assert_eq!(
        shards,
        (0..PENDING_WORK_SHARDS)
            .map(pending_work_partition)
            .collect()
    );
    assert_eq!(pending_work_partition(15), "WORK#f");
}

#[test]
fn open_ticket_index_key_follows_its_state() {
    let at = Timestamp::from_millis;
    let mut ticket = Ticket {
        id: TicketId::parse("TKT-1").unwrap(),
        rev: 1,
        versions: TicketVersions::default(),
        status: TicketStatus::Open,
        priority: Priority::High,
        category: None,
        subcategory: None,
        tags: Topics::default(),
        created_at: at(1_736_064_000_000),
        resolved_at: None,
        closed_at: None,
        due_at: None,
        team_id: Some(team_id()),
        assignee_id: Some(user_id()),
        state: TicketState::Assigned,
        decision: Decision::without_strategy(Reason::Adopted, at(1_736_064_000_123)),
    };
    let team = format!("ORG#org_9f8e#TEAM#{}", team_id().uuid());
    for (state, pk, sk) in [
        (
            TicketState::Assigned,
            format!("{team}#OPEN"),
            "001736064000123#TKT-1",
        ),
        (
            TicketState::Waiting,
            format!("{team}#WAITING"),
            "1#001736064000000#TKT-1",
        ),
        (
            TicketState::Unrouted,
            "ORG#org_9f8e#UNROUTED".to_owned(),
            "1#001736064000000#TKT-1#0000000000000000",
        ),
    ] {
        ticket.state = state;
        assert_eq!(ticket_by_state(&org(), &ticket), Some(Key::new(pk, sk)));
        let queued = Key::new("ORG#org_9f8e#QUEUE", "1#001736064000000#TKT-1");
        let is_waiting = state == TicketState::Waiting;
        assert_eq!(
            waiting_ticket(&org(), &ticket),
            is_waiting.then_some(queued)
        );
        if state == TicketState::Unrouted {
            assert_eq!(topics_of(sk), Some(TopicFilter::of(&[])));
        }
    }
    for state in [TicketState::Closed, TicketState::Deleted] {
        ticket.state = state;
        assert_eq!(ticket_by_state(&org(), &ticket), None);
        assert_eq!(waiting_ticket(&org(), &ticket), None);
    }
}

#[test]
fn entry_of_a_user_begins_with_the_folded_name() {
    let mut user = User {
        name: "Zoë #1".to_owned(),
        status: UserStatus::Active,
        ..User::tombstone(user_id(), 1)
    };
    let entry = user_by_name(&org(), &user).unwrap();
    let folded = Folded::of("Zoë #1");
    assert_eq!(entry.pk, "ORG#org_9f8e#USERS");
    assert_eq!(entry.sk, format!("{}#{USER}", folded.as_str()));
    assert_eq!(user_of_entry(&entry.sk), Some(user_id()));
    user.status = UserStatus::Deleted;
    assert_eq!(user_by_name(&org(), &user), None);
}

#[test]
fn parsed_key_has_the_ids_of_its_builder() {
    assert_eq!(team_of(&team(&org(), team_id()).sk), Some(team_id()));
    assert_eq!(
        team_of_partition(&load(&org(), team_id()).pk),
        Some(team_id())
    );
    assert_eq!(team_of("TEAM#nonsense"), None);
    assert_eq!(team_of("ORG"), None);
    assert_eq!(team_of_partition(&organization(&org()).pk), None);
    assert_eq!(
        led_team_of(&lead(&org(), user_id(), team_id()).sk),
        Some(team_id())
    );
    assert_eq!(
        past_of(&past(&org(), team_id(), user_id()).sk),
        Some(user_id())
    );
    assert_eq!(
        member_of(&membership(&org(), team_id(), user_id()).sk),
        Some(user_id())
    );
    let hash = SecretKey::generate(KeyKind::TtLive, || 7).hash();
    assert_eq!(api_key_hash(&api_key(hash).pk), Some(hash));
}

#[test]
fn item_kind_of_a_key_without_changes_is_none() {
    let ticket_id = TicketId::parse("TKT-1").unwrap();
    for (key, entry) in [
        (team(&org(), team_id()), ItemKind::Team(team_id())),
        (load(&org(), team_id()), ItemKind::Load(team_id())),
        (
            deleted_team(&org(), team_id()),
            ItemKind::DeletedTeam(team_id()),
        ),
        (
            membership(&org(), team_id(), user_id()),
            ItemKind::Membership(team_id()),
        ),
        (user(&org(), user_id()), ItemKind::User(user_id())),
        (ticket(&org(), &ticket_id), ItemKind::Ticket),
        (pass(&org()), ItemKind::Pass),
        (stock(&org()), ItemKind::Stock),
    ] {
        assert_eq!(
            ItemKind::parse(&key.pk, &key.sk),
            Some((org(), entry)),
            "{key:?}"
        );
    }
    let hash = SecretKey::generate(KeyKind::Itsm, || 0).hash();
    for key in [
        organization(&org()),
        token_issuer(&org()),
        name_claim(&org(), &Folded::of("TEAM#x")),
        lead(&org(), user_id(), team_id()),
        topic_entries(&org(), &Folded::of("TEAM#x"), team_id())[0].clone(),
        indexed_topics(&org(), team_id()),
        past(&org(), team_id(), user_id()),
        Key::new("ORG#org_9f8e", "TEAM#nonsense"),
        Key::new("ORG#", "TEAM#550e8400-e29b-41d4-a716-446655440000"),
        api_key(hash),
        rate(Subject::of_key(hash), 28_934_400),
        no_item(),
    ] {
        assert_eq!(ItemKind::parse(&key.pk, &key.sk), None, "{key:?}");
    }
}

#[test]
fn team_input_range_excludes_past_counters() {
    let member = membership(&org(), team_id(), user_id());
    for key in [
        deleted_team(&org(), team_id()),
        load(&org(), team_id()),
        member,
    ] {
        assert!(TEAM_INPUT.contains(&key.sk.as_str()), "{key:?}");
    }
    assert!(!TEAM_INPUT.contains(&past(&org(), team_id(), user_id()).sk.as_str()));
}

/// The client's key can hold any visible character.
#[test]
fn saved_response_key_has_no_item_kind() {
    let (team, user) = (team_id().uuid(), user_id().uuid());
    for text in [
        "x",
        "#",
        "IDEM",
        "USER",
        "#TICKET#TKT-1",
        &format!("#TEAM#{team}"),
        "LOAD",
        "GONE",
        &format!("#USER#{user}"),
        &format!("MEMBER#{user}"),
        &format!("PAST#{user}"),
        "ORG#org_9f8e",
        &"#".repeat(IdempotencyKey::MAX_CHARS),
    ] {
        for part in [0, 8] {
            let key = saved_response(&org(), &request(text), part);
            assert_eq!(ItemKind::parse(&key.pk, &key.sk), None, "{key:?}");
            assert_eq!(team_of(&key.sk), None);
        }
    }
}

#[test]
fn stream_filter_leaves_out_saved_responses() {
    let template = include_str!("../../../../../template.yaml");
    for part in [0, 8] {
        let Key { pk: _, sk } = saved_response(&org(), &request("x"), part);
        assert!(
            template.contains(&format!(r#""sk": {{"S": [{{"anything-but": ["{sk}"]}}]}}"#)),
            "{sk}"
        );
    }
}

#[test]
fn name_too_long_for_a_sort_key_is_hashed() {
    let crabs = |n| TeamName::parse(&"🦀".repeat(n)).unwrap().folded();
    let (short, long) = (
        name_claim(&org(), &crabs(254)).sk,
        name_claim(&org(), &crabs(255)).sk,
    );
    assert!(short.starts_with("NAME#🦀") && short.len() <= MAX_SORT_KEY_BYTES);
    assert_eq!(
        (folded_name_of(&short), folded_name_of(&long)),
        (Some(crabs(254)), None)
    );
    assert!(long.starts_with("NAMEHASH#") && long.len() <= MAX_SORT_KEY_BYTES);
    let longer = TeamName::parse(&"\u{fdfa}".repeat(TeamName::MAX_CHARS))
        .unwrap()
        .folded();
    assert!(name_claim(&org(), &longer).sk.starts_with("NAMEHASH#"));
}

#[test]
fn tag_too_long_for_a_partition_key_is_hashed() {
    let org = OrganizationId::parse(&"o".repeat(64)).unwrap();
    let tag = |n| Folded::of(&"\u{fdfa}".repeat(n));
    let (short, long) = (
        specialists_partition(&org, &tag(59)),
        specialists_partition(&org, &tag(64)),
    );
    assert!(
        short.contains("#SPEC#") && short.len() <= MAX_PARTITION_KEY_BYTES,
        "{}",
        short.len()
    );
    assert!(
        long.contains("#SPECHASH#") && long.len() <= MAX_PARTITION_KEY_BYTES,
        "{}",
        long.len()
    );
    assert_ne!(long, specialists_partition(&org, &tag(63)));
}

#[test]
fn topic_entries_have_one_place_in_both_turns() {
    let entries = topic_entries(&org(), &Folded::of("VPN"), team_id());
    let t = "550e8400-e29b-41d4-a716-446655440000";
    for (turn, Key { pk, sk }) in entries.iter().enumerate() {
        assert_eq!(
            (pk.as_str(), sk.as_str()),
            ("ORG#org_9f8e#SPEC#vpn", &*format!("{turn}#a3a9e1ed#{t}"))
        );
        assert_eq!(specialist_of(sk), Some((RingPlace::of(t), team_id())));
    }
}

/// A turn from the team's own place, from the place before it and from the place after it.
#[test]
fn turn_of_a_ring_has_each_team_once() {
    let entries = topic_entries(&org(), &Folded::of("VPN"), team_id());
    for start in ["00000000", "a3a9e1ec", "a3a9e1ed", "a3a9e1ee", "ffffffff"] {
        let turn = ring_turn(RingPlace::parse(start).unwrap());
        let shown = entries.iter().filter(|key| turn.contains(&key.sk)).count();
        assert_eq!(shown, 1, "{start}");
    }
}

#[test]
fn text_of_a_client_never_equals_a_hash() {
    let long = Folded::of(&"\u{fdfa}".repeat(64));
    let hashed = specialists_partition(&org(), &long);
    for part in ["HASH#", "#", ""] {
        let hash = hashed.rsplit('#').next().unwrap();
        assert_ne!(
            specialists_partition(&org(), &Folded::of(&format!("{part}{hash}"))),
            hashed
        );
    }
    assert!(hashed.starts_with("ORG#org_9f8e#SPECHASH#"));
}

#[test]
fn list_of_tickets_begins_after_a_position() {
    let at = Timestamp::from_millis(1_736_064_000_000);
    let id = TicketId::parse("TKT-1").unwrap();
    let (team, high) = (team_id(), Some(Priority::High));
    let team_pk = format!("ORG#org_9f8e#TEAM#{}", team.uuid());
    let unrouted = TicketSelection::Unrouted { priority: high };
    let waiting = |team| TicketSelection::Waiting {
        team,
        priority: None,
    };
    let assigned = TicketSelection::Assigned {
        team,
        assignee: None,
    };
    for (selection, priority, names, pk, start, entry) in [
        (
            &unrouted,
            high,
            ["gsi1pk", "gsi1sk"],
            "ORG#org_9f8e#UNROUTED".to_owned(),
            "1#001736064000000#TKT-1#~",
            "1#001736064000000#TKT-1#ffffffffffffffff",
        ),
        (
            &waiting(Some(team)),
            high,
            ["gsi1pk", "gsi1sk"],
            format!("{team_pk}#WAITING"),
            "1#001736064000000#TKT-1",
            "1#001736064000000#TKT-1",
        ),
        (
            &waiting(None),
            high,
            ["gsi2pk", "gsi2sk"],
            "ORG#org_9f8e#QUEUE".to_owned(),
            "1#001736064000000#TKT-1",
            "1#001736064000000#TKT-1",
        ),
        (
            &assigned,
            None,
            ["gsi1pk", "gsi1sk"],
            format!("{team_pk}#OPEN"),
            "001736064000000#TKT-1",
            "001736064000000#TKT-1",
        ),
    ] {
        let position = TicketPosition {
            priority,
            at,
            id: id.clone(),
        };
        assert_eq!(ticket_position(selection, entry), Some(position.clone()));
        let list = TicketListKeys::of(&org(), selection);
        assert_eq!(list.prefix.as_deref(), selection.priority().map(|_| "1#"));
        let key = list.start_after(&org(), selection, &position);
        let text = |name: &str| key[name].as_s().expect("a text").as_str();
        assert_eq!(
            [text("pk"), text("sk"), text(names[0]), text(names[1])],
            ["ORG#org_9f8e#TICKET#TKT-1", "TICKET", &pk, start]
        );
        // An entry of the ticket is not after its own position.
        assert!(entry <= start, "{entry}");
    }
    for no_entry in ["", "4#1#TKT-1", "x#1#TKT-1", "1#x#TKT-1", "1#1"] {
        assert_eq!(ticket_position(&unrouted, no_entry), None, "{no_entry}");
    }
}
