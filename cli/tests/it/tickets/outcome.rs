//! `muster tickets send --wait`, `list` and `explain`, on one stack.

use std::process::Output;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Dev, assert_fails, file, on, stderr, stdout};

/// Returns a line with the first event of a ticket.
fn created(organization: &str, id: &str, fields: &Value) -> String {
    let mut ticket = json!({ "id": id, "status": "new", "updated_at": "2026-03-02T09:00:00Z" });
    for (name, value) in fields.as_object().expect("fields are an object") {
        ticket[name] = value.clone();
    }
    let event = json!({
        "specversion": "1.0", "id": format!("e-{id}"), "source": "/desk", "type": "ticket.created",
        "data": { "organization_id": organization, "ticket": ticket },
    });
    format!("{event}\n")
}

/// A stack with two teams: Network with the member Alice Johnson, and Workplace without members.
struct Desk {
    dev: Dev,
    network: String,
    workplace: String,
}

impl Desk {
    async fn start() -> Self {
        let dev = Dev::in_memory();
        let network = team(
            &dev,
            &json!({ "name": "Network", "specializations": ["Network"] }),
        )
        .await;
        let workplace = team(
            &dev,
            &json!({ "name": "Workplace", "specializations": ["Chairs"] }),
        )
        .await;
        let member =
            json!({ "user_id": dev.text("/users/3/id"), "role": "member", "skills": ["VPN"] });
        let path = format!("/v1/teams/{network}/members");
        let added = dev.post(dev.text("/keys/itsm/admin"), &path, &member).await;
        assert_eq!(added.0, StatusCode::CREATED, "{added:?}");
        Self {
            dev,
            network,
            workplace,
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        // The stack is another process, so this thread may block.
        on(&self.dev, arguments)
    }

    fn send(&self, file: &str, options: &[&str]) -> Output {
        let to = self.dev.text("/url");
        let send = ["tickets", "send", file, "--to", to, "--wait"];
        self.run(&[&send[..], options].concat())
    }

    fn explain(&self, ticket: &str, options: &[&str]) -> Output {
        let explain = ["tickets", "explain", ticket, "--organization", "org_demo"];
        self.run(&[&explain[..], options].concat())
    }

    fn explanation(&self, ticket: &str) -> Value {
        let output = self.explain(ticket, &["--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).expect("a JSON object")
    }
}

async fn team(dev: &Dev, fields: &Value) -> String {
    let created = dev
        .post(dev.text("/keys/itsm/admin"), "/v1/teams", fields)
        .await;
    assert_eq!(created.0, StatusCode::CREATED, "{created:?}");
    created.1["data"]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_and_explain_show_where_tickets_went() {
    let desk = Desk::start().await;
    let day: String = [
        created(
            "org_demo",
            "INC-1",
            &json!({ "category": "network", "priority": "high" }),
        ),
        created("org_demo", "INC-2", &json!({ "team_id": desk.workplace })),
        created("org_demo", "INC-3", &json!({ "category": "Networks" })),
        created(
            "org_demo",
            "INC-4",
            &json!({ "category": "network", "status": "resolved" }),
        ),
        created(
            "org_demo",
            "INC-4",
            &json!({ "updated_at": "2026-03-02T08:00:00Z" }),
        ),
    ]
    .concat();
    wait_with_dead_letters(&desk, &day);
    wait_is_idempotent(&desk, &day);
    explain_assigned(&desk);
    explain_without_assignee(&desk);
    list_by_state(&desk).await;

    let fails = desk.explain("INC-9", &[]);
    assert_fails(
        &fails,
        &["org_demo has no ticket INC-9", "tickets redrive --dry-run"],
    );
    let explain = ["tickets", "explain", "INC-1", "--organization", "org_none"];
    assert_fails(
        &desk.run(&explain),
        &["there is no organization org_none", "--organization"],
    );
}

fn wait_with_dead_letters(desk: &Desk, day: &str) {
    let (_folder, path) = file(format!("{day}{}", created("org_none", "INC-5", &json!({}))));
    let output = desk.send(&path, &["--json"]);
    assert_fails(
        &output,
        &[
            "tickets with dead letters: 1",
            "not processed: 0",
            "redrive",
        ],
    );
    let printed: Value = serde_json::from_str(&stdout(&output)).expect("a JSON object");
    assert_eq!(printed["sent"], 6);
    let tickets = &printed["tickets"];
    for (state, count) in [
        ("assigned", 1),
        ("waiting", 1),
        ("unrouted", 1),
        ("closed", 1),
        ("deleted", 0),
        ("dead_lettered", 1),
        ("pending", 0),
    ] {
        assert_eq!(tickets[state], count, "{state}: {tickets}");
    }
    assert_eq!(
        tickets["dead_letters"],
        json!([{ "organization_id": "org_none", "ticket_id": "INC-5", "reason": "data.organization_id: there is no such organization" }])
    );
    let network = tickets["teams"]
        .as_array()
        .expect("teams")
        .iter()
        .find(|team| team["name"] == "Network")
        .expect("the team has a ticket");
    assert_eq!(network["members"][0]["name"], "Alice Johnson");
    assert_eq!(tickets["unrouted_tickets"][0]["ticket_id"], "INC-3");
}

fn wait_is_idempotent(desk: &Desk, day: &str) {
    let (_folder, path) = file(day);
    let output = desk.send(&path, &["--timeout", "30", "--speed", "36000"]);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
    let printed = stdout(&output);
    let lines: Vec<_> = printed.lines().map(str::trim_end).collect();
    assert!(
        lines[0].starts_with("Sent 5 events to http://"),
        "{printed}"
    );
    let reason = "  No team's specializations match its category, subcategory or tags.";
    let line = |name: &str, count: u64| format!("{name:width$}  {count:>6}", width = reason.len());
    let expected = [
        line("Assigned", 1),
        line("  Network", 1),
        line("    Alice Johnson", 1),
        line("Waiting", 1),
        line("  Workplace", 1),
        line("Unrouted", 1),
        line(reason, 1),
        line("Closed", 1),
    ];
    assert_eq!(lines[2..10], expected, "{printed}");
    assert!(
        lines[10].starts_with("`muster tickets explain ID`"),
        "{printed}"
    );

    let (_folder, path) = file(format!("{day}{}", r#"{"specversion":"1.0"}"#));
    let output = desk.send(&path, &[]);
    assert_eq!(
        (output.status.code(), stdout(&output)),
        (Some(1), String::new())
    );
    let error = stderr(&output);
    assert!(
        error.contains(&format!("{path}:6: id: is required")),
        "{error}"
    );
    assert!(error.contains("error: no event was sent"), "{error}");
}

fn explain_assigned(desk: &Desk) {
    let explained = desk.explanation("INC-1");
    for (field, value) in [
        ("/state", json!("assigned")),
        ("/reason", json!("strategy")),
        ("/team/name", json!("Network")),
        ("/assignee/name", json!("Alice Johnson")),
        ("/candidates/0/name", json!("Alice Johnson")),
        ("/version/event_id", json!("e-INC-1")),
        ("/could_take_it", Value::Null),
    ] {
        assert_eq!(
            explained.pointer(field),
            Some(&value),
            "{field}: {explained}"
        );
    }
    let text = stdout(&desk.explain("INC-1", &[]));
    assert!(
        text.starts_with("INC-1 is assigned to Alice Johnson of Network, since "),
        "{text}"
    );
    assert!(
        text.contains("\nWhy         The only eligible member of 1.\n"),
        "{text}"
    );
}

fn explain_without_assignee(desk: &Desk) {
    let waiting = stdout(&desk.explain("INC-2", &[]));
    assert!(
        waiting.starts_with("INC-2 waits for an eligible member of Workplace, "),
        "{waiting}"
    );
    assert!(waiting.contains("Workplace has no members."), "{waiting}");

    let unrouted = stdout(&desk.explain("INC-3", &[]));
    assert!(
        unrouted.starts_with("INC-3 has no team and no assignee, "),
        "{unrouted}"
    );
    assert!(
        unrouted.contains("These have similar ones (compared: 2 teams)"),
        "{unrouted}"
    );
    let similar = desk.explanation("INC-3")["could_take_it"].take();
    assert_eq!(similar["matching_teams"], json!([]));
    assert_eq!(similar["similar_teams"][0]["specialization"], "Network");
    assert_eq!(similar["similar_teams"][0]["topic"], "networks");
    let members = &similar["similar_teams"][0]["eligible_members"];
    assert_eq!(members[0]["name"], "Alice Johnson");

    let closed = stdout(&desk.explain("INC-4", &[]));
    assert!(
        closed.starts_with("INC-4 is closed, with status resolved."),
        "{closed}"
    );
}

async fn list_by_state(desk: &Desk) {
    let list = async |options: &[&str]| {
        let list = ["tickets", "list", "--organization", "org_demo", "--state"];
        let output = desk.run(&[&list[..], options].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        (stdout(&output), stderr(&output))
    };
    let (unrouted, _) = list(&["unrouted"]).await;
    let lines: Vec<_> = unrouted.lines().collect();
    assert_eq!(lines.len(), 2, "{unrouted}");
    assert!(lines[0].starts_with("TICKET  PRIORITY  AGE "), "{unrouted}");
    assert!(
        lines[1].starts_with("INC-3   medium    ") && lines[1].ends_with("subcategory or tags."),
        "{unrouted}"
    );
    let (none, note) = list(&["unrouted", "--priority", "critical"]).await;
    assert_eq!((&*none, &*note), ("", "No ticket is unrouted.\n"));

    let (waiting, _) = list(&["waiting", "--json"]).await;
    let ticket: Value = serde_json::from_str(&waiting).expect("one line of JSON");
    assert_eq!(
        [
            &ticket["ticket_id"],
            &ticket["team"]["name"],
            &ticket["explanation"]
        ],
        ["INC-2", "Workplace", "The team has no members."]
    );
    let (assigned, _) = list(&["assigned", "--team", &desk.network, "--json"]).await;
    let ticket: Value = serde_json::from_str(&assigned).expect("one line of JSON");
    assert_eq!(
        [&ticket["ticket_id"], &ticket["assignee"]["name"]],
        ["INC-1", "Alice Johnson"]
    );

    let list = ["tickets", "list", "--state", "unrouted", "--organization"];
    let fails = desk.run(&[&list[..], &["org_none"]].concat());
    assert_fails(
        &fails,
        &["there is no organization org_none", "--organization"],
    );
    let team = [&list[..], &["org_demo", "--team", &desk.network]].concat();
    assert_fails(
        &desk.run(&team),
        &["unrouted tickets have no team", "--team"],
    );
}
