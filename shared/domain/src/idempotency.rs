//! Idempotent requests: the key of the client and the fingerprint of the content.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Contract, Subject, hex};

/// The rule that the text of an [`IdempotencyKey`] breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyKeyError {
    /// The text is empty.
    Empty,
    /// The text has more than this many characters.
    TooLong(usize),
    /// The text has a character that is not visible ASCII, such as a space.
    NotVisible,
}

/// The `Idempotency-Key` of a request, which its retries have as well: 1 to 255 visible ASCII
/// characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The maximum number of characters.
    pub const MAX_CHARS: usize = 255;

    /// Parses a key.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, IdempotencyKeyError> {
        if text.is_empty() {
            Err(IdempotencyKeyError::Empty)
        } else if text.chars().nth(Self::MAX_CHARS).is_some() {
            Err(IdempotencyKeyError::TooLong(Self::MAX_CHARS))
        } else if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdempotencyKeyError::NotVisible)
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The content of a request: the SHA-256 of its contract, method, path and body. A retry has the
/// same fingerprint; another request with the same key has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Returns the fingerprint of a request.
    #[must_use]
    pub fn of(contract: Contract, method: &str, path: &str, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [
            contract.as_str().as_bytes(),
            method.as_bytes(),
            path.as_bytes(),
            body,
        ] {
            // The length before each part makes the encoding injective: no two requests have the
            // same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// The identity of an idempotent request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The subject of the credential. Each subject has its own keys, because clients may choose the
    /// same ones.
    pub subject: Subject,
    /// The client's key for the request.
    pub key: IdempotencyKey,
    /// The content of the request.
    pub fingerprint: Fingerprint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_1_to_255_visible_ascii_characters() {
        let visible: String = ('!'..='~').collect();
        for good in ["x", "TEAM#1", "\"quoted\"", &visible, &"x".repeat(255)] {
            assert_eq!(IdempotencyKey::parse(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", IdempotencyKeyError::Empty),
            (" ", IdempotencyKeyError::NotVisible),
            ("a b", IdempotencyKeyError::NotVisible),
            ("a\tb", IdempotencyKeyError::NotVisible),
            ("\u{7f}", IdempotencyKeyError::NotVisible),
            ("clé", IdempotencyKeyError::NotVisible),
            (&"é".repeat(255), IdempotencyKeyError::NotVisible),
            (&"x".repeat(256), IdempotencyKeyError::TooLong(255)),
        ] {
            assert_eq!(IdempotencyKey::parse(bad), Err(why), "{bad:?}");
        }
    }

    /// Fingerprints are stored, so the hash must not change with the code.
    #[test]
    fn fingerprint_is_sha_256() {
        let fingerprint = Fingerprint::of(Contract::Itsm, "POST", "/v1/teams", b"{}");
        assert_eq!(
            fingerprint.to_string(),
            "7c3351140257694af26f67040dbbd7f81b59ea7c28758c12819513a91b85f0b1"
        );
    }

    #[test]
    fn fingerprint_depends_on_every_part() {
        let fingerprints = [
            (Contract::Itsm, "POST", "/v1/teams", "{}"),
            (Contract::Toptickets, "POST", "/v1/teams", "{}"),
            (Contract::Itsm, "PUT", "/v1/teams", "{}"),
            (Contract::Itsm, "POST", "/v1/team", "s{}"),
            (Contract::Itsm, "POST", "/v1/teams{", "}"),
            (Contract::Itsm, "POST/", "v1/teams", "{}"),
            (Contract::Itsm, "POST", "/v1/teams", "{} "),
            (Contract::Itsm, "POST", "/v1/teams", ""),
        ]
        .map(|(contract, method, path, body)| {
            Fingerprint::of(contract, method, path, body.as_bytes()).to_string()
        });
        let different: std::collections::HashSet<_> = fingerprints.iter().collect();
        assert_eq!(different.len(), fingerprints.len());
    }
}
