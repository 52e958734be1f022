//! Clients for a DynamoDB-compatible engine, or an emulator of AWS, on this machine, which takes
//! any credentials.

use std::env;

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region, retry::RetryConfig},
};

/// A client with made-up credentials, which looks for none anywhere.
#[must_use]
pub fn client(url: &str) -> Client {
    Client::from_conf(configuration(url).build())
}

/// The configuration of such a client: no TLS, and no retries of its own.
#[must_use]
pub fn configuration(url: &str) -> Builder {
    Builder::from(&sdk_config(url))
}

/// The same, for a client of any AWS service that is emulated there.
#[must_use]
pub fn sdk_config(url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(url)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "local", "local", None, None, "local",
        )))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// Whether this address can only be an emulator's whose user configured no credentials for it.
#[must_use]
pub fn is_local_without_credentials(url: &url::Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let configured = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"]
        .iter()
        .any(|name| env::var_os(name).is_some());
    loopback && url.scheme() == "http" && !configured
}
