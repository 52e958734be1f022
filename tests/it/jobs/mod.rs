//! Jobs: tickets that fail, chains of follow-up messages up to their limit, pending work, and the
//! count of unrouted tickets.

mod chains;
mod pending_work;
mod unreadable_tickets;
mod unrouted_stock;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_domain::QueueStrategy::RoundRobin;
use muster_jobs::Deps;
use serde_json::{Value, json};

use crate::support::{
    Stack,
    crash::Instance,
    org::{NOW, OrgFixture, TeamFixture, team},
    sqs::{LONG, invoke_assignment, invoke_jobs_within},
    table::text,
};

/// The ticket that fails. It is the oldest, so the first in every list.
const BAD: &str = "T-0000";

/// An organization with one team and its tickets. The item of [`BAD`] can be made unreadable.
struct JobFixture {
    org: OrgFixture,
    tickets: usize,
    /// The original revision of [`BAD`].
    rev: AttributeValue,
}

impl JobFixture {
    /// Creates a team of these users, and tickets about VPNs. The tickets name the team, or match
    /// its specializations once the team is indexed.
    async fn new(members: std::ops::Range<usize>, tickets: usize, names_team: bool) -> Self {
        let specializations = if names_team { Vec::new() } else { vec!["vpn"] };
        let team_fixture = TeamFixture {
            specializations,
            ..TeamFixture::of(RoundRobin, members)
        };
        let org = OrgFixture::open(&Stack::shared(), 3, &[team_fixture]).await;
        if !names_team {
            org.unindex(0, &["vpn"]).await;
        }
        let team = names_team.then(|| team(0));
        let bodies: Vec<_> = (0..tickets)
            .map(|n| {
                let ticket = json!({
                    "status": "new", "team_id": team, "category": "vpn", "created_at": NOW - 50_000 + i64::try_from(n).expect("a few"),
                });
                org.ticket_event("created", &format!("T-{n:04}"), 500, ticket)
            })
            .collect();
        let deps = org.assignment(&Instance::new(&org.transaction_log));
        for bodies in bodies.chunks(100) {
            assert_eq!(invoke_assignment(&deps, bodies).await, [0; 0]);
        }
        let get = org.stack.dynamodb().get_item().table_name(&org.stack.table);
        let get = get
            .key(
                "pk",
                AttributeValue::S(format!("ORG#{}#TICKET#{BAD}", org.id)),
            )
            .key("sk", AttributeValue::S("TICKET".to_owned()));
        let item = get
            .send()
            .await
            .expect("the table can be read")
            .item
            .expect("the ticket exists");
        let rev = item["rev"].clone();
        Self { org, tickets, rev }
    }

    fn jobs(&self) -> Deps {
        self.org.jobs(&Instance::new(&self.org.transaction_log))
    }

    fn job(&self, name: &str) -> String {
        json!({ "job": name, "organization_id": self.org.id.as_str(), "team_id": team(0) })
            .to_string()
    }

    async fn set_rev(&self, ticket: &str, rev: AttributeValue) {
        let update = self
            .org
            .stack
            .dynamodb()
            .update_item()
            .table_name(&self.org.stack.table);
        update
            .key(
                "pk",
                AttributeValue::S(format!("ORG#{}#TICKET#{ticket}", self.org.id)),
            )
            .key("sk", AttributeValue::S("TICKET".to_owned()))
            .condition_expression("attribute_exists(pk)")
            .update_expression("SET rev = :rev")
            .expression_attribute_values(":rev", rev)
            .send()
            .await
            .expect("the ticket exists");
    }

    async fn corrupt(&self) {
        self.set_rev(BAD, AttributeValue::S("not a number".to_owned()))
            .await;
    }

    /// Restores the revision of the unreadable ticket.
    async fn repair(&self) {
        self.set_rev(BAD, self.rev.clone()).await;
    }

    /// Performs a job, asserts success, and returns its follow-up messages.
    async fn perform(&self, deps: &Deps, job: &str) -> Vec<Value> {
        assert_eq!(
            invoke_jobs_within(deps, &[job.to_owned()], LONG).await,
            [0; 0],
            "{job}"
        );
        let sent = self.org.jobs.take().into_iter();
        sent.map(|sent| serde_json::from_str(&sent.body).expect("a job is JSON"))
            .collect()
    }

    /// Returns the number of tickets in a state, without the unreadable one.
    async fn count(&self, state: &str) -> usize {
        let mut count = 0;
        for n in 1..self.tickets {
            let get = self
                .org
                .stack
                .dynamodb()
                .get_item()
                .table_name(&self.org.stack.table);
            let get = get
                .key(
                    "pk",
                    AttributeValue::S(format!("ORG#{}#TICKET#T-{n:04}", self.org.id)),
                )
                .key("sk", AttributeValue::S("TICKET".to_owned()));
            let item = get
                .send()
                .await
                .expect("the table can be read")
                .item
                .expect("the ticket exists");
            count += usize::from(text(&item, "state") == state);
        }
        count
    }

    fn retry(&self, list: &str) -> Value {
        json!({ "job": "settle_ticket", "organization_id": self.org.id.as_str(), "ticket_id": BAD, "list": list })
    }

    /// Performs the retry of the unreadable ticket. It fails until the ticket is repaired.
    async fn assert_retried_alone(&self, retry: &Value) {
        let retry = retry.to_string();
        assert_eq!(
            invoke_jobs_within(&self.jobs(), std::slice::from_ref(&retry), LONG).await,
            [0],
            "still unreadable"
        );
        assert!(
            self.org.jobs.take().is_empty(),
            "SQS redelivers the message"
        );
        self.repair().await;
        self.perform(&self.jobs(), &retry).await;
    }

    /// Returns true if the item of deleted team 0 is in the index of pending work.
    async fn is_in_work(&self) -> bool {
        let get = self
            .org
            .stack
            .dynamodb()
            .get_item()
            .table_name(&self.org.stack.table);
        let get = get
            .key(
                "pk",
                AttributeValue::S(format!("ORG#{}#TEAM#{}", self.org.id, team(0))),
            )
            .key("sk", AttributeValue::S("GONE".to_owned()));
        get.send()
            .await
            .expect("the table can be read")
            .item
            .expect("the item exists")
            .contains_key("gsi1pk")
    }
}
