//! The console of `muster dev`: the lines after the greeting.

use std::process::Child;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::signal;
use crate::support::{Dev, lines, muster, wait};

/// Starts a stack in memory with more arguments. Returns it with the lines after the first one.
fn start(arguments: &[&str]) -> (Dev, impl Iterator<Item = String> + use<>) {
    let mut command = muster(["dev", "--in-memory", "--json", "--port", "0"]);
    let (child, mut lines) = lines(command.args(arguments));
    let description = lines.next().expect("a line");
    let description = serde_json::from_str(&description).expect("the first line is JSON");
    (Dev { child, description }, lines)
}

/// Ends a stack, and returns the rest of its lines.
fn rest(child: &mut Child, lines: impl Iterator<Item = String>) -> Vec<String> {
    signal(child, "TERM");
    assert_eq!(wait(child).code(), Some(0));
    lines.collect()
}

fn ticket(id: &str, category: &str, status: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/desk", "type": "ticket.created",
        "data": {
            "organization_id": "org_demo",
            "ticket": {
                "id": id, "status": status, "category": category,
                "updated_at": "2025-03-03T09:00:00Z",
            },
        },
    })
}

/// Sends tickets to the queue.
async fn send(dev: &Dev, tickets: &Value) {
    let request = Client::new()
        .post(format!("{}/_dev/queues/tickets", dev.text("/url")))
        .json(tickets);
    let response = request.send().await.expect("the stack responds");
    assert_eq!(response.status(), StatusCode::ACCEPTED);
}

/// Creates a team for VPN with two members, of whom Sam Patel has the skill, and a team for
/// printers without members.
async fn create_teams(dev: &Dev) {
    let admin = dev.text("/keys/itsm/admin");
    for team in [
        json!({ "name": "Technical Support", "queue_strategy": "skill_based", "specializations": ["VPN"] }),
        json!({ "name": "Printers", "specializations": ["Printer"] }),
    ] {
        let (status, created) = dev.post(admin, "/v1/teams", &team).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        if team["name"] == "Printers" {
            continue;
        }
        let path = format!(
            "/v1/teams/{}/members",
            created["data"]["id"].as_str().expect("an id")
        );
        for member in [
            json!({ "user_id": "usr_10000000-0000-4000-8000-000000000003", "skills": ["VPN"] }),
            json!({ "user_id": "usr_10000000-0000-4000-8000-000000000004" }),
        ] {
            let added = dev.post(admin, &path, &member).await;
            assert_eq!(added.0, StatusCode::CREATED, "{added:?}");
        }
    }
}

/// Sends a key in the path, the query, the header and the body of requests.
async fn send_keys_everywhere(dev: &Dev, key: &str) {
    let url = dev.text("/url");
    let encoded = key.bytes().fold(String::new(), |encoded, byte| {
        encoded + &format!("%{byte:02x}")
    });
    for target in [
        format!("/v1/teams/{key}"),
        format!("/{encoded}"),
        format!("/v1/teams?search={key}&limit=1"),
        format!("/v1/teams?{key}"),
    ] {
        let request = Client::new()
            .get(format!("{url}{target}"))
            .bearer_auth(key)
            .header("x-api-key", key);
        request.send().await.expect("the stack responds");
    }
    let body = json!({ "name": key, key: key });
    dev.post(&format!("{key}x"), "/v1/teams", &body).await;
    send(dev, &json!({ "specversion": key, "id": key })).await;
}

/// The lines of `--log json`.
struct JsonLines(Vec<Value>);

impl JsonLines {
    /// Reads lines until each of these is there: an event, a field of it, and the field's value.
    fn until(
        lines: &mut impl Iterator<Item = String>,
        expected: &[(&str, &str, &str)],
    ) -> (Self, Vec<String>) {
        let (mut parsed, mut texts) = (Self(Vec::new()), Vec::new());
        let is_missing = |parsed: &Self, &(event, field, value): &(&str, &str, &str)| {
            parsed.find(event, field, value).is_none()
        };
        while let Some(missing) = expected.iter().find(|line| is_missing(&parsed, line)) {
            let text = lines
                .next()
                .unwrap_or_else(|| panic!("{missing:?} is missing: {texts:#?}"));
            parsed
                .0
                .push(serde_json::from_str(&text).expect("a line of JSON"));
            texts.push(text);
        }
        (parsed, texts)
    }

    fn find(&self, event: &str, field: &str, value: &str) -> Option<&Value> {
        let mut lines = self.0.iter();
        lines.find(|line| line["event"] == event && line[field] == value)
    }

    #[track_caller]
    fn assert(&self, (event, field, value): (&str, &str, &str), expected: &Value) {
        let line = self.find(event, field, value).expect("a line");
        for (name, value) in expected.as_object().expect("fields") {
            assert_eq!(&line[name], value, "{name} of {line}");
        }
    }
}

#[tokio::test]
async fn json_lines_have_reasons_and_no_credentials() {
    let (mut dev, mut lines) = start(&["--log", "json"]);
    create_teams(&dev).await;
    let read_only = dev.text("/keys/toptickets/read_only").to_owned();
    let team = json!({ "name": "No" });
    let refused = dev.post(&read_only, "/v1/teams", &team).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN);
    let tickets = [
        ticket("INC-1", "VPN", "open"),
        ticket("INC-2", "Printer", "open"),
        ticket("INC-3", "Invoice", "open"),
        ticket("INC-4", "VPN", "melted"),
    ];
    send(&dev, &json!(tickets)).await;
    let admin = dev.text("/keys/itsm/admin").to_owned();
    send_keys_everywhere(&dev, &admin).await;

    // A ticket is unrouted until the job has indexed the team's specializations.
    let assigned = ("decision", "state", "assigned");
    let waiting = ("decision", "state", "waiting");
    let unrouted = ("decision", "ticket_id", "INC-3");
    let dead = ("dead_letter", "subject", "INC-4");
    let forbidden = ("request", "contract", "toptickets");
    let added = ("announcement", "name", "Sam Patel");
    let with_key = ("request", "path", "/v1/teams?search=itsm_…&limit=1");
    let expected = [
        assigned, waiting, unrouted, dead, forbidden, added, with_key,
    ];
    let (seen, mut texts) = JsonLines::until(&mut lines, &expected);
    texts.extend(rest(&mut dev.child, lines));
    for name in [
        "itsm/admin",
        "itsm/read_only",
        "toptickets/admin",
        "toptickets/read_only",
    ] {
        let key = dev.text(&format!("/keys/{name}"));
        let secret = &key[key.len() - 40..];
        assert_eq!(texts.iter().find(|line| line.contains(secret)), None);
    }
    seen.assert(
        assigned,
        &json!({ "ticket_id": "INC-1", "organization_id": "org_demo", "team": "Technical Support",
            "assignee": "Sam Patel", "reason": "most matching skills (1 of 1)" }),
    );
    seen.assert(
        waiting,
        &json!({ "ticket_id": "INC-2", "team": "Printers", "reason": "the team has no members" }),
    );
    seen.assert(
        unrouted,
        &json!({ "state": "unrouted", "team": null, "assignee": null }),
    );
    seen.assert(
        forbidden,
        &json!({ "method": "POST", "path": "/v1/teams", "status": 403 }),
    );
    seen.assert(
        added,
        &json!({ "type": "member.added", "team": "Technical Support" }),
    );
    for (line, word) in [(dead, "data.ticket.status"), (forbidden, "scope")] {
        let line = seen.find(line.0, line.1, line.2).expect("a line");
        let reason = line["reason"].as_str().expect("a reason");
        assert!(reason.contains(word), "{line}");
    }
}

#[tokio::test]
async fn human_lines_follow_the_greeting_without_colors() {
    let (mut child, mut lines) = lines(&mut muster(["dev", "--in-memory", "--port", "0"]));
    let greeting: Vec<_> = lines
        .by_ref()
        .take_while(|line| !line.starts_with("Data"))
        .collect();
    let url = greeting[0]
        .split(' ')
        .find(|word| word.starts_with("http"))
        .expect("an address");
    let missing = reqwest::get(format!("{url}/v1/teams?limit=2"))
        .await
        .unwrap();
    assert_eq!(missing.status(), StatusCode::UNAUTHORIZED);
    let line = lines.next().expect("a line");
    let (time, line) = line.split_once("  ").expect("a time");
    assert_eq!((time.len(), time.matches(':').count()), (8, 2), "{time}");
    assert!(
        line.starts_with("GET /v1/teams?limit=2 401 ") && line.contains(" ms  "),
        "{line}"
    );
    assert!(!line.contains('\u{1b}'), "{line}");
    assert_eq!(rest(&mut child, lines), [""; 0]);
}

#[tokio::test]
async fn closed_output_does_not_end_the_stack() {
    let (mut dev, lines) = start(&["--log", "human"]);
    drop(lines);
    let admin = dev.text("/keys/itsm/admin").to_owned();
    for _ in 0..20 {
        assert_eq!(dev.list(&admin).await.0, StatusCode::OK);
    }
    signal(&dev.child, "TERM");
    assert_eq!(wait(&mut dev.child).code(), Some(0));
}

/// A pipe has at most 64 KiB on Linux, less than the dead letters below.
#[tokio::test]
async fn slow_output_does_not_stop_the_stack() {
    let mut command = muster(["dev", "--in-memory", "--port", "0", "--log", "json"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = String::new();
    let mut stdout =
        std::io::BufReader::with_capacity(1, child.stdout.take().expect("it is piped"));
    std::io::BufRead::read_line(&mut stdout, &mut first).expect("a line");
    let mut dev = Dev {
        child,
        description: serde_json::from_str(&first).expect("JSON"),
    };
    // Each request has a line of 300 characters. The reader of the pipe has stopped.
    let admin = dev.text("/keys/itsm/admin").to_owned();
    let path = format!("{}/v1/teams?search={}", dev.text("/url"), "a-".repeat(140));
    let client = Client::new();
    for _ in 0..250 {
        client
            .get(&path)
            .bearer_auth(&admin)
            .send()
            .await
            .expect("it responds");
    }
    signal(&dev.child, "TERM");
    assert_eq!(
        wait(&mut dev.child).code(),
        Some(0),
        "with the pipe still full"
    );
}
