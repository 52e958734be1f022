//! A team's members, listed and changed: what contracts.md adds to the documents. The goldens are
//! Muster's own.

use muster_domain::{OrganizationId, User, UserId, UserStatus};
use serde_json::{Value, json};

use super::{Scene, golden, ticking};
use crate::support::{
    Client, Organization, Response, Stack, bare, n,
    table::{OrgTable, number},
    user,
};

const TEAM: &str = "550e8400-e29b-41d4-a716-446655440000";

/// Alice, who leads and knows things, then Bob, in the team of the TopTickets document.
async fn technical_support(scene: &Scene) -> Organization {
    let person = |id: &str, name: &str, email: &str, avatar_url: Option<&str>| User {
        id: UserId::parse(id).expect("a user's id"),
        email: email.to_owned(),
        avatar_url: avatar_url.map(str::to_owned),
        ..user(name, UserStatus::Active)
    };
    let avatar = Some("https://cdn.example.com/avatars/agent1.jpg");
    let users = vec![
        person(
            "123e4567-e89b-12d3-a456-426614174000",
            "Alice Johnson",
            "agent1@company.com",
            avatar,
        ),
        person(
            "234f5678-e90c-12d3-b456-526714174111",
            "Bob Smith",
            "agent2@company.com",
            None,
        ),
    ];
    let org = OrganizationId::parse("org_9f8e7d6c5b4a").expect("an organization's id");
    let org = scene.stack.organization_of(org, users).await;
    scene.next_team(TEAM);
    org.team("Technical Support").await;
    let body =
        json!({ "user_id": bare(&org.users[0]), "role": "lead", "skills": ["VPN", "Cisco"] });
    let added = org
        .itsm
        .post(&format!("/v1/teams/{TEAM}/members"), body)
        .await;
    assert_eq!(added.status, 201, "{added}");
    scene.set(1_736_519_400);
    org.member(TEAM, &org.users[1]).await;
    org
}

#[tokio::test]
async fn members_are_listed_with_what_they_are_in_the_team() {
    let scene = Scene::at(1_736_064_000).await;
    let org = technical_support(&scene).await;
    let figures = [("open_tickets", n(5)), ("in_progress_tickets", n(3))];
    org.set_membership(TEAM, &org.users[0], &figures).await;
    let path = format!("/v1/teams/{TEAM}/members");
    let listed = org.toptickets.get(&path).await;
    assert_eq!(
        (listed.status.as_u16(), &listed.text),
        (200, &golden!("toptickets/list_members.json"))
    );
    let listed = org.itsm.get(&path).await;
    assert_eq!(
        (listed.status.as_u16(), &listed.text),
        (200, &golden!("itsm/list_members.json"))
    );
}

/// A list's items.
fn items(response: &Response) -> &Vec<Value> {
    response
        .json
        .as_array()
        .or_else(|| response.json["data"].as_array())
        .unwrap_or_else(|| panic!("no list: {response}"))
}

/// The members on a page, by their place among the organization's users.
async fn listed(org: &Organization, client: &Client, team: &str, query: &str) -> Vec<usize> {
    let response = client
        .get(&format!("/v1/teams/{team}/members?{query}"))
        .await;
    let place = |member: &Value| {
        let id = member["id"]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches("usr_");
        org.users
            .iter()
            .position(|user| bare(user) == id)
            .expect("a known user")
    };
    items(&response).iter().map(place).collect()
}

#[tokio::test]
async fn members_are_listed_in_the_order_in_which_they_joined_page_by_page() {
    let org = ticking().await.organization().await;
    let team = org.team("Team").await;
    for at in [4, 2, 0, 3, 1] {
        org.member(&team, &org.users[at]).await;
    }
    for (query, expected) in [
        ("", &[4, 2, 0, 3, 1][..]),
        ("limit=2", &[4, 2]),
        ("limit=2&skip=2", &[0, 3]),
        ("limit=2&offset=4", &[1]),
        ("skip=1&offset=3", &[2, 0, 3, 1]),
        ("skip=5", &[]),
        ("skip=99999999999999999999999999", &[]),
        ("page=2&search=x&sortBy=x&cursor=x", &[4, 2, 0, 3, 1]),
    ] {
        assert_eq!(
            listed(&org, &org.toptickets, &team, query).await,
            expected,
            "{query}"
        );
    }
    for (query, expected, pagination) in [
        ("", &[4, 2, 0, 3, 1][..], (1, 20, 1, false)),
        ("limit=2", &[4, 2], (1, 2, 3, true)),
        ("limit=2&page=2", &[0, 3], (2, 2, 3, true)),
        ("limit=2&page=3", &[1], (3, 2, 3, false)),
        ("limit=2&page=4", &[], (4, 2, 3, false)),
        (
            "limit=1000&search=x&sortBy=x&skip=1",
            &[4, 2, 0, 3, 1],
            (1, 1000, 1, false),
        ),
    ] {
        assert_eq!(
            listed(&org, &org.itsm, &team, query).await,
            expected,
            "{query}"
        );
        let (page, limit, pages, more) = pagination;
        let expected = json!({ "page": page, "limit": limit, "total": 5, "totalPages": pages, "hasMore": more });
        let response = org
            .itsm
            .get(&format!("/v1/teams/{team}/members?{query}"))
            .await;
        assert_eq!(response.json["meta"]["pagination"], expected, "{query}");
    }
}

#[tokio::test]
async fn who_left_is_not_listed_and_who_returns_comes_last() {
    let org = ticking().await.organization().await;
    let team = org.team("Team").await;
    assert_eq!(
        org.toptickets
            .get(&format!("/v1/teams/{team}/members"))
            .await
            .text,
        "[]"
    );
    for at in [0, 1] {
        org.member(&team, &org.users[at]).await;
    }
    let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[0]));
    assert_eq!(org.itsm.delete(&path).await.status, 204);
    assert_eq!(listed(&org, &org.itsm, &team, "").await, [1]);
    org.member(&team, &org.users[0]).await;
    assert_eq!(listed(&org, &org.toptickets, &team, "").await, [1, 0]);
}

#[tokio::test]
async fn a_change_answers_as_adding_does() {
    let scene = Scene::at(1_736_064_000).await;
    let org = technical_support(&scene).await;
    scene.set(1_736_600_000);
    let path = format!("/v1/teams/{TEAM}/members/{}", bare(&org.users[1]));
    let changed = org
        .itsm
        .patch(&path, json!({ "role": "lead", "skills": ["DNS", "WAN"] }))
        .await;
    assert_eq!(
        (changed.status.as_u16(), &changed.text),
        (200, &golden!("itsm/update_member.json"))
    );
    let changed = org
        .toptickets
        .patch(&path, json!({ "role": "member" }))
        .await;
    let team = org.toptickets.get(&format!("/v1/teams/{TEAM}")).await;
    assert_eq!((changed.status.as_u16(), &changed.text), (200, &team.text));
    assert_eq!(
        changed.json["members"].as_array().map(Vec::len),
        Some(2),
        "{changed}"
    );
}

/// A team of the users 0 and 1 of which 0 leads.
async fn led() -> (Organization, String) {
    let org = ticking().await.organization().await;
    let team = org.team("Team").await;
    for at in [0, 1] {
        org.member(&team, &org.users[at]).await;
    }
    let lead = json!({ "lead_id": bare(&org.users[0]) });
    assert_eq!(
        org.itsm
            .patch(&format!("/v1/teams/{team}"), lead)
            .await
            .status,
        200
    );
    (org, team)
}

/// The team's lead by their place, and what each of the first two members knows and is, as the
/// lists say.
async fn roles(org: &Organization, team: &str) -> (Option<usize>, Vec<(String, Value)>) {
    let lead = org.itsm.get(&format!("/v1/teams/{team}")).await.json["data"]["lead_id"].clone();
    let lead = lead.as_str().map(|id| {
        org.users
            .iter()
            .position(|user| id.ends_with(&bare(user)))
            .expect("a user")
    });
    let members = org
        .toptickets
        .get(&format!("/v1/teams/{team}/members"))
        .await;
    let role = |member: &Value| {
        (
            member["team_role"].as_str().unwrap_or_default().to_owned(),
            member["skills"].clone(),
        )
    };
    (lead, items(&members).iter().map(role).collect())
}

/// What moves with the team: its version and its time.
async fn version(org: &Organization, team: &str) -> (i64, i64) {
    let contents = OrgTable::of(org).contents().await;
    (
        number(&contents.teams[team], "version"),
        number(&contents.teams[team], "updated_at"),
    )
}

#[tokio::test]
async fn a_role_makes_and_unmakes_the_lead_under_both_contracts() {
    let (org, team) = led().await;
    for client in org.clients() {
        let patch = async |at: usize, body: Value| {
            let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[at]));
            let response = client.patch(&path, body).await;
            assert_eq!(response.status, 200, "{response}");
        };
        let lead = async || roles(&org, &team).await.0;
        let (start, _) = version(&org, &team).await;

        patch(1, json!({ "role": "lead" })).await;
        assert_eq!(lead().await, Some(1));
        patch(1, json!({ "role": "lead" })).await;
        // Who is no lead is a member already.
        patch(0, json!({ "role": "member" })).await;
        assert_eq!(
            (lead().await, version(&org, &team).await.0),
            (Some(1), start + 1)
        );
        patch(1, json!({ "role": "member" })).await;
        assert_eq!(
            (lead().await, version(&org, &team).await.0),
            (None, start + 2)
        );
        patch(0, json!({ "role": "lead", "skills": [client.token()] })).await;
        let lead_and_member = vec![
            ("lead".to_owned(), json!([client.token()])),
            ("member".to_owned(), json!([])),
        ];
        assert_eq!(roles(&org, &team).await, (Some(0), lead_and_member));
        assert_eq!(version(&org, &team).await.0, start + 3);
    }
}

#[tokio::test]
async fn skills_are_replaced_and_are_not_the_teams() {
    let (org, team) = led().await;
    let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[1]));
    let before = version(&org, &team).await;
    for (client, skills, kept) in [
        (
            &org.toptickets,
            json!([" VPN ", "dns", "vpn"]),
            json!(["VPN", "dns"]),
        ),
        (&org.itsm, json!(["dns", "VPN"]), json!(["dns", "VPN"])),
        (&org.toptickets, json!([]), json!([])),
        (&org.itsm, json!(["Cisco"]), json!(["Cisco"])),
    ] {
        let response = client
            .patch(
                &path,
                json!({ "skills": skills, "user_id": 7, "added_at": null }),
            )
            .await;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(
            roles(&org, &team).await.1[1],
            ("member".to_owned(), kept.clone())
        );
        // Beside a role that is no change, too.
        let response = client
            .patch(&path, json!({ "skills": ["else"], "role": "member" }))
            .await;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(roles(&org, &team).await.1[1].1, json!(["else"]));
    }
    assert_eq!(version(&org, &team).await, before);
}

#[tokio::test]
async fn what_changes_nothing_moves_nothing() {
    let (org, team) = led().await;
    let paths = [0, 1].map(|at| format!("/v1/teams/{team}/members/{}", bare(&org.users[at])));
    assert_eq!(
        org.itsm
            .patch(&paths[1], json!({ "skills": ["VPN"] }))
            .await
            .status,
        200
    );
    let before = (version(&org, &team).await, roles(&org, &team).await);
    for client in org.clients() {
        for (path, body) in [
            (&paths[0], json!({})),
            (&paths[0], json!({ "role": "lead" })),
            (&paths[0], json!({ "skills": [] })),
            (&paths[1], json!({ "role": "member" })),
            (&paths[1], json!({ "skills": ["VPN"] })),
            (&paths[1], json!({ "role": "member", "skills": ["VPN"] })),
        ] {
            let response = client.patch(path, body.clone()).await;
            assert_eq!(response.status, 200, "{body}: {response}");
        }
    }
    assert_eq!(
        (version(&org, &team).await, roles(&org, &team).await),
        before
    );
}

#[tokio::test]
async fn a_member_who_is_inactive_can_learn_but_not_begin_to_lead() {
    let (org, team) = led().await;
    let inactive = |user: &User| User {
        status: UserStatus::Inactive,
        version: 2,
        ..user.clone()
    };
    let users = [inactive(&org.users[0]), inactive(&org.users[1])];
    org.stack
        .store()
        .put_users(&org.id, &users)
        .await
        .expect("users can be written");
    let [lead, member] =
        [0, 1].map(|at| format!("/v1/teams/{team}/members/{}", bare(&org.users[at])));
    for client in org.clients() {
        let refused = client
            .patch(&member, json!({ "role": "lead", "skills": ["VPN"] }))
            .await;
        assert_eq!(refused.status, 422, "{refused}");
        assert_eq!(
            roles(&org, &team).await,
            (
                Some(0),
                vec![
                    ("lead".to_owned(), json!([])),
                    ("member".to_owned(), json!([]))
                ]
            )
        );
        // The lead stays the lead, whatever their status.
        assert_eq!(
            client.patch(&lead, json!({ "role": "lead" })).await.status,
            200
        );
    }
    assert_eq!(
        org.itsm
            .patch(&member, json!({ "skills": ["VPN"] }))
            .await
            .status,
        200
    );
    assert_eq!(
        org.toptickets
            .patch(&lead, json!({ "role": "member" }))
            .await
            .status,
        200
    );
    assert_eq!(roles(&org, &team).await.0, None);
}

#[tokio::test]
async fn what_was_resolved_and_counted_is_not_touched() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    let figures = [
        ("open_tickets", n(5)),
        ("in_progress_tickets", n(3)),
        ("last_turn", n(9)),
        ("resolved_ms", n(7)),
    ];
    org.set_membership(&team, &org.users[0], &figures).await;
    let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[0]));
    assert_eq!(
        org.itsm
            .patch(&path, json!({ "skills": ["VPN"], "role": "lead" }))
            .await
            .status,
        200
    );
    assert_eq!(
        org.itsm
            .patch(&path, json!({ "skills": ["DNS"] }))
            .await
            .status,
        200
    );
    let contents = OrgTable::of(&org).contents().await;
    let item = &contents.memberships[0].item;
    let figures = [
        "open_tickets",
        "in_progress_tickets",
        "last_turn",
        "resolved_ms",
    ]
    .map(|name| number(item, name));
    assert_eq!(figures, [5, 3, 9, 7]);
}
