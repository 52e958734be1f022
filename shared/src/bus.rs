//! Announcing on an EventBridge bus.

use std::sync::Arc;

use aws_sdk_eventbridge::Client;

/// An EventBridge bus, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    name: Arc<str>,
}

impl Bus {
    /// The bus of this name.
    ///
    /// The client's own retries should be off, so that they do not multiply with the bus's.
    #[must_use]
    pub fn new(client: Client, name: impl Into<Arc<str>>) -> Self {
        Self { client, name: name.into() }
    }
}
