//! A client of SQS for one queue, and its errors.

use std::collections::HashMap;

use anyhow::{anyhow, ensure};
use aws_sdk_sqs::{
    Client,
    config::{Builder, Region},
    error::{ProvideErrorMetadata, SdkError},
    types::QueueAttributeName,
};
use url::Url;

use crate::{commands::aws, emulator};

/// Returns the configuration of a client for this queue. The error names `alternative` as a way
/// without credentials.
///
/// # Errors
/// The queue is a FIFO queue, or the environment has no credentials for AWS.
pub(in crate::commands) async fn client_config(
    url: &Url,
    alternative: &str,
) -> anyhow::Result<Builder> {
    ensure!(
        url.path()
            .rsplit_once('.')
            .is_none_or(|(_, ending)| ending != "fifo"),
        "{url} is a FIFO queue: use a standard queue, since Muster orders events itself"
    );
    let config = if emulator::is_local_without_credentials(url) {
        emulator::sdk_config(&url.origin().ascii_serialization())
    } else {
        aws::sdk_config(alternative).await?
    };
    let mut builder = Builder::from(&config);
    match region(url) {
        Some(region) => builder = builder.region(Region::new(region.to_owned())),
        None if config.region().is_none() => {
            builder = builder.region(Region::from_static("us-east-1"));
        }
        None => {}
    }
    if !is_public(url) {
        builder = builder.endpoint_url(url.origin().ascii_serialization());
    }
    Ok(builder)
}

/// Reads a queue's attributes with one call. Returns none if the user may not read them, or an
/// emulator does not implement the call.
///
/// # Errors
/// The queue does not exist, or the credentials are invalid. The error says how to fix it.
pub(in crate::commands) async fn attributes(
    client: &Client,
    url: &Url,
) -> anyhow::Result<HashMap<QueueAttributeName, String>> {
    let asked = client
        .get_queue_attributes()
        .queue_url(url.as_str())
        .attribute_names(QueueAttributeName::All);
    match asked.send().await {
        Ok(response) => Ok(response.attributes.unwrap_or_default()),
        // Sending does not need the permission to read attributes.
        Err(error)
            if matches!(
                code(&error),
                "AccessDenied" | "AccessDeniedException" | "UnsupportedOperation"
            ) =>
        {
            Ok(HashMap::new())
        }
        Err(error) => Err(explain_error(url, error)),
    }
}

/// Returns an error's code without the namespace of the query protocol.
fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> &str {
    error
        .code()
        .unwrap_or_default()
        .rsplit('.')
        .next()
        .unwrap_or_default()
}

/// Adds the fix to an error of SQS.
pub(super) fn explain_error<E>(url: &Url, error: SdkError<E>) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = code(&error);
    let remedy = match code {
        "NonExistentQueue" | "QueueDoesNotExist" => format!(
            "there is no queue {url}: check the outputs of the deployed stack, and the region and account in the URL"
        ),
        "AccessDenied" | "AccessDeniedException" => {
            format!(
                "{url} denies access: grant the permissions that docs/operations.md lists for the command"
            )
        }
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException" => {
            format!(
                "{url} rejects these AWS credentials: check AWS_PROFILE and the permissions of the user"
            )
        }
        _ => format!("SQS does not respond at {url}: check the URL, and try again"),
    };
    let cause = match error.message() {
        Some(message) => format!("{code}: {message}"),
        None => aws_sdk_sqs::error::DisplayErrorContext(error).to_string(),
    };
    anyhow!(cause).context(remedy)
}

/// Returns the region in a URL of AWS: `sqs.eu-west-1.amazonaws.com`, or the name of a VPC
/// endpoint.
fn region(url: &Url) -> Option<&str> {
    let host = url
        .domain()
        .filter(|host| host.contains(".amazonaws.com"))?;
    let mut labels = host
        .split('.')
        .skip_while(|label| !matches!(*label, "sqs" | "sqs-fips"));
    labels.nth(1)
}

/// Tells whether the SDK derives this endpoint from the region. Other URLs need `endpoint_url`.
fn is_public(url: &Url) -> bool {
    let host = url.domain().unwrap_or_default();
    region(url)
        .is_some_and(|region| host.trim_end_matches(".cn") == format!("sqs.{region}.amazonaws.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_parsed_from_the_url() {
        for (url, of, public) in [
            (
                "https://sqs.eu-west-1.amazonaws.com/1/t",
                Some("eu-west-1"),
                true,
            ),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/1/t",
                Some("cn-north-1"),
                true,
            ),
            (
                "https://sqs-fips.us-east-2.amazonaws.com/1/t",
                Some("us-east-2"),
                false,
            ),
            (
                "https://vpce-0a-b.sqs.us-east-1.vpce.amazonaws.com/1/t",
                Some("us-east-1"),
                false,
            ),
            ("http://127.0.0.1:4566/1/t", None, false),
            (
                "http://sqs.us-east-1.localhost.localstack.cloud:4566/1/t",
                None,
                false,
            ),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!((region(&url), is_public(&url)), (of, public), "{url}");
        }
    }
}
