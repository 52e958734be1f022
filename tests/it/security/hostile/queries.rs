//! Odd query strings.

use super::{clients_with_contract, send_raw};
use crate::support::{Organization, Stack, response_shape::assert_response};

/// Sends a query to every list and asserts the statuses under TopTickets and ITSM.
async fn assert_statuses_of_query(org: &Organization, team: &str, query: &str, expected: [u16; 2]) {
    for ((client, error_format), expected) in clients_with_contract(org).zip(expected) {
        let shown = &query[..query.len().min(60)];
        let response = send_raw(client, "GET", &format!("/v1/teams?{query}"), b"").await;
        assert_response(&response, error_format, shown);
        assert_eq!(response.status, expected, "{shown}: {response}");
        // The other lists have page parameters only.
        let expected = if query.starts_with('s') {
            200
        } else {
            expected
        };
        for list in ["members", "assignments"] {
            let response = send_raw(
                client,
                "GET",
                &format!("/v1/teams/{team}/{list}?{query}"),
                b"",
            )
            .await;
            assert_response(&response, error_format, shown);
            assert_eq!(response.status, expected, "{list}?{shown}: {response}");
        }
    }
}

#[tokio::test]
async fn odd_queries_are_parsed_as_forms() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let thousands = (0..1_000).fold(String::new(), |query, n| query + &format!("p{n}=1&"));
    let digits = "9".repeat(400);
    let zeros = "0".repeat(400);
    for (query, toptickets, itsm) in [
        ("", 200, 200),
        ("&&&=&=x&&", 200, 200),
        ("%", 200, 200),
        ("%ff=%ff&%00=%00", 200, 200),
        ("limit=5&limit=6&limit=7", 200, 200),
        ("limit=0&limit=x&limit=7", 200, 200),
        ("limit=7&limit=x", 400, 400),
        ("limit=", 400, 400),
        ("limit", 400, 400),
        ("limit=%ff", 400, 400),
        ("limit=%EF%BC%97", 400, 400),
        ("limit=1.0", 400, 400),
        ("limit=1e1", 400, 400),
        ("limit=0x1", 400, 400),
        ("limit=null", 400, 400),
        ("limit=-1", 422, 400),
        ("limit=0", 422, 400),
        (&*format!("limit={digits}"), 422, 400),
        (&format!("limit=-{digits}"), 422, 400),
        (&format!("limit={zeros}7"), 200, 200),
        ("lim%69t=0", 422, 400),
        ("Limit=0", 200, 200),
        ("limit[]=0", 200, 200),
        ("page=&skip=", 400, 400),
        (&format!("page={digits}&skip={digits}"), 200, 200),
        (
            "page=9223372036854775807&limit=100&skip=9223372036854775807",
            200,
            200,
        ),
        ("page=0&skip=-1", 422, 400),
        ("search=%ff", 200, 400),
        ("search=%ed%a0%80", 200, 400),
        ("search=%00", 200, 200),
        ("search=%", 200, 200),
        ("sortBy=Name", 200, 400),
        ("sortBy=", 200, 400),
        ("sortOrder=%ff", 200, 400),
        ("cursor", 200, 400),
        (&thousands, 200, 200),
        (&format!("{thousands}limit=0"), 422, 400),
        (&format!("search={}", "%f0%9f%a6%80".repeat(600)), 200, 200),
        ("a={}|^`[]'()!$&*+,:;=@~?/", 200, 200),
    ] {
        assert_statuses_of_query(&org, &team, query, [toptickets, itsm]).await;
    }
}

#[tokio::test]
async fn odd_query_of_found_tickets_is_rejected_or_has_no_effect() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let (oversized, other) = ("A".repeat(8_000), "MSM5ZjhlN2Q2YzViNGEzMjEwI2hpZ2gjMSNU");
    for (query, expected) in [
        ("state=unrouted", 200),
        ("state=closed&state=unrouted", 200),
        ("st%61te=unrouted", 200),
        ("state=unrouted&page_size=7&total=1&q=%ff&%00=%00", 200),
        ("state=unrouted&search=%ff&sortBy=age", 200),
        ("", 400),
        ("state", 400),
        ("state=%ff", 400),
        ("state=UNROUTED", 400),
        ("state=unrouted,waiting", 400),
        ("State=unrouted", 400),
        ("state=unrouted&team_id", 400),
        ("state=waiting&team_id=%ff", 400),
        ("state=waiting&team_id=ORG%23other%23UNROUTED", 400),
        (&*format!("state=waiting&team_id=usr_{team}"), 400),
        ("state=waiting&priority=", 400),
        ("state=waiting&priority=0%23", 400),
        ("state=unrouted&cursor", 400),
        ("state=unrouted&cursor=%00", 400),
        ("state=unrouted&cursor=%ff", 400),
        ("state=unrouted&cursor=..%2F..", 400),
        ("state=unrouted&cursor=null", 400),
        (&format!("state=unrouted&cursor={other}"), 400),
        (&format!("state=unrouted&cursor={oversized}"), 400),
        ("state=unrouted&limit=", 400),
        ("state=unrouted&limit=1e1", 400),
    ] {
        for (client, error_format) in clients_with_contract(&org) {
            let shown = &query[..query.len().min(60)];
            let path = format!("/v1/assignments?{query}");
            let response = send_raw(client, "GET", &path, b"").await;
            assert_response(&response, error_format, shown);
            assert_eq!(response.status, expected, "{shown}: {response}");
        }
    }
}
