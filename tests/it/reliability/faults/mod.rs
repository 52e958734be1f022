//! Requests against a table that throttles, conflicts, closes connections or loses responses: a
//! write happens exactly once, or the response says that it failed, in time and in the contract of
//! the caller.

mod member_races;
mod races;
mod reads;
mod team_races;
mod write;
mod writes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use muster_domain::{
    Contract::{self, Itsm, Toptickets},
    User,
};
use muster_service::{auth::KeyCache, http::Deps};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use self::write::Write;
use crate::support::{
    Organization, Response, Stack,
    fault_injection::{FaultScript, INTERNALS, InjectedFault},
    invoke::{self, TestInvocation},
    table::{OrgTable, number, text},
    ticket_items::assigned,
};

/// An organization with one team, which user 1 leads. If the test needs them, users 0 and 1 are
/// members, and user 2 is a former member.
struct FaultFixture {
    org: Organization,
    table: OrgTable,
    team: String,
    /// Has the keys of both contracts, so that a request makes only the calls of its route.
    keys: Arc<KeyCache>,
}

/// The time of an invocation under a persistent fault. The store gives up half a second before
/// its end.
const SHORT_TIME: Duration = Duration::from_secs(3);

/// Returns a stack of this module, replaced after 50 uses: the engine slows down as its table and
/// its transactions grow.
async fn stack() -> Stack {
    static STACK: Mutex<Option<(Stack, usize)>> = Mutex::const_new(None);
    let mut current = STACK.lock().await;
    let (stack, used) = match current.take() {
        Some((stack, used)) if used < 50 => (stack, used),
        _ => (Stack::with(|_| {}).await, 0),
    };
    *current = Some((stack.clone(), used + 1));
    stack
}

impl FaultFixture {
    /// Creates the state that any write needs.
    async fn new() -> Self {
        let fixture = Self::with(&[(0, "member"), (1, "lead"), (2, "former")]).await;
        fixture
            .org
            .put_ticket("TKT-1", &assigned(&fixture.team, &fixture.org.users[0], 1))
            .await;
        fixture
    }

    /// Creates only the state that this write needs, as the setup takes most of the time of these
    /// tests.
    async fn of(write: Write) -> Self {
        let needed: &[_] = match write {
            Write::Remove | Write::Delete | Write::Learn | Write::Promote => &[(0, "member")],
            Write::RemoveLead | Write::Demote => &[(1, "lead")],
            Write::Return => &[(2, "former")],
            _ => &[],
        };
        Self::with(needed).await
    }

    async fn with(users: &[(usize, &str)]) -> Self {
        let org = stack().await.organization().await;
        let deps = invoke::deps(&org.stack, FaultScript::default().client(&org.stack));
        let (bare, itsm) = (org.toptickets.token(), org.itsm.token());
        let call = async |token: &str, method: Method, target: &str, body: Value| {
            let response = TestInvocation::new(token, method, target, Some(body))
                .call(&deps)
                .await;
            assert!(response.status.is_success(), "{response}");
            response.json
        };
        let lead = id(&org.users[1]);
        call(bare, Method::GET, "/v1/teams", Value::Null).await;
        let created = call(
            itsm,
            Method::POST,
            "/v1/teams",
            json!({ "name": "Team", "lead_id": lead }),
        )
        .await;
        let team = created["data"]["id"]
            .as_str()
            .expect("an id")
            .trim_start_matches("team_")
            .to_owned();
        let members = format!("/v1/teams/{team}/members");
        for (n, role) in users {
            let user = id(&org.users[*n]);
            let role_given = if *role == "lead" { "lead" } else { "member" };
            call(
                itsm,
                Method::POST,
                &members,
                json!({ "user_id": user, "role": role_given }),
            )
            .await;
            if *role == "former" {
                call(
                    itsm,
                    Method::DELETE,
                    &format!("{members}/{user}"),
                    Value::Null,
                )
                .await;
            }
        }
        Self {
            table: OrgTable::of(&org),
            org,
            team,
            keys: deps.keys,
        }
    }

    fn deps(&self, script: &FaultScript) -> Deps {
        Deps {
            keys: Arc::clone(&self.keys),
            ..invoke::deps(&self.org.stack, script.client(&self.org.stack))
        }
    }

    fn token(&self, contract: Contract) -> &str {
        match contract {
            Toptickets => self.org.toptickets.token(),
            Itsm => self.org.itsm.token(),
        }
    }

    fn user(&self, n: usize) -> String {
        id(&self.org.users[n])
    }

    fn team_path(&self) -> String {
        format!("/v1/teams/{}", self.team)
    }

    /// Returns the current state, and asserts that the table is sound.
    async fn state(&self) -> TeamsState {
        let contents = self.table.contents_with(&[&self.team]).await;
        contents.assert_sound();
        let team = |(team, item): (&String, _)| {
            let state = TeamState {
                description: text(item, "description").to_owned(),
                lead: text(item, "lead_id").to_owned(),
                version: number(item, "version"),
                members: contents.members(team),
                skilled: contents.skilled(team),
            };
            (text(item, "name").to_owned(), state)
        };
        let deleted_teams = contents.deleted_teams.len();
        let left_memberships = contents
            .memberships
            .iter()
            .filter(|one| contents.deleted_teams.contains_key(&one.team))
            .count();
        TeamsState {
            teams: contents.teams.iter().map(team).collect(),
            deleted_teams,
            left_memberships,
        }
    }
}

fn id(user: &User) -> String {
    user.id.uuid().to_string()
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct TeamState {
    description: String,
    lead: String,
    version: i64,
    members: BTreeSet<String>,
    /// The members with skills.
    skilled: BTreeSet<String>,
}

/// The part of the table that requests can change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TeamsState {
    /// The teams by name.
    teams: BTreeMap<String, TeamState>,
    deleted_teams: usize,
    /// The number of memberships of deleted teams.
    left_memberships: usize,
}

impl TeamsState {
    fn team(&mut self) -> &mut TeamState {
        self.teams.get_mut("Team").expect("the team exists")
    }
}

/// Permanent faults: a retry has the same result.
const PERMANENT_FAULTS: [InjectedFault; 4] = [
    InjectedFault::Respond(400, "AccessDeniedException"),
    InjectedFault::Respond(400, "ResourceNotFoundException"),
    InjectedFault::Respond(400, "ValidationException"),
    InjectedFault::Respond(400, "UnrecognizedClientException"),
];

/// Runs cases concurrently, limited so that their timers stay accurate.
async fn each<T, F: Future<Output = ()>>(these: impl IntoIterator<Item = T>, run: impl Fn(T) -> F) {
    stream::iter(these)
        .map(run)
        .buffer_unordered(16)
        .collect::<()>()
        .await;
}

/// Calls a function and asserts that it responds before its timeout.
async fn call_in_time(invocation: &TestInvocation, deps: &Deps) -> Response {
    let stopped = Instant::now() + invocation.time;
    tokio::select! {
        // On a busy machine both may be late; the response has priority.
        biased;
        response = invocation.call(deps) => response,
        () = sleep_until(stopped) => panic!("timed out before the response: {invocation:?}"),
    }
}

/// Asserts that a response is a 5xx in the contract of the caller, without internals.
pub fn assert_failed(response: &Response, contract: Contract, status: u16, what: &str) {
    assert_eq!(response.status, status, "{what}: {response}");
    assert!(
        !response.text.contains(INTERNALS) && !response.text.contains("Exception"),
        "{what}: {response}"
    );
    assert_eq!(
        response.header("retry-after").is_empty(),
        status != 503,
        "{what}: {:?}",
        response.headers
    );
    assert_eq!(response.header("content-type"), "application/json");
    match contract {
        Toptickets => {
            let fields = response
                .json
                .as_object()
                .unwrap_or_else(|| panic!("{what}: {response}"));
            assert!(
                fields.len() == 1 && fields["detail"].is_string(),
                "{what}: {response}"
            );
        }
        Itsm => {
            let code = if status == 503 {
                "SERVICE_UNAVAILABLE"
            } else {
                "INTERNAL_ERROR"
            };
            assert_eq!(
                (&response.json["success"], &response.json["error"]["code"]),
                (&json!(false), &json!(code))
            );
            assert_eq!(
                response.json["error"]["details"],
                Value::Null,
                "{what}: {response}"
            );
        }
    }
}

/// Transient faults of a read.
const TRANSIENT_READ_FAULTS: [InjectedFault; 6] = [
    InjectedFault::Respond(400, "ThrottlingException"),
    InjectedFault::Respond(400, "ProvisionedThroughputExceededException"),
    InjectedFault::Respond(500, "InternalServerError"),
    InjectedFault::ConnectionClosed,
    InjectedFault::ResponseDropped,
    InjectedFault::ResponseTruncated,
];
