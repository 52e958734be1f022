//! Parsers of the values of single fields.

use serde_json::value::RawValue;

use super::{
    body::Body,
    query::Query,
    unknown_fields::OnUnknownField,
    violation::{FieldRejected, FieldRule, InvalidRequest, Location, Violation},
};
use muster_domain::{
    Description, IdempotencyKey, ListedState, MemberChanges, MemberRole, QueueStrategy, Tags,
    TeamId, TeamName, UserId,
};

/// Parses an `Idempotency-Key` header.
///
/// # Errors
/// The rule that the value breaks.
pub fn idempotency_key(header: &str) -> Result<IdempotencyKey, InvalidRequest> {
    IdempotencyKey::parse(header).map_err(|error| {
        let violation = Violation {
            location: Location::Header,
            field: Some("Idempotency-Key".into()),
            rule: error.into(),
        };
        InvalidRequest::Violations(vec![violation])
    })
}

/// Reads the parameter `strict` of a query: `true` rejects unknown fields of the body. The default
/// is `false`.
///
/// # Errors
/// The parameter has another value.
pub fn on_unknown_field(query: &str) -> Result<OnUnknownField, InvalidRequest> {
    let mut query = Query::parse(query);
    let values = [OnUnknownField::Reject, OnUnknownField::Ignore];
    query
        .one_of(
            "strict",
            &["true", "false"],
            &values,
            OnUnknownField::Ignore,
        )
        .map_err(|FieldRejected| query.invalid())
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
/// [`FieldRule::IdOfTeam`] for the id of a team, [`FieldRule::NotUuid`] for any other value.
pub fn user_id(value: &RawValue) -> Result<UserId, FieldRule> {
    let text = string(value).map_err(|_| FieldRule::NotUuid)?;
    UserId::parse(&text).map_err(|_| match TeamId::parse(&text) {
        Ok(_) => FieldRule::IdOfTeam,
        Err(_) => FieldRule::NotUuid,
    })
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

/// Reads the fields of a membership's update. Neither document has this endpoint, so both contracts
/// have the same fields.
///
/// # Errors
/// [`FieldRejected`] if a field breaks a rule.
pub fn member_changes(body: &mut Body<'_>) -> Result<MemberChanges, FieldRejected> {
    let role = body.change("role", member_role);
    let skills = body.change("skills", skills);
    let (role, skills) = (role?, skills?);
    Ok(MemberChanges { role, skills })
}
