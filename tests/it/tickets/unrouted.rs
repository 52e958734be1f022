//! The team of a ticket that names none, a missing one, or another one.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use uuid::Uuid;

use super::{Placement, Platform, PlatformEvent, PlatformFixture, wait_until};

#[tokio::test]
async fn ticket_without_team_goes_to_team_with_most_matches() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let network = fixture
            .team_with_topics("Network", &["Network", "VPN", "DNS"], [0])
            .await;
        let support = fixture
            .team_with_topics("Desk", &["vpn", "Printer"], [1])
            .await;
        let events = [
            fixture.ticket("category").about("NETWORK").created(),
            fixture
                .ticket("subcategory")
                .about("Hardware")
                .with("subcategory", "printer")
                .created(),
            fixture
                .ticket("tags")
                .with("tags", json!(["x", "dns"]))
                .created(),
            fixture
                .ticket("most")
                .about("vpn")
                .with("subcategory", "printer")
                .with("tags", json!(["other"]))
                .created(),
            fixture.ticket("none").about("Coffee").created(),
            fixture.ticket("nothing").created(),
        ];
        fixture.send(&events).await;
        for (ticket, team, user) in [
            ("category", &network, 0),
            ("subcategory", &support, 1),
            ("tags", &network, 0),
            ("most", &support, 1),
        ] {
            assert_eq!(
                fixture.placement(ticket).await,
                Placement::assigned(team, &fixture.user(user)),
                "{ticket}"
            );
        }
        for ticket in ["none", "nothing"] {
            assert_eq!(
                fixture.placement(ticket).await,
                Placement::unrouted(),
                "{ticket}"
            );
            let decision = fixture.decision(ticket).await;
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
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    // Each U+FDFA folds to 18 characters, so the folded tag has more bytes than a partition key.
    let long = "\u{fdfa}".repeat(64);
    let team = fixture
        .team_of("Long", "round_robin", &[&long, "Marker"])
        .await;
    fixture.join(&team, 0, &[]).await;
    fixture.until_indexed(&team, "Marker").await;
    fixture
        .send(&[fixture.ticket("long").about(&long).created()])
        .await;
    fixture
        .until_placed("long", &Placement::assigned(&team, &fixture.user(0)))
        .await;
    let shorter = "\u{fdfa}".repeat(63);
    fixture
        .send(&[fixture.ticket("shorter").about(&shorter).created()])
        .await;
    assert_eq!(fixture.placement("shorter").await, Placement::unrouted());
}

#[tokio::test]
async fn team_without_eligible_member_ranks_last() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let empty = fixture
        .team_with_topics("Knows all", &["VPN", "DNS"], [])
        .await;
    let some = fixture.team_with_topics("Knows some", &["VPN"], [0]).await;
    fixture
        .send(&[fixture
            .ticket("a")
            .about("vpn")
            .with("subcategory", "dns")
            .created()])
        .await;
    assert_eq!(
        fixture.placement("a").await,
        Placement::assigned(&some, &fixture.user(0))
    );
    // Without another match, the ticket waits in that team.
    fixture
        .send(&[fixture.ticket("b").about("dns").created()])
        .await;
    assert_eq!(fixture.placement("b").await, Placement::waiting(&empty));
}

#[tokio::test]
async fn equal_matches_rank_by_tickets_per_member_then_age() {
    let fixture = PlatformFixture::new(Platform::TopTickets).await;
    let older = fixture.team_with_topics("Older", &["VPN"], [0]).await;
    let larger = fixture
        .team_with_topics("Larger", &["VPN"], [1, 2, 3])
        .await;
    let mut teams = Vec::new();
    for ticket in ["a", "b", "c", "d", "e"] {
        fixture
            .send(&[fixture.ticket(ticket).about("vpn").created()])
            .await;
        teams.push(fixture.placement(ticket).await.team.expect("a team"));
    }
    // 0/1 = 0/3; 1/1 > 0/3, 1/3, 2/3; 1/1 = 3/3.
    assert_eq!(
        teams,
        [&older, &larger, &larger, &larger, &older].map(Clone::clone)
    );
}

#[tokio::test]
async fn unrouted_ticket_is_routed_by_its_next_event() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team_with_topics("Network", &["VPN"], [0]).await;
        fixture
            .send(&[fixture.ticket("a").about("coffee").created()])
            .await;
        assert_eq!(fixture.placement("a").await, Placement::unrouted());
        fixture
            .send(&[fixture.ticket("a").about("vpn").updated()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(0))
        );
    }
}

#[tokio::test]
async fn new_team_and_new_specialization_route_unrouted_tickets() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        fixture
            .send(&[
                fixture.ticket("a").about("vpn").created(),
                fixture.ticket("b").about("DNS").created(),
            ])
            .await;
        assert_eq!(fixture.placement("a").await, Placement::unrouted());
        let team = fixture.team_of("Network", "round_robin", &["VPN"]).await;
        fixture.until_placed("a", &Placement::waiting(&team)).await;
        assert_eq!(fixture.placement("b").await, Placement::unrouted());
        fixture.join(&team, 0, &[]).await;
        fixture
            .until_placed("a", &Placement::assigned(&team, &fixture.user(0)))
            .await;

        let response = fixture
            .org
            .itsm
            .patch(
                &format!("/v1/teams/{team}"),
                json!({ "specializations": ["dns"] }),
            )
            .await;
        assert_eq!(response.status, 200, "{response}");
        fixture
            .until_placed("b", &Placement::assigned(&team, &fixture.user(0)))
            .await;
        // The removed specialization does not match.
        fixture
            .send(&[fixture.ticket("c").about("vpn").created()])
            .await;
        assert_eq!(fixture.placement("c").await, Placement::unrouted());
        assert_eq!(fixture.load(&team).await, (2, vec![(2, 0)]));
    }
}

#[tokio::test]
async fn pass_over_unrouted_tickets_leaves_no_due_message() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    fixture
        .send(&[fixture.ticket("a").about("vpn").created()])
        .await;
    let team = fixture.team_of("Network", "round_robin", &["VPN"]).await;
    fixture.until_placed("a", &Placement::waiting(&team)).await;
    // The second pass is delayed until the index has every entry.
    wait_until("no message is due", async || {
        fixture.org.stack.is_idle("long-jobs").await
    })
    .await;
}

#[tokio::test]
async fn missing_team_and_no_match_leaves_a_ticket_unrouted() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team_with_topics("Network", &["VPN"], [0]).await;
        let nowhere = Uuid::new_v4().to_string();
        fixture
            .send(&[fixture.ticket("a").team(&nowhere).about("coffee").created()])
            .await;
        assert_eq!(fixture.placement("a").await, Placement::unrouted());
        assert_eq!(
            fixture.decision("a").await["reason"],
            "The team that it names does not exist."
        );
        // The next event names an existing team.
        fixture
            .send(&[fixture.ticket("a").team(&team).about("vpn").updated()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(0))
        );
    }
}

#[tokio::test]
async fn missing_or_deleted_team_counts_as_no_team() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team_with_topics("Network", &["VPN"], [0]).await;
        let named = fixture.team("Named", [1]).await;
        let deleted = fixture.team("Deleted", []).await;
        let response = fixture
            .org
            .itsm
            .delete(&format!("/v1/teams/{deleted}"))
            .await;
        assert_eq!(response.status, 204, "{response}");
        for (ticket, missing) in [("never", Uuid::new_v4().to_string()), ("deleted", deleted)] {
            fixture
                .send(&[fixture
                    .ticket(ticket)
                    .team(&missing)
                    .about("vpn")
                    .at(100)
                    .created()])
                .await;
            assert_eq!(
                fixture.placement(ticket).await,
                Placement::assigned(&team, &fixture.user(0)),
                "{ticket}"
            );
            let reason = "The team that it names does not exist; matched by specializations. The only eligible member of 1.";
            assert_eq!(fixture.decision(ticket).await["reason"], reason);
            // A missing team sets no version, so an older event that names an existing team
            // applies.
            fixture
                .send(&[fixture.ticket(ticket).team(&named).at(50).created()])
                .await;
            assert_eq!(
                fixture.placement(ticket).await,
                Placement::assigned(&named, &fixture.user(1)),
                "{ticket}"
            );
        }
    }
}

#[tokio::test]
async fn missing_team_in_a_later_event_moves_no_ticket() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0, 1]).await;
        fixture
            .send(&[fixture.ticket("a").team(&team).created()])
            .await;
        let decision = fixture.decision("a").await;
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&Uuid::new_v4().to_string())
                .updated()])
            .await;
        assert_eq!(fixture.decision("a").await, decision);
        assert_eq!(fixture.load(&team).await, (1, vec![(1, 0), (0, 0)]));
    }
}

#[tokio::test]
async fn event_with_another_team_moves_the_ticket() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let [from, to] = [
            fixture.team("From", [0]).await,
            fixture.team("To", [1, 2]).await,
        ];
        let status = |ticket: PlatformEvent| ticket.status("in_progress");
        fixture
            .send(&[status(fixture.ticket("a").team(&from)).created()])
            .await;
        assert_eq!(fixture.load(&from).await, (1, vec![(1, 1)]));
        fixture
            .send(&[status(fixture.ticket("a").team(&to)).updated()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&to, &fixture.user(1))
        );
        assert_eq!(fixture.load(&from).await, (0, vec![(0, 0)]));
        assert_eq!(fixture.load(&to).await, (1, vec![(1, 1), (0, 0)]));
        // The event also names an assignee.
        fixture
            .send(&[status(fixture.ticket("a").team(&from).assignee(&fixture.user(0))).updated()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&from, &fixture.user(0))
        );
        assert_eq!(fixture.load(&from).await, (1, vec![(1, 1)]));
        assert_eq!(fixture.load(&to).await, (0, vec![(0, 0), (0, 0)]));
    }
}

#[tokio::test]
async fn waiting_ticket_moves_to_another_team() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let [from, to] = [
        fixture.team("From", []).await,
        fixture.team("To", [1]).await,
    ];
    fixture
        .send(&[fixture.ticket("a").team(&from).created()])
        .await;
    assert_eq!(fixture.placement("a").await, Placement::waiting(&from));
    fixture
        .send(&[fixture.ticket("a").team(&to).updated()])
        .await;
    assert_eq!(
        fixture.placement("a").await,
        Placement::assigned(&to, &fixture.user(1))
    );
    assert_eq!(fixture.load(&from).await, (0, vec![]));
    // No counter of the ticket is left in its former team.
    fixture.join(&from, 0, &[]).await;
    assert_eq!(fixture.load(&from).await, (0, vec![(0, 0)]));
}

#[tokio::test]
async fn ids_of_another_organization_are_unknown() {
    for platform in Platform::BOTH {
        let (ours, theirs) = (
            PlatformFixture::new(platform).await,
            PlatformFixture::new(platform).await,
        );
        let [our_team, their_team] = [
            ours.team("Ours", [0]).await,
            theirs.team("Theirs", [0]).await,
        ];
        theirs
            .send(&[theirs.ticket("a").team(&their_team).created()])
            .await;
        let decision = theirs.decision("a").await;
        // The ticket id is another ticket, the team does not exist, and the user is unknown.
        ours.send(&[ours.ticket("a").team(&their_team).created()])
            .await;
        assert_eq!(ours.placement("a").await, Placement::unrouted());
        ours.send(&[ours
            .ticket("b")
            .team(&our_team)
            .assignee(&theirs.user(0))
            .created()])
            .await;
        assert_eq!(
            ours.placement("b").await,
            Placement::assigned(&our_team, &theirs.user(0))
        );
        ours.send(&[ours.ticket("a").deleted()]).await;

        assert_eq!(theirs.decision("a").await, decision);
        assert_eq!(theirs.load(&their_team).await, (1, vec![(1, 0)]));
        theirs.missing_decision("b").await;
        let subject = format!("teams/{our_team}/members/{}", theirs.user(0));
        assert_eq!(ours.announced_of(&subject).await, [json!(null); 0]);
        let members = ours.get(&format!("/v1/teams/{our_team}/members")).await;
        assert!(!members.to_string().contains(&theirs.user(0)), "{members}");
    }
}

/// The stream record of the ticket is unreadable too, and precedes those of the new team.
#[tokio::test]
async fn unreadable_ticket_does_not_block_routing_to_new_team() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let ids: Vec<String> = (0..51).map(|n| format!("T-{n:02}")).collect();
    let events: Vec<_> = ids
        .iter()
        .map(|id| fixture.ticket(id).about("vpn").created())
        .collect();
    fixture.send(&events).await;
    // The stream has delivered all of them, so the next record is the first of its batch.
    wait_until("every ticket announced", async || {
        fixture.announced(|all| all.len() >= ids.len())
    })
    .await;
    let pk = format!("ORG#{}#TICKET#T-00", fixture.org.id);
    let rev = fixture
        .org
        .stack
        .item(&pk, "TICKET")
        .await
        .expect("the ticket exists")["rev"]
        .clone();
    fixture
        .org
        .set_rev("T-00", AttributeValue::S("not a number".to_owned()))
        .await;

    let team = fixture.team_with_topics("Network", &["VPN"], [0]).await;
    for id in &ids[1..] {
        fixture
            .until_placed(id, &Placement::assigned(&team, &fixture.user(0)))
            .await;
    }
    fixture.org.set_rev("T-00", rev).await;
    assert_eq!(fixture.placement("T-00").await, Placement::unrouted());
}
