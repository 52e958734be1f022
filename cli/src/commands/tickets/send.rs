//! `muster tickets send`.

use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use tokio::task::JoinSet;

use super::{
    destination::{Failed, Opened},
    lines::{self, Line},
};
use crate::{
    args::{Destination, TicketsSend},
    output,
};

/// How many calls are under way at once.
const IN_FLIGHT: usize = 16;

/// Sends the events of a file. What is read of it at once is bounded, whatever its size.
///
/// # Errors
/// The file cannot be read, the queue does not take them, or some lines were bad (the others are
/// sent).
pub async fn send(TicketsSend { file, to }: TicketsSend) -> anyhow::Result<()> {
    let (mut lines, progress) = lines::read(&file)?;
    let name = lines::name(&file);
    let queue = Opened::new(&to).await?;
    let began = Instant::now();
    let mut sending = JoinSet::new();
    let mut read = Vec::new();
    let (mut sent, mut refused) = (0_u64, 0_u64);
    // The first line that was not sent, and why. Nothing is read after it.
    let mut stopped: Option<(u64, anyhow::Error)> = None;
    let mut unreadable = None;
    let mut reading = true;
    while reading || !sending.is_empty() {
        tokio::select! {
            Some(batch) = sending.join_next() => {
                let (numbers, outcome): (Vec<u64>, Result<(), Failed>) = batch.context("sending failed")?;
                let failed = outcome.err();
                let failures = failed.as_ref().map_or(0, |failed| failed.events.len());
                sent += (numbers.len() - failures) as u64;
                progress.set_message(format!("{sent} events"));
                if let Some(Failed { events, cause }) = failed {
                    reading = false;
                    let first = events.iter().map(|&event| numbers[event]).min().unwrap_or_default();
                    if stopped.as_ref().is_none_or(|(line, _)| first < *line) {
                        stopped = Some((first, cause));
                    }
                }
            }
            // As many as there are: lines that come slowly are sent as they come.
            count = lines.recv_many(&mut read, queue.batch()), if reading && sending.len() < IN_FLIGHT => {
                reading = count > 0;
                let (mut numbers, mut events) = (Vec::with_capacity(count), Vec::with_capacity(count));
                for line in read.drain(..) {
                    match line {
                        Ok(Line { number, event: Ok(event) }) => {
                            numbers.push(number);
                            events.push(event);
                        }
                        Ok(Line { number, event: Err(why) }) => {
                            refused += 1;
                            progress.suspend(|| output::note(format_args!("{name}:{number}: {why}")));
                        }
                        Err(error) => unreadable = Some(error),
                    }
                }
                if !events.is_empty() {
                    let queue = queue.clone();
                    sending.spawn(async move { (numbers, queue.send(&events).await) });
                }
            }
        }
    }
    progress.finish_and_clear();
    let complete = stopped.is_none() && unreadable.is_none();
    // A failure to send is reported rather than a failure to print this.
    let printed = if sent > 0 || complete {
        output::line(summary(sent, &to, began))
    } else {
        Ok(())
    };
    if let Some((line, cause)) = stopped {
        let advice = "send it again, since an event that comes twice changes nothing";
        return Err(cause.context(format!("stopped at line {line} of {name}: {advice}")));
    }
    if let Some(error) = unreadable {
        return Err(anyhow!(error).context(format!("could not read {name}")));
    }
    if refused > 0 {
        bail!(
            "lines left out: {refused}; mend them and send the file again, which does no harm to the rest"
        );
    }
    Ok(printed?)
}

fn summary(sent: u64, to: &Destination, began: Instant) -> String {
    let took = began.elapsed();
    let rate = u128::from(sent) * 1000 / took.as_millis().max(1);
    let events = if sent == 1 { "event" } else { "events" };
    format!(
        "Sent {sent} {events} to {to} in {:.1} s, {rate} a second.",
        took.as_secs_f64()
    )
}
