//! `muster tickets send`.

use std::{io, path::PathBuf, time::Instant};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::{
    event_lines::{self, EventLine},
    queue_address::{QueueAddress, or_local_stack, queue_address},
    ticket_queue::{SendFailure, TicketQueue},
};
use crate::output;

/// The maximum number of concurrent calls.
const IN_FLIGHT: usize = 16;

/// `muster tickets send`
#[derive(Debug, Args)]
pub struct Send {
    /// File to read; - is standard input
    #[arg(value_name = "FILE.jsonl")]
    pub file: PathBuf,
    /// Ticket queue: the address of `muster dev`, such as http://127.0.0.1:3000, or an SQS queue's
    /// URL (sqs.REGION.amazonaws.com/ACCOUNT/NAME), by the usual AWS environment [default:
    /// MUSTER_URL, or the running `muster dev`]
    #[arg(long, value_name = "URL", value_parser = queue_address)]
    pub to: Option<QueueAddress>,
}

impl Send {
    /// Sends the events of the file. Memory is bounded, however long the file is.
    ///
    /// # Errors
    /// The file cannot be read, the queue does not accept the events, or some lines are not JSON
    /// (the others are sent).
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self { file, to } = self;
        let (mut lines, progress) = event_lines::read(&file)?;
        let to = or_local_stack(to, "--to").await?;
        let queue = TicketQueue::new(&to).await?;
        let began = Instant::now();
        let mut transfer = Transfer::new(event_lines::name(&file), progress);
        let (mut sending, mut read) = (JoinSet::new(), Vec::new());
        while transfer.is_reading || !sending.is_empty() {
            tokio::select! {
                Some(batch) = sending.join_next() => {
                    let (numbers, outcome): (Vec<u64>, Result<(), SendFailure>) =
                        batch.context("sending failed")?;
                    transfer.record(&numbers, outcome);
                }
                // `recv_many` returns as soon as one line is there, so lines of a slow input are
                // not held back until a batch is full.
                count = lines.recv_many(&mut read, queue.batch()),
                    if transfer.is_reading && sending.len() < IN_FLIGHT =>
                {
                    transfer.is_reading = count > 0;
                    let (numbers, events) = transfer.accept(read.drain(..));
                    if !events.is_empty() {
                        let queue = queue.clone();
                        sending.spawn(async move { (numbers, queue.send(&events).await) });
                    }
                }
            }
        }
        transfer.finish(&to, began)
    }
}

/// The state of a file that is sent.
struct Transfer {
    /// The name of the file, for messages.
    name: String,
    progress: ProgressBar,
    is_reading: bool,
    /// The number of events that were sent.
    sent: u64,
    /// The number of lines that are not events.
    rejected: u64,
    /// The first line that was not sent, and the cause. Reading stops there.
    stopped: Option<(u64, anyhow::Error)>,
    unreadable: Option<io::Error>,
}

impl Transfer {
    fn new(name: String, progress: ProgressBar) -> Self {
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

    /// Prints the summary. A failure to send takes precedence over a failure to print.
    fn finish(self, to: &QueueAddress, began: Instant) -> anyhow::Result<()> {
        let Self {
            name,
            progress,
            is_reading: _,
            sent,
            rejected,
            stopped,
            unreadable,
        } = self;
        progress.finish_and_clear();
        let complete = stopped.is_none() && unreadable.is_none();
        let printed = if sent > 0 || complete {
            output::line(summary(sent, to, began))
        } else {
            Ok(())
        };
        if let Some((line, cause)) = stopped {
            let advice = "send the file again, since events are idempotent";
            return Err(cause.context(format!("stopped at line {line} of {name}: {advice}")));
        }
        if let Some(error) = unreadable {
            return Err(anyhow!(error).context(format!("cannot read {name}")));
        }
        if rejected > 0 {
            bail!(
                "lines left out: {rejected}; fix them and send the file again, since events are idempotent"
            );
        }
        Ok(printed?)
    }
}

fn summary(sent: u64, to: &QueueAddress, began: Instant) -> String {
    let took = began.elapsed();
    let rate = u128::from(sent) * 1000 / took.as_millis().max(1);
    let events = if sent == 1 { "event" } else { "events" };
    format!(
        "Sent {sent} {events} to {to} in {:.1} s, {rate} a second.",
        took.as_secs_f64()
    )
}
