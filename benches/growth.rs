//! Growth: four requests while one thing grows: the teams of the organization, the members of the
//! team, or its open tickets. Round trips and capacity stay equal, but for the members that a
//! response has.

use std::time::Instant;

use aws_sdk_dynamodb::Client;
use muster_cli::emulator;
use muster_domain::{QueueStrategy::LeastBusy, TeamId, UserStatus};
use muster_harness::calls::{Recorded, Recorder};
use muster_service::{http::Deps, store::Table};
use reqwest::Method;

use crate::{
    Options,
    calibration::{Yardstick, median},
    events,
    fixture::{Fixture, Organization, function_runtime},
    invocation::{Invocation, handle},
    report::{Aim, Figure, Unit},
    seed::Seed,
};

/// The runs of which a time is the median.
const RUNS: usize = 31;
/// The members of the team and the other teams at the beginning.
const MEMBERS: u32 = 5;
const TEAMS: u32 = 10;
const TICKETS: u32 = 10;
/// A time may grow by this factor: the engine's own searches in a larger table are part of it.
const TIME_RATIO: f64 = 1.5;

/// One thing that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Teams,
    Members,
    Tickets,
}

impl Axis {
    const ALL: [Self; 3] = [Self::Teams, Self::Members, Self::Tickets];

    fn name(self) -> &'static str {
        match self {
            Self::Teams => "teams",
            Self::Members => "members",
            Self::Tickets => "open tickets",
        }
    }

    /// Returns the sizes, in ascending order.
    fn sizes(self) -> &'static [u32] {
        match self {
            Self::Teams => &[TEAMS, 1_000, 20_000],
            Self::Members => &[MEMBERS, 500],
            Self::Tickets => &[TICKETS, 100_000],
        }
    }

    /// Tells whether the response to a request has, or its decision reads, as many items as there
    /// are.
    fn is_returned_by(self, request: &str) -> bool {
        self == Self::Members && request != LIST
    }
}

const LIST: &str = "list of teams";
const TICKET: &str = "assignment of a ticket";

/// The cost of a request at one size.
struct Cost {
    round_trips: f64,
    read_units: f64,
    write_units: f64,
    seconds: f64,
}

/// Measures each axis with an engine of its own.
///
/// # Errors
/// A request fails.
pub fn run(_: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for axis in Axis::ALL {
        let fixture = Fixture::start()?;
        figures.extend(function_runtime()?.block_on(measure(&fixture, axis))?);
    }
    Ok(figures)
}

/// Measures the requests at each size of an axis.
async fn measure(fixture: &Fixture, axis: Axis) -> anyhow::Result<Vec<Figure>> {
    let org = fixture.new_table().await?;
    org.add_users(MEMBERS, UserStatus::Active).await?;
    let team = org.add_team(0, LeastBusy).await?;
    for n in 0..MEMBERS {
        org.add_member(team, n, &["VPN", "DNS"]).await?;
    }
    let seed = Seed::read(fixture, &org).await?;
    let mut sizes = Vec::new();
    let mut present = [
        (Axis::Teams, 1),
        (Axis::Members, MEMBERS),
        (Axis::Tickets, 1),
    ];
    for &size in axis.sizes() {
        for (grown, count) in &mut present {
            let wanted = if *grown == axis {
                size
            } else {
                grown.sizes()[0]
            };
            let numbers = *count..wanted;
            if !numbers.is_empty() {
                match grown {
                    Axis::Teams => seed.add_teams(&org, numbers).await?,
                    Axis::Members => seed.add_members(&org, 0, numbers).await?,
                    Axis::Tickets => seed.add_tickets(&org, numbers).await?,
                }
            }
            *count = wanted;
        }
        sizes.push((size, requests(fixture, &org, team, size).await?));
    }
    Ok(figures(axis, &sizes))
}

/// Measures the requests, by their names. `size` makes the ids of tickets unique.
async fn requests(
    fixture: &Fixture,
    org: &Organization,
    team: TeamId,
    size: u32,
) -> anyhow::Result<Vec<(&'static str, Cost)>> {
    let recorder = Recorder::default();
    let config = emulator::configuration(&fixture.stack.dynamodb_url);
    let client = Client::from_conf(config.interceptor(recorder.clone()).build());
    let metered = Table::new(client, org.table.as_str());
    let token = org.add_key_to(org).await?;
    let path = format!("/v1/teams/team_{}", team.uuid());
    let mut costs = Vec::new();
    for (name, target) in [
        (LIST, "/v1/teams?limit=10".to_owned()),
        ("team", path.clone()),
        ("workload", path + "/workload"),
    ] {
        let deps = [metered.clone(), org.table()].map(Deps::new);
        let get = Invocation::new(Method::GET, target, None);
        // The first request reads the key, and reports the use of the rate limit.
        for deps in &deps {
            handle(get.request(&token)?, deps).await?;
        }
        recorder.take();
        handle(get.request(&token)?, &deps[0]).await?;
        let recorded = recorder.take();
        let mut seconds = Vec::new();
        for _ in 0..RUNS {
            let request = get.request(&token)?;
            let start = Instant::now();
            handle(request, &deps[1]).await?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        costs.push((name, Cost::new(&recorded, seconds)));
    }
    let ticket = |n: usize| events::new_ticket(&org.id, team, &format!("NEW-{size}-{n}"), n);
    let deps = [metered, org.table()].map(|table| events::assignment(fixture, table));
    events::assign(&deps[0], events::batch(&[ticket(0)])?).await?;
    let recorded = recorder.take();
    let mut seconds = Vec::new();
    for n in 1..=RUNS {
        let event = events::batch(&[ticket(n)])?;
        let start = Instant::now();
        events::assign(&deps[1], event).await?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    costs.push((TICKET, Cost::new(&recorded, seconds)));
    Ok(costs)
}

impl Cost {
    fn new(recorded: &Recorded, seconds: Vec<f64>) -> Self {
        Self {
            round_trips: recorded.round_trips(),
            read_units: recorded.read_units,
            write_units: recorded.write_units,
            seconds: median(seconds),
        }
    }
}

/// Compares each size with the first one.
fn figures(axis: Axis, sizes: &[(u32, Vec<(&'static str, Cost)>)]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let Some(((first, base), _)) = sizes.split_first() else {
        return figures;
    };
    for (size, costs) in sizes {
        for ((request, cost), (_, base)) in costs.iter().zip(base) {
            let named = |what: &str| format!("{request}, {size} {}: {what}", axis.name());
            let compare = |figure: Figure, base: f64, most: f64| {
                let figure = figure.beside(format!("{first}"), base);
                if size == first || axis.is_returned_by(request) {
                    figure
                } else {
                    figure.with_aim(Aim::RatioAtMost(most))
                }
            };
            for (what, value, base) in [
                ("round trips", cost.round_trips, base.round_trips),
                ("read units", cost.read_units, base.read_units),
                ("write units", cost.write_units, base.write_units),
            ] {
                // Most requests write no item.
                if value > 0.0 || base > 0.0 {
                    figures.push(compare(
                        Figure::new(named(what), value, Unit::Count),
                        base,
                        1.0,
                    ));
                }
            }
            let time = Figure::new(named("time"), cost.seconds, Unit::Seconds);
            let time = time.calibrated_by(Yardstick::RoundTrip);
            figures.push(compare(time, base.seconds, TIME_RATIO));
        }
    }
    figures
}
