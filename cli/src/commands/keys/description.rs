//! A key as the commands show it, without the secret.

use ipnet::IpNet;
use muster_domain::{ApiKey, SecretKey, Timestamp};
use serde_json::json;

/// The number of hash digits in a key's id. 64 bits are enough to tell keys apart.
pub(super) const ID_DIGITS: usize = 16;

pub(super) fn id(key: &ApiKey) -> String {
    key.hash.to_string()[..ID_DIGITS].to_owned()
}

pub(super) fn scopes(key: &ApiKey) -> Vec<&'static str> {
    key.scopes.iter().map(|scope| scope.as_str()).collect()
}

pub(super) fn networks(key: &ApiKey) -> Vec<String> {
    key.allowed_networks.iter().map(IpNet::to_string).collect()
}

pub(super) fn origin(key: &ApiKey) -> String {
    if key.allowed_networks.is_empty() {
        "anywhere".to_owned()
    } else {
        networks(key).join(",")
    }
}

pub(super) fn validity(key: &ApiKey) -> String {
    key.expiry().map_or_else(
        || "until it is revoked".to_owned(),
        |expiry| format!("until {}", expiry.iso8601()),
    )
}

pub(super) fn state(key: &ApiKey) -> String {
    match (key.revoked_at, key.is_valid(Timestamp::now())) {
        (Some(revoked_at), _) => format!("revoked {}", revoked_at.iso8601()),
        (None, true) => format!("valid {}", validity(key)),
        (None, false) => format!(
            "expired {}",
            key.expiry().map(Timestamp::iso8601).unwrap_or_default()
        ),
    }
}

pub(super) fn describe(key: &ApiKey) -> serde_json::Value {
    json!({
        "id": id(key),
        "kind": key.kind.as_str(),
        "contract": key.kind.contract().as_str(),
        "organization_id": key.organization_id.as_str(),
        "scopes": scopes(key),
        "allowed_networks": networks(key),
        "name": key.name,
        "created_at": key.created_at.iso8601(),
        "expires_at": key.expiry().map(Timestamp::iso8601),
        "revoked_at": key.revoked_at.map(Timestamp::iso8601),
    })
}

pub(super) fn with_secret(key: &ApiKey, secret: &SecretKey) -> serde_json::Value {
    let mut description = describe(key);
    description["key"] = secret.reveal().into();
    description
}
