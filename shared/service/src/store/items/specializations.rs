//! The items of the topic index.

use serde::{Deserialize, Serialize};

use super::{Item, from_item};
use crate::store::{Error, keys, records::IndexedTopics};
use muster_domain::Folded;

/// `ORG#o#SPEC#<folded tag>`, `0#<place>#t` and `1#<place>#t`.
#[derive(Serialize)]
pub(in crate::store) struct TopicEntryItem {
    pk: String,
    sk: String,
}

impl TopicEntryItem {
    pub(in crate::store) fn new(key: keys::Key) -> Self {
        let keys::Key { pk, sk } = key;
        Self { pk, sk }
    }
}

/// `ORG#o#TEAM#t`, `SPECS`.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct IndexedTopicsItem {
    pk: String,
    sk: String,
    rev: u64,
    topics: Vec<String>,
}

impl IndexedTopicsItem {
    pub(in crate::store) fn new(key: keys::Key, indexed: &IndexedTopics) -> Self {
        let keys::Key { pk, sk } = key;
        let IndexedTopics { rev, topics } = indexed;
        Self {
            pk,
            sk,
            rev: *rev,
            topics: topics
                .iter()
                .map(|topic| topic.as_str().to_owned())
                .collect(),
        }
    }
}

/// Converts an item into the topics under which the index has a team.
pub(in crate::store) fn indexed_topics(item: Item) -> Result<IndexedTopics, Error> {
    let IndexedTopicsItem {
        pk: _,
        sk: _,
        rev,
        topics,
    } = from_item(item)?;
    Ok(IndexedTopics {
        rev,
        topics: topics.iter().map(|topic| Folded::of(topic)).collect(),
    })
}
