//! The cost of writes to members.

use insta::assert_snapshot;
use muster_domain::Contract::{self, Itsm, Toptickets};
use serde_json::json;

use super::{CostRecorder, delete, patch, post};

/// Adds the cases of patches of a member.
async fn patch_member(recorder: &mut CostRecorder, contract: Contract, member: &str) {
    let (learned, led) = (json!({ "skills": ["vpn"] }), json!({ "role": "lead" }));
    let same_role = json!({ "role": "lead", "skills": ["dns"] });
    let both = json!({ "role": "member", "skills": [] });
    for (round_trips, case, body) in [
        (1, "patch of skills", learned.clone()),
        (1, "patch to the same skills", learned),
        (1, "patch without a known field", json!({ "id": "x" })),
        (2, "patch that makes the lead", led.clone()),
        (1, "patch to the same role", led),
        (2, "patch of skills, same role", same_role),
        (2, "patch that clears the lead", both),
    ] {
        recorder
            .case(round_trips, case, contract, patch(member, body))
            .await;
    }
}

/// Adds the cases of changes of a team's roster.
async fn change_roster(recorder: &mut CostRecorder, contract: Contract) {
    let id = recorder
        .org
        .team(&format!("Team {}", contract.as_str()))
        .await;
    for n in 0..2 {
        recorder.org.member(&id, &recorder.org.users[n]).await;
    }
    let members = format!("/v1/teams/{id}/members");
    let (newcomer, lead) = (recorder.user(2), recorder.user(3));
    let adding = json!({ "user_id": newcomer });
    recorder
        .case(2, "add a member", contract, post(&members, adding.clone()))
        .await;
    let member = format!("{members}/{newcomer}");
    patch_member(recorder, contract, &member).await;
    recorder
        .case(2, "remove a member", contract, delete(&member))
        .await;
    recorder
        .case(
            2,
            "add a member who returns",
            contract,
            post(&members, adding),
        )
        .await;
    let leading = json!({ "user_id": lead, "role": "lead" });
    recorder
        .case(2, "add a lead", Itsm, post(&members, leading))
        .await;
    if contract == Toptickets {
        recorder
            .case(
                2,
                "remove the lead",
                contract,
                delete(&format!("{members}/{lead}")),
            )
            .await;
    }
}

/// Removing a member reads the team first, and moves the counters of the membership to a separate
/// item. Adding a member reads that item. In return, the cost of reading a team does not depend on
/// the number of its former members.
#[tokio::test]
async fn writes_of_members_match_the_cost_golden() {
    let mut recorder = CostRecorder::start().await;
    for contract in Contract::ALL {
        change_roster(&mut recorder, contract).await;
    }
    assert_snapshot!(recorder.lines, @"
    toptickets | add a member                    | 2 |    4 |   11 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(5)
    toptickets | patch of skills                 | 1 |    2 |    1 | GetItem + Query + UpdateItem
    toptickets | patch to the same skills        | 1 |    2 |    0 | GetItem + Query + UpdateItem
    toptickets | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    toptickets | patch that makes the lead       | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    toptickets | patch to the same role          | 1 |    2 |    0 | GetItem + Query
    toptickets | patch of skills, same role      | 2 |    2 |    1 | GetItem + Query, then UpdateItem
    toptickets | patch that clears the lead      | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    toptickets | remove a member                 | 2 |    2 |    9 | GetItem + Query, then TransactWriteItems(4)
    toptickets | add a member who returns        | 2 |    4 |   11 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(5)
    itsm       | add a lead                      | 2 |    4 |   13 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(6)
    toptickets | remove the lead                 | 2 |    2 |   11 | GetItem + Query, then TransactWriteItems(5)
    itsm       | add a member                    | 2 |    4 |   11 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(5)
    itsm       | patch of skills                 | 1 |    2 |    1 | GetItem + Query + UpdateItem
    itsm       | patch to the same skills        | 1 |    2 |    0 | GetItem + Query + UpdateItem
    itsm       | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    itsm       | patch that makes the lead       | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | patch to the same role          | 1 |    2 |    0 | GetItem + Query
    itsm       | patch of skills, same role      | 2 |    2 |    1 | GetItem + Query, then UpdateItem
    itsm       | patch that clears the lead      | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | remove a member                 | 2 |    2 |    9 | GetItem + Query, then TransactWriteItems(4)
    itsm       | add a member who returns        | 2 |    4 |   11 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(5)
    itsm       | add a lead                      | 2 |    4 |   13 | GetItem + GetItem + GetItem + Query, then TransactWriteItems(6)
    ");
}
