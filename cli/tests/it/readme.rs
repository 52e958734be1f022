//! The README's walk-through, run line by line against a local stack: what it shows is what comes.

use std::{
    collections::HashMap,
    env, fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Dev, PATIENCE, has_curl, muster, run, run_within, stderr, stdout};

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

/// Whether a text is this pattern, in which each `…` stands for any number or word.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces: Vec<&str> = pattern.split('…').collect();
    let last = pieces.pop().unwrap_or_default();
    let Some((first, between)) = pieces.split_first() else { return text == last };
    let is_value = |text: &str| !text.contains(['"', ',', '}', ' ']);
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for piece in between {
        match rest.split_once(piece) {
            Some((value, after)) if is_value(value) => rest = after,
            _ => return false,
        }
    }
    rest.strip_suffix(last).is_some_and(is_value)
}

#[test]
fn dots_stand_for_values() {
    assert!(fits("a…b", "a12b") && fits("a…b…", "a…b1.5") && fits("same", "same") && fits("…", ""));
    assert!(!fits("a…b", "a1,2b") && !fits("a…b", "a1") && !fits("same", "other") && !fits("x…", "y1"));
}

/// What somebody who follows the page has put into variables, and how long what they wait for may take.
struct Walk {
    variables: HashMap<String, String>,
    patience: Duration,
}

impl Walk {
    /// Along a stack on this machine.
    fn local(dev: &Dev) -> Self {
        let variables =
            [("MUSTER", "/url"), ("TICKETS", "/url"), ("TT", "/keys/toptickets/admin"), ("ITSM", "/keys/itsm/admin")];
        let variables = variables.map(|(name, pointer)| (name.to_owned(), dev.text(pointer).to_owned()));
        Self { variables: variables.into(), patience: PATIENCE }
    }

    /// Along the deployed stack that the file at this path describes, into which an operator puts the demo organization.
    fn deployed(path: &Path, dev: &Dev) -> Self {
        let description = fs::read(path).expect("the description can be read");
        let description: Value = serde_json::from_slice(&description).expect("the description is JSON");
        let text = |pointer: &str| description.pointer(pointer).and_then(Value::as_str).expect("it is described");
        let operate = |arguments: &[&str]| {
            let organization = ["--organization", dev.text("/organization_id")];
            let table = ["--table", text("/table"), "--endpoint-url", text("/endpoint_url")];
            let mut command = muster(arguments);
            command.args(organization).args(table);
            let output = run(command);
            assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
            stdout(&output)
        };
        let users = dev.description["users"].as_array().expect("the demo has users");
        let lines: Vec<_> = users.iter().map(Value::to_string).collect();
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        fs::write(file.path(), lines.join("\n")).expect("a file can be written");
        operate(&["users", "import", file.path().to_str().expect("a path in UTF-8")]);
        let key = |kind: &str| {
            let made = operate(&["keys", "create", "--kind", kind, "--json"]);
            let made: Value = serde_json::from_str(&made).expect("a key is told as JSON");
            made["key"].as_str().expect("a key").to_owned()
        };
        let variables = [
            ("MUSTER", text("/url").to_owned()),
            ("TICKETS", text("/queues/tickets/url").to_owned()),
            ("TT", key("tt_admin")),
            ("ITSM", key("itsm")),
        ];
        // A day of tickets goes there ten at a time.
        Self { variables: variables.map(|(name, value)| (name.to_owned(), value)).into(), patience: 15 * PATIENCE }
    }
}

#[test]
fn the_walk_through_shows_what_comes() {
    if !has_curl() {
        return;
    }
    let dev = Dev::in_memory();
    let walk = match env::var_os("MUSTER_TEST_DEPLOYED") {
        Some(path) => Walk::deployed(Path::new(&path), &dev),
        None => Walk::local(&dev),
    };
    // Ids of what was made before come to these.
    let Walk { mut variables, patience } = walk;
    let program = Path::new(env!("CARGO_BIN_EXE_muster")).parent().expect("a folder").to_owned();
    let others = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([program].into_iter().chain(env::split_paths(&others))).expect("folders");
    let mut made = String::new();
    let steps = walk_through(include_str!("../../../README.md"));
    assert!(steps.len() > 8, "the walk-through is there");
    for Step { command, printed } in steps {
        if let Some((name, _)) = command.split_once('=')
            && name.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            variables.entry(name.to_owned()).or_insert_with(|| made.clone());
            continue;
        }
        // Where it is deployed, the queue has an address of its own.
        let command = command.replace("--to $MUSTER", "--to $TICKETS");
        let expected = without_ids_and_times(&printed);
        let deadline = Instant::now() + patience;
        let answer = loop {
            let mut shell = Command::new("bash");
            // A proxy has no business with this machine's own addresses.
            shell.args(["-c", &command]).env("NO_PROXY", "*").env("PATH", &path).envs(&variables);
            let output = run_within(shell, patience);
            assert!(output.status.success(), "{command}: {}", stderr(&output));
            let answer = stdout(&output);
            let answer = ["TICKETS", "MUSTER"]
                .iter()
                .fold(answer, |answer, name| answer.replace(&variables[*name], "http://127.0.0.1:3000"));
            let answer: String = answer.lines().collect();
            // What comes of tickets comes a moment later. Only questions are asked twice.
            let asks = command.starts_with("curl ") && !command.contains(" -d '") && !command.contains(" -X ");
            if fits(&expected, &without_ids_and_times(&answer)) || !asks || Instant::now() > deadline {
                break answer;
            }
            thread::sleep(Duration::from_millis(50));
        };
        let shown = without_ids_and_times(&answer);
        assert!(fits(&expected, &shown), "{command}\n  printed {shown}\n not     {expected}");
        if command.contains("/v1/teams -H") && command.contains(" -d '") {
            let created: Value = serde_json::from_str(&answer).expect("JSON");
            let id = created["id"].as_str().or_else(|| created["data"]["id"].as_str()).unwrap_or_default();
            id.trim_start_matches("team_").clone_into(&mut made);
        }
    }
}
