//! The help of each command: its examples, its `--json`, and the formats that derive from it.

use clap::{Command, CommandFactory};
use muster_cli::commands::Cli;
use serde_json::Value;

use crate::support::{muster, run, stdout};

/// Returns the commands that do something, each with its words after `muster`.
fn commands() -> Vec<(Vec<String>, Command)> {
    let mut open = vec![(Vec::new(), Cli::command())];
    let mut found = Vec::new();
    while let Some((words, command)) = open.pop() {
        for child in command.get_subcommands() {
            let name = child.get_name().to_owned();
            open.push(([&words[..], &[name]].concat(), child.clone()));
        }
        if !command.is_subcommand_required_set() {
            found.push((words, command));
        }
    }
    found
}

/// Returns the calls of `muster` in a line of examples.
fn calls(line: &str) -> impl Iterator<Item = Vec<&str>> {
    line.split(['|', '>', ')', ';'])
        .filter_map(|part| Some(part[part.find("muster ")?..].split_whitespace().collect()))
}

#[test]
fn every_command_accepts_json() {
    let commands = commands();
    assert!(commands.len() > 20, "{commands:?}");
    for (words, command) in commands {
        let has_json = command
            .get_arguments()
            .any(|it| it.get_long() == Some("json"));
        assert!(has_json, "muster {} has no --json", words.join(" "));
    }
}

#[test]
fn every_command_has_examples_that_parse() {
    for (words, command) in commands() {
        let name = words.join(" ");
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_else(|| panic!("muster {name} has no examples"));
        let examples = help
            .split_once("Examples:\n")
            .unwrap_or_else(|| panic!("muster {name} has no examples"))
            .1;
        let calls: Vec<_> = examples.lines().flat_map(calls).collect();
        let is_own = |call: &Vec<&str>| call.iter().skip(1).take(words.len()).eq(&words);
        assert!(calls.iter().any(is_own), "muster {name}: {calls:?}");
        for call in calls {
            let parsed = Cli::command().try_get_matches_from(&call);
            assert!(parsed.is_ok(), "{call:?}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn completions_of_each_shell_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(muster(["completions", shell]));
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        for word in ["muster", "redrive", "endpoint-url"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        let described = stdout(&run(muster(["completions", shell, "--json"])));
        let described: Value = serde_json::from_str(&described).expect("one line of JSON");
        assert_eq!(described["script"], script.as_str());
    }
    let mut check = std::process::Command::new("bash");
    check.args(["--noprofile", "--norc", "-c"]);
    let script = stdout(&run(muster(["completions", "bash"])));
    let sourced = run({
        check.arg(format!("{script}\ncomplete -p muster"));
        check
    });
    assert!(
        stdout(&sourced).contains("_muster"),
        "bash registers the completion"
    );
}

#[test]
fn manual_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("man1");
    let path = out.to_str().expect("a path in UTF-8");
    let written = stdout(&run(muster(["man", "--out", path, "--json"])));
    let written: Value = serde_json::from_str(&written).expect("one line of JSON");
    assert!(written["pages"].as_array().expect("pages").len() > commands().len());
    for name in [
        "muster.1",
        "muster-keys-list.1",
        "muster-dev-env.1",
        "muster-teams-list.1",
    ] {
        let page = std::fs::read_to_string(out.join(name)).expect("a page");
        assert!(page.contains(".TH "), "{name}: {page}");
    }
    let page = std::fs::read_to_string(out.join("muster-keys-list.1")).expect("a page");
    assert!(
        page.contains("Examples:") && page.contains("muster keys list"),
        "{page}"
    );
}
