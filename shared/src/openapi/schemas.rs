//! Schemas: those of the wire types, collected by name, and those of the values that wire types
//! only have the text of.

use std::{borrow::Cow, collections::BTreeMap, marker::PhantomData};

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{
            KnownFormat, Object, ObjectBuilder, Ref as Reference, SchemaFormat, SchemaType, Type,
        },
    },
};

use super::failures;
use crate::{
    domain::{
        Contract, MemberRole, QueueStrategy, Scope, TeamId, TicketState, TicketStatus, Timestamp,
        UserId, UserStatus, WhyNot,
    },
    wire::{itsm, toptickets},
};

/// The schemas of one document, by name.
#[derive(Default)]
pub(crate) struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// Adds a type under its own name, and all that it mentions.
    pub(crate) fn add<T: ToSchema>(&mut self) {
        self.add_as::<T>(&T::name());
    }

    /// The same under another name.
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

    /// Adds a schema that no type has.
    pub(super) fn insert(&mut self, name: &str, schema: impl Into<RefOr<Schema>>) {
        self.0.insert(name.to_owned(), schema.into());
    }

    /// All of them.
    pub(super) fn into_map(self) -> BTreeMap<String, RefOr<Schema>> {
        self.0
    }

    /// Everything that the contract answers with.
    pub(super) fn of_answers(contract: Contract) -> Self {
        let mut schemas = Self::default();
        match contract {
            Contract::Toptickets => {
                toptickets::schemas(&mut schemas);
                toptickets::error_schemas(&mut schemas);
            }
            Contract::Itsm => {
                itsm::schemas(&mut schemas);
                itsm::error_schemas(&mut schemas);
            }
        }
        // In place of what the types themselves, which are those of both contracts, could say.
        schemas.insert(&TeamId::name(), id(contract, TeamId::PREFIX, "team"));
        schemas.insert(&UserId::name(), id(contract, UserId::PREFIX, "user"));
        schemas.insert(&Timestamp::name(), timestamp(contract));
        schemas
    }
}

/// The same schema of an answer with everything required that may be `null`: it is written as
/// `null`, and not left out.
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

/// The pattern of a UUID as both contracts write it.
const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// The schema of an id in an answer.
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

/// The schema of a time in an answer.
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

/// The schema of one of a few words.
pub(super) fn one_of(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
}

/// The schema of a boolean that has one value. The description says which: clients of
/// openapi-generator compare a boolean with the texts of `enum`, and so refuse every response with
/// one.
fn always(value: bool) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .description(Some(format!("Always `{value}`.")))
        .build()
}

/// The schema of a boolean that is always `true`.
pub(crate) fn yes() -> Object {
    always(true)
}

/// The schema of a boolean that is always `false`.
pub(crate) fn no() -> Object {
    always(false)
}

/// Stands for `T` in a generic type, and is only named there.
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

/// Gives a type whose values are a few words its schema.
macro_rules! words {
    ($name:ty, $description:literal, $words:expr) => {
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
    "How tickets are distributed among the members of a team: `round_robin` in rotation, `least_busy` to \
    whoever has the fewest open tickets, `skill_based` to whoever has the most skills in common with the ticket.",
    QueueStrategy::ALL.map(QueueStrategy::as_str)
);
words!(
    MemberRole,
    "What a user is in a team.",
    [MemberRole::Member, MemberRole::Lead].map(MemberRole::as_str)
);
words!(
    UserStatus,
    "Whether a user can be given work: only somebody `active` can.",
    UserStatus::SAID.map(UserStatus::as_str)
);
words!(
    TicketStatus,
    "The status of a ticket.",
    TicketStatus::ALL.map(TicketStatus::as_str)
);
words!(
    TicketState,
    "Where a ticket stands in routing: `assigned` to somebody, `waiting` with a team in which nobody is eligible, \
    `unrouted` without a team, or `closed`.",
    TicketState::ALL
        .into_iter()
        .filter(|state| *state != TicketState::Deleted)
        .map(TicketState::as_str)
);
words!(
    WhyNot,
    "Why a member was passed over: by their status, or because the ticket was just taken from them.",
    [
        WhyNot::Status(UserStatus::Inactive),
        WhyNot::Status(UserStatus::Suspended),
        WhyNot::PreviousAssignee
    ]
    .map(WhyNot::as_str)
);
words!(
    Scope,
    "Something that a credential may do.",
    Scope::ALL.map(Scope::as_str)
);

/// The codes of ITSM errors.
pub(crate) struct ErrorCode;
words!(ErrorCode, "What went wrong.", failures::codes());

/// The names that ITSM errors have for rules of form.
pub(crate) struct Constraint;
words!(Constraint, "A rule of form.", failures::constraints());

/// The names that `TopTickets` errors have for rules of form.
pub(crate) struct ViolationType;
words!(
    ViolationType,
    "A rule of form.",
    failures::violation_types()
);

/// Gives a type that each contract writes in its own way a name to be referred to by.
macro_rules! by_contract {
    ($($name:ty),*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().into()
            }
        }
        impl ToSchema for $name {}
    )*};
}

by_contract!(TeamId, UserId, Timestamp);
