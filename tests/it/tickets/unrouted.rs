//! Which team: for tickets that name none, one that does not exist, or another one.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use uuid::Uuid;

use super::{Place, Scene, Ticket, Words, until};

#[tokio::test]
async fn a_ticket_without_a_team_goes_to_the_team_that_knows_most_of_it() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let network = scene
            .specialists("Network", &["Network", "VPN", "DNS"], [0])
            .await;
        let desk = scene.specialists("Desk", &["vpn", "Printer"], [1]).await;
        let events = [
            scene.ticket("category").about("NETWORK").created(),
            scene
                .ticket("subcategory")
                .about("Hardware")
                .with("subcategory", "printer")
                .created(),
            scene
                .ticket("tags")
                .with("tags", json!(["x", "dns"]))
                .created(),
            scene
                .ticket("most")
                .about("vpn")
                .with("subcategory", "printer")
                .with("tags", json!(["other"]))
                .created(),
            scene.ticket("none").about("Coffee").created(),
            scene.ticket("nothing").created(),
        ];
        scene.send(&events).await;
        for (ticket, team, user) in [
            ("category", &network, 0),
            ("subcategory", &desk, 1),
            ("tags", &network, 0),
            ("most", &desk, 1),
        ] {
            assert_eq!(
                scene.place(ticket).await,
                Place::assigned(team, &scene.user(user)),
                "{ticket}"
            );
        }
        for ticket in ["none", "nothing"] {
            assert_eq!(scene.place(ticket).await, Place::unrouted(), "{ticket}");
            let decision = scene.decision(ticket).await;
            let reason = "No team's specializations match its category, subcategory or tags.";
            assert_eq!(decision["reason"], reason);
            assert_eq!(decision["strategy"], json!(null));
            assert_eq!(
                (&decision["considered"], &decision["candidates"]),
                (&json!(0), &json!([]))
            );
        }
    }
}

#[tokio::test]
async fn tag_too_long_for_its_key_still_finds_its_team() {
    let scene = Scene::new(Words::Itsm).await;
    // Each U+FDFA folds to 18 characters, so the folded tag has more bytes than a partition key.
    let long = "\u{fdfa}".repeat(64);
    let team = scene
        .team_of("Long", "round_robin", &[&long, "Marker"])
        .await;
    scene.join(&team, 0, &[]).await;
    scene.until_known(&team, "Marker").await;
    scene
        .send(&[scene.ticket("long").about(&long).created()])
        .await;
    scene
        .until_placed("long", &Place::assigned(&team, &scene.user(0)))
        .await;
    let shorter = "\u{fdfa}".repeat(63);
    scene
        .send(&[scene.ticket("shorter").about(&shorter).created()])
        .await;
    assert_eq!(scene.place("shorter").await, Place::unrouted());
}

#[tokio::test]
async fn teams_with_nobody_eligible_come_last() {
    let scene = Scene::new(Words::Itsm).await;
    let empty = scene.specialists("Knows all", &["VPN", "DNS"], []).await;
    let some = scene.specialists("Knows some", &["VPN"], [0]).await;
    scene
        .send(&[scene
            .ticket("a")
            .about("vpn")
            .with("subcategory", "dns")
            .created()])
        .await;
    assert_eq!(
        scene.place("a").await,
        Place::assigned(&some, &scene.user(0))
    );
    // Where there is no other, it waits with them.
    scene
        .send(&[scene.ticket("b").about("dns").created()])
        .await;
    assert_eq!(scene.place("b").await, Place::waiting(&empty));
}

#[tokio::test]
async fn of_equals_the_team_with_the_fewest_open_tickets_for_each_eligible_member_and_then_the_oldest()
 {
    let scene = Scene::new(Words::TopTickets).await;
    let older = scene.specialists("Older", &["VPN"], [0]).await;
    let larger = scene.specialists("Larger", &["VPN"], [1, 2, 3]).await;
    let mut teams = Vec::new();
    for ticket in ["a", "b", "c", "d", "e"] {
        scene
            .send(&[scene.ticket(ticket).about("vpn").created()])
            .await;
        teams.push(scene.place(ticket).await.team.expect("a team"));
    }
    // 0/1 = 0/3; 1/1 > 0/3, 1/3, 2/3; 1/1 = 3/3.
    assert_eq!(
        teams,
        [&older, &larger, &larger, &larger, &older].map(Clone::clone)
    );
}

#[tokio::test]
async fn an_unrouted_ticket_is_tried_again_at_its_next_event() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.specialists("Network", &["VPN"], [0]).await;
        scene
            .send(&[scene.ticket("a").about("coffee").created()])
            .await;
        assert_eq!(scene.place("a").await, Place::unrouted());
        scene
            .send(&[scene.ticket("a").about("vpn").updated()])
            .await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&team, &scene.user(0))
        );
    }
}

#[tokio::test]
async fn unrouted_tickets_are_tried_again_when_a_team_is_created_and_when_specializations_change() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        scene
            .send(&[
                scene.ticket("a").about("vpn").created(),
                scene.ticket("b").about("DNS").created(),
            ])
            .await;
        assert_eq!(scene.place("a").await, Place::unrouted());
        let team = scene.team_of("Network", "round_robin", &["VPN"]).await;
        scene.until_placed("a", &Place::waiting(&team)).await;
        assert_eq!(scene.place("b").await, Place::unrouted());
        scene.join(&team, 0, &[]).await;
        scene
            .until_placed("a", &Place::assigned(&team, &scene.user(0)))
            .await;

        let answer = scene
            .org
            .itsm
            .patch(
                &format!("/v1/teams/{team}"),
                json!({ "specializations": ["dns"] }),
            )
            .await;
        assert_eq!(answer.status, 200, "{answer}");
        scene
            .until_placed("b", &Place::assigned(&team, &scene.user(0)))
            .await;
        // What it no longer knows of, it is not asked for.
        scene
            .send(&[scene.ticket("c").about("vpn").created()])
            .await;
        assert_eq!(scene.place("c").await, Place::unrouted());
        assert_eq!(scene.load(&team).await, (2, vec![(2, 0)]));
    }
}

#[tokio::test]
async fn what_tries_them_again_is_done_with_for_the_moment() {
    let scene = Scene::new(Words::Itsm).await;
    scene
        .send(&[scene.ticket("a").about("vpn").created()])
        .await;
    let team = scene.team_of("Network", "round_robin", &["VPN"]).await;
    scene.until_placed("a", &Place::waiting(&team)).await;
    // A second look is left for later, when the index shows all.
    until("nothing to do now", async || {
        scene.org.stack.has_nothing_due("long-jobs").await
    })
    .await;
}

#[tokio::test]
async fn missing_team_and_no_match_leaves_a_ticket_unrouted() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.specialists("Network", &["VPN"], [0]).await;
        let nowhere = Uuid::new_v4().to_string();
        scene
            .send(&[scene.ticket("a").team(&nowhere).about("coffee").created()])
            .await;
        assert_eq!(scene.place("a").await, Place::unrouted());
        assert_eq!(
            scene.decision("a").await["reason"],
            "The team that it names does not exist."
        );
        // Its next event may name one that does.
        scene
            .send(&[scene.ticket("a").team(&team).about("vpn").updated()])
            .await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&team, &scene.user(0))
        );
    }
}

#[tokio::test]
async fn missing_or_deleted_team_counts_as_no_team() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.specialists("Network", &["VPN"], [0]).await;
        let named = scene.team("Named", [1]).await;
        let deleted = scene.team("Deleted", []).await;
        let answer = scene.org.itsm.delete(&format!("/v1/teams/{deleted}")).await;
        assert_eq!(answer.status, 204, "{answer}");
        for (ticket, missing) in [("never", Uuid::new_v4().to_string()), ("deleted", deleted)] {
            scene
                .send(&[scene
                    .ticket(ticket)
                    .team(&missing)
                    .about("vpn")
                    .at(100)
                    .created()])
                .await;
            assert_eq!(
                scene.place(ticket).await,
                Place::assigned(&team, &scene.user(0)),
                "{ticket}"
            );
            let reason = "The team that it names does not exist; matched by specializations. The only eligible member of 1.";
            assert_eq!(scene.decision(ticket).await["reason"], reason);
            // Naming it set no version, so an older event that names an existing team counts.
            scene
                .send(&[scene.ticket(ticket).team(&named).at(50).created()])
                .await;
            assert_eq!(
                scene.place(ticket).await,
                Place::assigned(&named, &scene.user(1)),
                "{ticket}"
            );
        }
    }
}

#[tokio::test]
async fn a_team_that_does_not_exist_named_later_moves_nothing() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let team = scene.team("Rotation", [0, 1]).await;
        scene.send(&[scene.ticket("a").team(&team).created()]).await;
        let decision = scene.decision("a").await;
        scene
            .send(&[scene
                .ticket("a")
                .team(&Uuid::new_v4().to_string())
                .updated()])
            .await;
        assert_eq!(scene.decision("a").await, decision);
        assert_eq!(scene.load(&team).await, (1, vec![(1, 0), (0, 0)]));
    }
}

#[tokio::test]
async fn a_snapshot_that_names_another_team_moves_the_ticket_and_routes_it_there() {
    for words in Words::BOTH {
        let scene = Scene::new(words).await;
        let [from, to] = [
            scene.team("From", [0]).await,
            scene.team("To", [1, 2]).await,
        ];
        let status = |ticket: Ticket| ticket.status("in_progress");
        scene
            .send(&[status(scene.ticket("a").team(&from)).created()])
            .await;
        assert_eq!(scene.load(&from).await, (1, vec![(1, 1)]));
        scene
            .send(&[status(scene.ticket("a").team(&to)).updated()])
            .await;
        assert_eq!(scene.place("a").await, Place::assigned(&to, &scene.user(1)));
        assert_eq!(scene.load(&from).await, (0, vec![(0, 0)]));
        assert_eq!(scene.load(&to).await, (1, vec![(1, 1), (0, 0)]));
        // With an assignee, that is who has it there.
        scene
            .send(&[status(scene.ticket("a").team(&from).assignee(&scene.user(0))).updated()])
            .await;
        assert_eq!(
            scene.place("a").await,
            Place::assigned(&from, &scene.user(0))
        );
        assert_eq!(scene.load(&from).await, (1, vec![(1, 1)]));
        assert_eq!(scene.load(&to).await, (0, vec![(0, 0), (0, 0)]));
    }
}

#[tokio::test]
async fn a_waiting_ticket_moves_too() {
    let scene = Scene::new(Words::Itsm).await;
    let [from, to] = [scene.team("From", []).await, scene.team("To", [1]).await];
    scene.send(&[scene.ticket("a").team(&from).created()]).await;
    assert_eq!(scene.place("a").await, Place::waiting(&from));
    scene.send(&[scene.ticket("a").team(&to).updated()]).await;
    assert_eq!(scene.place("a").await, Place::assigned(&to, &scene.user(1)));
    assert_eq!(scene.load(&from).await, (0, vec![]));
    // Nothing of it is left for whoever joins.
    scene.join(&from, 0, &[]).await;
    assert_eq!(scene.load(&from).await, (0, vec![(0, 0)]));
}

#[tokio::test]
async fn what_another_organization_has_is_not_there() {
    for words in Words::BOTH {
        let (ours, theirs) = (Scene::new(words).await, Scene::new(words).await);
        let [our_team, their_team] = [
            ours.team("Ours", [0]).await,
            theirs.team("Theirs", [0]).await,
        ];
        theirs
            .send(&[theirs.ticket("a").team(&their_team).created()])
            .await;
        let decision = theirs.decision("a").await;
        // The same ticket id is another ticket; their team is none; their user is somebody unknown.
        ours.send(&[ours.ticket("a").team(&their_team).created()])
            .await;
        assert_eq!(ours.place("a").await, Place::unrouted());
        ours.send(&[ours
            .ticket("b")
            .team(&our_team)
            .assignee(&theirs.user(0))
            .created()])
            .await;
        assert_eq!(
            ours.place("b").await,
            Place::assigned(&our_team, &theirs.user(0))
        );
        ours.send(&[ours.ticket("a").deleted()]).await;

        assert_eq!(theirs.decision("a").await, decision);
        assert_eq!(theirs.load(&their_team).await, (1, vec![(1, 0)]));
        theirs.no_decision("b").await;
        let subject = format!("teams/{our_team}/members/{}", theirs.user(0));
        assert_eq!(ours.announced_of(&subject).await, [json!(null); 0]);
        let members = ours.get(&format!("/v1/teams/{our_team}/members")).await;
        assert!(!members.to_string().contains(&theirs.user(0)), "{members}");
    }
}

/// Also the record of the stream cannot be read, behind which stand those of the new team.
#[tokio::test]
async fn unreadable_ticket_keeps_no_other_from_a_new_team() {
    let scene = Scene::new(Words::Itsm).await;
    let ids: Vec<String> = (0..51).map(|n| format!("T-{n:02}")).collect();
    let events: Vec<_> = ids
        .iter()
        .map(|id| scene.ticket(id).about("vpn").created())
        .collect();
    scene.send(&events).await;
    // The stream has brought all of them, so the next record stands at the head of a batch.
    until("every ticket announced", async || {
        scene.announced(|all| all.len() >= ids.len())
    })
    .await;
    let pk = format!("ORG#{}#TICKET#T-00", scene.org.id);
    let rev = scene
        .org
        .stack
        .item(&pk, "TICKET")
        .await
        .expect("there is such a ticket")["rev"]
        .clone();
    scene
        .org
        .set_rev("T-00", AttributeValue::S("not a number".to_owned()))
        .await;

    let team = scene.specialists("Network", &["VPN"], [0]).await;
    for id in &ids[1..] {
        scene
            .until_placed(id, &Place::assigned(&team, &scene.user(0)))
            .await;
    }
    scene.org.set_rev("T-00", rev).await;
    assert_eq!(scene.place("T-00").await, Place::unrouted());
}
