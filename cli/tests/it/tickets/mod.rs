//! `muster tickets`.

mod check;
mod generate;
mod outcome;
mod redrive;
mod redrive_edit;
mod redrive_faults;
mod send;

use std::process::Output;

use crate::support::{muster, run, stderr};

pub fn generate(arguments: &[&str]) -> Output {
    run(muster([&["tickets", "generate"][..], arguments].concat()))
}

#[test]
fn tickets_usage_error_exits_with_2() {
    let generate = ["tickets", "generate", "--organization", "o"];
    for (option, value) in [
        ("--tickets", "-1"),
        ("--tickets", "many"),
        ("--seed", "x"),
        ("--start", "yesterday"),
        ("--start", "2026-13-01T00:00:00Z"),
        ("--teams", "usr_10000000-0000-4000-8000-000000000001"),
        ("--teams", ""),
        ("--users", "alice"),
        ("--contract", "both"),
        ("--duplicates", "101"),
        ("--shuffle", "86401"),
    ] {
        let output = run(muster([&generate[..], &[option, value]].concat()));
        assert_eq!(
            output.status.code(),
            Some(2),
            "{option} {value}: {}",
            stderr(&output)
        );
    }
    for arguments in [
        vec!["tickets"],
        vec!["tickets", "generate"],
        vec!["tickets", "send"],
        vec!["tickets", "send", "x.jsonl", "--to", "tickets"],
        vec!["tickets", "send", "x.jsonl", "--speed", "0"],
        vec!["tickets", "send", "x.jsonl", "--timeout", "9"],
        vec!["tickets", "send", "x.jsonl", "--wait", "--timeout", "0"],
        vec!["tickets", "explain", "--organization", "o"],
        vec!["tickets", "list", "--organization", "o"],
        vec![
            "tickets",
            "list",
            "--state",
            "closed",
            "--organization",
            "o",
        ],
        vec![
            "tickets",
            "list",
            "--state",
            "assigned",
            "--organization",
            "o",
        ],
        vec!["tickets", "explain", "a b", "--organization", "o"],
        vec![
            "tickets",
            "send",
            "x.jsonl",
            "--to",
            "https://127.0.0.1:3000",
        ],
    ] {
        assert_eq!(
            run(muster(&arguments)).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
}
