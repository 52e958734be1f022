//! `muster jwks`.

use std::fs;

use anyhow::{Context, bail, ensure};
use muster::domain::{OrganizationId, RsaPublicKey, Timestamp, TokenIssuer, TokenKey, TokenKeys};
use serde_json::{Map, Value, json};

use crate::{
    args::{JwksRemove, JwksSet, JwksShow},
    output,
};

/// The members of a JWK that only whoever signs may have, of an RSA key and of any other (RFC 7518,
/// 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Reads a JSON Web Key Set (RFC 7517) of keys that RS256 can be verified with.
///
/// # Errors
/// It is none, or has a key for anything else, or a private part of one. No value is repeated but
/// for a key's `kid`, `kty`, `use` and `alg`.
pub fn parse(text: &str) -> anyhow::Result<TokenKeys> {
    let set: Value = serde_json::from_str(text).context("not JSON")?;
    let Some(Value::Array(keys)) = set.get("keys") else {
        bail!("not a JWKS: it has no array \"keys\"")
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
        bail!(
            "{part:?} is a private part, with which anybody could sign tokens: give the public keys alone"
        );
    }
    let kty = required(key, "kty")?;
    ensure!(
        kty == "RSA",
        "kty is {kty:?}, and RS256 takes \"RSA\" alone"
    );
    for (member, value) in [("use", "sig"), ("alg", "RS256")] {
        let said = text(key, member)?.unwrap_or(value);
        ensure!(
            said == value,
            "{member} is {said:?}, and must be {value:?} or left out"
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
    text(key, member)?.with_context(|| format!("it has no {member}"))
}

/// Stores an organization's keys.
///
/// # Errors
/// The file's or the table's.
pub async fn set(
    JwksSet {
        organization,
        issuer,
        audience,
        file,
        target,
    }: JwksSet,
) -> anyhow::Result<()> {
    let content =
        fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
    // Some editors begin a file with a byte order mark.
    let keys = parse(content.trim_start_matches('\u{feff}'))
        .with_context(|| file.display().to_string())?;
    let count = keys.as_slice().len();
    let issuer = TokenIssuer {
        organization_id: organization,
        keys,
        issuer,
        audience,
        updated_at: Timestamp::now(),
    };
    target
        .store()
        .await?
        .put_token_issuer(&issuer)
        .await
        .map_err(|error| target.explain(error))?;
    Ok(output::line(format_args!(
        "Tokens of {} are verified with {}. Functions that know what was set before believe it for up to 60 seconds.",
        issuer.organization_id,
        if count == 1 {
            "this key".to_owned()
        } else {
            format!("these {count} keys")
        }
    ))?)
}

/// Shows an organization's keys.
///
/// # Errors
/// There are none, or the table's.
pub async fn show(
    JwksShow {
        organization,
        json,
        target,
    }: JwksShow,
) -> anyhow::Result<()> {
    let issuer = target
        .store()
        .await?
        .token_issuer(&organization)
        .await
        .map_err(|error| target.explain(error))?;
    let Some(issuer) = issuer else {
        bail!(none(&organization))
    };
    if json {
        return Ok(output::line(describe(&issuer))?);
    }
    Ok(output::write(|out| {
        writeln!(
            out,
            "Issuer:    {}",
            issuer.issuer.as_deref().unwrap_or("any")
        )?;
        writeln!(
            out,
            "Audience:  {}",
            issuer.audience.as_deref().unwrap_or("any")
        )?;
        writeln!(out, "Set:       {}", issuer.updated_at.iso8601())?;
        writeln!(out, "BITS  KID")?;
        for TokenKey { kid, key } in issuer.keys.as_slice() {
            writeln!(out, "{}  {}", key.bits(), kid.as_deref().unwrap_or("-"))?;
        }
        Ok(())
    })?)
}

/// Forgets an organization's keys.
///
/// # Errors
/// There are none, or the table's.
pub async fn remove(
    JwksRemove {
        organization,
        target,
    }: JwksRemove,
) -> anyhow::Result<()> {
    let store = target.store().await?;
    if !store
        .remove_token_issuer(&organization)
        .await
        .map_err(|error| target.explain(error))?
    {
        bail!(none(&organization));
    }
    Ok(output::line(format_args!(
        "No token of {organization} is good any more. Functions that know its keys stop taking them within 60 seconds."
    ))?)
}

fn none(organization: &OrganizationId) -> String {
    format!("the organization {organization} has no keys for tokens: `muster jwks set` stores them")
}

/// What is stored, as a JWKS that [`parse`] reads again, with what is said beside it.
fn describe(issuer: &TokenIssuer) -> Value {
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
