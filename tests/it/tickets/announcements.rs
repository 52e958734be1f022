//! The announcements of teams, members and tickets.

use serde_json::{Value, json};

use super::{Placement, Platform, PlatformFixture, kinds, wait_until};

fn texts<'e>(events: &'e [Value], field: &str) -> Vec<&'e str> {
    events
        .iter()
        .map(|event| {
            event[field]
                .as_str()
                .unwrap_or_else(|| panic!("no {field} in {event}"))
        })
        .collect()
}

/// Asserts unique ids and increasing sequences of the announcements of one item.
fn assert_in_order(events: &[Value]) {
    let sequences = texts(events, "sequence");
    assert!(
        sequences.windows(2).all(|pair| pair[0] < pair[1]),
        "{sequences:?}"
    );
    let mut ids = texts(events, "id");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events.len(), "{ids:?}");
    let times = texts(events, "time");
    assert!(times.is_sorted(), "{times:?}");
    for event in events {
        assert_eq!(
            (&event["specversion"], &event["source"]),
            (&json!("1.0"), &json!("muster")),
            "{event}"
        );
        assert_eq!(event["datacontenttype"], "application/json", "{event}");
    }
}

#[tokio::test]
async fn team_create_update_and_delete_are_announced() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Before", [0]).await;
    let path = format!("/v1/teams/{team}");
    let patch =
        async |body: Value| assert_eq!(fixture.org.itsm.patch(&path, body).await.status, 200);
    patch(json!({ "name": "After" })).await;
    // Updates without a change are not announced, nor are the counters of members and tickets.
    patch(json!({ "name": "After" })).await;
    patch(json!({})).await;
    fixture.join(&team, 1, &[]).await;
    fixture
        .send(&[fixture.ticket("a").team(&team).created()])
        .await;
    fixture
        .send(&[fixture.ticket("a").team(&team).status("closed").updated()])
        .await;
    patch(json!({ "specializations": ["VPN"], "queue_strategy": "least_busy" })).await;
    patch(json!({ "lead_id": fixture.user(1) })).await;
    assert_eq!(fixture.org.toptickets.delete(&path).await.status, 204);

    let subject = format!("teams/{team}");
    let announced = fixture.announced_of(&subject).await;
    let expected = [
        "team.created",
        "team.updated",
        "team.updated",
        "team.updated",
        "team.deleted",
    ];
    assert_eq!(kinds(&announced), expected);
    assert_in_order(&announced);
    for event in &announced {
        let revision: u64 = event["sequence"]
            .as_str()
            .unwrap()
            .parse()
            .expect("a number");
        let id = format!(
            "ORG#{}/TEAM#{team}/{revision}/{}",
            fixture.org.id,
            event["type"].as_str().unwrap()
        );
        assert_eq!(event["id"], id);
    }
    assert_eq!(announced[0]["data"]["name"], "Before");
    assert_eq!(announced[1]["data"]["name"], "After");
    assert_eq!(announced[2]["data"]["specializations"], json!(["VPN"]));
    assert_eq!(announced[2]["data"]["queue_strategy"], "least_busy");
    assert_eq!(announced[3]["data"]["lead_id"], fixture.user(1));
    assert_eq!(announced[4]["data"]["member_count"], 2);
}

#[tokio::test]
async fn member_add_remove_and_return_are_announced() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Roster", [0, 1]).await;
        let subject = format!("teams/{team}/members/{}", fixture.user(0));
        // Tickets, profiles, skills and leads are not announced as changes of a membership.
        assert_eq!(
            fixture.assigned(&team, ["a", "b"]).await,
            fixture.users([0, 1])
        );
        fixture
            .user_event("user.updated", 0, json!({ "name": "Somebody Else" }))
            .await;
        wait_until("the copy of the profile", async || {
            fixture.workload(&team).await["members"][0]["name"] == "Somebody Else"
        })
        .await;
        let path = format!("/v1/teams/{team}/members/{}", fixture.user(0));
        let response = fixture
            .org
            .itsm
            .patch(&path, json!({ "skills": ["VPN"], "role": "lead" }))
            .await;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(
            fixture
                .org
                .itsm
                .patch(&path, json!({ "role": "member" }))
                .await
                .status,
            200
        );
        fixture.leave(&team, 0).await;
        fixture.join(&team, 0, &[]).await;

        let announced = fixture.announced_of(&subject).await;
        assert_eq!(
            kinds(&announced),
            ["member.added", "member.removed", "member.added"]
        );
        assert_in_order(&announced);
        for event in &announced {
            let revision: u64 = event["sequence"]
                .as_str()
                .unwrap()
                .parse()
                .expect("a number");
            let kind = event["type"].as_str().unwrap();
            let item = format!(
                "ORG#{}#TEAM#{team}/MEMBER#{}",
                fixture.org.id,
                fixture.user(0)
            );
            assert_eq!(event["id"], format!("{item}/{revision}/{kind}"));
            assert_eq!(
                (&event["data"]["team_id"], &event["data"]["user_id"]),
                (&json!(team), &json!(fixture.user(0)))
            );
        }
        let removed_at = |n: usize| announced[n]["data"]["removed_at"].is_string();
        assert_eq!(
            [removed_at(0), removed_at(1), removed_at(2)],
            [false, true, false]
        );
        assert_eq!(announced[1]["data"]["name"], "Somebody Else");
    }
}

#[tokio::test]
async fn members_of_deleted_team_are_announced_as_removed() {
    let fixture = PlatformFixture::new(Platform::TopTickets).await;
    let team = fixture.team("Leaving", [0, 1]).await;
    fixture.leave(&team, 1).await;
    fixture.delete_team(&team).await;
    for n in 0..2 {
        // A former member is not announced again.
        let subject = format!("teams/{team}/members/{}", fixture.user(n));
        wait_until("removed", async || {
            fixture.announced_of(&subject).await.len() == 2
        })
        .await;
        let announced = fixture.announced_of(&subject).await;
        assert_eq!(kinds(&announced), ["member.added", "member.removed"]);
        assert_in_order(&announced);
    }
}

/// Returns the revision in an announcement's sequence, which may have a position after it.
fn revision_of(event: &Value) -> u64 {
    let revision = event["sequence"]
        .as_str()
        .and_then(|sequence| sequence.split('.').next())
        .expect("a sequence");
    revision.parse().expect("a number")
}

/// Asserts that each announcement of ticket `a` has the id of its item, revision and kind.
fn assert_ids(fixture: &PlatformFixture, announced: &[Value]) {
    for event in announced {
        let revision = revision_of(event);
        let kind = event["type"].as_str().expect("a type");
        assert_eq!(
            event["id"],
            format!("ORG#{}#TICKET#a/TICKET/{revision}/{kind}", fixture.org.id)
        );
    }
}

/// Returns the kind, the team, the assignee and the previous assignee of an announcement.
fn change(event: &Value) -> (&str, Option<&str>, Option<&str>, Option<&str>) {
    let data = |field: &str| event["data"][field].as_str();
    (
        event["type"].as_str().expect("a type"),
        data("team_id"),
        data("assignee_id"),
        data("previous_assignee_id"),
    )
}

#[tokio::test]
async fn ticket_is_announced_only_when_its_placement_changes() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", []).await;
        let other = fixture.team("Other", [2]).await;
        let (first, second) = (fixture.user(0), fixture.user(1));
        let ticket = || fixture.ticket("a").status("in_progress");
        fixture.send(&[ticket().team(&team).created()]).await;
        fixture.join(&team, 0, &[]).await;
        fixture
            .until_placed("a", &Placement::assigned(&team, &first))
            .await;
        fixture.join(&team, 1, &[]).await;
        // The placement does not change.
        fixture
            .send(&[ticket()
                .team(&team)
                .priority("low")
                .status("pending")
                .updated()])
            .await;
        fixture.send(&[ticket().unassigned()]).await;
        fixture.send(&[ticket().assignee(&first).updated()]).await;
        fixture.leave(&team, 0).await;
        fixture.leave(&team, 1).await;
        fixture.send(&[ticket().unassigned()]).await;
        fixture
            .send(&[ticket().team(&other).priority("critical").updated()])
            .await;
        fixture.delete_team(&other).await;
        fixture.until_placed("a", &Placement::unrouted()).await;
        fixture.send(&[ticket().status("closed").updated()]).await;
        fixture.send(&[ticket().status("open").updated()]).await;
        fixture.send(&[ticket().deleted()]).await;

        let announced = fixture.announced_of("tickets/a").await;
        let person = fixture.user(2);
        let [team, other, first, second, person] =
            [&team, &other, &first, &second, &person].map(|id| Some(id.as_str()));
        let expected = [
            ("ticket.waiting", team, None, None),
            ("ticket.assigned", team, first, None),
            ("ticket.assigned", team, second, first),
            ("ticket.assigned", team, first, second),
            ("ticket.unassigned", team, None, first),
            ("ticket.waiting", team, None, first),
            ("ticket.assigned", other, person, None),
            ("ticket.unassigned", None, None, person),
            ("ticket.unrouted", None, None, person),
            // Reopened without an assignee.
            ("ticket.unrouted", None, None, None),
        ];
        let actual: Vec<_> = announced.iter().map(change).collect();
        assert_eq!(actual, expected);
        assert_in_order(&announced);

        // Two parts of one change: the second has the revision of the first, and a later position.
        let sequences = texts(&announced, "sequence");
        assert_eq!(format!("{}.1", sequences[4]), sequences[5]);
        assert_ids(&fixture, &announced);
        assert_eq!(announced[6]["data"]["priority"], "critical");
        assert_eq!(announced[6]["data"]["previous_team_id"], json!(team));
    }
}
