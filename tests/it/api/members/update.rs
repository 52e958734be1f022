//! `PATCH /v1/teams/{team_id}/members/{user_id}`, an addition to both documents.

use muster_domain::{User, UserStatus};
use serde_json::{Value, json};

use super::{TEAM, items, technical_support};
use crate::{
    api::{ClockedStack, golden, ticking_stack},
    support::{
        Organization, Stack, bare, n,
        table::{OrgTable, number},
    },
};

/// Creates a team of the users 0 and 1, with user 0 as lead.
async fn team_with_lead() -> (Organization, String) {
    let org = ticking_stack().await.organization().await;
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

/// Returns the position of the lead, and the role and skills of each member.
async fn lead_and_roles(org: &Organization, team: &str) -> (Option<usize>, Vec<(String, Value)>) {
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

/// Returns the version and the `updated_at` of a team.
async fn version(org: &Organization, team: &str) -> (i64, i64) {
    let contents = OrgTable::of(org).contents().await;
    (
        number(&contents.teams[team], "version"),
        number(&contents.teams[team], "updated_at"),
    )
}

#[tokio::test]
async fn member_patch_responds_like_add() {
    let clocked = ClockedStack::at(1_736_064_000).await;
    let org = technical_support(&clocked).await;
    clocked.set(1_736_600_000);
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

#[tokio::test]
async fn role_patch_sets_and_clears_the_lead() {
    let (org, team) = team_with_lead().await;
    for client in org.clients() {
        let patch = async |at: usize, body: Value| {
            let path = format!("/v1/teams/{team}/members/{}", bare(&org.users[at]));
            let response = client.patch(&path, body).await;
            assert_eq!(response.status, 200, "{response}");
        };
        let lead = async || lead_and_roles(&org, &team).await.0;
        let (start, _) = version(&org, &team).await;

        patch(1, json!({ "role": "lead" })).await;
        assert_eq!(lead().await, Some(1));
        patch(1, json!({ "role": "lead" })).await;
        // The role `member` of a member who is not the lead is no change.
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
        assert_eq!(
            lead_and_roles(&org, &team).await,
            (Some(0), lead_and_member)
        );
        assert_eq!(version(&org, &team).await.0, start + 3);
    }
}

#[tokio::test]
async fn skills_patch_replaces_skills_and_keeps_version() {
    let (org, team) = team_with_lead().await;
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
            lead_and_roles(&org, &team).await.1[1],
            ("member".to_owned(), kept.clone())
        );
        // Together with an unchanged role, too.
        let response = client
            .patch(&path, json!({ "skills": ["else"], "role": "member" }))
            .await;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(lead_and_roles(&org, &team).await.1[1].1, json!(["else"]));
    }
    assert_eq!(version(&org, &team).await, before);
}

#[tokio::test]
async fn member_patch_without_effect_changes_no_field() {
    let (org, team) = team_with_lead().await;
    let paths = [0, 1].map(|at| format!("/v1/teams/{team}/members/{}", bare(&org.users[at])));
    assert_eq!(
        org.itsm
            .patch(&paths[1], json!({ "skills": ["VPN"] }))
            .await
            .status,
        200
    );
    let before = (
        version(&org, &team).await,
        lead_and_roles(&org, &team).await,
    );
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
        (
            version(&org, &team).await,
            lead_and_roles(&org, &team).await
        ),
        before
    );
}

#[tokio::test]
async fn inactive_member_gains_skills_but_not_the_lead() {
    let (org, team) = team_with_lead().await;
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
            lead_and_roles(&org, &team).await,
            (
                Some(0),
                vec![
                    ("lead".to_owned(), json!([])),
                    ("member".to_owned(), json!([]))
                ]
            )
        );
        // An inactive lead stays the lead.
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
    assert_eq!(lead_and_roles(&org, &team).await.0, None);
}

#[tokio::test]
async fn member_patch_keeps_the_ticket_counters() {
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
