//! The index of unfinished work, and the schedule that starts it again.

use std::{collections::BTreeSet, sync::Arc};

use muster::domain::{
    EventVersion, QueueStrategy::RoundRobin, Timestamp, UserId, UserSnapshot, UserStatus,
};
use muster_jobs::Deps;
use serde_json::{Value, json};

use crate::support::{
    Stack,
    desks::{Crew, Desk, NOW, team, user_id},
    mortal::Instance,
    queue::{LONG, assign, perform_within},
    table::text,
};

/// Has the schedule run at a time, in seconds after [`NOW`], and gives the jobs that it starts.
async fn schedule_at(desk: &Desk, seconds: i64) -> Vec<Value> {
    let clock = Arc::new(move || Timestamp::from_secs(NOW + seconds));
    let deps = Deps {
        clock,
        ..desk.jobs(&Instance::new(&desk.ledger))
    };
    let restart = json!({ "job": "restart_unfinished" }).to_string();
    assert_eq!(perform_within(&deps, &[restart], LONG).await, [0; 0]);
    let sent = desk.jobs.take().into_iter();
    sent.map(|sent| serde_json::from_str(&sent.body).expect("a job is JSON"))
        .collect()
}

/// Has a ticket wait in a team, decided so many seconds after [`NOW`].
async fn wait_at(desk: &Desk, id: &str, n: usize, seconds: i64) {
    let clock = Arc::new(move || Timestamp::from_secs(NOW + seconds));
    let deps = muster_assignment::Deps {
        clock,
        ..desk.assignment(&Instance::new(&desk.ledger))
    };
    assert_eq!(
        assign(
            &deps,
            &[desk.says("created", id, 100, json!({ "team_id": team(n) }))]
        )
        .await,
        [0; 0]
    );
}

/// The mark of a team's load.
async fn mark(desk: &Desk, n: usize) -> String {
    text(&desk.books().await.loads[&team(n)], "gsi1sk").to_owned()
}

#[tokio::test]
async fn schedule_starts_waiting_loads_of_every_shard() {
    let crews: Vec<_> = (0..100).map(|_| Crew::of(RoundRobin, [])).collect();
    let desk = Desk::open(&Stack::shared(), 0, &crews).await;
    let waiting: Vec<_> = (0..crews.len())
        .map(|n| {
            desk.says(
                "created",
                &format!("T-{n}"),
                100,
                json!({ "team_id": team(n) }),
            )
        })
        .collect();
    assert_eq!(
        assign(&desk.assignment(&Instance::new(&desk.ledger)), &waiting).await,
        [0; 0]
    );
    let books = desk.audit().await;
    let shards: BTreeSet<_> = books
        .loads
        .values()
        .map(|load| text(load, "gsi1pk"))
        .collect();
    assert!(shards.len() > 8, "{shards:?}");

    let started: BTreeSet<_> = schedule_at(&desk, 0)
        .await
        .into_iter()
        .map(|job| job.to_string())
        .collect();
    let drain = |n| json!({ "job": "drain_team", "organization_id": desk.org.as_str(), "team_id": team(n), "looks": 0 });
    assert_eq!(
        started,
        (0..crews.len()).map(|n| drain(n).to_string()).collect()
    );
}

#[tokio::test]
async fn sweep_younger_than_5_minutes_is_not_started() {
    let desk = Desk::open(&Stack::shared(), 0, &[Crew::of(RoundRobin, [])]).await;
    wait_at(&desk, "T-1", 0, 0).await;
    desk.delete(0).await;
    let deleted = text(&desk.books().await.gone[&team(0)], "gsi1sk").to_owned();
    let since: i64 = deleted[..15]
        .parse()
        .expect("the mark begins with its time");
    let age = |seconds: i64| since / 1000 - NOW + seconds;
    assert_eq!(schedule_at(&desk, age(299)).await, [json!(null); 0]);
    let started = schedule_at(&desk, age(300)).await;
    let sweep = json!({ "job": "sweep_team", "organization_id": desk.org.as_str(), "team_id": team(0), "looks": 0 });
    assert_eq!(started, [sweep]);
}

#[tokio::test]
async fn mark_keeps_its_time_while_tickets_wait() {
    let desk = Desk::open(&Stack::shared(), 1, &[Crew::of(RoundRobin, [])]).await;
    wait_at(&desk, "T-1", 0, 0).await;
    let first = mark(&desk, 0).await;
    assert!(
        first.starts_with(&format!("{:015}#", NOW * 1000)),
        "{first}"
    );
    wait_at(&desk, "T-2", 0, 60).await;
    assert_eq!(mark(&desk, 0).await, first);

    desk.join(0, 0, &[]).await;
    desk.finish().await;
    assert_eq!(mark(&desk, 0).await, "");
    desk.leave(0, 0).await;
    wait_at(&desk, "T-3", 0, 120).await;
    let later = mark(&desk, 0).await;
    assert!(
        later.starts_with(&format!("{:015}#", (NOW + 120) * 1000)),
        "{later}"
    );
    assert_eq!(
        schedule_at(&desk, 120).await.len(),
        1,
        "a waiting load is started at any age"
    );
}

/// What a platform says of a user, so many seconds after [`NOW`].
async fn hear(desk: &Desk, user: UserId, status: UserStatus, seconds: i64) {
    let at = Timestamp::from_secs(NOW + seconds);
    let version = EventVersion {
        at,
        time: None,
        event_id: seconds.to_string(),
    };
    let snapshot = UserSnapshot {
        status: Some(status),
        ..UserSnapshot::nothing_of(user)
    };
    desk.stack
        .store()
        .hear_of_user(&desk.org, user, &[(version, snapshot)], at)
        .await
        .expect("a profile is written");
}

/// The mark of a profile, and the status of its copy in the first team.
async fn profile_and_copy(desk: &Desk, user: UserId) -> (String, String) {
    let books = desk.books().await;
    let id = user.uuid().to_string();
    let profile = &books.items[&(format!("ORG#{}#USER#{id}", desk.org), "USER".to_owned())];
    let copy = books
        .members
        .get(&(team(0), id))
        .map_or("", |member| text(member, "status"));
    (text(profile, "gsi1sk").to_owned(), copy.to_owned())
}

#[tokio::test]
async fn lost_profile_copy_is_started_by_the_schedule() {
    let desk = Desk::open(&Stack::shared(), 1, &[Crew::of(RoundRobin, [0])]).await;
    hear(&desk, user_id(0), UserStatus::Suspended, 0).await;
    let (mark, copy) = profile_and_copy(&desk, user_id(0)).await;
    assert!(mark.starts_with(&format!("{:015}#", NOW * 1000)), "{mark}");
    assert_eq!(copy, "active");
    assert_eq!(schedule_at(&desk, 299).await, [json!(null); 0]);

    desk.finish_at(Timestamp::from_secs(NOW + 300)).await;
    assert_eq!(
        profile_and_copy(&desk, user_id(0)).await,
        (String::new(), "suspended".to_owned())
    );
    assert_eq!(schedule_at(&desk, 9000).await, [json!(null); 0]);
}

#[tokio::test]
async fn profile_changed_between_looks_keeps_its_mark() {
    let desk = Desk::open(&Stack::shared(), 1, &[Crew::of(RoundRobin, [0])]).await;
    let deps = desk.jobs(&Instance::new(&desk.ledger));
    hear(&desk, user_id(0), UserStatus::Suspended, 0).await;
    let (first_mark, _) = profile_and_copy(&desk, user_id(0)).await;
    let (organization_id, user) = (desk.org.as_str(), user_id(0).uuid().to_string());
    let copy =
        json!({ "job": "copy_profile", "organization_id": organization_id, "user_id": user });
    assert_eq!(
        perform_within(&deps, &[copy.to_string()], LONG).await,
        [0; 0]
    );
    let second_look = desk.jobs.take().remove(0);
    assert_eq!(second_look.delay.as_secs(), 90);
    assert_eq!(
        profile_and_copy(&desk, user_id(0)).await,
        (first_mark.clone(), "suspended".to_owned())
    );

    hear(&desk, user_id(0), UserStatus::Active, 60).await;
    assert_eq!(
        perform_within(&deps, &[second_look.body], LONG).await,
        [0; 0]
    );
    assert_eq!(
        profile_and_copy(&desk, user_id(0)).await.0,
        first_mark,
        "the copy of the second change may be lost"
    );
    desk.finish_at(Timestamp::from_secs(NOW + 400)).await;
    assert_eq!(
        profile_and_copy(&desk, user_id(0)).await,
        (String::new(), "active".to_owned())
    );
}

#[tokio::test]
async fn new_profile_is_not_unfinished() {
    let desk = Desk::open(&Stack::shared(), 0, &[]).await;
    desk.stack
        .store()
        .begin_organization(&desk.org)
        .await
        .expect("the organization begins");
    hear(&desk, user_id(7), UserStatus::Active, 0).await;
    assert_eq!(profile_and_copy(&desk, user_id(7)).await.0, "");
    // The same user again, without a change that memberships copy.
    hear(&desk, user_id(7), UserStatus::Active, 1).await;
    assert_eq!(profile_and_copy(&desk, user_id(7)).await.0, "");
}
