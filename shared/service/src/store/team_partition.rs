//! Reads of teams together with the items of their partition: tombstone or load, memberships, and
//! past counters.

use std::collections::{BTreeSet, HashMap};

use super::{
    Error, Store,
    access::Consistency,
    error::CommitError,
    items::{self, Item},
    keys,
};
use muster_domain::{
    Error as Rejected, Load, Member, OrganizationId, PastCounters, Roster, Team, TeamId, UserId,
    routing::{TeamInput, TeamLookup},
};

/// A team with its load and its members in order of joining.
pub(super) struct TeamRead {
    pub(super) team: Team,
    pub(super) load: Load,
    pub(super) members: Vec<Member>,
}

/// The result of a read of a team.
enum PartitionLookup {
    Found(Box<TeamRead>),
    Deleted,
    NotFound,
}

/// The items of a team's partition in the range [`keys::TEAM_INPUT`].
#[derive(Default)]
struct Partition {
    is_deleted: bool,
    load: Option<Load>,
    members: Vec<Member>,
}

impl Store {
    /// Reads a team, its load and its members in order of joining, strongly consistent.
    ///
    /// One round trip: the team in parallel with a query of its partition. The two reads are not
    /// one snapshot, so the members may be older or newer than the team's version. The fields of
    /// the team belong to its version. One more round trip while the team is being created or
    /// deleted.
    ///
    /// # Errors
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound), [`Error::Unavailable`] or
    /// [`Error::Internal`].
    pub async fn team(&self, org: &OrganizationId, id: TeamId) -> Result<(Roster, Load), Error> {
        let TeamRead {
            team,
            load,
            members,
        } = self.read_team(org, id).await?;
        Ok((Roster { team, members }, load))
    }

    /// Reads the same as [`Store::team`], as the base of a transaction.
    pub(super) async fn read_team(
        &self,
        org: &OrganizationId,
        id: TeamId,
    ) -> Result<TeamRead, Error> {
        match self.find_team(org, id).await? {
            PartitionLookup::Found(read) => Ok(*read),
            PartitionLookup::Deleted | PartitionLookup::NotFound => {
                Err(Rejected::TeamNotFound.into())
            }
        }
    }

    /// Reads the input of a team for routing, strongly consistent. `None` if there is no such team.
    /// The cost is that of [`Store::team`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn team_input(
        &self,
        org: &OrganizationId,
        id: TeamId,
    ) -> Result<Option<TeamInput>, Error> {
        Ok(match self.team_lookup(org, id).await? {
            TeamLookup::Found(input) => Some(*input),
            TeamLookup::Deleted | TeamLookup::NotFound => None,
        })
    }

    /// Reads the input of a team for a plan, and tells a deleted team from one that never existed.
    /// The cost is that of [`Store::team`].
    pub(super) async fn team_lookup(
        &self,
        org: &OrganizationId,
        id: TeamId,
    ) -> Result<TeamLookup, Error> {
        Ok(match self.find_team(org, id).await? {
            PartitionLookup::Found(read) => {
                let TeamRead {
                    team,
                    load,
                    members,
                } = *read;
                TeamLookup::Found(Box::new(TeamInput::new(team, load, members)))
            }
            PartitionLookup::Deleted => TeamLookup::Deleted,
            PartitionLookup::NotFound => TeamLookup::NotFound,
        })
    }

    /// Reads a team in parallel with its partition, until both agree.
    ///
    /// A team has a load from its creation to its deletion. If only one of them is found, a
    /// transaction that creates or deletes the team committed between the two reads, so both are
    /// read again.
    async fn find_team(&self, org: &OrganizationId, id: TeamId) -> Result<PartitionLookup, Error> {
        self.retry_on_conflict(|| async {
            let key = keys::team(org, id);
            let (team, partition) = tokio::try_join!(self.get(&key), self.partition(org, id))?;
            let Partition {
                is_deleted,
                load,
                members,
            } = partition;
            match (team, load) {
                (Some(team), Some(load)) => {
                    let team = items::team(org, team)?;
                    Ok(PartitionLookup::Found(Box::new(TeamRead {
                        team,
                        load,
                        members,
                    })))
                }
                (None, None) => Ok(if is_deleted {
                    PartitionLookup::Deleted
                } else {
                    PartitionLookup::NotFound
                }),
                (Some(_), None) | (None, Some(_)) => Err(CommitError::Conflict),
            }
        })
        .await
    }

    /// Reads the tombstone or the load of a team, and its members in order of joining, strongly
    /// consistent. One round trip for each megabyte.
    async fn partition(&self, org: &OrganizationId, id: TeamId) -> Result<Partition, Error> {
        let call = self.range_query(keys::team_partition(org, id), keys::TEAM_INPUT);
        let mut partition = Partition::default();
        for item in self.query_all(call).await? {
            match items::text(&item, "sk") {
                Some(sk) if keys::is_deleted_team(sk) => partition.is_deleted = true,
                Some(sk) if keys::is_load(sk) => partition.load = Some(items::load(item)?),
                _ => partition.members.push(items::member(item)?),
            }
        }
        partition
            .members
            .sort_by_key(|member| (member.joined_at, member.user.id));
        Ok(partition)
    }

    /// Reads the members of a team in order of joining, strongly consistent. One round trip for
    /// each megabyte.
    pub(super) async fn members(
        &self,
        org: &OrganizationId,
        id: TeamId,
    ) -> Result<Vec<Member>, Error> {
        Ok(self.partition(org, id).await?.members)
    }

    /// Reads the past counters of a user in a team, strongly consistent. One round trip.
    pub(super) async fn past(
        &self,
        org: &OrganizationId,
        team: TeamId,
        user: UserId,
    ) -> Result<Option<PastCounters>, Error> {
        let item = self.get(&keys::past(org, team, user)).await?;
        Ok(item.map(items::past).transpose()?.map(|(_, past)| past))
    }

    /// Reads past counters, strongly consistent. Leaves out those that do not exist. One round
    /// trip: one call for each 100, in parallel.
    pub(super) async fn pasts(
        &self,
        org: &OrganizationId,
        users: &BTreeSet<(TeamId, UserId)>,
    ) -> Result<Vec<(TeamId, PastCounters)>, Error> {
        let keys: Vec<_> = users
            .iter()
            .map(|(team, user)| keys::past(org, *team, *user).attributes())
            .collect();
        self.get_all(&keys)
            .await?
            .into_iter()
            .map(items::past)
            .collect()
    }

    /// Reads the loads of teams, eventually consistent. Leaves out deleted teams and may leave out
    /// new ones. The teams must differ. One round trip: one call for each 100, in parallel.
    pub(crate) async fn loads(
        &self,
        org: &OrganizationId,
        teams: impl Iterator<Item = TeamId>,
    ) -> Result<HashMap<TeamId, Load>, Error> {
        let keys: Vec<_> = teams
            .map(|team| keys::load(org, team).attributes())
            .collect();
        let load_of = |item: Item| {
            let team = items::text(&item, "pk").and_then(keys::team_of_partition);
            Ok((
                team.ok_or_else(|| Error::internal("a load is outside a team's partition"))?,
                items::load(item)?,
            ))
        };
        self.get_all_with(&keys, Consistency::Eventual)
            .await?
            .into_iter()
            .map(load_of)
            .collect()
    }
}
