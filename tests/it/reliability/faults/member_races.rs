//! Requests for a member that another client changes between the reads and the write.

use muster_domain::{
    Contract::{Itsm, Toptickets},
    UserStatus,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    FaultFixture,
    races::{RaceResult, conflict, race, send_request, set_team_number, write_profile},
    write::Write,
};
use crate::support::{
    fault_injection::{FaultScript, InjectedFault, WRITES},
    table::number,
};

#[tokio::test]
async fn concurrently_deactivated_user_is_rejected() {
    for (write, n) in [
        (Write::Add, 3),
        (Write::AddLead, 3),
        (Write::Return, 2),
        (Write::Lead, 3),
        (Write::CreateWithLead, 3),
        (Write::Promote, 0),
    ] {
        let deactivate = |fixture: &FaultFixture| {
            write_profile(fixture, n, |user| user.status = UserStatus::Inactive)
        };
        race(write, deactivate, |_, race| {
            let RaceResult {
                before,
                response,
                after,
                ..
            } = race;
            assert_eq!(response.status, 422, "{write:?}: {response}");
            assert_eq!(after, before, "{write:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn concurrently_changed_profile_is_copied_as_changed() {
    for (write, n) in [(Write::Add, 3), (Write::Return, 2)] {
        let rename = |fixture: &FaultFixture| {
            write_profile(fixture, n, |user| "Renamed".clone_into(&mut user.name))
        };
        race(write, rename, |_, race| {
            let RaceResult {
                fixture,
                before,
                response,
                after,
            } = race;
            assert_eq!(response.status, 201, "{write:?}: {response}");
            assert!(response.text.contains("Renamed"), "{write:?}: {response}");
            assert_eq!(after, write.apply(&fixture, before), "{write:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn concurrently_added_user_is_a_conflict() {
    for (write, n) in [(Write::Add, 3), (Write::Return, 2)] {
        let add = |fixture: &FaultFixture| {
            send_request(
                fixture,
                Method::POST,
                format!("{}/members", fixture.team_path()),
                json!({ "user_id": fixture.user(n) }),
            )
        };
        race(write, add, |contract, race| {
            let RaceResult {
                fixture,
                before,
                response,
                after,
            } = race;
            assert_eq!(response.status, conflict(contract), "{write:?}: {response}");
            assert_eq!(after, write.apply(&fixture, before), "{write:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn concurrently_removed_member_is_not_found() {
    for (write, n) in [
        (Write::Remove, 0),
        (Write::Add, 0),
        (Write::Learn, 0),
        (Write::Promote, 0),
    ] {
        let remove = |fixture: &FaultFixture| {
            let member = format!("{}/members/{}", fixture.team_path(), fixture.user(n));
            send_request(fixture, Method::DELETE, member, Value::Null)
        };
        race(write, remove, |_, race| {
            let RaceResult {
                fixture,
                before,
                response,
                after,
            } = race;
            let removed = Write::Remove.apply(&fixture, before);
            if write == Write::Add {
                assert_eq!(
                    (response.status.as_u16(), after),
                    (201, write.apply(&fixture, removed)),
                    "{response}"
                );
            } else {
                assert_eq!(
                    (response.status.as_u16(), after),
                    (404, removed),
                    "{response}"
                );
            }
        })
        .await;
    }
}

#[tokio::test]
async fn concurrently_promoted_member_is_treated_as_lead() {
    let promote = |fixture: &FaultFixture| {
        send_request(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "lead_id": fixture.user(0) }),
        )
    };
    race(Write::Remove, promote, |contract, race| {
        let RaceResult {
            fixture,
            mut before,
            response,
            after,
        } = race;
        before.team().version += 1;
        before.team().lead = fixture.user(0);
        if contract == Itsm {
            assert_eq!(response.status, 409, "{response}");
        } else {
            assert_eq!(response.status, 204, "{response}");
            before = Write::Remove.apply(&fixture, before);
            before.team().lead.clear();
        }
        assert_eq!(after, before);
    })
    .await;
}

/// The condition of a write checks the lead as stored, not as read.
#[tokio::test]
async fn concurrently_named_lead_is_replaced_or_kept() {
    let lead = |fixture: &FaultFixture| {
        send_request(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "lead_id": fixture.user(3) }),
        )
    };
    race(Write::Promote, lead, |_, race| {
        let RaceResult {
            fixture,
            before,
            response,
            after,
        } = race;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(
            after,
            Write::Promote.apply(&fixture, Write::Lead.apply(&fixture, before))
        );
    })
    .await;
    race(Write::Demote, lead, |_, race| {
        let RaceResult {
            fixture,
            before,
            response,
            after,
        } = race;
        assert_eq!(response.status, 200, "{response}");
        // The former lead is a member already.
        assert_eq!(after, Write::Lead.apply(&fixture, before));
    })
    .await;
}

/// A first transaction finds the lead, and a second one removes it. The lead can change before
/// either.
#[tokio::test]
async fn removal_of_replaced_lead_keeps_the_new_lead() {
    let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
    let before = fixture.state().await;
    let replace = send_request(
        &fixture,
        Method::PATCH,
        fixture.team_path(),
        json!({ "lead_id": fixture.user(3) }),
    );
    script.once(WRITES, InjectedFault::RunFirst(replace));
    let response = Write::RemoveLead
        .invocation(&fixture, Toptickets)
        .call(&fixture.deps(&script))
        .await;
    assert_eq!(response.status, 204, "{response}");
    let mut expected = Write::RemoveLead.apply(&fixture, Write::Lead.apply(&fixture, before));
    expected.team().lead = fixture.user(3);
    assert_eq!(fixture.state().await, expected);
}

#[tokio::test]
async fn concurrently_filled_team_is_full() {
    for (write, contract) in [
        (Write::Add, Toptickets),
        (Write::Return, Itsm),
        (Write::AddLead, Itsm),
    ] {
        let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
        script.once(
            WRITES,
            InjectedFault::RunFirst(set_team_number(&fixture, "member_count", 500)),
        );
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert_eq!(response.status, conflict(contract), "{response}");
        assert!(
            response.text.to_lowercase().contains("team is full"),
            "{response}"
        );
        let contents = fixture.table.contents().await;
        assert_eq!(
            (
                contents.members(&fixture.team).len(),
                number(&contents.teams[&fixture.team], "member_count")
            ),
            (2, 500)
        );
    }
}
