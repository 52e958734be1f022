//! `muster tickets redrive` as somebody runs it, against a local stack whose functions do what a
//! test needs.

use std::{
    process::Output,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use muster_cli::{
    emulator,
    local::{Data, LocalStack, Settings},
};
use serde_json::{Value, json};

use crate::{
    queues::{contents, handler, records, settings, until, until_empty},
    support::{Dev, PATIENCE, assert_fails, muster, run, stderr, stdout},
};

/// Runs the command beside the stack that the test holds.
async fn redrive<const N: usize>(arguments: [&str; N]) -> Output {
    redrive_as(None, arguments).await
}

/// The same for somebody who chose a profile of AWS.
async fn redrive_as<const N: usize>(profile: Option<&str>, arguments: [&str; N]) -> Output {
    let mut command = muster(["tickets", "redrive"].into_iter().chain(arguments));
    command.envs(profile.map(|profile| ("AWS_PROFILE", profile)));
    tokio::task::spawn_blocking(move || run(command))
        .await
        .expect("it does not panic")
}

/// A stack whose assignment function takes everything, and what it took.
pub async fn taking() -> (LocalStack, Arc<Mutex<Vec<String>>>) {
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&taken);
    let takes = handler(move |event| {
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
    let stack = LocalStack::start(0, Data::Memory, settings([("AssignmentFunction", takes)])).await;
    (stack.expect("a stack starts"), taken)
}

fn sqs(stack: &LocalStack) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&emulator::sdk_config(&stack.aws_url))
}

/// Puts dead letters there as a function does, with a reason, or as SQS does, without.
pub async fn die(
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
            .expect("it is taken");
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

pub fn sorted(taken: &Mutex<Vec<String>>) -> Vec<String> {
    let mut taken = taken.lock().expect("no test panics with it").clone();
    taken.sort_unstable();
    taken
}

/// How many dead letters anybody may receive now.
pub async fn visible(stack: &LocalStack, queue: &str) -> String {
    let asked = sqs(stack)
        .get_queue_attributes()
        .queue_url(stack.queue_url(&format!("{queue}-dead-letters")));
    let answer = asked
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
        .send()
        .await;
    answer.expect("it answers").attributes.expect("there are")
        [&QueueAttributeName::ApproximateNumberOfMessages]
        .clone()
}

#[tokio::test]
async fn what_was_impossible_is_taken_once_it_is_mended() {
    let stack = LocalStack::start(0, Data::Memory, Settings::default())
        .await
        .expect("a stack starts");
    let ticket = json!({ "id": "INC-1", "status": "new", "updated_at": "2025-03-03T09:00:00Z" });
    let event = |organization: &str, id: &str| {
        let data = json!({ "organization_id": organization, "ticket": ticket });
        json!({ "specversion": "1.0", "id": id, "source": "/desk", "type": "ticket.created", "data": data })
    };
    let mut impossible = event("newcomer", "impossible");
    impossible["data"]["ticket"]["status"] = json!("lost");
    let events = json!([event("newcomer", "early"), impossible]);
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
    let sent = redrive(["--from", &stack.url]).await;
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    assert!(
        stdout(&sent).starts_with("Sent 2 dead letters again, from http://127.0.0.1:"),
        "{}",
        stdout(&sent)
    );
    until_empty(&stack, "tickets").await;
    until("the impossible one is dead again", || {
        contents(&stack, "tickets").dead_letters.len() == 1
    })
    .await;
    let [letter] = &contents(&stack, "tickets").dead_letters[..] else {
        panic!("one is impossible still")
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
async fn each_queue_has_its_own_dead_letters_back() {
    for (queue, function) in [
        ("users", "DirectoryFunction"),
        ("jobs", "JobsFunction"),
        ("long-jobs", "JobsFunction"),
    ] {
        let taken: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&taken);
        let takes = handler(move |event| {
            // The schedule's own event has no records.
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
        let stack = LocalStack::start(0, Data::Memory, settings([(function, takes)]))
            .await
            .expect("a stack starts");
        die(&stack, queue, [("a", Some("it is not JSON")), ("b", None)]).await;
        let sent = redrive(["--from", &stack.queue_url(&format!("{queue}-dead-letters"))]).await;
        assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
        assert!(
            stdout(&sent).contains(&format!(" to {}.", stack.queue_url(queue))),
            "{}",
            stdout(&sent)
        );
        // The demo organization may have jobs of its own.
        until("both are taken", || {
            ["a", "b"]
                .iter()
                .all(|body| sorted(&taken).iter().any(|taken| taken == body))
        })
        .await;
        assert_eq!(dead(&stack, queue), [""; 0]);
        stack.stop().await.expect("it stops");
    }
}

#[tokio::test]
async fn a_reason_and_a_limit_choose_and_the_rest_is_left_to_be_seen() {
    let (stack, taken) = taking().await;
    let bodies: Vec<_> = (10..35).map(|n| n.to_string()).collect();
    die(
        &stack,
        "tickets",
        bodies
            .iter()
            .map(|body| (&**body, Some("data.ticket.status: must be one of new"))),
    )
    .await;
    die(
        &stack,
        "tickets",
        [("other", Some("it is not JSON")), ("failed", None)],
    )
    .await;

    let sent = redrive([
        "--from",
        &stack.url,
        "--reason",
        "ticket.status",
        "--limit",
        "12",
    ])
    .await;
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    assert!(
        stdout(&sent).starts_with("Sent 12 dead letters again, ")
            && stdout(&sent).ends_with("this limit.\n")
    );
    until("twelve are taken", || sorted(&taken).len() == 12).await;
    assert_eq!(
        (
            dead(&stack, "tickets").len(),
            visible(&stack, "tickets").await
        ),
        (15, "15".to_owned())
    );

    let sent = redrive(["--from", &stack.url, "--reason", "ticket.status"]).await;
    assert!(
        stdout(&sent).starts_with("Sent 13 dead letters again, "),
        "{}",
        stdout(&sent)
    );
    assert!(
        stdout(&sent).ends_with(". Left for another reason: 2.\n"),
        "{}",
        stdout(&sent)
    );
    until("all of the reason are taken", || sorted(&taken) == bodies).await;
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

#[tokio::test]
async fn what_is_shown_stays_and_can_be_mended() {
    let (stack, taken) = taking().await;
    let ticket =
        json!({ "id": "e1", "data": { "organization_id": "acme", "ticket": { "id": "INC-1" } } })
            .to_string();
    die(
        &stack,
        "tickets",
        [
            (&*ticket, Some("data.ticket.status: is missing")),
            ("\u{9b}no JSON", None),
        ],
    )
    .await;
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
        let (told, other) = if first["event"] == "e1" {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!(
            (&told["organization"], &told["about"]),
            (&json!("acme"), &json!("ticket INC-1"))
        );
        assert_eq!(
            (&told["reason"], &told["body"]),
            (&json!("data.ticket.status: is missing"), &json!(ticket))
        );
        assert!(told["receives"].is_u64(), "{told}");
        assert_eq!(
            (&other["event"], &other["body"]),
            (&Value::Null, &json!("\u{9b}no JSON"))
        );
    }
    // As anybody copies it from there.
    let shown = stdout(&redrive(["--from", &stack.url, "--dry-run", "--json"]).await);
    let shown = shown
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    for told in shown.collect::<Vec<_>>() {
        let chosen = [
            "--from",
            &stack.url,
            "--dry-run",
            "--json",
            "--reason",
            told["reason"].as_str().expect("text"),
        ];
        let again: Value =
            serde_json::from_slice(&redrive(chosen).await.stdout).expect("one line of JSON");
        assert_eq!(
            (&again["reason"], &again["body"]),
            (&told["reason"], &told["body"])
        );
    }
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
        (visible(&stack, "tickets").await, sorted(&taken)),
        ("2".to_owned(), Vec::new())
    );
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_local_stack_asks_for_no_credentials() {
    let (stack, taken) = taking().await;
    die(&stack, "tickets", [("a", None)]).await;
    let profile = Some("nobody-has-this");
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
    until("it is taken", || sorted(&taken) == ["a"]).await;

    die(&stack, "tickets", [("b", None)]).await;
    let sent = redrive_as(profile, ["--from", &stack.url, "--to", &stack.url]).await;
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    until("it is taken too", || sorted(&taken) == ["a", "b"]).await;
    stack.stop().await.expect("it stops");
}

#[test]
fn nothing_is_a_success() {
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
        stderr(&shown).starts_with("No such dead letters in "),
        "{}",
        stderr(&shown)
    );
}

/// What answers a receive on a [`Way`].
enum Receive {
    Stack,
    /// The first answer again, as though the time were up for which its letters are unseen.
    First,
    Nothing,
}

/// A way to the queues of a stack, on which things go wrong.
struct Way {
    to: String,
    /// Whether deletions get no answer.
    lost: Arc<AtomicBool>,
    /// What answers the receive of this number, from 0.
    answers: fn(usize) -> Receive,
    receives: AtomicUsize,
    first: OnceLock<Bytes>,
}

impl Way {
    async fn open(
        stack: &LocalStack,
        lost: Arc<AtomicBool>,
        answers: fn(usize) -> Receive,
    ) -> String {
        let way = Self {
            to: stack.aws_url.clone(),
            lost,
            answers,
            receives: AtomicUsize::new(0),
            first: OnceLock::new(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new()
            .route("/", post(Self::forward))
            .with_state(Arc::new(way));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    async fn forward(State(way): State<Arc<Self>>, headers: HeaderMap, body: Bytes) -> Response {
        let target = headers["x-amz-target"].to_str().expect("text").to_owned();
        if target == "AmazonSQS.DeleteMessageBatch" && way.lost.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let receives = target == "AmazonSQS.ReceiveMessage";
        if receives {
            match (way.answers)(way.receives.fetch_add(1, Ordering::SeqCst)) {
                Receive::Stack => {}
                Receive::First => {
                    return way
                        .first
                        .get()
                        .expect("there was one")
                        .clone()
                        .into_response();
                }
                Receive::Nothing => return "{}".into_response(),
            }
        }
        let request = reqwest::Client::new()
            .post(&way.to)
            .header("x-amz-target", target)
            .body(body);
        let answer = request.send().await.expect("the stack answers");
        let (status, body) = (answer.status(), answer.bytes().await.expect("a body"));
        if receives {
            way.first.get_or_init(|| body.clone());
        }
        (status, body).into_response()
    }
}

/// A way to the queues of a stack on which deletions are lost while `lost` holds.
async fn lossy(stack: &LocalStack, lost: Arc<AtomicBool>) -> String {
    Way::open(stack, lost, |_| Receive::Stack).await
}

/// Has 25 letters die that no function gave up: their bodies, in order.
async fn die_of_retries(stack: &LocalStack) -> Vec<String> {
    let bodies: Vec<_> = (10..35).map(|n| n.to_string()).collect();
    die(stack, "tickets", bodies.iter().map(|body| (&**body, None))).await;
    bodies
}

#[tokio::test]
async fn what_is_seen_again_does_not_end_the_look() {
    let (stack, taken) = taking().await;
    let bodies: Vec<_> = (10..35).map(|n| n.to_string()).collect();
    let letters = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| (&**body, (at < 10).then_some("it is not JSON")));
    die(&stack, "tickets", letters).await;
    let hindered = async || {
        let answers = |receive| match receive {
            1 | 3 => Receive::First,
            2 | 4 => Receive::Nothing,
            _ => Receive::Stack,
        };
        let way = Way::open(&stack, Arc::default(), answers).await;
        format!("{way}/000000000000/tickets-dead-letters")
    };

    let sent = redrive(["--from", &hindered().await, "--reason", "received"]).await;
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    assert!(
        stdout(&sent).starts_with("Sent 15 dead letters again, "),
        "{}",
        stdout(&sent)
    );
    assert!(
        stdout(&sent).ends_with(". Left for another reason: 10.\n"),
        "{}",
        stdout(&sent)
    );
    until("the others are taken", || sorted(&taken) == bodies[10..]).await;
    assert_eq!(
        (
            dead(&stack, "tickets").len(),
            visible(&stack, "tickets").await
        ),
        (10, "10".to_owned())
    );

    die(
        &stack,
        "tickets",
        bodies[10..].iter().map(|body| (&**body, None)),
    )
    .await;
    let shown = redrive(["--from", &hindered().await, "--dry-run", "--json"]).await;
    assert_eq!(
        (shown.status.code(), stderr(&shown)),
        (Some(0), String::new())
    );
    let told = |line| {
        serde_json::from_str::<Value>(line).expect("JSON")["body"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    let mut told: Vec<_> = stdout(&shown).lines().map(told).collect();
    told.sort_unstable();
    assert_eq!(told, bodies);
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_look_without_an_end_says_so() {
    let (stack, _) = taking().await;
    die_of_retries(&stack).await;
    let answers = |receive| {
        if receive == 0 {
            Receive::Stack
        } else {
            Receive::First
        }
    };
    let from = format!(
        "{}/000000000000/tickets-dead-letters",
        Way::open(&stack, Arc::default(), answers).await
    );
    let shown = redrive(["--from", &from, "--dry-run", "--json"]).await;
    assert_fails(&shown, &["not known", "10 dead letters"]);
    assert_eq!(stdout(&shown).lines().count(), 10);
    assert_eq!(visible(&stack, "tickets").await, "25");
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn killed_between_sending_and_deleting_it_loses_nothing() {
    let (stack, taken) = taking().await;
    let bodies = die_of_retries(&stack).await;
    let lost = Arc::new(AtomicBool::new(true));
    let way = lossy(&stack, Arc::clone(&lost)).await;
    let from = format!("{way}/000000000000/tickets-dead-letters");

    let mut child = muster(["tickets", "redrive", "--from", &from])
        .spawn()
        .expect("it starts");
    until("the first are taken", || sorted(&taken).len() == 10).await;
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    assert_eq!(
        (
            dead(&stack, "tickets").len(),
            visible(&stack, "tickets").await
        ),
        (25, "15".to_owned())
    );

    lost.store(false, Ordering::SeqCst);
    let sent = redrive(["--from", &from]).await;
    assert!(
        stdout(&sent).starts_with("Sent 15 dead letters again, "),
        "{}",
        stdout(&sent)
    );
    until("all are taken", || sorted(&taken) == bodies).await;
    assert_eq!(
        dead(&stack, "tickets").len(),
        10,
        "unseen for five minutes, and sent once more by who comes then"
    );
    stack.stop().await.expect("it stops");
}

/// Ctrl-C, as a terminal sends it.
#[cfg(unix)]
#[tokio::test]
async fn interrupted_it_gives_back_what_it_holds() {
    let (stack, taken) = taking().await;
    die_of_retries(&stack).await;
    let lost = Arc::new(AtomicBool::new(true));
    let way = lossy(&stack, Arc::clone(&lost)).await;
    let from = format!("{way}/000000000000/tickets-dead-letters");
    let mut command = muster(["tickets", "redrive", "--from", &from]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("it starts");
    until("the first are taken", || sorted(&taken).len() == 10).await;
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.expect("there is a kill").success());
    // It is between two batches only once this one is deleted; the attempt that was lost is made
    // again.
    lost.store(false, Ordering::SeqCst);
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends"));
    let output = tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("it ends in time")
        .expect("it does not panic");
    assert_fails(&output, &["interrupted", "left as it was"]);
    assert!(
        stdout(&output).starts_with("Sent 10 dead letters again, "),
        "{}",
        stdout(&output)
    );
    assert_eq!(
        (
            dead(&stack, "tickets").len(),
            visible(&stack, "tickets").await
        ),
        (15, "15".to_owned())
    );
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_wrong_queue_is_refused_before_anything_is_sent() {
    let (stack, taken) = taking().await;
    die(&stack, "tickets", [("a", None)]).await;
    let (tickets, letters) = (
        stack.queue_url("tickets"),
        stack.queue_url("tickets-dead-letters"),
    );
    let nowhere = stack.queue_url("nobody");
    assert_fails(
        &redrive(["--from", "http://127.0.0.1:1"]).await,
        &["nobody listens", "muster dev", "--from"],
    );
    assert_fails(
        &redrive(["--from", &nowhere]).await,
        &["there is no queue", "nobody", "NonExistentQueue"],
    );
    assert_fails(
        &redrive(["--from", &letters, "--to", &nowhere]).await,
        &["there is no queue", "nobody"],
    );
    assert_fails(
        &redrive(["--from", &tickets, "--to", &letters]).await,
        &["no queue of dead letters", "--from"],
    );
    assert_fails(
        &redrive(["--from", &letters, "--to", &letters]).await,
        &["the same queue"],
    );
    assert_fails(
        &redrive(["--from", &format!("{letters}.fifo")]).await,
        &["FIFO"],
    );
    let no_stack = lossy(&stack, Arc::default()).await;
    assert_fails(
        &redrive(["--from", &no_stack]).await,
        &[&no_stack, "no local stack", "--from"],
    );
    assert_eq!(
        (dead(&stack, "tickets"), sorted(&taken)),
        (vec!["a".to_owned()], Vec::new())
    );

    let sent = redrive(["--from", &letters, "--to", &stack.url]).await;
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    until("it is taken", || sorted(&taken) == ["a"]).await;
    stack.stop().await.expect("it stops");

    for senseless in [
        &["--limit", "0"][..],
        &["--limit", "-1"],
        &["--json"],
        &["--from", "tickets"],
        &["--to", ""],
    ] {
        let output = run(muster([&["tickets", "redrive"], senseless].concat()));
        assert_eq!(
            output.status.code(),
            Some(2),
            "{senseless:?}: {}",
            stderr(&output)
        );
    }
}

/// Serves a queue that accepts no message, and returns its URL.
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

#[tokio::test]
async fn dead_letters_whose_queue_cannot_be_sent_to_stay() {
    let (stack, _) = taking().await;
    die(&stack, "tickets", [("a", None), ("b", None)]).await;
    let to = refusing().await;
    let output = redrive(["--from", &stack.url, "--to", &to]).await;
    assert_fails(
        &output,
        &["stopped", "2 messages could not be sent", "not for you"],
    );
    assert!(
        stdout(&output).starts_with("Sent 0 dead letters again, "),
        "{}",
        stdout(&output)
    );
    assert_eq!(visible(&stack, "tickets").await, "2");
    stack.stop().await.expect("it stops");
}
