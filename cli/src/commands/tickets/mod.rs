//! `muster tickets`.

mod check;
mod event_lines;
mod generate;
mod queue_address;
mod redrive;
mod send;
mod sqs_client;
mod ticket_queue;

use clap::Subcommand;

pub use check::Check;
pub use generate::Generate;
pub use redrive::Redrive;
pub use send::Send;

/// `muster tickets`
#[derive(Debug, Subcommand)]
pub enum TicketsCommand {
    /// Check the events of a file of JSON lines, and send nothing
    ///
    /// Each line is parsed as the function of the queue parses a message. A message with a fault
    /// becomes a dead letter: every fault of every line is reported, and the exit code is then 1. A
    /// warning is a likely mistake in an event that Muster takes: a field with a name like that of
    /// a documented one, such as "state", "assigned_to" or "group"; an unknown priority; no status
    /// in the whole file. Warnings do not change the exit code.
    ///
    /// The check reads no table: it does not see an unknown organization, or an event that is older
    /// than another.
    Check(Check),
    /// Send the events of a file of JSON lines to the ticket queue, here or in AWS
    ///
    /// One CloudEvent a line; blank lines are left out. A line that is not JSON is reported by
    /// number and the rest is sent; the exit code is then 1. Events are sent many at once, so they
    /// need not arrive in the file's order. An event that comes twice changes nothing, so a file
    /// can be sent again.
    Send(Send),
    /// Write a day of ticket events, as a help desk would have them, as JSON lines
    ///
    /// Tickets come as people do, with a quiet night, a peak in the morning and a dip at lunch
    /// (UTC). They are worked on, wait, are resolved, closed, sometimes reopened, cancelled or
    /// deleted; what is not done when the day ends stays open. The same options write the same
    /// bytes, --start included.
    Generate(Generate),
    /// Send dead letters again: those of tickets, of users or of jobs
    ///
    /// Dead letters are what could never succeed, which carries its reason, and what failed 10
    /// times. First mend the cause; `muster tickets redrive --dry-run` shows what is there. Then
    /// each is sent to the queue that gave it up, and deleted once that took it. So this can be
    /// interrupted anywhere and run again: nothing is lost, and what comes twice changes nothing.
    /// What is impossible still comes back, with its reason.
    ///
    /// What is left is unseen by others until the end of the command, or for 5 minutes if it is
    /// killed. The exit code is 1 when something that should have been sent again was not, and when
    /// so much is left that there may be more than was seen.
    Redrive(Redrive),
}

impl TicketsCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// See the command.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check(check) => check.run().await,
            Self::Send(send) => send.run().await,
            Self::Generate(generate) => generate.run(),
            Self::Redrive(redrive) => redrive.run().await,
        }
    }
}
