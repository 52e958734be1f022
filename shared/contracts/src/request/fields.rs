//! Parsers of the values of single fields.

use serde_json::value::RawValue;

use super::{
    query::Query,
    violation::{FieldRejected, FieldRule, InvalidRequest, Location, Violation},
};
use muster_domain::{
    Description, IdempotencyKey, ListedState, MemberRole, QueueStrategy, Tags, TeamName, UserId,
};

/// Parses an `Idempotency-Key` header.
///
/// # Errors
/// The rule that the value breaks.
pub fn idempotency_key(header: &str) -> Result<IdempotencyKey, InvalidRequest> {
    IdempotencyKey::parse(header).map_err(|error| {
        let violation = Violation {
            location: Location::Header,
            field: "Idempotency-Key",
            rule: error.into(),
        };
        InvalidRequest::Violations(vec![violation])
    })
}

/// Parses a text. A lone surrogate is an escape that no text has.
fn string(value: &RawValue) -> Result<String, FieldRule> {
    serde_json::from_str(value.get()).map_err(|_| FieldRule::NotString)
}

/// Parses a team's name.
///
/// # Errors
/// The rule that the value breaks.
pub fn team_name(value: &RawValue) -> Result<TeamName, FieldRule> {
    Ok(TeamName::parse(&string(value)?)?)
}

/// Parses a team's description.
///
/// # Errors
/// The rule that the value breaks.
pub fn description(value: &RawValue) -> Result<Description, FieldRule> {
    Ok(Description::parse(&string(value)?)?)
}

/// Parses a user's id, with or without its prefix.
///
/// # Errors
/// [`FieldRule::NotUuid`], also for a value that is not a text.
pub fn user_id(value: &RawValue) -> Result<UserId, FieldRule> {
    string(value)
        .ok()
        .and_then(|text| UserId::parse(&text).ok())
        .ok_or(FieldRule::NotUuid)
}

/// Parses a queue strategy.
///
/// # Errors
/// The rule that the value breaks.
pub fn queue_strategy(value: &RawValue) -> Result<QueueStrategy, FieldRule> {
    let strategy = string(value)
        .ok()
        .and_then(|text| QueueStrategy::parse(&text));
    strategy.ok_or(FieldRule::NotOneOf(&[
        "round_robin",
        "least_busy",
        "skill_based",
    ]))
}

/// Parses a member's role in a team.
///
/// # Errors
/// The rule that the value breaks.
pub fn member_role(value: &RawValue) -> Result<MemberRole, FieldRule> {
    match string(value).as_deref() {
        Ok("member") => Ok(MemberRole::Member),
        Ok("lead") => Ok(MemberRole::Lead),
        _ => Err(FieldRule::NotOneOf(&["member", "lead"])),
    }
}

/// Reads `state`, the filter of a list of open tickets; `None` if it is absent.
///
/// # Errors
/// [`FieldRejected`] for every other text.
pub fn listed_state(query: &mut Query) -> Result<Option<ListedState>, FieldRejected> {
    let states = [Some(ListedState::Assigned), Some(ListedState::Waiting)];
    query.one_of("state", &["assigned", "waiting"], &states, None)
}

/// Parses a team's specializations.
///
/// # Errors
/// The rule that the value breaks.
pub fn specializations(value: &RawValue) -> Result<Tags, FieldRule> {
    Ok(Tags::parse(strings(value)?)?)
}

/// Parses a member's skills.
///
/// # Errors
/// The rule that the value breaks.
pub fn skills(value: &RawValue) -> Result<Tags, FieldRule> {
    Ok(Tags::parse_skills(strings(value)?)?)
}

fn strings(value: &RawValue) -> Result<Vec<String>, FieldRule> {
    let values: Vec<&RawValue> =
        serde_json::from_str(value.get()).map_err(|_| FieldRule::NotList)?;
    values
        .into_iter()
        .map(|value| string(value).map_err(|_| FieldRule::NotStrings))
        .collect()
}
