//! What is left to do after a commit: finding it, and saying that it is done.
//!
//! The index lags behind the table by a moment, so what it shows is only where to look: the
//! counters, read consistently, say when there is nothing left.

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
}

impl Store {
    /// Tickets as the index shows them. One round trip.
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

    /// The organization's tickets without a team as the index shows them, each with the filter of
    /// its topics: the most urgent first, then the oldest. One round trip.
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

    /// Reads a page of unfinished items: about `limit`, in equal parts from each shard that has
    /// more. One round trip, a query for each shard.
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

    /// How many tickets wait with each of these teams, strongly consistent; those with which none
    /// does any more are left out. No team may come twice. One round trip for each 100, beside each
    /// other.
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

    /// Reads a page of an index partition; what `read` does not know is left out.
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

    /// Reads what a deleted team left, strongly consistent. `None` if there is no such team. One
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

    /// Says that no ticket of a team waits any more, unless one does. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn mark_drained(&self, org: &OrganizationId, team: TeamId) -> Result<(), Error> {
        self.remove_from_pending(&keys::load(org, team), "#waiting_tickets = :none")
            .await
    }

    /// Says that a deleted team is swept, unless it still counts open tickets. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn mark_swept(&self, org: &OrganizationId, team: TeamId) -> Result<(), Error> {
        self.remove_from_pending(&keys::deleted_team(org, team), "#open_tickets = :none")
            .await
    }

    /// Takes an item out of the index of work if it is in there and the condition holds.
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

    /// Deletes up to 100 memberships, and counters of users who are not members, of a deleted team.
    /// Returns true if there may be more. Two round trips: a query, and a transaction.
    ///
    /// The deletions have no condition: the tombstone is there, so no item of the range is written
    /// again. A sweep that runs twice deletes items that do not exist, which has no effect.
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

/// The update clause that marks an item as unfinished, unless the item has a mark. A mark keeps its
/// time while it stands.
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

/// Reads an entry of the index of unfinished work. The index has the keys of the item and of the
/// mark alone.
fn marked(item: &Item) -> Option<PendingItem> {
    let since = keys::pending_since(items::text(item, "gsi1sk")?)?;
    let (org, kind) = ItemKind::parse(items::text(item, "pk")?, items::text(item, "sk")?)?;
    let work = match kind {
        ItemKind::Load(team) => PendingWork::Drain(org, team),
        ItemKind::DeletedTeam(team) => PendingWork::Sweep(org, team),
        ItemKind::Team(team) => PendingWork::IndexSpecializations(org, team),
        ItemKind::Pass => PendingWork::RouteUnrouted(org),
        ItemKind::User(user) => PendingWork::CopyProfile(org, user),
        ItemKind::Membership(_) | ItemKind::Ticket => return None,
    };
    Some(PendingItem { since, work })
}

/// A place in an index as a text that survives in a message.
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
