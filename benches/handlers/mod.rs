//! Handler cost: the `handle` of each endpoint with an event of API Gateway, beside the calls to
//! the table that it makes, sent alone by the SDK. Both are measured in turns, on equal tables.
//!
//! A request runs three times: in the first table, over a client that records its calls; in the
//! second one, measured; and the recorded calls alone in the third one, measured too. The tables
//! have equal items before each request, so the conditions of the recorded writes hold.

pub mod cases;
pub mod sides;

use std::time::Instant;

use anyhow::Context;
use futures_util::future::try_join_all;
use lambda_http::Request;
use muster_harness::calls::Recorded;

use crate::{
    Options,
    calibration::{Yardstick, quantile},
    fixture::{Fixture, function_runtime},
    invocation::handle,
    report::{Aim, Figure, Unit},
};
use cases::Case;
use sides::{Prepared, Sides};

/// The measured requests of each case with one in flight.
const ALONE: usize = 400;
/// The measured requests of each case in flight at the same time.
pub const IN_FLIGHT: usize = 16;
/// The rows of [`IN_FLIGHT`] requests. A row begins when the previous one has ended.
const ROWS: usize = 32;

/// The latencies of both sides, in seconds.
#[derive(Default)]
struct Latencies {
    handled: Vec<f64>,
    raw: Vec<f64>,
}

/// Measures each endpoint with 1 and with 16 requests in flight.
///
/// # Errors
/// A request or a call fails.
pub fn run(_: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for case in cases::ALL {
        // Transactions of the engine become slower as their number grows, so each case has an
        // engine of its own.
        let fixture = Fixture::start()?;
        let (alone, together) = function_runtime()?.block_on(async {
            let mut sides = Sides::start(&fixture).await?;
            let alone = alone(&mut sides, &case).await?;
            let together = together(&mut sides, &case).await?;
            anyhow::Ok((alone, together))
        })?;
        for (in_flight, latencies) in [(1, alone), (IN_FLIGHT, together)] {
            figures.extend(latencies.figures(case.name, in_flight));
        }
    }
    Ok(figures)
}

impl Latencies {
    fn figures(self, case: &str, in_flight: usize) -> [Figure; 2] {
        let Self { handled, raw } = self;
        [(0.5, "p50", 1.10), (0.99, "p99", 1.25)].map(|(at, name, aim)| {
            Figure::new(
                format!("{case}, {in_flight} in flight, {name}"),
                quantile(handled.clone(), at),
                Unit::Seconds,
            )
            .beside("calls", quantile(raw.clone(), at))
            .calibrated_by(Yardstick::RoundTrip)
            .with_aim(Aim::RatioAtMost(aim))
        })
    }
}

/// Measures requests one after the other.
async fn alone(sides: &mut Sides, case: &Case) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    for n in 0..ALONE {
        let Prepared { request, calls } = sides.prepare(case, n).await?;
        // The order alternates, so that neither side profits from the other's warm caches.
        if n % 2 == 0 {
            latencies.handled.push(time_handle(sides, request).await?);
            latencies.raw.push(time_calls(sides, calls, case).await?);
        } else {
            latencies.raw.push(time_calls(sides, calls, case).await?);
            latencies.handled.push(time_handle(sides, request).await?);
        }
        sides.clean_up(case, n).await?;
    }
    Ok(latencies)
}

/// Measures rows of requests that are in flight at the same time.
async fn together(sides: &mut Sides, case: &Case) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    for row in 0..ROWS {
        let first = ALONE + row * IN_FLIGHT;
        let (mut requests, mut recorded) = (Vec::new(), Vec::new());
        for n in first..first + IN_FLIGHT {
            let Prepared { request, calls } = sides.prepare(case, n).await?;
            requests.push(request);
            recorded.push(calls);
        }
        let both = &*sides;
        let handled = try_join_all(requests.into_iter().map(|it| time_handle(both, it)));
        let raw = try_join_all(recorded.into_iter().map(|it| time_calls(both, it, case)));
        let (handled, raw) = if row % 2 == 0 {
            let handled = handled.await?;
            (handled, raw.await?)
        } else {
            let raw = raw.await?;
            (handled.await?, raw)
        };
        latencies.handled.extend(handled);
        latencies.raw.extend(raw);
        for n in first..first + IN_FLIGHT {
            sides.clean_up(case, n).await?;
        }
    }
    Ok(latencies)
}

async fn time_handle(sides: &Sides, request: Request) -> anyhow::Result<f64> {
    let start = Instant::now();
    handle(request, &sides.handled).await?;
    Ok(start.elapsed().as_secs_f64())
}

async fn time_calls(sides: &Sides, calls: Recorded, case: &Case) -> anyhow::Result<f64> {
    let start = Instant::now();
    let sent = calls.replay(&sides.raw.client).await;
    sent.with_context(|| format!("the calls of {}", case.name))?;
    Ok(start.elapsed().as_secs_f64())
}
