//! The bound on the size of a response, and the number of list items that fit into it.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::request::{FieldRule, InvalidRequest, Location, Violation};

/// The maximum number of bytes of a response body in the JSON of the event that carries it.
///
/// Lambda allows 6 MB for the whole event (AWS Lambda Developer Guide, "Lambda quotas", invocation
/// payload, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>). 64 KiB
/// remain for the status and the headers.
pub const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024 - 64 * 1024;

/// The maximum number of bytes of a list's items in that JSON. 1 KiB of the body remains for the
/// envelope around them.
pub(super) const MAX_ITEMS_BYTES: usize = MAX_RESPONSE_BYTES - 1024;

/// Returns the bytes of a text in a JSON string as `serde_json` writes it, without the quotation
/// marks around it.
///
/// An event carries a body as a JSON string, so that a body of JSON is escaped a second time
/// (Amazon API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs in API
/// Gateway", response format,
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).
#[must_use]
pub fn escaped_bytes(text: &str) -> usize {
    let beyond_one = |byte: u8| match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0c | b'\r' => 1,
        // `\u00XX`.
        0..0x20 => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(beyond_one).sum::<usize>()
}

/// Serializes the items of a page, each by itself.
///
/// # Errors
/// [`FieldRule::PageTooLarge`] of the parameter `limit` if a response cannot carry all items. The
/// rule has the number of items that fit, from the first one. It is at least 1, because the largest
/// item of each list fits: a test renders them.
pub(super) fn serialize<T: Serialize>(
    items: impl IntoIterator<Item = T>,
) -> Result<Vec<Box<RawValue>>, InvalidRequest> {
    let (mut serialized, mut bytes) = (Vec::new(), 0);
    for item in items {
        let item = to_raw_value(&item).expect("wire types are structs of text, numbers and lists");
        let comma = usize::from(!serialized.is_empty());
        bytes += escaped_bytes(item.get()) + comma;
        if bytes > MAX_ITEMS_BYTES {
            let rule = FieldRule::PageTooLarge(serialized.len());
            return Err(InvalidRequest::Violations(vec![Violation {
                location: Location::Query,
                field: Some("limit".into()),
                rule,
            }]));
        }
        serialized.push(item);
    }
    Ok(serialized)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::json::json;
    use muster_domain::{
        Contract, Description, ListTeams, ListedTeam, Load, MAX_MEMBERS, Member, Order,
        OrganizationId, PageRange, QueueStrategy, Resolved, Roster, SortBy, Tags, Team, TeamId,
        TeamName, TeamPage, Timestamp, User, UserId, UserStatus,
    };

    /// The characters that need the most bytes: in UTF-8, and escaped twice.
    const WIDE: [&str; 2] = ["🦀", "\""];

    /// The maximum number of different tags, each of the maximum length.
    fn tags(wide: &str) -> Tags {
        let tag = |n| format!("{n:02}{}", wide.repeat(Tags::MAX_CHARS - 2));
        Tags::parse((0..Tags::MAX_TAGS).map(tag)).unwrap()
    }

    /// The largest skills that a member can have.
    fn skills(wide: &str) -> Tags {
        let skills = |chars: usize| {
            let tag = |n| format!("{n:02}{}", wide.repeat(chars));
            Tags::parse_skills((0..Tags::MAX_TAGS).map(tag))
        };
        (0..Tags::MAX_CHARS - 2)
            .rev()
            .find_map(|chars| skills(chars).ok())
            .unwrap()
    }

    fn team(wide: &str) -> Team {
        Team {
            id: TeamId::parse("550e8400-e29b-41d4-a716-446655440000").unwrap(),
            organization_id: OrganizationId::parse(&"o".repeat(64)).unwrap(),
            name: TeamName::parse(&wide.repeat(TeamName::MAX_CHARS)).unwrap(),
            description: Some(Description::parse(&wide.repeat(Description::MAX_CHARS)).unwrap()),
            lead_id: Some(UserId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap()),
            queue_strategy: QueueStrategy::SkillBased,
            specializations: tags(wide),
            member_count: u32::MAX,
            version: u64::MAX,
            created_at: Timestamp::from_secs(253_402_300_799),
            updated_at: Timestamp::from_secs(253_402_300_799),
        }
    }

    fn member(wide: &str) -> Member {
        let line = wide.repeat(User::MAX_CHARS);
        let user = User {
            id: UserId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap(),
            name: line.clone(),
            email: line.clone(),
            role: line,
            avatar_url: Some(wide.repeat(User::MAX_URL_CHARS)),
            status: UserStatus::Active,
            version: 1,
        };
        let now = Timestamp::from_secs(253_402_300_799);
        let joined = Member::joining(user, skills(wide), None, 0, now).unwrap();
        let resolved = Resolved {
            tickets: 1,
            total_ms: u64::MAX,
        };
        Member {
            open_tickets: u64::MAX,
            in_progress_tickets: u64::MAX,
            resolved,
            ..joined
        }
    }

    fn list(limit: usize) -> ListTeams {
        ListTeams {
            page: PageRange { skip: 0, limit },
            search: None,
            sort_by: SortBy::CreatedAt,
            order: Order::Ascending,
            count: true,
            loads: true,
            max_bytes: MAX_ITEMS_BYTES,
        }
    }

    fn teams(contract: Contract, wide: &str, limit: usize) -> Result<String, InvalidRequest> {
        let load = Load {
            open_tickets: u64::MAX,
            ..Load::default()
        };
        let teams = vec![
            ListedTeam {
                team: team(wide),
                load
            };
            limit
        ];
        crate::teams(
            contract,
            &list(limit),
            &TeamPage {
                teams,
                total: usize::MAX,
            },
        )
    }

    fn roster(wide: &str) -> Roster {
        Roster {
            team: team(wide),
            members: vec![member(wide); MAX_MEMBERS as usize],
        }
    }

    fn largest(refused: Result<String, InvalidRequest>) -> usize {
        match refused {
            Err(InvalidRequest::Violations(violations)) => match violations[..] {
                [
                    Violation {
                        location: Location::Query,
                        field: Some(Cow::Borrowed("limit")),
                        rule: FieldRule::PageTooLarge(largest),
                    },
                ] => largest,
                _ => panic!("{violations:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn escaped_bytes_match_serde_json() {
        let controls: String = (0..0x20_u8).chain([0x7f]).map(char::from).collect();
        for text in [
            "",
            "plain",
            "{\"a\":\"\\\\\"}",
            "two\nlines",
            "caf\u{e9} \u{85}\u{2028}🦀",
            &controls,
        ] {
            assert_eq!(escaped_bytes(text), json(&text).len() - 2, "{text:?}");
        }
    }

    #[test]
    fn named_limit_fits_and_one_more_does_not() {
        for (contract, wide) in Contract::ALL
            .into_iter()
            .flat_map(|contract| WIDE.map(|wide| (contract, wide)))
        {
            let limit = largest(teams(contract, wide, 1000));
            assert!(limit > 100, "{limit}");
            let body = teams(contract, wide, limit).unwrap();
            assert!(escaped_bytes(&body) <= MAX_RESPONSE_BYTES);
            assert_eq!(largest(teams(contract, wide, limit + 1)), limit);
        }
        for wide in WIDE {
            let roster = roster(wide);
            let members =
                |limit| crate::members(Contract::Itsm, PageRange { skip: 0, limit }, &roster);
            let limit = largest(members(1000));
            assert!(limit > 100, "{limit}");
            assert!(escaped_bytes(&members(limit).unwrap()) <= MAX_RESPONSE_BYTES);
            assert_eq!(largest(members(limit + 1)), limit);
        }
    }

    #[test]
    fn largest_pages_of_toptickets_always_fit() {
        for wide in WIDE {
            assert!(teams(Contract::Toptickets, wide, 100).is_ok());
            assert!(
                crate::members(
                    Contract::Toptickets,
                    PageRange {
                        skip: 0,
                        limit: 100
                    },
                    &roster(wide)
                )
                .is_ok()
            );
        }
    }

    #[test]
    fn largest_responses_without_a_limit_fit() {
        let now = Timestamp::from_secs(253_402_300_799);
        let load = Load {
            open_tickets: u64::MAX,
            ..Load::default()
        };
        for wide in WIDE {
            let roster = roster(wide);
            let [toptickets, itsm] = Contract::ALL.map(|contract| crate::team(contract, &roster));
            for body in [toptickets, itsm, crate::workload(&roster, load, now)] {
                assert!(
                    escaped_bytes(&body) <= MAX_RESPONSE_BYTES,
                    "{} bytes of {wide}",
                    escaped_bytes(&body)
                );
            }
            assert!(teams(Contract::Itsm, wide, 20).is_ok());
            assert!(
                crate::members(Contract::Itsm, PageRange { skip: 0, limit: 20 }, &roster).is_ok()
            );
        }
    }
}
