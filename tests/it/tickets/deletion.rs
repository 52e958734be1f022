//! What becomes of tickets whose team is deleted.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Place, Scene, Words, kinds, own_stack, until};
use crate::support::table::{Table, number};

#[tokio::test]
async fn a_team_with_5000_open_tickets_is_deleted_in_one_request_and_every_ticket_unrouted_and_announced()
 {
    const TICKETS: usize = 5000;
    let scene = Scene::on(&own_stack().await, Words::TopTickets).await;
    let team = scene.team_of("Large", "least_busy", &["VPN"]).await;
    for n in 0..8 {
        scene.join(&team, n, &[]).await;
    }
    let ids: Vec<String> = (0..TICKETS).map(|n| format!("T-{n}")).collect();
    for ids in ids.chunks(100) {
        scene
            .send(
                &ids.iter()
                    .map(|id| scene.ticket(id).team(&team).created())
                    .collect::<Vec<_>>(),
            )
            .await;
    }
    assert_eq!(
        scene.load(&team).await,
        (TICKETS as u64, vec![(TICKETS as u64 / 8, 0); 8])
    );

    let answer = scene
        .org
        .toptickets
        .delete(&format!("/v1/teams/{team}"))
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    // The name is free at once, and the team is gone for everybody.
    let again = scene.team_of("Large", "round_robin", &[]).await;
    assert_eq!(
        scene
            .org
            .toptickets
            .get(&format!("/v1/teams/{team}"))
            .await
            .status,
        404
    );

    let is_tickets = |event: &&Value| {
        event["subject"]
            .as_str()
            .is_some_and(|subject| subject.starts_with("tickets/"))
    };
    let of_tickets = || scene.announced(|all| all.iter().filter(is_tickets).count());
    until("every ticket announced", async || {
        of_tickets() >= 3 * TICKETS
    })
    .await;
    let mut announced = HashMap::<String, Vec<String>>::new();
    scene.announced(|all| {
        for event in all.iter().filter(is_tickets) {
            let (ticket, kind) = (
                event["data"]["ticket_id"].as_str().unwrap(),
                event["type"].as_str().unwrap(),
            );
            announced
                .entry(ticket.to_owned())
                .or_default()
                .push(kind.to_owned());
        }
    });
    for id in &ids {
        assert_eq!(
            announced[id],
            ["ticket.assigned", "ticket.unassigned", "ticket.unrouted"],
            "{id}"
        );
    }
    for id in ids.iter().step_by(499) {
        assert_eq!(scene.place(id).await, Place::unrouted(), "{id}");
        assert_eq!(
            scene.decision(id).await["reason"],
            "Its team was deleted.",
            "{id}"
        );
    }
    let table = Table::of(&scene.org);
    until("every membership deleted", async || {
        let contents = table.contents_with(&[&team]).await;
        contents.memberships.is_empty() && contents.pasts.is_empty()
    })
    .await;
    until("nothing left", async || {
        let gone = scene
            .org
            .stack
            .item(&format!("ORG#{}#TEAM#{team}", scene.org.id), "GONE")
            .await;
        gone.is_some_and(|gone| !gone.contains_key("gsi1pk"))
    })
    .await;
    assert!(!scene.is_known(&team, "vpn").await);
    assert_eq!(scene.load(&again).await, (0, vec![]));
    table.contents_with(&[&team]).await.assert_sound();
}

#[tokio::test]
async fn nothing_is_given_to_a_team_that_is_being_deleted() {
    for words in Words::BOTH {
        let scene = Scene::on(&own_stack().await, words).await;
        let team = scene.team_of("Leaving", "round_robin", &["VPN"]).await;
        scene.join(&team, 0, &[]).await;
        scene.until_known(&team, "vpn").await;
        let events: Vec<_> = (0..20)
            .map(|n| scene.ticket(&format!("t{n}")).team(&team).created())
            .collect();
        scene.send(&events).await;

        // The sweep does not begin while its queue is held, so the team is on its way all the time.
        scene.org.stack.queues().pause("long-jobs");
        assert_eq!(
            scene
                .org
                .toptickets
                .delete(&format!("/v1/teams/{team}"))
                .await
                .status,
            204
        );
        let events = [
            scene.ticket("named").team(&team).created(),
            scene.ticket("known").about("vpn").created(),
            scene
                .ticket("person")
                .team(&team)
                .assignee(&scene.user(0))
                .created(),
            scene
                .ticket("t0")
                .team(&team)
                .status("in_progress")
                .updated(),
            scene.ticket("t1").unassigned(),
            scene.ticket("t2").status("resolved").updated(),
            scene.ticket("t3").deleted(),
        ];
        scene.send(&events).await;
        for ticket in ["named", "known", "t0", "t1"] {
            assert_eq!(scene.place(ticket).await, Place::unrouted(), "{ticket}");
        }
        // A person may give it to somebody; the team does not have it all the same.
        assert_eq!(scene.place("person").await.team, None);
        assert_eq!(scene.place("t2").await.state, "closed");
        scene.no_decision("t3").await;

        scene.org.stack.queues().resume("long-jobs");
        scene.until_placed("t19", &Place::unrouted()).await;
        for n in 4..20 {
            scene
                .until_placed(&format!("t{n}"), &Place::unrouted())
                .await;
            assert_eq!(
                scene.decision(&format!("t{n}")).await["reason"],
                "Its team was deleted."
            );
        }
        let gone = async || {
            scene
                .org
                .stack
                .item(&format!("ORG#{}#TEAM#{team}", scene.org.id), "GONE")
                .await
                .expect("what it left")
        };
        until("nothing left", async || {
            !gone().await.contains_key("gsi1pk")
        })
        .await;
        assert_eq!(number(&gone().await, "open_tickets"), 0);
        Table::of(&scene.org)
            .contents_with(&[&team])
            .await
            .assert_sound();
    }
}

#[tokio::test]
async fn the_deletion_itself_routes_nothing_elsewhere_and_the_next_event_does() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team_of("Leaving", "round_robin", &[]).await;
        let other = scene.team_of("Staying", "round_robin", &["VPN"]).await;
        scene.until_known(&other, "vpn").await;
        scene.join(&team, 0, &[]).await;
        scene.join(&other, 1, &[]).await;
        scene
            .send(&[scene.ticket("a").team(&team).about("vpn").created()])
            .await;
        assert_eq!(
            scene
                .org
                .toptickets
                .delete(&format!("/v1/teams/{team}"))
                .await
                .status,
            204
        );
        scene.until_placed("a", &Place::unrouted()).await;
        scene
            .send(&[scene.ticket("a").about("vpn").updated()])
            .await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&other, &scene.user(1))
        );
        let announced = scene.announced_of("tickets/a").await;
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
async fn waiting_tickets_of_a_deleted_team_are_unrouted_and_closed_ones_stay_closed() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Leaving", []).await;
        let closed = scene
            .ticket("closed")
            .team(&team)
            .assignee(&scene.user(0))
            .status("resolved");
        scene
            .send(&[scene.ticket("a").team(&team).created(), closed.created()])
            .await;
        assert_eq!(
            scene
                .org
                .toptickets
                .delete(&format!("/v1/teams/{team}"))
                .await
                .status,
            204
        );
        scene.until_placed("a", &Place::unrouted()).await;
        assert_eq!(
            kinds(&scene.announced_of("tickets/a").await),
            ["ticket.waiting", "ticket.unrouted"]
        );
        assert_eq!(scene.place("closed").await.state, "closed");
        // Reopened, it finds its team gone.
        scene
            .send(&[scene.ticket("closed").status("open").updated()])
            .await;
        assert_eq!(scene.place("closed").await, Place::unrouted());
    }
}

#[tokio::test]
async fn itsm_keeps_a_team_that_still_holds_open_tickets() {
    let scene = Scene::new(Words::Itsm).await;
    let team = scene.team("Busy", [0]).await;
    scene
        .send(&["a", "b", "c"].map(|id| scene.ticket(id).team(&team).created()))
        .await;
    let path = format!("/v1/teams/{team}");
    let answer = scene.org.itsm.delete(&path).await;
    assert_eq!(answer.status, 409, "{answer}");
    let error = &answer.json["error"];
    assert_eq!(
        (&error["code"], &error["details"]),
        (&json!("CONFLICT"), &json!({ "openTickets": 3 }))
    );
    scene
        .send(&["a", "b"].map(|id| scene.ticket(id).status("closed").updated()))
        .await;
    assert_eq!(
        scene.org.itsm.delete(&path).await.json["error"]["details"]["openTickets"],
        1
    );
    assert_eq!(
        scene.assigned(&team, ["d"]).await,
        scene.users([0]),
        "it is as it was"
    );
    scene
        .send(&["c", "d"].map(|id| scene.ticket(id).status("cancelled").updated()))
        .await;
    assert_eq!(scene.org.itsm.delete(&path).await.status, 204);
    assert_eq!(scene.org.itsm.get(&path).await.status, 404);
    assert_eq!(scene.place("a").await.state, "closed");
    let of_the_team = scene.announced_of(&format!("teams/{team}")).await;
    assert_eq!(kinds(&of_the_team), ["team.created", "team.deleted"]);
    assert_eq!(scene.announced_of("tickets/a").await.len(), 1);
}
