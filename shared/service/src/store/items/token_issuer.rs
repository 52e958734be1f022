//! The item of a token issuer.

use serde::{Deserialize, Serialize};

use super::{Item, bad, from_item};
use crate::store::{Error, keys};
use muster_domain::{OrganizationId, RsaPublicKey, Timestamp, TokenIssuer, TokenKey, TokenKeys};

/// `ORG#o`, `JWKS`.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct TokenIssuerItem {
    pk: String,
    sk: String,
    keys: Vec<TokenKeyAttribute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    updated_at: i64,
}

/// A public key, with the names of a JWK.
#[derive(Serialize, Deserialize)]
struct TokenKeyAttribute {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    n: String,
    e: String,
}

impl TokenIssuerItem {
    pub(in crate::store) fn new(issuer: &TokenIssuer) -> Self {
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

/// Converts an item into the token issuer of `organization_id`.
pub(in crate::store) fn token_issuer(
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
