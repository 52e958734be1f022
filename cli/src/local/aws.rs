//! The endpoint of SQS, EventBridge and S3. SQS and EventBridge use AWS's JSON protocols, in which
//! a header names the operation. A request without that header is a request of S3.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    eventbridge::EventBus,
    s3::BucketObjects,
    sqs::{self, Queues, SqsError},
};

/// The maximum size of a request: above ten escaped entries of the maximum size.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// The header that names the service and the operation of AWS's JSON protocols.
const TARGET: &str = "x-amz-target";

#[derive(Clone)]
struct Services {
    queues: Queues,
    events: EventBus,
    failed_records: BucketObjects,
}

/// A request of one of AWS's JSON protocols.
pub(super) struct AwsRequest {
    pub(super) parts: Parts,
    /// The service's name and version in `X-Amz-Target`.
    pub(super) service: String,
    pub(super) operation: String,
    pub(super) body: Bytes,
}

/// Serves the queues, the bus and the bucket.
pub(super) fn router(queues: Queues, events: EventBus, failed_records: BucketObjects) -> Router {
    Router::new().fallback(serve).with_state(Services {
        queues,
        events,
        failed_records,
    })
}

impl<S: Sync> FromRequest<S> for AwsRequest {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let target = parts
            .headers
            .get(TARGET)
            .and_then(|target| target.to_str().ok());
        let Some((service, operation)) = target.and_then(|target| target.split_once('.')) else {
            return Err(error_response(
                "UnknownOperationException",
                None,
                "X-Amz-Target names no operation",
            ));
        };
        let (service, operation) = (service.to_owned(), operation.to_owned());
        Ok(Self {
            body: read(body).await?,
            parts,
            service,
            operation,
        })
    }
}

/// Reads a body within the limit.
async fn read(body: Body) -> Result<Bytes, Response> {
    let too_large = |_| error_response("RequestEntityTooLarge", None, "the request is too large");
    to_bytes(body, MAX_BODY_BYTES).await.map_err(too_large)
}

async fn serve(State(services): State<Services>, request: Request) -> Result<Response, Response> {
    let Services {
        queues,
        events,
        failed_records,
    } = services;
    if !request.headers().contains_key(TARGET) {
        let (parts, body) = request.into_parts();
        return Ok(failed_records.handle(&parts.method, &parts.uri, read(body).await?));
    }
    let AwsRequest {
        parts: _,
        service,
        operation,
        body,
    } = AwsRequest::from_request(request, &()).await?;
    Ok(match &*service {
        "AmazonSQS" => match sqs::handle(&queues, &operation, &body) {
            Ok(result) => response(
                StatusCode::OK,
                "application/x-amz-json-1.0",
                result.to_string(),
            ),
            Err(SqsError {
                kind,
                code,
                message,
            }) => error_response(&format!("com.amazonaws.sqs#{kind}"), Some(code), &message),
        },
        "AWSEvents" => match events.handle(&operation, &body) {
            Ok(result) => response(
                StatusCode::OK,
                "application/x-amz-json-1.1",
                result.to_string(),
            ),
            Err((code, message)) => error_response(code, None, &message),
        },
        _ => error_response(
            "UnknownOperationException",
            None,
            "this endpoint serves only SQS, EventBridge and S3",
        ),
    })
}

pub(super) fn response(status: StatusCode, content_type: &'static str, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// Returns an error in AWS's JSON protocol. `code` is the error's name in the query protocol of
/// SQS, which SDKs match.
pub(super) fn error_response(kind: &str, code: Option<&str>, message: &str) -> Response {
    let body = json!({ "__type": kind, "message": message });
    let mut error = response(
        StatusCode::BAD_REQUEST,
        "application/x-amz-json-1.0",
        body.to_string(),
    );
    if let Some(Ok(code)) = code.map(|code| HeaderValue::from_str(&format!("{code};Sender"))) {
        error
            .headers_mut()
            .insert(HeaderName::from_static("x-amzn-query-error"), code);
    }
    error
}
