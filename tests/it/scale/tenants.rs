//! The jobs of one organization during the backlog of another.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, stream};
use lambda_runtime::LambdaEvent;
use muster_cli::{
    emulator,
    local::{Data, Handler, LocalStack, Settings},
};
use muster_domain::{OrganizationId, Timestamp};
use muster_jobs::{Deps, Pace};
use muster_service::{aws::sqs_send::Queue, jobs::JobQueues, store::Table};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{table::text, wait_until};

/// The maximum number of jobs of the noisy organization that begin before the job of the other
/// organization takes effect.
const NEXT_JOBS: usize = 50;

/// The work of the noisy organization.
struct NoisyLoad {
    /// The updates of its teams' specializations.
    specializations: usize,
    /// Its tickets without a team. Each pass reads them.
    unrouted: usize,
    /// Its users, and the number of updates of each profile.
    users: usize,
    rounds: usize,
    /// Its teams. All are drained.
    teams: usize,
}

/// A message that the jobs function received.
#[derive(Debug, Clone)]
struct JobStart {
    organization: String,
    job: String,
    /// The times of sending and of the invocation, in milliseconds since the epoch.
    sent: i64,
    begun: i64,
}

/// The messages that the jobs function received.
#[derive(Debug, Clone, Default)]
struct JobLog(Arc<Mutex<Vec<JobStart>>>);

impl JobLog {
    fn begin(&self, event: &Value) {
        let now = Timestamp::now().millis();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let records = event["Records"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|record| {
                let body: Value = serde_json::from_str(record["body"].as_str().unwrap_or_default())
                    .unwrap_or_default();
                JobStart {
                    organization: text(&body["organization_id"]),
                    job: text(&body["job"]),
                    sent: text(&record["attributes"]["SentTimestamp"])
                        .parse()
                        .unwrap_or_default(),
                    begun: now,
                }
            });
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(records);
    }

    fn of(&self, organization: &str) -> Vec<JobStart> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter()
            .filter(|begun| begun.organization == organization)
            .cloned()
            .collect()
    }
}

/// A stack with a jobs function that records each message.
struct TenantFixture {
    stack: LocalStack,
    log: JobLog,
    noisy: OrganizationId,
    quiet: OrganizationId,
}

impl TenantFixture {
    async fn start() -> Self {
        let (log, deps) = (JobLog::default(), Arc::new(OnceLock::<Deps>::new()));
        let handler: Handler = {
            let (log, deps) = (log.clone(), Arc::clone(&deps));
            Arc::new(move |event, context| {
                let (log, deps) = (log.clone(), Arc::clone(&deps));
                Box::pin(async move {
                    let Some(deps) = deps.get() else {
                        return Err(io::Error::other("the dependencies are not set").into());
                    };
                    let event: Value = serde_json::from_str(&event)?;
                    log.begin(&event);
                    let response =
                        muster_jobs::handle(LambdaEvent::new(event, context), deps).await;
                    Ok(serde_json::to_value(
                        response.map_err(|error| io::Error::other(error.to_string()))?,
                    )?)
                })
            })
        };
        let settings = Settings {
            handlers: [("JobsFunction".to_owned(), handler)].into(),
            ..Settings::default()
        };
        let stack = LocalStack::start(0, Data::Memory, settings)
            .await
            .expect("the stack starts");
        let sqs = aws_sdk_sqs::Client::new(&emulator::sdk_config(&stack.aws_url));
        let queue = |name: &str| Queue::new(sqs.clone(), stack.queue_url(name));
        let made = deps.set(Deps {
            table: Table::new(emulator::client(&stack.dynamodb_url), stack.table.as_str()),
            jobs: JobQueues {
                urgent: queue("jobs"),
                long: queue("long-jobs"),
            },
            clock: Arc::new(Timestamp::now),
            pace: Pace::default(),
        });
        assert!(made.is_ok(), "the dependencies are set once");
        let org = |at: usize| {
            OrganizationId::parse(&stack.organizations[at].organization_id).expect("a valid id")
        };
        let (noisy, quiet) = (org(0), org(1));
        Self {
            stack,
            log,
            noisy,
            quiet,
        }
    }

    /// Sends a request with the key of the organization at this index.
    async fn call(&self, org: usize, method: Method, path: &str, body: &Value) -> Value {
        let request = reqwest::Client::new().request(method, format!("{}{path}", self.stack.url));
        let request = request
            .bearer_auth(&self.stack.organizations[org].keys.itsm.admin)
            .json(body);
        let response = request.send().await.expect("the stack responds");
        assert!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
        response.json().await.expect("the response is JSON")
    }

    async fn team(&self, org: usize, name: &str) -> String {
        let team = self
            .call(org, Method::POST, "/v1/teams", &json!({ "name": name }))
            .await;
        team["data"]["id"].as_str().expect("an id").to_owned()
    }

    async fn join(&self, org: usize, team: &str, user: usize) {
        let user = &self.stack.organizations[org].users[user].id;
        self.call(
            org,
            Method::POST,
            &format!("/v1/teams/{team}/members"),
            &json!({ "user_id": user }),
        )
        .await;
    }

    /// Sends one ticket for each of these teams, and waits until they are routed.
    async fn tickets(&self, org: &OrganizationId, teams: &[Option<&str>]) {
        let now = Timestamp::now().millis() / 1000;
        let events = teams.iter().enumerate().map(|(n, team)| {
            let ticket = json!({
                "id": format!("{org}-{n}"), "status": "new", "team_id": team, "category": "nobody's", "updated_at": now,
            });
            event("ticket.created", &json!({ "organization_id": org.as_str(), "ticket": ticket }))
        });
        self.send("tickets", &events.collect::<Vec<_>>()).await;
        wait_until("routed tickets", async || self.depth("tickets") == 0).await;
    }

    /// Sends events to a queue.
    async fn send(&self, queue: &str, events: &[Value]) {
        let url = format!("{}/_dev/queues/{queue}", self.stack.url);
        for events in events.chunks(500) {
            let sent = reqwest::Client::new()
                .post(&url)
                .json(&events)
                .send()
                .await
                .expect("the stack responds");
            assert!(sent.status().is_success(), "{}", sent.status());
        }
    }

    /// Updates the profiles of users.
    async fn change_profiles(&self, users: &[String], round: usize) {
        // The time of a change is its version. All changes are of the last hours.
        let at = Timestamp::now().millis() / 1000 - 10_000 + i64::try_from(round).expect("a few");
        let events = users.iter().map(|id| {
            let user =
                json!({ "id": id, "name": format!("Round {round}"), "email": "a@acme.example", "updated_at": at });
            event("user.updated", &json!({ "organization_id": self.noisy.as_str(), "user": user }))
        });
        self.send("users", &events.collect::<Vec<_>>()).await;
        wait_until("written profiles", async || self.depth("users") == 0).await;
    }

    /// Waits until an attribute of an item has this text. Reads the item every few milliseconds.
    async fn until(&self, (pk, sk): &(String, String), attribute: &str, expected: &str) {
        let client = emulator::client(&self.stack.dynamodb_url);
        let get = client
            .get_item()
            .table_name(&self.stack.table)
            .consistent_read(true)
            .key("pk", AttributeValue::S(pk.clone()))
            .key("sk", AttributeValue::S(sk.clone()));
        let deadline = Instant::now() + Duration::from_mins(3);
        loop {
            let item = get
                .clone()
                .send()
                .await
                .expect("the table can be read")
                .item
                .unwrap_or_default();
            if text(&item, attribute) == expected {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "timed out waiting for {expected}: {item:?}"
            );
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    fn depth(&self, queue: &str) -> usize {
        let contents = self.stack.queues.contents(queue).expect("the queue exists");
        contents.visible + contents.in_flight
    }

    /// Creates the backlog, with the urgent queue paused until it is complete. Returns the number
    /// of urgent jobs.
    async fn make(&self, noise: &NoisyLoad) -> usize {
        let names: Vec<_> = (0..noise.teams).map(|n| format!("Noisy {n}")).collect();
        let teams: Vec<_> = stream::iter(&names)
            .then(|name| self.team(0, name))
            .collect()
            .await;
        let waiting = teams.iter().map(|team| Some(team.as_str()));
        let tickets: Vec<_> = waiting.chain((0..noise.unrouted).map(|_| None)).collect();
        self.tickets(&self.noisy, &tickets).await;
        let users: Vec<_> = (0..noise.users)
            .map(|_| Uuid::new_v4().to_string())
            .collect();
        self.change_profiles(&users, 0).await;
        wait_until("the first copies", async || self.depth("jobs") == 0).await;

        self.stack.queues.pause("jobs");
        let changes: Vec<_> = (0..noise.specializations)
            .map(|n| (&teams[n % teams.len()], format!("topic {n}")))
            .collect();
        let change = async |(team, topic): (&String, String)| {
            let body = json!({ "specializations": [topic] });
            self.call(0, Method::PATCH, &format!("/v1/teams/{team}"), &body)
                .await;
        };
        stream::iter(changes).for_each_concurrent(8, change).await;
        for round in 1..=noise.rounds {
            self.change_profiles(&users, round).await;
        }
        stream::iter(&teams)
            .for_each_concurrent(8, |team| self.join(0, team, 0))
            .await;
        let jobs = noise.users * noise.rounds + noise.teams;
        wait_until("every urgent job of the backlog", async || {
            self.depth("jobs") >= jobs
        })
        .await;
        jobs
    }
}

/// Returns the UUID of a team.
fn bare(team: &str) -> &str {
    team.trim_start_matches("team_")
}

fn event(kind: &str, data: &Value) -> Value {
    json!({ "specversion": "1.0", "id": Uuid::new_v4().to_string(), "source": "/desk", "type": kind, "data": data })
}

/// Creates the backlog of one organization, and meanwhile changes a member and a profile of
/// another. Returns the number of the noisy organization's jobs that begin between the sending and
/// the effect of the other's job: the larger number of the two jobs. Prints it with the
/// milliseconds.
async fn jobs_ahead_of_the_quiet_organization(noise: NoisyLoad) -> usize {
    let fixture = TenantFixture::start().await;
    let [drained, copied] = [
        fixture.team(1, "Drained").await,
        fixture.team(1, "Copied").await,
    ];
    fixture.join(1, &copied, 1).await;
    fixture.tickets(&fixture.quiet, &[Some(&drained)]).await;
    let jobs = fixture.make(&noise).await;

    let before = fixture.log.of(fixture.noisy.as_str()).len();
    fixture.stack.queues.resume("jobs");
    wait_until("jobs in progress", async || {
        fixture.log.of(fixture.noisy.as_str()).len() >= before + NEXT_JOBS
    })
    .await;
    let changed = Timestamp::now().millis();
    let suspended_user = &fixture.stack.organizations[1].users[1].id;
    let user = json!({ "id": suspended_user, "status": "suspended", "updated_at": changed / 1000 });
    let suspended = [event(
        "user.updated",
        &json!({ "organization_id": fixture.quiet.as_str(), "user": user }),
    )];
    tokio::join!(
        fixture.join(1, &drained, 2),
        fixture.send("users", &suspended)
    );

    let ticket = (
        format!("ORG#{0}#TICKET#{0}-0", fixture.quiet),
        "TICKET".to_owned(),
    );
    let member = (
        format!("ORG#{}#TEAM#{}", fixture.quiet, bare(&copied)),
        format!("MEMBER#{suspended_user}"),
    );
    let done = async |item, attribute, expected| {
        fixture.until(item, attribute, expected).await;
        Timestamp::now().millis()
    };
    let (assigned, suspended) = tokio::join!(
        done(&ticket, "state", "assigned"),
        done(&member, "status", "suspended")
    );
    let left = fixture.depth("jobs");

    let (quiet, noisy) = (
        fixture.log.of(fixture.quiet.as_str()),
        fixture.log.of(fixture.noisy.as_str()),
    );
    let ahead = [("drain_team", assigned), ("copy_profile", suspended)].map(|(job, done)| {
        let of_change = quiet.iter().filter(|begun| begun.job == job && begun.sent >= changed);
        let sent = of_change.map(|begun| begun.sent).min().expect("the job was started");
        let ahead = noisy.iter().filter(|begun| begun.begun >= sent && begun.begun < done).count();
        println!(
            "{job}: {} ms from the change, {} ms from the queue; {ahead} jobs of the noisy organization began meanwhile",
            done - changed,
            done - sent
        );
        ahead
    });
    println!("{left} of {jobs} urgent jobs and their follow-up messages are left");
    assert!(
        left > 2 * NEXT_JOBS,
        "only {left} jobs of the backlog are left"
    );
    fixture.stack.stop().await.expect("the stack stops");
    ahead.into_iter().max().unwrap_or_default()
}

/// The small scenario of every run.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quiet_organization_does_not_wait_for_a_noisy_one() {
    let noise = NoisyLoad {
        specializations: 150,
        unrouted: 30,
        users: 500,
        rounds: 1,
        teams: 20,
    };
    let ahead = jobs_ahead_of_the_quiet_organization(noise).await;
    assert!(
        ahead < NEXT_JOBS,
        "{ahead} jobs of the noisy organization began first"
    );
}

/// The full scenario, by the command in docs/development.md.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes several minutes"]
async fn quiet_organization_does_not_wait_for_20000_changes() {
    let noise = NoisyLoad {
        specializations: 1_500,
        unrouted: 300,
        users: 2_000,
        rounds: 10,
        teams: 20,
    };
    let ahead = jobs_ahead_of_the_quiet_organization(noise).await;
    assert!(
        ahead < NEXT_JOBS,
        "{ahead} jobs of the noisy organization began first"
    );
}
