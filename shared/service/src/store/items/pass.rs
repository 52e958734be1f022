//! The item of an organization's pass over its unrouted tickets.

use serde::Deserialize;

use super::{Item, bad, from_item};
use crate::store::Error;
use muster_domain::{PassTopics, RoutingPass, Timestamp, TopicHash};

/// `ORG#o#PASS`, `PASS`.
#[derive(Deserialize)]
struct PassItem {
    rev: u64,
    #[serde(default)]
    covered: u64,
    /// Absent if no topic was merged since the pass was last finished: DynamoDB has no empty set.
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    all_topics: bool,
    merged_at: i64,
    #[serde(default)]
    lease_until: Option<i64>,
    #[serde(default)]
    gsi1pk: Option<String>,
}

/// Converts an item into a pass.
pub(in crate::store) fn pass(item: Item) -> Result<RoutingPass, Error> {
    let PassItem {
        rev,
        covered,
        topics,
        all_topics,
        merged_at,
        lease_until,
        gsi1pk,
    } = from_item(item)?;
    let hashes: Option<_> = topics.iter().map(|text| TopicHash::parse(text)).collect();
    let these = PassTopics::These(hashes.ok_or_else(|| bad("topics"))?);
    Ok(RoutingPass {
        rev,
        covered,
        topics: if all_topics { PassTopics::All } else { these },
        merged_at: Timestamp::from_millis(merged_at),
        leased_until: lease_until.map(Timestamp::from_millis),
        is_pending: gsi1pk.is_some(),
    })
}
