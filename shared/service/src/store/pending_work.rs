//! Pending work: finding the items that a job has to finish, and removing their marks.
//!
//! The index is eventually consistent, so it only names candidates. Counters in the table, read
//! strongly consistent, decide if there is work left. A mark is removed on condition of these
//! counters, so a concurrent write that adds work keeps it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;

use super::{
    Error, Store,
    error::CommitError,
    expression::{self, n, s},
    items::{self, Item},
    keys::{self, ItemKind},
    records::DeletedTeam,
    transaction::{MAX_ITEMS, Transaction, conflict},
};
use muster_domain::{OrganizationId, TeamId, TicketId, Timestamp, TopicFilter, UserId};

/// A page of an index partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPage<T> {
    /// The entries of the page.
    pub entries: Vec<T>,
    /// The cursor of the next page, if there may be more.
    pub next: Option<String>,
}

/// A list of open tickets that the index keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketList {
    /// A team's assigned tickets, the oldest decision first.
    Assigned(TeamId),
    /// A team's waiting tickets, the most urgent first, then the oldest.
    Waiting(TeamId),
}

/// An item with a mark of pending work, as the index shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingItem {
    /// The time of the mark: the item has had pending work since then.
    pub since: Timestamp,
    /// The work that is pending.
    pub work: PendingWork,
}

/// Work that a job does after the transaction that caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingWork {
    /// Tickets wait with the team.
    Drain(OrganizationId, TeamId),
    /// The deleted team is not swept.
    Sweep(OrganizationId, TeamId),
    /// The topic index differs from the specializations of the team.
    IndexSpecializations(OrganizationId, TeamId),
    /// Copies of the profile may be older.
    CopyProfile(OrganizationId, UserId),
    /// The pass over the unrouted tickets is not finished.
    RouteUnrouted(OrganizationId),
    /// The organization may have unrouted tickets. The schedule itself counts them.
    CountUnrouted(OrganizationId),
}

impl Store {
    /// Reads a page of a list of tickets from the index, eventually consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn listed_tickets(
        &self,
        org: &OrganizationId,
        list: TicketList,
        after: Option<&str>,
        limit: usize,
    ) -> Result<IndexPage<TicketId>, Error> {
        let partition = match list {
            TicketList::Assigned(team) => keys::open_partition(org, team),
            TicketList::Waiting(team) => keys::waiting_partition(org, team),
        };
        let ticket = |item: &Item| items::text(item, "pk").and_then(keys::ticket_of);
        self.index_page(partition, after, limit, ticket).await
    }

    /// Reads a page of the organization's unrouted tickets from the index, eventually consistent,
    /// each with the filter of its topics: most urgent first, then oldest. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn unrouted_tickets(
        &self,
        org: &OrganizationId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<IndexPage<(TicketId, TopicFilter)>, Error> {
        let ticket = |item: &Item| {
            let filter = keys::topics_of(items::text(item, "gsi1sk")?)?;
            Some((keys::ticket_of(items::text(item, "pk")?)?, filter))
        };
        self.index_page(keys::unrouted_partition(org), after, limit, ticket)
            .await
    }

    /// Reads a page of items with pending work: about `limit` items, in equal parts from each shard
    /// that has more. One round trip: one query for each shard, in parallel.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`], also for an `after` that no page returned.
    pub async fn pending_work(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<IndexPage<PendingItem>, Error> {
        let shards: BTreeMap<u8, Option<String>> = match after {
            None => (0..keys::PENDING_WORK_SHARDS)
                .map(|shard| (shard, None))
                .collect(),
            Some(text) => serde_json::from_str(text).map_err(Error::internal)?,
        };
        let limit = limit.div_ceil(shards.len().max(1));
        let pages = shards.into_iter().map(|(shard, after)| async move {
            let partition = keys::pending_work_partition(shard);
            Ok::<_, Error>((
                shard,
                self.index_page(partition, after.as_deref(), limit, marked)
                    .await?,
            ))
        });
        let mut found = Vec::new();
        let mut next = BTreeMap::new();
        for (shard, page) in try_join_all(pages).await? {
            found.extend(page.entries);
            next.extend(page.next.map(|cursor| (shard, cursor)));
        }
        let next = (!next.is_empty())
            .then(|| serde_json::to_string(&next))
            .transpose()
            .map_err(Error::internal)?;
        Ok(IndexPage {
            entries: found,
            next,
        })
    }

    /// Returns the number of waiting tickets of each of these teams, strongly consistent. Leaves
    /// out teams without waiting tickets. The teams must differ. One round trip: one call for each
    /// 100 teams, in parallel.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn waiting_tickets(
        &self,
        teams: impl Iterator<Item = (&OrganizationId, TeamId)>,
    ) -> Result<Vec<u64>, Error> {
        let loads: Vec<_> = teams
            .map(|(org, team)| keys::load(org, team).attributes())
            .collect();
        let read = self.get_all(&loads).await?;
        let waiting = read
            .into_iter()
            .map(|item| Ok(items::load(item)?.waiting_tickets));
        waiting
            .filter(|waiting| !matches!(waiting, Ok(0)))
            .collect()
    }

    /// Reads a page of an index partition. Leaves out entries that `read` cannot parse.
    async fn index_page<T>(
        &self,
        partition: String,
        after: Option<&str>,
        limit: usize,
        read: impl Fn(&Item) -> Option<T>,
    ) -> Result<IndexPage<T>, Error> {
        let call = self
            .index_query(partition)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(parse_cursor).transpose()?);
        let page = self.send(|| call.clone().send()).await?;
        let next = page
            .last_evaluated_key
            .map(|key| cursor(&key))
            .transpose()?;
        Ok(IndexPage {
            entries: page
                .items
                .unwrap_or_default()
                .iter()
                .filter_map(read)
                .collect(),
            next,
        })
    }

    /// Reads the tombstone of a deleted team, strongly consistent. `None` if there is none. One
    /// round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn deleted_team(
        &self,
        org: &OrganizationId,
        team: TeamId,
    ) -> Result<Option<DeletedTeam>, Error> {
        self.get(&keys::deleted_team(org, team))
            .await?
            .map(items::deleted_team)
            .transpose()
    }

    /// Removes the mark of a team, on condition that no ticket waits. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn mark_drained(&self, org: &OrganizationId, team: TeamId) -> Result<(), Error> {
        self.remove_from_pending(&keys::load(org, team), "#waiting_tickets = :none")
            .await
    }

    /// Removes the mark of a deleted team, on condition that it counts no open tickets. One round
    /// trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn mark_swept(&self, org: &OrganizationId, team: TeamId) -> Result<(), Error> {
        self.remove_from_pending(&keys::deleted_team(org, team), "#open_tickets = :none")
            .await
    }

    /// Removes the mark of an item, if it has one and the condition holds. A failed condition is no
    /// error: another job has removed the mark, or there is new work.
    async fn remove_from_pending(&self, key: &keys::Key, condition: &str) -> Result<(), Error> {
        let condition = format!("attribute_exists(#gsi1pk) AND {condition}");
        self.update_if(
            key,
            "REMOVE #gsi1pk, #gsi1sk",
            &condition,
            expression::values([(":none", n(0))]),
        )
        .await
        .map(drop)
    }

    /// Deletes up to 100 memberships and past counters of a deleted team. Returns true if there may
    /// be more. Two round trips: a query, and a transaction.
    ///
    /// The deletions have no condition. The deletion of an absent item has no effect, so a sweep
    /// that runs twice is safe.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn delete_memberships(
        &self,
        org: &OrganizationId,
        team: TeamId,
    ) -> Result<bool, Error> {
        let call = self
            .range_query(keys::team_partition(org, team), keys::MEMBERS_AND_PASTS)
            .projection_expression("sk")
            .limit(i32::try_from(MAX_ITEMS).unwrap_or(i32::MAX));
        let page = self.send(|| call.clone().send()).await?;
        let mut transaction = Transaction::new(self);
        for sk in page
            .items()
            .iter()
            .filter_map(|item| items::text(item, "sk"))
        {
            transaction.delete(&keys::of_team(org, team, sk), None, None, conflict)?;
        }
        if transaction.len() > 0 {
            transaction
                .commit()
                .await
                .map_err(CommitError::into_error)?;
        }
        Ok(page.last_evaluated_key.is_some())
    }
}

/// The update clause that marks an item as pending work. An existing mark keeps its time.
pub(super) const MARK: &str =
    "#gsi1pk = if_not_exists(#gsi1pk, :gsi1pk), #gsi1sk = if_not_exists(#gsi1sk, :gsi1sk)";

/// The values of [`MARK`].
pub(super) fn mark_values(
    item: &keys::Key,
    since: Timestamp,
) -> [(&'static str, AttributeValue); 2] {
    let keys::Key { pk, sk } = keys::pending_work(item, since);
    [(":gsi1pk", s(pk)), (":gsi1sk", s(sk))]
}

/// Parses an entry of the index. The index has the keys of the item and of the mark alone.
fn marked(item: &Item) -> Option<PendingItem> {
    let since = keys::pending_since(items::text(item, "gsi1sk")?)?;
    let (org, kind) = ItemKind::parse(items::text(item, "pk")?, items::text(item, "sk")?)?;
    let work = match kind {
        ItemKind::Load(team) => PendingWork::Drain(org, team),
        ItemKind::DeletedTeam(team) => PendingWork::Sweep(org, team),
        ItemKind::Team(team) => PendingWork::IndexSpecializations(org, team),
        ItemKind::Pass => PendingWork::RouteUnrouted(org),
        ItemKind::Stock => PendingWork::CountUnrouted(org),
        ItemKind::User(user) => PendingWork::CopyProfile(org, user),
        ItemKind::Membership(_) | ItemKind::Ticket => return None,
    };
    Some(PendingItem { since, work })
}

/// Returns a position in the index as text, for a message.
fn cursor(key: &HashMap<String, AttributeValue>) -> Result<String, Error> {
    let texts: HashMap<&str, &str> = key
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_s().ok()?.as_str())))
        .collect();
    serde_json::to_string(&texts).map_err(Error::internal)
}

fn parse_cursor(text: &str) -> Result<HashMap<String, AttributeValue>, Error> {
    let texts: HashMap<String, String> = serde_json::from_str(text).map_err(Error::internal)?;
    Ok(texts
        .into_iter()
        .map(|(name, value)| (name, s(value)))
        .collect())
}
