//! What is left to do after a commit: finding it, and saying that it is done.
//!
//! The index lags behind the table by a moment, so what it shows is only where to look: the
//! counters, read consistently, say when there is nothing left.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;

use super::{
    Error, Store, expression,
    expression::{n, s},
    items::{self, Item},
    keys::{self, Entry},
    retry::Stale,
    transaction::{MAX_ITEMS, Refusal, Transaction},
};
use muster_domain::{OrganizationId, TeamId, TicketId, Timestamp, TopicFilter, UserId};

/// What a deleted team left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The open tickets that are not unassigned yet.
    pub open_tickets: u64,
}

/// One page of what an index shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub found: Vec<T>,
    /// Where the next begins, if there may be more.
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

/// An item that the index shows unfinished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// The time since when the item is unfinished without a pause.
    pub since: Timestamp,
    /// The work that is left.
    pub unfinished: Unfinished,
}

/// The work that is left of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfinished {
    /// A team in which tickets wait.
    Waiting(OrganizationId, TeamId),
    /// A deleted team that is not swept yet.
    Gone(OrganizationId, TeamId),
    /// A team whose specializations are not indexed yet.
    Specializations(OrganizationId, TeamId),
    /// A profile whose copies are not done yet.
    Profile(OrganizationId, UserId),
    /// A pass over the unrouted tickets.
    Pass(OrganizationId),
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
    ) -> Result<Page<TicketId>, Error> {
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
    ) -> Result<Page<(TicketId, TopicFilter)>, Error> {
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
    pub async fn unfinished(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Marked>, Error> {
        let shards: BTreeMap<u8, Option<String>> = match after {
            None => (0..keys::WORK_SHARDS).map(|shard| (shard, None)).collect(),
            Some(text) => serde_json::from_str(text).map_err(Error::internal)?,
        };
        let limit = limit.div_ceil(shards.len().max(1));
        let pages = shards.into_iter().map(|(shard, after)| async move {
            let partition = keys::work_partition(shard);
            Ok::<_, Error>((
                shard,
                self.index_page(partition, after.as_deref(), limit, marked)
                    .await?,
            ))
        });
        let mut found = Vec::new();
        let mut next = BTreeMap::new();
        for (shard, page) in try_join_all(pages).await? {
            found.extend(page.found);
            next.extend(page.next.map(|cursor| (shard, cursor)));
        }
        let next = (!next.is_empty())
            .then(|| serde_json::to_string(&next))
            .transpose()
            .map_err(Error::internal)?;
        Ok(Page { found, next })
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
    ) -> Result<Page<T>, Error> {
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name("gsi1")
            .key_condition_expression("gsi1pk = :pk")
            .expression_attribute_values(":pk", s(partition))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(parse_cursor).transpose()?);
        let page = self.send(|| call.clone().send()).await?;
        let next = page
            .last_evaluated_key
            .map(|key| cursor(&key))
            .transpose()?;
        Ok(Page {
            found: page
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
    pub async fn gone(&self, org: &OrganizationId, team: TeamId) -> Result<Option<Gone>, Error> {
        self.get(&keys::gone(org, team))
            .await?
            .map(items::gone)
            .transpose()
    }

    /// Says that no ticket of a team waits any more, unless one does. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn nothing_waits(&self, org: &OrganizationId, team: TeamId) -> Result<(), Error> {
        self.leave_work(&keys::load(org, team), "#waiting_tickets = :none")
            .await
    }

    /// Says that a deleted team is swept, unless it still counts open tickets. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn swept(&self, org: &OrganizationId, team: TeamId) -> Result<(), Error> {
        self.leave_work(&keys::gone(org, team), "#open_tickets = :none")
            .await
    }

    /// Takes an item out of the index of work if it is in there and the condition holds.
    async fn leave_work(&self, key: &keys::Key, condition: &str) -> Result<(), Error> {
        let condition = format!("attribute_exists(#gsi1pk) AND {condition}");
        self.update_if(
            key,
            "REMOVE #gsi1pk, #gsi1sk",
            &condition,
            expression::values([(":none", n(0))]),
        )
        .await
    }

    /// Deletes up to 100 memberships and counters of former members of a deleted team. Returns true
    /// if there may be more. Two round trips.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn delete_memberships(
        &self,
        org: &OrganizationId,
        team: TeamId,
    ) -> Result<bool, Error> {
        let (first, last) = keys::MEMBERS_AND_PASTS;
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", s(keys::team_partition(org, team)))
            .expression_attribute_values(":first", s(first))
            .expression_attribute_values(":last", s(last))
            .projection_expression("sk")
            .limit(i32::try_from(MAX_ITEMS).unwrap_or(i32::MAX));
        let page = self.send(|| call.clone().send()).await?;
        let mut transaction = Transaction::new(self);
        for sk in page
            .items()
            .iter()
            .filter_map(|item| items::text(item, "sk"))
        {
            transaction.delete(&keys::of_team(org, team, sk), None, None, |_| {
                Refusal::Outdated
            })?;
        }
        if transaction.len() > 0 {
            transaction.commit().await.map_err(Stale::into_error)?;
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
    let keys::Key { pk, sk } = keys::work(item, since);
    [(":gsi1pk", s(pk)), (":gsi1sk", s(sk))]
}

/// Reads an entry of the index of unfinished work. The index has the keys of the item and of the
/// mark alone.
fn marked(item: &Item) -> Option<Marked> {
    let since = keys::unfinished_since(items::text(item, "gsi1sk")?)?;
    let (org, entry) = Entry::parse(items::text(item, "pk")?, items::text(item, "sk")?)?;
    let unfinished = match entry {
        Entry::Load(team) => Unfinished::Waiting(org, team),
        Entry::Gone(team) => Unfinished::Gone(org, team),
        Entry::Team(team) => Unfinished::Specializations(org, team),
        Entry::Pass => Unfinished::Pass(org),
        Entry::User(user) => Unfinished::Profile(org, user),
        Entry::Membership(_) | Entry::Ticket => return None,
    };
    Some(Marked { since, unfinished })
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
