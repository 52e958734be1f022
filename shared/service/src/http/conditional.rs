//! Conditional requests (RFC 9110, section 13). A team's entity tag is its version between quotes.
//! Every entity tag is strong.

use muster_domain::IfVersion;

/// Parses an `If-Match` header. The gateway joins several headers into one list.
///
/// Tags are compared strongly (RFC 9110, section 13.1.1): a weak tag, a foreign tag and malformed
/// text match no version.
pub(super) fn if_match(header: &str) -> IfVersion {
    if header.trim_matches(WHITE_SPACE) == "*" {
        return IfVersion::Any;
    }
    IfVersion::OneOf(items(header).filter_map(version).collect())
}

/// Returns whether an `If-None-Match` header lists an entity tag. The gateway joins several headers
/// into one list.
///
/// Tags are compared weakly (RFC 9110, section 13.1.2), because caches on the way may turn a strong
/// tag into a weak one.
#[must_use]
pub fn if_none_match(header: &str, etag: &str) -> bool {
    header.trim_matches(WHITE_SPACE) == "*"
        || items(header).any(|item| opaque(item.trim_matches(WHITE_SPACE)) == opaque(etag))
}

/// Returns an entity tag without its weakness indicator.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// Splits a list of entity tags at the commas outside of quotes: a tag may hold commas.
fn items(header: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    header.split(move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

/// The characters that surround the items of a list.
const WHITE_SPACE: [char; 2] = [' ', '\t'];

/// Parses an item of the list into a version, in the exact form that `ETag` has.
fn version(item: &str) -> Option<u64> {
    let tag = item
        .trim_matches(WHITE_SPACE)
        .strip_prefix('"')?
        .strip_suffix('"')?;
    tag.parse()
        .ok()
        .filter(|version: &u64| version.to_string() == tag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn if_match_star_is_any_version() {
        for header in ["*", " *", "*\t"] {
            assert_eq!(if_match(header), IfVersion::Any, "{header:?}");
        }
    }

    #[test]
    fn if_match_accepts_the_exact_form_of_etag() {
        for (header, versions) in [
            (r#""3""#, vec![3]),
            (r#""3", "4""#, vec![3, 4]),
            (" ,\t\"3\"\t,,\"18446744073709551615\" ,", vec![3, u64::MAX]),
            // A weak tag, other forms of a number, numbers that are no version.
            (
                r#"W/"3", "03", "+3", " 3", "3 ", "3.0", "٣", "-1", "18446744073709551616""#,
                vec![],
            ),
            // Commas and stars inside quotes, and unclosed quotes.
            (r#""1,2", "a,"3",b", "*", "4""#, vec![4]),
            (r#""3"#, vec![]),
            (r#"3""#, vec![]),
            (r#""5", "3, 4"#, vec![5]),
            (r#""3""4""#, vec![]),
            // No tags.
            ("", vec![]),
            ("3", vec![]),
            ("'3'", vec![]),
            (r#"*, "3""#, vec![3]),
            ("*, *", vec![]),
        ] {
            assert_eq!(if_match(header), IfVersion::OneOf(versions), "{header}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let etag = r#""a,b""#;
        for header in [
            "*",
            " * ",
            r#""a,b""#,
            r#"W/"a,b""#,
            r#""x", "a,b""#,
            "\t\"y\",,W/\"a,b\" ,",
        ] {
            assert!(if_none_match(header, etag), "{header}");
        }
        for header in [
            "",
            "a,b",
            r#""a""#,
            r#""x", *"#,
            r#"w/"a,b""#,
            r#""A,B""#,
            r#""a,b"#,
            "W/*",
        ] {
            assert!(!if_none_match(header, etag), "{header}");
        }
    }

    proptest! {
        #[test]
        fn if_match_finds_every_listed_tag(
            listed in proptest::collection::vec((any::<u64>(), "[ \t]{0,2}", "(,[ \t]?){1,2}"), 0..5),
        ) {
            let header = listed.iter().fold(String::new(), |header, (version, space, comma)| {
                header + &format!("{space}\"{version}\"{comma}")
            });
            prop_assert_eq!(if_match(&header), IfVersion::OneOf(listed.iter().map(|(version, ..)| *version).collect()));
        }

        #[test]
        fn if_match_parses_any_header(header in "[\"*,W/0-9 \t\\PC]{0,40}") {
            let is_star = header.trim_matches(WHITE_SPACE) == "*";
            prop_assert_eq!(if_match(&header) == IfVersion::Any, is_star);
        }
    }
}
