//! The handler of `assignment` with the embedded engine: new tickets of least-busy teams.

use std::time::Instant;

use aws_sdk_dynamodb::Client;
use muster_cli::emulator;
use muster_domain::{QueueStrategy::LeastBusy, UserStatus};
use muster_harness::calls::Recorder;
use muster_service::store::Table;
use serde_json::Value;

use super::{BATCHES, MEMBERS, TEAMS};
use crate::{
    calibration::{Yardstick, median},
    events,
    fixture::{Fixture, Organization, function_runtime, team_id},
    report::{Figure, Unit},
    seed::Seed,
};

/// The measured batches of a cell, of which the median counts.
const RUNS: usize = 7;

/// Measures all cells, each number of teams with an engine of its own.
///
/// # Errors
/// The local stack fails.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for &teams in TEAMS {
        let fixture = Fixture::start()?;
        figures.extend(function_runtime()?.block_on(with_teams(&fixture, teams))?);
    }
    Ok(figures)
}

async fn with_teams(fixture: &Fixture, teams: u32) -> anyhow::Result<Vec<Figure>> {
    let org = fixture.new_table().await?;
    org.add_users(MEMBERS[0], UserStatus::Active).await?;
    let team = org.add_team(0, LeastBusy).await?;
    org.add_member(team, 0, &["VPN", "DNS"]).await?;
    let seed = Seed::read(fixture, &org).await?;
    if teams > 1 {
        seed.add_teams(&org, 1..teams).await?;
    }
    let mut figures = Vec::new();
    let mut present = 0;
    for members in MEMBERS {
        for team in 0..teams {
            seed.add_members(&org, team, present..members).await?;
        }
        present = members;
        for batch in BATCHES {
            figures.extend(cell(fixture, &org, [teams, members], batch).await?);
        }
    }
    Ok(figures)
}

/// Measures batches of new tickets, spread over the teams.
#[expect(clippy::cast_precision_loss, reason = "at most 80 tickets")]
async fn cell(
    fixture: &Fixture,
    org: &Organization,
    [teams, members]: [u32; 2],
    batch: usize,
) -> anyhow::Result<[Figure; 3]> {
    let messages = |run: usize| -> Vec<Value> {
        let ticket = |n: usize| {
            let team = team_id(u32::try_from(n).unwrap_or(0) % teams);
            events::new_ticket(&org.id, team, &format!("T-{members}-{batch}-{run}-{n}"), n)
        };
        (0..batch).map(ticket).collect()
    };
    let recorder = Recorder::default();
    let config = emulator::configuration(&fixture.stack.dynamodb_url);
    let client = Client::from_conf(config.interceptor(recorder.clone()).build());
    let metered = events::assignment(fixture, Table::new(client, org.table.as_str()));
    events::assign(&metered, events::batch(&messages(0))?).await?;
    let recorded = recorder.take();
    let deps = events::assignment(fixture, org.table());
    let mut seconds = Vec::new();
    for run in 1..=RUNS {
        let event = events::batch(&messages(run))?;
        let start = Instant::now();
        events::assign(&deps, event).await?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let tickets = batch as f64;
    let plural = if teams == 1 { "" } else { "s" };
    let name = format!("assignment, {teams} team{plural} of {members}, batch {batch}");
    // The round trips of a team are two: the reads, which are three calls, and the transaction.
    Ok([
        Figure::new(name.clone(), tickets / median(seconds), Unit::PerSecond)
            .calibrated_by(Yardstick::RoundTrip),
        Figure::new(
            format!("{name}, write units a ticket"),
            recorded.write_units / tickets,
            Unit::Count,
        ),
        Figure::new(
            format!("{name}, calls a ticket"),
            recorded.calls() / tickets,
            Unit::Count,
        ),
    ])
}
