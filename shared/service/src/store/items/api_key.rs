//! The item of an API key.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Item, bad, from_item};
use crate::store::{Error, keys};
use muster_domain::{ApiKey, KeyKind, OrganizationId, Scope, Timestamp};

/// `KEY#<sha256>`, `KEY`. The expiry is not named `expires_at`: that is the table's TTL attribute,
/// and an expired key stays in the operator's list.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct ApiKeyItem {
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
    pub(in crate::store) fn new(key: &ApiKey) -> Self {
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

/// Converts an item into an API key.
pub(in crate::store) fn api_key(item: Item) -> Result<ApiKey, Error> {
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
        // An unknown scope, written by a later version, grants no access.
        scopes: scopes
            .iter()
            .filter_map(|scope| Scope::parse(scope))
            .collect(),
        // Dropping an unreadable network might leave the list empty, which allows every address.
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
