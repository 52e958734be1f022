//! Copies of a profile in the memberships of its user.

use futures_util::{StreamExt, stream};
use muster_domain::User;
use serde_json::json;

use super::{DirectoryFixture, new_id, user_fields};
use crate::support::{
    bare,
    table::{OrgTable, number, text},
};

#[tokio::test]
async fn profile_change_is_copied_and_never_reverted() {
    let fixture = DirectoryFixture::new().await;
    let user = fixture.org.users[0].clone();
    let mut teams = Vec::new();
    for n in 0..3 {
        let team = fixture.org.team(&format!("Team {n}")).await;
        fixture.org.member(&team, &user).await;
        teams.push(team);
    }
    let other = fixture.itsm_team(&teams[0]).await["updated_at"].clone();
    fixture
        .handle_all(&[fixture.event(
            "user.updated",
            1,
            &json!({
                "id": bare(&user), "name": "Renamed", "avatar_url": "https://x/r", "status": "suspended",
            }),
        )])
        .await;
    assert_eq!(fixture.copies(user.id).await, 1);
    for team in &teams {
        let team = fixture.itsm_team(team).await;
        let member = &team["members"][0];
        assert_eq!(
            (
                &member["name"],
                &member["avatar_url"],
                &member["status"],
                &member["email"]
            ),
            (
                &json!("Renamed"),
                &json!("https://x/r"),
                &json!("suspended"),
                &json!(user.email)
            ),
        );
    }
    assert_eq!(fixture.itsm_team(&teams[0]).await["updated_at"], other);

    // An older profile, as read by a late job.
    fixture
        .store()
        .put_users(&fixture.org.id, std::slice::from_ref(&user))
        .await
        .expect("the profile is written");
    assert_eq!(fixture.copies(user.id).await, 1);
    assert_eq!(
        fixture.itsm_team(&teams[0]).await["members"][0]["name"],
        "Renamed"
    );
    assert_eq!(
        fixture.copies(new_id()).await,
        1,
        "an unknown user has no memberships"
    );
}

#[tokio::test]
async fn memberships_beyond_one_page_are_copied_by_page() {
    let fixture = DirectoryFixture::new().await;
    let user = fixture.org.users[0].clone();
    // A busy machine does not serve 210 concurrent requests within the timeout of the functions.
    let teams: Vec<_> = stream::iter(0..105)
        .map(async |n| {
            let team = fixture.org.team(&format!("Team {n}")).await;
            fixture.org.member(&team, &user).await;
            team
        })
        .buffered(8)
        .collect()
        .await;
    fixture
        .handle_all(&[fixture.event("user.deleted", 1, &json!({"id": bare(&user)}))])
        .await;
    assert_eq!(
        fixture.copies(user.id).await,
        3,
        "two of memberships, one of leads"
    );
    for team in &teams {
        assert_eq!(
            fixture.itsm_team(team).await["members"][0]["status"],
            "inactive"
        );
    }
}

/// A former member has counters without a profile, so copies and erasure do not apply.
#[tokio::test]
async fn former_member_has_no_profile_and_returns_with_the_latest() {
    let fixture = DirectoryFixture::new().await;
    let user = fixture.org.users[0].clone();
    let team = fixture.org.team("Team").await;
    fixture.org.member(&team, &user).await;
    let member = format!("/v1/teams/{team}/members/{}", bare(&user));
    assert_eq!(fixture.org.itsm.delete(&member).await.status, 204);
    let contents = OrgTable::of(&fixture.org).contents().await;
    assert_eq!((contents.memberships.len(), contents.pasts.len()), (0, 1));
    let left = contents.pasts[0].item.clone();
    let mut attributes: Vec<_> = left.keys().map(String::as_str).collect();
    attributes.sort_unstable();
    let counters = [
        "in_progress_tickets",
        "last_turn",
        "open_tickets",
        "pk",
        "resolved_ms",
        "resolved_tickets",
        "rev",
        "sk",
    ];
    assert_eq!(attributes, counters);

    fixture
        .handle_all(&[fixture.event("user.updated", 1, &user_fields(user.id, "Renamed"))])
        .await;
    fixture.copies(user.id).await;
    assert_eq!(
        OrgTable::of(&fixture.org).contents().await.pasts[0].item,
        left
    );
    fixture.org.member(&team, &user).await;
    let contents = OrgTable::of(&fixture.org).contents().await;
    assert_eq!((contents.memberships.len(), contents.pasts.len()), (1, 0));
    assert_eq!(
        text(&contents.memberships[0].item, "name"),
        "Renamed",
        "a returning member gets the latest profile"
    );
}

/// A copy that changes the eligibility of a member updates `eligible` of the team's load in the
/// same transaction.
#[tokio::test]
async fn copy_of_new_status_updates_eligible_of_each_team() {
    let fixture = DirectoryFixture::new().await;
    let user = fixture.org.users[0].clone();
    let [one, another] = [
        fixture.org.team("One").await,
        fixture.org.team("Another").await,
    ];
    for team in [&one, &another] {
        fixture.org.member(team, &user).await;
        fixture.org.member(team, &fixture.org.users[1]).await;
    }
    let eligible = async || {
        let contents = OrgTable::of(&fixture.org).contents().await;
        contents.assert_sound();
        [&one, &another].map(|team| number(&contents.loads[team], "eligible"))
    };
    assert_eq!(eligible().await, [2, 2]);
    for (at, status, expected) in [
        (1, "inactive", 1),
        // Between two inactive statuses, and to the same status.
        (2, "suspended", 1),
        (3, "suspended", 1),
        (4, "active", 2),
        (5, "active", 2),
        (6, "inactive", 1),
    ] {
        let mut profile = user_fields(user.id, &format!("Name {at}"));
        profile["status"] = json!(status);
        fixture
            .handle_all(&[fixture.event("user.updated", at, &profile)])
            .await;
        // A second copy changes no item.
        fixture.copies(user.id).await;
        fixture.copies(user.id).await;
        assert_eq!(eligible().await, [expected; 2], "{status} at {at}");
        let shown = fixture.itsm_team(&one).await;
        let member = shown["members"]
            .as_array()
            .and_then(|members| members.iter().find(|m| m["id"] == bare_itsm(&user)));
        assert_eq!(
            member.expect("a member")["name"],
            json!(format!("Name {at}"))
        );
    }
    // An inactive member who leaves does not change the count. A deleted user is not eligible.
    assert_eq!(
        fixture
            .org
            .itsm
            .delete(&format!("/v1/teams/{one}/members/{}", bare(&user)))
            .await
            .status,
        204
    );
    fixture
        .handle_all(&[fixture.event(
            "user.deleted",
            7,
            &json!({"id": bare(&fixture.org.users[1])}),
        )])
        .await;
    fixture.copies(fixture.org.users[1].id).await;
    assert_eq!(eligible().await, [0, 0]);
}

fn bare_itsm(user: &User) -> String {
    format!("usr_{}", bare(user))
}
