//! The schemas of one document.

use muster_domain::{Contract, TeamId, UserId};
use utoipa::{
    ToSchema,
    openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type},
};

use super::errors;
use crate::{
    itsm,
    schema::{self, Schemas, one_of},
    toptickets,
};

/// Returns the schemas of all responses of a contract.
pub(super) fn of_responses(contract: Contract) -> Schemas {
    let mut schemas = Schemas::default();
    match contract {
        Contract::Toptickets => {
            toptickets::schemas(&mut schemas);
            toptickets::error_schemas(&mut schemas);
            let types = one_of(errors::violation_types()).description(Some("A format rule."));
            schemas.insert(&schema::ViolationType::name(), types);
        }
        Contract::Itsm => {
            itsm::schemas(&mut schemas);
            itsm::error_schemas(&mut schemas);
            let codes = one_of(errors::codes()).description(Some("The kind of error."));
            schemas.insert(&schema::ErrorCode::name(), codes);
            let constraints = one_of(errors::constraints()).description(Some("A format rule."));
            schemas.insert(&schema::Constraint::name(), constraints);
        }
    }
    // The wire types of ids and times do not show the form that the contract gives them.
    schemas.insert(
        &schema::TeamId::name(),
        id(contract, TeamId::PREFIX, "team"),
    );
    schemas.insert(
        &schema::UserId::name(),
        id(contract, UserId::PREFIX, "user"),
    );
    schemas.insert(&schema::Timestamp::name(), timestamp(contract));
    schemas
}

/// The pattern of a UUID as both contracts write it.
const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// Returns the schema of an id in a response.
fn id(contract: Contract, prefix: &str, of: &str) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String);
    match contract {
        Contract::Toptickets => {
            let uuid = SchemaFormat::Custom("uuid".to_owned());
            text.format(Some(uuid))
                .description(Some(format!("Identifies a {of}.")))
        }
        Contract::Itsm => text
            .pattern(Some(format!("^{prefix}{UUID}$")))
            .description(Some(format!("Identifies a {of}: `{prefix}` and a UUID."))),
    }
    .build()
}

/// Returns the schema of a time in a response.
fn timestamp(contract: Contract) -> Object {
    match contract {
        Contract::Toptickets => ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A time in UTC, to the second.")),
        Contract::Itsm => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .description(Some("A time in whole seconds since 1970-01-01T00:00:00Z.")),
    }
    .build()
}
