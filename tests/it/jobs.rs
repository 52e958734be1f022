//! Jobs beside tickets that fail, and chains of jobs up to their limit.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use muster::{
    domain::{QueueStrategy::RoundRobin, Timestamp},
    jobs::URGENT_PAGES,
    store::Table,
};
use muster_jobs::{Deps, MAX_HOPS, Pace};
use serde_json::{Value, json};

use crate::support::{
    Stack,
    desks::{Crew, Desk, NOW, team, team_id, user},
    faulty::{Fault, Script, WRITES},
    mortal::Instance,
    queue::{Sent, assign, perform_all, perform_within},
    table::text,
    told::Listener,
};
const LONG: Duration = Duration::from_mins(1);

/// The ticket that fails: the oldest, so first in every list.
const BAD: &str = "T-0000";

/// A desk with one team and its tickets, of which [`BAD`] is unreadable in the table.
struct Scene {
    desk: Desk,
    tickets: usize,
    /// The revision of [`BAD`] before it is made unreadable.
    rev: AttributeValue,
}

impl Scene {
    /// A team of these users, and tickets about VPNs. They name the team, or match its
    /// specializations once it is found by them.
    async fn new(members: std::ops::Range<usize>, tickets: usize, names_team: bool) -> Self {
        let specializations = if names_team { Vec::new() } else { vec!["vpn"] };
        let crew = Crew {
            specializations,
            ..Crew::of(RoundRobin, members)
        };
        let desk = Desk::open(&Stack::shared(), 3, &[crew]).await;
        if !names_team {
            desk.unindex(0, &["vpn"]).await;
        }
        let team = names_team.then(|| team(0));
        let bodies: Vec<_> = (0..tickets)
            .map(|n| {
                let ticket = json!({
                    "status": "new", "team_id": team, "category": "vpn", "created_at": NOW - 50_000 + i64::try_from(n).expect("a few"),
                });
                desk.says("created", &format!("T-{n:04}"), 500, ticket)
            })
            .collect();
        let deps = desk.assignment(&Instance::new(&desk.ledger));
        for bodies in bodies.chunks(100) {
            assert_eq!(assign(&deps, bodies).await, [0; 0]);
        }
        let get = desk
            .stack
            .dynamodb()
            .get_item()
            .table_name(&desk.stack.table);
        let get = get
            .key(
                "pk",
                AttributeValue::S(format!("ORG#{}#TICKET#{BAD}", desk.org)),
            )
            .key("sk", AttributeValue::S("TICKET".to_owned()));
        let item = get
            .send()
            .await
            .expect("the table can be read")
            .item
            .expect("there is such a ticket");
        let rev = item["rev"].clone();
        Self { desk, tickets, rev }
    }

    fn jobs(&self) -> Deps {
        self.desk.jobs(&Instance::new(&self.desk.ledger))
    }

    fn job(&self, name: &str) -> String {
        json!({ "job": name, "organization_id": self.desk.org.as_str(), "team_id": team(0) })
            .to_string()
    }

    async fn set_rev(&self, ticket: &str, rev: AttributeValue) {
        let update = self
            .desk
            .stack
            .dynamodb()
            .update_item()
            .table_name(&self.desk.stack.table);
        update
            .key(
                "pk",
                AttributeValue::S(format!("ORG#{}#TICKET#{ticket}", self.desk.org)),
            )
            .key("sk", AttributeValue::S("TICKET".to_owned()))
            .condition_expression("attribute_exists(pk)")
            .update_expression("SET rev = :rev")
            .expression_attribute_values(":rev", rev)
            .send()
            .await
            .expect("there is such a ticket");
    }

    async fn corrupt(&self) {
        self.set_rev(BAD, AttributeValue::S("not a number".to_owned()))
            .await;
    }

    /// Gives the unreadable ticket the revision that it had.
    async fn repair(&self) {
        self.set_rev(BAD, self.rev.clone()).await;
    }

    /// Performs a job, which succeeds, and gives the jobs that it put on the queue.
    async fn perform(&self, deps: &Deps, job: &str) -> Vec<Value> {
        assert_eq!(
            perform_within(deps, &[job.to_owned()], LONG).await,
            [0; 0],
            "{job}"
        );
        let sent = self.desk.jobs.take().into_iter();
        sent.map(|sent| serde_json::from_str(&sent.body).expect("a job is JSON"))
            .collect()
    }

    /// The number of tickets in a state, the unreadable one aside.
    async fn count(&self, state: &str) -> usize {
        let mut count = 0;
        for n in 1..self.tickets {
            let get = self
                .desk
                .stack
                .dynamodb()
                .get_item()
                .table_name(&self.desk.stack.table);
            let get = get
                .key(
                    "pk",
                    AttributeValue::S(format!("ORG#{}#TICKET#T-{n:04}", self.desk.org)),
                )
                .key("sk", AttributeValue::S("TICKET".to_owned()));
            let item = get
                .send()
                .await
                .expect("the table can be read")
                .item
                .expect("there is such a ticket");
            count += usize::from(text(&item, "state") == state);
        }
        count
    }

    fn retry(&self, list: &str) -> Value {
        json!({ "job": "settle_ticket", "organization_id": self.desk.org.as_str(), "ticket_id": BAD, "list": list })
    }

    /// Delivers the retry of the unreadable ticket, which fails until the ticket is repaired.
    async fn assert_retried_alone(&self, retry: &Value) {
        let retry = retry.to_string();
        assert_eq!(
            perform_within(&self.jobs(), std::slice::from_ref(&retry), LONG).await,
            [0],
            "still unreadable"
        );
        assert!(self.desk.jobs.take().is_empty(), "SQS delivers it again");
        self.repair().await;
        self.perform(&self.jobs(), &retry).await;
    }

    /// Whether the tombstone of team 0 is in the index of work.
    async fn is_in_work(&self) -> bool {
        let get = self
            .desk
            .stack
            .dynamodb()
            .get_item()
            .table_name(&self.desk.stack.table);
        let get = get
            .key(
                "pk",
                AttributeValue::S(format!("ORG#{}#TEAM#{}", self.desk.org, team(0))),
            )
            .key("sk", AttributeValue::S("GONE".to_owned()));
        get.send()
            .await
            .expect("the table can be read")
            .item
            .expect("there is such an item")
            .contains_key("gsi1pk")
    }
}

#[tokio::test]
async fn unrouted_pass_continues_past_unreadable_ticket() {
    let scene = Scene::new(0..3, 51, false).await;
    assert_eq!(scene.count("unrouted").await, 50);
    scene.corrupt().await;
    let now = Timestamp::from_secs(NOW);
    let indexed = scene
        .desk
        .stack
        .store()
        .index_specializations(&scene.desk.org, team_id(0), now)
        .await;
    assert!(indexed.expect("a team is found"), "a topic is merged");

    let sent = scene
        .perform(&scene.jobs(), &scene.job("route_unrouted"))
        .await;
    assert_eq!(scene.count("assigned").await, 50);
    let (retries, others): (Vec<_>, Vec<_>) = sent
        .into_iter()
        .partition(|job| job["job"] == "settle_ticket");
    assert_eq!(retries, [scene.retry("unrouted")]);
    let [next] = <[Value; 1]>::try_from(others).expect("one continuation");
    assert_eq!(
        (&next["job"], &next["retried"]),
        (&json!("route_unrouted"), &json!([BAD]))
    );
    perform_all(&scene.jobs(), &scene.desk.jobs, vec![next.to_string()]).await;

    scene.assert_retried_alone(&retries[0]).await;
    scene.desk.audit().await;
}

#[tokio::test]
async fn drain_continues_past_unreadable_ticket() {
    let scene = Scene::new(0..0, 51, true).await;
    assert_eq!(scene.count("waiting").await, 50);
    scene.corrupt().await;
    scene.desk.join(0, 0, &[]).await;

    let sent = scene.perform(&scene.jobs(), &scene.job("drain_team")).await;
    assert_eq!(scene.count("assigned").await, 50);
    assert_eq!(
        sent,
        [scene.retry("waiting")],
        "and no further look at the list"
    );

    scene.assert_retried_alone(&sent[0]).await;
    let books = scene.desk.audit().await;
    assert!(
        books
            .tickets
            .values()
            .all(|ticket| text(ticket, "state") == "assigned")
    );
}

#[tokio::test]
async fn sweep_continues_past_unreadable_ticket() {
    let scene = Scene::new(0..3, 51, true).await;
    assert_eq!(scene.count("assigned").await, 50);
    scene.corrupt().await;
    scene.desk.delete(0).await;

    let sent = scene.perform(&scene.jobs(), &scene.job("sweep_team")).await;
    assert_eq!(scene.count("unrouted").await, 50);
    assert_eq!(
        sent,
        [scene.retry("team_gone")],
        "and no further look at the list"
    );
    assert!(scene.is_in_work().await, "one ticket is left");

    scene.assert_retried_alone(&sent[0]).await;
    scene.desk.finish().await;
    assert!(!scene.is_in_work().await);
    scene.desk.audit().await;
}

#[tokio::test]
async fn chain_of_drains_retries_failed_ticket_once() {
    let scene = Scene::new(0..0, 20, true).await;
    scene.corrupt().await;
    scene.desk.join(0, 0, &[]).await;
    let deps = Deps {
        pace: Pace {
            page: 1,
            share: 0.0,
        },
        ..scene.jobs()
    };

    let (mut left, mut retries, mut hops) = (vec![scene.job("drain_team")], 0, 0);
    while let Some(job) = left.pop() {
        hops += 1;
        for sent in scene.perform(&deps, &job).await {
            if sent["job"] == "settle_ticket" {
                retries += 1
            } else {
                left.push(sent.to_string())
            }
        }
    }
    assert_eq!((scene.count("assigned").await, retries), (19, 1));
    assert!((19..40).contains(&hops), "{hops}");
}

#[tokio::test]
async fn drain_after_3_pages_continues_on_the_long_queue() {
    let scene = Scene::new(0..0, 6, true).await;
    scene.desk.join(0, 0, &[]).await;
    let deps = Deps {
        pace: Pace {
            page: 1,
            ..Pace::default()
        },
        ..scene.jobs()
    };
    assert_eq!(
        perform_within(&deps, &[scene.job("drain_team")], LONG).await,
        [0; 0]
    );
    let [rest] = <[Sent; 1]>::try_from(scene.desk.jobs.take()).expect("the rest is one job");
    assert_eq!(waiting(&scene).await, 6 - URGENT_PAGES);
    assert_eq!(
        (rest.queue.as_str(), rest.group.as_deref()),
        ("long-jobs", Some(scene.desk.org.as_str()))
    );

    // There it has as many pages as its time allows.
    assert_eq!(scene.perform(&deps, &rest.body).await, [json!(null); 0]);
    assert_eq!(waiting(&scene).await, 0);
    scene.desk.audit().await;
}

async fn waiting(scene: &Scene) -> usize {
    let books = scene.desk.audit().await;
    books
        .tickets
        .values()
        .filter(|ticket| text(ticket, "state") == "waiting")
        .count()
}

/// Writes the membership of user 0 in team 0 again for further teams, up to this number.
async fn multiply_membership(desk: &Desk, teams: usize) {
    let client = desk.stack.dynamodb();
    let get = client
        .get_item()
        .table_name(&desk.stack.table)
        .key(
            "pk",
            AttributeValue::S(format!("ORG#{}#TEAM#{}", desk.org, team(0))),
        )
        .key("sk", AttributeValue::S(format!("MEMBER#{}", user(0))));
    let membership = get
        .send()
        .await
        .expect("the table can be read")
        .item
        .expect("there is such a membership");
    for n in 1..teams {
        let of_team = |value: &AttributeValue| match value {
            AttributeValue::S(text) => AttributeValue::S(text.replace(&team(0), &team(n))),
            other => other.clone(),
        };
        let item = membership
            .iter()
            .map(|(name, value)| (name.clone(), of_team(value)))
            .collect();
        let put = client
            .put_item()
            .table_name(&desk.stack.table)
            .set_item(Some(item));
        put.send().await.expect("the table can be written");
    }
}

/// A user with more memberships than the pages of the urgent queue hold.
#[tokio::test]
async fn copy_after_3_pages_continues_on_the_long_queue() {
    const TEAMS: usize = 100 * URGENT_PAGES + 1;
    let desk = Desk::open(&Stack::shared(), 1, &[Crew::of(RoundRobin, [0])]).await;
    multiply_membership(&desk, TEAMS).await;
    let deps = desk.jobs(&Instance::new(&desk.ledger));
    let copy =
        json!({ "job": "copy_profile", "organization_id": desk.org.as_str(), "user_id": user(0) });
    assert_eq!(
        perform_within(&deps, &[copy.to_string()], LONG).await,
        [0; 0]
    );
    let [rest] = <[Sent; 1]>::try_from(desk.jobs.take()).expect("the rest is one job");
    assert_eq!(
        (rest.queue.as_str(), rest.group.as_deref()),
        ("long-jobs", Some(desk.org.as_str()))
    );
    assert_eq!(perform_within(&deps, &[rest.body], LONG).await, [0; 0]);
    let [second_look] = <[Sent; 1]>::try_from(desk.jobs.take()).expect("a second look");
    assert_eq!(
        second_look.queue, "long-jobs",
        "a chain that has moved stays"
    );
}

#[tokio::test]
async fn job_fails_whole_while_table_is_unavailable() {
    let scene = Scene::new(0..0, 3, true).await;
    scene.desk.join(0, 0, &[]).await;
    let script = Script::default();
    script.always(WRITES, Fault::Answer(400, "ThrottlingException"));
    let table = Table::new(
        script.client(&scene.desk.stack),
        scene.desk.stack.table.as_str(),
    );
    let deps = Deps {
        table,
        ..scene.jobs()
    };
    let drain = [scene.job("drain_team")];
    assert_eq!(
        perform_within(&deps, &drain, Duration::from_secs(3)).await,
        [0]
    );
    assert!(
        scene.desk.jobs.take().is_empty(),
        "no ticket is retried alone"
    );
}

/// A page of one ticket in place of 90, so that 1,112 tickets take as many messages as 100,000.
#[tokio::test]
async fn sweep_of_100000_tickets_fits_the_hop_limit() {
    let pages = 100_000_usize.div_ceil(Pace::default().page);
    let scene = Scene::new(0..3, pages, true).await;
    scene.desk.delete(0).await;
    let deps = Deps {
        pace: Pace {
            page: 1,
            share: 0.0,
        },
        ..scene.jobs()
    };

    let (mut left, mut hops) = (vec![scene.job("sweep_team")], Vec::new());
    while let Some(job) = left.pop() {
        let sent = scene.perform(&deps, &job).await;
        hops.extend(
            sent.iter()
                .map(|job| job["hop"].as_u64().expect("a continuation has a hop")),
        );
        left.extend(sent.iter().map(Value::to_string));
    }
    assert!(
        hops.iter().copied().eq(1..=hops.len() as u64),
        "each continues the one before"
    );
    assert!(
        (pages - 1..=MAX_HOPS as usize).contains(&hops.len()),
        "{} hops",
        hops.len()
    );
    assert!(!scene.is_in_work().await, "the sweep is done");
    assert_eq!(scene.count("unrouted").await, pages - 1);
}

#[tokio::test]
async fn job_beyond_hop_limit_ends_and_restarts_at_hop_0() {
    let scene = Scene::new(0..3, 5, true).await;
    scene.desk.delete(0).await;
    let deps = Deps {
        pace: Pace {
            page: 1,
            share: 0.0,
        },
        ..scene.jobs()
    };
    let mut job: Value = serde_json::from_str(&scene.job("sweep_team")).expect("a job is JSON");
    job["hop"] = json!(MAX_HOPS);

    let listener = Listener::to("jobs", "info", None);
    let (_, sent) = listener
        .invoke(false, scene.perform(&deps, &job.to_string()))
        .await;
    assert_eq!(sent, [json!(null); 0], "the chain ends");
    let (log, metrics) = listener.lines();
    let error = log
        .iter()
        .find(|line| line["level"] == "ERROR")
        .expect("an error");
    assert_eq!(error["message"], "job chain is too long");
    assert_eq!(metrics[0]["JobsAborted"], 1, "{metrics:?}");

    assert!(scene.is_in_work().await, "the schedule finds it");
    let sent = scene
        .perform(&deps, &json!({ "job": "restart_unfinished" }).to_string())
        .await;
    let sweep = sent
        .iter()
        .find(|job| job["job"] == "sweep_team")
        .expect("the sweep starts again");
    assert_eq!(sweep.get("hop"), None, "at hop 0");
    scene.desk.finish().await;
    assert!(!scene.is_in_work().await);
}
