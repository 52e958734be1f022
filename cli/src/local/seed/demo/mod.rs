//! The demo organization's teams, members and tickets. The table's store and the assignment
//! function create them, so that each ticket has a decision with a reason.

mod catalog;
mod tickets;

use std::collections::BTreeSet;

use anyhow::ensure;
use futures_util::future::{join_all, try_join_all};
use muster_contracts::{add_member, create_team, request::OnUnknownField};
use muster_domain::{
    Contract, Error as Rejected, OrganizationId, Team, TeamId, TicketId, Timestamp, User, UserId,
};
use muster_service::store::{Error, RenderedResponse, Store};
use serde::Serialize;
use serde_json::json;

use super::organizations::{DemoOrganization, OrganizationSeed, SeedTarget};
use crate::local::{
    event_source::{Function, batch_item_failures, queue_event},
    sqs::StoredMessage,
};
use catalog::{MemberSeed, ORGANIZATION, TEAMS, TeamSeed, USERS};
use tickets::TICKETS;

/// The demo organization with its teams and tickets.
#[derive(Debug, Clone, Serialize)]
pub struct Demo {
    /// The organization, its keys and its users.
    #[serde(flatten)]
    pub organization: DemoOrganization,
    /// The teams of the demo data that exist.
    pub teams: Vec<DemoTeam>,
    /// The tickets of the demo data.
    pub tickets: Vec<DemoTicket>,
}

/// A team of the demo data.
#[derive(Debug, Clone, Serialize)]
pub struct DemoTeam {
    /// The bare UUID.
    pub id: String,
    /// The present name.
    pub name: String,
}

impl From<&TeamSeed> for DemoTeam {
    fn from(seed: &TeamSeed) -> Self {
        Self {
            id: seed.id.to_owned(),
            name: seed.name.to_owned(),
        }
    }
}

/// A ticket of the demo data.
#[derive(Debug, Clone, Serialize)]
pub struct DemoTicket {
    /// The id on its platform.
    pub id: String,
    /// The state at the start of the stack.
    pub state: &'static str,
}

/// The file with the ids of the teams and tickets that were created. A start does not create them
/// again, because a user can have deleted them.
const CREATED_FILE: &str = "demo-data.json";

/// The reason why parts of the demo data cannot be invalid.
const RULES: &str = "the demo data keeps the rules";

/// Returns the organization and its users.
pub(super) fn organization() -> OrganizationSeed {
    let user = |seed: catalog::UserSeed| User {
        id: UserId::parse(seed.id).expect(RULES),
        name: seed.name.to_owned(),
        email: seed.email.to_owned(),
        role: "agent".to_owned(),
        avatar_url: Some(seed.avatar_url()),
        status: seed.status,
        version: 1,
    };
    OrganizationSeed {
        id: organization_id(),
        users: USERS.map(user).into(),
    }
}

impl TeamSeed {
    fn team_id(&self) -> TeamId {
        TeamId::parse(self.id).expect(RULES)
    }
}

fn organization_id() -> OrganizationId {
    OrganizationId::parse(ORGANIZATION).expect(RULES)
}

/// Creates the teams, members and tickets that no earlier start created, and reads all of them.
/// `assignment` is the function of the ticket queue.
///
/// # Errors
/// The table or the function fails.
pub(in crate::local) async fn seed_demo(
    SeedTarget {
        store,
        data_dir,
        is_new,
    }: &SeedTarget<'_>,
    assignment: &Function,
    organization: DemoOrganization,
) -> anyhow::Result<Demo> {
    let org = organization_id();
    let stored: Option<BTreeSet<String>> = data_dir
        .filter(|_| !is_new)
        .map(|data_dir| data_dir.read(CREATED_FILE))
        .transpose()?
        .flatten();
    let created = stored.unwrap_or_default();
    let ids = || {
        let teams = TEAMS.iter().map(|team| team.id);
        teams.chain(TICKETS.iter().map(|ticket| ticket.id))
    };
    if ids().any(|id| !created.contains(id)) {
        let missing: Vec<_> = TEAMS
            .iter()
            .filter(|team| !created.contains(team.id))
            .collect();
        Box::pin(seed_teams(store, &org, &missing)).await?;
        Box::pin(seed_tickets(store, &org, assignment, &created)).await?;
        if let Some(data_dir) = data_dir {
            let created: BTreeSet<&str> = created.iter().map(String::as_str).chain(ids()).collect();
            data_dir.write(CREATED_FILE, &created)?;
        }
    }
    let teams = if *is_new {
        TEAMS.iter().map(DemoTeam::from).collect()
    } else {
        read_teams(store, &org).await?
    };
    let tickets = read_tickets(store, &org).await?;
    Ok(Demo {
        organization,
        teams,
        tickets,
    })
}

/// Creates teams with their members, and adds them to the topic index.
async fn seed_teams(
    store: &Store,
    org: &OrganizationId,
    seeds: &[&'static TeamSeed],
) -> anyhow::Result<()> {
    // All creations change the organization's count, and all additions to the topic index its pass,
    // so that concurrent ones would conflict.
    for seed in seeds {
        unless_rejected(store.create_team(&team(org, seed), &response(), None).await)?;
    }
    let members = |seed: &&'static TeamSeed| Box::pin(seed_members(store, org, seed));
    try_join_all(seeds.iter().map(members)).await?;
    for seed in seeds {
        if !seed.specializations.is_empty() {
            // The job that a creation starts does this too, but later than the first ticket.
            store
                .index_specializations(org, seed.team_id(), Timestamp::now())
                .await?;
        }
    }
    Ok(())
}

fn team(org: &OrganizationId, seed: &TeamSeed) -> Team {
    let TeamSeed {
        id: _,
        name,
        description,
        lead_id,
        queue_strategy,
        specializations,
        created_at,
        members: _,
    } = seed;
    let body = json!({
        "name": name,
        "description": description,
        "lead_id": lead_id,
        "queue_strategy": queue_strategy,
        "specializations": specializations,
    });
    let new = create_team(
        Contract::Itsm,
        body.to_string().as_bytes(),
        OnUnknownField::Reject,
    )
    .expect(RULES);
    let created_at = Timestamp::from_secs(*created_at);
    Team::create(seed.team_id(), org.clone(), new, created_at)
}

async fn seed_members(
    store: &Store,
    org: &OrganizationId,
    seed: &'static TeamSeed,
) -> Result<(), Error> {
    for MemberSeed {
        user_id,
        skills,
        added_at,
    } in seed.members
    {
        let body = json!({ "user_id": user_id, "skills": skills });
        let new = add_member(
            Contract::Itsm,
            body.to_string().as_bytes(),
            OnUnknownField::Reject,
        )
        .expect(RULES);
        let (render, added_at) = (|_: &_, _: &_| response(), Timestamp::from_secs(*added_at));
        let added = store.add_member(org, seed.team_id(), &new, render, None, added_at);
        unless_rejected(added.await)?;
    }
    Ok(())
}

/// Returns a response that is not sent.
fn response() -> RenderedResponse {
    RenderedResponse::created(String::new(), None)
}

/// Ignores the rejection of an item that an interrupted start created, or that contradicts a change
/// of a user.
fn unless_rejected<T>(result: Result<T, Error>) -> Result<(), Error> {
    match result {
        Ok(_) | Err(Error::Rejected(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sends the events of the missing tickets to the assignment function, as one batch of the queue.
async fn seed_tickets(
    store: &Store,
    org: &OrganizationId,
    assignment: &Function,
    created: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let existing = read_tickets(store, org).await?;
    let now = Timestamp::now();
    let messages: Vec<_> = TICKETS
        .iter()
        .filter(|seed| !created.contains(seed.id))
        .filter(|seed| existing.iter().all(|ticket| ticket.id != seed.id))
        .map(|seed| StoredMessage::new(seed.event(now).to_string(), [].into(), now))
        .collect();
    if messages.is_empty() {
        return Ok(());
    }
    let response = assignment
        .invoke(&queue_event("tickets", messages.iter()))
        .await?;
    let failed = batch_item_failures(&response)?.len();
    ensure!(failed == 0, "{failed} tickets of the demo data failed");
    Ok(())
}

async fn read_teams(store: &Store, org: &OrganizationId) -> anyhow::Result<Vec<DemoTeam>> {
    let mut teams = Vec::with_capacity(TEAMS.len());
    let reads = TEAMS.map(|seed| store.team(org, seed.team_id()));
    for read in join_all(reads).await {
        match read {
            Ok((roster, _)) => teams.push(DemoTeam {
                id: roster.team.id.uuid().to_string(),
                name: roster.team.name.as_str().to_owned(),
            }),
            Err(Error::Rejected(Rejected::TeamNotFound)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(teams)
}

async fn read_tickets(store: &Store, org: &OrganizationId) -> anyhow::Result<Vec<DemoTicket>> {
    let ids = TICKETS.map(|ticket| TicketId::parse(ticket.id).expect(RULES));
    let read = store.tickets(org, &ids).await?;
    let found = ids.iter().filter_map(|id| read.by_id.get(id));
    Ok(found
        .map(|ticket| DemoTicket {
            id: ticket.id.as_str().to_owned(),
            state: ticket.state.as_str(),
        })
        .collect())
}
