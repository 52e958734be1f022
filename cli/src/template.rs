//! What the local stack takes from template.yaml: the table, the queues, which function answers
//! which route, and which is invoked with what of a queue, of the table's stream, or by a schedule.
//! So local and deployed cannot differ in them.

mod filter;
mod sources;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use aws_sdk_dynamodb::{
    Client,
    client::Waiters,
    error::{ProvideErrorMetadata, SdkError},
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        PointInTimeRecoverySpecification, Projection, ProjectionType, ScalarAttributeType,
        StreamSpecification, StreamViewType, TimeToLiveSpecification, TimeToLiveStatus,
    },
};
use serde::{Deserialize, de::IgnoredAny};
use serde_yaml_ng::Value;
use tokio::time::Instant;

pub use filter::Filter;
pub use sources::{
    MAX_MESSAGE_BYTES, QueueDefinition, QueueMapping, Redrive, Schedule, StreamMapping,
};
use sources::{Parameter, resolve};

/// The template that this program was built with.
const TEMPLATE: &str = include_str!("../../template.yaml");

/// A SAM template, as far as it is used here.
#[derive(Debug)]
pub struct Template {
    /// The table.
    pub table: TableDefinition,
    /// What the gateway tells browsers, where any origins are configured.
    pub cors: CorsDefinition,
    /// The routes that the gateway declares.
    pub routes: Vec<Route>,
    /// The queues by logical id.
    pub queues: BTreeMap<String, QueueDefinition>,
    /// Which function handles what is in which queue.
    pub queue_mappings: Vec<QueueMapping>,
    /// Which function handles the records of the table's stream.
    pub stream_mappings: Vec<StreamMapping>,
    /// Which function is invoked by the clock.
    pub schedules: Vec<Schedule>,
    timeouts: BTreeMap<String, Duration>,
    /// The timeout of functions that have none of their own.
    pub timeout: Duration,
}

/// A route and the function behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Method and path; none for `$default`.
    pub key: Option<(String, String)>,
    /// The function's logical id.
    pub function: String,
}

/// The gateway's CORS configuration but for the origins, which are whoever deploys it's to name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CorsDefinition {
    #[serde(rename = "AllowOrigins")]
    _origins: IgnoredAny,
    /// The methods that a page may use.
    #[serde(rename = "AllowMethods")]
    pub methods: Vec<String>,
    /// The headers that it may send.
    #[serde(rename = "AllowHeaders")]
    pub headers: Vec<String>,
    /// The headers that it may read.
    #[serde(rename = "ExposeHeaders")]
    pub exposed: Vec<String>,
    /// How many seconds a browser may go by what it was told.
    pub max_age: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpApi {
    cors_configuration: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    globals: Globals,
    resources: BTreeMap<String, Typed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Globals {
    function: GlobalFunction,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GlobalFunction {
    timeout: u64,
}

/// A resource, or an event of a function: what it is, and how.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Typed {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Function {
    timeout: Option<u64>,
    #[serde(default)]
    events: BTreeMap<String, Typed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpApiEvent {
    method: Option<String>,
    path: Option<String>,
}

/// The table's properties. A property that is not here fails the parse, so that nobody adds one
/// that only one side knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TableDefinition {
    billing_mode: String,
    attribute_definitions: Vec<Attribute>,
    key_schema: Vec<KeyElement>,
    global_secondary_indexes: Vec<Index>,
    stream_specification: Stream,
    time_to_live_specification: TimeToLive,
    point_in_time_recovery_specification: PointInTimeRecovery,
    // A stack's stage decides about it; who makes a table by hand deletes it by hand.
    #[serde(rename = "DeletionProtectionEnabled")]
    _deletion_protection: IgnoredAny,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Index {
    index_name: String,
    key_schema: Vec<KeyElement>,
    projection: IndexProjection,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct IndexProjection {
    projection_type: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Stream {
    stream_view_type: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PointInTimeRecovery {
    point_in_time_recovery_enabled: bool,
}

impl Template {
    /// Reads the template that this program was built with.
    ///
    /// # Errors
    /// It uses something that the local stack does not know.
    pub fn load() -> anyhow::Result<Self> {
        Self::parse(TEMPLATE).context("template.yaml")
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let Document {
            parameters,
            globals,
            resources,
        } = serde_yaml_ng::from_str(text)?;
        let mut cors = None;
        let mut tables = BTreeMap::new();
        let mut queues = BTreeMap::new();
        let mut functions = BTreeMap::new();
        for (id, Typed { kind, properties }) in resources {
            let properties = resolve(properties, &parameters);
            match kind.as_str() {
                "AWS::DynamoDB::Table" => {
                    tables.insert(
                        id.clone(),
                        serde_yaml_ng::from_value(properties).with_context(|| id)?,
                    );
                }
                "AWS::Serverless::HttpApi" => {
                    cors = Some(cors_definition(properties).with_context(|| id)?);
                }
                "AWS::SQS::Queue" => {
                    queues.insert(
                        id.clone(),
                        QueueDefinition::parse(properties).with_context(|| id)?,
                    );
                }
                "AWS::Serverless::Function" => {
                    functions.insert(
                        id.clone(),
                        serde_yaml_ng::from_value(properties).with_context(|| id)?,
                    );
                }
                _ => {}
            }
        }
        let (table_id, table) = tables
            .pop_first()
            .context("there is no AWS::DynamoDB::Table")?;
        ensure!(tables.is_empty(), "there is a second AWS::DynamoDB::Table");
        let mut template = Self {
            table,
            cors: cors.context("there is no AWS::Serverless::HttpApi")?,
            routes: Vec::new(),
            queues,
            queue_mappings: Vec::new(),
            stream_mappings: Vec::new(),
            schedules: Vec::new(),
            timeouts: BTreeMap::new(),
            timeout: Duration::from_secs(globals.function.timeout),
        };
        for (id, Function { timeout, events }) in functions {
            template
                .timeouts
                .extend(timeout.map(|timeout| (id.clone(), Duration::from_secs(timeout))));
            for (name, event) in events {
                template
                    .event(&id, event, &table_id)
                    .with_context(|| format!("{id}.{name}"))?;
            }
        }
        template.check_queues()?;
        Ok(template)
    }

    /// Takes in an event of a function.
    fn event(&mut self, function: &str, event: Typed, table_id: &str) -> anyhow::Result<()> {
        let function = function.to_owned();
        let Typed { kind, properties } = event;
        match kind.as_str() {
            "HttpApi" => self.routes.push(Route {
                key: route_key(properties)?,
                function,
            }),
            "SQS" => self
                .queue_mappings
                .push(QueueMapping::parse(function, properties)?),
            "DynamoDB" => self
                .stream_mappings
                .push(StreamMapping::parse(function, properties, table_id)?),
            "Schedule" => self
                .schedules
                .extend(Schedule::parse(function, properties)?),
            _ => bail!("the local stack has no events of type {kind}"),
        }
        Ok(())
    }

    /// Every queue that is named is there, and none is handled by two functions.
    fn check_queues(&self) -> anyhow::Result<()> {
        let mapped = self.queue_mappings.iter().map(|mapping| &mapping.queue);
        let dead_letters = self
            .queues
            .values()
            .filter_map(|queue| queue.redrive.as_ref().map(|redrive| &redrive.queue));
        for queue in mapped.clone().chain(dead_letters) {
            ensure!(self.queues.contains_key(queue), "there is no queue {queue}");
        }
        for queue in mapped.clone() {
            ensure!(
                mapped.clone().filter(|other| *other == queue).count() == 1,
                "{queue} has two consumers"
            );
        }
        Ok(())
    }

    /// How long an invocation of this function may take.
    #[must_use]
    pub fn timeout(&self, function: &str) -> Duration {
        self.timeouts.get(function).copied().unwrap_or(self.timeout)
    }
}

/// An API's CORS configuration, as it is where there are origins.
fn cors_definition(properties: Value) -> anyhow::Result<CorsDefinition> {
    let HttpApi { cors_configuration } = serde_yaml_ng::from_value(properties)?;
    let Value::Tagged(condition) = cors_configuration else {
        bail!("CorsConfiguration is no !If")
    };
    ensure!(condition.tag == "If", "CorsConfiguration is no !If");
    let (_, with_origins, _): (IgnoredAny, Value, IgnoredAny) =
        serde_yaml_ng::from_value(condition.value)?;
    serde_yaml_ng::from_value(with_origins).context("CorsConfiguration")
}

/// The method and path that an event routes, none for `$default`.
fn route_key(properties: Value) -> anyhow::Result<Option<(String, String)>> {
    match serde_yaml_ng::from_value(properties)? {
        HttpApiEvent {
            method: Some(method),
            path: Some(path),
        } => {
            ensure!(
                !path.contains('+'),
                "the local stack has no greedy path parameters"
            );
            Ok(Some((method.to_uppercase(), path)))
        }
        HttpApiEvent {
            method: None,
            path: None,
        } => Ok(None),
        HttpApiEvent { .. } => bail!("a route has both a method and a path, or neither"),
    }
}

impl TableDefinition {
    /// Creates the table under this name, unless it exists, and waits until it can be used. True if
    /// it was created.
    ///
    /// Point-in-time recovery is switched on where the service has it: local engines have not.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn create(&self, client: &Client, name: &str) -> anyhow::Result<bool> {
        let Self {
            billing_mode,
            attribute_definitions,
            key_schema,
            global_secondary_indexes,
            stream_specification,
            time_to_live_specification,
            point_in_time_recovery_specification,
            _deletion_protection,
        } = self;
        let mut attributes = Vec::new();
        for Attribute {
            attribute_name,
            attribute_type,
        } in attribute_definitions
        {
            let attribute = AttributeDefinition::builder()
                .attribute_name(attribute_name)
                .attribute_type(ScalarAttributeType::from(attribute_type.as_str()));
            attributes.push(attribute.build()?);
        }
        let mut indexes = Vec::new();
        for Index {
            index_name,
            key_schema,
            projection,
        } in global_secondary_indexes
        {
            let projection = ProjectionType::from(projection.projection_type.as_str());
            let index = GlobalSecondaryIndex::builder()
                .index_name(index_name)
                .set_key_schema(Some(schema(key_schema)?))
                .projection(Projection::builder().projection_type(projection).build());
            indexes.push(index.build()?);
        }
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::from(
                stream_specification.stream_view_type.as_str(),
            ));
        let created = client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::from(billing_mode.as_str()))
            .set_attribute_definitions(Some(attributes))
            .set_key_schema(Some(schema(key_schema)?))
            .set_global_secondary_indexes(Some(indexes))
            .stream_specification(stream.build()?)
            .send()
            .await;
        let created = match created {
            Ok(_) => true,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateTableError::is_resource_in_use_exception) =>
            {
                false
            }
            Err(error) => return Err(said(error)),
        };
        // An earlier run may have been interrupted before what follows, so it is seen to either
        // way.
        client
            .wait_until_table_exists()
            .table_name(name)
            .wait(PATIENCE)
            .await?;
        expire_items(client, name, time_to_live_specification).await?;
        if point_in_time_recovery_specification.point_in_time_recovery_enabled {
            recover_point_in_time(client, name).await?;
        }
        Ok(created)
    }
}

/// How long a new table may take until it can be used, and until it can be backed up.
const PATIENCE: Duration = Duration::from_mins(2);

/// Switches time to live on. It is asked first: a second time is an error.
async fn expire_items(client: &Client, name: &str, ttl: &TimeToLive) -> anyhow::Result<()> {
    let TimeToLive {
        attribute_name,
        enabled,
    } = ttl;
    let described = client
        .describe_time_to_live()
        .table_name(name)
        .send()
        .await
        .map_err(said)?;
    let current = described
        .time_to_live_description()
        .and_then(|ttl| ttl.time_to_live_status());
    if !enabled
        || matches!(
            current,
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        )
    {
        return Ok(());
    }
    let on = TimeToLiveSpecification::builder()
        .attribute_name(attribute_name)
        .enabled(true)
        .build()?;
    client
        .update_time_to_live()
        .table_name(name)
        .time_to_live_specification(on)
        .send()
        .await
        .map_err(said)?;
    Ok(())
}

/// Switches point-in-time recovery on, where there is such a thing. A new table refuses it for a
/// while.
async fn recover_point_in_time(client: &Client, name: &str) -> anyhow::Result<()> {
    let on = PointInTimeRecoverySpecification::builder()
        .point_in_time_recovery_enabled(true)
        .build()?;
    let call = client
        .update_continuous_backups()
        .table_name(name)
        .point_in_time_recovery_specification(on);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match call.clone().send().await {
            Ok(_) => return Ok(()),
            Err(error) => match error.code() {
                Some("UnknownOperationException") => return Ok(()),
                Some("ContinuousBackupsUnavailableException") if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                _ => return Err(said(error)),
            },
        }
    }
}

/// What the service said, where it said something, in place of how it came.
fn said<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static>(
    error: SdkError<E>,
) -> anyhow::Error {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow!("{code}: {message}"),
        _ => error.into(),
    }
}

fn schema(elements: &[KeyElement]) -> anyhow::Result<Vec<KeySchemaElement>> {
    let element = |KeyElement {
                       attribute_name,
                       key_type,
                   }: &KeyElement| {
        let element = KeySchemaElement::builder()
            .attribute_name(attribute_name)
            .key_type(KeyType::from(key_type.as_str()));
        Ok(element.build()?)
    };
    elements.iter().map(element).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use muster::http::{OPEN_ROUTES, ROUTES};

    use super::*;

    #[test]
    fn the_template_declares_the_routes_that_the_functions_know() {
        let template = Template::load().unwrap();
        let declared: BTreeSet<_> = template
            .routes
            .iter()
            .filter_map(|route| route.key.clone())
            .collect();
        let known = ROUTES
            .map(|(method, path, _)| (method.to_owned(), path.to_owned()))
            .into_iter();
        let open = OPEN_ROUTES.map(|(method, path, _)| (method.to_owned(), path.to_owned()));
        let known: BTreeSet<_> = known.chain(open).collect();
        assert_eq!(declared, known);
        assert_eq!(
            template
                .routes
                .iter()
                .filter(|route| route.key.is_none())
                .count(),
            1
        );
        assert_eq!(template.routes.len(), known.len() + 1);
    }

    #[test]
    fn what_the_local_stack_does_not_know_is_an_error() {
        let template = |properties: &str| {
            TEMPLATE.replace(
                "      BillingMode: PAY_PER_REQUEST\n",
                &format!("      BillingMode: PAY_PER_REQUEST\n{properties}"),
            )
        };
        assert!(Template::parse(&template("")).is_ok());
        let error = Template::parse(&template("      TableClass: STANDARD\n")).unwrap_err();
        assert!(format!("{error:#}").contains("TableClass"), "{error:#}");
    }
}
