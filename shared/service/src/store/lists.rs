//! Lists of teams, page by page.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures_util::{StreamExt, TryStreamExt, stream::iter};

use super::{
    Error, Store,
    access::MAX_BATCH_KEYS,
    expression::{self, s},
    items::{self, Item},
    keys,
};
use muster_domain::{
    Folded, ListTeams, ListedTeam, Load, Order, OrganizationId, SortBy, Team, TeamId, TeamPage,
    Timestamp,
};

/// The most concurrent calls of [`Store::page_chunk`]. A response can have 4 MB: 100 teams with
/// descriptions of 10,000 characters of 4 bytes.
const MAX_CONCURRENT_CHUNKS: usize = 4;

impl Store {
    /// Lists teams, strongly consistent, with eventually consistent loads.
    ///
    /// Round trips, plus one for each further megabyte of a query:
    /// - A first page in the order of creation: one, the teams in parallel with the organization's
    ///   count.
    /// - Any other page: one for the name claims, and one for the page's teams in parallel with
    ///   their loads. Before them, one for the organization's count if the page is not the first
    ///   and the list has no search; it is the only one if the page is past the end.
    /// - In the order of updates, the query reads all teams instead of the claims.
    ///
    /// The loads of a first page cost one more round trip, if the list includes them. If the texts
    /// of a page exceed the list's `max_bytes`, it is read in part: its first teams, up to the one
    /// that exceeds the limit.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn list_teams(
        &self,
        org: &OrganizationId,
        list: &ListTeams,
    ) -> Result<TeamPage, Error> {
        if list.is_first_page() {
            return self.first_page(org, list).await;
        }
        if list.search.is_none() && list.page.skip > 0 {
            let total = self.team_count(org).await?;
            if list.page.skip >= total as u128 {
                return Ok(TeamPage {
                    teams: Vec::new(),
                    total,
                });
            }
        }
        let (ids, total) = match list.sort_by {
            SortBy::CreatedAt | SortBy::Name => list.select(self.names(org, list).await?),
            SortBy::UpdatedAt => list.select(self.times_of_update(org, list).await?),
        };
        Ok(TeamPage {
            teams: self.page_teams(org, &ids, list).await?,
            total,
        })
    }

    /// Reads the teams from the first one to the end of the page.
    async fn first_page(&self, org: &OrganizationId, list: &ListTeams) -> Result<TeamPage, Error> {
        let (read, counter_item) = tokio::join!(self.first_teams(org, list), async {
            if list.count {
                self.team_count(org).await
            } else {
                Ok(0)
            }
        });
        let (read, is_all) = read?;
        // A query that reached its end has counted the teams. Otherwise the count may be older than
        // the read of the teams.
        let total = if is_all {
            read.len()
        } else {
            counter_item?.max(read.len())
        };
        let teams: Vec<Team> = list.page.cut(read).collect();
        let ids = teams.iter().map(|team| team.id);
        let mut loads = if list.loads {
            self.loads(org, ids).await?
        } else {
            HashMap::new()
        };
        let teams = teams
            .into_iter()
            .map(|team| with_load(team, &mut loads))
            .collect();
        Ok(TeamPage { teams, total })
    }

    /// Reads the first teams in the order of creation, up to the end of the page or the list's
    /// `max_bytes`. Returns also if they are all teams of the organization.
    async fn first_teams(
        &self,
        org: &OrganizationId,
        list: &ListTeams,
    ) -> Result<(Vec<Team>, bool), Error> {
        let call = self
            .teams_query(org)
            .scan_index_forward(list.order == Order::Ascending);
        let wanted = list.page.end();
        let (mut teams, mut bytes) = (Vec::new(), 0);
        let is_all = self
            .each_page(call, Some(wanted), |items| {
                for item in items {
                    let team = items::team(org, item)?;
                    if teams.len() as u128 >= list.page.skip {
                        bytes += shown_bytes(&team);
                    }
                    teams.push(team);
                }
                let is_enough = teams.len() >= wanted || bytes > list.max_bytes;
                Ok(if is_enough {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })
            .await?;
        Ok((teams, is_all))
    }

    /// Reads the name claims that match the list's search, each with the folded name if the list is
    /// sorted by name.
    ///
    /// A rename during the query can show a team's former claim, the new one, both or none. If
    /// both, the map retains the claim that the query returns last, so a team is listed once.
    async fn names(
        &self,
        org: &OrganizationId,
        list: &ListTeams,
    ) -> Result<Vec<(Option<Folded>, TeamId)>, Error> {
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .projection_expression(items::NAME_CLAIM)
            .expression_attribute_values(":pk", s(keys::names_partition(org)));
        let mut names = BTreeMap::new();
        self.each_page(call, None, |items| {
            for item in items {
                let (team, name) = items::name_claim(&item)?;
                if list.finds(&name) {
                    names.insert(team, (list.sort_by == SortBy::Name).then_some(name));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
        .await?;
        Ok(names.into_iter().map(|(team, name)| (name, team)).collect())
    }

    /// Reads the time of the latest update of each team that matches the list's search. Reads all
    /// teams.
    async fn times_of_update(
        &self,
        org: &OrganizationId,
        list: &ListTeams,
    ) -> Result<Vec<(Timestamp, TeamId)>, Error> {
        let call = self
            .teams_query(org)
            .projection_expression(items::TEAM_UPDATE)
            .set_expression_attribute_names(expression::names([items::TEAM_UPDATE]));
        let mut times = Vec::new();
        self.each_page(call, None, |items| {
            for item in items {
                let (id, name, updated_at) = items::team_update(&item)?;
                if list.search.is_none() || list.finds(&Folded::of(name)) {
                    times.push((updated_at, id));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
        .await?;
        Ok(times)
    }

    /// Reads these teams, in this order, strongly consistent, with their loads if the list includes
    /// them. Leaves out a team that was deleted since its id was read. One round trip: one call for
    /// each 100 teams and one for their loads, in parallel.
    async fn page_teams(
        &self,
        org: &OrganizationId,
        ids: &[TeamId],
        list: &ListTeams,
    ) -> Result<Vec<ListedTeam>, Error> {
        let chunks: Vec<_> = ids
            .chunks(MAX_BATCH_KEYS)
            .map(|ids| self.page_chunk(org, ids, list.loads))
            .collect();
        let mut chunks = iter(chunks).buffered(MAX_CONCURRENT_CHUNKS);
        let (mut listed, mut bytes) = (Vec::with_capacity(ids.len()), 0);
        while bytes <= list.max_bytes
            && let Some(chunk) = chunks.try_next().await?
        {
            bytes += chunk
                .iter()
                .map(|ListedTeam { team, load: _ }| shown_bytes(team))
                .sum::<usize>();
            listed.extend(chunk);
        }
        Ok(listed)
    }

    /// Reads up to 100 teams, in this order, in parallel with their loads if `loads` is set. One
    /// round trip.
    async fn page_chunk(
        &self,
        org: &OrganizationId,
        ids: &[TeamId],
        loads: bool,
    ) -> Result<Vec<ListedTeam>, Error> {
        let loads = async {
            if loads {
                self.loads(org, ids.iter().copied()).await
            } else {
                Ok(HashMap::new())
            }
        };
        let (mut teams, mut loads) = tokio::try_join!(self.teams(org, ids), loads)?;
        let in_order = ids.iter().filter_map(|id| teams.remove(id));
        Ok(in_order.map(|team| with_load(team, &mut loads)).collect())
    }

    /// Reads teams, strongly consistent. Leaves out teams that do not exist. The ids must differ.
    /// One round trip: one call for each 100 teams, in parallel.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn teams(
        &self,
        org: &OrganizationId,
        ids: &[TeamId],
    ) -> Result<HashMap<TeamId, Team>, Error> {
        let keys: Vec<_> = ids
            .iter()
            .map(|id| keys::team(org, *id).attributes())
            .collect();
        let read = self.get_all(&keys).await?;
        read.into_iter()
            .map(|item| items::team(org, item).map(|team| (team.id, team)))
            .collect()
    }

    async fn team_count(&self, org: &OrganizationId) -> Result<usize, Error> {
        self.get(&keys::organization(org))
            .await?
            .map_or(Ok(0), items::team_count)
    }

    /// Returns a strongly consistent query of an organization's teams in the order of creation.
    fn teams_query(&self, org: &OrganizationId) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :teams)")
            .expression_attribute_values(":pk", s(keys::organization_partition(org)))
            .expression_attribute_values(":teams", s(keys::TEAMS))
    }

    /// Reads a query page by page, until `take` breaks or, if `wanted` is given, that number of
    /// items is read. Returns true if the query reached its end. One round trip for each megabyte.
    async fn each_page(
        &self,
        call: QueryFluentBuilder,
        wanted: Option<usize>,
        mut take: impl FnMut(Vec<Item>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<bool, Error> {
        let (mut read, mut start) = (0, None);
        loop {
            let limit =
                wanted.and_then(|wanted| i32::try_from(wanted.saturating_sub(read).max(1)).ok());
            let page = self
                .send(|| {
                    call.clone()
                        .set_limit(limit)
                        .set_exclusive_start_key(start.clone())
                        .send()
                })
                .await?;
            start = page.last_evaluated_key;
            let items = page.items.unwrap_or_default();
            read += items.len();
            if take(items)?.is_break() || start.is_none() {
                return Ok(start.is_none());
            }
        }
    }
}

/// Returns the bytes of the texts of a listed team in either contract. A response has more bytes
/// than their sum.
fn shown_bytes(team: &Team) -> usize {
    team.name.as_str().len()
        + team
            .description
            .as_ref()
            .map_or(0, |text| text.as_str().len())
}

/// Joins a team with its load. A team without a load is new: the eventually consistent read does
/// not show the load yet, and the team has no tickets.
fn with_load(team: Team, loads: &mut HashMap<TeamId, Load>) -> ListedTeam {
    ListedTeam {
        load: loads.remove(&team.id).unwrap_or_default(),
        team,
    }
}
