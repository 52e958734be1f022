//! The list of files and crates that do not comply with a rule yet.

use std::collections::{BTreeMap, BTreeSet};

/// Each line of the list: a rule, and a path.
const LIST: &str = include_str!("allowed.txt");

/// Returns the paths that the list has for a rule.
fn entries(list: &str, rule: &str) -> BTreeSet<String> {
    list.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .filter(|(of, _)| *of == rule)
        .map(|(_, path)| path.trim().to_owned())
        .collect()
}

/// Compares the violations of a rule, by path, with the list. Returns the problems: a violation
/// that the list does not have, and an entry without a violation.
fn problems(list: &str, rule: &str, violations: &BTreeMap<String, String>) -> Vec<String> {
    let allowed = entries(list, rule);
    let new = violations
        .iter()
        .filter(|(path, _)| !allowed.contains(*path))
        .map(|(path, violation)| format!("{path}: {violation}"));
    let stale = allowed
        .iter()
        .filter(|path| !violations.contains_key(*path))
        .map(|path| {
            format!("{path} complies: delete `{rule} {path}` from tests/repository/allowed.txt")
        });
    new.chain(stale).collect()
}

/// Fails if the violations of a rule are not exactly those that the list allows.
pub fn check(rule: &str, violations: &BTreeMap<String, String>) {
    let problems = problems(LIST, rule, violations);
    assert!(problems.is_empty(), "{rule}:\n{}", problems.join("\n"));
}

#[test]
fn list_with_a_compliant_path_fails() {
    let list = "# comment\nsizes a.rs\nsizes b.rs\nwords c.md\n";
    let violations = BTreeMap::from([
        ("b.rs".to_owned(), "is long".to_owned()),
        ("d.rs".to_owned(), "is long".to_owned()),
    ]);
    assert_eq!(
        problems(list, "sizes", &violations),
        [
            "d.rs: is long",
            "a.rs complies: delete `sizes a.rs` from tests/repository/allowed.txt"
        ]
    );
}
