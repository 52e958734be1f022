//! The function's entry point: wiring only.

use std::sync::Arc;

use lambda_runtime::{Error, service_fn};
use muster::{domain::Timestamp, lambda::Environment};
use muster_assignment::{Deps, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::load().await;
    let deps = Deps {
        table: environment.table().await?,
        dead_letters: environment.dead_letters()?,
        clock: Arc::new(Timestamp::now),
    };
    lambda_runtime::run(service_fn(|event| handle(event, &deps))).await
}
