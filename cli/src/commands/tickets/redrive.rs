//! `muster tickets redrive`.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use anyhow::{anyhow, bail, ensure};
use aws_sdk_sqs::{
    Client,
    config::{self, retry::RetryConfig, timeout::TimeoutConfig},
    error::ProvideErrorMetadata,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
        QueueAttributeName,
    },
};
use indicatif::{ProgressBar, ProgressStyle};
use muster::{
    queue::{Message, Queue},
    wire::events::{event_in, ticket_id_text},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::{
    super::PATIENCE,
    destination::{self, Located},
};
use crate::{
    args::{Destination, TicketsRedrive},
    dev, emulator,
    output::{self, WriteError},
};

/// How long others do not see what is looked at here: longer than a look at what a queue may have in flight, and short enough to
/// wait for when this is killed.
const UNSEEN: Duration = Duration::from_mins(5);

/// How many receives that bring nothing say that nothing is left. SQS may overlook something in one.
const EMPTY_RECEIVES: u32 = 3;

/// What to do without credentials for AWS.
const OTHERWISE: &str = "look at a local stack: start `muster dev`, and leave out --from";

/// Sends dead letters again.
///
/// # Errors
/// A queue is not there or fails, or somebody interrupts; what was sent until then is sent, and the rest is left.
pub async fn redrive(arguments: TicketsRedrive) -> anyhow::Result<()> {
    let TicketsRedrive { from, to, reason, limit, dry_run, json } = arguments;
    let dead_letters = DeadLetters::open(&from).await?;
    let goal = if dry_run {
        Goal::Show { json }
    } else {
        let (to, config) = match &to {
            Some(to) => find(to, "--to", |located| located.url).await?,
            // It is where its dead letters are.
            None => (dead_letters.source().await?, dead_letters.config.clone()),
        };
        ensure!(to != dead_letters.url, "--from and --to are the same queue");
        let client = Client::from_conf(config.build());
        destination::attributes(&client, &to).await?;
        Goal::Send { queue: Queue::new(client, to.as_str()), to }
    };
    let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}");
    let progress = ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let mut look = Look {
        dead_letters,
        choice: Choice { reason, sent: HashSet::new() },
        held: HashMap::new(),
        any: false,
        done: 0,
        other_reason: 0,
        came_back: 0,
        progress,
    };
    let outcome = look.through(&goal, limit).await;
    look.progress.finish_and_clear();
    look.give_back().await;
    let printed = match &goal {
        Goal::Show { .. } => {
            if !look.any && outcome.is_ok() {
                output::note(format_args!("No such dead letters in {}.", look.dead_letters.url));
            }
            Ok(())
        }
        Goal::Send { to, .. } => output::line(look.summary(to, limit)),
    };
    // A failure to send is reported rather than a failure to print the summary.
    outcome?;
    Ok(printed?)
}

/// What becomes of the dead letters that are chosen.
enum Goal {
    Show { json: bool },
    Send { queue: Queue, to: Url },
}

/// A queue's URL, and the configuration of a client for it. A local stack, whose queue `which` chooses, says where the queue is,
/// and nothing that this environment says of AWS is meant for it.
async fn find(
    destination: &Destination,
    option: &str,
    which: fn(Located) -> String,
) -> anyhow::Result<(Url, config::Builder)> {
    match destination {
        Destination::LocalStack(address) => {
            let url = Url::parse(&which(destination::locate(address, option).await?))?;
            let config = emulator::sdk_config(&url.origin().ascii_serialization());
            Ok((url, config::Builder::from(&config)))
        }
        Destination::Queue(url) => Ok((url.clone(), destination::sqs(url, OTHERWISE).await?)),
    }
}

/// A queue of dead letters that answers.
struct DeadLetters {
    client: Client,
    url: Url,
    /// Of a client without retries for whatever queue is beside it.
    config: config::Builder,
}

impl DeadLetters {
    /// Makes sure that the queue is there, with one call.
    ///
    /// # Errors
    /// It is not, or has dead letters itself: then somebody took one end for the other.
    async fn open(from: &Destination) -> anyhow::Result<Self> {
        let (url, config) = find(from, "--from", |located| located.dead_letters_url).await?;
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(PATIENCE).build();
        let retrying = config.clone().retry_config(RetryConfig::standard()).timeout_config(timeouts);
        let client = Client::from_conf(retrying.build());
        let attributes = destination::attributes(&client, &url).await?;
        ensure!(
            !attributes.contains_key(&QueueAttributeName::RedrivePolicy),
            "{url} is no queue of dead letters, since it gives up its own to another: name that one with --from"
        );
        Ok(Self { client, url, config })
    }

    /// The queue that gave these up, as SQS knows it.
    ///
    /// # Errors
    /// There is none or more than one, or this user may not ask.
    async fn source(&self) -> anyhow::Result<Url> {
        let Self { client, url, config: _ } = self;
        let answer = client.list_dead_letter_source_queues().queue_url(url.as_str()).send().await;
        // The queue answers, so it is the question that this user may not ask, or an emulator does not know.
        let sources = answer.map_err(|error| {
            let cause = anyhow!("{}", error.message().unwrap_or("SQS did not answer").to_owned());
            cause.context(format!(
                "which queue gives up its dead letters to {url} could not be learned: say with --to where they go"
            ))
        })?;
        let sources = sources.queue_urls;
        match &sources[..] {
            [source] => Ok(Url::parse(source)?),
            [] => bail!("no queue gives up its dead letters to {url}: say with --to where they go"),
            _ => bail!("several queues give up their dead letters to {url}: say with --to where they go"),
        }
    }

    /// Receives up to so many, and seldom none though something is left. Nobody else sees them for [`UNSEEN`].
    async fn receive(&self, max: u64) -> anyhow::Result<Vec<Letter>> {
        let request = self.client.receive_message().queue_url(self.url.as_str());
        let answer = request
            .max_number_of_messages(i32::try_from(max).unwrap_or(i32::MAX).min(10))
            // A receive that does not wait asks a part of SQS's servers, and may come back empty beside what others have.
            .wait_time_seconds(1)
            .visibility_timeout(i32::try_from(UNSEEN.as_secs())?)
            .message_attribute_names("reason")
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await;
        let answer = answer.map_err(|error| destination::explain(&self.url, error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(Letter::from).collect())
    }

    /// Deletes what was sent again.
    async fn delete(&self, letters: &[&Letter]) -> anyhow::Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let entry = |(at, letter): (usize, &&Letter)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string());
            entry.receipt_handle(&letter.receipt).build()
        };
        let entries = letters.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        let request = self.client.delete_message_batch().queue_url(self.url.as_str());
        let answer = request.set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|error| destination::explain(&self.url, error))?;
        match answer.failed.first() {
            Some(failed) => Err(anyhow!("{}", failed.message().unwrap_or(failed.code()))),
            None => Ok(()),
        }
    }

    /// Lets everybody see these again.
    async fn give_back(&self, receipts: &[String]) -> anyhow::Result<()> {
        for receipts in receipts.chunks(10) {
            let entry = |(at, receipt): (usize, &String)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(at.to_string());
                entry.receipt_handle(receipt).visibility_timeout(0).build()
            };
            let entries = receipts.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
            let request = self.client.change_message_visibility_batch().queue_url(self.url.as_str());
            request.set_entries(Some(entries)).send().await?;
        }
        Ok(())
    }
}

/// A dead letter that was received.
struct Letter {
    id: String,
    receipt: String,
    body: String,
    /// Why it is there: what the function said that put it there, else that it was received too often.
    reason: String,
    receives: u32,
}

impl From<aws_sdk_sqs::types::Message> for Letter {
    fn from(message: aws_sdk_sqs::types::Message) -> Self {
        let count = MessageSystemAttributeName::ApproximateReceiveCount;
        let receives = message.attributes.as_ref().and_then(|system| system.get(&count)?.parse().ok()).unwrap_or(0);
        let reason = message.message_attributes.and_then(|mut attributes| attributes.remove("reason")?.string_value);
        Self {
            id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            reason: dev::reason_of(reason.as_deref()).to_owned(),
            receives,
        }
    }
}

/// Which dead letters to send again.
struct Choice {
    reason: Option<String>,
    /// Hashes of the bodies that were sent. One whose hash is another's is left, which is all that comes of it.
    sent: HashSet<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Chosen,
    OtherReason,
    /// It was sent already, so it is impossible still; or there were two. Sending it again now might never end.
    CameBack,
}

fn hash(body: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

impl Choice {
    fn of(&self, body: &str, reason: &str) -> Verdict {
        if self.sent.contains(&hash(body)) {
            Verdict::CameBack
        } else if self.reason.as_ref().is_some_and(|wanted| !reason.contains(wanted)) {
            Verdict::OtherReason
        } else {
            Verdict::Chosen
        }
    }
}

/// A look through a queue of dead letters, until there is nothing that was not seen.
struct Look {
    dead_letters: DeadLetters,
    choice: Choice,
    /// The receipts of what was received and is left, by id.
    held: HashMap<String, String>,
    /// Whether any were chosen.
    any: bool,
    /// How many were sent, or shown.
    done: u64,
    other_reason: u64,
    came_back: u64,
    progress: ProgressBar,
}

impl Look {
    /// Receives what there is, and does with what is chosen what it is for.
    ///
    /// What is held is seen again once its time is up, among what was not seen yet, since SQS keeps no order. It is hidden again.
    ///
    /// # Errors
    /// Something fails, somebody interrupts, or so much is held that it comes again faster than a look at all of it takes: then
    /// the end is never seen.
    async fn through(&mut self, goal: &Goal, limit: Option<u64>) -> anyhow::Result<()> {
        // Looked at between two batches: one that is begun is finished.
        let interrupted = tokio::spawn(tokio::signal::ctrl_c());
        // What happened since something new came.
        let (mut empty_receives, mut came_again) = (0, 0);
        loop {
            let room = limit.map_or(u64::MAX, |limit| limit - self.done);
            if room == 0 {
                return Ok(());
            }
            ensure!(!interrupted.is_finished(), "interrupted: what was not sent again is left as it was");
            let letters = self.dead_letters.receive(room).await?;
            if letters.is_empty() {
                empty_receives += 1;
                if empty_receives == EMPTY_RECEIVES {
                    return Ok(());
                }
                continue;
            }
            let (again, new): (Vec<_>, Vec<_>) =
                letters.into_iter().partition(|letter| self.held.contains_key(&letter.id));
            for letter in &again {
                self.hold(letter);
            }
            if new.is_empty() {
                came_again += again.len();
                let held = self.held.len();
                ensure!(
                    came_again <= 2 * held,
                    "it is not known whether there are more: {held} dead letters that are left come again and again; send \
                     some of them first, with --limit, and run this again"
                );
                continue;
            }
            (empty_receives, came_again) = (0, 0);
            let mut chosen = Vec::new();
            for letter in new {
                match self.choice.of(&letter.body, &letter.reason) {
                    Verdict::Chosen => chosen.push(letter),
                    Verdict::OtherReason => {
                        self.other_reason += 1;
                        self.hold(&letter);
                    }
                    Verdict::CameBack => {
                        self.came_back += 1;
                        self.hold(&letter);
                    }
                }
            }
            self.any |= !chosen.is_empty();
            match goal {
                Goal::Show { json } => self.show(&chosen, *json)?,
                Goal::Send { queue, .. } => self.send(queue, chosen).await?,
            }
        }
    }

    fn hold(&mut self, letter: &Letter) {
        self.held.insert(letter.id.clone(), letter.receipt.clone());
    }

    fn show(&mut self, letters: &[Letter], json: bool) -> Result<(), WriteError> {
        for letter in letters {
            self.hold(letter);
        }
        output::write(|out| {
            for letter in letters {
                let about = About::of(&letter.body);
                if json {
                    writeln!(out, "{}", letter.describe(&about))?;
                } else {
                    if self.done == 0 {
                        let (event, organization, about) = ("EVENT", "ORGANIZATION", "ABOUT");
                        writeln!(out, "{event:36}  {organization:16}  {about:44}  {:>8}  REASON", "RECEIVES")?;
                    }
                    let About { event, organization, subject } = about;
                    let (event, organization) = (shown(&event), shown(&organization));
                    let (subject, reason) = (shown(&subject), shown(&letter.reason));
                    writeln!(out, "{event:36}  {organization:16}  {subject:44}  {:>8}  {reason}", letter.receives)?;
                }
                self.done += 1;
            }
            Ok(())
        })
    }

    /// Sends these, and deletes those that were taken.
    async fn send(&mut self, queue: &Queue, letters: Vec<Letter>) -> anyhow::Result<()> {
        let messages: Vec<_> = letters.iter().map(|letter| Message::new(letter.body.clone())).collect();
        let not_sent = queue.send(&messages, Instant::now() + PATIENCE).await.err();
        let is_sent = |at: usize| not_sent.as_ref().is_none_or(|error| !error.messages.contains(&at));
        let sent: Vec<_> =
            letters.iter().enumerate().filter(|(at, _)| is_sent(*at)).map(|(_, letter)| letter).collect();
        self.done += sent.len() as u64;
        let deleted = self.dead_letters.delete(&sent).await;
        for (at, letter) in letters.iter().enumerate() {
            if !is_sent(at) {
                self.hold(letter);
            }
        }
        self.choice.sent.extend(messages.iter().map(|message| hash(&message.body)));
        self.progress.set_message(format!("{} sent again", self.done));
        self.progress.tick();
        if let Some(error) = not_sent {
            return Err(anyhow!(error).context("stopped: what was not sent again is left as it was"));
        }
        deleted.map_err(|error| {
            let advice = "they come twice when this is run again, which changes nothing";
            error.context(format!("stopped: some were sent again and could not be deleted; {advice}"))
        })
    }

    /// Lets others see what is left. That it fails costs time and nothing else.
    async fn give_back(&mut self) {
        let receipts: Vec<_> = self.held.drain().map(|(_, receipt)| receipt).collect();
        if let Err(error) = self.dead_letters.give_back(&receipts).await {
            let minutes = UNSEEN.as_secs() / 60;
            output::note(format_args!("note: what is left is seen again in {minutes} minutes only: {error:#}"));
        }
    }

    fn summary(&self, to: &Url, limit: Option<u64>) -> String {
        let Self { dead_letters: DeadLetters { url: from, .. }, done, other_reason, came_back, .. } = self;
        let letters = if *done == 1 { "dead letter" } else { "dead letters" };
        let mut said = vec![format!("Sent {done} {letters} again, from {from} to {to}.")];
        if *other_reason > 0 {
            said.push(format!("Left for another reason: {other_reason}."));
        }
        if *came_back > 0 {
            said.push(format!("Left since they came back at once, or were there twice: {came_back}."));
        }
        if limit == Some(*done) {
            said.push("There may be more than this limit.".to_owned());
        }
        said.join(" ")
    }
}

impl Letter {
    fn describe(&self, About { event, organization, subject }: &About) -> Value {
        let Self { id: _, receipt: _, body, reason, receives } = self;
        json!({
            "event": event,
            "organization": organization,
            "about": subject,
            "reason": reason,
            "receives": receives,
            "body": body,
        })
    }
}

/// What a body says of itself, as far as it can be read.
#[derive(Debug, PartialEq, Eq)]
struct About {
    event: Option<String>,
    organization: Option<String>,
    subject: Option<String>,
}

impl About {
    fn of(body: &str) -> Self {
        let event = Value::Object(event_in(body).unwrap_or_default());
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let named = |name: &str, pointer: &str| {
            event.pointer(pointer).and_then(ticket_id_text).map(|id| format!("{name} {id}"))
        };
        Self {
            event: text("/id"),
            organization: text("/data/organization_id").or_else(|| text("/organization_id")),
            subject: named("ticket", "/data/ticket/id")
                .or_else(|| named("user", "/data/user/id"))
                .or_else(|| named("job", "/job")),
        }
    }
}

/// A text of somebody else's for a terminal, which could take some characters for orders.
fn shown<'t>(text: impl Into<Option<&'t String>>) -> String {
    let text = text.into().map_or("-", String::as_str);
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_not_sent_again() {
        let mut choice = Choice { reason: Some("status".to_owned()), sent: HashSet::new() };
        assert_eq!(choice.of("a", "data.ticket.status: must be one of new"), Verdict::Chosen);
        assert_eq!(choice.of("a", "received too often"), Verdict::OtherReason);
        choice.sent.insert(hash("a"));
        assert_eq!(choice.of("a", "data.ticket.status: must be one of new"), Verdict::CameBack);
        assert_eq!(choice.of("b", "data.ticket.status: must be one of new"), Verdict::Chosen);
        choice.reason = None;
        assert_eq!(choice.of("b", "received too often"), Verdict::Chosen);
    }

    #[test]
    fn a_body_says_what_it_is_about() {
        let about = |body: Value| {
            let About { event, organization, subject } = About::of(&body.to_string());
            [event, organization, subject].map(Option::unwrap_or_default)
        };
        let ticket = json!({ "id": "1", "data": { "organization_id": "acme", "ticket": { "id": "INC-1" } } });
        assert_eq!(about(ticket.clone()), ["1", "acme", "ticket INC-1"]);
        let wrapped = json!({ "id": "envelope", "detail-type": "ticket.created", "detail": ticket });
        assert_eq!(about(wrapped), ["1", "acme", "ticket INC-1"]);
        let mut numbered = ticket.clone();
        numbered["data"]["ticket"]["id"] = json!(35436);
        assert_eq!(about(numbered), ["1", "acme", "ticket 35436"]);
        let mut bare = ticket;
        (bare["specversion"], bare["detail"]) = (json!("1.0"), json!({ "id": "an attribute of the sender's own" }));
        assert_eq!(about(bare), ["1", "acme", "ticket INC-1"]);
        let user = json!({ "id": "2", "data": { "organization_id": "acme", "user": { "id": "u" } } });
        assert_eq!(about(user), ["2", "acme", "user u"]);
        assert_eq!(about(json!({ "job": "drain_team", "organization_id": "acme" })), ["", "acme", "job drain_team"]);
        assert_eq!(about(json!([1])), ["", "", ""]);
        assert_eq!(About::of("no JSON"), About { event: None, organization: None, subject: None });
    }

    #[test]
    fn nobody_gives_orders_to_the_terminal() {
        assert_eq!(shown(&"a\u{1b}[2Jb\n".to_owned()), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(shown(&None::<String>), "-");
    }
}
