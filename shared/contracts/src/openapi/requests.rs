//! What bodies may say, in the words of the parsers in [`wire`](crate): the same verbs, the
//! same order, and the same names of values. A test sends both what these schemas refuse and what
//! they take through the parsers.

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

/// The schemas of bodies, by name.
pub(super) fn schemas(contract: Contract) -> impl Iterator<Item = (&'static str, Object)> {
    ROUTES
        .into_iter()
        .filter_map(move |(_, _, endpoint)| Some((name(endpoint)?, schema(endpoint, contract)?)))
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
            let fields = Fields::new("A team to create.")
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
            let fields = Fields::new("Changes to a team. What is left out stays as it is.")
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
            let user = "The user to add: active, and of the same organization.";
            let fields = Fields::new("A user to add to a team.")
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
            Fields::new("Changes to a membership. What is left out stays as it is.")
                .change("role", member_role())
                .change("skills", tags(SKILLS))
        }
        _ => return None,
    };
    Some(fields.0.build())
}

const LEAD: &str = "The user to lead the team: active, and not necessarily a member.";
const SPECIALIZATIONS: &str =
    "The team's areas of expertise, by which tickets are routed to it; all of them.";
const SKILLS: &str = "What the member knows, for skill-based routing; all of it. All skills together have at most 4,096 bytes in \
                      UTF-8, with each quotation mark and backslash counted twice.";

fn team_name() -> RefOr<Schema> {
    let description = "The name, unique within the organization. Names that differ only in letter case, in compatibility forms \
                       such as full-width letters, in invisible characters or in white space are one name. White space \
                       at its ends is dropped; otherwise the name is kept as it is sent.";
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
            "What the team is for. Kept as it is sent. Its only control characters are tab, line feed and carriage return.",
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
        "How tickets are distributed among the members.",
    )
}

fn member_role() -> RefOr<Schema> {
    named(
        "MemberRole",
        "What the user is in the team. A `lead` takes the place of the one before.",
    )
}

fn tags(description: &str) -> RefOr<Schema> {
    let how = "White space at a tag's ends is dropped. Tags are compared as names are, and a tag that equals one before it \
               is dropped.";
    ArrayBuilder::new()
        .items(line(Tags::MAX_CHARS))
        .max_items(Some(Tags::MAX_TAGS))
        .description(Some(format!("{description} {how}")))
        .into()
}

/// A text without control characters that does not fold to the empty text: one of its characters is
/// neither white space nor ignored.
///
/// The pattern has no characters beyond U+FFFF, which no notation writes for every dialect of
/// regular expressions. So it takes a text of only such ignored characters (language tags and
/// variation selectors), which the parser refuses.
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

/// A body's fields.
struct Fields(ObjectBuilder);

impl Fields {
    fn new(description: &str) -> Self {
        Self(
            ObjectBuilder::new()
                .schema_type(Type::Object)
                .description(Some(description)),
        )
    }

    /// What [`Body::required`](crate::request::Body::required) reads.
    fn required(self, field: &str, value: RefOr<Schema>) -> Self {
        Self(self.0.property(field, value).required(field))
    }

    /// What [`Body::optional`](crate::request::Body::optional) reads.
    fn optional(self, field: &str, value: RefOr<Schema>) -> Self {
        Self(self.0.property(field, or_null(value, None)))
    }

    /// The same where there is a value that stands for none.
    fn optional_or(self, field: &str, value: RefOr<Schema>, default: &str) -> Self {
        Self(self.0.property(field, or_null(value, Some(default.into()))))
    }

    /// What [`Body::change`](crate::request::Body::change) reads.
    fn change(self, field: &str, value: RefOr<Schema>) -> Self {
        Self(self.0.property(field, value))
    }

    /// What [`Body::clearable`](crate::request::Body::clearable) reads.
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
