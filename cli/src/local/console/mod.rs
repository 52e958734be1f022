//! The console of `muster dev`: one line for each request, decision, announcement and dead letter.
//!
//! The parts of the stack report events to a bounded channel, and never wait for it. The
//! [`ConsolePrinter`] adds the names of teams and users, and a thread of its own writes the lines.
//! So a slow or closed standard output delays no request. Lines over the bound are dropped and
//! counted.

mod announcement;
mod decision;
mod entry;
mod names;
mod printer;
mod request;
mod text;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde_json::Value;
use tokio::sync::mpsc;

pub(super) use entry::DeadLetter;
pub use printer::{ConsoleFormat, ConsolePrinter};
use request::RequestSummary;
pub(super) use request::observe;

/// The most events that wait for the printer.
const MAX_EVENTS: usize = 4096;

/// The place where the parts of a stack report events. The default drops them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Console(Option<Reporter>);

#[derive(Debug, Clone)]
struct Reporter {
    events: mpsc::Sender<ConsoleEvent>,
    dropped: DroppedCount,
}

/// The number of events and lines that were dropped and not yet reported.
#[derive(Debug, Clone, Default)]
struct DroppedCount(Arc<AtomicU64>);

/// The events of a [`Console`], for the [`ConsolePrinter`].
#[derive(Debug)]
pub struct ConsoleEvents {
    events: mpsc::Receiver<ConsoleEvent>,
    dropped: DroppedCount,
}

/// An event in the stack.
#[derive(Debug)]
pub(super) enum ConsoleEvent {
    /// A request to the API received its response.
    Request(RequestSummary),
    /// A record of the table's stream, as the functions receive it.
    Change(Value),
    /// An announcement on the bus: an event in the JSON of `CloudEvents`.
    Announcement(String),
    /// A message arrived in a dead-letter queue.
    DeadLetter(DeadLetter),
    /// The stack ends, and no event follows.
    End,
}

impl Console {
    /// Returns a console and its events.
    #[must_use]
    pub fn channel() -> (Self, ConsoleEvents) {
        let (sender, events) = mpsc::channel(MAX_EVENTS);
        let dropped = DroppedCount::default();
        let reporter = Reporter {
            events: sender,
            dropped: dropped.clone(),
        };
        (Self(Some(reporter)), ConsoleEvents { events, dropped })
    }

    /// Tells whether the console has a receiver.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Reports an event without waiting. `event` is not called if the console is off.
    pub(super) fn report(&self, event: impl FnOnce() -> ConsoleEvent) {
        if let Some(Reporter { events, dropped }) = &self.0
            && let Err(mpsc::error::TrySendError::Full(_)) = events.try_send(event())
        {
            dropped.add(1);
        }
    }
}

impl DroppedCount {
    fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns the count and resets it.
    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}
