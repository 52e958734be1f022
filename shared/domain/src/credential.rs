//! API keys: their organization, contract and scopes.

use std::{fmt, time::Duration};

use ipnet::IpNet;
use sha2::{Digest, Sha256};

use super::{OrganizationId, Timestamp, hex};

/// The API contract of a request. It is a property of the credential: the URLs of both contracts
/// are the same.
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

    /// Returns the name of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Toptickets => "toptickets",
            Self::Itsm => "itsm",
        }
    }
}

/// A permission of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All GET endpoints.
    TeamsRead,
    /// The endpoints that create and change teams and their members.
    TeamsWrite,
    /// The endpoint that deletes a team.
    TeamsDelete,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::TeamsRead, Self::TeamsWrite, Self::TeamsDelete];

    /// Returns the text in both API documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TeamsRead => "teams:read",
            Self::TeamsWrite => "teams:write",
            Self::TeamsDelete => "teams:delete",
        }
    }

    /// Parses the text of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// The kind of an API key, which its prefix shows.
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

    /// Returns the prefix of every key of the kind.
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

    /// Returns the name in the CLI and in the table: the prefix without its last underscore.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.prefix().trim_end_matches('_')
    }

    /// Parses the text of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Returns the contract of keys of the kind.
    #[must_use]
    pub fn contract(self) -> Contract {
        match self {
            Self::TtAdmin | Self::TtLive | Self::TtAgent | Self::TtReadOnly => Contract::Toptickets,
            Self::Itsm => Contract::Itsm,
        }
    }

    /// Returns whether keys of the kind may have `scope`.
    #[must_use]
    pub fn may_carry(self, scope: Scope) -> bool {
        match self {
            Self::TtAdmin | Self::TtLive | Self::Itsm => true,
            Self::TtAgent | Self::TtReadOnly => scope == Scope::TeamsRead,
        }
    }

    /// Returns the maximum number of requests of a key in a clock minute.
    #[must_use]
    pub fn requests_a_minute(self) -> u32 {
        match self {
            Self::TtAdmin | Self::Itsm => 2_000,
            Self::TtLive | Self::TtAgent | Self::TtReadOnly => 200,
        }
    }

    /// Returns the maximum time from the creation of a key to its expiry.
    #[must_use]
    pub fn max_lifetime(self) -> Option<Duration> {
        match self {
            Self::TtReadOnly => Some(Duration::from_hours(72)),
            Self::TtAdmin | Self::TtLive | Self::TtAgent | Self::Itsm => None,
        }
    }
}

/// The SHA-256 of a key. The key itself is never stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Parses the text of [`Display`](fmt::Display): 64 lower-case hexadecimal digits.
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

/// The subject of a rate limit and of idempotency keys: an API key, or one user of an
/// organization's tokens.
///
/// It is a hash in either case. So the subjects of two organizations never collide, and a stored
/// subject does not identify the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject(KeyHash);

impl Subject {
    /// Returns the subject of an API key.
    #[must_use]
    pub fn of_key(hash: KeyHash) -> Self {
        Self(hash)
    }

    /// Returns the subject of an organization's tokens with this claim `sub`.
    #[must_use]
    pub fn of_token(organization_id: &OrganizationId, sub: &str) -> Self {
        // An organization id has no `#`, so different pairs are different texts. An API key has
        // none either, so no pair has the hash of a key.
        Self(KeyHash(
            Sha256::digest(format!("{organization_id}#{sub}")).into(),
        ))
    }

    /// Returns the hash.
    #[must_use]
    pub fn hash(self) -> KeyHash {
        self.0
    }
}

/// A key in clear text. It is never logged (its `Debug` shows only the kind) and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    kind: KeyKind,
    text: String,
}

impl SecretKey {
    /// The number of base62 characters after the prefix: the smallest that encodes 32 random bytes
    /// (43 × log2(62) > 256).
    pub const RANDOM_CHARS: usize = 43;

    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// Generates a key. `random` returns uniform numbers below 62.
    #[must_use]
    pub fn generate(kind: KeyKind, mut random: impl FnMut() -> usize) -> Self {
        let secret = (0..Self::RANDOM_CHARS).map(|_| char::from(Self::BASE62[random() % 62]));
        Self {
            kind,
            text: kind.prefix().chars().chain(secret).collect(),
        }
    }

    /// Recognizes a key by its prefix and alphabet. Returns `None` for a text that cannot be a key,
    /// so that it costs no read.
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

    /// Returns the kind of the key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the key in clear text, to show it once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Returns the hash, which is stored.
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

/// A stored API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The key's SHA-256.
    pub hash: KeyHash,
    /// The kind.
    pub kind: KeyKind,
    /// The organization of the key.
    pub organization_id: OrganizationId,
    /// The scopes. A scope that the kind must not have is ignored, even if it is stored.
    pub scopes: Vec<Scope>,
    /// The networks from which the key is accepted; every address if the list is empty.
    pub allowed_networks: Vec<IpNet>,
    /// The operator's name for the key.
    pub name: Option<String>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The expiry, if the operator set one.
    pub expires_at: Option<Timestamp>,
    /// The time of revocation.
    pub revoked_at: Option<Timestamp>,
}

/// The reason why a stored key is no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEnd {
    /// An operator revoked it.
    Revoked,
    /// Its time has passed.
    Expired,
}

impl ApiKey {
    /// Returns the earlier of the set expiry and the limit of the kind.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        let limit = self
            .kind
            .max_lifetime()
            .map(|lifetime| self.created_at.plus(lifetime));
        [self.expires_at, limit].into_iter().flatten().min()
    }

    /// Returns whether the key is neither revoked nor expired at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.end(now).is_none()
    }

    /// Returns the reason why the key is not valid at `now`; `None` if it is valid. The revocation
    /// counts before the expiry, because an operator decided on it.
    #[must_use]
    pub fn end(&self, now: Timestamp) -> Option<KeyEnd> {
        if self.revoked_at.is_some() {
            Some(KeyEnd::Revoked)
        } else if self.expiry().is_some_and(|expiry| expiry <= now) {
            Some(KeyEnd::Expired)
        } else {
            None
        }
    }

    /// Returns whether the key has `scope`, and its kind permits it.
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
    fn generated_key_parses_to_itself() {
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
    fn text_that_cannot_be_a_key_does_not_parse() {
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
    fn key_hash_is_sha_256() {
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
    fn read_only_key_expires_after_72_hours() {
        let mut key = key(KeyKind::TtReadOnly);
        key.expires_at = Some(Timestamp::from_secs(1_000_000));
        let end = 72 * 3600;
        assert!(key.is_valid(Timestamp::from_secs(end - 1)));
        assert!(!key.is_valid(Timestamp::from_secs(end)));
        key.expires_at = Some(Timestamp::from_secs(60));
        assert!(!key.is_valid(Timestamp::from_secs(60)));
    }

    #[test]
    fn revoked_key_is_invalid() {
        let mut key = key(KeyKind::Itsm);
        assert!(key.is_valid(Timestamp::from_secs(i64::MAX / 1000)));
        key.revoked_at = Some(Timestamp::from_secs(5));
        assert!(!key.is_valid(Timestamp::from_secs(1)));
        assert_eq!(key.end(Timestamp::from_secs(1)), Some(KeyEnd::Revoked));
        key.expires_at = Some(Timestamp::from_secs(5));
        assert_eq!(key.end(Timestamp::from_secs(9)), Some(KeyEnd::Revoked));
        key.revoked_at = None;
        assert_eq!(key.end(Timestamp::from_secs(9)), Some(KeyEnd::Expired));
        assert_eq!(key.end(Timestamp::from_secs(1)), None);
    }

    #[test]
    fn key_scopes_are_bounded_by_its_kind() {
        for kind in KeyKind::ALL {
            let reads_only = matches!(kind, KeyKind::TtAgent | KeyKind::TtReadOnly);
            assert!(key(kind).allows(Scope::TeamsRead));
            assert_eq!(key(kind).allows(Scope::TeamsWrite), !reads_only);
            assert_eq!(key(kind).allows(Scope::TeamsDelete), !reads_only);
        }
    }
}
