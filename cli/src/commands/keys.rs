//! `muster keys`.

use std::{
    collections::BTreeSet,
    error::Error as _,
    io::{self, Write},
};

use anyhow::{anyhow, bail};
use ipnet::IpNet;
use muster::domain::{ApiKey, KeyKind, OrganizationId, Scope, SecretKey, Timestamp};
use serde_json::json;

use crate::{
    args::{KeysCreate, KeysList, KeysRevoke, Kind, ScopeName, Target},
    output::{self, WriteError},
};

/// How many digits of its hash name a key in lists: enough to tell any two keys apart.
const ID_DIGITS: usize = 16;

/// Makes a secret, and the record to store of it.
#[must_use]
pub fn issue(
    kind: KeyKind,
    organization_id: OrganizationId,
    scopes: Vec<Scope>,
    now: Timestamp,
) -> (SecretKey, ApiKey) {
    let secret = SecretKey::generate(kind, || rand::random_range(0..62));
    let key = ApiKey {
        hash: secret.hash(),
        kind,
        organization_id,
        scopes,
        allowed_networks: Vec::new(),
        name: None,
        created_at: now,
        expires_at: None,
        revoked_at: None,
    };
    (secret, key)
}

/// Creates a key and prints its secret. A key whose secret cannot be printed is deleted again.
///
/// # Errors
/// The kind does not allow a scope, the table fails, or the secret cannot be printed.
pub async fn create(create: KeysCreate) -> anyhow::Result<()> {
    let KeysCreate {
        organization,
        kind: Kind(kind),
        scopes,
        name,
        allow_from,
        expires_in,
        json,
        target,
    } = create;
    let scopes = match scopes {
        Some(scopes) => scopes.into_iter().map(|ScopeName(scope)| scope).collect(),
        None => Scope::ALL
            .into_iter()
            .filter(|scope| kind.may_carry(*scope))
            .collect::<Vec<_>>(),
    };
    if let Some(scope) = scopes.iter().find(|scope| !kind.may_carry(**scope)) {
        bail!(
            "a {} key may not carry {}: leave it out, or choose another --kind",
            kind.as_str(),
            scope.as_str()
        );
    }
    let scopes = BTreeSet::from_iter(scopes).into_iter().collect();
    let now = Timestamp::now();
    let (secret, mut key) = issue(kind, organization, scopes, now);
    key.name = name;
    key.allowed_networks = allow_from;
    key.expires_at = expires_in.map(|time| now.plus(time));
    target
        .store()
        .await?
        .put_api_key(&key)
        .await
        .map_err(|error| target.explain(error))?;

    let printed = if json {
        output::line(with_secret(&key, &secret))
    } else {
        output::line(secret.reveal())
    };
    if let Err(error) = printed {
        return Err(delete_unprinted(&target, &key, &error).await);
    }
    if !json {
        let (id, validity, origin) = (id(&key), validity(&key), origin(&key));
        output::note(format_args!(
            "This is the only time the key is shown. Its id is {id}; it is good {validity}, from {origin}."
        ));
    }
    Ok(())
}

/// Deletes a key whose secret could not be printed, and returns the error to report. A closed pipe
/// is an error here too: the command did not create a key that anyone can use.
async fn delete_unprinted(target: &Target, key: &ApiKey, error: &WriteError) -> anyhow::Error {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let deleted = async {
        target
            .store()
            .await?
            .delete_api_key(key.hash)
            .await
            .map_err(anyhow::Error::from)
    };
    match deleted.await {
        Ok(()) => anyhow!(
            "{error} ({cause}): the key is deleted again, create another once its output can be written"
        ),
        Err(failed) => {
            let (organization, id) = (&key.organization_id, id(key));
            failed.context(format!(
                "{error} ({cause}), and the key could not be deleted: run `muster keys revoke --organization \
                 {organization} {id}`"
            ))
        }
    }
}

/// Lists an organization's keys.
///
/// # Errors
/// The table's.
pub async fn list(
    KeysList {
        organization,
        json,
        target,
    }: KeysList,
) -> anyhow::Result<()> {
    let keys = target
        .store()
        .await?
        .api_keys(&organization)
        .await
        .map_err(|error| target.explain(error))?;
    if json {
        return Ok(output::write(|out| {
            keys.iter()
                .try_for_each(|key| writeln!(out, "{}", describe(key)))
        })?);
    }
    if keys.is_empty() {
        output::note(format_args!(
            "The organization {organization} has no keys. `muster keys create` makes one."
        ));
        return Ok(());
    }
    Ok(output::write(|out| write_list(out, &keys))?)
}

fn write_list(out: &mut dyn Write, keys: &[ApiKey]) -> io::Result<()> {
    writeln!(
        out,
        "{:ID_DIGITS$}  {:8}  {:20}  {:34}  {:36}  {:18}  NAME",
        "ID", "KIND", "CREATED", "STATE", "SCOPES", "FROM"
    )?;
    for key in keys {
        writeln!(
            out,
            "{}  {:8}  {}  {:34}  {:36}  {:18}  {}",
            id(key),
            key.kind.as_str(),
            key.created_at.iso8601(),
            state(key),
            scopes(key).join(","),
            origin(key),
            key.name.as_deref().unwrap_or("-")
        )?;
    }
    Ok(())
}

/// Revokes a key.
///
/// # Errors
/// No such key, or more than one; or the table's.
pub async fn revoke(
    KeysRevoke {
        organization,
        id: wanted,
        target,
    }: KeysRevoke,
) -> anyhow::Result<()> {
    let store = target.store().await?;
    // Whoever has the key itself need not wait for the list, nor read it repeated.
    let (keys, wanted) = match SecretKey::parse(&wanted) {
        Some(secret) => (
            store.api_key(secret.hash()).await.map(Vec::from_iter),
            secret.hash().to_string(),
        ),
        None => (store.api_keys(&organization).await, wanted.to_lowercase()),
    };
    let keys = keys.map_err(|error| target.explain(error))?;
    let is_meant = |key: &&ApiKey| {
        key.organization_id == organization
            && !wanted.is_empty()
            && key.hash.to_string().starts_with(&wanted)
    };
    let found: Vec<_> = keys.iter().filter(is_meant).collect();
    let [key] = found[..] else {
        let count = if found.is_empty() {
            "no"
        } else {
            "more than one"
        };
        // It may be a part of a key that somebody pasted, so it is not repeated.
        bail!(
            "the organization {organization} has {count} key with this id: `muster keys list` shows the ids, those of new \
             keys after a moment"
        );
    };
    if key.revoked_at.is_some() {
        return Ok(output::line(format_args!(
            "The key {} is revoked already.",
            id(key)
        ))?);
    }
    store
        .revoke_api_key(key.hash, Timestamp::now())
        .await
        .map_err(|error| target.explain(error))?;
    Ok(output::line(format_args!(
        "Revoked {}. Functions that know it stop taking it within 60 seconds.",
        id(key)
    ))?)
}

fn id(key: &ApiKey) -> String {
    key.hash.to_string()[..ID_DIGITS].to_owned()
}

fn scopes(key: &ApiKey) -> Vec<&'static str> {
    key.scopes.iter().map(|scope| scope.as_str()).collect()
}

fn networks(key: &ApiKey) -> Vec<String> {
    key.allowed_networks.iter().map(IpNet::to_string).collect()
}

fn origin(key: &ApiKey) -> String {
    if key.allowed_networks.is_empty() {
        "anywhere".to_owned()
    } else {
        networks(key).join(",")
    }
}

fn validity(key: &ApiKey) -> String {
    key.expiry().map_or_else(
        || "until it is revoked".to_owned(),
        |expiry| format!("until {}", expiry.iso8601()),
    )
}

fn state(key: &ApiKey) -> String {
    match (key.revoked_at, key.is_valid(Timestamp::now())) {
        (Some(revoked_at), _) => format!("revoked {}", revoked_at.iso8601()),
        (None, true) => format!("good {}", validity(key)),
        (None, false) => format!(
            "expired {}",
            key.expiry().map(Timestamp::iso8601).unwrap_or_default()
        ),
    }
}

fn describe(key: &ApiKey) -> serde_json::Value {
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

fn with_secret(key: &ApiKey, secret: &SecretKey) -> serde_json::Value {
    let mut description = describe(key);
    description["key"] = secret.reveal().into();
    description
}
