//! Odd ids in the path.

use super::{assert_not_found, clients_with_contract, send_raw, team_name};
use crate::support::{
    Stack,
    response_shape::{ErrorFormat, assert_response},
    ticket_items::assigned,
};

/// Returns the accepted forms of a team id in a path.
fn accepted_forms(team: &str) -> Vec<String> {
    vec![
        team.to_owned(),
        format!("team_{team}"),
        team.to_uppercase(),
        format!("TEAM_{team}"),
        format!("team_{}", team.to_uppercase()),
        format!("team%5F{team}"),
        team.replace('-', "%2D"),
        format!("%{:02x}{}", team.as_bytes()[0], &team[1..]),
    ]
}

/// Returns malformed team ids, similar to this one.
fn malformed_forms(team: &str) -> Vec<String> {
    let simple = team.replace('-', "");
    vec![
        simple.clone(),
        format!("usr_{team}"),
        format!("team-{team}"),
        format!("team_team_{team}"),
        format!("team_{simple}"),
        format!("%7B{team}%7D"),
        format!("urn:uuid:{team}"),
        format!("{team}%20"),
        format!("%20{team}"),
        format!("{team}%00"),
        format!("{team}%0a"),
        format!("{team};x=1"),
        team.replace('-', "%252D"),
        // `%-` is no escape. A bare `%` before random digits could decode to a slash, which would
        // be another path.
        team.replace('-', "%-"),
        team[1..].to_owned(),
        format!("{team}0"),
        format!("%EF%BC%90{}", &team[3..]),
        "%ff".to_owned(),
        "%".to_owned(),
        "%0".to_owned(),
        "%zz".to_owned(),
        "%00".to_owned(),
        "null".to_owned(),
        "0".to_owned(),
        "-1".to_owned(),
        "*".to_owned(),
        "'%20OR%201=1".to_owned(),
        "x".repeat(2_000),
        "%e2%98%83".repeat(200),
    ]
}

#[tokio::test]
async fn malformed_id_in_path_is_not_found() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let (good, bad) = (accepted_forms(&team), malformed_forms(&team));
    let user = org.users[0].id.uuid();
    for (client, error_format) in clients_with_contract(&org) {
        for id in &good {
            let response = send_raw(client, "GET", &format!("/v1/teams/{id}"), b"").await;
            assert_eq!(
                (response.status.as_u16(), team_name(&response)),
                (200, "Support"),
                "{id}: {response}"
            );
        }
        for id in &bad {
            for (method, rest, body) in [
                ("GET", "", String::new()),
                ("PATCH", "", "{}".to_owned()),
                ("DELETE", "", String::new()),
                ("POST", "/members", format!("{{\"user_id\":\"{user}\"}}")),
                ("GET", "/members", String::new()),
                (
                    "PATCH",
                    &*format!("/members/{user}"),
                    "{\"role\":\"lead\"}".to_owned(),
                ),
                ("DELETE", &*format!("/members/{user}"), String::new()),
                ("GET", "/assignments", String::new()),
                ("GET", "/workload", String::new()),
            ] {
                let path = format!("/v1/teams/{id}{rest}");
                let response = send_raw(client, method, &path, body.as_bytes()).await;
                assert_response(&response, error_format, &path);
                let missing = if rest == "/workload" && error_format == ErrorFormat::Toptickets {
                    "Not Found"
                } else {
                    "Team not found"
                };
                assert_not_found(&response, missing, &path);
            }
        }
        for id in bad.iter().filter(|id| !id.starts_with("usr_")) {
            let path = format!("/v1/teams/{team}/members/{id}");
            for (method, body) in [("DELETE", &b""[..]), ("PATCH", b"{}")] {
                let response = send_raw(client, method, &path, body).await;
                assert_response(&response, error_format, &path);
                assert_eq!(response.status, 404, "{path}: {response}");
            }
        }
    }
}

#[tokio::test]
async fn ticket_id_outside_its_alphabet_is_not_found() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let longest = "x".repeat(128);
    for id in [
        "TKT-1",
        "0",
        "a.b:c_d-e",
        "...",
        "members",
        "workload",
        &longest,
    ] {
        org.put_ticket(id, &assigned(&team, &org.users[0], 1)).await;
    }
    let good = [
        "TKT-1",
        "TKT%2D1",
        "%54KT-1",
        "0",
        "a.b:c_d-e",
        "a.b%3Ac_d-e",
        "...",
        "members",
        "workload",
        &longest,
    ];
    let bad = [
        "tkt-1",
        "TKT-1%20",
        "%20TKT-1",
        "TKT-1%00",
        "TKT-1%23",
        "TKT%252D1",
        "TKT-1;x=1",
        "*",
        "%",
        "%ff",
        "%zz",
        "%EF%BC%90",
        "'%20OR%201=1",
        &"x".repeat(129),
        &"x".repeat(2_000),
        &"%e2%98%83".repeat(200),
    ];
    for (client, error_format) in clients_with_contract(&org) {
        for id in good {
            let path = format!("/v1/assignments/{id}");
            let response = send_raw(client, "GET", &path, b"").await;
            assert_response(&response, error_format, &path);
            assert_eq!(response.status, 200, "{path}: {response}");
        }
        for id in bad {
            let path = format!("/v1/assignments/{id}");
            let response = send_raw(client, "GET", &path, b"").await;
            assert_response(&response, error_format, &path);
            assert_not_found(&response, "Ticket not found", &path);
        }
    }
}
