//! The printer of the console: from events to lines, and to standard output.

use std::{
    io::{self, IsTerminal},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::Duration,
};

use muster_domain::{Change, Timestamp};
use muster_service::store::Table;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    Console, ConsoleEvent, ConsoleEvents, DroppedCount, announcement::AnnouncementSummary,
    decision::decision, entry::Entry, names::Names,
};
use crate::output;

/// The most lines that wait for standard output.
const MAX_LINES: usize = 1024;

/// The time for the last lines at the end of the stack.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleFormat {
    /// Text for people.
    Human {
        /// Whether the lines have ANSI colors.
        has_color: bool,
    },
    /// One JSON object a line.
    Json,
}

impl ConsoleFormat {
    /// Returns the form for people. It has colors if standard output is a terminal that shows them,
    /// and the variable `NO_COLOR` is empty or not set (<https://no-color.org>).
    #[must_use]
    pub fn human() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self::Human {
            has_color: io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb,
        }
    }
}

/// A running printer.
pub struct ConsolePrinter {
    console: Console,
    /// Ends when the last line is written.
    written: oneshot::Receiver<()>,
}

impl ConsolePrinter {
    /// Prints the events of a console from now on. Changes before this moment, such as those of the
    /// demo data, are not shown. Names come from the table.
    #[must_use]
    pub fn start(
        console: Console,
        events: ConsoleEvents,
        table: Table,
        format: ConsoleFormat,
    ) -> Self {
        let (lines, receiver) = sync_channel(MAX_LINES);
        let (writing, written) = oneshot::channel();
        thread::spawn(move || {
            write_lines(&receiver);
            let _ = writing.send(());
        });
        let ConsoleEvents {
            mut events,
            dropped,
        } = events;
        let mut printer = Printer {
            names: Names::new(table),
            started: Timestamp::now(),
            format,
            lines,
            dropped,
        };
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if let ConsoleEvent::End = event {
                    break;
                }
                printer.print_event(event).await;
            }
            printer.print_dropped();
        });
        Self { console, written }
    }

    /// Waits a moment for the last lines.
    pub async fn finish(self) {
        self.console.report(|| ConsoleEvent::End);
        let _ = tokio::time::timeout(END_TIMEOUT, self.written).await;
    }
}

/// Writes lines until the sender is dropped or standard output is closed. The stack continues
/// without its console.
fn write_lines(lines: &Receiver<String>) {
    for line in lines {
        if output::line(line).is_err() {
            return;
        }
    }
}

struct Printer {
    names: Names,
    started: Timestamp,
    format: ConsoleFormat,
    lines: SyncSender<String>,
    dropped: DroppedCount,
}

impl Printer {
    async fn print_event(&mut self, event: ConsoleEvent) {
        let entry = match event {
            ConsoleEvent::Request(request) => Some(Entry::Request(request)),
            ConsoleEvent::Change(record) => self.decision_entry(&record).await,
            ConsoleEvent::Announcement(event) => self.announcement_entry(&event).await,
            ConsoleEvent::DeadLetter(letter) => Some(Entry::DeadLetter(letter)),
            ConsoleEvent::End => None,
        };
        if let Some(entry) = entry {
            self.print_dropped();
            self.print(&entry);
        }
    }

    /// Returns the line of a record of the stream, if it has a new decision.
    async fn decision_entry(&mut self, record: &Value) -> Option<Entry> {
        // The function reports a record that it cannot read.
        let change: Change = muster_changes::change_of(&record.to_string()).ok()??;
        self.names.forget(&change);
        let decision = decision(&change).filter(|decision| decision.at >= self.started)?;
        let (org, team_id) = (&decision.organization_id, decision.team_id);
        let team = match team_id {
            Some(id) => Some(self.names.team(org, id).await),
            None => None,
        };
        let assignee = match decision.assignee_id {
            Some(id) => Some(self.names.user(org, team_id, id).await),
            None => None,
        };
        Some(Entry::Decision {
            decision,
            team,
            assignee,
        })
    }

    async fn announcement_entry(&mut self, event: &str) -> Option<Entry> {
        let announcement = AnnouncementSummary::parse(event)?;
        // Both times have the same form, so their order is that of their bytes.
        if announcement.time < self.started.iso8601_millis() {
            return None;
        }
        let team = match (&announcement.organization_id, announcement.team_id) {
            (Some(org), Some(id)) => Some(self.names.team(org, id).await),
            _ => None,
        };
        Some(Entry::Announcement { announcement, team })
    }

    /// Prints the number of dropped lines, if there are any.
    fn print_dropped(&mut self) {
        let lines = self.dropped.take();
        if lines > 0 {
            let entry = Entry::Dropped {
                at: Timestamp::now(),
                lines,
            };
            if !self.print(&entry) {
                // `print` counted the line about the dropped ones.
                self.dropped.add(lines - 1);
            }
        }
    }

    /// Hands a line to the thread of the output, or counts it as dropped.
    fn print(&mut self, entry: &Entry) -> bool {
        let line = match self.format {
            ConsoleFormat::Human { has_color } => entry.human(has_color),
            ConsoleFormat::Json => entry.json(),
        };
        match self.lines.try_send(line) {
            // If standard output is closed, the line is lost, which is no reason to report it.
            Ok(()) | Err(TrySendError::Disconnected(_)) => true,
            Err(TrySendError::Full(_)) => {
                self.dropped.add(1);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a printer without a table, and its lines, of which two can wait.
    fn printer() -> (Printer, Receiver<String>) {
        let (lines, receiver) = sync_channel(2);
        let table = Table::new(crate::emulator::client("http://127.0.0.1:9"), "muster");
        let printer = Printer {
            names: Names::new(table),
            started: Timestamp::from_millis(0),
            format: ConsoleFormat::Human { has_color: false },
            lines,
            dropped: DroppedCount::default(),
        };
        (printer, receiver)
    }

    fn announcement(name: &str) -> ConsoleEvent {
        ConsoleEvent::Announcement(format!(
            r#"{{"type":"team.created","time":"2025-01-05T08:00:00.123Z","subject":"teams/1","data":{{"name":"{name}"}}}}"#
        ))
    }

    #[tokio::test]
    async fn lines_over_the_bound_are_dropped_and_counted() {
        let (mut printer, lines) = printer();
        for name in ["a", "b", "c", "d", "e"] {
            printer.print_event(announcement(name)).await;
        }
        let line = |name: &str| format!("08:00:00  announced team.created: {name}");
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), ["a", "b"].map(line));
        printer.print_event(announcement("f")).await;
        let shown: Vec<_> = lines.try_iter().collect();
        assert!(
            shown[0].ends_with("  3 lines were dropped, because the output is slow"),
            "{shown:?}"
        );
        assert_eq!(shown[1..], [line("f")]);
    }

    #[tokio::test]
    async fn closed_output_loses_lines_alone() {
        let (mut printer, lines) = printer();
        drop(lines);
        printer.print_event(announcement("a")).await;
        assert_eq!(printer.dropped.take(), 0);
    }

    #[test]
    fn report_to_a_full_channel_does_not_wait() {
        let (console, mut events) = Console::channel();
        for _ in 0..super::super::MAX_EVENTS + 7 {
            console.report(|| announcement("a"));
        }
        assert_eq!(events.dropped.take(), 7);
        assert!(events.events.try_recv().is_ok());
        Console::default().report(|| unreachable!("the console is off"));
    }
}
