//! The user queue: what its events make of profiles, and what profiles make of memberships and
//! leads.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use lambda_http::{Context, LambdaEvent};
use muster::{
    domain::{EventVersion, OrganizationId, Timestamp, User, UserId, UserSnapshot, UserStatus},
    queue::Queue,
    store::{Store, Table},
};
use muster_cli::commands::{
    TableTarget,
    users::{Erase, Import},
};
use muster_directory::{Deps, handle};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use uuid::Uuid;

use crate::support::{
    Organization, Stack, bare,
    fault_injection::{Fault, FaultScript},
    invoke::{self, client_config},
    table::{Item, OrgTable, number, text},
    wait_until,
};

/// An SQS that keeps what it is sent, or refuses it.
#[derive(Clone, Default)]
struct DeadLetters {
    received: Arc<Mutex<Vec<Value>>>,
}

impl DeadLetters {
    /// Starts it and gives the queue.
    async fn queue(&self) -> Queue {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let kept = self.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    while let Some(request) = read(&mut connection).await {
                        let response = kept.response(&request).to_string();
                        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length:";
                        let response = format!("{head} {}\r\n\r\n{response}", response.len());
                        if connection.write_all(response.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        queue_at(&url)
    }

    fn response(&self, request: &Value) -> Value {
        let entries = request["Entries"].as_array().expect("a batch");
        let mut received = self.received.lock().expect("nobody panicked");
        received.extend(entries.iter().cloned());
        let taken =
            |entry: &Value| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": ""});
        json!({ "Successful": entries.iter().map(taken).collect::<Vec<_>>() })
    }

    /// Bodies and reasons, in order of arrival.
    fn received(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let letter = |entry: &Value| {
            (
                text(&entry["MessageBody"]),
                text(&entry["MessageAttributes"]["reason"]["StringValue"]),
            )
        };
        self.received
            .lock()
            .expect("nobody panicked")
            .iter()
            .map(letter)
            .collect()
    }
}

/// Reads the body of the next request on a connection.
async fn read(connection: &mut tokio::net::TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .split("content-length:")
                .nth(1)?
                .lines()
                .next()?
                .trim()
                .parse::<usize>()
                .ok()?;
            if bytes.len() >= end + 4 + length {
                return serde_json::from_slice(&bytes[end + 4..]).ok();
            }
        }
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A queue of an SQS at this URL.
fn queue_at(url: &str) -> Queue {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_sqs::config::Credentials::new(
            "k", "s", None, None, "test",
        ))
        .retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled())
        .http_client(invoke::http())
        .endpoint_url(url)
        .build();
    Queue::new(
        aws_sdk_sqs::Client::from_conf(config),
        format!("{url}/000000000000/users-dead"),
    )
}

/// An organization, and the function that hears of its users.
struct DirectoryFixture {
    org: Organization,
    dead_letters: DeadLetters,
    deps: Deps,
    /// How long an invocation has.
    time: Duration,
}

impl DirectoryFixture {
    async fn new() -> Self {
        let org = Stack::shared().organization().await;
        let client = Client::from_conf(client_config(&org.stack).build());
        Self::over(org, client).await
    }

    async fn over(org: Organization, client: Client) -> Self {
        let dead_letters = DeadLetters::default();
        let deps = Deps {
            table: Table::new(client, org.stack.table.as_str()),
            dead_letters: dead_letters.queue().await,
            clock: Arc::new(Timestamp::now),
        };
        Self {
            org,
            dead_letters,
            deps,
            time: Duration::from_secs(30),
        }
    }

    /// Has the function hear messages, and gives those that have to come again, by their position.
    async fn handle_batch(&self, bodies: &[String]) -> Vec<usize> {
        let record = |(at, body): (usize, &String)| {
            json!({
                "messageId": at.to_string(), "receiptHandle": "r", "body": body, "md5OfBody": "", "awsRegion": "us-east-1",
                "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:users",
            })
        };
        let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
        let event = serde_json::from_value(json!({ "Records": records })).expect("an SQS event");
        let mut context = Context::default();
        context.deadline =
            u64::try_from(Timestamp::now().plus(self.time).millis()).expect("a time of today");
        let deps = self.deps.clone();
        // As a runtime with threads would run it.
        let handled =
            tokio::spawn(async move { handle(LambdaEvent::new(event, context), &deps).await });
        let Ok(response) = handled.await.expect("it does not panic");
        response
            .batch_item_failures
            .iter()
            .map(|failure| failure.item_identifier.parse().expect("ours"))
            .collect()
    }

    async fn handle_all(&self, bodies: &[String]) {
        assert_eq!(self.handle_batch(bodies).await, [0_usize; 0]);
    }

    fn event(&self, kind: &str, at: i64, user: &Value) -> String {
        event_of(&self.org.id, kind, at, user)
    }

    async fn user(&self, id: UserId) -> Option<User> {
        self.store()
            .user(&self.org.id, id)
            .await
            .expect("the table answers")
    }

    fn store(&self) -> Store {
        self.org.stack.store()
    }

    /// Copies a user's profile, page by page, and gives the number of pages.
    async fn copies(&self, id: UserId) -> usize {
        let (mut after, mut pages) = (None, 1);
        loop {
            let now = Timestamp::now();
            let page = self
                .store()
                .copy_profile(&self.org.id, id, after, now)
                .await
                .expect("it is copied");
            after = page.and_then(|page| page.next);
            if after.is_none() {
                return pages;
            }
            pages += 1;
        }
    }

    async fn itsm_team(&self, team: &str) -> Value {
        self.org.itsm.get(&format!("/v1/teams/{team}")).await.json["data"].clone()
    }
}

/// An event of a moment of its own, in seconds, whose id is that moment's.
fn event_of(org: &OrganizationId, kind: &str, at: i64, user: &Value) -> String {
    json!({
        "specversion": "1.0", "id": format!("e{at}"), "source": "desk", "type": kind, "time": 1_736_064_000 + at,
        "data": {"organization_id": org.as_str(), "user": user},
    })
    .to_string()
}

fn new_id() -> UserId {
    UserId::new(Uuid::new_v4())
}

fn user_fields(id: UserId, name: &str) -> Value {
    json!({"id": id.uuid().to_string(), "name": name, "email": format!("{name}@acme.example"), "status": "active"})
}

#[tokio::test]
async fn users_come_change_and_go() {
    let fixture = DirectoryFixture::new().await;
    let id = new_id();
    let prefixed = format!("usr_{}", id.uuid());
    fixture.handle_all(&[fixture.event("user.created", 1, &json!({
        "id": prefixed, "full_name": "Ann Lee", "email": "ann@acme.example", "is_active": true, "avatar_url": "https://x/a",
    }))]).await;
    let created = fixture.user(id).await.expect("she is there");
    assert_eq!(
        (created.name.as_str(), created.role.as_str()),
        ("Ann Lee", "agent")
    );
    assert_eq!(
        (created.avatar_url.as_deref(), created.status),
        (Some("https://x/a"), UserStatus::Active)
    );
    let team = fixture.org.team("Team").await;
    fixture.org.member(&team, &created).await;

    fixture
        .handle_all(&[fixture.event(
            "user.updated",
            2,
            &json!({"id": prefixed, "name": "Ann Li", "role": "manager"}),
        )])
        .await;
    let updated = fixture.user(id).await.expect("she is there");
    assert_eq!(
        (updated.name.as_str(), updated.email.as_str()),
        ("Ann Li", "ann@acme.example")
    );
    assert!(updated.version > created.version);

    fixture
        .handle_all(&[fixture.event("user.deactivated", 3, &user_fields(id, "Ann"))])
        .await;
    assert_eq!(
        fixture.user(id).await.expect("she is there").status,
        UserStatus::Inactive
    );
    assert_eq!(fixture.dead_letters.received(), []);
}

#[tokio::test]
async fn duplicates_and_late_events_change_nothing() {
    let fixture = DirectoryFixture::new().await;
    let id = new_id();
    let events: Vec<String> = (1..=3)
        .map(|at| fixture.event("user.updated", at, &user_fields(id, &format!("n{at}"))))
        .collect();
    fixture.handle_all(&events[2..]).await;
    let before = fixture.user(id).await;
    fixture.handle_all(&events).await;
    fixture
        .handle_all(&[events[0].clone(), events[2].clone(), events[0].clone()])
        .await;
    assert_eq!(fixture.user(id).await, before);
    assert_eq!(before.expect("it is there").name, "n3");
}

#[tokio::test]
async fn same_second_the_later_event_time_sets_each_part() {
    let fixture = DirectoryFixture::new().await;
    let event = |kind: &str, event_id: &str, time: &str, mut user: Value| {
        user["updated_at"] = json!("2026-03-02T09:00:00Z");
        json!({
            "specversion": "1.0", "id": event_id, "source": "desk", "type": kind, "time": time,
            "data": {"organization_id": fixture.org.id.as_str(), "user": user},
        })
        .to_string()
    };
    let updated = |id| {
        event(
            "user.updated",
            "z-9",
            "2026-03-02T09:00:00.1Z",
            user_fields(id, "Kim"),
        )
    };
    let only_id = |id: UserId| json!({"id": id.uuid().to_string()});
    let deactivated = |id| {
        event(
            "user.deactivated",
            "a-9",
            "2026-03-02T09:00:00.9Z",
            only_id(id),
        )
    };
    let ids = [new_id(), new_id(), new_id()];
    fixture.handle_all(&[updated(ids[0])]).await;
    fixture.handle_all(&[deactivated(ids[0])]).await;
    fixture.handle_all(&[deactivated(ids[1])]).await;
    fixture.handle_all(&[updated(ids[1])]).await;
    fixture
        .handle_all(&[deactivated(ids[2]), updated(ids[2])])
        .await;
    for id in ids {
        let user = fixture.user(id).await.expect("the profile exists");
        assert_eq!(
            (user.name.as_str(), user.status),
            ("Kim", UserStatus::Inactive)
        );
    }
}

#[tokio::test]
async fn a_batch_is_folded_in_order_of_versions_and_written_once_a_user() {
    let org = Stack::shared().organization().await;
    let script = FaultScript::default();
    let client = script.client(&org.stack);
    let fixture = DirectoryFixture::over(org, client).await;
    let ids: Vec<UserId> = (0..30).map(|_| new_id()).collect();
    let at = |second: i64| {
        ids.iter()
            .map(move |&id| (second, user_fields(id, &format!("n{second}"))))
    };
    let events: Vec<String> = at(2)
        .chain(at(3))
        .chain(at(1))
        .map(|(second, user)| fixture.event("user.updated", second, &user))
        .collect();
    fixture.handle_all(&events).await;
    assert_eq!(
        (script.calls(&["GetItem"]), script.calls(&["PutItem"])),
        (31, 30)
    );
    for id in ids {
        assert_eq!(fixture.user(id).await.expect("it is there").name, "n3");
    }
}

#[tokio::test]
async fn poison_leaves_with_its_reason_and_blocks_nobody() {
    let fixture = DirectoryFixture::new().await;
    let id = new_id();
    let unknown = OrganizationId::parse("nobody-here").expect("of the right form");
    let bodies = [
        "{".to_owned(),
        fixture.event("user.created", 1, &user_fields(id, "Ann")),
        event_of(&unknown, "user.created", 1, &user_fields(id, "Ann")),
        fixture.event("user.created", 1, &json!({"id": "bob"})),
        fixture.event("user.merged", 1, &user_fields(id, "Ann")),
    ];
    fixture.handle_all(&bodies).await;
    assert_eq!(fixture.user(id).await.expect("she is there").name, "Ann");
    assert_eq!(
        fixture
            .store()
            .user(&unknown, id)
            .await
            .expect("the table answers"),
        None
    );
    let mut received = fixture.dead_letters.received();
    received.sort();
    let mut expected = [
        (
            0,
            "not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (2, "data.organization_id: there is no such organization"),
        (3, "data.user.id: must be a user's UUID"),
        (
            4,
            "type: must be user.created, user.updated, user.deactivated or user.deleted",
        ),
    ]
    .map(|(at, reason): (usize, &str)| (bodies[at].clone(), reason.to_owned()));
    expected.sort();
    assert_eq!(received, expected);
}

#[tokio::test]
async fn poison_that_cannot_be_sent_comes_again_alone() {
    let mut fixture = DirectoryFixture::new().await;
    fixture.deps.dead_letters = queue_at("http://127.0.0.1:1");
    fixture.time = Duration::from_secs(5);
    let id = new_id();
    let bodies = [
        fixture.event("user.created", 1, &user_fields(id, "Ann")),
        "[]".to_owned(),
    ];
    assert_eq!(fixture.handle_batch(&bodies).await, [1]);
    assert!(fixture.user(id).await.is_some());
}

#[tokio::test]
async fn what_fails_for_the_moment_comes_again_and_the_rest_is_done() {
    let org = Stack::shared().organization().await;
    let script = FaultScript::default();
    let client = script.client(&org.stack);
    let mut fixture = DirectoryFixture::over(org, client).await;
    fixture.time = Duration::from_secs(5);
    let known = fixture.org.users[0].id;
    let bodies = [
        fixture.event("user.updated", 1, &user_fields(known, "Old")),
        "{".to_owned(),
        fixture.event("user.updated", 2, &user_fields(known, "New")),
    ];
    script.always(&["PutItem"], Fault::Respond(400, "ThrottlingException"));
    assert_eq!(fixture.handle_batch(&bodies).await, [0, 2]);
    assert_eq!(fixture.dead_letters.received().len(), 1);

    script.always(&["GetItem"], Fault::NoResponse);
    assert_eq!(fixture.handle_batch(&bodies).await, [0, 2]);
}

#[tokio::test]
async fn a_lost_answer_or_another_writer_does_no_harm() {
    for lost in [true, false] {
        let org = Stack::shared().organization().await;
        let script = FaultScript::default();
        let client = script.client(&org.stack);
        let fixture = DirectoryFixture::over(org, client).await;
        let id = new_id();
        let fault = if lost {
            Fault::ResponseDropped
        } else {
            let (store, org) = (fixture.store(), fixture.org.id.clone());
            Fault::RunFirst(Arc::new(move || {
                let (store, org) = (store.clone(), org.clone());
                Box::pin(async move {
                    let user_fields = |name: &str| {
                        let version = EventVersion {
                            at: Timestamp::from_millis(5),
                            time: None,
                            event_id: String::new(),
                        };
                        let user = UserSnapshot {
                            name: Some(name.to_owned()),
                            role: Some("manager".to_owned()),
                            ..UserSnapshot::nothing_of(id)
                        };
                        (version, user)
                    };
                    store
                        .hear_of_user(&org, id, &[user_fields("Other")], Timestamp::now())
                        .await
                        .expect("it is written");
                })
            }))
        };
        script.once(&["PutItem"], fault);
        fixture
            .handle_all(&[fixture.event("user.created", 1, &user_fields(id, "Ann"))])
            .await;
        assert!(script.is_consumed());
        let user = fixture.user(id).await.expect("she is there");
        assert_eq!(
            (user.name.as_str(), user.role.as_str()),
            ("Ann", if lost { "agent" } else { "manager" })
        );
    }
}

#[tokio::test]
async fn a_changed_profile_is_copied_into_every_membership_and_never_goes_back() {
    let fixture = DirectoryFixture::new().await;
    let user = fixture.org.users[0].clone();
    let mut teams = Vec::new();
    for n in 0..3 {
        let team = fixture.org.team(&format!("Team {n}")).await;
        fixture.org.member(&team, &user).await;
        teams.push(team);
    }
    let other = fixture.itsm_team(&teams[0]).await["updated_at"].clone();
    fixture
        .handle_all(&[fixture.event(
            "user.updated",
            1,
            &json!({
                "id": bare(&user), "name": "Renamed", "avatar_url": "https://x/r", "status": "suspended",
            }),
        )])
        .await;
    assert_eq!(fixture.copies(user.id).await, 1);
    for team in &teams {
        let team = fixture.itsm_team(team).await;
        let member = &team["members"][0];
        assert_eq!(
            (
                &member["name"],
                &member["avatar_url"],
                &member["status"],
                &member["email"]
            ),
            (
                &json!("Renamed"),
                &json!("https://x/r"),
                &json!("suspended"),
                &json!(user.email)
            ),
        );
    }
    assert_eq!(fixture.itsm_team(&teams[0]).await["updated_at"], other);

    // An older profile, as a job that came late would have read it.
    fixture
        .store()
        .put_users(&fixture.org.id, std::slice::from_ref(&user))
        .await
        .expect("it is written");
    assert_eq!(fixture.copies(user.id).await, 1);
    assert_eq!(
        fixture.itsm_team(&teams[0]).await["members"][0]["name"],
        "Renamed"
    );
    assert_eq!(
        fixture.copies(new_id()).await,
        1,
        "nobody has nothing to copy"
    );
}

#[tokio::test]
async fn more_memberships_than_a_page_are_copied_page_by_page() {
    let fixture = DirectoryFixture::new().await;
    let user = fixture.org.users[0].clone();
    let teams = futures_util::future::join_all((0..105).map(|n| {
        let (org, user) = (&fixture.org, &user);
        async move {
            let team = org.team(&format!("Team {n}")).await;
            org.member(&team, user).await;
            team
        }
    }))
    .await;
    fixture
        .handle_all(&[fixture.event("user.deleted", 1, &json!({"id": bare(&user)}))])
        .await;
    assert_eq!(
        fixture.copies(user.id).await,
        3,
        "two of memberships, one of leads"
    );
    for team in &teams {
        assert_eq!(
            fixture.itsm_team(team).await["members"][0]["status"],
            "inactive"
        );
    }
}

#[tokio::test]
async fn a_deleted_user_is_inactive_everywhere_and_leads_nothing_for_good() {
    let fixture = DirectoryFixture::new().await;
    let (user, other) = (fixture.org.users[0].clone(), fixture.org.users[1].clone());
    let lead = |lead: &User| json!({"lead_id": bare(lead)});
    let mut teams = Vec::new();
    for (n, who) in [&user, &user, &other].into_iter().enumerate() {
        let team = fixture.org.team(&format!("Team {n}")).await;
        assert_eq!(
            fixture
                .org
                .itsm
                .patch(&format!("/v1/teams/{team}"), lead(who))
                .await
                .status,
            200
        );
        teams.push(team);
    }
    fixture.org.member(&teams[0], &user).await;
    let before: Vec<Value> = vec![
        fixture.itsm_team(&teams[0]).await,
        fixture.itsm_team(&teams[2]).await,
    ];

    fixture
        .handle_all(&[fixture.event("user.deleted", 1, &json!({"id": bare(&user)}))])
        .await;
    fixture.copies(user.id).await;
    assert_eq!(
        fixture
            .user(user.id)
            .await
            .expect("a tombstone stays")
            .status,
        UserStatus::Deleted
    );
    for team in &teams[..2] {
        assert_eq!(fixture.itsm_team(team).await["lead_id"], Value::Null);
    }
    let after = fixture.itsm_team(&teams[0]).await;
    let id = format!("usr_{}", bare(&user));
    let tombstone = json!({
        "id": id, "name": "Deleted user", "email": "", "role": "agent", "avatar_url": null, "status": "inactive",
    });
    assert_eq!(after["members"], json!([tombstone]));
    let after_bare = fixture
        .org
        .toptickets
        .get(&format!("/v1/teams/{}", teams[0]))
        .await;
    let tombstone = json!({"id": bare(&user), "email": "", "full_name": "Deleted user"});
    assert_eq!(
        after_bare.json["members"],
        json!([tombstone]),
        "{after_bare}"
    );
    assert!(after["updated_at"].as_i64() >= before[0]["updated_at"].as_i64());
    assert_eq!(
        fixture.itsm_team(&teams[2]).await,
        before[1],
        "who leads another team leads it still"
    );
    let workload = fixture
        .org
        .itsm
        .get(&format!("/v1/teams/{}/workload", teams[0]))
        .await;
    assert_eq!(
        workload.json["data"]["members"][0]["status"], "inactive",
        "{workload}"
    );

    // What comes later does not bring them back, and nobody can add them or make them lead.
    fixture
        .handle_all(&[fixture.event("user.updated", 9, &user_fields(user.id, "Back"))])
        .await;
    assert_eq!(
        fixture
            .user(user.id)
            .await
            .expect("a tombstone stays")
            .status,
        UserStatus::Deleted
    );
    let added = fixture
        .org
        .itsm
        .post(
            &format!("/v1/teams/{}/members", teams[1]),
            json!({"user_id": bare(&user)}),
        )
        .await;
    assert_eq!(
        (
            added.status.as_u16(),
            &added.json["error"]["details"]["field"]
        ),
        (422, &json!("user_id")),
        "{added}"
    );
    let led = fixture
        .org
        .itsm
        .patch(&format!("/v1/teams/{}", teams[1]), lead(&user))
        .await;
    assert_eq!(
        (led.status.as_u16(), &led.json["error"]["details"]["field"]),
        (422, &json!("lead_id")),
        "{led}"
    );
    let added = fixture
        .org
        .toptickets
        .post(
            &format!("/v1/teams/{}/members", teams[1]),
            json!({"user_id": bare(&user)}),
        )
        .await;
    assert_eq!(
        (added.status.as_u16(), &added.json["detail"]),
        (422, &json!("User is not active")),
        "{added}"
    );
}

#[tokio::test]
async fn an_organization_begins_with_its_first_key_or_import() {
    let stack = Stack::shared();
    let id = OrganizationId::parse(&format!("org_{}", Uuid::new_v4().simple()))
        .expect("of the right form");
    assert!(
        !stack
            .store()
            .organization_exists(&id)
            .await
            .expect("the table answers")
    );
    let org = stack.organization_of(id, Vec::new()).await;
    assert!(
        stack
            .store()
            .organization_exists(&org.id)
            .await
            .expect("the table answers")
    );
    org.team("Team").await;
    stack
        .store()
        .begin_organization(&org.id)
        .await
        .expect("it is there already");
    assert_eq!(
        org.itsm.get("/v1/teams").await.json["meta"]["pagination"]["total"],
        1
    );
}

/// Table and endpoint of the scene, for the operator's commands.
fn target(fixture: &DirectoryFixture) -> TableTarget {
    TableTarget {
        table: fixture.org.stack.table.clone(),
        endpoint_url: Some(fixture.org.stack.dynamodb_url.parse().expect("a URL")),
    }
}

/// Runs `muster users import` on a file of these users, each with the name `Imported`.
async fn imports(fixture: &DirectoryFixture, users: &[&User]) -> Result<(), String> {
    let line = |user: &&User| {
        json!({"id": bare(user), "name": "Imported", "email": "i@acme.example"}).to_string()
    };
    let file = std::env::temp_dir().join(format!("muster-users-{}.jsonl", Uuid::new_v4()));
    std::fs::write(&file, users.iter().map(line).collect::<Vec<_>>().join("\n"))
        .expect("a file can be written");
    let arguments = Import {
        organization: fixture.org.id.clone(),
        file: file.clone(),
        ignore_unknown: false,
        target: target(fixture),
    };
    let outcome = arguments.run().await;
    std::fs::remove_file(file).expect("it is there");
    outcome.map_err(|error| error.to_string())
}

/// Runs `muster users erase` on one user.
async fn erases(fixture: &DirectoryFixture, user: UserId) {
    let arguments = Erase {
        organization: fixture.org.id.clone(),
        users: vec![user],
        target: target(fixture),
    };
    arguments.run().await.expect("the user is erased");
}

#[tokio::test]
async fn import_of_a_deleted_user_changes_nothing_and_succeeds() {
    let fixture = DirectoryFixture::new().await;
    let (late, gone) = (fixture.org.users[0].clone(), fixture.org.users[1].clone());
    fixture
        .handle_all(&[fixture.event("user.deleted", 1, &json!({"id": bare(&gone)}))])
        .await;
    let tombstone = fixture.user(gone.id).await;
    assert_eq!(imports(&fixture, &[&late, &gone]).await, Ok(()));
    assert_eq!(fixture.user(gone.id).await, tombstone);
    let imported = fixture.user(late.id).await.expect("they are there");
    assert_eq!(
        (imported.name.as_str(), imported.status),
        ("Imported", UserStatus::Active)
    );

    // An event from before the import is late; one that is ahead of our clock is later than the
    // next import.
    fixture
        .handle_all(&[fixture.event("user.updated", 9, &user_fields(late.id, "Late"))])
        .await;
    assert_eq!(fixture.user(late.id).await, Some(imported));
    let ahead = Timestamp::now().secs() + 200 - 1_736_064_000;
    fixture
        .handle_all(&[fixture.event("user.updated", ahead, &user_fields(late.id, "Ahead"))])
        .await;
    let refused = imports(&fixture, &[&late, &gone])
        .await
        .expect_err("a line is left out");
    assert!(refused.starts_with("1 lines were left out"), "{refused}");
    assert_eq!(
        fixture.user(late.id).await.expect("they are there").name,
        "Ahead"
    );
}

#[tokio::test]
async fn erase_makes_the_tombstone_of_known_and_unknown_users() {
    let fixture = DirectoryFixture::new().await;
    let (known, unknown) = (fixture.org.users[0].clone(), new_id());
    let team = fixture.org.team("Team").await;
    fixture.org.member(&team, &known).await;
    for id in [known.id, unknown] {
        erases(&fixture, id).await;
        let first = fixture.user(id).await.expect("a tombstone is there");
        assert_eq!(first, User::tombstone(id, first.version));
        fixture
            .handle_all(&[fixture.event("user.created", 1, &user_fields(id, "Back"))])
            .await;
        assert_eq!(
            fixture.user(id).await.as_ref(),
            Some(&first),
            "events change nothing"
        );
        erases(&fixture, id).await;
        let second = fixture.user(id).await.expect("a tombstone is there");
        assert!(
            second.version > first.version,
            "a new version starts the copy again"
        );
        assert_eq!(second, User::tombstone(id, second.version));
    }
    fixture.copies(known.id).await;
    assert_eq!(
        fixture.itsm_team(&team).await["members"][0]["name"],
        "Deleted user"
    );

    let organization = OrganizationId::parse("misspelt").expect("of the right form");
    let misspelt = Erase {
        organization,
        users: vec![unknown],
        target: target(&fixture),
    };
    let error = misspelt
        .run()
        .await
        .expect_err("there is no such organization")
        .to_string();
    assert!(
        error.contains("misspelt") && error.contains("--organization"),
        "{error}"
    );
}

/// A former member has counters without a profile, so copies and erasure have nothing to do there.
#[tokio::test]
async fn former_member_has_no_profile_and_returns_with_the_latest() {
    let fixture = DirectoryFixture::new().await;
    let user = fixture.org.users[0].clone();
    let team = fixture.org.team("Team").await;
    fixture.org.member(&team, &user).await;
    let member = format!("/v1/teams/{team}/members/{}", bare(&user));
    assert_eq!(fixture.org.itsm.delete(&member).await.status, 204);
    let contents = OrgTable::of(&fixture.org).contents().await;
    assert_eq!((contents.memberships.len(), contents.pasts.len()), (0, 1));
    let left = contents.pasts[0].item.clone();
    let mut attributes: Vec<_> = left.keys().map(String::as_str).collect();
    attributes.sort_unstable();
    let counters = [
        "in_progress_tickets",
        "last_turn",
        "open_tickets",
        "pk",
        "resolved_ms",
        "resolved_tickets",
        "rev",
        "sk",
    ];
    assert_eq!(attributes, counters);

    fixture
        .handle_all(&[fixture.event("user.updated", 1, &user_fields(user.id, "Renamed"))])
        .await;
    fixture.copies(user.id).await;
    assert_eq!(
        OrgTable::of(&fixture.org).contents().await.pasts[0].item,
        left
    );
    fixture.org.member(&team, &user).await;
    let contents = OrgTable::of(&fixture.org).contents().await;
    assert_eq!((contents.memberships.len(), contents.pasts.len()), (1, 0));
    assert_eq!(
        text(&contents.memberships[0].item, "name"),
        "Renamed",
        "the profile comes with the return"
    );
}

/// A copy that changes whether a member is active moves `eligible` of the team's load in the same
/// transaction.
#[tokio::test]
async fn copy_of_another_status_moves_eligible_of_each_team() {
    let fixture = DirectoryFixture::new().await;
    let user = fixture.org.users[0].clone();
    let [one, another] = [
        fixture.org.team("One").await,
        fixture.org.team("Another").await,
    ];
    for team in [&one, &another] {
        fixture.org.member(team, &user).await;
        fixture.org.member(team, &fixture.org.users[1]).await;
    }
    let eligible = async || {
        let contents = OrgTable::of(&fixture.org).contents().await;
        contents.assert_sound();
        [&one, &another].map(|team| number(&contents.loads[team], "eligible"))
    };
    assert_eq!(eligible().await, [2, 2]);
    for (at, status, expected) in [
        (1, "inactive", 1),
        // From one inactive status to another, and again the same.
        (2, "suspended", 1),
        (3, "suspended", 1),
        (4, "active", 2),
        (5, "active", 2),
        (6, "inactive", 1),
    ] {
        let mut profile = user_fields(user.id, &format!("Name {at}"));
        profile["status"] = json!(status);
        fixture
            .handle_all(&[fixture.event("user.updated", at, &profile)])
            .await;
        // A copy that is repeated changes nothing.
        fixture.copies(user.id).await;
        fixture.copies(user.id).await;
        assert_eq!(eligible().await, [expected; 2], "{status} at {at}");
        let shown = fixture.itsm_team(&one).await;
        let member = shown["members"]
            .as_array()
            .and_then(|members| members.iter().find(|m| m["id"] == bare_itsm(&user)));
        assert_eq!(
            member.expect("a member")["name"],
            json!(format!("Name {at}"))
        );
    }
    // An inactive member who leaves does not count, and who is deleted is not eligible.
    assert_eq!(
        fixture
            .org
            .itsm
            .delete(&format!("/v1/teams/{one}/members/{}", bare(&user)))
            .await
            .status,
        204
    );
    fixture
        .handle_all(&[fixture.event(
            "user.deleted",
            7,
            &json!({"id": bare(&fixture.org.users[1])}),
        )])
        .await;
    fixture.copies(fixture.org.users[1].id).await;
    assert_eq!(eligible().await, [0, 0]);
}

fn bare_itsm(user: &User) -> String {
    format!("usr_{}", bare(user))
}

/// Sends an event to the user queue of the stack and waits until the function has handled it.
async fn sends(org: &Organization, kind: &str, at: i64, user: &Value) {
    org.stack
        .send("users", [event_of(&org.id, kind, at, user)])
        .await;
    org.stack.until_empty("users").await;
}

/// The whole stack: queue, table, stream and jobs.
#[tokio::test]
async fn deleted_user_is_in_no_item_of_the_table() {
    let org = Stack::with_fast_delivery(Duration::from_millis(200))
        .await
        .organization()
        .await;
    let (erased, id) = (new_id(), |id: UserId| id.uuid().to_string());
    let (needle, by_command) = (Uuid::new_v4().simple().to_string(), new_id());
    let needles = [
        format!("Erika{needle}"),
        format!("erika@{needle}.example"),
        format!("{needle}/e.jpg"),
    ];
    let profile = |user: UserId| {
        json!({
            "id": id(user), "name": needles[0], "email": needles[1], "role": "manager", "status": "active",
            "avatar_url": format!("https://cdn.example/{}", needles[2]),
        })
    };
    let [present, past] = [org.team("Present").await, org.team("Past").await];
    for user in [erased, by_command] {
        sends(&org, "user.created", 1, &profile(user)).await;
        for team in [&present, &past] {
            let added = org
                .itsm
                .post(
                    &format!("/v1/teams/{team}/members"),
                    json!({"user_id": id(user)}),
                )
                .await;
            assert_eq!(added.status, 201, "{added}");
        }
        let removed = org
            .itsm
            .delete(&format!("/v1/teams/{past}/members/{}", id(user)))
            .await;
        assert_eq!(removed.status, 204, "{removed}");
        let led = org
            .itsm
            .patch(&format!("/v1/teams/{past}"), json!({"lead_id": id(user)}))
            .await;
        assert_eq!(led.status, 200, "{led}");
    }
    assert!(
        items_with(&org, &needles).await >= 4,
        "the profiles and their copies"
    );

    sends(&org, "user.deleted", 2, &json!({"id": id(erased)})).await;
    org.stack
        .store()
        .erase_user(&org.id, by_command, Timestamp::now())
        .await
        .expect("the user is erased");
    wait_until("no item has personal data", async || {
        items_with(&org, &needles).await == 0
    })
    .await;
    wait_until("the lead is cleared", async || {
        org.itsm.get(&format!("/v1/teams/{past}")).await.json["data"]["lead_id"].is_null()
    })
    .await;
    let members =
        org.itsm.get(&format!("/v1/teams/{present}")).await.json["data"]["members"].clone();
    for member in members.as_array().expect("members") {
        assert_eq!(
            (&member["name"], &member["role"]),
            (&json!("Deleted user"), &json!("agent")),
            "{members}"
        );
    }
}

/// Number of items of the whole table with one of these texts in any attribute.
async fn items_with(org: &Organization, needles: &[String]) -> usize {
    let scan = org
        .stack
        .dynamodb()
        .scan()
        .table_name(&org.stack.table)
        .consistent_read(true);
    let items: Vec<Item> = scan
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .expect("the table can be read");
    items
        .iter()
        .filter(|item| {
            needles
                .iter()
                .any(|needle| format!("{item:?}").contains(needle))
        })
        .count()
}
