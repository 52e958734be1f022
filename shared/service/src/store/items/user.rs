//! The item of a user profile, and the attributes that memberships copy from it.

use serde::{Deserialize, Serialize};

use super::{
    Item, bad,
    event_version::{parse_version, version_text},
    from_item,
};
use crate::store::{Error, keys, records::StoredProfile};
use muster_domain::{
    EventVersion, FieldVersions, OrganizationId, Profile, Timestamp, User, UserId, UserStatus,
};

/// The attributes that a profile and its copies have in common.
#[derive(Serialize, Deserialize)]
pub(super) struct UserAttributes {
    name: String,
    email: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    status: String,
    profile_version: i64,
}

impl UserAttributes {
    pub(super) fn new(user: &User) -> Self {
        let User {
            id: _,
            name,
            email,
            role,
            avatar_url,
            status,
            version,
        } = user.clone();
        Self {
            name,
            email,
            role,
            avatar_url,
            status: status.as_str().to_owned(),
            profile_version: version,
        }
    }

    pub(super) fn into_user(self, id: UserId) -> Result<User, Error> {
        let Self {
            name,
            email,
            role,
            avatar_url,
            status,
            profile_version,
        } = self;
        let status = UserStatus::parse(&status).ok_or_else(|| bad("status"))?;
        Ok(User {
            id,
            name,
            email,
            role,
            avatar_url,
            status,
            version: profile_version,
        })
    }
}

/// `ORG#o#USER#u`, `USER`.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct UserItem {
    pk: String,
    sk: String,
    /// The mark of pending work, while copies of the profile may be older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1sk: Option<String>,
    /// The entry by name. Absent for a deleted user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi2pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi2sk: Option<String>,
    #[serde(flatten)]
    profile: UserAttributes,
    /// Number of writes by user events.
    #[serde(default)]
    rev: u64,
    /// Absent for an imported profile: all fields then have the profile's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<FieldVersionsAttribute>,
}

/// The version of each field of a profile.
#[derive(Serialize, Deserialize)]
struct FieldVersionsAttribute {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
}

impl FieldVersionsAttribute {
    fn new(said: &FieldVersions) -> Self {
        let FieldVersions {
            name,
            email,
            role,
            avatar_url,
            status,
        } = said;
        let text = |version: &Option<EventVersion>| version.as_ref().map(version_text);
        Self {
            name: text(name),
            email: text(email),
            role: text(role),
            avatar_url: text(avatar_url),
            status: text(status),
        }
    }

    fn into_said(self) -> Option<FieldVersions> {
        let Self {
            name,
            email,
            role,
            avatar_url,
            status,
        } = self;
        let version = |text: Option<String>| match text {
            Some(text) => parse_version(&text).map(Some),
            None => Some(None),
        };
        Some(FieldVersions {
            name: version(name)?,
            email: version(email)?,
            role: version(role)?,
            avatar_url: version(avatar_url)?,
            status: version(status)?,
        })
    }
}

impl UserItem {
    /// Returns the item of an imported profile, without versions of its fields.
    pub(in crate::store) fn new(organization_id: &OrganizationId, user: &User) -> Self {
        let keys::Key { pk, sk } = keys::user(organization_id, user.id);
        let (gsi2pk, gsi2sk) = keys::user_by_name(organization_id, user)
            .map(|entry| (entry.pk, entry.sk))
            .unzip();
        Self {
            pk,
            sk,
            gsi1pk: None,
            gsi1sk: None,
            gsi2pk,
            gsi2sk,
            profile: UserAttributes::new(user),
            rev: 0,
            said: None,
        }
    }

    /// Returns the item of a profile that is written for the `rev`th time, with a mark if copies of
    /// it may be older.
    pub(in crate::store) fn of_profile(
        organization_id: &OrganizationId,
        profile: &Profile,
        rev: u64,
        mark: Option<keys::Key>,
    ) -> Self {
        let Profile {
            user,
            versions: said,
        } = profile;
        let (gsi1pk, gsi1sk) = mark.map(|mark| (mark.pk, mark.sk)).unzip();
        Self {
            gsi1pk,
            gsi1sk,
            rev,
            said: Some(FieldVersionsAttribute::new(said)),
            ..Self::new(organization_id, user)
        }
    }
}

/// Converts an item into a user.
pub(in crate::store) fn user(id: UserId, item: Item) -> Result<User, Error> {
    let UserItem {
        pk: _,
        sk: _,
        gsi1pk: _,
        gsi1sk: _,
        gsi2pk: _,
        gsi2sk: _,
        profile,
        rev: _,
        said: _,
    } = from_item(item)?;
    profile.into_user(id)
}

/// Converts an item into the stored profile of this user.
pub(in crate::store) fn profile(id: UserId, item: Item) -> Result<StoredProfile, Error> {
    let UserItem {
        pk: _,
        sk: _,
        gsi1pk,
        gsi1sk,
        gsi2pk: _,
        gsi2sk: _,
        profile,
        rev,
        said,
    } = from_item(item)?;
    let user = profile.into_user(id)?;
    let said = match said {
        Some(said) => said.into_said().ok_or_else(|| bad("said"))?,
        None => FieldVersions::all(&EventVersion {
            at: Timestamp::from_millis(user.version),
            time: None,
            event_id: String::new(),
        }),
    };
    let mark = gsi1pk.zip(gsi1sk).map(|(pk, sk)| keys::Key { pk, sk });
    Ok(StoredProfile {
        profile: Profile {
            user,
            versions: said,
        },
        rev,
        mark,
    })
}
