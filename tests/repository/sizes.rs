//! The sizes of files, functions and lines.

use std::collections::BTreeMap;

use crate::{
    allowed, markdown,
    rust::{self, File},
    tree,
};

const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 70;
/// The width that rustfmt gives to code. It does not break comments.
const MAX_COMMENT_COLUMNS: usize = 100;
const MAX_PAGE_COLUMNS: usize = 120;
const MAX_README_LINES: usize = 120;

/// The extensions of source files.
const SOURCES: [&str; 8] = ["rs", "py", "sh", "js", "cjs", "ts", "html", "css"];

/// Violations by package or page.
#[derive(Default)]
struct Violations(BTreeMap<String, String>);

impl Violations {
    fn add(&mut self, scope: &str, violation: &str) {
        let list = self.0.entry(scope.to_owned()).or_default();
        list.extend(["\n  ", violation]);
    }
}

#[test]
fn source_files_are_at_most_600_lines() {
    let mut violations = Violations::default();
    for path in SOURCES.iter().flat_map(|it| tree::files_of(it)) {
        let lines = tree::read(path).lines().count();
        if lines > MAX_FILE_LINES {
            let package = tree::package_of(path).unwrap_or(".");
            violations.add(package, &format!("{path} has {lines} lines; split it"));
        }
    }
    allowed::check("file-lines", &violations.0);
}

#[test]
fn functions_are_at_most_70_lines() {
    let mut violations = Violations::default();
    let mut functions = 0;
    for file in rust::FILES.iter() {
        for function in rust::functions(&file.source.code) {
            functions += 1;
            if function.lines > MAX_FUNCTION_LINES {
                let (path, line) = (file.path, function.line);
                let (name, lines) = (function.name, function.lines);
                let violation = format!("{path}:{line}: {name} has {lines} lines; split it");
                violations.add(file.package, &violation);
            }
        }
    }
    assert!(functions > 1_000, "the sources have functions");
    allowed::check("function-lines", &violations.0);
}

#[test]
fn comment_lines_are_at_most_100_columns() {
    let mut violations = Violations::default();
    for file in rust::FILES.iter() {
        for line in long_comment_lines(file) {
            let path = file.path;
            violations.add(
                file.package,
                &format!("{path}:{line}: the line is too long"),
            );
        }
    }
    allowed::check("comment-columns", &violations.0);
}

/// Returns the numbers of the comment lines that are too long. A line with a URL may be long.
fn long_comment_lines(file: &File) -> Vec<usize> {
    let lines = file.text.lines().zip(file.source.code.lines());
    lines
        .enumerate()
        .filter(|(_, (line, code))| {
            let is_comment = code.trim().is_empty() && line.trim_start().starts_with("//");
            is_comment && line.chars().count() > MAX_COMMENT_COLUMNS && !line.contains("://")
        })
        .map(|(at, _)| at + 1)
        .collect()
}

#[test]
fn lines_of_pages_are_at_most_120_columns() {
    let mut violations = Violations::default();
    for page in tree::files_of("md") {
        for line in long_lines(&tree::read(page)) {
            violations.add(page, &format!("{page}:{line}: the line is too long"));
        }
    }
    allowed::check("page-columns", &violations.0);
}

/// Returns the numbers of the lines of a page that are too long: outside code and tables, and
/// without a link that takes half a line.
fn long_lines(page: &str) -> Vec<usize> {
    let is_long = |line: &str| {
        let columns = |text: &str| text.chars().count();
        let longest_word = line.split(' ').map(columns).max().unwrap_or(0);
        columns(line) > MAX_PAGE_COLUMNS && longest_word < MAX_PAGE_COLUMNS / 2
    };
    // A line of a code block has no prose.
    let prose = markdown::without_code(page);
    page.lines()
        .zip(prose.lines())
        .enumerate()
        .filter(|(_, (line, prose))| {
            is_long(line) && !line.starts_with('|') && !prose.trim().is_empty()
        })
        .map(|(at, _)| at + 1)
        .collect()
}

#[test]
fn readme_is_at_most_120_lines() {
    let lines = tree::read("README.md").lines().count();
    assert!(
        lines <= MAX_README_LINES,
        "README.md has {lines} lines; move text to docs"
    );
}

#[test]
fn long_line_outside_code_and_tables_is_found() {
    let words = "word ".repeat(30);
    let page = format!(
        "{words}\n| {words}\n```\n{words}\n```\n{}\nshort",
        "x".repeat(130)
    );
    assert_eq!(long_lines(&page), [1]);
}
