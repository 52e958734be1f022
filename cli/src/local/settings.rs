//! The parts of a local stack that tests replace.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::{Console, CorsOrigin, Handler, HostName};
use crate::sam::Template;

/// Modifies a function's dependencies.
type Adjust<D> = Box<dyn Fn(&mut D) + Send + Sync>;

/// The differences between stacks: the data, the functions' dependencies, and the timing.
pub struct Settings {
    /// The address of all listeners: the API, the engine, the queues and the bus.
    pub listen: IpAddr,
    /// The port of the embedded engine for DynamoDB, 0 for a free one.
    pub dynamodb_port: u16,
    /// The port of SQS, EventBridge and S3, 0 for a free one.
    pub aws_port: u16,
    /// Whether the data folder's content is deleted first.
    pub reset: bool,
    /// The console that shows requests, decisions, announcements and dead letters.
    pub console: Console,
    /// The origins with access to the API.
    pub cors_origins: Vec<CorsOrigin>,
    /// Accepted host names in addition to `localhost`.
    pub allow_hosts: Vec<HostName>,
    /// True if the stack has the demo organization.
    pub demo: bool,
    /// Modifies the dependencies of each function behind the gateway.
    pub http: Adjust<muster_service::http::Deps>,
    /// Modifies the dependencies of the ticket queue's function.
    pub assignment: Adjust<muster_assignment::Deps>,
    /// Modifies the dependencies of the user queue's function.
    pub directory: Adjust<muster_directory::Deps>,
    /// Modifies the dependencies of the stream's function.
    pub changes: Adjust<muster_changes::Deps>,
    /// Modifies the dependencies of the job queues' function.
    pub jobs: Adjust<muster_jobs::Deps>,
    /// Handlers that replace event-driven functions, by logical id.
    pub handlers: BTreeMap<String, Handler>,
    /// Replaces the visibility timeout of every queue, so that failed messages are redelivered
    /// sooner.
    pub visibility_timeout: Option<Duration>,
    /// Replaces every batching window.
    pub batching_window: Option<Duration>,
    /// Replaces the timeout of the functions behind the gateway: a debug build on a busy machine is
    /// slower than Lambda.
    pub timeout: Option<Duration>,
    /// Replaces the maximum record age of the stream's mapping.
    pub max_record_age: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: Ipv4Addr::LOCALHOST.into(),
            dynamodb_port: 0,
            aws_port: 0,
            reset: false,
            console: Console::default(),
            cors_origins: Vec::new(),
            allow_hosts: Vec::new(),
            demo: false,
            http: Box::new(|_| {}),
            assignment: Box::new(|_| {}),
            directory: Box::new(|_| {}),
            changes: Box::new(|_| {}),
            jobs: Box::new(|_| {}),
            handlers: BTreeMap::new(),
            visibility_timeout: None,
            batching_window: None,
            timeout: None,
            max_record_age: None,
        }
    }
}

impl Settings {
    /// Returns the template with these times.
    pub(super) fn apply(&self, mut template: Template) -> Template {
        if let Some(timeout) = self.visibility_timeout {
            template
                .queues
                .values_mut()
                .for_each(|queue| queue.visibility_timeout = timeout);
        }
        if let Some(window) = self.batching_window {
            template
                .queue_mappings
                .iter_mut()
                .for_each(|mapping| mapping.window = window);
            template
                .stream_mappings
                .iter_mut()
                .for_each(|mapping| mapping.window = window);
        }
        if let Some(timeout) = self.timeout {
            template.timeout = timeout;
        }
        if let Some(age) = self.max_record_age {
            template
                .stream_mappings
                .iter_mut()
                .for_each(|mapping| mapping.max_record_age = Some(age));
        }
        template
    }
}
