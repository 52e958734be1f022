//! What an ITSM client gets: `{"success": true, "data": …}`, fields in the document's order.

use serde::Serialize;

use super::{team_id, user_id};
use crate::{
    domain::{
        ListTeams, Listed, Load, Member, Page, Resolved, Roster, Team, TeamPage, Ticket, TicketPage, Timestamp, User,
        Workload,
    },
    wire::{
        count,
        decision::{DecisionOut, Forms},
        json,
    },
};

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
}

#[derive(Serialize)]
struct Meta {
    pagination: Pagination,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    page: u128,
    limit: u64,
    total: u64,
    total_pages: u64,
    has_more: bool,
}

#[derive(Serialize)]
struct TeamOut {
    id: String,
    name: String,
    description: Option<String>,
    lead_id: Option<String>,
    members: Vec<UserOut>,
    queue_strategy: &'static str,
    specializations: Vec<String>,
    created_at: i64,
    updated_at: i64,
    organization_id: String,
}

#[derive(Serialize)]
struct UserOut {
    id: String,
    name: String,
    email: String,
    role: String,
    avatar_url: Option<String>,
    status: &'static str,
}

#[derive(Serialize)]
struct TeamSummaryOut {
    id: String,
    name: String,
    description: Option<String>,
    lead_id: Option<String>,
    queue_strategy: &'static str,
    specializations: Vec<String>,
    member_count: u32,
    open_tickets: u64,
    created_at: i64,
    updated_at: i64,
    organization_id: String,
}

#[derive(Serialize)]
struct MembershipOut {
    team_id: String,
    user_id: String,
    name: String,
    email: String,
    role: &'static str,
    skills: Vec<String>,
    added_at: i64,
}

#[derive(Serialize)]
struct ListedMemberOut {
    #[serde(flatten)]
    profile: UserOut,
    team_role: &'static str,
    skills: Vec<String>,
    open_tickets: u64,
    in_progress_tickets: u64,
    added_at: i64,
}

#[derive(Serialize)]
struct WorkloadOut {
    team_id: String,
    team_name: String,
    queue_strategy: &'static str,
    total_open_tickets: u64,
    total_members: u64,
    avg_tickets_per_member: f64,
    members: Vec<MemberWorkloadOut>,
    sla_compliance_rate: Option<f64>,
    queried_at: i64,
}

#[derive(Serialize)]
struct MemberWorkloadOut {
    user_id: String,
    name: String,
    open_tickets: u64,
    in_progress_tickets: u64,
    avg_resolution_hours: Option<f64>,
    status: &'static str,
    skills: Vec<String>,
}

impl From<&Roster> for TeamOut {
    fn from(Roster { team, members }: &Roster) -> Self {
        let Team {
            id,
            organization_id,
            name,
            description,
            lead_id,
            queue_strategy,
            specializations,
            member_count: _,
            version: _,
            created_at,
            updated_at,
        } = team;
        Self {
            id: team_id(*id),
            name: name.as_str().to_owned(),
            description: description.as_ref().map(|text| text.as_str().to_owned()),
            lead_id: lead_id.map(user_id),
            members: members.iter().map(|member| UserOut::from(&member.user)).collect(),
            queue_strategy: queue_strategy.as_str(),
            specializations: specializations.as_slice().to_vec(),
            created_at: created_at.secs(),
            updated_at: updated_at.secs(),
            organization_id: organization_id.as_str().to_owned(),
        }
    }
}

impl From<&User> for UserOut {
    fn from(user: &User) -> Self {
        let User { id, name, email, role, avatar_url, status, version: _ } = user.clone();
        Self { id: user_id(id), name, email, role, avatar_url, status: status.shown() }
    }
}

impl From<&Listed> for TeamSummaryOut {
    fn from(Listed { team, load }: &Listed) -> Self {
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
            id: team_id(*id),
            name: name.as_str().to_owned(),
            description: description.as_ref().map(|text| text.as_str().to_owned()),
            lead_id: lead_id.map(user_id),
            queue_strategy: queue_strategy.as_str(),
            specializations: specializations.as_slice().to_vec(),
            member_count: *member_count,
            open_tickets: load.open_tickets,
            created_at: created_at.secs(),
            updated_at: updated_at.secs(),
            organization_id: organization_id.as_str().to_owned(),
        }
    }
}

impl ListedMemberOut {
    fn new(team: &Team, member: &Member) -> Self {
        let Member {
            user,
            skills,
            joined_at,
            removed_at: _,
            last_turn: _,
            open_tickets,
            in_progress_tickets,
            resolved: _,
        } = member;
        Self {
            profile: UserOut::from(user),
            team_role: member.role_in(team).as_str(),
            skills: skills.as_slice().to_vec(),
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            added_at: joined_at.secs(),
        }
    }
}

/// Ids prefixed, times in Unix seconds.
const FORMS: Forms<i64> = Forms { team_id, user_id, time: Timestamp::secs };

impl From<&Member> for MemberWorkloadOut {
    fn from(member: &Member) -> Self {
        let Member {
            user,
            skills,
            joined_at: _,
            removed_at: _,
            last_turn: _,
            open_tickets,
            in_progress_tickets,
            resolved,
        } = member;
        Self {
            user_id: user_id(user.id),
            name: user.name.clone(),
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            avg_resolution_hours: Resolved::avg_hours(*resolved),
            status: user.status.shown(),
            skills: skills.as_slice().to_vec(),
        }
    }
}

impl Pagination {
    fn of(Page { skip, limit }: Page, total: usize) -> Self {
        let (limit, total) = (count(limit), count(total));
        Self {
            page: skip / u128::from(limit) + 1,
            limit,
            total,
            total_pages: total.div_ceil(limit),
            has_more: skip + u128::from(limit) < u128::from(total),
        }
    }
}

/// The team object.
#[must_use]
pub fn team(roster: &Roster) -> String {
    success(TeamOut::from(roster))
}

/// A page of team summaries.
#[must_use]
pub fn teams(list: &ListTeams, page: &TeamPage) -> String {
    paginated(page.teams.iter().map(TeamSummaryOut::from).collect(), list.page, page.total)
}

/// A page of a team's members.
#[must_use]
pub fn members(page: Page, Roster { team, members }: &Roster) -> String {
    let data = page.cut(members).map(|member| ListedMemberOut::new(team, member)).collect();
    paginated(data, page, members.len())
}

/// A ticket's latest decision.
#[must_use]
pub fn decision(ticket: &Ticket) -> String {
    success(DecisionOut::new(ticket, &FORMS))
}

/// A page of tickets' latest decisions.
#[must_use]
pub fn decisions(page: Page, TicketPage { tickets, total }: &TicketPage) -> String {
    paginated(tickets.iter().map(|ticket| DecisionOut::new(ticket, &FORMS)).collect(), page, *total)
}

/// A membership of a team.
#[must_use]
pub fn membership(team: &Team, member: &Member) -> String {
    success(MembershipOut {
        team_id: team_id(team.id),
        user_id: user_id(member.user.id),
        name: member.user.name.clone(),
        email: member.user.email.clone(),
        role: member.role_in(team).as_str(),
        skills: member.skills.as_slice().to_vec(),
        added_at: member.joined_at.secs(),
    })
}

/// A team's workload at `now`.
#[must_use]
pub fn workload(Roster { team, members }: &Roster, load: Load, now: Timestamp) -> String {
    let Workload { avg_tickets_per_member, sla_compliance_rate } = Workload::of(load, members.len());
    success(WorkloadOut {
        team_id: team_id(team.id),
        team_name: team.name.as_str().to_owned(),
        queue_strategy: team.queue_strategy.as_str(),
        total_open_tickets: load.open_tickets,
        total_members: count(members.len()),
        avg_tickets_per_member,
        members: members.iter().map(MemberWorkloadOut::from).collect(),
        sla_compliance_rate,
        queried_at: now.secs(),
    })
}

fn success(data: impl Serialize) -> String {
    json(&Success { success: true, data, meta: None })
}

fn paginated<T: Serialize>(data: Vec<T>, page: Page, total: usize) -> String {
    json(&Success { success: true, data, meta: Some(Meta { pagination: Pagination::of(page, total) }) })
}
