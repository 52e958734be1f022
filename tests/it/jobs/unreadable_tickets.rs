//! Jobs continue past a ticket that cannot be read.

use std::time::Duration;

use muster_domain::Timestamp;
use muster_jobs::{Deps, Pace};
use muster_service::store::Table;
use serde_json::{Value, json};

use super::{BAD, JobFixture};
use crate::support::{
    fault_injection::{FaultScript, InjectedFault, WRITES},
    org::{NOW, team_id},
    sqs::{invoke_jobs_within, run_jobs},
    table::text,
};

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
    assert!(
        indexed.expect("the team is indexed"),
        "the pass has a new topic"
    );

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
        "no further pass over the list"
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
        "no further pass over the list"
    );
    assert!(fixture.is_in_work().await, "one ticket is pending");

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
            ..Pace::default()
        },
        ..fixture.jobs()
    };

    let (mut left, mut retries, mut hops) = (vec![fixture.job("drain_team")], 0, 0);
    while let Some(job) = left.pop() {
        hops += 1;
        for sent in fixture.perform(&deps, &job).await {
            if sent["job"] == "settle_ticket" {
                retries += 1;
            } else {
                left.push(sent.to_string());
            }
        }
    }
    assert_eq!((fixture.count("assigned").await, retries), (19, 1));
    assert!((19..40).contains(&hops), "{hops}");
}

#[tokio::test]
async fn job_fails_whole_while_table_is_unavailable() {
    let fixture = JobFixture::new(0..0, 3, true).await;
    fixture.org.join(0, 0, &[]).await;
    let script = FaultScript::default();
    script.always(WRITES, InjectedFault::Respond(400, "ThrottlingException"));
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
        "no ticket is retried separately"
    );
}
