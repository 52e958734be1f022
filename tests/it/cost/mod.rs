//! The cost of each request: round trips, calls, and the capacity that the table reports.
//!
//! The columns of a golden: contract, case, round trips, read units, write units, calls, and the
//! number of items of a transaction or batch. A rejected call reports no capacity, although AWS
//! bills a failed condition like a write.

mod auth;
mod idempotency;
mod members;
mod reads;
mod routing;
mod teams;
mod users;
mod waiting;

use std::{fmt::Write as _, num::NonZeroUsize, sync::Arc};

use aws_sdk_dynamodb::Client;
use muster_domain::{
    Contract::{self, Itsm, Toptickets},
    SecretKey, Subject, Timestamp,
};
use muster_service::{http::Deps, rate_limit::RateLimits};
use reqwest::Method;
use serde_json::Value;

use crate::support::{
    Organization, Stack,
    cost_meter::{CostMeter, ObservedCost},
    invoke::{self, TestInvocation},
    table::OrgTable,
    wait_until,
};

/// An organization with metered functions, and the lines of the golden.
pub(crate) struct CostRecorder {
    pub(crate) org: Organization,
    meter: CostMeter,
    deps: Deps,
    /// The headers of the following requests.
    headers: Vec<(&'static str, String)>,
    lines: String,
}

impl CostRecorder {
    async fn start() -> Self {
        Self::on(Stack::shared()).await
    }

    /// Starts with an organization on this stack.
    pub(crate) async fn on(stack: Stack) -> Self {
        let org = stack.organization().await;
        let meter = CostMeter::default();
        let config = invoke::client_config(&stack)
            .interceptor(meter.recorder())
            .build();
        let mut deps = invoke::deps(&stack, Client::from_conf(config));
        // The bytes of a number depend on its digits.
        deps.clock = Arc::new(|| Timestamp::from_millis(1_736_064_000_123));
        let mut recorder = Self {
            org,
            meter,
            deps,
            headers: Vec::new(),
            lines: String::new(),
        };
        for contract in Contract::ALL {
            recorder
                .call(contract, Method::GET, "/v1/teams?limit=1", None)
                .await;
        }
        recorder
    }

    /// Reads a page and returns its cost, without the report of the rate limits.
    pub(crate) async fn get(&mut self, contract: Contract, target: &str) -> ObservedCost {
        self.deps.rates = Arc::new(self.limits_without_report());
        self.call(contract, Method::GET, target, None).await
    }

    async fn call(
        &mut self,
        contract: Contract,
        method: Method,
        target: &str,
        body: Option<Value>,
    ) -> ObservedCost {
        self.meter.take();
        let client = match contract {
            Toptickets => &self.org.toptickets,
            Itsm => &self.org.itsm,
        };
        let headers = self.headers.clone();
        let invocation = TestInvocation {
            headers,
            ..TestInvocation::new(client.token(), method, target, body)
        };
        let response = invocation.call(&self.deps).await;
        assert!(response.status.is_success(), "{target}: {response}");
        self.meter.take()
    }

    /// Sends a request, asserts its round trips, and adds a line with its cost.
    async fn case(
        &mut self,
        round_trips: usize,
        case: &str,
        contract: Contract,
        (method, target, body): (Method, &str, Option<Value>),
    ) {
        self.deps.rates = Arc::new(self.limits_without_report());
        let ObservedCost {
            mut steps,
            read,
            written,
            ..
        } = self.call(contract, method, target, body).await;
        let contract = contract.as_str();
        assert_eq!(
            steps.len(),
            round_trips,
            "round trips of {case} under {contract}: {steps:?}"
        );
        let steps = join_steps(&mut steps);
        writeln!(
            self.lines,
            "{contract:<10} | {case:<31} | {round_trips} | {read:>4} | {written:>4} | {steps}"
        )
        .expect("a text can be written to");
    }

    /// Returns rate limits that do not report the next request of each client. A separate test
    /// covers the reports.
    fn limits_without_report(&self) -> RateLimits {
        let limits = RateLimits::new(NonZeroUsize::new(4).expect("not zero"));
        let keys = [&self.org.toptickets, &self.org.itsm]
            .into_iter()
            .filter_map(|client| SecretKey::parse(client.token()));
        let users = ["usr_1", "usr_2"].map(|user| Subject::of_token(&self.org.id, user));
        for subject in keys.map(|key| Subject::of_key(key.hash())).chain(users) {
            limits
                .admit(subject, u32::MAX, (self.deps.clock)())
                .expect("it is below the limit");
        }
        limits
    }

    /// Waits until a team's index marker is removed: deleting the team with its marker costs one
    /// more unit.
    async fn wait_until_indexed(&self, team: &str) {
        wait_until("the team is indexed", async || {
            !OrgTable::of(&self.org).contents().await.teams[team].contains_key("gsi1pk")
        })
        .await;
    }

    fn user(&self, n: usize) -> String {
        self.org.users[n].id.uuid().to_string()
    }
}

/// Formats the calls of each round trip, in a stable order.
fn join_steps(steps: &mut [Vec<String>]) -> String {
    let calls = |step: &mut Vec<String>| {
        step.sort();
        step.join(" + ")
    };
    let steps: Vec<_> = steps.iter_mut().map(calls).collect();
    steps.join(", then ")
}

fn get(target: &str) -> (Method, &str, Option<Value>) {
    (Method::GET, target, None)
}

fn post(target: &str, body: Value) -> (Method, &str, Option<Value>) {
    (Method::POST, target, Some(body))
}

fn patch(target: &str, body: Value) -> (Method, &str, Option<Value>) {
    (Method::PATCH, target, Some(body))
}

fn delete(target: &str) -> (Method, &str, Option<Value>) {
    (Method::DELETE, target, None)
}
