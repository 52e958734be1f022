//! The function's entry point: wiring only.

use lambda_http::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = muster::lambda::init().await?;
    muster::lambda::run(service_fn(|request| muster_teams::handle(request, &deps))).await
}
