//! `muster changes redrive`.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use muster::{bucket::Bucket, bus::Bus, jobs::JobQueues, queue::Queue};
use muster_changes::{
    Unhandled, announce,
    failed::{Failed, item_of},
};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};
use url::Url;

use super::aws_config;
use crate::{
    args::{ChangesRedrive, FailedRecords},
    emulator,
    output::{self, WriteError},
};

/// How long the announcements and jobs of one object may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Announces the records of the bucket of failed records, starts their jobs, and deletes the
/// objects.
///
/// # Errors
/// The bucket, the bus or the queue fails, an object still fails, or the user interrupts. An object
/// is deleted only after all of its records were handled.
pub async fn redrive(arguments: ChangesRedrive) -> anyhow::Result<()> {
    let ChangesRedrive {
        from,
        bus,
        jobs,
        long_jobs,
        prefix,
        limit,
        dry_run,
        json,
    } = arguments;
    let (bucket, target) = open(&from, bus, [jobs, long_jobs], dry_run).await?;
    let goal = match target {
        Some(target) => Goal::Replay(target),
        None => Goal::Show { json },
    };
    let interrupted = tokio::spawn(tokio::signal::ctrl_c());
    let mut redrive = Redrive {
        bucket,
        goal,
        objects: 0,
        records: 0,
        left: 0,
    };
    let outcome = redrive.through(&prefix, limit, &interrupted).await;
    redrive.conclude(outcome)
}

/// The bus and the job queues that the records go to.
struct Target {
    bus: Bus,
    jobs: JobQueues,
}

/// The work on each object.
enum Goal {
    Show { json: bool },
    Replay(Target),
}

/// The bucket, and the bus and the job queues, urgent and long, unless this is a dry run.
async fn open(
    from: &FailedRecords,
    bus: Option<String>,
    jobs: [Option<Url>; 2],
    dry_run: bool,
) -> anyhow::Result<(Bucket, Option<Target>)> {
    let (config, bucket, bus, jobs) = match from {
        FailedRecords::LocalStack(url) => {
            let Located {
                aws_url,
                bucket,
                bus,
                jobs_queue_url,
                long_jobs_queue_url,
            } = locate(url).await?;
            (
                emulator::sdk_config(&aws_url),
                bucket,
                Some(bus),
                [jobs_queue_url, long_jobs_queue_url].map(Some),
            )
        }
        FailedRecords::Bucket(name) => {
            let config =
                aws_config("redrive a local stack: start `muster dev`, and leave out --from")
                    .await?;
            ensure!(
                config.region().is_some(),
                "set AWS_REGION to the region of the bucket"
            );
            (
                config,
                name.clone(),
                bus,
                jobs.map(|url| url.map(String::from)),
            )
        }
    };
    let bucket = Bucket::new(&config, bucket)?;
    if dry_run {
        return Ok((bucket, None));
    }
    let bus = bus.context(
        "the event bus is missing: name it with --bus (the stack's output EventBusName)",
    )?;
    let [urgent, long] = jobs;
    let urgent = urgent
        .context("the queue of urgent jobs is missing: give its URL with --jobs (the stack's output JobsQueueUrl)")?;
    let long = long.context(
        "the queue of long jobs is missing: give its URL with --long-jobs (the stack's output LongJobsQueueUrl)",
    )?;
    let bus = Bus::new(aws_sdk_eventbridge::Client::new(&config), bus);
    let sqs = aws_sdk_sqs::Client::new(&config);
    let jobs = JobQueues {
        urgent: Queue::new(sqs.clone(), urgent),
        long: Queue::new(sqs, long),
    };
    Ok((bucket, Some(Target { bus, jobs })))
}

/// The addresses that a local stack gives.
#[derive(Debug, Deserialize)]
struct Located {
    aws_url: String,
    bucket: String,
    bus: String,
    jobs_queue_url: String,
    long_jobs_queue_url: String,
}

async fn locate(stack: &Url) -> anyhow::Result<Located> {
    let mut url = stack.clone();
    url.set_path("/_dev/failed-records");
    // A proxy has no business with this machine's own addresses.
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()?;
    let response = client.get(url).send().await.map_err(|error| {
        let remedy = format!(
            "no server answers at {stack}: start `muster dev`, or name a bucket with --from"
        );
        anyhow::Error::from(error.without_url()).context(remedy)
    })?;
    ensure!(
        response.status() == StatusCode::OK,
        "the server at {stack} ({}) is no local stack: start `muster dev`, or name a bucket with --from",
        response.status()
    );
    Ok(response.json().await.map_err(reqwest::Error::without_url)?)
}

/// A pass over the objects of the bucket.
struct Redrive {
    bucket: Bucket,
    goal: Goal,
    /// The objects that were shown, or replayed and deleted.
    objects: u64,
    /// Their records.
    records: usize,
    /// The objects that failed again, or cannot be read.
    left: u64,
}

impl Redrive {
    /// Works on the objects with a prefix, up to a limit.
    async fn through<T>(
        &mut self,
        prefix: &str,
        limit: Option<u64>,
        interrupted: &JoinHandle<T>,
    ) -> anyhow::Result<()> {
        let mut token = None;
        loop {
            let page = self.bucket.list(prefix, token.as_deref()).await;
            let page = page.with_context(|| {
                format!("the bucket {} could not be listed", self.bucket.name())
            })?;
            for key in &page.keys {
                if limit.is_some_and(|limit| self.objects + self.left >= limit) {
                    return Ok(());
                }
                ensure!(
                    !interrupted.is_finished(),
                    "interrupted: the other objects are left as they were"
                );
                self.object(key).await?;
            }
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// Works on one object.
    async fn object(&mut self, key: &str) -> anyhow::Result<()> {
        // Another redrive may have been faster.
        let Some(body) = self
            .bucket
            .get(key)
            .await
            .with_context(|| format!("{key} could not be read"))?
        else {
            return Ok(());
        };
        let failed = match Failed::parse(&body) {
            Ok(failed) => failed,
            Err(error) => {
                output::note(format_args!(
                    "{key}: not an object of failed records: {error}"
                ));
                self.left += 1;
                return Ok(());
            }
        };
        match &self.goal {
            Goal::Show { json } => show(key, &failed, *json)?,
            Goal::Replay(Target { bus, jobs }) => {
                let deadline = Instant::now() + PATIENCE;
                let Unhandled {
                    failed: still_failed,
                    later,
                } = announce(&failed.records, bus, jobs, deadline).await;
                if let Some(cause) = later.values().next() {
                    bail!("stopped at {key}, which is left with all behind it: {cause}");
                }
                if let Some((position, reason)) = still_failed.first_key_value() {
                    let item = failed
                        .records
                        .get(*position)
                        .and_then(|record| item_of(record));
                    let item = item.unwrap_or_else(|| "an unknown item".to_owned());
                    output::note(format_args!(
                        "{key}: {} of {} records fail, {item}: {reason}",
                        still_failed.len(),
                        failed.records.len()
                    ));
                    self.left += 1;
                    return Ok(());
                }
                let deleted = self.bucket.delete(key).await;
                deleted.with_context(|| {
                    format!(
                        "{key} was replayed and could not be deleted: a second replay is harmless"
                    )
                })?;
            }
        }
        self.objects += 1;
        self.records += failed.records.len();
        Ok(())
    }

    /// Prints the result, and makes objects that are left an error.
    fn conclude(&self, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
        let Self {
            bucket,
            goal,
            objects,
            records,
            left,
        } = self;
        let printed = match (goal, &outcome) {
            (Goal::Show { .. }, Ok(())) if *objects + *left == 0 => {
                output::note(format_args!("No such objects in {}.", bucket.name()));
                Ok(())
            }
            (Goal::Show { .. }, _) => Ok(()),
            (Goal::Replay(_), _) => output::line(format_args!(
                "Replayed {records} records of {objects} objects from {}.",
                bucket.name()
            )),
        };
        outcome?;
        ensure!(
            *left == 0,
            "{left} objects are left: see the reasons above, and run the fixed version of this command"
        );
        Ok(printed?)
    }
}

/// Prints an object: a line of text, or of JSON.
fn show(key: &str, failed: &Failed, as_json: bool) -> Result<(), WriteError> {
    let Failed { reason, records } = failed;
    if as_json {
        return output::line(json!({ "key": key, "reason": reason, "records": records }));
    }
    let items: Vec<_> = records
        .iter()
        .filter_map(|record| item_of(record))
        .collect();
    let first = items.first().map_or("an unknown item", String::as_str);
    let others = if records.len() > 1 {
        format!(" and {} more", records.len() - 1)
    } else {
        String::new()
    };
    output::line(format_args!(
        "{key}  {}",
        line(&format!("{first}{others}: {reason}"))
    ))
}

/// A text as one line, without control characters.
fn line(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}
