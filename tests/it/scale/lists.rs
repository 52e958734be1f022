//! Lists of an organization with 20,000 teams, and the largest responses that the rules allow.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_cli::local::Settings;
use muster_domain::Contract::{Itsm, Toptickets};
use serde_json::json;
use uuid::Uuid;

use crate::{
    cost::CostRecorder,
    support::{
        Organization, Stack, bare,
        cost_meter::ObservedCost,
        raw_table::{RawTable, s, with},
    },
};

const TEAMS: usize = 20_000;

/// Returns a name of 20 characters. The order by name mixes the numbers.
fn name(number: usize) -> String {
    format!("Team {:05} of 20,000", number * 7_919 % TEAMS)
}

/// Creates an organization with this many teams, on a stack of its own.
async fn metered(teams: usize) -> CostRecorder {
    let metered = CostRecorder::on(Stack::with_settings(Settings::default()).await).await;
    let first = metered.org.team("First").await;
    raw(&metered.org)
        .put_teams(metered.org.id.as_str(), &first, (1..teams).map(name))
        .await;
    metered
}

fn raw(org: &Organization) -> RawTable {
    RawTable {
        client: org.stack.dynamodb(),
        table: org.stack.table.clone(),
    }
}

#[tokio::test]
async fn page_of_20_000_teams_costs_below_800_units() {
    let mut metered = metered(TEAMS).await;
    assert_eq!(name(1).len(), 20);
    for (contract, query, round_trips) in [
        (Itsm, "limit=20&search=777", 4),
        (Itsm, "limit=20&search=team&page=900&sortBy=name", 4),
        (Itsm, "limit=20&sortBy=name", 4),
        (Itsm, "limit=20&sortBy=name&page=500&sortOrder=desc", 5),
        (Itsm, "limit=20&page=500", 5),
        (Toptickets, "limit=20&skip=10000", 5),
    ] {
        let target = format!("/v1/teams?{query}");
        let client = if contract == Itsm {
            &metered.org.itsm
        } else {
            &metered.org.toptickets
        };
        let page = client.get(&target).await;
        let data = page.json["data"]
            .as_array()
            .or(page.json.as_array())
            .map(Vec::len);
        assert_eq!(
            (page.status.as_u16(), data),
            (200, Some(20)),
            "{query}: {page}"
        );
        let ObservedCost {
            steps,
            read,
            written,
            ..
        } = metered.get(contract, &target).await;
        assert!(read <= 800.0, "{query}: {read} units");
        assert!(written < 1.0, "{query}: {written} units");
        assert!(steps.len() <= round_trips, "{query}: {steps:?}");
        assert!(
            steps
                .last()
                .is_some_and(|calls| calls[0] == "BatchGetItem(20)"),
            "{query}: {steps:?}"
        );
    }
}

#[tokio::test]
async fn page_past_the_end_reads_the_count_alone() {
    let mut metered = metered(300).await;
    for (contract, query) in [
        (Itsm, "limit=20&page=16"),
        (Itsm, "limit=20&page=999999&sortBy=name"),
        (Itsm, "limit=1000&page=2&sortBy=updatedAt"),
        (Toptickets, "limit=20&skip=300"),
    ] {
        let ObservedCost { steps, read, .. } =
            metered.get(contract, &format!("/v1/teams?{query}")).await;
        assert_eq!(
            (steps, read),
            (vec![vec!["GetItem".to_owned()]], 1.0),
            "{query}"
        );
    }
    let page = metered.org.itsm.get("/v1/teams?limit=20&page=16").await;
    let pagination =
        json!({ "page": 16, "limit": 20, "total": 300, "totalPages": 15, "hasMore": false });
    assert_eq!(
        (&page.json["data"], &page.json["meta"]["pagination"]),
        (&json!([]), &pagination)
    );
}

/// A search gets its total from the names alone.
#[tokio::test]
async fn search_past_its_end_reads_names_and_no_team() {
    let mut metered = metered(300).await;
    let target = "/v1/teams?limit=20&search=of+20&page=16";
    let ObservedCost { steps, .. } = metered.get(Itsm, target).await;
    assert_eq!(steps, [["Query"]]);
    assert_eq!(
        metered.org.itsm.get(target).await.json["meta"]["pagination"]["total"],
        299
    );
}

/// A rename during the read of the names can return the old and the new claim of a team. A deletion
/// can leave a claim without its team.
#[tokio::test]
async fn team_with_two_claims_is_listed_once() {
    let org = Stack::shared().organization().await;
    let mut ids = Vec::new();
    for name in ["Alpha", "Beta", "Gamma"] {
        ids.push(org.team(name).await);
    }
    let (raw, names) = (raw(&org), format!("ORG#{}#NAMES", org.id));
    let claim = raw.get(&names, "NAME#alpha").await;
    let deleted = Uuid::from_u128(7).to_string();
    let (renamed, dangling) = (
        [("sk", s("NAME#omega"))],
        [("sk", s("NAME#delta")), ("team_id", s(deleted))],
    );
    raw.put(vec![with(&claim, renamed), with(&claim, dangling)])
        .await;
    for (query, expected) in [
        ("sortBy=name&sortOrder=asc", ["Beta", "Gamma", "Alpha"]),
        ("sortBy=name&sortOrder=desc", ["Alpha", "Gamma", "Beta"]),
        ("search=a&sortOrder=asc", ["Alpha", "Beta", "Gamma"]),
    ] {
        let page = org.itsm.get(&format!("/v1/teams?{query}")).await;
        let listed: Vec<_> = page.json["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|team| &team["name"])
            .collect();
        assert_eq!(listed, expected, "{query}: {page}");
        assert_eq!(
            page.json["meta"]["pagination"]["total"], 4,
            "{query}: the total counts the matches"
        );
    }
}

/// Creates a team in which every text and list has its maximum size, in characters that take the
/// most bytes in JSON.
async fn largest_team(wide: &str) -> (Organization, String) {
    let settings = Settings {
        timeout: Some(Duration::from_mins(2)),
        ..Settings::default()
    };
    let org = Stack::with_settings(settings).await.organization().await;
    let tags = |chars: usize| {
        (0..50)
            .map(|n| format!("{n:02}{}", wide.repeat(chars)))
            .collect::<Vec<_>>()
    };
    let team = json!({
        "name": wide.repeat(255), "description": wide.repeat(10_000), "specializations": tags(62),
        "lead_id": bare(&org.users[0]),
    });
    let created = org.itsm.post("/v1/teams", team).await;
    assert_eq!(created.status, 201, "{created}");
    let id = created.json["data"]["id"]
        .as_str()
        .and_then(|id| id.strip_prefix("team_"))
        .expect("an id")
        .to_owned();
    // The limit of 4,096 bytes allows 81 for each of 50 skills.
    let bytes = if wide == "\"" { 2 } else { wide.len() };
    let member = json!({ "user_id": bare(&org.users[0]), "skills": tags(79 / bytes) });
    let joined = org
        .itsm
        .post(&format!("/v1/teams/{id}/members"), member)
        .await;
    assert_eq!(joined.status, 201, "{joined}");
    let line = || s(wide.repeat(255));
    let profile = [
        ("name", line()),
        ("email", line()),
        ("role", line()),
        ("avatar_url", s(wide.repeat(2048))),
        (
            "in_progress_tickets",
            AttributeValue::N(i64::MAX.to_string()),
        ),
        ("open_tickets", AttributeValue::N(i64::MAX.to_string())),
    ];
    let (raw, partition) = (raw(&org), format!("ORG#{}#TEAM#{id}", org.id));
    let member = with(
        &raw.get(&partition, &format!("MEMBER#{}", bare(&org.users[0])))
            .await,
        profile,
    );
    let other = |_| {
        let user = Uuid::new_v4();
        let keys = [
            ("sk", s(format!("MEMBER#{user}"))),
            ("gsi1pk", s(format!("ORG#{}#USER#{user}", org.id))),
        ];
        with(&member, keys)
    };
    raw.put((1..500).map(other).chain([member.clone()]).collect())
        .await;
    (org, id)
}

#[tokio::test]
async fn largest_team_fits_into_responses_without_limit() {
    for wide in ["🦀", "\""] {
        let (org, id) = largest_team(wide).await;
        for (client, path, members) in [
            (&org.toptickets, format!("/v1/teams/{id}"), 500),
            (&org.itsm, format!("/v1/teams/{id}"), 500),
            (&org.itsm, format!("/v1/teams/{id}/workload"), 500),
            (&org.toptickets, format!("/v1/teams/{id}/members"), 50),
            (&org.itsm, format!("/v1/teams/{id}/members"), 20),
            (&org.toptickets, "/v1/teams".to_owned(), 1),
            (&org.itsm, "/v1/teams".to_owned(), 1),
        ] {
            let response = client.get(&path).await;
            assert_eq!(
                response.status,
                200,
                "{path}: {}",
                &response.text[..response.text.len().min(300)]
            );
            let json = &response.json;
            let shown = [
                &json["members"],
                &json["data"]["members"],
                &json["data"],
                json,
            ];
            let shown = shown
                .into_iter()
                .find_map(|list| list.as_array())
                .expect("a list")
                .len();
            assert_eq!(shown, members, "{path}");
        }
        let changed = org
            .itsm
            .patch(
                &format!("/v1/teams/{id}"),
                json!({ "queue_strategy": "least_busy" }),
            )
            .await;
        assert_eq!(changed.status, 200, "a response with every member");
    }
}

#[tokio::test]
async fn members_over_6_mb_name_the_largest_limit_that_fits() {
    let (org, id) = largest_team("\"").await;
    let members = format!("/v1/teams/{id}/members");
    let rejected = org.itsm.get(&format!("{members}?limit=1000")).await;
    let error = &rejected.json["error"];
    assert_eq!(
        (rejected.status.as_u16(), &error["code"]),
        (400, &json!("VALIDATION_ERROR")),
        "{rejected}"
    );
    assert_eq!(
        error["details"],
        json!({ "field": "limit", "constraint": "max" })
    );
    let message = error["message"].as_str().expect("a text");
    let named = message
        .strip_prefix("limit must be at most ")
        .and_then(|rest| rest.split(' ').next());
    let limit: usize = named
        .and_then(|number| number.parse().ok())
        .expect("a number");
    let page = org.itsm.get(&format!("{members}?limit={limit}")).await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.json["data"].as_array().map(Vec::len)
        ),
        (200, Some(limit))
    );
    assert_eq!(
        org.itsm
            .get(&format!("{members}?limit={}", limit + 1))
            .await
            .status,
        400
    );
    assert_eq!(
        org.toptickets
            .get(&format!("{members}?limit=100"))
            .await
            .status,
        200
    );
}
