//! An HTTP server in place of the dead-letter queue.

use std::sync::{Arc, Mutex};

use muster_service::aws::sqs_send::Queue;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::invoke;

/// An SQS endpoint that records messages.
#[derive(Clone, Default)]
pub(super) struct DeadLetters {
    received: Arc<Mutex<Vec<Value>>>,
}

impl DeadLetters {
    /// Starts the server and returns a client of its queue.
    pub(super) async fn queue(&self) -> Queue {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!(
            "http://{}",
            listener.local_addr().expect("the listener is bound")
        );
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    while let Some(request) = read(&mut connection).await {
                        let response = server.response(&request).to_string();
                        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length:";
                        let response = format!("{head} {}\r\n\r\n{response}", response.len());
                        if connection.write_all(response.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        queue_at(&url)
    }

    fn response(&self, request: &Value) -> Value {
        let entries = request["Entries"].as_array().expect("a batch");
        let mut received = self.received.lock().expect("the lock is not poisoned");
        received.extend(entries.iter().cloned());
        let accepted =
            |entry: &Value| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": ""});
        json!({ "Successful": entries.iter().map(accepted).collect::<Vec<_>>() })
    }

    /// Returns bodies and reasons, in order of arrival.
    pub(super) fn received(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let dead_letter = |entry: &Value| {
            (
                text(&entry["MessageBody"]),
                text(&entry["MessageAttributes"]["reason"]["StringValue"]),
            )
        };
        self.received
            .lock()
            .expect("the lock is not poisoned")
            .iter()
            .map(dead_letter)
            .collect()
    }
}

/// Reads the body of the next request on a connection.
async fn read(connection: &mut tokio::net::TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .split("content-length:")
                .nth(1)?
                .lines()
                .next()?
                .trim()
                .parse::<usize>()
                .ok()?;
            if bytes.len() >= end + 4 + length {
                return serde_json::from_slice(&bytes[end + 4..]).ok();
            }
        }
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Returns a client of the queue of an SQS endpoint.
pub(super) fn queue_at(url: &str) -> Queue {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_sqs::config::Credentials::new(
            "k", "s", None, None, "test",
        ))
        .retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled())
        .http_client(invoke::http())
        .endpoint_url(url)
        .build();
    Queue::new(
        aws_sdk_sqs::Client::from_conf(config),
        format!("{url}/000000000000/users-dead"),
    )
}
