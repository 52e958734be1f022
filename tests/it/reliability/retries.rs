//! A client without a response retries with the same `Idempotency-Key`: the request takes effect
//! once, and both responses are equal.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use muster_domain::Contract::{self, Itsm, Toptickets};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, Organization, Response, Stack, bare,
    crash::{CrashPoint, Instance, TransactionLog},
    fault_injection::{FaultScript, Hook, InjectedFault, WRITES},
    invoke::{self, TestInvocation},
    table::{OrgTable, assert_sound, number},
};

/// A request that creates a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Creation {
    Team,
    LedTeam,
    Member,
    Lead,
    Returner,
}

impl Creation {
    const ALL: [(Self, Contract); 8] = [
        (Self::Team, Toptickets),
        (Self::Team, Itsm),
        (Self::LedTeam, Itsm),
        (Self::Member, Toptickets),
        (Self::Member, Itsm),
        (Self::Lead, Itsm),
        (Self::Returner, Toptickets),
        (Self::Returner, Itsm),
    ];
}

/// An organization with one team. User 0 is a member, and user 2 is a former member.
struct RetryFixture {
    org: Organization,
    team: String,
    creation: Creation,
    contract: Contract,
}

impl RetryFixture {
    async fn new(stack: &Stack, creation: Creation, contract: Contract) -> Self {
        let org = stack.organization().await;
        let team = org.team("Team").await;
        for n in [0, 2] {
            org.member(&team, &org.users[n]).await;
        }
        let removed = org
            .itsm
            .delete(&format!("/v1/teams/{team}/members/{}", bare(&org.users[2])))
            .await;
        assert_eq!(removed.status, 204, "{removed}");
        Self {
            org,
            team,
            creation,
            contract,
        }
    }

    fn client(&self) -> &Client {
        match self.contract {
            Toptickets => &self.org.toptickets,
            Itsm => &self.org.itsm,
        }
    }

    fn path_and_body(&self) -> (String, Value) {
        let (user, members) = (
            |n: usize| bare(&self.org.users[n]),
            format!("/v1/teams/{}/members", self.team),
        );
        match self.creation {
            Creation::Team => ("/v1/teams".to_owned(), json!({ "name": "New" })),
            Creation::LedTeam => (
                "/v1/teams".to_owned(),
                json!({ "name": "New", "lead_id": user(3) }),
            ),
            Creation::Member => (members, json!({ "user_id": user(3) })),
            Creation::Lead => (members, json!({ "user_id": user(3), "role": "lead" })),
            Creation::Returner => (members, json!({ "user_id": user(2), "skills": ["VPN"] })),
        }
    }

    /// Returns the request in the form in which the gateway invokes the function.
    fn invocation(&self) -> TestInvocation {
        let (path, body) = self.path_and_body();
        TestInvocation::new(self.client().token(), Method::POST, path, Some(body))
            .with("idempotency-key", "once")
    }

    /// Returns the request for the HTTP API of the stack.
    fn request(&self) -> reqwest::RequestBuilder {
        let (path, body) = self.path_and_body();
        self.client()
            .request(Method::POST, &path)
            .header("idempotency-key", "once")
            .json(&body)
    }

    /// Asserts that the request took effect once.
    async fn assert_done_once(&self, what: &str) {
        let contents = assert_sound(&self.org).await;
        let team = &contents.teams[&self.team];
        if matches!(self.creation, Creation::Team | Creation::LedTeam) {
            assert_eq!(
                (contents.teams.len(), contents.named("New").len()),
                (2, 1),
                "{what}"
            );
            assert_eq!(number(team, "version"), 4, "{what}");
        } else {
            assert_eq!(
                (contents.teams.len(), contents.members(&self.team).len()),
                (1, 2),
                "{what}"
            );
            assert_eq!(number(team, "version"), 5, "{what}");
        }
    }
}

/// Asserts that two responses are equal.
#[track_caller]
fn assert_same(first: &Response, again: &Response, what: &str) {
    assert_eq!(first.status, 201, "{what}: {first}");
    let compared = |response: &Response| {
        (
            response.status,
            response.text.clone(),
            response.header("etag").to_owned(),
        )
    };
    assert_eq!(compared(again), compared(first), "{what}");
}

/// An instance crashes at each of its calls in turn, before the call is sent or before its response
/// arrives.
#[tokio::test]
async fn retry_after_an_instance_crash_happens_once() {
    let stack = Stack::with(|_| {}).await;
    let mut cases = Vec::new();
    for (creation, contract) in Creation::ALL {
        let fixture = RetryFixture::new(&stack, creation, contract).await;
        let instance = Instance::new(&TransactionLog::default());
        let response = fixture
            .invocation()
            .call(&invoke::deps(&stack, instance.client(&stack)))
            .await;
        assert_eq!(response.status, 201, "{creation:?}: {response}");
        assert!(instance.calls() >= 2, "at least one read and one write");
        let crashes = (0..instance.calls()).flat_map(|call| {
            [
                (call, CrashPoint::BeforeCall),
                (call, CrashPoint::AfterCall),
            ]
        });
        cases.extend(crashes.map(|crash_at| (creation, contract, crash_at)));
    }
    stream::iter(cases)
        .map(async |(creation, contract, crash_at)| {
            let what = format!("{creation:?} under {contract:?}, crash at {crash_at:?}");
            let fixture = RetryFixture::new(&stack, creation, contract).await;
            let transaction_log = TransactionLog::default();
            let instance = Instance::crashing(&transaction_log, Some(crash_at));
            let deps = invoke::deps(&stack, instance.client(&stack));
            assert!(
                instance
                    .run(fixture.invocation().call(&deps))
                    .await
                    .is_none(),
                "{what}: the instance did not crash"
            );
            let deps = invoke::deps(&stack, Instance::new(&transaction_log).client(&stack));
            let response = fixture.invocation().call(&deps).await;
            for _ in 0..2 {
                assert_same(&response, &fixture.invocation().call(&deps).await, &what);
            }
            transaction_log.wait_until_idle().await;
            fixture.assert_done_once(&what).await;
        })
        .buffer_unordered(4)
        .collect::<()>()
        .await;
}

/// Returns a hook that sends the same request to the stack, and the responses.
fn duplicate_hook(
    fixture: &RetryFixture,
) -> (Hook, tokio::sync::mpsc::UnboundedReceiver<Response>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let request = fixture.request();
    let hook: Hook = Arc::new(move || {
        let (request, sender) = (
            request.try_clone().expect("the body is in memory"),
            sender.clone(),
        );
        Box::pin(async move {
            sender
                .send(Client::send(request).await)
                .expect("the receiver waits");
        })
    });
    (hook, receiver)
}

/// The duplicate runs before each call of the request in turn. The request then reads, or conflicts
/// with, the effect of the duplicate.
#[tokio::test]
async fn concurrent_duplicate_requests_happen_once() {
    let stack = Stack::with(|_| {}).await;
    let mut cases = Vec::new();
    for (creation, contract) in Creation::ALL {
        // Adding a member reads four items and runs one query.
        for (operations, calls) in [(&["GetItem"][..], 4), (&["Query"], 1), (WRITES, 2)] {
            cases.extend((0..calls).map(|nth| (creation, contract, operations, nth)));
        }
    }
    let races = stream::iter(cases)
        .map(async |(creation, contract, operations, nth)| {
            let what = format!(
                "{creation:?} under {contract:?}, another before call {nth} of {operations:?}"
            );
            let fixture = RetryFixture::new(&stack, creation, contract).await;
            let (again, mut responses) = duplicate_hook(&fixture);
            let script = FaultScript::default();
            script.nth(operations, nth, InjectedFault::RunFirst(again));
            let response = fixture
                .invocation()
                .call(&invoke::deps(&stack, script.client(&stack)))
                .await;
            if script.is_consumed() {
                assert_same(
                    &responses.recv().await.expect("the duplicate was sent"),
                    &response,
                    &what,
                );
            } else {
                assert_eq!(response.status, 201, "{what}: {response}");
            }
            fixture.assert_done_once(&what).await;
            usize::from(script.is_consumed())
        })
        .buffer_unordered(4)
        .fold(0, async |sum, consumed| sum + consumed)
        .await;
    assert!(races > 30, "only {races} requests raced");
}

/// The name is taken when the first request is rejected, and free when its duplicate is sent. The
/// duplicate succeeds, and the first request returns the saved response.
#[tokio::test]
async fn rejected_request_returns_response_of_its_duplicate() {
    let stack = Stack::with(|_| {}).await;
    for contract in Contract::ALL {
        let fixture = RetryFixture::new(&stack, Creation::Team, contract).await;
        let named = fixture.org.team("new").await;
        let (again, mut responses) = duplicate_hook(&fixture);
        let (client, path) = (fixture.org.toptickets.clone(), format!("/v1/teams/{named}"));
        let script = FaultScript::default();
        script.nth(
            WRITES,
            1,
            InjectedFault::RunFirst(Arc::new(move || {
                let (again, client, path) = (again(), client.clone(), path.clone());
                Box::pin(async move {
                    assert_eq!(client.delete(&path).await.status, 204);
                    again.await;
                })
            })),
        );
        let response = fixture
            .invocation()
            .call(&invoke::deps(&stack, script.client(&stack)))
            .await;
        assert!(script.is_consumed(), "{response}");
        assert_same(
            &responses.recv().await.expect("the duplicate was sent"),
            &response,
            "the name is free",
        );
        fixture.assert_done_once("the name is free").await;
    }
}

/// Before a rejection, the last read of the key waits for transactions in progress.
#[tokio::test]
async fn rejection_waits_for_transactions_on_the_key() {
    let stack = Stack::with(|_| {}).await;
    for (creation, contract, status) in [
        (Creation::Team, Toptickets, 422),
        (Creation::Team, Itsm, 409),
        (Creation::Member, Toptickets, 422),
        (Creation::Member, Itsm, 409),
    ] {
        let fixture = RetryFixture::new(&stack, creation, contract).await;
        fixture.org.team("new").await;
        fixture
            .org
            .member(&fixture.team, &fixture.org.users[3])
            .await;
        let before = OrgTable::of(&fixture.org).contents().await;
        // A membership is found by a read, a taken name by the failed condition of its claim.
        let writes_before = usize::from(creation == Creation::Team);
        for fault in [
            InjectedFault::Canceled("TransactionConflict"),
            InjectedFault::ResponseDropped,
            InjectedFault::ConnectionClosed,
        ] {
            let script = FaultScript::default();
            script.nth(WRITES, writes_before, fault.clone());
            let response = fixture
                .invocation()
                .call(&invoke::deps(&stack, script.client(&stack)))
                .await;
            assert_eq!(response.status, status, "{fault:?}: {response}");
            assert_eq!(script.calls(WRITES), writes_before + 2, "{fault:?}");
        }
        let script = FaultScript::default();
        for _ in 0..1000 {
            script.nth(
                WRITES,
                writes_before,
                InjectedFault::Canceled("TransactionConflict"),
            );
        }
        let invocation = TestInvocation {
            time: Duration::from_secs(2),
            ..fixture.invocation()
        };
        let response = invocation
            .call(&invoke::deps(&stack, script.client(&stack)))
            .await;
        assert_eq!(response.status, 503, "{response}");
        assert_eq!(
            OrgTable::of(&fixture.org).contents().await.teams,
            before.teams
        );
    }
}
