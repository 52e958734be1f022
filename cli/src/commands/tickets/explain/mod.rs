//! `muster tickets explain`.

mod document;
mod read;
mod sentences;
mod similar;

use anyhow::bail;
use clap::Args;
use muster_domain::{OrganizationId, TicketId, Timestamp};

pub(super) use self::sentences::span;
pub use self::{
    read::{Explained, Lookup, MAX_COMPARED, Outlook, Teams, read},
    similar::SimilarTeam,
};
use super::organization_or_greeted;
use crate::{
    commands::{TableTarget, values},
    output,
};

/// `muster tickets explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// Id of the ticket on its platform
    #[arg(value_name = "TICKET-ID", value_parser = ticket_id)]
    pub ticket: TicketId,
    /// Organization of the ticket [default: that of the running `muster dev`]
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: Option<OrganizationId>,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

fn ticket_id(text: &str) -> Result<TicketId, String> {
    TicketId::parse(text)
        .map_err(|_| "a ticket id has 1 to 128 characters of A-Z a-z 0-9 _ . : -".to_owned())
}

impl Explain {
    /// Prints the decision about a ticket.
    ///
    /// # Errors
    /// The organization or the ticket does not exist, or the table fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            ticket,
            organization,
            json,
            target,
        } = self;
        let table = target.resolve().await?;
        let organization = organization_or_greeted(organization, &table)?;
        let store = table.store().await?;
        let lookup = read(&store, &organization, &ticket)
            .await
            .map_err(|error| table.explain(error))?;
        let explained = match lookup {
            Lookup::Found(explained) => explained,
            Lookup::NoOrganization => bail!(
                "there is no organization {organization} in table {:?}: check --organization",
                table.table
            ),
            Lookup::NoTicket => bail!(
                "the organization {organization} has no ticket {ticket}: check the id; its events may still be in the queue, \
                 or be dead letters, which `muster tickets redrive --dry-run` shows"
            ),
        };
        if json {
            return Ok(output::line(document::document(&explained))?);
        }
        let text = sentences::text(&explained, Timestamp::now());
        Ok(output::write(|out| out.write_all(text.as_bytes()))?)
    }
}
