//! The topic index: the teams that have a topic as a specialization.

use std::collections::BTreeSet;

use super::{
    Error, Store,
    error::CommitError,
    expression::{self, n},
    items::{self, IndexedTopicsItem, TopicEntryItem},
    keys::{self, Key},
    passes::merge_topics,
    records::IndexedTopics,
    transaction::{Transaction, conflict},
};
use muster_domain::{Folded, OrganizationId, RoutingPass, Team, TeamId, Timestamp, TopicHash};

/// The most topics that one transaction adds or removes: two entries each, plus the team, its
/// `SPECS` item and the pass, within 100 items.
const TOPICS_PER_TRANSACTION: usize = 48;

/// A team, its entries and the organization's pass, as they were read.
struct Read {
    team: Option<Team>,
    is_marked: bool,
    indexed: IndexedTopics,
    pass: Option<RoutingPass>,
}

/// The result of writing a part of a team's entries.
struct Part {
    /// True if topics were merged into the organization's pass.
    has_merged: bool,
    /// True if the index agrees with the team.
    is_last: bool,
}

/// A topic to add to the index, or to remove from it.
enum TopicChange<'t> {
    Add(&'t Folded),
    Remove(&'t Folded),
}

impl Store {
    /// Syncs the topic index with a team: adds entries for its specializations and removes all
    /// others. A deleted team loses all entries. Returns true if topics were merged into the
    /// organization's pass.
    ///
    /// Two round trips for each 48 topics that differ: reads, and a transaction. Its conditions:
    /// the team has the version, and `SPECS` the revision, that were read. The transaction also
    /// merges the topics that it adds into the pass, so no crash separates an entry from its merge.
    /// The last transaction removes the team's mark.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn index_specializations(
        &self,
        org: &OrganizationId,
        team: TeamId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut has_merged = false;
        loop {
            let part = self
                .retry_on_conflict(|| self.index_part(org, team, now))
                .await?;
            has_merged |= part.has_merged;
            if part.is_last {
                return Ok(has_merged);
            }
        }
    }

    /// Syncs up to 48 topics of a team. Two round trips, one if there is no difference.
    async fn index_part(
        &self,
        org: &OrganizationId,
        id: TeamId,
        now: Timestamp,
    ) -> Result<Part, CommitError> {
        let read = self.read_specializations(org, id).await?;
        let wanted: BTreeSet<Folded> = read
            .team
            .iter()
            .flat_map(|team| team.specializations.as_slice())
            .map(|tag| Folded::of(tag))
            .collect();
        let added = wanted
            .difference(&read.indexed.topics)
            .map(TopicChange::Add);
        let removed = read
            .indexed
            .topics
            .difference(&wanted)
            .map(TopicChange::Remove);
        let mut changes: Vec<TopicChange<'_>> = added.chain(removed).collect();
        let is_last = changes.len() <= TOPICS_PER_TRANSACTION;
        if changes.is_empty() && !read.is_marked {
            return Ok(Part {
                has_merged: false,
                is_last,
            });
        }
        changes.truncate(TOPICS_PER_TRANSACTION);

        let mut transaction = Transaction::new(self);
        require_team_as_read(&mut transaction, org, id, &read, is_last)?;
        let mut merged = Vec::new();
        if !changes.is_empty() {
            merged = index(&mut transaction, org, id, &read.indexed, &changes)?;
        }
        if !merged.is_empty() {
            merge_topics(&mut transaction, org, read.pass.as_ref(), &merged, now)?;
        }
        transaction.commit().await?;
        Ok(Part {
            has_merged: !merged.is_empty(),
            is_last,
        })
    }

    /// Reads a team, its entries and the organization's pass, strongly consistent. One round trip.
    async fn read_specializations(&self, org: &OrganizationId, id: TeamId) -> Result<Read, Error> {
        let keys = [
            keys::team(org, id),
            keys::indexed_topics(org, id),
            keys::pass(org),
        ];
        let mut read = Read {
            team: None,
            is_marked: false,
            indexed: IndexedTopics::default(),
            pass: None,
        };
        for item in self.get_all(&keys.each_ref().map(Key::attributes)).await? {
            let is = |key: &Key| items::text(&item, "sk") == Some(&key.sk);
            if is(&keys[0]) {
                read.is_marked = item.contains_key("gsi1pk");
                read.team = Some(items::team(org, item)?);
            } else if is(&keys[1]) {
                read.indexed = items::indexed_topics(item)?;
            } else {
                read.pass = Some(items::pass(item)?);
            }
        }
        Ok(read)
    }
}

/// Adds the condition that the team is as it was read. The last part also removes its mark.
fn require_team_as_read(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    id: TeamId,
    read: &Read,
    is_last: bool,
) -> Result<(), Error> {
    let key = keys::team(org, id);
    let Some(team) = &read.team else {
        return transaction.check(&key, "attribute_not_exists(#pk)", None, conflict);
    };
    let as_read = "#version = :version";
    let version = expression::values([(":version", n(team.version))]);
    if read.is_marked && is_last {
        transaction.update(
            &key,
            "REMOVE #gsi1pk, #gsi1sk",
            Some(as_read),
            version,
            conflict,
        )
    } else {
        transaction.check(&key, as_read, Some(version), conflict)
    }
}

/// Adds the changes of a team's entries, and records them in `SPECS`. Returns the topics that are
/// new.
fn index(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    id: TeamId,
    before: &IndexedTopics,
    changes: &[TopicChange<'_>],
) -> Result<Vec<TopicHash>, Error> {
    let mut after = IndexedTopics {
        rev: before.rev + 1,
        topics: before.topics.clone(),
    };
    let mut merged = Vec::new();
    for change in changes {
        match change {
            TopicChange::Add(topic) => {
                for entry in keys::topic_entries(org, topic, id) {
                    transaction.put_always(TopicEntryItem::new(entry))?;
                }
                after.topics.insert((*topic).clone());
                merged.push(TopicHash::of(topic));
            }
            TopicChange::Remove(topic) => {
                for entry in keys::topic_entries(org, topic, id) {
                    transaction.delete(&entry, None, None, conflict)?;
                }
                after.topics.remove(*topic);
            }
        }
    }
    let key = keys::indexed_topics(org, id);
    let as_read = if before.rev == 0 {
        "attribute_not_exists(#pk)"
    } else {
        "#rev = :rev"
    };
    let rev = (before.rev > 0).then(|| expression::values([(":rev", n(before.rev))]));
    if after.topics.is_empty() {
        transaction.delete(&key, Some(as_read), rev, conflict)?;
    } else {
        transaction.put(IndexedTopicsItem::new(key, &after), as_read, rev, conflict)?;
    }
    Ok(merged)
}
