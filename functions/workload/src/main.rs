//! The function's entry point: wiring only.

use lambda_http::service_fn;
use muster_service::{http, lambda, telemetry::Telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = Telemetry::start("workload");
    let deps = http::init().await?;
    lambda::run(
        telemetry,
        service_fn(|request| muster_workload::handle(request, &deps)),
    )
    .await
}
