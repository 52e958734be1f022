//! The item of a team.

use serde::{Deserialize, Serialize};

use super::{Item, bad, from_item, text};
use crate::store::{Error, keys};
use muster_domain::{
    Description, OrganizationId, QueueStrategy, Tags, Team, TeamId, TeamName, Timestamp, UserId,
};

/// Returns the version of a team item, without the conversion of the rest.
pub(in crate::store) fn version(item: &Item) -> Option<u64> {
    item.get("version")
        .and_then(|value| value.as_n().ok())?
        .parse()
        .ok()
}

/// Returns the number of members of a team item, without the conversion of the rest.
pub(in crate::store) fn member_count(item: &Item) -> Option<u32> {
    item.get("member_count")
        .and_then(|value| value.as_n().ok())?
        .parse()
        .ok()
}

/// `ORG#o`, `TEAM#t`.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct TeamItem {
    pk: String,
    sk: String,
    /// The mark of pending work, while the topic index differs from the specializations.
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
    /// Returns the item of a new team, with a mark if it has specializations to index.
    pub(in crate::store) fn new(team: &Team) -> Self {
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
        let mark =
            (!specializations.as_slice().is_empty()).then(|| keys::pending_work(&key, *created_at));
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

/// Converts an item into a team of `organization_id`.
pub(in crate::store) fn team(organization_id: &OrganizationId, item: Item) -> Result<Team, Error> {
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
pub(in crate::store) const TEAM_UPDATE: &str = "#sk, #name, #updated_at";

/// Returns a team's id, its name as written, and the time of its latest update.
pub(in crate::store) fn team_update(item: &Item) -> Result<(TeamId, &str, Timestamp), Error> {
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
