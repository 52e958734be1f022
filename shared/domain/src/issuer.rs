//! Who issues an organization's tokens (JWTs), and the public keys that tell its tokens from
//! anybody else's.

use std::{fmt, ops::RangeInclusive};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{OrganizationId, Timestamp};

/// A public RSA key that RS256 can be verified with: of 2048 to 8192 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    n: Vec<u8>,
    e: Vec<u8>,
}

/// Why a key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaKeyError {
    /// This component is not base64url.
    Encoding(&'static str),
    /// The modulus has this many bits.
    Bits(usize),
    /// The modulus is even.
    EvenModulus,
    /// The exponent is even, 1, or so large that verifying takes long.
    Exponent,
}

impl fmt::Display for RsaKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(component) => write!(f, "{component} must be base64url without padding"),
            Self::Bits(bits) => write!(f, "n has {bits} bits, and must have 2048 to 8192"),
            Self::EvenModulus => f.write_str("n is even, as no RSA key's is"),
            Self::Exponent => f.write_str("e must be odd, at least 3 and less than 2^33"),
        }
    }
}

impl std::error::Error for RsaKeyError {}

impl RsaPublicKey {
    const BITS: RangeInclusive<usize> = 2048..=8192;

    /// Parses a key as a JWK (RFC 7518, 6.3.1) writes it: modulus and exponent, big-endian in
    /// base64url. Leading zeros, which some libraries write against the letter of the RFC, are
    /// dropped.
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

    /// The modulus, big-endian, without leading zeros.
    #[must_use]
    pub fn n(&self) -> &[u8] {
        &self.n
    }

    /// The exponent, big-endian, without leading zeros.
    #[must_use]
    pub fn e(&self) -> &[u8] {
        &self.e
    }

    /// The modulus and the exponent as [`parse`](Self::parse) takes them.
    #[must_use]
    pub fn to_base64url(&self) -> (String, String) {
        (
            URL_SAFE_NO_PAD.encode(&self.n),
            URL_SAFE_NO_PAD.encode(&self.e),
        )
    }

    /// How many bits the modulus has.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.n
            .first()
            .map_or(0, |first| self.n.len() * 8 - first.leading_zeros() as usize)
    }
}

/// The bytes of a number without its leading zeros.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

/// A key that tokens may be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKey {
    /// What a token's header calls it.
    pub kid: Option<String>,
    /// Its public half.
    pub key: RsaPublicKey,
}

/// The keys that an organization's tokens may be signed with: 1 to 20. Where there is more than
/// one, each has a `kid` of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKeys(Vec<TokenKey>);

/// Why a set of keys was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKeysError {
    /// There are this many.
    Count(usize),
    /// There is more than one, and this one, counted from 0, has no `kid`.
    NoKid(usize),
    /// Two have this `kid`.
    SameKid(String),
}

impl fmt::Display for TokenKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(
                f,
                "there are {count} keys, and must be 1 to {}",
                TokenKeys::MAX
            ),
            Self::NoKid(at) => write!(
                f,
                "key {} has no kid, and must where there are several",
                at + 1
            ),
            Self::SameKid(kid) => write!(f, "two keys have the kid {kid:?}"),
        }
    }
}

impl std::error::Error for TokenKeysError {}

impl TokenKeys {
    /// The most keys that an organization can have.
    pub const MAX: usize = 20;

    /// Checks a set of keys.
    ///
    /// # Errors
    /// The rule that it breaks.
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

    /// The keys, in the order in which they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[TokenKey] {
        &self.0
    }
}

/// What an organization's tokens are held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIssuer {
    /// Whose tokens.
    pub organization_id: OrganizationId,
    /// The keys that they may be signed with.
    pub keys: TokenKeys,
    /// What their claim `iss` has to be, where that is checked.
    pub issuer: Option<String>,
    /// What has to be in their claim `aud`, where that is checked.
    pub audience: Option<String>,
    /// When this was set.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const E: &str = "AQAB";

    /// A modulus of this many bits, the last of which is `odd`.
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
    fn a_key_has_2048_to_8192_bits() {
        for bits in [2048, 2049, 3072, 4095, 4096, 8191, 8192] {
            assert_eq!(parse(bits).map(|key| key.bits()), Ok(bits));
        }
        for bits in [1, 8, 1024, 2040, 2047, 8193, 16_384] {
            assert_eq!(parse(bits), Err(RsaKeyError::Bits(bits)));
        }
        assert_eq!(RsaPublicKey::parse("", E), Err(RsaKeyError::Bits(0)));
    }

    #[test]
    fn a_component_that_no_key_has_is_refused() {
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
    fn a_set_has_1_to_20_keys_that_a_token_can_name() {
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
        fn a_key_is_written_as_it_is_parsed(mut n in prop::collection::vec(any::<u8>(), 257..1025), zeros in 0..3_usize) {
            n[0] |= 1;
            *n.last_mut().unwrap() |= 1;
            let padded = [vec![0; zeros], n.clone()].concat();
            let key = RsaPublicKey::parse(&URL_SAFE_NO_PAD.encode(padded), E).unwrap();
            prop_assert_eq!((key.n(), key.e()), (&n[..], &[1, 0, 1][..]));
            let (n, e) = key.to_base64url();
            prop_assert_eq!(RsaPublicKey::parse(&n, &e), Ok(key));
        }

        #[test]
        fn no_text_makes_parsing_a_key_panic(n in ".{0,400}", e in ".{0,20}") {
            let _ = RsaPublicKey::parse(&n, &e);
        }
    }
}
