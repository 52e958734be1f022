//! The loop of a function: events of the runtime API to a handler.

use std::{convert::Infallible, fmt, sync::Arc, task};

use lambda_http::{
    Adapter, Body, LambdaEvent, Request, Response, Service,
    lambda_runtime::{Diagnostic, LambdaInvocation, Runtime},
    tower::{Layer, layer::layer_fn, util::MapRequestLayer},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::task::futures::TaskLocalFuture;

use super::payload::escape;
use crate::telemetry::{Invocation, Telemetry};

/// Serves HTTP requests with a handler until the execution environment ends.
///
/// # Errors
/// Errors of the runtime API.
pub async fn run<'h, H>(telemetry: Arc<Telemetry>, handler: H) -> Result<(), lambda_http::Error>
where
    H: Service<Request, Response = Response<Body>, Error = Infallible>,
    H::Future: Send + 'h,
{
    let escaped = MapRequestLayer::new(|LambdaEvent { payload, context }| {
        LambdaEvent::new(escape(payload), context)
    });
    run_events(telemetry, escaped.layer(Adapter::from(handler))).await
}

/// Serves events with a handler until the execution environment ends.
///
/// # Errors
/// Errors of the runtime API.
pub async fn run_events<E, A, H>(
    telemetry: Arc<Telemetry>,
    handler: H,
) -> Result<(), lambda_http::Error>
where
    E: DeserializeOwned,
    A: Serialize,
    H: Service<LambdaEvent<E>, Response = A>,
    H::Future: Future<Output = Result<A, H::Error>>,
    H::Error: Into<Diagnostic> + fmt::Debug,
{
    let observed = layer_fn(|inner| Observed {
        telemetry: Arc::clone(&telemetry),
        inner,
    });
    Runtime::new(handler).layer(observed).run().await
}

/// Runs the whole handling of an invocation, from parsing the event to the response, within the
/// telemetry of that invocation.
struct Observed<S> {
    telemetry: Arc<Telemetry>,
    inner: S,
}

impl<S> Service<LambdaInvocation> for Observed<S>
where
    S: Service<LambdaInvocation>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Arc<Invocation>, S::Future>;

    fn poll_ready(
        &mut self,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: LambdaInvocation) -> Self::Future {
        let invocation = self.telemetry.invocation(&request.context);
        let handled = invocation.run(|| self.inner.call(request));
        invocation.observe(handled)
    }
}
