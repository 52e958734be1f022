//! `muster users import`.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use muster_domain::{EventVersion, OrganizationId, Timestamp, UserId, UserSnapshot, UserStatus};
use muster_service::store::Table;
use serde_json::json;
use tokio::time::Instant;

use super::line::parse;
use crate::{
    commands::{CALL_TIMEOUT, TableLocation, TableTarget, values},
    output,
};

/// The number of concurrent writes.
const BATCH: usize = 25;

/// `muster users import`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster users import --organization acme users.jsonl
  muster users import --organization acme --ignore-unknown --aws users.jsonl")]
pub struct Import {
    /// Organization of the users
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// File to import
    #[arg(value_name = "FILE.jsonl")]
    pub file: PathBuf,
    /// Accept and ignore unknown fields
    #[arg(long)]
    pub ignore_unknown: bool,
    /// Print one line of JSON: the numbers of imported, deleted and bad lines
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Import {
    /// Writes the profiles of the file.
    ///
    /// # Errors
    /// The file cannot be read, the table fails, or some lines were bad (the others are written).
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            file,
            ignore_unknown,
            json,
            target,
        } = self;
        let opened =
            File::open(&file).with_context(|| format!("cannot open {}", file.display()))?;
        let target = target.resolve().await?;
        let progress = ProgressBar::new(opened.metadata().map_or(0, |metadata| metadata.len()))
            .with_style(
                ProgressStyle::with_template(
                    "{bar:40} {bytes} of {total_bytes}, {eta} left  {msg}",
                )
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
        let mut importer = Importer {
            table: target.table().await?,
            target: &target,
            organization: &organization,
            started: Timestamp::now(),
            batch: HashMap::new(),
            written: 0,
            deleted: 0,
            bad: 0,
            json,
        };
        importer.begin().await?;
        let lines = BufReader::new(progress.wrap_read(opened));
        importer
            .import(lines, &file, ignore_unknown, &progress)
            .await?;
        progress.finish_and_clear();
        importer.finish()
    }
}

/// The state of an import.
struct Importer<'i> {
    table: Table,
    target: &'i TableLocation,
    organization: &'i OrganizationId,
    /// The version time of the profiles. A later user event takes precedence.
    started: Timestamp,
    /// The profiles to write, by id, each with its line number. A later line of a user replaces an
    /// earlier one.
    batch: HashMap<UserId, (usize, UserSnapshot)>,
    /// Number of users written.
    written: usize,
    /// Number of lines without effect, because their user is deleted.
    deleted: usize,
    /// Number of lines that were left out.
    bad: usize,
    /// Whether the summary is JSON.
    json: bool,
}

impl Importer<'_> {
    /// Creates the organization, if it does not exist: functions reject events of unknown
    /// organizations.
    async fn begin(&self) -> anyhow::Result<()> {
        let store = self.table.until(Instant::now() + CALL_TIMEOUT);
        store
            .ensure_organization(self.organization)
            .await
            .map_err(|error| self.target.explain(error))
    }

    /// Imports the lines of the file.
    async fn import(
        &mut self,
        mut lines: impl BufRead,
        file: &Path,
        ignore_unknown: bool,
        progress: &ProgressBar,
    ) -> anyhow::Result<()> {
        let report = |number: usize, fault: &str| {
            progress.suspend(|| output::note(format_args!("{}:{number}: {fault}", file.display())));
        };
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = lines
                .read_until(b'\n', &mut line)
                .with_context(|| format!("cannot read {}", file.display()))?;
            if read == 0 {
                break;
            }
            let parsed = match std::str::from_utf8(&line) {
                Ok(text) if text.trim().is_empty() => continue,
                // Some editors write a byte order mark at the start of a file.
                Ok(text) => parse(text.trim_start_matches('\u{feff}'), ignore_unknown),
                Err(_) => Err("not UTF-8".to_owned()),
            };
            match parsed {
                Ok(user) => {
                    self.batch.insert(user.id, (number, user));
                }
                Err(fault) => {
                    self.bad += 1;
                    report(number, &fault);
                }
            }
            if self.batch.len() == BATCH {
                self.flush(&report).await?;
            }
            progress.set_message(format!("{} users", self.written));
        }
        self.flush(&report).await
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// Some lines were bad, or standard output cannot be written to.
    fn finish(self) -> anyhow::Result<()> {
        let Self {
            organization,
            written,
            deleted,
            bad,
            json,
            ..
        } = self;
        let printed = output::write(|out| {
            if json {
                let summary = json!({
                    "organization_id": organization.as_str(),
                    "imported": written,
                    "deleted": deleted,
                    "bad": bad,
                });
                return writeln!(out, "{summary}");
            }
            writeln!(out, "Imported {written} users into {organization}.")?;
            if deleted > 0 {
                writeln!(
                    out,
                    "{deleted} lines are of deleted users and have no effect."
                )?;
            }
            Ok(())
        });
        if bad > 0 {
            bail!("{bad} lines were left out: fix them, and import the file again");
        }
        Ok(printed?)
    }

    /// Writes the batch. Each profile is merged by the version rules of user events.
    async fn flush(&mut self, report: &impl Fn(usize, &str)) -> anyhow::Result<()> {
        let store = self.table.until(Instant::now() + CALL_TIMEOUT);
        let writes: Vec<_> = std::mem::take(&mut self.batch)
            .into_values()
            .map(|(number, user)| {
                // The event id breaks ties between lines of one file, so that the later line takes
                // precedence across batches.
                let version = EventVersion {
                    at: self.started,
                    time: None,
                    event_id: format!("import, line {number:012}"),
                };
                let (store, org) = (&store, self.organization);
                let now = Timestamp::now();
                async move {
                    (
                        number,
                        version.clone(),
                        store
                            .apply_user_events(org, user.id, &[(version, user)], now)
                            .await,
                    )
                }
            })
            .collect();
        let mut writes = stream::iter(writes).buffer_unordered(BATCH);
        while let Some((number, version, outcome)) = writes.next().await {
            let profile = outcome.map_err(|error| self.target.explain(error))?;
            match profile {
                Some(profile) if profile.user.status == UserStatus::Deleted => {
                    self.deleted += 1;
                    report(
                        number,
                        "this user is deleted permanently: the line has no effect",
                    );
                }
                Some(profile) if profile.versions.name.as_ref() != Some(&version) => {
                    self.bad += 1;
                    report(number, "a user event is newer than this import");
                }
                _ => self.written += 1,
            }
        }
        Ok(())
    }
}
