//! The cost of writes with an `Idempotency-Key`.

use insta::assert_snapshot;
use muster_domain::Contract;
use serde_json::json;

use super::{CostRecorder, post};

/// A saved response costs two write units for each kilobyte of its compressed item. A request that
/// reads anyway reads it in parallel.
#[tokio::test]
async fn idempotent_writes_match_the_cost_golden() {
    let mut recorder = CostRecorder::start().await;
    let (lead, described) = (recorder.user(0), "Network issues. ".repeat(600));
    for contract in Contract::ALL {
        let name = contract.as_str();
        for (case, body) in [
            ("create", json!({ "name": format!("Plain {name}") })),
            (
                "create with a lead",
                json!({ "name": format!("Led {name}"), "lead_id": lead }),
            ),
            (
                "create with 9,600 characters",
                json!({ "name": format!("Long {name}"), "description": described }),
            ),
        ] {
            recorder.headers = vec![(
                "idempotency-key",
                format!("{case} {name}").replace(' ', "-"),
            )];
            recorder
                .case(1, case, contract, post("/v1/teams", body.clone()))
                .await;
            recorder
                .case(1, "the same again", contract, post("/v1/teams", body))
                .await;
        }
        let id = recorder.org.team(&format!("Team {name}")).await;
        for n in 0..9 {
            recorder.org.member(&id, &recorder.org.users[n]).await;
        }
        let (members, adding) = (
            format!("/v1/teams/{id}/members"),
            json!({ "user_id": recorder.user(9) }),
        );
        recorder.headers = vec![("idempotency-key", format!("add-{name}"))];
        recorder
            .case(
                2,
                "add the tenth member",
                contract,
                post(&members, adding.clone()),
            )
            .await;
        recorder
            .case(1, "the same again", contract, post(&members, adding))
            .await;
    }
    assert_snapshot!(recorder.lines, @"
    toptickets | create                          | 1 |    0 |   10 | TransactWriteItems(5)
    toptickets | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    toptickets | create with a lead              | 1 |    0 |   10 | TransactWriteItems(5)
    toptickets | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    toptickets | create with 9,600 characters    | 1 |    0 |   28 | TransactWriteItems(5)
    toptickets | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    toptickets | add the tenth member            | 2 |    6 |   13 | GetItem + GetItem + GetItem + GetItem + Query, then TransactWriteItems(6)
    toptickets | the same again                  | 1 |    6 |    0 | GetItem + GetItem + GetItem + GetItem + Query
    itsm       | create                          | 1 |    0 |   10 | TransactWriteItems(5)
    itsm       | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    itsm       | create with a lead              | 1 |    0 |   14 | TransactWriteItems(7)
    itsm       | the same again                  | 1 |    0 |    0 | TransactWriteItems(7)
    itsm       | create with 9,600 characters    | 1 |    0 |   28 | TransactWriteItems(5)
    itsm       | the same again                  | 1 |    0 |    0 | TransactWriteItems(5)
    itsm       | add the tenth member            | 2 |    6 |   13 | GetItem + GetItem + GetItem + GetItem + Query, then TransactWriteItems(6)
    itsm       | the same again                  | 1 |    6 |    0 | GetItem + GetItem + GetItem + GetItem + Query
    ");
}
