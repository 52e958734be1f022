//! The responses of the TopTickets contract: the bare object or array, with the fields in the
//! document's order.

use serde::Serialize;

#[cfg(feature = "openapi")]
use crate::schema::{self, Ref, Schemas};
use crate::{
    decision::{DecisionOut, WireFormat},
    json::json,
    request::InvalidRequest,
    response_size,
};
use muster_domain::{
    ListedTeam, Member, PageRange, Roster, Team, TeamId, TeamPage, Ticket, TicketPage, Timestamp,
    User, UserId,
};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Team))]
struct TeamOut {
    /// Unique identifier of the team.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TeamId))]
    id: String,
    /// The name, unique within the organization.
    name: String,
    /// The team's purpose.
    description: Option<String>,
    /// The members, in the order in which they joined.
    members: Vec<MemberOut>,
    /// The time when the team was created.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    created_at: String,
    /// The time when the team's fields or its members last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    updated_at: String,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Member))]
struct MemberOut {
    /// Unique identifier of the user.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::UserId))]
    id: String,
    /// The email address; empty while it is not known.
    email: String,
    /// The display name.
    full_name: String,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TeamMember))]
struct MembershipOut {
    #[serde(flatten)]
    profile: MemberOut,
    /// The role of the member in this team.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::MemberRole))]
    team_role: &'static str,
    /// The skills of the member, for skill-based routing.
    skills: Vec<String>,
    /// Open tickets of this team that are assigned to the member.
    open_tickets: u64,
    /// The number of `open_tickets` that are in progress.
    in_progress_tickets: u64,
    /// The time when the member joined, or last rejoined.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    added_at: String,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TeamSummary))]
struct TeamSummaryOut {
    /// Unique identifier of the team.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TeamId))]
    id: String,
    /// The name, unique within the organization.
    name: String,
    /// The team's purpose.
    description: Option<String>,
    /// The time when the team was created.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    created_at: String,
}

impl From<&Roster> for TeamOut {
    fn from(Roster { team, members }: &Roster) -> Self {
        let Team {
            id,
            organization_id: _,
            name,
            description,
            lead_id: _,
            queue_strategy: _,
            specializations: _,
            member_count: _,
            version: _,
            created_at,
            updated_at,
        } = team;
        Self {
            id: id.uuid().to_string(),
            name: name.as_str().to_owned(),
            description: description.as_ref().map(|text| text.as_str().to_owned()),
            members: members.iter().map(MemberOut::from).collect(),
            created_at: created_at.iso8601(),
            updated_at: updated_at.iso8601(),
        }
    }
}

impl From<&Member> for MemberOut {
    fn from(member: &Member) -> Self {
        let User {
            id,
            name,
            email,
            role: _,
            avatar_url: _,
            status: _,
            version: _,
        } = &member.user;
        Self {
            id: id.uuid().to_string(),
            email: email.clone(),
            full_name: name.clone(),
        }
    }
}

impl MembershipOut {
    fn new(team: &Team, member: &Member) -> Self {
        let Member {
            user: _,
            skills,
            joined_at,
            rev: _,
            last_turn: _,
            open_tickets,
            in_progress_tickets,
            resolved: _,
        } = member;
        Self {
            profile: MemberOut::from(member),
            team_role: member.role_in(team).as_str(),
            skills: skills.as_slice().to_vec(),
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            added_at: joined_at.iso8601(),
        }
    }
}

/// Bare ids, and times in ISO 8601.
const WIRE_FORMAT: WireFormat<String> = WireFormat {
    team_id: |id: TeamId| id.uuid().to_string(),
    user_id: |id: UserId| id.uuid().to_string(),
    time: Timestamp::iso8601,
};

impl From<&ListedTeam> for TeamSummaryOut {
    fn from(ListedTeam { team, load: _ }: &ListedTeam) -> Self {
        let Team {
            id,
            organization_id: _,
            name,
            description,
            lead_id: _,
            queue_strategy: _,
            specializations: _,
            member_count: _,
            version: _,
            created_at,
            updated_at: _,
        } = team;
        Self {
            id: id.uuid().to_string(),
            name: name.as_str().to_owned(),
            description: description.as_ref().map(|text| text.as_str().to_owned()),
            created_at: created_at.iso8601(),
        }
    }
}

/// Renders a team.
#[must_use]
pub fn team(roster: &Roster) -> String {
    json(&TeamOut::from(roster))
}

/// Renders an array of team summaries.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn teams(page: &TeamPage) -> Result<String, InvalidRequest> {
    array(page.teams.iter().map(TeamSummaryOut::from))
}

/// Renders an array of memberships.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn members(
    page: PageRange,
    Roster { team, members }: &Roster,
) -> Result<String, InvalidRequest> {
    array(
        page.cut(members)
            .map(|member| MembershipOut::new(team, member)),
    )
}

/// Renders a ticket's latest decision.
#[must_use]
pub fn decision(ticket: &Ticket) -> String {
    json(&DecisionOut::new(ticket, &WIRE_FORMAT))
}

/// Renders an array of tickets' latest decisions.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn decisions(page: &TicketPage) -> Result<String, InvalidRequest> {
    found_tickets(&page.tickets)
}

/// Renders an array of tickets' latest decisions, of a page with a cursor.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn found_tickets(tickets: &[Ticket]) -> Result<String, InvalidRequest> {
    array(
        tickets
            .iter()
            .map(|ticket| DecisionOut::new(ticket, &WIRE_FORMAT)),
    )
}

fn array<T: Serialize>(items: impl Iterator<Item = T>) -> Result<String, InvalidRequest> {
    Ok(json(&response_size::serialize(items)?))
}

/// Adds the schemas of all responses.
#[cfg(feature = "openapi")]
pub(crate) fn schemas(schemas: &mut Schemas) {
    schemas.add::<TeamOut>();
    schemas.add::<TeamSummaryOut>();
    schemas.add::<MembershipOut>();
    schemas.add::<DecisionOut<Ref<schema::Timestamp>>>();
}
