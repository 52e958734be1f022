//! Text of a request that a response repeats.

/// The maximum number of characters of a repeated text.
const MAX_CHARS: usize = 60;

/// The beginnings of API keys and of JWTs: the encoded header of a JWT begins with `{"`.
const CREDENTIALS: [&str; 3] = ["tt_", "itsm_", "eyJ"];

/// Returns whether a text begins like a credential, in any letter case.
pub(super) fn begins_like_a_credential(text: &str) -> bool {
    CREDENTIALS.iter().any(|credential| {
        text.get(..credential.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(credential))
    })
}

/// Returns the start of a text in at most 60 printable ASCII characters.
///
/// A question mark replaces every other character. The excerpt ends before a part that begins like
/// a credential, because a client may have put its key into the wrong header.
#[must_use]
pub fn excerpt(text: &str) -> String {
    text.char_indices()
        .take(MAX_CHARS)
        .take_while(|(at, _)| !begins_like_a_credential(&text[*at..]))
        .map(|(_, char)| match char {
            ' '..='~' => char,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn excerpt_is_short_printable_and_without_credential() {
        assert_eq!(excerpt("text/plain"), "text/plain");
        assert_eq!(excerpt("caf\u{e9}\r\n\u{1f980}"), "caf????");
        assert_eq!(excerpt(&"x".repeat(61)), "x".repeat(60));
        assert_eq!(excerpt("Bearer tt_live_1"), "Bearer ");
        assert_eq!(excerpt("ITSM_1"), "");
        assert_eq!(excerpt("a=eyJh.eyJz.c2ln"), "a=");
    }

    proptest! {
        #[test]
        fn excerpt_of_any_text_is_printable(text in "(\\PC|\\pC|tt_|itsm_|eyJ|[a-z/]){0,90}") {
            let excerpt = excerpt(&text);
            prop_assert!(excerpt.len() <= 60);
            prop_assert!(excerpt.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            let lower = excerpt.to_lowercase();
            prop_assert!(!["tt_", "itsm_", "eyj"].iter().any(|key| lower.contains(key)));
            let mut pairs = text.chars().zip(excerpt.chars());
            let same = pairs.all(|(sent, shown)| sent == shown || shown == '?');
            prop_assert!(same, "{text:?}: {excerpt:?}");
        }

        #[test]
        fn plain_text_up_to_60_characters_is_its_own_excerpt(text in "[a-s/;= -]{0,60}") {
            prop_assert_eq!(excerpt(&text), text);
        }
    }
}
