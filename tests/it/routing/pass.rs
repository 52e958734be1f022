//! The pass over unrouted tickets: which tickets it routes, when, and how often it runs.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use muster::{
    domain::{IfVersion, QueueStrategy::RoundRobin, RoutingPass, Tags, TeamChanges, Timestamp},
    store::Table,
};
use muster_jobs::{Deps, Pace};
use serde_json::{Value, json};

use crate::support::{
    Stack,
    desks::{Crew, Desk, NOW, team, team_id},
    faulty::{Fault, Script, UNROUTED},
    mortal::{Death, Instance},
    queue::{LONG, assign, perform_all, perform_within},
    table::{number, text},
};

/// A team of one member with these specializations.
async fn desk(stack: &Stack, specializations: &[&'static str]) -> Desk {
    let crew = Crew {
        specializations: specializations.to_vec(),
        ..Crew::of(RoundRobin, [0])
    };
    let desk = Desk::open(stack, 1, &[crew]).await;
    // The topics of the new team have been passed over long ago.
    desk.finish().await;
    desk
}

/// Has tickets of a category arrive.
async fn arrive(desk: &Desk, category: &str, ids: std::ops::Range<usize>) {
    let tickets: Vec<_> = ids
        .map(|n| {
            desk.says(
                "created",
                &format!("T-{n:03}"),
                900,
                json!({ "status": "new", "category": category }),
            )
        })
        .collect();
    assert_eq!(
        assign(&desk.assignment(&Instance::new(&desk.ledger)), &tickets).await,
        [0; 0]
    );
}

/// Changes the specializations of the team, as a PATCH does, so many seconds after [`NOW`].
async fn specialize(desk: &Desk, specializations: &[&str], seconds: i64) {
    let tags = Tags::parse(specializations).expect("a few tags");
    let changes = TeamChanges {
        specializations: Some(tags),
        ..TeamChanges::default()
    };
    let now = Timestamp::from_secs(NOW + seconds);
    let changed = desk
        .stack
        .store()
        .change_team(&desk.org, team_id(0), &changes, &IfVersion::Any, now)
        .await;
    changed.expect("the team can be changed");
}

fn index(desk: &Desk) -> String {
    json!({ "job": "index_specializations", "organization_id": desk.org.as_str(), "team_id": team(0) }).to_string()
}

/// The jobs function over a script, at a time in seconds after [`NOW`].
fn scripted(desk: &Desk, script: &Script, seconds: i64) -> Deps {
    let table = Table::new(script.client(&desk.stack), desk.stack.table.as_str());
    let clock = Arc::new(move || Timestamp::from_secs(NOW + seconds));
    Deps {
        table,
        clock,
        ..desk.jobs(&Instance::new(&desk.ledger))
    }
}

/// Performs jobs and the jobs that they send without a delay. Gives those with a delay.
async fn perform_undelayed(desk: &Desk, deps: &Deps, jobs: Vec<String>) -> Vec<String> {
    let (mut jobs, mut delayed) = (jobs, Vec::new());
    while let Some(job) = jobs.pop() {
        assert_eq!(
            perform_within(deps, std::slice::from_ref(&job), LONG).await,
            [0; 0],
            "{job}"
        );
        for sent in desk.jobs.take() {
            if sent.delay.is_zero() {
                jobs.push(sent.body)
            } else {
                delayed.push(sent.body)
            }
        }
    }
    delayed
}

/// The ids of the tickets in a state, once every counter is recounted. Decisions over a script are
/// in no ledger.
async fn ids_of(desk: &Desk, state: &str) -> Vec<String> {
    let books = desk.books().await;
    books.assert_exact();
    books
        .tickets
        .iter()
        .filter(|(_, ticket)| text(ticket, "state") == state)
        .map(|(id, _)| id.clone())
        .collect()
}

fn id(n: usize) -> String {
    format!("T-{n:03}")
}

/// The pass has no topics, no lease and no mark left, and covers all merges.
async fn assert_finished(desk: &Desk) {
    let books = desk.books().await;
    let pass = &books.items[&(format!("ORG#{}#PASS", desk.org), "PASS".to_owned())];
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
    let marked: Vec<_> = books
        .teams
        .values()
        .filter(|team| team.contains_key("gsi1pk"))
        .collect();
    assert!(marked.is_empty(), "{marked:?}");
}

#[tokio::test]
async fn pass_routes_only_tickets_that_share_a_topic() {
    let desk = desk(&Stack::shared(), &[]).await;
    arrive(&desk, "vpn", 0..3).await;
    arrive(&desk, "parking", 3..30).await;
    specialize(&desk, &["VPN"], 0).await;
    let script = Script::default();
    let delayed = perform_undelayed(&desk, &scripted(&desk, &script, 0), vec![index(&desk)]).await;
    assert_eq!(ids_of(&desk, "assigned").await, [id(0), id(1), id(2)]);
    assert_eq!(script.calls(UNROUTED), 1);
    // One reads the team, its entries and the pass. The others read the three tickets beside the
    // organization.
    assert!(
        script.calls(&["BatchGetItem"]) <= 3,
        "no batch of the other tickets is read"
    );
    perform_all(&scripted(&desk, &script, 0), &desk.jobs, delayed).await;
    assert_finished(&desk).await;
}

#[tokio::test]
async fn topic_merged_during_page_2_gets_a_further_pass() {
    let desk = Arc::new(desk(&Stack::shared(), &[]).await);
    arrive(&desk, "dns", 0..10).await;
    arrive(&desk, "vpn", 10..30).await;
    specialize(&desk, &["VPN"], 0).await;
    let script = Script::default();
    let (inner, merging) = (Arc::clone(&desk), Script::default());
    let merge = move || {
        let (desk, script) = (Arc::clone(&inner), merging.clone());
        async move {
            specialize(&desk, &["VPN", "DNS"], 0).await;
            let store = scripted(&desk, &script, 0)
                .table
                .until(tokio::time::Instant::now() + LONG);
            let indexed = store
                .index_specializations(&desk.org, team_id(0), Timestamp::from_secs(NOW))
                .await;
            assert!(indexed.expect("the team is indexed"), "a topic is merged");
        }
        .boxed()
    };
    script.nth(UNROUTED, 1, Fault::After(Arc::new(merge)));
    let deps = Deps {
        pace: Pace {
            page: 10,
            ..Pace::default()
        },
        ..scripted(&desk, &script, 0)
    };
    let delayed = perform_undelayed(&desk, &deps, vec![index(&desk)]).await;
    assert!(script.is_played());
    assert_eq!(
        ids_of(&desk, "unrouted").await,
        (0..10).map(id).collect::<Vec<_>>(),
        "page 1 was passed before"
    );
    let [further] = <[String; 1]>::try_from(delayed).expect("one continuation");
    let later = scripted(&desk, &script, 5);
    let delayed = perform_undelayed(&desk, &later, vec![further]).await;
    assert_eq!(ids_of(&desk, "unrouted").await, [""; 0]);
    perform_all(&later, &desk.jobs, delayed).await;
    assert_finished(&desk).await;
}

#[tokio::test]
async fn ticket_held_before_its_write_is_routed_by_the_last_pass() {
    let desk = Arc::new(desk(&Stack::shared(), &[]).await);
    let script = Script::default();
    let inner = Arc::clone(&desk);
    let hold = move || {
        let desk = Arc::clone(&inner);
        async move {
            specialize(&desk, &["VPN"], 0).await;
            let deps = desk.jobs(&Instance::new(&desk.ledger));
            // The first pass, the pause after it, and the end of the lease.
            let pause = perform_undelayed(&desk, &deps, vec![index(&desk)]).await;
            let last = perform_undelayed(&desk, &deps, pause).await;
            assert_eq!(last.len(), 1, "{last:?}");
            desk.jobs
                .queue()
                .send(&last.into_iter().map(message).collect::<Vec<_>>(), soon())
                .await
                .expect("it is sent");
        }
        .boxed()
    };
    script.once(&["TransactWriteItems"], Fault::After(Arc::new(hold)));
    let table = Table::new(script.client(&desk.stack), desk.stack.table.as_str());
    let ticket = desk.says(
        "created",
        "T-000",
        100,
        json!({ "status": "new", "category": "vpn" }),
    );
    assert_eq!(
        assign(&desk.assignment_over(table), &[ticket]).await,
        [0; 0]
    );
    assert!(script.is_played());
    assert_eq!(
        ids_of(&desk, "unrouted").await,
        [id(0)],
        "written after the first pass"
    );

    let last = desk.jobs.take().into_iter().map(|sent| sent.body).collect();
    let at = i64::try_from(RoutingPass::LAST_PASS_AFTER.as_secs()).expect("minutes");
    perform_all(&scripted(&desk, &Script::default(), at), &desk.jobs, last).await;
    assert_eq!(ids_of(&desk, "assigned").await, [id(0)]);
    assert_finished(&desk).await;
}

fn message(body: String) -> muster::queue::Message {
    muster::queue::Message::new(body)
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(5)
}

#[tokio::test]
async fn ticket_behind_a_lagging_index_is_routed_by_the_last_pass() {
    let desk = desk(&Stack::shared(), &[]).await;
    arrive(&desk, "vpn", 0..3).await;
    specialize(&desk, &["VPN"], 0).await;
    let script = Script::default();
    script.once(UNROUTED, Fault::Lagging);
    let deps = scripted(&desk, &script, 0);
    let pause = perform_undelayed(&desk, &deps, vec![index(&desk)]).await;
    let last = perform_undelayed(&desk, &deps, pause).await;
    assert!(script.is_played());
    assert_eq!(ids_of(&desk, "unrouted").await.len(), 3);
    // A message that comes early is put off, and does not pass.
    let last = perform_undelayed(&desk, &scripted(&desk, &script, 149), last).await;
    assert_eq!((last.len(), script.calls(UNROUTED)), (1, 1));
    perform_all(&scripted(&desk, &script, 150), &desk.jobs, last).await;
    assert_eq!(ids_of(&desk, "assigned").await.len(), 3);
    assert_finished(&desk).await;
}

/// Whether the dead instance's message is delivered again or lost, the schedule after ten minutes
/// finishes its work.
#[tokio::test]
async fn pass_killed_at_any_call_ends_with_the_schedule() {
    let stack = Stack::with(|_| {}).await;
    let run = async |end: Option<(usize, Death)>| {
        let desk = desk(&stack, &[]).await;
        arrive(&desk, "vpn", 0..6).await;
        arrive(&desk, "parking", 6..8).await;
        specialize(&desk, &["VPN"], 0).await;
        let instance = Instance::dying(&desk.ledger, end);
        let deps = Deps {
            pace: Pace {
                page: 3,
                ..Pace::default()
            },
            ..desk.jobs(&instance)
        };
        let lived = instance
            .run(perform_all(&deps, &desk.jobs, vec![index(&desk)]))
            .await
            .is_some();
        assert_eq!(lived, end.is_none(), "it did not come to call {end:?}");
        if end.is_some() {
            if end.is_some_and(|(call, _)| call % 2 == 0) {
                desk.jobs.take();
            }
            desk.finish_at(Timestamp::from_secs(NOW + 900)).await;
        }
        assert_eq!(
            ids_of(&desk, "assigned").await,
            (0..6).map(id).collect::<Vec<_>>(),
            "killed at {end:?}"
        );
        assert_finished(&desk).await;
        instance.calls()
    };
    let calls = run(None).await;
    assert!(calls > 15, "{calls} calls");
    let ends = (0..calls).flat_map(|call| [Death::Before, Death::After].map(|death| (call, death)));
    stream::iter(ends)
        .map(|end| run(Some(end)))
        .buffer_unordered(4)
        .collect::<Vec<_>>()
        .await;
}

#[tokio::test]
async fn lost_stream_record_delays_the_index_to_the_schedule() {
    let desk = desk(&Stack::shared(), &[]).await;
    arrive(&desk, "vpn", 0..1).await;
    specialize(&desk, &["VPN"], 0).await;
    desk.finish_at(Timestamp::from_secs(NOW + 299)).await;
    assert_eq!(
        ids_of(&desk, "unrouted").await,
        [id(0)],
        "a message may be under way"
    );
    desk.finish_at(Timestamp::from_secs(NOW + 300)).await;
    assert_eq!(ids_of(&desk, "assigned").await, [id(0)]);
    assert_finished(&desk).await;
}

#[tokio::test]
async fn many_changes_of_specializations_share_passes() {
    const CHANGES: usize = 60;
    let desk = desk(&Stack::shared(), &[]).await;
    arrive(&desk, "topic 59", 0..1).await;
    let (script, mut delayed) = (Script::default(), Vec::new());
    for n in 0..CHANGES {
        let known: Vec<_> = (n.saturating_sub(9)..=n)
            .map(|n| format!("topic {n}"))
            .collect();
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        specialize(&desk, &known, 0).await;
        delayed.extend(
            perform_undelayed(&desk, &scripted(&desk, &script, 0), vec![index(&desk)]).await,
        );
    }
    assert_eq!(
        (script.calls(UNROUTED), delayed.len()),
        (1, 1),
        "one pass holds the lease"
    );
    perform_all(&scripted(&desk, &script, 0), &desk.jobs, delayed).await;
    assert_eq!(
        script.calls(UNROUTED),
        3,
        "the first, one for all later topics, and the last"
    );
    assert_eq!(ids_of(&desk, "assigned").await, [id(0)]);
    assert_finished(&desk).await;
}

#[tokio::test]
async fn change_without_a_new_topic_starts_no_pass() {
    let desk = desk(&Stack::shared(), &["VPN", "DNS"]).await;
    let deps = desk.jobs(&Instance::new(&desk.ledger));
    for known in [&["DNS"][..], &["dns"], &[]] {
        specialize(&desk, known, 0).await;
        assert_eq!(perform_within(&deps, &[index(&desk)], LONG).await, [0; 0]);
        assert_eq!(desk.jobs.take(), [], "{known:?}");
        assert_finished(&desk).await;
    }
    desk.books().await.assert_exact();
}

#[tokio::test]
async fn more_than_200_topics_become_all() {
    let desk = desk(&Stack::shared(), &[]).await;
    arrive(&desk, "topic 0", 0..1).await;
    let store = desk.stack.store();
    for n in 0..5 {
        let known: Vec<_> = (n * 50..n * 50 + 50)
            .map(|n| format!("topic {n}"))
            .collect();
        specialize(
            &desk,
            &known.iter().map(String::as_str).collect::<Vec<_>>(),
            0,
        )
        .await;
        let indexed = store
            .index_specializations(&desk.org, team_id(0), Timestamp::from_secs(NOW))
            .await;
        assert!(indexed.expect("the team is indexed"));
        let pass = store
            .pass(&desk.org)
            .await
            .expect("it can be read")
            .expect("there is one");
        let has_all = pass.topics == muster::domain::PassTopics::All;
        assert_eq!(has_all, n == 4, "{pass:?}");
    }
    desk.audit().await;
    let start =
        json!({ "job": "route_unrouted", "organization_id": desk.org.as_str() }).to_string();
    perform_all(
        &desk.jobs(&Instance::new(&desk.ledger)),
        &desk.jobs,
        vec![start],
    )
    .await;
    assert_finished(&desk).await;
    let unknown: Value = json!(ids_of(&desk, "unrouted").await);
    assert_eq!(unknown, json!([id(0)]), "the team knows the last 50 topics");
}
