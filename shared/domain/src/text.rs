//! Texts that people enter: names, descriptions and tags. Lengths are in Unicode scalar values.

use std::{collections::HashSet, sync::Arc};

use thiserror::Error;

use super::fold::nfkc_casefold;

/// The rule that a text breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// No character is left after trimming, or after folding a name or tag.
    #[error("must not be empty")]
    Empty,
    /// The text has more than this many characters.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// The text has a control character (Unicode category Cc).
    #[error("must not have control characters")]
    Control,
    /// The text has a control character other than tab, line feed and carriage return.
    #[error("must not have control characters other than tab, line feed and carriage return")]
    ControlInLines,
}

/// Trims Unicode `White_Space` at both ends, then requires 1 to `max` characters and no control
/// character.
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

/// Checks a name or tag by the rules of [`parse_line`], and that it does not fold to the empty
/// text.
fn parse_comparable(text: &str, max: usize) -> Result<&str, TextError> {
    if Folded::of(text).is_empty() {
        Err(TextError::Empty)
    } else {
        parse_line(text, max)
    }
}

/// The comparable form of a name or tag: `NFKC_Casefold`, then without white space at its ends and
/// with one space for every run of white space inside. Two texts with one folded form are one name.
///
/// Folding is idempotent. The folded text can be 18 times as long as the text (U+FDFA).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(Arc<str>);

impl Folded {
    /// Folds any text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let caseless = nfkc_casefold(text);
        let mut folded = String::with_capacity(caseless.len());
        for word in caseless.split_whitespace() {
            if !folded.is_empty() {
                folded.push(' ');
            }
            folded.push_str(word);
        }
        Self(folded.into())
    }

    /// Wraps a text that is already folded, such as a stored one.
    #[must_use]
    pub fn from_folded(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Returns whether no character is left, such as of a zero-width space.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the folded text contains `part`.
    #[must_use]
    pub fn contains(&self, part: &Self) -> bool {
        self.0.contains(&*part.0)
    }
}

/// A text that is compared with folded texts. It differs from its folded form at most in the case
/// of ASCII letters, so most texts are compared without an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparable<'t> {
    /// Folding changes at most the case of ASCII letters of this text.
    Text(&'t str),
    /// The folded form of another text.
    Folded(Folded),
}

impl<'t> Comparable<'t> {
    /// Prepares a text. Folds it, unless it is ASCII with single spaces between its words.
    #[must_use]
    pub fn of(text: &'t str) -> Self {
        if folds_by_ascii_case(text) {
            Self::Text(text)
        } else {
            Self::Folded(Folded::of(text))
        }
    }

    /// Returns whether the text folds to `folded`.
    #[must_use]
    pub fn folds_to(&self, folded: &Folded) -> bool {
        match self {
            Self::Text(text) => text.eq_ignore_ascii_case(folded.as_str()),
            Self::Folded(text) => text == folded,
        }
    }
}

/// Returns whether a text is ASCII, with single spaces between its words. Folding then changes only
/// the case of its letters.
fn folds_by_ascii_case(text: &str) -> bool {
    // A start counts as a space, so an empty text is not regular.
    let mut after_space = true;
    let is_regular = text.bytes().fold(true, |is_regular, byte| {
        let is_space = byte == b' ';
        let continues_word = byte.is_ascii_graphic() || (is_space && !after_space);
        after_space = is_space;
        is_regular && continues_word
    });
    is_regular && !after_space
}

/// A team's name: 1 to 255 characters, trimmed, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamName(String);

impl TeamName {
    /// The maximum number of characters.
    pub const MAX_CHARS: usize = 255;

    /// Trims and checks a name. A name that folds to the empty text is [`TextError::Empty`].
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        parse_comparable(text, Self::MAX_CHARS).map(|name| Self(name.to_owned()))
    }

    /// Returns the name as entered, trimmed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the comparable form of the name.
    #[must_use]
    pub fn folded(&self) -> Folded {
        Folded::of(&self.0)
    }
}

/// A team's description: up to 10,000 characters, stored exactly as sent, even if empty. Its only
/// control characters are tab, line feed and carriage return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// The maximum number of characters.
    pub const MAX_CHARS: usize = 10_000;

    /// Checks a description.
    ///
    /// # Errors
    /// [`TextError::TooLong`], [`TextError::ControlInLines`].
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let is_refused = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            Err(TextError::TooLong(Self::MAX_CHARS))
        } else if text.chars().any(is_refused) {
            Err(TextError::ControlInLines)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rule that a list of tags breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagsError {
    /// One tag breaks a rule.
    Tag(TextError),
    /// The list has more than this many different tags.
    TooMany(usize),
    /// The tags have more than this many bytes together.
    TooLarge(usize),
}

/// A team's specializations or a member's skills: up to 50 tags of 1 to 64 characters, in the order
/// of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(Vec<String>);

impl Tags {
    /// The maximum number of tags, without duplicates.
    pub const MAX_TAGS: usize = 50;
    /// The maximum number of characters of a tag.
    pub const MAX_CHARS: usize = 64;
    /// The maximum number of bytes of a member's skills together: UTF-8, with two bytes for each
    /// quotation mark and backslash. JSON escapes these, so that a response with the skills of 500
    /// members stays bounded.
    pub const MAX_SKILLS_BYTES: usize = 4096;
    /// The maximum number of characters of a folded tag: U+FDFA folds to 18 characters, and every
    /// other character to fewer.
    pub const MAX_FOLDED_CHARS: usize = 18 * Self::MAX_CHARS;

    /// Trims and checks every tag, then drops the later of two that fold to the same text.
    ///
    /// # Errors
    /// The first rule that a tag breaks, else the rule that the list breaks.
    pub fn parse<S: AsRef<str>>(tags: impl IntoIterator<Item = S>) -> Result<Self, TagsError> {
        let mut seen = HashSet::new();
        let mut kept = Vec::new();
        for tag in tags {
            let tag = parse_comparable(tag.as_ref(), Self::MAX_CHARS).map_err(TagsError::Tag)?;
            if seen.insert(Folded::of(tag)) {
                kept.push(tag.to_owned());
            }
        }
        if kept.len() > Self::MAX_TAGS {
            Err(TagsError::TooMany(Self::MAX_TAGS))
        } else {
            Ok(Self(kept))
        }
    }

    /// Wraps tags that were parsed before, such as stored ones. Parsing the skills of 500 members
    /// again would take seconds on a slow CPU, mostly for folding.
    #[must_use]
    pub fn from_parsed(tags: Vec<String>) -> Self {
        Self(tags)
    }

    /// Parses a member's skills by the rules of [`parse`](Self::parse). They have at most
    /// [`MAX_SKILLS_BYTES`](Self::MAX_SKILLS_BYTES) together, after duplicates are dropped.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse_skills<S: AsRef<str>>(
        tags: impl IntoIterator<Item = S>,
    ) -> Result<Self, TagsError> {
        let skills = Self::parse(tags)?;
        let bytes = |tag: &String| {
            tag.len()
                + tag
                    .bytes()
                    .filter(|byte| matches!(byte, b'"' | b'\\'))
                    .count()
        };
        if skills.0.iter().map(bytes).sum::<usize>() > Self::MAX_SKILLS_BYTES {
            Err(TagsError::TooLarge(Self::MAX_SKILLS_BYTES))
        } else {
            Ok(skills)
        }
    }

    /// Returns the tags, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Returns the number of tags that are topics.
    #[must_use]
    pub fn matched(&self, topics: &[&Folded]) -> usize {
        let is_topic = |tag: &&String| {
            // A topic that differs only in ASCII case is the folded form of the tag, so most tags
            // need no inspection.
            let is_equal = |topic: &&Folded| tag.eq_ignore_ascii_case(topic.as_str());
            topics.iter().any(is_equal)
                || (!folds_by_ascii_case(tag) && topics.contains(&&Folded::of(tag)))
        };
        self.0.iter().filter(is_topic).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn name_has_1_to_255_characters_of_any_width() {
        assert_eq!(TeamName::parse(""), Err(TextError::Empty));
        assert_eq!(TeamName::parse(" \u{3000}\t\n"), Err(TextError::Empty));
        assert_eq!(TeamName::parse("  a  ").unwrap().as_str(), "a");
        for wide in ["x", "é", "🦀"] {
            assert!(TeamName::parse(&wide.repeat(255)).is_ok());
            assert_eq!(
                TeamName::parse(&wide.repeat(256)),
                Err(TextError::TooLong(255))
            );
        }
        // Trimming comes before counting.
        assert!(TeamName::parse(&format!(" {} ", "x".repeat(255))).is_ok());
    }

    #[test]
    fn name_with_control_character_is_rejected() {
        for bad in ["a\0b", "a\nb", "a\u{7f}b", "a\u{85}b"] {
            assert_eq!(TeamName::parse(bad), Err(TextError::Control), "{bad:?}");
        }
        // Format characters (Cf) are not control characters (Cc): a family emoji needs its joiners.
        assert!(TeamName::parse("👩\u{200d}👧").is_ok());
    }

    #[test]
    fn equivalent_texts_fold_alike() {
        for (one, other) in [
            ("  CAFÉ ", "cafe\u{301}"),
            ("ÅNGSTRÖM", "ångström"),
            ("STRASSE", "straße"),
            ("ΟΔΟΣ", "οδος"),
            // The capitals decompose: no single character is the capital of U+0390.
            ("ΠΡΩΤΕΪ\u{301}ΝΗ", "Πρωτε\u{390}νη"),
            ("ＳＤ-ＷＡＮ", "sd-wan"),
            ("Service Desk", "Service\u{200b} \u{2060}Desk"),
            ("Service Desk", "Service\u{a0}\u{3000}\t Desk\u{feff}"),
            ("Service Desk", "Service\u{1680}Desk"),
        ] {
            assert_eq!(Folded::of(one), Folded::of(other), "{one:?} {other:?}");
        }
        assert_ne!(Folded::of("Service Desk"), Folded::of("ServiceDesk"));
        assert_ne!(Folded::of("ı"), Folded::of("i"));
        assert!(Folded::of("ΟΔΟΣΑ").contains(&Folded::of("ΟΔΟΣ")));
    }

    #[test]
    fn name_or_tag_that_folds_to_no_text_is_empty() {
        for invisible in [
            "\u{200b}",
            " \u{200b} \u{ad}",
            "\u{3164}",
            "\u{200b}\u{2003}",
            &"\u{200b}".repeat(256),
        ] {
            assert_eq!(
                TeamName::parse(invisible),
                Err(TextError::Empty),
                "{invisible:?}"
            );
            assert_eq!(
                Tags::parse([invisible]),
                Err(TagsError::Tag(TextError::Empty)),
                "{invisible:?}"
            );
        }
        assert_eq!(
            TeamName::parse("Service\u{200b} Desk").unwrap().as_str(),
            "Service\u{200b} Desk"
        );
    }

    proptest! {
        #[test]
        fn comparison_without_folding_agrees_with_folding(
            one in "[aAbßẞ \t\n\u{b}\u{a0}\u{200b}é1]{0,6}",
            other in "[aAbßẞ \t\n\u{b}\u{a0}\u{200b}é1]{0,6}",
        ) {
            let folded = Folded::of(&other);
            prop_assert_eq!(Comparable::of(&one).folds_to(&folded), Folded::of(&one) == folded);
            prop_assert!(Comparable::of(&other).folds_to(&folded));
            let matched = usize::from(Folded::of(&one) == folded);
            prop_assert_eq!(Tags::from_parsed(vec![one]).matched(&[&folded]), matched);
        }
    }

    #[test]
    fn longest_folded_tag_has_18_times_the_characters() {
        let tag = "\u{fdfa}".repeat(Tags::MAX_CHARS);
        assert!(Tags::parse([&tag]).is_ok());
        assert_eq!(
            Folded::of(&tag).as_str().chars().count(),
            Tags::MAX_FOLDED_CHARS
        );
    }

    #[test]
    fn description_is_stored_as_sent() {
        for text in ["", "  a\r\n\tb \u{a0} ", "\u{200b}\u{feff}\u{2028}"] {
            assert_eq!(Description::parse(text).unwrap().as_str(), text);
        }
        assert!(Description::parse(&"🦀".repeat(10_000)).is_ok());
        assert_eq!(
            Description::parse(&"x".repeat(10_001)),
            Err(TextError::TooLong(10_000))
        );
    }

    #[test]
    fn description_has_no_control_characters_but_three() {
        for code in (0..=0xff_u8).filter(|code| char::from(*code).is_control()) {
            let text = format!("a{}b", char::from(code));
            match char::from(code) {
                '\t' | '\n' | '\r' => assert!(Description::parse(&text).is_ok(), "{text:?}"),
                _ => assert_eq!(
                    Description::parse(&text),
                    Err(TextError::ControlInLines),
                    "{text:?}"
                ),
            }
        }
    }

    #[test]
    fn skills_have_4_kib_together() {
        let skills = |sizes: &[usize], c: &str| {
            let tag = |(n, size): (usize, &usize)| format!("{n:02}{}", c.repeat(size - 2));
            Tags::parse_skills(sizes.iter().enumerate().map(tag).collect::<Vec<_>>())
        };
        // 16 tags of 2 and 62 x 4 bytes are 4,000 bytes.
        for (last, is_ok) in [(25, true), (26, false)] {
            // 2 and 23 x 4 bytes are 94; with 2 more bytes it is full.
            let mut sizes = vec![64; 16];
            sizes.push(last);
            assert_eq!(skills(&sizes, "🦀").is_ok(), is_ok, "{last}");
        }
        // 32 tags of 2 and 62 x 2 bytes are 4,032 bytes, and 2 and 31 x 2 are 64.
        for c in ["\"", "\\", "é"] {
            let mut sizes = vec![64; 32];
            sizes.push(33);
            assert!(skills(&sizes, c).is_ok(), "{c}");
            sizes.push(3);
            assert_eq!(skills(&sizes, c), Err(TagsError::TooLarge(4096)), "{c}");
        }
        assert!(
            Tags::parse_skills(vec!["x".repeat(64); 100]).is_ok(),
            "duplicates are dropped first"
        );
    }

    #[test]
    fn duplicate_tags_do_not_count() {
        let tags = Tags::parse(["VPN", " vpn ", "Firewall", "Vpn"]).unwrap();
        assert_eq!(tags.as_slice(), ["VPN", "Firewall"]);
        assert!(Tags::parse((0..50).chain(0..50).map(|n| format!("tag {n}"))).is_ok());
        assert_eq!(
            Tags::parse((0..51).map(|n| format!("tag {n}"))),
            Err(TagsError::TooMany(50))
        );
        assert_eq!(Tags::parse([""]), Err(TagsError::Tag(TextError::Empty)));
        assert_eq!(
            Tags::parse(["x".repeat(65)]),
            Err(TagsError::Tag(TextError::TooLong(64)))
        );
        assert_eq!(
            Tags::parse(["a\tb"]),
            Err(TagsError::Tag(TextError::Control))
        );
    }

    proptest! {
        #[test]
        fn parsed_name_parses_to_itself(text in "\\PC*") {
            if let Ok(name) = TeamName::parse(&text) {
                prop_assert_eq!(TeamName::parse(name.as_str()), Ok(name.clone()));
                prop_assert_eq!(name.folded(), Folded::of(&text));
            }
        }

        #[test]
        fn folding_is_idempotent(text in "(\\PC|\\s|[\u{200b}\u{ad}\u{a0}\u{345}\u{fdfa}]){0,20}") {
            let folded = Folded::of(&text);
            prop_assert_eq!(Folded::of(folded.as_str()), folded);
        }

        #[test]
        fn letter_case_does_not_distinguish_names(text in "[a-zA-Zà-ý0-9 ]{0,40}") {
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
