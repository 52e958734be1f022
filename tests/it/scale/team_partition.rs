//! The cost of a team does not depend on the number of its past assignees.

use std::{fmt::Write as _, sync::Arc};

use aws_sdk_dynamodb::Client;
use insta::assert_snapshot;
use muster_domain::{QueueStrategy::RoundRobin, Timestamp};
use muster_service::store::Table;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Organization, Stack,
    cost_meter::{CostMeter, ObservedCost},
    crash::Instance,
    invoke::{self, TestInvocation},
    org::{NOW, OrgFixture, TeamFixture, team, user},
    sqs::invoke_assignment,
};

/// The number of the first user who is not a member.
const OUTSIDER: usize = 10_000;

fn held_by(outsider: usize, status: &str) -> Value {
    json!({
        "status": status,
        "team_id": team(0),
        "assignee_id": user(OUTSIDER + outsider),
        "created_at": 1_768_400_000,
    })
}

/// Creates a team of two members. This many other users each had a ticket of it, which is resolved.
async fn org_with_past_assignees(count: usize) -> OrgFixture {
    let fixture = OrgFixture::open(
        &Stack::with(|_| {}).await,
        4,
        &[TeamFixture::of(RoundRobin, 0..2)],
    )
    .await;
    let deps = fixture.assignment(&Instance::new(&fixture.transaction_log));
    for (ago, status) in [(9000, "open"), (8000, "resolved")] {
        let messages: Vec<_> = (0..count)
            .map(|n| fixture.ticket_event("updated", &format!("P-{n}"), ago, held_by(n, status)))
            .collect();
        for batch in messages.chunks(100) {
            assert_eq!(invoke_assignment(&deps, batch).await, [0; 0]);
        }
    }
    fixture
}

/// The metered calls to an organization's table, with a line for the cost of each case.
struct MeteredOrg<'d> {
    fixture: &'d OrgFixture,
    org: Organization,
    meter: CostMeter,
    http: muster_service::http::Deps,
    assignment: muster_assignment::Deps,
    lines: String,
}

impl<'d> MeteredOrg<'d> {
    async fn start(fixture: &'d OrgFixture) -> Self {
        let org = fixture
            .stack
            .organization_of(fixture.id.clone(), Vec::new())
            .await;
        let meter = CostMeter::default();
        let client = Client::from_conf(
            invoke::client_config(&fixture.stack)
                .interceptor(meter.recorder())
                .build(),
        );
        let mut http = invoke::deps(&fixture.stack, client.clone());
        // The bytes of a number depend on its digits.
        http.clock = Arc::new(|| Timestamp::from_millis(NOW * 1000 + 123));
        let assignment = fixture.assignment_over(Table::new(client, fixture.stack.table.as_str()));
        let metered = Self {
            fixture,
            org,
            meter,
            http,
            assignment,
            lines: String::new(),
        };
        // The first request reads the key and sends a report. The next nine requests do neither.
        metered.invoke(Method::GET, String::new(), None).await;
        metered.meter.take();
        metered
    }

    async fn invoke(&self, method: Method, path: String, body: Option<Value>) {
        let target = format!("/v1/teams/{}{path}", team(0));
        let response = TestInvocation::new(self.org.itsm.token(), method, target, body)
            .call(&self.http)
            .await;
        assert!(response.status.is_success(), "{response}");
    }

    fn write(&mut self, case: &str) {
        let ObservedCost {
            mut steps,
            read,
            written,
            ..
        } = self.meter.take();
        for step in &mut steps {
            step.sort();
        }
        let calls = steps
            .iter()
            .map(|step| step.join(" + "))
            .collect::<Vec<_>>()
            .join(", then ");
        writeln!(
            self.lines,
            "{case:<26} | {} | {read:>4} | {written:>4} | {calls}",
            steps.len()
        )
        .expect("writing to a string does not fail");
    }

    async fn request(
        &mut self,
        case: &str,
        method: Method,
        path: impl Into<String>,
        body: Option<Value>,
    ) {
        self.invoke(method, path.into(), body).await;
        self.write(case);
    }

    async fn ticket(&mut self, case: &str, id: &str, ticket: Value) {
        let message = self.fixture.ticket_event("updated", id, 10, ticket);
        assert_eq!(
            invoke_assignment(&self.assignment, &[message]).await,
            [0; 0]
        );
        self.write(case);
    }
}

/// Returns a line for each case over a team with this many past assignees.
async fn costs(past_assignees: usize) -> String {
    let fixture = org_with_past_assignees(past_assignees).await;
    let mut metered = MeteredOrg::start(&fixture).await;
    let new = json!({ "status": "new", "team_id": team(0), "created_at": 1_768_400_000 });
    metered.ticket("one decision", "T-1", new).await;
    metered
        .ticket("ticket of a past assignee", "P-7", held_by(7, "open"))
        .await;
    metered.request("get the team", Method::GET, "", None).await;
    metered
        .request("members", Method::GET, "/members", None)
        .await;
    metered
        .request("workload", Method::GET, "/workload", None)
        .await;
    let adding = json!({ "user_id": user(2) });
    metered
        .request("add a member", Method::POST, "/members", Some(adding))
        .await;
    metered
        .request(
            "remove a member",
            Method::DELETE,
            format!("/members/{}", user(2)),
            None,
        )
        .await;
    let lines = std::mem::take(&mut metered.lines);

    let audit = fixture.read_table().await;
    audit.assert_exact();
    assert_eq!(
        (audit.members.len(), audit.pasts.len()),
        (2, past_assignees + 1),
        "with the member who left"
    );
    lines
}

#[tokio::test]
async fn past_assignees_cost_a_team_no_unit_and_no_round_trip() {
    let few = costs(100).await;
    assert_eq!(few, costs(1000).await);
    assert_snapshot!(few, @"
    one decision               | 2 |    4 |    7 | BatchGetItem(2) + GetItem + Query, then TransactWriteItems(3)
    ticket of a past assignee  | 3 |    5 |    7 | BatchGetItem(2) + GetItem + Query, then BatchGetItem(1), then TransactWriteItems(3)
    get the team               | 1 |    2 |    0 | GetItem + Query
    members                    | 1 |    2 |    0 | GetItem + Query
    workload                   | 1 |    2 |    0 | GetItem + Query
    add a member               | 2 |    4 |   11 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(5)
    remove a member            | 2 |    2 |    9 | GetItem + Query, then TransactWriteItems(4)
    ");
}
