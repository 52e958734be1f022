//! Tests of the function's handler. The input is a stream event; the faults of EventBridge, SQS and
//! S3 are scripted.

#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap in a helper fails its test"
)]

mod announcements;
mod aws;
mod failed_records;
mod jobs;
mod outages;
mod records;
