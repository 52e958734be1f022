//! `muster tickets redrive` on a local stack with replaced functions.

use std::{
    process::Output,
    sync::{Arc, Mutex},
};

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use muster_cli::{
    emulator,
    local::{Data, LocalStack, Settings},
};
use serde_json::{Value, json};

use crate::support::{
    Dev, PATIENCE,
    local_stack::{contents, handler, records, settings, until, until_empty},
    muster, run, stderr, stdout,
};

/// Runs the command on a stack of this process.
pub async fn redrive<const N: usize>(arguments: [&str; N]) -> Output {
    redrive_as(None, arguments).await
}

/// Runs the command with an AWS profile.
pub async fn redrive_as<const N: usize>(profile: Option<&str>, arguments: [&str; N]) -> Output {
    let mut command = muster(["tickets", "redrive"].into_iter().chain(arguments));
    command.envs(profile.map(|profile| ("AWS_PROFILE", profile)));
    tokio::task::spawn_blocking(move || run(command))
        .await
        .expect("it does not panic")
}

/// Starts a stack with an assignment function that accepts everything, and returns the accepted
/// bodies.
pub async fn start_recording() -> (LocalStack, Arc<Mutex<Vec<String>>>) {
    let accepted: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&accepted);
    let records_bodies = handler(move |event| {
        let mut log = log.lock().expect("no test panics with it");
        for record in records(&event) {
            assert_eq!(
                record["messageAttributes"],
                json!({}),
                "the reason stays behind"
            );
            log.push(record["body"].as_str().expect("a text").to_owned());
        }
        Value::Null
    });
    let stack = LocalStack::start(
        0,
        Data::Memory,
        settings([("AssignmentFunction", records_bodies)]),
    )
    .await;
    (stack.expect("a stack starts"), accepted)
}

pub fn sqs(stack: &LocalStack) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&emulator::sdk_config(&stack.aws_url))
}

/// Sends dead letters: with a reason, as a function does, or without one, as SQS does.
pub async fn send_dead_letters(
    stack: &LocalStack,
    queue: &str,
    letters: impl IntoIterator<Item = (&str, Option<&str>)>,
) {
    for (body, reason) in letters {
        let message = sqs(stack)
            .send_message()
            .queue_url(stack.queue_url(&format!("{queue}-dead-letters")));
        let attribute = |reason: &str| {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(reason);
            value.build().expect("it has a type")
        };
        let message = match reason {
            Some(reason) => message.message_attributes("reason", attribute(reason)),
            None => message,
        };
        message
            .message_body(body)
            .message_group_id("acme")
            .send()
            .await
            .expect("it is accepted");
    }
}

pub fn dead(stack: &LocalStack, queue: &str) -> Vec<String> {
    let mut bodies: Vec<_> = contents(stack, queue)
        .dead_letters
        .into_iter()
        .map(|letter| letter.body)
        .collect();
    bodies.sort_unstable();
    bodies
}

pub fn sorted(accepted: &Mutex<Vec<String>>) -> Vec<String> {
    let mut accepted = accepted.lock().expect("no test panics with it").clone();
    accepted.sort_unstable();
    accepted
}

/// Returns the number of dead letters that a consumer may receive now.
pub async fn visible(stack: &LocalStack, queue: &str) -> String {
    let asked = sqs(stack)
        .get_queue_attributes()
        .queue_url(stack.queue_url(&format!("{queue}-dead-letters")));
    let response = asked
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
        .send()
        .await;
    response.expect("it answers").attributes.expect("there are")
        [&QueueAttributeName::ApproximateNumberOfMessages]
        .clone()
}

/// Serves a queue that rejects every message, and returns its URL.
pub async fn refusing() -> String {
    async fn refuse(headers: HeaderMap) -> (StatusCode, String) {
        if headers["x-amz-target"] == "AmazonSQS.GetQueueAttributes" {
            return (StatusCode::OK, "{}".to_owned());
        }
        let kind = "com.amazon.coral.service#AccessDeniedException";
        (
            StatusCode::BAD_REQUEST,
            json!({ "__type": kind, "message": "not for you" }).to_string(),
        )
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let url = format!(
        "http://{}/000000000000/tickets",
        listener.local_addr().expect("an address")
    );
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route("/", post(refuse))).await },
    );
    url
}

/// Starts a stack with two dead letters of tickets, of an organization without a key: an
/// event of an unknown organization, and an event with an unknown status.
async fn stack_with_dead_letters() -> LocalStack {
    let stack = LocalStack::start(0, Data::Memory, Settings::default())
        .await
        .expect("a stack starts");
    let ticket = json!({ "id": "INC-1", "status": "new", "updated_at": "2025-03-03T09:00:00Z" });
    let event = |organization: &str, id: &str| {
        let data = json!({ "organization_id": organization, "ticket": ticket });
        json!({ "specversion": "1.0", "id": id, "source": "/desk", "type": "ticket.created", "data": data })
    };
    let mut invalid = event("newcomer", "invalid");
    invalid["data"]["ticket"]["status"] = json!("lost");
    let events = json!([event("newcomer", "early"), invalid]);
    let url = format!("{}/_dev/queues/tickets", stack.url);
    reqwest::Client::new()
        .post(url)
        .json(&events)
        .send()
        .await
        .expect("the stack answers");
    until("both are dead letters", || {
        contents(&stack, "tickets").dead_letters.len() == 2
    })
    .await;
    stack
}

#[tokio::test]
async fn redrive_dry_run_lists_dead_letters() {
    let stack = stack_with_dead_letters().await;
    let shown = redrive(["--from", &stack.url, "--dry-run"]).await;
    assert_eq!(
        (shown.status.code(), stderr(&shown)),
        (Some(0), String::new())
    );
    let shown = stdout(&shown);
    let lines: Vec<_> = shown.lines().collect();
    assert!(
        lines.len() == 3 && lines[0].starts_with("EVENT") && lines[0].ends_with("REASON"),
        "{shown}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("data.ticket.status") && line.contains("ticket INC-1")),
        "{shown}"
    );
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn redrive_after_the_fix_processes_the_event() {
    let stack = stack_with_dead_letters().await;
    let key = [
        "keys",
        "create",
        "--organization",
        "newcomer",
        "--kind",
        "itsm",
        "--endpoint-url",
        &stack.dynamodb_url,
    ];
    let created = tokio::task::spawn_blocking({
        let key = key.map(str::to_owned);
        move || run(muster(key))
    });
    let key = stdout(&created.await.expect("it does not panic"));
    let sent = redrive(["--from", &stack.url, "--json"]).await;
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    let summary: Value = serde_json::from_str(&stdout(&sent)).expect("a JSON object");
    let left = json!({ "other_reason": 0, "already_redriven": 0, "unchanged": 0, "invalid": 0 });
    assert_eq!(
        summary,
        json!({
            "sent": 2,
            "from": stack.queue_url("tickets-dead-letters"),
            "to": stack.queue_url("tickets"),
            "left": left,
            "limit_reached": false,
        })
    );
    until_empty(&stack, "tickets").await;
    until("the invalid one is dead again", || {
        contents(&stack, "tickets").dead_letters.len() == 1
    })
    .await;
    let [letter] = &contents(&stack, "tickets").dead_letters[..] else {
        panic!("one is invalid still")
    };
    assert!(
        letter
            .reason
            .as_ref()
            .is_some_and(|reason| reason.contains("data.ticket.status")),
        "{letter:?}"
    );
    let decision = reqwest::Client::new()
        .get(format!("{}/v1/assignments/INC-1", stack.url))
        .bearer_auth(key.trim());
    assert_eq!(
        decision.send().await.expect("the stack answers").status(),
        StatusCode::OK
    );
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn redrive_sends_to_the_source_queue() {
    for (queue, function) in [
        ("users", "DirectoryFunction"),
        ("jobs", "JobsFunction"),
        ("long-jobs", "JobsFunction"),
    ] {
        let accepted: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&accepted);
        let records_bodies = handler(move |event| {
            // The event of the schedule has no records.
            for record in event["Records"].as_array().into_iter().flatten() {
                let body = record["body"].as_str().expect("a text");
                if ["a", "b"].contains(&body) {
                    assert_eq!(
                        record["attributes"]["MessageGroupId"], "acme",
                        "the group stays"
                    );
                }
                log.lock()
                    .expect("no test panics with it")
                    .push(body.to_owned());
            }
            Value::Null
        });
        let stack = LocalStack::start(0, Data::Memory, settings([(function, records_bodies)]))
            .await
            .expect("a stack starts");
        send_dead_letters(&stack, queue, [("a", Some("it is not JSON")), ("b", None)]).await;
        let sent = redrive(["--from", &stack.queue_url(&format!("{queue}-dead-letters"))]).await;
        assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
        assert!(
            stdout(&sent).contains(&format!(" to {}.", stack.queue_url(queue))),
            "{}",
            stdout(&sent)
        );
        // The demo organization may have other jobs.
        until("both are accepted", || {
            ["a", "b"]
                .iter()
                .all(|body| sorted(&accepted).iter().any(|accepted| accepted == body))
        })
        .await;
        assert_eq!(dead(&stack, queue), [""; 0]);
        stack.stop().await.expect("it stops");
    }
}

#[tokio::test]
async fn redrive_selects_by_reason_and_limit() {
    let (stack, accepted) = start_recording().await;
    let bodies: Vec<_> = (10..35).map(|n| n.to_string()).collect();
    send_dead_letters(
        &stack,
        "tickets",
        bodies
            .iter()
            .map(|body| (&**body, Some("data.ticket.status: must be one of new"))),
    )
    .await;
    send_dead_letters(
        &stack,
        "tickets",
        [("other", Some("it is not JSON")), ("failed", None)],
    )
    .await;

    let of_status = ["--from", &stack.url, "--reason", "ticket.status"];
    let [from, url, reason, text] = of_status;
    let sent = redrive([from, url, reason, text, "--limit", "12"]).await;
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    assert!(
        stdout(&sent).starts_with("Sent 12 dead letters again, ")
            && stdout(&sent).ends_with("there may be more.\n")
    );
    until("twelve are accepted", || sorted(&accepted).len() == 12).await;
    assert_eq!(
        (
            dead(&stack, "tickets").len(),
            visible(&stack, "tickets").await
        ),
        (15, "15".to_owned())
    );

    let sent = redrive(of_status).await;
    assert!(
        stdout(&sent).starts_with("Sent 13 dead letters again, "),
        "{}",
        stdout(&sent)
    );
    assert!(
        stdout(&sent).ends_with(". Left because the reason does not match: 2.\n"),
        "{}",
        stdout(&sent)
    );
    until("all of the reason are accepted", || {
        sorted(&accepted) == bodies
    })
    .await;
    assert_eq!(
        (dead(&stack, "tickets"), visible(&stack, "tickets").await),
        (
            vec!["failed".to_owned(), "other".to_owned()],
            "2".to_owned()
        )
    );

    let sent = redrive(["--from", &stack.url, "--reason", "received too often"]).await;
    assert!(
        stdout(&sent).starts_with("Sent 1 dead letter again, "),
        "{}",
        stdout(&sent)
    );
    assert_eq!(dead(&stack, "tickets"), ["other"]);
    stack.stop().await.expect("it stops");
}

/// Starts a stack with two dead letters: a ticket event, and a text with a control character.
/// Returns the event, and the bodies that the function accepts.
async fn stack_with_two_kinds() -> (LocalStack, String, Arc<Mutex<Vec<String>>>) {
    let (stack, accepted) = start_recording().await;
    let ticket =
        json!({ "id": "e1", "data": { "organization_id": "acme", "ticket": { "id": "INC-1" } } })
            .to_string();
    send_dead_letters(
        &stack,
        "tickets",
        [
            (&*ticket, Some("data.ticket.status: is missing")),
            ("\u{9b}no JSON", None),
        ],
    )
    .await;
    (stack, ticket, accepted)
}

#[tokio::test]
async fn redrive_dry_run_changes_no_dead_letter() {
    let (stack, ticket, accepted) = stack_with_two_kinds().await;
    for _ in 0..2 {
        let shown = redrive(["--from", &stack.url, "--dry-run", "--json"]).await;
        assert_eq!(
            (shown.status.code(), stderr(&shown)),
            (Some(0), String::new())
        );
        let shown: Vec<Value> = stdout(&shown)
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let [first, second] = &shown[..] else {
            panic!("two: {shown:?}")
        };
        let (described, other) = if first["event"] == "e1" {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!(
            (&described["organization"], &described["about"]),
            (&json!("acme"), &json!("ticket INC-1"))
        );
        assert_eq!(
            (&described["reason"], &described["body"]),
            (&json!("data.ticket.status: is missing"), &json!(ticket))
        );
        assert!(described["receives"].is_u64(), "{described}");
        assert_eq!(
            (&other["event"], &other["body"]),
            (&Value::Null, &json!("\u{9b}no JSON"))
        );
    }
    assert_eq!(
        (visible(&stack, "tickets").await, sorted(&accepted)),
        ("2".to_owned(), Vec::new())
    );
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn redrive_reason_of_the_dry_run_selects_its_letter() {
    let (stack, _, _) = stack_with_two_kinds().await;
    // A reason can be copied from the output.
    let shown = stdout(&redrive(["--from", &stack.url, "--dry-run", "--json"]).await);
    let shown = shown
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    for described in shown.collect::<Vec<_>>() {
        let chosen = [
            "--from",
            &stack.url,
            "--dry-run",
            "--json",
            "--reason",
            described["reason"].as_str().expect("text"),
        ];
        let again: Value =
            serde_json::from_slice(&redrive(chosen).await.stdout).expect("one line of JSON");
        assert_eq!(
            (&again["reason"], &again["body"]),
            (&described["reason"], &described["body"])
        );
    }
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn redrive_dry_run_prints_no_control_characters() {
    let (stack, _, accepted) = stack_with_two_kinds().await;
    let mut command = muster(["tickets", "redrive", "--from", &stack.url, "--dry-run"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends"));
    let ended = tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("it ends in time")
        .expect("it does not panic");
    assert_eq!(
        (ended.status.code(), stderr(&ended)),
        (Some(0), String::new()),
        "whoever reads may stop"
    );
    let shown = stdout(&redrive(["--from", &stack.url, "--dry-run"]).await);
    assert!(
        !shown.chars().any(|c| c.is_control() && c != '\n'),
        "{shown:?}"
    );
    assert_eq!(
        (visible(&stack, "tickets").await, sorted(&accepted)),
        ("2".to_owned(), Vec::new())
    );
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn redrive_of_a_local_stack_needs_no_credentials() {
    let (stack, accepted) = start_recording().await;
    send_dead_letters(&stack, "tickets", [("a", None)]).await;
    let profile = Some("no-such-profile");
    let shown = redrive_as(profile, ["--from", &stack.url, "--dry-run", "--json"]).await;
    assert_eq!(
        (shown.status.code(), stderr(&shown)),
        (Some(0), String::new())
    );
    let sent = redrive_as(profile, ["--from", &stack.url]).await;
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    until("it is accepted", || sorted(&accepted) == ["a"]).await;

    send_dead_letters(&stack, "tickets", [("b", None)]).await;
    let sent = redrive_as(profile, ["--from", &stack.url, "--to", &stack.url]).await;
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    until("it is accepted too", || sorted(&accepted) == ["a", "b"]).await;
    stack.stop().await.expect("it stops");
}

#[test]
fn redrive_of_an_empty_queue_succeeds() {
    let dev = Dev::in_memory();
    let from = dev.text("/url");
    let sent = run(muster(["tickets", "redrive", "--from", from]));
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    assert!(
        stdout(&sent).starts_with("Sent 0 dead letters again, "),
        "{}",
        stdout(&sent)
    );
    let shown = run(muster(["tickets", "redrive", "--from", from, "--dry-run"]));
    assert_eq!(
        (shown.status.code(), stdout(&shown)),
        (Some(0), String::new())
    );
    assert!(
        stderr(&shown).starts_with("No matching dead letters in "),
        "{}",
        stderr(&shown)
    );
}
