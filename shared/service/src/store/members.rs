//! Memberships: adding, changing and removing members.

use super::{
    Error, Store,
    error::CommitError,
    expression::{self, Values, l, n, s},
    idempotency,
    items::{self, Item, MemberItem, PastItem},
    keys,
    leads::move_lead,
    records::RenderedResponse,
    team_partition::TeamRead,
    teams::{check_lead, on_team_changed, put_fields},
    transaction::{ConditionFailure, Transaction, conflict},
};
use muster_domain::{
    Error as Rejected, Idempotency, MAX_MEMBERS, Member, MemberChanges, MemberRole, NewMember,
    OrganizationId, PastCounters, Resolved, Roster, Tags, Team, TeamChanges, TeamId, Timestamp,
    User, UserField, UserId, UserStatus,
};

/// The behavior of a removal if the member leads the team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLead {
    /// The team loses its lead.
    Clear,
    /// The member stays, and the request fails with
    /// [`LeadRemoval`](muster_domain::Error::LeadRemoval).
    Reject,
}

impl Store {
    /// Adds a user to a team, or returns a former member to it. Returns the response that `render`
    /// makes of the team with the new member, and saves it if the request has a key.
    ///
    /// `render` is a parameter because the saved response and the membership are written in the
    /// same transaction.
    ///
    /// Two round trips: parallel reads, then a transaction. One more if a request with a key is
    /// rejected. The transaction has these conditions: the team exists and has room; the load
    /// exists; the user is active and the profile has the copied version; the user is not a member,
    /// and the past counters are as they were read.
    ///
    /// # Errors
    /// [`Error::Replayed`], [`IdempotencyKeyReused`](muster_domain::Error::IdempotencyKeyReused);
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound),
    /// [`UserNotFound`](muster_domain::Error::UserNotFound),
    /// [`AlreadyMember`](muster_domain::Error::AlreadyMember),
    /// [`UserInactive`](muster_domain::Error::UserInactive),
    /// [`TeamFull`](muster_domain::Error::TeamFull); [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn add_member(
        &self,
        org: &OrganizationId,
        team: TeamId,
        new: &NewMember,
        render: impl Fn(&Roster, &Member) -> RenderedResponse + Send + Sync,
        request: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<RenderedResponse, Error> {
        let added = self
            .retry_on_conflict(|| self.try_add_member(org, team, new, &render, request, now))
            .await;
        self.prefer_saved_response(org, request, now, added).await
    }

    async fn try_add_member(
        &self,
        org: &OrganizationId,
        id: TeamId,
        new: &NewMember,
        render: &(impl Fn(&Roster, &Member) -> RenderedResponse + Send + Sync),
        request: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<RenderedResponse, CommitError> {
        let NewMember {
            user_id,
            role,
            skills,
        } = new;
        let (saved, read, user, past) = tokio::join!(
            self.find_saved_response(org, request, now),
            self.read_team(org, id),
            self.user(org, *user_id),
            self.past(org, id, *user_id),
        );
        // The saved response comes first. After the first attempt, the user is a member already,
        // and the team may be deleted by now.
        if let Some(response) = saved? {
            return Err(Error::Replayed(response).into());
        }
        let TeamRead {
            team,
            load,
            mut members,
        } = read?;
        let (user, past) = (
            user?.ok_or(Rejected::UserNotFound(UserField::UserId))?,
            past?,
        );
        if find_member(&members, *user_id).is_ok() {
            return Err(Rejected::AlreadyMember.into());
        }
        let member = Member::joining(user, skills.clone(), past.as_ref(), load.turn, now)?;
        if team.member_count >= MAX_MEMBERS {
            return Err(Rejected::TeamFull.into());
        }

        let mut transaction = Transaction::new(self);
        let team = join_team(&mut transaction, team, *user_id, *role, now)?;
        count_eligible(&mut transaction, org, id, 1)?;
        check_profile(&mut transaction, org, &member.user)?;
        put_member(&mut transaction, org, id, &member, past.as_ref())?;
        insert_member(&mut members, &member);
        let response = render(&Roster { team, members }, &member);
        if let Some(request) = request {
            idempotency::save_response(&mut transaction, org, request, &response, now)?;
        }
        transaction.commit().await?;
        Ok(response)
    }

    /// Changes a membership and returns the team after the change. Changes without a difference
    /// write no item.
    ///
    /// A change of the lead is a change of the team: it raises the team's version and sets its
    /// time. Skills belong to the membership and change neither.
    ///
    /// One round trip for skills: an update in parallel with the reads. With a role, two: reads
    /// first. If the lead changes, a transaction follows, on condition of the team's version (so of
    /// its roster) and of an active new lead. Otherwise an update of the skills follows, if they
    /// differ.
    ///
    /// # Errors
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound),
    /// [`MemberNotFound`](muster_domain::Error::MemberNotFound);
    /// [`UserInactive`](muster_domain::Error::UserInactive) or
    /// [`UserNotFound`](muster_domain::Error::UserNotFound) for a new lead, naming the `user_id` of
    /// the path; [`Error::Unavailable`] or [`Error::Internal`].
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
            return self
                .retry_on_conflict(|| self.change_role(org, team, user, (role, skills), now))
                .await;
        }
        let Some(skills) = skills else {
            let (roster, _) = self.team(org, team).await?;
            let member = find_member(&roster.members, user)?;
            return Ok((roster, member));
        };
        let (read, changed) = tokio::join!(
            self.team(org, team),
            self.change_skills(org, team, user, skills)
        );
        let (mut roster, _) = read?;
        let Some(member) = changed? else {
            // The team may have been deleted since it was read, and its memberships with it.
            // `TeamNotFound` then precedes `MemberNotFound`.
            self.team(org, team).await?;
            return Err(Rejected::MemberNotFound.into());
        };
        insert_member(&mut roster.members, &member);
        Ok((roster, member))
    }

    async fn change_role(
        &self,
        org: &OrganizationId,
        id: TeamId,
        user: UserId,
        (role, skills): (MemberRole, Option<&Tags>),
        now: Timestamp,
    ) -> Result<(Roster, Member), CommitError> {
        let (mut roster, _) = self.team(org, id).await?;
        let mut member = find_member(&roster.members, user)?;
        let skills = skills.filter(|skills| **skills != member.skills);
        let lead_id = match (member.role_in(&roster.team), role) {
            (MemberRole::Member, MemberRole::Lead) => Some(Some(user)),
            (MemberRole::Lead, MemberRole::Member) => Some(None),
            (MemberRole::Member, MemberRole::Member) | (MemberRole::Lead, MemberRole::Lead) => None,
        };
        let new_lead = TeamChanges {
            lead_id,
            ..TeamChanges::default()
        };
        if let Some(team) = roster.team.changed(&new_lead, now) {
            self.write_role(org, &roster.team, &team, user, skills)
                .await?;
            roster.team = team;
            if let Some(skills) = skills {
                member.skills = skills.clone();
            }
        } else if let Some(skills) = skills {
            member = self
                .change_skills(org, id, user, skills)
                .await?
                .ok_or(CommitError::Conflict)?;
        }
        insert_member(&mut roster.members, &member);
        Ok((roster, member))
    }

    /// Writes a team that `user` begins or ceases to lead, with the new skills if there are any.
    async fn write_role(
        &self,
        org: &OrganizationId,
        before: &Team,
        after: &Team,
        user: UserId,
        skills: Option<&Tags>,
    ) -> Result<(), CommitError> {
        let mut transaction = Transaction::new(self);
        // A removal raises the version of the team, so this condition also states that the user is
        // a member.
        let version = expression::values([(":version", n(before.version))]);
        put_fields(&mut transaction, before, after, version, on_team_changed)?;
        if after.lead_id == Some(user) {
            check_lead(&mut transaction, org, user, UserField::UserId)?;
        }
        move_lead(
            &mut transaction,
            org,
            after.id,
            before.lead_id,
            after.lead_id,
        )?;
        if let Some(skills) = skills {
            let skills = expression::values([(":skills", l(skills.as_slice()))]);
            let membership = keys::membership(org, after.id, user);
            transaction.update(&membership, SET_SKILLS, Some(PRESENT), skills, conflict)?;
        }
        transaction.commit().await
    }

    /// Updates the skills of a member, if they differ. `None` if the user is not a member.
    async fn change_skills(
        &self,
        org: &OrganizationId,
        team: TeamId,
        user: UserId,
        skills: &Tags,
    ) -> Result<Option<Member>, Error> {
        let condition = format!("{PRESENT} AND #skills <> :skills");
        let key = keys::membership(org, team, user);
        let values = expression::values([(":skills", l(skills.as_slice()))]);
        // The condition fails if the skills are equal, or if an earlier attempt of this call
        // changed them and its response was lost. The item is the result either way.
        let updated = self.update_if(&key, SET_SKILLS, &condition, values).await?;
        let item = updated.into_item();
        item.map(items::member).transpose()
    }

    /// Removes a member. Assigned tickets stay with the user.
    ///
    /// Two round trips: reads, then a transaction that moves the counters of the membership to
    /// [`PastCounters`]. Its conditions: the team's lead and the membership are as they were read,
    /// except for skills and profile; the load exists.
    ///
    /// # Errors
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound),
    /// [`MemberNotFound`](muster_domain::Error::MemberNotFound),
    /// [`LeadRemoval`](muster_domain::Error::LeadRemoval), [`Error::Unavailable`] or
    /// [`Error::Internal`].
    pub async fn remove_member(
        &self,
        org: &OrganizationId,
        team: TeamId,
        user: UserId,
        on_lead: OnLead,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.retry_on_conflict(|| self.try_remove_member(org, team, user, on_lead, now))
            .await
    }

    async fn try_remove_member(
        &self,
        org: &OrganizationId,
        id: TeamId,
        user: UserId,
        on_lead: OnLead,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let (Roster { team, members }, _) = self.team(org, id).await?;
        let member = find_member(&members, user)?;
        let is_lead = team.lead_id == Some(user);
        if is_lead && on_lead == OnLead::Reject {
            return Err(Rejected::LeadRemoval.into());
        }
        let mut transaction = Transaction::new(self);
        let left = "SET #member_count = #member_count - :one, #version = #version + :one, #updated_at = :now";
        let (left, as_read) = if is_lead {
            (format!("{left} REMOVE #lead_id"), "#lead_id = :user")
        } else {
            (
                left.to_owned(),
                "attribute_exists(#pk) AND (attribute_not_exists(#lead_id) OR #lead_id <> :user)",
            )
        };
        let values = expression::values([
            (":one", n(1)),
            (":now", n(now.millis())),
            (":user", s(user.uuid().to_string())),
        ]);
        transaction.update(
            &keys::team(org, id),
            &left,
            Some(as_read),
            values,
            on_team_changed,
        )?;
        if is_lead {
            move_lead(&mut transaction, org, id, Some(user), None)?;
        }
        let (as_read, values) = member_as_read(&member);
        transaction.delete(
            &keys::membership(org, id, user),
            Some(&as_read),
            Some(values),
            |item| match item {
                Some(_) => ConditionFailure::Conflict,
                None => ConditionFailure::Rejected(Rejected::MemberNotFound),
            },
        )?;
        transaction.put(
            PastItem::new(org, id, &member.leaving()),
            "attribute_not_exists(#pk)",
            None,
            conflict,
        )?;
        count_eligible(
            &mut transaction,
            org,
            id,
            if member.is_eligible() { -1 } else { 0 },
        )?;
        transaction.commit().await
    }
}

/// The condition that a membership exists.
const PRESENT: &str = "attribute_exists(#pk)";
const SET_SKILLS: &str = "SET #skills = :skills";

/// Returns the membership of a user.
fn find_member(members: &[Member], user: UserId) -> Result<Member, Rejected> {
    members
        .iter()
        .find(|member| member.user.id == user)
        .cloned()
        .ok_or(Rejected::MemberNotFound)
}

/// Inserts a member at their place in the order of joining, replacing their previous membership.
fn insert_member(members: &mut Vec<Member>, member: &Member) {
    members.retain(|other| other.user.id != member.user.id);
    members.push(member.clone());
    sort_by_joining(members);
}

fn sort_by_joining(members: &mut [Member]) {
    members.sort_by_key(|member| (member.joined_at, member.user.id));
}

/// Adds the update of a team that a user joins, on condition that it exists and has room, and that
/// a new lead replaces the one that was read. Returns the team after the update.
///
/// The update has no condition on the version. Of 200 users added to one team at once, most would
/// otherwise run out of time in conflicts.
///
/// So the response shows the team as it was read, with this member; a member added at the same
/// moment may be missing. The version in the response is the read version plus one. Each concurrent
/// change raises the stored version further. An `If-Match` of the shown version then fails, so it
/// cannot overwrite a change that the client has not seen.
fn join_team(
    transaction: &mut Transaction<'_>,
    mut team: Team,
    user: UserId,
    role: MemberRole,
    now: Timestamp,
) -> Result<Team, Error> {
    let org = team.organization_id.clone();
    let mut room = "attribute_exists(#pk) AND #member_count < :max".to_owned();
    let mut joined =
        "SET #member_count = #member_count + :one, #version = #version + :one, #updated_at = :now"
            .to_owned();
    let mut values = expression::values([
        (":one", n(1)),
        (":max", n(MAX_MEMBERS)),
        (":now", n(now.millis())),
    ]);
    if role == MemberRole::Lead {
        joined += ", #lead_id = :user";
        values.insert(":user".to_owned(), s(user.uuid().to_string()));
        // The same transaction deletes the lead item of the previous lead, so the lead must be the
        // one that was read.
        match team.lead_id {
            Some(lead) => {
                room += " AND #lead_id = :lead";
                values.insert(":lead".to_owned(), s(lead.uuid().to_string()));
            }
            None => room += " AND attribute_not_exists(#lead_id)",
        }
        move_lead(transaction, &org, team.id, team.lead_id, Some(user))?;
        team.lead_id = Some(user);
    }
    transaction.update(
        &keys::team(&org, team.id),
        &joined,
        Some(&room),
        values,
        on_team_full,
    )?;
    team.member_count += 1;
    team.version += 1;
    team.updated_at = now;
    Ok(team)
}

/// Adds a change of the number of eligible members to a transaction, on condition that the team's
/// load exists.
pub(super) fn count_eligible(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    team: TeamId,
    by: i8,
) -> Result<(), Error> {
    let load = keys::load(org, team);
    if by == 0 {
        return transaction.check(&load, "attribute_exists(#pk)", None, on_team_changed);
    }
    // The condition stops a change that would make a wrong count negative.
    let least = if by < 0 {
        "#eligible >= :one"
    } else {
        "attribute_exists(#pk)"
    };
    let mut values = expression::values([(":by", n(by))]);
    if by < 0 {
        values.insert(":one".to_owned(), n(1));
    }
    transaction.update(
        &load,
        "ADD #eligible :by",
        Some(least),
        values,
        on_team_changed,
    )
}

/// Interprets the failed condition that a team takes a further member: the team is deleted, is
/// full, or has another lead than was read.
fn on_team_full(team: Option<&Item>) -> ConditionFailure {
    match team.map(items::member_count) {
        None => ConditionFailure::Rejected(Rejected::TeamNotFound),
        Some(Some(count)) if count < MAX_MEMBERS => ConditionFailure::Conflict,
        Some(_) => ConditionFailure::Rejected(Rejected::TeamFull),
    }
}

fn already_member(_: Option<&Item>) -> ConditionFailure {
    ConditionFailure::Rejected(Rejected::AlreadyMember)
}

/// Adds the condition that the user is active and the profile has the version that the membership
/// copies. So no copy is older than a change that the stream has already announced.
fn check_profile(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    user: &User,
) -> Result<(), Error> {
    let active = UserStatus::Active.as_str();
    let values = expression::values([(":active", s(active)), (":version", n(user.version))]);
    let condition = "#status = :active AND #profile_version = :version";
    transaction.check(
        &keys::user(org, user.id),
        condition,
        Some(values),
        move |user| match user {
            None => ConditionFailure::Rejected(Rejected::UserNotFound(UserField::UserId)),
            Some(user) if items::text(user, "status") != Some(active) => {
                ConditionFailure::Rejected(Rejected::UserInactive(UserField::UserId))
            }
            Some(_) => ConditionFailure::Conflict,
        },
    )
}

/// Adds the creation of a membership, and the deletion of the past counters that it continues. The
/// past counters must be as they were read.
fn put_member(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    team: TeamId,
    member: &Member,
    past: Option<&PastCounters>,
) -> Result<(), Error> {
    let absent = "attribute_not_exists(#pk)";
    transaction.put(
        MemberItem::new(org, team, member),
        absent,
        None,
        already_member,
    )?;
    let key = keys::past(org, team, member.user.id);
    let Some(past) = past else {
        return transaction.check(&key, absent, None, conflict);
    };
    let (as_read, values) = past_as_read(past);
    transaction.delete(&key, Some(as_read), Some(values), conflict)
}

/// Returns the condition that past counters are as they were read, and its values.
fn past_as_read(past: &PastCounters) -> (&'static str, Values) {
    let PastCounters {
        user_id: _,
        rev,
        last_turn,
        open_tickets,
        in_progress_tickets,
        resolved: Resolved { tickets, total_ms },
    } = past;
    let values = expression::values([
        (":rev", n(*rev)),
        (":last_turn", n(*last_turn)),
        (":open", n(*open_tickets)),
        (":in_progress", n(*in_progress_tickets)),
        (":resolved", n(*tickets)),
        (":resolved_ms", n(*total_ms)),
    ]);
    let as_read = "#rev = :rev AND #last_turn = :last_turn AND #open_tickets = :open \
                   AND #in_progress_tickets = :in_progress AND #resolved_tickets = :resolved \
                   AND #resolved_ms = :resolved_ms";
    (as_read, values)
}

/// Returns the condition that a membership is as it was read, except for skills and profile, and
/// its values. It includes the status, which decides if the member is eligible.
fn member_as_read(member: &Member) -> (String, Values) {
    let stays = PastCounters {
        rev: member.rev,
        ..member.leaving()
    };
    let (counters, mut values) = past_as_read(&stays);
    values.insert(":status".to_owned(), s(member.user.status.as_str()));
    (format!("{counters} AND #status = :status"), values)
}
