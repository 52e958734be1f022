//! `muster tickets redrive`.

mod dead_letters;
mod edit;

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use aws_sdk_sqs::{Client, config};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use muster_service::aws::sqs_send::Queue;
use tokio::{task::JoinHandle, time::Instant};
use url::Url;

use self::{
    dead_letters::{DeadLetter, DeadLetterQueue, EventSummary, printable},
    edit::{Edited, Editor},
};
use super::{
    queue_address::{QueueAddress, queue_address},
    sqs_client,
    ticket_queue::{self, QueueLocation},
};
use crate::{
    commands::CALL_TIMEOUT,
    emulator,
    output::{self, WriteError},
};

/// How long others do not see what is looked at here: longer than a scan at what a queue may have
/// in flight, and short enough to wait for when this is killed.
const VISIBILITY_TIMEOUT: Duration = Duration::from_mins(5);

/// How many receives that bring nothing say that nothing is left. SQS may overlook something in
/// one.
const EMPTY_RECEIVES: u32 = 3;

/// What to do without credentials for AWS.
const LOCAL_STACK_HINT: &str = "look at a local stack: start `muster dev`, and leave out --from";

/// `muster tickets redrive`
#[derive(Debug, Args)]
pub struct Redrive {
    /// The dead letters: an SQS queue's URL, by the usual AWS environment; or the address of
    /// `muster dev`, for those of its ticket queue
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000", value_parser = queue_address)]
    pub from: QueueAddress,
    /// Where to, in the same way [default: the queue whose dead letters they are, as SQS knows it]
    #[arg(long, value_name = "URL", value_parser = queue_address)]
    pub to: Option<QueueAddress>,
    /// Only those whose reason has this text in it; the reason of what failed is "received too
    /// often"
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Show them and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Edit the body of each before it is sent, with the command in VISUAL or EDITOR
    ///
    /// The function's own parser checks the edited body. Then the body is sent, and that dead
    /// letter is deleted. A dead letter whose body is unchanged or not valid stays. The command
    /// ends when the editor fails, as vi does after :cq.
    #[arg(long, conflicts_with = "dry_run")]
    pub edit: bool,
    /// With --dry-run: print one line of JSON for each, with the whole body
    #[arg(long, requires = "dry_run")]
    pub json: bool,
}

impl Redrive {
    /// Sends dead letters again.
    ///
    /// # Errors
    /// A queue is not there or fails, or somebody interrupts; what was sent until then is sent, and
    /// the rest is left.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            from,
            to,
            reason,
            limit,
            dry_run,
            edit,
            json,
        } = self;
        let editor = edit.then(Editor::from_env).transpose()?;
        let dead_letters = DeadLetterQueue::open(&from).await?;
        let mode = if dry_run {
            Mode::Show { json }
        } else {
            Mode::send(&dead_letters, to.as_ref(), editor).await?
        };
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}");
        // The editor has the terminal for itself.
        let progress = if edit {
            ProgressBar::hidden()
        } else {
            ProgressBar::no_length()
        };
        let progress =
            progress.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let mut scan = Scan {
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
        };
        let outcome = scan.run(&mode, limit).await;
        scan.progress.finish_and_clear();
        scan.make_visible().await;
        let printed = match &mode {
            Mode::Show { .. } => {
                if !scan.any && outcome.is_ok() {
                    output::note(format_args!(
                        "No such dead letters in {}.",
                        scan.dead_letters.url
                    ));
                }
                Ok(())
            }
            Mode::Send { to, .. } => output::line(scan.summary(to, limit)),
        };
        // A failure to send is reported rather than a failure to print the summary.
        outcome?;
        ensure!(
            scan.invalid == 0,
            "dead letters left because their edited bodies are not valid: {}",
            scan.invalid
        );
        Ok(printed?)
    }
}

/// The operation on the dead letters that are selected.
enum Mode {
    Show {
        json: bool,
    },
    Send {
        queue: Queue,
        to: Url,
        /// Changes each body first.
        editor: Option<Editor>,
    },
}

impl Mode {
    /// Prepares to send to the queue at `to`, or else to the source of the dead letters.
    ///
    /// # Errors
    /// The queue is not there, is unknown, or is the one of the dead letters.
    async fn send(
        dead_letters: &DeadLetterQueue,
        to: Option<&QueueAddress>,
        editor: Option<Editor>,
    ) -> anyhow::Result<Self> {
        let (to, config) = match to {
            Some(to) => resolve_queue(to, "--to", |located| located.url).await?,
            // It is where its dead letters are.
            None => (dead_letters.source().await?, dead_letters.config.clone()),
        };
        ensure!(to != dead_letters.url, "--from and --to are the same queue");
        let client = Client::from_conf(config.build());
        sqs_client::attributes(&client, &to).await?;
        Ok(Self::Send {
            queue: Queue::new(client, to.as_str()),
            to,
            editor,
        })
    }

    /// The most letters to receive at once. The editor opens one at a time, and the others stay
    /// visible until their turn.
    fn batch(&self) -> u64 {
        match self {
            Self::Send {
                editor: Some(_), ..
            } => 1,
            Self::Send { editor: None, .. } | Self::Show { .. } => 10,
        }
    }
}

/// Ctrl-C, from the moment that this is made.
struct Interrupt(JoinHandle<io::Result<()>>);

impl Interrupt {
    fn listen() -> Self {
        Self(tokio::spawn(tokio::signal::ctrl_c()))
    }

    fn has_come(&self) -> bool {
        self.0.is_finished()
    }
}

/// A queue's URL, and the configuration of a client for it. A local stack, whose queue `which`
/// chooses, says where the queue is, and nothing that this environment says of AWS is meant for it.
async fn resolve_queue(
    ticket_queue: &QueueAddress,
    option: &str,
    which: fn(QueueLocation) -> String,
) -> anyhow::Result<(Url, config::Builder)> {
    match ticket_queue {
        QueueAddress::LocalStack(address) => {
            let url = Url::parse(&which(ticket_queue::locate_queue(address, option).await?))?;
            let config = emulator::sdk_config(&url.origin().ascii_serialization());
            Ok((url, config::Builder::from(&config)))
        }
        QueueAddress::Queue(url) => Ok((
            url.clone(),
            sqs_client::client_config(url, LOCAL_STACK_HINT).await?,
        )),
    }
}

/// Which dead letters to send again.
struct Filter {
    reason: Option<String>,
    /// Hashes of the bodies that were sent. One whose hash is another's is left, which is all that
    /// comes of it.
    sent: HashSet<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Match {
    Selected,
    OtherReason,
    /// It was sent already, so it is impossible still; or there were two. Sending it again now
    /// might never end.
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

/// A scan through a queue of dead letters, until there is nothing that was not seen.
struct Scan {
    dead_letters: DeadLetterQueue,
    filter: Filter,
    /// The receipts of what was received and is left, by id.
    hidden: HashMap<String, String>,
    /// Whether any were selected.
    any: bool,
    /// How many were sent, or shown.
    done: u64,
    other_reason: u64,
    already_redriven: u64,
    /// How many were left because the edited text is the same.
    unchanged: u64,
    /// How many were left because the function would refuse the edited body.
    invalid: u64,
    progress: ProgressBar,
}

impl Scan {
    /// Receives what there is, and does with what is selected what it is for.
    ///
    /// What is hidden is seen again once its time is up, among what was not seen yet, since SQS keeps
    /// no order. It is hidden again.
    ///
    /// # Errors
    /// Something fails, somebody interrupts, or so much is hidden that it comes again faster than a
    /// scan at all of it takes: then the end is never seen.
    async fn run(&mut self, mode: &Mode, limit: Option<u64>) -> anyhow::Result<()> {
        // Looked at between two batches: one that is begun is finished.
        let mut interrupt = Interrupt::listen();
        // What happened since something new came.
        let (mut empty_receives, mut seen_again) = (0, 0);
        loop {
            let room = limit.map_or(u64::MAX, |limit| limit - self.handled());
            if room == 0 {
                return Ok(());
            }
            ensure!(
                !interrupt.has_come(),
                "interrupted: what was not sent again is left as it was"
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
                    "it is not known whether there are more: {hidden} dead letters that are left come again and again; send \
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
                    // The terminal sends Ctrl-C to the editor too, for which it need not be the
                    // end.
                    interrupt = Interrupt::listen();
                }
            }
        }
    }

    /// Returns the letters that are selected, and holds the others.
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

    /// How many count towards the limit.
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

    /// Opens the editor on a letter, and sends the edited body in place of the letter's own.
    ///
    /// # Errors
    /// The editor fails, or the queue does not accept the body. The letter then stays.
    async fn edit(
        &mut self,
        queue: &Queue,
        editor: &Editor,
        letter: DeadLetter,
    ) -> anyhow::Result<()> {
        // Held from now on, it is visible again at the end of the command unless it is deleted.
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
            "Lines at the top that begin with # are dropped.".to_owned(),
        ];
        // SQS hides a message for at most 12 hours after its receive. Amazon SQS Developer Guide,
        // "Amazon SQS visibility timeout":
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
        let hide = async || {
            let receipts: Vec<_> = self.hidden.values().cloned().collect();
            // The letter is at worst received by others meanwhile, and an event that arrives twice
            // changes nothing.
            if let Err(error) = self.dead_letters.hide(&receipts, VISIBILITY_TIMEOUT).await {
                output::note(format_args!(
                    "note: other consumers may receive this dead letter: {error:#}"
                ));
            }
        };
        let stopped = "stopped: this dead letter and those after it are left as they were";
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
                // A second letter with the same body is left, as it is without the editor.
                self.filter.sent.insert(hash(&letter.body));
                if let Err(error) = self.send(queue, vec![(body, letter)]).await {
                    let kept = folder.keep();
                    return Err(error.context(format!("the edited text is in {}", kept.display())));
                }
            }
        }
        Ok(())
    }

    /// Sends these bodies, and deletes the letters whose bodies were validated_body.
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
                anyhow!(error).context("stopped: what was not sent again is left as it was")
            );
        }
        deleted.map_err(|error| {
            let advice = "they come twice when this is run again, which changes nothing";
            error.context(format!(
                "stopped: some were sent again and could not be deleted; {advice}"
            ))
        })
    }

    /// Lets others see what is left. That it fails costs time and nothing else.
    async fn make_visible(&mut self) {
        let receipts: Vec<_> = self.hidden.drain().map(|(_, receipt)| receipt).collect();
        if let Err(error) = self.dead_letters.hide(&receipts, Duration::ZERO).await {
            let minutes = VISIBILITY_TIMEOUT.as_secs() / 60;
            output::note(format_args!(
                "note: what is left is seen again in {minutes} minutes only: {error:#}"
            ));
        }
    }

    fn summary(&self, to: &Url, limit: Option<u64>) -> String {
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
            sentences.push(format!("Left for another reason: {other_reason}."));
        }
        if *already_redriven > 0 {
            sentences.push(format!(
                "Left since they came back at once, or were there twice: {already_redriven}."
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
            sentences.push("There may be more than this limit.".to_owned());
        }
        sentences.join(" ")
    }
}

/// Waits for `work`, and calls `call` again and again meanwhile.
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
    fn what_was_sent_is_not_sent_again() {
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
    async fn repeated_calls_until_the_work_ends() {
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
