//! Schemas of the wire types: a collection of the derived schemas, and marker types for values that
//! a wire type has as text.
//!
//! utoipa's traits cannot be implemented for the types of another crate (orphan rule). A marker has
//! the name of the domain type, so that the schema has the same name.

use std::{borrow::Cow, collections::BTreeMap, marker::PhantomData};

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{Object, ObjectBuilder, Ref as Reference, SchemaType, Type},
    },
};

/// The schemas of one document, by name.
#[derive(Default)]
pub(crate) struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// Adds the schema of a type under its own name, and the schemas that it refers to.
    pub(crate) fn add<T: ToSchema>(&mut self) {
        self.add_as::<T>(&T::name());
    }

    /// Adds the schema of a type under another name, and the schemas that it refers to.
    pub(crate) fn add_as<T: ToSchema>(&mut self, name: &str) {
        let mut schemas = Vec::new();
        T::schemas(&mut schemas);
        schemas.push((name.to_owned(), T::schema()));
        self.0.extend(
            schemas
                .into_iter()
                .map(|(name, schema)| (name, with_nulls(schema))),
        );
    }

    /// Adds a schema without a type.
    pub(crate) fn insert(&mut self, name: &str, schema: impl Into<RefOr<Schema>>) {
        self.0.insert(name.to_owned(), schema.into());
    }

    /// Returns all schemas by name.
    pub(crate) fn into_map(self) -> BTreeMap<String, RefOr<Schema>> {
        self.0
    }
}

/// Returns the schema of a response with its nullable properties required: responses write them as
/// `null` and never omit them.
fn with_nulls(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            let is_required = |(name, property): &(&String, &RefOr<Schema>)| {
                object.required.contains(name) || is_nullable(property)
            };
            object.required = object
                .properties
                .iter()
                .filter(is_required)
                .map(|(name, _)| name.clone())
                .collect();
            object.into()
        }
        RefOr::T(Schema::AllOf(mut all)) => {
            all.items = all.items.into_iter().map(with_nulls).collect();
            RefOr::T(Schema::AllOf(all))
        }
        schema => schema,
    }
}

fn is_nullable(property: &RefOr<Schema>) -> bool {
    match property {
        RefOr::T(Schema::Object(object)) => match &object.schema_type {
            SchemaType::Type(of) => *of == Type::Null,
            SchemaType::Array(any) => any.contains(&Type::Null),
            SchemaType::AnyValue => false,
        },
        RefOr::T(Schema::OneOf(one)) => one.items.iter().any(is_nullable),
        _ => false,
    }
}

/// Returns the schema of a text with a fixed set of values.
pub(crate) fn one_of(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
}

/// Returns the schema of a boolean that always has one value.
///
/// The description names the value instead of `enum`: clients of openapi-generator compare a
/// boolean with the texts of `enum`, and would reject every response.
fn always(value: bool) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .description(Some(format!("Always `{value}`.")))
        .build()
}

/// Returns the schema of a boolean that is always `true`.
pub(crate) fn always_true() -> Object {
    always(true)
}

/// Returns the schema of a boolean that is always `false`.
pub(crate) fn always_false() -> Object {
    always(false)
}

/// A reference to the schema of `T`, for the parameter of a generic type.
pub(crate) struct Ref<T>(PhantomData<T>);

impl<T: ToSchema> PartialSchema for Ref<T> {
    fn schema() -> RefOr<Schema> {
        Reference::from_schema_name(T::name()).into()
    }
}

impl<T: ToSchema> ToSchema for Ref<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// Declares a marker for a text with a fixed set of values.
macro_rules! words {
    ($name:ident, $description:literal, $words:expr) => {
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                one_of($words).description(Some($description)).into()
            }
        }
        impl ToSchema for $name {}
    };
}

words!(
    QueueStrategy,
    "The distribution of tickets among the members of a team: `round_robin` in rotation, `least_busy` to \
    the member with the fewest open tickets, `skill_based` to the member with the most skills that match the ticket.",
    muster_domain::QueueStrategy::ALL.map(muster_domain::QueueStrategy::as_str)
);
words!(
    MemberRole,
    "The role of a user in a team.",
    [
        muster_domain::MemberRole::Member,
        muster_domain::MemberRole::Lead
    ]
    .map(muster_domain::MemberRole::as_str)
);
words!(
    UserStatus,
    "The status of a user. Only an `active` user gets tickets.",
    muster_domain::UserStatus::REPORTED.map(muster_domain::UserStatus::as_str)
);
words!(
    TicketStatus,
    "The status of a ticket.",
    muster_domain::TicketStatus::ALL.map(muster_domain::TicketStatus::as_str)
);
words!(
    Priority,
    "The priority of a ticket, from the most to the least urgent.",
    muster_domain::Priority::ALL.map(muster_domain::Priority::as_str)
);
words!(
    TicketState,
    "The state of a ticket in routing: `assigned` to a member, `waiting` for an eligible member of its team, \
    `unrouted` without a team, or `closed`.",
    muster_domain::TicketState::ALL
        .into_iter()
        .filter(|state| *state != muster_domain::TicketState::Deleted)
        .map(muster_domain::TicketState::as_str)
);
words!(
    WhyNot,
    "The reason why a member was passed over: their status, or that the ticket was just unassigned from them.",
    [
        muster_domain::PassOverReason::Status(muster_domain::UserStatus::Inactive),
        muster_domain::PassOverReason::Status(muster_domain::UserStatus::Suspended),
        muster_domain::PassOverReason::PreviousAssignee
    ]
    .map(muster_domain::PassOverReason::as_str)
);
words!(
    Scope,
    "A permission of a credential.",
    muster_domain::Scope::ALL.map(muster_domain::Scope::as_str)
);

/// Declares a marker for a reference by name. The document adds the schema, which depends on the
/// contract.
macro_rules! named {
    ($($name:ident),*) => {$(
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().into()
            }
        }
        impl ToSchema for $name {}
    )*};
}

named!(
    TeamId,
    UserId,
    Timestamp,
    ErrorCode,
    Constraint,
    ViolationType
);
