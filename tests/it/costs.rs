//! What each request costs: how many round trips in a row, which calls, and the capacity that the
//! table says they consumed.
//!
//! The columns: contract, case, round trips, read units, write units, calls, a transaction with its
//! number of items. Calls that are refused report nothing, though AWS bills a failed condition like
//! a write.

use std::{collections::HashMap, fmt::Write as _, num::NonZeroUsize, sync::Arc, time::Duration};

use aws_sdk_dynamodb::Client;
use futures_util::future::join_all;
use insta::assert_snapshot;
use muster_cli::scenario::Scenario;
use muster_domain::{
    Contract::{self, Itsm, Toptickets},
    KeyKind,
    QueueStrategy::{LeastBusy, SkillBased},
    SecretKey, Subject, Timestamp,
};
use muster_service::{http::Deps, rate_limit::RateLimits, store::Table};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Organization, Stack,
    cost_meter::{CostMeter, ObservedCost},
    invoke::{self, Invocation},
    jwt::{SIGNERS, claims, with},
    n,
    org::{NOW, OrgFixture, TeamFixture, team, team_id, ticket_message, user},
    sqs::invoke_assignment,
    table::OrgTable,
    table_audit::size,
    ticket_items::{assigned, waiting},
    unknown_key, wait_until,
};

/// An organization whose functions are metered, and a line for each case.
pub(crate) struct Metered {
    pub(crate) org: Organization,
    meter: CostMeter,
    deps: Deps,
    /// Headers of the requests to come.
    headers: Vec<(&'static str, String)>,
    lines: String,
}

impl Metered {
    async fn start() -> Self {
        Self::on(Stack::shared()).await
    }

    /// Starts with an organization on this stack.
    pub(crate) async fn on(stack: Stack) -> Self {
        let org = stack.organization().await;
        let meter = CostMeter::default();
        let config = invoke::client_config(&stack)
            .interceptor(meter.clone())
            .build();
        let mut deps = invoke::deps(&stack, Client::from_conf(config));
        // The bytes of a number depend on its digits.
        deps.clock = Arc::new(|| Timestamp::from_millis(1_736_064_000_123));
        let mut metered = Self {
            org,
            meter,
            deps,
            headers: Vec::new(),
            lines: String::new(),
        };
        for contract in Contract::ALL {
            metered
                .call(contract, Method::GET, "/v1/teams?limit=1", None)
                .await;
        }
        metered
    }

    /// Reads a page, and returns its cost without the report to the rate limits.
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
        *self.meter.observed() = ObservedCost::default();
        let client = match contract {
            Toptickets => &self.org.toptickets,
            Itsm => &self.org.itsm,
        };
        let headers = self.headers.clone();
        let invocation = Invocation {
            headers,
            ..Invocation::new(client.token(), method, target, body)
        };
        let response = invocation.call(&self.deps).await;
        assert!(response.status.is_success(), "{target}: {response}");
        self.meter.take()
    }

    /// Makes a request, asserts the round trips that the design allows it, and writes a line of
    /// what it cost.
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
        let calls = |step: &mut Vec<String>| {
            step.sort();
            step.join(" + ")
        };
        let steps = steps
            .iter_mut()
            .map(calls)
            .collect::<Vec<_>>()
            .join(", then ");
        writeln!(
            self.lines,
            "{contract:<10} | {case:<31} | {round_trips} | {read:>4} | {written:>4} | {steps}"
        )
        .expect("a text can be written to");
    }

    /// Limits under which the next request of each client is not reported: the reports have a test
    /// of their own.
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

    /// Waits until a team has no mark: removing the mark with the team costs a unit more.
    async fn until_indexed(&self, team: &str) {
        wait_until("the team is indexed", async || {
            !OrgTable::of(&self.org).contents().await.teams[team].contains_key("gsi1pk")
        })
        .await;
    }

    fn user(&self, n: usize) -> String {
        self.org.users[n].id.uuid().to_string()
    }
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

/// Requests by a key that is not in memory read it first.
#[tokio::test]
async fn a_cold_key_costs_one_read() {
    let mut metered = Metered::start().await;
    let team = format!("/v1/teams/{}", metered.org.team("Team").await);
    metered.case(1, "get a team, warm", Itsm, get(&team)).await;
    metered.deps.keys = invoke::deps(
        &metered.org.stack,
        Client::from_conf(invoke::client_config(&metered.org.stack).build()),
    )
    .keys;
    metered.case(2, "get a team, cold", Itsm, get(&team)).await;
    assert_snapshot!(metered.lines, @"
    itsm       | get a team, warm                | 1 |    2 |    0 | GetItem + Query
    itsm       | get a team, cold                | 2 |    3 |    0 | GetItem, then GetItem + Query
    ");
}

/// A key that is not in the table is read once in a few seconds, however often it is tried and from
/// however many connections.
#[tokio::test]
async fn flood_of_one_bad_key_costs_one_read() {
    let metered = Metered::start().await;
    *metered.meter.observed() = ObservedCost::default();
    let bad = [
        unknown_key(KeyKind::Itsm),
        SIGNERS[0].sign(&claims(&metered.org.id, (metered.deps.clock)())),
    ];
    for token in &bad {
        let invocation = Invocation::new(token, Method::GET, "/v1/teams", None);
        for _ in 0..3 {
            let responses = join_all((0..20).map(|_| invocation.call(&metered.deps))).await;
            assert!(
                responses.iter().all(|response| response.status == 401),
                "{responses:?}"
            );
        }
    }
    let ObservedCost {
        steps,
        read,
        written,
        ..
    } = metered.meter.take();
    assert_eq!(
        (steps.concat(), written),
        (vec!["GetItem".to_owned(); 2], 0.0)
    );
    assert!(read <= 2.0, "{read}");
}

/// And by tokens whose issuer is not.
#[tokio::test]
async fn a_cold_token_costs_one_read() {
    let mut metered = Metered::start().await;
    let team = format!("/v1/teams/{}", metered.org.team("Team").await);
    metered
        .org
        .trust(&[SIGNERS[0].jwk(), SIGNERS[1].jwk()])
        .await;
    let claims = claims(&metered.org.id, (metered.deps.clock)());
    let by = |user: &str| {
        metered
            .org
            .stack
            .client(&SIGNERS[1].sign(&with(claims.clone(), &json!({ "sub": user }))))
    };
    let [one, another] = ["usr_1", "usr_2"].map(by);
    metered.org.itsm = one;
    metered.case(2, "get a team, cold", Itsm, get(&team)).await;
    metered.case(1, "get a team, warm", Itsm, get(&team)).await;
    metered.org.itsm = another;
    metered
        .case(1, "get a team, warm, another user", Itsm, get(&team))
        .await;
    assert_snapshot!(metered.lines, @"
    itsm       | get a team, cold                | 2 |    3 |    0 | GetItem, then GetItem + Query
    itsm       | get a team, warm                | 1 |    2 |    0 | GetItem + Query
    itsm       | get a team, warm, another user  | 1 |    2 |    0 | GetItem + Query
    ");
}

/// The first request of a key in a minute and then one of every ten bring a report, beside the
/// request's own calls.
#[tokio::test]
async fn counting_requests_costs_no_round_trip() {
    let mut metered = Metered::start().await;
    let team = format!("/v1/teams/{}", metered.org.team("Team").await);
    metered.deps.rates = Arc::new(RateLimits::new(NonZeroUsize::MIN));
    let (mut reports, mut written) = (0, 0.0);
    for n in 1..=101 {
        let observed = metered.call(Itsm, Method::GET, &team, None).await;
        assert_eq!(
            observed.steps.len(),
            1,
            "round trips of request {n}: {:?}",
            observed.steps
        );
        assert_eq!(
            observed.steps[0].len(),
            if n % 10 == 1 { 3 } else { 2 },
            "request {n}: {:?}",
            observed.steps
        );
        reports += observed.steps[0]
            .iter()
            .filter(|call| *call == "UpdateItem")
            .count();
        written += observed.written;
    }
    assert_eq!((reports, written), (11, 11.0), "of 101 requests");
    // A request of two round trips has two with a report, too.
    for _ in 1..10 {
        metered.call(Itsm, Method::GET, &team, None).await;
    }
    let adding = json!({ "user_id": metered.user(0) });
    let ObservedCost { steps, .. } = metered
        .call(Itsm, Method::POST, &format!("{team}/members"), Some(adding))
        .await;
    assert_eq!(
        steps[0].iter().filter(|call| *call == "UpdateItem").count(),
        1,
        "{steps:?}"
    );
    assert!(steps.len() <= 2, "{steps:?}");
}

#[tokio::test]
async fn reading_costs_what_the_design_says() {
    let mut metered = Metered::start().await;
    // Forty teams of about 300 bytes, the first with three members. A list pays half a unit for
    // each load that it shows, and a unit for each team that it reads by its key: a page deep in a
    // large organization costs what it shows.
    let mut teams = Vec::new();
    for n in 0..40 {
        teams.push(metered.org.team(&format!("Team {n:02}")).await);
    }
    for n in 0..3 {
        metered.org.member(&teams[0], &metered.org.users[n]).await;
    }
    let team = format!("/v1/teams/{}", teams[0]);
    for contract in Contract::ALL {
        metered
            .case(1, "get a team of 3", contract, get(&team))
            .await;
        metered
            .case(
                1,
                "members of a team of 3",
                contract,
                get(&format!("{team}/members?limit=2")),
            )
            .await;
    }
    metered
        .case(
            1,
            "workload of a team of 3",
            Itsm,
            get(&format!("{team}/workload")),
        )
        .await;
    for (round_trips, case, query) in [
        (1, "first page of 10", "limit=10"),
        (1, "third page of 10", "limit=10&skip=20"),
        (3, "beyond the first 100", "limit=100&skip=30"),
        (1, "past the end", "skip=1000"),
    ] {
        metered
            .case(
                round_trips,
                &format!("list, {case}"),
                Toptickets,
                get(&format!("/v1/teams?{query}")),
            )
            .await;
    }
    for (round_trips, case, query) in [
        (2, "first page of 10", "limit=10"),
        (2, "third page of 10", "limit=10&page=3"),
        (2, "oldest first", "limit=10&sortOrder=asc"),
        (1, "past the end", "page=1000"),
        (2, "search", "limit=10&search=7"),
        (1, "search, past the end", "page=9&search=7"),
        (2, "by name", "limit=10&sortBy=name"),
        (3, "by name, page 2", "limit=10&sortBy=name&page=2"),
        (2, "by update", "limit=10&sortBy=updatedAt"),
    ] {
        metered
            .case(
                round_trips,
                &format!("list, {case}"),
                Itsm,
                get(&format!("/v1/teams?{query}")),
            )
            .await;
    }
    assert_snapshot!(metered.lines, @"
    toptickets | get a team of 3                 | 1 |    2 |    0 | GetItem + Query
    toptickets | members of a team of 3          | 1 |    2 |    0 | GetItem + Query
    itsm       | get a team of 3                 | 1 |    2 |    0 | GetItem + Query
    itsm       | members of a team of 3          | 1 |    2 |    0 | GetItem + Query
    itsm       | workload of a team of 3         | 1 |    2 |    0 | GetItem + Query
    toptickets | list, first page of 10          | 1 |    1 |    0 | Query
    toptickets | list, third page of 10          | 1 |    2 |    0 | Query
    toptickets | list, beyond the first 100      | 3 |   13 |    0 | GetItem, then Query, then BatchGetItem(10)
    toptickets | list, past the end              | 1 |    1 |    0 | GetItem
    itsm       | list, first page of 10          | 2 |    7 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | list, third page of 10          | 2 |    8 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | list, oldest first              | 2 |    7 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | list, past the end              | 1 |    1 |    0 | GetItem
    itsm       | list, search                    | 2 |    8 |    0 | Query, then BatchGetItem(4) + BatchGetItem(4)
    itsm       | list, search, past the end      | 1 |    2 |    0 | Query
    itsm       | list, by name                   | 2 |   17 |    0 | Query, then BatchGetItem(10) + BatchGetItem(10)
    itsm       | list, by name, page 2           | 3 |   18 |    0 | GetItem, then Query, then BatchGetItem(10) + BatchGetItem(10)
    itsm       | list, by update                 | 2 |   17 |    0 | Query, then BatchGetItem(10) + BatchGetItem(10)
    ");
}

#[tokio::test]
async fn reading_decisions_costs_what_the_design_says() {
    let mut metered = Metered::start().await;
    let id = metered.org.team("Team").await;
    let list = format!("/v1/teams/{id}/assignments");
    metered
        .case(1, "decisions of a team, none", Itsm, get(&list))
        .await;
    // 300 tickets of about 600 bytes, 20 of which wait.
    for number in 0..300_i64 {
        let ticket = if number < 20 {
            waiting(&id, number)
        } else {
            assigned(&id, &metered.org.users[0], number)
        };
        metered
            .org
            .put_ticket(&format!("TKT-{number:03}"), &ticket)
            .await;
    }
    metered
        .org
        .set_load(&id, &[("open_tickets", n(300)), ("waiting_tickets", n(20))])
        .await;
    for contract in Contract::ALL {
        metered
            .case(1, "one decision", contract, get("/v1/assignments/TKT-007"))
            .await;
        metered
            .case(
                2,
                "decisions, first page of 10",
                contract,
                get(&format!("{list}?limit=10")),
            )
            .await;
    }
    for (round_trips, case, query) in [
        (2, "waiting, page 1", "limit=10&state=waiting"),
        (3, "waiting, page 2", "limit=10&page=2&state=waiting"),
        (2, "assigned, page 1", "limit=10&state=assigned"),
        (3, "third page of 10", "limit=10&page=3"),
        (3, "last page", "limit=100&page=3"),
        (2, "all at once", "limit=1000"),
        (1, "past the end", "page=1000"),
    ] {
        metered
            .case(
                round_trips,
                &format!("decisions, {case}"),
                Itsm,
                get(&format!("{list}?{query}")),
            )
            .await;
    }
    assert_snapshot!(metered.lines, @"
    itsm       | decisions of a team, none       | 1 |    2 |    0 | GetItem + Query + Query
    toptickets | one decision                    | 1 |    1 |    0 | GetItem
    toptickets | decisions, first page of 10     | 2 |   12 |    0 | GetItem + Query + Query, then BatchGetItem(10)
    itsm       | one decision                    | 1 |    1 |    0 | GetItem
    itsm       | decisions, first page of 10     | 2 |   12 |    0 | GetItem + Query + Query, then BatchGetItem(10)
    itsm       | decisions, waiting, page 1      | 2 | 11.5 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | decisions, waiting, page 2      | 3 | 11.5 |    0 | GetItem, then Query, then BatchGetItem(10)
    itsm       | decisions, assigned, page 1     | 2 | 11.5 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | decisions, third page of 10     | 3 |   12 |    0 | GetItem, then Query, then BatchGetItem(10)
    itsm       | decisions, last page            | 3 |  108 |    0 | GetItem, then Query + Query, then BatchGetItem(100)
    itsm       | decisions, all at once          | 2 |  308 |    0 | GetItem + Query + Query, then BatchGetItem(100) + BatchGetItem(100) + BatchGetItem(100)
    itsm       | decisions, past the end         | 1 |    1 |    0 | GetItem
    ");
}

#[tokio::test]
async fn writing_teams_costs_what_the_design_says() {
    let mut metered = Metered::start().await;
    let lead = metered.user(0);
    metered
        .case(
            1,
            "create",
            Toptickets,
            post("/v1/teams", json!({ "name": "Bare" })),
        )
        .await;
    metered
        .case(
            1,
            "create",
            Itsm,
            post("/v1/teams", json!({ "name": "Plain" })),
        )
        .await;
    metered
        .case(
            1,
            "create with a lead",
            Itsm,
            post("/v1/teams", json!({ "name": "Led", "lead_id": lead })),
        )
        .await;
    let expert = json!({ "name": "Expert", "specializations": ["vpn"] });
    metered
        .case(
            1,
            "create with a specialization",
            Itsm,
            post("/v1/teams", expert),
        )
        .await;

    for contract in Contract::ALL {
        let id = metered
            .org
            .team(&format!("Team {}", contract.as_str()))
            .await;
        for n in 0..3 {
            metered.org.member(&id, &metered.org.users[n]).await;
        }
        let team = format!("/v1/teams/{id}");
        let described = json!({ "description": "What it is for" });
        metered
            .case(
                1,
                "patch of the description",
                contract,
                patch(&team, described.clone()),
            )
            .await;
        metered
            .case(
                1,
                "patch that changes nothing",
                contract,
                patch(&team, described),
            )
            .await;
        metered
            .case(
                1,
                "patch without a known field",
                contract,
                patch(&team, json!({ "id": "x" })),
            )
            .await;
        let renamed = json!({ "name": format!("Crew {}", contract.as_str()) });
        metered
            .case(
                2,
                "patch of the name",
                contract,
                patch(&team, renamed.clone()),
            )
            .await;
        metered
            .case(1, "patch to the same name", contract, patch(&team, renamed))
            .await;
        if contract == Itsm {
            let all = json!({ "description": null, "queue_strategy": "least_busy", "specializations": ["vpn"] });
            metered
                .case(1, "patch of all plain fields", contract, patch(&team, all))
                .await;
            metered.until_indexed(&id).await;
            metered
                .case(
                    2,
                    "patch of the lead",
                    contract,
                    patch(&team, json!({ "lead_id": lead })),
                )
                .await;
            metered
                .case(
                    2,
                    "patch that clears the lead",
                    contract,
                    patch(&team, json!({ "lead_id": null })),
                )
                .await;
        }
        metered
            .case(2, "delete a team of 3", contract, delete(&team))
            .await;
    }
    assert_snapshot!(metered.lines, @"
    toptickets | create                          | 1 |    0 |    8 | TransactWriteItems(4)
    itsm       | create                          | 1 |    0 |    8 | TransactWriteItems(4)
    itsm       | create with a lead              | 1 |    0 |   12 | TransactWriteItems(6)
    itsm       | create with a specialization    | 1 |    0 |    9 | TransactWriteItems(4)
    toptickets | patch of the description        | 1 |    1 |    1 | Query + UpdateItem
    toptickets | patch that changes nothing      | 1 |    1 |    0 | Query + UpdateItem
    toptickets | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    toptickets | patch of the name               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    toptickets | patch to the same name          | 1 |    2 |    0 | GetItem + Query
    toptickets | delete a team of 3              | 2 |    2 |   20 | GetItem + Query, then TransactWriteItems(8)
    itsm       | patch of the description        | 1 |    1 |    1 | Query + UpdateItem
    itsm       | patch that changes nothing      | 1 |    1 |    0 | Query + UpdateItem
    itsm       | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    itsm       | patch of the name               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | patch to the same name          | 1 |    2 |    0 | GetItem + Query
    itsm       | patch of all plain fields       | 1 |    1 |    2 | Query + UpdateItem
    itsm       | patch of the lead               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | patch that clears the lead      | 2 |    2 |    4 | GetItem + Query, then TransactWriteItems(2)
    itsm       | delete a team of 3              | 2 |    2 |   20 | GetItem + Query, then TransactWriteItems(8)
    ");
}

/// What has to be of a version is read before it is written, by a transaction. A deletion is so
/// anyway.
#[tokio::test]
async fn changing_a_version_costs_what_the_design_says() {
    let mut metered = Metered::start().await;
    for contract in Contract::ALL {
        let id = metered
            .org
            .team(&format!("Team {}", contract.as_str()))
            .await;
        let team = format!("/v1/teams/{id}");
        let described = json!({ "description": "What it is for" });
        metered.headers = vec![("if-match", "\"1\"".to_owned())];
        metered
            .case(
                2,
                "patch of the description",
                contract,
                patch(&team, described.clone()),
            )
            .await;
        metered.headers = vec![("if-match", "\"2\"".to_owned())];
        metered
            .case(
                1,
                "patch that changes nothing",
                contract,
                patch(&team, described),
            )
            .await;
        metered
            .case(
                1,
                "patch without a known field",
                contract,
                patch(&team, json!({})),
            )
            .await;
        let renamed = json!({ "name": format!("Crew {}", contract.as_str()) });
        metered
            .case(2, "patch of the name", contract, patch(&team, renamed))
            .await;
        metered.headers = vec![("if-match", "*".to_owned())];
        metered
            .case(
                1,
                "patch of any version",
                contract,
                patch(&team, json!({ "description": null })),
            )
            .await;
        metered.headers = vec![("if-match", "\"4\"".to_owned())];
        metered.case(2, "delete", contract, delete(&team)).await;
    }
    assert_snapshot!(metered.lines, @"
    toptickets | patch of the description        | 2 |    2 |    2 | GetItem + Query, then TransactWriteItems(1)
    toptickets | patch that changes nothing      | 1 |    2 |    0 | GetItem + Query
    toptickets | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    toptickets | patch of the name               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    toptickets | patch of any version            | 1 |    1 |    1 | Query + UpdateItem
    toptickets | delete                          | 2 |    2 |   11 | GetItem + Query, then TransactWriteItems(5)
    itsm       | patch of the description        | 2 |    2 |    2 | GetItem + Query, then TransactWriteItems(1)
    itsm       | patch that changes nothing      | 1 |    2 |    0 | GetItem + Query
    itsm       | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    itsm       | patch of the name               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | patch of any version            | 1 |    1 |    1 | Query + UpdateItem
    itsm       | delete                          | 2 |    2 |   11 | GetItem + Query, then TransactWriteItems(5)
    ");
}

/// A saved response costs two write units for each kilobyte of its compressed item. A request that
/// reads anyway reads it in parallel.
#[tokio::test]
async fn doing_something_once_costs_what_the_design_says() {
    let mut metered = Metered::start().await;
    let (lead, described) = (metered.user(0), "What it is for. ".repeat(600));
    for contract in Contract::ALL {
        let name = contract.as_str();
        for (case, body) in [
            ("create", json!({ "name": format!("Plain {name}") })),
            (
                "create with a lead",
                json!({ "name": format!("Led {name}"), "lead_id": lead }),
            ),
            (
                "create with 9,600 characters",
                json!({ "name": format!("Long {name}"), "description": described }),
            ),
        ] {
            metered.headers = vec![(
                "idempotency-key",
                format!("{case} {name}").replace(' ', "-"),
            )];
            metered
                .case(1, case, contract, post("/v1/teams", body.clone()))
                .await;
            metered
                .case(1, "the same again", contract, post("/v1/teams", body))
                .await;
        }
        let id = metered.org.team(&format!("Team {name}")).await;
        for n in 0..9 {
            metered.org.member(&id, &metered.org.users[n]).await;
        }
        let (members, adding) = (
            format!("/v1/teams/{id}/members"),
            json!({ "user_id": metered.user(9) }),
        );
        metered.headers = vec![("idempotency-key", format!("add-{name}"))];
        metered
            .case(
                2,
                "add the tenth member",
                contract,
                post(&members, adding.clone()),
            )
            .await;
        metered
            .case(1, "the same again", contract, post(&members, adding))
            .await;
    }
    assert_snapshot!(metered.lines, @"
    toptickets | create                          | 1 |    0 |   10 | TransactWriteItems(5)
    toptickets | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    toptickets | create with a lead              | 1 |    0 |   10 | TransactWriteItems(5)
    toptickets | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    toptickets | create with 9,600 characters    | 1 |    0 |   28 | TransactWriteItems(5)
    toptickets | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    toptickets | add the tenth member            | 2 |    6 |   13 | GetItem + GetItem + GetItem + GetItem + Query, then TransactWriteItems(6)
    toptickets | the same again                  | 1 |    6 |    0 | GetItem + GetItem + GetItem + GetItem + Query
    itsm       | create                          | 1 |    0 |   10 | TransactWriteItems(5)
    itsm       | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    itsm       | create with a lead              | 1 |    0 |   14 | TransactWriteItems(7)
    itsm       | the same again                  | 1 |    0 |    0 | TransactWriteItems(7)
    itsm       | create with 9,600 characters    | 1 |    0 |   28 | TransactWriteItems(5)
    itsm       | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    itsm       | add the tenth member            | 2 |    6 |   13 | GetItem + GetItem + GetItem + GetItem + Query, then TransactWriteItems(6)
    itsm       | the same again                  | 1 |    6 |    0 | GetItem + GetItem + GetItem + GetItem + Query
    ");
}

/// Removing a member reads the team first, and moves the counters of the membership to an item of
/// their own. Adding a member reads such an item. In return, a read of the team costs the same
/// whatever the number of its former members.
#[tokio::test]
async fn writing_members_costs_what_the_design_says() {
    let mut metered = Metered::start().await;
    for contract in Contract::ALL {
        let id = metered
            .org
            .team(&format!("Team {}", contract.as_str()))
            .await;
        for n in 0..2 {
            metered.org.member(&id, &metered.org.users[n]).await;
        }
        let members = format!("/v1/teams/{id}/members");
        let (newcomer, lead) = (metered.user(2), metered.user(3));
        let adding = json!({ "user_id": newcomer });
        metered
            .case(2, "add a member", contract, post(&members, adding.clone()))
            .await;
        let member = format!("{members}/{newcomer}");
        let (learned, led) = (json!({ "skills": ["vpn"] }), json!({ "role": "lead" }));
        metered
            .case(
                1,
                "patch of skills",
                contract,
                patch(&member, learned.clone()),
            )
            .await;
        metered
            .case(
                1,
                "patch to the same skills",
                contract,
                patch(&member, learned),
            )
            .await;
        metered
            .case(
                1,
                "patch without a known field",
                contract,
                patch(&member, json!({ "id": "x" })),
            )
            .await;
        metered
            .case(
                2,
                "patch that makes the lead",
                contract,
                patch(&member, led.clone()),
            )
            .await;
        metered
            .case(1, "patch to the same role", contract, patch(&member, led))
            .await;
        let same_role = json!({ "role": "lead", "skills": ["dns"] });
        metered
            .case(
                2,
                "patch of skills, same role",
                contract,
                patch(&member, same_role),
            )
            .await;
        let both = json!({ "role": "member", "skills": [] });
        metered
            .case(
                2,
                "patch that clears the lead",
                contract,
                patch(&member, both),
            )
            .await;
        metered
            .case(2, "remove a member", contract, delete(&member))
            .await;
        metered
            .case(
                2,
                "add a member who returns",
                contract,
                post(&members, adding),
            )
            .await;
        let leading = json!({ "user_id": lead, "role": "lead" });
        metered
            .case(2, "add a lead", Itsm, post(&members, leading))
            .await;
        if contract == Toptickets {
            metered
                .case(
                    2,
                    "remove the lead",
                    contract,
                    delete(&format!("{members}/{lead}")),
                )
                .await;
        }
    }
    assert_snapshot!(metered.lines, @"
    toptickets | add a member                    | 2 |    4 |   11 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(5)
    toptickets | patch of skills                 | 1 |    2 |    1 | GetItem + Query + UpdateItem
    toptickets | patch to the same skills        | 1 |    2 |    0 | GetItem + Query + UpdateItem
    toptickets | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    toptickets | patch that makes the lead       | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    toptickets | patch to the same role          | 1 |    2 |    0 | GetItem + Query
    toptickets | patch of skills, same role      | 2 |    2 |    1 | GetItem + Query, then UpdateItem
    toptickets | patch that clears the lead      | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    toptickets | remove a member                 | 2 |    2 |    9 | GetItem + Query, then TransactWriteItems(4)
    toptickets | add a member who returns        | 2 |    4 |   11 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(5)
    itsm       | add a lead                      | 2 |    4 |   13 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(6)
    toptickets | remove the lead                 | 2 |    2 |   11 | GetItem + Query, then TransactWriteItems(5)
    itsm       | add a member                    | 2 |    4 |   11 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(5)
    itsm       | patch of skills                 | 1 |    2 |    1 | GetItem + Query + UpdateItem
    itsm       | patch to the same skills        | 1 |    2 |    0 | GetItem + Query + UpdateItem
    itsm       | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    itsm       | patch that makes the lead       | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | patch to the same role          | 1 |    2 |    0 | GetItem + Query
    itsm       | patch of skills, same role      | 2 |    2 |    1 | GetItem + Query, then UpdateItem
    itsm       | patch that clears the lead      | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | remove a member                 | 2 |    2 |    9 | GetItem + Query, then TransactWriteItems(4)
    itsm       | add a member who returns        | 2 |    4 |   11 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(5)
    itsm       | add a lead                      | 2 |    4 |   13 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(6)
    ");
}

/// What is said of eighty tickets at once.
struct Said {
    case: &'static str,
    round_trips: usize,
    kind: &'static str,
    ticket: fn(usize) -> Value,
}

/// Eighty tickets of one team over eight members, with ids as platforms have them: one read of
/// everything and one transaction with its 80 + 8 + 1 items, while none is longer than a kilobyte.
/// The index has a unit more for each ticket that enters or leaves it, and two where a later
/// decision moves it there.
#[tokio::test]
async fn routing_eighty_tickets_costs_what_the_design_says() {
    let mut team_fixture = TeamFixture::of(SkillBased, 0..8);
    for (_, skills) in &mut team_fixture.members {
        skills.extend(["networking", "vpn"]);
    }
    let org = OrgFixture::open(&Stack::with(|_| {}).await, 8, &[team_fixture]).await;
    let meter = CostMeter::default();
    let config = invoke::client_config(&org.stack)
        .interceptor(meter.clone())
        .build();
    let mut deps = org.assignment_over(Table::new(
        Client::from_conf(config),
        org.stack.table.as_str(),
    ));
    let (mut lines, mut largest) = (String::new(), 0);
    let cases = [
        Said {
            case: "new",
            round_trips: 2,
            kind: "created",
            ticket: |_| json!({ "status": "new" }),
        },
        Said {
            case: "heard of twice",
            round_trips: 1,
            kind: "created",
            ticket: |_| json!({ "status": "new" }),
        },
        Said {
            case: "begun",
            round_trips: 2,
            kind: "updated",
            ticket: |_| json!({ "status": "in_progress" }),
        },
        Said {
            case: "given to the first",
            round_trips: 2,
            kind: "updated",
            ticket: |_| json!({ "status": "in_progress", "assignee_id": user(0) }),
        },
        Said {
            case: "taken back",
            round_trips: 2,
            kind: "unassigned",
            ticket: |_| json!({ "status": "open" }),
        },
        Said {
            case: "closed",
            round_trips: 2,
            kind: "updated",
            ticket: |_| json!({ "status": "resolved" }),
        },
        Said {
            case: "reopened",
            round_trips: 2,
            kind: "updated",
            ticket: |_| json!({ "status": "open" }),
        },
        Said {
            case: "deleted",
            round_trips: 2,
            kind: "deleted",
            ticket: |_| json!({ "status": "open" }),
        },
    ];
    for (
        step,
        Said {
            case,
            round_trips,
            kind,
            ticket,
        },
    ) in cases.into_iter().enumerate()
    {
        // What is heard twice is the same twice.
        let step = if step == 1 { 0 } else { step };
        let said = |n: usize| {
            let mut ticket = ticket(n);
            for (field, value) in [
                ("priority", json!("critical")),
                ("category", json!("networking")),
                ("subcategory", json!("vpn")),
                ("tags", json!(["remote-access", "windows-11"])),
                ("created_at", json!(NOW - 9001)),
                ("due_at", json!(NOW + 9001)),
                ("team_id", json!(team(0))),
            ] {
                ticket[field] = value;
            }
            let event_id = Uuid::from_u128(
                0x0123_4567_89ab_4def_8000_0000_0000_0000 + (step * 100 + n) as u128,
            );
            let at = NOW - 5000 + i64::try_from(step * 100 + n).expect("a few");
            ticket_message(
                &org.id,
                kind,
                &event_id.to_string(),
                &format!("TKT-2026-{n:06}"),
                at,
                ticket,
            )
        };
        let batch: Vec<_> = (0..80).map(said).collect();
        // The bytes of a number depend on its digits.
        let now = NOW * 1000 + 123 + i64::try_from(step).expect("a few");
        deps.clock = Arc::new(move || Timestamp::from_millis(now));
        *meter.observed() = ObservedCost::default();
        assert_eq!(invoke_assignment(&deps, &batch).await, [0; 0]);
        let ObservedCost {
            mut steps,
            read,
            written,
            ..
        } = meter.take();
        assert_eq!(steps.len(), round_trips, "round trips of {case}: {steps:?}");
        let moves = if matches!(case, "given to the first" | "taken back") {
            2.0
        } else {
            1.0
        };
        assert!(
            written <= 2.0 * (80.0 + 8.0 + 1.0) + moves * 80.0,
            "{case}: {written} write units"
        );
        for step in &mut steps {
            step.sort();
        }
        let steps = steps
            .iter()
            .map(|step| step.join(" + "))
            .collect::<Vec<_>>()
            .join(", then ");
        writeln!(
            lines,
            "{case:<18} | {round_trips} | {read:>4} | {written:>4} | {steps}"
        )
        .expect("a text can be written to");
        let audit = org.read_table().await;
        audit.assert_exact();
        largest = largest.max(audit.tickets.values().map(size).max().unwrap_or(0));
    }
    writeln!(lines, "the largest ticket takes {largest} bytes").expect("a text can be written to");
    assert_snapshot!(lines, @"
    new                | 2 |   83 |  258 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(89)
    heard of twice     | 1 |   83 |    0 | BatchGetItem(81) + GetItem + Query
    begun              | 2 |   83 |  176 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    given to the first | 2 |   83 |  316 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    taken back         | 2 |   83 |  338 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(89)
    closed             | 2 |   83 |  256 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    reopened           | 2 |   83 |  256 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    deleted            | 2 |   83 |  256 | BatchGetItem(81) + GetItem + Query, then TransactWriteItems(88)
    the largest ticket takes 975 bytes
    ");
}

/// A day of 200 tickets as `muster tickets generate` makes it up, for teams of eight: what a ticket
/// costs from its first event to its last, by how many messages come at once and how many teams
/// they are for. The more there is to do, the less each costs, since the changes of a membership
/// and of a load are written once for all tickets of a batch. No batch has two events of a ticket,
/// as if there were many more tickets.
#[tokio::test]
async fn a_day_costs_what_the_guide_to_scaling_says() {
    const TICKETS: u32 = 200;
    let stack = Stack::with(|_| {}).await;
    let mut lines = String::new();
    for (messages, teams) in [(1, 1), (10, 1), (100, 1), (100, 10)] {
        let team_fixtures: Vec<_> = (0..teams)
            .map(|n| TeamFixture::of(LeastBusy, n * 8..n * 8 + 8))
            .collect();
        let org = OrgFixture::open(&stack, teams * 8, &team_fixtures).await;
        let meter = CostMeter::default();
        let config = invoke::client_config(&org.stack)
            .interceptor(meter.clone())
            .build();
        let mut deps = org.assignment_over(Table::new(
            Client::from_conf(config),
            org.stack.table.as_str(),
        ));
        // The bytes of a number depend on its digits.
        deps.clock = Arc::new(|| Timestamp::from_millis(NOW * 1000 + 123));
        let day = Scenario {
            organization: org.id.clone(),
            contract: None,
            start: Timestamp::from_secs(NOW - 86_400),
            tickets: TICKETS,
            teams: (0..teams).map(team_id).collect(),
            users: Vec::new(),
            seed: 1,
            duplicates: 0,
            shuffle: Duration::ZERO,
        };
        let mut heard: HashMap<String, usize> = HashMap::new();
        let nth = |event| {
            let event = serde_json::to_value(event).expect("JSON");
            let ticket = heard
                .entry(event["data"]["ticket"]["id"].to_string())
                .or_default();
            *ticket += 1;
            (*ticket, event.to_string())
        };
        let mut events: Vec<_> = day.events().map(nth).collect();
        events.sort_by_key(|(nth, _)| *nth);
        let events: Vec<_> = events.into_iter().map(|(_, event)| event).collect();
        for batch in events.chunks(messages) {
            assert_eq!(invoke_assignment(&deps, batch).await, [0; 0]);
        }
        let ObservedCost {
            steps,
            read,
            written,
            ..
        } = meter.take();
        let transactions = steps
            .iter()
            .flatten()
            .filter(|call| call.starts_with("TransactWriteItems"))
            .count();
        let each = |units: f64| units / f64::from(TICKETS);
        writeln!(
            lines,
            "{messages:>3} messages, {teams:>2} teams | {:>4} events | {:>4.1} read | {:>4.1} written | {transactions:>3} transactions",
            events.len(),
            each(read),
            each(written),
        )
        .expect("a text can be written to");
    }
    assert_snapshot!(lines, @"
      1 messages,  1 teams |  776 events | 15.5 read | 20.0 written | 776 transactions
     10 messages,  1 teams |  776 events |  5.0 read | 14.7 written |  78 transactions
    100 messages,  1 teams |  776 events |  3.8 read | 10.5 written |  15 transactions
    100 messages, 10 teams |  778 events |  5.0 read | 14.6 written |  80 transactions
    ");
}
