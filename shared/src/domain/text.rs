//! What a person may type: names, descriptions and tags. Lengths are in Unicode scalar values.

use std::{collections::HashSet, fmt};

use unicode_normalization::UnicodeNormalization;

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextError {
    /// Nothing is left after trimming.
    Empty,
    /// More than this many characters.
    TooLong(usize),
    /// It holds a control character (Unicode category Cc).
    Control,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::TooLong(max) => write!(f, "must have at most {max} characters"),
            Self::Control => f.write_str("must not have control characters"),
        }
    }
}

impl std::error::Error for TextError {}

/// Trims Unicode `White_Space` at both ends, then wants 1 to `max` characters and no control character.
pub(super) fn parse_line(text: &str, max: usize) -> Result<&str, TextError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Err(TextError::Empty)
    } else if trimmed.chars().nth(max).is_some() {
        Err(TextError::TooLong(max))
    } else if trimmed.chars().any(char::is_control) {
        Err(TextError::Control)
    } else {
        Ok(trimmed)
    }
}

/// Text made comparable: trimmed, NFC, Unicode lower case. Two names that differ only in these are one name.
///
/// Lower case writes a sigma at a word's end in another form; here it is a sigma like any other, so that the beginning of a
/// name is found in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(String);

impl Folded {
    /// Folds any text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.trim().nfc().collect::<String>().to_lowercase().replace('ς', "σ"))
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `part` occurs in it, literally.
    #[must_use]
    pub fn contains(&self, part: &Self) -> bool {
        self.0.contains(&part.0)
    }
}

/// A team's name: 1 to 255 characters, trimmed, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamName(String);

impl TeamName {
    /// The most characters a name may have.
    pub const MAX_CHARS: usize = 255;

    /// Trims and checks a name.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        parse_line(text, Self::MAX_CHARS).map(|name| Self(name.to_owned()))
    }

    /// The name as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it is compared.
    #[must_use]
    pub fn folded(&self) -> Folded {
        Folded::of(&self.0)
    }
}

/// A team's description: up to 10,000 characters, kept exactly as sent, the empty text too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// The most characters a description may have.
    pub const MAX_CHARS: usize = 10_000;

    /// Checks a description.
    ///
    /// # Errors
    /// [`TextError::TooLong`].
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            Err(TextError::TooLong(Self::MAX_CHARS))
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a list of tags was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagsError {
    /// One tag breaks a rule.
    Tag(TextError),
    /// More than this many different tags.
    TooMany(usize),
}

/// A team's specializations or a member's skills: up to 50 tags of 1 to 64 characters, in the order they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(Vec<String>);

impl Tags {
    /// The most tags a list may have, duplicates not counted.
    pub const MAX_TAGS: usize = 50;
    /// The most characters a tag may have.
    pub const MAX_CHARS: usize = 64;

    /// Trims and checks every tag, then drops the later of two that fold to the same text.
    ///
    /// # Errors
    /// The first rule that is broken, by a tag before by the list.
    pub fn parse<S: AsRef<str>>(tags: impl IntoIterator<Item = S>) -> Result<Self, TagsError> {
        let mut seen = HashSet::new();
        let mut kept = Vec::new();
        for tag in tags {
            let tag = parse_line(tag.as_ref(), Self::MAX_CHARS).map_err(TagsError::Tag)?;
            if seen.insert(Folded::of(tag)) {
                kept.push(tag.to_owned());
            }
        }
        if kept.len() > Self::MAX_TAGS { Err(TagsError::TooMany(Self::MAX_TAGS)) } else { Ok(Self(kept)) }
    }

    /// The tags, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_has_1_to_255_characters_whatever_their_bytes() {
        assert_eq!(TeamName::parse(""), Err(TextError::Empty));
        assert_eq!(TeamName::parse(" \u{3000}\t\n"), Err(TextError::Empty));
        assert_eq!(TeamName::parse("  a  ").unwrap().as_str(), "a");
        for wide in ["x", "é", "🦀"] {
            assert!(TeamName::parse(&wide.repeat(255)).is_ok());
            assert_eq!(TeamName::parse(&wide.repeat(256)), Err(TextError::TooLong(255)));
        }
        // Trimming comes before counting.
        assert!(TeamName::parse(&format!(" {} ", "x".repeat(255))).is_ok());
    }

    #[test]
    fn a_name_has_no_control_characters() {
        for bad in ["a\0b", "a\nb", "a\u{7f}b", "a\u{85}b"] {
            assert_eq!(TeamName::parse(bad), Err(TextError::Control), "{bad:?}");
        }
        // Format characters (Cf) are not control characters (Cc): a family emoji needs its joiners.
        assert!(TeamName::parse("👩\u{200d}👧").is_ok());
    }

    #[test]
    fn folding_joins_case_and_composition() {
        assert_eq!(Folded::of("  CAFÉ "), Folded::of("cafe\u{301}"));
        assert_eq!(Folded::of("ÅNGSTRÖM"), Folded::of("ångström"));
        assert_ne!(Folded::of("straße"), Folded::of("strasse"));
        assert_eq!(Folded::of("ΟΔΟΣ"), Folded::of("οδος"));
        assert!(Folded::of("ΟΔΟΣΑ").contains(&Folded::of("ΟΔΟΣ")));
    }

    #[test]
    fn a_description_is_kept_as_sent() {
        for text in ["", "  a\n\tb \0 "] {
            assert_eq!(Description::parse(text).unwrap().as_str(), text);
        }
        assert!(Description::parse(&"🦀".repeat(10_000)).is_ok());
        assert_eq!(Description::parse(&"x".repeat(10_001)), Err(TextError::TooLong(10_000)));
    }

    #[test]
    fn duplicate_tags_are_dropped_before_they_are_counted() {
        let tags = Tags::parse(["VPN", " vpn ", "Firewall", "Vpn"]).unwrap();
        assert_eq!(tags.as_slice(), ["VPN", "Firewall"]);
        assert!(Tags::parse((0..50).chain(0..50).map(|n| format!("tag {n}"))).is_ok());
        assert_eq!(Tags::parse((0..51).map(|n| format!("tag {n}"))), Err(TagsError::TooMany(50)));
        assert_eq!(Tags::parse([""]), Err(TagsError::Tag(TextError::Empty)));
        assert_eq!(Tags::parse(["x".repeat(65)]), Err(TagsError::Tag(TextError::TooLong(64))));
        assert_eq!(Tags::parse(["a\tb"]), Err(TagsError::Tag(TextError::Control)));
    }

    proptest! {
        #[test]
        fn a_parsed_name_parses_to_itself(text in "\\PC*") {
            if let Ok(name) = TeamName::parse(&text) {
                prop_assert_eq!(TeamName::parse(name.as_str()), Ok(name.clone()));
                prop_assert_eq!(name.folded(), Folded::of(&text));
            }
        }

        #[test]
        fn letter_case_never_makes_a_different_name(text in "[a-zA-Zà-ý0-9 ]{0,40}") {
            prop_assert_eq!(Folded::of(&text), Folded::of(&text.to_uppercase().to_lowercase()));
        }

        #[test]
        fn parsed_tags_parse_to_themselves(tags in proptest::collection::vec("\\PC{0,70}", 0..60)) {
            if let Ok(tags) = Tags::parse(&tags) {
                prop_assert!(tags.as_slice().len() <= Tags::MAX_TAGS);
                prop_assert_eq!(Tags::parse(tags.as_slice()), Ok(tags.clone()));
            }
        }
    }
}
