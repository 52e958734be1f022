//! Memberships: reading, adding, changing and removing members.

use aws_sdk_dynamodb::{
    operation::update_item::UpdateItemError,
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};

use super::{
    Answer, Error, Store, expression,
    expression::{l, n, s},
    idempotency,
    items::{self, Item, MemberItem, TeamItem},
    keys,
    retry::{Failed, Stale},
    teams::{check_lead, team_as_read},
    transaction::{Refusal, Transaction, Values},
};
use crate::domain::{
    Error as Refused, Idempotency, MAX_MEMBERS, Member, MemberChanges, MemberRole, NewMember, OrganizationId, Roster,
    Tags, Team, TeamChanges, TeamId, Timestamp, User, UserField, UserId, UserStatus,
};

/// What removing a member does if the member leads the team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLead {
    /// The team has no lead any more.
    Clear,
    /// The member stays: [`LeadRemoval`](crate::domain::Error::LeadRemoval).
    Refuse,
}

impl Store {
    /// Reads the members of a team in order of joining, strongly consistent. One round trip a megabyte of memberships, the
    /// removed ones included.
    pub(super) async fn members(&self, org: &OrganizationId, team: TeamId) -> Result<Vec<Member>, Error> {
        self.query_memberships(org, team, Some("attribute_not_exists(removed_at)")).await
    }

    /// The same with the members who left.
    pub(super) async fn memberships(&self, org: &OrganizationId, team: TeamId) -> Result<Vec<Member>, Error> {
        self.query_memberships(org, team, None).await
    }

    async fn query_memberships(
        &self,
        org: &OrganizationId,
        team: TeamId,
        filter: Option<&str>,
    ) -> Result<Vec<Member>, Error> {
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :members)")
            .set_filter_expression(filter.map(str::to_owned))
            .expression_attribute_values(":pk", s(keys::members_partition(org, team)))
            .expression_attribute_values(":members", s(keys::MEMBERS));
        let items = self.query_all(call).await?;
        let mut members = items.into_iter().map(items::member).collect::<Result<Vec<_>, _>>()?;
        sort_by_joining(&mut members);
        Ok(members)
    }

    /// Adds a user to a team, or returns one who left. Gives what `answer` makes of the team after it, the new member
    /// included, and keeps that where the request has a key.
    ///
    /// Two round trips: reads, then a transaction on condition that the user is still active and the profile is still the
    /// one that the membership copies. One more where a request with a key is refused.
    ///
    /// # Errors
    /// [`Error::Answered`], [`IdempotencyKeyReused`](crate::domain::Error::IdempotencyKeyReused);
    /// [`TeamNotFound`](crate::domain::Error::TeamNotFound), [`UserNotFound`](crate::domain::Error::UserNotFound),
    /// [`AlreadyMember`](crate::domain::Error::AlreadyMember), [`UserInactive`](crate::domain::Error::UserInactive),
    /// [`TeamFull`](crate::domain::Error::TeamFull), [`Error::Unavailable`], [`Error::Internal`].
    pub async fn add_member(
        &self,
        org: &OrganizationId,
        team: TeamId,
        new: &NewMember,
        answer: impl Fn(&Roster, &Member) -> Answer + Send + Sync,
        request: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let added = self.until_current(|| self.try_add_member(org, team, new, &answer, request, now)).await;
        self.unless_answered(org, request, now, added).await
    }

    async fn try_add_member(
        &self,
        org: &OrganizationId,
        id: TeamId,
        new: &NewMember,
        answer: &(impl Fn(&Roster, &Member) -> Answer + Send + Sync),
        request: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<Answer, Stale> {
        let NewMember { user_id, role, skills } = new;
        let (unused, read, user) = tokio::join!(
            self.check_unused(org, request, now),
            self.team_with_memberships(org, id),
            self.user(org, *user_id)
        );
        // First: the team may have gone since, and the user is a member already.
        unused?;
        let (mut team, load, mut members) = read?;
        let user = user?.ok_or(Refused::UserNotFound(UserField::UserId))?;
        let previous = members.iter().find(|member| member.user.id == *user_id);
        let member = Member::joining(user, skills.clone(), previous, load.turn, now)?;
        if team.member_count >= MAX_MEMBERS {
            return Err(Refused::TeamFull.into());
        }
        let returns = previous.is_some();

        let mut transaction = Transaction::new(self);
        // Not on condition of the version: of 200 users added at once to one team, most would then run out of time. So the
        // answer is the team as it was read, with this member; one added at the same moment may be missing from it. Its version
        // is the next after the one that was read, with the fields, in one item: whatever else was changed at the same moment makes
        // the real one larger still, and an `If-Match` of this one then fails where it could overwrite what nobody has seen.
        let room = "attribute_exists(#pk) AND #member_count < :max";
        let mut joined =
            "SET #member_count = #member_count + :one, #version = #version + :one, #updated_at = :now".to_owned();
        let mut values = expression::values([(":one", n(1)), (":max", n(MAX_MEMBERS)), (":now", n(now.millis()))]);
        if *role == MemberRole::Lead {
            joined += ", #lead_id = :user";
            values.insert(":user".to_owned(), s(user_id.uuid().to_string()));
            team.lead_id = Some(*user_id);
        }
        transaction.update(&keys::team(org, id), &joined, Some(room), values, |team| {
            Refusal::Because(if team.is_some() { Refused::TeamFull } else { Refused::TeamNotFound })
        })?;
        check_profile(&mut transaction, org, &member.user)?;
        if returns {
            put_back(&mut transaction, org, id, &member)?;
        } else {
            let item = MemberItem::new(org, id, &member);
            transaction.put(item, "attribute_not_exists(#pk)", None, already_member)?;
        }
        team.member_count += 1;
        team.version += 1;
        team.updated_at = now;
        members.retain(|other| other.removed_at.is_none());
        put_among(&mut members, &member);
        let answer = answer(&Roster { team, members }, &member);
        if let Some(request) = request {
            idempotency::save(&mut transaction, org, request, &answer, now)?;
        }
        transaction.commit().await?;
        Ok(answer)
    }

    /// Changes a membership; changes that change nothing write nothing. Answers with the team after it.
    ///
    /// A lead who comes or goes moves the team's version and time, for the lead is the team's; skills are the membership's own
    /// and move neither.
    ///
    /// One round trip for skills: an update beside a query of the team and one of the members. Where a role is given, reads
    /// first; then, if the lead changes, a transaction on condition that nobody changed the team in between, its roster
    /// included, and that a new lead is active; else an update of the skills, if those change.
    ///
    /// # Errors
    /// [`TeamNotFound`](crate::domain::Error::TeamNotFound), [`MemberNotFound`](crate::domain::Error::MemberNotFound);
    /// [`UserInactive`](crate::domain::Error::UserInactive) or [`UserNotFound`](crate::domain::Error::UserNotFound) for a
    /// new lead, of the `user_id` that the path names; [`Error::Unavailable`], [`Error::Internal`].
    pub async fn change_member(
        &self,
        org: &OrganizationId,
        team: TeamId,
        user: UserId,
        changes: &MemberChanges,
        now: Timestamp,
    ) -> Result<(Roster, Member), Error> {
        let MemberChanges { role, skills } = changes;
        let skills = skills.as_ref();
        if let Some(role) = *role {
            return self.until_current(|| self.change_role(org, team, user, (role, skills), now)).await;
        }
        let Some(skills) = skills else {
            let (roster, _) = self.team(org, team).await?;
            let member = present(&roster.members, user)?;
            return Ok((roster, member));
        };
        let (read, changed) = tokio::join!(self.team(org, team), self.change_skills(org, team, user, skills));
        let (mut roster, _) = read?;
        let Some(member) = changed? else {
            // The team may have gone since it was read, and its members with it: then that is the answer.
            self.team(org, team).await?;
            return Err(Refused::MemberNotFound.into());
        };
        put_among(&mut roster.members, &member);
        Ok((roster, member))
    }

    async fn change_role(
        &self,
        org: &OrganizationId,
        id: TeamId,
        user: UserId,
        (role, skills): (MemberRole, Option<&Tags>),
        now: Timestamp,
    ) -> Result<(Roster, Member), Stale> {
        let (mut roster, _) = self.team(org, id).await?;
        let mut member = present(&roster.members, user)?;
        let skills = skills.filter(|skills| **skills != member.skills);
        let lead_id = match (member.role_in(&roster.team), role) {
            (MemberRole::Member, MemberRole::Lead) => Some(Some(user)),
            (MemberRole::Lead, MemberRole::Member) => Some(None),
            (MemberRole::Member, MemberRole::Member) | (MemberRole::Lead, MemberRole::Lead) => None,
        };
        let new_lead = TeamChanges { lead_id, ..TeamChanges::default() };
        if let Some(team) = roster.team.changed(&new_lead, now) {
            self.write_role(org, &roster.team, &team, user, skills).await?;
            roster.team = team;
            if let Some(skills) = skills {
                member.skills = skills.clone();
            }
        } else if let Some(skills) = skills {
            member = self.change_skills(org, id, user, skills).await?.ok_or(Stale::Outdated)?;
        }
        put_among(&mut roster.members, &member);
        Ok((roster, member))
    }

    /// Writes a team whose lead `user` becomes or ceases to be, with the new skills if there are any.
    async fn write_role(
        &self,
        org: &OrganizationId,
        before: &Team,
        after: &Team,
        user: UserId,
        skills: Option<&Tags>,
    ) -> Result<(), Stale> {
        let mut transaction = Transaction::new(self);
        // Whoever leaves the team moves its version, so this also holds the member in it.
        let version = expression::values([(":version", n(before.version))]);
        transaction.put(TeamItem::new(after), "#version = :version", Some(version), team_as_read)?;
        if after.lead_id == Some(user) {
            check_lead(&mut transaction, org, user, UserField::UserId)?;
        }
        if let Some(skills) = skills {
            let skills = expression::values([(":skills", l(skills.as_slice()))]);
            let membership = keys::membership(org, after.id, user);
            transaction.update(&membership, SET_SKILLS, Some(PRESENT), skills, |_| Refusal::Outdated)?;
        }
        transaction.commit().await
    }

    /// Updates what a member knows, if it differs. `None` where nobody is present who could know it.
    async fn change_skills(
        &self,
        org: &OrganizationId,
        team: TeamId,
        user: UserId,
        skills: &Tags,
    ) -> Result<Option<Member>, Error> {
        let condition = format!("{PRESENT} AND #skills <> :skills");
        let call = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::membership(org, team, user).attributes()))
            .update_expression(SET_SKILLS)
            .condition_expression(&condition)
            .set_expression_attribute_names(expression::names([SET_SKILLS, &condition]))
            .expression_attribute_values(":skills", l(skills.as_slice()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let item = match self.send(|| call.clone().send()).await {
            Ok(output) => output.attributes,
            // The membership as it is: equal already, or made so by an earlier attempt of ours whose answer was lost.
            Err(Failed::Answered(UpdateItemError::ConditionalCheckFailedException(refused))) => refused.item,
            Err(failed) => return Err(failed.into()),
        };
        let member = item.map(items::member).transpose()?;
        Ok(member.filter(|member| member.removed_at.is_none()))
    }

    /// Removes a member, who keeps the tickets they have. One round trip, a transaction of the membership and the team; two
    /// where the member is the lead and the lead is cleared.
    ///
    /// # Errors
    /// [`TeamNotFound`](crate::domain::Error::TeamNotFound), [`MemberNotFound`](crate::domain::Error::MemberNotFound),
    /// [`LeadRemoval`](crate::domain::Error::LeadRemoval), [`Error::Unavailable`], [`Error::Internal`].
    pub async fn remove_member(
        &self,
        org: &OrganizationId,
        team: TeamId,
        user: UserId,
        on_lead: OnLead,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.until_current(|| async {
            match self.try_remove_member(org, team, user, false, now).await {
                Err(Stale::Error(Error::Refused(Refused::LeadRemoval))) if on_lead == OnLead::Clear => {
                    self.try_remove_member(org, team, user, true, now).await
                }
                outcome => outcome,
            }
        })
        .await
    }

    /// Removes a member of whom the caller assumes that they are the lead, or that they are not.
    async fn try_remove_member(
        &self,
        org: &OrganizationId,
        team: TeamId,
        user: UserId,
        is_lead: bool,
        now: Timestamp,
    ) -> Result<(), Stale> {
        let mut transaction = Transaction::new(self);
        let left = "SET #member_count = #member_count - :one, #version = #version + :one, #updated_at = :now";
        let (left, as_assumed) = if is_lead {
            (format!("{left} REMOVE #lead_id"), "#lead_id = :user")
        } else {
            (left.to_owned(), "attribute_exists(#pk) AND (attribute_not_exists(#lead_id) OR #lead_id <> :user)")
        };
        let values =
            expression::values([(":one", n(1)), (":now", n(now.millis())), (":user", s(user.uuid().to_string()))]);
        transaction.update(&keys::team(org, team), &left, Some(as_assumed), values, move |team| match team {
            None => Refusal::Because(Refused::TeamNotFound),
            Some(_) if is_lead => Refusal::Outdated,
            Some(_) => Refusal::Because(Refused::LeadRemoval),
        })?;
        let removed_at = expression::values([(":now", n(now.millis()))]);
        let membership = keys::membership(org, team, user);
        transaction.update(&membership, "SET #removed_at = :now", Some(PRESENT), removed_at, |_| {
            Refusal::Because(Refused::MemberNotFound)
        })?;
        transaction.commit().await
    }
}

/// The condition that a membership is there and not removed.
const PRESENT: &str = "attribute_exists(#pk) AND attribute_not_exists(#removed_at)";
const SET_SKILLS: &str = "SET #skills = :skills";

/// The member who is this user.
fn present(members: &[Member], user: UserId) -> Result<Member, Refused> {
    members.iter().find(|member| member.user.id == user).cloned().ok_or(Refused::MemberNotFound)
}

/// Puts a member in their place, and in place of what was read of them before.
fn put_among(members: &mut Vec<Member>, member: &Member) {
    members.retain(|other| other.user.id != member.user.id);
    members.push(member.clone());
    sort_by_joining(members);
}

fn sort_by_joining(members: &mut [Member]) {
    members.sort_by_key(|member| (member.joined_at, member.user.id));
}

fn already_member(_: Option<&Item>) -> Refusal {
    Refusal::Because(Refused::AlreadyMember)
}

/// Wants the user active and the profile as it was read, so that its copy is never older than what announced a change.
fn check_profile(transaction: &mut Transaction<'_>, org: &OrganizationId, user: &User) -> Result<(), Error> {
    let active = UserStatus::Active.as_str();
    let values = expression::values([(":active", s(active)), (":version", n(user.version))]);
    let condition = "#status = :active AND #profile_version = :version";
    transaction.check(&keys::user(org, user.id), condition, Some(values), move |user| match user {
        None => Refusal::Because(Refused::UserNotFound(UserField::UserId)),
        Some(user) if items::text(user, "status") != Some(active) => {
            Refusal::Because(Refused::UserInactive(UserField::UserId))
        }
        Some(_) => Refusal::Outdated,
    })
}

/// Clears the removal of a membership. Its figures are not touched: routing may be counting them at this moment.
fn put_back(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    team: TeamId,
    member: &Member,
) -> Result<(), Error> {
    let Member {
        user,
        skills,
        joined_at,
        removed_at: _,
        last_turn: _,
        open_tickets: _,
        in_progress_tickets: _,
        resolved: _,
    } = member;
    let (set, clear, mut values) = copy_of(user);
    values.extend(expression::values([(":skills", l(skills.as_slice())), (":joined_at", n(joined_at.millis()))]));
    let remove = clear.map_or_else(String::new, |attribute| format!(", {attribute}"));
    transaction.update(
        &keys::membership(org, team, user.id),
        &format!("SET {set}, #skills = :skills, #joined_at = :joined_at REMOVE #removed_at{remove}"),
        Some("attribute_exists(#removed_at)"),
        values,
        |membership| if membership.is_some() { already_member(membership) } else { Refusal::Outdated },
    )
}

/// What makes a membership's copy of a profile equal to it: the attributes to set, the one to remove, and the values.
pub(super) fn copy_of(user: &User) -> (String, Option<&'static str>, Values) {
    let User { id: _, name, email, role, avatar_url, status, version } = user;
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
