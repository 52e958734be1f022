//! What the table's items hold, and the conversions between them and the domain.
//!
//! Item types never leave the store. Every conversion names every field, so that a new one breaks
//! the build until someone decides about it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use aws_sdk_dynamodb::types::AttributeValue;
use ipnet::IpNet;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Error,
    idempotency::{SavedPart, SavedResponse},
    keys,
    specializations::Indexed,
    work::Gone,
};
use muster_domain::{
    ApiKey, Candidate, Decision, Description, EventVersion, FieldVersions, Folded, Idempotency,
    KeyKind, Load, Member, OrganizationId, PassOverReason, PassTopics, PastCounters, Priority,
    Profile, QueueStrategy, Reason, Resolved, RoutingPass, RsaPublicKey, Scope, Tags, Team, TeamId,
    TeamName, Ticket, TicketState, TicketStatus, TicketVersions, Timestamp, TokenIssuer, TokenKey,
    TokenKeys, TopicHash, Topics, User, UserId, UserStatus,
};

/// An item as DynamoDB carries it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An item that the store's own rules do not allow: written by something else, or by another
/// version of this code.
#[derive(Debug)]
pub(super) struct BadItem(&'static str);

impl fmt::Display for BadItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an item's {} is not as this version writes it", self.0)
    }
}

impl std::error::Error for BadItem {}

/// Turns an item type into an item.
pub(super) fn to_item<T: Serialize>(item: T) -> Result<Item, Error> {
    serde_dynamo::to_item(item).map_err(Error::internal)
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(Error::internal)
}

fn bad(attribute: &'static str) -> Error {
    Error::internal(BadItem(attribute))
}

/// The text of an attribute, where it is one.
pub(super) fn text<'i>(item: &'i Item, attribute: &str) -> Option<&'i str> {
    item.get(attribute)
        .and_then(|value| value.as_s().ok())
        .map(String::as_str)
}

/// The version of the team that an item holds, read without the rest of it.
pub(super) fn version(item: &Item) -> Option<u64> {
    item.get("version")
        .and_then(|value| value.as_n().ok())?
        .parse()
        .ok()
}

/// The number of members of the team that an item holds, read without the rest of it.
pub(super) fn member_count(item: &Item) -> Option<u32> {
    item.get("member_count")
        .and_then(|value| value.as_n().ok())?
        .parse()
        .ok()
}

/// `ORG#o`, `ORG`.
#[derive(Serialize, Deserialize)]
struct OrganizationItem {
    team_count: usize,
}

/// The organization's number of teams.
pub(super) fn team_count(item: Item) -> Result<usize, Error> {
    let OrganizationItem { team_count } = from_item(item)?;
    Ok(team_count)
}

/// `ORG#o`, `TEAM#t`.
#[derive(Serialize, Deserialize)]
pub(super) struct TeamItem {
    pk: String,
    sk: String,
    /// The mark while the index does not have the team's specializations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1sk: Option<String>,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lead_id: Option<String>,
    queue_strategy: String,
    specializations: Vec<String>,
    member_count: u32,
    version: u64,
    created_at: i64,
    updated_at: i64,
}

impl TeamItem {
    /// A new team, with a mark if it has specializations to index.
    pub(super) fn new(team: &Team) -> Self {
        let Team {
            id,
            organization_id,
            name,
            description,
            lead_id,
            queue_strategy,
            specializations,
            member_count,
            version,
            created_at,
            updated_at,
        } = team;
        let key = keys::team(organization_id, *id);
        let mark = (!specializations.as_slice().is_empty()).then(|| keys::work(&key, *created_at));
        let (gsi1pk, gsi1sk) = mark.map(|mark| (mark.pk, mark.sk)).unzip();
        let keys::Key { pk, sk } = key;
        Self {
            pk,
            sk,
            gsi1pk,
            gsi1sk,
            name: name.as_str().to_owned(),
            description: description.as_ref().map(|text| text.as_str().to_owned()),
            lead_id: lead_id.map(|id| id.uuid().to_string()),
            queue_strategy: queue_strategy.as_str().to_owned(),
            specializations: specializations.as_slice().to_vec(),
            member_count: *member_count,
            version: *version,
            created_at: created_at.millis(),
            updated_at: updated_at.millis(),
        }
    }
}

/// The team of `organization_id` that an item holds.
pub(super) fn team(organization_id: &OrganizationId, item: Item) -> Result<Team, Error> {
    let TeamItem {
        pk: _,
        sk,
        gsi1pk: _,
        gsi1sk: _,
        name,
        description,
        lead_id,
        queue_strategy,
        specializations,
        member_count,
        version,
        created_at,
        updated_at,
    } = from_item(item)?;
    Ok(Team {
        id: keys::team_of(&sk).ok_or_else(|| bad("sk"))?,
        organization_id: organization_id.clone(),
        name: TeamName::parse(&name).map_err(|_| bad("name"))?,
        description: description
            .as_deref()
            .map(Description::parse)
            .transpose()
            .map_err(|_| bad("description"))?,
        lead_id: lead_id
            .as_deref()
            .map(UserId::parse)
            .transpose()
            .map_err(|_| bad("lead_id"))?,
        queue_strategy: QueueStrategy::parse(&queue_strategy)
            .ok_or_else(|| bad("queue_strategy"))?,
        specializations: Tags::from_parsed(specializations),
        member_count,
        version,
        created_at: Timestamp::from_millis(created_at),
        updated_at: Timestamp::from_millis(updated_at),
    })
}

/// The attributes of a team that [`team_update`] reads.
pub(super) const TEAM_UPDATE: &str = "#sk, #name, #updated_at";

/// Returns a team's id, its name as it is shown, and when it was last updated.
pub(super) fn team_update(item: &Item) -> Result<(TeamId, &str, Timestamp), Error> {
    let id = text(item, "sk")
        .and_then(keys::team_of)
        .ok_or_else(|| bad("sk"))?;
    let name = text(item, "name").ok_or_else(|| bad("name"))?;
    let updated_at = item
        .get("updated_at")
        .and_then(|value| value.as_n().ok())
        .and_then(|millis| millis.parse().ok());
    Ok((
        id,
        name,
        Timestamp::from_millis(updated_at.ok_or_else(|| bad("updated_at"))?),
    ))
}

/// `ORG#o#TEAM#t`, `LOAD`.
#[derive(Serialize, Deserialize)]
pub(super) struct LoadItem {
    pk: String,
    sk: String,
    turn: u64,
    open_tickets: u64,
    waiting_tickets: u64,
    sla_met: u64,
    sla_due: u64,
    eligible: u64,
}

impl LoadItem {
    pub(super) fn new(organization_id: &OrganizationId, team: TeamId, load: Load) -> Self {
        let Load {
            turn,
            open_tickets,
            waiting_tickets,
            sla_met,
            sla_due,
            eligible,
        } = load;
        let keys::Key { pk, sk } = keys::load(organization_id, team);
        Self {
            pk,
            sk,
            turn,
            open_tickets,
            waiting_tickets,
            sla_met,
            sla_due,
            eligible,
        }
    }
}

/// The load that an item holds.
pub(super) fn load(item: Item) -> Result<Load, Error> {
    let LoadItem {
        pk: _,
        sk: _,
        turn,
        open_tickets,
        waiting_tickets,
        sla_met,
        sla_due,
        eligible,
    } = from_item(item)?;
    Ok(Load {
        turn,
        open_tickets,
        waiting_tickets,
        sla_met,
        sla_due,
        eligible,
    })
}

/// `ORG#o#TEAM#t`, `GONE`.
#[derive(Serialize, Deserialize)]
pub(super) struct GoneItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1sk: Option<String>,
    open_tickets: u64,
    waiting_tickets: u64,
    deleted_at: i64,
}

impl GoneItem {
    pub(super) fn new(team: &Team, load: Load, deleted_at: Timestamp) -> Self {
        let Load {
            turn: _,
            open_tickets,
            waiting_tickets,
            sla_met: _,
            sla_due: _,
            eligible: _,
        } = load;
        let key = keys::gone(&team.organization_id, team.id);
        let keys::Key {
            pk: gsi1pk,
            sk: gsi1sk,
        } = keys::work(&key, deleted_at);
        let keys::Key { pk, sk } = key;
        Self {
            pk,
            sk,
            gsi1pk: Some(gsi1pk),
            gsi1sk: Some(gsi1sk),
            open_tickets,
            waiting_tickets,
            deleted_at: deleted_at.millis(),
        }
    }
}

/// What an item says a deleted team left.
pub(super) fn gone(item: Item) -> Result<Gone, Error> {
    let GoneItem {
        pk: _,
        sk: _,
        gsi1pk: _,
        gsi1sk: _,
        open_tickets,
        waiting_tickets: _,
        deleted_at: _,
    } = from_item(item)?;
    Ok(Gone { open_tickets })
}

/// `ORG#o#SPEC#<folded tag>`, `0#<place>#t` and `1#<place>#t`.
#[derive(Serialize)]
pub(super) struct SpecializationItem {
    pk: String,
    sk: String,
}

impl SpecializationItem {
    pub(super) fn new(key: keys::Key) -> Self {
        let keys::Key { pk, sk } = key;
        Self { pk, sk }
    }
}

/// `ORG#o#TEAM#t`, `SPECS`.
#[derive(Serialize, Deserialize)]
pub(super) struct SpecsItem {
    pk: String,
    sk: String,
    rev: u64,
    topics: Vec<String>,
}

impl SpecsItem {
    pub(super) fn new(key: keys::Key, indexed: &Indexed) -> Self {
        let keys::Key { pk, sk } = key;
        let Indexed { rev, topics } = indexed;
        Self {
            pk,
            sk,
            rev: *rev,
            topics: topics
                .iter()
                .map(|topic| topic.as_str().to_owned())
                .collect(),
        }
    }
}

/// The topics under which the index has a team, by an item.
pub(super) fn specs(item: Item) -> Result<Indexed, Error> {
    let SpecsItem {
        pk: _,
        sk: _,
        rev,
        topics,
    } = from_item(item)?;
    Ok(Indexed {
        rev,
        topics: topics.iter().map(|topic| Folded::of(topic)).collect(),
    })
}

/// `ORG#o#PASS`, `PASS`.
#[derive(Deserialize)]
struct PassItem {
    rev: u64,
    #[serde(default)]
    covered: u64,
    /// Absent where no topic was merged since the pass was last finished.
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    all_topics: bool,
    merged_at: i64,
    #[serde(default)]
    lease_until: Option<i64>,
    #[serde(default)]
    gsi1pk: Option<String>,
}

/// The organization's pass that an item holds.
pub(super) fn pass(item: Item) -> Result<RoutingPass, Error> {
    let PassItem {
        rev,
        covered,
        topics,
        all_topics,
        merged_at,
        lease_until,
        gsi1pk,
    } = from_item(item)?;
    let hashes: Option<_> = topics.iter().map(|text| TopicHash::parse(text)).collect();
    let these = PassTopics::These(hashes.ok_or_else(|| bad("topics"))?);
    Ok(RoutingPass {
        rev,
        covered,
        topics: if all_topics { PassTopics::All } else { these },
        merged_at: Timestamp::from_millis(merged_at),
        leased_until: lease_until.map(Timestamp::from_millis),
        is_pending: gsi1pk.is_some(),
    })
}

/// `ORG#o#NAMES`, `NAME#<folded name>`.
#[derive(Serialize)]
pub(super) struct NameClaimItem {
    pk: String,
    sk: String,
    team_id: String,
    /// The folded name, where the sort key has its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    folded: Option<String>,
}

impl NameClaimItem {
    pub(super) fn new(team: &Team) -> Self {
        let name = team.name.folded();
        let keys::Key { pk, sk } = keys::name_claim(&team.organization_id, &name);
        let folded = keys::folded_name_of(&sk)
            .is_none()
            .then(|| name.as_str().to_owned());
        Self {
            pk,
            sk,
            team_id: team.id.uuid().to_string(),
            folded,
        }
    }
}

/// The attributes of a name claim that [`name_claim`] reads.
pub(super) const NAME_CLAIM: &str = "sk, team_id, folded";

/// Returns the team of a name claim and its folded name.
pub(super) fn name_claim(item: &Item) -> Result<(TeamId, Folded), Error> {
    let team = text(item, "team_id")
        .and_then(|id| TeamId::parse(id).ok())
        .ok_or_else(|| bad("team_id"))?;
    let folded = text(item, "sk").and_then(keys::folded_name_of);
    let folded = folded
        .or_else(|| text(item, "folded").map(Folded::from_folded))
        .ok_or_else(|| bad("folded"))?;
    Ok((team, folded))
}

/// `ORG#o#USER#u`, `LEAD#t`.
#[derive(Serialize)]
pub(super) struct LeadItem {
    pk: String,
    sk: String,
}

impl LeadItem {
    pub(super) fn new(key: keys::Key) -> Self {
        let keys::Key { pk, sk } = key;
        Self { pk, sk }
    }
}

/// What a profile and its copies have in common.
#[derive(Serialize, Deserialize)]
struct UserAttributes {
    name: String,
    email: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    status: String,
    profile_version: i64,
}

impl UserAttributes {
    fn new(user: &User) -> Self {
        let User {
            id: _,
            name,
            email,
            role,
            avatar_url,
            status,
            version,
        } = user.clone();
        Self {
            name,
            email,
            role,
            avatar_url,
            status: status.as_str().to_owned(),
            profile_version: version,
        }
    }

    fn into_user(self, id: UserId) -> Result<User, Error> {
        let Self {
            name,
            email,
            role,
            avatar_url,
            status,
            profile_version,
        } = self;
        let status = UserStatus::parse(&status).ok_or_else(|| bad("status"))?;
        Ok(User {
            id,
            name,
            email,
            role,
            avatar_url,
            status,
            version: profile_version,
        })
    }
}

/// `ORG#o#USER#u`, `USER`.
#[derive(Serialize, Deserialize)]
pub(super) struct UserItem {
    pk: String,
    sk: String,
    /// The mark while copies of the profile may be older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1sk: Option<String>,
    #[serde(flatten)]
    profile: UserAttributes,
    /// Grows with every write by the events' rules.
    #[serde(default)]
    rev: u64,
    /// Absent where all was said at once, at the moment that is the profile's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<SaidAttribute>,
}

/// The part of a profile that says when each part of it was said.
#[derive(Serialize, Deserialize)]
struct SaidAttribute {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
}

impl SaidAttribute {
    fn new(said: &FieldVersions) -> Self {
        let FieldVersions {
            name,
            email,
            role,
            avatar_url,
            status,
        } = said;
        let text = |version: &Option<EventVersion>| version.as_ref().map(version_text);
        Self {
            name: text(name),
            email: text(email),
            role: text(role),
            avatar_url: text(avatar_url),
            status: text(status),
        }
    }

    fn into_said(self) -> Option<FieldVersions> {
        let Self {
            name,
            email,
            role,
            avatar_url,
            status,
        } = self;
        let version = |text: Option<String>| match text {
            Some(text) => parse_version(&text).map(Some),
            None => Some(None),
        };
        Some(FieldVersions {
            name: version(name)?,
            email: version(email)?,
            role: version(role)?,
            avatar_url: version(avatar_url)?,
            status: version(status)?,
        })
    }
}

impl UserItem {
    /// A profile that was not put together from events.
    pub(super) fn new(organization_id: &OrganizationId, user: &User) -> Self {
        let keys::Key { pk, sk } = keys::user(organization_id, user.id);
        Self {
            pk,
            sk,
            gsi1pk: None,
            gsi1sk: None,
            profile: UserAttributes::new(user),
            rev: 0,
            said: None,
        }
    }

    /// A profile that is written for the `rev`th time, with a mark if its copies are unfinished.
    pub(super) fn of_profile(
        organization_id: &OrganizationId,
        profile: &Profile,
        rev: u64,
        mark: Option<keys::Key>,
    ) -> Self {
        let Profile { user, versions } = profile;
        let (gsi1pk, gsi1sk) = mark.map(|mark| (mark.pk, mark.sk)).unzip();
        Self {
            gsi1pk,
            gsi1sk,
            rev,
            said: Some(SaidAttribute::new(versions)),
            ..Self::new(organization_id, user)
        }
    }
}

/// The user that an item tells of.
pub(super) fn user(id: UserId, item: Item) -> Result<User, Error> {
    let UserItem {
        pk: _,
        sk: _,
        gsi1pk: _,
        gsi1sk: _,
        profile,
        rev: _,
        said: _,
    } = from_item(item)?;
    profile.into_user(id)
}

/// A profile as an item holds it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredProfile {
    pub(super) profile: Profile,
    /// The number of writes by the events' rules.
    pub(super) rev: u64,
    /// The mark while copies of the profile are unfinished.
    pub(super) mark: Option<keys::Key>,
}

/// The profile that an item holds of the user with this id.
pub(super) fn profile(id: UserId, item: Item) -> Result<StoredProfile, Error> {
    let UserItem {
        pk: _,
        sk: _,
        gsi1pk,
        gsi1sk,
        profile,
        rev,
        said,
    } = from_item(item)?;
    let user = profile.into_user(id)?;
    let said = match said {
        Some(said) => said.into_said().ok_or_else(|| bad("said"))?,
        None => FieldVersions::all(&EventVersion {
            at: Timestamp::from_millis(user.version),
            time: None,
            event_id: String::new(),
        }),
    };
    let mark = gsi1pk.zip(gsi1sk).map(|(pk, sk)| keys::Key { pk, sk });
    Ok(StoredProfile {
        profile: Profile {
            user,
            versions: said,
        },
        rev,
        mark,
    })
}

/// `ORG#o#TEAM#t`, `MEMBER#u`.
#[derive(Serialize, Deserialize)]
pub(super) struct MemberItem {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    #[serde(flatten)]
    profile: UserAttributes,
    skills: Vec<String>,
    joined_at: i64,
    rev: u64,
    last_turn: u64,
    open_tickets: u64,
    in_progress_tickets: u64,
    resolved_tickets: u64,
    resolved_ms: u64,
}

impl MemberItem {
    pub(super) fn new(organization_id: &OrganizationId, team: TeamId, member: &Member) -> Self {
        let Member {
            user,
            skills,
            joined_at,
            rev,
            last_turn,
            open_tickets,
            in_progress_tickets,
            resolved: Resolved { tickets, total_ms },
        } = member;
        let keys::Key { pk, sk } = keys::membership(organization_id, team, user.id);
        let keys::Key {
            pk: gsi1pk,
            sk: gsi1sk,
        } = keys::membership_by_user(organization_id, team, user.id);
        Self {
            pk,
            sk,
            gsi1pk,
            gsi1sk,
            profile: UserAttributes::new(user),
            skills: skills.as_slice().to_vec(),
            joined_at: joined_at.millis(),
            rev: *rev,
            last_turn: *last_turn,
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            resolved_tickets: *tickets,
            resolved_ms: *total_ms,
        }
    }
}

/// Returns the membership that an item holds.
pub(super) fn member(item: Item) -> Result<Member, Error> {
    let MemberItem {
        pk: _,
        sk,
        gsi1pk: _,
        gsi1sk: _,
        profile,
        skills,
        joined_at,
        rev,
        last_turn,
        open_tickets,
        in_progress_tickets,
        resolved_tickets,
        resolved_ms,
    } = from_item(item)?;
    let id = keys::member_of(&sk).ok_or_else(|| bad("sk"))?;
    Ok(Member {
        user: profile.into_user(id)?,
        skills: Tags::from_parsed(skills),
        joined_at: Timestamp::from_millis(joined_at),
        rev,
        last_turn,
        open_tickets,
        in_progress_tickets,
        resolved: Resolved {
            tickets: resolved_tickets,
            total_ms: resolved_ms,
        },
    })
}

/// `ORG#o#TEAM#t`, `PAST#u`. It has no index key and no profile, so that copies of profiles and
/// erasure leave it alone.
#[derive(Serialize, Deserialize)]
pub(super) struct PastItem {
    pk: String,
    sk: String,
    rev: u64,
    last_turn: u64,
    open_tickets: u64,
    in_progress_tickets: u64,
    resolved_tickets: u64,
    resolved_ms: u64,
}

impl PastItem {
    pub(super) fn new(organization_id: &OrganizationId, team: TeamId, past: &PastCounters) -> Self {
        let PastCounters {
            user_id,
            rev,
            last_turn,
            open_tickets,
            in_progress_tickets,
            resolved: Resolved { tickets, total_ms },
        } = past;
        let keys::Key { pk, sk } = keys::past(organization_id, team, *user_id);
        Self {
            pk,
            sk,
            rev: *rev,
            last_turn: *last_turn,
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            resolved_tickets: *tickets,
            resolved_ms: *total_ms,
        }
    }
}

/// Returns the counters of a user who is not a member, and their team.
pub(super) fn past(item: Item) -> Result<(TeamId, PastCounters), Error> {
    let PastItem {
        pk,
        sk,
        rev,
        last_turn,
        open_tickets,
        in_progress_tickets,
        resolved_tickets,
        resolved_ms,
    } = from_item(item)?;
    let team = keys::team_of_partition(&pk).ok_or_else(|| bad("pk"))?;
    let user_id = keys::past_of(&sk).ok_or_else(|| bad("sk"))?;
    let resolved = Resolved {
        tickets: resolved_tickets,
        total_ms: resolved_ms,
    };
    Ok((
        team,
        PastCounters {
            user_id,
            rev,
            last_turn,
            open_tickets,
            in_progress_tickets,
            resolved,
        },
    ))
}

/// `ORG#o#TICKET#k`, `TICKET`.
#[derive(Serialize, Deserialize)]
pub(super) struct TicketItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1sk: Option<String>,
    rev: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    versions: Vec<String>,
    status: String,
    priority: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subcategory: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolved_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assignee_id: Option<String>,
    state: String,
    decision: DecisionAttribute,
}

/// Writes each version once, after the codes of the fields that have it:
/// `spcbgnrdt#1708790000000#1708790000123#event-1`. One event often sets most of the fields, and a
/// ticket has to fit a write unit of 1 KB.
fn ticket_version_texts(versions: &TicketVersions) -> Vec<String> {
    let TicketVersions {
        status,
        priority,
        category,
        subcategory,
        tags,
        created_at,
        resolved_at,
        due_at,
        team,
        assignee,
    } = versions;
    let mut codes_of: BTreeMap<&EventVersion, String> = BTreeMap::new();
    for (code, version) in [
        ('s', status),
        ('p', priority),
        ('c', category),
        ('b', subcategory),
        ('g', tags),
        ('n', created_at),
        ('r', resolved_at),
        ('d', due_at),
        ('t', team),
        ('a', assignee),
    ] {
        if let Some(version) = version {
            codes_of.entry(version).or_default().push(code);
        }
    }
    codes_of
        .into_iter()
        .map(|(version, codes)| format!("{codes}#{}", version_text(version)))
        .collect()
}

fn parse_ticket_versions(texts: &[String]) -> Option<TicketVersions> {
    let mut versions = TicketVersions::default();
    for text in texts {
        let (codes, version) = text.split_once('#')?;
        let version = parse_version(version)?;
        for code in codes.chars() {
            let field = match code {
                's' => &mut versions.status,
                'p' => &mut versions.priority,
                'c' => &mut versions.category,
                'b' => &mut versions.subcategory,
                'g' => &mut versions.tags,
                'n' => &mut versions.created_at,
                'r' => &mut versions.resolved_at,
                'd' => &mut versions.due_at,
                't' => &mut versions.team,
                'a' => &mut versions.assignee,
                _ => return None,
            };
            *field = Some(version.clone());
        }
    }
    Some(versions)
}

/// The part of a ticket that says why it is where it is.
#[derive(Serialize, Deserialize)]
struct DecisionAttribute {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strategy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
    considered: u64,
    eligible: u64,
    candidates: Vec<CandidateAttribute>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    replaces_missing_team: bool,
    decided_at: i64,
}

#[derive(Serialize, Deserialize)]
struct CandidateAttribute {
    user_id: String,
    open_tickets: u64,
    last_turn: u64,
    matched_skills: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
}

/// Writes a version as the milliseconds of `at`, those of `time` (empty where it is absent) and the
/// event's id.
fn version_text(EventVersion { at, time, event_id }: &EventVersion) -> String {
    let time = time.map_or_else(String::new, |time| time.millis().to_string());
    format!("{}#{time}#{event_id}", at.millis())
}

fn parse_version(text: &str) -> Option<EventVersion> {
    let (at, rest) = text.split_once('#')?;
    let (time, event_id) = rest.split_once('#')?;
    let moment = |millis: &str| millis.parse().ok().map(Timestamp::from_millis);
    let time = if time.is_empty() {
        None
    } else {
        Some(moment(time)?)
    };
    Some(EventVersion {
        at: moment(at)?,
        time,
        event_id: event_id.to_owned(),
    })
}

impl TicketItem {
    pub(super) fn new(organization_id: &OrganizationId, ticket: &Ticket) -> Self {
        let Ticket {
            id,
            rev,
            versions,
            status,
            priority,
            category,
            subcategory,
            tags,
            created_at,
            resolved_at,
            due_at,
            closed_at,
            team_id,
            assignee_id,
            state,
            decision,
        } = ticket;
        let folded = |text: &Folded| text.as_str().to_owned();
        let keys::Key { pk, sk } = keys::ticket(organization_id, id);
        let (gsi1pk, gsi1sk) = keys::ticket_by_state(organization_id, ticket)
            .map(|key| (key.pk, key.sk))
            .unzip();
        Self {
            pk,
            sk,
            gsi1pk,
            gsi1sk,
            rev: *rev,
            versions: ticket_version_texts(versions),
            status: status.as_str().to_owned(),
            priority: priority.as_str().to_owned(),
            category: category.as_ref().map(folded),
            subcategory: subcategory.as_ref().map(folded),
            tags: tags.as_slice().iter().map(folded).collect(),
            created_at: created_at.millis(),
            resolved_at: resolved_at.map(Timestamp::millis),
            due_at: due_at.map(Timestamp::millis),
            closed_at: closed_at.map(Timestamp::millis),
            team_id: team_id.map(|id| id.uuid().to_string()),
            assignee_id: assignee_id.map(|id| id.uuid().to_string()),
            state: state.as_str().to_owned(),
            decision: DecisionAttribute::new(decision),
        }
    }
}

impl DecisionAttribute {
    fn new(decision: &Decision) -> Self {
        let Decision {
            reason,
            strategy,
            turn,
            fallback,
            considered,
            eligible,
            candidates,
            replaces_missing_team,
            decided_at,
        } = decision;
        Self {
            reason: reason.as_str().to_owned(),
            strategy: strategy.map(|strategy| strategy.as_str().to_owned()),
            turn: *turn,
            fallback: fallback.map(|strategy| strategy.as_str().to_owned()),
            considered: *considered,
            eligible: *eligible,
            candidates: candidates.iter().map(CandidateAttribute::new).collect(),
            replaces_missing_team: *replaces_missing_team,
            decided_at: decided_at.millis(),
        }
    }

    fn into_decision(self) -> Option<Decision> {
        let Self {
            reason,
            strategy,
            turn,
            fallback,
            considered,
            eligible,
            candidates,
            replaces_missing_team,
            decided_at,
        } = self;
        let strategy_of = |text: Option<String>| match text {
            Some(text) => QueueStrategy::parse(&text).map(Some),
            None => Some(None),
        };
        Some(Decision {
            reason: Reason::parse(&reason)?,
            strategy: strategy_of(strategy)?,
            turn,
            fallback: strategy_of(fallback)?,
            considered,
            eligible,
            candidates: candidates
                .into_iter()
                .map(CandidateAttribute::into_candidate)
                .collect::<Option<_>>()?,
            replaces_missing_team,
            decided_at: Timestamp::from_millis(decided_at),
        })
    }
}

impl CandidateAttribute {
    fn new(candidate: &Candidate) -> Self {
        let Candidate {
            user_id,
            open_tickets,
            last_turn,
            matched_skills,
            pass_over_reason,
        } = *candidate;
        Self {
            user_id: user_id.uuid().to_string(),
            open_tickets,
            last_turn,
            matched_skills,
            why_not: pass_over_reason.map(|reason| reason.as_str().to_owned()),
        }
    }

    fn into_candidate(self) -> Option<Candidate> {
        let Self {
            user_id,
            open_tickets,
            last_turn,
            matched_skills,
            why_not,
        } = self;
        Some(Candidate {
            user_id: UserId::parse(&user_id).ok()?,
            open_tickets,
            last_turn,
            matched_skills,
            pass_over_reason: match why_not {
                Some(text) => Some(PassOverReason::parse(&text)?),
                None => None,
            },
        })
    }
}

/// The ticket that an item holds.
pub(super) fn ticket(item: Item) -> Result<Ticket, Error> {
    let TicketItem {
        pk,
        sk: _,
        gsi1pk: _,
        gsi1sk: _,
        rev,
        versions,
        status,
        priority,
        category,
        subcategory,
        tags,
        created_at,
        resolved_at,
        due_at,
        closed_at,
        team_id,
        assignee_id,
        state,
        decision,
    } = from_item(item)?;
    Ok(Ticket {
        id: keys::ticket_of(&pk).ok_or_else(|| bad("pk"))?,
        rev,
        versions: parse_ticket_versions(&versions).ok_or_else(|| bad("versions"))?,
        status: TicketStatus::parse(&status).ok_or_else(|| bad("status"))?,
        priority: Priority::parse(&priority).ok_or_else(|| bad("priority"))?,
        category: category.as_deref().map(Folded::of),
        subcategory: subcategory.as_deref().map(Folded::of),
        tags: Topics::of(tags),
        created_at: Timestamp::from_millis(created_at),
        resolved_at: resolved_at.map(Timestamp::from_millis),
        due_at: due_at.map(Timestamp::from_millis),
        closed_at: closed_at.map(Timestamp::from_millis),
        team_id: team_id
            .as_deref()
            .map(TeamId::parse)
            .transpose()
            .map_err(|_| bad("team_id"))?,
        assignee_id: assignee_id
            .as_deref()
            .map(UserId::parse)
            .transpose()
            .map_err(|_| bad("assignee_id"))?,
        state: TicketState::parse(&state).ok_or_else(|| bad("state"))?,
        decision: decision.into_decision().ok_or_else(|| bad("decision"))?,
    })
}

/// `ORG#o#IDEM#<subject>#0#<key>`, `IDEM`: head of a saved response. `expires_at` is the table's
/// TTL attribute, in seconds.
#[derive(Serialize, Deserialize)]
pub(super) struct ResponseItem {
    pk: String,
    sk: String,
    fingerprint: String,
    status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    parts: usize,
    #[serde(with = "serde_bytes")]
    compressed: Vec<u8>,
    expires_at: i64,
}

impl ResponseItem {
    pub(super) fn new(
        organization_id: &OrganizationId,
        request: &Idempotency,
        saved: SavedResponse,
    ) -> Self {
        let SavedResponse {
            fingerprint,
            status,
            version,
            parts,
            compressed,
            expires_at,
        } = saved;
        let keys::Key { pk, sk } = keys::saved_response(organization_id, request, 0);
        Self {
            pk,
            sk,
            fingerprint,
            status,
            version,
            parts,
            compressed,
            expires_at,
        }
    }
}

/// Returns the head of a saved response that an item holds.
pub(super) fn saved_response(item: Item) -> Result<SavedResponse, Error> {
    let ResponseItem {
        pk: _,
        sk: _,
        fingerprint,
        status,
        version,
        parts,
        compressed,
        expires_at,
    } = from_item(item)?;
    Ok(SavedResponse {
        fingerprint,
        status,
        version,
        parts,
        compressed,
        expires_at,
    })
}

/// `ORG#o#IDEM#<subject>#<part>#<key>`, `IDEM`: further part of a saved response, with the expiry
/// of its head.
#[derive(Serialize, Deserialize)]
pub(super) struct ResponsePartItem {
    pk: String,
    sk: String,
    #[serde(with = "serde_bytes")]
    compressed: Vec<u8>,
    expires_at: i64,
}

impl ResponsePartItem {
    pub(super) fn new(
        organization_id: &OrganizationId,
        request: &Idempotency,
        part: usize,
        compressed: Vec<u8>,
        expires_at: i64,
    ) -> Self {
        let keys::Key { pk, sk } = keys::saved_response(organization_id, request, part);
        Self {
            pk,
            sk,
            compressed,
            expires_at,
        }
    }
}

/// Returns the further part of a saved response that an item holds.
pub(super) fn saved_part(item: Item) -> Result<SavedPart, Error> {
    let ResponsePartItem {
        pk: _,
        sk: _,
        compressed,
        expires_at,
    } = from_item(item)?;
    Ok(SavedPart {
        compressed,
        expires_at,
    })
}

/// `KEY#<sha256>`, `KEY`. The end of a key's life is not called `expires_at`: that is the table's
/// TTL attribute, and an expired key stays in the operator's list.
#[derive(Serialize, Deserialize)]
pub(super) struct ApiKeyItem {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    organization_id: String,
    kind: String,
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allowed_networks: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<i64>,
}

impl ApiKeyItem {
    pub(super) fn new(key: &ApiKey) -> Self {
        let ApiKey {
            hash,
            kind,
            organization_id,
            scopes,
            allowed_networks,
            name,
            created_at,
            expires_at,
            revoked_at,
        } = key;
        let keys::Key { pk, sk } = keys::api_key(*hash);
        let keys::Key {
            pk: gsi1pk,
            sk: gsi1sk,
        } = keys::api_key_by_organization(organization_id, created_at.millis());
        Self {
            pk,
            sk,
            gsi1pk,
            gsi1sk,
            organization_id: organization_id.as_str().to_owned(),
            kind: kind.as_str().to_owned(),
            scopes: scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            allowed_networks: allowed_networks.iter().map(IpNet::to_string).collect(),
            name: name.clone(),
            created_at: created_at.millis(),
            valid_until: expires_at.map(Timestamp::millis),
            revoked_at: revoked_at.map(Timestamp::millis),
        }
    }
}

/// The API key that an item holds.
pub(super) fn api_key(item: Item) -> Result<ApiKey, Error> {
    let ApiKeyItem {
        pk,
        sk: _,
        gsi1pk: _,
        gsi1sk: _,
        organization_id,
        kind,
        scopes,
        allowed_networks,
        name,
        created_at,
        valid_until,
        revoked_at,
    } = from_item(item)?;
    Ok(ApiKey {
        hash: keys::api_key_hash(&pk).ok_or_else(|| bad("pk"))?,
        kind: KeyKind::parse(&kind).ok_or_else(|| bad("kind"))?,
        organization_id: OrganizationId::parse(&organization_id)
            .map_err(|_| bad("organization_id"))?,
        // A scope of some later version grants nothing here.
        scopes: scopes
            .iter()
            .filter_map(|scope| Scope::parse(scope))
            .collect(),
        // A network that cannot be read must not open the key to every address.
        allowed_networks: allowed_networks
            .iter()
            .map(|network| network.parse().map_err(|_| bad("allowed_networks")))
            .collect::<Result<_, _>>()?,
        name,
        created_at: Timestamp::from_millis(created_at),
        expires_at: valid_until.map(Timestamp::from_millis),
        revoked_at: revoked_at.map(Timestamp::from_millis),
    })
}

/// `ORG#o`, `JWKS`.
#[derive(Serialize, Deserialize)]
pub(super) struct TokenIssuerItem {
    pk: String,
    sk: String,
    keys: Vec<TokenKeyAttribute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    updated_at: i64,
}

/// A key of tokens, by the names of a JWK.
#[derive(Serialize, Deserialize)]
struct TokenKeyAttribute {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    n: String,
    e: String,
}

impl TokenIssuerItem {
    pub(super) fn new(issuer: &TokenIssuer) -> Self {
        let TokenIssuer {
            organization_id,
            keys,
            issuer,
            audience,
            updated_at,
        } = issuer;
        let keys::Key { pk, sk } = keys::token_issuer(organization_id);
        Self {
            pk,
            sk,
            keys: keys.as_slice().iter().map(TokenKeyAttribute::new).collect(),
            issuer: issuer.clone(),
            audience: audience.clone(),
            updated_at: updated_at.millis(),
        }
    }
}

impl TokenKeyAttribute {
    fn new(key: &TokenKey) -> Self {
        let TokenKey { kid, key } = key;
        let (n, e) = key.to_base64url();
        Self {
            kid: kid.clone(),
            n,
            e,
        }
    }

    fn into_key(self) -> Option<TokenKey> {
        let Self { kid, n, e } = self;
        Some(TokenKey {
            kid,
            key: RsaPublicKey::parse(&n, &e).ok()?,
        })
    }
}

/// What an item says that the tokens of `organization_id` are held to.
pub(super) fn token_issuer(
    organization_id: &OrganizationId,
    item: Item,
) -> Result<TokenIssuer, Error> {
    let TokenIssuerItem {
        pk: _,
        sk: _,
        keys,
        issuer,
        audience,
        updated_at,
    } = from_item(item)?;
    let keys = keys
        .into_iter()
        .map(TokenKeyAttribute::into_key)
        .collect::<Option<_>>();
    Ok(TokenIssuer {
        organization_id: organization_id.clone(),
        keys: keys
            .and_then(|keys| TokenKeys::parse(keys).ok())
            .ok_or_else(|| bad("keys"))?,
        issuer,
        audience,
        updated_at: Timestamp::from_millis(updated_at),
    })
}

/// `KEY#<sha256>`, `RATE#<minute>`.
#[derive(Deserialize)]
struct RateItem {
    requests: u64,
}

/// The number of requests in a minute.
pub(super) fn request_count(item: Item) -> Result<u64, Error> {
    let RateItem { requests } = from_item(item)?;
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::{Contract, Fingerprint, IdempotencyKey, NewTeam, SecretKey, Subject};

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

    fn key_record() -> ApiKey {
        ApiKey {
            hash: SecretKey::generate(KeyKind::TtLive, || 0).hash(),
            kind: KeyKind::TtLive,
            organization_id: org(),
            scopes: vec![Scope::TeamsRead, Scope::TeamsDelete],
            allowed_networks: Vec::new(),
            name: Some("the nightly export".to_owned()),
            created_at: Timestamp::from_millis(1),
            expires_at: Some(Timestamp::from_millis(2)),
            revoked_at: Some(Timestamp::from_millis(3)),
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one value for each kind of item")]
    fn every_record_survives_the_table() {
        let expected = operations();
        assert_eq!(
            team(&org(), to_item(TeamItem::new(&expected)).unwrap()).unwrap(),
            expected
        );

        let expected = Load {
            turn: 9,
            open_tickets: 4,
            waiting_tickets: 1,
            sla_met: 2,
            sla_due: 3,
            eligible: 5,
        };
        assert_eq!(
            load(to_item(LoadItem::new(&org(), operations().id, expected)).unwrap()).unwrap(),
            expected
        );

        let expected = alex();
        assert_eq!(
            user(
                alex().id,
                to_item(UserItem::new(&org(), &expected)).unwrap()
            )
            .unwrap(),
            expected
        );

        let version = |event_id: &str| EventVersion {
            at: Timestamp::from_millis(3),
            time: None,
            event_id: event_id.to_owned(),
        };
        let imported = profile(
            alex().id,
            to_item(UserItem::new(&org(), &expected)).unwrap(),
        )
        .unwrap();
        let all_said = Profile {
            user: alex(),
            versions: FieldVersions::all(&version("")),
        };
        assert_eq!(
            imported,
            StoredProfile {
                profile: all_said,
                rev: 0,
                mark: None
            }
        );
        let timed = EventVersion {
            time: Some(Timestamp::from_millis(-4)),
            ..version("a#b")
        };
        let said = FieldVersions {
            name: None,
            role: Some(timed),
            ..FieldVersions::all(&version("a#b"))
        };
        let expected = Profile {
            user: alex(),
            versions: said,
        };
        let mark = Some(keys::work(
            &keys::user(&org(), alex().id),
            Timestamp::from_millis(5),
        ));
        for mark in [None, mark] {
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

        let versions = TicketVersions {
            status: Some(version("a#b")),
            team: Some(version("a#b")),
            assignee: Some(version("c")),
            ..TicketVersions::default()
        };
        let texts = ticket_version_texts(&versions);
        assert_eq!(texts, ["st#3##a#b", "a#3##c"]);
        assert_eq!(parse_ticket_versions(&texts), Some(versions));

        let bounded = ["192.0.2.0/24", "2001:db8::7/128"].map(|network| network.parse().unwrap());
        for networks in [Vec::new(), bounded.into()] {
            let expected = ApiKey {
                allowed_networks: networks,
                ..key_record()
            };
            assert_eq!(
                api_key(to_item(ApiKeyItem::new(&expected)).unwrap()).unwrap(),
                expected
            );
        }

        let mut expected = Member::joining(
            alex(),
            Tags::parse(["VPN"]).unwrap(),
            None,
            7,
            Timestamp::from_millis(5),
        )
        .unwrap();
        expected.resolved = Resolved {
            tickets: 2,
            total_ms: 99,
        };
        assert_eq!(
            member(to_item(MemberItem::new(&org(), operations().id, &expected)).unwrap()).unwrap(),
            expected
        );

        let expected = PastCounters {
            open_tickets: 3,
            in_progress_tickets: 1,
            ..expected.leaving()
        };
        let item = to_item(PastItem::new(&org(), operations().id, &expected)).unwrap();
        let attributes: Vec<_> = item
            .keys()
            .filter(|name| name.starts_with("gsi") || *name == "name")
            .collect();
        assert_eq!(attributes, [""; 0], "no index key and no profile");
        assert_eq!(past(item).unwrap(), (operations().id, expected));

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
        assert_eq!(
            token_issuer(&org(), to_item(TokenIssuerItem::new(&expected)).unwrap()).unwrap(),
            expected
        );

        let request = Idempotency {
            subject: Subject::of_key(key_record().hash),
            key: IdempotencyKey::parse("a#b").unwrap(),
            fingerprint: Fingerprint::of(Contract::Itsm, "POST", "/v1/teams", b"{}"),
        };
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        for version in [Some(7), None] {
            let head = SavedResponse {
                fingerprint: request.fingerprint.to_string(),
                status: 201,
                version,
                parts: 2,
                compressed: bytes.clone(),
                expires_at: 9,
            };
            let item = to_item(ResponseItem::new(&org(), &request, head)).unwrap();
            assert!(
                item["compressed"].is_b(),
                "stored as bytes, and not as a list of numbers"
            );
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
                (request.fingerprint.to_string(), 201)
            );
            assert_eq!(
                (read, parts, compressed, expires_at),
                (version, 2, bytes.clone(), 9)
            );
        }
        let item = to_item(ResponsePartItem::new(&org(), &request, 1, bytes.clone(), 9)).unwrap();
        assert!(item["compressed"].is_b());
        let SavedPart {
            compressed,
            expires_at,
        } = saved_part(item).unwrap();
        assert_eq!((compressed, expires_at), (bytes, 9));
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
    fn a_network_that_cannot_be_read_opens_a_key_to_nobody() {
        let mut item = to_item(ApiKeyItem::new(&key_record())).unwrap();
        let networks =
            ["192.0.2.0/24", "anywhere"].map(|network| AttributeValue::S(network.to_owned()));
        item.insert(
            "allowed_networks".to_owned(),
            AttributeValue::L(networks.into()),
        );
        let Err(Error::Internal(why)) = api_key(item) else {
            panic!("accepted")
        };
        assert!(why.to_string().contains("allowed_networks"), "{why}");
    }

    #[test]
    fn a_foreign_item_is_an_error_that_names_the_attribute() {
        let mut item = to_item(TeamItem::new(&operations())).unwrap();
        item.insert(
            "queue_strategy".to_owned(),
            AttributeValue::S("by_lot".to_owned()),
        );
        let Err(Error::Internal(why)) = team(&org(), item) else {
            panic!("accepted")
        };
        assert!(why.to_string().contains("queue_strategy"), "{why}");
    }
}
