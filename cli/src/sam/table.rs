//! The table of a template.

use std::time::Duration;

use anyhow::anyhow;
use aws_sdk_dynamodb::{
    Client,
    client::Waiters,
    error::{ProvideErrorMetadata, SdkError},
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        PointInTimeRecoverySpecification, Projection, ProjectionType, ScalarAttributeType,
        StreamSpecification, StreamViewType, TimeToLiveSpecification, TimeToLiveStatus,
    },
};
use serde::{Deserialize, de::IgnoredAny};
use tokio::time::Instant;

/// The table's properties. An unknown property fails to parse, so that the local and the deployed
/// table have the same ones.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TableDefinition {
    billing_mode: String,
    attribute_definitions: Vec<KeyAttribute>,
    key_schema: Vec<KeyElement>,
    global_secondary_indexes: Vec<IndexProperties>,
    stream_specification: StreamProperties,
    time_to_live_specification: TimeToLive,
    point_in_time_recovery_specification: PointInTimeRecovery,
    // The deployment's stage decides on deletion protection. A table of `muster table create` has
    // none.
    #[serde(rename = "DeletionProtectionEnabled")]
    _deletion_protection: IgnoredAny,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct KeyAttribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct IndexProperties {
    index_name: String,
    key_schema: Vec<KeyElement>,
    projection: IndexProjection,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct IndexProjection {
    projection_type: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StreamProperties {
    stream_view_type: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PointInTimeRecovery {
    point_in_time_recovery_enabled: bool,
}

impl TableDefinition {
    /// Creates the table unless it exists, and waits until it is active. Returns whether it was
    /// created.
    ///
    /// Point-in-time recovery is enabled if the service supports it; local engines do not.
    ///
    /// # Errors
    /// Returns the error of DynamoDB.
    pub async fn create(&self, client: &Client, name: &str) -> anyhow::Result<bool> {
        let Self {
            billing_mode,
            attribute_definitions,
            key_schema,
            global_secondary_indexes,
            stream_specification,
            time_to_live_specification,
            point_in_time_recovery_specification,
            _deletion_protection,
        } = self;
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::from(
                stream_specification.stream_view_type.as_str(),
            ));
        let created = client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::from(billing_mode.as_str()))
            .set_attribute_definitions(Some(attributes(attribute_definitions)?))
            .set_key_schema(Some(schema(key_schema)?))
            .set_global_secondary_indexes(Some(indexes(global_secondary_indexes)?))
            .stream_specification(stream.build()?)
            .send()
            .await;
        let created = match created {
            Ok(_) => true,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateTableError::is_resource_in_use_exception) =>
            {
                false
            }
            Err(error) => return Err(service_error(error)),
        };
        // An earlier run can have been interrupted after the creation, so the following steps
        // always run.
        client
            .wait_until_table_exists()
            .table_name(name)
            .wait(READY_TIMEOUT)
            .await?;
        expire_items(client, name, time_to_live_specification).await?;
        if point_in_time_recovery_specification.point_in_time_recovery_enabled {
            recover_point_in_time(client, name).await?;
        }
        Ok(created)
    }
}

/// Timeout until a new table is active, and until it accepts point-in-time recovery.
const READY_TIMEOUT: Duration = Duration::from_mins(2);

/// Enables time to live. It reads the status first, because enabling it twice is an error.
async fn expire_items(client: &Client, name: &str, ttl: &TimeToLive) -> anyhow::Result<()> {
    let TimeToLive {
        attribute_name,
        enabled,
    } = ttl;
    let described = client
        .describe_time_to_live()
        .table_name(name)
        .send()
        .await
        .map_err(service_error)?;
    let current = described
        .time_to_live_description()
        .and_then(|ttl| ttl.time_to_live_status());
    if !enabled
        || matches!(
            current,
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        )
    {
        return Ok(());
    }
    let on = TimeToLiveSpecification::builder()
        .attribute_name(attribute_name)
        .enabled(true)
        .build()?;
    client
        .update_time_to_live()
        .table_name(name)
        .time_to_live_specification(on)
        .send()
        .await
        .map_err(service_error)?;
    Ok(())
}

/// Enables point-in-time recovery, if the service supports it. A new table refuses it for some
/// time.
async fn recover_point_in_time(client: &Client, name: &str) -> anyhow::Result<()> {
    let on = PointInTimeRecoverySpecification::builder()
        .point_in_time_recovery_enabled(true)
        .build()?;
    let call = client
        .update_continuous_backups()
        .table_name(name)
        .point_in_time_recovery_specification(on);
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        match call.clone().send().await {
            Ok(_) => return Ok(()),
            Err(error) => match error.code() {
                Some("UnknownOperationException") => return Ok(()),
                Some("ContinuousBackupsUnavailableException") if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                _ => return Err(service_error(error)),
            },
        }
    }
}

/// Returns the code and the message of the service, if there are any, without the SDK's context.
fn service_error<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static>(
    error: SdkError<E>,
) -> anyhow::Error {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow!("{code}: {message}"),
        _ => error.into(),
    }
}

fn schema(elements: &[KeyElement]) -> anyhow::Result<Vec<KeySchemaElement>> {
    let element = |KeyElement {
                       attribute_name,
                       key_type,
                   }: &KeyElement| {
        let element = KeySchemaElement::builder()
            .attribute_name(attribute_name)
            .key_type(KeyType::from(key_type.as_str()));
        Ok(element.build()?)
    };
    elements.iter().map(element).collect()
}

fn attributes(definitions: &[KeyAttribute]) -> anyhow::Result<Vec<AttributeDefinition>> {
    let attribute = |KeyAttribute {
                         attribute_name,
                         attribute_type,
                     }: &KeyAttribute| {
        let attribute = AttributeDefinition::builder()
            .attribute_name(attribute_name)
            .attribute_type(ScalarAttributeType::from(attribute_type.as_str()));
        Ok(attribute.build()?)
    };
    definitions.iter().map(attribute).collect()
}

fn indexes(properties: &[IndexProperties]) -> anyhow::Result<Vec<GlobalSecondaryIndex>> {
    let index = |IndexProperties {
                     index_name,
                     key_schema,
                     projection,
                 }: &IndexProperties| {
        let projection = ProjectionType::from(projection.projection_type.as_str());
        let index = GlobalSecondaryIndex::builder()
            .index_name(index_name)
            .set_key_schema(Some(schema(key_schema)?))
            .projection(Projection::builder().projection_type(projection).build());
        Ok(index.build()?)
    };
    properties.iter().map(index).collect()
}
