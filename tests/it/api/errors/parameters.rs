//! Validation errors of list parameters.

use super::error_text;
use crate::support::{Stack, bare};

/// Returns the path of each list.
fn list_paths(team: &str) -> [String; 3] {
    [
        "/v1/teams".to_owned(),
        format!("/v1/teams/{team}/members"),
        format!("/v1/teams/{team}/assignments"),
    ]
}

#[tokio::test]
async fn invalid_toptickets_list_parameter_is_named() {
    let org = Stack::shared().organization().await;
    let lists = list_paths(&org.team("Team").await);
    let huge = "9".repeat(100);
    for (query, expected) in [
        ("skip=x", "400 query.skip: type_error.integer"),
        ("skip=", "400 query.skip: type_error.integer"),
        ("skip", "400 query.skip: type_error.integer"),
        ("skip=1.0", "400 query.skip: type_error.integer"),
        ("skip=1e1", "400 query.skip: type_error.integer"),
        ("skip=%ff", "400 query.skip: type_error.integer"),
        ("skip=+1", "400 query.skip: type_error.integer"),
        ("skip=-1", "422 query.skip: value_error.number.not_ge"),
        (
            &format!("skip=-{huge}"),
            "422 query.skip: value_error.number.not_ge",
        ),
        ("offset=x", "400 query.offset: type_error.integer"),
        ("offset=-1", "422 query.offset: value_error.number.not_ge"),
        ("limit=x", "400 query.limit: type_error.integer"),
        ("limit=", "400 query.limit: type_error.integer"),
        ("limit=0", "422 query.limit: value_error.number.not_ge"),
        ("limit=101", "422 query.limit: value_error.number.not_le"),
        (
            &format!("limit={huge}"),
            "422 query.limit: value_error.number.not_le",
        ),
        (
            "limit=5&limit=101",
            "422 query.limit: value_error.number.not_le",
        ),
        (
            "limit=x&skip=x",
            "400 query.skip: type_error.integer\nquery.limit: type_error.integer",
        ),
        ("limit=101&skip=x", "400 query.skip: type_error.integer"),
        (
            "limit=101&skip=-1",
            "422 query.skip: value_error.number.not_ge\nquery.limit: value_error.number.not_le",
        ),
    ] {
        for list in &lists {
            let path = format!("{list}?{query}");
            assert_eq!(
                error_text(&org.toptickets, &path, &org.toptickets.get(&path).await),
                expected,
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn invalid_itsm_list_parameter_is_named() {
    let org = Stack::shared().organization().await;
    let lists = list_paths(&org.team("Team").await);
    let huge = "9".repeat(100);
    for (query, expected) in [
        ("search=%ff", "search isString"),
        ("page=x", "page isInt"),
        ("page=", "page isInt"),
        ("page=1.5", "page isInt"),
        ("page=%ff", "page isInt"),
        ("page=0", "page min"),
        ("page=-1", "page min"),
        ("limit=x", "limit isInt"),
        ("limit=0", "limit min"),
        ("limit=1001", "limit max"),
        (&format!("limit={huge}"), "limit max"),
        ("limit=20&limit=", "limit isInt"),
        ("sortBy=age", "sortBy isEnum"),
        ("sortBy=", "sortBy isEnum"),
        ("sortBy=createdat", "sortBy isEnum"),
        ("sortOrder=up", "sortOrder isEnum"),
        ("sortOrder=ASC", "sortOrder isEnum"),
        ("sortOrder=up&limit=0&page=0&search=%ff", "search isString"),
        ("sortOrder=up&limit=0&page=0", "page min"),
    ] {
        // Only the list of teams has a search and a sort order.
        let taking = if query.contains('s') {
            &lists[..1]
        } else {
            &lists
        };
        for list in taking {
            let path = format!("{list}?{query}");
            let reported = error_text(&org.itsm, &path, &org.itsm.get(&path).await);
            assert_eq!(
                reported,
                format!("400 VALIDATION_ERROR {expected}"),
                "{path}"
            );
        }
    }
    // The documents do not name the constraint of an invalid cursor.
    for list in &lists {
        let response = org.itsm.get(&format!("{list}?cursor=")).await;
        assert!(
            error_text(&org.itsm, list, &response).starts_with("400 VALIDATION_ERROR cursor "),
            "{response}"
        );
    }
}

#[tokio::test]
async fn found_tickets_name_the_missing_or_unsupported_parameter() {
    let org = Stack::shared().organization().await;
    let (team, user) = (org.team("Team").await, bare(&org.users[0]));
    for (query, field, toptickets, itsm) in [
        (String::new(), "state", "value_error.missing", "isDefined"),
        (
            "state=assigned".to_owned(),
            "team_id",
            "value_error.missing",
            "isDefined",
        ),
        (
            format!("state=assigned&team_id={team}&priority=high"),
            "priority",
            "type_error.enum",
            "isEnum",
        ),
        (
            format!("state=waiting&assignee_id={user}"),
            "assignee_id",
            "type_error.enum",
            "isEnum",
        ),
        (
            format!("state=unrouted&team_id={team}"),
            "team_id",
            "type_error.enum",
            "isEnum",
        ),
        (
            "state=waiting&team_id=x".to_owned(),
            "team_id",
            "type_error.uuid",
            "isUuid",
        ),
        (
            "state=unrouted&cursor=x".to_owned(),
            "cursor",
            "value_error.cursor",
            "isCursor",
        ),
    ] {
        let path = format!("/v1/assignments?{query}");
        assert_eq!(
            error_text(&org.toptickets, &path, &org.toptickets.get(&path).await),
            format!("400 query.{field}: {toptickets}"),
            "{query}"
        );
        assert_eq!(
            error_text(&org.itsm, &path, &org.itsm.get(&path).await),
            format!("400 VALIDATION_ERROR {field} {itsm}"),
            "{query}"
        );
    }
    for (client, parameters) in [
        (&org.toptickets, ["skip", "offset"]),
        (&org.itsm, ["page", "page"]),
    ] {
        for parameter in parameters {
            let path = format!("/v1/assignments?state=unrouted&{parameter}=1");
            let response = client.get(&path).await;
            let reported = error_text(client, &path, &response);
            assert!(
                reported.starts_with("400 ") && reported.contains(parameter),
                "{reported}"
            );
        }
    }
}
