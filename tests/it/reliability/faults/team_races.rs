//! Requests for a team that another client changes between the reads and the write.

use std::{collections::BTreeMap, sync::Arc};

use muster_domain::{
    Contract::{Itsm, Toptickets},
    UserStatus,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    FaultFixture, SHORT_TIME, TeamsState, assert_failed, call_in_time, each,
    races::{RaceResult, conflict, race, send_request, set_load_number, write_profile},
    write::Write,
};
use crate::support::{
    fault_injection::{FaultScript, Hook, InjectedFault, WRITES},
    invoke::TestInvocation,
    table::{OrgTable, assert_sound, number},
};

#[tokio::test]
async fn update_after_concurrent_edit_keeps_the_edit() {
    let describe = |fixture: &FaultFixture| {
        send_request(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "description": "New", "queue_strategy": "least_busy" }),
        )
    };
    race(Write::Rename, describe, |_, race| {
        let RaceResult {
            fixture,
            before,
            response,
            after,
        } = race;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(
            after,
            Write::Rename.apply(&fixture, Write::Describe.apply(&fixture, before))
        );
    })
    .await;
    race(Write::Lead, describe, |_, race| {
        let RaceResult {
            fixture,
            before,
            response,
            after,
        } = race;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(
            after,
            Write::Lead.apply(&fixture, Write::Describe.apply(&fixture, before))
        );
    })
    .await;
}

/// The version condition holds for the write, not only for the read.
#[tokio::test]
async fn if_match_after_concurrent_edit_returns_412() {
    let describe = |fixture: &FaultFixture| {
        send_request(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "description": "New", "lead_id": fixture.user(3) }),
        )
    };
    for write in [Write::DescribeIf, Write::DeleteIf] {
        race(write, describe, |contract, race| {
            let RaceResult {
                fixture,
                before,
                response,
                after,
            } = race;
            assert_eq!(
                (response.status.as_u16(), response.header("etag")),
                (412, ""),
                "{write:?}, {contract:?}: {response}"
            );
            let mut changed = Write::Describe.apply(&fixture, before);
            changed.team().lead = fixture.user(3);
            assert_eq!(after, changed, "{write:?}");
        })
        .await;
    }
}

/// A stale `If-Match` has priority over a concurrent change of the user: the client has to read the
/// team again first.
#[tokio::test]
async fn stale_version_is_reported_before_an_inactive_user() {
    let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
    let describe = send_request(
        &fixture,
        Method::PATCH,
        fixture.team_path(),
        json!({ "description": "Theirs" }),
    );
    let deactivate = write_profile(&fixture, 3, |user| user.status = UserStatus::Inactive);
    script.once(
        WRITES,
        InjectedFault::RunFirst(Arc::new(move || {
            let (describe, deactivate) = (describe(), deactivate());
            Box::pin(async move {
                describe.await;
                deactivate.await;
            })
        })),
    );
    let invocation = Write::Lead
        .invocation(&fixture, Itsm)
        .with("if-match", "\"5\"");
    let response = invocation.call(&fixture.deps(&script)).await;
    assert_eq!(
        (response.status.as_u16(), script.calls(WRITES)),
        (412, 1),
        "{response}"
    );
}

#[tokio::test]
async fn rename_replaces_a_concurrent_rename() {
    let rename = |fixture: &FaultFixture| {
        send_request(
            fixture,
            Method::PATCH,
            fixture.team_path(),
            json!({ "name": "Other" }),
        )
    };
    race(Write::Rename, rename, |_, race| {
        let RaceResult {
            mut before,
            response,
            after,
            ..
        } = race;
        assert_eq!(response.status, 200, "{response}");
        before.team().version += 2;
        assert_eq!(
            (after.teams.len(), &after.teams["New"]),
            (1, &before.teams["Team"])
        );
    })
    .await;
}

#[tokio::test]
async fn name_taken_concurrently_is_a_conflict() {
    let create = |fixture: &FaultFixture| {
        send_request(
            fixture,
            Method::POST,
            "/v1/teams".to_owned(),
            json!({ "name": "nEW" }),
        )
    };
    for write in [Write::Create, Write::Rename] {
        race(write, create, |contract, race| {
            let RaceResult {
                before,
                response,
                after,
                ..
            } = race;
            assert_eq!(response.status, conflict(contract), "{response}");
            assert_eq!(after.teams["Team"], before.teams["Team"]);
            assert_eq!(after.teams.len(), 2);
        })
        .await;
    }
}

#[tokio::test]
async fn write_to_concurrently_deleted_team_returns_404() {
    let delete = |fixture: &FaultFixture| {
        send_request(fixture, Method::DELETE, fixture.team_path(), Value::Null)
    };
    for (write, _) in Write::ALL {
        if matches!(
            write,
            Write::Create | Write::CreateOnce | Write::CreateWithLead
        ) {
            continue;
        }
        race(write, delete, |_, race| {
            let RaceResult {
                fixture,
                before,
                response,
                after,
            } = race;
            assert_eq!(response.status, 404, "{write:?}: {response}");
            assert!(
                response.text.contains("Team not found"),
                "{write:?}: {response}"
            );
            assert_eq!(after, Write::Delete.apply(&fixture, before), "{write:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn delete_includes_concurrent_changes() {
    for write in [
        Write::Add,
        Write::Return,
        Write::Describe,
        Write::Rename,
        Write::RemoveLead,
    ] {
        let change = |fixture: &FaultFixture| {
            let TestInvocation {
                method,
                target,
                body,
                ..
            } = match write {
                Write::RemoveLead => Write::Remove.invocation(fixture, Itsm),
                write => write.invocation(fixture, Itsm),
            };
            send_request(fixture, method, target, body.unwrap_or_default())
        };
        race(Write::Delete, change, |_, race| {
            let RaceResult {
                response, after, ..
            } = race;
            assert_eq!(response.status, 204, "{write:?}: {response}");
            assert_eq!(
                after,
                TeamsState {
                    teams: BTreeMap::new(),
                    deleted_teams: 1,
                    left_memberships: 0
                },
                "{write:?}"
            );
        })
        .await;
    }
}

#[tokio::test]
async fn ticket_opened_during_delete_is_rejected_or_swept() {
    let open = |fixture: &FaultFixture| set_load_number(fixture, "open_tickets", 3);
    race(Write::Delete, open, |contract, race| {
        let RaceResult {
            fixture,
            before,
            response,
            after,
        } = race;
        if contract == Itsm {
            assert_eq!(response.status, 409, "{response}");
            assert_eq!(
                response.json["error"]["details"],
                json!({ "openTickets": 3 }),
                "{response}"
            );
            assert_eq!(after, before);
        } else {
            assert_eq!(response.status, 204, "{response}");
            // The memberships stay until their tickets are swept.
            assert!(after.left_memberships > 0, "{after:?}");
            assert_eq!(
                after,
                TeamsState {
                    left_memberships: after.left_memberships,
                    ..Write::Delete.apply(&fixture, before)
                }
            );
        }
    })
    .await;

    let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
    script.once(WRITES, InjectedFault::RunFirst(open(&fixture)));
    Write::Delete
        .invocation(&fixture, Toptickets)
        .call(&fixture.deps(&script))
        .await;
    let contents = fixture.table.contents_with(&[&fixture.team]).await;
    assert_eq!(
        number(&contents.deleted_teams[&fixture.team], "open_tickets"),
        3
    );
}

#[tokio::test]
async fn team_under_constant_change_returns_503() {
    each(
        [
            (Write::Rename, Toptickets),
            (Write::Lead, Itsm),
            (Write::Delete, Itsm),
        ],
        async |(write, contract)| {
            let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
            let table = Arc::new(OrgTable::of(&fixture.org));
            let (team, version) = (
                fixture.team.clone(),
                Arc::new(std::sync::atomic::AtomicI64::new(100)),
            );
            let change: Hook = Arc::new(move || {
                let (table, team) = (Arc::clone(&table), team.clone());
                let version = version.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Box::pin(async move { table.set_number(&team, "version", version).await })
            });
            script.always(WRITES, InjectedFault::RunFirst(change));
            let invocation = TestInvocation {
                time: SHORT_TIME,
                ..write.invocation(&fixture, contract)
            };
            let response = call_in_time(&invocation, &fixture.deps(&script)).await;
            assert_failed(&response, contract, 503, "contention");
            assert!(script.calls(WRITES) > 1);
            assert_eq!(
                assert_sound(&fixture.org).await.named("Team"),
                [fixture.team]
            );
        },
    )
    .await;
}
