//! `muster changes redrive`.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use muster_changes::{
    Unhandled, announce,
    failed::{Failed, item_of},
};
use muster_service::{
    aws::{eventbridge::Bus, s3::Bucket, sqs_send::Queue},
    jobs::JobQueues,
};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};
use url::Url;

use crate::{
    commands::{aws, local_stack::running_stack},
    emulator,
    output::{self, WriteError},
};

/// Timeout for the announcements and jobs of one object.
const OBJECT_TIMEOUT: Duration = Duration::from_secs(30);

/// `muster changes redrive`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster changes redrive --dry-run
  muster changes redrive --from muster-failed-records --limit 1 --bus muster --jobs https://sqs.eu-west-1.amazonaws.com/1/jobs --long-jobs https://sqs.eu-west-1.amazonaws.com/1/long-jobs")]
pub struct Redrive {
    /// Bucket of failed records in AWS, by the usual AWS environment; or the address of `muster
    /// dev`, such as http://127.0.0.1:3000 [default: the running `muster dev`]
    #[arg(long, value_name = "BUCKET", value_parser = bucket_address)]
    pub from: Option<BucketAddress>,
    /// Event bus to announce on [default: the bus of `muster dev`, if --from is its address]
    #[arg(long, value_name = "NAME", env = "EVENT_BUS_NAME")]
    pub bus: Option<String>,
    /// URL of the queue of urgent jobs [default: as for --bus]
    #[arg(long, value_name = "URL", env = "JOBS_QUEUE_URL")]
    pub jobs: Option<url::Url>,
    /// URL of the queue of long jobs [default: as for --bus]
    #[arg(long, value_name = "URL", env = "LONG_JOBS_QUEUE_URL")]
    pub long_jobs: Option<url::Url>,
    /// Prefix of the object keys: changes/ for records that the function rejected, aws/lambda/ for
    /// records that Lambda discarded [default: all objects]
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prefix: String,
    /// Maximum number of objects [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Show the objects; send and delete none
    #[arg(long)]
    pub dry_run: bool,
    /// Print the summary as a JSON object; with --dry-run, one line of JSON for each object, with
    /// its records
    #[arg(long)]
    pub json: bool,
}

/// The address of the bucket of failed records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketAddress {
    /// The bucket of a `muster dev`, by the address of the stack.
    LocalStack(url::Url),
    /// An S3 bucket, by name.
    Bucket(String),
}

fn bucket_address(text: &str) -> Result<BucketAddress, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        let url = url::Url::parse(text)
            .map_err(|error| format!("the address of `muster dev` is invalid: {error}"))?;
        return Ok(BucketAddress::LocalStack(url));
    }
    // AWS: "General purpose bucket naming rules",
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    let is_plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
    };
    if (3..=63).contains(&text.len()) && text.bytes().all(is_plain) {
        Ok(BucketAddress::Bucket(text.to_owned()))
    } else {
        Err("a bucket name has 3 to 63 characters of a-z 0-9 . -".to_owned())
    }
}

impl Redrive {
    /// Publishes the announcements of the failed records, queues their jobs, and deletes the
    /// objects.
    ///
    /// # Errors
    /// The bucket, the bus or a queue fails, an object still fails, or the user interrupts. An
    /// object is deleted only after all of its records succeeded.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            from,
            bus,
            jobs,
            long_jobs,
            prefix,
            limit,
            dry_run,
            json,
        } = self;
        let from = match from {
            Some(from) => from,
            None => {
                BucketAddress::LocalStack(running_stack("name a bucket with --from").await?.url)
            }
        };
        let (bucket, target) = open(&from, bus, [jobs, long_jobs], dry_run).await?;
        let mode = match target {
            Some(target) => ReplayMode::Replay(target),
            None => ReplayMode::Show { json },
        };
        let interrupted = tokio::spawn(tokio::signal::ctrl_c());
        let mut replay = Replay {
            bucket,
            mode,
            objects: 0,
            records: 0,
            remaining: 0,
        };
        let outcome = replay.run(&prefix, limit, &interrupted).await;
        replay.conclude(outcome, json)
    }
}

/// The bus and the job queues that the records go to.
struct ReplayTargets {
    bus: Bus,
    jobs: JobQueues,
}

/// The operation on each object.
enum ReplayMode {
    Show { json: bool },
    Replay(ReplayTargets),
}

/// Opens the bucket, and, unless this is a dry run, the bus and the job queues. `jobs` has the URLs
/// of the urgent and the long queue.
async fn open(
    from: &BucketAddress,
    bus: Option<String>,
    jobs: [Option<Url>; 2],
    dry_run: bool,
) -> anyhow::Result<(Bucket, Option<ReplayTargets>)> {
    let (config, bucket, bus, jobs) = match from {
        BucketAddress::LocalStack(url) => {
            let BucketLocation {
                aws_url,
                bucket,
                bus,
                jobs_queue_url,
                long_jobs_queue_url,
            } = locate_failed_records(url).await?;
            (
                emulator::sdk_config(&aws_url),
                bucket,
                Some(bus),
                [jobs_queue_url, long_jobs_queue_url].map(Some),
            )
        }
        BucketAddress::Bucket(name) => {
            let config =
                aws::sdk_config("redrive a local stack: start `muster dev`, and leave out --from")
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
    Ok((bucket, Some(ReplayTargets { bus, jobs })))
}

/// The response of a local stack: the addresses of its services.
#[derive(Debug, Deserialize)]
struct BucketLocation {
    aws_url: String,
    bucket: String,
    bus: String,
    jobs_queue_url: String,
    long_jobs_queue_url: String,
}

async fn locate_failed_records(stack: &Url) -> anyhow::Result<BucketLocation> {
    let mut url = stack.clone();
    url.set_path("/_dev/failed-records");
    // `HTTP_PROXY` must not apply to addresses of this machine.
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(OBJECT_TIMEOUT)
        .build()?;
    let response = client.get(url).send().await.map_err(|error| {
        let remedy = format!(
            "no server responds at {stack}: start `muster dev`, or name a bucket with --from"
        );
        anyhow::Error::from(error.without_url()).context(remedy)
    })?;
    ensure!(
        response.status() == StatusCode::OK,
        "the server at {stack} ({}) is not a local stack: start `muster dev`, or name a bucket with --from",
        response.status()
    );
    Ok(response.json().await.map_err(reqwest::Error::without_url)?)
}

/// A pass over the objects of the bucket.
struct Replay {
    bucket: Bucket,
    mode: ReplayMode,
    /// The number of objects that were shown, or replayed and deleted.
    objects: u64,
    /// The number of their records.
    records: usize,
    /// The number of objects that still fail or cannot be parsed.
    remaining: u64,
}

impl Replay {
    /// Processes the objects with a prefix, up to a limit.
    async fn run<T>(
        &mut self,
        prefix: &str,
        limit: Option<u64>,
        interrupted: &JoinHandle<T>,
    ) -> anyhow::Result<()> {
        let mut token = None;
        loop {
            let page = self.bucket.list(prefix, token.as_deref()).await;
            let page =
                page.with_context(|| format!("cannot list the bucket {}", self.bucket.name()))?;
            for key in &page.keys {
                if limit.is_some_and(|limit| self.objects + self.remaining >= limit) {
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

    /// Processes one object.
    async fn object(&mut self, key: &str) -> anyhow::Result<()> {
        // A concurrent redrive can have deleted the object since it was listed.
        let Some(body) = self
            .bucket
            .get(key)
            .await
            .with_context(|| format!("cannot read {key}"))?
        else {
            return Ok(());
        };
        let failed = match Failed::parse(&body) {
            Ok(failed) => failed,
            Err(error) => {
                output::note(format_args!(
                    "{key}: not an object of failed records: {error}"
                ));
                self.remaining += 1;
                return Ok(());
            }
        };
        match &self.mode {
            ReplayMode::Show { json } => show(key, &failed, *json)?,
            ReplayMode::Replay(ReplayTargets { bus, jobs }) => {
                let deadline = Instant::now() + OBJECT_TIMEOUT;
                let Unhandled {
                    failed: still_failed,
                    later,
                } = announce(&failed.records, bus, jobs, deadline).await;
                if let Some(cause) = later.values().next() {
                    bail!("stopped at {key}, which is left with the later objects: {cause}");
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
                    self.remaining += 1;
                    return Ok(());
                }
                let deleted = self.bucket.delete(key).await;
                deleted.with_context(|| {
                    format!(
                        "{key} was replayed but could not be deleted: run this again, since a second replay is idempotent"
                    )
                })?;
            }
        }
        self.objects += 1;
        self.records += failed.records.len();
        Ok(())
    }

    /// Prints the summary, and returns an error if objects remain.
    fn conclude(&self, outcome: anyhow::Result<()>, json: bool) -> anyhow::Result<()> {
        let Self {
            bucket,
            mode,
            objects,
            records,
            remaining,
        } = self;
        let printed = match (mode, &outcome) {
            (ReplayMode::Show { .. }, Ok(())) if *objects + *remaining == 0 => {
                output::note(format_args!("No matching objects in {}.", bucket.name()));
                Ok(())
            }
            (ReplayMode::Show { .. }, _) => Ok(()),
            (ReplayMode::Replay(_), _) if json => output::line(json!({
                "bucket": bucket.name(),
                "objects": objects,
                "records": records,
                "objects_left": remaining,
            })),
            (ReplayMode::Replay(_), _) => output::line(format_args!(
                "Replayed {records} records of {objects} objects from {}.",
                bucket.name()
            )),
        };
        outcome?;
        ensure!(
            *remaining == 0,
            "{remaining} objects are left for the reasons above: fix the cause, and run this again with the fixed version"
        );
        Ok(printed?)
    }
}

/// Prints an object as a line of text or of JSON.
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
        single_line(&format!("{first}{others}: {reason}"))
    ))
}

/// Returns the text on one line, without control characters.
fn single_line(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}
