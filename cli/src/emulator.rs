//! Clients for emulators of AWS on this machine, such as the local stack. They accept any
//! credentials.

use std::env;

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region, retry::RetryConfig},
};

/// Returns a DynamoDB client with fixed credentials. It searches the environment for none.
#[must_use]
pub fn client(url: &str) -> Client {
    Client::from_conf(configuration(url).build())
}

/// Returns the configuration of such a client: without TLS, and without retries.
#[must_use]
pub fn configuration(url: &str) -> Builder {
    Builder::from(&sdk_config(url))
}

/// Returns the configuration for a client of any AWS service of an emulator.
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

/// Tells whether the address is on the loopback interface, and the environment has no AWS
/// credentials for it.
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
