//! The cursor of a list of tickets: an opaque text for the position after which a page begins.
//!
//! A cursor names its list by a digest and has no partition of the table. The credential and the
//! parameters of the request alone select the partition. So a forged cursor begins a page of the
//! caller's own list at another position, and reaches no other list.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use muster_domain::{
    OrganizationId, Priority, TicketId, TicketPosition, TicketSelection, Timestamp,
};

/// The version of the form. A cursor of another version is rejected.
const VERSION: &str = "1";
/// The priority in a cursor of a list that is not ordered by priority.
const NO_PRIORITY: &str = "-";
/// The upper bound of the characters of a cursor: more than the longest ticket id needs.
pub(crate) const MAX_CHARS: usize = 300;

/// Returns the cursor of a position.
pub(crate) fn encode(
    organization: &OrganizationId,
    selection: &TicketSelection,
    position: &TicketPosition,
) -> String {
    let TicketPosition { priority, at, id } = position;
    let text = format!(
        "{VERSION}#{}#{}#{}#{id}",
        selection.digest(organization),
        priority.map_or(NO_PRIORITY, Priority::as_str),
        at.millis()
    );
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Parses a cursor. `None` for a cursor of another list or organization, and for every other text.
pub(crate) fn decode(
    organization: &OrganizationId,
    selection: &TicketSelection,
    cursor: &str,
) -> Option<TicketPosition> {
    if cursor.len() > MAX_CHARS {
        return None;
    }
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let mut parts = text.split('#');
    if parts.next()? != VERSION || parts.next()? != selection.digest(organization) {
        return None;
    }
    let priority = match parts.next()? {
        NO_PRIORITY => None,
        word => Some(Priority::parse(word)?),
    };
    let millis: i64 = parts.next()?.parse().ok()?;
    let position = TicketPosition {
        priority,
        at: Timestamp::from_millis(millis),
        id: TicketId::parse(parts.next()?).ok()?,
    };
    let is_of_list = parts.next().is_none()
        && (0..=MAX_MILLIS).contains(&millis)
        && selection.can_have(&position);
    is_of_list.then_some(position)
}

/// The latest time of a position. Keys have 15 digits for it.
const MAX_MILLIS: i64 = 999_999_999_999_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use muster_domain::{TeamId, UserId};

    fn org(id: &str) -> OrganizationId {
        OrganizationId::parse(id).unwrap()
    }

    fn position(priority: Option<Priority>, id: &str) -> TicketPosition {
        TicketPosition {
            priority,
            at: Timestamp::from_millis(1_736_064_000_123),
            id: TicketId::parse(id).unwrap(),
        }
    }

    fn selections() -> Vec<(TicketSelection, Option<Priority>)> {
        let team = TeamId::parse("550e8400-e29b-41d4-a716-446655440000").unwrap();
        let user = UserId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap();
        let high = Some(Priority::High);
        let mut selections = Vec::new();
        for priority in [None, high] {
            selections.push((TicketSelection::Unrouted { priority }, high));
            for team in [None, Some(team)] {
                selections.push((TicketSelection::Waiting { team, priority }, high));
            }
        }
        for assignee in [None, Some(user)] {
            selections.push((TicketSelection::Assigned { team, assignee }, None));
        }
        selections
    }

    #[test]
    fn cursor_is_valid_for_its_own_list_only() {
        let longest = "T".repeat(128);
        for (selection, priority) in selections() {
            for id in ["TKT-2024:001", &longest] {
                let position = position(priority, id);
                let cursor = encode(&org("acme"), &selection, &position);
                assert!(cursor.len() <= MAX_CHARS, "{} characters", cursor.len());
                assert_eq!(
                    decode(&org("acme"), &selection, &cursor),
                    Some(position),
                    "{selection:?}"
                );
                assert_eq!(decode(&org("acme2"), &selection, &cursor), None);
                for (other, _) in selections() {
                    let is_own = other == selection;
                    let decoded = decode(&org("acme"), &other, &cursor);
                    assert_eq!(decoded.is_some(), is_own, "{selection:?} for {other:?}");
                }
            }
        }
    }

    #[test]
    fn forged_cursor_is_rejected() {
        let (acme, priority) = (org("acme"), Some(Priority::High));
        let selection = TicketSelection::Unrouted { priority };
        let digest = selection.digest(&acme);
        let rejects = |text: String| {
            let cursor = BASE64_URL_SAFE_NO_PAD.encode(&text);
            assert_eq!(decode(&acme, &selection, &cursor), None, "{text}");
        };
        let valid = format!("1#{digest}#high#1#T");
        assert!(decode(&acme, &selection, &BASE64_URL_SAFE_NO_PAD.encode(&valid)).is_some());
        for text in [
            "1#",
            "#high#1#T",
            "#low#1#T",
            "#-#1#T",
            "#high#-1#T",
            "#high#1000000000000000#T",
            "#high#x#T",
            "#high#1#",
            "#high#1#T#",
            "#high#1#T#0000000000000000",
            "#high#1#a b",
            "#high#1#\u{e9}",
        ] {
            rejects(format!("2#{digest}{text}"));
            if text != "#high#1#T" {
                rejects(format!("1#{digest}{text}"));
            }
        }
        for cursor in ["", "=", "MQ==", "x", "\u{e9}", &"A".repeat(MAX_CHARS + 1)] {
            assert_eq!(decode(&acme, &selection, cursor), None, "{cursor}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_cursor_or_a_position(text in "\\PC{0,200}") {
            for (selection, _) in selections() {
                prop_assert_eq!(decode(&org("acme"), &selection, &text), None);
                let encoded = BASE64_URL_SAFE_NO_PAD.encode(&text);
                prop_assert_eq!(decode(&org("acme"), &selection, &encoded), None);
            }
        }
    }
}
