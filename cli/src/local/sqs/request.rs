//! Requests of SQS's JSON protocol, and their errors.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::message::MessageAttribute;

/// An error of SQS, with its names in both protocols.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqsError {
    /// The error's name in the JSON protocol.
    pub kind: &'static str,
    /// The error's name in the query protocol, which SDKs match.
    pub code: &'static str,
    /// The message for the client.
    pub message: String,
}

impl SqsError {
    pub(super) fn new(kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
        }
    }

    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::new(
            "InvalidParameterValueException",
            "InvalidParameterValue",
            message,
        )
    }

    /// Returns the failed entry of a batch.
    pub(super) fn of_entry(self, id: &str) -> Value {
        let Self {
            kind: _,
            code,
            message,
        } = self;
        json!({ "Id": id, "SenderFault": true, "Code": code, "Message": message })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    pub(super) queue_url: String,
    #[serde(flatten)]
    pub(super) entry: MessageEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessageBatch {
    pub(super) queue_url: String,
    pub(super) entries: Vec<BatchEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchEntry {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) entry: MessageEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MessageEntry {
    pub(super) message_body: String,
    #[serde(default)]
    pub(super) delay_seconds: Option<u64>,
    #[serde(default)]
    pub(super) message_attributes: Option<BTreeMap<String, RequestAttribute>>,
    #[serde(default)]
    pub(super) message_group_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RequestAttribute {
    pub(super) data_type: String,
    pub(super) string_value: Option<String>,
    pub(super) binary_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    pub(super) queue_url: String,
    #[serde(default = "one")]
    pub(super) max_number_of_messages: usize,
    pub(super) visibility_timeout: Option<u64>,
    #[serde(default)]
    pub(super) message_attribute_names: Vec<String>,
    #[serde(default)]
    pub(super) message_system_attribute_names: Vec<String>,
}

fn one() -> usize {
    1
}

/// The request of `DeleteMessageBatch` and `ChangeMessageVisibilityBatch`. Entries of the latter
/// have a timeout.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiptBatch {
    pub(super) queue_url: String,
    pub(super) entries: Vec<ReceiptEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiptEntry {
    pub(super) id: String,
    pub(super) receipt_handle: String,
    #[serde(default)]
    pub(super) visibility_timeout: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    pub(super) queue_url: String,
    #[serde(default)]
    pub(super) attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListDeadLetterSourceQueues {
    pub(super) queue_url: String,
}

pub(super) fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body).map_err(|error| {
        SqsError::new(
            "SerializationException",
            "MalformedInput",
            error.to_string(),
        )
    })
}

impl MessageEntry {
    pub(super) fn attributes_and_body(mut self) -> (BTreeMap<String, MessageAttribute>, Self) {
        let attributes = self.message_attributes.take().unwrap_or_default();
        let attribute = |RequestAttribute {
                             data_type,
                             string_value,
                             binary_value,
                         }| MessageAttribute {
            data_type,
            value: string_value.or(binary_value).unwrap_or_default(),
        };
        (
            attributes
                .into_iter()
                .map(|(name, value)| (name, attribute(value)))
                .collect(),
            self,
        )
    }
}
