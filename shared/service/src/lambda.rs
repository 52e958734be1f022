//! The wiring that every function's `main` shares: from the environment to what the function
//! depends on, and from the runtime's events to requests.

use std::{convert::Infallible, env, fmt, sync::Arc, task, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use lambda_http::{
    Adapter, Body, LambdaEvent, Request, Response, Service,
    lambda_runtime::{Diagnostic, LambdaInvocation, Runtime},
    request::LambdaRequest,
    tower::{Layer, layer::layer_fn, util::MapRequestLayer},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{task::futures::TaskLocalFuture, time::Instant};

use crate::{
    aws::{eventbridge::Bus, s3::Bucket, sqs_send::Queue},
    jobs::JobQueues,
    store::Table,
    telemetry::{Calls, Invocation, Telemetry},
};

/// The configuration of AWS clients by the usual environment (region, credentials,
/// `AWS_ENDPOINT_URL`).
///
/// Its own retries are off, since whoever calls has a deadline to keep; one attempt may take 3
/// seconds. TLS is rustls over ring: smaller than the SDK's default provider, and without its
/// gathering of entropy at start-up.
pub async fn aws_config() -> SdkConfig {
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .build();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .load()
        .await
}

/// What a function is made of: its environment's variables say which table, queues and bus are its
/// own.
///
/// The clients share one configuration, and with it the credentials that were resolved.
#[derive(Debug)]
pub struct Environment {
    config: SdkConfig,
}

impl Environment {
    /// Reads the configuration of AWS clients.
    pub async fn load() -> Self {
        Self {
            config: aws_config().await,
        }
    }

    /// The table that `TABLE_NAME` names, connected to before the first event needs it. At most 5
    /// seconds.
    ///
    /// # Errors
    /// `TABLE_NAME` is not set. A table out of reach is only logged: the first event may find it
    /// back.
    pub async fn table(&self) -> Result<Table, lambda_http::Error> {
        let name = variable("TABLE_NAME", "name the DynamoDB table")?;
        let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
            .interceptor(Calls::to_table(&*name));
        let table = Table::new(aws_sdk_dynamodb::Client::from_conf(config.build()), name);
        if let Err(error) = table
            .until(Instant::now() + Duration::from_secs(5))
            .warm_up()
            .await
        {
            tracing::warn!(%error, "could not reach the table ahead of the first event");
        }
        Ok(table)
    }

    /// The queue of dead letters at `DEAD_LETTER_QUEUE_URL`.
    ///
    /// # Errors
    /// `DEAD_LETTER_QUEUE_URL` is not set.
    pub fn dead_letters(&self) -> Result<Queue, lambda_http::Error> {
        Ok(self.queue(variable(
            "DEAD_LETTER_QUEUE_URL",
            "be the URL of the queue of dead letters",
        )?))
    }

    /// The job queues at `JOBS_QUEUE_URL` and `LONG_JOBS_QUEUE_URL`.
    ///
    /// # Errors
    /// One of the two is not set.
    pub fn jobs(&self) -> Result<JobQueues, lambda_http::Error> {
        Ok(JobQueues {
            urgent: self.queue(variable(
                "JOBS_QUEUE_URL",
                "be the URL of the queue of urgent jobs",
            )?),
            long: self.queue(variable(
                "LONG_JOBS_QUEUE_URL",
                "be the URL of the queue of long jobs",
            )?),
        })
    }

    /// The bus that `EVENT_BUS_NAME` names.
    ///
    /// # Errors
    /// `EVENT_BUS_NAME` is not set.
    pub fn bus(&self) -> Result<Bus, lambda_http::Error> {
        let name = variable("EVENT_BUS_NAME", "name the EventBridge bus")?;
        let config =
            aws_sdk_eventbridge::config::Builder::from(&self.config).interceptor(Calls::to_any());
        Ok(Bus::new(
            aws_sdk_eventbridge::Client::from_conf(config.build()),
            name,
        ))
    }

    /// The bucket of failed records that `FAILED_RECORDS_BUCKET` names.
    ///
    /// # Errors
    /// `FAILED_RECORDS_BUCKET` is not set, or the environment has no region or credentials.
    pub fn failed_records(&self) -> Result<Bucket, lambda_http::Error> {
        let name = variable("FAILED_RECORDS_BUCKET", "name the bucket of failed records")?;
        Ok(Bucket::new(&self.config, name)?)
    }

    fn queue(&self, url: String) -> Queue {
        let config =
            aws_sdk_sqs::config::Builder::from(&self.config).interceptor(Calls::to_queue(&*url));
        Queue::new(aws_sdk_sqs::Client::from_conf(config.build()), url)
    }
}

/// A variable of the environment, and what it must do, for whoever forgot it.
fn variable(name: &str, must: &str) -> Result<String, lambda_http::Error> {
    env::var(name).map_err(|error| format!("{name} must {must}: {error}").into())
}

/// Answers the runtime's events with a handler of HTTP requests, for the life of the function's
/// instance.
///
/// # Errors
/// The runtime's own.
pub async fn run<'h, H>(telemetry: Arc<Telemetry>, handler: H) -> Result<(), lambda_http::Error>
where
    H: Service<Request, Response = Response<Body>, Error = Infallible>,
    H::Future: Send + 'h,
{
    let escaped = MapRequestLayer::new(|LambdaEvent { payload, context }| {
        LambdaEvent::new(escaped(payload), context)
    });
    run_events(telemetry, escaped.layer(Adapter::from(handler))).await
}

/// Answers the runtime's events with a handler of events, for the life of the function's instance.
///
/// # Errors
/// The runtime's own.
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

/// The runtime's handling of an invocation, from parsing its event to handing over the answer, as a
/// part of that invocation.
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

/// The request that an event in payload format 2.0 stands for.
///
/// # Errors
/// It is no such event.
pub fn request(event: &str) -> Result<Request, serde_json::Error> {
    serde_json::from_str(event).map(|payload| escaped(payload).into())
}

/// Takes out of an event what `lambda_http` panics over when it makes a URI of it.
///
/// The gateway passes a query on as the client wrote it: what may not stand in one is escaped, and
/// what is escaped already stays, so the query means the same. A scheme that somebody made up is
/// dropped; nothing reads it.
fn escaped(mut payload: LambdaRequest) -> LambdaRequest {
    const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
    if let LambdaRequest::ApiGatewayV2(request) = &mut payload {
        request.headers.remove("x-forwarded-proto");
        if let Some(query) = &mut request.raw_query_string {
            *query = utf8_percent_encode(query, NOT_IN_A_QUERY).to_string();
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_query_becomes_a_request() {
        let event = |query: &str| {
            serde_json::json!({
                "version": "2.0",
                "rawPath": "/v1/teams",
                "rawQueryString": query,
                "headers": {"host": "api.example", "x-forwarded-proto": "no scheme"},
                "requestContext": {"http": {"method": "GET", "path": "/v1/teams"}, "stage": "$default"},
            })
        };
        for (sent, escaped) in [
            ("search=a+b%20c&limit=5", "search=a+b%20c&limit=5"),
            (
                "search=\"a b\"<c>#d\u{7f}\n",
                "search=%22a%20b%22%3Cc%3E%23d%7F%0A",
            ),
            ("search=caf\u{e9}", "search=caf%C3%A9"),
            ("%zz&%", "%zz&%"),
        ] {
            assert_eq!(
                request(&event(sent).to_string()).unwrap().uri().query(),
                Some(escaped)
            );
        }
    }
}
