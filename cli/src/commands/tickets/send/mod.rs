//! `muster tickets send`.

mod checked;
mod rejected;
mod replay;
mod summary;
mod transfer;
mod wait;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{anyhow, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use muster_service::store::Table;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle};

use self::{
    checked::CheckedEvent,
    rejected::RejectedEvents,
    replay::ReplayEnd,
    summary::{Names, Sums},
    transfer::Transfer,
    wait::Waited,
};
use super::{
    event_lines::{self, EventLine},
    queue_address::{QueueAddress, or_local_stack, queue_address},
    ticket_queue::TicketQueue,
};
use crate::{
    commands::{CALL_TIMEOUT, TableTarget, target::TableLocation},
    output,
};

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
    /// Check the whole file first, wait until the events are processed, and sum up the tickets
    ///
    /// No event is sent if one has a fault. The command reads each ticket from the table until it
    /// has the version of its last event: rounds of up to 500 tickets, with growing pauses. If
    /// tickets do not arrive, it reads the dead-letter queue of the ticket queue. The sums name the
    /// assigned tickets by team and person, the waiting, unrouted and closed ones, the dead letters
    /// with their reasons, and the tickets that are not processed. The exit code is 1 if there are
    /// such tickets or dead letters. Ctrl-C ends the wait.
    #[arg(long)]
    pub wait: bool,
    /// Maximum time to wait after the last event is sent
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "wait", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// Replay the events by their own times, this much faster: 600 replays a day in 144 seconds
    ///
    /// The whole file is checked and sorted by the times of the events: "time", else "updated_at".
    /// The first event is sent at once. The times stay as they are, so events more than 5 minutes
    /// ahead of the clock are faults. Ctrl-C stops the replay.
    #[arg(long, value_name = "FACTOR", value_parser = replay::speed)]
    pub speed: Option<f64>,
    /// Print the summary as a JSON object
    #[arg(long)]
    pub json: bool,
    /// The table that --wait reads.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Send {
    /// Sends the events of the file. Without --wait and --speed, memory is bounded, however long
    /// the file is.
    ///
    /// # Errors
    /// The file cannot be read, the queue does not accept the events, or some lines are not JSON
    /// (the others are sent). With --wait or --speed: an event has a fault (none is sent), or the
    /// user interrupts. With --wait: the table fails, or an event is not processed in time or
    /// becomes a dead letter.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self {
            file,
            to,
            wait,
            timeout,
            speed,
            json,
            target,
        } = self;
        let (to, location) = if wait {
            let (to, location) = resolve_both(to, target).await?;
            (to, Some(location))
        } else {
            (or_local_stack(to, "--to").await?, None)
        };
        if !wait && speed.is_none() {
            return send_lines(&file, &to, json).await;
        }
        let mut events = checked::read(&file).await?;
        let queue = TicketQueue::new(&to).await?;
        let mut waiter = match location {
            Some(location) => Some(Waiter::new(location, &events, &to).await?),
            None => None,
        };
        let name = event_lines::name(&file);
        let began = Instant::now();
        let mut interrupt = tokio::spawn(tokio::signal::ctrl_c());
        match speed {
            Some(speed) => {
                replay::sort(&mut events);
                replay_events(&events, speed, &queue, &name, &mut interrupt).await?;
            }
            None => send_checked(&events, &queue, &name, &mut interrupt).await?,
        }
        let report = SendReport {
            sent: events.len() as u64,
            to: &to,
            took: began.elapsed(),
        };
        let Some(waiter) = &mut waiter else {
            return Ok(report.print(json, None)?);
        };
        let timeout = Duration::from_secs(timeout);
        let (waited, names) = waiter.wait(&events, timeout, &mut interrupt).await?;
        let printed = report.print(json, Some((&waited, &names)));
        // An event that is not processed takes precedence over a failure to print.
        conclude(&waited)?;
        Ok(printed?)
    }
}

/// Returns the queue, and the table that its function writes.
///
/// # Errors
/// There is no table or no queue, or the queue is of another local stack than the table.
async fn resolve_both(
    to: Option<QueueAddress>,
    target: TableTarget,
) -> anyhow::Result<(QueueAddress, TableLocation)> {
    let location = target.resolve().await?;
    let to = match (to, &location.stack) {
        (Some(to), None) => to,
        (Some(to), Some(stack)) => {
            let is_of_stack =
                matches!(&to, QueueAddress::LocalStack(url) if url.origin() == stack.url.origin());
            ensure!(
                is_of_stack || stack.tickets_queue_url == to.to_string(),
                "{to} is not the queue of the running local stack: name its table with --table, and the endpoint with \
                 --endpoint-url or --aws"
            );
            to
        }
        (None, Some(stack)) => QueueAddress::LocalStack(stack.url.clone()),
        (None, None) => or_local_stack(None, "--to").await?,
    };
    Ok((to, location))
}

/// The reads of --wait.
struct Waiter {
    location: TableLocation,
    table: Table,
    rejected: RejectedEvents,
}

impl Waiter {
    /// Opens the table and checks with one call that it exists, and opens the dead-letter queue.
    async fn new(
        location: TableLocation,
        events: &[CheckedEvent],
        to: &QueueAddress,
    ) -> anyhow::Result<Self> {
        let table = location.table().await?;
        let read = table.until(deadline()).warm_up().await;
        read.map_err(|error| location.explain(error))?;
        Ok(Self {
            location,
            table,
            rejected: RejectedEvents::of(events, to).await,
        })
    }

    /// Waits until the events are processed, and reads the names for the summary.
    async fn wait(
        &mut self,
        events: &[CheckedEvent],
        timeout: Duration,
        interrupt: &mut JoinHandle<io::Result<()>>,
    ) -> anyhow::Result<(Waited, Names)> {
        let Self {
            location,
            table,
            rejected,
        } = self;
        let targets = wait::targets(events);
        let waited = wait::wait(table, targets, rejected, timeout, interrupt).await;
        let waited = waited.map_err(|error| location.explain(error))?;
        let names = Names::read(&table.until(deadline()), &waited.tickets).await;
        let names = names.map_err(|error| location.explain(error))?;
        Ok((waited, names))
    }
}

/// Returns the deadline of one operation on the table.
fn deadline() -> tokio::time::Instant {
    tokio::time::Instant::now() + CALL_TIMEOUT
}

/// Sends the lines of a file as they are read.
async fn send_lines(file: &Path, to: &QueueAddress, json: bool) -> anyhow::Result<()> {
    let (lines, progress) = event_lines::read(file)?;
    let queue = TicketQueue::new(to).await?;
    let began = Instant::now();
    let mut transfer = Transfer::new(event_lines::name(file), progress.clone());
    transfer.run(lines, &queue).await?;
    progress.finish_and_clear();
    let report = SendReport {
        sent: transfer.sent,
        to,
        took: began.elapsed(),
    };
    let printed = if transfer.sent > 0 || transfer.is_complete() {
        report.print(json, None)
    } else {
        Ok(())
    };
    // A failure to send takes precedence over a failure to print.
    transfer.finish()?;
    Ok(printed?)
}

/// Sends events that were checked, in concurrent batches.
async fn send_checked(
    events: &[CheckedEvent],
    queue: &TicketQueue,
    name: &str,
    interrupt: &mut JoinHandle<io::Result<()>>,
) -> anyhow::Result<()> {
    let (sender, lines) = mpsc::channel(events.len().max(1));
    for CheckedEvent {
        line,
        body,
        event: _,
    } in events
    {
        let line = EventLine {
            number: *line,
            event: Ok(body.clone()),
        };
        sender.send(Ok(line)).await?;
    }
    drop(sender);
    let progress = progress_bar(events.len());
    let mut transfer = Transfer::new(name.to_owned(), progress.clone());
    let outcome = tokio::select! {
        biased;
        _ = interrupt => None,
        outcome = transfer.run(lines, queue) => Some(outcome),
    };
    progress.finish_and_clear();
    match outcome {
        Some(outcome) => outcome.and_then(|()| transfer.finish()),
        // Some of the events in flight can be sent as well.
        None => Err(interrupted(transfer.sent, events.len())),
    }
}

/// Returns the error of a command that the user interrupted before all events were sent.
fn interrupted(sent: u64, events: usize) -> anyhow::Error {
    anyhow!(
        "interrupted: {sent} of {events} events were sent; send the file again, since events are idempotent"
    )
}

/// Replays sorted events.
async fn replay_events(
    events: &[CheckedEvent],
    speed: f64,
    queue: &TicketQueue,
    name: &str,
    interrupt: &mut JoinHandle<io::Result<()>>,
) -> anyhow::Result<()> {
    let progress = progress_bar(events.len());
    let (sent, end) = replay::replay(events, speed, queue, &progress, interrupt).await;
    progress.finish_and_clear();
    match end {
        ReplayEnd::Complete => Ok(()),
        ReplayEnd::Interrupted => Err(interrupted(sent as u64, events.len())),
        ReplayEnd::Failed(line, cause) => Err(transfer::stopped_at(line, name, cause)),
    }
}

fn progress_bar(events: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} events  {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(events as u64).with_style(style)
}

/// Returns an error if a ticket is not processed.
fn conclude(waited: &Waited) -> anyhow::Result<()> {
    let (rejected, pending) = (waited.rejected.len(), waited.pending.len());
    ensure!(
        rejected == 0,
        "tickets with dead letters: {rejected}, tickets that are not processed: {pending}; fix the cause, and run `muster \
         tickets redrive`"
    );
    ensure!(
        pending == 0,
        "tickets that are not processed: {pending}; wait longer with --timeout, and check that the table is that of the \
         queue"
    );
    Ok(())
}

/// The number of events that were sent, and the time that it took.
struct SendReport<'a> {
    sent: u64,
    to: &'a QueueAddress,
    took: Duration,
}

impl SendReport<'_> {
    /// Prints the summary, with the sums of a wait.
    fn print(
        &self,
        json: bool,
        waited: Option<(&Waited, &Names)>,
    ) -> Result<(), output::WriteError> {
        let Self { sent, to, took } = self;
        let sums = waited.map(|(waited, names)| (Sums::of(waited), names, waited.took));
        if json {
            let mut document =
                json!({ "sent": sent, "to": to.to_string(), "seconds": took.as_secs_f64() });
            document["tickets"] = sums.map_or(Value::Null, |(sums, names, took)| {
                sums.document(names, took)
            });
            return output::line(document);
        }
        let rate = u128::from(*sent) * 1000 / took.as_millis().max(1);
        let events = if *sent == 1 { "event" } else { "events" };
        let text = sums.map(|(sums, names, took)| sums.text(names, took));
        output::line(format_args!(
            "Sent {sent} {events} to {to} in {:.1} s, {rate} a second.{}{}",
            took.as_secs_f64(),
            if text.is_some() { "\n\n" } else { "" },
            text.as_deref().unwrap_or_default().trim_end()
        ))
    }
}
