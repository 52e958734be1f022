//! User profiles: what events and imports say of them, and their copies in memberships.

use std::fmt;

use aws_sdk_dynamodb::{
    operation::put_item::PutItemError,
    types::{PutRequest, WriteRequest},
};

use super::{
    Error, Store, a_few_at_a_time, expression,
    expression::{n, s},
    items::{self, StoredProfile, UserItem},
    keys::{self, Key},
    retry::{Failed, Stale},
};
use crate::telemetry;
use muster_domain::{
    EventVersion, OrganizationId, Profile, TeamId, Timestamp, User, UserId, UserSnapshot,
    UserStatus,
};

impl Store {
    /// The most profiles that [`put_users`](Self::put_users) takes: DynamoDB's limit for one batch.
    pub const MAX_USERS_PER_BATCH: usize = 25;

    /// Reads a profile, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn user(&self, org: &OrganizationId, id: UserId) -> Result<Option<User>, Error> {
        self.get(&keys::user(org, id))
            .await?
            .map(|item| items::user(id, item))
            .transpose()
    }

    /// Writes up to [`MAX_USERS_PER_BATCH`](Self::MAX_USERS_PER_BATCH) profiles over what is there,
    /// whoever said that, and begins the organization. No id may come twice. Two round trips, and
    /// one more for each part that the table puts off.
    ///
    /// Sets no mark: meant for users without memberships, whose profile has no copies.
    ///
    /// # Errors
    /// [`Error::Unavailable`] (some may have been written) or [`Error::Internal`].
    pub async fn put_users(&self, org: &OrganizationId, users: &[User]) -> Result<(), Error> {
        self.begin_organization(org).await?;
        let mut requests = Vec::with_capacity(users.len());
        for user in users {
            let item = items::to_item(UserItem::new(org, user))?;
            let put = PutRequest::builder()
                .set_item(Some(item))
                .build()
                .map_err(Error::internal)?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        let mut backoff = self.backoff();
        while !requests.is_empty() {
            let call = self
                .client
                .batch_write_item()
                .request_items(&*self.table, requests);
            let output = self.send(|| call.clone().send()).await?;
            requests = output
                .unprocessed_items
                .and_then(|mut items| items.remove(&*self.table))
                .unwrap_or_default();
            if !requests.is_empty() && !backoff.pause().await {
                return Err(Error::Unavailable(
                    "the table put off a part of the batch until the time was up".into(),
                ));
            }
        }
        Ok(())
    }

    /// Makes a profile agree with what was said of the user, by the rules of [`Profile::merged`];
    /// gives the profile as it then is, where there is one.
    ///
    /// One round trip where none of it is news, else two: a read, then a write on condition that
    /// nobody wrote in between. One write unit a kilobyte. A change of a known profile marks it at
    /// `now` until its copies are done, which costs about 3 write units more.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn hear_of_user(
        &self,
        org: &OrganizationId,
        id: UserId,
        events: &[(EventVersion, UserSnapshot)],
        now: Timestamp,
    ) -> Result<Option<Profile>, Error> {
        self.until_current(|| async {
            let known = self
                .get(&keys::user(org, id))
                .await?
                .map(|item| items::profile(id, item))
                .transpose()?;
            let before = known.as_ref().map(|known| &known.profile);
            let superseded = Profile::superseded(before, id, events);
            let profile = match Profile::merged(before, id, events) {
                Some(changed) => {
                    self.put_profile(org, &changed, known.as_ref(), now).await?;
                    Some(changed)
                }
                None => known.map(|known| known.profile),
            };
            telemetry::record(|measured| measured.superseded_events += superseded);
            Ok(profile)
        })
        .await
    }

    /// Replaces a user's profile by the tombstone of [`Profile::erased`], whether or not there is a
    /// profile. Returns the status before. The copies in memberships follow by the job that the
    /// write starts.
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
            let known = self
                .get(&keys::user(org, id))
                .await?
                .map(|item| items::profile(id, item))
                .transpose()?;
            let before = known.as_ref().map(|known| &known.profile);
            self.put_profile(org, &Profile::erased(before, id, now), known.as_ref(), now)
                .await?;
            Ok(known.map(|known| known.profile.user.status))
        })
        .await
    }

    /// Writes a profile if the known one is unchanged, or still not there.
    ///
    /// A change that memberships copy sets a mark, and a mark keeps its time while it stands. A new
    /// profile needs none: a membership copies a profile only on condition of its version, so no
    /// copy is older than a user's first profile.
    async fn put_profile(
        &self,
        org: &OrganizationId,
        profile: &Profile,
        known: Option<&StoredProfile>,
        now: Timestamp,
    ) -> Result<(), Stale> {
        let rev = known.map(|known| known.rev);
        let mark = known.and_then(|known| {
            let has_changed = known.profile.user != profile.user;
            let new = || has_changed.then(|| keys::work(&keys::user(org, profile.user.id), now));
            known.mark.clone().or_else(new)
        });
        let (condition, values) = match rev {
            None => ("attribute_not_exists(#pk)", None),
            // Not put together from events yet.
            Some(0) => (
                "attribute_exists(#pk) AND (attribute_not_exists(#rev) OR #rev = :rev)",
                Some(0),
            ),
            Some(rev) => ("#rev = :rev", Some(rev)),
        };
        let item = items::to_item(UserItem::of_profile(
            org,
            profile,
            rev.unwrap_or(0).saturating_add(1),
            mark,
        ))?;
        let call = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(expression::names([condition]))
            .set_expression_attribute_values(
                values.map(|rev| expression::values([(":rev", n(rev))])),
            );
        match self.send(|| call.clone().send()).await {
            Ok(_) => Ok(()),
            // An attempt of ours whose answer was lost is found out by the next read.
            Err(Failed::Answered(PutItemError::ConditionalCheckFailedException(_))) => {
                Err(Stale::Outdated)
            }
            Err(failed) => Err(Stale::Error(failed.into())),
        }
    }

    /// Copies a user's profile into a page of their memberships and takes a deleted user out of
    /// every lead. Gives the revision that was copied and the cursor of the next page, or `None` if
    /// there is no such user.
    ///
    /// A former member has no copy of the profile.
    ///
    /// A copy never replaces one of a higher version. The index that finds the memberships may lag
    /// behind by a moment. Three round trips for up to 100 memberships: the profile, the page, and
    /// the updates, 25 at a time. After them, for a deleted user, two for up to 25 teams that the
    /// user leads: a lead need not be a member.
    ///
    /// # Errors
    /// [`Error::Unavailable`] (a part may have been written) or [`Error::Internal`], also for an `after` that is none.
    pub async fn copy_profile(
        &self,
        org: &OrganizationId,
        id: UserId,
        after: Option<String>,
        now: Timestamp,
    ) -> Result<Option<CopiedPage>, Error> {
        let page = match after.as_deref() {
            None => Page::Memberships(None),
            Some(text) => Page::parse(text)
                .ok_or_else(|| Error::internal("no page of a user's copies begins there"))?,
        };
        let Some(item) = self.get(&keys::user(org, id)).await? else {
            return Ok(None);
        };
        let StoredProfile {
            profile: Profile { user, versions: _ },
            rev,
            mark,
        } = items::profile(id, item)?;
        let next = match page {
            Page::Memberships(after) => {
                let next = self.copy_into_memberships(org, &user, after).await?;
                next.map(|last| Page::Memberships(Some(last)))
                    .or_else(|| (user.status == UserStatus::Deleted).then_some(Page::Leads(None)))
            }
            Page::Leads(after) => self
                .clear_leads(org, id, after, now)
                .await?
                .map(|last| Page::Leads(Some(last))),
        };
        Ok(Some(CopiedPage {
            rev,
            is_marked: mark.is_some(),
            next: next.map(|page| page.to_string()),
        }))
    }

    /// Removes the mark of a profile whose copies are done, unless the profile was written after
    /// revision `rev`. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn profile_copied(
        &self,
        org: &OrganizationId,
        id: UserId,
        rev: u64,
    ) -> Result<(), Error> {
        let values = expression::values([(":rev", n(rev))]);
        let is_copied = "attribute_exists(#gsi1pk) AND #rev = :rev";
        self.update_if(
            &keys::user(org, id),
            "REMOVE #gsi1pk, #gsi1sk",
            is_copied,
            values,
        )
        .await
    }

    /// Copies a profile into the memberships after a team's; gives the last team's if there may be
    /// more.
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
        let teams: Option<Vec<TeamId>> = page
            .items()
            .iter()
            .map(|item| items::text(item, "gsi1sk").and_then(keys::team_of))
            .collect();
        let teams = teams
            .ok_or_else(|| Error::internal("an index entry under a user is not a membership's"))?;
        let copies: Vec<_> = teams
            .iter()
            .map(|&team| self.copy_into_membership(org, user, team))
            .collect();
        a_few_at_a_time(copies).await?;
        Ok(if page.last_evaluated_key.is_some() {
            teams.last().copied()
        } else {
            None
        })
    }
}

/// A page of copies of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedPage {
    /// The revision of the profile that was copied.
    pub rev: u64,
    /// Whether the profile has a mark, which the last look removes.
    pub is_marked: bool,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// How many memberships one call copies into.
const MEMBERSHIPS_PER_PAGE: i32 = 100;

/// Where a page of copying a profile begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// With the memberships, or those of the teams after this one.
    Memberships(Option<TeamId>),
    /// With the leads, or those of the teams after this one.
    Leads(Option<TeamId>),
}

impl Page {
    fn parse(text: &str) -> Option<Self> {
        let (kind, team) = text.split_once('/')?;
        let team = if team.is_empty() {
            None
        } else {
            Some(TeamId::parse(team).ok()?)
        };
        match kind {
            "memberships" => Some(Self::Memberships(team)),
            "leads" => Some(Self::Leads(team)),
            _ => None,
        }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, team) = match self {
            Self::Memberships(team) => ("memberships", team),
            Self::Leads(team) => ("leads", team),
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
        for page in [None, Some(team)]
            .into_iter()
            .flat_map(|team| [Page::Memberships(team), Page::Leads(team)])
        {
            assert_eq!(Page::parse(&page.to_string()), Some(page));
        }
        for none in ["", "leads", "members/", "leads/x"] {
            assert_eq!(Page::parse(none), None);
        }
    }
}
