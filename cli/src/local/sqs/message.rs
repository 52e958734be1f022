//! Messages of SQS: their sizes, digests and receipts.

use std::{collections::BTreeMap, fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use muster_domain::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::request::SqsError;
use crate::sam::MAX_MESSAGE_BYTES;

/// The maximum size of a message, and of all messages of a batch.
pub const MAX_BYTES: usize = MAX_MESSAGE_BYTES;

/// An attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, optionally with a custom label after a dot.
    pub data_type: String,
    /// The value as in JSON: binary values in base64.
    pub value: String,
}

/// A message of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// The id that the sender received.
    pub id: String,
    /// The body.
    pub body: String,
    /// The attributes by name.
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// The time of the send, in milliseconds since the epoch.
    pub sent: i64,
    /// The time of the first receive, in milliseconds since the epoch.
    pub first_received: Option<i64>,
    /// The receive count.
    pub receives: u32,
    /// The message group, which identifies a tenant.
    #[serde(default)]
    pub group: Option<String>,
}

impl StoredMessage {
    /// Returns a message that is sent now, without a group.
    pub fn new(
        body: String,
        attributes: BTreeMap<String, MessageAttribute>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            body,
            attributes,
            sent: now.millis(),
            first_received: None,
            receives: 0,
            group: None,
        }
    }

    /// Returns the size for the limits of SQS, in bytes.
    pub fn size(&self) -> usize {
        size(&self.body, &self.attributes)
    }
}

/// Returns the size of a body with its attributes: their names, types and values.
pub fn size(body: &str, attributes: &BTreeMap<String, MessageAttribute>) -> usize {
    let attributes = attributes
        .iter()
        .map(|(name, MessageAttribute { data_type, value })| {
            // Base64 has four characters for three bytes.
            let value = if data_type.starts_with("Binary") {
                value.len() / 4 * 3
            } else {
                value.len()
            };
            name.len() + data_type.len() + value
        });
    body.len() + attributes.sum::<usize>()
}

/// Checks whether SQS accepts a body with these attributes.
pub fn check(body: &str, attributes: &BTreeMap<String, MessageAttribute>) -> Result<(), SqsError> {
    if body.is_empty() {
        return Err(SqsError::new(
            "MissingRequiredParameterException",
            "MissingParameter",
            "A message must have a body.",
        ));
    }
    if size(body, attributes) > MAX_BYTES {
        return Err(SqsError::parameter(format!(
            "A message must be shorter than {MAX_BYTES} bytes."
        )));
    }
    // The characters that XML 1.0 allows.
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    if !body.chars().all(is_allowed) {
        return Err(SqsError::new(
            "InvalidMessageContents",
            "InvalidMessageContents",
            "The message has a character that SQS does not allow.",
        ));
    }
    Ok(())
}

/// Returns the MD5 digest of a body.
pub fn md5_of_body(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// Returns the MD5 digest of attributes: names, types and values in the order of the names, each
/// after its length. A byte before the value states its encoding.
pub fn md5_of_attributes(attributes: &BTreeMap<String, MessageAttribute>) -> String {
    let mut encoded = Vec::new();
    let mut put = |bytes: &[u8], carried: Option<u8>| {
        encoded.extend(carried);
        // The length fits: no message is longer than 256 KiB.
        encoded.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        encoded.extend(bytes);
    };
    for (name, MessageAttribute { data_type, value }) in attributes {
        put(name.as_bytes(), None);
        put(data_type.as_bytes(), None);
        if data_type.starts_with("Binary") {
            put(&BASE64_STANDARD.decode(value).unwrap_or_default(), Some(2));
        } else {
            put(value.as_bytes(), Some(1));
        }
    }
    format!("{:x}", md5::compute(encoded))
}

/// The receipt of one receive. A later receive of the message invalidates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The queue's id. Arrival numbers are unique within one queue.
    pub(super) queue: Uuid,
    pub(super) arrival: u64,
    pub(super) receives: u32,
    /// The time at which the message becomes visible again.
    pub(super) until: Timestamp,
}

/// The error for a text that is not a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a receipt handle")]
pub struct InvalidReceipt;

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            queue,
            arrival,
            receives,
            until,
        } = self;
        write!(f, "{queue}.{arrival}.{receives}.{}", until.millis())
    }
}

impl FromStr for Receipt {
    type Err = InvalidReceipt;

    fn from_str(text: &str) -> Result<Self, InvalidReceipt> {
        let mut parts = text.splitn(4, '.');
        let mut next = || parts.next().ok_or(InvalidReceipt);
        let (queue, arrival, receives, until) = (next()?, next()?, next()?, next()?);
        Ok(Self {
            queue: queue.parse().map_err(|_| InvalidReceipt)?,
            arrival: arrival.parse().map_err(|_| InvalidReceipt)?,
            receives: receives.parse().map_err(|_| InvalidReceipt)?,
            until: Timestamp::from_millis(until.parse().map_err(|_| InvalidReceipt)?),
        })
    }
}

/// A message as its receiver gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDelivery {
    /// The receipt that deletes the message.
    pub receipt: Receipt,
    /// The message; its receive count includes this receive.
    pub message: StoredMessage,
}
