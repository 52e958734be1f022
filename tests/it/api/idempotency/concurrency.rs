//! Concurrent requests with the same key.

use futures_util::future::join_all;
use serde_json::json;

use super::{
    assert_same_response, created_team_id, member_body, members_path, new_key, post_with_key,
    team_count,
};
use crate::support::{
    Stack,
    table::{OrgTable, assert_sound, number},
};

#[tokio::test]
async fn concurrent_duplicates_share_one_response() {
    let org = Stack::shared().organization().await;
    for (number, client) in org.clients().into_iter().enumerate() {
        for round in 0..4 {
            let before = team_count(&org).await;
            let (key, body) = (
                new_key(),
                json!({ "name": format!("Team {number} of round {round}") }),
            );
            let responses = join_all(
                (0..16).map(async |_| post_with_key(client, "/v1/teams", &key, &body).await),
            )
            .await;
            let team = created_team_id(&responses[0]);
            responses[1..]
                .iter()
                .for_each(|response| assert_same_response(&responses[0], response));
            assert_eq!(team_count(&org).await, before + 1);

            let (path, key) = (members_path(&team), new_key());
            let mut body = member_body(&org.users[round]);
            body["role"] = json!(if round % 2 == 0 { "lead" } else { "member" });
            let responses =
                join_all((0..16).map(async |_| post_with_key(client, &path, &key, &body).await))
                    .await;
            assert_eq!(responses[0].status, 201, "{}", responses[0]);
            responses[1..]
                .iter()
                .for_each(|response| assert_same_response(&responses[0], response));
            let contents = OrgTable::of(&org).contents().await;
            assert_eq!(
                (
                    contents.members(&team).len(),
                    version_of(&contents.teams[&team])
                ),
                (1, 2)
            );
        }
    }
    assert_sound(&org).await;
}

/// Returns the version of a team's item.
fn version_of(team: &crate::support::table::Item) -> i64 {
    number(team, "version")
}

/// Different requests with one key: the first that commits uses the key.
#[tokio::test]
async fn concurrent_requests_of_one_key_let_one_succeed() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    for round in 0..4 {
        let (before, key) = (OrgTable::of(&org).contents().await, new_key());
        let responses = join_all((0..16).map(async |n| {
            let (path, body) = match n % 2 {
                0 => (
                    "/v1/teams".to_owned(),
                    json!({ "name": format!("{n} of round {round}") }),
                ),
                _ => (members_path(&team), member_body(&org.users[round])),
            };
            (
                n,
                post_with_key(org.clients()[round % 2], &path, &key, &body).await,
            )
        }))
        .await;
        // Each create is sent once, and the same add eight times.
        let done: Vec<_> = responses
            .iter()
            .filter(|(_, response)| response.status == 201)
            .collect();
        let kinds: std::collections::BTreeSet<_> = done.iter().map(|(n, _)| n % 2).collect();
        assert_eq!(kinds.len(), 1, "{done:?}");
        assert_eq!(
            done.len(),
            if done[0].0 % 2 == 0 { 1 } else { 8 },
            "{done:?}"
        );
        for (_, response) in responses
            .iter()
            .filter(|(_, response)| response.status != 201)
        {
            assert_eq!(response.status, 422, "{response}");
        }
        let after = OrgTable::of(&org).contents().await;
        let (joined, made) = (
            after.members(&team).len() - before.members(&team).len(),
            after.teams.len(),
        );
        assert_eq!(joined + made - before.teams.len(), 1, "round {round}");
    }
    assert_sound(&org).await;
}
