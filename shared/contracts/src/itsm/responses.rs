//! The responses of the ITSM contract: `{"success": true, "data": …}`, with the fields in the
//! document's order.

use serde::Serialize;

use super::ids::{team_id, user_id};
#[cfg(feature = "openapi")]
use crate::schema::{self, Ref, Schemas};
use crate::{
    decision::{DecisionOut, WireFormat},
    json::{count, json},
    request::InvalidRequest,
    response_size,
};
use muster_domain::{
    ListTeams, ListedTeam, Load, Member, PageRange, Resolved, Roster, Team, TeamPage, Ticket,
    TicketPage, Timestamp, User, Workload,
};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Success<T> {
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::always_true))]
    success: bool,
    data: T,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Paginated<T> {
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::always_true))]
    success: bool,
    data: Vec<T>,
    meta: Meta,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Meta))]
struct Meta {
    /// The position of the page among all pages.
    pagination: Pagination,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Pagination))]
#[serde(rename_all = "camelCase")]
struct Pagination {
    /// The number of this page, from 1.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    page: u128,
    /// The maximum number of items on a page.
    limit: u64,
    /// The number of items on all pages.
    total: u64,
    /// The number of pages; 0 if there are no items.
    total_pages: u64,
    /// Whether a page follows.
    has_more: bool,
}

/// A page of a list that is read with a cursor. Such a list does not count its items.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct CursorPaginated<T> {
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::always_true))]
    success: bool,
    data: Vec<T>,
    meta: CursorMeta,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CursorMeta))]
struct CursorMeta {
    /// The way to the next page.
    pagination: CursorPagination,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CursorPagination))]
#[serde(rename_all = "camelCase")]
struct CursorPagination {
    /// The maximum number of items on a page. A page may have fewer, also if another follows.
    limit: u64,
    /// Whether a page follows.
    has_more: bool,
    /// The `cursor` of the next page, if there is one.
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Team))]
struct TeamOut {
    /// Unique identifier of the team.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TeamId))]
    id: String,
    /// The name, unique within the organization.
    name: String,
    /// The team's purpose and responsibilities.
    description: Option<String>,
    /// The user who leads the team, if there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::UserId>))]
    lead_id: Option<String>,
    /// The members, in the order in which they joined.
    members: Vec<UserOut>,
    /// The distribution of tickets among the members.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::QueueStrategy))]
    queue_strategy: &'static str,
    /// The team's areas of expertise, by which tickets are routed to it.
    specializations: Vec<String>,
    /// The time when the team was created.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    created_at: i64,
    /// The time when the team's fields, its lead or its members last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    updated_at: i64,
    /// The organization of the team.
    organization_id: String,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Member))]
struct UserOut {
    /// Unique identifier of the user.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::UserId))]
    id: String,
    /// The display name.
    name: String,
    /// The email address; empty while it is not known.
    email: String,
    /// The role of the user on the platform, such as `agent`.
    role: String,
    /// The URL of the user's picture.
    avatar_url: Option<String>,
    /// The status of the user.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::UserStatus))]
    status: &'static str,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TeamSummary))]
struct TeamSummaryOut {
    /// Unique identifier of the team.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TeamId))]
    id: String,
    /// The name, unique within the organization.
    name: String,
    /// The team's purpose and responsibilities.
    description: Option<String>,
    /// The user who leads the team, if there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::UserId>))]
    lead_id: Option<String>,
    /// The distribution of tickets among the members.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::QueueStrategy))]
    queue_strategy: &'static str,
    /// The team's areas of expertise, by which tickets are routed to it.
    specializations: Vec<String>,
    /// The number of members.
    member_count: u32,
    /// The number of the team's open tickets.
    open_tickets: u64,
    /// The time when the team was created.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    created_at: i64,
    /// The time when the team's fields, its lead or its members last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    updated_at: i64,
    /// The organization of the team.
    organization_id: String,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Membership))]
struct MembershipOut {
    /// The team.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TeamId))]
    team_id: String,
    /// The user.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::UserId))]
    user_id: String,
    /// The display name.
    name: String,
    /// The email address; empty while it is not known.
    email: String,
    /// The role of the user in this team.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::MemberRole))]
    role: &'static str,
    /// The skills of the user, for skill-based routing.
    skills: Vec<String>,
    /// The time when the user joined the team, or last rejoined.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    added_at: i64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TeamMember))]
struct ListedMemberOut {
    #[serde(flatten)]
    profile: UserOut,
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
    added_at: i64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Workload))]
struct WorkloadOut {
    /// The team.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::TeamId))]
    team_id: String,
    /// The name of the team.
    team_name: String,
    /// The distribution of tickets among the members.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::QueueStrategy))]
    queue_strategy: &'static str,
    /// Open tickets of the team. Waiting tickets and tickets of removed members are included.
    total_open_tickets: u64,
    /// The number of members.
    total_members: u64,
    /// The average number of open tickets for each member, to one decimal; 0 without members.
    avg_tickets_per_member: f64,
    /// The workload of each member.
    members: Vec<MemberWorkloadOut>,
    /// The fraction of resolved tickets with a due date that were resolved in time, to two
    /// decimals; `null` while there are none.
    sla_compliance_rate: Option<f64>,
    /// The time of these figures.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::Timestamp))]
    queried_at: i64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MemberWorkload))]
struct MemberWorkloadOut {
    /// The member.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::UserId))]
    user_id: String,
    /// The display name.
    name: String,
    /// Open tickets of this team that are assigned to the member.
    open_tickets: u64,
    /// The number of `open_tickets` that are in progress.
    in_progress_tickets: u64,
    /// The mean time from creation to resolution of the tickets of this team that the member
    /// resolved, in hours to one decimal; `null` while there are none.
    avg_resolution_hours: Option<f64>,
    /// The status of the member.
    #[cfg_attr(feature = "openapi", schema(value_type = schema::UserStatus))]
    status: &'static str,
    /// The skills of the member, for skill-based routing.
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
            members: members
                .iter()
                .map(|member| UserOut::from(&member.user))
                .collect(),
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
        let User {
            id,
            name,
            email,
            role,
            avatar_url,
            status,
            version: _,
        } = user.clone();
        Self {
            id: user_id(id),
            name,
            email,
            role,
            avatar_url,
            status: status.shown(),
        }
    }
}

impl From<&ListedTeam> for TeamSummaryOut {
    fn from(ListedTeam { team, load }: &ListedTeam) -> Self {
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
            rev: _,
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

/// Prefixed ids, and times in Unix seconds.
const WIRE_FORMAT: WireFormat<i64> = WireFormat {
    team_id,
    user_id,
    time: Timestamp::secs,
};

impl From<&Member> for MemberWorkloadOut {
    fn from(member: &Member) -> Self {
        let Member {
            user,
            skills,
            joined_at: _,
            rev: _,
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
    fn of(PageRange { skip, limit }: PageRange, total: usize) -> Self {
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

/// Renders a team.
#[must_use]
pub fn team(roster: &Roster) -> String {
    success(TeamOut::from(roster))
}

/// Renders a page of team summaries.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn teams(list: &ListTeams, page: &TeamPage) -> Result<String, InvalidRequest> {
    paginated(
        page.teams.iter().map(TeamSummaryOut::from),
        list.page,
        page.total,
    )
}

/// Renders a page of a team's members.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn members(
    page: PageRange,
    Roster { team, members }: &Roster,
) -> Result<String, InvalidRequest> {
    let items = page
        .cut(members)
        .map(|member| ListedMemberOut::new(team, member));
    paginated(items, page, members.len())
}

/// Renders a ticket's latest decision.
#[must_use]
pub fn decision(ticket: &Ticket) -> String {
    success(DecisionOut::new(ticket, &WIRE_FORMAT))
}

/// Renders a page of tickets' latest decisions.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn decisions(
    page: PageRange,
    TicketPage { tickets, total }: &TicketPage,
) -> Result<String, InvalidRequest> {
    paginated(
        tickets
            .iter()
            .map(|ticket| DecisionOut::new(ticket, &WIRE_FORMAT)),
        page,
        *total,
    )
}

/// Renders a page of tickets' latest decisions, with the cursor of the next page.
///
/// # Errors
/// `limit`, if a response cannot carry the page.
pub fn found_tickets(
    tickets: &[Ticket],
    limit: usize,
    next_cursor: Option<String>,
) -> Result<String, InvalidRequest> {
    let data = response_size::serialize(
        tickets
            .iter()
            .map(|ticket| DecisionOut::new(ticket, &WIRE_FORMAT)),
    )?;
    let pagination = CursorPagination {
        limit: count(limit),
        has_more: next_cursor.is_some(),
        next_cursor,
    };
    Ok(json(&CursorPaginated {
        success: true,
        data,
        meta: CursorMeta { pagination },
    }))
}

/// Renders a membership of a team.
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

/// Renders a team's workload at `now`.
#[must_use]
pub fn workload(Roster { team, members }: &Roster, load: Load, now: Timestamp) -> String {
    let Workload {
        avg_tickets_per_member,
        sla_compliance_rate,
    } = Workload::of(load, members.len());
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
    json(&Success {
        success: true,
        data,
    })
}

fn paginated<T: Serialize>(
    items: impl Iterator<Item = T>,
    page: PageRange,
    total: usize,
) -> Result<String, InvalidRequest> {
    let data = response_size::serialize(items)?;
    Ok(json(&Paginated {
        success: true,
        data,
        meta: Meta {
            pagination: Pagination::of(page, total),
        },
    }))
}

/// Adds the schemas of all responses.
#[cfg(feature = "openapi")]
pub(crate) fn schemas(schemas: &mut Schemas) {
    schemas.add_as::<Success<Ref<TeamOut>>>("TeamResponse");
    schemas.add_as::<Paginated<Ref<TeamSummaryOut>>>("TeamListResponse");
    schemas.add_as::<Success<Ref<MembershipOut>>>("MembershipResponse");
    schemas.add_as::<Paginated<Ref<ListedMemberOut>>>("MemberListResponse");
    schemas.add_as::<Success<Ref<WorkloadOut>>>("WorkloadResponse");
    schemas.add_as::<Success<Ref<DecisionOut<Ref<schema::Timestamp>>>>>("DecisionResponse");
    schemas.add_as::<Paginated<Ref<DecisionOut<Ref<schema::Timestamp>>>>>("DecisionListResponse");
    schemas.add_as::<CursorPaginated<Ref<DecisionOut<Ref<schema::Timestamp>>>>>(
        "FoundTicketsResponse",
    );
}
