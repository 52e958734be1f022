//! `muster teams list`.

use clap::Args;
use muster_domain::{Description, ListedTeam, Load, OrganizationId, Team};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    commands::{LIST_TIMEOUT, TableTarget, columns::columns, status::all_teams, values},
    output,
};

/// `muster teams list`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster teams list
  muster teams list --organization acme --table muster --json | jq -r .id")]
pub struct List {
    /// Organization of the teams [default: the demo organization of the running `muster dev`]
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: Option<OrganizationId>,
    /// Print one line of JSON for each team
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl List {
    /// Prints the organization's teams.
    ///
    /// # Errors
    /// No organization is named, the table fails, or the output cannot be written.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            json,
            target,
        } = self;
        let target = target.resolve().await?;
        let organization = target.organization(organization)?;
        let store = target.table().await?.until(Instant::now() + LIST_TIMEOUT);
        target.ensure_organization(&store, &organization).await?;
        let mut teams = store
            .list_teams(&organization, &all_teams())
            .await
            .map_err(|error| target.explain(error))?
            .teams;
        teams.sort_by_cached_key(|listed| listed.team.name.folded());
        if json {
            return Ok(output::write(|out| {
                teams
                    .iter()
                    .try_for_each(|team| writeln!(out, "{}", describe(team)))
            })?);
        }
        if teams.is_empty() {
            output::note(format_args!(
                "The organization {organization} has no teams. POST /v1/teams creates one."
            ));
            return Ok(());
        }
        let header = [
            "ID", "NAME", "STRATEGY", "MEMBERS", "ACTIVE", "OPEN", "WAITING", "TOPICS",
        ];
        let rows: Vec<_> = teams.iter().map(row).collect();
        Ok(output::write(|out| {
            out.write_all(columns(header, &rows).as_bytes())
        })?)
    }
}

fn row(listed: &ListedTeam) -> [String; 8] {
    let ListedTeam { team, load } = listed;
    let topics = team.specializations.as_slice();
    [
        team.id.uuid().to_string(),
        team.name.as_str().to_owned(),
        team.queue_strategy.as_str().to_owned(),
        team.member_count.to_string(),
        load.eligible.to_string(),
        load.open_tickets.to_string(),
        load.waiting_tickets.to_string(),
        if topics.is_empty() {
            "-".to_owned()
        } else {
            topics.join(", ")
        },
    ]
}

fn describe(listed: &ListedTeam) -> Value {
    let ListedTeam {
        team:
            Team {
                id,
                organization_id,
                name,
                description,
                lead_id,
                queue_strategy,
                specializations,
                member_count,
                version,
                created_at,
                updated_at,
            },
        load:
            Load {
                turn: _,
                open_tickets,
                waiting_tickets,
                sla_met: _,
                sla_due: _,
                eligible,
            },
    } = listed;
    json!({
        "id": id.uuid().to_string(),
        "organization_id": organization_id.as_str(),
        "name": name.as_str(),
        "description": description.as_ref().map(Description::as_str),
        "lead_id": lead_id.map(|user| user.uuid().to_string()),
        "queue_strategy": queue_strategy.as_str(),
        "specializations": specializations.as_slice(),
        "member_count": member_count,
        "active_members": eligible,
        "open_tickets": open_tickets,
        "waiting_tickets": waiting_tickets,
        "version": version,
        "created_at": created_at.iso8601(),
        "updated_at": updated_at.iso8601(),
    })
}
