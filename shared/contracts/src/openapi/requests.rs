//! The schemas of request bodies.
//!
//! They repeat the parsers of [`toptickets`](crate::toptickets) and [`itsm`](crate::itsm): the same
//! verbs, the same order, and the same names of values. A test runs bodies that these schemas
//! accept and bodies that they reject through the parsers.

use serde_json::Value;
use utoipa::openapi::{
    RefOr,
    schema::{
        ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, RefBuilder, Schema, SchemaType, Type,
    },
};

use super::parameters;
use crate::route::{Endpoint, ROUTES};
use muster_domain::{
    Contract, Description, MemberRole, QueueStrategy, Tags, TeamName, UserId, ignorable_ranges,
};

/// Returns the schemas of bodies with their names.
pub(super) fn schemas(contract: Contract) -> impl Iterator<Item = (&'static str, Object)> {
    ROUTES
        .into_iter()
        .filter_map(move |(_, _, endpoint)| Some((name(endpoint)?, schema(endpoint, contract)?)))
}

/// Returns the name of the schema of an endpoint's body.
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
            let fields = BodySchema::new("A team to create.")
                .required("name", team_name())
                .optional("description", description());
            if is_itsm {
                fields
                    .optional("lead_id", user_id(contract, LEAD))
                    .optional_or(
                        "queue_strategy",
                        queue_strategy(),
                        QueueStrategy::default().as_str(),
                    )
                    .optional("specializations", tags(SPECIALIZATIONS))
            } else {
                fields
            }
        }
        Endpoint::UpdateTeam => {
            let fields = BodySchema::new("Changes to a team. Omitted fields stay unchanged.")
                .change("name", team_name())
                .clearable("description", description());
            if is_itsm {
                fields
                    .clearable("lead_id", user_id(contract, LEAD))
                    .change("queue_strategy", queue_strategy())
                    .change("specializations", tags(SPECIALIZATIONS))
            } else {
                fields
            }
        }
        Endpoint::AddMember => {
            let user = "The user to add: an active user of the same organization.";
            let fields = BodySchema::new("A user to add to a team.")
                .required("user_id", user_id(contract, user));
            if is_itsm {
                fields
                    .optional_or("role", member_role(), MemberRole::Member.as_str())
                    .optional("skills", tags(SKILLS))
            } else {
                fields
            }
        }
        Endpoint::UpdateMember => {
            BodySchema::new("Changes to a membership. Omitted fields stay unchanged.")
                .change("role", member_role())
                .change("skills", tags(SKILLS))
        }
        _ => return None,
    };
    Some(fields.0.build())
}

const LEAD: &str = "The user to lead the team: an active user, not necessarily a member.";
const SPECIALIZATIONS: &str =
    "All areas of expertise of the team, by which tickets are routed to it.";
const SKILLS: &str = "All skills of the member, for skill-based routing. All skills together have at most 4,096 bytes in \
                      UTF-8, with each quotation mark and backslash counted twice.";

fn team_name() -> RefOr<Schema> {
    let description = "The name, unique within the organization. Names that differ only in letter case, in compatibility forms \
                       such as full-width letters, in invisible characters or in white space are one name. White space \
                       at its ends is removed; otherwise the name is stored unchanged.";
    line(TeamName::MAX_CHARS)
        .description(Some(description))
        .into()
}

fn description() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(Description::MAX_CHARS))
        .pattern(Some(r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"))
        .description(Some(
            "The team's purpose, stored unchanged. Its only control characters are tab, line feed and carriage return.",
        ))
        .into()
}

fn user_id(contract: Contract, description: &str) -> RefOr<Schema> {
    ObjectBuilder::from(parameters::id(contract, UserId::PREFIX))
        .description(Some(description))
        .into()
}

fn queue_strategy() -> RefOr<Schema> {
    named(
        "QueueStrategy",
        "The distribution of tickets among the members.",
    )
}

fn member_role() -> RefOr<Schema> {
    named(
        "MemberRole",
        "The role of the user in the team. A new `lead` replaces the previous lead.",
    )
}

fn tags(description: &str) -> RefOr<Schema> {
    let how = "White space at a tag's ends is removed. Tags are compared like names, and duplicates of a tag are \
               removed.";
    ArrayBuilder::new()
        .items(line(Tags::MAX_CHARS))
        .max_items(Some(Tags::MAX_TAGS))
        .description(Some(format!("{description} {how}")))
        .into()
}

/// Returns the schema of a text without control characters that does not fold to the empty text: at
/// least one character is neither white space nor ignored.
///
/// The pattern has no characters beyond U+FFFF, because no notation of them works in all dialects
/// of regular expressions. So it accepts a text of such ignored characters alone (language tags and
/// variation selectors), which the parser rejects.
fn line(max_chars: usize) -> ObjectBuilder {
    const CONTROL: &str = r"\x00-\x1f\x7f-\x9f";
    let ignored: String = ignorable_ranges()
        .filter(|range| *range.end() <= 0xffff)
        .map(|range| match range.into_inner() {
            (first, last) if first == last => format!(r"\u{first:04x}"),
            (first, last) => format!(r"\u{first:04x}-\u{last:04x}"),
        })
        .collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(max_chars))
        .pattern(Some(format!(
            r"^[^{CONTROL}]*[^\s{CONTROL}{ignored}][^{CONTROL}]*$"
        )))
}

fn named(name: &str, description: &str) -> RefOr<Schema> {
    RefBuilder::new()
        .ref_location_from_schema_name(name)
        .description(Some(description))
        .into()
}

/// The fields of a body.
struct BodySchema(ObjectBuilder);

impl BodySchema {
    fn new(description: &str) -> Self {
        Self(
            ObjectBuilder::new()
                .schema_type(Type::Object)
                .description(Some(description)),
        )
    }

    /// Adds a field that [`Body::required`](crate::request::Body::required) reads.
    fn required(self, field: &str, value: RefOr<Schema>) -> Self {
        Self(self.0.property(field, value).required(field))
    }

    /// Adds a field that [`Body::optional`](crate::request::Body::optional) reads.
    fn optional(self, field: &str, value: RefOr<Schema>) -> Self {
        Self(self.0.property(field, or_null(value, None)))
    }

    /// Adds an optional field with a default.
    fn optional_or(self, field: &str, value: RefOr<Schema>, default: &str) -> Self {
        Self(self.0.property(field, or_null(value, Some(default.into()))))
    }

    /// Adds a field that [`Body::change`](crate::request::Body::change) reads.
    fn change(self, field: &str, value: RefOr<Schema>) -> Self {
        Self(self.0.property(field, value))
    }

    /// Adds a field that [`Body::clearable`](crate::request::Body::clearable) reads.
    fn clearable(self, field: &str, value: RefOr<Schema>) -> Self {
        Self(self.0.property(field, or_null(value, None)))
    }
}

fn or_null(value: RefOr<Schema>, default: Option<Value>) -> RefOr<Schema> {
    match value {
        RefOr::T(Schema::Object(mut text)) => {
            text.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
            text.into()
        }
        RefOr::T(Schema::Array(mut list)) => {
            list.schema_type = SchemaType::from_iter([Type::Array, Type::Null]);
            RefOr::T(Schema::Array(list))
        }
        value => {
            let null = ObjectBuilder::new().schema_type(Type::Null);
            OneOfBuilder::new()
                .item(value)
                .item(null)
                .default(default)
                .into()
        }
    }
}
