//! The documents' own requests and responses, replayed. The goldens are the documents' examples,
//! which our OpenAPI documents show; answers are compared with them as text, so that the order of
//! fields counts too.

use muster_domain::{OrganizationId, User, UserId, UserStatus};
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::Value;

use super::{Scene, example, golden, minified};
use crate::support::{Client, Organization, Response, bare, n, user};

const NETWORK: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
const SECURITY: &str = "c3d4e5f6-a7b8-9012-cdef-123456789012";
const TECHNICAL: &str = "550e8400-e29b-41d4-a716-446655440000";
const BILLING: &str = "661f9511-f30c-52e5-b827-557766551111";

fn person(id: &str, name: &str, email: &str) -> User {
    let id = UserId::parse(id).expect("a user's id");
    let picture = email.split('@').next().unwrap_or_default();
    User {
        id,
        email: email.to_owned(),
        avatar_url: Some(format!("https://cdn.example.com/avatars/{picture}.jpg")),
        ..user(name, UserStatus::Active)
    }
}

/// The documents' people, then six more.
async fn people(scene: &Scene) -> Organization {
    let mut users = vec![
        person(
            "f6e5d4c3-b2a1-0987-fedc-ba9876543210",
            "Alex Rivera",
            "arivera@acme.com",
        ),
        person(
            "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "Jessica Chen",
            "jchen@acme.com",
        ),
        person(
            "d4e5f6a7-b890-1234-abcd-ef5678901234",
            "Sam Patel",
            "spatel@acme.com",
        ),
        person(
            "123e4567-e89b-12d3-a456-426614174000",
            "Alice Johnson",
            "agent1@company.com",
        ),
        person(
            "234f5678-e90c-12d3-b456-526714174111",
            "Bob Smith",
            "agent2@company.com",
        ),
    ];
    users.extend((0..6).map(|n| user(&format!("User {n}"), UserStatus::Active)));
    let id = OrganizationId::parse("org_9f8e7d6c5b4a").expect("an organization's id");
    scene.stack.organization_of(id, users).await
}

/// Sends a body as it stands.
async fn send(client: &Client, method: Method, path: &str, body: &str) -> Response {
    Client::send(
        client
            .request(method, path)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_owned()),
    )
    .await
}

/// Makes the ITSM document's team at the time the document says, led by Alex.
async fn network_operations(scene: &Scene, org: &Organization) {
    scene.set(1_708_783_200);
    scene.next_team(NETWORK);
    let body = r#"{
        "name": "Network Operations",
        "description": "Handles all network infrastructure incidents including VPN, DNS, firewall, and WAN/LAN issues.",
        "lead_id": "usr_f6e5d4c3-b2a1-0987-fedc-ba9876543210",
        "queue_strategy": "least_busy",
        "specializations": ["VPN", "Firewall", "DNS", "WAN", "LAN"]
    }"#;
    let response = send(&org.itsm, Method::POST, "/v1/teams", body).await;
    assert_eq!(response.status, 201, "{response}");
}

/// Makes the TopTickets document's team at the time the document says.
async fn technical_support(scene: &Scene, org: &Organization, description: &str) -> Response {
    scene.set(1_736_064_000);
    scene.next_team(TECHNICAL);
    let body = format!(r#"{{"name": "Technical Support", "description": "{description}"}}"#);
    let response = send(&org.toptickets, Method::POST, "/v1/teams", &body).await;
    assert_eq!(response.status, 201, "{response}");
    response
}

#[tokio::test]
async fn itsm_lists_teams() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    network_operations(&scene, &org).await;
    let members = [0, 1, 2, 5, 6, 7, 8, 9].map(|at| &org.users[at]);
    for (secs, member) in (1_708_784_093..).zip(members) {
        scene.set(secs);
        org.member(NETWORK, member).await;
    }
    org.set_load(NETWORK, &[("open_tickets", n(23))]).await;
    for id in [
        "b2c3d4e5-f6a7-8901-bcde-f12345678901",
        SECURITY,
        TECHNICAL,
        BILLING,
    ] {
        scene.next_team(id);
        org.team(&format!("Team {id}")).await;
    }
    org.team("The sixth team").await;

    // The document does not say in which order it lists, and leaves all but the second team's id
    // out. Newest first, which Muster decides, is id order backwards; the document's ids stand in
    // it forwards.
    let golden = minified(include_str!("goldens/itsm_list_teams.jsonc"));
    let (begin, end) = golden
        .split_once("//...")
        .expect("the document leaves something out");
    let response = org.itsm.get("/v1/teams?limit=10").await;
    assert!(response.text.ends_with(end), "{response}");
    let team = begin
        .split_once('[')
        .and_then(|(_, list)| list.split_once(",{"))
        .expect("two teams")
        .0;
    assert!(response.text.contains(team), "{response}");
}

#[tokio::test]
async fn itsm_lists_teams_in_the_documents_order_when_the_ids_say_so() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    network_operations(&scene, &org).await;
    scene.next_team("b2c3d4e5-f6a7-8901-bcde-f12345678901");
    org.team("Desktop Support").await;
    let text = org.itsm.get("/v1/teams?sortOrder=asc&limit=10").await.text;
    let at = |id: &str| text.find(id).expect("both are listed");
    assert!(at("team_a1b2c3d4") < at("team_b2c3d4e5"), "{text}");
}

#[tokio::test]
async fn itsm_creates_a_team() {
    let scene = Scene::at(1_708_790_400).await;
    let org = people(&scene).await;
    scene.next_team(SECURITY);
    let body = example!("itsm/create_team.request.json");
    let response = send(&org.itsm, Method::POST, "/v1/teams", body).await;
    assert_eq!(
        (response.status.as_u16(), &response.text),
        (201, &golden!("itsm/create_team.json"))
    );
}

#[tokio::test]
async fn itsm_retrieves_a_team() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    network_operations(&scene, &org).await;
    org.member(NETWORK, &org.users[0]).await;
    scene.set(1_708_784_100);
    org.member(NETWORK, &org.users[1]).await;
    let response = org.itsm.get(&format!("/v1/teams/team_{NETWORK}")).await;
    assert_eq!(
        (response.status.as_u16(), &response.text),
        (200, &golden!("itsm/get_team.json"))
    );
}

#[tokio::test]
async fn itsm_updates_a_team() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    network_operations(&scene, &org).await;
    org.member(NETWORK, &org.users[0]).await;
    scene.set(1_708_790_500);
    let body = example!("itsm/update_team.request.json");
    let response = send(
        &org.itsm,
        Method::PATCH,
        &format!("/v1/teams/team_{NETWORK}"),
        body,
    )
    .await;
    // The document's response leaves `avatar_url` out, unlike its GET. Muster always has it.
    assert_eq!(
        (response.status.as_u16(), &response.text),
        (200, &golden!("itsm/update_team.json"))
    );
}

#[tokio::test]
async fn itsm_deletes_a_team() {
    let scene = Scene::at(1_708_790_400).await;
    let org = people(&scene).await;
    scene.next_team(SECURITY);
    org.team("Security Operations").await;
    let path = format!("/v1/teams/team_{SECURITY}");
    let response = org.itsm.delete(&path).await;
    assert_eq!(
        (response.status.as_u16(), response.text.as_str()),
        (204, "")
    );
    assert_eq!(org.itsm.get(&path).await.status, 404);
}

#[tokio::test]
async fn itsm_adds_a_member() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    network_operations(&scene, &org).await;
    scene.set(1_708_790_400);
    let body = example!("itsm/add_member.request.json");
    let response = send(
        &org.itsm,
        Method::POST,
        &format!("/v1/teams/team_{NETWORK}/members"),
        body,
    )
    .await;
    assert_eq!(
        (response.status.as_u16(), &response.text),
        (201, &golden!("itsm/add_member.json"))
    );
}

#[tokio::test]
async fn itsm_removes_a_member() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    network_operations(&scene, &org).await;
    org.member(NETWORK, &org.users[2]).await;
    let path = format!(
        "/v1/teams/team_{NETWORK}/members/usr_{}",
        bare(&org.users[2])
    );
    let response = org.itsm.delete(&path).await;
    assert_eq!(
        (response.status.as_u16(), response.text.as_str()),
        (204, "")
    );
    assert_eq!(org.itsm.delete(&path).await.status, 404);
}

#[tokio::test]
async fn itsm_shows_the_workload() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    network_operations(&scene, &org).await;
    let skills = [
        (0, r#"["VPN", "Firewall", "Cisco"]"#),
        (1, r#"["DNS", "WAN", "LAN"]"#),
    ];
    for (at, skills) in skills
        .into_iter()
        .chain([2, 5, 6, 7, 8, 9].map(|at| (at, "[]")))
    {
        scene.set(1_708_783_300 + i64::try_from(at).expect("small"));
        let body = format!(
            r#"{{"user_id": "{}", "skills": {skills}}}"#,
            bare(&org.users[at])
        );
        let response = send(
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
    scene.set(1_708_790_400);
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
async fn a_workload_of_nothing_has_no_means() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    scene.next_team(NETWORK);
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
async fn a_workload_counts_what_removed_members_hold_and_shows_present_members_alone() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    scene.next_team(NETWORK);
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
    let gone = format!("/v1/teams/{NETWORK}/members/{}", bare(&org.users[0]));
    assert_eq!(org.itsm.delete(&gone).await.status, 204);
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

#[tokio::test]
async fn toptickets_shows_the_team_object_wherever_it_answers_with_one() {
    let scene = Scene::at(1_736_064_000).await;
    let org = people(&scene).await;
    let golden = golden!("toptickets/get_team.json");
    let (begin, rest) = golden.split_once(r#""members":["#).expect("members");
    let (alice, bob_and_times) = rest.split_once(",{").expect("two members");
    let times = bob_and_times.split_once(']').expect("the members' end").1;
    let unchanged = times.replace("2025-01-10T14:30:00Z", "2025-01-05T08:00:00Z");
    let (path, members) = (
        format!("/v1/teams/{TECHNICAL}"),
        format!("/v1/teams/{TECHNICAL}/members"),
    );

    let created = technical_support(&scene, &org, "Handles technical issues and bug reports").await;
    assert_eq!(created.text, format!(r#"{begin}"members":[]{unchanged}"#));

    // The document prints no response to this; with Muster it is the team object.
    let body = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[3]));
    let added = send(&org.toptickets, Method::POST, &members, &body).await;
    assert_eq!(
        (added.status.as_u16(), added.text),
        (201, format!(r#"{begin}"members":[{alice}]{unchanged}"#))
    );

    scene.set(1_736_519_400);
    let body = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[4]));
    let added = send(&org.toptickets, Method::POST, &members, &body).await;
    assert_eq!((added.status.as_u16(), &added.text), (201, &golden));
    let got = org.toptickets.get(&path).await;
    assert_eq!((got.status.as_u16(), &got.text), (200, &golden));

    let patched = send(
        &org.toptickets,
        Method::PATCH,
        &path,
        r#"{"name": "Support", "description": "All of it"}"#,
    )
    .await;
    let renamed = golden
        .replace("Technical Support", "Support")
        .replace("Handles technical issues and bug reports", "All of it");
    assert_eq!((patched.status.as_u16(), &patched.text), (200, &renamed));
}

#[tokio::test]
async fn toptickets_lists_teams() {
    let scene = Scene::at(1_736_064_000).await;
    let org = people(&scene).await;
    technical_support(&scene, &org, "Handles technical issues").await;
    scene.set(1_736_067_600);
    scene.next_team(BILLING);
    let body = r#"{"name": "Billing Support", "description": "Handles billing inquiries"}"#;
    assert_eq!(
        send(&org.toptickets, Method::POST, "/v1/teams", body)
            .await
            .status,
        201
    );
    let response = org.toptickets.get("/v1/teams").await;
    assert_eq!(
        (response.status.as_u16(), &response.text),
        (200, &golden!("toptickets/list_teams.json"))
    );
}

#[tokio::test]
async fn toptickets_removes_a_member_and_deletes_a_team() {
    let scene = Scene::at(1_736_064_000).await;
    let org = people(&scene).await;
    technical_support(&scene, &org, "").await;
    org.member(TECHNICAL, &org.users[3]).await;
    for path in [
        format!("/v1/teams/{TECHNICAL}/members/{}", bare(&org.users[3])),
        format!("/v1/teams/{TECHNICAL}"),
    ] {
        let response = org.toptickets.delete(&path).await;
        assert_eq!(
            (response.status.as_u16(), response.text.as_str()),
            (204, ""),
            "{path}"
        );
        assert_eq!(org.toptickets.delete(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn either_form_of_an_id_names_the_same_thing_under_either_contract() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    network_operations(&scene, &org).await;
    let alex = bare(&org.users[0]);
    for client in org.clients() {
        let bare = client.get(&format!("/v1/teams/{NETWORK}")).await;
        assert_eq!(bare.status, 200, "{bare}");
        let upper = NETWORK.to_uppercase();
        for form in [
            format!("team_{NETWORK}"),
            upper.clone(),
            format!("TEAM_{upper}"),
        ] {
            let response = client.get(&format!("/v1/teams/{form}")).await;
            assert_eq!(
                (response.status.as_u16(), &response.text),
                (200, &bare.text),
                "{form}"
            );
        }
        for form in [
            alex.clone(),
            alex.to_uppercase(),
            format!("usr_{alex}"),
            format!("Usr_{alex}"),
        ] {
            let body = format!(r#"{{"user_id": "{form}"}}"#);
            let added = send(
                client,
                Method::POST,
                &format!("/v1/teams/team_{NETWORK}/members"),
                &body,
            )
            .await;
            assert_eq!(added.status, 201, "{form}: {added}");
            org.itsm
                .patch(
                    &format!("/v1/teams/{NETWORK}"),
                    serde_json::json!({ "lead_id": null }),
                )
                .await;
            let removed = client
                .delete(&format!("/v1/teams/{NETWORK}/members/{form}"))
                .await;
            assert_eq!(removed.status, 204, "{form}: {removed}");
        }
    }
}

#[tokio::test]
async fn a_client_that_sends_back_what_it_read_changes_nothing() {
    let scene = Scene::at(1_708_783_200).await;
    let org = people(&scene).await;
    network_operations(&scene, &org).await;
    org.member(NETWORK, &org.users[0]).await;
    scene.set(1_708_790_500);
    let path = format!("/v1/teams/team_{NETWORK}");
    for client in org.clients() {
        let read = client.get(&path).await;
        let whole = if read.json["data"].is_object() {
            &read.json["data"]
        } else {
            &read.json
        };
        let sent_back = client.patch(&path, whole.clone()).await;
        assert_eq!(
            (sent_back.status.as_u16(), &sent_back.text),
            (200, &read.text)
        );
        assert_eq!(client.get(&path).await.text, read.text);
    }
}
