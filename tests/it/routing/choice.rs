//! The selection of a team for a ticket that names none: by the index and the loads, then confirmed
//! by the team as read.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_domain::QueueStrategy::RoundRobin;
use muster_service::store::Table;
use serde_json::{Value, json};

use crate::support::{
    Stack,
    fault_injection::{FaultScript, InjectedFault},
    org::{OrgFixture, TeamFixture, team},
    sqs::invoke_assignment,
    table::text,
    table_audit::TableAudit,
};

const GET: &[&str] = &["GetItem"];
const TRANSACTION: &[&str] = &["TransactWriteItems"];

/// Creates teams with one member each and equal specializations.
async fn equal_teams(stack: &Stack, teams: usize, specializations: &[&'static str]) -> OrgFixture {
    let team = |n: usize| TeamFixture {
        specializations: specializations.to_vec(),
        ..TeamFixture::of(RoundRobin, [n])
    };
    OrgFixture::open(stack, teams, &(0..teams).map(team).collect::<Vec<_>>()).await
}

fn about(topic: &str) -> Value {
    json!({ "status": "new", "category": topic, "created_at": 1_768_400_000 })
}

/// Returns new tickets about VPNs, in the order of their numbers.
fn tickets(org: &OrgFixture, count: usize) -> Vec<String> {
    let event = |n: usize| {
        org.ticket_event(
            "created",
            &format!("T-{n:02}"),
            500 - i64::try_from(n).expect("a few"),
            about("vpn"),
        )
    };
    (0..count).map(event).collect()
}

/// Returns the assigned tickets of each team.
fn assigned(audit: &TableAudit) -> BTreeMap<String, Vec<String>> {
    let mut teams: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, ticket) in &audit.tickets {
        assert_eq!(text(ticket, "state"), "assigned", "{ticket:?}");
        teams
            .entry(text(ticket, "team_id").to_owned())
            .or_default()
            .push(id.clone());
    }
    teams
}

fn counts(audit: &TableAudit) -> Vec<usize> {
    assigned(audit).values().map(Vec::len).collect()
}

impl OrgFixture {
    fn over(&self, script: &FaultScript) -> muster_assignment::Deps {
        self.assignment_over(Table::new(
            script.client(&self.stack),
            self.stack.table.as_str(),
        ))
    }

    /// Reads the table and asserts that every counter is exact.
    pub async fn read_exact(&self) -> TableAudit {
        let audit = self.read_table().await;
        audit.assert_exact();
        audit
    }

    /// Replaces a team's specializations and marks them as not indexed, as an update over the API
    /// does.
    async fn set_specializations(&self, n: usize, specializations: &[&str]) {
        let tags = specializations
            .iter()
            .map(|tag| AttributeValue::S((*tag).to_owned()))
            .collect();
        let client = self.stack.dynamodb();
        let update = client
            .update_item()
            .table_name(&self.stack.table)
            .key("pk", AttributeValue::S(format!("ORG#{}", self.id)))
            .key("sk", AttributeValue::S(format!("TEAM#{}", team(n))))
            .update_expression("SET specializations = :tags, gsi1pk = :shard, gsi1sk = :since")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":tags", AttributeValue::L(tags))
            .expression_attribute_values(":shard", AttributeValue::S("WORK#0".to_owned()))
            .expression_attribute_values(
                ":since",
                AttributeValue::S(format!("{:015}#{}", 1, team(n))),
            );
        update.send().await.expect("the team exists");
    }
}

#[tokio::test]
async fn batch_without_teams_spreads_like_single_events() {
    let stack = Stack::with(|_| {}).await;
    let (at_once, one_by_one) = tokio::join!(
        equal_teams(&stack, 5, &["VPN"]),
        equal_teams(&stack, 5, &["VPN"])
    );
    assert_eq!(
        invoke_assignment(
            &at_once.over(&FaultScript::default()),
            &tickets(&at_once, 30)
        )
        .await,
        [0; 0]
    );
    for message in tickets(&one_by_one, 30) {
        assert_eq!(
            invoke_assignment(&one_by_one.over(&FaultScript::default()), &[message]).await,
            [0; 0]
        );
    }
    let (at_once, one_by_one) = (at_once.read_exact().await, one_by_one.read_exact().await);
    assert_eq!(assigned(&at_once), assigned(&one_by_one));
    assert_eq!(counts(&at_once), [6; 5]);
}

#[tokio::test]
async fn team_deleted_after_the_choice_yields_to_the_next() {
    let stack = Stack::with(|_| {}).await;
    for (teams, count, expected) in [(2, 1, vec![1]), (3, 12, vec![6, 6])] {
        let org = std::sync::Arc::new(equal_teams(&stack, teams, &["VPN"]).await);
        let (script, deleting) = (FaultScript::default(), std::sync::Arc::clone(&org));
        let delete = move || -> futures_util::future::BoxFuture<'static, ()> {
            let org = std::sync::Arc::clone(&deleting);
            Box::pin(async move { org.delete(0).await })
        };
        // The first team that is read, after the index and the loads.
        script.once(GET, InjectedFault::RunFirst(std::sync::Arc::new(delete)));
        assert_eq!(
            invoke_assignment(&org.over(&script), &tickets(&org, count)).await,
            [0; 0]
        );
        assert!(script.is_consumed());
        let audit = org.read_exact().await;
        assert!(!assigned(&audit).contains_key(&team(0)));
        assert_eq!(counts(&audit), expected);
    }
}

#[tokio::test]
async fn team_that_no_longer_matches_yields_to_the_next() {
    let stack = Stack::with(|_| {}).await;
    let org = equal_teams(&stack, 3, &["VPN", "DNS"]).await;
    org.set_specializations(0, &["Printer"]).await;
    org.set_specializations(1, &["DNS"]).await;
    let messages = [
        org.ticket_event("created", "T-vpn", 30, about("vpn")),
        org.ticket_event("created", "T-dns", 20, about("dns")),
    ];
    assert_eq!(
        invoke_assignment(&org.over(&FaultScript::default()), &messages).await,
        [0; 0]
    );
    let audit = org.read_exact().await;
    let by_team = assigned(&audit);
    assert_eq!(
        by_team.get(&team(2)).map(Vec::as_slice),
        Some(&["T-vpn".to_owned()][..]),
        "{by_team:?}"
    );
    assert_eq!(
        by_team.get(&team(1)).map(Vec::as_slice),
        Some(&["T-dns".to_owned()][..]),
        "{by_team:?}"
    );
}

#[tokio::test]
async fn ticket_is_unrouted_if_no_listed_team_matches() {
    let stack = Stack::with(|_| {}).await;
    let org = equal_teams(&stack, 12, &["VPN"]).await;
    for n in 0..12 {
        org.set_specializations(n, &["Printer"]).await;
    }
    assert_eq!(
        invoke_assignment(&org.over(&FaultScript::default()), &tickets(&org, 3)).await,
        [0; 0]
    );
    let audit = org.read_exact().await;
    assert!(
        audit
            .tickets
            .values()
            .all(|ticket| text(ticket, "state") == "unrouted"),
        "{:?}",
        audit.tickets
    );
}

#[tokio::test]
async fn retries_keep_the_choice() {
    let stack = Stack::with(|_| {}).await;
    let org = equal_teams(&stack, 4, &["VPN"]).await;
    let script = FaultScript::default();
    for _ in 0..3 {
        script.once(TRANSACTION, InjectedFault::Canceled("TransactionConflict"));
    }
    assert_eq!(
        invoke_assignment(&org.over(&script), &tickets(&org, 20)).await,
        [0; 0]
    );
    assert!(script.is_consumed());
    let audit = org.read_exact().await;
    assert_eq!(counts(&audit), [5; 4]);
    // One page of the index serves the batch. Each team that is read has one query more.
    let teams_read = script.calls(GET);
    assert_eq!(script.calls(&["Query"]), teams_read + 1);
}
