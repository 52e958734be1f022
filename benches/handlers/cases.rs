//! The endpoints, each with a request, and the requests before and after it that are not measured.

use reqwest::Method;
use serde_json::json;

use super::IN_FLIGHT;
use crate::{
    fixture::{team_id, user_id},
    invocation::Invocation,
};

/// An endpoint.
pub struct Case {
    pub name: &'static str,
    /// Creates the resource that the measured request needs. The measured request has
    /// [`CREATED_ID`] in place of the id in its response.
    pub before: Option<fn(usize) -> Invocation>,
    /// Returns the measured request with this number. Requests with different numbers in a row of
    /// 16 do not affect the same team.
    pub measured: fn(usize) -> Invocation,
    /// Deletes what the measured request created.
    pub after: Option<fn(usize) -> Invocation>,
}

/// The place of the id of a created team in the path of a measured request.
pub const CREATED_ID: &str = "CREATED";

/// The number of the first user who is in no team.
pub const FIRST_NEW_USER: usize = 5;

/// The tickets of each team.
pub const TICKETS: usize = 20;

/// All endpoints.
pub const ALL: [Case; 13] = [
    read("GET /v1/teams", |_| get("/v1/teams?limit=10".to_owned())),
    read("GET /v1/teams/{id}", |n| get(team(n))),
    read("GET .../members", |n| get(team(n) + "/members?limit=20")),
    read("GET .../workload", |n| get(team(n) + "/workload")),
    read("GET .../assignments", |n| {
        get(team(n) + "/assignments?limit=20")
    }),
    read("GET /v1/assignments", |n| {
        let team = team_id(number(n % IN_FLIGHT)).uuid();
        get(format!(
            "/v1/assignments?state=assigned&team_id=team_{team}&limit=20"
        ))
    }),
    read("GET /v1/assignments/{id}", |n| {
        get(format!(
            "/v1/assignments/TKT-{}-{}",
            n % IN_FLIGHT,
            n % TICKETS
        ))
    }),
    Case {
        name: "POST /v1/teams",
        before: None,
        measured: |n| create_team(&format!("New team {n}")),
        after: None,
    },
    Case {
        name: "PATCH /v1/teams/{id}",
        before: None,
        measured: |n| {
            let body = json!({ "description": format!("Handles network issues {n}") });
            Invocation::new(Method::PATCH, team(n), Some(body))
        },
        after: None,
    },
    Case {
        name: "DELETE /v1/teams/{id}",
        before: Some(|n| create_team(&format!("Old team {n}"))),
        measured: |_| Invocation::new(Method::DELETE, format!("/v1/teams/{CREATED_ID}"), None),
        after: None,
    },
    Case {
        name: "POST .../members",
        before: None,
        measured: add_member,
        after: Some(remove_member),
    },
    Case {
        name: "PATCH .../members/{id}",
        before: None,
        measured: |n| {
            let member = user_id(0).uuid();
            let skills = json!([["VPN", "DNS"], ["Mail", "Printer"]][n / IN_FLIGHT % 2]);
            let body = json!({ "skills": skills });
            Invocation::new(
                Method::PATCH,
                format!("{}/members/{member}", team(n)),
                Some(body),
            )
        },
        after: None,
    },
    Case {
        name: "DELETE .../members/{id}",
        before: Some(add_member),
        measured: remove_member,
        after: None,
    },
];

/// Returns the case of a request that only reads.
const fn read(name: &'static str, measured: fn(usize) -> Invocation) -> Case {
    Case {
        name,
        before: None,
        measured,
        after: None,
    }
}

fn get(target: String) -> Invocation {
    Invocation::new(Method::GET, target, None)
}

/// Returns the path of the team of a request.
fn team(n: usize) -> String {
    format!("/v1/teams/team_{}", team_id(number(n % IN_FLIGHT)).uuid())
}

fn create_team(name: &str) -> Invocation {
    let body = json!({
        "name": name,
        "description": "Handles network issues",
        "queue_strategy": "skill_based",
    });
    Invocation::new(Method::POST, "/v1/teams", Some(body))
}

/// Returns the id of a user who is in no team and joins in one request of a row.
fn new_user(n: usize) -> String {
    let user = user_id(number(FIRST_NEW_USER + n % IN_FLIGHT));
    format!("usr_{}", user.uuid())
}

fn add_member(n: usize) -> Invocation {
    let body = json!({ "user_id": new_user(n), "role": "member", "skills": ["VPN", "DNS"] });
    Invocation::new(Method::POST, team(n) + "/members", Some(body))
}

fn remove_member(n: usize) -> Invocation {
    Invocation::new(
        Method::DELETE,
        format!("{}/members/{}", team(n), new_user(n)),
        None,
    )
}

/// Returns a small number as the number of a team or of a user.
fn number(n: usize) -> u32 {
    u32::try_from(n).expect("a small number")
}
