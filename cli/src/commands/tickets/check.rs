//! `muster tickets check`.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use muster_contracts::events::inbound::{self, CheckReport, EventQueue};
use muster_domain::Timestamp;
use serde_json::json;

use super::event_lines::{self, EventLine};
use crate::output::{self, WriteError};

/// `muster tickets check`
#[derive(Debug, Args)]
pub struct Check {
    /// File to read; - is standard input
    #[arg(value_name = "FILE.jsonl")]
    pub file: PathBuf,
    /// Queue that the events are for
    #[arg(long, value_enum, value_name = "QUEUE", default_value = "tickets")]
    pub queue: QueueArg,
    /// Print one line of JSON for each line with faults or warnings: "line", "event" (its id),
    /// "faults", "warnings". "line" is null for a warning about the whole file
    #[arg(long)]
    pub json: bool,
}

/// The queues that take events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueueArg {
    /// Ticket events
    Tickets,
    /// User events
    Users,
}

impl Check {
    /// Checks the events of a file, line by line, and prints the findings.
    ///
    /// # Errors
    /// The file cannot be read, standard output cannot be written to, or an event has faults.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self { file, queue, json } = self;
        let (mut lines, progress) = event_lines::read(&file)?;
        let queue = match queue {
            QueueArg::Tickets => EventQueue::Tickets,
            QueueArg::Users => EventQueue::Users,
        };
        let name = event_lines::name(&file);
        let now = Timestamp::now();
        let mut report = Report {
            name: &name,
            json,
            ..Report::default()
        };
        let mut printed = Ok(());
        while let Some(line) = lines.recv().await {
            let EventLine { number, event } =
                line.map_err(|error| anyhow!(error).context(format!("cannot read {name}")))?;
            let checked = match event {
                Ok(body) => inbound::check(queue, &body, now),
                Err(fault) => CheckReport {
                    event_id: None,
                    faults: vec![fault],
                    warnings: Vec::new(),
                    has_status: None,
                },
            };
            let findings = report.line(number, &checked);
            // After a failed write, the loop continues: the exit code must reflect the whole file.
            printed = printed.and_then(|()| progress.suspend(|| print(&findings)));
        }
        progress.finish_and_clear();
        printed = printed.and_then(|()| print(&report.end()));
        if report.with_faults > 0 {
            bail!(
                "events with faults: {}; correct them, since each would become a dead letter",
                report.with_faults
            );
        }
        Ok(printed?)
    }
}

fn print(text: &str) -> Result<(), WriteError> {
    output::write(|out| out.write_all(text.as_bytes()))
}

/// The findings of a file so far.
#[derive(Default)]
struct Report<'f> {
    name: &'f str,
    json: bool,
    events: u64,
    with_faults: u64,
    with_warnings: u64,
    /// The number of events that need a status.
    need_status: u64,
    have_status: u64,
}

impl Report<'_> {
    /// Counts the findings of a line and returns their text. The text is empty without findings.
    fn line(&mut self, number: u64, checked: &CheckReport) -> String {
        let CheckReport {
            event_id,
            faults,
            warnings,
            has_status,
        } = checked;
        self.events += 1;
        self.with_faults += u64::from(!faults.is_empty());
        self.with_warnings += u64::from(!warnings.is_empty());
        self.need_status += u64::from(has_status.is_some());
        self.have_status += u64::from(*has_status == Some(true));
        if faults.is_empty() && warnings.is_empty() {
            return String::new();
        }
        if self.json {
            let findings = json!({ "line": number, "event": event_id, "faults": faults, "warnings": warnings });
            return format!("{findings}\n");
        }
        let faults = faults
            .iter()
            .map(|fault| format!("{}:{number}: {fault}\n", self.name));
        faults
            .chain(
                warnings
                    .iter()
                    .map(|warning| format!("{}:{number}: warning: {warning}\n", self.name)),
            )
            .collect()
    }

    /// Returns the findings about the whole file.
    fn end(&self) -> String {
        let Self {
            name,
            json,
            events,
            with_faults,
            with_warnings,
            need_status,
            have_status,
        } = self;
        let mut text = String::new();
        if *need_status > 0 && *have_status == 0 {
            let warning =
                "no event has data.ticket.status, and a ticket without a status counts as new";
            text = if *json {
                let findings =
                    json!({ "line": null, "event": null, "faults": [], "warnings": [warning] });
                format!("{findings}\n")
            } else {
                format!("{name}: warning: {warning}\n")
            };
        }
        if !json {
            let noun = if *events == 1 { "event" } else { "events" };
            let counts = format!("{with_faults} with faults, {with_warnings} with warnings");
            return format!("{text}Checked {events} {noun}: {counts}.\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn checked(faults: &[&str], warnings: &[&str], has_status: Option<bool>) -> CheckReport {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        CheckReport {
            event_id: Some("e-1".to_owned()),
            faults: owned(faults),
            warnings: owned(warnings),
            has_status,
        }
    }

    #[test]
    fn findings_are_prefixed_by_file_and_line() {
        let mut report = Report {
            name: "f.jsonl",
            ..Report::default()
        };
        assert_eq!(report.line(1, &checked(&[], &[], Some(true))), "");
        let text = report.line(
            3,
            &checked(
                &["a: is required", "b: must be c"],
                &["d: is not read"],
                Some(false),
            ),
        );
        assert_eq!(
            text,
            "f.jsonl:3: a: is required\nf.jsonl:3: b: must be c\nf.jsonl:3: warning: d: is not read\n"
        );
        assert_eq!(
            report.end(),
            "Checked 2 events: 1 with faults, 1 with warnings.\n"
        );
        assert_eq!(report.with_faults, 1);
    }

    #[test]
    fn file_without_any_status_is_a_warning() {
        let mut report = Report {
            name: "f.jsonl",
            ..Report::default()
        };
        report.line(1, &checked(&[], &[], None));
        assert_eq!(
            report.end(),
            "Checked 1 event: 0 with faults, 0 with warnings.\n"
        );
        report.line(2, &checked(&[], &[], Some(false)));
        assert!(
            report
                .end()
                .starts_with("f.jsonl: warning: no event has data.ticket.status"),
            "{}",
            report.end()
        );
        report.line(3, &checked(&[], &[], Some(true)));
        assert!(!report.end().contains("warning:"), "{}", report.end());
    }

    #[test]
    fn findings_in_json_are_one_line_each() {
        let mut report = Report {
            name: "f.jsonl",
            json: true,
            ..Report::default()
        };
        assert_eq!(report.line(1, &checked(&[], &[], Some(false))), "");
        let line: Value =
            serde_json::from_str(&report.line(2, &checked(&["a"], &[], Some(false)))).unwrap();
        assert_eq!(
            line,
            json!({ "line": 2, "event": "e-1", "faults": ["a"], "warnings": [] })
        );
        let end: Value = serde_json::from_str(&report.end()).unwrap();
        assert_eq!(
            (&end["line"], end["warnings"].as_array().map(Vec::len)),
            (&Value::Null, Some(1))
        );
    }
}
