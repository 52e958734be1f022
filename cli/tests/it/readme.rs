//! The README's walk-through, run line by line against a local stack: what it shows is what comes.

use std::process::Command;

use serde_json::Value;

use crate::support::{Dev, has_curl, run, stderr, stdout};

/// A command of the walk-through, and what the README says it prints.
struct Step {
    command: String,
    printed: String,
}

/// The steps of every `console` block, in order.
fn walk_through(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), printed: String::new() }),
                (None, Some(step)) => step.printed += line,
                (None, None) => panic!("a block begins with what was printed: {line}"),
            }
        }
    }
    steps
}

/// A text whose ids and times are all the same. The demo users' ids are everywhere the same already.
fn without_ids_and_times(text: &str) -> String {
    let ends_word = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let varies = |word: &str| {
        let uuid = word.len() == 36 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let seconds = word.len() == 10 && digits(word);
        // `2026-11-21T22`, `05` and `00Z`.
        let date = word.len() == 13 && word.contains('T');
        let clock = word.trim_end_matches('Z').len() == 2 && digits(word.trim_end_matches('Z'));
        (uuid && !word.starts_with("10000000-")) || seconds || date || clock
    };
    text.split_inclusive(ends_word)
        .map(|piece| {
            let word = piece.trim_end_matches(ends_word);
            if varies(word) { piece.replace(word, "…") } else { piece.to_owned() }
        })
        .collect()
}

#[test]
fn the_walk_through_shows_what_comes() {
    if !has_curl() {
        return;
    }
    let dev = Dev::in_memory();
    let mut team = String::new();
    let steps = walk_through(include_str!("../../../README.md"));
    assert!(steps.len() > 8, "the walk-through is there");
    for Step { command, printed } in steps {
        // The keys and the team are this stack's.
        if command.starts_with("MUSTER=") || command.starts_with("TEAM=") {
            continue;
        }
        let mut shell = Command::new("bash");
        // A proxy has no business with this machine's own addresses.
        shell.args(["-c", &command]).env("NO_PROXY", "*").env("TEAM", &team);
        for (name, pointer) in [("MUSTER", "/url"), ("TT", "/keys/toptickets/admin"), ("ITSM", "/keys/itsm/admin")] {
            shell.env(name, dev.text(pointer));
        }
        let output = run(shell);
        assert!(output.status.success(), "{command}: {}", stderr(&output));
        let answer = stdout(&output);
        assert_eq!(without_ids_and_times(&answer), without_ids_and_times(&printed), "{command}");
        if team.is_empty() {
            let created: Value = serde_json::from_str(&answer).expect("JSON");
            created["id"].as_str().expect("an id").clone_into(&mut team);
        }
    }
}
