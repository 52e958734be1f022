//! Clients of AWS by the environment of the user.

use anyhow::Context;
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;

/// The configuration of AWS clients by the usual environment. Without credentials a call would try
/// for as long as it may before it said so; this says so at once, and that the user may do
/// `otherwise`.
///
/// # Errors
/// The environment has no credentials for AWS.
pub(super) async fn sdk_config(otherwise: &str) -> anyhow::Result<SdkConfig> {
    let config = muster_service::lambda::aws_config().await;
    let remedy = || {
        format!(
            "configure AWS credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or {otherwise}"
        )
    };
    config
        .credentials_provider()
        .with_context(remedy)?
        .provide_credentials()
        .await
        .with_context(remedy)?;
    Ok(config)
}
