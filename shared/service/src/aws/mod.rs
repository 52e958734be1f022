//! Clients of the AWS services beside DynamoDB: SQS, EventBridge and S3.

pub mod eventbridge;
pub mod s3;
pub mod sqs_batch;
pub mod sqs_send;

pub(crate) mod backoff;
