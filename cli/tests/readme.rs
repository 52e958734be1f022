//! The README's walk-through, run line by line against a local stack: what it shows is what comes.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// A local stack of its own, ended with the test.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
    let mut dev = Dev(Command::new(env!("CARGO_BIN_EXE_muster"))
        .args(["dev", "--in-memory", "--json", "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("muster starts"));
    let mut line = String::new();
    BufReader::new(dev.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line comes");
    let stack: Value = serde_json::from_str(&line).expect("the line is JSON");
    let text = |pointer: &str| stack.pointer(pointer).and_then(Value::as_str).expect(pointer).to_owned();

    let mut team = String::new();
    let steps = walk_through(include_str!("../../README.md"));
    assert!(steps.len() > 8, "the walk-through is there");
    for Step { command, printed } in steps {
        // The keys and the team are this stack's.
        if command.starts_with("MUSTER=") || command.starts_with("TEAM=") {
            continue;
        }
        let output = Command::new("bash")
            .args(["-c", &command])
            // A proxy has no business with this machine's own addresses.
            .env("NO_PROXY", "*")
            .env("MUSTER", text("/url"))
            .env("TT", text("/keys/toptickets/admin"))
            .env("ITSM", text("/keys/itsm/admin"))
            .env("TEAM", &team)
            .output()
            .expect("bash runs");
        assert!(output.status.success(), "{command}: {output:?}");
        let answer = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(without_ids_and_times(&answer), without_ids_and_times(&printed), "{command}");
        if team.is_empty() {
            let created: Value = serde_json::from_str(&answer).expect("JSON");
            created["id"].as_str().expect("an id").clone_into(&mut team);
        }
    }
}
