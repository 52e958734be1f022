//! A client for a DynamoDB-compatible engine on this machine, which takes any credentials.

use std::env;

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
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(url)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

/// Whether this address can only be an emulator's whose user configured no credentials for it.
#[must_use]
pub fn is_at(url: &url::Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let configured = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"].iter().any(|name| env::var_os(name).is_some());
    loopback && url.scheme() == "http" && !configured
}
