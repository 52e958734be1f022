//! Fields of a body that have no effect.

use std::{collections::HashSet, fmt};

use super::{
    excerpt::begins_like_a_credential,
    violation::{FieldRule, Location, Violation},
};

/// The effect of fields that an endpoint does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknownField {
    /// The response names them in a header.
    Ignore,
    /// They are violations.
    Reject,
}

/// The unknown fields of a body. Its `Display` is the value of the header `X-Ignored-Fields`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnknownFields {
    /// The first names that a response may repeat, in the body's order.
    named: Vec<String>,
    /// The number of all other unknown fields.
    unnamed: usize,
}

impl UnknownFields {
    const MAX_NAMES: usize = 10;
    const MAX_NAME_CHARS: usize = 64;

    /// Collects the unknown fields of a body from their names. Repeated names count once.
    pub(super) fn of<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut seen = HashSet::new();
        let mut fields = Self::default();
        for name in names.filter(|name| seen.insert(*name)) {
            if fields.named.len() < Self::MAX_NAMES && is_harmless(name) {
                fields.named.push(name.to_owned());
            } else {
                fields.unnamed += 1;
            }
        }
        fields
    }

    /// Returns whether the body has no unknown field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.unnamed == 0
    }

    /// Returns a violation for each name, and one for all other fields together.
    pub(super) fn violations(self) -> impl Iterator<Item = Violation> {
        let Self { named, unnamed } = self;
        let named = named.into_iter().map(|name| Violation {
            location: Location::Body,
            field: Some(name.into()),
            rule: FieldRule::Unknown,
        });
        let unnamed = (unnamed > 0).then_some(Violation {
            location: Location::Body,
            field: None,
            rule: FieldRule::UnknownFields(unnamed),
        });
        named.chain(unnamed)
    }
}

impl fmt::Display for UnknownFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { named, unnamed } = self;
        f.write_str(&named.join(", "))?;
        match unnamed {
            0 => Ok(()),
            _ if named.is_empty() => write!(f, "+{unnamed}"),
            _ => write!(f, ", +{unnamed}"),
        }
    }
}

/// Returns whether a response may repeat a name: it is short, is a plain word, and is not the start
/// of a credential.
fn is_harmless(name: &str) -> bool {
    (1..=UnknownFields::MAX_NAME_CHARS).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !begins_like_a_credential(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(names: &[&str]) -> String {
        UnknownFields::of(names.iter().copied()).to_string()
    }

    #[test]
    fn unknown_fields_are_named_in_the_order_of_the_body() {
        assert_eq!(header(&[]), "");
        assert_eq!(header(&["lead_id", "a.b-C", "lead_id"]), "lead_id, a.b-C");
        let long = ["x".repeat(64), "x".repeat(65)];
        let many: Vec<_> = (0..12).map(|n| format!("f{n}")).collect();
        assert_eq!(header(&[&long[0]]), long[0]);
        for hidden in [
            &*long[1],
            "",
            "a b",
            "caf\u{e9}",
            "a,b",
            "a\r\nb",
            "tt_x",
            "ITSM_x",
            "eyJhbGciOiJ9",
        ] {
            assert_eq!(header(&[hidden]), "+1", "{hidden}");
            assert_eq!(header(&[hidden, "a"]), "a, +1", "{hidden}");
        }
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(header(&many), "f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, +2");
    }

    proptest! {
        #[test]
        fn header_of_any_names_is_plain_and_short(
            names in prop::collection::vec("(\\PC|\\pC|tt_|[a-z]){0,70}", 0..30),
        ) {
            let fields = UnknownFields::of(names.iter().map(String::as_str));
            let header = fields.to_string();
            prop_assert!(header.len() <= 10 * 66 + 5);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-, +".contains(&byte);
            prop_assert!(header.bytes().all(is_plain));
            let distinct: HashSet<_> = names.iter().collect();
            prop_assert_eq!(fields.named.len() + fields.unnamed, distinct.len());
            prop_assert_eq!(fields.is_empty(), names.is_empty());
            let items = fields.named.len() + usize::from(fields.unnamed > 0);
            prop_assert_eq!(fields.violations().count(), items);
        }
    }
}
