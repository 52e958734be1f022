//! The permissions of a key: its kind, its scopes, its contract and its organization.

use muster_domain::Scope;
use reqwest::Method;
use serde_json::json;

use super::{KINDS, assert_forbidden, endpoints, has_path};
use crate::support::{
    Client, Organization, Stack,
    response_shape::{ErrorFormat, assert_response},
    ticket_items::assigned,
};

#[tokio::test]
async fn key_is_limited_by_its_kind_and_scopes() {
    let org = Stack::shared().organization().await;
    let user = org.users[0].id.uuid().to_string();
    let scope_sets: [&[Scope]; 5] = [
        &[],
        &[Scope::TeamsRead],
        &[Scope::TeamsWrite],
        &[Scope::TeamsDelete],
        &Scope::ALL,
    ];
    for (kind, prefix, error_format, reads_only) in KINDS {
        for scopes in scope_sets {
            let client = org.key(kind, scopes).await;
            assert!(client.token().starts_with(prefix));
            let context = format!("{prefix} {scopes:?}");
            let team = org.team(&context).await;
            org.put_ticket("TKT-1", &assigned(&team, &org.users[0], 1))
                .await;
            if reads_only || !scopes.contains(&Scope::TeamsWrite) {
                org.member(&team, &org.users[0]).await;
            }
            for (method, path, body, needed) in endpoints(&team, &user, &format!("{context} too")) {
                let context = format!("{context}: {method} {path}");
                let response = client.call(&method, &path, body.as_ref()).await;
                assert_response(&response, error_format, &context);
                let carried = scopes.iter().any(|scope| scope.as_str() == needed);
                if !has_path(&path, error_format) {
                    assert_eq!(
                        (response.status.as_u16(), &response.json["detail"]),
                        (404, &json!("Not Found")),
                        "{context}"
                    );
                } else if carried && (!reads_only || needed == "teams:read") {
                    assert!(response.status.is_success(), "{context}: {response}");
                } else {
                    assert_forbidden(&response, error_format, needed, &context);
                }
            }
        }
    }
}

#[tokio::test]
async fn request_without_scope_has_no_effect() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let (user, unknown_user) = (
        org.users[0].id.uuid().to_string(),
        uuid::Uuid::new_v4().to_string(),
    );
    let before = org.itsm.get(&format!("/v1/teams/{team}")).await.text;
    for (kind, _, error_format, _) in KINDS {
        let client = org.key(kind, &[]).await;
        // The scope is checked before the id, the parameters, the body and the team.
        for id in [&team, &unknown_user, "nonsense"] {
            for (method, path, _, needed) in endpoints(id, &user, "x")
                .into_iter()
                .filter(|e| has_path(&e.1, error_format))
            {
                let body = json!({ "name": 7, "user_id": 7, "skills": 7 });
                let response = client
                    .call(&method, &format!("{path}?limit=x"), Some(&body))
                    .await;
                assert_forbidden(&response, error_format, needed, &format!("{method} {path}"));
            }
        }
    }
    assert_eq!(
        org.itsm.get(&format!("/v1/teams/{team}")).await.text,
        before
    );
    assert_eq!(
        org.itsm.get("/v1/teams").await.json["meta"]["pagination"]["total"],
        1
    );
}

#[tokio::test]
async fn key_selects_contract_and_organization() {
    let stack = Stack::shared();
    let (org, other) = (stack.organization().await, stack.organization().await);
    org.team("Ours").await;
    for (kind, _, error_format, _) in KINDS {
        let response = org
            .key(kind, &[Scope::TeamsRead])
            .await
            .get("/v1/teams")
            .await;
        let teams = if error_format == ErrorFormat::Itsm {
            &response.json["data"]
        } else {
            &response.json
        };
        assert_eq!(
            teams.as_array().map(Vec::len),
            Some(1),
            "{kind:?}: {response}"
        );
        let response = other
            .key(kind, &[Scope::TeamsRead])
            .await
            .get("/v1/teams")
            .await;
        let teams = if error_format == ErrorFormat::Itsm {
            &response.json["data"]
        } else {
            &response.json
        };
        assert_eq!(teams, &json!([]), "{kind:?}: {response}");
    }
    assert_same_contract(&org).await;
}

/// Asserts that only the key selects the contract, not a header or parameter.
async fn assert_same_contract(org: &Organization) {
    for (client, is_array) in [(&org.toptickets, true), (&org.itsm, false)] {
        for accept in [
            "application/vnd.itsm+json",
            "application/vnd.toptickets+json",
            "text/html",
        ] {
            let request =
                client.request(Method::GET, "/v1/teams?contract=itsm&contract=toptickets");
            let response = Client::send(
                request
                    .header("accept", accept)
                    .header("x-contract", accept),
            )
            .await;
            assert_eq!(response.json.is_array(), is_array, "{accept}: {response}");
        }
    }
}
