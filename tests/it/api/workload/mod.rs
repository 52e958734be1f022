//! `GET /v1/teams/{team_id}/workload`.

use reqwest::Method;
use serde_json::Value;

use crate::{
    api::{
        ClockedStack,
        document_fixtures::{NETWORK, create_network_operations, document_organization, send_text},
        golden,
    },
    support::{bare, n},
};

#[tokio::test]
async fn workload_matches_the_document() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    create_network_operations(&clocked, &org).await;
    let skills = [
        (0, r#"["VPN", "Firewall", "Cisco"]"#),
        (1, r#"["DNS", "WAN", "LAN"]"#),
    ];
    for (at, skills) in skills
        .into_iter()
        .chain([2, 5, 6, 7, 8, 9].map(|at| (at, "[]")))
    {
        clocked.set(1_708_783_300 + i64::try_from(at).expect("small"));
        let body = format!(
            r#"{{"user_id": "{}", "skills": {skills}}}"#,
            bare(&org.users[at])
        );
        let response = send_text(
            &org.itsm,
            Method::POST,
            &format!("/v1/teams/{NETWORK}/members"),
            &body,
        )
        .await;
        assert_eq!(response.status, 201, "{response}");
    }
    org.set_load(
        NETWORK,
        &[
            ("open_tickets", n(23)),
            ("sla_met", n(91)),
            ("sla_due", n(100)),
        ],
    )
    .await;
    for (at, open, in_progress, resolved_ms) in [(0, 5, 3, 151_200_000), (1, 2, 1, 136_800_000)] {
        let figures = [
            ("open_tickets", n(open)),
            ("in_progress_tickets", n(in_progress)),
            ("resolved_tickets", n(10)),
            ("resolved_ms", n(resolved_ms)),
        ];
        org.set_membership(NETWORK, &org.users[at], &figures).await;
    }
    clocked.set(1_708_790_400);
    let response = org
        .itsm
        .get(&format!("/v1/teams/team_{NETWORK}/workload"))
        .await;

    // The document counts eight members and prints two; the other six follow them here.
    let golden = golden!("itsm/get_workload.json");
    let (begin, end) = golden.rsplit_once(r#"],"sla"#).expect("the members' end");
    assert!(response.text.starts_with(begin), "{response}\n{golden}");
    assert!(response.text.ends_with(end), "{response}\n{golden}");
    assert_eq!(
        response.json["data"]["members"].as_array().map(Vec::len),
        Some(8),
        "{response}"
    );
}

#[tokio::test]
async fn workload_of_empty_team_has_no_averages() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    clocked.next_team(NETWORK);
    org.team("Nobody").await;
    let path = format!("/v1/teams/{NETWORK}/workload");
    let empty = org.itsm.get(&path).await.json["data"].clone();
    assert_eq!(
        empty["avg_tickets_per_member"].as_f64(),
        Some(0.0),
        "{empty}"
    );
    assert_eq!(
        (&empty["sla_compliance_rate"], &empty["members"]),
        (&Value::Null, &serde_json::json!([])),
        "{empty}"
    );

    org.member(NETWORK, &org.users[0]).await;
    let one = org.itsm.get(&path).await.json["data"].clone();
    assert_eq!(
        one["members"][0]["avg_resolution_hours"],
        Value::Null,
        "{one}"
    );
    assert_eq!(one["members"][0]["skills"], serde_json::json!([]), "{one}");
}

#[tokio::test]
async fn workload_counts_tickets_of_removed_members() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    clocked.next_team(NETWORK);
    org.team("Two, then one").await;
    for member in &org.users[..2] {
        org.member(NETWORK, member).await;
        org.set_membership(NETWORK, member, &[("open_tickets", n(2))])
            .await;
    }
    org.set_load(
        NETWORK,
        &[("open_tickets", n(5)), ("waiting_tickets", n(1))],
    )
    .await;
    let removed = format!("/v1/teams/{NETWORK}/members/{}", bare(&org.users[0]));
    assert_eq!(org.itsm.delete(&removed).await.status, 204);
    let data = org
        .itsm
        .get(&format!("/v1/teams/{NETWORK}/workload"))
        .await
        .json["data"]
        .clone();
    assert_eq!(
        (
            data["total_open_tickets"].as_u64(),
            data["total_members"].as_u64()
        ),
        (Some(5), Some(1)),
        "{data}"
    );
    assert_eq!(data["avg_tickets_per_member"].as_f64(), Some(5.0), "{data}");
    assert_eq!(data["members"][0]["name"], "Jessica Chen", "{data}");
}
