//! Conditional requests (RFC 9110, section 13). An entity tag is a version between quotes, and always a strong one.

use crate::domain::IfVersion;

/// The versions that an `If-Match` header lists; several headers come as one list.
///
/// Tags are compared strongly: a weak one matches nothing, and neither does what is no tag of ours, or no tag at all.
pub(super) fn if_match(header: &str) -> IfVersion {
    if header.trim_matches(WHITE_SPACE) == "*" {
        return IfVersion::Any;
    }
    // A tag may hold commas.
    let mut quoted = false;
    let ends_item = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    IfVersion::OneOf(header.split(ends_item).filter_map(version).collect())
}

/// What may stand around the items of a list.
const WHITE_SPACE: [char; 2] = [' ', '\t'];

/// The version that an item of the list names, written as `ETag` writes it.
fn version(item: &str) -> Option<u64> {
    let tag = item.trim_matches(WHITE_SPACE).strip_prefix('"')?.strip_suffix('"')?;
    tag.parse().ok().filter(|version: &u64| version.to_string() == tag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_is_any_version() {
        for header in ["*", " *", "*\t"] {
            assert_eq!(if_match(header), IfVersion::Any, "{header:?}");
        }
    }

    #[test]
    fn only_what_the_etag_says_matches() {
        for (header, versions) in [
            (r#""3""#, vec![3]),
            (r#""3", "4""#, vec![3, 4]),
            (" ,\t\"3\"\t,,\"18446744073709551615\" ,", vec![3, u64::MAX]),
            // A weak tag, a number written otherwise, a number that is none of ours.
            (r#"W/"3", "03", "+3", " 3", "3 ", "3.0", "٣", "-1", "18446744073709551616""#, vec![]),
            // Commas and stars inside of quotes, and quotes that do not close.
            (r#""1,2", "a,"3",b", "*", "4""#, vec![4]),
            (r#""3"#, vec![]),
            (r#"3""#, vec![]),
            (r#""5", "3, 4"#, vec![5]),
            (r#""3""4""#, vec![]),
            // No tags at all.
            ("", vec![]),
            ("3", vec![]),
            ("'3'", vec![]),
            (r#"*, "3""#, vec![3]),
            ("*, *", vec![]),
        ] {
            assert_eq!(if_match(header), IfVersion::OneOf(versions), "{header}");
        }
    }

    proptest! {
        #[test]
        fn every_listed_tag_is_found(
            listed in proptest::collection::vec((any::<u64>(), "[ \t]{0,2}", "(,[ \t]?){1,2}"), 0..5),
        ) {
            let header = listed.iter().fold(String::new(), |header, (version, space, comma)| {
                header + &format!("{space}\"{version}\"{comma}")
            });
            prop_assert_eq!(if_match(&header), IfVersion::OneOf(listed.iter().map(|(version, ..)| *version).collect()));
        }

        #[test]
        fn any_header_is_read(header in "[\"*,W/0-9 \t\\PC]{0,40}") {
            let is_star = header.trim_matches(WHITE_SPACE) == "*";
            prop_assert_eq!(if_match(&header) == IfVersion::Any, is_star);
        }
    }
}
