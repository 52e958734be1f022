//! `muster tickets redrive`.

mod dead_letters;
mod edit;
mod scan;

use std::time::Duration;

use anyhow::ensure;
use aws_sdk_sqs::{Client, config};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use muster_service::aws::sqs_send::Queue;
use url::Url;

pub(super) use self::dead_letters::{DeadLetter, DeadLetterQueue};
use self::{edit::Editor, scan::Scan};
use super::{
    queue_address::{QueueAddress, or_local_stack, queue_address},
    sqs_client,
    ticket_queue::{self, QueueLocation},
};
use crate::{emulator, output};

/// The time for which received messages are hidden from other consumers. It is longer than a scan
/// of a queue's maximum number of messages in flight, and short enough to wait for after a kill.
const VISIBILITY_TIMEOUT: Duration = Duration::from_mins(5);

/// The number of consecutive empty receives that end a scan. One empty receive is not a proof: SQS
/// can miss messages.
const EMPTY_RECEIVES: u32 = 3;

/// The alternative to credentials for AWS.
const LOCAL_STACK_HINT: &str = "look at a local stack: start `muster dev`, and leave out --from";

/// `muster tickets redrive`
#[derive(Debug, Args)]
pub struct Redrive {
    /// Dead-letter queue: an SQS queue's URL, by the usual AWS environment; or the address of
    /// `muster dev`, for the dead letters of its ticket queue [default: MUSTER_URL, or the running
    /// `muster dev`]
    #[arg(long, value_name = "URL", value_parser = queue_address)]
    pub from: Option<QueueAddress>,
    /// Destination queue: an SQS queue's URL, or the address of `muster dev` [default: the source
    /// queue of the dead letters, from SQS]
    #[arg(long, value_name = "URL", value_parser = queue_address)]
    pub to: Option<QueueAddress>,
    /// Select the dead letters with this text in their reason; the reason of a message that failed
    /// 10 times is "received too often" [default: all]
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Maximum number of dead letters [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Show the dead letters; send none
    #[arg(long)]
    pub dry_run: bool,
    /// Edit the body of each before it is sent, with the command in VISUAL or EDITOR
    ///
    /// The function's own parser checks the edited body. Then the body is sent, and the dead letter
    /// is deleted. A dead letter stays if its body is unchanged or not valid. The command ends if
    /// the editor fails, as vi does after :cq.
    #[arg(long, conflicts_with = "dry_run")]
    pub edit: bool,
    /// Print the summary as a JSON object; with --dry-run, one line of JSON for each dead letter,
    /// with the whole body
    #[arg(long)]
    pub json: bool,
}

impl Redrive {
    /// Sends the selected dead letters to their source queue, and deletes them.
    ///
    /// # Errors
    /// A queue does not exist or fails, or the user interrupts. Messages that were sent stay sent,
    /// and the others stay in the queue.
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
        let from = or_local_stack(from, "--from").await?;
        let dead_letters = DeadLetterQueue::open(&from).await?;
        let mode = if dry_run {
            Mode::Show { json }
        } else {
            Mode::send(&dead_letters, to.as_ref(), editor).await?
        };
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}");
        // A progress bar would disturb the editor, which uses the terminal.
        let progress = if edit {
            ProgressBar::hidden()
        } else {
            ProgressBar::no_length()
        };
        let progress =
            progress.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let mut scan = Scan::new(dead_letters, reason, progress);
        let outcome = scan.run(&mode, limit).await;
        scan.progress.finish_and_clear();
        scan.make_visible().await;
        let printed = match &mode {
            Mode::Show { .. } => {
                if !scan.any && outcome.is_ok() {
                    output::note(format_args!(
                        "No matching dead letters in {}.",
                        scan.dead_letters.url
                    ));
                }
                Ok(())
            }
            Mode::Send { to, .. } if json => output::line(scan.document(to, limit)),
            Mode::Send { to, .. } => output::line(scan.summary(to, limit)),
        };
        // A failure to send takes precedence over a failure to print.
        outcome?;
        ensure!(
            scan.invalid == 0,
            "dead letters left because their edited bodies are not valid: {}",
            scan.invalid
        );
        Ok(printed?)
    }
}

/// The operation on the selected dead letters.
enum Mode {
    Show {
        json: bool,
    },
    Send {
        queue: Queue,
        to: Url,
        /// The editor, if each body is edited first.
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
            // The source queue is in the same account and region.
            None => (dead_letters.source().await?, dead_letters.config.clone()),
        };
        ensure!(
            to != dead_letters.url,
            "--from and --to are the same queue: pass another --to"
        );
        let client = Client::from_conf(config.build());
        sqs_client::attributes(&client, &to).await?;
        Ok(Self::Send {
            queue: Queue::new(client, to.as_str()),
            to,
            editor,
        })
    }

    /// Returns the maximum number of messages of a receive. With the editor it is one, so that the
    /// others stay visible until their turn.
    fn batch(&self) -> u64 {
        match self {
            Self::Send {
                editor: Some(_), ..
            } => 1,
            Self::Send { editor: None, .. } | Self::Show { .. } => 10,
        }
    }
}

/// Returns a queue's URL and the configuration of its client. A local stack responds with the URLs
/// of a queue, of which `which` selects one; the AWS environment does not apply to it.
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
