//! Configuration of AWS clients from the user's environment.

use anyhow::Context;
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;

/// Loads the configuration of AWS clients from the environment.
///
/// Checks for credentials first: without them, a call would search for credentials until its
/// timeout. The error names `alternative` as another way.
///
/// # Errors
/// The environment has no credentials for AWS.
pub(super) async fn sdk_config(alternative: &str) -> anyhow::Result<SdkConfig> {
    let config = muster_service::lambda::aws_config().await;
    let remedy = || {
        format!(
            "there are no AWS credentials: configure AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or {alternative}"
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
