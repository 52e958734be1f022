//! The item of a name claim.

use serde::Serialize;

use super::{Item, bad, text};
use crate::store::{Error, keys};
use muster_domain::{Folded, Team, TeamId};

/// `ORG#o#NAMES`, `NAME#<folded name>`.
#[derive(Serialize)]
pub(in crate::store) struct NameClaimItem {
    pk: String,
    sk: String,
    team_id: String,
    /// The folded name, if the sort key has its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    folded: Option<String>,
}

impl NameClaimItem {
    pub(in crate::store) fn new(team: &Team) -> Self {
        let name = team.name.folded();
        let keys::Key { pk, sk } = keys::name_claim(&team.organization_id, &name);
        let folded = keys::folded_name_of(&sk)
            .is_none()
            .then(|| name.as_str().to_owned());
        Self {
            pk,
            sk,
            team_id: team.id.uuid().to_string(),
            folded,
        }
    }
}

/// The attributes of a name claim that [`name_claim`] reads.
pub(in crate::store) const NAME_CLAIM: &str = "sk, team_id, folded";

/// Returns the team of a name claim and its folded name.
pub(in crate::store) fn name_claim(item: &Item) -> Result<(TeamId, Folded), Error> {
    let team = text(item, "team_id")
        .and_then(|id| TeamId::parse(id).ok())
        .ok_or_else(|| bad("team_id"))?;
    let folded = text(item, "sk").and_then(keys::folded_name_of);
    let folded = folded
        .or_else(|| text(item, "folded").map(Folded::from_folded))
        .ok_or_else(|| bad("folded"))?;
    Ok((team, folded))
}
