//! The JSON Schemas of the inbound events. A test holds them to the parsers of this module: every
//! instance that a schema accepts is parsed.
//!
//! A schema is stricter than its parser where it has to be portable. It lists the spellings of
//! `docs/events.md`, and no rarer form that the parser reads as
//! well. It accepts the bare event, without the envelopes of AWS services.

use serde_json::{Value, json};

use muster_domain::{TicketStatus, User, UserStatus};

/// The largest integer that every JSON parser reads exactly: 2^53 - 1 (RFC 8259, section 6).
const MAX_EXACT: i64 = (1 << 53) - 1;

/// An RFC 3339 date of the years 1000 to 8999. The parser accepts the years 0 to 9999 in UTC, so a
/// time in any of these years is accepted with any offset.
const DATE: &str = "(?:[1-8][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|\
    (?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|\
    (?:[1-8][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[1357][26]|[2468][048])00)-02-29)";
const HOUR_AND_MINUTE: &str = "(?:[01][0-9]|2[0-3]):[0-5][0-9]";
const UUID: &str = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";

/// Returns the schema of an event of the ticket queue.
pub(in crate::events) fn ticket_event() -> Value {
    let kinds = [
        "ticket.created",
        "ticket.updated",
        "ticket.unassigned",
        "ticket.deleted",
    ];
    let mut schema = event(
        ("ticket", "Ticket"),
        &kinds,
        "Ticket event",
        "An event for the ticket queue: a snapshot of a ticket, complete or partial.",
    );
    let definitions = &mut schema["$defs"];
    definitions["TeamId"] = id("team_", "team");
    definitions["TicketId"] = ticket_id();
    definitions["TicketStatus"] = word(
        "The status of the ticket, in any letter case. A space and a hyphen count as an underscore.",
        &TicketStatus::ALL.map(TicketStatus::as_str),
    );
    let text =
        |description: &str| json!({ "description": description, "type": ["string", "null"] });
    definitions["Ticket"] = json!({
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": { "$ref": "#/$defs/TicketId" },
            "status": optional("TicketStatus"),
            "priority": text(
                "`critical` or `urgent`, `high`, `medium` or `low`. Any other text counts as medium.",
            ),
            "category": text("A topic of the ticket, compared with the specializations of teams."),
            "subcategory": text("A topic of the ticket, like `category`."),
            "tags": {
                "description": "Topics of the ticket, like `category`.",
                "anyOf": [
                    { "type": "array", "items": { "type": "string" } },
                    { "$ref": "#/$defs/Absent" },
                ],
            },
            "team_id": optional("TeamId"),
            "assigned_team_id": optional("TeamId"),
            "assignee_id": optional("UserId"),
            "assigned_user_id": optional("UserId"),
            "created_at": optional("Timestamp"),
            "updated_at": optional("Timestamp"),
            "resolved_at": optional("Timestamp"),
            "due_at": optional("Timestamp"),
            "due_date": optional("Timestamp"),
        },
    });
    schema
}

/// Returns the schema of an event of the user queue.
pub(in crate::events) fn user_event() -> Value {
    let kinds = [
        "user.created",
        "user.updated",
        "user.deactivated",
        "user.deleted",
    ];
    let mut schema = event(
        ("user", "User"),
        &kinds,
        "User event",
        "An event for the user queue: a snapshot of a user, complete or partial. Of a deleted user, only the id is \
         read.",
    );
    let definitions = &mut schema["$defs"];
    definitions["UserStatus"] = word(
        "The status of the user, in any letter case.",
        &UserStatus::REPORTED.map(UserStatus::as_str),
    );
    definitions["Line"] = line(User::MAX_CHARS);
    definitions["Url"] = line(User::MAX_URL_CHARS);
    definitions["User"] = json!({
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": { "$ref": "#/$defs/UserId" },
            "updated_at": optional("Timestamp"),
        },
    });
    definitions["Profile"] = json!({
        "properties": {
            "name": optional("Line"),
            "full_name": optional("Line"),
            "email": optional("Line"),
            "role": optional("Line"),
            "avatar_url": optional("Url"),
            "status": optional("UserStatus"),
            "is_active": { "anyOf": [{ "type": "boolean" }, { "$ref": "#/$defs/Absent" }] },
        },
    });
    schema["if"] = json!({ "properties": { "type": { "const": "user.deleted" } } });
    schema["else"] = json!({
        "properties": { "data": { "properties": { "user": { "$ref": "#/$defs/Profile" } } } },
    });
    schema
}

/// Returns the parts that both events have. The object in `data` has a name and a definition.
fn event(
    (object, definition): (&str, &str),
    kinds: &[&str],
    title: &str,
    description: &str,
) -> Value {
    let with =
        |fields: Value| json!({ "properties": { "data": { "properties": { object: fields } } } });
    json!({
        "title": title,
        "description": description,
        "type": "object",
        "required": ["specversion", "id", "type", "data"],
        "properties": {
            "specversion": { "description": "The version of CloudEvents.", "const": "1.0" },
            "id": { "$ref": "#/$defs/EventId" },
            "source": { "description": "The system that sends the event. It is not read." },
            "type": { "description": "The kind of event.", "enum": kinds },
            "time": optional("Timestamp"),
            "data": {
                "type": "object",
                "required": ["organization_id", object],
                "properties": {
                    "organization_id": { "$ref": "#/$defs/OrganizationId" },
                    object: { "$ref": format!("#/$defs/{definition}") },
                },
            },
            "data_base64": {
                "description": "The data as base64, in place of `data`. Decode it into `data` before validation.",
                "type": "null",
            },
        },
        // The version of the event.
        "anyOf": [
            with(json!({
                "required": ["updated_at"],
                "properties": { "updated_at": { "$ref": "#/$defs/Timestamp" } },
            })),
            { "required": ["time"], "properties": { "time": { "$ref": "#/$defs/Timestamp" } } },
        ],
        "$defs": {
            "Absent": {
                "description": "`null` or an empty text.",
                "type": ["null", "string"],
                "pattern": "^[ \\t\\r\\n]*$",
            },
            "EventId": {
                "description": "Identifies the event: 1 to 256 bytes in UTF-8.",
                "type": "string",
                "minLength": 1,
                // A character has up to 4 bytes.
                "anyOf": [{ "pattern": "^[\\x00-\\x7F]{1,256}$" }, { "maxLength": 64 }],
            },
            "OrganizationId": {
                "description": "Identifies the organization.",
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{1,64}$",
            },
            "Timestamp": timestamp(),
            "UserId": id("usr_", "user"),
        },
    })
}

/// Returns the schema of a field that can be `null` or empty.
fn optional(definition: &str) -> Value {
    let definition = format!("#/$defs/{definition}");
    json!({ "anyOf": [{ "$ref": definition }, { "$ref": "#/$defs/Absent" }] })
}

/// Returns the schema of a time. Its patterns allow no day that the month lacks.
fn timestamp() -> Value {
    let seconds = "(?:[0-5][0-9]|60)";
    let offset = format!("(?:[Zz]|[+-]{HOUR_AND_MINUTE})");
    let rfc3339 = format!("^{DATE}[Tt ]{HOUR_AND_MINUTE}:{seconds}(?:\\.[0-9]+)?{offset}$");
    let local = format!("^{DATE}(?:T{HOUR_AND_MINUTE}:[0-5][0-9](?:\\.[0-9]{{1,9}})?)?$");
    json!({
        "description": "A time in RFC 3339 or in Unix seconds. An ISO 8601 time without an offset is in UTC, and a date \
            is its midnight.",
        "anyOf": [
            { "type": "string", "pattern": rfc3339 },
            { "type": "string", "pattern": local },
            // The years 0 to 9999.
            { "type": "number", "minimum": -62_167_219_200_i64, "maximum": 253_402_300_799_i64 },
        ],
    })
}

fn ticket_id() -> Value {
    json!({
        "description": "Identifies the ticket. An integer names the same ticket as its text. An integer of more than 53 \
            bits has to be written as text, because not every JSON parser reads it exactly.",
        "anyOf": [
            { "type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,128}$" },
            { "type": "integer", "minimum": -MAX_EXACT, "maximum": MAX_EXACT },
        ],
    })
}

fn id(prefix: &str, of: &str) -> Value {
    json!({
        "description": format!("Identifies a {of}: a UUID, bare or after `{prefix}`."),
        "type": "string",
        "pattern": format!("^(?:{prefix})?{UUID}$"),
    })
}

/// Returns the schema of a text without control characters.
fn line(max_chars: usize) -> Value {
    json!({
        "description": format!("At most {max_chars} characters, without control characters."),
        "type": "string",
        "maxLength": max_chars,
        "pattern": "^[^\\x00-\\x1F\\x7F-\\x9F]*$",
    })
}

/// Returns the schema of a word of a list, in any letter case.
fn word(description: &str, words: &[&str]) -> Value {
    let letter = |c: char| match c {
        '_' => "[ _-]".to_owned(),
        c => format!("[{}{c}]", c.to_ascii_uppercase()),
    };
    let spellings: Vec<String> = words
        .iter()
        .map(|word| word.chars().map(letter).collect())
        .collect();
    json!({
        "description": description,
        "type": "string",
        "pattern": format!("^(?:{})$", spellings.join("|")),
        "examples": words,
    })
}
