//! The issuer of an organization's tokens (JWTs), and the public keys that verify them.

use std::ops::RangeInclusive;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;

use super::{OrganizationId, Timestamp};

/// A public RSA key for RS256, with 2048 to 8192 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    n: Vec<u8>,
    e: Vec<u8>,
}

/// The rule that an RSA key breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RsaKeyError {
    /// This component is not base64url.
    #[error("{0} must be base64url without padding")]
    Encoding(&'static str),
    /// The modulus has this many bits.
    #[error("n has {0} bits, and must have 2048 to 8192")]
    Bits(usize),
    /// The modulus is even.
    #[error("n is even; the modulus of an RSA key is odd")]
    EvenModulus,
    /// The exponent is even, 1, or so large that a verification would take long.
    #[error("e must be odd, at least 3 and less than 2^33")]
    Exponent,
}

impl RsaPublicKey {
    const BITS: RangeInclusive<usize> = 2048..=8192;

    /// Parses the fields of a JWK (RFC 7518, 6.3.1): modulus and exponent, big-endian in base64url.
    /// Drops leading zeros, which the RFC forbids but some libraries write.
    ///
    /// # Errors
    /// The rule that the key breaks.
    pub fn parse(n: &str, e: &str) -> Result<Self, RsaKeyError> {
        let (n, e) = (
            number(n).ok_or(RsaKeyError::Encoding("n"))?,
            number(e).ok_or(RsaKeyError::Encoding("e"))?,
        );
        let key = Self { n, e };
        if !Self::BITS.contains(&key.bits()) {
            return Err(RsaKeyError::Bits(key.bits()));
        }
        if key.n.last().is_none_or(|byte| byte % 2 == 0) {
            return Err(RsaKeyError::EvenModulus);
        }
        let exponent = key
            .e
            .iter()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        if key.e.len() > 5 || exponent % 2 == 0 || !(3..1 << 33).contains(&exponent) {
            return Err(RsaKeyError::Exponent);
        }
        Ok(key)
    }

    /// Returns the modulus, big-endian, without leading zeros.
    #[must_use]
    pub fn n(&self) -> &[u8] {
        &self.n
    }

    /// Returns the exponent, big-endian, without leading zeros.
    #[must_use]
    pub fn e(&self) -> &[u8] {
        &self.e
    }

    /// Returns the modulus and the exponent in the form of [`parse`](Self::parse).
    #[must_use]
    pub fn to_base64url(&self) -> (String, String) {
        (
            URL_SAFE_NO_PAD.encode(&self.n),
            URL_SAFE_NO_PAD.encode(&self.e),
        )
    }

    /// Returns the number of bits of the modulus.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.n
            .first()
            .map_or(0, |first| self.n.len() * 8 - first.leading_zeros() as usize)
    }
}

/// Decodes a number, without its leading zeros.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

/// A key that verifies tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKey {
    /// The key id, to which the header of a token refers.
    pub kid: Option<String>,
    /// The public key.
    pub key: RsaPublicKey,
}

/// The keys that verify an organization's tokens: 1 to 20. If there are several, each has a `kid`
/// of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKeys(Vec<TokenKey>);

/// The rule that a set of keys breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenKeysError {
    /// The set has this many keys.
    #[error("there are {0} keys, and must be 1 to {max}", max = TokenKeys::MAX)]
    Count(usize),
    /// The set has several keys, and the one at this index has no `kid`.
    #[error("key {} has no kid; each of several keys needs one", .0 + 1)]
    NoKid(usize),
    /// Two keys have this `kid`.
    #[error("two keys have the kid {0:?}")]
    SameKid(String),
}

impl TokenKeys {
    /// The maximum number of keys of an organization.
    pub const MAX: usize = 20;

    /// Checks a set of keys.
    ///
    /// # Errors
    /// The rule that the set breaks.
    pub fn parse(keys: Vec<TokenKey>) -> Result<Self, TokenKeysError> {
        if !(1..=Self::MAX).contains(&keys.len()) {
            return Err(TokenKeysError::Count(keys.len()));
        }
        if keys.len() > 1
            && let Some(at) = keys.iter().position(|key| key.kid.is_none())
        {
            return Err(TokenKeysError::NoKid(at));
        }
        for (at, key) in keys.iter().enumerate() {
            if let Some(kid) = &key.kid
                && keys[..at]
                    .iter()
                    .any(|other| other.kid.as_ref() == Some(kid))
            {
                return Err(TokenKeysError::SameKid(kid.clone()));
            }
        }
        Ok(Self(keys))
    }

    /// Returns the keys, in the order of the input.
    #[must_use]
    pub fn as_slice(&self) -> &[TokenKey] {
        &self.0
    }
}

/// The rules that an organization's tokens have to satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIssuer {
    /// The organization of the tokens.
    pub organization_id: OrganizationId,
    /// The keys that verify the signature.
    pub keys: TokenKeys,
    /// The required claim `iss`; unchecked if `None`.
    pub issuer: Option<String>,
    /// The required audience in the claim `aud`; unchecked if `None`.
    pub audience: Option<String>,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const E: &str = "AQAB";

    /// Returns a modulus with this many bits that is odd or even.
    fn modulus(bits: usize, odd: bool) -> String {
        let mut n = vec![0; bits.div_ceil(8)];
        n[0] |= 1 << ((bits - 1) % 8);
        *n.last_mut().unwrap() |= u8::from(odd);
        URL_SAFE_NO_PAD.encode(n)
    }

    fn parse(bits: usize) -> Result<RsaPublicKey, RsaKeyError> {
        RsaPublicKey::parse(&modulus(bits, true), E)
    }

    #[test]
    fn key_with_2048_to_8192_bits_is_accepted() {
        for bits in [2048, 2049, 3072, 4095, 4096, 8191, 8192] {
            assert_eq!(parse(bits).map(|key| key.bits()), Ok(bits));
        }
        for bits in [1, 8, 1024, 2040, 2047, 8193, 16_384] {
            assert_eq!(parse(bits), Err(RsaKeyError::Bits(bits)));
        }
        assert_eq!(RsaPublicKey::parse("", E), Err(RsaKeyError::Bits(0)));
    }

    #[test]
    fn invalid_key_component_is_rejected() {
        let n = modulus(2048, true);
        assert_eq!(
            RsaPublicKey::parse(&modulus(2048, false), E),
            Err(RsaKeyError::EvenModulus)
        );
        for bad in ["=", "AQAB====", "AQ AB", "AQAB\n", "+/+/", "é", "A"] {
            assert_eq!(
                RsaPublicKey::parse(&n, bad),
                Err(RsaKeyError::Encoding("e")),
                "{bad:?}"
            );
            assert_eq!(
                RsaPublicKey::parse(bad, E),
                Err(RsaKeyError::Encoding("n")),
                "{bad:?}"
            );
        }
        let exponent = |bytes: &[u8]| RsaPublicKey::parse(&n, &URL_SAFE_NO_PAD.encode(bytes));
        for good in [
            &[3][..],
            &[1, 0, 1],
            &[0, 0, 3],
            &[1, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(exponent(good).is_ok(), "{good:?}");
        }
        for bad in [
            &[][..],
            &[0],
            &[1],
            &[2],
            &[1, 0, 0],
            &[2, 0, 0, 0, 1],
            &[0xff; 16],
            &[0xff; 256],
        ] {
            assert_eq!(exponent(bad), Err(RsaKeyError::Exponent), "{bad:?}");
        }
    }

    #[test]
    fn key_set_has_1_to_20_keys_with_distinct_kids() {
        let keys = |kids: &[Option<&str>]| {
            let key = |kid: Option<&str>| TokenKey {
                kid: kid.map(str::to_owned),
                key: parse(2048).unwrap(),
            };
            TokenKeys::parse(kids.iter().copied().map(key).collect())
                .map(|keys| keys.as_slice().len())
        };
        let names: Vec<_> = (0..21).map(|n| n.to_string()).collect();
        let names: Vec<_> = names.iter().map(|name| Some(name.as_str())).collect();
        assert_eq!(
            (keys(&[None]), keys(&names[..1]), keys(&names[..20])),
            (Ok(1), Ok(1), Ok(20))
        );
        assert_eq!(keys(&[]), Err(TokenKeysError::Count(0)));
        assert_eq!(keys(&names), Err(TokenKeysError::Count(21)));
        assert_eq!(keys(&[Some("a"), None]), Err(TokenKeysError::NoKid(1)));
        assert_eq!(keys(&[None, None]), Err(TokenKeysError::NoKid(0)));
        assert_eq!(
            keys(&[Some("a"), Some("b"), Some("a")]),
            Err(TokenKeysError::SameKid("a".to_owned()))
        );
        assert_eq!(
            keys(&[Some("a"), Some("A"), Some("")]),
            Ok(3),
            "a kid is any text, compared as it is"
        );
    }

    proptest! {
        #[test]
        fn parsed_key_is_written_back(mut n in prop::collection::vec(any::<u8>(), 257..1025), zeros in 0..3_usize) {
            n[0] |= 1;
            *n.last_mut().unwrap() |= 1;
            let padded = [vec![0; zeros], n.clone()].concat();
            let key = RsaPublicKey::parse(&URL_SAFE_NO_PAD.encode(padded), E).unwrap();
            prop_assert_eq!((key.n(), key.e()), (&n[..], &[1, 0, 1][..]));
            let (n, e) = key.to_base64url();
            prop_assert_eq!(RsaPublicKey::parse(&n, &e), Ok(key));
        }

        #[test]
        fn parsing_any_text_as_key_does_not_panic(n in ".{0,400}", e in ".{0,20}") {
            let _ = RsaPublicKey::parse(&n, &e);
        }
    }
}
