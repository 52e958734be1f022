//! Calls of AWS services: each is a log line at `DEBUG` and a subsegment of the trace.

use std::time::{Instant, SystemTime};

use aws_sdk_dynamodb::config::{
    ConfigBag, RuntimeComponents,
    interceptors::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, dyn_dispatch_hint},
        orchestrator::{HttpResponse, Metadata},
    },
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use serde::Deserialize;

use super::{current, xray::AwsCall};
use crate::aws_error::is_throttling;

/// An interceptor that records each call of a client. Costs two clock readings and a datagram if
/// the invocation is sampled, no time otherwise unless `DEBUG` is logged.
///
/// A call that timed out in the caller is not recorded here; the caller logs it.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    table_name: Option<String>,
    queue_url: Option<String>,
}

impl Calls {
    /// Returns the interceptor for a DynamoDB table.
    #[must_use]
    pub fn to_table(name: impl Into<String>) -> Self {
        Self {
            table_name: Some(name.into()),
            queue_url: None,
        }
    }

    /// Returns the interceptor for an SQS queue.
    #[must_use]
    pub fn to_queue(url: impl Into<String>) -> Self {
        Self {
            queue_url: Some(url.into()),
            table_name: None,
        }
    }

    /// Returns the interceptor for another service.
    #[must_use]
    pub fn to_any() -> Self {
        Self::default()
    }
}

/// The start of a call.
#[derive(Debug)]
struct Begun {
    at: SystemTime,
    by_the_clock: Instant,
}

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_sampled = || current().is_some_and(|invocation| invocation.sampled().is_some());
        if tracing::enabled!(tracing::Level::DEBUG) || is_sampled() {
            cfg.interceptor_state().store_put(Begun {
                at: SystemTime::now(),
                by_the_clock: Instant::now(),
            });
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (Some(begun), Some(operation)) = (cfg.load::<Begun>(), cfg.load::<Metadata>()) else {
            return Ok(());
        };
        let response = context.response();
        let error_code = response.and_then(error_code);
        let call = AwsCall {
            service: operation.service(),
            operation: operation.name(),
            table_name: self.table_name.as_deref(),
            queue_url: self.queue_url.as_deref(),
            request_id: response.and_then(|response| response.headers().get("x-amzn-requestid")),
            began: begun.at,
            took: begun.by_the_clock.elapsed(),
            status: response.map(|response| response.status().as_u16()),
            is_throttled: error_code.as_deref().is_some_and(is_throttling),
        };
        tracing::debug!(
            service = call.service,
            operation = call.operation,
            table = call.table_name,
            queue = call.queue_url,
            milliseconds = call.took.as_secs_f64() * 1e3,
            status = call.status,
            error = error_code,
            awsRequestId = call.request_id,
            "called"
        );
        if let Some((trace, daemon)) = current()
            .as_ref()
            .and_then(|invocation| invocation.sampled())
        {
            daemon.send(trace, &call);
        }
        Ok(())
    }
}

/// Returns the code of an error in the JSON protocols: the last part of its shape's id. The rest of
/// the body is not read, because it can quote items.
fn error_code(response: &HttpResponse) -> Option<String> {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(rename = "__type")]
        id: String,
    }
    if response.status().is_success() {
        return None;
    }
    let Shape { id } = serde_json::from_slice(response.body().bytes()?).ok()?;
    id.rsplit('#').next().map(str::to_owned)
}
