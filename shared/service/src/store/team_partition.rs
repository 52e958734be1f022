//! Reading teams with the items of their partition: tombstone or load, members, and the counters of
//! other users.

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

/// The state of a team.
enum Lookup {
    Found(Box<TeamRead>),
    Deleted,
    NotFound,
}

/// The items of a team's partition in the range [`keys::DESK`].
#[derive(Default)]
struct Partition {
    is_deleted: bool,
    load: Option<Load>,
    members: Vec<Member>,
}

impl Store {
    /// Reads a team, its load and its members in order of joining, strongly consistent. One round
    /// trip: the team beside its partition, so that the members may be those of a moment before or
    /// after the team's version. The fields are always that version's. One more round trip while
    /// the team is being deleted.
    ///
    /// # Errors
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound), [`Error::Unavailable`], [`Error::Internal`].
    pub async fn team(&self, org: &OrganizationId, id: TeamId) -> Result<(Roster, Load), Error> {
        let TeamRead {
            team,
            load,
            members,
        } = self.read_team(org, id).await?;
        Ok((Roster { team, members }, load))
    }

    /// Reads the same as [`Store::team`], for a transaction over it.
    pub(super) async fn read_team(
        &self,
        org: &OrganizationId,
        id: TeamId,
    ) -> Result<TeamRead, Error> {
        match self.find_team(org, id).await? {
            Lookup::Found(read) => Ok(*read),
            Lookup::Deleted | Lookup::NotFound => Err(Rejected::TeamNotFound.into()),
        }
    }

    /// Reads a team at work, strongly consistent. `None` if there is no such team. One round trip;
    /// one more while the team is being deleted.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn team_input(
        &self,
        org: &OrganizationId,
        id: TeamId,
    ) -> Result<Option<TeamInput>, Error> {
        Ok(match self.team_lookup(org, id).await? {
            TeamLookup::Found(desk) => Some(*desk),
            TeamLookup::Deleted | TeamLookup::NotFound => None,
        })
    }

    /// Reads the state of a team for a plan. The cost is that of [`Store::desk`].
    pub(super) async fn team_lookup(
        &self,
        org: &OrganizationId,
        id: TeamId,
    ) -> Result<TeamLookup, Error> {
        Ok(match self.find_team(org, id).await? {
            Lookup::Found(read) => {
                let TeamRead {
                    team,
                    load,
                    members,
                } = *read;
                TeamLookup::Found(Box::new(TeamInput::new(team, load, members)))
            }
            Lookup::Deleted => TeamLookup::Deleted,
            Lookup::NotFound => TeamLookup::NotFound,
        })
    }

    /// Reads a team beside its partition, until both are of one moment.
    ///
    /// A team has a load from its creation to its deletion. If only one of them is read, the team
    /// is being created or deleted, and both are read again.
    async fn find_team(&self, org: &OrganizationId, id: TeamId) -> Result<Lookup, Error> {
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
                    Ok(Lookup::Found(Box::new(TeamRead {
                        team,
                        load,
                        members,
                    })))
                }
                (None, None) => Ok(if is_deleted {
                    Lookup::Deleted
                } else {
                    Lookup::NotFound
                }),
                (Some(_), None) | (None, Some(_)) => Err(CommitError::Conflict),
            }
        })
        .await
    }

    /// Reads the tombstone or the load of a team, and its members in order of joining, strongly
    /// consistent. One round trip a megabyte.
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

    /// Reads the members of a team in order of joining, strongly consistent. One round trip a
    /// megabyte.
    pub(super) async fn members(
        &self,
        org: &OrganizationId,
        id: TeamId,
    ) -> Result<Vec<Member>, Error> {
        Ok(self.partition(org, id).await?.members)
    }

    /// Reads the counters of a user who is not a member of a team, strongly consistent. One round
    /// trip.
    pub(super) async fn past(
        &self,
        org: &OrganizationId,
        team: TeamId,
        user: UserId,
    ) -> Result<Option<PastCounters>, Error> {
        let item = self.get(&keys::past(org, team, user)).await?;
        Ok(item.map(items::past).transpose()?.map(|(_, past)| past))
    }

    /// Reads the counters of users who are not members of teams, strongly consistent; those that do
    /// not exist are left out. One round trip for each 100, beside each other.
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

    /// Reads the loads of teams, eventually consistent. A deleted team has none, and a new one may
    /// have none yet. No team may come twice. One round trip for each 100, beside each other.
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
                team.ok_or_else(|| Error::internal("a load is in no team's partition"))?,
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
