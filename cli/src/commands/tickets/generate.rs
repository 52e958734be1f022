//! `muster tickets generate`.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use muster_domain::{Contract, OrganizationId, TeamId, Timestamp, UserId};

use crate::{
    commands::values,
    output,
    scenario::{DAY, Scenario},
};

/// How far ahead of the clock an event may be; what is further ahead is refused.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);

/// `muster tickets generate`
#[derive(Debug, Args)]
pub struct Generate {
    /// Whose tickets
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// How many tickets are created; about four events come of each
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub tickets: u32,
    /// Another number is another day
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// When the day begins, such as 2026-03-02T00:00:00Z [default: 24 hours ago, since nobody takes
    /// events of the future]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub start: Option<Timestamp>,
    /// Teams for the tickets to name [default: none, so that specializations route them]
    #[arg(long, value_name = "ID,…", value_delimiter = ',', value_parser = values::team)]
    pub teams: Vec<TeamId>,
    /// Users whom people reassign some tickets to [default: nobody is named]
    #[arg(long, value_name = "ID,…", value_delimiter = ',', value_parser = values::user)]
    pub users: Vec<UserId>,
    /// Whose field names and words the tickets have
    #[arg(long, value_enum, default_value_t = ContractMix::Mixed)]
    pub contract: ContractMix,
    /// How many of a hundred events come twice
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub duplicates: u8,
    /// Let events come out of order, within this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub shuffle: u32,
    /// Write to this file, over what it has [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The contract whose words tickets have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ContractMix {
    /// team_id, assignee_id, due_at, urgent; times in ISO 8601
    Toptickets,
    /// assigned_team_id, assigned_user_id, due_date, critical; times in Unix seconds
    Itsm,
    /// Some tickets of each
    Mixed,
}

impl ContractMix {
    /// The contract, if it is one.
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
    /// Writes a day of ticket events.
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
        } = &self;
        let now = Timestamp::now();
        let start = start.unwrap_or_else(|| Timestamp::from_secs(now.secs() - 24 * 3600));
        if start.plus(DAY) > now.plus(MAX_CLOCK_SKEW) {
            let end = start.plus(DAY).iso8601();
            output::note(format_args!(
                "note: this day ends at {end}, and events more than 5 minutes ahead of the clock are not taken"
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
        let write = |to: &mut dyn Write| write(&scenario, to);
        match file.as_deref().filter(|path| path.as_os_str() != "-") {
            Some(path) => output::write_file(path, write)?,
            None => output::write(write)?,
        }
        Ok(())
    }
}

fn write(scenario: &Scenario, mut to: &mut dyn Write) -> io::Result<()> {
    for event in scenario.events() {
        serde_json::to_writer(&mut to, &event)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "a time is written 2026-03-02T00:00:00Z".to_owned())?;
    Ok(Timestamp::from_secs(moment.unix_timestamp()))
}
