//! The event bus: `PutEvents` of EventBridge, and a log of the announcements.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use super::console::{Console, ConsoleEvent};

/// The maximum number of entries in a call.
const MAX_ENTRIES: usize = 10;
/// The maximum size of an entry in bytes.
const MAX_ENTRY_BYTES: usize = 256 * 1024;
/// The maximum number of events in the log. The oldest are dropped.
const MAX_EVENTS: usize = 100_000;
/// The maximum number of events in a page.
const PAGE: usize = 10_000;

/// The announcements in order, numbered from 1. The log has the last 100,000. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct EventBus {
    log: Arc<Mutex<EventLog>>,
    console: Console,
}

#[derive(Debug, Default)]
struct EventLog {
    events: VecDeque<Box<RawValue>>,
    /// The number of events that were dropped.
    dropped: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<PutEventsEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEventsEntry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
}

/// An error of an entry: its code and a message.
type BusError = (&'static str, String);

impl EventBus {
    /// Returns an empty bus that reports the announcements to a console.
    pub(super) fn new(console: Console) -> Self {
        Self {
            log: Arc::default(),
            console,
        }
    }

    /// Handles a request for an operation of EventBridge.
    pub(super) fn handle(&self, operation: &str, body: &[u8]) -> Result<Value, BusError> {
        if operation != "PutEvents" {
            return Err((
                "UnknownOperationException",
                format!("the local bus does not support {operation}"),
            ));
        }
        let PutEvents { entries } = serde_json::from_slice(body)
            .map_err(|error| ("SerializationException", error.to_string()))?;
        if entries.is_empty() || entries.len() > MAX_ENTRIES {
            return Err((
                "ValidationException",
                format!("a call has 1 to {MAX_ENTRIES} entries"),
            ));
        }
        if entries.iter().any(|entry| entry.size() > MAX_ENTRY_BYTES) {
            return Err((
                "ValidationException",
                format!("an entry has at most {MAX_ENTRY_BYTES} bytes"),
            ));
        }
        let mut failed = 0;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let results: Vec<Value> = entries
            .into_iter()
            .map(|entry| match entry.event() {
                Ok(event) => {
                    self.console
                        .report(|| ConsoleEvent::Announcement(event.get().to_owned()));
                    log.push(event);
                    json!({ "EventId": Uuid::new_v4().to_string() })
                }
                Err((code, message)) => {
                    failed += 1;
                    json!({ "ErrorCode": code, "ErrorMessage": message })
                }
            })
            .collect();
        Ok(json!({ "FailedEntryCount": failed, "Entries": results }))
    }

    /// Returns up to 10,000 events after the one with this number, as JSON, and the number of the
    /// last of them.
    #[must_use]
    pub fn after(&self, number: u64) -> (Vec<Box<RawValue>>, u64) {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let first = usize::try_from(number.saturating_sub(log.dropped)).unwrap_or(usize::MAX);
        let events: Vec<_> = log.events.iter().skip(first).take(PAGE).cloned().collect();
        let next = number.max(log.dropped) + events.len() as u64;
        (
            events,
            if first > log.events.len() {
                number
            } else {
                next
            },
        )
    }
}

impl EventLog {
    fn push(&mut self, event: Box<RawValue>) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
            self.dropped += 1;
        }
        self.events.push_back(event);
    }
}

impl PutEventsEntry {
    fn size(&self) -> usize {
        [&self.source, &self.detail_type, &self.detail]
            .into_iter()
            .flatten()
            .map(String::len)
            .sum()
    }

    /// Returns the event of the entry.
    fn event(self) -> Result<Box<RawValue>, BusError> {
        for (name, value) in [
            ("Source", &self.source),
            ("DetailType", &self.detail_type),
            ("Detail", &self.detail),
        ] {
            if value.as_deref().is_none_or(str::is_empty) {
                return Err(("InvalidArgument", format!("Parameter {name} is not valid.")));
            }
        }
        let detail = RawValue::from_string(self.detail.unwrap_or_default()).ok();
        detail
            .filter(|detail| detail.get().starts_with('{'))
            .ok_or_else(|| ("MalformedDetail", "Detail is malformed.".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(events: &EventBus, details: &[&str]) -> Result<Value, BusError> {
        let entries: Vec<_> = details
            .iter()
            .map(|detail| json!({ "Source": "muster", "DetailType": "x", "Detail": detail, "EventBusName": "bus" }))
            .collect();
        events.handle(
            "PutEvents",
            json!({ "Entries": entries }).to_string().as_bytes(),
        )
    }

    fn shown(events: &EventBus, after: u64) -> (Vec<String>, u64) {
        let (events, next) = events.after(after);
        (
            events.iter().map(|event| event.get().to_owned()).collect(),
            next,
        )
    }

    #[test]
    fn announcements_are_numbered_in_order() {
        let events = EventBus::default();
        assert_eq!(shown(&events, 0), (vec![], 0));
        let result = put(&events, &[r#"{"n":1}"#, "no JSON", "[]", r#"{"n": 2}"#]).unwrap();
        assert_eq!(result["FailedEntryCount"], 2);
        assert_eq!(result["Entries"][1]["ErrorCode"], "MalformedDetail");
        assert!(result["Entries"][3]["EventId"].is_string());
        assert_eq!(
            shown(&events, 0),
            (vec![r#"{"n":1}"#.to_owned(), r#"{"n": 2}"#.to_owned()], 2)
        );
        assert_eq!(shown(&events, 1), (vec![r#"{"n": 2}"#.to_owned()], 2));
        assert_eq!(shown(&events, 2), (vec![], 2));
        assert_eq!(shown(&events, 7), (vec![], 7), "which never was");
    }

    #[test]
    fn put_events_over_a_limit_is_an_error() {
        let events = EventBus::default();
        assert!(put(&events, &[]).is_err());
        assert!(put(&events, &["{}"; 11]).is_err());
        assert!(put(&events, &[&format!("\"{}\"", "x".repeat(MAX_ENTRY_BYTES))]).is_err());
        assert_eq!(shown(&events, 0).0.len(), 0);
    }

    #[test]
    fn event_log_over_its_limit_drops_the_oldest() {
        let mut log = EventLog::default();
        for n in 0..=MAX_EVENTS {
            log.push(RawValue::from_string(n.to_string()).unwrap());
        }
        let events = EventBus {
            log: Arc::new(Mutex::new(log)),
            console: Console::default(),
        };
        let (page, next) = shown(&events, 0);
        assert_eq!(
            (page.len(), page[0].as_str(), next),
            (PAGE, "1", PAGE as u64 + 1)
        );
        assert_eq!(
            shown(&events, MAX_EVENTS as u64),
            (vec![MAX_EVENTS.to_string()], MAX_EVENTS as u64 + 1)
        );
    }
}
