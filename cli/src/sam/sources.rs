//! The queues of a template, and the event sources of its functions.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, de::IgnoredAny};
use serde_yaml_ng::{Mapping, Value};

use super::EventFilter;

/// The maximum size of a message in bytes, which the template's queues for senders must have too.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// A parameter of the template. The local stack uses its default.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameter {
    #[serde(default)]
    default: Value,
}

/// Replaces references to parameters by the parameters' defaults.
pub(super) fn resolve(value: Value, parameters: &BTreeMap<String, Parameter>) -> Value {
    let default = |name: &Value| {
        let default = name
            .as_str()
            .and_then(|name| parameters.get(name))
            .map(|parameter| &parameter.default);
        default.filter(|default| !default.is_null()).cloned()
    };
    match value {
        Value::Tagged(tagged) if tagged.tag == "Ref" => {
            default(&tagged.value).unwrap_or_else(|| Value::Tagged(tagged))
        }
        Value::Tagged(mut tagged) => {
            tagged.value = resolve(tagged.value, parameters);
            Value::Tagged(tagged)
        }
        Value::Sequence(items) => items
            .into_iter()
            .map(|item| resolve(item, parameters))
            .collect(),
        Value::Mapping(fields) => {
            let reference = (fields.len() == 1)
                .then(|| fields.get("Ref"))
                .flatten()
                .and_then(default);
            let resolved = |(name, value)| (name, resolve(value, parameters));
            reference.unwrap_or_else(|| {
                Value::Mapping(fields.into_iter().map(resolved).collect::<Mapping>())
            })
        }
        other => other,
    }
}

/// Returns the logical id in `!GetAtt Id.Attribute`, in any notation.
fn get_att(value: &Value, attribute: &str) -> anyhow::Result<String> {
    let argument = match value {
        Value::Tagged(tagged) if tagged.tag == "GetAtt" => Some(&tagged.value),
        Value::Mapping(fields) => fields.get("Fn::GetAtt"),
        _ => None,
    };
    let (id, named) = match argument {
        Some(Value::String(text)) => text.split_once('.'),
        Some(Value::Sequence(parts)) => match parts.as_slice() {
            [id, named] => id.as_str().zip(named.as_str()),
            _ => None,
        },
        _ => None,
    }
    .with_context(|| {
        format!(
            "the local stack requires a resource of the template here, as !GetAtt Id.{attribute}"
        )
    })?;
    ensure!(named == attribute, "{id}.{named} is not an {attribute}");
    Ok(id.to_owned())
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDefinition {
    /// The time for which a received message is invisible.
    pub visibility_timeout: Duration,
    /// The retention period of a message.
    pub retention: Duration,
    /// The dead-letter queue and the receive count that moves messages to it.
    pub redrive: Option<RedriveTarget>,
}

/// The redrive policy of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedriveTarget {
    /// The dead-letter queue's logical id.
    pub queue: String,
    /// The maximum receive count.
    pub max_receives: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct QueueProperties {
    visibility_timeout: Option<u64>,
    message_retention_period: Option<u64>,
    redrive_policy: Option<RedrivePolicy>,
    maximum_message_size: Option<usize>,
    // Properties without an effect on the local stack.
    #[serde(rename = "QueueName")]
    _queue_name: Option<Value>,
    #[serde(rename = "RedriveAllowPolicy")]
    _redrive_allow_policy: Option<IgnoredAny>,
    #[serde(rename = "SqsManagedSseEnabled")]
    _encryption: Option<IgnoredAny>,
    #[serde(rename = "ReceiveMessageWaitTimeSeconds")]
    _polling: Option<IgnoredAny>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RedrivePolicy {
    dead_letter_target_arn: Value,
    max_receive_count: u32,
}

impl QueueDefinition {
    pub(super) fn parse(properties: Value) -> anyhow::Result<Self> {
        /// Defaults of SQS: 30 seconds, and 4 days.
        const VISIBILITY: u64 = 30;
        const RETENTION: u64 = 4 * 24 * 60 * 60;
        let properties = if properties.is_null() {
            Value::Mapping(Mapping::new())
        } else {
            properties
        };
        let properties: QueueProperties = serde_yaml_ng::from_value(properties)?;
        let is_local_limit = properties
            .maximum_message_size
            .is_none_or(|size| size == MAX_MESSAGE_BYTES);
        ensure!(
            is_local_limit,
            "MaximumMessageSize must be {MAX_MESSAGE_BYTES}, the limit of the local stack"
        );
        let redrive = properties.redrive_policy.map(
            |RedrivePolicy {
                 dead_letter_target_arn,
                 max_receive_count,
             }| {
                let queue = get_att(&dead_letter_target_arn, "Arn")?;
                anyhow::Ok(RedriveTarget {
                    queue,
                    max_receives: max_receive_count,
                })
            },
        );
        Ok(Self {
            visibility_timeout: Duration::from_secs(
                properties.visibility_timeout.unwrap_or(VISIBILITY),
            ),
            retention: Duration::from_secs(
                properties.message_retention_period.unwrap_or(RETENTION),
            ),
            redrive: redrive.transpose()?,
        })
    }
}

/// The event source mapping of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMapping {
    /// The function's logical id.
    pub function: String,
    /// The queue's logical id.
    pub queue: String,
    /// The maximum number of messages in a batch.
    pub batch_size: usize,
    /// The batching window.
    pub window: Duration,
    /// The maximum number of concurrent invocations.
    pub concurrency: usize,
    /// Whether the function returns partial batch responses.
    pub reports_failures: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SqsEvent {
    queue: Value,
    batch_size: Option<usize>,
    maximum_batching_window_in_seconds: Option<u64>,
    #[serde(default)]
    function_response_types: Vec<String>,
    scaling_config: Option<ScalingConfig>,
    enabled: Option<bool>,
    #[serde(rename = "MetricsConfig")]
    _metrics: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ScalingConfig {
    maximum_concurrency: usize,
}

impl QueueMapping {
    pub(super) fn parse(function: String, properties: Value) -> anyhow::Result<Self> {
        /// Lambda starts with five pollers for a queue, and adds more under load.
        const CONCURRENCY: usize = 5;
        let event: SqsEvent = serde_yaml_ng::from_value(properties)?;
        ensure!(
            event.enabled != Some(false),
            "the local stack does not support disabled mappings"
        );
        let batch_size = event.batch_size.unwrap_or(10);
        ensure!(batch_size > 0, "a batch has at least one message");
        Ok(Self {
            function,
            queue: get_att(&event.queue, "Arn")?,
            batch_size,
            window: Duration::from_secs(
                event.maximum_batching_window_in_seconds.unwrap_or_default(),
            ),
            concurrency: event
                .scaling_config
                .map_or(CONCURRENCY, |scaling| scaling.maximum_concurrency),
            reports_failures: reports_failures(&event.function_response_types)?,
        })
    }
}

fn reports_failures(types: &[String]) -> anyhow::Result<bool> {
    match types {
        [] => Ok(false),
        [one] if one == "ReportBatchItemFailures" => Ok(true),
        _ => bail!(
            "the local stack does not support the response type {} of a function",
            types.join(", ")
        ),
    }
}

/// The event source mapping of the table's stream.
#[derive(Debug, Clone)]
pub struct StreamMapping {
    /// The function's logical id.
    pub function: String,
    /// The position at which a stream without a checkpoint starts, in DynamoDB's words.
    pub starting_position: String,
    /// The maximum number of records in a batch.
    pub batch_size: usize,
    /// The batching window.
    pub window: Duration,
    /// Whether a failed batch is retried in halves.
    pub bisects: bool,
    /// The age at which a failed record is discarded. Without one, a record is retried until it
    /// succeeds.
    pub max_record_age: Option<Duration>,
    /// Whether the function returns partial batch responses.
    pub reports_failures: bool,
    /// The filters. A record has to match one of them; without filters, every record matches.
    pub filters: Vec<EventFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DynamoDbEvent {
    stream: Value,
    starting_position: String,
    batch_size: Option<usize>,
    maximum_batching_window_in_seconds: Option<u64>,
    bisect_batch_on_function_error: Option<bool>,
    maximum_retry_attempts: Option<i64>,
    maximum_record_age_in_seconds: Option<i64>,
    #[serde(default)]
    function_response_types: Vec<String>,
    filter_criteria: Option<FilterCriteria>,
    enabled: Option<bool>,
    // Any factor preserves the order of the changes of an item. One batch at a time does so too.
    #[serde(rename = "ParallelizationFactor")]
    _parallelization: Option<u32>,
    // Discarded records go to the local bucket of failed records.
    #[serde(rename = "DestinationConfig")]
    _destination: Option<IgnoredAny>,
    #[serde(rename = "MetricsConfig")]
    _metrics: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FilterCriteria {
    filters: Vec<FilterPattern>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FilterPattern {
    pattern: String,
}

impl StreamMapping {
    pub(super) fn parse(
        function: String,
        properties: Value,
        table_id: &str,
    ) -> anyhow::Result<Self> {
        let event: DynamoDbEvent = serde_yaml_ng::from_value(properties)?;
        let stream = get_att(&event.stream, "StreamArn")?;
        ensure!(stream == table_id, "{stream} is not the table");
        ensure!(
            event.enabled != Some(false),
            "the local stack does not support disabled mappings"
        );
        let batch_size = event.batch_size.unwrap_or(100);
        ensure!(batch_size > 0, "a batch has at least one record");
        // The value -1 means no limit.
        ensure!(
            event
                .maximum_retry_attempts
                .is_none_or(|attempts| attempts == -1),
            "the local stack retries records by age alone: MaximumRetryAttempts must be -1"
        );
        let age = event
            .maximum_record_age_in_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let filters = event
            .filter_criteria
            .map(|criteria| criteria.filters)
            .unwrap_or_default();
        Ok(Self {
            function,
            starting_position: event.starting_position,
            batch_size,
            window: Duration::from_secs(
                event.maximum_batching_window_in_seconds.unwrap_or_default(),
            ),
            bisects: event.bisect_batch_on_function_error.unwrap_or(false),
            max_record_age: age.map(Duration::from_secs),
            reports_failures: reports_failures(&event.function_response_types)?,
            filters: filters
                .iter()
                .map(|filter| EventFilter::parse(&filter.pattern))
                .collect::<anyhow::Result<_>>()?,
        })
    }
}

/// A schedule of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The function's logical id.
    pub function: String,
    /// The period.
    pub every: Duration,
    /// The event as JSON.
    pub input: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ScheduleEvent {
    schedule: String,
    input: String,
    enabled: Option<bool>,
    state: Option<String>,
    #[serde(rename = "Name")]
    _name: Option<Value>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "RetryPolicy")]
    _retries: Option<IgnoredAny>,
    #[serde(rename = "DeadLetterConfig")]
    _dead_letters: Option<IgnoredAny>,
}

impl Schedule {
    /// Parses a schedule. Returns `None` if it is disabled.
    pub(super) fn parse(function: String, properties: Value) -> anyhow::Result<Option<Self>> {
        let event: ScheduleEvent = serde_yaml_ng::from_value(properties)?;
        let every = rate(&event.schedule).with_context(|| {
            format!(
                "the local stack supports rates only, not the schedule {:?}",
                event.schedule
            )
        })?;
        let input = serde_json::from_str(&event.input).context("Input is not JSON")?;
        let off = event.enabled == Some(false) || event.state.as_deref() == Some("DISABLED");
        Ok((!off).then_some(Self {
            function,
            every,
            input,
        }))
    }
}

/// Returns the period in `rate(5 minutes)`.
fn rate(text: &str) -> Option<Duration> {
    let (number, unit) = text
        .strip_prefix("rate(")?
        .strip_suffix(')')?
        .split_once(' ')?;
    let unit = match unit.strip_suffix('s').unwrap_or(unit) {
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    Some(Duration::from_secs(number.checked_mul(unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Value {
        serde_yaml_ng::from_str(text).unwrap()
    }

    #[test]
    fn parameter_references_resolve_to_defaults() {
        let parameters: BTreeMap<String, Parameter> =
            serde_yaml_ng::from_str("Size: {Type: Number, Default: 7}\nNone: {Type: String}")
                .unwrap();
        let resolved = resolve(
            yaml("[!Ref Size, {Ref: Size}, {a: !Ref Size}, !Ref Other, !GetAtt Size.Arn]"),
            &parameters,
        );
        assert_eq!(
            resolved,
            yaml("[7, 7, {a: 7}, !Ref Other, !GetAtt Size.Arn]")
        );
        assert_eq!(resolve(yaml("!Ref None"), &parameters), yaml("!Ref None"));
    }

    #[test]
    fn get_att_is_parsed_in_each_notation() {
        for text in [
            "!GetAtt Queue.Arn",
            "!GetAtt [Queue, Arn]",
            "Fn::GetAtt: [Queue, Arn]",
            "Fn::GetAtt: Queue.Arn",
        ] {
            assert_eq!(get_att(&yaml(text), "Arn").unwrap(), "Queue", "{text}");
        }
        for text in [
            "!GetAtt Queue.Name",
            "arn:aws:sqs:eu-west-1:123456789012:other",
            "!Ref Queue",
        ] {
            assert!(get_att(&yaml(text), "Arn").is_err(), "{text}");
        }
    }

    #[test]
    fn rate_is_parsed_as_a_period() {
        for (text, seconds) in [
            ("rate(1 minute)", 60),
            ("rate(5 minutes)", 300),
            ("rate(2 days)", 172_800),
        ] {
            assert_eq!(rate(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "rate(0 minutes)",
            "cron(0 8 * * ? *)",
            "rate(5 fortnights)",
            "rate(5)",
        ] {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn unknown_mapping_property_is_an_error() {
        let parse = |more: &str| {
            QueueMapping::parse(
                "F".to_owned(),
                yaml(&format!("Queue: !GetAtt Queue.Arn\nBatchSize: 100\n{more}")),
            )
        };
        let mapping = parse(
            "ScalingConfig: {MaximumConcurrency: 8}\nFunctionResponseTypes: [ReportBatchItemFailures]",
        );
        let mapping = mapping.unwrap();
        assert_eq!(
            (
                mapping.batch_size,
                mapping.concurrency,
                mapping.reports_failures
            ),
            (100, 8, true)
        );
        for more in [
            "KmsKeyArn: x",
            "FunctionResponseTypes: [Other]",
            "ScalingConfig: {Minimum: 1}",
            "Enabled: false",
        ] {
            assert!(parse(more).is_err(), "{more}");
        }
    }

    #[test]
    fn stream_mapping_retries_by_age_alone() {
        let parse = |more: &str| {
            let text =
                format!("Stream: !GetAtt Table.StreamArn\nStartingPosition: TRIM_HORIZON\n{more}");
            StreamMapping::parse("F".to_owned(), yaml(&text), "Table")
        };
        let mapping = parse("MaximumRetryAttempts: -1\nMaximumRecordAgeInSeconds: 21600").unwrap();
        assert_eq!(mapping.max_record_age, Some(Duration::from_hours(6)));
        assert_eq!(
            parse("MaximumRecordAgeInSeconds: -1")
                .unwrap()
                .max_record_age,
            None
        );
        assert!(parse("MaximumRetryAttempts: 20").is_err());
    }

    #[test]
    fn queue_without_properties_has_sqs_defaults() {
        let queue = QueueDefinition::parse(Value::Null).unwrap();
        assert_eq!(
            (
                queue.visibility_timeout.as_secs(),
                queue.retention.as_secs()
            ),
            (30, 345_600)
        );
        assert_eq!(queue.redrive, None);
        assert!(QueueDefinition::parse(yaml("FifoQueue: true")).is_err());
        assert!(QueueDefinition::parse(yaml("MaximumMessageSize: 262144")).is_ok());
        assert!(QueueDefinition::parse(yaml("MaximumMessageSize: 1048576")).is_err());
    }
}
