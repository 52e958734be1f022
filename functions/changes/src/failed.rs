//! Objects of the bucket of failed records. The function writes some, and Lambda writes others.
//!
//! Both have the batch under `payload`. Lambda writes a batch after its last retry, with the event
//! as text. AWS: "Retain discarded records for a DynamoDB event source in Lambda",
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>.

use muster_domain::{Timestamp, hex};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use sha2::{Digest, Sha256};

use crate::StreamEvent;

/// The folder of the function's own objects. Lambda's are under `aws/lambda/`.
pub const FOLDER: &str = "changes/";

/// An object with one permanently failed record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRecord {
    /// The object's key. Each delivery of a record has the same key.
    pub key: String,
    /// The object's JSON.
    pub body: String,
}

impl FailedRecord {
    /// Returns the object of a record with the reason of its failure.
    #[must_use]
    pub fn new(
        record: &RawValue,
        sequence_number: Option<&str>,
        reason: &str,
        now: Timestamp,
    ) -> Self {
        #[derive(Serialize)]
        struct FailedRecordObject<'r> {
            version: &'static str,
            timestamp: String,
            reason: &'r str,
            payload: Payload<'r>,
        }
        #[derive(Serialize)]
        struct Payload<'r> {
            #[serde(rename = "Records")]
            records: [&'r RawValue; 1],
        }
        let payload = Payload { records: [record] };
        let object = FailedRecordObject {
            version: "1.0",
            timestamp: now.iso8601(),
            reason,
            payload,
        };
        let body = serde_json::to_string(&object)
            .unwrap_or_else(|error| json!({ "reason": error.to_string() }).to_string());
        let is_plain =
            |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let name = match sequence_number.filter(is_plain) {
            Some(number) => number.to_owned(),
            // A record without a sequence number is identified by the digest of its text.
            None => hex(&Sha256::digest(record.get())),
        };
        Self {
            key: format!("{FOLDER}{name}.json"),
            body,
        }
    }
}

/// The records of an object and the reason of their failure.
#[derive(Debug)]
pub struct Failed {
    /// The reason that the function or Lambda wrote.
    pub reason: String,
    /// The records, in the order of the stream.
    pub records: Vec<Box<RawValue>>,
}

impl Failed {
    /// Parses an object of either kind.
    ///
    /// # Errors
    /// It is of neither kind.
    pub fn parse(object: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct FailedRecordObject {
            reason: Option<String>,
            #[serde(rename = "requestContext")]
            request_context: Option<RequestContext>,
            payload: Box<RawValue>,
        }
        #[derive(Deserialize)]
        struct RequestContext {
            condition: Option<String>,
        }
        let FailedRecordObject {
            reason,
            request_context,
            payload,
        } = serde_json::from_slice(object)?;
        let StreamEvent { records } = match serde_json::from_str::<String>(payload.get()) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(_) => serde_json::from_str(payload.get())?,
        };
        let condition = request_context.and_then(|context| context.condition);
        let reason = reason
            .or(condition)
            .unwrap_or_else(|| "no reason given".to_owned());
        Ok(Self { reason, records })
    }
}

/// The key of a record's item, as `pk/sk`, for display.
#[must_use]
pub fn item_of(record: &RawValue) -> Option<String> {
    let record: serde_json::Value = serde_json::from_str(record.get()).ok()?;
    let keys = record.pointer("/dynamodb/Keys")?;
    let text = |name: &str| keys.get(name)?.get("S")?.as_str();
    Some(format!("{}/{}", text("pk")?, text("sk")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn failed_record_is_read_back_byte_for_byte() {
        let record = raw(r#"{"dynamodb": {"SequenceNumber":"007",  "X": 1.50}}"#);
        let object = FailedRecord::new(
            &record,
            Some("007"),
            "it is unreadable",
            Timestamp::from_secs(0),
        );
        assert_eq!(object.key, "changes/007.json");
        let Failed { reason, records } = Failed::parse(object.body.as_bytes()).unwrap();
        assert_eq!(reason, "it is unreadable");
        assert_eq!(
            records
                .iter()
                .map(|record| record.get())
                .collect::<Vec<_>>(),
            [record.get()]
        );
    }

    #[test]
    fn record_without_number_has_a_key_of_its_text() {
        let key = |text| FailedRecord::new(&raw(text), None, "", Timestamp::from_secs(0)).key;
        assert_eq!(key("{}"), key("{}"));
        assert_ne!(key("{}"), key("[]"));
    }

    #[test]
    fn object_of_lambda_is_read_with_its_condition() {
        let event = r#"{"Records":[{"a":1},{"b":2}]}"#;
        let context = json!({ "requestId": "r", "condition": "RetryAttemptsExhausted" });
        for payload in [json!(event), serde_json::from_str(event).unwrap()] {
            let object = json!({ "requestContext": context, "version": "1.0", "payload": payload });
            let Failed { reason, records } = Failed::parse(object.to_string().as_bytes()).unwrap();
            assert_eq!(
                (reason.as_str(), records.len()),
                ("RetryAttemptsExhausted", 2)
            );
        }
        assert!(Failed::parse(b"{}").is_err());
    }

    #[test]
    fn item_is_named_by_both_keys() {
        let record = raw(r#"{"dynamodb":{"Keys":{"pk":{"S":"ORG#o"},"sk":{"S":"TEAM#t"}}}}"#);
        assert_eq!(item_of(&record).as_deref(), Some("ORG#o/TEAM#t"));
        assert_eq!(item_of(&raw("1")), None);
    }
}
