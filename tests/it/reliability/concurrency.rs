//! Concurrent writes: one of several conflicting requests succeeds, and the table stays consistent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use futures_util::{StreamExt, future::join_all, stream};
use muster_domain::User;
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, Organization, Response, Stack,
    table::{OrgTable, assert_sound, number, text},
};

async fn organization() -> Organization {
    Stack::shared().organization().await
}

fn team_path(team: &str) -> String {
    format!("/v1/teams/{team}")
}

fn members_path(team: &str) -> String {
    format!("/v1/teams/{team}/members")
}

fn member_path(team: &str, user: &User) -> String {
    format!("/v1/teams/{team}/members/{}", user.id.uuid())
}

fn adding(user: &User) -> Value {
    json!({ "user_id": user.id.uuid().to_string() })
}

/// Sends a request many times concurrently, half of them under each contract.
async fn send_concurrently<F: Future<Output = Response>>(
    org: &Organization,
    times: usize,
    request: impl Fn(usize, Client) -> F,
) -> Vec<Response> {
    join_all((0..times).map(|n| request(n, org.clients()[n % 2].clone()))).await
}

/// Returns true if a business rule rejected the request: a `CONFLICT` under ITSM, this sentence
/// under TopTickets.
fn is_conflict(response: &Response, sentence: &str) -> bool {
    match response.status.as_u16() {
        409 => response.json["error"]["code"] == "CONFLICT",
        422 => response.json == json!({ "detail": sentence }),
        _ => false,
    }
}

/// Asserts that the rule rejected all but `count` requests, and returns the successful responses.
fn winners<'a>(responses: &'a [Response], count: usize, sentence: &str) -> Vec<&'a Response> {
    let won: Vec<_> = responses
        .iter()
        .filter(|response| response.status.is_success())
        .collect();
    assert_eq!(won.len(), count, "{won:?}");
    for response in responses {
        assert!(
            response.status.is_success() || is_conflict(response, sentence),
            "{response}"
        );
    }
    won
}

/// Returns the bare id of the team in a response.
fn created(response: &Response) -> String {
    let id = response.json["id"]
        .as_str()
        .or_else(|| response.json["data"]["id"].as_str());
    id.unwrap_or_else(|| panic!("no team in the response: {response}"))
        .trim_start_matches("team_")
        .to_owned()
}

const TAKEN: &str = "Team name already exists";
const MEMBER_ALREADY: &str = "User is already a member";
const FULL: &str = "Team is full";

#[tokio::test]
async fn concurrent_creates_of_one_name_have_one_winner() {
    let org = organization().await;
    let spellings = [
        "Café Support",
        "CAFÉ SUPPORT",
        "cafe\u{301} support",
        "  café Support ",
        "CAFE\u{301} SUPPORT\t",
    ];
    let responses = send_concurrently(&org, 64, |n, client| async move {
        client
            .post(
                "/v1/teams",
                json!({ "name": spellings[n % spellings.len()] }),
            )
            .await
    })
    .await;
    let winner = created(winners(&responses, 1, TAKEN)[0]);
    let contents = assert_sound(&org).await;
    assert_eq!(contents.teams.keys().collect::<Vec<_>>(), [&winner]);
}

#[tokio::test]
async fn concurrent_renames_to_one_name_have_one_winner() {
    let org = organization().await;
    let teams = join_all((0..16).map(async |n| org.team(&format!("Team {n}")).await)).await;
    let responses = send_concurrently(&org, 16, |n, client| {
        let path = team_path(&teams[n]);
        async move { client.patch(&path, json!({ "name": "The One" })).await }
    })
    .await;
    let winner = created(winners(&responses, 1, TAKEN)[0]);
    let contents = assert_sound(&org).await;
    for (n, team) in teams.iter().enumerate() {
        let (old, item) = (format!("Team {n}"), &contents.teams[team]);
        let won = *team == winner;
        assert_eq!(text(item, "name"), if won { "The One" } else { &old });
        assert_eq!(number(item, "version"), if won { 2 } else { 1 });
        // The old name of the winner is free. The old name of each loser is still taken.
        let response = org
            .itsm
            .post("/v1/teams", json!({ "name": old.to_uppercase() }))
            .await;
        assert!(
            if won {
                response.status == 201
            } else {
                is_conflict(&response, TAKEN)
            },
            "{response}"
        );
    }
}

#[tokio::test]
async fn concurrently_changed_name_has_one_owner() {
    let org = organization().await;
    for round in 0..8 {
        let [held, other] = [
            org.team(&format!("Held {round}")).await,
            org.team(&format!("Other {round}")).await,
        ];
        let name = json!({ "name": format!("hELD {round}") });
        let responses = send_concurrently(&org, 12, |n, client| {
            let (path, name) = (
                team_path(if n % 6 < 4 { &held } else { &other }),
                name.clone(),
            );
            async move {
                match n % 6 {
                    0 | 1 => client.post("/v1/teams", name).await,
                    2 => client.delete(&path).await,
                    3 => {
                        client
                            .patch(&path, json!({ "name": format!("Free {round}") }))
                            .await
                    }
                    _ => client.patch(&path, name).await,
                }
            }
        })
        .await;
        for response in &responses {
            let fine = response.status.is_success()
                || response.status == 404
                || is_conflict(response, TAKEN);
            assert!(fine, "{response}");
        }
        assert_eq!(
            org.itsm.get(&team_path(&held)).await.status,
            404,
            "the deleted team still exists"
        );
    }
    assert_sound(&org).await;
}

#[tokio::test]
async fn concurrent_adds_of_one_user_have_one_winner() {
    let org = organization().await;
    let team = org.team("Team").await;
    let user = &org.users[0];
    // The second round adds a former member.
    for round in 1..=2 {
        let responses = send_concurrently(&org, 32, |_, client| {
            let path = members_path(&team);
            async move { client.post(&path, adding(user)).await }
        })
        .await;
        winners(&responses, 1, MEMBER_ALREADY);
        let contents = assert_sound(&org).await;
        assert_eq!(number(&contents.teams[&team], "version"), 2 * round);
        let removals = send_concurrently(&org, 16, |_, client| {
            let path = member_path(&team, user);
            async move { client.delete(&path).await }
        })
        .await;
        assert_eq!(
            removals
                .iter()
                .filter(|response| response.status == 204)
                .count(),
            1
        );
        assert!(
            removals
                .iter()
                .all(|response| response.status == 204 || response.status == 404)
        );
    }
    assert!(assert_sound(&org).await.members(&team).is_empty());
}

#[tokio::test]
async fn nearly_full_team_accepts_only_the_free_places() {
    let org = organization().await;
    let team = org.team("Team").await;
    let table = OrgTable::of(&org);
    table.set_number(&team, "member_count", 498).await;
    let responses = send_concurrently(&org, 12, |n, client| {
        let (path, body) = (members_path(&team), adding(&org.users[n]));
        async move { client.post(&path, body).await }
    })
    .await;
    winners(&responses, 2, FULL);
    let contents = table.contents().await;
    assert_eq!(number(&contents.teams[&team], "member_count"), 500);
    assert_eq!(contents.members(&team).len(), 2);
}

#[tokio::test]
async fn concurrent_new_leads_leave_one_lead() {
    let org = organization().await;
    let team = org.team("Team").await;
    let responses = join_all(org.users[..12].iter().map(async |user| {
        let body = json!({ "user_id": user.id.uuid().to_string(), "role": "lead" });
        org.itsm.post(&members_path(&team), body).await
    }))
    .await;
    for response in responses {
        assert_eq!(
            (response.status.as_u16(), &response.json["data"]["role"]),
            (201, &json!("lead")),
            "{response}"
        );
    }
    let contents = assert_sound(&org).await;
    let item = &contents.teams[&team];
    assert_eq!(
        (contents.members(&team).len(), number(item, "version")),
        (12, 13)
    );
    assert!(contents.members(&team).contains(text(item, "lead_id")));
}

/// For one user, each successful add is followed by a successful removal.
#[tokio::test]
async fn concurrent_adds_and_removals_alternate() {
    let org = organization().await;
    let team = org.team("Team").await;
    let outcomes = Mutex::new(BTreeMap::new());
    send_concurrently(&org, 144, |n, client| {
        let (team, org, outcomes) = (&team, &org, &outcomes);
        async move {
            let user = &org.users[n % 4];
            let response = if n % 3 == 0 {
                client.delete(&member_path(team, user)).await
            } else {
                client.post(&members_path(team), adding(user)).await
            };
            let change = match response.status.as_u16() {
                201 => 1,
                204 => -1,
                404 => 0,
                _ if is_conflict(&response, MEMBER_ALREADY) => 0,
                _ => panic!("{response}"),
            };
            let mut outcomes = outcomes.lock().expect("the lock is not poisoned");
            let (present, changes) = outcomes.entry(user.id.uuid().to_string()).or_insert((0, 0));
            *present += change;
            *changes += i64::abs(change);
            response
        }
    })
    .await;
    let contents = assert_sound(&org).await;
    let outcomes = outcomes.into_inner().expect("the lock is not poisoned");
    for (user, (present, _)) in &outcomes {
        assert_eq!(
            i64::from(contents.members(&team).contains(user)),
            *present,
            "{user}"
        );
    }
    let changes: i64 = outcomes.values().map(|(_, changes)| changes).sum();
    assert_eq!(number(&contents.teams[&team], "version"), 1 + changes);
}

#[tokio::test]
async fn team_deleted_during_changes_leaves_no_membership() {
    let org = organization().await;
    let kept = org.team("Kept").await;
    for round in 0..6 {
        let team = org.team(&format!("Doomed {round}")).await;
        org.member(&team, &org.users[0]).await;
        let responses = send_concurrently(&org, 17, |n, client| {
            let (team, org) = (&team, &org);
            async move {
                match n {
                    8 => client.delete(&team_path(team)).await,
                    n if n % 3 == 0 => {
                        client
                            .patch(
                                &team_path(team),
                                json!({ "name": format!("Renamed {round} {n}") }),
                            )
                            .await
                    }
                    n if n % 3 == 1 => client.delete(&member_path(team, &org.users[n % 2])).await,
                    n => {
                        client
                            .post(&members_path(team), adding(&org.users[n % 11 + 1]))
                            .await
                    }
                }
            }
        })
        .await;
        assert_eq!(responses[8].status, 204, "{}", responses[8]);
        for response in &responses {
            assert!(!response.status.is_server_error(), "{response}");
        }
        let contents = assert_sound(&org).await;
        assert_eq!(contents.teams.keys().collect::<Vec<_>>(), [&kept]);
        assert!(contents.deleted_teams.contains_key(&team));
        let left = contents
            .memberships
            .iter()
            .filter(|membership| membership.team == team)
            .count();
        assert_eq!(left, 0, "the deletion of a small team leaves no membership");
    }
}

/// A kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum WriteKind {
    Create,
    Rename,
    Describe,
    Delete,
    Add,
    Remove,
}

/// A write. The team is the one in `place` when the request is sent.
#[derive(Debug, Clone, Copy)]
struct PlannedWrite {
    write: WriteKind,
    place: usize,
    user: usize,
    name: usize,
    contract: usize,
}

const PLACES: usize = 20;

impl PlannedWrite {
    fn random(rng: &mut StdRng) -> Self {
        let write = match rng.random_range(0..100) {
            0..14 => WriteKind::Create,
            14..30 => WriteKind::Rename,
            30..44 => WriteKind::Describe,
            44..50 => WriteKind::Delete,
            50..78 => WriteKind::Add,
            _ => WriteKind::Remove,
        };
        Self {
            write,
            place: rng.random_range(0..PLACES),
            user: rng.random_range(0..12),
            name: rng.random_range(0..3 * PLACES),
            contract: rng.random_range(0..2),
        }
    }

    /// Every success changes the team, so that versions count the successes: each description is
    /// unique.
    async fn send(self, n: usize, org: &Organization, team: &str) -> Response {
        let Self {
            write,
            place: _,
            user,
            name,
            contract,
        } = self;
        let client = org.clients()[contract];
        let user = &org.users[user];
        let name = if n.is_multiple_of(2) {
            format!("Équipe {name}")
        } else {
            format!(" e\u{301}QUIPE {name} ")
        };
        let description = format!("write {n}");
        match write {
            WriteKind::Create => client.post("/v1/teams", json!({ "name": name })).await,
            WriteKind::Rename => {
                client
                    .patch(
                        &team_path(team),
                        json!({ "name": name, "description": description }),
                    )
                    .await
            }
            WriteKind::Describe => {
                client
                    .patch(&team_path(team), json!({ "description": description }))
                    .await
            }
            WriteKind::Delete => client.delete(&team_path(team)).await,
            WriteKind::Add => {
                let role = if n.is_multiple_of(7) {
                    "lead"
                } else {
                    "member"
                };
                let body = json!({ "user_id": user.id.uuid().to_string(), "role": role });
                Client::send(
                    client
                        .request(Method::POST, &members_path(team))
                        .json(&body),
                )
                .await
            }
            WriteKind::Remove => client.delete(&member_path(team, user)).await,
        }
    }
}

/// The successes by kind, the versions of teams, and the memberships: 1 for a member, 0 for none.
type Effects<'d> = (
    BTreeMap<WriteKind, usize>,
    BTreeMap<&'d str, i64>,
    BTreeMap<(&'d str, String), i64>,
);

/// Returns the effects of the successful writes. Asserts that each kind of write succeeded and was
/// rejected at least once.
fn effects<'d>(org: &Organization, done: &'d [(PlannedWrite, String, Response)]) -> Effects<'d> {
    let mut succeeded: BTreeMap<WriteKind, usize> = BTreeMap::new();
    let mut rejected: BTreeSet<WriteKind> = BTreeSet::new();
    let mut versions: BTreeMap<&str, i64> = BTreeMap::new();
    let mut present: BTreeMap<(&str, String), i64> = BTreeMap::new();
    for (PlannedWrite { write, user, .. }, team, response) in done {
        assert!(
            response.status.is_success() || response.status.is_client_error(),
            "{write:?}: {response}"
        );
        if !response.status.is_success() {
            rejected.insert(*write);
            continue;
        }
        *succeeded.entry(*write).or_default() += 1;
        *versions.entry(team).or_insert(1) += i64::from(*write != WriteKind::Create);
        let user = org.users[*user].id.uuid().to_string();
        *present.entry((team, user)).or_default() += match write {
            WriteKind::Add => 1,
            WriteKind::Remove => -1,
            _ => 0,
        };
    }
    for write in [
        WriteKind::Create,
        WriteKind::Rename,
        WriteKind::Describe,
        WriteKind::Delete,
        WriteKind::Add,
        WriteKind::Remove,
    ] {
        assert!(
            succeeded.contains_key(&write) && rejected.contains(&write),
            "{write:?} has no success or no rejection"
        );
    }
    (succeeded, versions, present)
}

#[tokio::test]
async fn thousand_mixed_writes_leave_an_exact_table() {
    // The engine slows down as its transactions grow in number, so this test has a stack of its
    // own.
    let org = Stack::with(|_| {}).await.organization().await;
    let places: Vec<_> =
        join_all((0..PLACES).map(async |n| org.team(&format!("First {n}")).await)).await;
    let places: Vec<_> = places.into_iter().map(Mutex::new).collect();
    let mut rng = StdRng::seed_from_u64(20_250_105);
    let planned: Vec<_> = (0..1000).map(|_| PlannedWrite::random(&mut rng)).collect();

    let done: Vec<_> = stream::iter(planned.into_iter().enumerate())
        .map(|(n, planned)| {
            let (org, place) = (&org, &places[planned.place]);
            async move {
                let team = place.lock().expect("the lock is not poisoned").clone();
                let response = planned.send(n, org, &team).await;
                if planned.write == WriteKind::Create && response.status == 201 {
                    *place.lock().expect("the lock is not poisoned") = created(&response);
                }
                (planned, team, response)
            }
        })
        .buffer_unordered(32)
        .collect()
        .await;

    let contents = assert_sound(&org).await;
    let (succeeded, versions, present) = effects(&org, &done);
    assert_eq!(contents.deleted_teams.len(), succeeded[&WriteKind::Delete]);
    assert_eq!(
        contents.teams.len(),
        PLACES + succeeded[&WriteKind::Create] - succeeded[&WriteKind::Delete]
    );
    for (team, item) in &contents.teams {
        assert_eq!(
            number(item, "version"),
            *versions.get(&**team).unwrap_or(&1),
            "version of {team}"
        );
        let members = contents.members(team);
        for user in &org.users {
            let user = user.id.uuid().to_string();
            let expected = present.get(&(&**team, user.clone())).copied().unwrap_or(0);
            assert_eq!(
                i64::from(members.contains(&user)),
                expected,
                "{user} in {team}"
            );
        }
    }
}
