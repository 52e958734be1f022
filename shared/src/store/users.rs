//! User profiles: what events and imports say of them, and their copies in memberships.

use std::fmt;

use aws_sdk_dynamodb::{
    operation::put_item::PutItemError,
    types::{PutRequest, WriteRequest},
};

use super::{
    Error, Store, a_few_at_a_time, expression,
    expression::{n, s},
    items::{self, UserItem},
    keys::{self, Key},
    retry::{Failed, Stale},
};
use crate::{
    domain::{EventVersion, OrganizationId, Profile, TeamId, Timestamp, User, UserId, UserSnapshot, UserStatus},
    telemetry,
};

impl Store {
    /// The most profiles that [`put_users`](Self::put_users) takes: DynamoDB's limit for one batch.
    pub const MAX_USERS_PER_BATCH: usize = 25;

    /// Reads a profile, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn user(&self, org: &OrganizationId, id: UserId) -> Result<Option<User>, Error> {
        self.get(&keys::user(org, id)).await?.map(|item| items::user(id, item)).transpose()
    }

    /// Writes up to [`MAX_USERS_PER_BATCH`](Self::MAX_USERS_PER_BATCH) profiles over what is there, whoever said that, and
    /// begins the organization. No id may come twice. Two round trips, and one more for each part that the table puts off.
    ///
    /// # Errors
    /// [`Error::Unavailable`] (some may have been written) or [`Error::Internal`].
    pub async fn put_users(&self, org: &OrganizationId, users: &[User]) -> Result<(), Error> {
        self.begin_organization(org).await?;
        let mut requests = Vec::with_capacity(users.len());
        for user in users {
            let item = items::to_item(UserItem::new(org, user))?;
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(Error::internal)?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        let mut backoff = self.backoff();
        while !requests.is_empty() {
            let call = self.client.batch_write_item().request_items(&*self.table, requests);
            let output = self.send(|| call.clone().send()).await?;
            requests = output.unprocessed_items.and_then(|mut items| items.remove(&*self.table)).unwrap_or_default();
            if !requests.is_empty() && !backoff.pause().await {
                return Err(Error::Unavailable("the table put off a part of the batch until the time was up".into()));
            }
        }
        Ok(())
    }

    /// Makes a profile agree with what was said of the user, by the rules of [`Profile::after`]; gives the profile as it
    /// then is, where there is one.
    ///
    /// One round trip where none of it is news, else two: a read, then a write on condition that nobody wrote in between.
    /// One write unit a kilobyte.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn hear_of_user(
        &self,
        org: &OrganizationId,
        id: UserId,
        events: &[(EventVersion, UserSnapshot)],
    ) -> Result<Option<Profile>, Error> {
        self.until_current(|| async {
            let known = self.get(&keys::user(org, id)).await?.map(|item| items::profile(id, item)).transpose()?;
            let before = known.as_ref().map(|(profile, _)| profile);
            let superseded = Profile::superseded(before, id, events);
            let profile = match Profile::after(before, id, events) {
                Some(changed) => {
                    self.put_profile(org, &changed, known.map(|(_, rev)| rev)).await?;
                    Some(changed)
                }
                None => known.map(|(profile, _)| profile),
            };
            telemetry::record(|measured| measured.superseded_events += superseded);
            Ok(profile)
        })
        .await
    }

    /// Replaces a user's profile by the tombstone of [`Profile::erased`], whether or not there is a profile. Returns the
    /// status before. The copies in memberships follow by the job that the write starts.
    ///
    /// Two round trips: a read, then a write on condition that the profile is unchanged.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn erase_user(
        &self,
        org: &OrganizationId,
        id: UserId,
        now: Timestamp,
    ) -> Result<Option<UserStatus>, Error> {
        self.until_current(|| async {
            let known = self.get(&keys::user(org, id)).await?.map(|item| items::profile(id, item)).transpose()?;
            let (known, rev) = known.unzip();
            self.put_profile(org, &Profile::erased(known.as_ref(), id, now), rev).await?;
            Ok(known.map(|known| known.user.status))
        })
        .await
    }

    /// Writes a profile if it is still at `rev`, or still not there.
    async fn put_profile(&self, org: &OrganizationId, profile: &Profile, rev: Option<u64>) -> Result<(), Stale> {
        let (condition, values) = match rev {
            None => ("attribute_not_exists(#pk)", None),
            // Not put together from events yet.
            Some(0) => ("attribute_exists(#pk) AND (attribute_not_exists(#rev) OR #rev = :rev)", Some(0)),
            Some(rev) => ("#rev = :rev", Some(rev)),
        };
        let item = items::to_item(UserItem::of_profile(org, profile, rev.unwrap_or(0).saturating_add(1)))?;
        let call = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(expression::names([condition]))
            .set_expression_attribute_values(values.map(|rev| expression::values([(":rev", n(rev))])));
        match self.send(|| call.clone().send()).await {
            Ok(_) => Ok(()),
            // An attempt of ours whose answer was lost is found out by the next read.
            Err(Failed::Answered(PutItemError::ConditionalCheckFailedException(_))) => Err(Stale::Outdated),
            Err(failed) => Err(Stale::Error(failed.into())),
        }
    }

    /// Copies a user's profile into a page of their memberships and takes a deleted user out of every lead. Gives where the
    /// next page begins, where there is one: a text for the next call's `after`.
    ///
    /// A removed membership keeps the profile of the time of its removal, until a tombstone replaces it.
    ///
    /// A copy never replaces one of a higher version. The index that finds the memberships may lag behind by a moment. Three
    /// round trips for up to 100 memberships: the profile, the page, and the updates, 25 at a time. After them, for a
    /// deleted user, two for each 500 teams of the organization and one more where they lead some: a lead need not be a member.
    ///
    /// # Errors
    /// [`Error::Unavailable`] (a part may have been written) or [`Error::Internal`], also for an `after` that is none.
    pub async fn copy_profile(
        &self,
        org: &OrganizationId,
        id: UserId,
        after: Option<String>,
        now: Timestamp,
    ) -> Result<Option<String>, Error> {
        let page = match after.as_deref() {
            None => Page::Memberships(None),
            Some(text) => {
                Page::parse(text).ok_or_else(|| Error::internal("no page of a user's copies begins there"))?
            }
        };
        let Some(user) = self.user(org, id).await? else { return Ok(None) };
        let next = match page {
            Page::Memberships(after) => {
                let next = self.copy_into_memberships(org, &user, after).await?;
                next.map(|last| Page::Memberships(Some(last)))
                    .or_else(|| (user.status == UserStatus::Deleted).then_some(Page::Teams(None)))
            }
            Page::Teams(after) => self.clear_leads(org, id, after, now).await?.map(|last| Page::Teams(Some(last))),
        };
        Ok(next.map(|page| page.to_string()))
    }

    /// Copies a profile into the memberships after a team's; gives the last team's if there may be more.
    async fn copy_into_memberships(
        &self,
        org: &OrganizationId,
        user: &User,
        after: Option<TeamId>,
    ) -> Result<Option<TeamId>, Error> {
        let Key { pk, sk: _ } = keys::user(org, user.id);
        let start = after.map(|team| {
            let Key { pk, sk } = keys::membership_by_user(org, team, user.id);
            let mut start = keys::membership(org, team, user.id).attributes();
            start.extend([("gsi1pk".to_owned(), s(pk)), ("gsi1sk".to_owned(), s(sk))]);
            start
        });
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name("gsi1")
            .key_condition_expression("gsi1pk = :pk AND begins_with(gsi1sk, :teams)")
            .expression_attribute_values(":pk", s(pk))
            .expression_attribute_values(":teams", s(keys::TEAMS))
            .limit(MEMBERSHIPS_PER_PAGE)
            .set_exclusive_start_key(start);
        let page = self.send(|| call.clone().send()).await?;
        let teams: Option<Vec<TeamId>> =
            page.items().iter().map(|item| items::text(item, "gsi1sk").and_then(keys::team_of)).collect();
        let teams = teams.ok_or_else(|| Error::internal("an index entry under a user is not a membership's"))?;
        let copies: Vec<_> = teams.iter().map(|&team| self.copy_into_membership(org, user, team)).collect();
        a_few_at_a_time(copies).await?;
        Ok(if page.last_evaluated_key.is_some() { teams.last().copied() } else { None })
    }

    /// Takes a user out of the lead of the teams after one; gives the last team if there may be more.
    async fn clear_leads(
        &self,
        org: &OrganizationId,
        id: UserId,
        after: Option<TeamId>,
        now: Timestamp,
    ) -> Result<Option<TeamId>, Error> {
        let lead = s(id.uuid().to_string());
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :teams)")
            .filter_expression("lead_id = :lead")
            .projection_expression("pk, sk")
            .expression_attribute_values(":pk", s(keys::organization_partition(org)))
            .expression_attribute_values(":teams", s(keys::TEAMS))
            .expression_attribute_values(":lead", lead.clone())
            .limit(TEAMS_PER_PAGE)
            .set_exclusive_start_key(after.map(|team| keys::team(org, team).attributes()));
        let page = self.send(|| call.clone().send()).await?;
        let team_of = |item: &items::Item| items::text(item, "sk").and_then(keys::team_of);
        let led: Vec<TeamId> = page.items().iter().filter_map(team_of).collect();
        let update = "SET #version = #version + :one, #updated_at = :now REMOVE #lead_id";
        let cleared: Vec<_> = led
            .iter()
            .map(|&team| {
                let values = expression::values([(":one", n(1)), (":now", n(now.millis())), (":lead", lead.clone())]);
                let key = keys::team(org, team);
                async move { self.update_if(&key, update, "#lead_id = :lead", values).await }
            })
            .collect();
        a_few_at_a_time(cleared).await?;
        match &page.last_evaluated_key {
            None => Ok(None),
            Some(last) => team_of(last).map(Some).ok_or_else(|| Error::internal("a team's key is not a team's")),
        }
    }
}

/// How many memberships one call copies into.
const MEMBERSHIPS_PER_PAGE: i32 = 100;
/// The number of teams in which one call looks for leads.
const TEAMS_PER_PAGE: i32 = 500;

/// Where a page of copying a profile begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// With the memberships, or those of the teams after this one.
    Memberships(Option<TeamId>),
    /// With the teams, or those after this one.
    Teams(Option<TeamId>),
}

impl Page {
    fn parse(text: &str) -> Option<Self> {
        let (kind, team) = text.split_once('/')?;
        let team = if team.is_empty() { None } else { Some(TeamId::parse(team).ok()?) };
        match kind {
            "memberships" => Some(Self::Memberships(team)),
            "teams" => Some(Self::Teams(team)),
            _ => None,
        }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, team) = match self {
            Self::Memberships(team) => ("memberships", team),
            Self::Teams(team) => ("teams", team),
        };
        let team = team.map_or_else(String::new, |team| team.uuid().to_string());
        write!(f, "{kind}/{team}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_survive_a_message() {
        let team = TeamId::parse("550e8400-e29b-41d4-a716-446655440000").unwrap();
        for page in [None, Some(team)].into_iter().flat_map(|team| [Page::Memberships(team), Page::Teams(team)]) {
            assert_eq!(Page::parse(&page.to_string()), Some(page));
        }
        for none in ["", "teams", "members/", "teams/x"] {
            assert_eq!(Page::parse(none), None);
        }
    }
}
