//! Tickets of a deleted team.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Placement, Platform, PlatformFixture, kinds, own_stack, wait_until};
use crate::support::table::{Item, OrgTable, number};

/// Waits until this many announcements of tickets exist, and returns their kinds by ticket.
async fn announced_of_tickets(
    fixture: &PlatformFixture,
    count: usize,
) -> HashMap<String, Vec<String>> {
    let is_of_ticket = |event: &&Value| {
        event["subject"]
            .as_str()
            .is_some_and(|subject| subject.starts_with("tickets/"))
    };
    wait_until("every ticket announced", async || {
        fixture.announced(|all| all.iter().filter(is_of_ticket).count()) >= count
    })
    .await;
    let mut kinds = HashMap::<String, Vec<String>>::new();
    fixture.announced(|all| {
        for event in all.iter().filter(is_of_ticket) {
            let [ticket, kind] = [&event["data"]["ticket_id"], &event["type"]]
                .map(|value| value.as_str().expect("a string").to_owned());
            kinds.entry(ticket).or_default().push(kind);
        }
    });
    kinds
}

/// Waits until a deleted team has no pending work, and returns its item.
async fn until_swept(fixture: &PlatformFixture, team: &str) -> Item {
    let pk = format!("ORG#{}#TEAM#{team}", fixture.org.id);
    let item = async || fixture.org.stack.item(&pk, "GONE").await;
    wait_until("the deleted team has no pending work", async || {
        item()
            .await
            .is_some_and(|item| !item.contains_key("gsi1pk"))
    })
    .await;
    item().await.expect("the deleted team")
}

#[tokio::test]
async fn delete_of_team_with_5000_tickets_unroutes_every_ticket() {
    const TICKETS: usize = 5000;
    let fixture = PlatformFixture::on(&own_stack().await, Platform::TopTickets).await;
    let team = fixture.team_of("Large", "least_busy", &["VPN"]).await;
    for n in 0..8 {
        fixture.join(&team, n, &[]).await;
    }
    let ids: Vec<String> = (0..TICKETS).map(|n| format!("T-{n}")).collect();
    for ids in ids.chunks(100) {
        fixture
            .send(
                &ids.iter()
                    .map(|id| fixture.ticket(id).team(&team).created())
                    .collect::<Vec<_>>(),
            )
            .await;
    }
    assert_eq!(
        fixture.load(&team).await,
        (TICKETS as u64, vec![(TICKETS as u64 / 8, 0); 8])
    );

    let response = fixture
        .org
        .toptickets
        .delete(&format!("/v1/teams/{team}"))
        .await;
    assert_eq!(
        (response.status.as_u16(), response.text.as_str()),
        (204, "")
    );
    // The name is free immediately, and every request for the team returns 404.
    let again = fixture.team_of("Large", "round_robin", &[]).await;
    assert_eq!(
        fixture
            .org
            .toptickets
            .get(&format!("/v1/teams/{team}"))
            .await
            .status,
        404
    );

    let announced = announced_of_tickets(&fixture, 3 * TICKETS).await;
    for id in &ids {
        assert_eq!(
            announced[id],
            ["ticket.assigned", "ticket.unassigned", "ticket.unrouted"],
            "{id}"
        );
    }
    for id in ids.iter().step_by(499) {
        assert_eq!(fixture.placement(id).await, Placement::unrouted(), "{id}");
        assert_eq!(
            fixture.decision(id).await["reason"],
            "Its team was deleted.",
            "{id}"
        );
    }
    let table = OrgTable::of(&fixture.org);
    wait_until("every membership deleted", async || {
        let contents = table.contents_with(&[&team]).await;
        contents.memberships.is_empty() && contents.pasts.is_empty()
    })
    .await;
    until_swept(&fixture, &team).await;
    assert!(!fixture.is_indexed(&team, "vpn").await);
    assert_eq!(fixture.load(&again).await, (0, vec![]));
    table.contents_with(&[&team]).await.assert_sound();
}

#[tokio::test]
async fn team_being_deleted_gets_no_ticket() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::on(&own_stack().await, platform).await;
        let team = fixture.team_of("Leaving", "round_robin", &["VPN"]).await;
        fixture.join(&team, 0, &[]).await;
        fixture.until_indexed(&team, "vpn").await;
        let events: Vec<_> = (0..20)
            .map(|n| fixture.ticket(&format!("t{n}")).team(&team).created())
            .collect();
        fixture.send(&events).await;

        // The sweep does not start while its queue is paused.
        fixture.org.stack.queues().pause("long-jobs");
        fixture.delete_team(&team).await;
        let events = [
            fixture.ticket("named").team(&team).created(),
            fixture.ticket("known").about("vpn").created(),
            fixture
                .ticket("person")
                .team(&team)
                .assignee(&fixture.user(0))
                .created(),
            fixture
                .ticket("t0")
                .team(&team)
                .status("in_progress")
                .updated(),
            fixture.ticket("t1").unassigned(),
            fixture.ticket("t2").status("resolved").updated(),
            fixture.ticket("t3").deleted(),
        ];
        fixture.send(&events).await;
        for ticket in ["named", "known", "t0", "t1"] {
            assert_eq!(
                fixture.placement(ticket).await,
                Placement::unrouted(),
                "{ticket}"
            );
        }
        // A person may assign the ticket. The deleted team does not get it.
        assert_eq!(fixture.placement("person").await.team, None);
        assert_eq!(fixture.placement("t2").await.state, "closed");
        fixture.missing_decision("t3").await;

        fixture.org.stack.queues().resume("long-jobs");
        fixture.until_placed("t19", &Placement::unrouted()).await;
        for n in 4..20 {
            fixture
                .until_placed(&format!("t{n}"), &Placement::unrouted())
                .await;
            assert_eq!(
                fixture.decision(&format!("t{n}")).await["reason"],
                "Its team was deleted."
            );
        }
        let swept = until_swept(&fixture, &team).await;
        assert_eq!(number(&swept, "open_tickets"), 0);
        OrgTable::of(&fixture.org)
            .contents_with(&[&team])
            .await
            .assert_sound();
    }
}

#[tokio::test]
async fn ticket_of_deleted_team_is_routed_by_its_next_event() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team_of("Leaving", "round_robin", &[]).await;
        let other = fixture.team_of("Staying", "round_robin", &["VPN"]).await;
        fixture.until_indexed(&other, "vpn").await;
        fixture.join(&team, 0, &[]).await;
        fixture.join(&other, 1, &[]).await;
        fixture
            .send(&[fixture.ticket("a").team(&team).about("vpn").created()])
            .await;
        fixture.delete_team(&team).await;
        fixture.until_placed("a", &Placement::unrouted()).await;
        fixture
            .send(&[fixture.ticket("a").about("vpn").updated()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&other, &fixture.user(1))
        );
        let announced = fixture.announced_of("tickets/a").await;
        let expected = [
            "ticket.assigned",
            "ticket.unassigned",
            "ticket.unrouted",
            "ticket.assigned",
        ];
        assert_eq!(kinds(&announced), expected);
    }
}

#[tokio::test]
async fn deleted_team_unroutes_waiting_and_keeps_closed_tickets() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Leaving", []).await;
        let closed = fixture
            .ticket("closed")
            .team(&team)
            .assignee(&fixture.user(0))
            .status("resolved");
        fixture
            .send(&[fixture.ticket("a").team(&team).created(), closed.created()])
            .await;
        fixture.delete_team(&team).await;
        fixture.until_placed("a", &Placement::unrouted()).await;
        assert_eq!(
            kinds(&fixture.announced_of("tickets/a").await),
            ["ticket.waiting", "ticket.unrouted"]
        );
        assert_eq!(fixture.placement("closed").await.state, "closed");
        // Reopened, the ticket has no team.
        fixture
            .send(&[fixture.ticket("closed").status("open").updated()])
            .await;
        assert_eq!(fixture.placement("closed").await, Placement::unrouted());
    }
}

#[tokio::test]
async fn itsm_delete_of_team_with_open_tickets_is_rejected() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Busy", [0]).await;
    fixture
        .send(&["a", "b", "c"].map(|id| fixture.ticket(id).team(&team).created()))
        .await;
    let path = format!("/v1/teams/{team}");
    let response = fixture.org.itsm.delete(&path).await;
    assert_eq!(response.status, 409, "{response}");
    let error = &response.json["error"];
    assert_eq!(
        (&error["code"], &error["details"]),
        (&json!("CONFLICT"), &json!({ "openTickets": 3 }))
    );
    fixture
        .send(&["a", "b"].map(|id| fixture.ticket(id).status("closed").updated()))
        .await;
    assert_eq!(
        fixture.org.itsm.delete(&path).await.json["error"]["details"]["openTickets"],
        1
    );
    assert_eq!(
        fixture.assigned(&team, ["d"]).await,
        fixture.users([0]),
        "the rejected deletion has no effect"
    );
    fixture
        .send(&["c", "d"].map(|id| fixture.ticket(id).status("cancelled").updated()))
        .await;
    assert_eq!(fixture.org.itsm.delete(&path).await.status, 204);
    assert_eq!(fixture.org.itsm.get(&path).await.status, 404);
    assert_eq!(fixture.placement("a").await.state, "closed");
    let of_the_team = fixture.announced_of(&format!("teams/{team}")).await;
    assert_eq!(kinds(&of_the_team), ["team.created", "team.deleted"]);
    assert_eq!(fixture.announced_of("tickets/a").await.len(), 1);
}
