//! Places on a hash ring: an order of identifiers that does not depend on their age.

use std::fmt;

use sha2::{Digest, Sha256};

/// The place of an identifier on a ring: the first 32 bits of its SHA-256.
///
/// The text form has 8 lowercase hex digits, so text order is the order of the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingPlace(u32);

impl RingPlace {
    /// Returns the place of an identifier.
    #[must_use]
    pub fn of(id: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(id).into();
        Self(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]))
    }

    /// Parses the text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 8
            && text
                .bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        is_hex
            .then(|| u32::from_str_radix(text, 16).ok().map(Self))
            .flatten()
    }

    /// Returns the distance to this place from a start, in the direction of the ring.
    #[must_use]
    pub fn distance_from(self, start: Self) -> u32 {
        self.0.wrapping_sub(start.0)
    }
}

impl fmt::Display for RingPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_the_start_of_the_hash() {
        // printf abc | sha256sum
        assert_eq!(RingPlace::of("abc").to_string(), "ba7816bf");
        assert_eq!(RingPlace::parse("ba7816bf"), Some(RingPlace::of("abc")));
        for text in [
            "",
            "ba7816b",
            "ba7816bf0",
            "ba7816bg",
            "BA7816BF",
            "+a7816bf",
        ] {
            assert_eq!(RingPlace::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn distance_goes_around_the_ring() {
        let (low, high) = (RingPlace(5), RingPlace(u32::MAX));
        assert_eq!(
            (high.distance_from(low), low.distance_from(high)),
            (u32::MAX - 5, 6)
        );
        assert_eq!(low.distance_from(low), 0);
    }
}
