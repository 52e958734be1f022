//! `muster tickets`.

mod check;
mod event_lines;
pub mod explain;
mod generate;
mod list;
mod queue_address;
mod redrive;
mod send;
pub(super) mod sqs_client;
mod ticket_queue;

use anyhow::Context;
use clap::Subcommand;
use muster_domain::OrganizationId;

pub use check::Check;
pub use explain::Explain;
pub use generate::Generate;
pub use list::List;
pub(super) use queue_address::queue_url;
pub use redrive::Redrive;
pub use send::Send;

use super::target::TableLocation;

/// `muster tickets`
#[derive(Debug, Subcommand)]
pub enum TicketsCommand {
    /// Check the events of a file of JSON lines; sends none
    ///
    /// Each line is parsed as the function of the queue parses a message. A message with a fault
    /// would become a dead letter. The command reports every fault of every line; the exit code is
    /// then 1. A warning is a probable mistake in an accepted event: a field with a name like that
    /// of a documented one, such as "state", "assigned_to" or "group"; an unknown priority; no
    /// status in the whole file. Warnings do not change the exit code.
    ///
    /// The check reads no table, so it does not find an unknown organization or an outdated event.
    #[command(after_help = "\
Examples:
  muster tickets check events.jsonl
  muster tickets check --queue users --json users.jsonl")]
    Check(Check),
    /// Send the events of a file of JSON lines to the ticket queue of a local stack or of AWS
    ///
    /// Each line is one CloudEvent; blank lines are skipped. A line that is not JSON is reported by
    /// number, and the other lines are sent; the exit code is then 1. Batches are sent
    /// concurrently, so events can arrive in another order. Events are idempotent, so a file can be
    /// sent again.
    #[command(after_help = "\
Examples:
  muster tickets send events.jsonl
  muster tickets generate --organization acme | muster tickets send -
  muster tickets send events.jsonl --to https://sqs.eu-west-1.amazonaws.com/123456789012/tickets")]
    Send(Send),
    /// List the open tickets of a state, each with the reason of the state
    ///
    /// Unrouted and waiting tickets are in the order of priority, then age; assigned tickets of a
    /// team begin with the newest decision. `muster tickets explain` shows who could take one of
    /// them.
    ///
    /// The command reads an index: two round trips for each 100 tickets, and one for the names of
    /// their teams and assignees. Waiting tickets of all teams cost a query of the teams more, and
    /// two round trips for each team that has some. The index is eventually consistent, so a ticket
    /// appears after a moment. The command scans nothing.
    #[command(after_help = "\
Examples:
  muster tickets list --state unrouted
  muster tickets list --state waiting --priority critical --organization acme --table muster --json")]
    List(List),
    /// Explain the latest decision about a ticket: its assignee, the reason, and the candidates
    ///
    /// For a ticket that waits, the command shows each member of the team with the reason that
    /// excludes them. For a ticket without a team, it shows its topics, the teams that share one,
    /// and the teams with a similar specialization. So the output says who could take the ticket.
    ///
    /// The command reads the table: two round trips, or three for a ticket without a team, which
    /// also reads the first 100 teams of the organization. It scans nothing.
    #[command(after_help = "\
Examples:
  muster tickets explain INC-1
  muster tickets explain INC-1 --organization acme --table muster --json | jq .could_take_it")]
    Explain(Explain),
    /// Generate the ticket events of one day of a help desk, as JSON lines
    ///
    /// Arrivals follow the hours of a day in UTC: a quiet night, a peak in the morning, a dip at
    /// lunch. Tickets are worked on, wait, are resolved and closed, and are sometimes reopened,
    /// cancelled or deleted. Tickets that are not done at the end of the day stay open. The same
    /// options, --start included, write the same bytes.
    #[command(after_help = "\
Examples:
  muster tickets generate --organization acme --tickets 100 > day.jsonl
  muster tickets generate --organization acme --start 2026-03-02T00:00:00Z --contract itsm > day.jsonl")]
    Generate(Generate),
    /// Redrive dead letters: those of tickets, of users or of jobs
    ///
    /// A dead letter is a message that a function rejected, with its reason, or a message that
    /// failed 10 times. Fix the cause first; `muster tickets redrive --dry-run` shows the dead
    /// letters. Each is sent to its source queue, and then deleted. Messages are idempotent, so
    /// this command can be interrupted and run again: no message is lost, and a message that is
    /// sent twice has no effect. A message that is still rejected returns with its reason.
    ///
    /// Dead letters that are left are hidden from other consumers until the command ends, or for 5
    /// minutes if it is killed. The exit code is 1 if a selected dead letter could not be sent, or
    /// if the queue has too many to scan to the end.
    #[command(after_help = "\
Examples:
  muster tickets redrive --dry-run
  muster tickets redrive --reason ticket.status --edit --limit 1
  muster tickets redrive --from https://sqs.eu-west-1.amazonaws.com/123456789012/tickets-dead-letters --dry-run --json")]
    Redrive(Redrive),
}

impl TicketsCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the command's error.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check(check) => check.run().await,
            Self::Send(send) => send.run().await,
            Self::List(list) => list.run().await,
            Self::Explain(explain) => explain.run().await,
            Self::Generate(generate) => generate.run(),
            Self::Redrive(redrive) => redrive.run().await,
        }
    }
}

/// Returns the organization of the option, or else the one in the greeting of the running stack.
///
/// # Errors
/// The option is missing, and the table is not that of a running local stack.
fn organization_or_greeted(
    organization: Option<OrganizationId>,
    table: &TableLocation,
) -> anyhow::Result<OrganizationId> {
    if let Some(organization) = organization {
        return Ok(organization);
    }
    let stack = table
        .stack
        .as_ref()
        .context("the organization is missing: name it with --organization")?;
    let greeted = &stack.greeted().organization_id;
    OrganizationId::parse(greeted)
        .with_context(|| format!("the local stack has an invalid organization id {greeted:?}"))
}
