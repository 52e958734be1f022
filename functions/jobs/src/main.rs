//! The function's entry point: wiring only.

use std::sync::Arc;

use lambda_runtime::{Error, service_fn};
use muster_domain::Timestamp;
use muster_jobs::{Deps, Pace, handle};
use muster_service::{
    lambda::{self, Environment},
    telemetry::Telemetry,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = Telemetry::start("jobs");
    let environment = Environment::load().await;
    let deps = Deps {
        table: environment.table().await?,
        jobs: environment.jobs()?,
        clock: Arc::new(Timestamp::now),
        pace: Pace::default(),
    };
    lambda::run_events(telemetry, service_fn(|event| handle(event, &deps))).await
}
