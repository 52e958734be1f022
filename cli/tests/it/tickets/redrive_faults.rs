//! `muster tickets redrive` when calls fail, messages repeat, or the process ends.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::post,
};
use muster_cli::local::LocalStack;
use serde_json::Value;

use super::redrive::{
    dead, redrive, refusing, send_dead_letters, sorted, start_recording, visible,
};
use crate::support::{PATIENCE, assert_fails, local_stack::until, muster, run, stderr, stdout};

/// The source of the response to a receive through a [`FaultProxy`].
enum Source {
    Stack,
    /// The first response again, as if the visibility timeout had passed.
    First,
    Nothing,
}

/// A proxy before the queues of a stack, which injects faults.
struct FaultProxy {
    to: String,
    /// Whether deletions get no response.
    lost: Arc<AtomicBool>,
    /// Selects the response of a receive by its number, from 0.
    responses: fn(usize) -> Source,
    receives: AtomicUsize,
    first: OnceLock<Bytes>,
}

impl FaultProxy {
    async fn open(
        stack: &LocalStack,
        lost: Arc<AtomicBool>,
        responses: fn(usize) -> Source,
    ) -> String {
        let proxy = Self {
            to: stack.aws_url.clone(),
            lost,
            responses,
            receives: AtomicUsize::new(0),
            first: OnceLock::new(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new()
            .route("/", post(Self::forward))
            .with_state(Arc::new(proxy));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    async fn forward(State(proxy): State<Arc<Self>>, headers: HeaderMap, body: Bytes) -> Response {
        let target = headers["x-amz-target"].to_str().expect("text").to_owned();
        if target == "AmazonSQS.DeleteMessageBatch" && proxy.lost.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let receives = target == "AmazonSQS.ReceiveMessage";
        if receives {
            match (proxy.responses)(proxy.receives.fetch_add(1, Ordering::SeqCst)) {
                Source::Stack => {}
                Source::First => {
                    return proxy
                        .first
                        .get()
                        .expect("there was one")
                        .clone()
                        .into_response();
                }
                Source::Nothing => return "{}".into_response(),
            }
        }
        let request = reqwest::Client::new()
            .post(&proxy.to)
            .header("x-amz-target", target)
            .body(body);
        let response = request.send().await.expect("the stack responds");
        let (status, body) = (response.status(), response.bytes().await.expect("a body"));
        if receives {
            proxy.first.get_or_init(|| body.clone());
        }
        (status, body).into_response()
    }
}

/// Starts a proxy that drops deletions while `lost` is set.
async fn without_deletions(stack: &LocalStack, lost: Arc<AtomicBool>) -> String {
    FaultProxy::open(stack, lost, |_| Source::Stack).await
}

/// Sends 25 dead letters without a reason, and returns their bodies in order.
async fn send_25_dead_letters(stack: &LocalStack) -> Vec<String> {
    let bodies: Vec<_> = (10..35).map(|n| n.to_string()).collect();
    send_dead_letters(stack, "tickets", bodies.iter().map(|body| (&**body, None))).await;
    bodies
}

#[tokio::test]
async fn redrive_continues_after_repeated_messages() {
    let (stack, accepted) = start_recording().await;
    let bodies: Vec<_> = (10..35).map(|n| n.to_string()).collect();
    let letters = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| (&**body, (at < 10).then_some("it is not JSON")));
    send_dead_letters(&stack, "tickets", letters).await;
    let repeating = async || {
        let responses = |receive| match receive {
            1 | 3 => Source::First,
            2 | 4 => Source::Nothing,
            _ => Source::Stack,
        };
        let proxy = FaultProxy::open(&stack, Arc::default(), responses).await;
        format!("{proxy}/000000000000/tickets-dead-letters")
    };

    let sent = redrive(["--from", &repeating().await, "--reason", "received"]).await;
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
        stdout(&sent).ends_with(". Left because the reason does not match: 10.\n"),
        "{}",
        stdout(&sent)
    );
    until("the others are accepted", || {
        sorted(&accepted) == bodies[10..]
    })
    .await;
    assert_eq!(
        (
            dead(&stack, "tickets").len(),
            visible(&stack, "tickets").await
        ),
        (10, "10".to_owned())
    );

    send_dead_letters(
        &stack,
        "tickets",
        bodies[10..].iter().map(|body| (&**body, None)),
    )
    .await;
    let shown = redrive(["--from", &repeating().await, "--dry-run", "--json"]).await;
    assert_eq!(
        (shown.status.code(), stderr(&shown)),
        (Some(0), String::new())
    );
    let described = |line| {
        serde_json::from_str::<Value>(line).expect("JSON")["body"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    let mut described: Vec<_> = stdout(&shown).lines().map(described).collect();
    described.sort_unstable();
    assert_eq!(described, bodies);
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn redrive_without_an_end_fails() {
    let (stack, _) = start_recording().await;
    send_25_dead_letters(&stack).await;
    let responses = |receive| {
        if receive == 0 {
            Source::Stack
        } else {
            Source::First
        }
    };
    let from = format!(
        "{}/000000000000/tickets-dead-letters",
        FaultProxy::open(&stack, Arc::default(), responses).await
    );
    let shown = redrive(["--from", &from, "--dry-run", "--json"]).await;
    assert_fails(&shown, &["cannot scan", "10 dead letters"]);
    assert_eq!(stdout(&shown).lines().count(), 10);
    assert_eq!(visible(&stack, "tickets").await, "25");
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn redrive_killed_before_deletion_loses_no_message() {
    let (stack, accepted) = start_recording().await;
    let bodies = send_25_dead_letters(&stack).await;
    let lost = Arc::new(AtomicBool::new(true));
    let proxy = without_deletions(&stack, Arc::clone(&lost)).await;
    let from = format!("{proxy}/000000000000/tickets-dead-letters");

    let mut child = muster(["tickets", "redrive", "--from", &from])
        .spawn()
        .expect("it starts");
    until("the first are accepted", || sorted(&accepted).len() == 10).await;
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
    until("all are accepted", || sorted(&accepted) == bodies).await;
    assert_eq!(
        dead(&stack, "tickets").len(),
        10,
        "unseen for five minutes, and sent once more by who comes then"
    );
    stack.stop().await.expect("it stops");
}

/// A terminal sends SIGINT for Ctrl-C.
#[cfg(unix)]
#[tokio::test]
async fn redrive_interrupted_releases_its_messages() {
    let (stack, accepted) = start_recording().await;
    send_25_dead_letters(&stack).await;
    let lost = Arc::new(AtomicBool::new(true));
    let proxy = without_deletions(&stack, Arc::clone(&lost)).await;
    let from = format!("{proxy}/000000000000/tickets-dead-letters");
    let mut command = muster(["tickets", "redrive", "--from", &from]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("it starts");
    until("the first are accepted", || sorted(&accepted).len() == 10).await;
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.expect("there is a kill").success());
    // The interrupt takes effect after the deletion of the batch. The lost call is retried.
    lost.store(false, Ordering::SeqCst);
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends"));
    let output = tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("it ends in time")
        .expect("it does not panic");
    assert_fails(&output, &["interrupted", "left as they were"]);
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
async fn redrive_of_a_wrong_queue_is_rejected() {
    let (stack, accepted) = start_recording().await;
    send_dead_letters(&stack, "tickets", [("a", None)]).await;
    let (tickets, letters) = (
        stack.queue_url("tickets"),
        stack.queue_url("tickets-dead-letters"),
    );
    let nowhere = stack.queue_url("unknown");
    assert_fails(
        &redrive(["--from", "http://127.0.0.1:1"]).await,
        &["no server listens", "muster dev", "--from"],
    );
    assert_fails(
        &redrive(["--from", &nowhere]).await,
        &["there is no queue", "unknown", "NonExistentQueue"],
    );
    assert_fails(
        &redrive(["--from", &letters, "--to", &nowhere]).await,
        &["there is no queue", "unknown"],
    );
    assert_fails(
        &redrive(["--from", &tickets, "--to", &letters]).await,
        &["not a dead-letter queue", "--from"],
    );
    assert_fails(
        &redrive(["--from", &letters, "--to", &letters]).await,
        &["the same queue"],
    );
    assert_fails(
        &redrive(["--from", &format!("{letters}.fifo")]).await,
        &["FIFO"],
    );
    let no_stack = without_deletions(&stack, Arc::default()).await;
    assert_fails(
        &redrive(["--from", &no_stack]).await,
        &[&no_stack, "not a local stack", "--from"],
    );
    assert_eq!(
        (dead(&stack, "tickets"), sorted(&accepted)),
        (vec!["a".to_owned()], Vec::new())
    );

    let sent = redrive(["--from", &letters, "--to", &stack.url]).await;
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    until("it is accepted", || sorted(&accepted) == ["a"]).await;
    stack.stop().await.expect("it stops");

    for senseless in [
        &["--limit", "0"][..],
        &["--limit", "-1"],
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

#[tokio::test]
async fn redrive_that_cannot_send_keeps_dead_letters() {
    let (stack, _) = start_recording().await;
    send_dead_letters(&stack, "tickets", [("a", None), ("b", None)]).await;
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
