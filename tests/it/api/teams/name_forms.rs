//! Names that differ only in their Unicode form: an organization has one team of each folded name.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Organization, Response, Stack};

async fn organization() -> Organization {
    Stack::shared().organization().await
}

async fn create(org: &Organization, name: &str) -> Response {
    org.itsm.post("/v1/teams", json!({ "name": name })).await
}

/// Returns the names of the teams that a search finds.
async fn search_names(org: &Organization, search: &str) -> Vec<String> {
    let query = [("search", search), ("sortOrder", "asc")];
    let response = Client::send(org.itsm.request(Method::GET, "/v1/teams").query(&query)).await;
    assert_eq!(response.status, 200, "{response}");
    let teams = response.json["data"].as_array().expect("a list");
    teams
        .iter()
        .map(|team| team["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn name_in_another_form_is_taken() {
    let org = organization().await;
    for (name, others) in [
        // The capitals decompose: no single character is the capital of U+0390.
        (
            "Πρωτε\u{390}νη",
            &["ΠΡΩΤΕΪ\u{301}ΝΗ", "Πρωτεϊ\u{301}νη"] as &[_],
        ),
        (
            "Service Desk",
            &[
                "Service\u{200b} Desk",
                "Service\u{a0}Desk",
                "Service  Desk",
                "Service \u{200b} Desk",
                "\u{feff}Ｓｅｒｖｉｃｅ\u{3000}Ｄｅｓｋ",
                "Service Des\u{ad}k",
            ],
        ),
        ("Straße", &["STRASSE", "Stra\u{1e9e}e"]),
        ("Ⅳ ﬁle", &["IV FILE"]),
    ] {
        assert_eq!(create(&org, name).await.status, 201, "{name:?}");
        for other in others {
            let response = create(&org, other).await;
            assert_eq!(
                (response.status.as_u16(), &response.json["error"]["code"]),
                (409, &json!("CONFLICT")),
                "{other:?}"
            );
            let response = org
                .toptickets
                .post("/v1/teams", json!({ "name": other }))
                .await;
            assert_eq!(
                (response.status.as_u16(), &response.json["detail"]),
                (422, &json!("Team name already exists"))
            );
            assert_eq!(search_names(&org, other).await, [name], "{other:?}");
        }
    }
}

#[tokio::test]
async fn name_is_returned_as_it_was_written() {
    let org = organization().await;
    for name in [
        "Ｓｅｒｖｉｃｅ\u{3000}Ｄｅｓｋ",
        "Night\u{200b}  Shift",
        "ΠΡΩΤΕΪ\u{301}ΝΗ",
    ] {
        let response = create(&org, name).await;
        assert_eq!(
            (response.status.as_u16(), &response.json["data"]["name"]),
            (201, &json!(name)),
            "{response}"
        );
        assert_eq!(search_names(&org, name).await, [name]);
    }
}

#[tokio::test]
async fn name_or_tag_folding_to_no_text_is_rejected() {
    let org = organization().await;
    let team = org.team("Visible").await;
    let member = json!({ "user_id": org.users[0].id.uuid().to_string() });
    let with = |body: &Value, field: &str, value: Value| {
        let mut body = body.clone();
        body[field] = value;
        body
    };
    let members = format!("/v1/teams/{team}/members");
    for text in ["\u{200b}", " \u{ad}\u{3000}\u{feff} ", "\u{3164}"] {
        let tags = json!(["VPN", text]);
        for (method, path, body, field) in [
            ("POST", "/v1/teams", json!({ "name": text }), "name"),
            (
                "POST",
                "/v1/teams",
                json!({ "name": "Tags", "specializations": tags }),
                "specializations",
            ),
            (
                "PATCH",
                &format!("/v1/teams/{team}"),
                json!({ "name": text }),
                "name",
            ),
            (
                "POST",
                &members,
                with(&member, "skills", tags.clone()),
                "skills",
            ),
        ] {
            let method = method.parse().expect("a method");
            let response = org.itsm.call(&method, path, Some(&body)).await;
            let details = json!({ "field": field, "constraint": "isNotEmpty" });
            assert_eq!(
                (response.status.as_u16(), &response.json["error"]["details"]),
                (400, &details),
                "{response}"
            );
        }
        let response = org
            .toptickets
            .post("/v1/teams", json!({ "name": text }))
            .await;
        let detail = &response.json["detail"][0];
        assert_eq!(
            (response.status.as_u16(), &detail["loc"]),
            (422, &json!(["body", "name"])),
            "{response}"
        );
        assert_eq!(
            detail["type"], "value_error.any_str.min_length",
            "{response}"
        );
        assert_eq!(
            search_names(&org, text).await,
            ["Visible"],
            "an empty search finds every team"
        );
    }
}

#[tokio::test]
async fn name_folding_to_18_times_its_length_is_found() {
    let org = organization().await;
    let long = "\u{fdfa}".repeat(255);
    assert_eq!(create(&org, &long).await.status, 201);
    assert_eq!(create(&org, &long).await.status, 409);
    assert_eq!(create(&org, &"\u{fdfa}".repeat(254)).await.status, 201);
    assert_eq!(search_names(&org, &long).await, [long]);
    assert_eq!(search_names(&org, "الله").await.len(), 2);
}
