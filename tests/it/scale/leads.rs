//! Clearing the leads of a deleted user.

use aws_sdk_dynamodb::Client;
use futures_util::{StreamExt as _, stream};
use muster_domain::{
    IfVersion, NewTeam, QueueStrategy::RoundRobin, Tags, Team, TeamChanges, TeamId, TeamName,
    Timestamp,
};
use muster_service::store::{RenderedResponse, Store, Table};
use uuid::Uuid;

use crate::support::{
    Stack,
    cost_meter::{CostMeter, ObservedCost},
    invoke,
    org::{NOW, OrgFixture, TeamFixture, team_id, user_id},
};

/// Creates this many teams without a lead.
async fn add_teams(org: &OrgFixture, count: u128) {
    let store = org.stack.store();
    let create = |n| {
        let (store, org) = (&store, &org.id);
        async move {
            let new = NewTeam {
                name: TeamName::parse(&format!("Other {n}")).expect("a name"),
                description: None,
                lead_id: None,
                queue_strategy: RoundRobin,
                specializations: Tags::default(),
            };
            let id = TeamId::new(Uuid::from_u128((1 << 100) + n));
            let team = Team::create(id, org.clone(), new, Timestamp::from_secs(NOW));
            store
                .create_team(&team, &RenderedResponse::created(String::new(), None), None)
                .await
                .expect("the team is created");
        }
    };
    stream::iter(0..count)
        .map(create)
        .buffer_unordered(16)
        .collect::<()>()
        .await;
}

/// Makes a user who is not a member the lead of the first team, and clears the lead as the copy of
/// a deletion does. Returns the cost of the copy.
async fn clear(
    org: &OrgFixture,
    store: &Store,
    meter: &CostMeter,
    user: usize,
) -> (usize, f64, f64) {
    let now = Timestamp::from_secs(NOW);
    let changes = TeamChanges {
        lead_id: Some(Some(user_id(user))),
        ..TeamChanges::default()
    };
    let led = org
        .stack
        .store()
        .change_team(&org.id, team_id(0), &changes, &IfVersion::Any, now)
        .await;
    assert_eq!(
        led.expect("the user becomes the lead").team.lead_id,
        Some(user_id(user))
    );
    org.assert_consistent().await;
    org.stack
        .store()
        .erase_user(&org.id, user_id(user), now)
        .await
        .expect("the user is erased");

    meter.take();
    let mut after = None;
    loop {
        let page = store
            .copy_profile(&org.id, user_id(user), after, now)
            .await
            .expect("the profile is copied");
        after = page.and_then(|page| page.next);
        if after.is_none() {
            break;
        }
    }
    let ObservedCost {
        steps,
        read,
        written,
        ..
    } = meter.take();
    let (roster, _) = org
        .stack
        .store()
        .team(&org.id, team_id(0))
        .await
        .expect("the team exists");
    assert_eq!(roster.team.lead_id, None);
    org.assert_consistent().await;
    (steps.len(), read, written)
}

#[tokio::test]
async fn clearing_leads_costs_the_same_in_1000_teams() {
    let org = OrgFixture::open(&Stack::shared(), 2, &[TeamFixture::of(RoundRobin, [])]).await;
    let meter = CostMeter::default();
    let config = invoke::client_config(&org.stack)
        .interceptor(meter.recorder())
        .build();
    let table = Table::new(Client::from_conf(config), org.stack.table.as_str());
    let store = table.until(tokio::time::Instant::now() + std::time::Duration::from_mins(5));
    let few = clear(&org, &store, &meter, 0).await;
    add_teams(&org, 1000).await;
    let many = clear(&org, &store, &meter, 1).await;
    assert_eq!(many, few, "round trips, read units, write units");
    assert!(few.1 <= 4.0, "{few:?}");
}
