//! docs/data-model.md names every key and every attribute of the table.

use std::collections::BTreeSet;

use crate::{
    rust::{self, is_word},
    tree,
};

const PAGE: &str = "docs/data-model.md";
/// The section that documents the attributes of each item, and the one after it.
const ATTRIBUTES: &str = "\n## Attributes\n";
const AFTER_ATTRIBUTES: &str = "\n## Example items\n";

/// Returns the text of each string literal of a source.
fn literals(source: &str) -> Vec<&str> {
    let bytes = source.as_bytes();
    let mut literals = Vec::new();
    let mut at = 0;
    while let Some(found) = source[at..].find('"') {
        let start = at + found + 1;
        at = start;
        let is_char = source[..start].ends_with("'\"");
        if is_char || is_in_comment(source, start) {
            continue;
        }
        let mut end = start;
        while end < bytes.len() && bytes[end] != b'"' {
            end += 1 + usize::from(bytes[end] == b'\\');
        }
        literals.push(&source[start..end]);
        at = end + 1;
    }
    literals
}

/// Tells whether a position is behind `//` on its line. No key and no expression contains `//`.
fn is_in_comment(source: &str, at: usize) -> bool {
    let line = source[..at].rfind('\n').map_or(0, |end| end + 1);
    source[line..at].contains("//")
}

/// Returns a source without its module of tests.
fn without_tests(source: &str) -> &str {
    source
        .split("\n#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or(source)
}

/// Returns the files of the store with their sources, without tests.
fn store() -> Vec<(&'static str, String)> {
    let files = tree::files_of("rs")
        .filter(|path| path.contains("/src/store/") && !path.ends_with("/tests.rs"));
    files
        .map(|path| (path, without_tests(&tree::read(path)).to_owned()))
        .collect()
}

/// Returns the source of the module that builds keys, all its files together.
fn keys() -> String {
    let is_of_keys = |path: &str| path.ends_with("/store/keys.rs") || path.contains("/store/keys/");
    let files = store().into_iter().filter(|(path, _)| is_of_keys(path));
    files.map(|(_, source)| source).collect()
}

/// Returns the words of the code spans of a text.
fn words_in_code(text: &str) -> BTreeSet<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    spans
        .flat_map(|span| span.split(|c| !is_word(c)))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Returns the part of the page between the headings of two sections.
fn attributes_section(page: &str) -> &str {
    let section = page
        .split_once(ATTRIBUTES)
        .expect("the page has the section")
        .1;
    section
        .split_once(AFTER_ATTRIBUTES)
        .expect("the page has the section")
        .0
}

/// Returns the names that a text does not have.
fn missing<'n>(
    names: impl IntoIterator<Item = &'n str>,
    words: &BTreeSet<&str>,
) -> BTreeSet<&'n str> {
    names
        .into_iter()
        .filter(|name| !words.contains(name))
        .collect()
}

/// Returns the parts of keys in upper case, such as `TEAM` in `ORG#{org}#TEAM#{}`. The names in
/// braces are no parts.
fn key_parts(keys: &str) -> BTreeSet<&str> {
    let outside_braces = |literal| str::split(literal, '{').map(after_brace);
    literals(keys)
        .into_iter()
        .flat_map(outside_braces)
        .flat_map(|text| text.split(|c: char| !c.is_ascii_uppercase()))
        .filter(|part| part.len() > 1)
        .collect()
}

fn after_brace(text: &str) -> &str {
    text.split_once('}').map_or(text, |(_, after)| after)
}

/// Returns the names of the functions that return a key or a part of one.
fn key_functions(keys: &str) -> BTreeSet<String> {
    let code = rust::scan(keys).code;
    let mut functions = BTreeSet::new();
    for (at, _) in code.match_indices("fn ") {
        let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let signature = code[at + 3..].split('{').next().unwrap_or_default();
        let Some((name, (_, result))) = signature
            .split_once('(')
            .and_then(|(name, rest)| Some((name, rest.rsplit_once("->")?)))
        else {
            continue;
        };
        let is_key = result
            .split(|c: char| !c.is_alphabetic())
            .all(|word| matches!(word, "" | "Key" | "Option" | "String"));
        if is_key && code[line..at].starts_with("pub") {
            functions.insert(name.to_owned());
        }
    }
    functions
}

/// Returns the attributes of item types: the fields of structs that serde reads or writes.
fn item_attributes(source: &str) -> Vec<&str> {
    let mut attributes = Vec::new();
    let (mut is_item, mut in_item) = (false, false);
    let (mut renamed, mut is_flat) = (None, false);
    for line in source.lines() {
        let text = line.trim();
        if line.starts_with("#[derive(") {
            is_item = text.contains("Serialize") || text.contains("Deserialize");
        } else if !line.starts_with(' ') && text.contains("struct ") {
            in_item = is_item && text.ends_with('{');
        } else if line.starts_with('}') {
            (is_item, in_item) = (false, false);
        } else if in_item && text.starts_with("#[serde(") {
            is_flat = text.contains("flatten");
            let name = text.split_once("rename = \"").map(|(_, rest)| rest);
            renamed = name.and_then(|rest| rest.split('"').next());
        } else if in_item && !text.starts_with("//") && !text.starts_with("#[") {
            let field = text.split(':').next().unwrap_or_default();
            let field = field.rsplit(' ').next().unwrap_or_default();
            if !is_flat && !field.is_empty() {
                attributes.push(renamed.unwrap_or(field));
            }
            (renamed, is_flat) = (None, false);
        }
    }
    attributes
}

/// Returns the attributes that expressions name, such as `turn` in `#turn = :from`.
fn expression_attributes(source: &str) -> Vec<&str> {
    let mut attributes = Vec::new();
    for literal in literals(source) {
        for (at, _) in literal.match_indices('#') {
            let name = literal[at + 1..]
                .split(|c| !is_word(c))
                .next()
                .unwrap_or_default();
            if name.starts_with(|c: char| c.is_ascii_lowercase()) {
                attributes.push(name);
            }
        }
    }
    attributes
}

#[test]
fn page_names_every_part_of_a_key() {
    let (page, keys) = (tree::read(PAGE), keys());
    let parts = key_parts(&keys);
    assert!(parts.len() > 20, "{parts:?}");
    let missing = missing(parts, &words_in_code(&page));
    assert!(missing.is_empty(), "{PAGE} does not name {missing:?}");
}

#[test]
fn page_names_every_key_function() {
    let (page, keys) = (tree::read(PAGE), keys());
    let functions = key_functions(&keys);
    assert!(functions.len() > 20, "{functions:?}");
    let missing = missing(functions.iter().map(String::as_str), &words_in_code(&page));
    assert!(missing.is_empty(), "{PAGE} does not name {missing:?}");
}

#[test]
fn page_names_every_attribute() {
    let page = tree::read(PAGE);
    let words = words_in_code(attributes_section(&page));
    let (mut attributes, mut missing_of) = (0, Vec::new());
    for (path, source) in store() {
        let mut names = expression_attributes(&source);
        if path.contains("/items") {
            names.extend(item_attributes(&source));
        }
        attributes += names.len();
        let missing = missing(names, &words);
        if !missing.is_empty() {
            missing_of.push(format!("{path}: {missing:?}"));
        }
    }
    assert!(attributes > 150, "{attributes} attributes");
    assert!(
        missing_of.is_empty(),
        "the attributes in {PAGE} lack\n{}",
        missing_of.join("\n")
    );
}

#[test]
fn attributes_are_fields_and_placeholders() {
    let source = r##"
#[derive(Serialize)]
pub(super) struct TeamItem {
    /// Its key: "no".
    pk: String,
    #[serde(default, rename = "said")]
    pub(super) versions: Vec<String>,
    #[serde(flatten)]
    profile: Profile,
}

struct Other {
    count: u64,
}

fn f() {
    // "#no"
    g("SET #turn = :to", '"', "#{name} NAME#x #pk");
}
"##;
    assert_eq!(item_attributes(source), ["pk", "said"]);
    assert_eq!(expression_attributes(source), ["turn", "x", "pk"]);
}

#[test]
fn key_parts_and_functions_are_those_of_builders() {
    let source = r#"
const TEAMS: &str = "TEAM#";
pub(super) fn team(org: &str) -> Key {
    Key::new(format!("ORG#{org}"), format!("{TEAMS}{}#X"))
}
pub(super) fn by_state(org: &str) -> Option<Key> {
    None
}
pub(super) fn member_of(sk: &str) -> Option<UserId> {
    None
}
fn prefix() -> String {
    "A".to_owned()
}
"#;
    assert_eq!(key_parts(source), BTreeSet::from(["ORG", "TEAM"]));
    let functions = ["by_state", "team"].map(str::to_owned);
    assert_eq!(key_functions(source), BTreeSet::from(functions));
}
