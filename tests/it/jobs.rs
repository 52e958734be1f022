//! Jobs beside tickets that fail, and chains of jobs up to their limit.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use muster::{
    domain::{QueueStrategy::RoundRobin, Timestamp},
    jobs::URGENT_PAGES,
    store::Table,
};
use muster_jobs::{Deps, MAX_HOPS, Pace};
use serde_json::{Value, json};

use crate::support::{
    Stack,
    crash::Instance,
    fault_injection::{Fault, FaultScript, WRITES},
    log_capture::LogCapture,
    org::{NOW, OrgFixture, TeamFixture, team, team_id, user},
    sqs::{Sent, invoke_assignment, invoke_jobs_within, run_jobs},
    table::text,
};
const LONG: Duration = Duration::from_mins(1);

/// The ticket that fails: the oldest, so first in every list.
const BAD: &str = "T-0000";

/// A desk with one team and its tickets, of which [`BAD`] is unreadable in the table.
struct JobFixture {
    org: OrgFixture,
    tickets: usize,
    /// The revision of [`BAD`] before it is made unreadable.
    rev: AttributeValue,
}

impl JobFixture {
    /// A team of these users, and tickets about VPNs. They name the team, or match its
    /// specializations once it is found by them.
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
            .expect("there is such a ticket");
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
            .expect("there is such a ticket");
    }

    async fn corrupt(&self) {
        self.set_rev(BAD, AttributeValue::S("not a number".to_owned()))
            .await;
    }

    /// Gives the unreadable ticket the revision that it had.
    async fn repair(&self) {
        self.set_rev(BAD, self.rev.clone()).await;
    }

    /// Performs a job, which succeeds, and gives the jobs that it put on the queue.
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

    /// The number of tickets in a state, the unreadable one aside.
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
                .expect("there is such a ticket");
            count += usize::from(text(&item, "state") == state);
        }
        count
    }

    fn retry(&self, list: &str) -> Value {
        json!({ "job": "settle_ticket", "organization_id": self.org.id.as_str(), "ticket_id": BAD, "list": list })
    }

    /// Delivers the retry of the unreadable ticket, which fails until the ticket is repaired.
    async fn assert_retried_alone(&self, retry: &Value) {
        let retry = retry.to_string();
        assert_eq!(
            invoke_jobs_within(&self.jobs(), std::slice::from_ref(&retry), LONG).await,
            [0],
            "still unreadable"
        );
        assert!(self.org.jobs.take().is_empty(), "SQS delivers it again");
        self.repair().await;
        self.perform(&self.jobs(), &retry).await;
    }

    /// Whether the tombstone of team 0 is in the index of work.
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
            .expect("there is such an item")
            .contains_key("gsi1pk")
    }
}

#[tokio::test]
async fn unrouted_pass_continues_past_unreadable_ticket() {
    let fixture = JobFixture::new(0..3, 51, false).await;
    assert_eq!(fixture.count("unrouted").await, 50);
    fixture.corrupt().await;
    let now = Timestamp::from_secs(NOW);
    let indexed = fixture
        .org
        .stack
        .store()
        .index_specializations(&fixture.org.id, team_id(0), now)
        .await;
    assert!(indexed.expect("a team is found"), "a topic is merged");

    let sent = fixture
        .perform(&fixture.jobs(), &fixture.job("route_unrouted"))
        .await;
    assert_eq!(fixture.count("assigned").await, 50);
    let (retries, others): (Vec<_>, Vec<_>) = sent
        .into_iter()
        .partition(|job| job["job"] == "settle_ticket");
    assert_eq!(retries, [fixture.retry("unrouted")]);
    let [next] = <[Value; 1]>::try_from(others).expect("one continuation");
    assert_eq!(
        (&next["job"], &next["retried"]),
        (&json!("route_unrouted"), &json!([BAD]))
    );
    run_jobs(&fixture.jobs(), &fixture.org.jobs, vec![next.to_string()]).await;

    fixture.assert_retried_alone(&retries[0]).await;
    fixture.org.assert_consistent().await;
}

#[tokio::test]
async fn drain_continues_past_unreadable_ticket() {
    let fixture = JobFixture::new(0..0, 51, true).await;
    assert_eq!(fixture.count("waiting").await, 50);
    fixture.corrupt().await;
    fixture.org.join(0, 0, &[]).await;

    let sent = fixture
        .perform(&fixture.jobs(), &fixture.job("drain_team"))
        .await;
    assert_eq!(fixture.count("assigned").await, 50);
    assert_eq!(
        sent,
        [fixture.retry("waiting")],
        "and no further look at the list"
    );

    fixture.assert_retried_alone(&sent[0]).await;
    let audit = fixture.org.assert_consistent().await;
    assert!(
        audit
            .tickets
            .values()
            .all(|ticket| text(ticket, "state") == "assigned")
    );
}

#[tokio::test]
async fn sweep_continues_past_unreadable_ticket() {
    let fixture = JobFixture::new(0..3, 51, true).await;
    assert_eq!(fixture.count("assigned").await, 50);
    fixture.corrupt().await;
    fixture.org.delete(0).await;

    let sent = fixture
        .perform(&fixture.jobs(), &fixture.job("sweep_team"))
        .await;
    assert_eq!(fixture.count("unrouted").await, 50);
    assert_eq!(
        sent,
        [fixture.retry("team_gone")],
        "and no further look at the list"
    );
    assert!(fixture.is_in_work().await, "one ticket is left");

    fixture.assert_retried_alone(&sent[0]).await;
    fixture.org.finish().await;
    assert!(!fixture.is_in_work().await);
    fixture.org.assert_consistent().await;
}

#[tokio::test]
async fn chain_of_drains_retries_failed_ticket_once() {
    let fixture = JobFixture::new(0..0, 20, true).await;
    fixture.corrupt().await;
    fixture.org.join(0, 0, &[]).await;
    let deps = Deps {
        pace: Pace {
            page: 1,
            share: 0.0,
        },
        ..fixture.jobs()
    };

    let (mut left, mut retries, mut hops) = (vec![fixture.job("drain_team")], 0, 0);
    while let Some(job) = left.pop() {
        hops += 1;
        for sent in fixture.perform(&deps, &job).await {
            if sent["job"] == "settle_ticket" {
                retries += 1
            } else {
                left.push(sent.to_string())
            }
        }
    }
    assert_eq!((fixture.count("assigned").await, retries), (19, 1));
    assert!((19..40).contains(&hops), "{hops}");
}

#[tokio::test]
async fn drain_after_3_pages_continues_on_the_long_queue() {
    let fixture = JobFixture::new(0..0, 6, true).await;
    fixture.org.join(0, 0, &[]).await;
    let deps = Deps {
        pace: Pace {
            page: 1,
            ..Pace::default()
        },
        ..fixture.jobs()
    };
    assert_eq!(
        invoke_jobs_within(&deps, &[fixture.job("drain_team")], LONG).await,
        [0; 0]
    );
    let [rest] = <[Sent; 1]>::try_from(fixture.org.jobs.take()).expect("the rest is one job");
    assert_eq!(waiting(&fixture).await, 6 - URGENT_PAGES);
    assert_eq!(
        (rest.queue.as_str(), rest.group.as_deref()),
        ("long-jobs", Some(fixture.org.id.as_str()))
    );

    // There it has as many pages as its time allows.
    assert_eq!(fixture.perform(&deps, &rest.body).await, [json!(null); 0]);
    assert_eq!(waiting(&fixture).await, 0);
    fixture.org.assert_consistent().await;
}

async fn waiting(fixture: &JobFixture) -> usize {
    let audit = fixture.org.assert_consistent().await;
    audit
        .tickets
        .values()
        .filter(|ticket| text(ticket, "state") == "waiting")
        .count()
}

/// Writes the membership of user 0 in team 0 again for further teams, up to this number.
async fn multiply_membership(org: &OrgFixture, teams: usize) {
    let client = org.stack.dynamodb();
    let get = client
        .get_item()
        .table_name(&org.stack.table)
        .key(
            "pk",
            AttributeValue::S(format!("ORG#{}#TEAM#{}", org.id, team(0))),
        )
        .key("sk", AttributeValue::S(format!("MEMBER#{}", user(0))));
    let membership = get
        .send()
        .await
        .expect("the table can be read")
        .item
        .expect("there is such a membership");
    for n in 1..teams {
        let of_team = |value: &AttributeValue| match value {
            AttributeValue::S(text) => AttributeValue::S(text.replace(&team(0), &team(n))),
            other => other.clone(),
        };
        let item = membership
            .iter()
            .map(|(name, value)| (name.clone(), of_team(value)))
            .collect();
        let put = client
            .put_item()
            .table_name(&org.stack.table)
            .set_item(Some(item));
        put.send().await.expect("the table can be written");
    }
}

/// A user with more memberships than the pages of the urgent queue hold.
#[tokio::test]
async fn copy_after_3_pages_continues_on_the_long_queue() {
    const TEAMS: usize = 100 * URGENT_PAGES + 1;
    let org = OrgFixture::open(&Stack::shared(), 1, &[TeamFixture::of(RoundRobin, [0])]).await;
    multiply_membership(&org, TEAMS).await;
    let deps = org.jobs(&Instance::new(&org.transaction_log));
    let copy =
        json!({ "job": "copy_profile", "organization_id": org.id.as_str(), "user_id": user(0) });
    assert_eq!(
        invoke_jobs_within(&deps, &[copy.to_string()], LONG).await,
        [0; 0]
    );
    let [rest] = <[Sent; 1]>::try_from(org.jobs.take()).expect("the rest is one job");
    assert_eq!(
        (rest.queue.as_str(), rest.group.as_deref()),
        ("long-jobs", Some(org.id.as_str()))
    );
    assert_eq!(invoke_jobs_within(&deps, &[rest.body], LONG).await, [0; 0]);
    let [second_look] = <[Sent; 1]>::try_from(org.jobs.take()).expect("a second look");
    assert_eq!(
        second_look.queue, "long-jobs",
        "a chain that has moved stays"
    );
}

#[tokio::test]
async fn job_fails_whole_while_table_is_unavailable() {
    let fixture = JobFixture::new(0..0, 3, true).await;
    fixture.org.join(0, 0, &[]).await;
    let script = FaultScript::default();
    script.always(WRITES, Fault::Respond(400, "ThrottlingException"));
    let table = Table::new(
        script.client(&fixture.org.stack),
        fixture.org.stack.table.as_str(),
    );
    let deps = Deps {
        table,
        ..fixture.jobs()
    };
    let drain = [fixture.job("drain_team")];
    assert_eq!(
        invoke_jobs_within(&deps, &drain, Duration::from_secs(3)).await,
        [0]
    );
    assert!(
        fixture.org.jobs.take().is_empty(),
        "no ticket is retried alone"
    );
}

/// A page of one ticket in place of 90, so that 1,112 tickets take as many messages as 100,000.
#[tokio::test]
async fn sweep_of_100000_tickets_fits_the_hop_limit() {
    let pages = 100_000_usize.div_ceil(Pace::default().page);
    let fixture = JobFixture::new(0..3, pages, true).await;
    fixture.org.delete(0).await;
    let deps = Deps {
        pace: Pace {
            page: 1,
            share: 0.0,
        },
        ..fixture.jobs()
    };

    let (mut left, mut hops) = (vec![fixture.job("sweep_team")], Vec::new());
    while let Some(job) = left.pop() {
        let sent = fixture.perform(&deps, &job).await;
        hops.extend(
            sent.iter()
                .map(|job| job["hop"].as_u64().expect("a continuation has a hop")),
        );
        left.extend(sent.iter().map(Value::to_string));
    }
    assert!(
        hops.iter().copied().eq(1..=hops.len() as u64),
        "each continues the one before"
    );
    assert!(
        (pages - 1..=MAX_HOPS as usize).contains(&hops.len()),
        "{} hops",
        hops.len()
    );
    assert!(!fixture.is_in_work().await, "the sweep is done");
    assert_eq!(fixture.count("unrouted").await, pages - 1);
}

#[tokio::test]
async fn job_beyond_hop_limit_ends_and_restarts_at_hop_0() {
    let fixture = JobFixture::new(0..3, 5, true).await;
    fixture.org.delete(0).await;
    let deps = Deps {
        pace: Pace {
            page: 1,
            share: 0.0,
        },
        ..fixture.jobs()
    };
    let mut job: Value = serde_json::from_str(&fixture.job("sweep_team")).expect("a job is JSON");
    job["hop"] = json!(MAX_HOPS);

    let listener = LogCapture::to("jobs", "info", None);
    let (_, sent) = listener
        .invoke(false, fixture.perform(&deps, &job.to_string()))
        .await;
    assert_eq!(sent, [json!(null); 0], "the chain ends");
    let (log, metrics) = listener.lines();
    let error = log
        .iter()
        .find(|line| line["level"] == "ERROR")
        .expect("an error");
    assert_eq!(error["message"], "job chain is too long");
    assert_eq!(metrics[0]["JobsAborted"], 1, "{metrics:?}");

    assert!(fixture.is_in_work().await, "the schedule finds it");
    let sent = fixture
        .perform(&deps, &json!({ "job": "restart_unfinished" }).to_string())
        .await;
    let sweep = sent
        .iter()
        .find(|job| job["job"] == "sweep_team")
        .expect("the sweep starts again");
    assert_eq!(sweep.get("hop"), None, "at hop 0");
    fixture.org.finish().await;
    assert!(!fixture.is_in_work().await);
}
