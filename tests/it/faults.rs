//! A table that throttles, conflicts, breaks off, or loses its response: a request succeeds exactly
//! once, or says that it could not be served, in time and in the caller's contract.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use muster::{
    auth::KeyCache,
    domain::{
        Contract::{self, Itsm, Toptickets},
        User, UserStatus,
    },
    http::Deps,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use crate::support::{
    Organization, Response, Stack,
    fault_injection::{Fault, FaultScript, Hook, INTERNALS, READS, WRITES},
    invoke::{self, Invocation},
    n,
    table::{OrgTable, assert_sound, number, text},
    ticket_items::assigned,
};

/// An organization with one team, which user 1 leads. Where they are needed, users 0 and 1 are in
/// it, and 2 has left it.
struct FaultFixture {
    org: Organization,
    table: OrgTable,
    team: String,
    /// Holds both contracts' keys, so that the calls of a request are those of its route.
    keys: Arc<KeyCache>,
}

/// How long a function has whose table never recovers. The store gives up half a second before.
const SHORT: Duration = Duration::from_secs(3);

/// A stack of this module's own, replaced now and then: the engine slows down as its table and its
/// transactions grow.
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
    /// One for any write.
    async fn new() -> Self {
        let fixture = Self::with(&[(0, "member"), (1, "lead"), (2, "gone")]).await;
        fixture
            .org
            .put_ticket("TKT-1", &assigned(&fixture.team, &fixture.org.users[0], 1))
            .await;
        fixture
    }

    /// One with no more than this write needs: setting up is most of what these tests do.
    async fn of(write: Write) -> Self {
        let needed: &[_] = match write {
            Write::Remove | Write::Delete | Write::Learn | Write::Promote => &[(0, "member")],
            Write::RemoveLead | Write::Demote => &[(1, "lead")],
            Write::Return => &[(2, "gone")],
            _ => &[],
        };
        Self::with(needed).await
    }

    async fn with(users: &[(usize, &str)]) -> Self {
        let org = stack().await.organization().await;
        let deps = invoke::deps(&org.stack, FaultScript::default().client(&org.stack));
        let (bare, itsm) = (org.toptickets.token(), org.itsm.token());
        let call = async |token: &str, method: Method, target: &str, body: Value| {
            let response = Invocation::new(token, method, target, Some(body))
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
            if *role == "gone" {
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

    /// What there is now, asserted to be sound.
    async fn state(&self) -> State {
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
        let gone = contents.gone.len();
        let left = contents
            .memberships
            .iter()
            .filter(|one| contents.gone.contains_key(&one.team))
            .count();
        State {
            teams: contents.teams.iter().map(team).collect(),
            gone,
            left,
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
    /// The members who have skills.
    skilled: BTreeSet<String>,
}

/// What the table holds, as far as a request can change it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// By name.
    teams: BTreeMap<String, TeamState>,
    gone: usize,
    /// Memberships that deleted teams left.
    left: usize,
}

impl State {
    fn team(&mut self) -> &mut TeamState {
        self.teams.get_mut("Team").expect("the team is there")
    }
}

/// Every way to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Create,
    CreateWithLead,
    Describe,
    Rename,
    Lead,
    ClearLead,
    Delete,
    Add,
    AddLead,
    Return,
    Remove,
    RemoveLead,
    Learn,
    Promote,
    Demote,
    /// Those of a version, and those that are done once, however often they are sent.
    DescribeIf,
    DeleteIf,
    CreateOnce,
    AddOnce,
}

impl Write {
    /// Every write under each contract that has it.
    const ALL: [(Self, Contract); 30] = [
        (Self::Create, Toptickets),
        (Self::Create, Itsm),
        (Self::CreateWithLead, Itsm),
        (Self::Describe, Toptickets),
        (Self::Describe, Itsm),
        (Self::Rename, Toptickets),
        (Self::Rename, Itsm),
        (Self::Lead, Itsm),
        (Self::ClearLead, Itsm),
        (Self::Delete, Toptickets),
        (Self::Delete, Itsm),
        (Self::Add, Toptickets),
        (Self::Add, Itsm),
        (Self::AddLead, Itsm),
        (Self::Return, Toptickets),
        (Self::Return, Itsm),
        (Self::Remove, Toptickets),
        (Self::Remove, Itsm),
        (Self::RemoveLead, Toptickets),
        (Self::Learn, Toptickets),
        (Self::Learn, Itsm),
        (Self::Promote, Toptickets),
        (Self::Demote, Itsm),
        (Self::DescribeIf, Toptickets),
        (Self::DescribeIf, Itsm),
        (Self::DeleteIf, Itsm),
        (Self::CreateOnce, Toptickets),
        (Self::CreateOnce, Itsm),
        (Self::AddOnce, Toptickets),
        (Self::AddOnce, Itsm),
    ];

    fn invocation(self, fixture: &FaultFixture, contract: Contract) -> Invocation {
        let (team, user) = (fixture.team_path(), |n| fixture.user(n));
        let members = format!("{team}/members");
        let (method, target, body) = match self {
            Self::Create | Self::CreateOnce => (
                Method::POST,
                "/v1/teams".to_owned(),
                json!({ "name": "New" }),
            ),
            Self::CreateWithLead => (
                Method::POST,
                "/v1/teams".to_owned(),
                json!({ "name": "New", "lead_id": user(3) }),
            ),
            Self::Describe | Self::DescribeIf => {
                (Method::PATCH, team, json!({ "description": "New" }))
            }
            Self::Rename => (Method::PATCH, team, json!({ "name": "New" })),
            Self::Lead => (Method::PATCH, team, json!({ "lead_id": user(3) })),
            Self::ClearLead => (Method::PATCH, team, json!({ "lead_id": null })),
            Self::Delete | Self::DeleteIf => (Method::DELETE, team, Value::Null),
            Self::Add | Self::AddOnce => (Method::POST, members, json!({ "user_id": user(3) })),
            Self::AddLead => (
                Method::POST,
                members,
                json!({ "user_id": user(3), "role": "lead" }),
            ),
            Self::Return => (Method::POST, members, json!({ "user_id": user(2) })),
            Self::Remove => (
                Method::DELETE,
                format!("{members}/{}", user(0)),
                Value::Null,
            ),
            Self::RemoveLead => (
                Method::DELETE,
                format!("{members}/{}", user(1)),
                Value::Null,
            ),
            Self::Learn => (
                Method::PATCH,
                format!("{members}/{}", user(0)),
                json!({ "skills": ["VPN"] }),
            ),
            Self::Promote => (
                Method::PATCH,
                format!("{members}/{}", user(0)),
                json!({ "role": "lead", "skills": ["VPN"] }),
            ),
            Self::Demote => (
                Method::PATCH,
                format!("{members}/{}", user(1)),
                json!({ "role": "member" }),
            ),
        };
        let body = Some(body).filter(|body| !body.is_null());
        let invocation = Invocation::new(fixture.token(contract), method, target, body);
        match self {
            // The version of a team that was just created, and of one whose roster was filled.
            Self::DescribeIf | Self::DeleteIf => invocation.with("if-match", "\"1\", \"5\""),
            Self::CreateOnce | Self::AddOnce => invocation.with("idempotency-key", "once"),
            _ => invocation,
        }
    }

    /// The status of success.
    fn status(self) -> u16 {
        match self {
            Self::Create
            | Self::CreateOnce
            | Self::CreateWithLead
            | Self::Add
            | Self::AddOnce
            | Self::AddLead
            | Self::Return => 201,
            Self::Describe
            | Self::DescribeIf
            | Self::Rename
            | Self::Lead
            | Self::ClearLead
            | Self::Learn
            | Self::Promote
            | Self::Demote => 200,
            Self::Delete | Self::DeleteIf | Self::Remove | Self::RemoveLead => 204,
        }
    }

    /// What it does, done once.
    fn apply(self, fixture: &FaultFixture, mut state: State) -> State {
        let user = |n| fixture.user(n);
        let moves = !matches!(
            self,
            Self::Create
                | Self::CreateOnce
                | Self::CreateWithLead
                | Self::Delete
                | Self::DeleteIf
                | Self::Learn
        );
        if moves {
            state.team().version += 1;
        }
        match self {
            Self::Create | Self::CreateOnce | Self::CreateWithLead => {
                let lead = if self == Self::CreateWithLead {
                    user(3)
                } else {
                    String::new()
                };
                let (description, members, skilled) = Default::default();
                let new = TeamState {
                    description,
                    lead,
                    version: 1,
                    members,
                    skilled,
                };
                state.teams.insert("New".to_owned(), new);
            }
            Self::Describe | Self::DescribeIf => "New".clone_into(&mut state.team().description),
            Self::Rename => {
                let team = state.teams.remove("Team").expect("the team is there");
                state.teams.insert("New".to_owned(), team);
            }
            Self::Lead => state.team().lead = user(3),
            Self::ClearLead | Self::Demote => state.team().lead.clear(),
            Self::Delete | Self::DeleteIf => {
                state.teams.remove("Team");
                state.gone += 1;
            }
            Self::Add | Self::AddOnce => drop(state.team().members.insert(user(3))),
            Self::AddLead => {
                state.team().members.insert(user(3));
                state.team().lead = user(3);
            }
            Self::Return => drop(state.team().members.insert(user(2))),
            Self::Remove => drop(state.team().members.remove(&user(0))),
            Self::RemoveLead => {
                state.team().members.remove(&user(1));
                state.team().lead.clear();
            }
            Self::Learn => drop(state.team().skilled.insert(user(0))),
            Self::Promote => {
                state.team().skilled.insert(user(0));
                state.team().lead = user(0);
            }
        }
        state
    }

    /// The `ETag` of its response, which goes with what it leaves wherever it shows the team.
    fn etag(self, contract: Contract, left: &State) -> String {
        if matches!(
            self,
            Self::Delete | Self::DeleteIf | Self::Remove | Self::RemoveLead
        ) {
            return String::new();
        }
        let is_members = matches!(
            self,
            Self::Add
                | Self::AddOnce
                | Self::AddLead
                | Self::Return
                | Self::Learn
                | Self::Promote
                | Self::Demote
        );
        if is_members && contract == Itsm {
            return String::new();
        }
        let is_new = matches!(
            self,
            Self::Create | Self::CreateOnce | Self::CreateWithLead | Self::Rename
        );
        format!(
            "\"{}\"",
            left.teams[if is_new { "New" } else { "Team" }].version
        )
    }

    fn is_transaction(self) -> bool {
        !matches!(self, Self::Describe | Self::ClearLead | Self::Learn)
    }

    /// What a write can fail with that another attempt may change: first what is hard to get right,
    /// then the rest.
    fn transient_faults(self) -> (Vec<Fault>, Vec<Fault>) {
        let (conflict, of_its_own) = if self.is_transaction() {
            let canceled = [
                Fault::Canceled("ThrottlingError"),
                Fault::Canceled("ProvisionedThroughputExceeded"),
            ];
            let under_way = Fault::Respond(400, "TransactionInProgressException");
            (
                Fault::Canceled("TransactionConflict"),
                canceled.into_iter().chain([under_way]).collect(),
            )
        } else {
            (
                Fault::Respond(400, "TransactionConflictException"),
                Vec::new(),
            )
        };
        let hard = vec![
            conflict,
            Fault::ConnectionClosed,
            Fault::ResponseReplaced,
            Fault::ResponseDropped,
            Fault::ResponseTruncated,
        ];
        let mut plain = vec![
            Fault::Respond(400, "ThrottlingException"),
            Fault::Respond(400, "ProvisionedThroughputExceededException"),
            Fault::Respond(400, "RequestLimitExceeded"),
            Fault::Respond(500, "InternalServerError"),
            Fault::Respond(503, "ServiceUnavailable"),
            Fault::ConnectionRefused,
        ];
        plain.extend(of_its_own);
        (hard, plain)
    }
}

/// What no other attempt would change.
const FINAL_FAULTS: [Fault; 4] = [
    Fault::Respond(400, "AccessDeniedException"),
    Fault::Respond(400, "ResourceNotFoundException"),
    Fault::Respond(400, "ValidationException"),
    Fault::Respond(400, "UnrecognizedClientException"),
];

/// Every way to read something.
fn reads(fixture: &FaultFixture) -> Vec<(Contract, String)> {
    let team = fixture.team_path();
    let mut reads = vec![
        (Itsm, format!("{team}/workload")),
        (Itsm, "/v1/teams?search=e".to_owned()),
    ];
    for contract in Contract::ALL {
        reads.extend([(contract, team.clone()), (contract, "/v1/teams".to_owned())]);
        reads.extend(["/members", "/assignments"].map(|list| (contract, format!("{team}{list}"))));
        reads.push((contract, "/v1/assignments/TKT-1".to_owned()));
    }
    reads
}

/// Runs these in parallel, but not so many that their timers are late.
async fn each<T, F: Future<Output = ()>>(these: impl IntoIterator<Item = T>, run: impl Fn(T) -> F) {
    stream::iter(these)
        .map(run)
        .buffer_unordered(32)
        .collect::<()>()
        .await;
}

/// Calls a function and asserts that it answers before it would be stopped.
async fn call_in_time(invocation: &Invocation, deps: &Deps) -> Response {
    let stopped = Instant::now() + invocation.time;
    tokio::select! {
        // On a machine so busy that both are late, the response counts.
        biased;
        response = invocation.call(deps) => response,
        () = sleep_until(stopped) => panic!("stopped before it answered: {invocation:?}"),
    }
}

/// Asserts that a failure of ours is said in the caller's contract, and nothing more.
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

#[tokio::test]
async fn a_write_survives_any_one_fault_and_happens_once() {
    let cases = Write::ALL
        .into_iter()
        .enumerate()
        .flat_map(|(n, (write, contract))| {
            let (hard, plain) = write.transient_faults();
            // Every write meets the hard ones. The plain ones differ in nothing but their names, so
            // each write meets some.
            let faults = hard
                .into_iter()
                .chain(plain.into_iter().skip(n % 3).step_by(3));
            faults.map(move |fault| (write, contract, fault))
        });
    each(cases, async |(write, contract, fault)| {
        let what = format!("{write:?} under {contract:?}, {fault:?}");
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let expected = write.apply(&fixture, fixture.state().await);
        script.once(WRITES, fault);
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert_eq!(response.status, write.status(), "{what}: {response}");
        assert!(script.is_consumed(), "{what}");
        assert_eq!(script.calls(WRITES), 2, "{what}");
        assert_eq!(
            response.header("etag"),
            write.etag(contract, &expected),
            "{what}"
        );
        assert_eq!(fixture.state().await, expected, "{what}");
    })
    .await;
}

/// Whatever is lost, and however often: it happened once.
#[tokio::test]
async fn a_write_whose_answer_is_lost_again_and_again_happens_once() {
    each(Write::ALL, async |(write, contract)| {
        let what = format!("{write:?} under {contract:?}");
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let expected = write.apply(&fixture, fixture.state().await);
        for fault in [
            Fault::ResponseDropped,
            Fault::ResponseReplaced,
            Fault::ResponseTruncated,
            Fault::ConnectionClosed,
        ] {
            script.once(WRITES, fault);
        }
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert_eq!(response.status, write.status(), "{what}: {response}");
        assert!(script.is_consumed(), "{what}");
        assert_eq!(
            response.header("etag"),
            write.etag(contract, &expected),
            "{what}"
        );
        assert_eq!(fixture.state().await, expected, "{what}");
    })
    .await;
}

#[tokio::test]
async fn a_write_to_a_table_that_never_recovers_says_so_in_time() {
    let cases = Write::ALL
        .into_iter()
        .enumerate()
        .flat_map(|(n, (write, contract))| {
            let (hard, plain) = write.transient_faults();
            let faults = hard.into_iter().chain(plain).chain([Fault::NoResponse]);
            faults
                .skip(n % 5)
                .step_by(5)
                .map(move |fault| (write, contract, fault))
        });
    each(cases, async |(write, contract, fault)| {
        let what = format!("{write:?} under {contract:?}, {fault:?}");
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let before = fixture.state().await;
        script.always(WRITES, fault.clone());
        let invocation = Invocation {
            time: SHORT,
            ..write.invocation(&fixture, contract)
        };
        let response = call_in_time(&invocation, &fixture.deps(&script)).await;
        assert_failed(&response, contract, 503, &what);
        if !matches!(fault, Fault::NoResponse) {
            assert!(script.calls(WRITES) > 1, "{what}: tried again");
        }
        let after = fixture.state().await;
        // A last attempt may have been given up before it came to anything.
        let lost = matches!(
            fault,
            Fault::ResponseReplaced | Fault::ResponseDropped | Fault::ResponseTruncated
        );
        let at_most_once =
            after == before || lost && after == write.apply(&fixture, before.clone());
        assert!(at_most_once, "{what}: {after:?}, before {before:?}");
    })
    .await;
}

#[tokio::test]
async fn a_final_fault_is_answered_at_once_and_without_internals() {
    let cases = Write::ALL.into_iter().flat_map(|(write, contract)| {
        let canceled = write
            .is_transaction()
            .then_some(Fault::Canceled("ValidationError"));
        FINAL_FAULTS
            .into_iter()
            .chain(canceled)
            .map(move |fault| (write, contract, fault))
    });
    each(cases, async |(write, contract, fault)| {
        let what = format!("{write:?} under {contract:?}, {fault:?}");
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let before = fixture.state().await;
        script.always(WRITES, fault);
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert_failed(&response, contract, 500, &what);
        assert_eq!(script.calls(WRITES), 1, "{what}");
        assert_eq!(fixture.state().await, before, "{what}");
    })
    .await;
}

/// What a read can fail with that another attempt may change.
const READ_FAULTS: [Fault; 6] = [
    Fault::Respond(400, "ThrottlingException"),
    Fault::Respond(400, "ProvisionedThroughputExceededException"),
    Fault::Respond(500, "InternalServerError"),
    Fault::ConnectionClosed,
    Fault::ResponseDropped,
    Fault::ResponseTruncated,
];

#[tokio::test]
async fn a_read_is_tried_again() {
    let fixture = FaultFixture::new().await;
    let cases = reads(&fixture)
        .into_iter()
        .flat_map(|read| READ_FAULTS.map(|fault| (read.clone(), fault)));
    each(cases, async |((contract, target), fault)| {
        let what = format!("{target} under {contract:?}, {fault:?}");
        let invocation = Invocation::new(fixture.token(contract), Method::GET, &*target, None);
        let expected = invocation
            .call(&fixture.deps(&FaultScript::default()))
            .await;
        assert_eq!(expected.status, 200, "{what}: {expected}");
        // Each read on its own; by a key that is not in memory, that of the key too.
        let (warm, cold) = (FaultScript::default(), FaultScript::default());
        invocation.call(&fixture.deps(&warm)).await;
        for nth in 0..warm.calls(READS) {
            let script = FaultScript::default();
            script.nth(READS, nth, fault.clone());
            let response = invocation.call(&fixture.deps(&script)).await;
            assert!(script.is_consumed(), "{what}");
            let same = response.json == expected.json || target.ends_with("/workload");
            assert!(
                response.status == 200 && same,
                "{what}: {response}, not {expected}"
            );
        }
        cold.once(&["GetItem"], fault.clone());
        let response = invocation
            .call(&invoke::deps(
                &fixture.org.stack,
                cold.client(&fixture.org.stack),
            ))
            .await;
        assert!(
            cold.is_consumed() && response.status == 200,
            "{what}: {response}"
        );
    })
    .await;
}

#[tokio::test]
async fn what_the_table_puts_off_is_read_again_until_the_time_is_up() {
    let fixture = FaultFixture::new().await;
    fixture
        .org
        .set_load(&fixture.team, &[("open_tickets", n(1))])
        .await;
    for contract in Contract::ALL {
        let target = format!("{}/assignments", fixture.team_path());
        let invocation = Invocation::new(fixture.token(contract), Method::GET, target, None);
        let (fine, once, always) = (
            FaultScript::default(),
            FaultScript::default(),
            FaultScript::default(),
        );
        let expected = invocation.call(&fixture.deps(&fine)).await;
        once.once(&["BatchGetItem"], Fault::Unprocessed);
        let response = invocation.call(&fixture.deps(&once)).await;
        assert_eq!(
            (once.calls(&["BatchGetItem"]), &response.json),
            (2, &expected.json),
            "{response}"
        );
        assert!(response.text.contains("TKT-1"), "{response}");
        always.always(&["BatchGetItem"], Fault::Unprocessed);
        let short = Invocation {
            time: SHORT,
            ..invocation
        };
        assert_failed(
            &call_in_time(&short, &fixture.deps(&always)).await,
            contract,
            503,
            "put off for ever",
        );
    }
}

#[tokio::test]
async fn a_write_whose_reads_fail_once_happens_once() {
    let reading = [
        Write::Describe,
        Write::Rename,
        Write::Lead,
        Write::Delete,
        Write::Add,
        Write::Return,
        Write::Learn,
        Write::Promote,
        Write::DescribeIf,
        Write::AddOnce,
    ];
    let cases = reading
        .into_iter()
        .flat_map(|write| (0..4).map(move |nth| (write, nth)));
    each(cases, async |(write, nth)| {
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let expected = write.apply(&fixture, fixture.state().await);
        script.nth(READS, nth, READ_FAULTS[nth].clone());
        let response = write
            .invocation(&fixture, Itsm)
            .call(&fixture.deps(&script))
            .await;
        assert_eq!(response.status, write.status(), "{write:?}: {response}");
        assert_eq!(fixture.state().await, expected, "{write:?}");
    })
    .await;
}

#[tokio::test]
async fn reads_of_a_table_that_never_recovers_end_in_time() {
    let fixture = FaultFixture::new().await;
    let cases = reads(&fixture).into_iter().flat_map(|read| {
        let faults = [
            READ_FAULTS[0].clone(),
            READ_FAULTS[2].clone(),
            Fault::ConnectionClosed,
            Fault::NoResponse,
        ];
        faults.map(|fault| (read.clone(), fault))
    });
    each(cases, async |((contract, target), fault)| {
        let what = format!("{target} under {contract:?}, {fault:?}");
        let script = FaultScript::default();
        script.always(READS, fault);
        let invocation = Invocation {
            time: SHORT,
            ..Invocation::new(fixture.token(contract), Method::GET, &*target, None)
        };
        assert_failed(
            &call_in_time(&invocation, &fixture.deps(&script)).await,
            contract,
            503,
            &what,
        );
        // The first to fail is the key's read, where the key is not in memory.
        let cold = invoke::deps(&fixture.org.stack, script.client(&fixture.org.stack));
        assert_failed(
            &call_in_time(&invocation, &cold).await,
            contract,
            503,
            &what,
        );
    })
    .await;
}

#[tokio::test]
async fn a_final_fault_of_a_read_is_answered_at_once() {
    let fixture = FaultFixture::new().await;
    let cases = reads(&fixture)
        .into_iter()
        .flat_map(|read| FINAL_FAULTS.map(|fault| (read.clone(), fault)));
    each(cases, async |((contract, target), fault)| {
        let what = format!("{target} under {contract:?}, {fault:?}");
        let invocation = Invocation::new(fixture.token(contract), Method::GET, &*target, None);
        let (all, fine) = (FaultScript::default(), FaultScript::default());
        all.always(READS, fault);
        invocation.call(&fixture.deps(&fine)).await;
        assert_failed(
            &invocation.call(&fixture.deps(&all)).await,
            contract,
            500,
            &what,
        );
        assert!(
            all.calls(READS) <= fine.calls(READS),
            "{what}: no call is made again"
        );
        let cold = invoke::deps(&fixture.org.stack, all.client(&fixture.org.stack));
        assert_failed(&invocation.call(&cold).await, contract, 500, &what);
    })
    .await;
}

#[tokio::test]
async fn a_function_that_has_no_time_left_says_so() {
    let fixture = FaultFixture::new().await;
    for contract in Contract::ALL {
        let before = fixture.state().await;
        let invocation = Invocation {
            time: Duration::from_millis(400),
            ..Invocation::new(
                fixture.token(contract),
                Method::GET,
                fixture.team_path(),
                None,
            )
        };
        let script = FaultScript::default();
        script.always(READS, Fault::NoResponse);
        assert_failed(
            &invocation.call(&fixture.deps(&script)).await,
            contract,
            503,
            "no time",
        );
        assert_eq!(fixture.state().await, before);
    }
}

/// Something that another client does over ITSM, to happen in between.
fn meanwhile(fixture: &FaultFixture, method: Method, target: String, body: Value) -> Hook {
    let client = fixture.org.itsm.clone();
    Arc::new(move || {
        let request = client.request(method.clone(), &target).json(&body);
        Box::pin(async move {
            let response = crate::support::Client::send(request).await;
            assert!(response.status.is_success(), "in between: {response}");
        })
    })
}

/// A request between whose reads and whose writing something happened.
struct Raced {
    fixture: FaultFixture,
    before: State,
    response: Response,
    after: State,
}

/// Makes a write, with something in between; both contracts, one after the other.
async fn raced(
    write: Write,
    between: impl Fn(&FaultFixture) -> Hook,
    then: impl Fn(Contract, Raced),
) {
    for (_, contract) in Write::ALL.into_iter().filter(|(one, _)| *one == write) {
        let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
        let before = fixture.state().await;
        script.once(WRITES, Fault::RunFirst(between(&fixture)));
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert!(script.is_consumed());
        let after = fixture.state().await;
        then(
            contract,
            Raced {
                fixture,
                before,
                response,
                after,
            },
        );
    }
}

/// The status of a business rule that a request broke.
fn conflict(contract: Contract) -> u16 {
    match contract {
        Toptickets => 422,
        Itsm => 409,
    }
}

#[tokio::test]
async fn a_rename_keeps_what_was_described_in_between() {
    let describe = |fixture: &FaultFixture| {
        meanwhile(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "description": "New", "queue_strategy": "least_busy" }),
        )
    };
    raced(
        Write::Rename,
        describe,
        |_,
         Raced {
             fixture,
             before,
             response,
             after,
         }| {
            assert_eq!(response.status, 200, "{response}");
            assert_eq!(
                after,
                Write::Rename.apply(&fixture, Write::Describe.apply(&fixture, before))
            );
        },
    )
    .await;
    raced(
        Write::Lead,
        describe,
        |_,
         Raced {
             fixture,
             before,
             response,
             after,
         }| {
            assert_eq!(response.status, 200, "{response}");
            assert_eq!(
                after,
                Write::Lead.apply(&fixture, Write::Describe.apply(&fixture, before))
            );
        },
    )
    .await;
}

/// Whoever read the version that was asked for is no better off than whoever asked.
#[tokio::test]
async fn a_team_changed_in_between_is_no_longer_of_its_version() {
    let describe = |fixture: &FaultFixture| {
        meanwhile(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "description": "New", "lead_id": fixture.user(3) }),
        )
    };
    for write in [Write::DescribeIf, Write::DeleteIf] {
        raced(
            write,
            describe,
            |contract,
             Raced {
                 fixture,
                 before,
                 response,
                 after,
             }| {
                assert_eq!(
                    (response.status.as_u16(), response.header("etag")),
                    (412, ""),
                    "{write:?}, {contract:?}: {response}"
                );
                let mut changed = Write::Describe.apply(&fixture, before);
                changed.team().lead = fixture.user(3);
                assert_eq!(after, changed, "{write:?}");
            },
        )
        .await;
    }
}

/// What else went wrong at the same time is the business of whoever has seen the team as it is.
#[tokio::test]
async fn another_version_is_said_before_what_the_user_became() {
    let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
    let describe = meanwhile(
        &fixture,
        Method::PATCH,
        fixture.team_path(),
        json!({ "description": "Theirs" }),
    );
    let deactivate = profile(&fixture, 3, |user| user.status = UserStatus::Inactive);
    script.once(
        WRITES,
        Fault::RunFirst(Arc::new(move || {
            let (describe, deactivate) = (describe(), deactivate());
            Box::pin(async move {
                describe.await;
                deactivate.await;
            })
        })),
    );
    let invocation = Write::Lead
        .invocation(&fixture, Itsm)
        .with("if-match", "\"5\"");
    let response = invocation.call(&fixture.deps(&script)).await;
    assert_eq!(
        (response.status.as_u16(), script.calls(WRITES)),
        (412, 1),
        "{response}"
    );
}

#[tokio::test]
async fn a_rename_replaces_a_name_given_in_between() {
    let rename = |fixture: &FaultFixture| {
        meanwhile(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "name": "Other" }),
        )
    };
    raced(
        Write::Rename,
        rename,
        |_,
         Raced {
             mut before,
             response,
             after,
             ..
         }| {
            assert_eq!(response.status, 200, "{response}");
            before.team().version += 2;
            assert_eq!(
                (after.teams.len(), &after.teams["New"]),
                (1, &before.teams["Team"])
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_name_taken_in_between_is_taken() {
    let create = |fixture: &FaultFixture| {
        meanwhile(
            fixture,
            Method::POST,
            "/v1/teams".to_owned(),
            json!({ "name": "nEW" }),
        )
    };
    for write in [Write::Create, Write::Rename] {
        raced(
            write,
            create,
            |contract,
             Raced {
                 before,
                 response,
                 after,
                 ..
             }| {
                assert_eq!(response.status, conflict(contract), "{response}");
                assert_eq!(after.teams["Team"], before.teams["Team"]);
                assert_eq!(after.teams.len(), 2);
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_team_deleted_in_between_is_not_found() {
    let delete = |fixture: &FaultFixture| {
        meanwhile(fixture, Method::DELETE, fixture.team_path(), Value::Null)
    };
    for (write, _) in Write::ALL {
        if matches!(
            write,
            Write::Create | Write::CreateOnce | Write::CreateWithLead
        ) {
            continue;
        }
        raced(
            write,
            delete,
            |_,
             Raced {
                 fixture,
                 before,
                 response,
                 after,
             }| {
                assert_eq!(response.status, 404, "{write:?}: {response}");
                assert!(
                    response.text.contains("Team not found"),
                    "{write:?}: {response}"
                );
                assert_eq!(after, Write::Delete.apply(&fixture, before), "{write:?}");
            },
        )
        .await;
    }
}

/// Writes a user's profile past the API, as the directory does.
fn profile(fixture: &FaultFixture, n: usize, change: impl Fn(&mut User)) -> Hook {
    let (store, org) = (fixture.org.stack.store(), fixture.org.id.clone());
    let mut user = fixture.org.users[n].clone();
    user.version += 1;
    change(&mut user);
    Arc::new(move || {
        let (store, org, user) = (store.clone(), org.clone(), user.clone());
        Box::pin(async move {
            store
                .put_users(&org, &[user])
                .await
                .expect("users can be written")
        })
    })
}

#[tokio::test]
async fn a_user_deactivated_in_between_is_inactive() {
    for (write, n) in [
        (Write::Add, 3),
        (Write::AddLead, 3),
        (Write::Return, 2),
        (Write::Lead, 3),
        (Write::CreateWithLead, 3),
        (Write::Promote, 0),
    ] {
        let deactivate =
            |fixture: &FaultFixture| profile(fixture, n, |user| user.status = UserStatus::Inactive);
        raced(
            write,
            deactivate,
            |_,
             Raced {
                 before,
                 response,
                 after,
                 ..
             }| {
                assert_eq!(response.status, 422, "{write:?}: {response}");
                assert_eq!(after, before, "{write:?}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_profile_changed_in_between_is_copied_as_it_became() {
    for (write, n) in [(Write::Add, 3), (Write::Return, 2)] {
        let rename = |fixture: &FaultFixture| {
            profile(fixture, n, |user| "Renamed".clone_into(&mut user.name))
        };
        raced(
            write,
            rename,
            |_,
             Raced {
                 fixture,
                 before,
                 response,
                 after,
             }| {
                assert_eq!(response.status, 201, "{write:?}: {response}");
                assert!(response.text.contains("Renamed"), "{write:?}: {response}");
                assert_eq!(after, write.apply(&fixture, before), "{write:?}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_user_added_in_between_is_a_member_already() {
    for (write, n) in [(Write::Add, 3), (Write::Return, 2)] {
        let add = |fixture: &FaultFixture| {
            meanwhile(
                fixture,
                Method::POST,
                format!("{}/members", fixture.team_path()),
                json!({ "user_id": fixture.user(n) }),
            )
        };
        raced(
            write,
            add,
            |contract,
             Raced {
                 fixture,
                 before,
                 response,
                 after,
             }| {
                assert_eq!(response.status, conflict(contract), "{write:?}: {response}");
                assert_eq!(after, write.apply(&fixture, before), "{write:?}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_member_removed_in_between_is_not_found() {
    for (write, n) in [
        (Write::Remove, 0),
        (Write::Add, 0),
        (Write::Learn, 0),
        (Write::Promote, 0),
    ] {
        let remove = |fixture: &FaultFixture| {
            let member = format!("{}/members/{}", fixture.team_path(), fixture.user(n));
            meanwhile(fixture, Method::DELETE, member, Value::Null)
        };
        raced(
            write,
            remove,
            |_,
             Raced {
                 fixture,
                 before,
                 response,
                 after,
             }| {
                let removed = Write::Remove.apply(&fixture, before);
                if write == Write::Add {
                    assert_eq!(
                        (response.status.as_u16(), after),
                        (201, write.apply(&fixture, removed)),
                        "{response}"
                    );
                } else {
                    assert_eq!(
                        (response.status.as_u16(), after),
                        (404, removed),
                        "{response}"
                    );
                }
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_member_who_became_the_lead_in_between_is_treated_as_one() {
    let promote = |fixture: &FaultFixture| {
        meanwhile(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "lead_id": fixture.user(0) }),
        )
    };
    raced(
        Write::Remove,
        promote,
        |contract,
         Raced {
             fixture,
             mut before,
             response,
             after,
         }| {
            before.team().version += 1;
            before.team().lead = fixture.user(0);
            if contract == Itsm {
                assert_eq!(response.status, 409, "{response}");
            } else {
                assert_eq!(response.status, 204, "{response}");
                before = Write::Remove.apply(&fixture, before);
                before.team().lead.clear();
            }
            assert_eq!(after, before);
        },
    )
    .await;
}

/// Who leads is decided on the team as it is written, not as it was read.
#[tokio::test]
async fn a_lead_named_in_between_is_replaced_or_left_alone() {
    let lead = |fixture: &FaultFixture| {
        meanwhile(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "lead_id": fixture.user(3) }),
        )
    };
    raced(
        Write::Promote,
        lead,
        |_,
         Raced {
             fixture,
             before,
             response,
             after,
         }| {
            assert_eq!(response.status, 200, "{response}");
            assert_eq!(
                after,
                Write::Promote.apply(&fixture, Write::Lead.apply(&fixture, before))
            );
        },
    )
    .await;
    raced(
        Write::Demote,
        lead,
        |_,
         Raced {
             fixture,
             before,
             response,
             after,
         }| {
            assert_eq!(response.status, 200, "{response}");
            // Who leads no more is a member already.
            assert_eq!(after, Write::Lead.apply(&fixture, before));
        },
    )
    .await;
}

/// The lead is found out by a first transaction and removed by a second; who leads can change
/// before either.
#[tokio::test]
async fn a_lead_replaced_in_between_is_removed_and_the_new_one_stays() {
    let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
    let before = fixture.state().await;
    let replace = meanwhile(
        &fixture,
        Method::PATCH,
        fixture.team_path(),
        json!({ "lead_id": fixture.user(3) }),
    );
    script.once(WRITES, Fault::RunFirst(replace));
    let response = Write::RemoveLead
        .invocation(&fixture, Toptickets)
        .call(&fixture.deps(&script))
        .await;
    assert_eq!(response.status, 204, "{response}");
    let mut expected = Write::RemoveLead.apply(&fixture, Write::Lead.apply(&fixture, before));
    expected.team().lead = fixture.user(3);
    assert_eq!(fixture.state().await, expected);
}

#[tokio::test]
async fn a_deletion_takes_what_was_added_in_between() {
    for write in [
        Write::Add,
        Write::Return,
        Write::Describe,
        Write::Rename,
        Write::RemoveLead,
    ] {
        let change = |fixture: &FaultFixture| {
            let Invocation {
                method,
                target,
                body,
                ..
            } = match write {
                Write::RemoveLead => Write::Remove.invocation(fixture, Itsm),
                write => write.invocation(fixture, Itsm),
            };
            meanwhile(fixture, method, target, body.unwrap_or_default())
        };
        raced(
            Write::Delete,
            change,
            |_,
             Raced {
                 response, after, ..
             }| {
                assert_eq!(response.status, 204, "{write:?}: {response}");
                assert_eq!(
                    after,
                    State {
                        teams: BTreeMap::new(),
                        gone: 1,
                        left: 0
                    },
                    "{write:?}"
                );
            },
        )
        .await;
    }
}

/// Sets a number of the team's item.
fn number_set(fixture: &FaultFixture, attribute: &'static str, number: i64) -> Hook {
    let (table, team) = (Arc::new(OrgTable::of(&fixture.org)), fixture.team.clone());
    Arc::new(move || {
        let (table, team) = (Arc::clone(&table), team.clone());
        Box::pin(async move { table.set_number(&team, attribute, number).await })
    })
}

/// Sets a number of the team's load.
fn load_number_set(fixture: &FaultFixture, attribute: &'static str, number: i64) -> Hook {
    let (table, team) = (Arc::new(OrgTable::of(&fixture.org)), fixture.team.clone());
    Arc::new(move || {
        let (table, team) = (Arc::clone(&table), team.clone());
        Box::pin(async move { table.set_load_number(&team, attribute, number).await })
    })
}

#[tokio::test]
async fn a_ticket_opened_in_between_keeps_the_team_or_is_left_to_the_sweep() {
    let open = |fixture: &FaultFixture| load_number_set(fixture, "open_tickets", 3);
    raced(
        Write::Delete,
        open,
        |contract,
         Raced {
             fixture,
             before,
             response,
             after,
         }| {
            if contract == Itsm {
                assert_eq!(response.status, 409, "{response}");
                assert_eq!(
                    response.json["error"]["details"],
                    json!({ "openTickets": 3 }),
                    "{response}"
                );
                assert_eq!(after, before);
            } else {
                assert_eq!(response.status, 204, "{response}");
                // The memberships stay for as long as their tickets are counted.
                assert!(after.left > 0, "{after:?}");
                assert_eq!(
                    after,
                    State {
                        left: after.left,
                        ..Write::Delete.apply(&fixture, before)
                    }
                );
            }
        },
    )
    .await;

    let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
    script.once(WRITES, Fault::RunFirst(open(&fixture)));
    Write::Delete
        .invocation(&fixture, Toptickets)
        .call(&fixture.deps(&script))
        .await;
    let contents = fixture.table.contents_with(&[&fixture.team]).await;
    assert_eq!(number(&contents.gone[&fixture.team], "open_tickets"), 3);
}

#[tokio::test]
async fn a_team_filled_in_between_is_full() {
    for (write, contract) in [
        (Write::Add, Toptickets),
        (Write::Return, Itsm),
        (Write::AddLead, Itsm),
    ] {
        let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
        script.once(
            WRITES,
            Fault::RunFirst(number_set(&fixture, "member_count", 500)),
        );
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert_eq!(response.status, conflict(contract), "{response}");
        assert!(
            response.text.to_lowercase().contains("team is full"),
            "{response}"
        );
        let contents = fixture.table.contents().await;
        assert_eq!(
            (
                contents.members(&fixture.team).len(),
                number(&contents.teams[&fixture.team], "member_count")
            ),
            (2, 500)
        );
    }
}

#[tokio::test]
async fn a_team_that_never_holds_still_is_unavailable() {
    each(
        [
            (Write::Rename, Toptickets),
            (Write::Lead, Itsm),
            (Write::Delete, Itsm),
        ],
        async |(write, contract)| {
            let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
            let table = Arc::new(OrgTable::of(&fixture.org));
            let (team, version) = (
                fixture.team.clone(),
                Arc::new(std::sync::atomic::AtomicI64::new(100)),
            );
            let change: Hook = Arc::new(move || {
                let (table, team) = (Arc::clone(&table), team.clone());
                let version = version.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Box::pin(async move { table.set_number(&team, "version", version).await })
            });
            script.always(WRITES, Fault::RunFirst(change));
            let invocation = Invocation {
                time: SHORT,
                ..write.invocation(&fixture, contract)
            };
            let response = call_in_time(&invocation, &fixture.deps(&script)).await;
            assert_failed(&response, contract, 503, "contention");
            assert!(script.calls(WRITES) > 1);
            assert_eq!(
                assert_sound(&fixture.org).await.named("Team"),
                [fixture.team]
            );
        },
    )
    .await;
}
