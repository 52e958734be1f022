//! Tests of the conversions.

use std::sync::Arc;

use ipnet::IpNet;
use muster_domain::{
    ApiKey, Contract, Description, EventVersion, FieldVersions, Fingerprint, Folded, Idempotency,
    IdempotencyKey, KeyKind, Load, Member, NewTeam, OrganizationId, PastCounters, Profile,
    QueueStrategy, Resolved, RsaPublicKey, Scope, SecretKey, Subject, Tags, Team, TeamId, TeamName,
    TicketVersions, Timestamp, TokenIssuer, TokenKey, TokenKeys, User, UserId, UserStatus,
};

use super::{
    ticket::{parse_ticket_versions, ticket_version_texts},
    *,
};
use crate::store::{
    keys,
    records::{SavedPart, SavedResponse, StoredProfile},
};

fn org() -> OrganizationId {
    OrganizationId::parse("org").unwrap()
}

fn alex() -> User {
    User {
        id: UserId::parse("f6e5d4c3-b2a1-0987-fedc-ba9876543210").unwrap(),
        name: "Alex Rivera".to_owned(),
        email: "arivera@acme.com".to_owned(),
        role: "agent".to_owned(),
        avatar_url: None,
        status: UserStatus::Active,
        version: 3,
    }
}

fn operations() -> Team {
    let new = NewTeam {
        name: TeamName::parse("Network Operations").unwrap(),
        description: Some(Description::parse("").unwrap()),
        lead_id: Some(alex().id),
        queue_strategy: QueueStrategy::LeastBusy,
        specializations: Tags::parse(["VPN", "DNS"]).unwrap(),
    };
    let id = TeamId::parse("a1b2c3d4-e5f6-7890-abcd-ef1234567890").unwrap();
    Team::create(id, org(), new, Timestamp::from_millis(1_708_783_200_123))
}

fn membership() -> Member {
    let skills = Tags::parse(["VPN"]).unwrap();
    let joined_at = Timestamp::from_millis(5);
    let resolved = Resolved {
        tickets: 2,
        total_ms: 99,
    };
    Member {
        resolved,
        ..Member::joining(alex(), skills, None, 7, joined_at).unwrap()
    }
}

fn key_record(allowed_networks: Vec<IpNet>) -> ApiKey {
    ApiKey {
        hash: SecretKey::generate(KeyKind::TtLive, || 0).hash(),
        kind: KeyKind::TtLive,
        organization_id: org(),
        scopes: vec![Scope::TeamsRead, Scope::TeamsDelete],
        allowed_networks,
        name: Some("the nightly export".to_owned()),
        created_at: Timestamp::from_millis(1),
        expires_at: Some(Timestamp::from_millis(2)),
        revoked_at: Some(Timestamp::from_millis(3)),
    }
}

fn event_version(event_id: &str) -> EventVersion {
    EventVersion {
        at: Timestamp::from_millis(3),
        time: None,
        event_id: event_id.to_owned(),
    }
}

fn request() -> Idempotency {
    Idempotency {
        subject: Subject::of_key(key_record(Vec::new()).hash),
        key: IdempotencyKey::parse("a#b").unwrap(),
        fingerprint: Fingerprint::of(Contract::Itsm, "POST", "/v1/teams", b"{}"),
    }
}

/// Every byte value, so that a test notices a text encoding.
fn bytes() -> Vec<u8> {
    (0..=u8::MAX).collect()
}

#[test]
fn team_round_trip_is_equal() {
    let expected = operations();
    let item = to_item(TeamItem::new(&expected)).unwrap();
    assert_eq!(team(&org(), item).unwrap(), expected);
}

#[test]
fn load_round_trip_is_equal() {
    let expected = Load {
        turn: 9,
        open_tickets: 4,
        waiting_tickets: 1,
        sla_met: 2,
        sla_due: 3,
        eligible: 5,
    };
    let item = to_item(LoadItem::new(&org(), operations().id, expected)).unwrap();
    assert_eq!(load(item).unwrap(), expected);
}

#[test]
fn imported_profile_has_one_version_for_all_fields() {
    let item = to_item(UserItem::new(&org(), &alex())).unwrap();
    assert_eq!(user(alex().id, item.clone()).unwrap(), alex());
    let expected = Profile {
        user: alex(),
        versions: FieldVersions::all(&event_version("")),
    };
    assert_eq!(
        profile(alex().id, item).unwrap(),
        StoredProfile {
            profile: expected,
            rev: 0,
            mark: None
        }
    );
}

#[test]
fn deleted_profile_has_no_entry_by_name() {
    let entry = |user: &User| {
        let item = to_item(UserItem::new(&org(), user)).unwrap();
        item.get("gsi2sk").map(|sk| sk.as_s().unwrap().clone())
    };
    let alex = User {
        name: "Ále#x".to_owned(),
        ..alex()
    };
    let id = alex.id.uuid();
    assert_eq!(entry(&alex), Some(format!("ále#x#{id}")));
    // U+FDFA folds to 18 characters, 33 bytes. The cut is between characters.
    let long = User {
        name: "\u{fdfa}".repeat(255),
        ..alex.clone()
    };
    let bytes = entry(&long).unwrap().len();
    assert!((1_000..=1_024).contains(&bytes), "{bytes}");
    let deleted = User::tombstone(alex.id, alex.version);
    assert_eq!(entry(&deleted), None);
}

#[test]
fn profile_round_trip_keeps_versions_and_mark() {
    let timed = EventVersion {
        time: Some(Timestamp::from_millis(-4)),
        ..event_version("a#b")
    };
    let said = FieldVersions {
        name: None,
        role: Some(timed),
        ..FieldVersions::all(&event_version("a#b"))
    };
    let expected = Profile {
        user: alex(),
        versions: said,
    };
    let mark = keys::pending_work(&keys::user(&org(), alex().id), Timestamp::from_millis(5));
    for mark in [None, Some(mark)] {
        let item = to_item(UserItem::of_profile(&org(), &expected, 4, mark.clone())).unwrap();
        assert_eq!(
            profile(alex().id, item).unwrap(),
            StoredProfile {
                profile: expected.clone(),
                rev: 4,
                mark
            }
        );
    }
}

#[test]
fn ticket_versions_are_grouped_by_event() {
    let versions = TicketVersions {
        status: Some(Arc::new(event_version("a#b"))),
        team: Some(Arc::new(event_version("a#b"))),
        assignee: Some(Arc::new(event_version("c"))),
        ..TicketVersions::default()
    };
    let texts = ticket_version_texts(&versions);
    assert_eq!(texts, ["st#3##a#b", "a#3##c"]);
    assert_eq!(parse_ticket_versions(&texts), Some(versions));
}

#[test]
fn api_key_round_trip_is_equal() {
    let bounded = ["192.0.2.0/24", "2001:db8::7/128"].map(|network| network.parse().unwrap());
    for networks in [Vec::new(), bounded.into()] {
        let expected = key_record(networks);
        let item = to_item(ApiKeyItem::new(&expected)).unwrap();
        assert_eq!(api_key(item).unwrap(), expected);
    }
}

#[test]
fn membership_round_trip_is_equal() {
    let item = to_item(MemberItem::new(&org(), operations().id, &membership())).unwrap();
    assert_eq!(member(item).unwrap(), membership());
}

#[test]
fn past_counters_have_no_index_key_and_no_profile() {
    let expected = PastCounters {
        open_tickets: 3,
        in_progress_tickets: 1,
        ..membership().leaving()
    };
    let item = to_item(PastItem::new(&org(), operations().id, &expected)).unwrap();
    let attributes: Vec<_> = item
        .keys()
        .filter(|name| name.starts_with("gsi") || *name == "name")
        .collect();
    assert_eq!(attributes, [""; 0]);
    assert_eq!(past(item).unwrap(), (operations().id, expected));
}

#[test]
fn token_issuer_round_trip_is_equal() {
    let key = |kid: &str| TokenKey {
        kid: Some(kid.to_owned()),
        key: RsaPublicKey::parse(&format!("{}w", "_".repeat(341)), "AQAB").unwrap(),
    };
    let expected = TokenIssuer {
        organization_id: org(),
        keys: TokenKeys::parse(vec![key("2025-01"), key("2025-02")]).unwrap(),
        issuer: Some("https://id.acme.example".to_owned()),
        audience: None,
        updated_at: Timestamp::from_millis(7),
    };
    let item = to_item(TokenIssuerItem::new(&expected)).unwrap();
    assert_eq!(token_issuer(&org(), item).unwrap(), expected);
}

#[test]
fn saved_response_is_stored_as_bytes() {
    for version in [Some(7), None] {
        let head = SavedResponse {
            fingerprint: request().fingerprint.to_string(),
            status: 201,
            version,
            parts: 2,
            compressed: bytes(),
            expires_at: 9,
        };
        let item = to_item(ResponseItem::new(&org(), &request(), head)).unwrap();
        assert!(item["compressed"].is_b());
        let SavedResponse {
            fingerprint,
            status,
            version: read,
            parts,
            compressed,
            expires_at,
        } = saved_response(item).unwrap();
        assert_eq!(
            (fingerprint, status),
            (request().fingerprint.to_string(), 201)
        );
        assert_eq!(
            (read, parts, compressed, expires_at),
            (version, 2, bytes(), 9)
        );
    }
}

#[test]
fn saved_part_is_stored_as_bytes() {
    let item = to_item(ResponsePartItem::new(&org(), &request(), 1, bytes(), 9)).unwrap();
    assert!(item["compressed"].is_b());
    let SavedPart {
        compressed,
        expires_at,
    } = saved_part(item).unwrap();
    assert_eq!((compressed, expires_at), (bytes(), 9));
}

#[test]
fn name_claim_keeps_team_and_folded_name() {
    let claim = |name: &str| {
        let team = Team {
            name: TeamName::parse(name).unwrap(),
            ..operations()
        };
        to_item(NameClaimItem::new(&team)).unwrap()
    };
    let (short, long) = ("Network Operations", "🦀".repeat(TeamName::MAX_CHARS));
    for (name, keeps_folded) in [(short, false), (&*long, true)] {
        assert_eq!(claim(name).contains_key("folded"), keeps_folded, "{name}");
        assert_eq!(
            name_claim(&claim(name)).unwrap(),
            (operations().id, Folded::of(name))
        );
    }
    let mut foreign = claim(&long);
    foreign.remove("folded");
    assert!(name_claim(&foreign).is_err());
}

#[test]
fn api_key_with_unreadable_network_is_an_error() {
    let mut item = to_item(ApiKeyItem::new(&key_record(Vec::new()))).unwrap();
    let networks =
        ["192.0.2.0/24", "anywhere"].map(|network| AttributeValue::S(network.to_owned()));
    item.insert(
        "allowed_networks".to_owned(),
        AttributeValue::L(networks.into()),
    );
    let Err(Error::Internal(cause)) = api_key(item) else {
        panic!("accepted")
    };
    assert!(cause.to_string().contains("allowed_networks"), "{cause}");
}

#[test]
fn unreadable_item_error_names_the_attribute() {
    let mut item = to_item(TeamItem::new(&operations())).unwrap();
    item.insert(
        "queue_strategy".to_owned(),
        AttributeValue::S("by_lot".to_owned()),
    );
    let Err(Error::Internal(cause)) = team(&org(), item) else {
        panic!("accepted")
    };
    assert!(cause.to_string().contains("queue_strategy"), "{cause}");
}
