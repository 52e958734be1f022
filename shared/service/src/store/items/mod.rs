//! The items of the table, and their conversions from and to domain types.
//!
//! Item types never leave the store. Every conversion names every field, so that a new field fails
//! to compile until the conversion handles it.

mod api_key;
mod deleted_team;
mod event_version;
mod lead;
mod load;
mod member;
mod name_claim;
mod organization;
mod pass;
mod past;
mod rate;
mod saved_response;
mod specializations;
mod team;
#[cfg(test)]
mod tests;
mod ticket;
mod token_issuer;
mod user;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Serialize, de::DeserializeOwned};

use super::Error;
pub(super) use api_key::{ApiKeyItem, api_key};
pub(super) use deleted_team::{DeletedTeamItem, deleted_team};
pub(super) use lead::LeadItem;
pub(super) use load::{LoadItem, load};
pub(super) use member::{MemberItem, member};
pub(super) use name_claim::{NAME_CLAIM, NameClaimItem, name_claim};
pub(super) use organization::team_count;
pub(super) use pass::pass;
pub(super) use past::{PastItem, past};
pub(super) use rate::request_count;
pub(super) use saved_response::{ResponseItem, ResponsePartItem, saved_part, saved_response};
pub(super) use specializations::{IndexedTopicsItem, TopicEntryItem, indexed_topics};
pub(super) use team::{TEAM_UPDATE, TeamItem, member_count, team, team_update, version};
pub(super) use ticket::{TicketItem, ticket};
pub(super) use token_issuer::{TokenIssuerItem, token_issuer};
pub(super) use user::{UserItem, profile, user};

/// An item in the form of the SDK.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An attribute that this version cannot read: another program, or another version of this code,
/// wrote it.
#[derive(Debug, thiserror::Error)]
#[error("an item has an attribute {0} that this version cannot read")]
pub(super) struct BadItem(&'static str);

/// Converts an item type into an item.
pub(super) fn to_item<T: Serialize>(item: T) -> Result<Item, Error> {
    serde_dynamo::to_item(item).map_err(Error::internal)
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(Error::internal)
}

fn bad(attribute: &'static str) -> Error {
    Error::internal(BadItem(attribute))
}

/// Returns the text of a string attribute. `None` if there is no such attribute or it has another
/// type.
pub(super) fn text<'i>(item: &'i Item, attribute: &str) -> Option<&'i str> {
    item.get(attribute)
        .and_then(|value| value.as_s().ok())
        .map(String::as_str)
}
