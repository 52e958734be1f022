//! What the table's items hold, and the conversions between them and the domain.
//!
//! Item types never leave the store. Every conversion names every field, so that a new one breaks the build until
//! someone decides about it.

use std::{collections::HashMap, fmt};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Error, keys, keys::TeamEntry};
use crate::domain::{
    ApiKey, Description, KeyKind, Load, Member, OrganizationId, QueueStrategy, Resolved, Scope, Tags, Team, TeamId,
    TeamName, Timestamp, User, UserId, UserStatus,
};

/// An item as DynamoDB carries it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An item that the store's own rules do not allow: written by something else, or by another version of this code.
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
    item.get(attribute).and_then(|value| value.as_s().ok()).map(String::as_str)
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
        let keys::Key { pk, sk } = keys::team(organization_id, *id);
        Self {
            pk,
            sk,
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
    let Some(TeamEntry::Team(id)) = TeamEntry::parse(&sk) else { return Err(bad("sk")) };
    Ok(Team {
        id,
        organization_id: organization_id.clone(),
        name: TeamName::parse(&name).map_err(|_| bad("name"))?,
        description: description.as_deref().map(Description::parse).transpose().map_err(|_| bad("description"))?,
        lead_id: lead_id.as_deref().map(UserId::parse).transpose().map_err(|_| bad("lead_id"))?,
        queue_strategy: QueueStrategy::parse(&queue_strategy).ok_or_else(|| bad("queue_strategy"))?,
        specializations: Tags::parse(specializations).map_err(|_| bad("specializations"))?,
        member_count,
        version,
        created_at: Timestamp::from_millis(created_at),
        updated_at: Timestamp::from_millis(updated_at),
    })
}

/// `ORG#o`, `TEAM#t#LOAD`.
#[derive(Serialize, Deserialize)]
pub(super) struct LoadItem {
    pk: String,
    sk: String,
    turn: u64,
    open_tickets: u64,
    waiting_tickets: u64,
    sla_met: u64,
    sla_due: u64,
}

impl LoadItem {
    pub(super) fn new(organization_id: &OrganizationId, team: TeamId, load: Load) -> Self {
        let Load { turn, open_tickets, waiting_tickets, sla_met, sla_due } = load;
        let keys::Key { pk, sk } = keys::load(organization_id, team);
        Self { pk, sk, turn, open_tickets, waiting_tickets, sla_met, sla_due }
    }
}

/// The load that an item holds.
pub(super) fn load(item: Item) -> Result<Load, Error> {
    let LoadItem { pk: _, sk: _, turn, open_tickets, waiting_tickets, sla_met, sla_due } = from_item(item)?;
    Ok(Load { turn, open_tickets, waiting_tickets, sla_met, sla_due })
}

/// `ORG#o`, `GONE#t`.
#[derive(Serialize)]
pub(super) struct GoneItem {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    open_tickets: u64,
    waiting_tickets: u64,
    deleted_at: i64,
}

impl GoneItem {
    pub(super) fn new(team: &Team, load: Load, deleted_at: Timestamp) -> Self {
        let Load { turn: _, open_tickets, waiting_tickets, sla_met: _, sla_due: _ } = load;
        let keys::Key { pk, sk } = keys::gone(&team.organization_id, team.id);
        let keys::Key { pk: gsi1pk, sk: gsi1sk } = keys::gone_work(&team.organization_id, team.id);
        Self { pk, sk, gsi1pk, gsi1sk, open_tickets, waiting_tickets, deleted_at: deleted_at.millis() }
    }
}

/// `ORG#o`, `NAME#<folded name>`.
#[derive(Serialize)]
pub(super) struct NameClaimItem {
    pk: String,
    sk: String,
    team_id: String,
}

impl NameClaimItem {
    pub(super) fn new(team: &Team) -> Self {
        let keys::Key { pk, sk } = keys::name_claim(&team.organization_id, &team.name.folded());
        Self { pk, sk, team_id: team.id.uuid().to_string() }
    }
}

/// What a profile and its copies have in common.
#[derive(Serialize, Deserialize)]
struct Profile {
    name: String,
    email: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    status: String,
    profile_version: i64,
}

impl Profile {
    fn new(user: &User) -> Self {
        let User { id: _, name, email, role, avatar_url, status, version } = user.clone();
        Self { name, email, role, avatar_url, status: status.as_str().to_owned(), profile_version: version }
    }

    fn into_user(self, id: UserId) -> Result<User, Error> {
        let Self { name, email, role, avatar_url, status, profile_version } = self;
        let status = UserStatus::parse(&status).ok_or_else(|| bad("status"))?;
        Ok(User { id, name, email, role, avatar_url, status, version: profile_version })
    }
}

/// `ORG#o#USER#u`, `USER`.
#[derive(Serialize, Deserialize)]
pub(super) struct UserItem {
    pk: String,
    sk: String,
    #[serde(flatten)]
    profile: Profile,
}

impl UserItem {
    pub(super) fn new(organization_id: &OrganizationId, user: &User) -> Self {
        let keys::Key { pk, sk } = keys::user(organization_id, user.id);
        Self { pk, sk, profile: Profile::new(user) }
    }
}

/// The profile that an item holds of the user with this id.
pub(super) fn user(id: UserId, item: Item) -> Result<User, Error> {
    let UserItem { pk: _, sk: _, profile } = from_item(item)?;
    profile.into_user(id)
}

/// `ORG#o#TEAM#t`, `MEMBER#u`.
#[derive(Serialize, Deserialize)]
pub(super) struct MemberItem {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    #[serde(flatten)]
    profile: Profile,
    skills: Vec<String>,
    joined_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed_at: Option<i64>,
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
            removed_at,
            last_turn,
            open_tickets,
            in_progress_tickets,
            resolved: Resolved { tickets, total_ms },
        } = member;
        let keys::Key { pk, sk } = keys::membership(organization_id, team, user.id);
        let keys::Key { pk: gsi1pk, sk: gsi1sk } = keys::membership_by_user(organization_id, team, user.id);
        Self {
            pk,
            sk,
            gsi1pk,
            gsi1sk,
            profile: Profile::new(user),
            skills: skills.as_slice().to_vec(),
            joined_at: joined_at.millis(),
            removed_at: removed_at.map(Timestamp::millis),
            last_turn: *last_turn,
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            resolved_tickets: *tickets,
            resolved_ms: *total_ms,
        }
    }
}

/// The membership that an item holds, a removed one too.
pub(super) fn member(item: Item) -> Result<Member, Error> {
    let MemberItem {
        pk: _,
        sk,
        gsi1pk: _,
        gsi1sk: _,
        profile,
        skills,
        joined_at,
        removed_at,
        last_turn,
        open_tickets,
        in_progress_tickets,
        resolved_tickets,
        resolved_ms,
    } = from_item(item)?;
    let id = keys::member_of(&sk).ok_or_else(|| bad("sk"))?;
    Ok(Member {
        user: profile.into_user(id)?,
        skills: Tags::parse(skills).map_err(|_| bad("skills"))?,
        joined_at: Timestamp::from_millis(joined_at),
        removed_at: removed_at.map(Timestamp::from_millis),
        last_turn,
        open_tickets,
        in_progress_tickets,
        resolved: Resolved { tickets: resolved_tickets, total_ms: resolved_ms },
    })
}

/// `KEY#<sha256>`, `KEY`. The end of a key's life is not called `expires_at`: that is the table's TTL attribute, and an
/// expired key stays in the operator's list.
#[derive(Serialize, Deserialize)]
pub(super) struct ApiKeyItem {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    organization_id: String,
    kind: String,
    scopes: Vec<String>,
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
        let ApiKey { hash, kind, organization_id, scopes, name, created_at, expires_at, revoked_at } = key;
        let keys::Key { pk, sk } = keys::api_key(*hash);
        let keys::Key { pk: gsi1pk, sk: gsi1sk } = keys::api_key_by_organization(organization_id, created_at.millis());
        Self {
            pk,
            sk,
            gsi1pk,
            gsi1sk,
            organization_id: organization_id.as_str().to_owned(),
            kind: kind.as_str().to_owned(),
            scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
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
        name,
        created_at,
        valid_until,
        revoked_at,
    } = from_item(item)?;
    Ok(ApiKey {
        hash: keys::api_key_hash(&pk).ok_or_else(|| bad("pk"))?,
        kind: KeyKind::parse(&kind).ok_or_else(|| bad("kind"))?,
        organization_id: OrganizationId::parse(&organization_id).map_err(|_| bad("organization_id"))?,
        // A scope of some later version grants nothing here.
        scopes: scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
        name,
        created_at: Timestamp::from_millis(created_at),
        expires_at: valid_until.map(Timestamp::from_millis),
        revoked_at: revoked_at.map(Timestamp::from_millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::NewTeam;

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

    #[test]
    fn every_record_survives_the_table() {
        let expected = operations();
        assert_eq!(team(&org(), to_item(TeamItem::new(&expected)).unwrap()).unwrap(), expected);

        let expected = Load { turn: 9, open_tickets: 4, waiting_tickets: 1, sla_met: 2, sla_due: 3 };
        assert_eq!(load(to_item(LoadItem::new(&org(), operations().id, expected)).unwrap()).unwrap(), expected);

        let expected = alex();
        assert_eq!(user(alex().id, to_item(UserItem::new(&org(), &expected)).unwrap()).unwrap(), expected);

        let mut expected =
            Member::joining(alex(), Tags::parse(["VPN"]).unwrap(), None, 7, Timestamp::from_millis(5)).unwrap();
        expected.removed_at = Some(Timestamp::from_millis(6));
        expected.resolved = Resolved { tickets: 2, total_ms: 99 };
        assert_eq!(member(to_item(MemberItem::new(&org(), operations().id, &expected)).unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_foreign_item_is_an_error_that_names_the_attribute() {
        let mut item = to_item(TeamItem::new(&operations())).unwrap();
        item.insert("queue_strategy".to_owned(), AttributeValue::S("by_lot".to_owned()));
        let Err(Error::Internal(why)) = team(&org(), item) else { panic!("accepted") };
        assert!(why.to_string().contains("queue_strategy"), "{why}");
    }
}
