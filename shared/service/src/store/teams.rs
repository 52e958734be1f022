//! Teams: reading, listing, creating, changing and deleting them.

use aws_sdk_dynamodb::{
    operation::update_item::UpdateItemError,
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};

use super::{
    Answer, Error, Store,
    desks::TeamRead,
    expression,
    expression::{l, n, s},
    idempotency,
    items::{self, GoneItem, Item, LoadItem, NameClaimItem, TeamItem},
    keys,
    leads::move_lead,
    retry::{Failed, Stale},
    transaction::{MAX_ITEMS, Refusal, Transaction, Values},
    work::{MARK, mark_values},
};
use muster_domain::{
    Error as Refused, Idempotency, IfVersion, Load, OrganizationId, Roster, Team, TeamChanges,
    TeamId, Timestamp, UserField, UserId, UserStatus,
};

/// What deleting a team does about the open tickets it still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOpenTickets {
    /// They are left without a team, for a job to unassign one by one.
    Unassign,
    /// The team stays: [`OpenTickets`](muster_domain::Error::OpenTickets).
    Refuse,
}

impl Store {
    /// Creates a team, and keeps the answer where the request has a key.
    ///
    /// One round trip: a transaction of the team, its load, its name claim, the organization's
    /// count and the answer, and for a lead of a check of the user and an item. One more where a
    /// request with a key is refused.
    ///
    /// # Errors
    /// [`Error::Answered`], [`IdempotencyKeyReused`](muster_domain::Error::IdempotencyKeyReused);
    /// [`UserNotFound`](muster_domain::Error::UserNotFound) or [`UserInactive`](muster_domain::Error::UserInactive) for the
    /// lead, [`NameTaken`](muster_domain::Error::NameTaken), [`Error::Unavailable`],
    /// [`Error::Internal`].
    pub async fn create_team(
        &self,
        team: &Team,
        answer: &Answer,
        request: Option<&Idempotency>,
    ) -> Result<(), Error> {
        let created = self.try_create_team(team, answer, request).await;
        self.unless_answered(&team.organization_id, request, team.created_at, created)
            .await
    }

    async fn try_create_team(
        &self,
        team: &Team,
        answer: &Answer,
        request: Option<&Idempotency>,
    ) -> Result<(), Error> {
        let mut transaction = Transaction::new(self);
        if let Some(request) = request {
            idempotency::save(
                &mut transaction,
                &team.organization_id,
                request,
                answer,
                team.created_at,
            )?;
        }
        if let Some(lead) = team.lead_id {
            check_lead(
                &mut transaction,
                &team.organization_id,
                lead,
                UserField::LeadId,
            )?;
        }
        move_lead(
            &mut transaction,
            &team.organization_id,
            team.id,
            None,
            team.lead_id,
        )?;
        claim_name(&mut transaction, team)?;
        let new = "attribute_not_exists(#pk)";
        transaction.put(TeamItem::new(team), new, None, |_| Refusal::Outdated)?;
        let load = LoadItem::new(&team.organization_id, team.id, Load::default());
        transaction.put(load, new, None, |_| Refusal::Outdated)?;
        count_teams(&mut transaction, &team.organization_id, 1)?;
        match transaction.commit().await {
            Ok(()) => Ok(()),
            Err(Stale::Error(error)) => Err(error),
            Err(Stale::Outdated) => {
                // The key is in use, and its response has to be read.
                self.check_unused(&team.organization_id, request, team.created_at)
                    .await?;
                Err(Error::internal(
                    "the id of the new team belongs to another team",
                ))
            }
        }
    }

    /// Changes a team; changes that change nothing move neither its version nor its time.
    ///
    /// One round trip for plain fields: an update beside a query of the members. Two for a new
    /// name, another lead or none, or where the team has to be of certain versions: reads, then a
    /// transaction on condition that nobody changed the team in between. An update by itself could
    /// not tell its own effect, whose answer was lost, from another version.
    ///
    /// # Errors
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound); [`VersionMismatch`](muster_domain::Error::VersionMismatch),
    /// though nothing would change; [`UserNotFound`](muster_domain::Error::UserNotFound) or
    /// [`UserInactive`](muster_domain::Error::UserInactive) for a new lead;
    /// [`NameTaken`](muster_domain::Error::NameTaken); [`Error::Unavailable`], [`Error::Internal`].
    pub async fn change_team(
        &self,
        org: &OrganizationId,
        id: TeamId,
        changes: &TeamChanges,
        if_version: &IfVersion,
        now: Timestamp,
    ) -> Result<Roster, Error> {
        let touches_other_items = changes.name.is_some() || changes.lead_id.is_some();
        if touches_other_items || *if_version != IfVersion::Any {
            return self
                .until_current(|| self.change_as_read(org, id, changes, if_version, now))
                .await;
        }
        if *changes == TeamChanges::default() {
            return self.team(org, id).await.map(|(roster, _)| roster);
        }
        let (team, members) = tokio::join!(
            self.change_plain_fields(org, id, changes, now),
            self.members(org, id)
        );
        Ok(Roster {
            team: team?,
            members: members?,
        })
    }

    /// Changes a team, if it still is as it is read here.
    async fn change_as_read(
        &self,
        org: &OrganizationId,
        id: TeamId,
        changes: &TeamChanges,
        if_version: &IfVersion,
        now: Timestamp,
    ) -> Result<Roster, Stale> {
        let (Roster { team, members }, _) = self.team(org, id).await?;
        if_version.check(team.version)?;
        let Some(changed) = team.changed(changes, now) else {
            return Ok(Roster { team, members });
        };

        let mut transaction = Transaction::new(self);
        let version = expression::values([(":version", n(team.version))]);
        put_fields(
            &mut transaction,
            &team,
            &changed,
            version,
            team_as_wanted(if_version),
        )?;
        if let Some(lead) = changed.lead_id
            && team.lead_id != Some(lead)
        {
            check_lead(&mut transaction, org, lead, UserField::LeadId)?;
        }
        move_lead(&mut transaction, org, id, team.lead_id, changed.lead_id)?;
        if changed.name.folded() != team.name.folded() {
            claim_name(&mut transaction, &changed)?;
            release_name(&mut transaction, &team)?;
        }
        transaction.commit().await?;
        Ok(Roster {
            team: changed,
            members,
        })
    }

    /// Updates the fields that no other item knows of, if one of them differs.
    async fn change_plain_fields(
        &self,
        org: &OrganizationId,
        id: TeamId,
        changes: &TeamChanges,
        now: Timestamp,
    ) -> Result<Team, Error> {
        // A name and a lead have items of their own, which only a transaction moves with the team.
        let TeamChanges {
            name: _,
            description,
            lead_id: _,
            queue_strategy,
            specializations,
        } = changes;
        let mut set = vec!["#version = #version + :one, #updated_at = :now"];
        let mut remove = Vec::new();
        let mut differs = Vec::new();
        let mut values = expression::values([(":one", n(1)), (":now", n(now.millis()))]);
        match description {
            None => {}
            Some(None) => {
                remove.push("#description");
                differs.push("attribute_exists(#description)");
            }
            Some(Some(text)) => {
                set.push("#description = :description");
                differs.push("attribute_not_exists(#description) OR #description <> :description");
                values.insert(":description".to_owned(), s(text.as_str()));
            }
        }
        if let Some(strategy) = queue_strategy {
            set.push("#queue_strategy = :queue_strategy");
            differs.push("#queue_strategy <> :queue_strategy");
            values.insert(":queue_strategy".to_owned(), s(strategy.as_str()));
        }
        if let Some(tags) = specializations {
            set.push("#specializations = :specializations");
            differs.push("#specializations <> :specializations");
            values.insert(":specializations".to_owned(), l(tags.as_slice()));
            // One update cannot tell whether this field is the one that differs. A mark too many
            // costs a job that changes nothing.
            set.push(MARK);
            values.extend(
                mark_values(&keys::team(org, id), now)
                    .map(|(name, value)| (name.to_owned(), value)),
            );
        }
        let set = format!("SET {}", set.join(", "));
        let update = if remove.is_empty() {
            set
        } else {
            format!("{set} REMOVE {}", remove.join(", "))
        };
        let condition = format!("attribute_exists(#pk) AND ({})", differs.join(" OR "));

        let call = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::team(org, id).attributes()))
            .update_expression(&update)
            .condition_expression(&condition)
            .set_expression_attribute_names(expression::names([&*update, &*condition]))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let item = match self.send(|| call.clone().send()).await {
            Ok(output) => output.attributes,
            // The team as it is: equal already, or made so by an earlier attempt of ours whose
            // answer was lost.
            Err(Failed::Answered(UpdateItemError::ConditionalCheckFailedException(refused))) => {
                refused.item
            }
            Err(failed) => return Err(failed.into()),
        };
        items::team(org, item.ok_or(Refused::TeamNotFound)?)
    }

    /// Deletes a team; its name is free at once. Two round trips: reads, then a transaction.
    ///
    /// It leaves a tombstone, `GONE`, with its counts, for a job to sweep. Where there are no open
    /// tickets, as many memberships as fit are deleted in the same transaction, which is all of
    /// them for a team of up to 95. The counters of other users are left to the sweep.
    ///
    /// # Errors
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound), [`VersionMismatch`](muster_domain::Error::VersionMismatch),
    /// [`OpenTickets`](muster_domain::Error::OpenTickets), [`Error::Unavailable`], [`Error::Internal`].
    pub async fn delete_team(
        &self,
        org: &OrganizationId,
        id: TeamId,
        if_version: &IfVersion,
        on_open_tickets: OnOpenTickets,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.until_current(|| async {
            let TeamRead {
                team,
                load,
                members,
            } = self.team_read(org, id).await?;
            if_version.check(team.version)?;
            if on_open_tickets == OnOpenTickets::Refuse && load.open_tickets > 0 {
                return Err(Refused::OpenTickets(load.open_tickets).into());
            }
            let mut transaction = Transaction::new(self);
            let (key, version) = (
                keys::team(org, id),
                expression::values([(":version", n(team.version))]),
            );
            transaction.delete(
                &key,
                Some("#version = :version"),
                Some(version),
                team_as_wanted(if_version),
            )?;
            let counts = expression::values([
                (":open", n(load.open_tickets)),
                (":waiting", n(load.waiting_tickets)),
            ]);
            let as_read = "#open_tickets = :open AND #waiting_tickets = :waiting";
            transaction.delete(&keys::load(org, id), Some(as_read), Some(counts), |_| {
                Refusal::Outdated
            })?;
            let gone = GoneItem::new(&team, load, now);
            transaction.put(gone, "attribute_not_exists(#pk)", None, |_| {
                Refusal::Outdated
            })?;
            release_name(&mut transaction, &team)?;
            move_lead(&mut transaction, org, id, team.lead_id, None)?;
            count_teams(&mut transaction, org, -1)?;
            // Where tickets are left there will be a sweep anyway, and the team is busy: the
            // smaller the transaction, the better.
            let swept = if load.open_tickets == 0 {
                MAX_ITEMS - transaction.len()
            } else {
                0
            };
            for member in members.iter().take(swept) {
                let membership = keys::membership(org, id, member.user.id);
                transaction.delete(&membership, None, None, |_| Refusal::Outdated)?;
            }
            transaction.commit().await
        })
        .await
    }
}

/// Writes the fields of a team that may change, on condition of the version that `as_read` has, and
/// marks the team if its specializations change. A put of the whole item would lose a mark.
pub(super) fn put_fields<'t>(
    transaction: &mut Transaction<'t>,
    before: &Team,
    after: &Team,
    as_read: Values,
    meaning: impl Fn(Option<&Item>) -> Refusal + Send + Sync + 't,
) -> Result<(), Error> {
    let Team {
        id,
        organization_id,
        name,
        description,
        lead_id,
        queue_strategy,
        specializations,
        member_count: _,
        version,
        created_at: _,
        updated_at,
    } = after;
    let key = keys::team(organization_id, *id);
    let always =
        "#name = :name, #queue_strategy = :queue_strategy, #specializations = :specializations";
    let mut set = vec![
        always.to_owned(),
        "#version = :next, #updated_at = :now".to_owned(),
    ];
    let mut remove = Vec::new();
    let mut values = as_read;
    values.extend(expression::values([
        (":name", s(name.as_str())),
        (":queue_strategy", s(queue_strategy.as_str())),
        (":specializations", l(specializations.as_slice())),
        (":next", n(*version)),
        (":now", n(updated_at.millis())),
    ]));
    let optional = [
        (
            "description",
            description.as_ref().map(|text| text.as_str().to_owned()),
        ),
        ("lead_id", lead_id.map(|lead| lead.uuid().to_string())),
    ];
    for (field, value) in optional {
        match value {
            Some(text) => {
                set.push(format!("#{field} = :{field}"));
                values.insert(format!(":{field}"), s(text));
            }
            None => remove.push(format!("#{field}")),
        }
    }
    if before.specializations != *specializations {
        set.push(MARK.to_owned());
        values.extend(mark_values(&key, *updated_at).map(|(name, value)| (name.to_owned(), value)));
    }
    let set = format!("SET {}", set.join(", "));
    let update = if remove.is_empty() {
        set
    } else {
        format!("{set} REMOVE {}", remove.join(", "))
    };
    transaction.update(&key, &update, Some("#version = :version"), values, meaning)
}

/// The meaning of a team that is not as it was read.
pub(super) fn team_as_read(item: Option<&Item>) -> Refusal {
    if item.is_some() {
        Refusal::Outdated
    } else {
        Refusal::Because(Refused::TeamNotFound)
    }
}

/// The same where the team has to be of certain versions: if it is of no such version any more,
/// that is the answer, and comes before what else the request asked for.
fn team_as_wanted(if_version: &IfVersion) -> impl Fn(Option<&Item>) -> Refusal + Send + Sync {
    move |item| match item
        .and_then(items::version)
        .map(|version| if_version.check(version))
    {
        Some(Err(refused)) => Refusal::Because(refused),
        Some(Ok(())) | None => team_as_read(item),
    }
}

/// Claims a team's name for it.
fn claim_name(transaction: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    let taken = |_: Option<&Item>| Refusal::Because(Refused::NameTaken);
    transaction.put(
        NameClaimItem::new(team),
        "attribute_not_exists(#pk)",
        None,
        taken,
    )
}

/// Gives a team's name up, if it is still the team's.
fn release_name(transaction: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    let claim = keys::name_claim(&team.organization_id, &team.name.folded());
    let ours = expression::values([(":team", s(team.id.uuid().to_string()))]);
    transaction.delete(&claim, Some("#team_id = :team"), Some(ours), |_| {
        Refusal::Outdated
    })
}

/// Moves the organization's number of teams.
fn count_teams(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    by: i8,
) -> Result<(), Error> {
    let values = expression::values([(":by", n(by))]);
    let unconditional = |_: Option<&Item>| Refusal::Outdated;
    transaction.update(
        &keys::organization(org),
        "ADD #team_count :by",
        None,
        values,
        unconditional,
    )
}

/// Wants an active user for a lead, whom the request names in `field`.
pub(super) fn check_lead(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    lead: UserId,
    field: UserField,
) -> Result<(), Error> {
    let active = expression::values([(":active", s(UserStatus::Active.as_str()))]);
    transaction.check(
        &keys::user(org, lead),
        "#status = :active",
        Some(active),
        move |user| {
            Refusal::Because(match user {
                Some(_) => Refused::UserInactive(field),
                None => Refused::UserNotFound(field),
            })
        },
    )
}
