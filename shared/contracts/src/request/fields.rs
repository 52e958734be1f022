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
/// The rule it breaks.
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

/// A text. A lone surrogate is an escape that no text has.
fn string(value: &RawValue) -> Result<String, FieldRule> {
    serde_json::from_str(value.get()).map_err(|_| FieldRule::NotString)
}

/// A team's name.
///
/// # Errors
/// The rule it breaks.
pub fn team_name(value: &RawValue) -> Result<TeamName, FieldRule> {
    Ok(TeamName::parse(&string(value)?)?)
}

/// A team's description.
///
/// # Errors
/// The rule it breaks.
pub fn description(value: &RawValue) -> Result<Description, FieldRule> {
    Ok(Description::parse(&string(value)?)?)
}

/// A user's identifier, in either form.
///
/// # Errors
/// The rule it breaks: whatever is not a UUID in a text is not a UUID.
pub fn user_id(value: &RawValue) -> Result<UserId, FieldRule> {
    string(value)
        .ok()
        .and_then(|text| UserId::parse(&text).ok())
        .ok_or(FieldRule::NotUuid)
}

/// A queue strategy.
///
/// # Errors
/// The rule it breaks.
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

/// A member's role in a team.
///
/// # Errors
/// The rule it breaks.
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
/// [`FieldRejected`] for every other word.
pub fn listed_state(query: &mut Query) -> Result<Option<ListedState>, FieldRejected> {
    let states = [Some(ListedState::Assigned), Some(ListedState::Waiting)];
    query.one_of("state", &["assigned", "waiting"], &states, None)
}

/// A team's specializations.
///
/// # Errors
/// The rule it breaks.
pub fn specializations(value: &RawValue) -> Result<Tags, FieldRule> {
    Ok(Tags::parse(strings(value)?)?)
}

/// A member's skills.
///
/// # Errors
/// The rule it breaks.
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
