//! The reference tables of the pages: the routes, metrics, log messages, parameters and variables
//! that exist, and no others. `cli/tests/it/documents.rs` checks the alarms.

use std::collections::BTreeSet;

use crate::{
    markdown,
    rust::{self, is_word},
    tree,
};

const CONFIGURATION: &str = "docs/configuration.md";
const OBSERVABILITY: &str = "docs/observability.md";

/// Variables that crates read. The AWS SDK reads further ones, which begin with `AWS_`.
const EXTERNAL: [&str; 2] = ["RUST_LOG", "XDG_DATA_HOME"];

/// Returns the code spans in the first cell of each row of a table.
fn first_cells(page: &str, heading: &str) -> Vec<String> {
    let rows = markdown::table_rows(&tree::read(page), heading);
    assert!(!rows.is_empty(), "{page} has no table below {heading}");
    rows.iter()
        .flat_map(|row| row[0].split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// Returns the lines of a section of template.yaml, such as `Parameters`.
fn template_section(template: &str, name: &str) -> Vec<String> {
    let head = format!("{name}:");
    let lines = template.lines().skip_while(|line| *line != head).skip(1);
    lines
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .map(str::to_owned)
        .collect()
}

/// Returns the routes of template.yaml, each with the program of its function.
fn routes(template: &str) -> Vec<(String, String)> {
    let mut routes = Vec::new();
    let (mut program, mut in_event, mut method) = (String::new(), false, None);
    for line in template_section(template, "Resources") {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
        if let Some(name) = line.strip_prefix("Binary: ") {
            name.clone_into(&mut program);
        } else if line == "Type: HttpApi" {
            in_event = true;
        } else if let Some(name) = line.strip_prefix("Method: ") {
            method = Some(name.to_owned());
        } else if let (Some(path), Some(method)) = (line.strip_prefix("Path: "), method.take()) {
            routes.push((format!("{method} {path}"), program.clone()));
            in_event = false;
        } else if in_event && indent < 10 {
            // The event has ended without a path.
            routes.push(("$default".to_owned(), program.clone()));
            in_event = false;
        }
    }
    routes
}

#[test]
fn routes_are_those_of_the_template() {
    let rows = markdown::table_rows(&tree::read(OBSERVABILITY), "## Routes");
    let documented: BTreeSet<_> = rows
        .iter()
        .map(|row| {
            let route = row[0].split('`').nth(1).expect("a code span");
            (route.to_owned(), row[1].clone())
        })
        .collect();
    let declared = routes(&tree::read("template.yaml"));
    assert!(declared.len() > 10, "{declared:?}");
    assert_eq!(documented, BTreeSet::from_iter(declared), "{OBSERVABILITY}");
}

#[test]
fn metrics_are_those_of_the_functions() {
    let source = tree::files_of("rs")
        .find(|path| path.ends_with("/telemetry/emf.rs"))
        .map(tree::read)
        .expect("the module that writes metrics");
    let units = ["\", \"Count\")", "\", \"Milliseconds\")"];
    let written: BTreeSet<_> = units
        .iter()
        .flat_map(|unit| {
            let parts: Vec<_> = source.split(unit).collect();
            let names = parts.iter().rev().skip(1);
            names
                .filter_map(|part| part.rsplit('"').next())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(written.len() > 10, "{written:?}");
    let documented = BTreeSet::from_iter(first_cells(OBSERVABILITY, "## Metrics"));
    assert_eq!(documented, written, "{OBSERVABILITY}");
}

#[test]
fn log_messages_of_the_page_are_written() {
    let sources: Vec<_> = rust::FILES
        .iter()
        .filter(|file| !file.package.starts_with("tests") && !file.path.contains("/tests"))
        .map(|file| file.text.as_str())
        .collect();
    for row in markdown::table_rows(&tree::read(OBSERVABILITY), "## Log messages") {
        let message = row[0].split('`').nth(1).expect("a code span");
        let literal = format!("\"{message}\"");
        assert!(
            sources.iter().any(|source| source.contains(&literal)),
            "{OBSERVABILITY} has the message {literal}, which no source writes"
        );
    }
}

#[test]
fn errors_of_the_functions_are_documented() {
    let documented = first_cells(OBSERVABILITY, "## Log messages");
    let is_function = |path: &str| path.starts_with("functions/") || path.starts_with("shared/");
    let mut messages = Vec::new();
    for file in rust::FILES.iter().filter(|file| is_function(file.path)) {
        for call in file.text.split("tracing::error!(").skip(1) {
            // The message is the last literal of the call.
            let call = call.split(");").next().expect("a call");
            let message = call.rsplit('"').nth(1).expect("a message");
            assert!(
                documented.iter().any(|it| it == message),
                "{OBSERVABILITY} lacks the error {message:?} of {}",
                file.path
            );
            messages.push(message);
        }
    }
    assert!(messages.len() > 5, "{messages:?}");
}

#[test]
fn parameters_are_those_of_the_template() {
    let template = tree::read("template.yaml");
    let declared: BTreeSet<_> = template_section(&template, "Parameters")
        .iter()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.trim().strip_suffix(':'))
        .map(str::to_owned)
        .collect();
    assert!(declared.len() > 5, "{declared:?}");
    let rows = markdown::table_rows(&tree::read(CONFIGURATION), "## Template parameters");
    let documented: BTreeSet<_> = rows
        .iter()
        .flat_map(|row| row[0].split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, declared, "{CONFIGURATION}");
}

/// Returns the name that a text begins with, if it is that of a variable.
fn variable(text: &str) -> Option<&str> {
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let name = &text[..end];
    let is_name = name.len() > 2
        && name
            .bytes()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
    is_name.then_some(name)
}

/// Returns the variables that follow a mark in a text.
fn variables<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.split(mark).skip(1).filter_map(variable).collect()
}

/// Returns the variables that template.yaml sets, and those that sources and scripts read.
fn used_variables() -> BTreeSet<String> {
    let template = tree::read("template.yaml");
    let mut used = BTreeSet::new();
    let mut indent_of_variables = None;
    for line in template.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        if indent_of_variables.is_some_and(|of_variables| indent <= of_variables) {
            indent_of_variables = None;
        }
        if line.trim() == "Variables:" {
            indent_of_variables = Some(indent);
        } else if indent_of_variables.is_some() {
            used.extend(variable(line.trim()).map(str::to_owned));
        }
    }
    for file in rust::FILES.iter() {
        // Build scripts read the variables of cargo.
        if file.path.ends_with("build.rs") {
            continue;
        }
        let is_test = file.path.contains("tests/");
        let reads = [
            "env::var(\"",
            "env::var_os(\"",
            "env = \"",
            "set(\"",
            "option_env!(\"",
        ];
        for mark in reads {
            let names = variables(&file.text, mark).into_iter();
            // Tests read variables of cargo and of the functions that they start.
            let names = names.filter(|name| !is_test || name.starts_with("MUSTER_"));
            used.extend(names.map(str::to_owned));
        }
    }
    for path in tree::files().filter(|path| is_script(path)) {
        let script = tree::read(path);
        let names = variables(&script, "${").into_iter();
        let names = names.filter(|name| {
            let default = format!("${{{name}:-");
            script.contains(&default) && !name.starts_with("CARGO_") && !name.starts_with("RUSTUP_")
        });
        used.extend(names.map(str::to_owned));
    }
    used
}

/// Tells whether a file is a shell script.
fn is_script(path: &str) -> bool {
    path.starts_with("scripts/lib/")
        || path.ends_with("/run")
        || [".ci/template", "tests/dynamodb-local"].contains(&path)
}

#[test]
fn variables_are_those_that_the_repository_uses() {
    let used = used_variables();
    assert!(used.len() > 10, "{used:?}");
    let documented = BTreeSet::from_iter(first_cells(CONFIGURATION, "## Environment variables"));
    let missing: Vec<_> = used.difference(&documented).collect();
    assert!(missing.is_empty(), "{CONFIGURATION} lacks {missing:?}");
    let is_external = |name: &str| EXTERNAL.contains(&name) || name.starts_with("AWS_");
    let unknown: Vec<_> = documented
        .difference(&used)
        .filter(|name| !is_external(name))
        .collect();
    assert!(unknown.is_empty(), "no source uses {unknown:?}");
}
