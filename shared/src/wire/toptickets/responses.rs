//! What a TopTickets client gets: the bare object or array, fields in the document's order.

use serde::Serialize;

use crate::{
    domain::{Listed, Member, Page, Roster, Team, TeamId, TeamPage, Ticket, TicketPage, Timestamp, User, UserId},
    wire::{
        decision::{DecisionOut, Forms},
        json,
    },
};

#[derive(Serialize)]
struct TeamOut {
    id: String,
    name: String,
    description: Option<String>,
    members: Vec<MemberOut>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct MemberOut {
    id: String,
    email: String,
    full_name: String,
}

#[derive(Serialize)]
struct MembershipOut {
    #[serde(flatten)]
    profile: MemberOut,
    team_role: &'static str,
    skills: Vec<String>,
    open_tickets: u64,
    in_progress_tickets: u64,
    added_at: String,
}

#[derive(Serialize)]
struct TeamSummaryOut {
    id: String,
    name: String,
    description: Option<String>,
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
        let User { id, name, email, role: _, avatar_url: _, status: _, version: _ } = &member.user;
        Self { id: id.uuid().to_string(), email: email.clone(), full_name: name.clone() }
    }
}

impl MembershipOut {
    fn new(team: &Team, member: &Member) -> Self {
        let Member {
            user: _,
            skills,
            joined_at,
            removed_at: _,
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

/// Ids bare, times in ISO 8601.
const FORMS: Forms<String> = Forms {
    team_id: |id: TeamId| id.uuid().to_string(),
    user_id: |id: UserId| id.uuid().to_string(),
    time: Timestamp::iso8601,
};

impl From<&Listed> for TeamSummaryOut {
    fn from(Listed { team, load: _ }: &Listed) -> Self {
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

/// The team object.
#[must_use]
pub fn team(roster: &Roster) -> String {
    json(&TeamOut::from(roster))
}

/// An array of team summaries.
#[must_use]
pub fn teams(page: &TeamPage) -> String {
    json(&page.teams.iter().map(TeamSummaryOut::from).collect::<Vec<_>>())
}

/// An array of memberships.
#[must_use]
pub fn members(page: Page, Roster { team, members }: &Roster) -> String {
    json(&page.cut(members).map(|member| MembershipOut::new(team, member)).collect::<Vec<_>>())
}

/// A ticket's latest decision.
#[must_use]
pub fn decision(ticket: &Ticket) -> String {
    json(&DecisionOut::new(ticket, &FORMS))
}

/// An array of tickets' latest decisions.
#[must_use]
pub fn decisions(page: &TicketPage) -> String {
    json(&page.tickets.iter().map(|ticket| DecisionOut::new(ticket, &FORMS)).collect::<Vec<_>>())
}
