//! Invocation of the event-driven functions as by the Lambda service: with the event's JSON, a
//! deadline, and a task for each invocation, so that a panic fails only that invocation.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use futures_util::future::BoxFuture;
use lambda_http::{Context, LambdaEvent};
use muster_domain::Timestamp;
use muster_jobs::Pace;
use muster_service::{
    aws::{eventbridge::Bus, s3::Bucket, sqs_send::Queue},
    jobs::JobQueues,
    store::Table,
};
use serde_json::Value;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{local::Settings, sam::Template};

/// A function's handler over JSON: from the event's text and the runtime's context to the response.
pub type Handler =
    Arc<dyn Fn(String, Context) -> BoxFuture<'static, anyhow::Result<Value>> + Send + Sync>;

/// A function, ready to be invoked. Cheap to clone.
#[derive(Clone)]
pub(in crate::local) struct Function {
    name: Arc<str>,
    handler: Handler,
    timeout: Duration,
}

/// The resources of the event-driven functions.
pub(in crate::local) struct Resources {
    /// The table.
    pub table: Table,
    /// The bus for announcements.
    pub bus: Bus,
    /// The job queues.
    pub jobs: JobQueues,
    /// The bucket of failed records.
    pub failed_records: Bucket,
    /// The dead-letter queue for poison messages of the ticket queue.
    pub ticket_dead_letters: Queue,
    /// The dead-letter queue for poison messages of the user queue.
    pub user_dead_letters: Queue,
}

/// Wraps a function's `handle` and its dependencies as a handler over JSON.
macro_rules! handler {
    ($handle:path, $deps:expr) => {{
        let deps = $deps;
        Arc::new(move |event: String, context| {
            let deps = deps.clone();
            Box::pin(async move {
                let payload =
                    serde_json::from_str(&event).context("the function cannot parse the event")?;
                let response = $handle(LambdaEvent::new(payload, context), &deps).await;
                Ok(serde_json::to_value(
                    response.map_err(|error| anyhow!("{error}"))?,
                )?)
            })
        })
    }};
}

impl Function {
    /// Creates the function with this logical id in the template.
    pub(in crate::local) fn new(
        id: &str,
        template: &Template,
        resources: &Resources,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let Resources {
            table,
            bus,
            jobs,
            failed_records,
            ticket_dead_letters,
            user_dead_letters,
        } = resources;
        let handler: Handler = match (settings.handlers.get(id), id) {
            (Some(handler), _) => Arc::clone(handler),
            (None, "AssignmentFunction") => {
                let mut deps = muster_assignment::Deps {
                    table: table.clone(),
                    dead_letters: ticket_dead_letters.clone(),
                    clock: Arc::new(Timestamp::now),
                };
                (settings.assignment)(&mut deps);
                handler!(muster_assignment::handle, deps)
            }
            (None, "DirectoryFunction") => {
                let mut deps = muster_directory::Deps {
                    table: table.clone(),
                    dead_letters: user_dead_letters.clone(),
                    clock: Arc::new(Timestamp::now),
                };
                (settings.directory)(&mut deps);
                handler!(muster_directory::handle, deps)
            }
            (None, "ChangesFunction") => {
                let mut deps = muster_changes::Deps {
                    bus: bus.clone(),
                    jobs: jobs.clone(),
                    failed_records: failed_records.clone(),
                };
                (settings.changes)(&mut deps);
                handler!(muster_changes::handle, deps)
            }
            (None, "JobsFunction") => {
                let mut deps = muster_jobs::Deps {
                    table: table.clone(),
                    jobs: jobs.clone(),
                    clock: Arc::new(Timestamp::now),
                    pace: Pace::default(),
                };
                (settings.jobs)(&mut deps);
                handler!(muster_jobs::handle, deps)
            }
            (None, unknown) => bail!("the local stack has no function {unknown}"),
        };
        Ok(Self {
            name: id.into(),
            handler,
            timeout: template.timeout(id),
        })
    }

    /// Returns a function with this handler.
    #[cfg(test)]
    pub(in crate::local) fn from_handler(handler: Handler) -> Self {
        Self {
            name: "test".into(),
            handler,
            timeout: Duration::from_secs(10),
        }
    }

    /// Invokes the function with an event. The invocation is aborted if the future is dropped.
    ///
    /// # Errors
    /// The function fails, panics, or exceeds its timeout.
    pub(in crate::local) async fn invoke(&self, event: &Value) -> anyhow::Result<Value> {
        let mut context = Context::default();
        context.request_id = Uuid::new_v4().to_string();
        context.invoked_function_arn = format!(
            "arn:aws:lambda:us-east-1:000000000000:function:{}",
            self.name
        );
        context.deadline =
            u64::try_from(Timestamp::now().plus(self.timeout).millis()).unwrap_or(u64::MAX);
        let (handler, event) = (Arc::clone(&self.handler), event.to_string());
        // Dropping a `JoinSet` aborts its tasks.
        let mut invocation = JoinSet::new();
        invocation.spawn(async move { handler(event, context).await });
        match tokio::time::timeout(self.timeout, invocation.join_next()).await {
            Ok(Some(Ok(response))) => response,
            Ok(Some(Err(error))) => Err(anyhow!(error)),
            Ok(None) => Err(anyhow!("the invocation did not start")),
            Err(_) => Err(anyhow!("timed out after {} s", self.timeout.as_secs())),
        }
        .with_context(|| self.name.to_string())
    }
}

/// Returns the failed items of a partial batch response.
///
/// # Errors
/// The response is malformed, which Lambda handles as a failure of the whole batch.
pub(in crate::local) fn batch_item_failures<'a>(
    response: &'a Value,
) -> anyhow::Result<Vec<&'a str>> {
    let failures = match response {
        Value::Null => return Ok(Vec::new()),
        Value::Object(response) => response.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => bail!("the response is not an object"),
    };
    let failures = match failures {
        Value::Null => return Ok(Vec::new()),
        Value::Array(failures) => failures,
        _ => bail!("batchItemFailures is not a list"),
    };
    let identifier = |failure: &'a Value| {
        failure
            .get("itemIdentifier")?
            .as_str()
            .filter(|id: &&str| !id.is_empty())
    };
    failures
        .iter()
        .map(identifier)
        .collect::<Option<_>>()
        .context("an item has no identifier")
}

/// The functions by logical id. Each is created once, with its own dependencies, as when deployed.
pub(in crate::local) struct Functions<'s> {
    instances: BTreeMap<String, Function>,
    template: &'s Template,
    resources: Resources,
    settings: &'s Settings,
}

impl<'s> Functions<'s> {
    pub(in crate::local) fn new(
        template: &'s Template,
        resources: Resources,
        settings: &'s Settings,
    ) -> Self {
        Self {
            instances: BTreeMap::new(),
            template,
            resources,
            settings,
        }
    }

    /// Returns the function with this logical id.
    ///
    /// # Errors
    /// The local stack does not have the function.
    pub(in crate::local) fn get(&mut self, id: &str) -> anyhow::Result<Function> {
        if let Some(function) = self.instances.get(id) {
            return Ok(function.clone());
        }
        let function = Function::new(id, self.template, &self.resources, self.settings)?;
        self.instances.insert(id.to_owned(), function.clone());
        Ok(function)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn batch_response_that_is_malformed_is_an_error() {
        let none: [&str; 0] = [];
        for success in [
            json!(null),
            json!({}),
            json!({"batchItemFailures": null}),
            json!({"batchItemFailures": []}),
        ] {
            assert_eq!(batch_item_failures(&success).unwrap(), none, "{success}");
        }
        let response =
            json!({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]});
        assert_eq!(batch_item_failures(&response).unwrap(), ["a", "b"]);
        for item in [
            json!({}),
            json!({"itemIdentifier": ""}),
            json!({"itemIdentifier": null}),
            json!("a"),
        ] {
            let failure = json!({"batchItemFailures": [{"itemIdentifier": "a"}, item]});
            assert!(batch_item_failures(&failure).is_err(), "{failure}");
        }
        for failure in [json!([]), json!("ok"), json!({"batchItemFailures": "a"})] {
            assert!(batch_item_failures(&failure).is_err(), "{failure}");
        }
    }
}
