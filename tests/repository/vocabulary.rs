//! The phrases that docs/style.md replaces do not occur in comments and pages.

use std::collections::BTreeMap;

use crate::{
    allowed, markdown,
    rust::{self, is_word},
    tree,
};

/// The page with the table, and its section.
const PAGE: &str = "docs/style.md";
const SECTION: &str = "## Vocabulary";

/// Phrases to avoid, and the phrase to write.
struct Row {
    phrases: Vec<String>,
    replacement: String,
}

/// Reads the table: each code span of the first cell is a phrase, the second cell the replacement.
fn table() -> Vec<Row> {
    let rows = markdown::table_rows(&tree::read(PAGE), SECTION);
    rows.into_iter()
        .map(|cells| Row {
            phrases: cells[0]
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_lowercase)
                .collect(),
            replacement: cells[1].clone(),
        })
        .collect()
}

/// Writes the words of a text in lower case, with one space between two. Punctuation stays, so
/// that a phrase does not match across sentences.
fn normalized(prose: &str) -> String {
    let words: Vec<_> = prose.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}

/// Tells whether a normalized text contains a phrase as whole words.
fn contains(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Returns the phrases of the table in a text, each with its replacement.
fn found(rows: &[Row], prose: &str) -> Vec<String> {
    let text = normalized(prose);
    let mut found = Vec::new();
    for Row {
        phrases,
        replacement,
    } in rows
    {
        for phrase in phrases.iter().filter(|phrase| contains(&text, phrase)) {
            found.push(format!("`{phrase}` ({replacement})"));
        }
    }
    found
}

#[test]
fn comments_and_pages_use_the_vocabulary() {
    let rows = table();
    assert!(rows.len() > 5, "{PAGE} has the table");
    let mut violations: BTreeMap<String, String> = BTreeMap::new();
    let mut check = |path: &str, line: usize, prose: &str, scope: &str| {
        for phrase in found(&rows, prose) {
            let list = violations.entry(scope.to_owned()).or_default();
            list.extend(["\n  ", &format!("{path}:{line}: {phrase}")]);
        }
    };
    for file in rust::FILES.iter() {
        let (path, package) = (file.path, file.package);
        for comment in &file.source.comments {
            check(path, comment.line, &markdown::prose(&comment.text), package);
        }
    }
    for path in tree::files_of("md") {
        let mut page = tree::read(path);
        if path == PAGE {
            page = without_section(&page, SECTION);
        }
        for (at, paragraph) in paragraphs(&markdown::prose(&page)) {
            check(path, at, &paragraph, path);
        }
    }
    allowed::check("vocabulary", &violations);
}

/// Replaces the lines of a section by empty ones.
fn without_section(page: &str, heading: &str) -> String {
    let mut is_inside = false;
    let lines = page.lines().map(|line| {
        if line.starts_with("## ") {
            is_inside = line == heading;
        }
        if is_inside { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the paragraphs of a text, each with the number of its first line.
fn paragraphs(prose: &str) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let mut ended = true;
    for (at, line) in prose.lines().enumerate() {
        if line.trim().is_empty() {
            ended = true;
            continue;
        }
        match paragraphs.last_mut() {
            Some((_, text)) if !ended => text.extend(["\n", line]),
            _ => paragraphs.push((at + 1, line.to_owned())),
        }
        ended = false;
    }
    paragraphs
}

#[test]
fn phrase_matches_whole_words_across_lines() {
    let rows = [Row {
        phrases: vec!["comes again".to_owned()],
        replacement: "is retried".to_owned(),
    }];
    assert_eq!(
        found(&rows, "It Comes\n  again."),
        ["`comes again` (is retried)"]
    );
    assert!(
        found(
            &rows,
            "It becomes again; it comes against it; it comes. Again"
        )
        .is_empty()
    );
}

#[test]
fn section_is_left_out_alone() {
    assert_eq!(
        without_section("a\n## B\nc\n## D\ne", "## B"),
        "a\n\n\n## D\ne"
    );
}

#[test]
fn table_names_a_phrase_and_a_replacement() {
    for Row {
        phrases,
        replacement,
    } in table()
    {
        assert!(
            !phrases.is_empty() && !replacement.is_empty(),
            "{phrases:?} {replacement}"
        );
    }
}
