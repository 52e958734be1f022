//! Sending of lines as they are read, in concurrent batches.

use std::io;

use anyhow::{Context, anyhow, bail};
use indicatif::ProgressBar;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    commands::tickets::{
        event_lines::EventLine,
        ticket_queue::{SendFailure, TicketQueue},
    },
    output,
};

/// The maximum number of concurrent calls.
const IN_FLIGHT: usize = 16;

/// The state of a file that is sent.
pub(super) struct Transfer {
    /// The name of the file, for messages.
    name: String,
    progress: ProgressBar,
    is_reading: bool,
    /// The number of events that were sent.
    pub(super) sent: u64,
    /// The number of lines that are not events.
    pub(super) rejected: u64,
    /// The first line that was not sent, and the cause. Reading stops there.
    stopped: Option<(u64, anyhow::Error)>,
    unreadable: Option<io::Error>,
}

impl Transfer {
    pub(super) fn new(name: String, progress: ProgressBar) -> Self {
        Self {
            name,
            progress,
            is_reading: true,
            sent: 0,
            rejected: 0,
            stopped: None,
            unreadable: None,
        }
    }

    /// Counts the events of a batch, and stops reading if some of them failed.
    fn record(&mut self, numbers: &[u64], outcome: Result<(), SendFailure>) {
        let failed = outcome.err();
        let failures = failed.as_ref().map_or(0, |failed| failed.events.len());
        self.sent += (numbers.len() - failures) as u64;
        self.progress.set_message(format!("{} events", self.sent));
        let Some(SendFailure { events, cause }) = failed else {
            return;
        };
        self.is_reading = false;
        let first = events.iter().map(|&event| numbers[event]).min();
        let first = first.unwrap_or_default();
        // Batches are sent concurrently, and a later one can fail before an earlier one.
        if self.stopped.as_ref().is_none_or(|(line, _)| first < *line) {
            self.stopped = Some((first, cause));
        }
    }

    /// Returns the events of these lines with their line numbers, and reports the other lines.
    fn accept(
        &mut self,
        lines: impl Iterator<Item = io::Result<EventLine>>,
    ) -> (Vec<u64>, Vec<String>) {
        let (mut numbers, mut events) = (Vec::new(), Vec::new());
        for line in lines {
            match line {
                Ok(EventLine {
                    number,
                    event: Ok(event),
                }) => {
                    numbers.push(number);
                    events.push(event);
                }
                Ok(EventLine {
                    number,
                    event: Err(fault),
                }) => {
                    self.rejected += 1;
                    let name = &self.name;
                    self.progress
                        .suspend(|| output::note(format_args!("{name}:{number}: {fault}")));
                }
                Err(error) => self.unreadable = Some(error),
            }
        }
        (numbers, events)
    }

    /// Sends the lines. Memory is bounded, however many there are.
    ///
    /// # Errors
    /// A task of this command failed.
    pub(super) async fn run(
        &mut self,
        mut lines: mpsc::Receiver<io::Result<EventLine>>,
        queue: &TicketQueue,
    ) -> anyhow::Result<()> {
        let (mut sending, mut read) = (JoinSet::new(), Vec::new());
        while self.is_reading || !sending.is_empty() {
            tokio::select! {
                Some(batch) = sending.join_next() => {
                    let (numbers, outcome): (Vec<u64>, Result<(), SendFailure>) =
                        batch.context("sending failed")?;
                    self.record(&numbers, outcome);
                }
                // `recv_many` returns as soon as one line is there, so lines of a slow input are
                // not held back until a batch is full.
                count = lines.recv_many(&mut read, queue.batch()),
                    if self.is_reading && sending.len() < IN_FLIGHT =>
                {
                    self.is_reading = count > 0;
                    let (numbers, events) = self.accept(read.drain(..));
                    if !events.is_empty() {
                        let queue = queue.clone();
                        sending.spawn(async move { (numbers, queue.send(&events).await) });
                    }
                }
            }
        }
        Ok(())
    }

    /// Tells whether every line was read, and every event was sent.
    pub(super) fn is_complete(&self) -> bool {
        self.stopped.is_none() && self.unreadable.is_none()
    }

    /// Returns the failure to read or to send, if there is one.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self {
            name,
            progress: _,
            is_reading: _,
            sent: _,
            rejected,
            stopped,
            unreadable,
        } = self;
        if let Some((line, cause)) = stopped {
            return Err(stopped_at(line, &name, cause));
        }
        if let Some(error) = unreadable {
            return Err(anyhow!(error).context(format!("cannot read {name}")));
        }
        if rejected > 0 {
            bail!(
                "lines left out: {rejected}; fix them and send the file again, since events are idempotent"
            );
        }
        Ok(())
    }
}

/// Returns the error of a line that could not be sent.
pub(super) fn stopped_at(line: u64, name: &str, cause: anyhow::Error) -> anyhow::Error {
    let advice = "send the file again, since events are idempotent";
    cause.context(format!("stopped at line {line} of {name}: {advice}"))
}
