//! The parts of template.yaml that the local stack uses: the table, the queues, the routes, and the
//! event sources of the functions. Local and deployed stacks cannot differ in them.

mod filter;
mod sources;
mod table;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, de::IgnoredAny};
use serde_yaml_ng::Value;

pub use filter::EventFilter;
pub use sources::{
    MAX_MESSAGE_BYTES, QueueDefinition, QueueMapping, RedriveTarget, Schedule, StreamMapping,
};
use sources::{Parameter, resolve};
pub use table::TableDefinition;

/// The template at the time of the build.
const TEMPLATE: &str = include_str!("../../../template.yaml");

/// A SAM template, as far as the local stack uses it.
#[derive(Debug)]
pub struct Template {
    /// The table.
    pub table: TableDefinition,
    /// The CORS configuration, which applies if origins are configured.
    pub cors: CorsDefinition,
    /// The routes of the HTTP API.
    pub routes: Vec<TemplateRoute>,
    /// The queues by logical id.
    pub queues: BTreeMap<String, QueueDefinition>,
    /// The event source mappings of queues.
    pub queue_mappings: Vec<QueueMapping>,
    /// The event source mappings of the table's stream.
    pub stream_mappings: Vec<StreamMapping>,
    /// The schedules.
    pub schedules: Vec<Schedule>,
    timeouts: BTreeMap<String, Duration>,
    /// The default timeout of functions.
    pub timeout: Duration,
}

/// A route and its function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRoute {
    /// Method and path, or `None` for `$default`.
    pub key: Option<(String, String)>,
    /// The function's logical id.
    pub function: String,
}

/// The CORS configuration of the HTTP API without the origins, which are a parameter of the
/// deployment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CorsDefinition {
    #[serde(rename = "AllowOrigins")]
    _origins: IgnoredAny,
    /// The allowed methods.
    #[serde(rename = "AllowMethods")]
    pub methods: Vec<String>,
    /// The headers that a page may send.
    #[serde(rename = "AllowHeaders")]
    pub headers: Vec<String>,
    /// The headers that a page may read.
    #[serde(rename = "ExposeHeaders")]
    pub exposed: Vec<String>,
    /// The time for which a browser may cache a preflight, in seconds.
    pub max_age: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpApi {
    cors_configuration: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateDocument {
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    globals: Globals,
    resources: BTreeMap<String, TypedNode>,
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

/// A resource, or an event of a function: its type and properties.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TypedNode {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionProperties {
    timeout: Option<u64>,
    #[serde(default)]
    events: BTreeMap<String, TypedNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpApiEvent {
    method: Option<String>,
    path: Option<String>,
}

impl Template {
    /// Parses the template of the build.
    ///
    /// # Errors
    /// The template uses a feature that the local stack does not support.
    pub fn load() -> anyhow::Result<Self> {
        Self::parse(TEMPLATE).context("template.yaml")
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let TemplateDocument {
            parameters,
            globals,
            resources,
        } = serde_yaml_ng::from_str(text)?;
        let mut cors = None;
        let mut tables = BTreeMap::new();
        let mut queues = BTreeMap::new();
        let mut functions = BTreeMap::new();
        for (id, TypedNode { kind, properties }) in resources {
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
        for (id, FunctionProperties { timeout, events }) in functions {
            template
                .timeouts
                .extend(timeout.map(|timeout| (id.clone(), Duration::from_secs(timeout))));
            for (name, event) in events {
                template
                    .add_event(&id, event, &table_id)
                    .with_context(|| format!("{id}.{name}"))?;
            }
        }
        template.check_queues()?;
        Ok(template)
    }

    /// Adds an event of a function.
    fn add_event(
        &mut self,
        function: &str,
        event: TypedNode,
        table_id: &str,
    ) -> anyhow::Result<()> {
        let function = function.to_owned();
        let TypedNode { kind, properties } = event;
        match kind.as_str() {
            "HttpApi" => self.routes.push(TemplateRoute {
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
            _ => bail!("the local stack does not support events of type {kind}"),
        }
        Ok(())
    }

    /// Checks that every referenced queue exists, and that each has one consumer.
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

    /// Returns the timeout of a function.
    #[must_use]
    pub fn timeout(&self, function: &str) -> Duration {
        self.timeouts.get(function).copied().unwrap_or(self.timeout)
    }
}

/// Returns the CORS configuration of an API in the branch with origins.
fn cors_definition(properties: Value) -> anyhow::Result<CorsDefinition> {
    let HttpApi { cors_configuration } = serde_yaml_ng::from_value(properties)?;
    let Value::Tagged(condition) = cors_configuration else {
        bail!("CorsConfiguration is not an !If")
    };
    ensure!(condition.tag == "If", "CorsConfiguration is not an !If");
    let (_, with_origins, _): (IgnoredAny, Value, IgnoredAny) =
        serde_yaml_ng::from_value(condition.value)?;
    serde_yaml_ng::from_value(with_origins).context("CorsConfiguration")
}

/// Returns the method and path of a route, or `None` for `$default`.
fn route_key(properties: Value) -> anyhow::Result<Option<(String, String)>> {
    match serde_yaml_ng::from_value(properties)? {
        HttpApiEvent {
            method: Some(method),
            path: Some(path),
        } => {
            ensure!(
                !path.contains('+'),
                "the local stack does not support greedy path parameters"
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use muster_contracts::route::{PUBLIC_ROUTES, ROUTES};

    use super::*;

    #[test]
    fn template_routes_equal_the_routes_of_the_functions() {
        let template = Template::load().unwrap();
        let declared: BTreeSet<_> = template
            .routes
            .iter()
            .filter_map(|route| route.key.clone())
            .collect();
        let known = ROUTES
            .map(|(method, path, _)| (method.to_owned(), path.to_owned()))
            .into_iter();
        let open = PUBLIC_ROUTES.map(|(method, path, _)| (method.to_owned(), path.to_owned()));
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
    fn unknown_table_property_is_an_error() {
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
