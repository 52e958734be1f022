//! Identifiers. A team or a user has a UUID; each contract defines its written form.

use std::fmt;

use thiserror::Error;
use uuid::Uuid;

/// The text is not an identifier of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an identifier")]
pub struct ParseIdError;

/// Parses a hyphenated UUID of any version and letter case, with or without `prefix` before it.
fn parse_prefixed(text: &str, prefix: &str) -> Result<Uuid, ParseIdError> {
    const HYPHENATED: usize = 36;
    let bare = match text.get(..prefix.len()) {
        Some(head) if head.eq_ignore_ascii_case(prefix) => &text[prefix.len()..],
        _ => text,
    };
    // The length rules out the simple, braced and URN forms, which `try_parse` would take too.
    if bare.len() == HYPHENATED {
        Uuid::try_parse(bare).map_err(|_| ParseIdError)
    } else {
        Err(ParseIdError)
    }
}

/// Parses an opaque identifier: 1 to `max` ASCII letters, digits and `others`.
pub(super) fn parse_opaque<'t>(
    text: &'t str,
    max: usize,
    others: &str,
) -> Result<&'t str, ParseIdError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    if (1..=max).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text)
    } else {
        Err(ParseIdError)
    }
}

/// A team's identifier: 128 bits. Muster generates monotonic `UUIDv7`s, so the order of ids is that
/// of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TeamId(Uuid);

impl TeamId {
    /// The prefix of the UUID in the ITSM contract.
    pub const PREFIX: &str = "team_";

    /// Takes a UUID as a team's identifier.
    #[must_use]
    pub fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Parses `550e8400-e29b-41d4-a716-446655440000` or `team_550e8400-…`, in any letter case and
    /// of any UUID version.
    ///
    /// # Errors
    /// Any other text, the `usr_` form included.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        parse_prefixed(text, Self::PREFIX).map(Self)
    }

    /// Returns the UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

/// A user's identifier, assigned by the platform: any 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Uuid);

impl UserId {
    /// The prefix of the UUID in the ITSM contract.
    pub const PREFIX: &str = "usr_";

    /// Takes a UUID as a user's identifier.
    #[must_use]
    pub fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Parses `123e4567-e89b-12d3-a456-426614174000` or `usr_123e4567-…`, in any letter case and of
    /// any UUID version.
    ///
    /// # Errors
    /// Any other text, the `team_` form included.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        parse_prefixed(text, Self::PREFIX).map(Self)
    }

    /// Returns the UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

/// The identifier of a tenant: opaque text, the same in both contracts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganizationId(String);

impl OrganizationId {
    /// Parses 1 to 64 characters of `[A-Za-z0-9_-]`.
    ///
    /// # Errors
    /// Any other text. The alphabet excludes `#`, which separates the parts of a key in the table.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        parse_opaque(text, 64, "_-").map(|id| Self(id.to_owned()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrganizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "550e8400-e29b-41d4-a716-446655440000";

    #[test]
    fn both_forms_parse_in_any_letter_case() {
        let id = TeamId::parse(BARE).unwrap();
        assert_eq!(TeamId::parse(&format!("team_{BARE}")), Ok(id));
        assert_eq!(TeamId::parse(&BARE.to_uppercase()), Ok(id));
        assert_eq!(
            TeamId::parse(&format!("TEAM_{}", BARE.to_uppercase())),
            Ok(id)
        );
        assert_eq!(
            UserId::parse(&format!("usr_{BARE}")).unwrap().uuid(),
            id.uuid()
        );
    }

    #[test]
    fn any_uuid_version_parses() {
        for text in [
            "00000000-0000-0000-0000-000000000000",
            "f6e5d4c3-b2a1-0987-fedc-ba9876543210",
        ] {
            assert!(UserId::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn prefix_of_another_kind_is_rejected() {
        assert!(TeamId::parse(&format!("usr_{BARE}")).is_err());
        assert!(UserId::parse(&format!("team_{BARE}")).is_err());
        assert!(TeamId::parse(&format!("team_team_{BARE}")).is_err());
    }

    #[test]
    fn other_forms_of_a_uuid_are_rejected() {
        let simple = BARE.replace('-', "");
        for text in [
            "",
            "team_",
            &simple,
            &format!("{{{BARE}}}"),
            &format!("urn:uuid:{BARE}"),
            &format!(" {BARE}"),
        ] {
            assert!(TeamId::parse(text).is_err(), "{text:?}");
        }
        // 36 bytes that are not a UUID, and a prefix that ends inside a character.
        assert!(TeamId::parse("é50e8400-e29b-41d4-a716-44665544000").is_err());
        assert!(TeamId::parse("teamé").is_err());
    }

    #[test]
    fn organization_id_outside_its_alphabet_is_rejected() {
        for good in ["o", "org_9f8e7d6c5b4a", "A-Z", &"x".repeat(64)] {
            assert!(OrganizationId::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "a#b", "é", &"x".repeat(65)] {
            assert!(OrganizationId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
