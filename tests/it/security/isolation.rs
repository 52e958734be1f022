//! Isolation of organizations: resources of another organization look as if they did not exist.

use muster_domain::{KeyKind, OrganizationId, Scope, UserStatus};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Organization, Response, Stack, n,
    ticket_items::{assigned, unrouted, waiting},
    user,
};

/// Returns the parts of a response that do not identify the request.
fn comparable(response: &Response, ids: [&str; 2]) -> (u16, Value, Vec<(String, String)>) {
    let mut headers: Vec<_> = response
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id" | "apigw-requestid"))
        .map(|(name, value)| {
            (
                name.to_string(),
                value.to_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    headers.sort();
    let mut body = response.json.clone();
    if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("requestId");
        error.remove("timestamp");
    }
    // The error repeats the received path.
    let text = ids
        .iter()
        .fold(body.to_string(), |text, id| text.replace(id, "{id}"));
    (
        response.status.as_u16(),
        serde_json::from_str(&text).expect("still JSON"),
        headers,
    )
}

/// Returns every request about a team and a user.
fn requests_for(team: &str, user: &str) -> Vec<(Method, String, Option<Value>)> {
    let path = format!("/v1/teams/{team}");
    let members = format!("{path}/members");
    let member = format!("{members}/{user}");
    let with_body = |method: Method, path: &str, bodies: Vec<Value>| {
        let path = path.to_owned();
        let request = move |body| (method.clone(), path.clone(), Some(body));
        bodies.into_iter().map(request)
    };
    let of_team = vec![
        json!({}),
        json!({ "description": "taken over" }),
        json!({ "name": "Taken over" }),
        json!({ "lead_id": user }),
        json!({ "lead_id": null }),
        json!({ "name": 7 }),
    ];
    let of_new_member = vec![
        json!({ "user_id": user }),
        json!({ "user_id": user, "role": "lead" }),
    ];
    let of_member = vec![
        json!({}),
        json!({ "role": "lead" }),
        json!({ "role": "member" }),
        json!({ "skills": ["taken over"] }),
    ];
    let reads = [
        path.clone(),
        members.clone(),
        format!("{path}/assignments"),
        format!("/v1/assignments?state=assigned&team_id={team}"),
        format!("/v1/assignments?state=waiting&team_id={team}"),
        format!("{path}/workload"),
    ];
    let mut requests: Vec<_> = reads.map(|path| (Method::GET, path, None)).into();
    requests.extend(with_body(Method::PATCH, &path, of_team));
    requests.extend(with_body(Method::POST, &members, of_new_member));
    requests.extend(with_body(Method::PATCH, &member, of_member));
    requests.extend([
        (Method::DELETE, member, None),
        (Method::DELETE, path.clone(), None),
        (Method::PUT, path, None),
    ]);
    requests
}

/// Returns all state that the organization's own clients can read.
async fn visible_state(org: &Organization, team: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for client in org.clients() {
        seen.push(client.get("/v1/teams").await.text);
        for path in ["", "/members", "/workload", "/assignments"]
            .map(|rest| format!("/v1/teams/{team}{rest}"))
        {
            let mut response = client.get(&path).await.json;
            if let Some(data) = response.get_mut("data").and_then(Value::as_object_mut) {
                data.remove("queried_at");
            }
            seen.push(response.to_string());
        }
    }
    seen
}

/// Creates a team with a lead and two members.
async fn team_with_members(org: &Organization, name: &str) -> String {
    let lead = org.users[0].id.uuid().to_string();
    let body = json!({ "name": name, "description": "confidential", "lead_id": lead, "specializations": ["VPN"] });
    let response = org.itsm.post("/v1/teams", body).await;
    let team = response.json["data"]["id"]
        .as_str()
        .and_then(|id| id.strip_prefix("team_"))
        .expect("an id")
        .to_owned();
    for user in &org.users[..2] {
        org.member(&team, user).await;
    }
    team
}

#[tokio::test]
async fn foreign_resource_looks_like_a_missing_one() {
    let stack = Stack::shared();
    let (a, b) = (stack.organization().await, stack.organization().await);
    let team = team_with_members(&a, "Confidential").await;
    let own = b.team("Own").await;
    let user = a.users[0].id.uuid().to_string();
    let own_user = b.users[0].id.uuid().to_string();
    let [no_team, no_user] = [Uuid::new_v4(), Uuid::new_v4()].map(|id| id.to_string());
    a.put_ticket("confidential", &assigned(&team, &a.users[0], 1))
        .await;
    let before = visible_state(&a, &team).await;
    let bearer = b.bearer().await;

    for client in b.clients().into_iter().chain([&bearer]) {
        for [(there, their_user), (nowhere, unknown_user)] in [
            // A foreign team, with each kind of user.
            [(&team, &user), (&no_team, &no_user)],
            [(&team, &own_user), (&no_team, &own_user)],
            // The own team, with a foreign user.
            [(&own, &user), (&own, &no_user)],
        ] {
            let asked = requests_for(there, their_user)
                .into_iter()
                .zip(requests_for(nowhere, unknown_user));
            for ((method, path, body), (_, missing_path, missing_body)) in asked {
                if there == &own && method == Method::DELETE && !path.contains("/members/") {
                    continue;
                }
                let theirs = client.call(&method, &path, body.as_ref()).await;
                let missing = client
                    .call(&method, &missing_path, missing_body.as_ref())
                    .await;
                let context = format!("{method} {path} {body:?}: {theirs}");
                if there == &own && theirs.status.is_success() {
                    // The request did not refer to the foreign user.
                    continue;
                }
                assert_eq!(
                    comparable(&theirs, [&team, &user]),
                    comparable(&missing, [&no_team, &no_user]),
                    "{context}"
                );
                assert_ne!(theirs.status, 403, "{context}");
                assert!(!theirs.text.contains("onfidential"), "{context}");
            }
        }
        // The id in the forms of both contracts.
        for id in [
            format!("team_{team}"),
            team.to_uppercase(),
            format!("team%5F{team}"),
        ] {
            assert_eq!(client.get(&format!("/v1/teams/{id}")).await.status, 404);
        }
    }
    assert_eq!(visible_state(&a, &team).await, before);
}

#[tokio::test]
async fn foreign_user_cannot_join_or_lead() {
    let stack = Stack::shared();
    let (a, b) = (stack.organization().await, stack.organization().await);
    let own = b.team("Own").await;
    // Users of every status: the status of a foreign user must not be revealed.
    for user in [&a.users[0], &a.users[12], &a.users[13]] {
        let user = user.id.uuid().to_string();
        for id in [user.clone(), format!("usr_{user}"), user.to_uppercase()] {
            for client in b.clients() {
                let response = client
                    .post(
                        &format!("/v1/teams/{own}/members"),
                        json!({ "user_id": id }),
                    )
                    .await;
                assert_eq!(response.status, 404, "{response}");
                assert_user_not_found(&response, "user_id");
            }
            let response = b
                .itsm
                .post(
                    "/v1/teams",
                    json!({ "name": Uuid::new_v4().to_string(), "lead_id": id }),
                )
                .await;
            assert_user_not_found(&response, "lead_id");
            let response = b
                .itsm
                .patch(&format!("/v1/teams/{own}"), json!({ "lead_id": id }))
                .await;
            assert_user_not_found(&response, "lead_id");
        }
    }
    let response = b.itsm.get(&format!("/v1/teams/{own}")).await;
    assert_eq!(
        (
            &response.json["data"]["members"],
            &response.json["data"]["lead_id"]
        ),
        (&json!([]), &Value::Null)
    );
    assert_eq!(
        b.itsm.get("/v1/teams").await.json["meta"]["pagination"]["total"],
        1
    );
}

#[track_caller]
fn assert_user_not_found(response: &Response, field: &str) {
    assert_eq!(response.status, 404, "{response}");
    match response.json["detail"].as_str() {
        Some(detail) => assert_eq!(detail, "User not found"),
        None => assert_eq!(
            response.json["error"]["details"],
            json!({ "field": field }),
            "{response}"
        ),
    }
}

#[tokio::test]
async fn lists_and_totals_show_own_teams_only() {
    let stack = Stack::shared();
    let (a, b) = (stack.organization().await, stack.organization().await);
    for n in 0..5 {
        a.team(&format!("Confidential {n}")).await;
    }
    let total = async |org: &Organization, query: &str| {
        let response = org.itsm.get(&format!("/v1/teams?{query}")).await;
        let listed = response.json["data"].as_array().map_or(0, Vec::len);
        (
            response.json["meta"]["pagination"]["total"]
                .as_u64()
                .unwrap(),
            listed,
        )
    };
    for query in [
        "",
        "search=confidential",
        "search=c",
        "sortBy=name",
        "sortBy=updatedAt&sortOrder=asc",
        "page=1&limit=1000",
    ] {
        assert_eq!(total(&b, query).await, (0, 0), "{query}");
        assert_eq!(total(&a, query).await, (5, 5), "{query}");
    }
    assert_eq!(
        b.toptickets.get("/v1/teams?limit=100").await.json,
        json!([])
    );

    b.team("Confidential 0").await;
    assert_eq!(total(&b, "search=confidential").await, (1, 1));
    assert_eq!(total(&a, "search=confidential").await, (5, 5));
    assert_eq!(
        b.toptickets
            .get("/v1/teams")
            .await
            .json
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        a.toptickets
            .get("/v1/teams")
            .await
            .json
            .as_array()
            .map(Vec::len),
        Some(5)
    );
}

#[tokio::test]
async fn name_is_unique_per_organization() {
    let stack = Stack::shared();
    let (a, b) = (stack.organization().await, stack.organization().await);
    let ours = a.team("Support").await;
    let theirs = b.team("SUPPORT").await;
    for org in [&a, &b] {
        for (client, taken) in org.clients().into_iter().zip([422, 409]) {
            assert_eq!(
                client
                    .post("/v1/teams", json!({ "name": "support" }))
                    .await
                    .status,
                taken
            );
        }
    }
    // Releasing a name frees it in one organization only.
    assert_eq!(
        b.itsm
            .patch(&format!("/v1/teams/{theirs}"), json!({ "name": "Other" }))
            .await
            .status,
        200
    );
    assert_eq!(
        a.itsm
            .post("/v1/teams", json!({ "name": "Support" }))
            .await
            .status,
        409
    );
    assert_eq!(
        b.itsm
            .post("/v1/teams", json!({ "name": "Support" }))
            .await
            .status,
        201
    );
    assert_eq!(
        b.itsm.delete(&format!("/v1/teams/{theirs}")).await.status,
        204
    );
    assert_eq!(
        a.itsm.get(&format!("/v1/teams/{ours}")).await.json["data"]["name"],
        "Support"
    );
}

#[tokio::test]
async fn shared_user_id_is_two_users() {
    let stack = Stack::shared();
    let (a, b) = (stack.organization().await, stack.organization().await);
    let ours = user("Ours", UserStatus::Active);
    let mut theirs = user("Theirs", UserStatus::Active);
    theirs.id = ours.id;
    stack
        .store()
        .put_users(&a.id, std::slice::from_ref(&ours))
        .await
        .unwrap();
    stack
        .store()
        .put_users(&b.id, std::slice::from_ref(&theirs))
        .await
        .unwrap();
    let (team_a, team_b) = (a.team("Support").await, b.team("Support").await);
    a.member(&team_a, &ours).await;
    b.member(&team_b, &theirs).await;
    let names = async |org: &Organization, team: &str| {
        let response = org.toptickets.get(&format!("/v1/teams/{team}")).await;
        response.json["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["full_name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&a, &team_a).await, names(&b, &team_b).await),
        (vec![json!("Ours")], vec![json!("Theirs")])
    );
    let path = format!("/v1/teams/{team_b}/members/{}", ours.id.uuid());
    assert_eq!(a.itsm.delete(&path).await.status, 404);
    assert_eq!(b.itsm.delete(&path).await.status, 204);
    assert_eq!(
        (
            names(&a, &team_a).await.len(),
            names(&b, &team_b).await.len()
        ),
        (1, 0)
    );
}

/// Platforms choose ticket ids, so two organizations can have the same one.
#[tokio::test]
async fn shared_ticket_id_is_two_tickets() {
    let stack = Stack::shared();
    let (a, b) = (stack.organization().await, stack.organization().await);
    let (team_a, team_b) = (a.team("Support").await, b.team("Support").await);
    a.put_ticket("TKT-1", &assigned(&team_a, &a.users[0], 1))
        .await;
    b.put_ticket("TKT-1", &assigned(&team_b, &b.users[0], 2))
        .await;
    a.put_ticket("TKT-2", &assigned(&team_a, &a.users[0], 3))
        .await;
    a.set_load(&team_a, &[("open_tickets", n(2))]).await;
    b.set_load(&team_b, &[("open_tickets", n(1))]).await;
    for (client, other) in a.clients().into_iter().zip(b.clients()) {
        let bare = |response: &Response| {
            let decision = if response.json["data"].is_object() {
                &response.json["data"]
            } else {
                &response.json
            };
            decision["team_id"]
                .as_str()
                .expect("a team")
                .trim_start_matches("team_")
                .to_owned()
        };
        assert_eq!(bare(&client.get("/v1/assignments/TKT-1").await), team_a);
        assert_eq!(bare(&other.get("/v1/assignments/TKT-1").await), team_b);
        let [theirs, missing] = ["TKT-2", "TKT-3"];
        let responses = (
            other.get(&format!("/v1/assignments/{theirs}")).await,
            other.get(&format!("/v1/assignments/{missing}")).await,
        );
        assert_eq!(
            comparable(&responses.0, [theirs, "-"]),
            comparable(&responses.1, [missing, "-"])
        );
        assert_eq!(responses.0.status, 404, "{}", responses.0);
        assert_eq!(
            other
                .get(&format!("/v1/teams/{team_a}/assignments"))
                .await
                .status,
            404
        );
        let own = other.get(&format!("/v1/teams/{team_b}/assignments")).await;
        assert!(
            own.text.contains("TKT-1") && !own.text.contains("TKT-2"),
            "{own}"
        );
    }
}

/// A cursor is valid for one list of one organization.
#[tokio::test]
async fn cursor_of_another_list_or_organization_is_rejected() {
    let stack = Stack::shared();
    let (a, b) = (stack.organization().await, stack.organization().await);
    let team = a.team("Support").await;
    for number in 0..3 {
        a.put_ticket(&format!("U-{number}"), &unrouted(1)).await;
        a.put_ticket(&format!("W-{number}"), &waiting(&team, 1))
            .await;
    }
    let list = "/v1/assignments?state";
    for (client, other) in a.clients().into_iter().zip(b.clients()) {
        let response = a.itsm.get(&format!("{list}=unrouted&limit=1")).await;
        let cursor = response.json["meta"]["pagination"]["nextCursor"]
            .as_str()
            .expect("a cursor");
        let own = client
            .get(&format!("{list}=unrouted&cursor={cursor}"))
            .await;
        assert!(
            own.status == 200 && own.text.contains("U-1") && !own.text.contains("U-0"),
            "a cursor is valid in both contracts and with another limit: {own}"
        );
        for (client, query) in [
            (other, format!("unrouted&cursor={cursor}")),
            (client, format!("unrouted&priority=medium&cursor={cursor}")),
            (client, format!("waiting&cursor={cursor}")),
            (client, format!("waiting&team_id={team}&cursor={cursor}")),
            (client, format!("assigned&team_id={team}&cursor={cursor}")),
            (client, format!("unrouted&cursor={cursor}A")),
            (client, format!("unrouted&cursor={}", &cursor[1..])),
        ] {
            let response = client.get(&format!("{list}={query}")).await;
            assert_eq!(response.status, 400, "{query}: {response}");
            assert!(response.text.contains("cursor"), "{query}: {response}");
        }
    }
}

/// Organizations with a common id prefix must not share results of prefix queries.
#[tokio::test]
async fn organizations_with_a_common_prefix_are_isolated() {
    let stack = Stack::shared();
    let stem = Uuid::new_v4().simple().to_string();
    let mut organizations = Vec::new();
    for id in [
        stem.clone(),
        format!("{stem}_"),
        format!("{stem}-"),
        stem.to_uppercase(),
    ] {
        let id = OrganizationId::parse(&id).unwrap();
        let users = vec![user("User", UserStatus::Active)];
        stack.store().put_users(&id, &users).await.unwrap();
        let (toptickets, itsm) = (stack.anonymous(), stack.anonymous());
        let mut org = Organization {
            stack: stack.clone(),
            id,
            users,
            toptickets,
            itsm,
        };
        org.toptickets = org.key(KeyKind::TtAdmin, &Scope::ALL).await;
        org.itsm = org.key(KeyKind::Itsm, &Scope::ALL).await;
        organizations.push(org);
    }
    let mut teams = Vec::new();
    for org in &organizations {
        teams.push(team_with_one_member(org).await);
    }
    for (at, org) in organizations.iter().enumerate() {
        let response = org.itsm.get("/v1/teams").await;
        assert_eq!(
            response.json["meta"]["pagination"]["total"], 1,
            "{response}"
        );
        assert_eq!(
            response.json["data"][0]["organization_id"],
            org.id.as_str(),
            "{response}"
        );
        for (other, team) in teams.iter().enumerate() {
            let expected = if other == at { 200 } else { 404 };
            assert_eq!(
                org.toptickets
                    .get(&format!("/v1/teams/{team}"))
                    .await
                    .status,
                expected
            );
        }
        let keys = stack.store().api_keys(&org.id).await.unwrap();
        assert!(
            keys.iter().all(|key| key.organization_id == org.id),
            "keys are listed apart"
        );
    }
}

async fn team_with_one_member(org: &Organization) -> String {
    let team = org.team("Support").await;
    org.member(&team, &org.users[0]).await;
    team
}
