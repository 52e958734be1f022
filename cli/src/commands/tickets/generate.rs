//! `muster tickets generate`.

use std::{
    fs::File,
    io::{self, BufWriter, ErrorKind, Write},
    time::Duration,
};

use anyhow::Context;
use muster::domain::Timestamp;

use crate::{
    args::TicketsGenerate,
    generate::{DAY, Day},
};

/// How far ahead of the clock an event may be; what is further ahead is refused.
const TAKEN_AHEAD: Duration = Duration::from_mins(5);

/// Writes a day of ticket events.
///
/// # Errors
/// The file cannot be written.
pub fn generate(arguments: &TicketsGenerate) -> anyhow::Result<()> {
    let TicketsGenerate { organization, tickets, seed, start, teams, users, contract, duplicates, shuffle, output } =
        arguments;
    let now = Timestamp::now();
    let start = start.unwrap_or_else(|| Timestamp::from_secs(now.secs() - 24 * 3600));
    if start.plus(DAY) > now.plus(TAKEN_AHEAD) {
        let end = start.plus(DAY).iso8601();
        eprintln!("note: this day ends at {end}, and events more than 5 minutes ahead of the clock are not taken");
    }
    let day = Day {
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
    match output.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let failed = || format!("could not write {}", path.display());
            write(&day, File::create(path).with_context(failed)?).with_context(failed)
        }
        // Whoever reads may have seen enough.
        None => match write(&day, io::stdout().lock()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.context("could not write to standard output"),
        },
    }
}

fn write(day: &Day, to: impl Write) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(64 * 1024, to);
    for event in day.events() {
        serde_json::to_writer(&mut to, &event)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}
