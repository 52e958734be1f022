//! The reads behind `muster tickets explain`.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::try_join_all;
use muster_domain::{
    ListTeams, Order, OrganizationId, PageRange, SortBy, Team, TeamId, Ticket, TicketId,
    TicketState, User, UserId, routing::TeamInput,
};
use muster_service::{
    assignment::candidate_teams,
    store::{Error, Store},
};

use super::similar::{SimilarTeam, similar_teams};

/// The maximum number of teams that are compared with an unrouted ticket.
pub const MAX_COMPARED: usize = 100;

/// The maximum number of teams with a topic of the ticket, and of similar teams, that are shown.
const MAX_SHOWN: usize = 5;

/// The result of looking a ticket up.
#[derive(Debug)]
pub enum Lookup {
    /// The organization does not exist.
    NoOrganization,
    /// The organization has no such ticket.
    NoTicket,
    /// The ticket, and the items that explain it.
    Found(Box<Explained>),
}

/// A ticket, and the items that explain its state.
#[derive(Debug)]
pub struct Explained {
    /// The organization of the ticket.
    pub organization: OrganizationId,
    /// The ticket.
    pub ticket: Ticket,
    /// The team of the ticket, if it has one that exists.
    pub team: Option<Team>,
    /// The assignee and the candidates, if they have a profile.
    pub people: HashMap<UserId, User>,
    /// The users that could take the ticket.
    pub outlook: Outlook,
}

/// The users that could take a ticket.
#[derive(Debug)]
pub enum Outlook {
    /// The ticket has an assignee or needs none.
    Decided,
    /// The team of a waiting ticket, if it exists.
    Waiting(Option<Box<TeamInput>>),
    /// The teams for an unrouted ticket.
    Unrouted(Teams),
}

/// The teams that could take an unrouted ticket.
#[derive(Debug)]
pub struct Teams {
    /// Teams that share a topic with the ticket, most topics first.
    pub matching: Vec<TeamInput>,
    /// Teams with a similar specialization.
    pub similar: Vec<(SimilarTeam, TeamInput)>,
    /// The number of teams of the organization. The first [`MAX_COMPARED`] of them are compared.
    pub total: usize,
}

/// Reads a ticket, and the items that explain it, strongly consistent.
///
/// Two round trips: the ticket with its organization, then its team and the profiles of the
/// assignee and the candidates. Three for an unrouted ticket: after the ticket, a query for each of
/// its topics in parallel with the first [`MAX_COMPARED`] teams, and then up to 10 teams with their
/// members.
///
/// # Errors
/// [`Error::Unavailable`] or [`Error::Internal`].
pub async fn read(
    store: &Store,
    organization: &OrganizationId,
    id: &TicketId,
) -> Result<Lookup, Error> {
    let mut read = store.tickets(organization, [id]).await?;
    if !read.organization_exists {
        return Ok(Lookup::NoOrganization);
    }
    let Some(ticket) = read.by_id.remove(id) else {
        return Ok(Lookup::NoTicket);
    };
    let candidates = ticket.decision.candidates.iter();
    let people: BTreeSet<UserId> = candidates
        .map(|candidate| candidate.user_id)
        .chain(ticket.assignee_id)
        .collect();
    let (people, (team, outlook)) = tokio::try_join!(store.users(organization, people), async {
        Ok(match (ticket.state, ticket.team_id) {
            (TicketState::Waiting, Some(team)) => {
                let input = store.team_input(organization, team).await?.map(Box::new);
                let team = input.as_ref().map(|input| input.team.clone());
                (team, Outlook::Waiting(input))
            }
            (TicketState::Unrouted, _) => {
                let teams = read_teams(store, organization, &ticket).await?;
                (None, Outlook::Unrouted(teams))
            }
            (_, team) => {
                let ids: Vec<_> = team.into_iter().collect();
                let mut teams = store.teams(organization, &ids).await?;
                (team.and_then(|id| teams.remove(&id)), Outlook::Decided)
            }
        })
    })?;
    Ok(Lookup::Found(Box::new(Explained {
        organization: organization.clone(),
        ticket,
        team,
        people,
        outlook,
    })))
}

/// Reads the teams that could take an unrouted ticket. Two round trips.
async fn read_teams(
    store: &Store,
    organization: &OrganizationId,
    ticket: &Ticket,
) -> Result<Teams, Error> {
    let topics = ticket.topics();
    let list = first_teams();
    let (candidates, page) = tokio::try_join!(
        candidate_teams(store, organization, ticket),
        store.list_teams(organization, &list),
    )?;
    let matching: Vec<TeamId> = candidates
        .iter()
        .map(|candidate| candidate.team)
        .take(MAX_SHOWN)
        .collect();
    let others = page.teams.iter().map(|listed| &listed.team);
    let others = others.filter(|team| !matching.contains(&team.id));
    let similar = similar_teams(&topics, others, MAX_SHOWN);
    let ids = matching
        .iter()
        .copied()
        .chain(similar.iter().map(|similar| similar.team));
    let mut inputs = try_join_all(ids.map(|id| store.team_input(organization, id))).await?;
    let similar_inputs = inputs.split_off(matching.len());
    // The index can be older than the specializations of a team.
    let still_matches = |input: &TeamInput| input.team.specializations.matched(&topics) > 0;
    Ok(Teams {
        matching: inputs.into_iter().flatten().filter(still_matches).collect(),
        similar: similar
            .into_iter()
            .zip(similar_inputs)
            .filter_map(|(similar, input)| Some((similar, input?)))
            .collect(),
        total: page.total,
    })
}

fn first_teams() -> ListTeams {
    ListTeams {
        page: PageRange {
            skip: 0,
            limit: MAX_COMPARED,
        },
        search: None,
        sort_by: SortBy::CreatedAt,
        order: Order::Ascending,
        count: true,
        loads: false,
        max_bytes: usize::MAX,
    }
}
