//! The index of pending work, and the schedule that restarts it.

use std::{collections::BTreeSet, sync::Arc};

use muster_domain::{
    EventVersion, QueueStrategy::RoundRobin, Timestamp, UserId, UserSnapshot, UserStatus,
};
use muster_jobs::Deps;
use serde_json::{Value, json};

use crate::support::{
    Stack,
    crash::Instance,
    org::{NOW, OrgFixture, TeamFixture, team, user_id},
    sqs::{LONG, invoke_assignment, invoke_jobs_within},
    table::text,
};

/// Runs the schedule at a time in seconds after [`NOW`], and returns the jobs that it starts.
async fn schedule_at(org: &OrgFixture, seconds: i64) -> Vec<Value> {
    let clock = Arc::new(move || Timestamp::from_secs(NOW + seconds));
    let deps = Deps {
        clock,
        ..org.jobs(&Instance::new(&org.transaction_log))
    };
    let restart = json!({ "job": "restart_unfinished" }).to_string();
    assert_eq!(invoke_jobs_within(&deps, &[restart], LONG).await, [0; 0]);
    let sent = org.jobs.take().into_iter();
    sent.map(|sent| serde_json::from_str(&sent.body).expect("a job is JSON"))
        .collect()
}

/// Adds a waiting ticket to a team, decided this many seconds after [`NOW`].
async fn wait_at(org: &OrgFixture, id: &str, n: usize, seconds: i64) {
    let clock = Arc::new(move || Timestamp::from_secs(NOW + seconds));
    let deps = muster_assignment::Deps {
        clock,
        ..org.assignment(&Instance::new(&org.transaction_log))
    };
    assert_eq!(
        invoke_assignment(
            &deps,
            &[org.ticket_event("created", id, 100, json!({ "team_id": team(n) }))]
        )
        .await,
        [0; 0]
    );
}

/// Returns the mark of a team's load.
async fn mark(org: &OrgFixture, n: usize) -> String {
    text(&org.read_table().await.loads[&team(n)], "gsi1sk").to_owned()
}

#[tokio::test]
async fn schedule_starts_waiting_loads_of_every_shard() {
    let teams: Vec<_> = (0..100).map(|_| TeamFixture::of(RoundRobin, [])).collect();
    let org = OrgFixture::open(&Stack::shared(), 0, &teams).await;
    let waiting: Vec<_> = (0..teams.len())
        .map(|n| {
            org.ticket_event(
                "created",
                &format!("T-{n}"),
                100,
                json!({ "team_id": team(n) }),
            )
        })
        .collect();
    assert_eq!(
        invoke_assignment(
            &org.assignment(&Instance::new(&org.transaction_log)),
            &waiting
        )
        .await,
        [0; 0]
    );
    let audit = org.assert_consistent().await;
    let shards: BTreeSet<_> = audit
        .loads
        .values()
        .map(|load| text(load, "gsi1pk"))
        .collect();
    assert!(shards.len() > 8, "{shards:?}");

    let started: BTreeSet<_> = schedule_at(&org, 0)
        .await
        .into_iter()
        .map(|job| job.to_string())
        .collect();
    let drain = |n| json!({ "job": "drain_team", "organization_id": org.id.as_str(), "team_id": team(n), "looks": 0 });
    assert_eq!(
        started,
        (0..teams.len()).map(|n| drain(n).to_string()).collect()
    );
}

#[tokio::test]
async fn sweep_younger_than_5_minutes_is_not_started() {
    let org = OrgFixture::open(&Stack::shared(), 0, &[TeamFixture::of(RoundRobin, [])]).await;
    wait_at(&org, "T-1", 0, 0).await;
    org.delete(0).await;
    let deleted = text(&org.read_table().await.deleted_teams[&team(0)], "gsi1sk").to_owned();
    let since: i64 = deleted[..15]
        .parse()
        .expect("the mark begins with its time");
    let age = |seconds: i64| since / 1000 - NOW + seconds;
    assert_eq!(schedule_at(&org, age(299)).await, [json!(null); 0]);
    let started = schedule_at(&org, age(300)).await;
    let sweep = json!({ "job": "sweep_team", "organization_id": org.id.as_str(), "team_id": team(0), "looks": 0 });
    assert_eq!(started, [sweep]);
}

#[tokio::test]
async fn mark_keeps_its_time_while_tickets_wait() {
    let org = OrgFixture::open(&Stack::shared(), 1, &[TeamFixture::of(RoundRobin, [])]).await;
    wait_at(&org, "T-1", 0, 0).await;
    let first = mark(&org, 0).await;
    assert!(
        first.starts_with(&format!("{:015}#", NOW * 1000)),
        "{first}"
    );
    wait_at(&org, "T-2", 0, 60).await;
    assert_eq!(mark(&org, 0).await, first);

    org.join(0, 0, &[]).await;
    org.finish().await;
    assert_eq!(mark(&org, 0).await, "");
    org.leave(0, 0).await;
    wait_at(&org, "T-3", 0, 120).await;
    let later = mark(&org, 0).await;
    assert!(
        later.starts_with(&format!("{:015}#", (NOW + 120) * 1000)),
        "{later}"
    );
    assert_eq!(
        schedule_at(&org, 120).await.len(),
        1,
        "a load with waiting tickets is started at any age"
    );
}

/// Applies a user event with a time in seconds after [`NOW`].
async fn apply_user_event(org: &OrgFixture, user: UserId, status: UserStatus, seconds: i64) {
    let at = Timestamp::from_secs(NOW + seconds);
    let version = EventVersion {
        at,
        time: None,
        event_id: seconds.to_string(),
    };
    let snapshot = UserSnapshot {
        status: Some(status),
        ..UserSnapshot::empty(user)
    };
    org.stack
        .store()
        .apply_user_events(&org.id, user, &[(version, snapshot)], at)
        .await
        .expect("the profile is written");
}

/// Returns the mark of a profile, and the status of its copy in the first team.
async fn profile_and_copy(org: &OrgFixture, user: UserId) -> (String, String) {
    let audit = org.read_table().await;
    let id = user.uuid().to_string();
    let profile = &audit.items[&(format!("ORG#{}#USER#{id}", org.id), "USER".to_owned())];
    let copy = audit
        .members
        .get(&(team(0), id))
        .map_or("", |member| text(member, "status"));
    (text(profile, "gsi1sk").to_owned(), copy.to_owned())
}

#[tokio::test]
async fn lost_profile_copy_is_started_by_the_schedule() {
    let org = OrgFixture::open(&Stack::shared(), 1, &[TeamFixture::of(RoundRobin, [0])]).await;
    apply_user_event(&org, user_id(0), UserStatus::Suspended, 0).await;
    let (mark, copy) = profile_and_copy(&org, user_id(0)).await;
    assert!(mark.starts_with(&format!("{:015}#", NOW * 1000)), "{mark}");
    assert_eq!(copy, "active");
    assert_eq!(schedule_at(&org, 299).await, [json!(null); 0]);

    org.finish_at(Timestamp::from_secs(NOW + 300)).await;
    assert_eq!(
        profile_and_copy(&org, user_id(0)).await,
        (String::new(), "suspended".to_owned())
    );
    assert_eq!(schedule_at(&org, 9000).await, [json!(null); 0]);
}

#[tokio::test]
async fn profile_changed_between_reads_keeps_its_mark() {
    let org = OrgFixture::open(&Stack::shared(), 1, &[TeamFixture::of(RoundRobin, [0])]).await;
    let deps = org.jobs(&Instance::new(&org.transaction_log));
    apply_user_event(&org, user_id(0), UserStatus::Suspended, 0).await;
    let (first_mark, _) = profile_and_copy(&org, user_id(0)).await;
    let (organization_id, user) = (org.id.as_str(), user_id(0).uuid().to_string());
    let copy =
        json!({ "job": "copy_profile", "organization_id": organization_id, "user_id": user });
    assert_eq!(
        invoke_jobs_within(&deps, &[copy.to_string()], LONG).await,
        [0; 0]
    );
    let second_pass = org.jobs.take().remove(0);
    assert_eq!(second_pass.delay.as_secs(), 90);
    assert_eq!(
        profile_and_copy(&org, user_id(0)).await,
        (first_mark.clone(), "suspended".to_owned())
    );

    apply_user_event(&org, user_id(0), UserStatus::Active, 60).await;
    assert_eq!(
        invoke_jobs_within(&deps, &[second_pass.body], LONG).await,
        [0; 0]
    );
    assert_eq!(
        profile_and_copy(&org, user_id(0)).await.0,
        first_mark,
        "the copy of the second change may be lost"
    );
    org.finish_at(Timestamp::from_secs(NOW + 400)).await;
    assert_eq!(
        profile_and_copy(&org, user_id(0)).await,
        (String::new(), "active".to_owned())
    );
}

#[tokio::test]
async fn new_profile_has_no_pending_work() {
    let org = OrgFixture::open(&Stack::shared(), 0, &[]).await;
    org.stack
        .store()
        .ensure_organization(&org.id)
        .await
        .expect("the organization begins");
    apply_user_event(&org, user_id(7), UserStatus::Active, 0).await;
    assert_eq!(profile_and_copy(&org, user_id(7)).await.0, "");
    // The second event changes no field that memberships copy.
    apply_user_event(&org, user_id(7), UserStatus::Active, 1).await;
    assert_eq!(profile_and_copy(&org, user_id(7)).await.0, "");
}
