//! The announcements of memberships.

use serde::Serialize;

use super::announcement::{Announcement, SequencePoint};
#[cfg(feature = "openapi")]
use super::forms;
use muster_domain::{Change, Member, TeamId, Timestamp};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Membership))]
pub(super) struct MemberData<'a> {
    /// The organization of the team.
    organization_id: &'a str,
    /// The team.
    #[cfg_attr(feature = "openapi", schema(value_type = forms::Uuid))]
    team_id: String,
    /// The user.
    #[cfg_attr(feature = "openapi", schema(value_type = forms::Uuid))]
    user_id: String,
    /// The display name of the user.
    name: &'a str,
    /// The time when the user joined the team.
    #[cfg_attr(feature = "openapi", schema(value_type = forms::Timestamp))]
    joined_at: String,
    /// The time when the user left the team; `null` for a member.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<forms::Timestamp>))]
    removed_at: Option<String>,
}

pub(super) fn announcement(
    change: &Change,
    team_id: TeamId,
    before: Option<&Member>,
    after: Option<&Member>,
) -> Option<Announcement> {
    let (kind, member, revision, at) = match (before, after) {
        (None, Some(member)) => ("member.added", member, member.rev, member.joined_at),
        // The removal is not stored as a revision. It counts as the one after the last stored.
        // `joined_at` is the time of the function and `change.at` the time of the stream, and the
        // two clocks can differ. A removal must not precede its addition.
        (Some(member), None) => {
            let joined_at = Timestamp::from_millis(member.joined_at.millis() + 1);
            (
                "member.removed",
                member,
                member.rev + 1,
                change.at.max(joined_at),
            )
        }
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let user_id = member.user.id.uuid().to_string();
    let subject = format!("teams/{}/members/{user_id}", team_id.uuid());
    let data = MemberData {
        organization_id: change.organization_id.as_str(),
        team_id: team_id.uuid().to_string(),
        user_id,
        name: &member.user.name,
        joined_at: member.joined_at.iso8601_millis(),
        removed_at: (kind == "member.removed").then(|| at.iso8601_millis()),
    };
    Some(Announcement::new(
        change,
        kind,
        &SequencePoint {
            revision,
            part: 0,
            at,
        },
        subject,
        data,
    ))
}
#[cfg(test)]
mod tests {
    use insta::assert_json_snapshot;
    use muster_domain::{ChangeKind, Load, Tags, User, UserStatus};

    use super::*;
    use crate::events::outbound::fixtures::{MORNING, alex, announced, event, later, team_id};

    fn membership() -> Member {
        let user = User {
            id: alex(),
            name: "Alex Rivera".to_owned(),
            email: "arivera@acme.com".to_owned(),
            role: "agent".to_owned(),
            avatar_url: None,
            status: UserStatus::Active,
            version: 3,
        };
        Member::joining(user, Tags::default(), None, 7, MORNING).unwrap()
    }

    fn member_changed(before: Option<Member>, after: Option<Member>) -> Vec<Announcement> {
        let record = "ORG#org#TEAM#a1b2c3d4-e5f6-7890-abcd-ef1234567890/MEMBER#f6e5d4c3-b2a1-0987-fedc-ba9876543210";
        announced(
            record,
            ChangeKind::Membership {
                team_id: team_id(),
                before,
                after,
            },
        )
    }

    #[test]
    fn member_changes_are_announced() {
        assert_json_snapshot!(
            "member.added",
            event(&member_changed(None, Some(membership())))
        );
        assert_json_snapshot!(
            "member.removed",
            event(&member_changed(Some(membership()), None))
        );
    }

    #[test]
    fn member_removed_has_a_time_after_joining() {
        let gone = event(&member_changed(Some(membership()), None));
        assert_eq!(
            (&gone["type"], &gone["time"]),
            (&"member.removed".into(), &"2025-01-05T08:00:05.123Z".into())
        );
        let late = Member {
            joined_at: later(9_000),
            ..membership()
        };
        assert_eq!(
            event(&member_changed(Some(late), None))["time"],
            "2025-01-05T08:00:09.124Z"
        );
    }

    #[test]
    fn rejoining_has_a_later_sequence_than_removal() {
        let (user, past) = (membership().user, membership().leaving());
        let returned =
            Member::joining(user, Tags::default(), Some(&past), 9, later(2_000)).unwrap();
        let events = [
            (None, Some(membership())),
            (Some(membership()), None),
            (None, Some(returned)),
        ]
        .map(|(before, after)| event(&member_changed(before, after)));
        assert_eq!(
            events
                .each_ref()
                .map(|event| event["type"].as_str().unwrap()),
            ["member.added", "member.removed", "member.added"]
        );
        let sequences = events
            .each_ref()
            .map(|event| event["sequence"].as_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(
            sequences,
            [1, 2, 3],
            "the sequence is the revision of the membership"
        );
    }

    #[test]
    fn counters_and_profile_copies_are_not_announced() {
        let counted = Member {
            open_tickets: 4,
            last_turn: 9,
            ..membership()
        };
        let mut copied = membership();
        copied.user.status = UserStatus::Inactive;
        for (before, after) in [
            (Some(membership()), Some(counted)),
            (Some(membership()), Some(copied)),
        ] {
            assert_eq!(member_changed(before, after), []);
        }
        let load = ChangeKind::Load {
            team_id: team_id(),
            before: None,
            after: Some(Load::default()),
        };
        assert_eq!(announced("load", load), []);
        assert_eq!(
            announced("gone", ChangeKind::TeamDeleted { team_id: team_id() }),
            []
        );
        let user = ChangeKind::User {
            user_id: alex(),
            before: None,
            after: Some(membership().user),
        };
        assert_eq!(announced("user", user), []);
    }
}
