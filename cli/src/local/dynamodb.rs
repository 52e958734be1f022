//! The embedded engine over HTTP, in DynamoDB's JSON protocol.

use axum::{
    Router,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use muster_engine::{
    Database,
    auth_material::{self, AuthMaterial},
};
use uuid::Uuid;

use super::aws::{self, AwsRequest};

/// Serves the operations of DynamoDB and DynamoDB Streams. Each runs on the thread of its request.
pub(super) fn router(database: Database) -> Router {
    Router::new().fallback(serve).with_state(database)
}

async fn serve(State(database): State<Database>, request: AwsRequest) -> Response {
    let AwsRequest {
        parts,
        service,
        operation,
        body,
    } = request;
    let known = matches!(&*service, "DynamoDB_20120810" | "DynamoDBStreams_20120810");
    let Some(operation) = muster_engine::operation(&operation).filter(|_| known) else {
        return aws::error_response(
            "UnknownOperationException",
            None,
            "this endpoint serves only DynamoDB, with the operations of the engine",
        );
    };
    if let Some(error) = missing_credentials(&parts) {
        return respond(StatusCode::BAD_REQUEST, error);
    }
    match operation(&database, &body) {
        Ok(response) => respond(StatusCode::OK, response),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            respond(status, error.to_json())
        }
    }
}

/// Returns DynamoDB's error for a request without a signature. The signature is not verified.
fn missing_credentials(parts: &Parts) -> Option<String> {
    auth_material::validate(AuthMaterial {
        authorization: parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()),
        query: parts.uri.query().unwrap_or_default(),
        has_date_header: parts.headers.contains_key("x-amz-date")
            || parts.headers.contains_key(header::DATE),
    })
}

/// Returns a response with the headers that SDKs read: they verify the checksum and log the id.
fn respond(status: StatusCode, body: String) -> Response {
    let checksum = HeaderValue::from(crc32fast::hash(body.as_bytes()));
    let id = HeaderValue::try_from(Uuid::new_v4().to_string()).expect("a UUID is ASCII");
    let mut response = aws::response(status, "application/x-amz-json-1.0", body);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-amz-crc32"), checksum);
    headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
    response
}
