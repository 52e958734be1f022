//! The item of an organization.

use serde::{Deserialize, Serialize};

use super::{Item, from_item};
use crate::store::Error;

/// `ORG#o`, `ORG`.
#[derive(Serialize, Deserialize)]
struct OrganizationItem {
    team_count: usize,
}

/// Returns the organization's number of teams.
pub(in crate::store) fn team_count(item: Item) -> Result<usize, Error> {
    let OrganizationItem { team_count } = from_item(item)?;
    Ok(team_count)
}
