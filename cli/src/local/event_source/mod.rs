//! The event sources of the functions: SQS queues, the table's stream and schedules.

mod function;
mod schedule;
mod sqs;
mod stream;

pub use function::Handler;
pub(super) use function::{Function, Functions, Resources, batch_item_failures};
pub(super) use schedule::run as run_schedule;
pub(super) use sqs::{event as queue_event, run as run_queue};
pub(super) use stream::{Checkpoint, StreamPoller};
