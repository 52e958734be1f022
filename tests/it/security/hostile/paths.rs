//! Odd paths and methods.

use super::{assert_not_found, clients_with_contract, send_raw, team_name};
use crate::support::{Stack, response_shape::assert_response};

#[tokio::test]
async fn path_similar_to_a_route_is_not_found() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let paths = [
        "//".to_owned(),
        "//v1/teams".to_owned(),
        "/v1//teams".to_owned(),
        "/v1/teams/".to_owned(),
        "/v1/teams//".to_owned(),
        "/v1/teams//members".to_owned(),
        "/V1/teams".to_owned(),
        "/v1/Teams".to_owned(),
        "/v1/%2574eams".to_owned(),
        "/v1/teams%2f".to_owned(),
        format!("/v1/teams/{team}%2f"),
        "/v1/teams%00".to_owned(),
        "/v1/teams;a=b".to_owned(),
        "/v1/./teams".to_owned(),
        "/v1/../v1/teams".to_owned(),
        "/v1/teams/../teams".to_owned(),
        "/../../etc/passwd".to_owned(),
        "/v1/teams/..%2f..%2f".to_owned() + "/x/y/z",
        format!("/v1/teams/{team}/"),
        format!("/v1/teams/{team}/nothing"),
        format!("/v1/teams/{team}/members/"),
        format!("/v1/teams/{team}/workload/"),
        "/v1/teams/a/b/c/d/e".to_owned(),
        "/".repeat(1_000),
        format!("/{}", "a/".repeat(1_000)),
        format!("/{}", "%".repeat(1_000)),
        "/\"{}'()!$&*+,:=@~".to_owned(),
    ];
    for (client, error_format) in clients_with_contract(&org) {
        for path in &paths {
            for method in ["GET", "POST", "DELETE"] {
                let response = send_raw(client, method, path, b"").await;
                assert_response(&response, error_format, path);
                assert_not_found(&response, "Not Found", path);
            }
        }
    }
    assert_eq!(
        org.itsm.get(&format!("/v1/teams/{team}")).await.status,
        200,
        "the team still exists"
    );
}

/// API Gateway decodes a path, and splits off a query that the decoding reveals, before it selects
/// a route.
#[tokio::test]
async fn path_is_routed_after_decoding() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    for (client, _) in clients_with_contract(&org) {
        for path in ["/v1/%74eams", "/v1%2fteams", "/v1/teams%3flimit=x"] {
            assert_eq!(
                send_raw(client, "GET", path, b"").await.status,
                200,
                "{path}"
            );
        }
        let response = send_raw(client, "GET", &format!("/v1/teams%2F{team}%3Fx"), b"").await;
        assert_eq!(
            (response.status.as_u16(), team_name(&response)),
            (200, "Support"),
            "{response}"
        );
    }
}

#[tokio::test]
async fn unknown_method_is_not_allowed() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    for (client, error_format) in clients_with_contract(&org) {
        for method in [
            "PUT",
            "HEAD",
            "TRACE",
            "get",
            "Post",
            "BREW",
            "PROPFIND",
            "X-!#$%&'*+.^_`|~",
            &"M".repeat(500),
        ] {
            for (path, allowed) in [
                ("/v1/teams".to_owned(), "GET, POST"),
                (format!("/v1/teams/{team}"), "GET, PATCH, DELETE"),
                (format!("/v1/teams/{team}/members"), "POST"),
                (format!("/v1/teams/{team}/members/{team}"), "DELETE"),
            ] {
                let response = send_raw(client, method, &path, b"").await;
                // The HTTP layer rejects some methods before they reach the gateway.
                if response.headers.contains_key("apigw-requestid") {
                    assert_eq!(response.status, 405, "{method} {path}: {response}");
                    let allow = response.header("allow");
                    for wanted in allowed.split(", ") {
                        assert!(
                            allow.split(", ").any(|method| method == wanted),
                            "{method} {path}: {allow}"
                        );
                    }
                    if method != "HEAD" {
                        assert_response(&response, error_format, method);
                    }
                } else {
                    assert_eq!(response.status, 400, "{method} {path}: {response}");
                }
            }
        }
    }
}
