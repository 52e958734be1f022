//! `muster tickets generate`.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Output, Stdio},
};

use serde_json::Value;

use super::generate;
use crate::support::{assert_fails, muster, stderr, stdout, wait};

/// The options of the golden scenario: every one of them.
const GOLDEN: [&str; 20] = [
    "--organization",
    "org_demo",
    "--tickets",
    "5",
    "--seed",
    "7",
    "--start",
    "2026-03-02T00:00:00Z",
    "--teams",
    "01a20024-2dce-7152-bc84-89f71c4ce334,team_01a20024-2dce-7152-bc84-89f71c4ce335",
    "--users",
    "10000000-0000-4000-8000-000000000001,usr_10000000-0000-4000-8000-000000000002",
    "--contract",
    "mixed",
    "--duplicates",
    "20",
    "--shuffle",
    "60",
    "--output",
    "-",
];

fn events(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

#[test]
fn generate_with_equal_options_is_identical() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("day.jsonl");
    let mut options = GOLDEN;
    options[19] = path.to_str().expect("a path of UTF-8");
    let output = generate(&options);
    assert_eq!(
        (output.status.code(), stdout(&output), stderr(&output)),
        (Some(0), String::new(), String::new())
    );
    let written = fs::read_to_string(&path).expect("it is written");
    assert_eq!(written, include_str!("../goldens/day.jsonl"));
    assert_eq!(stdout(&generate(&GOLDEN)), written);
    assert_eq!(stdout(&generate(&GOLDEN[..18])), written);
    let summary = stdout(&generate(&[&options[..], &["--json"]].concat()));
    let summary: Value = serde_json::from_str(&summary).expect("a JSON object");
    assert_eq!(
        (&summary["events"], &summary["file"]),
        (
            &Value::from(written.lines().count()),
            &Value::from(options[19])
        )
    );
}

#[test]
fn generate_starts_24_hours_ago_by_default() {
    let output = generate(&[
        "--organization",
        "o",
        "--tickets",
        "50",
        "--contract",
        "itsm",
    ]);
    let now = muster_domain::Timestamp::now().secs();
    for event in events(&output) {
        let ticket = &event["data"]["ticket"];
        assert_eq!(event["data"]["organization_id"], "o");
        assert!(
            (now - 86_400 - 60..=now).contains(&ticket["updated_at"].as_i64().expect("seconds")),
            "{event}"
        );
        assert_eq!(ticket.get("assigned_team_id"), Some(&Value::Null));
    }
    assert_eq!(stderr(&output), "");

    let output = generate(&[
        "--organization",
        "o",
        "--tickets",
        "5",
        "--start",
        "2999-01-01T00:00:00+01:00",
    ]);
    for event in events(&output) {
        let time = event["time"].as_str().expect("a text");
        assert!(
            ("2998-12-31T23:00:00Z".."2999-01-01T23:00:00Z").contains(&time),
            "{time}"
        );
    }
    assert!(
        stderr(&output).contains("2999-01-01T23:00:00Z")
            && stderr(&output).contains("ahead of the clock")
    );
}

#[test]
fn generate_to_a_closed_pipe_succeeds() {
    let mut command = muster([
        "tickets",
        "generate",
        "--organization",
        "o",
        "--tickets",
        "5000",
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut first)
        .expect("a line");
    assert_eq!(wait(&mut child).code(), Some(0));
    assert_eq!(stderr(&child.wait_with_output().expect("it ended")), "");
}

#[test]
fn generate_to_an_unwritable_file_fails() {
    let output = generate(&[
        "--organization",
        "o",
        "--output",
        "/no/such/folder/day.jsonl",
    ]);
    assert_fails(&output, &["/no/such/folder/day.jsonl"]);
}
