//! The usage of a ticket from its first event to its last: a generated day of 200 tickets.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use muster_cli::{emulator, scenario::Scenario};
use muster_domain::{QueueStrategy::LeastBusy, Timestamp, UserStatus};
use muster_harness::calls::Recorder;
use muster_service::store::Table;
use serde_json::Value;

use super::{Million, Usage};
use crate::{
    events,
    fixture::{Fixture, Organization, team_id},
};

const TICKETS: u32 = 200;
const MEMBERS: u32 = 8;
/// The messages in a batch, and the teams.
const DAYS: [[u32; 2]; 4] = [[1, 1], [10, 1], [100, 1], [100, 10]];
/// The announcements of a ticket: an estimate, the assignment and sometimes another one.
const ANNOUNCEMENTS: f64 = 1.3;

/// Measures a day for each batch size and number of teams.
///
/// # Errors
/// A message fails.
pub async fn measure(fixture: &Fixture) -> anyhow::Result<Vec<Million>> {
    let mut millions = Vec::new();
    for [batch, teams] in DAYS {
        millions.push(day(fixture, batch, teams).await?);
    }
    Ok(millions)
}

async fn day(fixture: &Fixture, batch: u32, teams: u32) -> anyhow::Result<Million> {
    let org = fixture.new_table().await?;
    org.add_users(MEMBERS * teams, UserStatus::Active).await?;
    for n in 0..teams {
        let team = org.add_team(n, LeastBusy).await?;
        for user in n * MEMBERS..(n + 1) * MEMBERS {
            org.add_member(team, user, &[]).await?;
        }
    }
    let recorder = Recorder::default();
    let config = emulator::configuration(&fixture.stack.dynamodb_url);
    let client = Client::from_conf(config.interceptor(recorder.clone()).build());
    let deps = events::assignment(fixture, Table::new(client, org.table.as_str()));
    let events = events_of_day(&org, teams)?;
    let mut batches = 0.0;
    for events in events.chunks(usize::try_from(batch)?) {
        events::assign(&deps, events::batch(events)?).await?;
        batches += 1.0;
    }
    let recorded = recorder.take();
    let a_ticket = |count: f64| count / f64::from(TICKETS);
    let messages = f64::from(u32::try_from(events.len())?);
    let usage = Usage {
        read_units: a_ticket(recorded.read_units),
        write_units: a_ticket(recorded.write_units),
        round_trips: a_ticket(recorded.round_trips()),
        gateway_calls: 0.0,
        // A batch of `assignment`, and at most as many batches of `changes`.
        invocations: a_ticket(2.0 * batches),
        // Sent, received and deleted, up to ten in a call.
        queue_calls: a_ticket(3.0 * messages / f64::from(batch.min(10))),
        announcements: ANNOUNCEMENTS,
    };
    let plural = if teams == 1 { "" } else { "s" };
    Ok(Million {
        name: format!("ticket, {batch} messages a batch, {teams} team{plural}"),
        floor: Usage {
            read_units: a_ticket(recorded.floor_read_units()),
            write_units: a_ticket(recorded.floor_write_units()),
            round_trips: a_ticket(batches),
            ..usage
        },
        usage,
    })
}

/// Returns the events of a day, so that no batch has two events of a ticket.
fn events_of_day(org: &Organization, teams: u32) -> anyhow::Result<Vec<Value>> {
    let scenario = Scenario {
        organization: org.id.clone(),
        contract: None,
        start: Timestamp::from_secs(1_768_348_800),
        tickets: TICKETS,
        teams: (0..teams).map(team_id).collect(),
        users: Vec::new(),
        seed: 1,
        duplicates: 0,
        shuffle: std::time::Duration::ZERO,
    };
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut events = Vec::new();
    for event in scenario.events() {
        let event = serde_json::to_value(event)?;
        let ticket = event.pointer("/data/ticket/id");
        let ticket = ticket.context("an event has a ticket")?.to_string();
        let nth = counts.entry(ticket).or_default();
        *nth += 1;
        events.push((*nth, event));
    }
    events.sort_by_key(|(nth, _)| *nth);
    Ok(events.into_iter().map(|(_, event)| event).collect())
}
