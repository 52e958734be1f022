//! The event-driven part of the local stack.

mod eventbridge;
mod queues;
mod sqs_receive;
mod sqs_send;
mod stream;
