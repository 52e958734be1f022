//! Requests that a client may send again, and that are done once all the same.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Contract, Subject, hex};

/// Why a text is no [`IdempotencyKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyKeyError {
    /// There is none.
    Empty,
    /// More than this many characters.
    TooLong(usize),
    /// A character that is not visible ASCII: a space, say.
    NotVisible,
}

/// What a client calls a request, to be known by when it sends it again: 1 to 255 visible ASCII
/// characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The most characters a key may have.
    pub const MAX_CHARS: usize = 255;

    /// Checks a key.
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

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What tells one request from another: the SHA-256 of its contract, method, path and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a request.
    #[must_use]
    pub fn of(contract: Contract, method: &str, path: &str, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [
            contract.as_str().as_bytes(),
            method.as_bytes(),
            path.as_bytes(),
            body,
        ] {
            // Each part's length before it, so that no two requests are the same bytes.
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

/// Identity of a request that is carried out once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Subject of the credential. Each subject has its own keys, because clients may choose the
    /// same ones.
    pub subject: Subject,
    /// The client's key for the request.
    pub key: IdempotencyKey,
    /// Content of the request.
    pub fingerprint: Fingerprint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii() {
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

    /// Stored fingerprints outlive the code.
    #[test]
    fn a_fingerprint_is_sha_256() {
        let fingerprint = Fingerprint::of(Contract::Itsm, "POST", "/v1/teams", b"{}");
        assert_eq!(
            fingerprint.to_string(),
            "7c3351140257694af26f67040dbbd7f81b59ea7c28758c12819513a91b85f0b1"
        );
    }

    #[test]
    fn every_part_counts_wherever_it_ends() {
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
