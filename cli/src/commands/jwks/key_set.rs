//! JSON Web Key Sets (RFC 7517).

use anyhow::{Context, bail, ensure};
use muster_domain::{RsaPublicKey, TokenIssuer, TokenKey, TokenKeys};
use serde_json::{Map, Value, json};

/// The private members of a JWK, for RSA keys and symmetric keys (RFC 7518, section 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Parses a JSON Web Key Set (RFC 7517) of public keys for RS256.
///
/// # Errors
/// The text is not a key set, a key is not an RSA key for signatures, or a key has a private
/// member. The errors quote only `kid`, `kty`, `use` and `alg`.
pub fn parse(text: &str) -> anyhow::Result<TokenKeys> {
    let set: Value = serde_json::from_str(text).context("not JSON")?;
    let Some(Value::Array(keys)) = set.get("keys") else {
        bail!("not a JWKS: the array \"keys\" is missing")
    };
    let key = |(at, key)| parse_key(key).with_context(|| format!("key {}", at + 1));
    Ok(TokenKeys::parse(
        keys.iter().enumerate().map(key).collect::<Result<_, _>>()?,
    )?)
}

fn parse_key(key: &Value) -> anyhow::Result<TokenKey> {
    let Value::Object(key) = key else {
        bail!("not a JSON object")
    };
    if let Some(part) = PRIVATE.iter().find(|part| key.contains_key(**part)) {
        bail!("{part:?} is a private member, which can sign tokens: remove the private members");
    }
    let kty = required(key, "kty")?;
    ensure!(kty == "RSA", "kty is {kty:?}: RS256 requires \"RSA\"");
    for (member, value) in [("use", "sig"), ("alg", "RS256")] {
        let actual = text(key, member)?.unwrap_or(value);
        ensure!(
            actual == value,
            "{member} is {actual:?}: use {value:?}, or remove it"
        );
    }
    let kid = text(key, "kid")?;
    ensure!(
        !kid.is_some_and(|kid| kid.contains(char::is_control)),
        "kid must not have control characters"
    );
    let rsa = RsaPublicKey::parse(required(key, "n")?, required(key, "e")?)?;
    Ok(TokenKey {
        kid: kid.map(str::to_owned),
        key: rsa,
    })
}

fn text<'k>(key: &'k Map<String, Value>, member: &str) -> anyhow::Result<Option<&'k str>> {
    match key.get(member) {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => bail!("{member} is not a string"),
        None => Ok(None),
    }
}

fn required<'k>(key: &'k Map<String, Value>, member: &str) -> anyhow::Result<&'k str> {
    text(key, member)?.with_context(|| format!("{member} is missing"))
}

/// Returns the stored issuer as a JWKS that [`parse`] accepts, with its other settings as
/// additional members.
pub(super) fn describe(issuer: &TokenIssuer) -> Value {
    let TokenIssuer {
        organization_id,
        keys,
        issuer,
        audience,
        updated_at,
    } = issuer;
    let jwk = |TokenKey { kid, key }: &TokenKey| {
        let (n, e) = key.to_base64url();
        let mut jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "n": n, "e": e });
        if let Some(kid) = kid {
            jwk["kid"] = kid.as_str().into();
        }
        jwk
    };
    json!({
        "organization_id": organization_id.as_str(),
        "issuer": issuer,
        "audience": audience,
        "updated_at": updated_at.iso8601(),
        "keys": keys.as_slice().iter().map(jwk).collect::<Vec<_>>(),
    })
}
