//! The function's entry point: wiring only.

use std::future::ready;

use lambda_http::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    lambda_http::tracing::init_default_subscriber();
    muster::lambda::run(service_fn(|request| ready(Ok(muster_docs::handle(request))))).await
}
