//! Files that are checked as a whole before they are sent.

use std::path::Path;

use anyhow::{anyhow, bail};
use muster_contracts::events::inbound::ticket_event;
use muster_domain::{TicketEvent, Timestamp};

use crate::{
    commands::tickets::event_lines::{self, EventLine},
    output,
};

/// An event that the assignment function accepts, unless its organization does not exist.
#[derive(Debug)]
pub(super) struct CheckedEvent {
    /// The line number, from 1.
    pub line: u64,
    /// The JSON of the line.
    pub body: String,
    pub event: TicketEvent,
}

/// Reads a whole file, and parses each line as the assignment function does. Reports every fault of
/// every line, as `muster tickets check` does.
///
/// # Errors
/// The file cannot be read, or an event has a fault.
pub(super) async fn read(file: &Path) -> anyhow::Result<Vec<CheckedEvent>> {
    let (mut lines, progress) = event_lines::read(file)?;
    let name = event_lines::name(file);
    let now = Timestamp::now();
    let (mut events, mut with_faults) = (Vec::new(), 0_u64);
    while let Some(line) = lines.recv().await {
        let line = line.map_err(|error| anyhow!(error).context(format!("cannot read {name}")))?;
        match parse(line, now) {
            Ok(event) => events.push(event),
            Err((number, faults)) => {
                with_faults += 1;
                progress.suspend(|| {
                    for fault in faults {
                        output::note(format_args!("{name}:{number}: {fault}"));
                    }
                });
            }
        }
    }
    progress.finish_and_clear();
    if with_faults > 0 {
        bail!(
            "no event was sent, because events have faults: {with_faults}; correct them, since each would become a dead \
             letter"
        );
    }
    Ok(events)
}

/// Parses a line. Returns its number and its faults if it has some.
fn parse(line: EventLine, now: Timestamp) -> Result<CheckedEvent, (u64, Vec<String>)> {
    let EventLine { number, event } = line;
    let body = event.map_err(|fault| (number, vec![fault]))?;
    match ticket_event(&body, now) {
        Ok(message) => Ok(CheckedEvent {
            line: number,
            body,
            event: message.event,
        }),
        Err(poison) => Err((number, poison.faults())),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Returns a checked event of ticket `id`, with a time in seconds, and these fields.
    pub(in crate::commands::tickets::send) fn event(
        line: u64,
        id: &str,
        kind: &str,
        at: &str,
        fields: Value,
    ) -> CheckedEvent {
        let Value::Object(mut ticket) = fields else {
            panic!("fields are an object")
        };
        ticket.insert("id".to_owned(), json!(id));
        let body = json!({
            "specversion": "1.0", "id": format!("e-{line}"), "source": "/desk", "type": kind, "time": at,
            "data": { "organization_id": "acme", "ticket": ticket },
        });
        let line = EventLine {
            number: line,
            event: Ok(body.to_string()),
        };
        parse(line, Timestamp::now()).unwrap()
    }

    #[test]
    fn line_with_faults_has_its_number_and_all_faults() {
        let now = Timestamp::from_secs(1_800_000_000);
        let line = |event: Result<&str, &str>| EventLine {
            number: 7,
            event: event.map(str::to_owned).map_err(str::to_owned),
        };
        let (number, faults) = parse(line(Err("not UTF-8")), now).unwrap_err();
        assert_eq!((number, faults), (7, vec!["not UTF-8".to_owned()]));
        let (_, faults) = parse(line(Ok(r#"{"specversion":"1.0"}"#)), now).unwrap_err();
        assert!(faults.len() > 1, "{faults:?}");
    }
}
