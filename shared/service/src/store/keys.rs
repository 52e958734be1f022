//! Every key of the table: the one place where a key string is built or taken apart.
//!
//! Each `pk` of the table begins with the organization or with the hash of a key or another
//! subject, so that no query can reach another tenant; so does each `gsi1pk` but `WORK#x`, which no
//! request reads. The parts are separated by `#`, which no organization id, UUID or hash can hold;
//! a folded name or tag comes last in its key, and so does a client's key for its request.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use muster_domain::{
    Folded, Idempotency, KeyHash, OrganizationId, RingPlace, Subject, TeamId, Ticket, TicketId,
    TicketState, Timestamp, TopicFilter, UserId, hex,
};

/// The most bytes of a partition key and of a sort key (Amazon `DynamoDB` Developer Guide,
/// "Constraints in Amazon `DynamoDB`",
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
const MAX_PARTITION_KEY_BYTES: usize = 2048;
const MAX_SORT_KEY_BYTES: usize = 1024;

/// The prefix of the sort keys of teams.
pub(super) const TEAMS: &str = "TEAM#";
/// The prefix of the sort keys of memberships.
pub(super) const MEMBERS: &str = "MEMBER#";
/// The prefix of the sort keys of the counters of users who are not members.
const PASTS: &str = "PAST#";
/// The range of the sort keys of memberships and of counters of users who are not members, and of
/// nothing else: `$` follows `#`.
pub(super) const MEMBERS_AND_PASTS: (&str, &str) = (MEMBERS, "PAST$");
const LOAD: &str = "LOAD";
const GONE: &str = "GONE";
/// The first and the last sort key of what routing reads of a team's partition: the tombstone or
/// the load, and the memberships. No other item of the partition has a sort key in this range: `$`
/// follows `#`.
pub(super) const DESK: (&str, &str) = (GONE, "MEMBER$");
/// The prefix of the sort keys of leads.
pub(super) const LEADS: &str = "LEAD#";
/// The number of index partitions that hold unfinished work.
pub(super) const WORK_SHARDS: u8 = 16;

/// A key that no item has.
pub(super) fn nothing() -> Key {
    Key::new("NOTHING", "NOTHING")
}

/// The primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self {
            pk: pk.into(),
            sk: sk.into(),
        }
    }

    /// The key as DynamoDB takes it.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        let Self { pk, sk } = self;
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(pk.clone())),
            ("sk".to_owned(), AttributeValue::S(sk.clone())),
        ])
    }
}

/// An organization: its teams are in the same partition. Routing writes no item of this partition.
pub(super) fn organization(org: &OrganizationId) -> Key {
    Key::new(organization_partition(org), "ORG")
}

pub(super) fn organization_partition(org: &OrganizationId) -> String {
    format!("ORG#{org}")
}

/// A team: the fields that people edit.
pub(super) fn team(org: &OrganizationId, team: TeamId) -> Key {
    Key::new(
        organization_partition(org),
        format!("{TEAMS}{}", team.uuid()),
    )
}

/// The partition of a team's load or tombstone, and of its memberships.
pub(super) fn team_partition(org: &OrganizationId, team: TeamId) -> String {
    format!("ORG#{org}#TEAM#{}", team.uuid())
}

/// A team's load: the counters of routing.
pub(super) fn load(org: &OrganizationId, team: TeamId) -> Key {
    Key::new(team_partition(org, team), LOAD)
}

/// The tombstone of a deleted team.
pub(super) fn gone(org: &OrganizationId, team: TeamId) -> Key {
    Key::new(team_partition(org, team), GONE)
}

/// An index partition of unfinished work. There are [`WORK_SHARDS`], from 0.
pub(super) fn work_partition(shard: u8) -> String {
    format!("WORK#{shard:x}")
}

/// The mark of an unfinished item: the index key under which the schedule finds the item. A hash of
/// the item's own key chooses the shard, so that the writes of many organizations spread over all
/// shards.
pub(super) fn work(item: &Key, since: Timestamp) -> Key {
    let Key { pk, sk } = item;
    let hash: [u8; 32] = Sha256::digest(format!("{pk}/{sk}")).into();
    Key::new(
        work_partition(hash[0] >> 4),
        format!("{:015}#{pk}#{sk}", since.millis().max(0)),
    )
}

/// The time since when an item is unfinished, by its mark.
pub(super) fn unfinished_since(gsi1sk: &str) -> Option<Timestamp> {
    Some(Timestamp::from_millis(
        gsi1sk.split('#').next()?.parse().ok()?,
    ))
}

/// Returns the partition of an organization's name claims.
///
/// It is apart from the teams, so that a list that reads all names takes no capacity from the reads
/// of teams.
pub(super) fn names_partition(org: &OrganizationId) -> String {
    format!("ORG#{org}#NAMES")
}

/// Returns the key of a team's claim on its name.
pub(super) fn name_claim(org: &OrganizationId, name: &Folded) -> Key {
    Key::new(
        names_partition(org),
        with_folded("NAME", name, MAX_SORT_KEY_BYTES),
    )
}

/// Returns the folded name that the sort key of a name claim holds. `None` for a claim whose key
/// has the name's hash.
pub(super) fn folded_name_of(sk: &str) -> Option<Folded> {
    sk.strip_prefix("NAME#").map(Folded::from_folded)
}

/// Returns a key that ends with a folded name or tag, or with its SHA-256 if the key would have
/// more than `max` bytes.
///
/// `HASH` stands before the `#` that begins the text, so no text can imitate a hash.
fn with_folded(prefix: &str, text: &Folded, max: usize) -> String {
    let plain = format!("{prefix}#{}", text.as_str());
    if plain.len() <= max {
        return plain;
    }
    let hash: [u8; 32] = Sha256::digest(text.as_str()).into();
    format!("{prefix}HASH#{}", hex(&hash))
}

/// A user's profile.
pub(super) fn user(org: &OrganizationId, user: UserId) -> Key {
    Key::new(format!("ORG#{org}#USER#{}", user.uuid()), "USER")
}

/// A team that a user leads.
pub(super) fn lead(org: &OrganizationId, user: UserId, team: TeamId) -> Key {
    Key::new(self::user(org, user).pk, format!("{LEADS}{}", team.uuid()))
}

/// The team of a lead, by its sort key.
pub(super) fn led_team_of(sk: &str) -> Option<TeamId> {
    TeamId::parse(sk.strip_prefix(LEADS)?).ok()
}

/// A user's membership of a team.
pub(super) fn membership(org: &OrganizationId, team: TeamId, user: UserId) -> Key {
    Key::new(
        team_partition(org, team),
        format!("{MEMBERS}{}", user.uuid()),
    )
}

/// The counters of a user in a team that the user is not a member of.
pub(super) fn past(org: &OrganizationId, team: TeamId, user: UserId) -> Key {
    Key::new(team_partition(org, team), format!("{PASTS}{}", user.uuid()))
}

/// An item of a team's partition, by its sort key.
pub(super) fn of_team(org: &OrganizationId, team: TeamId, sk: &str) -> Key {
    Key::new(team_partition(org, team), sk)
}

/// The index key under which a user's memberships are found.
pub(super) fn membership_by_user(org: &OrganizationId, team: TeamId, user: UserId) -> Key {
    Key::new(
        format!("ORG#{org}#USER#{}", user.uuid()),
        format!("{TEAMS}{}", team.uuid()),
    )
}

/// The partition of the teams that know of a topic.
pub(super) fn specialists_partition(org: &OrganizationId, topic: &Folded) -> String {
    with_folded(&format!("ORG#{org}#SPEC"), topic, MAX_PARTITION_KEY_BYTES)
}

/// The two entries of a team that knows a topic.
///
/// The entries of a topic form a ring: a hash of the team's id is the place, and each team stands
/// in both turns. A query from a place in the first turn to the same place in the second reads each
/// team once, without a second query for the wrap-around.
pub(super) fn specialization(org: &OrganizationId, topic: &Folded, team: TeamId) -> [Key; 2] {
    let uuid = team.uuid().to_string();
    let place = RingPlace::of(&uuid);
    RING_TURNS.map(|turn| {
        Key::new(
            specialists_partition(org, topic),
            format!("{turn}#{place}#{uuid}"),
        )
    })
}

/// The turns of a topic's ring, as sort keys begin with them.
const RING_TURNS: [u8; 2] = [0, 1];

/// Returns the first sort key of one turn of a topic's ring from a place, and one after the last.
pub(super) fn ring_turn(start: RingPlace) -> (String, String) {
    let [first, second] = RING_TURNS.map(|turn| format!("{turn}#{start}"));
    (first, second)
}

/// Returns the place and the team of an entry of a topic's ring, by its sort key.
pub(super) fn specialist_of(sk: &str) -> Option<(RingPlace, TeamId)> {
    let mut parts = sk.splitn(3, '#').skip(1);
    Some((
        RingPlace::parse(parts.next()?)?,
        TeamId::parse(parts.next()?).ok()?,
    ))
}

/// The topics under which the index has a team.
pub(super) fn specs(org: &OrganizationId, team: TeamId) -> Key {
    Key::new(team_partition(org, team), "SPECS")
}

/// The organization's pass over its unrouted tickets. Has a partition of its own, since it is
/// written while others are read.
pub(super) fn pass(org: &OrganizationId) -> Key {
    Key::new(format!("ORG#{org}#PASS"), "PASS")
}

/// A ticket.
pub(super) fn ticket(org: &OrganizationId, ticket: &TicketId) -> Key {
    Key::new(format!("ORG#{org}#TICKET#{ticket}"), "TICKET")
}

/// The index partition of a team's assigned tickets, in order of their decisions.
pub(super) fn open_partition(org: &OrganizationId, team: TeamId) -> String {
    format!("ORG#{org}#TEAM#{}#OPEN", team.uuid())
}

/// The index partition of a team's waiting tickets, in the order in which they are assigned: by
/// priority, then age.
pub(super) fn waiting_partition(org: &OrganizationId, team: TeamId) -> String {
    format!("ORG#{org}#TEAM#{}#WAITING", team.uuid())
}

/// The index partition of an organization's tickets without a team, by priority, then age. The
/// filter of the topics comes last, so that a pass reads no ticket without one of its topics.
pub(super) fn unrouted_partition(org: &OrganizationId) -> String {
    format!("ORG#{org}#UNROUTED")
}

/// The index key under which a ticket is found while it is open. One that is assigned without a
/// team is in no list.
pub(super) fn ticket_by_state(org: &OrganizationId, ticket: &Ticket) -> Option<Key> {
    // Zero-padded, so that text order is time order.
    let millis = |at: Timestamp| at.millis().max(0);
    let by_urgency = || {
        format!(
            "{}#{:015}#{}",
            ticket.priority.rank(),
            millis(ticket.created_at),
            ticket.id
        )
    };
    Some(match (ticket.state, ticket.team_id) {
        (TicketState::Assigned, Some(team)) => Key::new(
            open_partition(org, team),
            format!("{:015}#{}", millis(ticket.decision.decided_at), ticket.id),
        ),
        (TicketState::Waiting, Some(team)) => Key::new(waiting_partition(org, team), by_urgency()),
        (TicketState::Unrouted, _) => {
            let filter = TopicFilter::of(ticket.topics().as_slice());
            Key::new(
                unrouted_partition(org),
                format!("{}#{filter}", by_urgency()),
            )
        }
        (TicketState::Assigned | TicketState::Waiting, None)
        | (TicketState::Closed | TicketState::Deleted, _) => {
            return None;
        }
    })
}

/// One item of a saved response. Part 0 is the head, whose condition reserves the client's key.
///
/// Each part has a partition key of its own: one partition takes 1,000 write units a second, and a
/// full part takes 782 in a transaction. The stream filter of template.yaml leaves out every item
/// with this sort key.
pub(super) fn saved_response(org: &OrganizationId, request: &Idempotency, part: usize) -> Key {
    let Idempotency {
        subject,
        key,
        fingerprint: _,
    } = request;
    Key::new(
        format!("ORG#{org}#IDEM#{}#{part}#{}", subject.hash(), key.as_str()),
        "IDEM",
    )
}

/// An API key.
pub(super) fn api_key(hash: KeyHash) -> Key {
    Key::new(format!("KEY#{hash}"), "KEY")
}

/// How many requests a subject made in a clock minute. Beside the key, where the subject is one.
pub(super) fn rate(subject: Subject, minute: i64) -> Key {
    Key::new(format!("KEY#{}", subject.hash()), format!("RATE#{minute}"))
}

/// The index partition of an organization's API keys, in order of creation.
pub(super) fn api_keys_partition(org: &OrganizationId) -> String {
    format!("ORG#{org}#KEYS")
}

/// The index key under which an organization's API key is found. Zero-padded, so that text order is
/// time order.
pub(super) fn api_key_by_organization(org: &OrganizationId, created_at_millis: i64) -> Key {
    Key::new(api_keys_partition(org), format!("{created_at_millis:015}"))
}

/// The keys of an organization's tokens.
pub(super) fn token_issuer(org: &OrganizationId) -> Key {
    Key::new(organization_partition(org), "JWKS")
}

/// What an item is whose changes have consequences, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Team(TeamId),
    Load(TeamId),
    Gone(TeamId),
    Membership(TeamId),
    User(UserId),
    Ticket,
    Pass,
}

impl Entry {
    /// Takes a key apart. `None` for every other item: claims, counts, credentials, what a later
    /// version keeps.
    pub(super) fn parse(pk: &str, sk: &str) -> Option<(OrganizationId, Self)> {
        let (org, rest) = owner(pk)?;
        let entry = if rest.is_empty() {
            Self::Team(team_of(sk)?)
        } else if let Some(team) = rest.strip_prefix(TEAMS) {
            let team = TeamId::parse(team).ok()?;
            match sk {
                LOAD => Self::Load(team),
                GONE => Self::Gone(team),
                _ if sk.starts_with(MEMBERS) => Self::Membership(team),
                _ => return None,
            }
        } else if sk == "USER" {
            Self::User(UserId::parse(rest.strip_prefix("USER#")?).ok()?)
        } else if sk == "TICKET" {
            Self::Ticket
        } else if (rest, sk) == ("PASS", "PASS") {
            Self::Pass
        } else {
            return None;
        };
        Some((OrganizationId::parse(org).ok()?, entry))
    }
}

/// An organization's id, and what follows it in a partition key. `None` for what is no
/// organization's.
fn owner(pk: &str) -> Option<(&str, &str)> {
    let owned = pk.strip_prefix("ORG#")?;
    Some(owned.split_once('#').unwrap_or((owned, "")))
}

/// Whose an item is, by its partition key. `None` for what is no organization's.
pub(super) fn organization_of(pk: &str) -> Option<OrganizationId> {
    OrganizationId::parse(owner(pk)?.0).ok()
}

/// The user of a membership, by its sort key.
pub(super) fn member_of(sk: &str) -> Option<UserId> {
    UserId::parse(sk.strip_prefix(MEMBERS)?).ok()
}

/// The filter of an unrouted ticket's topics, by its key in the index.
pub(super) fn topics_of(gsi1sk: &str) -> Option<TopicFilter> {
    TopicFilter::parse(gsi1sk.rsplit('#').next()?)
}

/// Returns the user of counters of a user who is not a member, by their sort key.
pub(super) fn past_of(sk: &str) -> Option<UserId> {
    UserId::parse(sk.strip_prefix(PASTS)?).ok()
}

/// The ticket of an item, by its partition key.
pub(super) fn ticket_of(pk: &str) -> Option<TicketId> {
    let (_, id) = pk.strip_prefix("ORG#")?.split_once("#TICKET#")?;
    TicketId::parse(id).ok()
}

/// Returns the team that a sort key names: that of a team, of a specialization, or of a membership
/// in the index of users.
pub(super) fn team_of(sk: &str) -> Option<TeamId> {
    TeamId::parse(sk.strip_prefix(TEAMS)?).ok()
}

/// Returns the team of an item in a team's partition.
pub(super) fn team_of_partition(pk: &str) -> Option<TeamId> {
    TeamId::parse(owner(pk)?.1.strip_prefix(TEAMS)?).ok()
}

/// Whether a sort key is that of a team's load.
pub(super) fn is_load(sk: &str) -> bool {
    sk == LOAD
}

/// Whether a sort key is that of a deleted team's tombstone.
pub(super) fn is_gone(sk: &str) -> bool {
    sk == GONE
}

/// The hash of an API key, by its partition key.
pub(super) fn api_key_hash(pk: &str) -> Option<KeyHash> {
    KeyHash::parse(pk.strip_prefix("KEY#")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::{
        Contract, Decision, Fingerprint, IdempotencyKey, KeyKind, Priority, Reason, SecretKey,
        TeamName, TicketStatus, TicketVersions, Topics,
    };

    fn org() -> OrganizationId {
        OrganizationId::parse("org_9f8e").unwrap()
    }

    fn team_id() -> TeamId {
        TeamId::parse("550e8400-e29b-41d4-a716-446655440000").unwrap()
    }

    fn user_id() -> UserId {
        UserId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap()
    }

    fn request(key: &str) -> Idempotency {
        Idempotency {
            subject: Subject::of_token(&org(), "sub"),
            key: IdempotencyKey::parse(key).unwrap(),
            fingerprint: Fingerprint::of(Contract::Itsm, "POST", "/v1/teams", b"{}"),
        }
    }

    /// Stored data outlives the code: these strings can only change together with a migration.
    #[test]
    fn keys_are_as_the_design_draws_them() {
        let hash = SecretKey::generate(KeyKind::Itsm, || 0).hash();
        let t = "550e8400-e29b-41d4-a716-446655440000";
        let u = "123e4567-e89b-12d3-a456-426614174000";
        let s = Subject::of_token(&org(), "sub").hash();
        for (key, pk, sk) in [
            (organization(&org()), "ORG#org_9f8e", "ORG"),
            (
                team(&org(), team_id()),
                "ORG#org_9f8e",
                &*format!("TEAM#{t}"),
            ),
            (
                load(&org(), team_id()),
                &format!("ORG#org_9f8e#TEAM#{t}"),
                "LOAD",
            ),
            (
                gone(&org(), team_id()),
                &format!("ORG#org_9f8e#TEAM#{t}"),
                "GONE",
            ),
            (
                name_claim(&org(), &Folded::of(" Café ")),
                "ORG#org_9f8e#NAMES",
                "NAME#café",
            ),
            (
                user(&org(), user_id()),
                &format!("ORG#org_9f8e#USER#{u}"),
                "USER",
            ),
            (
                lead(&org(), user_id(), team_id()),
                &format!("ORG#org_9f8e#USER#{u}"),
                &format!("LEAD#{t}"),
            ),
            (
                membership(&org(), team_id(), user_id()),
                &format!("ORG#org_9f8e#TEAM#{t}"),
                &format!("MEMBER#{u}"),
            ),
            (
                past(&org(), team_id(), user_id()),
                &format!("ORG#org_9f8e#TEAM#{t}"),
                &format!("PAST#{u}"),
            ),
            (
                membership_by_user(&org(), team_id(), user_id()),
                &format!("ORG#org_9f8e#USER#{u}"),
                &format!("TEAM#{t}"),
            ),
            (
                saved_response(&org(), &request("a#TEAM#b"), 0),
                &format!("ORG#org_9f8e#IDEM#{s}#0#a#TEAM#b"),
                "IDEM",
            ),
            (
                saved_response(&org(), &request("1#a"), 12),
                &format!("ORG#org_9f8e#IDEM#{s}#12#1#a"),
                "IDEM",
            ),
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
        ] {
            assert_eq!((key.pk.as_str(), key.sk.as_str()), (pk, sk));
        }
    }

    #[test]
    fn mark_begins_with_its_time_in_one_of_16_shards() {
        let since = Timestamp::from_millis(1_736_064_000_123);
        let mut shards = std::collections::BTreeSet::new();
        for n in 0..200_u128 {
            let load = load(&org(), TeamId::new(uuid::Uuid::from_u128(n)));
            let Key { pk, sk } = work(&load, since);
            assert_eq!(sk, format!("001736064000123#{}#{}", load.pk, load.sk));
            assert_eq!(unfinished_since(&sk), Some(since));
            shards.insert(pk);
        }
        assert_eq!(shards, (0..WORK_SHARDS).map(work_partition).collect());
        assert_eq!(work_partition(15), "WORK#f");
    }

    #[test]
    fn an_open_ticket_is_indexed_by_its_state() {
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
            if state == TicketState::Unrouted {
                assert_eq!(topics_of(sk), Some(TopicFilter::of(&[])));
            }
        }
        for state in [TicketState::Closed, TicketState::Deleted] {
            ticket.state = state;
            assert_eq!(ticket_by_state(&org(), &ticket), None);
        }
    }

    #[test]
    fn keys_parse_back() {
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
    fn what_has_consequences_is_told_from_the_rest_by_its_key() {
        let ticket_id = TicketId::parse("TKT-1").unwrap();
        for (key, entry) in [
            (team(&org(), team_id()), Entry::Team(team_id())),
            (load(&org(), team_id()), Entry::Load(team_id())),
            (gone(&org(), team_id()), Entry::Gone(team_id())),
            (
                membership(&org(), team_id(), user_id()),
                Entry::Membership(team_id()),
            ),
            (user(&org(), user_id()), Entry::User(user_id())),
            (ticket(&org(), &ticket_id), Entry::Ticket),
            (pass(&org()), Entry::Pass),
        ] {
            assert_eq!(
                Entry::parse(&key.pk, &key.sk),
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
            specialization(&org(), &Folded::of("TEAM#x"), team_id())[0].clone(),
            specs(&org(), team_id()),
            past(&org(), team_id(), user_id()),
            Key::new("ORG#org_9f8e", "TEAM#nonsense"),
            Key::new("ORG#", "TEAM#550e8400-e29b-41d4-a716-446655440000"),
            api_key(hash),
            rate(Subject::of_key(hash), 28_934_400),
            nothing(),
        ] {
            assert_eq!(Entry::parse(&key.pk, &key.sk), None, "{key:?}");
        }
    }

    #[test]
    fn desk_range_holds_tombstone_load_and_memberships() {
        let (first, last) = DESK;
        let member = membership(&org(), team_id(), user_id());
        for key in [gone(&org(), team_id()), load(&org(), team_id()), member] {
            assert!((first..=last).contains(&key.sk.as_str()), "{key:?}");
        }
        assert!(!(first..=last).contains(&past(&org(), team_id(), user_id()).sk.as_str()));
    }

    /// The client's key can hold any visible character.
    #[test]
    fn saved_response_is_no_other_entry() {
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
                assert_eq!(Entry::parse(&key.pk, &key.sk), None, "{key:?}");
                assert_eq!(team_of(&key.sk), None);
            }
        }
    }

    #[test]
    fn stream_filter_leaves_out_saved_responses() {
        let template = include_str!("../../../../template.yaml");
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
    fn specialization_stands_at_one_place_in_both_turns() {
        let entries = specialization(&org(), &Folded::of("VPN"), team_id());
        let t = "550e8400-e29b-41d4-a716-446655440000";
        for (turn, Key { pk, sk }) in entries.iter().enumerate() {
            assert_eq!(
                (pk.as_str(), sk.as_str()),
                ("ORG#org_9f8e#SPEC#vpn", &*format!("{turn}#a3a9e1ed#{t}"))
            );
            assert_eq!(specialist_of(sk), Some((RingPlace::of(t), team_id())));
        }
    }

    /// From its own place, the place before it and the place after it: one of the two entries, and
    /// never both.
    #[test]
    fn turn_of_a_ring_has_each_team_once() {
        let entries = specialization(&org(), &Folded::of("VPN"), team_id());
        for start in ["00000000", "a3a9e1ec", "a3a9e1ed", "a3a9e1ee", "ffffffff"] {
            let (first, last) = ring_turn(RingPlace::parse(start).unwrap());
            let shown = entries
                .iter()
                .filter(|key| (&first..=&last).contains(&&key.sk))
                .count();
            assert_eq!(shown, 1, "{start}");
        }
    }

    #[test]
    fn text_of_a_client_imitates_no_hash() {
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
}
