//! Keys: the only module that builds or parses a key string.
//!
//! Each `pk` begins with the organization or with the hash of an API key or another subject, so no
//! query can reach another tenant. Each `gsi1pk` and `gsi2pk` does as well, except `WORK#x`, which
//! no request reads.
//!
//! `#` separates the parts. Organization ids, UUIDs and hashes never contain it. A folded name, a
//! folded tag and a client's `Idempotency-Key` may contain it, so they are the last part of their
//! key. Only in [`user_by_name`], an id follows the folded name.
//!
//! `docs/data-model.md` lists all keys.

mod ticket_lists;

use std::{collections::HashMap, ops::RangeInclusive};

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use muster_domain::{
    Folded, Idempotency, KeyHash, OrganizationId, Priority, RingPlace, Subject, TeamId, Ticket,
    TicketId, TicketState, Timestamp, TopicFilter, User, UserId, UserStatus, hex,
};

pub(super) use ticket_lists::{TicketListKeys, ticket_position};

/// The most bytes of a partition key and of a sort key (Amazon `DynamoDB` Developer Guide,
/// "Constraints in Amazon `DynamoDB`",
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
const MAX_PARTITION_KEY_BYTES: usize = 2048;
const MAX_SORT_KEY_BYTES: usize = 1024;

/// The prefix of the sort keys of teams.
pub(super) const TEAMS: &str = "TEAM#";
/// The prefix of the sort keys of memberships.
pub(super) const MEMBERS: &str = "MEMBER#";
/// The prefix of the sort keys of past counters.
const PASTS: &str = "PAST#";
/// The range of the sort keys of memberships and past counters. It contains no other item, since
/// `$` follows `#` in ASCII.
pub(super) const MEMBERS_AND_PASTS: RangeInclusive<&str> = MEMBERS..="PAST$";
const LOAD: &str = "LOAD";
const GONE: &str = "GONE";
/// The range of the sort keys that routing reads of a team: the tombstone or the load, and the
/// memberships. It contains no other item, since `$` follows `#` in ASCII.
pub(super) const TEAM_INPUT: RangeInclusive<&str> = GONE..="MEMBER$";
/// The prefix of the sort keys of leads.
pub(super) const LEADS: &str = "LEAD#";
/// The number of index partitions of pending work.
pub(super) const PENDING_WORK_SHARDS: u8 = 16;

/// Returns a key without an item.
pub(super) fn no_item() -> Key {
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

    /// Returns the key as DynamoDB expects it.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        let Self { pk, sk } = self;
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(pk.clone())),
            ("sk".to_owned(), AttributeValue::S(sk.clone())),
        ])
    }
}

/// Returns the key of an organization. Its teams are in the same partition, and routing writes no
/// item of it.
pub(super) fn organization(org: &OrganizationId) -> Key {
    Key::new(organization_partition(org), "ORG")
}

pub(super) fn organization_partition(org: &OrganizationId) -> String {
    format!("ORG#{org}")
}

/// Returns the key of a team: the fields that people edit.
pub(super) fn team(org: &OrganizationId, team: TeamId) -> Key {
    Key::new(
        organization_partition(org),
        format!("{TEAMS}{}", team.uuid()),
    )
}

/// Returns the partition of a team's load or tombstone, memberships and past counters.
pub(super) fn team_partition(org: &OrganizationId, team: TeamId) -> String {
    format!("ORG#{org}#TEAM#{}", team.uuid())
}

/// Returns the key of a load: the counters of routing.
pub(super) fn load(org: &OrganizationId, team: TeamId) -> Key {
    Key::new(team_partition(org, team), LOAD)
}

/// Returns the key of the tombstone of a deleted team.
pub(super) fn deleted_team(org: &OrganizationId, team: TeamId) -> Key {
    Key::new(team_partition(org, team), GONE)
}

/// Returns an index partition of pending work. `shard` is from 0 to [`PENDING_WORK_SHARDS`] - 1.
pub(super) fn pending_work_partition(shard: u8) -> String {
    format!("WORK#{shard:x}")
}

/// Returns the mark of pending work of an item: the index key by which the schedule finds the item.
///
/// A hash of the item's own key chooses the shard. So the writes of all organizations spread over
/// the shards, and no index partition limits them.
pub(super) fn pending_work(item: &Key, since: Timestamp) -> Key {
    let Key { pk, sk } = item;
    let hash: [u8; 32] = Sha256::digest(format!("{pk}/{sk}")).into();
    Key::new(
        pending_work_partition(hash[0] >> 4),
        format!("{}#{pk}#{sk}", padded_millis(since)),
    )
}

/// Returns the time of a mark, by its sort key.
pub(super) fn pending_since(gsi1sk: &str) -> Option<Timestamp> {
    Some(Timestamp::from_millis(
        gsi1sk.split('#').next()?.parse().ok()?,
    ))
}

/// Returns the partition of an organization's name claims.
///
/// It is not the partition of the teams, so a list that reads all names takes no capacity from
/// reads of teams.
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

/// Returns the folded name in the sort key of a name claim. `None` if the key has a hash of the
/// name.
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

/// Returns the key of a user's profile.
pub(super) fn user(org: &OrganizationId, user: UserId) -> Key {
    Key::new(format!("ORG#{org}#USER#{}", user.uuid()), "USER")
}

/// Returns the partition of the second index with an organization's users, in the order of their
/// folded names.
pub(super) fn users_partition(org: &OrganizationId) -> String {
    format!("ORG#{org}#USERS")
}

/// Returns the key of a user in the second index. `None` for a deleted user, whose name must not
/// remain in the table.
///
/// The folded name comes first, so that a prefix of it selects a range. The id has no `#`, so it is
/// found from the end. A name that does not fit is cut, and not replaced by a hash, so that its
/// prefixes still select it.
pub(super) fn user_by_name(org: &OrganizationId, user: &User) -> Option<Key> {
    if user.status == UserStatus::Deleted {
        return None;
    }
    let suffix = format!("#{}", user.id.uuid());
    let folded = Folded::of(&user.name);
    let name = folded.as_str();
    let end = name.floor_char_boundary(MAX_SORT_KEY_BYTES - suffix.len());
    Some(Key::new(
        users_partition(org),
        format!("{}{suffix}", &name[..end]),
    ))
}

/// Returns the user of an entry in the second index, by its sort key.
pub(super) fn user_of_entry(gsi2sk: &str) -> Option<UserId> {
    UserId::parse(gsi2sk.rsplit('#').next()?).ok()
}

/// Returns the key of the lead item of a user and a team.
pub(super) fn lead(org: &OrganizationId, user: UserId, team: TeamId) -> Key {
    Key::new(self::user(org, user).pk, format!("{LEADS}{}", team.uuid()))
}

/// Returns the team of a lead item, by its sort key.
pub(super) fn led_team_of(sk: &str) -> Option<TeamId> {
    TeamId::parse(sk.strip_prefix(LEADS)?).ok()
}

/// Returns the key of a user's membership in a team.
pub(super) fn membership(org: &OrganizationId, team: TeamId, user: UserId) -> Key {
    Key::new(
        team_partition(org, team),
        format!("{MEMBERS}{}", user.uuid()),
    )
}

/// Returns the key of past counters: those of a user that is not a member.
pub(super) fn past(org: &OrganizationId, team: TeamId, user: UserId) -> Key {
    Key::new(team_partition(org, team), format!("{PASTS}{}", user.uuid()))
}

/// Returns the key of an item in a team's partition, by its sort key.
pub(super) fn of_team(org: &OrganizationId, team: TeamId, sk: &str) -> Key {
    Key::new(team_partition(org, team), sk)
}

/// Returns the index key of a membership, by its user.
pub(super) fn membership_by_user(org: &OrganizationId, team: TeamId, user: UserId) -> Key {
    Key::new(
        format!("ORG#{org}#USER#{}", user.uuid()),
        format!("{TEAMS}{}", team.uuid()),
    )
}

/// Returns the partition of the topic entries of a topic.
pub(super) fn specialists_partition(org: &OrganizationId, topic: &Folded) -> String {
    with_folded(&format!("ORG#{org}#SPEC"), topic, MAX_PARTITION_KEY_BYTES)
}

/// Returns the keys of the two topic entries of a team.
///
/// The entries of a topic form a ring. The place of a team is a hash of its id, and each team has
/// an entry in both turns of the ring. A query from a place in the first turn to the same place in
/// the second reads each team once, and needs no second query for the wrap-around.
pub(super) fn topic_entries(org: &OrganizationId, topic: &Folded, team: TeamId) -> [Key; 2] {
    let uuid = team.uuid().to_string();
    let place = RingPlace::of(&uuid);
    RING_TURNS.map(|turn| {
        Key::new(
            specialists_partition(org, topic),
            format!("{turn}#{place}#{uuid}"),
        )
    })
}

/// The first part of the sort keys of each turn.
const RING_TURNS: [u8; 2] = [0, 1];

/// Returns the range of sort keys of one whole turn of a ring, from a place on.
pub(super) fn ring_turn(start: RingPlace) -> RangeInclusive<String> {
    let [first, second] = RING_TURNS.map(|turn| format!("{turn}#{start}"));
    first..=second
}

/// Returns the place and the team of an entry of a topic's ring, by its sort key.
pub(super) fn specialist_of(sk: &str) -> Option<(RingPlace, TeamId)> {
    let mut parts = sk.splitn(3, '#').skip(1);
    Some((
        RingPlace::parse(parts.next()?)?,
        TeamId::parse(parts.next()?).ok()?,
    ))
}

/// Returns the key of the list of topics under which the topic index has a team.
pub(super) fn indexed_topics(org: &OrganizationId, team: TeamId) -> Key {
    Key::new(team_partition(org, team), "SPECS")
}

/// Returns the key of the organization's pass over its unrouted tickets. It has its own partition,
/// since other items are read while it is written.
pub(super) fn pass(org: &OrganizationId) -> Key {
    Key::new(format!("ORG#{org}#PASS"), "PASS")
}

/// Returns the key of the mark of an organization with unrouted tickets. It has its own partition,
/// since other items are read while it is written.
pub(super) fn stock(org: &OrganizationId) -> Key {
    Key::new(format!("ORG#{org}#STOCK"), "STOCK")
}

/// Returns the key of a ticket.
pub(super) fn ticket(org: &OrganizationId, ticket: &TicketId) -> Key {
    Key::new(format!("ORG#{org}#TICKET#{ticket}"), "TICKET")
}

/// Returns the index partition of a team's assigned tickets, in the order of their decisions.
pub(super) fn open_partition(org: &OrganizationId, team: TeamId) -> String {
    format!("ORG#{org}#TEAM#{}#OPEN", team.uuid())
}

/// Returns the index partition of a team's waiting tickets, in the order of their assignment: by
/// priority, then age.
pub(super) fn waiting_partition(org: &OrganizationId, team: TeamId) -> String {
    format!("ORG#{org}#TEAM#{}#WAITING", team.uuid())
}

/// Returns the index partition of an organization's unrouted tickets, by priority, then age. The
/// filter of the topics is the last part of the sort key, so a pass reads no ticket that its filter
/// excludes.
pub(super) fn unrouted_partition(org: &OrganizationId) -> String {
    format!("ORG#{org}#UNROUTED")
}

/// Returns the partition of the second index with all waiting tickets of an organization, in the
/// order of a team's: by priority, then age.
pub(super) fn queue_partition(org: &OrganizationId) -> String {
    format!("ORG#{org}#QUEUE")
}

/// Returns the key of a waiting ticket in the second index. `None` for every other ticket.
pub(super) fn waiting_ticket(org: &OrganizationId, ticket: &Ticket) -> Option<Key> {
    (ticket.state == TicketState::Waiting)
        .then(|| Key::new(queue_partition(org), by_urgency(ticket)))
}

/// Returns the sort key of a ticket in a list by priority, then age.
fn by_urgency(ticket: &Ticket) -> String {
    urgency(ticket.priority, ticket.created_at, &ticket.id)
}

fn urgency(priority: Priority, created_at: Timestamp, id: &TicketId) -> String {
    format!("{}#{}#{id}", priority.rank(), padded_millis(created_at))
}

/// Returns the sort key of an assigned ticket.
fn by_decision(decided_at: Timestamp, id: &TicketId) -> String {
    format!("{}#{id}", padded_millis(decided_at))
}

/// Returns a time in milliseconds, zero-padded, so that text order is time order.
fn padded_millis(at: Timestamp) -> String {
    format!("{:015}", at.millis().max(0))
}

/// Returns the index key of an open ticket. `None` for a ticket that is closed, deleted, or
/// assigned without a team.
pub(super) fn ticket_by_state(org: &OrganizationId, ticket: &Ticket) -> Option<Key> {
    Some(match (ticket.state, ticket.team_id) {
        (TicketState::Assigned, Some(team)) => Key::new(
            open_partition(org, team),
            by_decision(ticket.decision.decided_at, &ticket.id),
        ),
        (TicketState::Waiting, Some(team)) => {
            Key::new(waiting_partition(org, team), by_urgency(ticket))
        }
        (TicketState::Unrouted, _) => {
            let filter = TopicFilter::of(ticket.topics());
            Key::new(
                unrouted_partition(org),
                format!("{}#{filter}", by_urgency(ticket)),
            )
        }
        (TicketState::Assigned | TicketState::Waiting, None)
        | (TicketState::Closed | TicketState::Deleted, _) => {
            return None;
        }
    })
}

/// Returns the key of an item of a saved response. Part 0 is the head; its condition reserves the
/// client's key.
///
/// Each part has its own partition key: a partition takes 1,000 write units a second, and a full
/// part takes 782 in a transaction. The stream filter of template.yaml excludes every item with
/// this sort key.
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

/// Returns the key of an API key.
pub(super) fn api_key(hash: KeyHash) -> Key {
    Key::new(format!("KEY#{hash}"), "KEY")
}

/// Returns the key of the request count of a subject in a clock minute. The partition is that of
/// the API key, if the subject is one.
pub(super) fn rate(subject: Subject, minute: i64) -> Key {
    Key::new(format!("KEY#{}", subject.hash()), format!("RATE#{minute}"))
}

/// Returns the index partition of an organization's API keys, in the order of creation.
pub(super) fn api_keys_partition(org: &OrganizationId) -> String {
    format!("ORG#{org}#KEYS")
}

/// Returns the index key of an API key. The time is zero-padded, so that text order is time order.
pub(super) fn api_key_by_organization(org: &OrganizationId, created_at_millis: i64) -> Key {
    Key::new(api_keys_partition(org), format!("{created_at_millis:015}"))
}

/// Returns the key of an organization's token issuer.
pub(super) fn token_issuer(org: &OrganizationId) -> Key {
    Key::new(organization_partition(org), "JWKS")
}

/// The kind of an item, if its changes are announced or start jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemKind {
    Team(TeamId),
    Load(TeamId),
    DeletedTeam(TeamId),
    Membership(TeamId),
    User(UserId),
    Ticket,
    Pass,
    Stock,
}

impl ItemKind {
    /// Parses a key. `None` for items of every other kind, such as claims, counts, credentials, and
    /// kinds that a later version adds.
    pub(super) fn parse(pk: &str, sk: &str) -> Option<(OrganizationId, Self)> {
        let (org, rest) = owner(pk)?;
        let entry = if rest.is_empty() {
            Self::Team(team_of(sk)?)
        } else if let Some(team) = rest.strip_prefix(TEAMS) {
            let team = TeamId::parse(team).ok()?;
            match sk {
                LOAD => Self::Load(team),
                GONE => Self::DeletedTeam(team),
                _ if sk.starts_with(MEMBERS) => Self::Membership(team),
                _ => return None,
            }
        } else if sk == "USER" {
            Self::User(UserId::parse(rest.strip_prefix("USER#")?).ok()?)
        } else if sk == "TICKET" {
            Self::Ticket
        } else if (rest, sk) == ("PASS", "PASS") {
            Self::Pass
        } else if (rest, sk) == ("STOCK", "STOCK") {
            Self::Stock
        } else {
            return None;
        };
        Some((OrganizationId::parse(org).ok()?, entry))
    }
}

/// Returns an organization's id and the rest of a partition key. `None` for a key of no
/// organization.
fn owner(pk: &str) -> Option<(&str, &str)> {
    let owned = pk.strip_prefix("ORG#")?;
    Some(owned.split_once('#').unwrap_or((owned, "")))
}

/// Returns the organization of an item, by its partition key. `None` for an item of no
/// organization.
pub(super) fn organization_of(pk: &str) -> Option<OrganizationId> {
    OrganizationId::parse(owner(pk)?.0).ok()
}

/// Returns the user of a membership, by its sort key.
pub(super) fn member_of(sk: &str) -> Option<UserId> {
    UserId::parse(sk.strip_prefix(MEMBERS)?).ok()
}

/// Returns the topic filter of an unrouted ticket, by its sort key in the index.
pub(super) fn topics_of(gsi1sk: &str) -> Option<TopicFilter> {
    TopicFilter::parse(gsi1sk.rsplit('#').next()?)
}

/// Returns the user of past counters, by their sort key.
pub(super) fn past_of(sk: &str) -> Option<UserId> {
    UserId::parse(sk.strip_prefix(PASTS)?).ok()
}

/// Returns the ticket of an item, by its partition key.
pub(super) fn ticket_of(pk: &str) -> Option<TicketId> {
    let (_, id) = pk.strip_prefix("ORG#")?.split_once("#TICKET#")?;
    TicketId::parse(id).ok()
}

/// Returns the team that a sort key names: that of a team, or of a membership in the index of
/// users.
pub(super) fn team_of(sk: &str) -> Option<TeamId> {
    TeamId::parse(sk.strip_prefix(TEAMS)?).ok()
}

/// Returns the user of a profile, by its partition key.
pub(super) fn user_of(pk: &str) -> Option<UserId> {
    UserId::parse(owner(pk)?.1.strip_prefix("USER#")?).ok()
}

/// Returns the team of an item in a team's partition.
pub(super) fn team_of_partition(pk: &str) -> Option<TeamId> {
    TeamId::parse(owner(pk)?.1.strip_prefix(TEAMS)?).ok()
}

/// Returns true for the sort key of a load.
pub(super) fn is_load(sk: &str) -> bool {
    sk == LOAD
}

/// Returns true for the sort key of a tombstone.
pub(super) fn is_deleted_team(sk: &str) -> bool {
    sk == GONE
}

/// Returns the hash of an API key, by its partition key.
pub(super) fn api_key_hash(pk: &str) -> Option<KeyHash> {
    KeyHash::parse(pk.strip_prefix("KEY#")?)
}

#[cfg(test)]
mod tests;
