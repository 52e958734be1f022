//! The pass over unrouted tickets: which tickets it routes, when, and how often it runs.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use muster_domain::{
    IfVersion, QueueStrategy::RoundRobin, RoutingPass, Tags, TeamChanges, Timestamp,
};
use muster_jobs::{Deps, Pace};
use muster_service::store::Table;
use serde_json::{Value, json};

use crate::support::{
    Stack,
    crash::{CrashPoint, Instance},
    fault_injection::{FaultScript, InjectedFault, UNROUTED},
    org::{NOW, OrgFixture, TeamFixture, team, team_id},
    sqs::{LONG, invoke_assignment, invoke_jobs_within, run_jobs},
    table::{number, text},
};

/// Creates a team of one member with these specializations.
async fn org_fixture(stack: &Stack, specializations: &[&'static str]) -> OrgFixture {
    let team = TeamFixture {
        specializations: specializations.to_vec(),
        ..TeamFixture::of(RoundRobin, [0])
    };
    let org = OrgFixture::open(stack, 1, &[team]).await;
    // The pass for the topics of the new team is complete.
    org.finish().await;
    org
}

/// Sends new tickets of a category.
async fn arrive(org: &OrgFixture, category: &str, ids: std::ops::Range<usize>) {
    let tickets: Vec<_> = ids
        .map(|n| {
            org.ticket_event(
                "created",
                &format!("T-{n:03}"),
                900,
                json!({ "status": "new", "category": category }),
            )
        })
        .collect();
    assert_eq!(
        invoke_assignment(
            &org.assignment(&Instance::new(&org.transaction_log)),
            &tickets
        )
        .await,
        [0; 0]
    );
}

/// Updates the specializations of the team, as a PATCH does, this many seconds after [`NOW`].
async fn specialize(org: &OrgFixture, specializations: &[&str], seconds: i64) {
    let tags = Tags::parse(specializations).expect("valid tags");
    let changes = TeamChanges {
        specializations: Some(tags),
        ..TeamChanges::default()
    };
    let now = Timestamp::from_secs(NOW + seconds);
    let changed = org
        .stack
        .store()
        .change_team(&org.id, team_id(0), &changes, &IfVersion::Any, now)
        .await;
    changed.expect("the team can be changed");
}

fn index(org: &OrgFixture) -> String {
    json!({ "job": "index_specializations", "organization_id": org.id.as_str(), "team_id": team(0) }).to_string()
}

/// Returns the dependencies of the jobs function over a script, at a time in seconds after [`NOW`].
fn scripted(org: &OrgFixture, script: &FaultScript, seconds: i64) -> Deps {
    let table = Table::new(script.client(&org.stack), org.stack.table.as_str());
    let clock = Arc::new(move || Timestamp::from_secs(NOW + seconds));
    Deps {
        table,
        clock,
        ..org.jobs(&Instance::new(&org.transaction_log))
    }
}

/// Performs jobs and their follow-up messages without a delay. Returns those with a delay.
async fn perform_undelayed(org: &OrgFixture, deps: &Deps, jobs: Vec<String>) -> Vec<String> {
    let (mut jobs, mut delayed) = (jobs, Vec::new());
    while let Some(job) = jobs.pop() {
        assert_eq!(
            invoke_jobs_within(deps, std::slice::from_ref(&job), LONG).await,
            [0; 0],
            "{job}"
        );
        for sent in org.jobs.take() {
            if sent.delay.is_zero() {
                jobs.push(sent.body);
            } else {
                delayed.push(sent.body);
            }
        }
    }
    delayed
}

/// Returns the ids of the tickets in a state, and asserts every counter. Decisions over a script
/// are not in the transaction log.
async fn ids_of(org: &OrgFixture, state: &str) -> Vec<String> {
    let audit = org.read_table().await;
    audit.assert_exact();
    audit
        .tickets
        .iter()
        .filter(|(_, ticket)| text(ticket, "state") == state)
        .map(|(id, _)| id.clone())
        .collect()
}

fn id(n: usize) -> String {
    format!("T-{n:03}")
}

/// Asserts that the pass has no topics, no lease and no mark left, and covers all merges.
async fn assert_finished(org: &OrgFixture) {
    let audit = org.read_table().await;
    let pass = &audit.items[&(format!("ORG#{}#PASS", org.id), "PASS".to_owned())];
    for attribute in [
        "topics",
        "all_topics",
        "lease_owner",
        "lease_until",
        "gsi1pk",
        "gsi1sk",
    ] {
        assert!(!pass.contains_key(attribute), "{attribute}: {pass:?}");
    }
    assert_eq!(number(pass, "rev"), number(pass, "covered"), "{pass:?}");
    let marked: Vec<_> = audit
        .teams
        .values()
        .filter(|team| team.contains_key("gsi1pk"))
        .collect();
    assert!(marked.is_empty(), "{marked:?}");
}

#[tokio::test]
async fn pass_routes_only_tickets_that_share_a_topic() {
    let org = org_fixture(&Stack::shared(), &[]).await;
    arrive(&org, "vpn", 0..3).await;
    arrive(&org, "parking", 3..30).await;
    specialize(&org, &["VPN"], 0).await;
    let script = FaultScript::default();
    let delayed = perform_undelayed(&org, &scripted(&org, &script, 0), vec![index(&org)]).await;
    assert_eq!(ids_of(&org, "assigned").await, [id(0), id(1), id(2)]);
    assert_eq!(script.calls(UNROUTED), 1);
    // One batch reads the team, its entries and the pass. The others read the three tickets and the
    // organization.
    assert!(
        script.calls(&["BatchGetItem"]) <= 3,
        "the other tickets are not read"
    );
    run_jobs(&scripted(&org, &script, 0), &org.jobs, delayed).await;
    assert_finished(&org).await;
}

#[tokio::test]
async fn topic_merged_during_page_2_gets_a_further_pass() {
    let org = Arc::new(org_fixture(&Stack::shared(), &[]).await);
    arrive(&org, "dns", 0..10).await;
    arrive(&org, "vpn", 10..30).await;
    specialize(&org, &["VPN"], 0).await;
    let script = FaultScript::default();
    let (inner, merging) = (Arc::clone(&org), FaultScript::default());
    let merge = move || {
        let (org, script) = (Arc::clone(&inner), merging.clone());
        async move {
            specialize(&org, &["VPN", "DNS"], 0).await;
            let store = scripted(&org, &script, 0)
                .table
                .until(tokio::time::Instant::now() + LONG);
            let indexed = store
                .index_specializations(&org.id, team_id(0), Timestamp::from_secs(NOW))
                .await;
            assert!(
                indexed.expect("the team is indexed"),
                "the pass has a new topic"
            );
        }
        .boxed()
    };
    script.nth(UNROUTED, 1, InjectedFault::RunFirst(Arc::new(merge)));
    let deps = Deps {
        pace: Pace {
            page: 10,
            ..Pace::default()
        },
        ..scripted(&org, &script, 0)
    };
    let delayed = perform_undelayed(&org, &deps, vec![index(&org)]).await;
    assert!(script.is_consumed());
    assert_eq!(
        ids_of(&org, "unrouted").await,
        (0..10).map(id).collect::<Vec<_>>(),
        "page 1 was read before the merge"
    );
    let [further] = <[String; 1]>::try_from(delayed).expect("one continuation");
    let later = scripted(&org, &script, 5);
    let delayed = perform_undelayed(&org, &later, vec![further]).await;
    assert_eq!(ids_of(&org, "unrouted").await, [""; 0]);
    run_jobs(&later, &org.jobs, delayed).await;
    assert_finished(&org).await;
}

#[tokio::test]
async fn ticket_held_before_its_write_is_routed_by_the_last_pass() {
    let org = Arc::new(org_fixture(&Stack::shared(), &[]).await);
    let script = FaultScript::default();
    let inner = Arc::clone(&org);
    let hold = move || {
        let org = Arc::clone(&inner);
        async move {
            specialize(&org, &["VPN"], 0).await;
            let deps = org.jobs(&Instance::new(&org.transaction_log));
            // The first pass, its pause, and the end of the lease.
            let pause = perform_undelayed(&org, &deps, vec![index(&org)]).await;
            let last = perform_undelayed(&org, &deps, pause).await;
            assert_eq!(last.len(), 1, "{last:?}");
            org.jobs
                .queue()
                .send(&last.into_iter().map(message).collect::<Vec<_>>(), soon())
                .await
                .expect("the message is sent");
        }
        .boxed()
    };
    script.once(
        &["TransactWriteItems"],
        InjectedFault::RunFirst(Arc::new(hold)),
    );
    let table = Table::new(script.client(&org.stack), org.stack.table.as_str());
    let ticket = org.ticket_event(
        "created",
        "T-000",
        100,
        json!({ "status": "new", "category": "vpn" }),
    );
    assert_eq!(
        invoke_assignment(&org.assignment_over(table), &[ticket]).await,
        [0; 0]
    );
    assert!(script.is_consumed());
    assert_eq!(
        ids_of(&org, "unrouted").await,
        [id(0)],
        "the ticket is written after the first pass"
    );

    let last = org.jobs.take().into_iter().map(|sent| sent.body).collect();
    let at = i64::try_from(RoutingPass::LAST_PASS_AFTER.as_secs()).expect("minutes");
    run_jobs(
        &scripted(&org, &FaultScript::default(), at),
        &org.jobs,
        last,
    )
    .await;
    assert_eq!(ids_of(&org, "assigned").await, [id(0)]);
    assert_finished(&org).await;
}

fn message(body: String) -> muster_service::aws::sqs_send::Message {
    muster_service::aws::sqs_send::Message::new(body)
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(5)
}

#[tokio::test]
async fn ticket_behind_a_lagging_index_is_routed_by_the_last_pass() {
    let org = org_fixture(&Stack::shared(), &[]).await;
    arrive(&org, "vpn", 0..3).await;
    specialize(&org, &["VPN"], 0).await;
    let script = FaultScript::default();
    script.once(UNROUTED, InjectedFault::StaleIndex);
    let deps = scripted(&org, &script, 0);
    let pause = perform_undelayed(&org, &deps, vec![index(&org)]).await;
    let last = perform_undelayed(&org, &deps, pause).await;
    assert!(script.is_consumed());
    assert_eq!(ids_of(&org, "unrouted").await.len(), 3);
    // A message before its time is requeued and starts no pass.
    let last = perform_undelayed(&org, &scripted(&org, &script, 149), last).await;
    assert_eq!((last.len(), script.calls(UNROUTED)), (1, 1));
    run_jobs(&scripted(&org, &script, 150), &org.jobs, last).await;
    assert_eq!(ids_of(&org, "assigned").await.len(), 3);
    assert_finished(&org).await;
}

/// The message of the crashed instance is redelivered or lost. In both cases the schedule completes
/// the work after ten minutes.
#[tokio::test]
async fn pass_killed_at_any_call_ends_with_the_schedule() {
    let stack = Stack::with(|_| {}).await;
    let run = async |end: Option<(usize, CrashPoint)>| {
        let org = org_fixture(&stack, &[]).await;
        arrive(&org, "vpn", 0..6).await;
        arrive(&org, "parking", 6..8).await;
        specialize(&org, &["VPN"], 0).await;
        let instance = Instance::crashing(&org.transaction_log, end);
        let deps = Deps {
            pace: Pace {
                page: 3,
                ..Pace::default()
            },
            ..org.jobs(&instance)
        };
        let completed = instance
            .run(run_jobs(&deps, &org.jobs, vec![index(&org)]))
            .await
            .is_some();
        assert_eq!(
            completed,
            end.is_none(),
            "the instance made no call {end:?}"
        );
        if end.is_some() {
            if end.is_some_and(|(call, _)| call % 2 == 0) {
                org.jobs.take();
            }
            org.finish_at(Timestamp::from_secs(NOW + 900)).await;
        }
        assert_eq!(
            ids_of(&org, "assigned").await,
            (0..6).map(id).collect::<Vec<_>>(),
            "crash at {end:?}"
        );
        assert_finished(&org).await;
        instance.calls()
    };
    let calls = run(None).await;
    assert!(calls > 15, "{calls} calls");
    let ends = (0..calls).flat_map(|call| {
        [CrashPoint::BeforeCall, CrashPoint::AfterCall].map(|crash_point| (call, crash_point))
    });
    stream::iter(ends)
        .map(|end| run(Some(end)))
        .buffer_unordered(4)
        .collect::<Vec<_>>()
        .await;
}

#[tokio::test]
async fn lost_stream_record_delays_the_index_to_the_schedule() {
    let org = org_fixture(&Stack::shared(), &[]).await;
    arrive(&org, "vpn", 0..1).await;
    specialize(&org, &["VPN"], 0).await;
    org.finish_at(Timestamp::from_secs(NOW + 299)).await;
    assert_eq!(
        ids_of(&org, "unrouted").await,
        [id(0)],
        "the stream record may still arrive"
    );
    org.finish_at(Timestamp::from_secs(NOW + 300)).await;
    assert_eq!(ids_of(&org, "assigned").await, [id(0)]);
    assert_finished(&org).await;
}

#[tokio::test]
async fn many_changes_of_specializations_share_passes() {
    const CHANGES: usize = 60;
    let org = org_fixture(&Stack::shared(), &[]).await;
    arrive(&org, "topic 59", 0..1).await;
    let (script, mut delayed) = (FaultScript::default(), Vec::new());
    for n in 0..CHANGES {
        let known: Vec<_> = (n.saturating_sub(9)..=n)
            .map(|n| format!("topic {n}"))
            .collect();
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        specialize(&org, &known, 0).await;
        delayed
            .extend(perform_undelayed(&org, &scripted(&org, &script, 0), vec![index(&org)]).await);
    }
    assert_eq!(
        (script.calls(UNROUTED), delayed.len()),
        (1, 1),
        "one pass holds the lease"
    );
    run_jobs(&scripted(&org, &script, 0), &org.jobs, delayed).await;
    assert_eq!(
        script.calls(UNROUTED),
        3,
        "the first, one for all later topics, and the last"
    );
    assert_eq!(ids_of(&org, "assigned").await, [id(0)]);
    assert_finished(&org).await;
}

#[tokio::test]
async fn change_without_a_new_topic_starts_no_pass() {
    let org = org_fixture(&Stack::shared(), &["VPN", "DNS"]).await;
    let deps = org.jobs(&Instance::new(&org.transaction_log));
    for known in [&["DNS"][..], &["dns"], &[]] {
        specialize(&org, known, 0).await;
        assert_eq!(
            invoke_jobs_within(&deps, &[index(&org)], LONG).await,
            [0; 0]
        );
        assert_eq!(org.jobs.take(), [], "{known:?}");
        assert_finished(&org).await;
    }
    org.read_table().await.assert_exact();
}

#[tokio::test]
async fn more_than_200_topics_become_all() {
    let org = org_fixture(&Stack::shared(), &[]).await;
    arrive(&org, "topic 0", 0..1).await;
    let store = org.stack.store();
    for n in 0..5 {
        let known: Vec<_> = (n * 50..n * 50 + 50)
            .map(|n| format!("topic {n}"))
            .collect();
        specialize(
            &org,
            &known.iter().map(String::as_str).collect::<Vec<_>>(),
            0,
        )
        .await;
        let indexed = store
            .index_specializations(&org.id, team_id(0), Timestamp::from_secs(NOW))
            .await;
        assert!(indexed.expect("the team is indexed"));
        let pass = store
            .pass(&org.id)
            .await
            .expect("the pass can be read")
            .expect("a pass exists");
        let has_all = pass.topics == muster_domain::PassTopics::All;
        assert_eq!(has_all, n == 4, "{pass:?}");
    }
    org.assert_consistent().await;
    let start = json!({ "job": "route_unrouted", "organization_id": org.id.as_str() }).to_string();
    run_jobs(
        &org.jobs(&Instance::new(&org.transaction_log)),
        &org.jobs,
        vec![start],
    )
    .await;
    assert_finished(&org).await;
    let unknown: Value = json!(ids_of(&org, "unrouted").await);
    assert_eq!(unknown, json!([id(0)]), "the team has the last 50 topics");
}
