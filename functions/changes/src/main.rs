//! The function's entry point: wiring only.

use lambda_runtime::{Error, service_fn};
use muster::lambda::Environment;
use muster_changes::{Deps, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::load().await;
    let deps = Deps { bus: environment.bus()?, jobs: environment.jobs()? };
    lambda_runtime::run(service_fn(|event| handle(event, &deps))).await
}
