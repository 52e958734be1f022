//! Parsers of values that several commands take.

use muster_domain::{OrganizationId, TeamId, UserId};

pub(super) fn organization(text: &str) -> Result<OrganizationId, String> {
    OrganizationId::parse(text)
        .map_err(|_| "an organization id has 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned())
}

pub(super) fn team(text: &str) -> Result<TeamId, String> {
    TeamId::parse(text)
        .map_err(|_| "not a team id: use a UUID, with or without the prefix team_".to_owned())
}

pub(super) fn user(text: &str) -> Result<UserId, String> {
    UserId::parse(text)
        .map_err(|_| "not a user id: use a UUID, with or without the prefix usr_".to_owned())
}

pub(super) fn line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        Err("must not have control characters".to_owned())
    } else {
        Ok(text.to_owned())
    }
}
