//! Batches against a table that throttles, conflicts, leaves keys unprocessed or loses responses: a
//! batch succeeds, or fails the affected messages in time.

use std::time::Duration;

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::FinalizerInterceptorContextMut,
    },
    error::BoxError,
    operation::batch_get_item::BatchGetItemOutput,
    types::KeysAndAttributes,
};
use muster_domain::QueueStrategy::RoundRobin;
use muster_service::store::Table;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    Stack,
    crash::{Instance, TransactionLog},
    fault_injection::{FaultScript, InjectedFault},
    invoke,
    org::{OrgFixture, TeamFixture, team},
    sqs::{invoke_assignment, invoke_assignment_within},
    table::{number, text},
};

const TRANSACTION: &[&str] = &["TransactWriteItems"];
const QUERY: &[&str] = &["Query"];
const MANY: &[&str] = &["BatchGetItem"];

async fn org_fixture(stack: &Stack) -> OrgFixture {
    OrgFixture::open(
        stack,
        6,
        &[
            TeamFixture::of(RoundRobin, 0..3),
            TeamFixture::of(RoundRobin, 3..6),
        ],
    )
    .await
}

fn new_in(n: usize) -> Value {
    json!({ "status": "new", "team_id": team(n), "created_at": 1_768_400_000 })
}

/// Returns thirty new tickets in two teams.
fn batch(org: &OrgFixture) -> Vec<String> {
    (0..30)
        .map(|n| {
            org.ticket_event(
                "created",
                &format!("T-{n}"),
                500 - n,
                new_in(usize::from(n % 3 == 0)),
            )
        })
        .collect()
}

impl OrgFixture {
    fn scripted(&self, script: &FaultScript) -> muster_assignment::Deps {
        self.assignment_over(Table::new(
            script.client(&self.stack),
            self.stack.table.as_str(),
        ))
    }
}

/// Asserts that every ticket was decided once, in the order of arrival.
async fn assert_decided_once(org: &OrgFixture, what: &str) {
    let audit = org.read_table().await;
    audit.assert_exact();
    assert_eq!(audit.tickets.len(), 30, "{what}");
    assert!(
        audit
            .tickets
            .values()
            .all(|ticket| text(ticket, "state") == "assigned"),
        "{what}"
    );
    for (n, turns) in [(0, 20), (1, 10)] {
        assert_eq!(
            text(&audit.teams[&team(n)], "queue_strategy"),
            "round_robin"
        );
        let turn = audit.loads[&team(n)]["turn"].as_n().expect("a number");
        assert_eq!(*turn, turns.to_string(), "{what}");
        let count = |member| {
            audit
                .tickets
                .values()
                .filter(|ticket| text(ticket, "assignee_id") == member)
                .count()
        };
        let mut counts: Vec<_> = audit.eligible(&team(n)).into_iter().map(count).collect();
        counts.sort_unstable();
        assert_eq!(counts, if n == 0 { [6, 7, 7] } else { [3, 3, 4] }, "{what}");
    }
}

#[tokio::test]
async fn transient_fault_changes_no_decision() {
    let stack = Stack::with(|_| {}).await;
    let throttled = |exception| InjectedFault::Respond(400, exception);
    let mut cases = vec![
        (TRANSACTION, throttled("ThrottlingException")),
        (
            TRANSACTION,
            throttled("ProvisionedThroughputExceededException"),
        ),
        (TRANSACTION, throttled("TransactionInProgressException")),
        (TRANSACTION, throttled("RequestLimitExceeded")),
        (QUERY, throttled("ProvisionedThroughputExceededException")),
        (MANY, throttled("ProvisionedThroughputExceededException")),
        (MANY, InjectedFault::Unprocessed),
    ];
    for reason in [
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    ] {
        cases.push((TRANSACTION, InjectedFault::Canceled(reason)));
    }
    for calls in [TRANSACTION, QUERY, MANY] {
        let lost = [
            InjectedFault::ResponseReplaced,
            InjectedFault::ResponseDropped,
            InjectedFault::ResponseTruncated,
            InjectedFault::ConnectionClosed,
        ];
        cases.extend(lost.map(|fault| (calls, fault)));
    }
    for (calls, fault) in cases {
        // At the first such call, at the second, or at three in a row.
        for at in [&[0][..], &[1], &[0, 0, 0]] {
            if calls == MANY && at == [1] {
                continue;
            }
            let org = org_fixture(&stack).await;
            let script = FaultScript::default();
            for &skipped in at {
                script.nth(calls, skipped, fault.clone());
            }
            let what = format!("{fault:?} at {calls:?} {at:?}");
            assert_eq!(
                invoke_assignment(&org.scripted(&script), &batch(&org)).await,
                [0; 0],
                "{what}"
            );
            assert!(script.is_consumed(), "{what}");
            assert_decided_once(&org, &what).await;
        }
    }
}

#[tokio::test]
async fn persistent_fault_fails_the_messages_in_time() {
    let stack = Stack::with(|_| {}).await;
    let time = Duration::from_millis(1500);
    for (calls, fault) in [
        (TRANSACTION, InjectedFault::Canceled("TransactionConflict")),
        (
            TRANSACTION,
            InjectedFault::Respond(400, "ThrottlingException"),
        ),
        (TRANSACTION, InjectedFault::ResponseReplaced),
        (TRANSACTION, InjectedFault::NoResponse),
        (
            QUERY,
            InjectedFault::Respond(400, "ProvisionedThroughputExceededException"),
        ),
        (MANY, InjectedFault::Respond(500, "InternalServerError")),
        (MANY, InjectedFault::Unprocessed),
        (MANY, InjectedFault::NoResponse),
    ] {
        let org = org_fixture(&stack).await;
        let script = FaultScript::default();
        script.always(calls, fault.clone());
        let mut messages = batch(&org);
        messages.insert(7, "{ this is no event".to_owned());
        let what = format!("{fault:?} at {calls:?}");
        let deps = org.scripted(&script);
        let assigned = timeout(
            time + Duration::from_secs(10),
            invoke_assignment_within(&deps, &messages, time),
        );
        let failed = assigned
            .await
            .unwrap_or_else(|_| panic!("{what}: the invocation does not end"));
        assert!(
            failed.iter().copied().eq((0..31).filter(|&n| n != 7)),
            "{what}: {failed:?}"
        );
        assert_eq!(
            org.dead_letters.take().len(),
            1,
            "{what}: poison is dead-lettered immediately"
        );
        org.read_table().await.assert_exact();
        let redelivered: Vec<_> = failed
            .iter()
            .map(|&position| messages[position].clone())
            .collect();
        assert_eq!(
            invoke_assignment(
                &org.assignment(&Instance::new(&TransactionLog::default())),
                &redelivered
            )
            .await,
            [0; 0],
            "{what}"
        );
        assert_decided_once(&org, &what).await;
    }
}

/// Leaves half of the items of each batch read as unprocessed keys.
#[derive(Debug)]
struct HalfUnprocessed;

impl Intercept for HalfUnprocessed {
    fn name(&self) -> &'static str {
        "PutsOffHalf"
    }

    fn modify_before_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Ok(output)) = context.output_or_error_mut() else {
            return Ok(());
        };
        let Some(output) = output.downcast_mut::<BatchGetItemOutput>() else {
            return Ok(());
        };
        for (table, found) in output.responses.iter_mut().flatten() {
            let later = found.split_off(found.len().div_ceil(2));
            if later.is_empty() {
                continue;
            }
            let keys = later.into_iter().map(|mut item| {
                item.retain(|name, _| name == "pk" || name == "sk");
                item
            });
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(keys.collect()))
                .consistent_read(true)
                .build()?;
            output.unprocessed_keys = Some([(table.clone(), keys)].into());
        }
        Ok(())
    }
}

#[tokio::test]
async fn unprocessed_keys_are_read_again() {
    let stack = Stack::with(|_| {}).await;
    let org = org_fixture(&stack).await;
    let messages = batch(&org);
    assert_eq!(
        invoke_assignment(&org.scripted(&FaultScript::default()), &messages).await,
        [0; 0]
    );
    let config = invoke::client_config(&stack)
        .interceptor(HalfUnprocessed)
        .build();
    let table = Table::new(
        aws_sdk_dynamodb::Client::from_conf(config),
        stack.table.as_str(),
    );
    // Duplicates change no ticket. A ticket that the batch failed to read would count as new.
    assert_eq!(
        invoke_assignment(&org.assignment_over(table), &messages).await,
        [0; 0]
    );
    assert_decided_once(&org, "half of each batch unprocessed").await;
    assert!(
        org.read_table()
            .await
            .tickets
            .values()
            .all(|ticket| number(ticket, "rev") == 1)
    );
}

/// A permanent fault of one team's transaction does not affect the other team.
#[tokio::test]
async fn failed_transaction_fails_only_its_team() {
    let stack = Stack::with(|_| {}).await;
    let org = org_fixture(&stack).await;
    let script = FaultScript::default();
    // The transactions of both teams are sent concurrently. The first one fails permanently.
    script.once(
        TRANSACTION,
        InjectedFault::Respond(400, "ValidationException"),
    );
    let messages = batch(&org);
    let failed = invoke_assignment(&org.scripted(&script), &messages).await;
    let of_one = |rest: fn(usize) -> bool| (0..30).filter(|&n| rest(n)).collect::<Vec<_>>();
    assert!(
        failed == of_one(|n| n % 3 == 0) || failed == of_one(|n| n % 3 != 0),
        "{failed:?}"
    );
    let audit = org.read_table().await;
    audit.assert_exact();
    assert_eq!(audit.tickets.len(), 30 - failed.len());
    let redelivered: Vec<_> = failed
        .iter()
        .map(|&position| messages[position].clone())
        .collect();
    assert_eq!(
        invoke_assignment(&org.scripted(&FaultScript::default()), &redelivered).await,
        [0; 0]
    );
    assert_decided_once(&org, "after a failure").await;
}

/// Without the dead-letter queue, only the poison message fails.
#[tokio::test]
async fn poison_without_dead_letter_queue_fails_alone() {
    let stack = Stack::with(|_| {}).await;
    let org = org_fixture(&stack).await;
    let mut messages = batch(&org);
    messages.insert(0, "not JSON".to_owned());
    messages.push(org.ticket_event("merged", "T-99", 5, new_in(0)));
    org.dead_letters.set_capacity(Some(1));
    let deps = org.scripted(&FaultScript::default());
    let failed = invoke_assignment_within(&deps, &messages, Duration::from_secs(5)).await;
    assert_eq!(failed, [31]);
    org.dead_letters.set_capacity(None);
    assert_eq!(invoke_assignment(&deps, &messages[31..]).await, [0; 0]);
    assert_eq!(org.dead_letters.take().len(), 2);
    assert_decided_once(&org, "with poison in the batch").await;
}
