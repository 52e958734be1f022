//! The operations of DynamoDB Streams that the poller calls.

use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::Value;

/// A client of DynamoDB Streams over HTTP. The SDK's types cannot be serialized into the event of a
/// function.
pub(super) struct StreamsApi {
    http: reqwest::Client,
    url: String,
}

impl StreamsApi {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self {
            http,
            url: url.to_owned(),
        })
    }

    pub(super) async fn streams(&self, operation: &str, request: &Value) -> anyhow::Result<Value> {
        self.call(&format!("DynamoDBStreams_20120810.{operation}"), request)
            .await
    }

    pub(super) async fn call(&self, target: &str, request: &Value) -> anyhow::Result<Value> {
        // The engine does not verify the signature.
        let authorization = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
                             SignedHeaders=host;x-amz-date;x-amz-target, Signature=0";
        let response = self
            .http
            .post(&self.url)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", authorization)
            .body(request.to_string())
            .send()
            .await?;
        let status = response.status();
        let response_body: Value =
            serde_json::from_slice(&response.bytes().await?).with_context(|| target.to_owned())?;
        if status.is_success() {
            Ok(response_body)
        } else {
            Err(anyhow!("{target}: {status} {response_body}"))
        }
    }
}
