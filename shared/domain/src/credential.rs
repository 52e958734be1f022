//! API keys: whose they are, which contract they speak and what they may do.

use std::{fmt, time::Duration};

use ipnet::IpNet;
use sha2::{Digest, Sha256};

use super::{OrganizationId, Timestamp, hex};

/// Which of the two documented APIs a request speaks. The credential decides; nothing in the URL
/// differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contract {
    /// TopTickets.
    Toptickets,
    /// The ITSM platform.
    Itsm,
}

impl Contract {
    /// Both contracts.
    pub const ALL: [Self; 2] = [Self::Toptickets, Self::Itsm];

    /// The contract's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Toptickets => "toptickets",
            Self::Itsm => "itsm",
        }
    }
}

/// Something a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every GET.
    TeamsRead,
    /// Creating and changing teams and their members.
    TeamsWrite,
    /// Deleting teams.
    TeamsDelete,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::TeamsRead, Self::TeamsWrite, Self::TeamsDelete];

    /// The scope as both documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TeamsRead => "teams:read",
            Self::TeamsWrite => "teams:write",
            Self::TeamsDelete => "teams:delete",
        }
    }

    /// Parses what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// What an API key is for. Its prefix says so to whoever finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `tt_admin_`: TopTickets, any scope.
    TtAdmin,
    /// `tt_live_`: TopTickets, any scope.
    TtLive,
    /// `tt_agent_`: TopTickets, reading only.
    TtAgent,
    /// `tt_ro_`: TopTickets, reading only, for 72 hours.
    TtReadOnly,
    /// `itsm_`: the ITSM platform, any scope.
    Itsm,
}

impl KeyKind {
    /// Every kind of key.
    pub const ALL: [Self; 5] = [
        Self::TtAdmin,
        Self::TtLive,
        Self::TtAgent,
        Self::TtReadOnly,
        Self::Itsm,
    ];

    /// What every key of the kind begins with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::TtAdmin => "tt_admin_",
            Self::TtLive => "tt_live_",
            Self::TtAgent => "tt_agent_",
            Self::TtReadOnly => "tt_ro_",
            Self::Itsm => "itsm_",
        }
    }

    /// The kind's name, as operators and the table write it: the prefix without its last
    /// underscore.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.prefix().trim_end_matches('_')
    }

    /// Parses what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The contract that keys of the kind speak.
    #[must_use]
    pub fn contract(self) -> Contract {
        match self {
            Self::TtAdmin | Self::TtLive | Self::TtAgent | Self::TtReadOnly => Contract::Toptickets,
            Self::Itsm => Contract::Itsm,
        }
    }

    /// Whether keys of the kind may carry `scope`.
    #[must_use]
    pub fn may_carry(self, scope: Scope) -> bool {
        match self {
            Self::TtAdmin | Self::TtLive | Self::Itsm => true,
            Self::TtAgent | Self::TtReadOnly => scope == Scope::TeamsRead,
        }
    }

    /// How many requests a key of the kind may make in a clock minute.
    #[must_use]
    pub fn requests_a_minute(self) -> u32 {
        match self {
            Self::TtAdmin | Self::Itsm => 2_000,
            Self::TtLive | Self::TtAgent | Self::TtReadOnly => 200,
        }
    }

    /// How long a key of the kind is good for at most, from its creation.
    #[must_use]
    pub fn max_lifetime(self) -> Option<Duration> {
        match self {
            Self::TtReadOnly => Some(Duration::from_hours(72)),
            Self::TtAdmin | Self::TtLive | Self::TtAgent | Self::Itsm => None,
        }
    }
}

/// The SHA-256 of a key: all that is ever stored of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Parses what [`Display`](fmt::Display) writes: 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64
            || digits
                .iter()
                .any(|digit| !matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose requests are counted together: an API key's, or those of one user of an organization's
/// tokens.
///
/// A hash in either case, so that subjects of two organizations never meet and none can be told
/// from what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject(KeyHash);

impl Subject {
    /// The subject that an API key is.
    #[must_use]
    pub fn of_key(hash: KeyHash) -> Self {
        Self(hash)
    }

    /// The subject of an organization's tokens whose claim `sub` is this.
    #[must_use]
    pub fn of_token(organization_id: &OrganizationId, sub: &str) -> Self {
        // No organization id has a `#`, so no two pairs are one text; and no API key has one
        // either.
        Self(KeyHash(
            Sha256::digest(format!("{organization_id}#{sub}")).into(),
        ))
    }

    /// The hash that stands for it.
    #[must_use]
    pub fn hash(self) -> KeyHash {
        self.0
    }
}

/// A key in the clear. It is never logged (its `Debug` shows the kind alone) and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    kind: KeyKind,
    text: String,
}

impl SecretKey {
    /// How many base62 characters follow the prefix: the fewest that carry 32 random bytes (43 ×
    /// log2(62) > 256).
    pub const RANDOM_CHARS: usize = 43;

    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// Makes a key; `random` gives a uniform number below 62.
    #[must_use]
    pub fn generate(kind: KeyKind, mut random: impl FnMut() -> usize) -> Self {
        let secret = (0..Self::RANDOM_CHARS).map(|_| char::from(Self::BASE62[random() % 62]));
        Self {
            kind,
            text: kind.prefix().chars().chain(secret).collect(),
        }
    }

    /// Recognizes a key by its prefix and alphabet; `None` for what cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let kind = KeyKind::ALL
            .into_iter()
            .find(|kind| text.starts_with(kind.prefix()))?;
        let secret = &text[kind.prefix().len()..];
        let plausible = (Self::RANDOM_CHARS..=128).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plausible.then(|| Self {
            kind,
            text: text.to_owned(),
        })
    }

    /// What the key is for.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key itself, to show once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(&self.text).into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.kind.prefix())
    }
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The key's SHA-256.
    pub hash: KeyHash,
    /// What it is for.
    pub kind: KeyKind,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// What it may do. A scope that its kind may not carry is not in force, whatever is stored.
    pub scopes: Vec<Scope>,
    /// The networks it may be used from; any address if there are none.
    pub allowed_networks: Vec<IpNet>,
    /// The operator's own words for it.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is no longer good.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// From when on the key is no longer good, its kind's own limit included.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        let limit = self
            .kind
            .max_lifetime()
            .map(|lifetime| self.created_at.plus(lifetime));
        [self.expires_at, limit].into_iter().flatten().min()
    }

    /// Whether the key is good at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expiry().is_none_or(|expiry| now < expiry)
    }

    /// Whether the key may do what `scope` names.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.kind.may_carry(scope) && self.scopes.contains(&scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: KeyKind) -> ApiKey {
        ApiKey {
            hash: SecretKey::generate(kind, || 0).hash(),
            kind,
            organization_id: OrganizationId::parse("org").unwrap(),
            scopes: Scope::ALL.to_vec(),
            allowed_networks: Vec::new(),
            name: None,
            created_at: Timestamp::from_secs(0),
            expires_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_says_what_it_is_and_parses_back() {
        for kind in KeyKind::ALL {
            let mut n = 0;
            let secret = SecretKey::generate(kind, || {
                n += 7;
                n % 62
            });
            assert!(secret.reveal().starts_with(kind.prefix()));
            assert_eq!(SecretKey::parse(secret.reveal()), Some(secret.clone()));
            assert_eq!(KeyKind::parse(kind.as_str()), Some(kind));
            assert_eq!(
                KeyHash::parse(&secret.hash().to_string()),
                Some(secret.hash())
            );
            assert_eq!(format!("{secret:?}"), format!("{}…", kind.prefix()));
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_not_looked_up() {
        let random = "x".repeat(43);
        for bad in [
            "",
            "tt_",
            "tt_live_",
            "tt_live_short",
            &random,
            &format!("tt_live_{random}!"),
            &format!("sk_{random}"),
        ] {
            assert!(SecretKey::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_hash_is_sha_256() {
        let key = SecretKey::generate(KeyKind::Itsm, || 0);
        assert_eq!(
            key.reveal(),
            "itsm_0000000000000000000000000000000000000000000"
        );
        assert_eq!(
            key.hash().to_string(),
            "bac93c724e77f73e13d3a3d3af932694f42d1ef4304d15b295694cc23919c982"
        );
    }

    #[test]
    fn a_read_only_key_lasts_72_hours_whatever_it_says() {
        let mut key = key(KeyKind::TtReadOnly);
        key.expires_at = Some(Timestamp::from_secs(1_000_000));
        let end = 72 * 3600;
        assert!(key.is_valid(Timestamp::from_secs(end - 1)));
        assert!(!key.is_valid(Timestamp::from_secs(end)));
        key.expires_at = Some(Timestamp::from_secs(60));
        assert!(!key.is_valid(Timestamp::from_secs(60)));
    }

    #[test]
    fn a_revoked_key_is_never_good() {
        let mut key = key(KeyKind::Itsm);
        assert!(key.is_valid(Timestamp::from_secs(i64::MAX / 1000)));
        key.revoked_at = Some(Timestamp::from_secs(5));
        assert!(!key.is_valid(Timestamp::from_secs(1)));
    }

    #[test]
    fn a_kind_bounds_what_a_key_may_do() {
        for kind in KeyKind::ALL {
            let reads_only = matches!(kind, KeyKind::TtAgent | KeyKind::TtReadOnly);
            assert!(key(kind).allows(Scope::TeamsRead));
            assert_eq!(key(kind).allows(Scope::TeamsWrite), !reads_only);
            assert_eq!(key(kind).allows(Scope::TeamsDelete), !reads_only);
        }
    }
}
