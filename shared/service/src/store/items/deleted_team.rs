//! The tombstone of a deleted team.

use serde::{Deserialize, Serialize};

use super::{Item, from_item};
use crate::store::{Error, keys, records::DeletedTeam};
use muster_domain::{Load, Team, Timestamp};

/// `ORG#o#TEAM#t`, `GONE`.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct DeletedTeamItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1sk: Option<String>,
    open_tickets: u64,
    waiting_tickets: u64,
    deleted_at: i64,
}

impl DeletedTeamItem {
    pub(in crate::store) fn new(team: &Team, load: Load, deleted_at: Timestamp) -> Self {
        let Load {
            turn: _,
            open_tickets,
            waiting_tickets,
            sla_met: _,
            sla_due: _,
            eligible: _,
        } = load;
        let key = keys::deleted_team(&team.organization_id, team.id);
        let keys::Key {
            pk: gsi1pk,
            sk: gsi1sk,
        } = keys::pending_work(&key, deleted_at);
        let keys::Key { pk, sk } = key;
        Self {
            pk,
            sk,
            gsi1pk: Some(gsi1pk),
            gsi1sk: Some(gsi1sk),
            open_tickets,
            waiting_tickets,
            deleted_at: deleted_at.millis(),
        }
    }
}

/// Converts an item into a deleted team.
pub(in crate::store) fn deleted_team(item: Item) -> Result<DeletedTeam, Error> {
    let DeletedTeamItem {
        pk: _,
        sk: _,
        gsi1pk: _,
        gsi1sk: _,
        open_tickets,
        waiting_tickets: _,
        deleted_at: _,
    } = from_item(item)?;
    Ok(DeletedTeam { open_tickets })
}
