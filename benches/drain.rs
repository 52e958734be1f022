//! Drain: 500 tickets wait in a team of 20 inactive people, who become active by 20 events. The
//! time from the first event to the last assignment, and the largest difference between two
//! people's numbers of tickets.

use std::time::Instant;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use muster_cli::emulator;
use muster_domain::{
    Member,
    QueueStrategy::{self, RoundRobin},
    TeamId, Timestamp, UserStatus,
};
use serde_json::{Value, json};

use crate::{
    Options,
    calibration::{Yardstick, quantile},
    fixture::{Fixture, Organization, function_runtime, user_id, wait_until},
    report::{Aim, Figure, Unit},
};

const TICKETS: u64 = 500;
const PEOPLE: u32 = 20;
const RUNS: usize = 3;

/// Measures the drain of each strategy.
///
/// # Errors
/// The local stack fails.
pub fn run(_: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for strategy in QueueStrategy::ALL {
        let (mut seconds, mut spreads) = (Vec::new(), Vec::new());
        // The other strategies show that the time does not depend on the strategy.
        let runs = if strategy == RoundRobin { RUNS } else { 1 };
        for _ in 0..runs {
            let (elapsed, spread) = drain(strategy)?;
            seconds.push(elapsed);
            spreads.push(spread);
        }
        let name = strategy.as_str();
        figures.push(
            Figure::new(
                format!("{name}, time, median of {runs}"),
                quantile(seconds, 0.5),
                Unit::Seconds,
            )
            .calibrated_by(Yardstick::RoundTrip)
            .with_aim(Aim::AtMost(3.0)),
        );
        figures.push(
            Figure::new(
                format!("{name}, spread, maximum of {runs}"),
                quantile(spreads, 1.0),
                Unit::Count,
            )
            .with_aim(Aim::AtMost(1.0)),
        );
    }
    Ok(figures)
}

/// Returns the time of one drain in seconds, and the spread.
fn drain(strategy: QueueStrategy) -> anyhow::Result<(f64, f64)> {
    let fixture = Fixture::start()?;
    let org = fixture.organization()?;
    function_runtime()?.block_on(async {
        let team = wait_with_team(&fixture, &org, strategy).await?;
        let events: Vec<_> = (0..PEOPLE)
            .map(|n| user_event(&org, n, UserStatus::Active))
            .collect();
        let start = Instant::now();
        send(&fixture, "users", &events).await?;
        let mut members = Vec::new();
        wait_until("every ticket is assigned", async || {
            let (roster, load) = org.store().team(&org.id, team).await?;
            members = roster.members;
            Ok(load.waiting_tickets == 0)
        })
        .await?;
        Ok((start.elapsed().as_secs_f64(), spread(&members)))
    })
}

/// Creates a team of inactive people, and lets all tickets wait in it.
async fn wait_with_team(
    fixture: &Fixture,
    org: &Organization,
    strategy: QueueStrategy,
) -> anyhow::Result<TeamId> {
    org.add_users(PEOPLE, UserStatus::Active).await?;
    let team = org.add_team(0, strategy).await?;
    for n in 0..PEOPLE {
        org.add_member(team, n, &[]).await?;
    }
    let events: Vec<_> = (0..PEOPLE)
        .map(|n| user_event(org, n, UserStatus::Inactive))
        .collect();
    send(fixture, "users", &events).await?;
    wait_until("everyone is inactive", async || {
        let (_, load) = org.store().team(&org.id, team).await?;
        Ok(load.eligible == 0)
    })
    .await?;
    let tickets: Vec<_> = (0..TICKETS).map(|n| ticket_event(org, team, n)).collect();
    send(fixture, "tickets", &tickets).await?;
    wait_until("every ticket waits", async || {
        let (_, load) = org.store().team(&org.id, team).await?;
        Ok(load.waiting_tickets == TICKETS)
    })
    .await?;
    Ok(team)
}

#[expect(clippy::cast_precision_loss, reason = "at most 500 tickets")]
fn spread(members: &[Member]) -> f64 {
    let tickets = || members.iter().map(|member| member.open_tickets);
    (tickets().max().unwrap_or(0) - tickets().min().unwrap_or(0)) as f64
}

async fn send(fixture: &Fixture, queue: &str, events: &[Value]) -> anyhow::Result<()> {
    let client = aws_sdk_sqs::Client::new(&emulator::sdk_config(&fixture.stack.aws_url));
    for events in events.chunks(10) {
        let mut call = client
            .send_message_batch()
            .queue_url(fixture.stack.queue_url(queue));
        for (at, event) in events.iter().enumerate() {
            call = call.entries(
                SendMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .message_body(event.to_string())
                    .build()?,
            );
        }
        call.send().await?;
    }
    Ok(())
}

fn ticket_event(org: &Organization, team: TeamId, n: u64) -> Value {
    let at = Timestamp::now().secs();
    json!({
        "specversion": "1.0", "id": format!("event-{n}"), "source": "/desk",
        "type": "ticket.created", "time": Timestamp::now().iso8601_millis(),
        "data": { "organization_id": org.id.as_str(), "ticket": {
            "id": format!("TKT-{n}"), "status": "new", "priority": "high", "created_at": at,
            "updated_at": at, "assigned_team_id": format!("team_{}", team.uuid()),
        }},
    })
}

fn user_event(org: &Organization, n: u32, status: UserStatus) -> Value {
    json!({
        "specversion": "1.0", "id": format!("user-{n}"), "source": "/desk",
        "type": "user.updated", "time": Timestamp::now().iso8601_millis(),
        "data": { "organization_id": org.id.as_str(), "user": {
            "id": format!("usr_{}", user_id(n).uuid()), "status": status.as_str(),
        }},
    })
}
