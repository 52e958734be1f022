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
use muster_cli::{
    args::{Target, UsersErase, UsersImport},
    commands::users::{erase, import},
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
    direct::{self, client_config},
    faulty::{Fault, Script},
    table::{Item, Table as RawTable, number, text},
    until,
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
                        let answer = kept.answer(&request).to_string();
                        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length:";
                        let response = format!("{head} {}\r\n\r\n{answer}", answer.len());
                        if connection.write_all(response.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        queue_at(&url)
    }

    fn answer(&self, request: &Value) -> Value {
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
        .http_client(direct::http())
        .endpoint_url(url)
        .build();
    Queue::new(
        aws_sdk_sqs::Client::from_conf(config),
        format!("{url}/000000000000/users-dead"),
    )
}

/// An organization, and the function that hears of its users.
struct Scene {
    org: Organization,
    dead_letters: DeadLetters,
    deps: Deps,
    /// How long an invocation has.
    time: Duration,
}

impl Scene {
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
    async fn hears(&self, bodies: &[String]) -> Vec<usize> {
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

    async fn hears_well(&self, bodies: &[String]) {
        assert_eq!(self.hears(bodies).await, [0_usize; 0]);
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

fn said(id: UserId, name: &str) -> Value {
    json!({"id": id.uuid().to_string(), "name": name, "email": format!("{name}@acme.example"), "status": "active"})
}

#[tokio::test]
async fn users_come_change_and_go() {
    let scene = Scene::new().await;
    let id = new_id();
    let prefixed = format!("usr_{}", id.uuid());
    scene.hears_well(&[scene.event("user.created", 1, &json!({
        "id": prefixed, "full_name": "Ann Lee", "email": "ann@acme.example", "is_active": true, "avatar_url": "https://x/a",
    }))]).await;
    let created = scene.user(id).await.expect("she is there");
    assert_eq!(
        (created.name.as_str(), created.role.as_str()),
        ("Ann Lee", "agent")
    );
    assert_eq!(
        (created.avatar_url.as_deref(), created.status),
        (Some("https://x/a"), UserStatus::Active)
    );
    let team = scene.org.team("Team").await;
    scene.org.member(&team, &created).await;

    scene
        .hears_well(&[scene.event(
            "user.updated",
            2,
            &json!({"id": prefixed, "name": "Ann Li", "role": "manager"}),
        )])
        .await;
    let updated = scene.user(id).await.expect("she is there");
    assert_eq!(
        (updated.name.as_str(), updated.email.as_str()),
        ("Ann Li", "ann@acme.example")
    );
    assert!(updated.version > created.version);

    scene
        .hears_well(&[scene.event("user.deactivated", 3, &said(id, "Ann"))])
        .await;
    assert_eq!(
        scene.user(id).await.expect("she is there").status,
        UserStatus::Inactive
    );
    assert_eq!(scene.dead_letters.received(), []);
}

#[tokio::test]
async fn duplicates_and_late_events_change_nothing() {
    let scene = Scene::new().await;
    let id = new_id();
    let events: Vec<String> = (1..=3)
        .map(|at| scene.event("user.updated", at, &said(id, &format!("n{at}"))))
        .collect();
    scene.hears_well(&events[2..]).await;
    let before = scene.user(id).await;
    scene.hears_well(&events).await;
    scene
        .hears_well(&[events[0].clone(), events[2].clone(), events[0].clone()])
        .await;
    assert_eq!(scene.user(id).await, before);
    assert_eq!(before.expect("it is there").name, "n3");
}

#[tokio::test]
async fn same_second_the_later_event_time_sets_each_part() {
    let scene = Scene::new().await;
    let event = |kind: &str, event_id: &str, time: &str, mut user: Value| {
        user["updated_at"] = json!("2026-03-02T09:00:00Z");
        json!({
            "specversion": "1.0", "id": event_id, "source": "desk", "type": kind, "time": time,
            "data": {"organization_id": scene.org.id.as_str(), "user": user},
        })
        .to_string()
    };
    let updated = |id| {
        event(
            "user.updated",
            "z-9",
            "2026-03-02T09:00:00.1Z",
            said(id, "Kim"),
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
    scene.hears_well(&[updated(ids[0])]).await;
    scene.hears_well(&[deactivated(ids[0])]).await;
    scene.hears_well(&[deactivated(ids[1])]).await;
    scene.hears_well(&[updated(ids[1])]).await;
    scene
        .hears_well(&[deactivated(ids[2]), updated(ids[2])])
        .await;
    for id in ids {
        let user = scene.user(id).await.expect("the profile exists");
        assert_eq!(
            (user.name.as_str(), user.status),
            ("Kim", UserStatus::Inactive)
        );
    }
}

#[tokio::test]
async fn a_batch_is_folded_in_order_of_versions_and_written_once_a_user() {
    let org = Stack::shared().organization().await;
    let script = Script::default();
    let client = script.client(&org.stack);
    let scene = Scene::over(org, client).await;
    let ids: Vec<UserId> = (0..30).map(|_| new_id()).collect();
    let at = |second: i64| {
        ids.iter()
            .map(move |&id| (second, said(id, &format!("n{second}"))))
    };
    let events: Vec<String> = at(2)
        .chain(at(3))
        .chain(at(1))
        .map(|(second, user)| scene.event("user.updated", second, &user))
        .collect();
    scene.hears_well(&events).await;
    assert_eq!(
        (script.calls(&["GetItem"]), script.calls(&["PutItem"])),
        (31, 30)
    );
    for id in ids {
        assert_eq!(scene.user(id).await.expect("it is there").name, "n3");
    }
}

#[tokio::test]
async fn poison_leaves_with_its_reason_and_blocks_nobody() {
    let scene = Scene::new().await;
    let id = new_id();
    let unknown = OrganizationId::parse("nobody-here").expect("of the right form");
    let bodies = [
        "{".to_owned(),
        scene.event("user.created", 1, &said(id, "Ann")),
        event_of(&unknown, "user.created", 1, &said(id, "Ann")),
        scene.event("user.created", 1, &json!({"id": "bob"})),
        scene.event("user.merged", 1, &said(id, "Ann")),
    ];
    scene.hears_well(&bodies).await;
    assert_eq!(scene.user(id).await.expect("she is there").name, "Ann");
    assert_eq!(
        scene
            .store()
            .user(&unknown, id)
            .await
            .expect("the table answers"),
        None
    );
    let mut received = scene.dead_letters.received();
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
    let mut scene = Scene::new().await;
    scene.deps.dead_letters = queue_at("http://127.0.0.1:1");
    scene.time = Duration::from_secs(5);
    let id = new_id();
    let bodies = [
        scene.event("user.created", 1, &said(id, "Ann")),
        "[]".to_owned(),
    ];
    assert_eq!(scene.hears(&bodies).await, [1]);
    assert!(scene.user(id).await.is_some());
}

#[tokio::test]
async fn what_fails_for_the_moment_comes_again_and_the_rest_is_done() {
    let org = Stack::shared().organization().await;
    let script = Script::default();
    let client = script.client(&org.stack);
    let mut scene = Scene::over(org, client).await;
    scene.time = Duration::from_secs(5);
    let known = scene.org.users[0].id;
    let bodies = [
        scene.event("user.updated", 1, &said(known, "Old")),
        "{".to_owned(),
        scene.event("user.updated", 2, &said(known, "New")),
    ];
    script.always(&["PutItem"], Fault::Answer(400, "ThrottlingException"));
    assert_eq!(scene.hears(&bodies).await, [0, 2]);
    assert_eq!(scene.dead_letters.received().len(), 1);

    script.always(&["GetItem"], Fault::Silence);
    assert_eq!(scene.hears(&bodies).await, [0, 2]);
}

#[tokio::test]
async fn a_lost_answer_or_another_writer_does_no_harm() {
    for lost in [true, false] {
        let org = Stack::shared().organization().await;
        let script = Script::default();
        let client = script.client(&org.stack);
        let scene = Scene::over(org, client).await;
        let id = new_id();
        let fault = if lost {
            Fault::LostToDrop
        } else {
            let (store, org) = (scene.store(), scene.org.id.clone());
            Fault::After(Arc::new(move || {
                let (store, org) = (store.clone(), org.clone());
                Box::pin(async move {
                    let said = |name: &str| {
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
                        .hear_of_user(&org, id, &[said("Other")], Timestamp::now())
                        .await
                        .expect("it is written");
                })
            }))
        };
        script.once(&["PutItem"], fault);
        scene
            .hears_well(&[scene.event("user.created", 1, &said(id, "Ann"))])
            .await;
        assert!(script.is_played());
        let user = scene.user(id).await.expect("she is there");
        assert_eq!(
            (user.name.as_str(), user.role.as_str()),
            ("Ann", if lost { "agent" } else { "manager" })
        );
    }
}

#[tokio::test]
async fn a_changed_profile_is_copied_into_every_membership_and_never_goes_back() {
    let scene = Scene::new().await;
    let user = scene.org.users[0].clone();
    let mut teams = Vec::new();
    for n in 0..3 {
        let team = scene.org.team(&format!("Team {n}")).await;
        scene.org.member(&team, &user).await;
        teams.push(team);
    }
    let other = scene.itsm_team(&teams[0]).await["updated_at"].clone();
    scene
        .hears_well(&[scene.event(
            "user.updated",
            1,
            &json!({
                "id": bare(&user), "name": "Renamed", "avatar_url": "https://x/r", "status": "suspended",
            }),
        )])
        .await;
    assert_eq!(scene.copies(user.id).await, 1);
    for team in &teams {
        let team = scene.itsm_team(team).await;
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
    assert_eq!(scene.itsm_team(&teams[0]).await["updated_at"], other);

    // An older profile, as a job that came late would have read it.
    scene
        .store()
        .put_users(&scene.org.id, std::slice::from_ref(&user))
        .await
        .expect("it is written");
    assert_eq!(scene.copies(user.id).await, 1);
    assert_eq!(
        scene.itsm_team(&teams[0]).await["members"][0]["name"],
        "Renamed"
    );
    assert_eq!(
        scene.copies(new_id()).await,
        1,
        "nobody has nothing to copy"
    );
}

#[tokio::test]
async fn more_memberships_than_a_page_are_copied_page_by_page() {
    let scene = Scene::new().await;
    let user = scene.org.users[0].clone();
    let teams = futures_util::future::join_all((0..105).map(|n| {
        let (org, user) = (&scene.org, &user);
        async move {
            let team = org.team(&format!("Team {n}")).await;
            org.member(&team, user).await;
            team
        }
    }))
    .await;
    scene
        .hears_well(&[scene.event("user.deleted", 1, &json!({"id": bare(&user)}))])
        .await;
    assert_eq!(
        scene.copies(user.id).await,
        3,
        "two of memberships, one of leads"
    );
    for team in &teams {
        assert_eq!(
            scene.itsm_team(team).await["members"][0]["status"],
            "inactive"
        );
    }
}

#[tokio::test]
async fn a_deleted_user_is_inactive_everywhere_and_leads_nothing_for_good() {
    let scene = Scene::new().await;
    let (user, other) = (scene.org.users[0].clone(), scene.org.users[1].clone());
    let lead = |lead: &User| json!({"lead_id": bare(lead)});
    let mut teams = Vec::new();
    for (n, who) in [&user, &user, &other].into_iter().enumerate() {
        let team = scene.org.team(&format!("Team {n}")).await;
        assert_eq!(
            scene
                .org
                .itsm
                .patch(&format!("/v1/teams/{team}"), lead(who))
                .await
                .status,
            200
        );
        teams.push(team);
    }
    scene.org.member(&teams[0], &user).await;
    let before: Vec<Value> = vec![
        scene.itsm_team(&teams[0]).await,
        scene.itsm_team(&teams[2]).await,
    ];

    scene
        .hears_well(&[scene.event("user.deleted", 1, &json!({"id": bare(&user)}))])
        .await;
    scene.copies(user.id).await;
    assert_eq!(
        scene.user(user.id).await.expect("a tombstone stays").status,
        UserStatus::Deleted
    );
    for team in &teams[..2] {
        assert_eq!(scene.itsm_team(team).await["lead_id"], Value::Null);
    }
    let after = scene.itsm_team(&teams[0]).await;
    let id = format!("usr_{}", bare(&user));
    let tombstone = json!({
        "id": id, "name": "Deleted user", "email": "", "role": "agent", "avatar_url": null, "status": "inactive",
    });
    assert_eq!(after["members"], json!([tombstone]));
    let after_bare = scene
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
        scene.itsm_team(&teams[2]).await,
        before[1],
        "who leads another team leads it still"
    );
    let workload = scene
        .org
        .itsm
        .get(&format!("/v1/teams/{}/workload", teams[0]))
        .await;
    assert_eq!(
        workload.json["data"]["members"][0]["status"], "inactive",
        "{workload}"
    );

    // What comes later does not bring them back, and nobody can add them or make them lead.
    scene
        .hears_well(&[scene.event("user.updated", 9, &said(user.id, "Back"))])
        .await;
    assert_eq!(
        scene.user(user.id).await.expect("a tombstone stays").status,
        UserStatus::Deleted
    );
    let added = scene
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
    let led = scene
        .org
        .itsm
        .patch(&format!("/v1/teams/{}", teams[1]), lead(&user))
        .await;
    assert_eq!(
        (led.status.as_u16(), &led.json["error"]["details"]["field"]),
        (422, &json!("lead_id")),
        "{led}"
    );
    let added = scene
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
fn target(scene: &Scene) -> Target {
    Target {
        table: scene.org.stack.table.clone(),
        endpoint_url: Some(scene.org.stack.dynamodb_url.parse().expect("a URL")),
    }
}

/// Runs `muster users import` on a file of these users, each with the name `Imported`.
async fn imports(scene: &Scene, users: &[&User]) -> Result<(), String> {
    let line = |user: &&User| {
        json!({"id": bare(user), "name": "Imported", "email": "i@acme.example"}).to_string()
    };
    let file = std::env::temp_dir().join(format!("muster-users-{}.jsonl", Uuid::new_v4()));
    std::fs::write(&file, users.iter().map(line).collect::<Vec<_>>().join("\n"))
        .expect("a file can be written");
    let arguments = UsersImport {
        organization: scene.org.id.clone(),
        file: file.clone(),
        ignore_unknown: false,
        target: target(scene),
    };
    let outcome = import(arguments).await;
    std::fs::remove_file(file).expect("it is there");
    outcome.map_err(|error| error.to_string())
}

/// Runs `muster users erase` on one user.
async fn erases(scene: &Scene, user: UserId) {
    let arguments = UsersErase {
        organization: scene.org.id.clone(),
        users: vec![user],
        target: target(scene),
    };
    erase(arguments).await.expect("the user is erased");
}

#[tokio::test]
async fn import_of_a_deleted_user_changes_nothing_and_succeeds() {
    let scene = Scene::new().await;
    let (late, gone) = (scene.org.users[0].clone(), scene.org.users[1].clone());
    scene
        .hears_well(&[scene.event("user.deleted", 1, &json!({"id": bare(&gone)}))])
        .await;
    let tombstone = scene.user(gone.id).await;
    assert_eq!(imports(&scene, &[&late, &gone]).await, Ok(()));
    assert_eq!(scene.user(gone.id).await, tombstone);
    let imported = scene.user(late.id).await.expect("they are there");
    assert_eq!(
        (imported.name.as_str(), imported.status),
        ("Imported", UserStatus::Active)
    );

    // An event from before the import is late; one that is ahead of our clock is later than the
    // next import.
    scene
        .hears_well(&[scene.event("user.updated", 9, &said(late.id, "Late"))])
        .await;
    assert_eq!(scene.user(late.id).await, Some(imported));
    let ahead = Timestamp::now().secs() + 200 - 1_736_064_000;
    scene
        .hears_well(&[scene.event("user.updated", ahead, &said(late.id, "Ahead"))])
        .await;
    let refused = imports(&scene, &[&late, &gone])
        .await
        .expect_err("a line is left out");
    assert!(refused.starts_with("1 lines were left out"), "{refused}");
    assert_eq!(
        scene.user(late.id).await.expect("they are there").name,
        "Ahead"
    );
}

#[tokio::test]
async fn erase_makes_the_tombstone_of_known_and_unknown_users() {
    let scene = Scene::new().await;
    let (known, unknown) = (scene.org.users[0].clone(), new_id());
    let team = scene.org.team("Team").await;
    scene.org.member(&team, &known).await;
    for id in [known.id, unknown] {
        erases(&scene, id).await;
        let first = scene.user(id).await.expect("a tombstone is there");
        assert_eq!(first, User::tombstone(id, first.version));
        scene
            .hears_well(&[scene.event("user.created", 1, &said(id, "Back"))])
            .await;
        assert_eq!(
            scene.user(id).await.as_ref(),
            Some(&first),
            "events change nothing"
        );
        erases(&scene, id).await;
        let second = scene.user(id).await.expect("a tombstone is there");
        assert!(
            second.version > first.version,
            "a new version starts the copy again"
        );
        assert_eq!(second, User::tombstone(id, second.version));
    }
    scene.copies(known.id).await;
    assert_eq!(
        scene.itsm_team(&team).await["members"][0]["name"],
        "Deleted user"
    );

    let organization = OrganizationId::parse("misspelt").expect("of the right form");
    let misspelt = UsersErase {
        organization,
        users: vec![unknown],
        target: target(&scene),
    };
    let error = erase(misspelt)
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
    let scene = Scene::new().await;
    let user = scene.org.users[0].clone();
    let team = scene.org.team("Team").await;
    scene.org.member(&team, &user).await;
    let member = format!("/v1/teams/{team}/members/{}", bare(&user));
    assert_eq!(scene.org.itsm.delete(&member).await.status, 204);
    let contents = RawTable::of(&scene.org).contents().await;
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

    scene
        .hears_well(&[scene.event("user.updated", 1, &said(user.id, "Renamed"))])
        .await;
    scene.copies(user.id).await;
    assert_eq!(
        RawTable::of(&scene.org).contents().await.pasts[0].item,
        left
    );
    scene.org.member(&team, &user).await;
    let contents = RawTable::of(&scene.org).contents().await;
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
    let scene = Scene::new().await;
    let user = scene.org.users[0].clone();
    let [one, another] = [scene.org.team("One").await, scene.org.team("Another").await];
    for team in [&one, &another] {
        scene.org.member(team, &user).await;
        scene.org.member(team, &scene.org.users[1]).await;
    }
    let eligible = async || {
        let contents = RawTable::of(&scene.org).contents().await;
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
        let mut profile = said(user.id, &format!("Name {at}"));
        profile["status"] = json!(status);
        scene
            .hears_well(&[scene.event("user.updated", at, &profile)])
            .await;
        // A copy that is repeated changes nothing.
        scene.copies(user.id).await;
        scene.copies(user.id).await;
        assert_eq!(eligible().await, [expected; 2], "{status} at {at}");
        let shown = scene.itsm_team(&one).await;
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
        scene
            .org
            .itsm
            .delete(&format!("/v1/teams/{one}/members/{}", bare(&user)))
            .await
            .status,
        204
    );
    scene
        .hears_well(&[scene.event("user.deleted", 7, &json!({"id": bare(&scene.org.users[1])}))])
        .await;
    scene.copies(scene.org.users[1].id).await;
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
    let org = Stack::impatient(Duration::from_millis(200))
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
    until("no item has personal data", async || {
        items_with(&org, &needles).await == 0
    })
    .await;
    until("the lead is cleared", async || {
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
