//! The demo data: two organizations with users, and keys for each contract.

use std::collections::BTreeMap;

use muster_domain::{
    KeyKind, OrganizationId, Scope, SecretKey, Timestamp, User, UserId, UserStatus,
};
use muster_service::store::Store;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{commands::keys::issue, local::data_dir::DataDir};

/// A demo organization with its keys and users.
#[derive(Debug, Clone, Serialize)]
pub struct DemoOrganization {
    /// Its id.
    pub organization_id: String,
    /// Its keys.
    pub keys: DemoKeys,
    /// Its users.
    pub users: Vec<DemoUser>,
}

/// The keys of an organization.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoKeys {
    /// Keys of the TopTickets contract.
    pub toptickets: ContractKeys,
    /// Keys of the ITSM contract.
    pub itsm: ContractKeys,
}

/// The keys for one contract.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractKeys {
    /// A key with all scopes.
    pub admin: String,
    /// A key that may only read.
    pub read_only: String,
}

/// A user, in the fields of `muster dev --json` and `muster users import`.
#[derive(Debug, Clone, Serialize)]
pub struct DemoUser {
    /// The bare UUID.
    pub id: String,
    /// The full name.
    pub name: String,
    /// The address.
    pub email: String,
    /// The job title.
    pub role: String,
    /// The URL of the picture.
    pub avatar_url: Option<String>,
    /// The status.
    pub status: &'static str,
}

/// The file with the demo keys in plain text. The table has only their hashes.
const KEYS_FILE: &str = "demo-keys.json";

/// The demo organization is first.
const ORGANIZATIONS: [(&str, &str); 2] = [
    ("org_demo", "acme.example"),
    ("org_other", "globex.example"),
];

/// Twelve active users, an inactive and a suspended one.
const USERS: [(&str, UserStatus); 14] = [
    ("Alex Rivera", UserStatus::Active),
    ("Jessica Chen", UserStatus::Active),
    ("Sam Patel", UserStatus::Active),
    ("Alice Johnson", UserStatus::Active),
    ("Bob Smith", UserStatus::Active),
    ("Nadia Haddad", UserStatus::Active),
    ("Tomás Ferreira", UserStatus::Active),
    ("Mei Tanaka", UserStatus::Active),
    ("Olu Adeyemi", UserStatus::Active),
    ("Ingrid Lund", UserStatus::Active),
    ("Pavel Novák", UserStatus::Active),
    ("Grace Kim", UserStatus::Active),
    ("Dana Whitfield", UserStatus::Inactive),
    ("Victor Moreau", UserStatus::Suspended),
];

/// Creates the missing demo data, and returns all of it.
pub(in crate::local) async fn seed_demo(
    store: &Store,
    data_dir: Option<&DataDir>,
) -> anyhow::Result<[DemoOrganization; 2]> {
    let stored: Option<BTreeMap<String, DemoKeys>> = data_dir
        .map(|data_dir| data_dir.read(KEYS_FILE))
        .transpose()?
        .flatten();
    let mut stored = stored.unwrap_or_default();
    let mut organizations = Vec::with_capacity(ORGANIZATIONS.len());
    for (at, (id, domain)) in ORGANIZATIONS.into_iter().enumerate() {
        let organization_id =
            OrganizationId::parse(id).expect("the demo ids are of the right form");
        let keys = stored.remove(id).unwrap_or_default();
        organizations.push(DemoOrganization {
            organization_id: id.to_owned(),
            keys: seed_keys(store, &organization_id, keys).await?,
            users: seed_users(store, &organization_id, at, domain).await?,
        });
    }
    if let Some(data_dir) = data_dir {
        let keys: BTreeMap<_, _> = organizations
            .iter()
            .map(|organization| (&organization.organization_id, &organization.keys))
            .collect();
        data_dir.write(KEYS_FILE, &keys)?;
    }
    Ok(organizations
        .try_into()
        .expect("one for each of ORGANIZATIONS"))
}

async fn seed_keys(
    store: &Store,
    org: &OrganizationId,
    keys: DemoKeys,
) -> anyhow::Result<DemoKeys> {
    let DemoKeys { toptickets, itsm } = keys;
    let (all, read) = (Scope::ALL.as_slice(), [Scope::TeamsRead].as_slice());
    Ok(DemoKeys {
        toptickets: ContractKeys {
            admin: seed_key(store, org, toptickets.admin, KeyKind::TtAdmin, all).await?,
            read_only: seed_key(store, org, toptickets.read_only, KeyKind::TtReadOnly, read)
                .await?,
        },
        itsm: ContractKeys {
            admin: seed_key(store, org, itsm.admin, KeyKind::Itsm, all).await?,
            read_only: seed_key(store, org, itsm.read_only, KeyKind::Itsm, read).await?,
        },
    })
}

/// Returns the stored key if it is valid, or else creates one: read-only keys of TopTickets expire
/// after 72 hours.
async fn seed_key(
    store: &Store,
    org: &OrganizationId,
    stored: String,
    kind: KeyKind,
    scopes: &[Scope],
) -> anyhow::Result<String> {
    let now = Timestamp::now();
    if let Some(secret) = SecretKey::parse(&stored)
        && let Some(key) = store.api_key(secret.hash()).await?
        && key.is_valid(now)
    {
        return Ok(stored);
    }
    let (secret, mut key) = issue(kind, org.clone(), scopes.to_vec(), now);
    key.name = Some("muster dev".to_owned());
    store.put_api_key(&key).await?;
    Ok(secret.reveal().to_owned())
}

/// Creates the missing users. Existing ones stay, because they can have been changed.
async fn seed_users(
    store: &Store,
    org: &OrganizationId,
    organization: usize,
    domain: &str,
) -> anyhow::Result<Vec<DemoUser>> {
    let mut users = Vec::with_capacity(USERS.len());
    let mut missing = Vec::new();
    for (at, (name, status)) in USERS.into_iter().enumerate() {
        let user = demo_user(organization, at, name, status, domain);
        let user = if let Some(stored) = store.user(org, user.id).await? {
            stored
        } else {
            missing.push(user.clone());
            user
        };
        users.push(DemoUser {
            id: user.id.uuid().to_string(),
            name: user.name,
            email: user.email,
            role: user.role,
            avatar_url: user.avatar_url,
            status: user.status.shown(),
        });
    }
    store.put_users(org, &missing).await?;
    Ok(users)
}

/// Returns a user. Its id is equal on every machine, so that examples can be copied.
fn demo_user(organization: usize, at: usize, name: &str, status: UserStatus, domain: &str) -> User {
    let id =
        0x1000_0000_0000_4000_8000_0000_0000_0000 + ((organization as u128) << 64) + at as u128 + 1;
    let handle: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c == ' ' { '.' } else { unaccented(c) })
        .collect();
    User {
        id: UserId::new(Uuid::from_u128(id)),
        name: name.to_owned(),
        email: format!("{handle}@{domain}"),
        role: "agent".to_owned(),
        avatar_url: Some(format!("https://cdn.{domain}/avatars/{handle}.jpg")),
        status,
        version: 1,
    }
}

fn unaccented(c: char) -> char {
    match c {
        'á' => 'a',
        other => other,
    }
}
