//! Instances that crash at each of their calls, before the call is sent or before its response
//! arrives. After redelivery, the table has the same content as without a crash.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use muster_domain::QueueStrategy::{RoundRobin, SkillBased};
use muster_jobs::{Deps, Pace};
use serde_json::{Value, json};

use crate::support::{
    Stack,
    crash::{CrashPoint, Instance},
    org::{OrgFixture, TeamFixture, team, user},
    sqs::{LONG, invoke_assignment, invoke_jobs_within, run_jobs},
    table::text,
    table_audit::TableAudit,
};

/// A user that no organization has.
const UNKNOWN_USER: usize = 900_000;

/// Creates a round-robin team of three and one of two, an empty team, and a skill-based team with
/// specializations.
async fn org_fixture(stack: &Stack) -> OrgFixture {
    let mut experts = TeamFixture::of(SkillBased, [5, 6]);
    experts.specializations = vec!["vpn", "sso"];
    experts.members[1].1 = vec!["VPN"];
    let teams = [
        TeamFixture::of(RoundRobin, 0..3),
        TeamFixture::of(RoundRobin, 3..5),
        TeamFixture::of(RoundRobin, []),
        experts,
    ];
    OrgFixture::open(stack, 12, &teams).await
}

fn in_team(n: usize, with: &Value) -> Value {
    let mut ticket = json!({ "status": "open", "team_id": team(n), "created_at": 1_768_400_000, "due_at": 1_768_500_000 });
    for (field, value) in with.as_object().into_iter().flatten() {
        ticket[field] = value.clone();
    }
    ticket
}

fn open_in(n: usize) -> Value {
    in_team(n, &json!({}))
}

async fn process_tickets(org: &OrgFixture, messages: &[String]) {
    let deps = org.assignment(&Instance::new(&org.transaction_log));
    assert_eq!(invoke_assignment(&deps, messages).await, [0; 0]);
}

/// A unit of work, and the state that it starts from.
struct CrashCase<P, A> {
    /// Creates the initial state.
    prepare: P,
    /// The messages of the work.
    messages: fn(&OrgFixture) -> Vec<String>,
    /// Processes the messages.
    run: A,
}

impl<P: AsyncFn(&OrgFixture), A: AsyncFn(&OrgFixture, &Instance, &[String])> CrashCase<P, A> {
    /// Does the work with an instance that may crash, then again with one that does not, and
    /// returns the resulting table.
    async fn outcome(
        &self,
        stack: &Stack,
        crash_at: Option<(usize, CrashPoint)>,
    ) -> (OrgFixture, TableAudit, usize) {
        let org = org_fixture(stack).await;
        (self.prepare)(&org).await;
        let messages = (self.messages)(&org);
        let instance = Instance::crashing(&org.transaction_log, crash_at);
        let completed = instance
            .run((self.run)(&org, &instance, &messages))
            .await
            .is_some();
        if crash_at.is_some() {
            assert!(!completed, "the instance made no call {crash_at:?}");
            // Calls of the crashed instance may still arrive.
            (self.run)(&org, &Instance::new(&org.transaction_log), &messages).await;
        }
        let audit = org.assert_consistent().await;
        (org, audit, instance.calls())
    }

    /// Crashes an instance at each of its calls, and compares each result with the one without a
    /// crash.
    async fn assert_same_result_after_any_crash(&self) -> (OrgFixture, TableAudit) {
        let stack = Stack::with(|_| {}).await;
        let (org, audit, calls) = self.outcome(&stack, None).await;
        assert!(calls > 3, "{calls} calls");
        let expected = audit.normalized(&org.id);
        let crashes = (0..calls).flat_map(|call| {
            [CrashPoint::BeforeCall, CrashPoint::AfterCall].map(|crash_point| (call, crash_point))
        });
        stream::iter(crashes)
            .map(async |crash_at| {
                let (org, audit, _) = self.outcome(&stack, Some(crash_at)).await;
                let actual = audit.normalized(&org.id);
                let differs: Vec<_> = expected
                    .keys()
                    .chain(actual.keys())
                    .filter(|key| expected.get(*key) != actual.get(*key))
                    .map(|key| {
                        format!("{key}:\n  {:?}\n  {:?}", expected.get(key), actual.get(key))
                    })
                    .collect();
                assert!(
                    differs.is_empty(),
                    "crash at {crash_at:?} of {calls} calls:\n{}",
                    differs.join("\n")
                );
            })
            .buffer_unordered(4)
            .collect::<()>()
            .await;
        (org, audit)
    }
}

async fn process_with(org: &OrgFixture, instance: &Instance, messages: &[String]) {
    assert_eq!(
        invoke_assignment(&org.assignment(instance), messages).await,
        [0; 0]
    );
}

/// Performs jobs and their follow-up messages, including those that an instance sent before it
/// crashed.
async fn perform_with(org: &OrgFixture, instance: &Instance, jobs: &[String]) {
    run_jobs(&org.jobs(instance), &org.jobs, jobs.to_vec()).await;
}

/// The tickets of the mixed batch, and the expected state of each.
const MIXED_BATCH: [(&str, &str); 14] = [
    ("moved", "assigned"),
    ("new-1", "assigned"),
    ("new-2", "assigned"),
    ("new-3", "assigned"),
    ("new-in-1", "assigned"),
    ("vpn", "assigned"),
    ("unknown", "unrouted"),
    ("waits", "waiting"),
    ("given", "assigned"),
    ("given-to-a-stranger", "assigned"),
    ("closed", "closed"),
    ("reopened", "assigned"),
    ("deleted", "deleted"),
    ("taken-back", "assigned"),
];

/// Creates the tickets that the mixed batch changes.
async fn prepare_mixed_batch(org: &OrgFixture) {
    let known = [
        "given",
        "given-to-a-stranger",
        "closed",
        "reopened",
        "deleted",
        "taken-back",
    ];
    let mut messages: Vec<_> = known
        .iter()
        .zip(5000..)
        .map(|(id, ago)| org.ticket_event("created", id, 10_000 - ago, open_in(0)))
        .collect();
    // The old team is one in which the batch makes no decision. Teams are decided
    // separately, so the counters that a decision records depend on whether the moved
    // ticket has already left its team.
    messages.push(org.ticket_event(
        "created",
        "moved",
        6000,
        in_team(2, &json!({ "assignee_id": user(9) })),
    ));
    messages.push(org.ticket_event(
        "updated",
        "reopened",
        3000,
        in_team(0, &json!({ "status": "resolved" })),
    ));
    process_tickets(org, &messages).await;
}

/// Returns events of every kind, duplicates and a poison message.
fn mixed_batch(org: &OrgFixture) -> Vec<String> {
    let unteamed = |category: &str| json!({ "status": "new", "category": category });
    let given_to = |n| in_team(0, &json!({ "assignee_id": user(n) }));
    vec![
        org.ticket_event("updated", "moved", 100, open_in(1)),
        org.ticket_event("created", "new-1", 99, open_in(0)),
        org.ticket_event(
            "created",
            "new-2",
            98,
            in_team(0, &json!({ "status": "in_progress" })),
        ),
        org.ticket_event("created", "new-in-1", 97, open_in(1)),
        org.ticket_event("created", "vpn", 96, unteamed("VPN")),
        org.ticket_event("created", "unknown", 95, unteamed("parking")),
        org.ticket_event("created", "waits", 94, open_in(2)),
        org.ticket_event("updated", "given", 93, given_to(9)),
        org.ticket_event("updated", "given-to-a-stranger", 92, given_to(UNKNOWN_USER)),
        org.ticket_event(
            "updated",
            "closed",
            91,
            in_team(0, &json!({ "status": "resolved" })),
        ),
        org.ticket_event("updated", "reopened", 90, open_in(0)),
        org.ticket_event("deleted", "deleted", 89, open_in(0)),
        org.ticket_event("unassigned", "taken-back", 88, open_in(0)),
        org.ticket_event("created", "new-3", 87, open_in(0)),
        org.ticket_event("created", "new-3", 87, open_in(0)),
        "{ this is no event".to_owned(),
    ]
}

#[tokio::test]
async fn mixed_batch_killed_at_any_call_ends_the_same() {
    let case = CrashCase {
        prepare: prepare_mixed_batch,
        messages: mixed_batch,
        run: process_with,
    };
    let (org, audit) = case.assert_same_result_after_any_crash().await;
    for (id, state) in MIXED_BATCH {
        assert_eq!(
            text(&audit.tickets[id], "state"),
            state,
            "{id}: {:?}",
            audit.tickets[id]
        );
    }
    assert_eq!(audit.tickets.len(), MIXED_BATCH.len());
    let dead_letters = org.dead_letters.take();
    assert_eq!(
        (dead_letters.len(), &*dead_letters[0].body),
        (1, "{ this is no event")
    );
    assert!(
        dead_letters[0].attributes["reason"].starts_with("not JSON"),
        "{dead_letters:?}"
    );
}

#[tokio::test]
async fn batch_of_several_transactions_killed_ends_the_same() {
    let case = CrashCase {
        prepare: async |_: &OrgFixture| {},
        messages: |org| {
            (0..120)
                .map(|n| org.ticket_event("created", &format!("T-{n}"), 500 - n, open_in(0)))
                .collect()
        },
        run: process_with,
    };
    let (_, audit) = case.assert_same_result_after_any_crash().await;
    assert_eq!(audit.tickets.len(), 120);
}

#[tokio::test]
async fn drain_killed_at_any_call_ends_the_same() {
    let case = CrashCase {
        prepare: async |org: &OrgFixture| {
            let waiting: Vec<_> = (0..12)
                .map(|n| org.ticket_event("created", &format!("T-{n}"), 500 - n, open_in(2)))
                .collect();
            process_tickets(org, &waiting).await;
            org.join(2, 7, &[]).await;
            org.join(2, 8, &[]).await;
        },
        messages: |org| {
            vec![json!({ "job": "drain_team", "organization_id": org.id.as_str(), "team_id": team(2) }).to_string()]
        },
        run: perform_with,
    };
    let (_, audit) = case.assert_same_result_after_any_crash().await;
    audit.assert_at_rest();
    assert!(
        audit
            .tickets
            .values()
            .all(|ticket| text(ticket, "state") == "assigned")
    );
}

#[tokio::test]
async fn sweep_killed_at_any_call_ends_the_same() {
    let case = CrashCase {
        prepare: async |org: &OrgFixture| {
            let mut tickets: Vec<_> = (0..101)
                .map(|n| org.ticket_event("created", &format!("T-{n}"), 500 - n, open_in(3)))
                .collect();
            tickets.push(org.ticket_event(
                "updated",
                "T-0",
                1,
                in_team(3, &json!({ "status": "closed" })),
            ));
            process_tickets(org, &tickets).await;
            org.delete(3).await;
        },
        messages: |org| {
            vec![json!({ "job": "sweep_team", "organization_id": org.id.as_str(), "team_id": team(3) }).to_string()]
        },
        run: perform_with,
    };
    let (_, audit) = case.assert_same_result_after_any_crash().await;
    audit.assert_at_rest();
    let unrouted = audit
        .tickets
        .values()
        .filter(|ticket| text(ticket, "state") == "unrouted")
        .count();
    assert_eq!(unrouted, 100, "every ticket but the closed one");
    assert!(
        !audit.items.keys().any(|(pk, _)| pk.contains("#SPEC#")),
        "no entry of the deleted team is in the index"
    );
}

/// The first invocations run out of time. Each further one has more time, so the chain ends.
#[tokio::test]
async fn job_with_little_time_continues_in_a_follow_up() {
    let stack = Stack::with(|_| {}).await;
    let org = org_fixture(&stack).await;
    let waiting: Vec<_> = (0..200)
        .map(|n| org.ticket_event("created", &format!("W-{n}"), 900 - n, open_in(2)))
        .collect();
    let deleted: Vec<_> = (0..200)
        .map(|n| org.ticket_event("created", &format!("D-{n}"), 900 - n, open_in(1)))
        .collect();
    process_tickets(&org, &waiting).await;
    process_tickets(&org, &deleted).await;
    org.join(2, 7, &[]).await;
    org.delete(1).await;
    let mut jobs = vec![json!({ "job": "restart_unfinished" }).to_string()];
    let (mut time, mut continued) = (4, 0);
    while let Some(job) = jobs.pop() {
        // A large page may take all the time of a job. Several small ones fit.
        let pace = Pace {
            page: 10,
            ..Pace::default()
        };
        let deps = Deps {
            pace,
            ..org.jobs(&Instance::new(&org.transaction_log))
        };
        let failed = invoke_jobs_within(
            &deps,
            std::slice::from_ref(&job),
            Duration::from_millis(time),
        )
        .await;
        jobs.extend(failed.iter().map(|_| job.clone()));
        let sent = org.jobs.take();
        continued += sent
            .iter()
            .filter(|sent| without_hop(&sent.body) == without_hop(&job))
            .count();
        jobs.extend(sent.into_iter().map(|sent| sent.body));
        time += 4;
        assert!(
            time < u64::try_from(LONG.as_millis()).expect("a minute"),
            "the jobs do not end: {jobs:?}"
        );
    }
    let audit = org.assert_consistent().await;
    audit.assert_at_rest();
    assert!(
        continued > 0,
        "every job completed without a follow-up message"
    );
}

/// Returns a job without its position in the chain.
fn without_hop(job: &str) -> Value {
    let mut job: Value = serde_json::from_str(job).expect("a job is JSON");
    let fields = job.as_object_mut().expect("a job is an object");
    fields.retain(|name, _| !["hop", "is_rest"].contains(&name.as_str()));
    job
}

/// A job fails if the queue rejects its follow-up message, and is redelivered.
#[tokio::test]
async fn unavailable_job_queue_delays_jobs() {
    let stack = Stack::with(|_| {}).await;
    let org = org_fixture(&stack).await;
    process_tickets(&org, &[org.ticket_event("created", "T-1", 50, open_in(2))]).await;
    org.join(2, 7, &[]).await;
    org.jobs.set_capacity(Some(0));
    let restart = [json!({ "job": "restart_unfinished" }).to_string()];
    let deps = org.jobs(&Instance::new(&org.transaction_log));
    assert_eq!(
        invoke_jobs_within(&deps, &restart, Duration::from_secs(1)).await,
        [0]
    );
    org.jobs.set_capacity(None);
    perform_with(&org, &Instance::new(&org.transaction_log), &restart).await;
    org.assert_consistent().await.assert_at_rest();
}
