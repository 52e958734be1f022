//! The function's entry point: wiring only.

use std::future::ready;

use lambda_http::service_fn;
use muster_service::{lambda, telemetry::Telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = Telemetry::start("docs");
    lambda::run(
        telemetry,
        service_fn(|request| ready(Ok(muster_docs::handle(request)))),
    )
    .await
}
