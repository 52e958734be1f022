//! Chains of follow-up messages: their queue and their limit.

use aws_sdk_dynamodb::types::AttributeValue;
use muster_contracts::jobs::URGENT_PAGES;
use muster_domain::QueueStrategy::RoundRobin;
use muster_jobs::{Deps, MAX_HOPS, Pace};
use serde_json::{Value, json};

use super::JobFixture;
use crate::support::{
    Stack,
    crash::Instance,
    log_capture::LogCapture,
    org::{OrgFixture, TeamFixture, team, user},
    sqs::{LONG, Sent, invoke_jobs_within},
    table::text,
};

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

    // On the long queue, a job takes as many pages as its time allows.
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

/// Copies the membership of user 0 in team 0 to further teams, up to this number.
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
        .expect("the membership exists");
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

/// The user has more memberships than fit into the pages of the urgent queue.
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
    let [second_pass] = <[Sent; 1]>::try_from(org.jobs.take()).expect("a second pass");
    assert_eq!(
        second_pass.queue, "long-jobs",
        "a chain stays on the long queue"
    );
}

/// A page has one ticket instead of 90, so that 1,112 tickets take as many messages as 100,000.
#[tokio::test]
async fn sweep_of_100000_tickets_fits_the_hop_limit() {
    let pages = 100_000_usize.div_ceil(Pace::default().page);
    let fixture = JobFixture::new(0..3, pages, true).await;
    fixture.org.delete(0).await;
    let deps = Deps {
        pace: Pace {
            page: 1,
            share: 0.0,
            ..Pace::default()
        },
        ..fixture.jobs()
    };

    let (mut left, mut hops) = (vec![fixture.job("sweep_team")], Vec::new());
    while let Some(job) = left.pop() {
        let sent = fixture.perform(&deps, &job).await;
        hops.extend(
            sent.iter()
                .map(|job| job["hop"].as_u64().expect("a follow-up message has a hop")),
        );
        left.extend(sent.iter().map(Value::to_string));
    }
    assert!(
        hops.iter().copied().eq(1..=hops.len() as u64),
        "the hops are consecutive"
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
            ..Pace::default()
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

    assert!(fixture.is_in_work().await, "the schedule finds the team");
    let sent = fixture
        .perform(&deps, &json!({ "job": "restart_unfinished" }).to_string())
        .await;
    let sweep = sent
        .iter()
        .find(|job| job["job"] == "sweep_team")
        .expect("the schedule starts the sweep");
    assert_eq!(sweep.get("hop"), None, "at hop 0");
    fixture.org.finish().await;
    assert!(!fixture.is_in_work().await);
}
