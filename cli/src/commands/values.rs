//! Parsers of values that several commands take.

use muster_domain::{OrganizationId, TeamId, UserId};

pub(super) fn organization(text: &str) -> Result<OrganizationId, String> {
    OrganizationId::parse(text)
        .map_err(|_| "an organization id has 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned())
}

pub(super) fn team(text: &str) -> Result<TeamId, String> {
    TeamId::parse(text)
        .map_err(|_| "a team's id is a UUID, with or without team_ before it".to_owned())
}

pub(super) fn user(text: &str) -> Result<UserId, String> {
    UserId::parse(text)
        .map_err(|_| "a user's id is a UUID, with or without usr_ before it".to_owned())
}

pub(super) fn line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        Err("must not have control characters".to_owned())
    } else {
        Ok(text.to_owned())
    }
}
