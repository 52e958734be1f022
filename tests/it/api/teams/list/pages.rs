//! Pages and totals.

use serde_json::json;
use tokio::sync::OnceCell;

use super::{create_concurrently, create_large, field_of_all, items, list, reversed, totals};
use crate::support::{Client, Response, Stack};

const TEAM_COUNT: usize = 120;

/// Returns clients of a shared, read-only organization with more teams than a page of either
/// contract.
async fn organization_of_120_teams() -> [Client; 2] {
    static TOKENS: OnceCell<[String; 2]> = OnceCell::const_new();
    let create = || async {
        let org = Stack::shared().organization().await;
        // A search finds every third team.
        let name = |number| {
            if number % 3 == 0 {
                format!("Third {number}")
            } else {
                format!("team {number}")
            }
        };
        create_concurrently(
            &org,
            (0..TEAM_COUNT).map(|number| json!({ "name": name(number) })),
        )
        .await;
        org.clients().map(|client| client.token().to_owned())
    };
    // Each caller gets new clients, because connections end with the test that opened them.
    TOKENS
        .get_or_init(create)
        .await
        .each_ref()
        .map(|token| Stack::shared().client(token))
}

fn sorted(mut texts: Vec<String>, key: impl Fn(&String) -> String) -> Vec<String> {
    texts.sort_by_key(key);
    texts
}

#[tokio::test]
async fn toptickets_list_defaults_to_50_oldest() {
    let [toptickets, itsm] = organization_of_120_teams().await;
    let everything = field_of_all(&list(&itsm, "limit=1000&sortOrder=asc").await, "id");
    let everything: Vec<_> = everything
        .iter()
        .map(|id| id.replace("team_", ""))
        .collect();
    assert_eq!(
        everything,
        sorted(everything.clone(), Clone::clone),
        "creation order is id order"
    );
    assert_eq!(everything.len(), TEAM_COUNT);
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
        // The last of duplicate parameters counts. Parameters of the other contract are ignored.
        ("limit=x&limit=2&skip=50&skip=4", &everything[4..6]),
        (
            "limit=2&page=9&sortBy=nothing&sortOrder=desc&search=Third&cursor=x&%ff=%ff",
            &everything[..2],
        ),
    ] {
        assert_eq!(
            field_of_all(&list(&toptickets, query).await, "id"),
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn itsm_list_defaults_to_20_newest() {
    let [_, itsm] = organization_of_120_teams().await;
    let everything = field_of_all(&list(&itsm, "limit=1000").await, "id");
    assert_eq!(
        everything,
        reversed(&sorted(everything.clone(), Clone::clone))
    );
    assert_eq!(everything.len(), TEAM_COUNT);
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
        // The last of duplicate parameters counts. Parameters of the other contract are ignored.
        ("page=0&page=2&limit=&limit=3", &everything[3..6], 40, true),
        (
            "limit=2&skip=9&offset=9&sort=name&sortby=name&%ff=%ff",
            &everything[..2],
            60,
            true,
        ),
    ] {
        let response = list(&itsm, query).await;
        assert_eq!(field_of_all(&response, "id"), expected, "{query}");
        assert_eq!(totals(&response), (120, pages, more), "{query}");
    }
}

#[tokio::test]
async fn pages_in_any_order_add_up_to_the_list() {
    let [_, itsm] = organization_of_120_teams().await;
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
                    pieces.extend(field_of_all(&piece, "id"));
                }
                let whole = field_of_all(&whole, "id");
                assert_eq!(pieces, whole, "{filter}");
                directions.push(whole);
            }
            assert_eq!(directions[0], reversed(&directions[1]), "{sort_by}{search}");
        }
    }
}

#[tokio::test]
async fn organization_without_teams_has_empty_lists() {
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
async fn list_over_one_query_page_is_complete() {
    let org = Stack::shared().organization().await;
    // More than 1 MB, the size of one query page.
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

/// Returns the largest limit that the error of a page names.
fn limit_named_in_error(response: &Response) -> usize {
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
        let limit =
            limit_named_in_error(&org.itsm.get(&format!("/v1/teams?{order}&limit=1000")).await);
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
        assert_eq!(limit_named_in_error(&more), limit, "{order}");
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
