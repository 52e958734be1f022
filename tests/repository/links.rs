//! Every relative link of every page leads somewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    allowed,
    markdown::{self, Link},
    tree,
};

fn is_external(target: &str) -> bool {
    ["http://", "https://", "mailto:"]
        .iter()
        .any(|scheme| target.starts_with(scheme))
}

/// Resolves a relative target against the folder of a page. Returns none if it leaves the
/// repository.
fn resolved(page: &str, target: &str) -> Option<String> {
    let mut path: Vec<&str> = page.split('/').collect();
    path.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            name => path.push(name),
        }
    }
    Some(path.join("/"))
}

/// Tells whether a path is a file of the repository, or a folder with one.
fn exists(path: &str) -> bool {
    path.is_empty()
        || tree::files().any(|file| {
            file.strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

/// Returns the problem of a link, if there is one.
fn problem(page: &str, target: &str) -> Option<String> {
    if target.starts_with('[') {
        return Some(format!("{target} has no definition"));
    }
    if target.is_empty() || target.starts_with('/') {
        return Some(format!("`{target}` is not a relative path"));
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let file = match path {
        "" => page.to_owned(),
        path => match resolved(page, path) {
            Some(file) => file,
            None => return Some(format!("{target} is outside the repository")),
        },
    };
    if !exists(&file) {
        return Some(format!("{target} does not exist"));
    }
    let anchor = anchor?;
    let is_page = tree::files_of("md").any(|page| page == file);
    let has_anchor = is_page
        && markdown::anchors(&tree::read(&file))
            .iter()
            .any(|it| it == anchor);
    (!has_anchor).then(|| format!("{file} has no heading for #{anchor}"))
}

#[test]
fn relative_links_of_every_page_resolve() {
    let mut problems: BTreeMap<String, String> = BTreeMap::new();
    let mut checked = 0;
    for page in tree::files_of("md") {
        for Link { line, target } in markdown::links(&tree::read(page)) {
            if is_external(&target) {
                continue;
            }
            checked += 1;
            if let Some(problem) = problem(page, &target) {
                let list = problems.entry(page.to_owned()).or_default();
                list.extend(["\n  ", &format!("{page}:{line}: {problem}")]);
            }
        }
    }
    allowed::check("links", &problems);
    assert!(checked > 50, "the pages have links");
}

/// Prints each external link with its pages. The public workflow fetches them once a week.
#[test]
fn external_links_are_listed() {
    let mut links: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for page in tree::files_of("md") {
        for Link { target, .. } in markdown::links(&tree::read(page)) {
            if is_external(&target) {
                links.entry(target).or_default().insert(page);
            }
        }
    }
    for (link, pages) in &links {
        let pages: Vec<_> = pages.iter().copied().collect();
        println!("external link: {link} {}", pages.join(" "));
    }
    assert!(
        !links.is_empty(),
        "the pages link to the tools that they name"
    );
}

#[test]
fn broken_link_is_a_problem() {
    for (target, problem_of) in [
        ("no.md", "does not exist"),
        ("../../x.md", "outside the repository"),
        ("/README.md", "not a relative path"),
        ("[x]", "has no definition"),
        ("events.md#no-such-heading", "no heading for"),
        ("../Cargo.toml#L1", "no heading for"),
    ] {
        let problem = problem("docs/events.md", target);
        assert!(
            problem.is_some_and(|it| it.contains(problem_of)),
            "{target}"
        );
    }
    for target in [
        "../README.md",
        "../events",
        "./events.md",
        "../tests/../Cargo.toml",
    ] {
        assert_eq!(problem("docs/events.md", target), None, "{target}");
    }
}
