//! The event source mapping of the table's stream. It reads the shards in order, gathers batches,
//! and invokes the function until the records succeed or expire.

mod api;
mod checkpoint;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, anyhow};
use muster_domain::Timestamp;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::function::{Function, batch_item_failures};
use crate::{
    local::{
        console::{Console, ConsoleEvent},
        s3::BucketObjects,
    },
    sam::StreamMapping,
};
use api::StreamsApi;
pub(in crate::local) use checkpoint::Checkpoint;

/// The polling interval: the shortest after records, doubled after each empty read up to the
/// longest.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(200);
/// The backoff before a failed batch is retried: the first, and the maximum.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
/// The minimum interval between two saves of the checkpoint.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// A poller of one table's stream.
pub(in crate::local) struct StreamPoller {
    api: StreamsApi,
    stream: String,
    mapping: StreamMapping,
    function: Function,
    failed_records: BucketObjects,
    checkpoint: Checkpoint,
    console: Console,
    stop: watch::Receiver<bool>,
    /// The iterator of each open shard. `None` requires a new iterator.
    open: BTreeMap<String, Option<String>>,
    /// The shards that were read to their end.
    closed: BTreeSet<String>,
}

/// Records of a shard.
struct ShardRecords {
    /// The records that match the mapping's filters.
    records: Vec<Value>,
    /// The sequence number of the last record, including those that the filters exclude.
    last: Option<String>,
}

impl StreamPoller {
    /// Finds the stream of a table, and opens its shards at the checkpoint.
    pub(in crate::local) async fn open(
        dynamodb_url: &str,
        table: &str,
        mapping: StreamMapping,
        function: Function,
        failed_records: BucketObjects,
        checkpoint: Checkpoint,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let api = StreamsApi::new(dynamodb_url)?;
        let description = api
            .call(
                "DynamoDB_20120810.DescribeTable",
                &json!({ "TableName": table }),
            )
            .await?;
        let stream = description
            .pointer("/Table/LatestStreamArn")
            .and_then(Value::as_str);
        let stream = stream
            .with_context(|| format!("the table {table} has no stream"))?
            .to_owned();
        checkpoint.reset_for_stream(&stream);
        let (open, closed) = (BTreeMap::new(), BTreeSet::new());
        let mut poller = Self {
            api,
            stream,
            mapping,
            function,
            failed_records,
            checkpoint,
            console: Console::default(),
            stop,
            open,
            closed,
        };
        poller.find_shards().await?;
        for shard in poller.open.keys().cloned().collect::<Vec<_>>() {
            let iterator = poller.iterator(&shard).await?;
            poller.open.insert(shard, Some(iterator));
        }
        Ok(poller)
    }

    /// Reports each record that the mapping matches to a console, once.
    pub(in crate::local) fn with_console(mut self, console: Console) -> Self {
        self.console = console;
        self
    }

    /// Polls until it is stopped. Waits for a running invocation.
    pub(in crate::local) async fn run(mut self) {
        let mut wait = SHORTEST_WAIT;
        let mut saved = Instant::now();
        let mut stop = self.stop.clone();
        while !*stop.borrow() {
            let found = match self.round().await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!("cannot read the table's stream: {error:#}");
                    false
                }
            };
            wait = if found {
                SHORTEST_WAIT
            } else {
                (wait * 2).min(LONGEST_WAIT)
            };
            if found && saved.elapsed() >= SAVE_EVERY {
                saved = Instant::now();
                if let Err(error) = self.checkpoint.save() {
                    tracing::warn!("cannot save the checkpoint of the table's stream: {error:#}");
                }
            }
            // `wait_for` fails if the sender is dropped, which stops the poller too.
            if tokio::time::timeout(wait, stop.wait_for(|stop| *stop))
                .await
                .is_ok()
            {
                return;
            }
        }
    }

    /// Processes the new records of each shard. Returns whether there were any.
    async fn round(&mut self) -> anyhow::Result<bool> {
        let mut found = false;
        for shard in self.open.keys().cloned().collect::<Vec<_>>() {
            let ShardRecords { records, last } = self.gather(&shard).await?;
            let Some(last) = last else { continue };
            found = true;
            for record in &records {
                self.console.report(|| ConsoleEvent::Change(record.clone()));
            }
            for batch in records.chunks(self.mapping.batch_size) {
                if !self.handle(&shard, batch).await {
                    // Stopped before the end of the batch: the next read starts at the checkpoint.
                    self.open.insert(shard, None);
                    return Ok(found);
                }
            }
            self.checkpoint.set(&shard, &last);
        }
        let ended: Vec<_> = self
            .open
            .keys()
            .filter(|shard| self.closed.contains(*shard))
            .cloned()
            .collect();
        if !ended.is_empty() || self.open.is_empty() {
            for shard in ended {
                self.open.remove(&shard);
            }
            self.find_shards().await?;
        }
        Ok(found)
    }

    /// Opens new shards, each after its parent, so that the changes of an item stay in order.
    async fn find_shards(&mut self) -> anyhow::Result<()> {
        let description = self
            .api
            .streams("DescribeStream", &json!({ "StreamArn": self.stream }))
            .await?;
        let shards = description
            .pointer("/StreamDescription/Shards")
            .and_then(Value::as_array);
        let shards = shards.context("the stream has no shards")?;
        let id =
            |shard: &Value, name: &str| shard.get(name).and_then(Value::as_str).map(str::to_owned);
        let listed: BTreeSet<_> = shards
            .iter()
            .filter_map(|shard| id(shard, "ShardId"))
            .collect();
        for shard in shards {
            let parent = id(shard, "ParentShardId");
            let waits = parent
                .is_some_and(|parent| listed.contains(&parent) && !self.closed.contains(&parent));
            if let Some(shard) = id(shard, "ShardId")
                && !waits
                && !self.closed.contains(&shard)
            {
                self.open.entry(shard).or_default();
            }
        }
        Ok(())
    }

    /// Returns an iterator after the checkpoint, or else at the mapping's starting position.
    async fn iterator(&self, shard: &str) -> anyhow::Result<String> {
        let mut request = json!({ "StreamArn": self.stream, "ShardId": shard });
        if let Some(handled) = self.checkpoint.get(shard) {
            request["ShardIteratorType"] = json!("AFTER_SEQUENCE_NUMBER");
            request["SequenceNumber"] = json!(handled);
        } else {
            request["ShardIteratorType"] = json!(self.mapping.starting_position);
        }
        let response = match self.api.streams("GetShardIterator", &request).await {
            // The checkpoint can be older than the oldest record of the stream.
            Err(_) if request.get("SequenceNumber").is_some() => {
                let start = json!({ "StreamArn": self.stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
                self.api.streams("GetShardIterator", &start).await?
            }
            response => response?,
        };
        response["ShardIterator"]
            .as_str()
            .map(str::to_owned)
            .context("the response has no iterator")
    }

    /// Reads a shard until a batch is full or the batching window has ended.
    async fn gather(&mut self, shard: &str) -> anyhow::Result<ShardRecords> {
        let mut gathered = self.read(shard).await?;
        let ends = Instant::now() + self.mapping.window;
        let mut stop = self.stop.clone();
        while !gathered.records.is_empty()
            && gathered.records.len() < self.mapping.batch_size
            && Instant::now() < ends
        {
            if tokio::time::timeout(
                LONGEST_WAIT.min(ends - Instant::now()),
                stop.wait_for(|stop| *stop),
            )
            .await
            .is_ok()
            {
                break;
            }
            let more = self.read(shard).await?;
            gathered.records.extend(more.records);
            gathered.last = more.last.or(gathered.last);
        }
        Ok(gathered)
    }

    /// Reads the new records of a shard.
    async fn read(&mut self, shard: &str) -> anyhow::Result<ShardRecords> {
        if self.closed.contains(shard) {
            return Ok(ShardRecords {
                records: Vec::new(),
                last: None,
            });
        }
        let iterator = match self.open.get(shard).cloned().flatten() {
            Some(iterator) => iterator,
            None => self.iterator(shard).await?,
        };
        // If the call fails, the iterator may have expired; the next read requests a new one.
        self.open.insert(shard.to_owned(), None);
        let mut response = self
            .api
            .streams("GetRecords", &json!({ "ShardIterator": iterator }))
            .await?;
        let next = response["NextShardIterator"].as_str().map(str::to_owned);
        if next.is_none() {
            self.closed.insert(shard.to_owned());
        }
        self.open.insert(shard.to_owned(), next);
        let Value::Array(records) = response["Records"].take() else {
            return Err(anyhow!("the response has no records"));
        };
        let last = records
            .last()
            .map(|record| sequence_number(record).to_owned());
        let arn = &self.stream;
        let matches =
            |record: &Value| !is_unchanged(record) && self.mapping.matches_filters(record);
        let records = records.into_iter().filter(matches).map(|mut record| {
            record["eventSourceARN"] = json!(arn);
            record
        });
        Ok(ShardRecords {
            records: records.collect(),
            last,
        })
    }

    /// Invokes the function until the records succeed or expire. Returns false if the poller is
    /// stopped first.
    async fn handle(&mut self, shard: &str, records: &[Value]) -> bool {
        // A stack of batches. Bisecting pushes both halves, the older one on top.
        let mut batches = vec![(records, 0)];
        while let Some((batch, attempts)) = batches.pop() {
            if *self.stop.borrow() {
                return false;
            }
            let response = self.function.invoke(&json!({ "Records": batch })).await;
            let reports_failures = self.mapping.reports_failures;
            let outcome = response.and_then(|response| {
                if reports_failures {
                    handled_count(&response, batch)
                } else {
                    Ok(batch.len())
                }
            });
            let (done, rest) = batch.split_at(outcome.as_ref().copied().unwrap_or_default());
            if let Some(last) = done.last() {
                self.checkpoint.set(shard, sequence_number(last));
            }
            let reason = outcome.map_or_else(
                |error| format!("{error:#}"),
                |_| "the function reported a partial batch failure".to_owned(),
            );
            let (given_up, rest) = self.mapping.split_by_age(rest, Timestamp::now());
            if !given_up.is_empty() {
                self.give_up(shard, given_up, &reason);
            }
            if rest.is_empty() {
                continue;
            }
            if done.is_empty() && rest.len() > 1 && self.mapping.bisects {
                let (first_half, second_half) = rest.split_at(rest.len() / 2);
                batches.extend([(second_half, attempts + 1), (first_half, attempts + 1)]);
            } else {
                batches.push((rest, if done.is_empty() { attempts + 1 } else { 0 }));
            }
            tracing::warn!(
                records = rest.len(),
                attempts,
                "stream batch failed; retrying: {reason}"
            );
            let backoff = SHORTEST_BACKOFF
                .saturating_mul(1 << attempts.min(10))
                .min(LONGEST_BACKOFF);
            let mut stop = self.stop.clone();
            if tokio::time::timeout(backoff, stop.wait_for(|stop| *stop))
                .await
                .is_ok()
            {
                return false;
            }
        }
        true
    }

    /// Writes expired records to the bucket, in an object as Lambda writes it.
    fn give_up(&self, shard: &str, records: &[Value], reason: &str) {
        let now = Timestamp::now();
        let key = format!(
            "aws/lambda/{}/{shard}/{}-{}",
            self.mapping.function,
            now.iso8601(),
            Uuid::new_v4()
        );
        let (first, last) = (
            records.first().map(sequence_number),
            records.last().map(sequence_number),
        );
        let object = json!({
            "requestContext": { "functionArn": self.mapping.function, "condition": "RecordAgeExceeded" },
            "version": "1.0",
            "timestamp": now.iso8601(),
            "DDBStreamBatchInfo": {
                "shardId": shard,
                "startSequenceNumber": first,
                "endSequenceNumber": last,
                "batchSize": records.len(),
                "streamArn": self.stream,
            },
            "payload": json!({ "Records": records }).to_string(),
        });
        tracing::error!(
            records = records.len(),
            key,
            "stream records expired; moved to the bucket of failed records: {reason}"
        );
        self.failed_records.put(key, object.to_string().into());
    }
}

impl StreamMapping {
    fn matches_filters(&self, record: &Value) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(record))
    }

    /// Splits failed records into those that are too old for a retry, and the rest.
    ///
    /// Lambda discards old records before their first attempt too. Here each record has one
    /// attempt, because a laptop may have been suspended. AWS: "Lambda parameters for Amazon
    /// DynamoDB event source mappings",
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html>.
    fn split_by_age<'r>(&self, records: &'r [Value], now: Timestamp) -> (&'r [Value], &'r [Value]) {
        let is_too_old = |record: &Value| {
            let created = record
                .pointer("/dynamodb/ApproximateCreationDateTime")
                .and_then(seconds);
            let age = created.map(|seconds| now.since(Timestamp::from_secs(seconds)));
            self.max_record_age
                .zip(age)
                .is_some_and(|(max_age, age)| age >= max_age)
        };
        // Records are sorted by age.
        records.split_at(
            records
                .iter()
                .take_while(|record| is_too_old(record))
                .count(),
        )
    }
}

/// Returns the number of records before the first failed one.
fn handled_count(response: &Value, batch: &[Value]) -> anyhow::Result<usize> {
    let failures = batch_item_failures(response)?;
    let position = |failure: &&str| {
        batch
            .iter()
            .position(|record| sequence_number(record) == *failure)
    };
    let positions: Option<Vec<usize>> = failures.iter().map(position).collect();
    let positions = positions.context("the response names a record that is not in the batch")?;
    Ok(positions.into_iter().min().unwrap_or(batch.len()))
}

/// Returns the whole seconds of a number. Some engines write a fraction.
fn seconds(number: &Value) -> Option<i64> {
    number
        .as_i64()
        .or_else(|| number.to_string().split('.').next()?.parse().ok())
}

fn sequence_number(record: &Value) -> &str {
    record
        .pointer("/dynamodb/SequenceNumber")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Tells whether a record's images are equal. The embedded engine writes such records; DynamoDB
/// does not.
fn is_unchanged(record: &Value) -> bool {
    let image = |name: &str| record["dynamodb"].get(name);
    image("OldImage").is_some() && image("OldImage") == image("NewImage")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence_number: &str) -> Value {
        json!({ "dynamodb": { "SequenceNumber": sequence_number } })
    }

    #[test]
    fn batch_is_handled_up_to_the_first_failure() {
        let batch = ["1", "2", "3"].map(record);
        let failures = |ids: &[&str]| json!({ "batchItemFailures": ids.iter().map(|id| json!({ "itemIdentifier": id })).collect::<Vec<_>>() });
        assert_eq!(handled_count(&failures(&[]), &batch).unwrap(), 3);
        assert_eq!(handled_count(&failures(&["3", "2"]), &batch).unwrap(), 1);
        assert_eq!(handled_count(&failures(&["1"]), &batch).unwrap(), 0);
        assert!(handled_count(&failures(&["2", "7"]), &batch).is_err());
    }

    #[test]
    fn records_older_than_the_maximum_age_expire() {
        let mapping = |max_record_age| StreamMapping {
            function: "F".to_owned(),
            starting_position: "TRIM_HORIZON".to_owned(),
            batch_size: 100,
            window: Duration::ZERO,
            bisects: true,
            max_record_age,
            reports_failures: true,
            filters: Vec::new(),
        };
        let records = [100, 200, 300]
            .map(|seconds| json!({ "dynamodb": { "ApproximateCreationDateTime": seconds } }));
        let given_up = |age: Option<u64>, now| {
            mapping(age.map(Duration::from_secs))
                .split_by_age(&records, Timestamp::from_secs(now))
                .0
                .len()
        };
        assert_eq!(given_up(Some(60), 159), 0);
        assert_eq!(given_up(Some(60), 160), 1);
        assert_eq!(given_up(Some(60), 300), 2);
        assert_eq!(given_up(Some(60), 360), 3);
        assert_eq!(given_up(None, 1_000_000), 0, "no age, no end");
    }

    #[test]
    fn record_with_equal_images_is_unchanged() {
        let change =
            |old: Value, new: Value| json!({ "dynamodb": { "OldImage": old, "NewImage": new } });
        assert!(is_unchanged(&change(
            json!({"a": {"S": "x"}}),
            json!({"a": {"S": "x"}})
        )));
        assert!(!is_unchanged(&change(
            json!({"a": {"S": "x"}}),
            json!({"a": {"S": "y"}})
        )));
        assert!(!is_unchanged(&json!({ "dynamodb": { "NewImage": {} } })));
        assert!(!is_unchanged(&json!({ "dynamodb": {} })));
    }
}
