//! Organizations with users, and with keys for each contract.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use muster_domain::{
    KeyKind, OrganizationId, Scope, SecretKey, Timestamp, User, UserId, UserStatus,
};
use muster_service::store::Store;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::demo;
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

/// The organizations that every stack has. They have no teams.
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

/// An organization to create: its id and its users.
pub(super) struct OrganizationSeed {
    pub(super) id: OrganizationId,
    pub(super) users: Vec<User>,
}

/// The organizations of a stack.
pub(in crate::local) struct Organizations {
    /// The organizations without teams.
    pub(in crate::local) empty: [DemoOrganization; 2],
    /// The organization with the demo data, unless the stack has none.
    pub(in crate::local) demo: Option<DemoOrganization>,
}

/// The table of a stack. A start adds the missing items.
pub(in crate::local) struct SeedTarget<'s> {
    pub(in crate::local) store: Store,
    pub(in crate::local) data_dir: Option<&'s DataDir>,
    /// True if this start created the table, so that it has no items.
    pub(in crate::local) is_new: bool,
}

/// Creates the missing organizations, users and keys, and returns all of them.
pub(in crate::local) async fn seed_organizations(
    target: &SeedTarget<'_>,
    with_demo: bool,
) -> anyhow::Result<Organizations> {
    let data_dir = target.data_dir;
    let stored: Option<BTreeMap<String, DemoKeys>> = data_dir
        .map(|data_dir| data_dir.read(KEYS_FILE))
        .transpose()?
        .flatten();
    let mut keys = stored.unwrap_or_default();
    let mut empty = Vec::with_capacity(ORGANIZATIONS.len());
    for seed in empty_organizations() {
        empty.push(seed_organization(target, seed, &mut keys).await?);
    }
    let demo = if with_demo {
        Some(seed_organization(target, demo::organization(), &mut keys).await?)
    } else {
        None
    };
    if let Some(data_dir) = data_dir {
        data_dir.write(KEYS_FILE, &keys)?;
    }
    Ok(Organizations {
        empty: empty.try_into().expect("one for each of ORGANIZATIONS"),
        demo,
    })
}

/// Returns the organizations without teams.
fn empty_organizations() -> impl Iterator<Item = OrganizationSeed> {
    ORGANIZATIONS
        .into_iter()
        .enumerate()
        .map(|(organization, (id, domain))| OrganizationSeed {
            id: OrganizationId::parse(id).expect("the ids are of the right form"),
            users: USERS
                .into_iter()
                .enumerate()
                .map(|(at, (name, status))| demo_user(organization, at, name, status, domain))
                .collect(),
        })
}

/// Creates the missing users and keys of an organization. The keys that are valid stay.
async fn seed_organization(
    target: &SeedTarget<'_>,
    OrganizationSeed { id, users }: OrganizationSeed,
    keys: &mut BTreeMap<String, DemoKeys>,
) -> anyhow::Result<DemoOrganization> {
    let organization_id = id.as_str().to_owned();
    let stored = keys.get(&organization_id).cloned().unwrap_or_default();
    let seeded = seed_keys(&target.store, &id, stored).await?;
    let users = seed_users(target, &id, users).await?;
    keys.insert(organization_id.clone(), seeded.clone());
    Ok(DemoOrganization {
        organization_id,
        keys: seeded,
        users,
    })
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
    SeedTarget { store, is_new, .. }: &SeedTarget<'_>,
    org: &OrganizationId,
    seeds: Vec<User>,
) -> anyhow::Result<Vec<DemoUser>> {
    let stored = if *is_new {
        vec![None; seeds.len()]
    } else {
        try_join_all(seeds.iter().map(|user| store.user(org, user.id))).await?
    };
    let mut users = Vec::with_capacity(seeds.len());
    let mut missing = Vec::new();
    for (user, stored) in seeds.into_iter().zip(stored) {
        let user = stored.unwrap_or_else(|| {
            missing.push(user.clone());
            user
        });
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
