//! The workload of a team, directly after each change.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use muster_cli::local::Settings;
use muster_domain::{OrganizationId, TeamId, Timestamp, User, UserId, UserStatus};
use serde_json::{Value, json};

use super::{Platform, PlatformFixture, wait_until};
use crate::support::{Stack, user};

#[tokio::test]
async fn workload_counts_open_and_in_progress_by_status() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("One", [0]).await;
        let statuses = [
            "new",
            "open",
            "in_progress",
            "pending",
            "on_hold",
            "in_progress",
            "resolved",
            "closed",
            "cancelled",
        ];
        let ticket = |(n, status): (usize, &&str)| {
            fixture.ticket(&format!("t{n}")).team(&team).status(status)
        };
        let events: Vec<_> = statuses
            .iter()
            .enumerate()
            .map(|case| ticket(case).created())
            .collect();
        fixture.send(&events).await;
        assert_eq!(fixture.load(&team).await, (6, vec![(6, 2)]));
        // Every ticket gets another status.
        let later: Vec<_> = statuses
            .iter()
            .rev()
            .enumerate()
            .map(|case| ticket(case).updated())
            .collect();
        fixture.send(&later).await;
        assert_eq!(fixture.load(&team).await, (6, vec![(6, 2)]));
        let all = |status| {
            (0..9)
                .map(|n| ticket((n, &status)).updated())
                .collect::<Vec<_>>()
        };
        fixture.send(&all("in_progress")).await;
        assert_eq!(fixture.load(&team).await, (9, vec![(9, 9)]));
        fixture.send(&all("closed")).await;
        assert_eq!(fixture.load(&team).await, (0, vec![(0, 0)]));
    }
}

/// Asserts the open and in-progress tickets of both members in the list of members.
async fn assert_listed(fixture: &PlatformFixture, team: &str, expected: [[u64; 2]; 2]) {
    let members = fixture.get(&format!("/v1/teams/{team}/members")).await;
    let counters =
        |n: usize| ["open_tickets", "in_progress_tickets"].map(|field| members[n][field].as_u64());
    assert_eq!(
        [counters(0), counters(1)],
        expected.map(|member| member.map(Some))
    );
}

#[tokio::test]
async fn workload_is_exact_after_every_change() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let [team, other] = [
            fixture.team("Figures", [0, 1]).await,
            fixture.team("Other", [0]).await,
        ];
        let ticket = |id: &str| fixture.ticket(id).team(&team).status("in_progress");
        fixture
            .send(&["a", "b", "c", "d"].map(|id| ticket(id).created()))
            .await;
        assert_eq!(fixture.load(&team).await, (4, vec![(2, 2), (2, 2)]));
        // Reassignment.
        fixture
            .send(&[ticket("a").assignee(&fixture.user(1)).updated()])
            .await;
        assert_eq!(fixture.load(&team).await, (4, vec![(1, 1), (3, 3)]));
        // Closing and reopening.
        fixture
            .send(&[fixture.ticket("b").status("resolved").updated()])
            .await;
        assert_eq!(fixture.load(&team).await, (3, vec![(1, 1), (2, 2)]));
        fixture
            .send(&[fixture.ticket("b").status("open").updated()])
            .await;
        assert_eq!(fixture.load(&team).await, (4, vec![(1, 1), (3, 2)]));
        // A removed member's tickets count for the team only.
        fixture.leave(&team, 1).await;
        assert_eq!(fixture.load(&team).await, (4, vec![(1, 1)]));
        assert_eq!(
            fixture.workload(&team).await["avg_tickets_per_member"].as_f64(),
            Some(4.0)
        );
        // Those counters change too.
        fixture
            .send(&[fixture.ticket("b").status("closed").updated()])
            .await;
        assert_eq!(fixture.load(&team).await, (3, vec![(1, 1)]));
        // A returning member has their former counters, and the last place in the list.
        fixture.join(&team, 1, &["VPN"]).await;
        assert_eq!(fixture.load(&team).await, (3, vec![(1, 1), (2, 2)]));
        // Counters are separate for each team.
        assert_eq!(fixture.load(&other).await, (0, vec![(0, 0)]));
        fixture
            .send(&[fixture.ticket("o").team(&other).created()])
            .await;
        assert_eq!(fixture.load(&team).await, (3, vec![(1, 1), (2, 2)]));
        // Deactivation of a user.
        fixture.user_event("user.deactivated", 0, json!({})).await;
        wait_until("the copy of the profile", async || {
            fixture.workload(&team).await["members"][0]["status"] == "inactive"
        })
        .await;
        assert_eq!(fixture.load(&team).await, (3, vec![(1, 1), (2, 2)]));
        assert_listed(&fixture, &team, [[1, 1], [2, 2]]).await;
        // Deletion of the team.
        fixture.delete_team(&team).await;
        let response = fixture
            .org
            .itsm
            .get(&format!("/v1/teams/{team}/workload"))
            .await;
        assert_eq!(response.status, 404, "{response}");
        assert_eq!(fixture.load(&other).await, (1, vec![(1, 0)]));
    }
}

const NETWORK: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
const ALEX: &str = "f6e5d4c3-b2a1-0987-fedc-ba9876543210";
const JESSICA: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";

/// The time of the documented request.
const QUERIED_AT: i64 = 1_708_790_400;

/// Returns a stack with an API that has this clock and gives a team the documented id.
async fn of_the_document(secs: &Arc<AtomicI64>) -> Stack {
    let (team, secs) = (
        TeamId::parse(NETWORK).expect("a team's id"),
        Arc::clone(secs),
    );
    Stack::with_settings(Settings {
        http: Box::new(move |deps| {
            let secs = Arc::clone(&secs);
            deps.new_team_id = Arc::new(move |_| team);
            deps.clock = Arc::new(move || Timestamp::from_secs(secs.load(SeqCst)));
        }),
        batching_window: Some(Duration::ZERO),
        ..Settings::default()
    })
    .await
}

/// Creates the documented organization, team and members, at the documented times.
async fn documented_organization() -> PlatformFixture {
    let secs = Arc::new(AtomicI64::new(QUERIED_AT - 60));
    let person = |id, name| User {
        id: UserId::parse(id).expect("a user's id"),
        ..user(name, UserStatus::Active)
    };
    let mut users = vec![person(ALEX, "Alex Rivera"), person(JESSICA, "Jessica Chen")];
    users.extend((2..8).map(|n| user(&format!("User {n}"), UserStatus::Active)));
    let org = OrganizationId::parse("org_9f8e7d6c5b4a").expect("a valid organization id");
    let org = of_the_document(&secs)
        .await
        .organization_of(org, users)
        .await;
    let fixture = PlatformFixture::of(org, Platform::Itsm);
    let team = fixture
        .team_of(
            "Network Operations",
            "least_busy",
            &["VPN", "Firewall", "DNS", "WAN", "LAN"],
        )
        .await;
    assert_eq!(team, NETWORK);
    for n in 0..8 {
        let skills: &[&str] = match n {
            0 => &["VPN", "Firewall", "Cisco"],
            1 => &["DNS", "WAN", "LAN"],
            _ => &[],
        };
        fixture.join(&team, n, skills).await;
        secs.fetch_add(1, SeqCst);
    }
    secs.store(QUERIED_AT, SeqCst);
    fixture
}

/// Returns the events of a hundred resolved tickets, 91 of them in time. The means are 4.2 hours
/// for Alex and 3.8 for Jessica.
fn resolved_tickets(fixture: &PlatformFixture) -> Vec<Value> {
    let resolved = |n: i64| {
        let (user, minutes) = [(ALEX, 242), (JESSICA, 218), (ALEX, 262), (JESSICA, 238)]
            [usize::try_from(n % 4).expect("n is not negative")];
        let took = minutes * 60;
        let due = if n < 91 { took } else { took - 1 };
        let ticket = fixture
            .ticket(&format!("r{n}"))
            .team(NETWORK)
            .assignee(user)
            .status("resolved");
        ticket.at(5 * 3600).resolved(took).due(due).created()
    };
    (0..100).map(resolved).collect()
}

#[tokio::test]
async fn documented_workload_follows_from_ticket_events() {
    let fixture = documented_organization().await;
    let team = NETWORK;
    fixture.send(&resolved_tickets(&fixture)).await;

    // Persons assign tickets to Alex and Jessica. Then the strategy assigns to the other members,
    // who have fewer.
    let open = |id: String, status: &str| fixture.ticket(&id).team(team).status(status);
    let given = |user: &str, statuses: &[&str]| {
        let ticket = |(n, status): (usize, &&str)| {
            open(format!("{user}-{n}"), status).assignee(user).created()
        };
        statuses.iter().enumerate().map(ticket).collect::<Vec<_>>()
    };
    let work = "in_progress";
    fixture
        .send(&given(ALEX, &[work, work, work, "open", "pending"]))
        .await;
    fixture.send(&given(JESSICA, &[work, "on_hold"])).await;
    fixture
        .send(
            &(0..12)
                .map(|n| open(format!("n{n}"), "new").created())
                .collect::<Vec<_>>(),
        )
        .await;
    assert_eq!(fixture.load(team).await.1[2..], [(2, 0); 6]);
    let last = (0..4).map(|n| {
        open(format!("l{n}"), "new")
            .assignee(&fixture.user(2 + n))
            .created()
    });
    fixture.send(&last.collect::<Vec<_>>()).await;

    let mut response = fixture
        .org
        .itsm
        .get(&format!("/v1/teams/team_{NETWORK}/workload"))
        .await
        .json;
    let members = response["data"]["members"].as_array_mut().expect("members");
    assert_eq!(members.len(), 8);
    // The document shows the first two members.
    members.truncate(2);
    let document: Value = serde_json::from_str(include_str!(
        "../../../openapi/examples/itsm/get_workload.json"
    ))
    .unwrap();
    assert_eq!(response, document);
    let listed = fixture.org.itsm.get("/v1/teams").await.json["data"][0].clone();
    assert_eq!(
        (&listed["open_tickets"], &listed["member_count"]),
        (&json!(23), &json!(8))
    );
}
