//! Every key of the table: the one place where a key string is built or taken apart.
//!
//! Each `pk` of the table begins with the organization or with the hash of a key or another
//! subject, so that no query can reach another tenant; so does each `gsi1pk` but `WORK#x`, which no
//! request reads. The parts are separated by `#`, which no organization id, UUID or hash can hold;
//! a folded name or tag comes last in its key, and so does a client's key for its request.

use std::{collections::HashMap, ops::RangeInclusive};

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
pub(super) const MEMBERS_AND_PASTS: RangeInclusive<&str> = MEMBERS..="PAST$";
const LOAD: &str = "LOAD";
const GONE: &str = "GONE";
/// The first and the last sort key of what routing reads of a team's partition: the tombstone or
/// the load, and the memberships. No other item of the partition has a sort key in this range: `$`
/// follows `#`.
pub(super) const TEAM_INPUT: RangeInclusive<&str> = GONE..="MEMBER$";
/// The prefix of the sort keys of leads.
pub(super) const LEADS: &str = "LEAD#";
/// The number of index partitions that hold unfinished work.
pub(super) const PENDING_WORK_SHARDS: u8 = 16;

/// A key that no item has.
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
pub(super) fn deleted_team(org: &OrganizationId, team: TeamId) -> Key {
    Key::new(team_partition(org, team), GONE)
}

/// An index partition of unfinished work. There are [`PENDING_WORK_SHARDS`], from 0.
pub(super) fn pending_work_partition(shard: u8) -> String {
    format!("WORK#{shard:x}")
}

/// The mark of an unfinished item: the index key under which the schedule finds the item. A hash of
/// the item's own key chooses the shard, so that the writes of many organizations spread over all
/// shards.
pub(super) fn pending_work(item: &Key, since: Timestamp) -> Key {
    let Key { pk, sk } = item;
    let hash: [u8; 32] = Sha256::digest(format!("{pk}/{sk}")).into();
    Key::new(
        pending_work_partition(hash[0] >> 4),
        format!("{:015}#{pk}#{sk}", since.millis().max(0)),
    )
}

/// The time since when an item is unfinished, by its mark.
pub(super) fn pending_since(gsi1sk: &str) -> Option<Timestamp> {
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

/// The turns of a topic's ring, as sort keys begin with them.
const RING_TURNS: [u8; 2] = [0, 1];

/// Returns the first sort key of one turn of a topic's ring from a place, and one after the last.
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

/// The topics under which the index has a team.
pub(super) fn indexed_topics(org: &OrganizationId, team: TeamId) -> Key {
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
pub(super) enum ItemKind {
    Team(TeamId),
    Load(TeamId),
    DeletedTeam(TeamId),
    Membership(TeamId),
    User(UserId),
    Ticket,
    Pass,
}

impl ItemKind {
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
pub(super) fn is_deleted_team(sk: &str) -> bool {
    sk == GONE
}

/// The hash of an API key, by its partition key.
pub(super) fn api_key_hash(pk: &str) -> Option<KeyHash> {
    KeyHash::parse(pk.strip_prefix("KEY#")?)
}

#[cfg(test)]
mod tests;
