//! The rules behind both contracts, one a test.

use muster_domain::{KeyKind, Scope, User, UserStatus};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::ticking;
use crate::support::{Client, Organization, Response, bare, n, wait_until};

/// An organization on the stack whose clock moves with every request.
async fn organization() -> Organization {
    ticking().await.organization().await
}

/// A team as ITSM shows it.
async fn shown(org: &Organization, team: &str) -> Value {
    let response = org.itsm.get(&format!("/v1/teams/{team}")).await;
    assert_eq!(response.status, 200, "{response}");
    response.json["data"].clone()
}

/// Creates a team over ITSM and gives it as it was answered.
async fn created(org: &Organization, body: Value) -> Value {
    let response = org.itsm.post("/v1/teams", body).await;
    assert_eq!(response.status, 201, "{response}");
    response.json["data"].clone()
}

/// Changes a team over ITSM and gives it as it was answered, which is as it is from then on.
async fn changed(org: &Organization, team: &str, body: Value) -> Value {
    let response = org.itsm.patch(&format!("/v1/teams/{team}"), body).await;
    assert_eq!(response.status, 200, "{response}");
    assert_eq!(shown(org, team).await, response.json["data"]);
    response.json["data"].clone()
}

/// Adds a member over ITSM and gives the membership.
async fn joined(org: &Organization, team: &str, body: Value) -> Value {
    let response = org
        .itsm
        .post(&format!("/v1/teams/{team}/members"), body)
        .await;
    assert_eq!(response.status, 201, "{response}");
    response.json["data"].clone()
}

async fn remove(client: &Client, team: &str, user: &User) -> Response {
    client
        .delete(&format!("/v1/teams/{team}/members/{}", bare(user)))
        .await
}

/// Who is in the team, by number.
fn roster(team: &Value) -> Vec<usize> {
    let number = |member: &Value| {
        let name = member["name"]
            .as_str()
            .or_else(|| member["full_name"].as_str())
            .expect("a name");
        name.strip_prefix("User ")
            .and_then(|number| number.parse().ok())
            .expect("one of ours")
    };
    team["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(number)
        .collect()
}

fn prefixed(user: &User) -> String {
    format!("usr_{}", bare(user))
}

async fn set_status(org: &Organization, at: usize, status: UserStatus) {
    let user = User {
        status,
        version: 2,
        ..org.users[at].clone()
    };
    org.stack
        .store()
        .put_users(&org.id, &[user])
        .await
        .expect("a user can be written");
}

// Names.

#[tokio::test]
async fn a_name_is_trimmed_and_otherwise_kept_as_sent() {
    let org = organization().await;
    for (sent, kept) in [
        ("  Plain\t\n", "Plain"),
        ("\u{3000}Wide\u{a0}", "Wide"),
        ("Two  spaces", "Two  spaces"),
        ("Cafe\u{301}", "Cafe\u{301}"),
        ("👩\u{200d}👧", "👩\u{200d}👧"),
    ] {
        let team = created(&org, json!({ "name": sent })).await;
        assert_eq!(team["name"], kept);
        let id = team["id"].as_str().expect("an id");
        assert_eq!(
            org.toptickets.get(&format!("/v1/teams/{id}")).await.json["name"],
            kept
        );
    }
}

#[tokio::test]
async fn a_name_has_up_to_255_characters_whatever_their_bytes() {
    let org = organization().await;
    for client in org.clients() {
        for wide in ["x", "é", "🦀"] {
            let name = format!(" {} ", wide.repeat(255));
            let response = client.post("/v1/teams", json!({ "name": name })).await;
            assert_eq!(response.status, 201, "{response}");
            let again = org.itsm.post("/v1/teams", json!({ "name": name })).await;
            assert_eq!(again.status, 409, "however long, it is taken: {again}");
            let id = response.json["id"]
                .as_str()
                .or_else(|| response.json["data"]["id"].as_str())
                .expect("an id");
            assert_eq!(client.delete(&format!("/v1/teams/{id}")).await.status, 204);
        }
    }
}

#[tokio::test]
async fn names_that_differ_in_case_composition_or_space_are_one() {
    let org = organization().await;
    org.team("Café Noir").await;
    for name in [
        "Café Noir",
        "CAFÉ NOIR",
        " café noir ",
        "Cafe\u{301} Noir",
        "CAFE\u{301} noir\u{3000}",
        "Café  Noir",
    ] {
        assert_eq!(
            org.itsm
                .post("/v1/teams", json!({ "name": name }))
                .await
                .status,
            409,
            "{name}"
        );
        assert_eq!(
            org.toptickets
                .post("/v1/teams", json!({ "name": name }))
                .await
                .status,
            422,
            "{name}"
        );
    }
    for name in ["Cafe Noir", "CaféNoir", "Café Noir."] {
        created(&org, json!({ "name": name })).await;
    }
}

#[tokio::test]
async fn a_name_is_unique_within_its_organization_alone() {
    let (org, other) = (organization().await, organization().await);
    org.team("Network").await;
    other.team("Network").await;
}

#[tokio::test]
async fn of_many_who_want_a_name_at_once_one_gets_it() {
    let org = organization().await;
    let mut rivals = JoinSet::new();
    for number in 0..6 {
        let (client, name) = (
            org.clients()[number % 2].clone(),
            ["Wanted", "WANTED", " wanted"][number % 3],
        );
        rivals.spawn(async move {
            client
                .post("/v1/teams", json!({ "name": name }))
                .await
                .status
                .as_u16()
        });
    }
    let mut statuses = rivals.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(
        statuses[1..]
            .iter()
            .all(|status| [409, 422].contains(status)),
        "{statuses:?}"
    );
    let list = org.itsm.get("/v1/teams").await;
    assert_eq!(list.json["meta"]["pagination"]["total"], 1, "{list}");
}

#[tokio::test]
async fn a_team_may_change_the_case_of_its_name() {
    let org = organization().await;
    let team = org.team("Network").await;
    for name in ["NETWORK", "nEtWoRk"] {
        let before = shown(&org, &team).await;
        let after = changed(&org, &team, json!({ "name": name })).await;
        assert_eq!(after["name"], name);
        assert_ne!(after["updated_at"], before["updated_at"]);
    }
    assert_eq!(
        org.itsm
            .post("/v1/teams", json!({ "name": "Network" }))
            .await
            .status,
        409
    );
}

#[tokio::test]
async fn a_new_name_frees_the_old_one() {
    let org = organization().await;
    let team = org.team("Before").await;
    changed(&org, &team, json!({ "name": "After" })).await;
    let other = org.team("before").await;
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{team}"), json!({ "name": "Before" }))
            .await
            .status,
        409
    );
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{other}"), json!({ "name": "AFTER" }))
            .await
            .status,
        409
    );
}

#[tokio::test]
async fn a_name_that_was_refused_is_not_taken_and_the_old_one_is_kept() {
    let org = organization().await;
    let team = org.team("Mine").await;
    org.team("Theirs").await;
    let before = shown(&org, &team).await;
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{team}"), json!({ "name": "Theirs" }))
            .await
            .status,
        409
    );
    assert_eq!(shown(&org, &team).await, before);
    assert_eq!(
        org.itsm
            .post("/v1/teams", json!({ "name": "Mine" }))
            .await
            .status,
        409
    );

    let nobody = json!({ "name": "Free", "lead_id": uuid::Uuid::new_v4().to_string() });
    assert_eq!(org.itsm.post("/v1/teams", nobody.clone()).await.status, 404);
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{team}"), nobody)
            .await
            .status,
        404
    );
    org.team("Free").await;
}

#[tokio::test]
async fn a_deleted_team_frees_its_name_under_either_contract() {
    let org = organization().await;
    for client in org.clients() {
        let team = org.team("Again").await;
        changed(&org, &team, json!({ "name": "AGAIN" })).await;
        assert_eq!(
            client.delete(&format!("/v1/teams/{team}")).await.status,
            204
        );
        let next = org.team("again").await;
        assert_ne!(next, team);
        assert_eq!(
            client.delete(&format!("/v1/teams/{next}")).await.status,
            204
        );
    }
}

// Descriptions.

#[tokio::test]
async fn description_is_kept_as_sent() {
    let org = organization().await;
    let team = org.team("Team").await;
    for text in [
        "",
        "  a\r\n\tb \u{a0}\u{2028} ",
        "Cafe\u{301} 👩\u{200d}👧",
        "\"\\/ null",
    ] {
        for client in org.clients() {
            let path = format!("/v1/teams/{team}");
            let response = client.patch(&path, json!({ "description": text })).await;
            assert_eq!(response.status, 200, "{response}");
            assert_eq!(org.toptickets.get(&path).await.json["description"], text);
            assert_eq!(shown(&org, &team).await["description"], text);
        }
    }
}

#[tokio::test]
async fn a_description_has_up_to_10_000_characters_whatever_their_bytes() {
    let org = organization().await;
    let text = "🦀".repeat(10_000);
    let team = created(&org, json!({ "name": "Team", "description": text })).await;
    assert_eq!(team["description"], text);
}

#[tokio::test]
async fn no_description_reads_as_null_and_an_empty_one_does_not() {
    let org = organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        for (sent, read) in [
            (json!({}), json!(null)),
            (json!({ "description": null }), json!(null)),
            (json!({ "description": "" }), json!("")),
        ] {
            let mut body = sent.clone();
            body["name"] = json!(format!("{number} {sent}"));
            let response = client.post("/v1/teams", body).await;
            let team = if response.json["data"].is_object() {
                &response.json["data"]
            } else {
                &response.json
            };
            assert_eq!(team["description"], read, "{response}");
        }
    }
}

#[tokio::test]
async fn a_change_of_the_description_keeps_clears_or_replaces_it() {
    let org = organization().await;
    let team = org.team("Team").await;
    let path = format!("/v1/teams/{team}");
    for client in org.clients() {
        for (change, read) in [
            (json!({ "description": "Text" }), json!("Text")),
            (json!({}), json!("Text")),
            (json!({ "description": "" }), json!("")),
            (json!({ "description": null }), json!(null)),
            (json!({ "description": "Back" }), json!("Back")),
        ] {
            assert_eq!(client.patch(&path, change.clone()).await.status, 200);
            assert_eq!(shown(&org, &team).await["description"], read, "{change}");
        }
    }
}

// Changes.

/// A team with everything, its lead a member.
async fn full_team(org: &Organization) -> (String, Value) {
    let body = json!({
        "name": "Full",
        "description": "Everything",
        "lead_id": prefixed(&org.users[0]),
        "queue_strategy": "least_busy",
        "specializations": ["VPN", "DNS"],
    });
    let id = created(org, body).await["id"]
        .as_str()
        .expect("an id")
        .replace("team_", "");
    org.member(&id, &org.users[0]).await;
    let team = shown(org, &id).await;
    (id, team)
}

#[tokio::test]
async fn a_change_that_changes_nothing_moves_nothing() {
    let org = organization().await;
    let (id, team) = full_team(&org).await;
    for change in [
        json!({}),
        json!({ "name": "Full" }),
        json!({ "name": "  Full " }),
        json!({ "description": "Everything" }),
        json!({ "lead_id": prefixed(&org.users[0]) }),
        json!({ "lead_id": bare(&org.users[0]).to_uppercase() }),
        json!({ "queue_strategy": "least_busy" }),
        json!({ "specializations": ["VPN", "DNS"] }),
        json!({ "specializations": [" VPN", "DNS", "vpn"] }),
        json!({ "name": "Full", "description": "Everything", "queue_strategy": "least_busy" }),
        json!({ "unknown": 1, "id": 5, "members": [], "created_at": 0, "updated_at": null, "organization_id": "x" }),
        team.clone(),
    ] {
        assert_eq!(changed(&org, &id, change.clone()).await, team, "{change}");
        let response = org
            .toptickets
            .patch(&format!("/v1/teams/{id}"), change.clone())
            .await;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(shown(&org, &id).await, team, "{change}");
    }
}

#[tokio::test]
async fn clearing_what_is_not_there_moves_nothing() {
    let org = organization().await;
    let id = org.team("Bare").await;
    let team = shown(&org, &id).await;
    for change in [
        json!({ "description": null }),
        json!({ "lead_id": null }),
        json!({ "specializations": [] }),
    ] {
        assert_eq!(changed(&org, &id, change).await, team);
    }
}

#[tokio::test]
async fn each_change_moves_the_time_of_the_update_and_nothing_else() {
    let org = organization().await;
    let (id, mut before) = full_team(&org).await;
    for (field, value) in [
        ("name", json!("Fuller")),
        ("description", json!("More")),
        ("description", json!("")),
        ("description", json!(null)),
        ("lead_id", json!(prefixed(&org.users[1]))),
        ("lead_id", json!(null)),
        ("queue_strategy", json!("skill_based")),
        ("queue_strategy", json!("round_robin")),
        ("specializations", json!(["DNS", "VPN"])),
        ("specializations", json!(["dns", "VPN"])),
        ("specializations", json!([])),
    ] {
        let mut after = changed(&org, &id, json!({ field: value })).await;
        assert_eq!(after[field], value);
        assert!(
            after["updated_at"].as_i64() > before["updated_at"].as_i64(),
            "{after}"
        );
        let now = after.clone();
        for moved in [field, "updated_at"] {
            after[moved] = before[moved].clone();
        }
        assert_eq!(after, before, "{field}");
        before = now;
    }
}

#[tokio::test]
async fn a_change_of_roster_moves_the_time_of_the_update() {
    let org = organization().await;
    let id = org.team("Team").await;
    let time = async || {
        shown(&org, &id).await["updated_at"]
            .as_i64()
            .expect("a time")
    };
    for client in org.clients() {
        let start = time().await;
        let response = client
            .post(
                &format!("/v1/teams/{id}/members"),
                json!({ "user_id": bare(&org.users[0]) }),
            )
            .await;
        assert_eq!(response.status, 201, "{response}");
        let with_member = time().await;
        assert_eq!(remove(client, &id, &org.users[0]).await.status, 204);
        let without = time().await;
        assert!(start < with_member && with_member < without);
        // What is refused moves nothing.
        assert_eq!(remove(client, &id, &org.users[0]).await.status, 404);
        assert_eq!(time().await, without);
    }
}

#[tokio::test]
async fn changes_of_different_fields_at_once_are_all_made() {
    let org = organization().await;
    let id = org.team("Team").await;
    let changes = [
        json!({ "name": "Renamed" }),
        json!({ "description": "Described" }),
        json!({ "lead_id": prefixed(&org.users[0]) }),
        json!({ "queue_strategy": "skill_based" }),
        json!({ "specializations": ["VPN"] }),
    ];
    let mut writers = JoinSet::new();
    for change in changes.clone() {
        let (client, path) = (org.itsm.clone(), format!("/v1/teams/{id}"));
        writers.spawn(async move { client.patch(&path, change).await.status.as_u16() });
    }
    assert_eq!(writers.join_all().await, [200; 5]);
    let team = shown(&org, &id).await;
    for change in changes {
        for (field, value) in change.as_object().expect("an object") {
            assert_eq!(&team[field], value);
        }
    }
}

#[tokio::test]
async fn toptickets_neither_sets_nor_clears_what_only_itsm_has() {
    let org = organization().await;
    let (id, team) = full_team(&org).await;
    let foreign =
        json!({ "lead_id": null, "queue_strategy": "skill_based", "specializations": [] });
    let response = org
        .toptickets
        .patch(&format!("/v1/teams/{id}"), foreign.clone())
        .await;
    assert_eq!(response.status, 200, "{response}");
    assert_eq!(shown(&org, &id).await, team);

    let mut body = foreign;
    body["name"] = json!("Plain");
    body["lead_id"] = json!(prefixed(&org.users[0]));
    let plain = org.toptickets.post("/v1/teams", body).await;
    let plain = shown(&org, plain.json["id"].as_str().expect("an id")).await;
    assert_eq!(
        (&plain["lead_id"], &plain["queue_strategy"]),
        (&json!(null), &json!("round_robin"))
    );
}

#[tokio::test]
async fn null_is_absent_in_what_is_created() {
    let org = organization().await;
    let nulls = json!({ "name": "Team", "description": null, "lead_id": null, "queue_strategy": null, "specializations": null });
    let team = created(&org, nulls).await;
    let read = [
        "description",
        "lead_id",
        "queue_strategy",
        "specializations",
    ]
    .map(|field| team[field].clone());
    assert_eq!(
        read,
        [json!(null), json!(null), json!("round_robin"), json!([])]
    );
    let id = team["id"].as_str().expect("an id");
    let member = joined(
        &org,
        id,
        json!({ "user_id": bare(&org.users[0]), "role": null, "skills": null }),
    )
    .await;
    assert_eq!(
        (&member["role"], &member["skills"]),
        (&json!("member"), &json!([]))
    );
}

#[tokio::test]
async fn what_is_created_has_an_id_and_times_of_our_own() {
    let org = organization().await;
    let claimed = json!({
        "name": "Team", "id": "team_00000000-0000-0000-0000-000000000000", "created_at": 1, "updated_at": 1,
        "organization_id": "other", "members": [{ "id": prefixed(&org.users[0]) }], "member_count": 9,
    });
    let team = created(&org, claimed).await;
    assert_ne!(team["id"], "team_00000000-0000-0000-0000-000000000000");
    assert_eq!(
        (&team["members"], &team["organization_id"]),
        (&json!([]), &json!(org.id.as_str()))
    );
    assert!(team["created_at"].as_i64() > Some(1));
    assert_eq!(team["created_at"], team["updated_at"]);
}

#[tokio::test]
async fn a_body_is_read_whatever_it_is_said_to_be() {
    let org = organization().await;
    for (number, content_type) in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "image/png",
        "nonsense",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        for client in org.clients() {
            let body =
                json!({ "name": format!("Team {number} {}", &client.token()[..4]) }).to_string();
            let request = client
                .request(reqwest::Method::POST, "/v1/teams")
                .header("content-type", content_type);
            let response = Client::send(request.body(body)).await;
            assert_eq!(response.status, 201, "{content_type}: {response}");
        }
    }
}

// Tags.

#[tokio::test]
async fn tags_are_trimmed_and_keep_their_order_and_the_first_of_duplicates() {
    let org = organization().await;
    let sent = json!([
        " VPN ",
        "dns",
        "vpn",
        "Cafe\u{301}",
        "DNS",
        "CAFÉ",
        "a  b",
        "a b"
    ]);
    let kept = json!(["VPN", "dns", "Cafe\u{301}", "a  b"]);
    let team = created(&org, json!({ "name": "Team", "specializations": sent })).await;
    assert_eq!(team["specializations"], kept);
    let id = team["id"].as_str().expect("an id");
    let member = joined(
        &org,
        id,
        json!({ "user_id": bare(&org.users[0]), "skills": sent }),
    )
    .await;
    assert_eq!(member["skills"], kept);
    let workload = org.itsm.get(&format!("/v1/teams/{id}/workload")).await;
    assert_eq!(
        workload.json["data"]["members"][0]["skills"], kept,
        "{workload}"
    );
}

#[tokio::test]
async fn up_to_50_tags_of_up_to_64_characters_are_kept_duplicates_not_counted() {
    let org = organization().await;
    let tag = |number: usize| format!("{number:02}{}", "🦀".repeat(62));
    let kept: Vec<_> = (0..50).map(tag).collect();
    let twice: Vec<_> = kept
        .iter()
        .chain(&kept)
        .map(|tag| format!(" {tag} "))
        .collect();
    let team = created(&org, json!({ "name": "Team", "specializations": twice })).await;
    assert_eq!(team["specializations"], json!(kept));
    let id = team["id"].as_str().expect("an id");
    // Skills have 4 KiB together, before which duplicates are dropped.
    let kept: Vec<_> = (0..50)
        .map(|number| format!("{number:02}{}", "x".repeat(62)))
        .collect();
    let twice: Vec<_> = kept.iter().chain(&kept).collect();
    let member = joined(
        &org,
        id,
        json!({ "user_id": bare(&org.users[0]), "skills": twice }),
    )
    .await;
    assert_eq!(member["skills"], json!(kept));
    assert_eq!(
        changed(&org, id, json!({ "specializations": ["One"] })).await["specializations"],
        json!(["One"])
    );
}

// Leads.

#[tokio::test]
async fn a_lead_need_not_be_a_member() {
    let org = organization().await;
    let lead = prefixed(&org.users[0]);
    let team = created(&org, json!({ "name": "Team", "lead_id": lead })).await;
    assert_eq!(
        (&team["lead_id"], &team["members"]),
        (&json!(lead), &json!([]))
    );
    let next = json!({ "lead_id": bare(&org.users[1]) });
    let team = changed(&org, team["id"].as_str().expect("an id"), next).await;
    assert_eq!(
        (&team["lead_id"], &team["members"]),
        (&json!(prefixed(&org.users[1])), &json!([]))
    );
}

#[tokio::test]
async fn a_lead_who_went_inactive_may_stay_and_no_inactive_user_may_become_one() {
    let org = organization().await;
    let (id, _) = full_team(&org).await;
    set_status(&org, 0, UserStatus::Inactive).await;
    // The profile is copied into the membership soon after.
    wait_until("the copy", async || {
        shown(&org, &id).await["members"][0]["status"] == "inactive"
    })
    .await;
    let team = shown(&org, &id).await;
    assert_eq!(
        changed(&org, &id, team.clone()).await,
        team,
        "what was read can be sent back"
    );
    let change =
        json!({ "lead_id": prefixed(&org.users[0]), "name": "Renamed", "description": "New" });
    assert_eq!(changed(&org, &id, change.clone()).await["name"], "Renamed");

    changed(&org, &id, json!({ "lead_id": null })).await;
    let response = org.itsm.patch(&format!("/v1/teams/{id}"), change).await;
    assert_eq!(
        (response.status.as_u16(), &response.json["error"]["details"]),
        (422, &json!({ "field": "lead_id" }))
    );
}

#[tokio::test]
async fn the_lead_may_be_removed_once_there_is_another_or_none() {
    let org = organization().await;
    let (id, _) = full_team(&org).await;
    for lead in [json!(null), json!(prefixed(&org.users[1]))] {
        changed(&org, &id, json!({ "lead_id": prefixed(&org.users[0]) })).await;
        assert_eq!(remove(&org.itsm, &id, &org.users[0]).await.status, 409);
        changed(&org, &id, json!({ "lead_id": lead })).await;
        assert_eq!(remove(&org.itsm, &id, &org.users[0]).await.status, 204);
        assert_eq!(shown(&org, &id).await["lead_id"], lead);
        org.member(&id, &org.users[0]).await;
    }
}

#[tokio::test]
async fn toptickets_removes_another_member_without_touching_the_lead() {
    let org = organization().await;
    let (id, _) = full_team(&org).await;
    org.member(&id, &org.users[1]).await;
    assert_eq!(
        remove(&org.toptickets, &id, &org.users[1]).await.status,
        204
    );
    assert_eq!(shown(&org, &id).await["lead_id"], prefixed(&org.users[0]));
}

// Memberships.

#[tokio::test]
async fn the_role_of_a_membership_follows_from_the_teams_lead() {
    let org = organization().await;
    let id = org.team("Team").await;
    let [first, second, third] = [0, 1, 2].map(|at| bare(&org.users[at]));
    assert_eq!(
        joined(&org, &id, json!({ "user_id": first })).await["role"],
        "member"
    );
    assert_eq!(
        joined(&org, &id, json!({ "user_id": second, "role": "lead" })).await["role"],
        "lead"
    );
    let team = shown(&org, &id).await;
    assert_eq!(
        (team["lead_id"].clone(), roster(&team)),
        (json!(prefixed(&org.users[1])), vec![0, 1])
    );
    assert_eq!(
        team["members"][1]["role"], "agent",
        "the platform's role, not the team's"
    );

    assert_eq!(
        joined(&org, &id, json!({ "user_id": third, "role": "lead" })).await["role"],
        "lead"
    );
    let team = shown(&org, &id).await;
    assert_eq!(team["lead_id"], prefixed(&org.users[2]));
    assert_eq!(
        roster(&team),
        [0, 1, 2],
        "a lead who was replaced stays a member"
    );
    assert_eq!(
        remove(&org.itsm, &id, &org.users[1]).await.status,
        204,
        "and can be removed"
    );
    assert_eq!(remove(&org.itsm, &id, &org.users[2]).await.status, 409);
}

#[tokio::test]
async fn adding_the_one_who_leads_already_answers_lead() {
    let org = organization().await;
    for role in [json!("member"), json!("lead"), json!(null)] {
        let body = json!({ "name": format!("Team {role}"), "lead_id": bare(&org.users[0]) });
        let team = created(&org, body).await;
        let id = team["id"].as_str().expect("an id");
        assert_eq!(
            joined(
                &org,
                id,
                json!({ "user_id": bare(&org.users[0]), "role": role })
            )
            .await["role"],
            "lead"
        );
        assert_eq!(shown(&org, id).await["lead_id"], prefixed(&org.users[0]));
    }
}

#[tokio::test]
async fn members_come_everywhere_in_the_order_in_which_they_joined() {
    let org = organization().await;
    let id = org.team("Team").await;
    let order = [7, 2, 9, 0, 5, 3];
    for at in order {
        org.member(&id, &org.users[at]).await;
    }
    assert_eq!(roster(&shown(&org, &id).await), order);
    assert_eq!(
        remove(&org.toptickets, &id, &org.users[9]).await.status,
        204
    );
    assert_eq!(remove(&org.itsm, &id, &org.users[7]).await.status, 204);
    let left = [2, 0, 5, 3];
    assert_eq!(roster(&shown(&org, &id).await), left);
    assert_eq!(
        roster(&org.toptickets.get(&format!("/v1/teams/{id}")).await.json),
        left
    );
    assert_eq!(
        roster(&org.itsm.get(&format!("/v1/teams/{id}/workload")).await.json["data"]),
        left
    );
    assert_eq!(
        roster(&changed(&org, &id, json!({ "description": "d" })).await),
        left
    );
    assert_eq!(
        roster(&changed(&org, &id, json!({ "name": "Renamed" })).await),
        left
    );
    let response = org
        .toptickets
        .post(
            &format!("/v1/teams/{id}/members"),
            json!({ "user_id": bare(&org.users[9]) }),
        )
        .await;
    assert_eq!(
        roster(&response.json),
        [2, 0, 5, 3, 9],
        "who returns has joined last"
    );
}

#[tokio::test]
async fn who_returns_is_a_new_member_with_the_figures_of_before() {
    let org = organization().await;
    let id = org.team("Team").await;
    let body = |skills: &[&str]| json!({ "user_id": bare(&org.users[0]), "skills": skills });
    let first = joined(&org, &id, body(&["VPN", "DNS"])).await;
    org.set_membership(
        &id,
        &org.users[0],
        &[("open_tickets", n(4)), ("in_progress_tickets", n(1))],
    )
    .await;
    assert_eq!(remove(&org.itsm, &id, &org.users[0]).await.status, 204);
    let renamed = User {
        email: "new@acme.example".to_owned(),
        version: 2,
        ..org.users[0].clone()
    };
    org.stack
        .store()
        .put_users(&org.id, &[renamed])
        .await
        .expect("a user can be written");

    let again = joined(&org, &id, body(&["WAN"])).await;
    assert_eq!(
        (&again["skills"], &again["email"]),
        (&json!(["WAN"]), &json!("new@acme.example"))
    );
    assert!(
        again["added_at"].as_i64() > first["added_at"].as_i64(),
        "{again}"
    );
    let workload = org.itsm.get(&format!("/v1/teams/{id}/workload")).await.json["data"].clone();
    let member = &workload["members"][0];
    assert_eq!(
        (&member["open_tickets"], &member["in_progress_tickets"]),
        (&json!(4), &json!(1)),
        "{workload}"
    );
    assert_eq!(
        (&member["skills"], &workload["total_members"]),
        (&json!(["WAN"]), &json!(1)),
        "{workload}"
    );
}

#[tokio::test]
async fn a_lead_whom_toptickets_removed_returns_as_a_member() {
    let org = organization().await;
    let (id, _) = full_team(&org).await;
    assert_eq!(
        remove(&org.toptickets, &id, &org.users[0]).await.status,
        204
    );
    assert_eq!(
        joined(&org, &id, json!({ "user_id": bare(&org.users[0]) })).await["role"],
        "member"
    );
}

#[tokio::test]
async fn who_left_and_went_inactive_cannot_return() {
    let org = organization().await;
    let id = org.team("Team").await;
    org.member(&id, &org.users[0]).await;
    assert_eq!(remove(&org.itsm, &id, &org.users[0]).await.status, 204);
    set_status(&org, 0, UserStatus::Suspended).await;
    let response = org
        .itsm
        .post(
            &format!("/v1/teams/{id}/members"),
            json!({ "user_id": bare(&org.users[0]) }),
        )
        .await;
    assert_eq!(
        (response.status.as_u16(), &response.json["error"]["details"]),
        (422, &json!({ "field": "user_id" }))
    );
}

#[tokio::test]
async fn a_user_may_be_in_several_teams() {
    let org = organization().await;
    let (one, two) = (org.team("One").await, org.team("Two").await);
    org.member(&one, &org.users[0]).await;
    org.member(&two, &org.users[0]).await;
    assert_eq!(remove(&org.itsm, &one, &org.users[0]).await.status, 204);
    assert_eq!(roster(&shown(&org, &two).await), [0]);
}

#[tokio::test]
async fn of_many_who_add_the_same_user_at_once_one_does() {
    let org = organization().await;
    let id = org.team("Team").await;
    let mut rivals = JoinSet::new();
    for number in 0..6 {
        let (client, path) = (
            org.clients()[number % 2].clone(),
            format!("/v1/teams/{id}/members"),
        );
        let body = json!({ "user_id": bare(&org.users[0]) });
        rivals.spawn(async move { client.post(&path, body).await.status.as_u16() });
    }
    let mut statuses = rivals.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(
        statuses[1..]
            .iter()
            .all(|status| [409, 422].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(roster(&shown(&org, &id).await), [0]);
}

#[tokio::test]
async fn members_who_are_added_and_removed_at_once_are_counted_exactly() {
    let org = organization().await;
    let id = org.team("Team").await;
    for at in 0..4 {
        org.member(&id, &org.users[at]).await;
    }
    let mut writers = JoinSet::new();
    for at in 0..8 {
        let (client, user, path) = (
            org.clients()[at % 2].clone(),
            bare(&org.users[at]),
            format!("/v1/teams/{id}/members"),
        );
        writers.spawn(async move {
            match at {
                0..4 => client.delete(&format!("{path}/{user}")).await,
                _ => client.post(&path, json!({ "user_id": user })).await,
            }
            .status
            .is_success()
        });
    }
    assert_eq!(writers.join_all().await, [true; 8]);
    let mut members = roster(&shown(&org, &id).await);
    members.sort_unstable();
    assert_eq!(members, [4, 5, 6, 7]);
    assert_eq!(
        org.itsm.get("/v1/teams").await.json["data"][0]["member_count"],
        4
    );
}

#[tokio::test]
async fn a_member_who_went_inactive_is_shown_as_such() {
    let org = organization().await;
    let id = org.team("Team").await;
    org.member(&id, &org.users[0]).await;
    let inactive = aws_sdk_dynamodb::types::AttributeValue::S("inactive".to_owned());
    org.set_membership(&id, &org.users[0], &[("status", inactive)])
        .await;
    assert_eq!(shown(&org, &id).await["members"][0]["status"], "inactive");
    let workload = org.itsm.get(&format!("/v1/teams/{id}/workload")).await;
    assert_eq!(
        workload.json["data"]["members"][0]["status"], "inactive",
        "{workload}"
    );
}

// Deletion.

#[tokio::test]
async fn a_deleted_team_is_gone_with_everything_in_it() {
    let org = organization().await;
    for client in org.clients() {
        let id = org.team("Team").await;
        for at in 0..3 {
            org.member(&id, &org.users[at]).await;
        }
        let path = format!("/v1/teams/{id}");
        assert_eq!(client.delete(&path).await.status, 204);
        for gone in [
            org.itsm.get(&path).await,
            org.toptickets.get(&path).await,
            org.itsm.get(&format!("{path}/workload")).await,
            org.itsm.patch(&path, json!({ "name": "Back" })).await,
            org.itsm
                .patch(&path, json!({ "description": "Back" }))
                .await,
            org.itsm
                .post(
                    &format!("{path}/members"),
                    json!({ "user_id": bare(&org.users[4]) }),
                )
                .await,
            remove(&org.toptickets, &id, &org.users[0]).await,
            client.delete(&path).await,
        ] {
            assert_eq!(gone.status, 404, "{gone}");
        }
        let next = org.team("Team").await;
        assert_eq!(
            roster(&shown(&org, &next).await),
            [0; 0],
            "its members are not the next one's"
        );
        org.member(&next, &org.users[0]).await;
        assert_eq!(
            client.delete(&format!("/v1/teams/{next}")).await.status,
            204
        );
    }
}

#[tokio::test]
async fn a_team_whose_tickets_are_all_resolved_may_be_deleted() {
    let org = organization().await;
    let id = org.team("Team").await;
    org.set_load(
        &id,
        &[("open_tickets", n(0)), ("sla_met", n(3)), ("sla_due", n(4))],
    )
    .await;
    assert_eq!(
        org.itsm.delete(&format!("/v1/teams/{id}")).await.status,
        204
    );
}

// Organizations.

#[tokio::test]
async fn every_key_of_an_organization_sees_the_same_teams_and_no_other_organizations() {
    let (org, other) = (organization().await, organization().await);
    let id = org.team("Ours").await;
    for kind in KeyKind::ALL {
        let ours = org.key(kind, &[Scope::TeamsRead]).await;
        let theirs = other.key(kind, &[Scope::TeamsRead]).await;
        assert_eq!(
            ours.get(&format!("/v1/teams/{id}")).await.status,
            200,
            "{kind:?}"
        );
        assert_eq!(
            theirs.get(&format!("/v1/teams/{id}")).await.status,
            404,
            "{kind:?}"
        );
        assert!(
            !theirs.get("/v1/teams").await.text.contains("Ours"),
            "{kind:?}"
        );
    }
}
