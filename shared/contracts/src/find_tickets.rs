//! The query of `GET /v1/assignments`, and the page that follows a page.
//!
//! Neither document has the endpoint, so both contracts have the same parameters. The default of
//! `limit` and the form of ids are those of the contract.

use crate::{
    cursor,
    request::{FieldRejected, FieldRule, InvalidRequest, Query},
};
use muster_domain::{
    Contract, FindTickets, FoundTickets, OrganizationId, Priority, TeamId, TicketSelection,
    TicketState, UserId,
};

/// The values of `state`.
const STATES: [TicketState; 3] = [
    TicketState::Unrouted,
    TicketState::Waiting,
    TicketState::Assigned,
];
/// The texts of [`STATES`].
pub(crate) const STATE_WORDS: &[&str] = &["unrouted", "waiting", "assigned"];
/// The texts of [`Priority::ALL`].
pub(crate) const PRIORITY_WORDS: &[&str] = &["critical", "high", "medium", "low"];

/// Returns the default of `limit`.
pub(crate) fn default_limit(contract: Contract) -> u32 {
    match contract {
        Contract::Toptickets => 50,
        Contract::Itsm => 20,
    }
}

/// Parses the query of `GET /v1/assignments`. A parameter that does not apply to the state is
/// rejected, and so are the parameters of numbered pages: a client that sends one depends on it.
///
/// # Errors
/// The parameters that break a rule. A cursor is checked if the other parameters are valid, because
/// it belongs to their list.
pub fn find_tickets(
    contract: Contract,
    organization: &OrganizationId,
    query: &str,
) -> Result<FindTickets, InvalidRequest> {
    let mut query = Query::parse(query);
    let state = query.required_one_of("state", STATE_WORDS, &STATES);
    let selection = state.and_then(|state| selection(&mut query, state));
    let limit = query.integer(
        "limit",
        default_limit(contract).into(),
        1,
        FindTickets::MAX_LIMIT.into(),
    );
    let pages = match contract {
        Contract::Toptickets => ["skip", "offset"].map(|name| query.unsupported(name)),
        Contract::Itsm => [query.unsupported("page"), Ok(())],
    };
    let (Ok(selection), Ok(limit), [Ok(()), Ok(())]) = (selection, limit, pages) else {
        return Err(query.invalid());
    };
    let after = query.optional("cursor", |text| {
        cursor::decode(organization, &selection, text).ok_or(FieldRule::NotCursor)
    });
    let Ok(after) = after else {
        return Err(query.invalid());
    };
    Ok(FindTickets {
        selection,
        limit,
        after,
    })
}

/// Reads the parameters of the state, and rejects the others.
fn selection(query: &mut Query, state: TicketState) -> Result<TicketSelection, FieldRejected> {
    match state {
        TicketState::Assigned => {
            let team = team(query).and_then(|team| team.ok_or_else(|| query.missing("team_id")));
            let assignee = query.optional("assignee_id", |text| {
                UserId::parse(text).map_err(|_| FieldRule::NotUuid)
            });
            let no_priority = query.unsupported_with_state("priority");
            let (team, assignee, ()) = (team?, assignee?, no_priority?);
            Ok(TicketSelection::Assigned { team, assignee })
        }
        TicketState::Waiting => {
            let team = team(query);
            let no_assignee = query.unsupported_with_state("assignee_id");
            let priority = priority(query);
            let (team, (), priority) = (team?, no_assignee?, priority?);
            Ok(TicketSelection::Waiting { team, priority })
        }
        _ => {
            let no_team = query.unsupported_with_state("team_id");
            let no_assignee = query.unsupported_with_state("assignee_id");
            let priority = priority(query);
            let ((), (), priority) = (no_team?, no_assignee?, priority?);
            Ok(TicketSelection::Unrouted { priority })
        }
    }
}

fn team(query: &mut Query) -> Result<Option<TeamId>, FieldRejected> {
    query.optional("team_id", |text| {
        TeamId::parse(text).map_err(|_| FieldRule::NotUuid)
    })
}

fn priority(query: &mut Query) -> Result<Option<Priority>, FieldRejected> {
    let priorities = Priority::ALL.map(Some);
    query.one_of("priority", PRIORITY_WORDS, &priorities, None)
}

/// Returns the cursor of the next page, if there is one.
pub(crate) fn next_cursor(
    organization: &OrganizationId,
    find: &FindTickets,
    found: &FoundTickets,
) -> Option<String> {
    let position = found.next.as_ref()?;
    Some(cursor::encode(organization, &find.selection, position))
}

/// Returns the `Link` header with the next page, if there is one (RFC 8288).
///
/// The target has a query and no path, so it is relative to the request's own address (RFC 3986,
/// section 5.4.1). It holds behind every host and every path prefix. Ids, words and cursors need no
/// percent-encoding.
pub(crate) fn next_link(find: &FindTickets, cursor: &str) -> String {
    let FindTickets {
        selection,
        limit,
        after: _,
    } = find;
    let mut query = format!("?state={}", selection.state().as_str());
    let filters = [
        (
            "team_id",
            selection.team().map(|team| team.uuid().to_string()),
        ),
        (
            "assignee_id",
            selection.assignee().map(|user| user.uuid().to_string()),
        ),
        (
            "priority",
            selection
                .priority()
                .map(|priority| priority.as_str().to_owned()),
        ),
        ("limit", Some(limit.to_string())),
        ("cursor", Some(cursor.to_owned())),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            query.extend(["&", name, "=", &value]);
        }
    }
    format!("<{query}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Location, Violation};
    use muster_domain::{TicketId, TicketPosition, Timestamp};

    const TEAM: &str = "550e8400-e29b-41d4-a716-446655440000";
    const USER: &str = "123e4567-e89b-12d3-a456-426614174000";

    fn org() -> OrganizationId {
        OrganizationId::parse("acme").unwrap()
    }

    fn parsed(query: &str) -> Result<FindTickets, String> {
        find_tickets(Contract::Itsm, &org(), query).map_err(|invalid| match invalid {
            InvalidRequest::Violations(violations) => {
                let named = |violation: &Violation| {
                    assert_eq!(violation.location, Location::Query);
                    violation.to_string()
                };
                violations.iter().map(named).collect::<Vec<_>>().join("; ")
            }
            other @ InvalidRequest::Malformed(_) => panic!("{other:?}"),
        })
    }

    #[test]
    fn combination_without_a_list_names_the_parameter() {
        for (query, expected) in [
            ("", "state is required"),
            (
                "state=closed",
                "state must be one of: unrouted, waiting, assigned",
            ),
            (
                &format!("state=unrouted&team_id={TEAM}"),
                "team_id is not supported with this state",
            ),
            (
                &format!("state=unrouted&assignee_id={USER}"),
                "assignee_id is not supported with this state",
            ),
            (
                &format!("state=waiting&assignee_id={USER}"),
                "assignee_id is not supported with this state",
            ),
            ("state=assigned", "team_id is required"),
            (
                &format!("state=assigned&team_id={TEAM}&priority=high"),
                "priority is not supported with this state",
            ),
            ("state=waiting&team_id=x", "team_id must be a UUID"),
            ("state=waiting&team_id=", "team_id must be a UUID"),
            (
                &format!("state=assigned&team_id={TEAM}&assignee_id=x"),
                "assignee_id must be a UUID",
            ),
            (
                "state=waiting&priority=urgent",
                "priority must be one of: critical, high, medium, low",
            ),
            ("state=waiting&page=1", "page is not supported"),
            ("state=waiting&limit=101", "limit must be at most 100"),
            (
                "state=waiting&cursor=",
                "cursor must be a cursor of this list",
            ),
        ] {
            assert_eq!(parsed(query).unwrap_err(), expected, "{query}");
        }
    }

    #[test]
    fn next_page_is_linked_with_the_same_parameters() {
        let id = TicketId::parse("TKT-2024:001").unwrap();
        let at = Timestamp::from_millis(1);
        for (query, priority) in [
            ("state=unrouted&limit=7", Some(Priority::Low)),
            ("state=unrouted&priority=low", Some(Priority::Low)),
            ("state=waiting", Some(Priority::Low)),
            (
                &format!("state=waiting&team_id={TEAM}&priority=low&limit=100"),
                Some(Priority::Low),
            ),
            (&format!("state=assigned&team_id=team_{TEAM}"), None),
            (
                &format!("state=assigned&team_id={TEAM}&assignee_id=usr_{USER}"),
                None,
            ),
        ] {
            let find = parsed(query).unwrap();
            let next = TicketPosition {
                priority,
                at,
                id: id.clone(),
            };
            let found = FoundTickets {
                tickets: Vec::new(),
                next: Some(next.clone()),
            };
            let cursor = next_cursor(&org(), &find, &found).expect("a next page");
            let link = next_link(&find, &cursor);
            let next_query = link
                .strip_prefix("<?")
                .and_then(|link| link.strip_suffix(">; rel=\"next\""))
                .expect("a relative reference");
            let expected = FindTickets {
                after: Some(next),
                ..find.clone()
            };
            assert_eq!(parsed(next_query).unwrap(), expected, "{link}");
            let last = FoundTickets {
                tickets: Vec::new(),
                next: None,
            };
            assert_eq!(next_cursor(&org(), &find, &last), None);
        }
    }
}
