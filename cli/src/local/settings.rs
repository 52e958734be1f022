//! What tests of the whole may exchange in a local stack.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::{CorsOrigin, Handler, HostName};
use crate::sam::Template;

/// Changes what a function depends on.
type Adjust<D> = Box<dyn Fn(&mut D) + Send + Sync>;

/// What is other than `muster dev` has it: the table behind the functions, the time, how soon
/// things happen.
pub struct Settings {
    /// Where everything listens: the API, the engine, the queues and the bus.
    pub listen: IpAddr,
    /// Whose pages may call the API.
    pub cors_origins: Vec<CorsOrigin>,
    /// Names that clients may call the stack by, beside `localhost`.
    pub allow_hosts: Vec<HostName>,
    /// For each function behind the gateway.
    pub http: Adjust<muster_service::http::Deps>,
    /// For the ticket queue's function.
    pub assignment: Adjust<muster_assignment::Deps>,
    /// For the user queue's function.
    pub directory: Adjust<muster_directory::Deps>,
    /// For the stream's function.
    pub changes: Adjust<muster_changes::Deps>,
    /// For the function of the job queues.
    pub jobs: Adjust<muster_jobs::Deps>,
    /// Handlers in place of functions behind queues, the stream and the schedule, by the functions'
    /// logical ids.
    pub handlers: BTreeMap<String, Handler>,
    /// In place of every queue's visibility timeout: how soon messages come again that failed.
    pub visibility_timeout: Option<Duration>,
    /// In place of every batching window.
    pub batching_window: Option<Duration>,
    /// In place of the timeout of the functions behind the gateway: a debug build on a busy machine
    /// is slower than Lambda.
    pub timeout: Option<Duration>,
    /// In place of the age at which the stream's mapping gives up a record that fails.
    pub max_record_age: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: Ipv4Addr::LOCALHOST.into(),
            cors_origins: Vec::new(),
            allow_hosts: Vec::new(),
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
    /// The template with these times in it.
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
