//! `muster tickets list`.

mod read;
mod rows;

use anyhow::bail;
use clap::{Args, ValueEnum};
use muster_domain::{OrganizationId, Priority, TeamId, Timestamp};

use self::read::{Selection, read, store};
use super::organization_or_greeted;
use crate::{
    commands::{TableTarget, values},
    output,
};

/// `muster tickets list`
#[derive(Debug, Args)]
pub struct List {
    /// State of the tickets
    #[arg(long, value_enum)]
    pub state: StateArg,
    /// Team of the tickets: optional for waiting tickets, required for assigned ones
    #[arg(long, value_name = "ID", value_parser = values::team, required_if_eq("state", "assigned"))]
    pub team: Option<TeamId>,
    /// Priority of the tickets: critical, high, medium or low; not for assigned ones
    #[arg(long, value_name = "PRIORITY", value_parser = priority)]
    pub priority: Option<Priority>,
    /// Maximum number of tickets
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
    /// Organization of the tickets [default: that of the running `muster dev`]
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: Option<OrganizationId>,
    /// Print one line of JSON for each ticket
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

/// The states of open tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StateArg {
    /// Without a team
    Unrouted,
    /// With a team that has no eligible member
    Waiting,
    /// With an assignee
    Assigned,
}

fn priority(text: &str) -> Result<Priority, String> {
    Priority::parse_reported(text)
        .ok_or_else(|| "a priority is critical, high, medium or low".to_owned())
}

impl List {
    /// Prints the open tickets of a state, with the reason of each.
    ///
    /// # Errors
    /// The options contradict each other, the organization does not exist, or the table fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let selection = self.selection()?;
        let Self {
            state,
            team: _,
            priority: _,
            limit,
            organization,
            json,
            target,
        } = self;
        let location = target.resolve().await?;
        let organization = organization_or_greeted(organization, &location)?;
        let table = location.table().await?;
        let read = read(&table, &organization, selection, limit.into()).await;
        let (rows, has_more) = read.map_err(|error| location.explain(error))?;
        if rows.tickets.is_empty() {
            let exists = store(&table).organization_exists(&organization).await;
            if !exists.map_err(|error| location.explain(error))? {
                bail!(
                    "there is no organization {organization} in table {:?}: check --organization",
                    location.table
                );
            }
        }
        if json {
            output::write(|out| {
                let mut documents = rows.documents(&organization).into_iter();
                documents.try_for_each(|document| writeln!(out, "{document}"))
            })?;
        } else if rows.tickets.is_empty() {
            output::note(format_args!("No ticket is {}.", name(state)));
        } else {
            let text = rows.text(Timestamp::now());
            output::write(|out| out.write_all(text.as_bytes()))?;
        }
        if has_more {
            output::note(format_args!(
                "note: there are more tickets: raise --limit, or narrow the list"
            ));
        }
        Ok(())
    }

    /// Returns the tickets that the options select.
    ///
    /// # Errors
    /// An option does not apply to the state. The error names it.
    fn selection(&self) -> anyhow::Result<Selection> {
        let Self {
            state,
            team,
            priority,
            ..
        } = self;
        Ok(match (state, *team, *priority) {
            (StateArg::Unrouted, None, priority) => Selection::Unrouted(priority),
            (StateArg::Unrouted, Some(_), _) => {
                bail!("unrouted tickets have no team: leave out --team")
            }
            (StateArg::Waiting, team, priority) => Selection::Waiting(team, priority),
            (StateArg::Assigned, Some(team), None) => Selection::Assigned(team),
            (StateArg::Assigned, Some(_), Some(_)) => {
                bail!(
                    "assigned tickets are listed by the time of their decisions: leave out --priority"
                )
            }
            (StateArg::Assigned, None, _) => {
                bail!("assigned tickets are listed by team: pass --team")
            }
        })
    }
}

fn name(state: StateArg) -> &'static str {
    match state {
        StateArg::Unrouted => "unrouted",
        StateArg::Waiting => "waiting",
        StateArg::Assigned => "assigned",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        list: List,
    }

    fn selection(options: &[&str]) -> Option<Selection> {
        let arguments = ["list"].iter().chain(options);
        let program = Program::try_parse_from(arguments).ok()?;
        program.list.selection().ok()
    }

    #[test]
    fn options_select_a_list_that_the_index_has() {
        let id = "550e8400-e29b-41d4-a716-446655440000";
        let team = TeamId::parse(id).unwrap();
        let (critical, low) = (Some(Priority::Critical), Some(Priority::Low));
        for (options, expected) in [
            (&["--state", "unrouted"][..], Selection::Unrouted(None)),
            (
                &["--state", "unrouted", "--priority", "urgent"],
                Selection::Unrouted(critical),
            ),
            (
                &["--state", "waiting", "--priority", "low"],
                Selection::Waiting(None, low),
            ),
            (
                &["--state", "waiting", "--team", id],
                Selection::Waiting(Some(team), None),
            ),
            (
                &["--state", "assigned", "--team", id],
                Selection::Assigned(team),
            ),
        ] {
            assert_eq!(selection(options), Some(expected), "{options:?}");
        }
        for senseless in [
            &[][..],
            &["--state", "closed"],
            &["--state", "assigned"],
            &["--state", "unrouted", "--team", id],
            &["--state", "assigned", "--team", id, "--priority", "low"],
            &["--state", "waiting", "--priority", "p1"],
            &["--state", "waiting", "--limit", "0"],
        ] {
            assert_eq!(selection(senseless), None, "{senseless:?}");
        }
    }
}
