//! The version rules of events: duplicates, late events, and events of equal time.

use std::time::Duration;

use muster_domain::Timestamp;
use serde_json::{Value, json};

use super::{MORNING, Placement, Platform, PlatformFixture};

#[tokio::test]
async fn duplicate_event_changes_no_state() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0, 1]).await;
        let event = fixture.ticket("a").team(&team).created();
        fixture
            .send(&[event.clone(), event.clone(), event.clone()])
            .await;
        let decision = fixture.decision("a").await;
        for _ in 0..2 {
            fixture.send(std::slice::from_ref(&event)).await;
        }
        assert_eq!(fixture.decision("a").await, decision);
        // The duplicates took no turn.
        assert_eq!(fixture.assigned(&team, ["b"]).await, fixture.users([1]));
        assert_eq!(fixture.decision("b").await["turn"], 2);
        assert_eq!(fixture.load(&team).await, (2, vec![(1, 0), (1, 0)]));
        assert_eq!(fixture.announced_of("tickets/a").await.len(), 1);
    }
}

#[tokio::test]
async fn older_snapshot_changes_no_state() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0, 1]).await;
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .status("in_progress")
                .at(100)
                .updated()])
            .await;
        let decision = fixture.decision("a").await;
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .status("closed")
                .at(99)
                .updated()])
            .await;
        fixture
            .send(&[fixture.ticket("a").status("open").at(50).created()])
            .await;
        assert_eq!(fixture.decision("a").await, decision);
        assert_eq!(fixture.load(&team).await, (1, vec![(1, 1), (0, 0)]));
    }
}

#[tokio::test]
async fn older_event_sets_fields_that_no_newer_event_set() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0, 1]).await;
        // The newest event sets the status only. Older events arrive after it.
        fixture
            .send(&[fixture.ticket("a").status("in_progress").at(100).updated()])
            .await;
        assert_eq!(fixture.placement("a").await, Placement::unrouted());
        fixture
            .send(&[fixture.ticket("a").team(&team).at(50).updated()])
            .await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(0))
        );
        assert_eq!(fixture.decision("a").await["status"], "in_progress");

        // A decision has the version of the event that requested it, so an assignee of an older
        // event does not apply.
        fixture
            .send(&[fixture.ticket("b").team(&team).at(100).created()])
            .await;
        assert_eq!(
            fixture.placement("b").await,
            Placement::assigned(&team, &fixture.user(1))
        );
        fixture
            .send(&[fixture
                .ticket("b")
                .assignee(&fixture.user(0))
                .at(90)
                .updated()])
            .await;
        assert_eq!(
            fixture.placement("b").await,
            Placement::assigned(&team, &fixture.user(1))
        );
        // An assignee with a later version applies, even if another event is newer.
        fixture
            .send(&[fixture.ticket("b").status("pending").at(300).updated()])
            .await;
        fixture
            .send(&[fixture
                .ticket("b")
                .assignee(&fixture.user(0))
                .at(200)
                .status("open")
                .updated()])
            .await;
        assert_eq!(
            fixture.placement("b").await,
            Placement::assigned(&team, &fixture.user(0))
        );
        assert_eq!(fixture.decision("b").await["status"], "pending");
    }
}

#[tokio::test]
async fn older_event_sets_assignee_of_unassigned_ticket() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Nobody", []).await;
        let events = [
            fixture.ticket("waits").team(&team).at(100).updated(),
            fixture.ticket("unrouted").at(100).updated(),
        ];
        fixture.send(&events).await;
        assert_eq!(fixture.placement("waits").await, Placement::waiting(&team));
        assert_eq!(fixture.placement("unrouted").await, Placement::unrouted());
        // No newer event has set the assignee.
        let named = |id: &str| {
            fixture
                .ticket(id)
                .team(&team)
                .assignee(&fixture.user(0))
                .at(50)
                .updated()
        };
        fixture.send(&[named("waits"), named("unrouted")]).await;
        for ticket in ["waits", "unrouted"] {
            assert_eq!(
                fixture.placement(ticket).await,
                Placement::assigned(&team, &fixture.user(0)),
                "{ticket}"
            );
        }
    }
}

#[tokio::test]
async fn equal_times_compare_by_event_id() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Rotation", [0, 1]).await;
    let event = |status: &str, event_id: &str| {
        fixture
            .ticket("a")
            .team(&team)
            .status(status)
            .at(100)
            .event_id(event_id)
            .updated()
    };
    fixture.send(&[event("open", "e-2")]).await;
    fixture.send(&[event("closed", "e-1")]).await;
    assert_eq!(fixture.decision("a").await["status"], "open");
    fixture.send(&[event("in_progress", "e-3")]).await;
    assert_eq!(fixture.decision("a").await["status"], "in_progress");
}

#[tokio::test]
async fn same_second_the_later_event_time_wins() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0, 1]).await;
        let event = |id: &str| fixture.ticket(id).team(&team).at(100);
        // The order of the ids contradicts the order of the times. The later event arrives last or
        // first.
        let opened = |id: &str| {
            event(id)
                .status("in_progress")
                .sent_at(100_100)
                .event_id("z-1")
                .created()
        };
        let resolved = |id: &str| {
            event(id)
                .status("resolved")
                .resolved(100)
                .sent_at(100_900)
                .event_id("a-1")
                .updated()
        };
        fixture.send(&[opened("last")]).await;
        fixture.send(&[resolved("last")]).await;
        fixture.send(&[resolved("first")]).await;
        fixture.send(&[opened("first")]).await;
        fixture
            .send(&[resolved("together"), opened("together")])
            .await;
        for ticket in ["last", "first", "together"] {
            assert_eq!(
                fixture.decision(ticket).await["status"],
                "resolved",
                "{ticket}"
            );
        }
        // An event without a time sorts before events with one and the same `updated_at`, and after
        // events with an earlier `updated_at`.
        let timeless = |id: &str, at: i64| {
            fixture
                .ticket(id)
                .team(&team)
                .status("pending")
                .at(at)
                .without_event_time()
                .event_id("zz-1")
                .updated()
        };
        fixture.send(&[timeless("last", 100)]).await;
        assert_eq!(fixture.decision("last").await["status"], "resolved");
        fixture.send(&[timeless("last", 101)]).await;
        assert_eq!(fixture.decision("last").await["status"], "pending");
    }
}

#[tokio::test]
async fn same_second_unassignment_after_creation_applies() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Rotation", [0, 1]).await;
    fixture
        .send(&[fixture
            .ticket("a")
            .team(&team)
            .at(100)
            .sent_at(100_000)
            .event_id("z-1")
            .created()])
        .await;
    assert_eq!(
        fixture.placement("a").await,
        Placement::assigned(&team, &fixture.user(0))
    );
    fixture
        .send(&[fixture
            .ticket("a")
            .at(100)
            .sent_at(100_500)
            .event_id("a-1")
            .unassigned()])
        .await;
    assert_eq!(
        fixture.placement("a").await,
        Placement::assigned(&team, &fixture.user(1))
    );
    assert_eq!(fixture.decision("a").await["turn"], 2);
}

#[tokio::test]
async fn future_event_time_with_updated_at_is_accepted() {
    let fixture = PlatformFixture::new(Platform::TopTickets).await;
    let team = fixture.team("Rotation", [0]).await;
    let far = Timestamp::now().millis() - MORNING * 1000 + 3_600_000_000;
    fixture
        .send(&[fixture
            .ticket("a")
            .team(&team)
            .at(100)
            .sent_at(far)
            .created()])
        .await;
    assert_eq!(
        fixture.placement("a").await,
        Placement::assigned(&team, &fixture.user(0))
    );
    // The event time only orders events with equal `updated_at`.
    fixture
        .send(&[fixture
            .ticket("a")
            .status("pending")
            .at(101)
            .sent_at(0)
            .updated()])
        .await;
    assert_eq!(fixture.decision("a").await["status"], "pending");
}

#[tokio::test]
async fn events_out_of_order_end_as_in_order() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let [first, second] = [
            fixture.team("First", [0]).await,
            fixture.team("Second", [1, 2]).await,
        ];
        let events = |id: &str| {
            [
                fixture.ticket(id).team(&first).opened(0).at(10).created(),
                fixture.ticket(id).team(&second).opened(0).at(20).updated(),
                fixture
                    .ticket(id)
                    .team(&second)
                    .assignee(&fixture.user(2))
                    .opened(0)
                    .at(30)
                    .updated(),
                fixture
                    .ticket(id)
                    .status("resolved")
                    .opened(0)
                    .at(40)
                    .updated(),
                fixture
                    .ticket(id)
                    .status("in_progress")
                    .opened(0)
                    .at(50)
                    .updated(),
            ]
        };
        let orders = [
            [0, 1, 2, 3, 4],
            [4, 3, 2, 1, 0],
            [2, 4, 0, 3, 1],
            [1, 0, 4, 2, 3],
        ];
        for (n, order) in orders.into_iter().enumerate() {
            let [apart, together] = ["apart", "together"].map(|how| format!("{how}-{n}"));
            let events = |id: &str| order.map(|at| events(id)[at].clone());
            for event in events(&apart) {
                fixture.send(&[event]).await;
            }
            fixture.send(&events(&together)).await;
            for ticket in [apart, together] {
                assert_eq!(
                    fixture.placement(&ticket).await,
                    Placement::assigned(&second, &fixture.user(2)),
                    "{ticket} {order:?}"
                );
                assert_eq!(
                    fixture.decision(&ticket).await["status"],
                    "in_progress",
                    "{ticket}"
                );
            }
        }
        assert_eq!(fixture.load(&first).await, (0, vec![(0, 0)]));
        assert_eq!(fixture.load(&second).await, (8, vec![(0, 0), (8, 8)]));
    }
}

#[tokio::test]
async fn event_without_updated_at_uses_its_own_time() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0]).await;
        let timeless = |status: &str, at: i64| {
            let mut event = fixture
                .ticket("a")
                .team(&team)
                .status(status)
                .at(at)
                .updated();
            event["data"]["ticket"]["updated_at"] = Value::Null;
            event
        };
        fixture.send(&[timeless("in_progress", 100)]).await;
        fixture.send(&[timeless("closed", 99)]).await;
        assert_eq!(fixture.decision("a").await["status"], "in_progress");
        fixture.send(&[timeless("pending", 101)]).await;
        assert_eq!(fixture.decision("a").await["status"], "pending");
    }
}

#[tokio::test]
async fn times_are_read_in_iso_8601_and_unix_seconds() {
    let fixture = PlatformFixture::new(Platform::Itsm).await;
    let team = fixture.team("Rotation", [0]).await;
    // Each time is a second later than the previous one, in another form.
    let forms = [
        ("open", json!("2025-01-05T08:00:00Z")),
        ("pending", json!(1_736_064_001)),
        ("in_progress", json!("2025-01-05T09:00:02+01:00")),
        ("on_hold", json!("2025-01-05T08:00:03.500Z")),
        ("open", json!(1_736_064_004.25)),
    ];
    for (status, at) in forms {
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .status(status)
                .with("updated_at", at.clone())
                .updated()])
            .await;
        assert_eq!(fixture.decision("a").await["status"], status, "{at}");
    }
    let millisecond_before = json!("2025-01-05T08:00:04.249Z");
    fixture
        .send(&[fixture
            .ticket("a")
            .status("closed")
            .with("updated_at", millisecond_before)
            .updated()])
        .await;
    assert_eq!(fixture.decision("a").await["status"], "open");
}

#[tokio::test]
async fn event_4_minutes_ahead_of_the_clock_is_accepted() {
    let fixture = PlatformFixture::new(Platform::TopTickets).await;
    let team = fixture.team("Rotation", [0]).await;
    let ahead = Timestamp::now().plus(Duration::from_mins(4)).iso8601();
    fixture
        .send(&[fixture
            .ticket("a")
            .team(&team)
            .with("updated_at", ahead)
            .created()])
        .await;
    assert_eq!(
        fixture.placement("a").await,
        Placement::assigned(&team, &fixture.user(0))
    );
}

#[tokio::test]
async fn event_bridge_envelope_is_unwrapped() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0]).await;
        let event = fixture.ticket("a").team(&team).created();
        let envelope = json!({
            "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "ticket.created",
            "source": "desk", "account": "123456789012", "time": "2025-01-05T08:00:00Z", "region": "us-east-1",
            "resources": [], "detail": event,
        });
        fixture.send(&[envelope]).await;
        assert_eq!(
            fixture.placement("a").await,
            Placement::assigned(&team, &fixture.user(0))
        );
    }
}

#[tokio::test]
async fn deleted_ticket_stays_deleted() {
    for platform in Platform::BOTH {
        let fixture = PlatformFixture::new(platform).await;
        let team = fixture.team("Rotation", [0]).await;
        fixture
            .send(&[fixture
                .ticket("a")
                .team(&team)
                .status("in_progress")
                .at(10)
                .created()])
            .await;
        fixture.send(&[fixture.ticket("a").at(20).deleted()]).await;
        fixture.missing_decision("a").await;
        assert_eq!(fixture.load(&team).await, (0, vec![(0, 0)]));
        // Neither a later event nor an earlier one that arrives after the deletion restores a
        // ticket.
        fixture
            .send(&[
                fixture.ticket("a").team(&team).at(30).updated(),
                fixture.ticket("b").at(20).deleted(),
            ])
            .await;
        fixture
            .send(&[fixture.ticket("b").team(&team).at(10).created()])
            .await;
        fixture
            .send(&[fixture
                .ticket("b")
                .team(&team)
                .assignee(&fixture.user(0))
                .at(40)
                .updated()])
            .await;
        let response = fixture.missing_decision("a").await;
        match platform {
            Platform::TopTickets => {
                assert_eq!(response.json, json!({ "detail": "Ticket not found" }));
            }
            Platform::Itsm => assert_eq!(response.json["error"]["code"], "NOT_FOUND", "{response}"),
        }
        fixture.missing_decision("b").await;
        assert_eq!(fixture.load(&team).await, (0, vec![(0, 0)]));
    }
}
