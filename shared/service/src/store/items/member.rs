//! The item of a membership.

use serde::{Deserialize, Serialize};

use super::{Item, bad, from_item, user::UserAttributes};
use crate::store::{Error, keys};
use muster_domain::{Member, OrganizationId, Resolved, Tags, TeamId, Timestamp};

/// `ORG#o#TEAM#t`, `MEMBER#u`.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct MemberItem {
    pk: String,
    sk: String,
    gsi1pk: String,
    gsi1sk: String,
    #[serde(flatten)]
    profile: UserAttributes,
    skills: Vec<String>,
    joined_at: i64,
    rev: u64,
    last_turn: u64,
    open_tickets: u64,
    in_progress_tickets: u64,
    resolved_tickets: u64,
    resolved_ms: u64,
}

impl MemberItem {
    pub(in crate::store) fn new(
        organization_id: &OrganizationId,
        team: TeamId,
        member: &Member,
    ) -> Self {
        let Member {
            user,
            skills,
            joined_at,
            rev,
            last_turn,
            open_tickets,
            in_progress_tickets,
            resolved: Resolved { tickets, total_ms },
        } = member;
        let keys::Key { pk, sk } = keys::membership(organization_id, team, user.id);
        let keys::Key {
            pk: gsi1pk,
            sk: gsi1sk,
        } = keys::membership_by_user(organization_id, team, user.id);
        Self {
            pk,
            sk,
            gsi1pk,
            gsi1sk,
            profile: UserAttributes::new(user),
            skills: skills.as_slice().to_vec(),
            joined_at: joined_at.millis(),
            rev: *rev,
            last_turn: *last_turn,
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            resolved_tickets: *tickets,
            resolved_ms: *total_ms,
        }
    }
}

/// Converts an item into a membership.
pub(in crate::store) fn member(item: Item) -> Result<Member, Error> {
    let MemberItem {
        pk: _,
        sk,
        gsi1pk: _,
        gsi1sk: _,
        profile,
        skills,
        joined_at,
        rev,
        last_turn,
        open_tickets,
        in_progress_tickets,
        resolved_tickets,
        resolved_ms,
    } = from_item(item)?;
    let id = keys::member_of(&sk).ok_or_else(|| bad("sk"))?;
    Ok(Member {
        user: profile.into_user(id)?,
        skills: Tags::from_parsed(skills),
        joined_at: Timestamp::from_millis(joined_at),
        rev,
        last_turn,
        open_tickets,
        in_progress_tickets,
        resolved: Resolved {
            tickets: resolved_tickets,
            total_ms: resolved_ms,
        },
    })
}
