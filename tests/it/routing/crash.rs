//! An instance that is killed at each of its calls in turn, before it is sent or before its answer
//! is seen: once its messages have come again, the table holds what it would have held.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use muster::domain::QueueStrategy::{RoundRobin, SkillBased};
use muster_jobs::{Deps, Pace};
use serde_json::{Value, json};

use crate::support::{
    Stack,
    audit::Books,
    desks::{Crew, Desk, team, user},
    mortal::{Death, Instance},
    queue::{LONG, assign, perform_all, perform_within},
    table::text,
};

/// Somebody whom no organization has heard of.
const STRANGER: usize = 900_000;

/// A team of three and one of two in rotation, one that is empty, and one that knows something.
async fn desk(stack: &Stack) -> Desk {
    let mut experts = Crew::of(SkillBased, [5, 6]);
    experts.specializations = vec!["vpn", "sso"];
    experts.members[1].1 = vec!["VPN"];
    let crews = [
        Crew::of(RoundRobin, 0..3),
        Crew::of(RoundRobin, 3..5),
        Crew::of(RoundRobin, []),
        experts,
    ];
    Desk::open(stack, 12, &crews).await
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

async fn settle(desk: &Desk, messages: &[String]) {
    let deps = desk.assignment(&Instance::new(&desk.ledger));
    assert_eq!(assign(&deps, messages).await, [0; 0]);
}

/// How something that an instance does over a prepared desk ends.
struct Deed<P, A> {
    /// Brings a desk to where it begins.
    prepare: P,
    /// The messages that it is handed.
    messages: fn(&Desk) -> Vec<String>,
    /// Handles them.
    act: A,
}

impl<P: AsyncFn(&Desk), A: AsyncFn(&Desk, &Instance, &[String])> Deed<P, A> {
    /// Does it with an instance that may die over it, again with one that lives, and reads how it
    /// ended.
    async fn outcome(&self, stack: &Stack, end: Option<(usize, Death)>) -> (Desk, Books, usize) {
        let desk = desk(stack).await;
        (self.prepare)(&desk).await;
        let messages = (self.messages)(&desk);
        let instance = Instance::dying(&desk.ledger, end);
        let lived = instance
            .run((self.act)(&desk, &instance, &messages))
            .await
            .is_some();
        if end.is_some() {
            assert!(!lived, "it did not come to call {end:?}");
            // What the dead one sent may yet arrive.
            (self.act)(&desk, &Instance::new(&desk.ledger), &messages).await;
        }
        let books = desk.audit().await;
        (desk, books, instance.calls())
    }

    /// Kills an instance at each of its calls, and compares every end with that of one that lived.
    async fn ends_the_same_wherever_it_dies(&self) -> (Desk, Books) {
        let stack = Stack::with(|_| {}).await;
        let (desk, books, calls) = self.outcome(&stack, None).await;
        assert!(calls > 3, "{calls} calls");
        let expected = books.normalized(&desk.org);
        let ends =
            (0..calls).flat_map(|call| [Death::Before, Death::After].map(|death| (call, death)));
        stream::iter(ends)
            .map(async |end| {
                let (desk, books, _) = self.outcome(&stack, Some(end)).await;
                let actual = books.normalized(&desk.org);
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
                    "killed at {end:?} of {calls} calls:\n{}",
                    differs.join("\n")
                );
            })
            .buffer_unordered(4)
            .collect::<()>()
            .await;
        (desk, books)
    }
}

async fn assigns(desk: &Desk, instance: &Instance, messages: &[String]) {
    assert_eq!(assign(&desk.assignment(instance), messages).await, [0; 0]);
}

/// Performs jobs and what they put on the queue, also what an instance put there before it died.
async fn performs(desk: &Desk, instance: &Instance, jobs: &[String]) {
    perform_all(&desk.jobs(instance), &desk.jobs, jobs.to_vec()).await;
}

/// What is done to a ticket, and where that leaves it.
const EVERYTHING: [(&str, &str); 14] = [
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

#[tokio::test]
async fn a_batch_of_everything_ends_the_same_wherever_it_is_killed() {
    let deed = Deed {
        prepare: async |desk: &Desk| {
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
                .map(|(id, ago)| desk.says("created", id, 10_000 - ago, open_in(0)))
                .collect();
            // Out of a team where the batch decides nothing: the teams are decided each by itself,
            // and the figures that a decision considered, though not its right to be made, depend
            // on whether what leaves its team has left.
            messages.push(desk.says(
                "created",
                "moved",
                6000,
                in_team(2, &json!({ "assignee_id": user(9) })),
            ));
            messages.push(desk.says(
                "updated",
                "reopened",
                3000,
                in_team(0, &json!({ "status": "resolved" })),
            ));
            settle(desk, &messages).await;
        },
        messages: |desk| {
            let unteamed = |category: &str| json!({ "status": "new", "category": category });
            let given = |n| in_team(0, &json!({ "assignee_id": user(n) }));
            vec![
                desk.says("updated", "moved", 100, open_in(1)),
                desk.says("created", "new-1", 99, open_in(0)),
                desk.says(
                    "created",
                    "new-2",
                    98,
                    in_team(0, &json!({ "status": "in_progress" })),
                ),
                desk.says("created", "new-in-1", 97, open_in(1)),
                desk.says("created", "vpn", 96, unteamed("VPN")),
                desk.says("created", "unknown", 95, unteamed("parking")),
                desk.says("created", "waits", 94, open_in(2)),
                desk.says("updated", "given", 93, given(9)),
                desk.says("updated", "given-to-a-stranger", 92, given(STRANGER)),
                desk.says(
                    "updated",
                    "closed",
                    91,
                    in_team(0, &json!({ "status": "resolved" })),
                ),
                desk.says("updated", "reopened", 90, open_in(0)),
                desk.says("deleted", "deleted", 89, open_in(0)),
                desk.says("unassigned", "taken-back", 88, open_in(0)),
                desk.says("created", "new-3", 87, open_in(0)),
                desk.says("created", "new-3", 87, open_in(0)),
                "{ this is no event".to_owned(),
            ]
        },
        act: assigns,
    };
    let (desk, books) = deed.ends_the_same_wherever_it_dies().await;
    for (id, state) in EVERYTHING {
        assert_eq!(
            text(&books.tickets[id], "state"),
            state,
            "{id}: {:?}",
            books.tickets[id]
        );
    }
    assert_eq!(books.tickets.len(), EVERYTHING.len());
    let letters = desk.dead_letters.take();
    assert_eq!(
        (letters.len(), &*letters[0].body),
        (1, "{ this is no event")
    );
    assert!(
        letters[0].attributes["reason"].starts_with("not JSON"),
        "{letters:?}"
    );
}

#[tokio::test]
async fn a_batch_of_several_transactions_ends_the_same_wherever_it_is_killed() {
    let deed = Deed {
        prepare: async |_: &Desk| {},
        messages: |desk| {
            (0..120)
                .map(|n| desk.says("created", &format!("T-{n}"), 500 - n, open_in(0)))
                .collect()
        },
        act: assigns,
    };
    let (_, books) = deed.ends_the_same_wherever_it_dies().await;
    assert_eq!(books.tickets.len(), 120);
}

#[tokio::test]
async fn a_drain_ends_the_same_wherever_it_is_killed() {
    let deed = Deed {
        prepare: async |desk: &Desk| {
            let waiting: Vec<_> = (0..12)
                .map(|n| desk.says("created", &format!("T-{n}"), 500 - n, open_in(2)))
                .collect();
            settle(desk, &waiting).await;
            desk.join(2, 7, &[]).await;
            desk.join(2, 8, &[]).await;
        },
        messages: |desk| {
            vec![json!({ "job": "drain_team", "organization_id": desk.org.as_str(), "team_id": team(2) }).to_string()]
        },
        act: performs,
    };
    let (_, books) = deed.ends_the_same_wherever_it_dies().await;
    books.assert_at_rest();
    assert!(
        books
            .tickets
            .values()
            .all(|ticket| text(ticket, "state") == "assigned")
    );
}

#[tokio::test]
async fn a_sweep_ends_the_same_wherever_it_is_killed() {
    let deed = Deed {
        prepare: async |desk: &Desk| {
            let mut tickets: Vec<_> = (0..101)
                .map(|n| desk.says("created", &format!("T-{n}"), 500 - n, open_in(3)))
                .collect();
            tickets.push(desk.says(
                "updated",
                "T-0",
                1,
                in_team(3, &json!({ "status": "closed" })),
            ));
            settle(desk, &tickets).await;
            desk.delete(3).await;
        },
        messages: |desk| {
            vec![json!({ "job": "sweep_team", "organization_id": desk.org.as_str(), "team_id": team(3) }).to_string()]
        },
        act: performs,
    };
    let (_, books) = deed.ends_the_same_wherever_it_dies().await;
    books.assert_at_rest();
    let unrouted = books
        .tickets
        .values()
        .filter(|ticket| text(ticket, "state") == "unrouted")
        .count();
    assert_eq!(unrouted, 100, "all but the closed one");
    assert!(
        !books.items.keys().any(|(pk, _)| pk.contains("#SPEC#")),
        "nothing is known of a team that is gone"
    );
}

/// Time is short enough that most invocations end in the middle, and grows, so that it ends.
#[tokio::test]
async fn jobs_that_are_given_hardly_any_time_hand_on_what_is_left() {
    let stack = Stack::with(|_| {}).await;
    let desk = desk(&stack).await;
    let waiting: Vec<_> = (0..200)
        .map(|n| desk.says("created", &format!("W-{n}"), 900 - n, open_in(2)))
        .collect();
    let doomed: Vec<_> = (0..200)
        .map(|n| desk.says("created", &format!("D-{n}"), 900 - n, open_in(1)))
        .collect();
    settle(&desk, &waiting).await;
    settle(&desk, &doomed).await;
    desk.join(2, 7, &[]).await;
    desk.delete(1).await;
    let mut jobs = vec![json!({ "job": "restart_unfinished" }).to_string()];
    let (mut time, mut handed_on) = (4, 0);
    while let Some(job) = jobs.pop() {
        // A large page may fill all the time that a job has. Of small ones, some fit before it
        // stops.
        let pace = Pace {
            page: 10,
            ..Pace::default()
        };
        let deps = Deps {
            pace,
            ..desk.jobs(&Instance::new(&desk.ledger))
        };
        let failed = perform_within(
            &deps,
            std::slice::from_ref(&job),
            Duration::from_millis(time),
        )
        .await;
        jobs.extend(failed.iter().map(|_| job.clone()));
        let sent = desk.jobs.take();
        handed_on += sent
            .iter()
            .filter(|sent| without_hop(&sent.body) == without_hop(&job))
            .count();
        jobs.extend(sent.into_iter().map(|sent| sent.body));
        time += 4;
        assert!(
            time < u64::try_from(LONG.as_millis()).expect("a minute"),
            "jobs without an end: {jobs:?}"
        );
    }
    let books = desk.audit().await;
    books.assert_at_rest();
    assert!(handed_on > 0, "every job had time enough");
}

/// A job without its place in the chain.
fn without_hop(job: &str) -> Value {
    let mut job: Value = serde_json::from_str(job).expect("a job is JSON");
    let fields = job.as_object_mut().expect("a job is an object");
    fields.retain(|name, _| !["hop", "is_rest"].contains(&name.as_str()));
    job
}

/// What a job puts on the queue, and the queue refuses, is not lost: the job itself comes again.
#[tokio::test]
async fn a_queue_that_is_away_delays_jobs() {
    let stack = Stack::with(|_| {}).await;
    let desk = desk(&stack).await;
    settle(&desk, &[desk.says("created", "T-1", 50, open_in(2))]).await;
    desk.join(2, 7, &[]).await;
    desk.jobs.has_room_for(Some(0));
    let restart = [json!({ "job": "restart_unfinished" }).to_string()];
    let deps = desk.jobs(&Instance::new(&desk.ledger));
    assert_eq!(
        perform_within(&deps, &restart, Duration::from_secs(1)).await,
        [0]
    );
    desk.jobs.has_room_for(None);
    performs(&desk, &Instance::new(&desk.ledger), &restart).await;
    desk.audit().await.assert_at_rest();
}
