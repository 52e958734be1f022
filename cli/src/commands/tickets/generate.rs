//! `muster tickets generate`.

use std::{
    io::{self, Write},
    time::Duration,
};

use muster::domain::Timestamp;

use crate::{
    args::TicketsGenerate,
    generate::{DAY, Day},
    output,
};

/// How far ahead of the clock an event may be; what is further ahead is refused.
const TAKEN_AHEAD: Duration = Duration::from_mins(5);

/// Writes a day of ticket events.
///
/// # Errors
/// The file or standard output cannot be written.
pub fn generate(arguments: &TicketsGenerate) -> anyhow::Result<()> {
    let TicketsGenerate {
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
    } = arguments;
    let now = Timestamp::now();
    let start = start.unwrap_or_else(|| Timestamp::from_secs(now.secs() - 24 * 3600));
    if start.plus(DAY) > now.plus(TAKEN_AHEAD) {
        let end = start.plus(DAY).iso8601();
        output::note(format_args!(
            "note: this day ends at {end}, and events more than 5 minutes ahead of the clock are not taken"
        ));
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
    let write = |to: &mut dyn Write| write(&day, to);
    match file.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => output::write_file(path, write)?,
        None => output::write(write)?,
    }
    Ok(())
}

fn write(day: &Day, mut to: &mut dyn Write) -> io::Result<()> {
    for event in day.events() {
        serde_json::to_writer(&mut to, &event)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}
