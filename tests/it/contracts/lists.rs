//! Lists of teams: pages, orders, searches and totals.

use serde_json::{Value, json};
use tokio::{sync::OnceCell, task::JoinSet};

use super::Scene;
use crate::support::{Client, Organization, Response, Stack, bare, n};

const CROWD: usize = 120;

/// Creates teams from several clients at once. Not all at once: a request has only so much time to
/// get its turn.
async fn create_concurrently(org: &Organization, bodies: impl IntoIterator<Item = Value>) {
    let bodies: Vec<_> = bodies.into_iter().collect();
    let mut clients = JoinSet::new();
    for bodies in bodies
        .chunks(bodies.len().div_ceil(8))
        .map(<[Value]>::to_vec)
    {
        let client = org.itsm.clone();
        clients.spawn(async move {
            for body in bodies {
                let response = client.post("/v1/teams", body).await;
                assert_eq!(response.status, 201, "{response}");
            }
        });
    }
    clients.join_all().await;
}

/// Creates teams of 40 kB each.
async fn create_large(org: &Organization, teams: usize) {
    let description = "🦀".repeat(10_000);
    let body = |number| json!({ "name": format!("Team {number}"), "description": description });
    create_concurrently(org, (0..teams).map(body)).await;
}

/// An organization with more teams than a page of either contract. Nobody changes it.
async fn crowd() -> [Client; 2] {
    static TOKENS: OnceCell<[String; 2]> = OnceCell::const_new();
    let create = || async {
        let org = Stack::shared().organization().await;
        // Every third team is found by a search.
        let name = |number| {
            if number % 3 == 0 {
                format!("Third {number}")
            } else {
                format!("team {number}")
            }
        };
        create_concurrently(
            &org,
            (0..CROWD).map(|number| json!({ "name": name(number) })),
        )
        .await;
        org.clients().map(|client| client.token().to_owned())
    };
    // The clients are the caller's own: connections end with the test that opened them.
    TOKENS
        .get_or_init(create)
        .await
        .each_ref()
        .map(|token| Stack::shared().client(token))
}

/// Asks for a list that has to come.
async fn list(client: &Client, query: &str) -> Response {
    let response = client.get(&format!("/v1/teams?{query}")).await;
    assert_eq!(response.status, 200, "{query}: {response}");
    response
}

fn items(response: &Response) -> &Vec<Value> {
    response
        .json
        .as_array()
        .or_else(|| response.json["data"].as_array())
        .expect("a list")
}

/// A field of every item.
fn all(response: &Response, field: &str) -> Vec<String> {
    let text = |item: &Value| item[field].as_str().expect("a text").to_owned();
    items(response).iter().map(text).collect()
}

/// Total, pages in all, and whether there are more.
fn totals(response: &Response) -> (u64, u64, bool) {
    let pagination = &response.json["meta"]["pagination"];
    let number = |key: &str| pagination[key].as_u64().expect("a number");
    (
        number("total"),
        number("totalPages"),
        pagination["hasMore"].as_bool().expect("yes or no"),
    )
}

fn sorted(mut texts: Vec<String>, key: impl Fn(&String) -> String) -> Vec<String> {
    texts.sort_by_key(key);
    texts
}

fn reversed(texts: &[String]) -> Vec<String> {
    texts.iter().rev().cloned().collect()
}

/// Creates teams, one after another, and gives their ids.
async fn teams(org: &Organization, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(org.team(name).await);
    }
    ids
}

#[tokio::test]
async fn toptickets_shows_the_fifty_oldest_unless_told_otherwise() {
    let [toptickets, itsm] = crowd().await;
    let everything = all(&list(&itsm, "limit=1000&sortOrder=asc").await, "id");
    let everything: Vec<_> = everything
        .iter()
        .map(|id| id.replace("team_", ""))
        .collect();
    assert_eq!(
        everything,
        sorted(everything.clone(), Clone::clone),
        "creation order is id order"
    );
    assert_eq!(everything.len(), CROWD);
    for (query, expected) in [
        ("", &everything[..50]),
        ("limit=100", &everything[..100]),
        ("limit=1", &everything[..1]),
        ("skip=30", &everything[30..80]),
        ("skip=100&limit=100", &everything[100..]),
        ("offset=7&limit=3", &everything[7..10]),
        ("skip=119", &everything[119..]),
        ("skip=120", &[]),
        ("offset=5000", &[]),
        (&format!("skip={}", "9".repeat(60)), &[]),
        (
            &format!(
                "skip={}5&limit=00000000000000000000000000000000002",
                "0".repeat(60)
            ),
            &everything[5..7],
        ),
        ("skip=%2B5&limit=1", &everything[5..6]),
        // The last of duplicates counts; what this contract does not know is ignored.
        ("limit=x&limit=2&skip=50&skip=4", &everything[4..6]),
        (
            "limit=2&page=9&sortBy=nothing&sortOrder=desc&search=Third&cursor=x&%ff=%ff",
            &everything[..2],
        ),
    ] {
        assert_eq!(
            all(&list(&toptickets, query).await, "id"),
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn itsm_shows_the_twenty_newest_unless_told_otherwise() {
    let [_, itsm] = crowd().await;
    let everything = all(&list(&itsm, "limit=1000").await, "id");
    assert_eq!(
        everything,
        reversed(&sorted(everything.clone(), Clone::clone))
    );
    assert_eq!(everything.len(), CROWD);
    let default = list(&itsm, "").await;
    let pagination =
        r#""meta":{"pagination":{"page":1,"limit":20,"total":120,"totalPages":6,"hasMore":true}}}"#;
    assert!(default.text.ends_with(pagination), "{default}");
    for (query, expected, pages, more) in [
        ("", &everything[..20], 6, true),
        ("page=2", &everything[20..40], 6, true),
        ("page=5", &everything[80..100], 6, true),
        ("page=6", &everything[100..], 6, false),
        ("page=7", &[], 6, false),
        ("page=3&limit=50", &everything[100..], 3, false),
        ("page=2&limit=60", &everything[60..], 2, false),
        ("limit=119", &everything[..119], 2, true),
        ("limit=120", &everything, 1, false),
        ("limit=121", &everything, 1, false),
        ("page=120&limit=1", &everything[119..], 120, false),
        (
            "page=0000000000000000000000000000000000000002&limit=%2B10",
            &everything[10..20],
            12,
            true,
        ),
        (&format!("page={}", "9".repeat(60)), &[], 6, false),
        (&format!("page={}&limit=1000", u64::MAX), &[], 1, false),
        // The last of duplicates counts; what this contract does not know is ignored.
        ("page=0&page=2&limit=&limit=3", &everything[3..6], 40, true),
        (
            "limit=2&skip=9&offset=9&sort=name&sortby=name&%ff=%ff",
            &everything[..2],
            60,
            true,
        ),
    ] {
        let response = list(&itsm, query).await;
        assert_eq!(all(&response, "id"), expected, "{query}");
        assert_eq!(totals(&response), (120, pages, more), "{query}");
    }
}

#[tokio::test]
async fn pages_in_any_order_put_together_are_the_whole_list_and_know_its_length() {
    let [_, itsm] = crowd().await;
    for (search, found) in [
        ("", 120),
        ("&search=THIRD", 40),
        ("&search=m+1", 22),
        ("&search=nowhere", 0),
    ] {
        for sort_by in ["createdAt", "updatedAt", "name"] {
            let mut directions = Vec::new();
            for order in ["asc", "desc"] {
                let filter = format!("sortBy={sort_by}&sortOrder={order}{search}");
                let whole = list(&itsm, &format!("{filter}&limit=1000")).await;
                let pages = u64::from(found > 0);
                assert_eq!(
                    (items(&whole).len(), totals(&whole)),
                    (found, (found as u64, pages, false)),
                    "{filter}"
                );
                let mut pieces = Vec::new();
                let last = found.div_ceil(17);
                for page in 1..=last + 1 {
                    let piece = list(&itsm, &format!("{filter}&limit=17&page={page}")).await;
                    assert_eq!(
                        totals(&piece),
                        (found as u64, last as u64, page < last),
                        "{filter}&page={page}"
                    );
                    pieces.extend(all(&piece, "id"));
                }
                let whole = all(&whole, "id");
                assert_eq!(pieces, whole, "{filter}");
                directions.push(whole);
            }
            assert_eq!(directions[0], reversed(&directions[1]), "{sort_by}{search}");
        }
    }
}

#[tokio::test]
async fn names_sort_folded_by_code_points() {
    let org = Stack::shared().organization().await;
    // By UTF-16 units the crab would come before U+FFFD.
    let expected = [
        "10", "9", "_x", "Alpha", "ALPHA 2", "beta", "Zeta", "zeta 2", "Éclair", "\u{fffd}", "🦀",
    ];
    let mut created = expected;
    created.reverse();
    created.swap(0, 5);
    teams(&org, &created).await;
    assert_eq!(
        all(&list(&org.itsm, "sortBy=name&sortOrder=asc").await, "name"),
        expected
    );
    let backwards = reversed(&expected.map(str::to_owned));
    assert_eq!(
        all(&list(&org.itsm, "sortBy=name").await, "name"),
        backwards
    );
    assert_eq!(
        all(
            &list(&org.itsm, "sortBy=name&sortOrder=desc&limit=3&page=2").await,
            "name"
        ),
        backwards[3..6]
    );
}

#[tokio::test]
async fn ties_go_by_id_in_the_direction_of_the_list() {
    let scene = Scene::at(1_700_000_000).await;
    let org = scene.stack.organization().await;
    let ids = [3, 1, 4, 2].map(|digit| format!("0000000{digit}-0000-0000-0000-000000000000"));
    for id in &ids {
        scene.next_team(id);
        org.team(&format!("Team {id}")).await;
    }
    let order = async |query: &str| {
        let ids = all(&list(&org.itsm, query).await, "id");
        ids.iter()
            .map(|id| id["team_0000000".len()..][..1].to_owned())
            .collect::<String>()
    };
    for sort_by in ["createdAt", "updatedAt", "name"] {
        assert_eq!(
            order(&format!("sortBy={sort_by}&sortOrder=asc")).await,
            "1234",
            "{sort_by}"
        );
        assert_eq!(
            order(&format!("sortBy={sort_by}&sortOrder=desc")).await,
            "4321",
            "{sort_by}"
        );
    }
    scene.set(1_700_000_060);
    for id in [&ids[3], &ids[0]] {
        assert_eq!(
            org.itsm
                .patch(&format!("/v1/teams/{id}"), json!({ "description": "new" }))
                .await
                .status,
            200
        );
    }
    assert_eq!(order("sortBy=updatedAt&sortOrder=asc").await, "1423");
    assert_eq!(order("sortBy=updatedAt").await, "3241");
    assert_eq!(order("sortBy=createdAt").await, "4321");
}

#[tokio::test]
async fn a_change_of_roster_moves_a_team_in_the_order_of_updates() {
    let org = super::ticking().await.organization().await;
    let ids = teams(&org, &["One", "Two", "Three"]).await;
    org.member(&ids[1], &org.users[0]).await;
    assert_eq!(
        all(&list(&org.itsm, "sortBy=updatedAt").await, "name"),
        ["Two", "Three", "One"]
    );
    org.member(&ids[0], &org.users[0]).await;
    let path = format!("/v1/teams/{}/members/{}", ids[2], bare(&org.users[1]));
    assert_eq!(org.itsm.delete(&path).await.status, 404);
    assert_eq!(
        all(&list(&org.itsm, "sortBy=updatedAt").await, "name"),
        ["One", "Two", "Three"]
    );
}

#[tokio::test]
async fn a_search_is_for_a_literal_part_of_the_folded_name() {
    let org = Stack::shared().organization().await;
    let names = [
        "100% uptime",
        "100 uptime",
        "snake_case",
        "snakeXcase",
        "a.b (c)* [d]",
        "axb",
        "back\\slash",
        "Café Noir",
        "CAFE\u{301} Blanc",
        "ÅNGSTRÖM",
    ];
    teams(&org, &names).await;
    for (search, found) in [
        ("100%25", &["100% uptime"] as &[&str]),
        ("%25", &["100% uptime"]),
        ("100%", &["100% uptime"]),
        ("100+up", &["100 uptime"]),
        ("100%20up", &["100 uptime"]),
        ("_", &["snake_case"]),
        ("SNAKE_", &["snake_case"]),
        ("e?c", &[]),
        ("a.b", &["a.b (c)* [d]"]),
        (".*", &[]),
        ("*", &["a.b (c)* [d]"]),
        ("(c)*", &["a.b (c)* [d]"]),
        ("[d]", &["a.b (c)* [d]"]),
        ("^a", &[]),
        ("%5C", &["back\\slash"]),
        ("'%22", &[]),
        ("caf%C3%A9", &["Café Noir", "CAFE\u{301} Blanc"]),
        ("CAF%C3%89", &["Café Noir", "CAFE\u{301} Blanc"]),
        ("cafe%CC%81", &["Café Noir", "CAFE\u{301} Blanc"]),
        ("+caf%C3%A9%E3%80%80", &["Café Noir", "CAFE\u{301} Blanc"]),
        ("%C3%A9+n", &["Café Noir"]),
        ("cafe", &[]),
        ("%C3%A5ngstr%C3%B6m", &["ÅNGSTRÖM"]),
        ("", &names),
        ("+%09", &names),
        // The last of duplicates counts.
        ("nothing&search=axb", &["axb"]),
        ("axb&search=", &names),
    ] {
        let response = list(&org.itsm, &format!("search={search}&sortOrder=asc")).await;
        assert_eq!(all(&response, "name"), found, "{search}");
        assert_eq!(
            totals(&response),
            (found.len() as u64, u64::from(!found.is_empty()), false),
            "{search}"
        );
        let one = list(&org.itsm, &format!("search={search}&limit=1&page=1")).await;
        assert_eq!(
            totals(&one),
            (found.len() as u64, found.len() as u64, found.len() > 1),
            "{search}"
        );
    }
}

#[tokio::test]
async fn an_organization_without_teams_has_empty_lists() {
    let org = Stack::shared().organization().await;
    assert_eq!(list(&org.toptickets, "").await.text, "[]");
    let meta =
        r#""meta":{"pagination":{"page":1,"limit":20,"total":0,"totalPages":0,"hasMore":false}}"#;
    assert_eq!(
        list(&org.itsm, "").await.text,
        format!(r#"{{"success":true,"data":[],{meta}}}"#)
    );
    assert_eq!(
        totals(&list(&org.itsm, "page=2&search=x").await),
        (0, 0, false)
    );
}

#[tokio::test]
async fn a_team_is_listed_from_its_creation_to_its_deletion() {
    let (org, other) = (
        Stack::shared().organization().await,
        Stack::shared().organization().await,
    );
    other.team("Another organization's").await;
    for number in 1..=5 {
        let client = org.clients()[number % 2];
        let created = client
            .post("/v1/teams", json!({ "name": format!("Team {number}") }))
            .await;
        assert_eq!(created.status, 201, "{created}");
        assert_eq!(items(&list(&org.toptickets, "").await).len(), number);
        let listed = list(&org.itsm, "limit=1").await;
        assert_eq!(all(&listed, "name"), [format!("Team {number}")]);
        assert_eq!(totals(&listed).0, number as u64);
    }
    for left in (0..5).rev() {
        let newest = all(&list(&org.itsm, "limit=1").await, "id").remove(0);
        assert_eq!(
            org.clients()[left % 2]
                .delete(&format!("/v1/teams/{newest}"))
                .await
                .status,
            204
        );
        assert_eq!(items(&list(&org.toptickets, "").await).len(), left);
        assert_eq!(totals(&list(&org.itsm, "").await).0, left as u64);
        assert_eq!(totals(&list(&org.itsm, "search=team").await).0, left as u64);
    }
}

#[tokio::test]
async fn a_renamed_team_is_found_by_its_new_name_alone() {
    let org = Stack::shared().organization().await;
    let id = org.team("Before").await;
    assert_eq!(
        org.toptickets
            .patch(&format!("/v1/teams/{id}"), json!({ "name": "After" }))
            .await
            .status,
        200
    );
    assert_eq!(totals(&list(&org.itsm, "search=before").await).0, 0);
    assert_eq!(
        all(&list(&org.itsm, "search=after").await, "name"),
        ["After"]
    );
}

#[tokio::test]
async fn a_list_counts_members_and_open_tickets() {
    let org = Stack::shared().organization().await;
    let ids = teams(&org, &["One", "Two"]).await;
    for member in &org.users[..3] {
        org.member(&ids[0], member).await;
    }
    let path = format!("/v1/teams/{}/members/{}", ids[0], bare(&org.users[1]));
    assert_eq!(org.toptickets.delete(&path).await.status, 204);
    org.set_load(
        &ids[1],
        &[("open_tickets", n(7)), ("waiting_tickets", n(2))],
    )
    .await;
    for query in [
        "sortOrder=asc",
        "sortBy=name",
        "sortBy=updatedAt&search=o&sortOrder=desc",
    ] {
        let response = list(&org.itsm, query).await;
        let mut counts: Vec<_> = items(&response)
            .iter()
            .map(|team| {
                (
                    team["name"].as_str(),
                    team["member_count"].as_u64(),
                    team["open_tickets"].as_u64(),
                )
            })
            .collect();
        counts.sort_unstable();
        assert_eq!(
            counts,
            [
                (Some("One"), Some(2), Some(0)),
                (Some("Two"), Some(0), Some(7))
            ],
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_list_longer_than_one_read_of_the_table_is_whole() {
    let org = Stack::shared().organization().await;
    // More than the megabyte that a query answers with.
    create_large(&org, 40).await;
    for query in [
        "limit=100",
        "limit=100&sortBy=name",
        "limit=100&search=team",
    ] {
        let response = list(&org.itsm, query).await;
        assert_eq!(
            (items(&response).len(), totals(&response)),
            (40, (40, 1, false)),
            "{query}"
        );
    }
    assert_eq!(items(&list(&org.toptickets, "").await).len(), 40);
    let last = list(&org.itsm, "page=8&limit=5").await;
    assert_eq!((items(&last).len(), totals(&last)), (5, (40, 8, false)));
}

#[tokio::test]
async fn a_list_shows_what_either_contract_made() {
    let org = Stack::shared().organization().await;
    org.toptickets
        .post("/v1/teams", json!({ "name": "Plain" }))
        .await;
    org.itsm
        .post(
            "/v1/teams",
            json!({ "name": "Led", "lead_id": bare(&org.users[0]), "description": "" }),
        )
        .await;
    let response = list(&org.itsm, "sortOrder=asc").await;
    let fields = |at: usize| {
        let team = &items(&response)[at];
        [
            "lead_id",
            "description",
            "queue_strategy",
            "specializations",
        ]
        .map(|field| team[field].clone())
    };
    let lead = json!(format!("usr_{}", bare(&org.users[0])));
    assert_eq!(
        fields(0),
        [Value::Null, Value::Null, json!("round_robin"), json!([])]
    );
    assert_eq!(
        fields(1),
        [lead, json!(""), json!("round_robin"), json!([])]
    );
    let response = list(&org.toptickets, "").await;
    assert_eq!(
        items(&response)[0]["description"],
        Value::Null,
        "{response}"
    );
    assert_eq!(items(&response)[1]["description"], "", "{response}");
}

/// The largest limit that the refusal of a page names.
fn named_limit(response: &Response) -> usize {
    let error = &response.json["error"];
    let details = json!({ "field": "limit", "constraint": "max" });
    assert_eq!(
        (response.status.as_u16(), &error["code"]),
        (400, &json!("VALIDATION_ERROR")),
        "{response}"
    );
    assert_eq!(error["details"], details, "{response}");
    let message = error["message"].as_str().expect("a text");
    let named = message
        .strip_prefix("limit must be at most ")
        .and_then(|rest| rest.split(' ').next());
    named
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{message}"))
}

#[tokio::test]
async fn page_over_6_mb_names_the_largest_limit_that_fits() {
    let org = Stack::shared().organization().await;
    create_large(&org, 170).await;
    for order in [
        "sortOrder=asc",
        "sortOrder=desc",
        "sortBy=name",
        "search=team",
        "sortBy=updatedAt",
    ] {
        let limit = named_limit(&org.itsm.get(&format!("/v1/teams?{order}&limit=1000")).await);
        assert!((150..160).contains(&limit), "{order}: {limit}");
        let page = list(&org.itsm, &format!("{order}&limit={limit}")).await;
        assert_eq!(
            (items(&page).len(), totals(&page)),
            (limit, (170, 2, true)),
            "{order}"
        );
        let more = org
            .itsm
            .get(&format!("/v1/teams?{order}&limit={}", limit + 1))
            .await;
        assert_eq!(named_limit(&more), limit, "{order}");
        let rest = list(&org.itsm, &format!("{order}&limit={limit}&page=2")).await;
        assert_eq!(items(&rest).len(), 170 - limit, "{order}");
    }
    let page = list(&org.toptickets, "limit=100").await;
    assert_eq!(
        items(&page).len(),
        100,
        "the largest page of TopTickets fits"
    );
}
