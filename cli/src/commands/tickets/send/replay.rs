//! Sending of events at the pace of their own times.

use std::{io, time::Duration};

use indicatif::ProgressBar;
use muster_domain::Timestamp;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::checked::CheckedEvent;
use crate::commands::tickets::ticket_queue::{SendFailure, TicketQueue};

/// The range of the factor of `--speed`.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.1..=1_000_000.0;

/// Parses the factor of `--speed`.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor| SPEEDS.contains(factor));
    factor.ok_or_else(|| "a speed is a number from 0.1 to 1000000, such as 600".to_owned())
}

/// The end of a replay.
#[derive(Debug)]
pub(super) enum ReplayEnd {
    Complete,
    Interrupted,
    /// The queue did not accept the event of this line, and perhaps later ones of its batch.
    Failed(u64, anyhow::Error),
}

/// Returns the time of an event: its `time`, else its `updated_at`.
fn time_of(event: &CheckedEvent) -> Timestamp {
    let version = &event.event.version;
    version.time.unwrap_or(version.at)
}

/// Sorts events by their times. Events of equal times stay in their order.
pub(super) fn sort(events: &mut [CheckedEvent]) {
    events.sort_by_key(time_of);
}

/// Returns the time after the start at which each of the sorted events is due.
fn due_times(events: &[CheckedEvent], speed: f64) -> Vec<Duration> {
    let Some(first) = events.first().map(time_of) else {
        return Vec::new();
    };
    let due = |event| time_of(event).since(first).div_f64(speed);
    events.iter().map(due).collect()
}

/// Sends sorted events, each when it is due. Returns the number of events that were sent.
///
/// An event is never early. If the queue is slower than the pace, the events are late, and the next
/// batches are full.
pub(super) async fn replay(
    events: &[CheckedEvent],
    speed: f64,
    queue: &TicketQueue,
    progress: &ProgressBar,
    interrupt: &mut JoinHandle<io::Result<()>>,
) -> (usize, ReplayEnd) {
    let due = due_times(events, speed);
    let began = Instant::now();
    let mut sent = 0;
    while let Some(next) = due.get(sent) {
        progress.set_position(sent as u64);
        progress.set_message(time_of(&events[sent]).iso8601());
        tokio::select! {
            biased;
            _ = &mut *interrupt => return (sent, ReplayEnd::Interrupted),
            () = sleep_until(began + *next) => {}
        }
        let elapsed = began.elapsed();
        let ready = due[sent..].iter().take(queue.batch());
        // The timer can end a moment before the due time.
        let ready = ready.take_while(|due| **due <= elapsed).count().max(1);
        let batch = &events[sent..sent + ready];
        let bodies: Vec<_> = batch.iter().map(|event| event.body.clone()).collect();
        if let Err(SendFailure { events, cause }) = queue.send(&bodies).await {
            let first = events.into_iter().min().unwrap_or(0);
            return (sent + first, ReplayEnd::Failed(batch[first].line, cause));
        }
        sent += ready;
    }
    (sent, ReplayEnd::Complete)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::checked::tests::event, *};

    fn updated(line: u64, at: &str) -> CheckedEvent {
        event(
            line,
            "INC-1",
            "ticket.updated",
            at,
            json!({ "status": "open" }),
        )
    }

    #[test]
    fn events_are_due_by_their_times_and_the_speed() {
        let mut events = [
            updated(1, "2026-03-02T09:10:00Z"),
            updated(2, "2026-03-02T09:00:00Z"),
            updated(3, "2026-03-02T09:00:00Z"),
            updated(4, "2026-03-02T10:00:00Z"),
        ];
        sort(&mut events);
        let lines: Vec<_> = events.iter().map(|event| event.line).collect();
        assert_eq!(lines, [2, 3, 1, 4]);
        let due = due_times(&events, 600.0);
        assert_eq!(due, [0, 0, 1, 6].map(Duration::from_secs));
        assert_eq!(due_times(&events, 0.5)[3], Duration::from_hours(2));
        assert!(due_times(&[], 1.0).is_empty());
    }

    #[test]
    fn speed_outside_its_range_is_rejected() {
        assert_eq!(speed("600"), Ok(600.0));
        assert_eq!(speed("0.5"), Ok(0.5));
        for text in ["", "x", "0", "-1", "NaN", "inf", "1e7"] {
            assert!(speed(text).is_err(), "{text}");
        }
    }
}
