//! The load of a team: the counters of routing.

use serde::{Deserialize, Serialize};

use super::{Item, from_item};
use crate::store::{Error, keys};
use muster_domain::{Load, OrganizationId, TeamId};

/// `ORG#o#TEAM#t`, `LOAD`.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct LoadItem {
    pk: String,
    sk: String,
    turn: u64,
    open_tickets: u64,
    waiting_tickets: u64,
    sla_met: u64,
    sla_due: u64,
    eligible: u64,
}

impl LoadItem {
    pub(in crate::store) fn new(
        organization_id: &OrganizationId,
        team: TeamId,
        load: Load,
    ) -> Self {
        let Load {
            turn,
            open_tickets,
            waiting_tickets,
            sla_met,
            sla_due,
            eligible,
        } = load;
        let keys::Key { pk, sk } = keys::load(organization_id, team);
        Self {
            pk,
            sk,
            turn,
            open_tickets,
            waiting_tickets,
            sla_met,
            sla_due,
            eligible,
        }
    }
}

/// Converts an item into a load.
pub(in crate::store) fn load(item: Item) -> Result<Load, Error> {
    let LoadItem {
        pk: _,
        sk: _,
        turn,
        open_tickets,
        waiting_tickets,
        sla_met,
        sla_due,
        eligible,
    } = from_item(item)?;
    Ok(Load {
        turn,
        open_tickets,
        waiting_tickets,
        sla_met,
        sla_due,
        eligible,
    })
}
