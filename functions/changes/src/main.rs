//! The function's entry point: wiring only.

use lambda_runtime::{Error, service_fn};
use muster_changes::{Deps, handle};
use muster_service::{
    lambda::{self, Environment},
    telemetry::Telemetry,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = Telemetry::start("changes");
    let environment = Environment::load().await;
    let deps = Deps {
        bus: environment.bus()?,
        jobs: environment.jobs()?,
        failed_records: environment.failed_records()?,
    };
    lambda::run_events(telemetry, service_fn(|event| handle(event, &deps))).await
}
