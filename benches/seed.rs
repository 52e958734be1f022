//! Bulk items: copies of items that the service wrote, with other ids.

use std::ops::Range;

use anyhow::Context;
use aws_sdk_dynamodb::types::AttributeValue;
use muster_domain::TeamId;

use crate::{
    events,
    fixture::{Fixture, Item, Organization, string, team_id, user_id},
};

/// The items that are written in one part, so that many need little memory.
const PART: u32 = 1_000;

/// The items of an organization with the team 0, the user 0 and a ticket.
pub struct Seed {
    team: TeamId,
    /// The team, its load and its name.
    team_items: [Item; 3],
    member: Item,
    ticket: Item,
}

impl Seed {
    /// Assigns a ticket to the team 0, in which the user 0 is a member, and reads the items.
    pub async fn read(fixture: &Fixture, org: &Organization) -> anyhow::Result<Self> {
        let team = team_id(0);
        let deps = events::assignment(fixture, org.table());
        let ticket = events::new_ticket(&org.id, team, "TKT-0", 0);
        events::assign(&deps, events::batch(&[ticket])?).await?;
        let (pk, id) = (format!("ORG#{}", org.id), team.uuid());
        let partition = format!("{pk}#TEAM#{id}");
        let member = format!("MEMBER#{}", user_id(0).uuid());
        Ok(Self {
            team,
            team_items: [
                org.item(&pk, &format!("TEAM#{id}")).await?,
                org.item(&partition, "LOAD").await?,
                org.item(&format!("{pk}#NAMES"), "NAME#team 0").await?,
            ],
            member: org.item(&partition, &member).await?,
            ticket: org.item(&format!("{pk}#TICKET#TKT-0"), "TICKET").await?,
        })
    }

    /// Writes the teams with these numbers, without members, and their count.
    pub async fn add_teams(&self, org: &Organization, teams: Range<u32>) -> anyhow::Result<()> {
        let count = teams.end;
        put(org, teams, |n| {
            let (old, new) = (self.team.uuid().to_string(), team_id(n).uuid().to_string());
            let replaced = self.team_items.iter().map(|item| {
                let item = replaced(item, &old, &new);
                let item = replaced(&item, "Team 0", &format!("Team {n}"));
                replaced(&item, "team 0", &format!("team {n}"))
            });
            replaced.collect()
        })
        .await?;
        set(org, &format!("ORG#{}", org.id), "ORG", "team_count", count).await
    }

    /// Writes the members with these numbers to a team, and their count.
    pub async fn add_members(
        &self,
        org: &Organization,
        team: u32,
        members: Range<u32>,
    ) -> anyhow::Result<()> {
        let (id, count) = (team_id(team).uuid().to_string(), members.end);
        let in_team = replaced(&self.member, &self.team.uuid().to_string(), &id);
        put(org, members, |n| {
            let (old, new) = (user_id(0).uuid().to_string(), user_id(n).uuid().to_string());
            vec![replaced(&in_team, &old, &new)]
        })
        .await?;
        let pk = format!("ORG#{}", org.id);
        set(org, &format!("{pk}#TEAM#{id}"), "LOAD", "eligible", count).await?;
        set(org, &pk, &format!("TEAM#{id}"), "member_count", count).await
    }

    /// Writes the assigned tickets of the team 0 with these numbers, and their count.
    pub async fn add_tickets(&self, org: &Organization, tickets: Range<u32>) -> anyhow::Result<()> {
        let count = tickets.end;
        put(org, tickets, |n| {
            vec![replaced(&self.ticket, "TKT-0", &format!("TKT-{n}"))]
        })
        .await?;
        let partition = format!("ORG#{}#TEAM#{}", org.id, self.team.uuid());
        set(org, &partition, "LOAD", "open_tickets", count).await
    }
}

/// Writes the items of each number.
async fn put(
    org: &Organization,
    numbers: Range<u32>,
    items: impl Fn(u32) -> Vec<Item>,
) -> anyhow::Result<()> {
    for start in numbers.clone().step_by(PART as usize) {
        let part = start..numbers.end.min(start.saturating_add(PART));
        org.put(part.flat_map(&items).collect()).await?;
    }
    Ok(())
}

/// Returns an item with a text in all its strings replaced.
fn replaced(item: &Item, old: &str, new: &str) -> Item {
    let attributes = item.iter().map(|(name, value)| {
        let value = match value {
            AttributeValue::S(text) => string(text.replace(old, new)),
            other => other.clone(),
        };
        (name.clone(), value)
    });
    attributes.collect()
}

/// Sets a counter of an item.
async fn set(
    org: &Organization,
    pk: &str,
    sk: &str,
    attribute: &str,
    count: u32,
) -> anyhow::Result<()> {
    let update = org.client.update_item().table_name(&org.table);
    let update = update.key("pk", string(pk)).key("sk", string(sk));
    let update = update
        .update_expression("SET #a = :a")
        .expression_attribute_names("#a", attribute)
        .expression_attribute_values(":a", AttributeValue::N(count.to_string()));
    update.send().await.context("a counter is set")?;
    Ok(())
}
