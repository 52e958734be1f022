//! Clients of the AWS services beside DynamoDB: SQS, EventBridge and S3.

pub mod bucket;
pub mod bus;
pub mod queue;
pub mod sqs;

pub(crate) mod backoff;
