//! A scan of a dead-letter queue.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use indicatif::ProgressBar;
use muster_service::aws::sqs_send::Queue;
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};
use url::Url;

use super::{
    EMPTY_RECEIVES, Mode, VISIBILITY_TIMEOUT,
    dead_letters::{DeadLetter, DeadLetterQueue, EventSummary, printable},
    edit::{Edited, Editor},
};
use crate::{
    commands::{CALL_TIMEOUT, tickets::ticket_queue},
    output::{self, WriteError},
};

/// A listener for Ctrl-C, from its creation on.
struct Interrupt(JoinHandle<io::Result<()>>);

impl Interrupt {
    fn listen() -> Self {
        Self(tokio::spawn(tokio::signal::ctrl_c()))
    }

    fn has_come(&self) -> bool {
        self.0.is_finished()
    }
}

/// The selection of dead letters.
struct Filter {
    reason: Option<String>,
    /// Hashes of the bodies that were sent. A collision only leaves a message in the queue.
    sent: HashSet<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Match {
    Selected,
    OtherReason,
    /// The body was sent by this command. It was rejected again, or the queue has two copies.
    /// Sending it again could loop forever.
    AlreadyRedriven,
}

fn hash(body: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

impl Filter {
    fn of(&self, body: &str, reason: &str) -> Match {
        if self.sent.contains(&hash(body)) {
            Match::AlreadyRedriven
        } else if self
            .reason
            .as_ref()
            .is_some_and(|wanted| !reason.contains(wanted))
        {
            Match::OtherReason
        } else {
            Match::Selected
        }
    }
}

/// A scan of a dead-letter queue, until every message was seen.
pub(super) struct Scan {
    pub(super) dead_letters: DeadLetterQueue,
    filter: Filter,
    /// The receipts of the messages that are left in the queue, by message id.
    hidden: HashMap<String, String>,
    /// Whether a message was selected.
    pub(super) any: bool,
    /// The number of messages that were sent, or shown.
    done: u64,
    other_reason: u64,
    already_redriven: u64,
    /// The number of messages that were left because the edited text is unchanged.
    unchanged: u64,
    /// The number of messages that were left because the function would reject the edited body.
    pub(super) invalid: u64,
    pub(super) progress: ProgressBar,
}

impl Scan {
    pub(super) fn new(
        dead_letters: DeadLetterQueue,
        reason: Option<String>,
        progress: ProgressBar,
    ) -> Self {
        Self {
            dead_letters,
            filter: Filter {
                reason,
                sent: HashSet::new(),
            },
            hidden: HashMap::new(),
            any: false,
            done: 0,
            other_reason: 0,
            already_redriven: 0,
            unchanged: 0,
            invalid: 0,
            progress,
        }
    }

    /// Receives every message once, and processes the selected ones.
    ///
    /// SQS has no cursor. A message that is left becomes visible again after the visibility
    /// timeout, among messages that were not seen yet, and the scan hides it again.
    ///
    /// # Errors
    /// A call fails, the user interrupts, or messages become visible again faster than the scan
    /// reaches the others: then the scan would never end.
    pub(super) async fn run(&mut self, mode: &Mode, limit: Option<u64>) -> anyhow::Result<()> {
        // An interrupt takes effect between two batches, so that a batch is sent and deleted as a
        // whole.
        let mut interrupt = Interrupt::listen();
        // Counters since the last message that was new.
        let (mut empty_receives, mut seen_again) = (0, 0);
        loop {
            let room = limit.map_or(u64::MAX, |limit| limit - self.handled());
            if room == 0 {
                return Ok(());
            }
            ensure!(
                !interrupt.has_come(),
                "interrupted: the other dead letters are left as they were"
            );
            let letters = self.dead_letters.receive(room.min(mode.batch())).await?;
            if letters.is_empty() {
                empty_receives += 1;
                if empty_receives == EMPTY_RECEIVES {
                    return Ok(());
                }
                continue;
            }
            let (again, new): (Vec<_>, Vec<_>) = letters
                .into_iter()
                .partition(|letter| self.hidden.contains_key(&letter.id));
            for letter in &again {
                self.keep_hidden(letter);
            }
            if new.is_empty() {
                seen_again += again.len();
                let hidden = self.hidden.len();
                ensure!(
                    seen_again <= 2 * hidden,
                    "cannot scan the queue to its end: {hidden} dead letters that are left become visible too soon; redrive \
                     some of them first, with --limit, and run this again"
                );
                continue;
            }
            (empty_receives, seen_again) = (0, 0);
            let selected = self.select(new);
            self.any |= !selected.is_empty();
            match mode {
                Mode::Show { json } => self.show(&selected, *json)?,
                Mode::Send {
                    queue,
                    editor: None,
                    ..
                } => {
                    let unchanged = |letter: DeadLetter| (letter.body.clone(), letter);
                    self.send(queue, selected.into_iter().map(unchanged).collect())
                        .await?;
                }
                Mode::Send {
                    queue,
                    editor: Some(editor),
                    ..
                } => {
                    for letter in selected {
                        self.edit(queue, editor, letter).await?;
                    }
                    // The terminal sends Ctrl-C to the editor too, and the editor can handle it.
                    // Only a later Ctrl-C interrupts the scan.
                    interrupt = Interrupt::listen();
                }
            }
        }
    }

    /// Returns the selected messages, and keeps the others hidden.
    fn select(&mut self, letters: Vec<DeadLetter>) -> Vec<DeadLetter> {
        let mut selected = Vec::new();
        for letter in letters {
            match self.filter.of(&letter.body, &letter.reason) {
                Match::Selected => selected.push(letter),
                Match::OtherReason => {
                    self.other_reason += 1;
                    self.keep_hidden(&letter);
                }
                Match::AlreadyRedriven => {
                    self.already_redriven += 1;
                    self.keep_hidden(&letter);
                }
            }
        }
        selected
    }

    /// Returns the number of messages that count towards the limit.
    fn handled(&self) -> u64 {
        self.done + self.unchanged + self.invalid
    }

    fn keep_hidden(&mut self, letter: &DeadLetter) {
        self.hidden
            .insert(letter.id.clone(), letter.receipt.clone());
    }

    fn show(&mut self, letters: &[DeadLetter], json: bool) -> Result<(), WriteError> {
        for letter in letters {
            self.keep_hidden(letter);
        }
        output::write(|out| {
            for letter in letters {
                let about = EventSummary::of(&letter.body);
                if json {
                    writeln!(out, "{}", letter.describe(&about))?;
                } else {
                    if self.done == 0 {
                        let (event, organization, about) = ("EVENT", "ORGANIZATION", "ABOUT");
                        writeln!(
                            out,
                            "{event:36}  {organization:16}  {about:44}  {:>8}  REASON",
                            "RECEIVES"
                        )?;
                    }
                    let EventSummary {
                        event,
                        organization,
                        subject,
                    } = about;
                    let (event, organization) = (printable(&event), printable(&organization));
                    let (subject, reason) = (printable(&subject), printable(&letter.reason));
                    writeln!(
                        out,
                        "{event:36}  {organization:16}  {subject:44}  {:>8}  {reason}",
                        letter.receives
                    )?;
                }
                self.done += 1;
            }
            Ok(())
        })
    }

    /// Opens the editor on a message, and sends the edited body in its place.
    ///
    /// # Errors
    /// The editor fails, or the queue does not accept the body. The message then stays in the
    /// queue.
    async fn edit(
        &mut self,
        queue: &Queue,
        editor: &Editor,
        letter: DeadLetter,
    ) -> anyhow::Result<()> {
        // `make_visible` releases the message at the end of the command, unless it is deleted.
        self.keep_hidden(&letter);
        let EventSummary {
            event: _,
            organization,
            subject,
        } = EventSummary::of(&letter.body);
        let subject = subject.unwrap_or_else(|| "event".to_owned());
        let title = format!(
            "{} of organization {}",
            printable(&subject),
            printable(&organization)
        );
        let notes = [
            format!("Dead letter: {title}"),
            format!("Reason: {}", printable(&letter.reason)),
            "Save and close to send the edited body. Close without a change to leave the dead letter.".to_owned(),
            "Lines at the top that begin with # are removed.".to_owned(),
        ];
        // SQS hides a message for at most 12 hours after its receive. Amazon SQS Developer Guide,
        // "Amazon SQS visibility timeout":
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
        let hide = async || {
            let receipts: Vec<_> = self.hidden.values().cloned().collect();
            // A failure is harmless: another consumer may receive the message, and messages are
            // idempotent.
            if let Err(error) = self.dead_letters.hide(&receipts, VISIBILITY_TIMEOUT).await {
                output::note(format_args!(
                    "note: other consumers may receive this dead letter: {error:#}"
                ));
            }
        };
        let stopped = "stopped: this dead letter and the later ones are left as they were";
        match repeat_during(
            VISIBILITY_TIMEOUT / 2,
            editor.edit(&notes, &letter.body),
            hide,
        )
        .await
        .context(stopped)?
        {
            Edited::Unchanged => self.unchanged += 1,
            Edited::Invalid { reason, file } => {
                self.invalid += 1;
                output::note(format_args!(
                    "{title} is left: {reason}; the edited text is in {}",
                    file.display()
                ));
            }
            Edited::Valid { body, folder } => {
                self.hidden.remove(&letter.id);
                // A second message with the same original body is left, as it is without the
                // editor.
                self.filter.sent.insert(hash(&letter.body));
                if let Err(error) = self.send(queue, vec![(body, letter)]).await {
                    let kept = folder.keep();
                    return Err(error.context(format!("the edited text is in {}", kept.display())));
                }
            }
        }
        Ok(())
    }

    /// Sends these bodies, and deletes the messages that the queue accepted.
    async fn send(
        &mut self,
        queue: &Queue,
        letters: Vec<(String, DeadLetter)>,
    ) -> anyhow::Result<()> {
        let (messages, letters): (Vec<_>, Vec<_>) = letters
            .into_iter()
            .map(|(body, letter)| {
                (
                    ticket_queue::with_message_group(body, letter.group.clone()),
                    letter,
                )
            })
            .unzip();
        let not_sent = queue
            .send(&messages, Instant::now() + CALL_TIMEOUT)
            .await
            .err();
        let is_sent = |at: usize| {
            not_sent
                .as_ref()
                .is_none_or(|error| !error.messages.contains(&at))
        };
        let sent: Vec<_> = letters
            .iter()
            .enumerate()
            .filter(|(at, _)| is_sent(*at))
            .map(|(_, letter)| letter)
            .collect();
        self.done += sent.len() as u64;
        let deleted = self.dead_letters.delete(&sent).await;
        for (at, letter) in letters.iter().enumerate() {
            if !is_sent(at) {
                self.keep_hidden(letter);
            }
        }
        self.filter
            .sent
            .extend(messages.iter().map(|message| hash(&message.body)));
        self.progress
            .set_message(format!("{} sent again", self.done));
        self.progress.tick();
        if let Some(error) = not_sent {
            return Err(
                anyhow!(error).context("stopped: the other dead letters are left as they were")
            );
        }
        deleted.map_err(|error| {
            let advice = "run this again, since messages are idempotent";
            error.context(format!(
                "stopped: some dead letters were sent but not deleted; {advice}"
            ))
        })
    }

    /// Makes the messages that are left visible to other consumers. After a failure they become
    /// visible by their timeout.
    pub(super) async fn make_visible(&mut self) {
        let receipts: Vec<_> = self.hidden.drain().map(|(_, receipt)| receipt).collect();
        if let Err(error) = self.dead_letters.hide(&receipts, Duration::ZERO).await {
            let minutes = VISIBILITY_TIMEOUT.as_secs() / 60;
            output::note(format_args!(
                "note: other consumers receive the dead letters that are left only after {minutes} minutes: {error:#}"
            ));
        }
    }

    /// Returns the summary of `--json`.
    pub(super) fn document(&self, to: &Url, limit: Option<u64>) -> Value {
        json!({
            "sent": self.done,
            "from": self.dead_letters.url.as_str(),
            "to": to.as_str(),
            "left": {
                "other_reason": self.other_reason,
                "already_redriven": self.already_redriven,
                "unchanged": self.unchanged,
                "invalid": self.invalid,
            },
            "limit_reached": limit == Some(self.handled()),
        })
    }

    pub(super) fn summary(&self, to: &Url, limit: Option<u64>) -> String {
        let Self {
            dead_letters: DeadLetterQueue { url: from, .. },
            done,
            other_reason,
            already_redriven,
            unchanged,
            invalid,
            ..
        } = self;
        let letters = if *done == 1 {
            "dead letter"
        } else {
            "dead letters"
        };
        let mut sentences = vec![format!("Sent {done} {letters} again, from {from} to {to}.")];
        if *other_reason > 0 {
            sentences.push(format!(
                "Left because the reason does not match: {other_reason}."
            ));
        }
        if *already_redriven > 0 {
            sentences.push(format!(
                "Left because they were rejected again, or are duplicates: {already_redriven}."
            ));
        }
        if *unchanged > 0 {
            sentences.push(format!("Left unchanged: {unchanged}."));
        }
        if *invalid > 0 {
            sentences.push(format!(
                "Left because the edited body is not valid: {invalid}."
            ));
        }
        if limit == Some(self.handled()) {
            sentences.push("The limit is reached; there may be more.".to_owned());
        }
        sentences.join(" ")
    }
}

/// Waits for `work`, and calls `call` once in each period meanwhile.
async fn repeat_during<T>(
    period: Duration,
    work: impl Future<Output = T>,
    mut call: impl AsyncFnMut(),
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(period, &mut work).await {
            Ok(done) => return done,
            Err(_) => call().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_sent_before_is_already_redriven() {
        let mut filter = Filter {
            reason: Some("status".to_owned()),
            sent: HashSet::new(),
        };
        assert_eq!(
            filter.of("a", "data.ticket.status: must be one of new"),
            Match::Selected
        );
        assert_eq!(filter.of("a", "received too often"), Match::OtherReason);
        filter.sent.insert(hash("a"));
        assert_eq!(
            filter.of("a", "data.ticket.status: must be one of new"),
            Match::AlreadyRedriven
        );
        assert_eq!(
            filter.of("b", "data.ticket.status: must be one of new"),
            Match::Selected
        );
        filter.reason = None;
        assert_eq!(filter.of("b", "received too often"), Match::Selected);
    }

    #[tokio::test]
    async fn call_is_repeated_until_the_work_ends() {
        let (mut calls, period) = (0, Duration::from_millis(1));
        let work = tokio::time::sleep(Duration::from_millis(50));
        repeat_during(period, work, async || calls += 1).await;
        assert!(calls >= 2, "{calls}");
        repeat_during(Duration::from_mins(1), async {}, async || {
            panic!("the work ended before")
        })
        .await;
    }
}
