//! The announcements of teams.

use serde::Serialize;

use super::announcement::{Announcement, SequencePoint};
#[cfg(feature = "openapi")]
use super::forms;
use muster_domain::{Change, Description, Team};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Team))]
pub(super) struct TeamData<'a> {
    /// The organization of the team.
    organization_id: &'a str,
    /// Identifies the team.
    #[cfg_attr(feature = "openapi", schema(value_type = forms::Uuid))]
    id: String,
    /// The name, unique within the organization.
    name: &'a str,
    /// The team's purpose and responsibilities.
    description: Option<&'a str>,
    /// The user who leads the team, if there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<forms::Uuid>))]
    lead_id: Option<String>,
    /// The distribution of tickets among the members.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::QueueStrategy))]
    queue_strategy: &'static str,
    /// The team's areas of expertise, by which tickets are routed to it.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    specializations: &'a [String],
    /// The number of members.
    member_count: u32,
    /// The time when the team was created.
    #[cfg_attr(feature = "openapi", schema(value_type = forms::Timestamp))]
    created_at: String,
    /// The time when the team's fields, its lead or its members last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = forms::Timestamp))]
    updated_at: String,
}

impl<'a> TeamData<'a> {
    fn new(team: &'a Team) -> Self {
        let Team {
            id,
            organization_id,
            name,
            description,
            lead_id,
            queue_strategy,
            specializations,
            member_count,
            version: _,
            created_at,
            updated_at,
        } = team;
        Self {
            organization_id: organization_id.as_str(),
            id: id.uuid().to_string(),
            name: name.as_str(),
            description: description.as_ref().map(Description::as_str),
            lead_id: lead_id.map(|id| id.uuid().to_string()),
            queue_strategy: queue_strategy.as_str(),
            specializations: specializations.as_slice(),
            member_count: *member_count,
            created_at: created_at.iso8601_millis(),
            updated_at: updated_at.iso8601_millis(),
        }
    }
}

pub(super) fn announcement(
    change: &Change,
    before: Option<&Team>,
    after: Option<&Team>,
) -> Option<Announcement> {
    let (kind, team, revision, at) = match (before, after) {
        (None, Some(team)) => ("team.created", team, team.version, team.created_at),
        (Some(before), Some(team)) if is_edited(before, team) => {
            ("team.updated", team, team.version, team.updated_at)
        }
        // The deletion is not stored as a revision. It counts as the one after the last stored.
        (Some(team), None) => (
            "team.deleted",
            team,
            team.version + 1,
            change.at.max(team.updated_at),
        ),
        _ => return None,
    };
    let point = SequencePoint {
        revision,
        part: 0,
        at,
    };
    Some(Announcement::new(
        change,
        kind,
        &point,
        format!("teams/{}", team.id.uuid()),
        TeamData::new(team),
    ))
}

/// Returns whether an editable field changed, other than the number of members.
fn is_edited(before: &Team, after: &Team) -> bool {
    let Team {
        id: _,
        organization_id: _,
        name,
        description,
        lead_id,
        queue_strategy,
        specializations,
        member_count: _,
        version: _,
        created_at: _,
        updated_at: _,
    } = before;
    *name != after.name
        || *description != after.description
        || *lead_id != after.lead_id
        || *queue_strategy != after.queue_strategy
        || *specializations != after.specializations
}
#[cfg(test)]
mod tests {
    use insta::assert_json_snapshot;
    use muster_domain::{ChangeKind, NewTeam, QueueStrategy, Tags, TeamName};

    use super::*;
    use crate::events::outbound::fixtures::{
        MORNING, alex, announced, event, kinds, later, org, robin, team_id,
    };

    fn operations() -> Team {
        let new = NewTeam {
            name: TeamName::parse("Network Operations").unwrap(),
            description: None,
            lead_id: Some(alex()),
            queue_strategy: QueueStrategy::LeastBusy,
            specializations: Tags::parse(["VPN", "DNS"]).unwrap(),
        };
        Team::create(team_id(), org(), new, MORNING)
    }

    fn team_changed(before: Option<Team>, after: Option<Team>) -> Vec<Announcement> {
        announced(
            "ORG#org/TEAM#a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            ChangeKind::Team { before, after },
        )
    }

    #[test]
    fn team_changes_are_announced() {
        assert_json_snapshot!(
            "team.created",
            event(&team_changed(None, Some(operations())))
        );
        let mut renamed = Team {
            version: 2,
            updated_at: later(1_000),
            ..operations()
        };
        renamed.name = TeamName::parse("NetOps").unwrap();
        assert_json_snapshot!(
            "team.updated",
            event(&team_changed(Some(operations()), Some(renamed.clone())))
        );
        assert_json_snapshot!("team.deleted", event(&team_changed(Some(renamed), None)));
    }

    #[test]
    fn member_count_change_is_not_announced() {
        let joined = Team {
            member_count: 1,
            version: 2,
            updated_at: later(1_000),
            ..operations()
        };
        assert_eq!(team_changed(Some(operations()), Some(joined.clone())), []);
        assert_eq!(team_changed(Some(operations()), Some(operations())), []);
        let led = Team {
            lead_id: Some(robin()),
            ..joined
        };
        assert_eq!(
            kinds(&team_changed(Some(operations()), Some(led))),
            ["team.updated"]
        );
    }
}
