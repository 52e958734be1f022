//! What bodies may say, in the words of the parsers in [`wire`](crate::wire): the same verbs, and the same names of values.

use utoipa::openapi::{
    RefOr,
    schema::{ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Ref, Schema, Type},
};

use super::parameters;
use crate::{
    domain::{Contract, Description, MemberRole, QueueStrategy, Tags, TeamName, UserId},
    http::Endpoint,
};

/// Control characters (Unicode category Cc), as a pattern's class has them.
const CONTROL: &str = r"\x00-\x1f\x7f-\x9f";

/// The schemas of bodies, by name, in the order of the endpoints.
pub(super) fn schemas(contract: Contract) -> Vec<(&'static str, Object)> {
    use Endpoint::{AddMember, CreateTeam, UpdateMember, UpdateTeam};
    [CreateTeam, UpdateTeam, AddMember, UpdateMember]
        .into_iter()
        .filter_map(|endpoint| Some((name(endpoint)?, schema(endpoint, contract)?)))
        .collect()
}

/// What the schema of an endpoint's body is called.
pub(super) fn name(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::CreateTeam => Some("TeamCreate"),
        Endpoint::UpdateTeam => Some("TeamUpdate"),
        Endpoint::AddMember => Some("MemberAdd"),
        Endpoint::UpdateMember => Some("MemberUpdate"),
        _ => None,
    }
}

fn schema(endpoint: Endpoint, contract: Contract) -> Option<Object> {
    let is_itsm = contract == Contract::Itsm;
    let fields = match endpoint {
        Endpoint::CreateTeam => {
            let fields =
                Fields::new("A team to create.").required("name", team_name()).optional("description", description());
            if is_itsm {
                fields
                    .optional(
                        "lead_id",
                        user_id(contract, "The user to lead the team: active, and not necessarily a member."),
                    )
                    .optional("queue_strategy", Value::Named("QueueStrategy", Some(QueueStrategy::default().as_str())))
                    .optional(
                        "specializations",
                        tags("The team's areas of expertise, by which tickets are routed to it."),
                    )
            } else {
                fields
            }
        }
        Endpoint::UpdateTeam => {
            let fields = Fields::new("Changes to a team. What is left out stays as it is.")
                .change("name", team_name())
                .clearable("description", description());
            if is_itsm {
                fields
                    .clearable(
                        "lead_id",
                        user_id(contract, "The user to lead the team: active, and not necessarily a member."),
                    )
                    .change("queue_strategy", Value::Named("QueueStrategy", None))
                    .change("specializations", tags("The team's areas of expertise, in place of those it had."))
            } else {
                fields
            }
        }
        Endpoint::AddMember => {
            let fields =
                Fields::new("A user to add to a team.").required("user_id", user_id(contract, "The user: active."));
            if is_itsm {
                fields
                    .optional("role", Value::Named("MemberRole", Some(MemberRole::Member.as_str())))
                    .optional("skills", tags("What the member knows, for skill-based routing."))
            } else {
                fields
            }
        }
        Endpoint::UpdateMember => Fields::new("Changes to a membership. What is left out stays as it is.")
            .change("role", Value::Named("MemberRole", None))
            .change("skills", tags("What the member knows, in place of what they knew.")),
        _ => return None,
    };
    Some(fields.0.build())
}

/// What a field's value may be.
enum Value {
    /// A schema of its own.
    Text(ObjectBuilder),
    List(ArrayBuilder),
    /// A schema among the components, and the value that stands for none.
    Named(&'static str, Option<&'static str>),
}

fn team_name() -> Value {
    Value::Text(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(TeamName::MAX_CHARS))
            .pattern(Some(line()))
            .description(Some(
                "The name, unique within the organization in any letter case. White space at its ends is dropped.",
            )),
    )
}

fn description() -> Value {
    Value::Text(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(Description::MAX_CHARS))
            .description(Some("What the team is for. Kept as it is sent.")),
    )
}

fn user_id(contract: Contract, description: &str) -> Value {
    Value::Text(ObjectBuilder::from(parameters::id(contract, UserId::PREFIX)).description(Some(description)))
}

fn tags(description: &str) -> Value {
    let tag = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(Tags::MAX_CHARS))
        .pattern(Some(line()));
    Value::List(ArrayBuilder::new().items(tag).max_items(Some(Tags::MAX_TAGS)).description(Some(format!(
        "{description} White space at a tag's ends is dropped, and so are tags that differ only in letter case from one before."
    ))))
}

/// The pattern of a text without control characters that is not only white space.
fn line() -> String {
    format!(r"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$")
}

/// A body's fields.
struct Fields(ObjectBuilder);

impl Fields {
    fn new(description: &str) -> Self {
        Self(ObjectBuilder::new().schema_type(Type::Object).description(Some(description)))
    }

    /// See [`Body::required`](crate::wire::input::Body::required).
    fn required(self, field: &str, value: Value) -> Self {
        Self(self.0.property(field, not_null(value)).required(field))
    }

    /// See [`Body::optional`](crate::wire::input::Body::optional).
    fn optional(self, field: &str, value: Value) -> Self {
        Self(self.0.property(field, or_null(value)))
    }

    /// See [`Body::change`](crate::wire::input::Body::change).
    fn change(self, field: &str, value: Value) -> Self {
        Self(self.0.property(field, not_null(value)))
    }

    /// See [`Body::clearable`](crate::wire::input::Body::clearable).
    fn clearable(self, field: &str, value: Value) -> Self {
        Self(self.0.property(field, or_null(value)))
    }
}

fn not_null(value: Value) -> RefOr<Schema> {
    match value {
        Value::Text(schema) => schema.into(),
        Value::List(schema) => schema.into(),
        Value::Named(name, _) => Ref::from_schema_name(name).into(),
    }
}

fn or_null(value: Value) -> RefOr<Schema> {
    use utoipa::openapi::schema::SchemaType;
    match value {
        Value::Text(schema) => schema.schema_type(SchemaType::from_iter([Type::String, Type::Null])).into(),
        Value::List(schema) => schema.schema_type(SchemaType::from_iter([Type::Array, Type::Null])).into(),
        Value::Named(name, default) => OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Null))
            .item(Ref::from_schema_name(name))
            .default(default.map(Into::into))
            .into(),
    }
}
