//! `muster tickets generate`.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use muster_domain::{Contract, OrganizationId, TeamId, Timestamp, UserId};
use serde_json::json;

use crate::{
    commands::values,
    output,
    scenario::{DAY, Scenario},
};

/// The maximum time of an event ahead of the clock; the functions reject a later one.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);

/// `muster tickets generate`
#[derive(Debug, Args)]
pub struct Generate {
    /// Organization of the tickets
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Number of tickets to create; each has about four events
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub tickets: u32,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Start of the day, such as 2026-03-02T00:00:00Z [default: 24 hours ago, because events of the
    /// future are rejected]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub start: Option<Timestamp>,
    /// Teams to assign tickets to [default: none, so that specializations route the tickets]
    #[arg(long, value_name = "ID,…", value_delimiter = ',', value_parser = values::team)]
    pub teams: Vec<TeamId>,
    /// Users to reassign some tickets to [default: none]
    #[arg(long, value_name = "ID,…", value_delimiter = ',', value_parser = values::user)]
    pub users: Vec<UserId>,
    /// Contract that names the fields and values of the tickets
    #[arg(long, value_enum, default_value_t = ContractMix::Mixed)]
    pub contract: ContractMix,
    /// Percentage of events that are delivered twice
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub duplicates: u8,
    /// Maximum delay of an event in seconds; delayed events arrive out of order
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub shuffle: u32,
    /// File to write; an existing file is replaced [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print a JSON object with the numbers of tickets and events; requires --output. The events
    /// themselves always are JSON lines
    #[arg(long, requires = "output")]
    pub json: bool,
}

/// The contract of the generated tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ContractMix {
    /// team_id, assignee_id, due_at, urgent; times in ISO 8601
    Toptickets,
    /// assigned_team_id, assigned_user_id, due_date, critical; times in Unix seconds
    Itsm,
    /// Some tickets of each contract
    Mixed,
}

impl ContractMix {
    /// Returns the contract, or `None` for a mix.
    #[must_use]
    pub fn contract(self) -> Option<Contract> {
        match self {
            Self::Toptickets => Some(Contract::Toptickets),
            Self::Itsm => Some(Contract::Itsm),
            Self::Mixed => None,
        }
    }
}

impl Generate {
    /// Writes the ticket events of one day.
    ///
    /// # Errors
    /// The file or standard output cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            tickets,
            seed,
            start,
            teams,
            users,
            contract,
            duplicates,
            shuffle,
            output: file,
            json,
        } = &self;
        let now = Timestamp::now();
        let start = start.unwrap_or_else(|| Timestamp::from_secs(now.secs() - 24 * 3600));
        if start.plus(DAY) > now.plus(MAX_CLOCK_SKEW) {
            let end = start.plus(DAY).iso8601();
            output::note(format_args!(
                "note: this day ends at {end}, and events more than 5 minutes ahead of the clock are rejected"
            ));
        }
        let scenario = Scenario {
            organization: organization.clone(),
            contract: contract.contract(),
            start,
            tickets: *tickets,
            teams: teams.clone(),
            users: users.clone(),
            seed: *seed,
            duplicates: *duplicates,
            shuffle: Duration::from_secs((*shuffle).into()),
        };
        let mut events = 0;
        let write = |to: &mut dyn Write| {
            events = write(&scenario, to)?;
            Ok(())
        };
        let Some(path) = file.as_deref().filter(|path| path.as_os_str() != "-") else {
            return Ok(output::write(write)?);
        };
        output::write_file(path, write)?;
        if *json {
            let path = path.display().to_string();
            output::line(json!({ "tickets": tickets, "events": events, "file": path }))?;
        }
        Ok(())
    }
}

/// Writes the events, and returns their number.
fn write(scenario: &Scenario, mut to: &mut dyn Write) -> io::Result<u64> {
    let mut events = 0;
    for event in scenario.events() {
        serde_json::to_writer(&mut to, &event)?;
        to.write_all(b"\n")?;
        events += 1;
    }
    Ok(events)
}

fn moment(text: &str) -> Result<Timestamp, String> {
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "not a time: use the form 2026-03-02T00:00:00Z".to_owned())?;
    Ok(Timestamp::from_secs(moment.unix_timestamp()))
}
