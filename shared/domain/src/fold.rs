//! Unicode case folding of names and tags, by the tables of ICU4X.
//!
//! ICU4X publishes its case mappings, normalization forms and properties together, so all three
//! have one version of Unicode. A later version folds assigned characters in the same way ([Unicode
//! Character Encoding Stability Policies], "Case Folding Stability" and "Normalization Stability"),
//! so an update of the crates keeps the keys of stored names.
//!
//! [Unicode Character Encoding Stability Policies]: https://www.unicode.org/policies/stability_policy.html

use std::borrow::Cow;
use std::ops::RangeInclusive;

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::{
    CodePointSetData, CodePointSetDataBorrowed, props::DefaultIgnorableCodePoint,
};

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
const NFD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfd();
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
const CASE: CaseMapperBorrowed<'static> = CaseMapper::new();
const IGNORABLE: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<DefaultIgnorableCodePoint>();

/// Returns `toNFKC_Casefold(NFD(text))` of the Unicode Standard (section 3.13, R5 and D147).
///
/// The result has no differences of case, of compatibility forms such as full-width letters, of
/// composition, and of characters that are ignored by default such as zero-width spaces.
/// Decomposing first makes canonically equivalent texts equal, for every order of their
/// combining marks.
pub(super) fn nfkc_casefold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut mapped = String::with_capacity(text.len());
    for character in NFD.normalize(text).chars() {
        mapped.push_str(&mapping(character.encode_utf8(&mut [0; 4])));
    }
    NFC.normalize(&mapped).into_owned()
}

/// Returns the code points that folding removes, in ascending order (property
/// `Default_Ignorable_Code_Point`).
pub fn ignorable_ranges() -> impl Iterator<Item = RangeInclusive<u32>> {
    IGNORABLE.iter_ranges()
}

/// Returns the property `NFKC_Casefold` of a character: its case is folded, it is normalized and
/// default ignorable code points are removed, repeatedly until the text is stable (Unicode Standard
/// Annex #44, `NFKC_Casefold`).
fn mapping(character: &str) -> Cow<'_, str> {
    let mut mapping = Cow::Borrowed(character);
    while let Some(next) = changed(&mapping) {
        mapping = Cow::Owned(next);
    }
    mapping
}

/// Applies each of the three steps once. Returns `None` if the text is already in this form.
fn changed(text: &str) -> Option<String> {
    let folded = CASE.fold_string(text);
    let normalized = NFKC.normalize(&folded);
    let unchanged =
        normalized == text && !text.chars().any(|character| IGNORABLE.contains(character));
    (!unchanged).then(|| {
        normalized
            .chars()
            .filter(|character| !IGNORABLE.contains(*character))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use caseless::Caseless;
    use proptest::prelude::*;
    use unicode_general_category::{GeneralCategory, get_general_category};
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    /// `Default_Ignorable_Code_Point` in `DerivedCoreProperties.txt` of Unicode 16.0.
    const IGNORED: [(char, char); 17] = [
        ('\u{ad}', '\u{ad}'),
        ('\u{34f}', '\u{34f}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{115f}', '\u{1160}'),
        ('\u{17b4}', '\u{17b5}'),
        ('\u{180b}', '\u{180f}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{202a}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{3164}', '\u{3164}'),
        ('\u{fe00}', '\u{fe0f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{ffa0}', '\u{ffa0}'),
        ('\u{fff0}', '\u{fff8}'),
        ('\u{1bca0}', '\u{1bca3}'),
        ('\u{1d173}', '\u{1d17a}'),
        ('\u{e0000}', '\u{e0fff}'),
    ];

    fn is_ignored(character: char) -> bool {
        IGNORED
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&character))
    }

    /// Folds by crates that share neither code nor tables with ICU4X. The crate `caseless` has
    /// Unicode 16.0, so the result is right for the characters that [`is_known`] returns.
    fn reference(text: &str) -> String {
        let mapping = |character: char| {
            let step = |text: &str| -> String {
                text.chars()
                    .default_case_fold()
                    .nfkc()
                    .filter(|character| !is_ignored(*character))
                    .collect()
            };
            let mut mapping = step(&character.to_string());
            loop {
                let next = step(&mapping);
                if next == mapping {
                    return mapping;
                }
                mapping = next;
            }
        };
        text.nfd().map(mapping).collect::<String>().nfc().collect()
    }

    /// Returns whether Unicode 16.0 assigns the character or defines it as ignorable.
    fn is_known(character: char) -> bool {
        is_ignored(character) || get_general_category(character) != GeneralCategory::Unassigned
    }

    /// Characters that interact when they are folded, between any others.
    fn texts() -> impl Strategy<Value = String> {
        let interacting: Vec<char> =
            "aAßẞΣςσΪΐΰᾴᾳͅͺ\u{301}\u{308}\u{323}\u{304}İıſＡｶﾞﷺ가\u{1100}\u{1161}\u{200b}\u{ad} \u{a0}\u{3000}\u{1160}ﬃǅⅣ".chars().collect();
        let character = prop_oneof![
            proptest::sample::select(interacting),
            any::<char>().prop_filter("known", |c| is_known(*c))
        ];
        proptest::collection::vec(character, 0..12)
            .prop_map(|characters| characters.into_iter().collect())
    }

    #[test]
    fn every_character_folds_as_in_the_reference() {
        // Folding does not change the 137,468 characters for private use.
        let tried = |character: &char| {
            is_known(*character) && get_general_category(*character) != GeneralCategory::PrivateUse
        };
        let mut longest = 0;
        for character in (char::MIN..=char::MAX).filter(tried) {
            let text = character.to_string();
            let folded = nfkc_casefold(&text);
            assert_eq!(folded, reference(&text), "{}", character.escape_unicode());
            longest = longest.max(folded.chars().count());
        }
        // The limits of folded tags and of topics depend on this.
        assert_eq!(longest, 18);
    }

    #[test]
    fn equivalent_orders_of_marks_fold_alike() {
        // U+0345 folds from a combining mark to a letter.
        assert_eq!(nfkc_casefold("α\u{345}\u{301}"), nfkc_casefold("\u{1fb4}"));
    }

    proptest! {
        #[test]
        fn texts_fold_as_in_the_reference(text in texts()) {
            prop_assert_eq!(nfkc_casefold(&text), reference(&text));
        }

        #[test]
        fn folded_text_does_not_change(text in texts()) {
            let folded = nfkc_casefold(&text);
            prop_assert_eq!(nfkc_casefold(&folded), folded);
        }

        #[test]
        fn canonically_equivalent_texts_fold_alike(text in texts()) {
            let folded = nfkc_casefold(&text);
            prop_assert_eq!(nfkc_casefold(&text.nfc().collect::<String>()), folded.as_str());
            prop_assert_eq!(nfkc_casefold(&text.nfd().collect::<String>()), folded.as_str());
        }
    }
}
