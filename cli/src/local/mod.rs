//! The local stack: an embedded DynamoDB-compatible engine, a gateway, SQS, EventBridge and S3, and
//! the event sources that invoke the functions' own `handle`.

mod aws;
mod browser_access;
mod console;
mod cors;
mod data_dir;
mod demo_route;
mod description;
mod dynamodb;
mod engine;
mod event_source;
mod eventbridge;
mod gateway;
mod guard;
mod listeners;
mod process;
mod routes;
mod s3;
mod seed;
mod server;
mod settings;
mod sqs;
mod stack;

pub use browser_access::{CorsOrigin, HostName};
pub use console::{Console, ConsoleFormat, ConsolePrinter};
pub use description::StackDescription;
pub use event_source::Handler;
pub use eventbridge::EventBus;
pub use process::ProcessIdentity;
pub use s3::BucketObjects;
pub use seed::{ContractKeys, Demo, DemoKeys, DemoOrganization, DemoTeam, DemoTicket, DemoUser};
pub use settings::Settings;
pub(crate) use sqs::dead_letter_reason;
pub use sqs::{DeadLetterView, QueueContents, Queues};
pub use stack::{Data, LocalStack};

/// The event bus's name.
const BUS: &str = "muster";
