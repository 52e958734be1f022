//! The item of past counters: the counters of a user that is not a member of the team.

use serde::{Deserialize, Serialize};

use super::{Item, bad, from_item};
use crate::store::{Error, keys};
use muster_domain::{OrganizationId, PastCounters, Resolved, TeamId};

/// `ORG#o#TEAM#t`, `PAST#u`. It has no index key and no profile, so profile copies and erasure do
/// not concern it.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct PastItem {
    pk: String,
    sk: String,
    rev: u64,
    last_turn: u64,
    open_tickets: u64,
    in_progress_tickets: u64,
    resolved_tickets: u64,
    resolved_ms: u64,
}

impl PastItem {
    pub(in crate::store) fn new(
        organization_id: &OrganizationId,
        team: TeamId,
        past: &PastCounters,
    ) -> Self {
        let PastCounters {
            user_id,
            rev,
            last_turn,
            open_tickets,
            in_progress_tickets,
            resolved: Resolved { tickets, total_ms },
        } = past;
        let keys::Key { pk, sk } = keys::past(organization_id, team, *user_id);
        Self {
            pk,
            sk,
            rev: *rev,
            last_turn: *last_turn,
            open_tickets: *open_tickets,
            in_progress_tickets: *in_progress_tickets,
            resolved_tickets: *tickets,
            resolved_ms: *total_ms,
        }
    }
}

/// Converts an item into past counters, with their team.
pub(in crate::store) fn past(item: Item) -> Result<(TeamId, PastCounters), Error> {
    let PastItem {
        pk,
        sk,
        rev,
        last_turn,
        open_tickets,
        in_progress_tickets,
        resolved_tickets,
        resolved_ms,
    } = from_item(item)?;
    let team = keys::team_of_partition(&pk).ok_or_else(|| bad("pk"))?;
    let user_id = keys::past_of(&sk).ok_or_else(|| bad("sk"))?;
    let resolved = Resolved {
        tickets: resolved_tickets,
        total_ms: resolved_ms,
    };
    Ok((
        team,
        PastCounters {
            user_id,
            rev,
            last_turn,
            open_tickets,
            in_progress_tickets,
            resolved,
        },
    ))
}
