//! The JSON Schemas (2020-12) of the events, for senders and consumers.
//!
//! The schemas of the announcements follow from their wire types. Those of the inbound events are
//! written beside the parsers.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Value, json};

use super::{inbound, outbound};

/// The schema of the attributes that all announcements have.
const ANNOUNCEMENT: &str = "announcement";

/// The names of the inbound events.
const INBOUND: [&str; 2] = ["ticket-event", "user-event"];

/// An example of each event, by the name of its schema.
static EXAMPLES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("examples.json")).expect("the examples are JSON")
});

/// Returns the names of all schemas. The name of an announcement's schema is its type.
pub fn names() -> impl Iterator<Item = &'static str> {
    INBOUND
        .into_iter()
        .chain([ANNOUNCEMENT])
        .chain(outbound::KINDS)
}

/// Returns a schema as pretty-printed JSON with a final newline, or `None` for an unknown name.
#[must_use]
pub fn document(name: &str) -> Option<String> {
    let mut schema = match name {
        "ticket-event" => inbound::ticket_event_schema(),
        "user-event" => inbound::user_event_schema(),
        ANNOUNCEMENT => outbound::announcement_schema(),
        kind => outbound::schema_of(kind)?,
    };
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    if let Some(example) = EXAMPLES.get(name) {
        schema["examples"] = json!([example]);
    }
    // The features of serde_json in a build must not change the order.
    schema.sort_all_objects();
    Some(format!("{schema:#}\n"))
}
