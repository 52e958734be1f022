//! The team requests and responses of both documents, replayed.
//!
//! The goldens are the examples of the documents, which the OpenAPI documents show. The tests
//! compare responses as text, so that the order of fields counts.

use reqwest::Method;

use crate::{
    api::{
        ClockedStack,
        document_fixtures::{
            BILLING, NETWORK, SECURITY, TECHNICAL, create_network_operations,
            create_technical_support, document_organization, send_text,
        },
        example, golden, minified,
    },
    support::{bare, n},
};

#[tokio::test]
async fn itsm_list_matches_the_document() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    create_network_operations(&clocked, &org).await;
    let members = [0, 1, 2, 5, 6, 7, 8, 9].map(|at| &org.users[at]);
    for (secs, member) in (1_708_784_093..).zip(members) {
        clocked.set(secs);
        org.member(NETWORK, member).await;
    }
    org.set_load(NETWORK, &[("open_tickets", n(23))]).await;
    for id in [
        "b2c3d4e5-f6a7-8901-bcde-f12345678901",
        SECURITY,
        TECHNICAL,
        BILLING,
    ] {
        clocked.next_team(id);
        org.team(&format!("Team {id}")).await;
    }
    org.team("The sixth team").await;

    // The document states no order, and omits all fields of the second team except its id. Muster
    // lists newest first (descending ids), but the ids in the document ascend.
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
async fn itsm_list_ascending_follows_the_ids() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    create_network_operations(&clocked, &org).await;
    clocked.next_team("b2c3d4e5-f6a7-8901-bcde-f12345678901");
    org.team("Desktop Support").await;
    let text = org.itsm.get("/v1/teams?sortOrder=asc&limit=10").await.text;
    let at = |id: &str| text.find(id).expect("both are listed");
    assert!(at("team_a1b2c3d4") < at("team_b2c3d4e5"), "{text}");
}

#[tokio::test]
async fn itsm_create_matches_the_document() {
    let clocked = ClockedStack::at(1_708_790_400).await;
    let org = document_organization(&clocked).await;
    clocked.next_team(SECURITY);
    let body = example!("itsm/create_team.request.json");
    let response = send_text(&org.itsm, Method::POST, "/v1/teams", body).await;
    assert_eq!(
        (response.status.as_u16(), &response.text),
        (201, &golden!("itsm/create_team.json"))
    );
}

#[tokio::test]
async fn itsm_get_matches_the_document() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    create_network_operations(&clocked, &org).await;
    org.member(NETWORK, &org.users[0]).await;
    clocked.set(1_708_784_100);
    org.member(NETWORK, &org.users[1]).await;
    let response = org.itsm.get(&format!("/v1/teams/team_{NETWORK}")).await;
    assert_eq!(
        (response.status.as_u16(), &response.text),
        (200, &golden!("itsm/get_team.json"))
    );
}

#[tokio::test]
async fn itsm_update_matches_the_document() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    create_network_operations(&clocked, &org).await;
    org.member(NETWORK, &org.users[0]).await;
    clocked.set(1_708_790_500);
    let body = example!("itsm/update_team.request.json");
    let response = send_text(
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
async fn itsm_delete_matches_the_document() {
    let clocked = ClockedStack::at(1_708_790_400).await;
    let org = document_organization(&clocked).await;
    clocked.next_team(SECURITY);
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
async fn toptickets_team_object_matches_the_document() {
    let clocked = ClockedStack::at(1_736_064_000).await;
    let org = document_organization(&clocked).await;
    let golden = golden!("toptickets/get_team.json");
    let (begin, rest) = golden.split_once(r#""members":["#).expect("members");
    let (alice, bob_and_times) = rest.split_once(",{").expect("two members");
    let times = bob_and_times.split_once(']').expect("the members' end").1;
    let unchanged = times.replace("2025-01-10T14:30:00Z", "2025-01-05T08:00:00Z");
    let (path, members) = (
        format!("/v1/teams/{TECHNICAL}"),
        format!("/v1/teams/{TECHNICAL}/members"),
    );

    let created =
        create_technical_support(&clocked, &org, "Handles technical issues and bug reports").await;
    assert_eq!(created.text, format!(r#"{begin}"members":[]{unchanged}"#));

    // The document shows no response to this request. Muster returns the team object.
    let body = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[3]));
    let added = send_text(&org.toptickets, Method::POST, &members, &body).await;
    assert_eq!(
        (added.status.as_u16(), added.text),
        (201, format!(r#"{begin}"members":[{alice}]{unchanged}"#))
    );

    clocked.set(1_736_519_400);
    let body = format!(r#"{{"user_id": "{}"}}"#, bare(&org.users[4]));
    let added = send_text(&org.toptickets, Method::POST, &members, &body).await;
    assert_eq!((added.status.as_u16(), &added.text), (201, &golden));
    let got = org.toptickets.get(&path).await;
    assert_eq!((got.status.as_u16(), &got.text), (200, &golden));

    let patched = send_text(
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
async fn toptickets_list_matches_the_document() {
    let clocked = ClockedStack::at(1_736_064_000).await;
    let org = document_organization(&clocked).await;
    create_technical_support(&clocked, &org, "Handles technical issues").await;
    clocked.set(1_736_067_600);
    clocked.next_team(BILLING);
    let body = r#"{"name": "Billing Support", "description": "Handles billing inquiries"}"#;
    assert_eq!(
        send_text(&org.toptickets, Method::POST, "/v1/teams", body)
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
async fn toptickets_delete_and_remove_match_the_document() {
    let clocked = ClockedStack::at(1_736_064_000).await;
    let org = document_organization(&clocked).await;
    create_technical_support(&clocked, &org, "").await;
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
async fn id_with_or_without_prefix_is_accepted() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    create_network_operations(&clocked, &org).await;
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
            let added = send_text(
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
async fn patch_with_the_team_as_read_has_no_effect() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    create_network_operations(&clocked, &org).await;
    org.member(NETWORK, &org.users[0]).await;
    clocked.set(1_708_790_500);
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
