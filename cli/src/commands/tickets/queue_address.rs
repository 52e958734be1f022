//! The address of a queue, as `--to` and `--from` take it.

use std::{env, fmt};

use crate::commands::local_stack::running_stack;

/// The address of a queue. An SQS queue's URL has a path (account and name); the address of a local
/// stack has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueAddress {
    /// The address of a `muster dev`.
    LocalStack(url::Url),
    /// The URL of a queue of SQS or of an emulator.
    Queue(url::Url),
}

impl fmt::Display for QueueAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalStack(url) => f.write_str(&url.origin().ascii_serialization()),
            Self::Queue(url) => url.fmt(f),
        }
    }
}

/// Returns the address of an option, or else that of a local stack: of `MUSTER_URL`, which
/// `muster dev env` prints, or else the running one.
///
/// # Errors
/// There is no local stack, or the environment selects an account of AWS. The error names `option`.
pub(super) async fn or_local_stack(
    address: Option<QueueAddress>,
    option: &str,
) -> anyhow::Result<QueueAddress> {
    if let Some(address) = address {
        return Ok(address);
    }
    let exported = env::var("MUSTER_URL").ok();
    if let Some(Ok(QueueAddress::LocalStack(url))) = exported.as_deref().map(queue_address) {
        return Ok(QueueAddress::LocalStack(url));
    }
    let alternative = format!("name a queue or the address of a local stack with {option}");
    Ok(QueueAddress::LocalStack(
        running_stack(&alternative).await?.url,
    ))
}

pub(super) fn queue_address(text: &str) -> Result<QueueAddress, String> {
    const RULE: &str = "not an address: use that of `muster dev`, such as http://127.0.0.1:3000, or a queue's URL, such as \
                        https://sqs.eu-west-1.amazonaws.com/123456789012/tickets";
    let url = url::Url::parse(text).map_err(|_| RULE)?;
    let has_path = url.path().len() > 1;
    match url.scheme() {
        "http" if !has_path => Ok(QueueAddress::LocalStack(url)),
        "http" | "https" if has_path => Ok(QueueAddress::Queue(url)),
        _ => Err(RULE.to_owned()),
    }
}

/// Parses the URL of a queue. The address of a local stack is an error.
pub(in crate::commands) fn queue_url(text: &str) -> Result<url::Url, String> {
    match queue_address(text)? {
        QueueAddress::Queue(url) => Ok(url),
        QueueAddress::LocalStack(_) => Err(
            "the address of a local stack is not the URL of a queue: leave out --queue".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_with_a_path_is_a_queue() {
        for local in [
            "http://127.0.0.1:3000",
            "http://localhost:3000/",
            "http://[::1]:8080",
        ] {
            assert!(
                matches!(queue_address(local), Ok(QueueAddress::LocalStack(_))),
                "{local}"
            );
        }
        for queue in [
            "https://sqs.eu-west-1.amazonaws.com/123456789012/tickets",
            "http://127.0.0.1:4566/000000000000/tickets",
        ] {
            assert!(
                matches!(queue_address(queue), Ok(QueueAddress::Queue(_))),
                "{queue}"
            );
        }
        for neither in [
            "",
            "tickets",
            "127.0.0.1:3000",
            "https://127.0.0.1:3000",
            "ftp://host/queue",
            "arn:aws:sqs:a:b:c",
        ] {
            assert!(queue_address(neither).is_err(), "{neither}");
        }
    }
}
