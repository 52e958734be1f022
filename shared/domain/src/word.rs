//! The words of fixed lists, in the spellings of platforms.

/// Returns a word in lower case, with one underscore for each run of white space, hyphens and
/// underscores.
pub(super) fn canonical(text: &str) -> String {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, '-' | '_');
    let parts: Vec<_> = text
        .split(is_separator)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_with_other_case_and_separators_is_equal() {
        for text in [
            "in_progress",
            "In Progress",
            "IN-PROGRESS",
            " in \u{a0} progress\n",
            "In__Progress",
        ] {
            assert_eq!(canonical(text), "in_progress", "{text:?}");
        }
        assert_eq!(canonical("inprogress"), "inprogress");
        assert_eq!(canonical(" - "), "");
    }
}
