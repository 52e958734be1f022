//! The local stack: an embedded DynamoDB-compatible engine, a gateway, SQS, EventBridge and S3, and
//! the event sources that invoke the functions' own `handle`.

mod aws;
mod browsers;
mod cors;
mod data_dir;
mod description;
mod dynamodb;
mod engine;
mod event_source;
mod eventbridge;
mod gateway;
mod guard;
mod listen;
mod routes;
mod s3;
mod seed;
mod settings;
mod sqs;
mod stack;

pub use browsers::{CorsOrigin, HostName};
pub use description::Description;
pub use event_source::Handler;
pub use eventbridge::Events;
pub use s3::Objects;
pub use seed::{ContractKeys, DemoKeys, DemoUser, Organization};
pub use settings::Settings;
pub(crate) use sqs::reason_of;
pub use sqs::{Contents, DeadLetter, Queues};
pub use stack::{Data, LocalStack};

/// The event bus's name.
const BUS: &str = "muster";
