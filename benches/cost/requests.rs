//! The usage of each endpoint.

use aws_sdk_dynamodb::Client;
use muster_cli::emulator;
use muster_harness::calls::{Recorded, Recorder};
use muster_service::store::Table;
use reqwest::Method;

use super::{Million, Usage};
use crate::{
    fixture::Fixture,
    handlers::{
        cases::{self, CREATED_ID},
        sides::{created_id, functions, seeded},
    },
    invocation::{Invocation, handle},
};

/// The write units of the rate limit: a function counts the requests of a key in the table once in
/// ten requests.
const OF_THE_RATE_LIMIT: f64 = 0.1;

/// Measures the endpoints over ITSM, in an organization of 16 teams with 5 members and 20 open
/// tickets each.
///
/// # Errors
/// A request fails.
pub async fn measure(fixture: &Fixture) -> anyhow::Result<Vec<Million>> {
    let org = seeded(fixture).await?;
    let recorder = Recorder::default();
    let config = emulator::configuration(&fixture.stack.dynamodb_url);
    let client = Client::from_conf(config.interceptor(recorder.clone()).build());
    let deps = functions(Table::new(client, org.table.as_str()));
    let mut millions = Vec::new();
    for case in cases::ALL {
        // The first request of a key reads it, and reports it to the rate limit. The second one
        // does neither.
        let token = org.add_key_to(&org).await?;
        let mut created = String::new();
        let warm_up = Invocation::new(Method::GET, "/v1/teams?limit=1", None);
        handle(warm_up.request(&token)?, &deps).await?;
        if let Some(before) = case.before {
            let body = handle(before(0).request(&token)?, &deps).await?;
            created = created_id(&body)?.unwrap_or_default();
        }
        let mut measured = (case.measured)(0);
        measured.target = measured.target.replace(CREATED_ID, &created);
        recorder.take();
        handle(measured.request(&token)?, &deps).await?;
        let recorded = recorder.take();
        millions.push(million(case.name, &measured, &recorded));
        if let Some(after) = case.after {
            handle(after(0).request(&token)?, &deps).await?;
        }
    }
    Ok(millions)
}

/// Returns the bill of a request. A change has one announcement, but for a change of skills, which
/// has none, and one invocation of the function `changes`.
fn million(name: &str, request: &Invocation, recorded: &Recorded) -> Million {
    let is_change = request.method != Method::GET;
    let is_announced = is_change && !(request.method == Method::PATCH && name.contains("members"));
    let count = |holds: bool| f64::from(u8::from(holds));
    let usage = Usage {
        read_units: recorded.read_units,
        write_units: recorded.write_units + OF_THE_RATE_LIMIT,
        round_trips: recorded.round_trips(),
        gateway_calls: 1.0,
        invocations: 1.0 + count(is_change),
        queue_calls: 0.0,
        announcements: count(is_announced),
    };
    Million {
        name: name.to_owned(),
        floor: Usage {
            read_units: recorded.floor_read_units(),
            write_units: recorded.floor_write_units(),
            round_trips: 1.0,
            ..usage
        },
        usage,
    }
}
