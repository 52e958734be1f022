//! `muster tickets check`.

use std::{
    io::Write,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use super::generate;
use crate::support::{file, muster, run, stderr, stdout, wait};

fn check(arguments: &[&str]) -> Output {
    run(muster([&["tickets", "check"][..], arguments].concat()))
}

#[test]
fn check_reports_every_fault_with_its_line() {
    let good = r#"{"specversion":"1.0","id":"e-1","type":"ticket.created","data":{"organization_id":"o","ticket":{"id":1,"status":"Open","updated_at":"2026-03-02 09:00:00Z"}}}"#;
    let bad = good
        .replace("Open", "To Do")
        .replace("09:00:00Z", "09:00")
        .replace("}}}", r#","assigned_to":"ann"}}}"#);
    let (_folder, path) = file(format!("{good}\n\n{bad}\nnot json\n"));
    let output = check(&[&path]);
    assert_eq!(output.status.code(), Some(1));
    let found = stdout(&output);
    let found: Vec<_> = found.lines().collect();
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(
        found[0].starts_with(&format!("{path}:3: data.ticket.updated_at: must be a time")),
        "{found:?}"
    );
    assert!(
        found[1].starts_with(&format!("{path}:3: data.ticket.status: must be one of")),
        "{found:?}"
    );
    assert!(
        found[2].starts_with(&format!(
            "{path}:3: warning: data.ticket.assigned_to: is not read"
        )),
        "{found:?}"
    );
    assert!(
        found[3].starts_with(&format!("{path}:4: not JSON: ")),
        "{found:?}"
    );
    assert_eq!(
        found[4],
        "Checked 3 events: 2 with faults, 1 with warnings."
    );
    assert!(
        stderr(&output).starts_with("error: events with faults: 2"),
        "{}",
        stderr(&output)
    );

    let output = check(&["--json", &path]);
    assert_eq!(output.status.code(), Some(1));
    let found: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(
        found.iter().map(|found| &found["line"]).collect::<Vec<_>>(),
        [&json!(3), &json!(4)]
    );
    assert_eq!(
        (
            &found[0]["event"],
            found[0]["faults"].as_array().map(Vec::len)
        ),
        (&json!("e-1"), Some(2))
    );
    assert_eq!(found[1]["event"], Value::Null);
}

#[test]
fn check_of_standard_input_sends_nothing_and_succeeds() {
    let status = r#"{"specversion":"1.0","id":"e-1","type":"ticket.updated","time":"2026-03-02T09:00:00Z","data":{"organization_id":"o","ticket":{"id":"T-1","state":"open"}}}"#;
    let user = r#"{"specversion":"1.0","id":"e-2","type":"user.deactivated","time":"2026-03-02T09:00:00Z","data":{"organization_id":"o","user":{"id":"10000000-0000-4000-8000-000000000001"}}}"#;
    for (options, line, expected) in [
        (
            &[][..],
            status,
            "standard input:1: warning: data.ticket.state: is not read, the field is named status\n\
             standard input: warning: no event has data.ticket.status, and a ticket without a status counts as new\n\
             Checked 1 event: 0 with faults, 1 with warnings.\n",
        ),
        (
            &["--queue", "users"],
            user,
            "Checked 1 event: 0 with faults, 0 with warnings.\n",
        ),
    ] {
        let mut command = muster([&["tickets", "check", "-"][..], options].concat());
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.spawn().expect("it starts");
        child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(line.as_bytes())
            .expect("it reads");
        assert_eq!(wait(&mut child).code(), Some(0));
        let output = child.wait_with_output().expect("it ended");
        assert_eq!(
            (stdout(&output), stderr(&output)),
            (expected.to_owned(), String::new())
        );
    }
    assert_eq!(check(&["/no/such/file.jsonl"]).status.code(), Some(1));
}

#[test]
fn generated_day_has_no_findings() {
    let (_folder, path) = file(stdout(&generate(&[
        "--organization",
        "o",
        "--tickets",
        "300",
    ])));
    let output = check(&[&path]);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
    assert!(
        stdout(&output).ends_with(" events: 0 with faults, 0 with warnings.\n"),
        "{}",
        stdout(&output)
    );
    assert_eq!(stdout(&output).lines().count(), 1);
    assert_eq!(stdout(&check(&["--json", &path])), "");
}
