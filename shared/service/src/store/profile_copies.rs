//! Copies of a user's profile in the memberships, and the leads of a deleted user.

use std::fmt;

use super::{
    Error, Store,
    access::{Updated, run_concurrently},
    error::CommitError,
    expression::{self, Values, n, s},
    items,
    keys::{self, Key},
    members::count_eligible,
    records::StoredProfile,
    transaction::{Transaction, conflict},
};
use muster_domain::{
    Error as Rejected, OrganizationId, Profile, TeamId, Timestamp, User, UserId, UserStatus,
};

impl Store {
    /// Copies a user's profile into a page of their memberships, then clears the leads of a deleted
    /// user. Returns the revision that was copied and the cursor of the next page. `None` if there
    /// is no such user.
    ///
    /// Past counters have no copy of the profile. A copy never replaces one of a higher version, so
    /// concurrent and repeated copies are safe. The index is eventually consistent, so a new
    /// membership may be missing from a page; the caller makes a second pass.
    ///
    /// Three round trips for up to 100 memberships: the profile, the page, and the updates, 25 at a
    /// time. Then, for a deleted user, two for up to 25 teams that the user leads: a lead need not
    /// be a member.
    ///
    /// # Errors
    /// [`Error::Unavailable`] (a part may be written) or [`Error::Internal`], also for an `after`
    /// that is not a cursor.
    pub async fn copy_profile(
        &self,
        org: &OrganizationId,
        id: UserId,
        after: Option<String>,
        now: Timestamp,
    ) -> Result<Option<CopiedPage>, Error> {
        let page = match after.as_deref() {
            None => CopyCursor::Memberships(None),
            Some(text) => CopyCursor::parse(text)
                .ok_or_else(|| Error::internal("the cursor of a profile copy is invalid"))?,
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
            CopyCursor::Memberships(after) => {
                let next = self.copy_into_memberships(org, &user, after).await?;
                next.map(|last| CopyCursor::Memberships(Some(last)))
                    .or_else(|| {
                        (user.status == UserStatus::Deleted).then_some(CopyCursor::Leads(None))
                    })
            }
            CopyCursor::Leads(after) => self
                .clear_leads(org, id, after, now)
                .await?
                .map(|last| CopyCursor::Leads(Some(last))),
        };
        Ok(Some(CopiedPage {
            rev,
            is_marked: mark.is_some(),
            next: next.map(|page| page.to_string()),
        }))
    }

    /// Removes the mark of a profile after its copies, unless the profile was written after
    /// revision `rev`. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn mark_profile_copied(
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
        .map(drop)
    }

    /// Copies a profile into the memberships of the teams after `after`. Returns the last team of
    /// the page if there may be more.
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
            .index_query(pk)
            .key_condition_expression("gsi1pk = :pk AND begins_with(gsi1sk, :teams)")
            .expression_attribute_values(":teams", s(keys::TEAMS))
            .limit(MEMBERSHIPS_PER_PAGE)
            .set_exclusive_start_key(start);
        let page = self.send(|| call.clone().send()).await?;
        let teams: Option<Vec<TeamId>> = page
            .items()
            .iter()
            .map(|item| items::text(item, "gsi1sk").and_then(keys::team_of))
            .collect();
        let teams =
            teams.ok_or_else(|| Error::internal("an index entry of a user is not a membership"))?;
        let copies: Vec<_> = teams
            .iter()
            .map(|&team| self.copy_into_membership(org, user, team))
            .collect();
        run_concurrently(copies).await?;
        Ok(if page.last_evaluated_key.is_some() {
            teams.last().copied()
        } else {
            None
        })
    }

    /// Copies a profile into a membership, if it exists and its copy is older.
    ///
    /// One round trip. A copy that changes the eligibility of the member costs two: the first
    /// attempt fails its condition, then a transaction with the number of eligible members in
    /// the team's load.
    pub(super) async fn copy_into_membership(
        &self,
        org: &OrganizationId,
        user: &User,
        team: TeamId,
    ) -> Result<(), Error> {
        self.retry_on_conflict(|| self.try_copy_into_membership(org, user, team))
            .await
    }

    async fn try_copy_into_membership(
        &self,
        org: &OrganizationId,
        user: &User,
        id: TeamId,
    ) -> Result<(), CommitError> {
        let (set, clear, mut values) = copy_of(user);
        let update = clear.map_or_else(
            || format!("SET {set}"),
            |attribute| format!("SET {set} REMOVE {attribute}"),
        );
        let is_active = user.status == UserStatus::Active;
        let same_activity = if is_active {
            "#status = :active"
        } else {
            "#status <> :active"
        };
        let condition = format!("#profile_version < :version AND {same_activity}");
        let mut single = values.clone();
        single.insert(":active".to_owned(), s(UserStatus::Active.as_str()));
        let key = keys::membership(org, id, user.id);
        let updated = self.update_if(&key, &update, &condition, single).await?;
        let Updated::ConditionFailed(Some(before)) = updated else {
            return Ok(());
        };
        let before = items::member(before)?;
        if before.user.version >= user.version || before.is_eligible() == is_active {
            return Ok(());
        }
        let as_read = "#status = :old_status AND #profile_version = :old_version";
        values.extend(expression::values([
            (":old_status", s(before.user.status.as_str())),
            (":old_version", n(before.user.version)),
        ]));
        let mut transaction = Transaction::new(self);
        transaction.update(&key, &update, Some(as_read), values, conflict)?;
        count_eligible(&mut transaction, org, id, if is_active { 1 } else { -1 })?;
        match transaction.commit().await {
            // The team is deleted. Its sweep deletes the membership.
            Err(CommitError::Failed(Error::Rejected(Rejected::TeamNotFound))) => Ok(()),
            outcome => outcome,
        }
    }
}

/// A page of copies of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedPage {
    /// The revision of the profile that was copied.
    pub rev: u64,
    /// True if the profile has a mark of pending work, which the second pass removes.
    pub is_marked: bool,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// The most memberships of one page.
const MEMBERSHIPS_PER_PAGE: i32 = 100;

/// The cursor of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CopyCursor {
    /// Memberships, from the start or after a team.
    Memberships(Option<TeamId>),
    /// Leads, from the start or after a team.
    Leads(Option<TeamId>),
}

impl CopyCursor {
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

impl fmt::Display for CopyCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, team) = match self {
            Self::Memberships(team) => ("memberships", team),
            Self::Leads(team) => ("leads", team),
        };
        let team = team.map_or_else(String::new, |team| team.uuid().to_string());
        write!(f, "{kind}/{team}")
    }
}

/// Returns the parts of an update that makes a membership's copy equal to a profile: the attributes
/// to set, the one to remove, and the values.
fn copy_of(user: &User) -> (String, Option<&'static str>, Values) {
    let User {
        id: _,
        name,
        email,
        role,
        avatar_url,
        status,
        version,
    } = user;
    let set = "#name = :name, #email = :email, #role = :role, #status = :status, #profile_version = :version";
    let mut values = expression::values([
        (":name", s(name)),
        (":email", s(email)),
        (":role", s(role)),
        (":status", s(status.as_str())),
        (":version", n(*version)),
    ]);
    match avatar_url {
        Some(url) => {
            values.insert(":avatar_url".to_owned(), s(url));
            (format!("{set}, #avatar_url = :avatar_url"), None, values)
        }
        None => (set.to_owned(), Some("#avatar_url"), values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_round_trip_is_equal() {
        let team = TeamId::parse("550e8400-e29b-41d4-a716-446655440000").unwrap();
        for page in [None, Some(team)]
            .into_iter()
            .flat_map(|team| [CopyCursor::Memberships(team), CopyCursor::Leads(team)])
        {
            assert_eq!(CopyCursor::parse(&page.to_string()), Some(page));
        }
        for none in ["", "leads", "members/", "leads/x"] {
            assert_eq!(CopyCursor::parse(none), None);
        }
    }
}
