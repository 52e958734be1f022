//! The cost of writes to teams.

use insta::assert_snapshot;
use muster_domain::Contract::{self, Itsm, Toptickets};
use serde_json::json;

use super::{CostRecorder, delete, patch, post};

/// Adds the cases of new teams.
async fn create_teams(recorder: &mut CostRecorder) {
    let led = json!({ "name": "Led", "lead_id": recorder.user(0) });
    let expert = json!({ "name": "Expert", "specializations": ["vpn"] });
    for (case, contract, body) in [
        ("create", Toptickets, json!({ "name": "Bare" })),
        ("create", Itsm, json!({ "name": "Plain" })),
        ("create with a lead", Itsm, led),
        ("create with a specialization", Itsm, expert),
    ] {
        recorder
            .case(1, case, contract, post("/v1/teams", body))
            .await;
    }
}

/// Adds the cases of changes that only ITSM supports.
async fn change_itsm_fields(recorder: &mut CostRecorder, id: &str) {
    let team = format!("/v1/teams/{id}");
    let lead = recorder.user(0);
    let all =
        json!({ "description": null, "queue_strategy": "least_busy", "specializations": ["vpn"] });
    recorder
        .case(1, "patch of all plain fields", Itsm, patch(&team, all))
        .await;
    recorder.wait_until_indexed(id).await;
    for (case, lead) in [
        ("patch of the lead", json!(lead)),
        ("patch that clears the lead", json!(null)),
    ] {
        recorder
            .case(2, case, Itsm, patch(&team, json!({ "lead_id": lead })))
            .await;
    }
}

/// Adds the cases of changes and of the deletion of a team.
async fn change_team(recorder: &mut CostRecorder, contract: Contract) {
    let id = recorder
        .org
        .team(&format!("Team {}", contract.as_str()))
        .await;
    for n in 0..3 {
        recorder.org.member(&id, &recorder.org.users[n]).await;
    }
    let team = format!("/v1/teams/{id}");
    let described = json!({ "description": "Network issues" });
    let renamed = json!({ "name": format!("Crew {}", contract.as_str()) });
    for (round_trips, case, body) in [
        (1, "patch of the description", described.clone()),
        (1, "patch that changes nothing", described),
        (1, "patch without a known field", json!({ "id": "x" })),
        (2, "patch of the name", renamed.clone()),
        (1, "patch to the same name", renamed),
    ] {
        recorder
            .case(round_trips, case, contract, patch(&team, body))
            .await;
    }
    if contract == Itsm {
        change_itsm_fields(recorder, &id).await;
    }
    recorder
        .case(2, "delete a team of 3", contract, delete(&team))
        .await;
}

#[tokio::test]
async fn writes_of_teams_match_the_cost_golden() {
    let mut recorder = CostRecorder::start().await;
    create_teams(&mut recorder).await;
    for contract in Contract::ALL {
        change_team(&mut recorder, contract).await;
    }
    assert_snapshot!(recorder.lines, @"
    toptickets | create                          | 1 |    0 |    8 | TransactWriteItems(4)
    itsm       | create                          | 1 |    0 |    8 | TransactWriteItems(4)
    itsm       | create with a lead              | 1 |    0 |   12 | TransactWriteItems(6)
    itsm       | create with a specialization    | 1 |    0 |    9 | TransactWriteItems(4)
    toptickets | patch of the description        | 1 |    1 |    1 | Query + UpdateItem
    toptickets | patch that changes nothing      | 1 |    1 |    0 | Query + UpdateItem
    toptickets | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    toptickets | patch of the name               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    toptickets | patch to the same name          | 1 |    2 |    0 | GetItem + Query
    toptickets | delete a team of 3              | 2 |    2 |   20 | GetItem + Query, then TransactWriteItems(8)
    itsm       | patch of the description        | 1 |    1 |    1 | Query + UpdateItem
    itsm       | patch that changes nothing      | 1 |    1 |    0 | Query + UpdateItem
    itsm       | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    itsm       | patch of the name               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | patch to the same name          | 1 |    2 |    0 | GetItem + Query
    itsm       | patch of all plain fields       | 1 |    1 |    2 | Query + UpdateItem
    itsm       | patch of the lead               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | patch that clears the lead      | 2 |    2 |    4 | GetItem + Query, then TransactWriteItems(2)
    itsm       | delete a team of 3              | 2 |    2 |   20 | GetItem + Query, then TransactWriteItems(8)
    ");
}

/// A conditional write reads the team first and then writes in a transaction. A deletion always
/// does.
#[tokio::test]
async fn conditional_writes_match_the_cost_golden() {
    let mut recorder = CostRecorder::start().await;
    for contract in Contract::ALL {
        let id = recorder
            .org
            .team(&format!("Team {}", contract.as_str()))
            .await;
        let team = format!("/v1/teams/{id}");
        let described = json!({ "description": "Network issues" });
        recorder.headers = vec![("if-match", "\"1\"".to_owned())];
        recorder
            .case(
                2,
                "patch of the description",
                contract,
                patch(&team, described.clone()),
            )
            .await;
        recorder.headers = vec![("if-match", "\"2\"".to_owned())];
        recorder
            .case(
                1,
                "patch that changes nothing",
                contract,
                patch(&team, described),
            )
            .await;
        recorder
            .case(
                1,
                "patch without a known field",
                contract,
                patch(&team, json!({})),
            )
            .await;
        let renamed = json!({ "name": format!("Crew {}", contract.as_str()) });
        recorder
            .case(2, "patch of the name", contract, patch(&team, renamed))
            .await;
        recorder.headers = vec![("if-match", "*".to_owned())];
        recorder
            .case(
                1,
                "patch of any version",
                contract,
                patch(&team, json!({ "description": null })),
            )
            .await;
        recorder.headers = vec![("if-match", "\"4\"".to_owned())];
        recorder.case(2, "delete", contract, delete(&team)).await;
    }
    assert_snapshot!(recorder.lines, @"
    toptickets | patch of the description        | 2 |    2 |    2 | GetItem + Query, then TransactWriteItems(1)
    toptickets | patch that changes nothing      | 1 |    2 |    0 | GetItem + Query
    toptickets | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    toptickets | patch of the name               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    toptickets | patch of any version            | 1 |    1 |    1 | Query + UpdateItem
    toptickets | delete                          | 2 |    2 |   11 | GetItem + Query, then TransactWriteItems(5)
    itsm       | patch of the description        | 2 |    2 |    2 | GetItem + Query, then TransactWriteItems(1)
    itsm       | patch that changes nothing      | 1 |    2 |    0 | GetItem + Query
    itsm       | patch without a known field     | 1 |    2 |    0 | GetItem + Query
    itsm       | patch of the name               | 2 |    2 |    6 | GetItem + Query, then TransactWriteItems(3)
    itsm       | patch of any version            | 1 |    1 |    1 | Query + UpdateItem
    itsm       | delete                          | 2 |    2 |   11 | GetItem + Query, then TransactWriteItems(5)
    ");
}
