//! Teams: creating, changing and deleting them.

use super::{
    Error, Store,
    error::CommitError,
    expression::{self, Values, l, n, s},
    idempotency,
    items::{self, DeletedTeamItem, Item, LoadItem, NameClaimItem, TeamItem},
    keys,
    leads::move_lead,
    pending_work::{MARK, mark_values},
    records::RenderedResponse,
    team_partition::TeamRead,
    transaction::{ConditionFailure, MAX_ITEMS, Transaction, conflict},
};
use muster_domain::{
    Error as Rejected, Idempotency, IfVersion, Load, OrganizationId, Roster, Team, TeamChanges,
    TeamId, Timestamp, UserField, UserId, UserStatus,
};

/// The behavior of a deletion if the team has open tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOpenTickets {
    /// The tickets lose their team. The sweep unassigns them one by one.
    Unassign,
    /// The team stays, and the request fails with
    /// [`OpenTickets`](muster_domain::Error::OpenTickets).
    Reject,
}

impl Store {
    /// Creates a team, and saves the response if the request has a key.
    ///
    /// One round trip: a transaction of the team, its load, its name claim, the organization's
    /// count and the saved response, and for a lead of a check of the user and a lead item. One
    /// more if a request with a key is rejected. The conditions: the name is free, the lead is
    /// active, and the key is not in use.
    ///
    /// # Errors
    /// [`Error::Replayed`], [`IdempotencyKeyReused`](muster_domain::Error::IdempotencyKeyReused);
    /// [`UserNotFound`](muster_domain::Error::UserNotFound) or
    /// [`UserInactive`](muster_domain::Error::UserInactive) for the lead,
    /// [`NameTaken`](muster_domain::Error::NameTaken); [`Error::Unavailable`] or
    /// [`Error::Internal`].
    pub async fn create_team(
        &self,
        team: &Team,
        response: &RenderedResponse,
        request: Option<&Idempotency>,
    ) -> Result<(), Error> {
        let created = self.try_create_team(team, response, request).await;
        self.prefer_saved_response(&team.organization_id, request, team.created_at, created)
            .await
    }

    async fn try_create_team(
        &self,
        team: &Team,
        response: &RenderedResponse,
        request: Option<&Idempotency>,
    ) -> Result<(), Error> {
        let mut transaction = Transaction::new(self);
        if let Some(request) = request {
            idempotency::save_response(
                &mut transaction,
                &team.organization_id,
                request,
                response,
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
        transaction.put(TeamItem::new(team), new, None, conflict)?;
        let load = LoadItem::new(&team.organization_id, team.id, Load::default());
        transaction.put(load, new, None, conflict)?;
        count_teams(&mut transaction, &team.organization_id, 1)?;
        match transaction.commit().await {
            Ok(()) => Ok(()),
            Err(CommitError::Failed(error)) => Err(error),
            Err(CommitError::Conflict) => {
                // The key is in use, and its response is spread over several items: read them.
                let saved = self
                    .find_saved_response(&team.organization_id, request, team.created_at)
                    .await?;
                Err(saved.map_or_else(
                    || Error::internal("the id of the new team belongs to another team"),
                    Error::Replayed,
                ))
            }
        }
    }

    /// Changes a team. Changes without a difference leave its version and time as they are.
    ///
    /// One round trip for plain fields: an update in parallel with a query of the members. Two for
    /// a new name, a change of the lead, or a condition on the version: reads, then a transaction
    /// on condition of the version that was read. A single update does not serve the condition on
    /// the version: if its response is lost, a retry cannot distinguish its own effect from another
    /// writer's.
    ///
    /// # Errors
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound);
    /// [`VersionMismatch`](muster_domain::Error::VersionMismatch), even without a difference;
    /// [`UserNotFound`](muster_domain::Error::UserNotFound) or
    /// [`UserInactive`](muster_domain::Error::UserInactive) for a new lead;
    /// [`NameTaken`](muster_domain::Error::NameTaken); [`Error::Unavailable`] or
    /// [`Error::Internal`].
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
                .retry_on_conflict(|| self.change_as_read(org, id, changes, if_version, now))
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

    /// Changes a team in a transaction, on condition of the version that it reads first.
    async fn change_as_read(
        &self,
        org: &OrganizationId,
        id: TeamId,
        changes: &TeamChanges,
        if_version: &IfVersion,
        now: Timestamp,
    ) -> Result<Roster, CommitError> {
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
            on_team_version(if_version),
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

    /// Updates the fields that are stored in the team item alone, if one of them differs.
    async fn change_plain_fields(
        &self,
        org: &OrganizationId,
        id: TeamId,
        changes: &TeamChanges,
        now: Timestamp,
    ) -> Result<Team, Error> {
        // A name and a lead have items of their own, which change with the team in a transaction.
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
            // The update cannot tell which field differs, so the mark may be superfluous. The job
            // then finds no difference.
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

        // The condition fails if the fields are equal, or if an earlier attempt of this call
        // changed them and its response was lost. The item is the result either way.
        let updated = self
            .update_if(&keys::team(org, id), &update, &condition, values)
            .await?;
        let item = updated.into_item();
        items::team(org, item.ok_or(Rejected::TeamNotFound)?)
    }

    /// Deletes a team. Its name is free immediately. Two round trips: reads, then a transaction.
    ///
    /// The conditions: the team has the version and the load has the counts that were read, so no
    /// ticket is lost between the read and the tombstone.
    ///
    /// The transaction leaves a tombstone, `GONE`, with the counts, and a mark that starts the
    /// sweep. If there are no open tickets, it also deletes as many memberships as fit, which is
    /// all of them for a team of up to 95. The sweep deletes the rest and the past counters.
    ///
    /// # Errors
    /// [`TeamNotFound`](muster_domain::Error::TeamNotFound),
    /// [`VersionMismatch`](muster_domain::Error::VersionMismatch),
    /// [`OpenTickets`](muster_domain::Error::OpenTickets), [`Error::Unavailable`] or
    /// [`Error::Internal`].
    pub async fn delete_team(
        &self,
        org: &OrganizationId,
        id: TeamId,
        if_version: &IfVersion,
        on_open_tickets: OnOpenTickets,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.retry_on_conflict(|| async {
            let TeamRead {
                team,
                load,
                members,
            } = self.read_team(org, id).await?;
            if_version.check(team.version)?;
            if on_open_tickets == OnOpenTickets::Reject && load.open_tickets > 0 {
                return Err(Rejected::OpenTickets(load.open_tickets).into());
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
                on_team_version(if_version),
            )?;
            let counts = expression::values([
                (":open", n(load.open_tickets)),
                (":waiting", n(load.waiting_tickets)),
            ]);
            let as_read = "#open_tickets = :open AND #waiting_tickets = :waiting";
            transaction.delete(&keys::load(org, id), Some(as_read), Some(counts), conflict)?;
            let tombstone = DeletedTeamItem::new(&team, load, now);
            transaction.put(tombstone, "attribute_not_exists(#pk)", None, conflict)?;
            release_name(&mut transaction, &team)?;
            move_lead(&mut transaction, org, id, team.lead_id, None)?;
            count_teams(&mut transaction, org, -1)?;
            // A team with open tickets is busy and needs a sweep anyway. A smaller transaction
            // conflicts less.
            let swept = if load.open_tickets == 0 {
                MAX_ITEMS - transaction.len()
            } else {
                0
            };
            for member in members.iter().take(swept) {
                let membership = keys::membership(org, id, member.user.id);
                transaction.delete(&membership, None, None, conflict)?;
            }
            transaction.commit().await
        })
        .await
    }
}

/// Adds an update of the editable fields of a team, on condition of the version in `as_read`. Marks
/// the team if its specializations change.
///
/// A put of the whole item would lose a mark that another writer set.
pub(super) fn put_fields<'t>(
    transaction: &mut Transaction<'t>,
    before: &Team,
    after: &Team,
    as_read: Values,
    meaning: impl Fn(Option<&Item>) -> ConditionFailure + Send + Sync + 't,
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

/// Interprets the failed condition that a team is as it was read.
pub(super) fn on_team_changed(item: Option<&Item>) -> ConditionFailure {
    if item.is_some() {
        ConditionFailure::Conflict
    } else {
        ConditionFailure::Rejected(Rejected::TeamNotFound)
    }
}

/// Interprets the same failed condition for a request with a condition on the version. A version
/// that the request excludes is a rejection, and precedes the other rejections of the request.
fn on_team_version(
    if_version: &IfVersion,
) -> impl Fn(Option<&Item>) -> ConditionFailure + Send + Sync {
    move |item| match item
        .and_then(items::version)
        .map(|version| if_version.check(version))
    {
        Some(Err(refused)) => ConditionFailure::Rejected(refused),
        Some(Ok(())) | None => on_team_changed(item),
    }
}

/// Adds the claim on the name of a team, on condition that the name is free.
fn claim_name(transaction: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    let taken = |_: Option<&Item>| ConditionFailure::Rejected(Rejected::NameTaken);
    transaction.put(
        NameClaimItem::new(team),
        "attribute_not_exists(#pk)",
        None,
        taken,
    )
}

/// Adds the deletion of the claim on the name of a team, on condition that the claim belongs to the
/// team.
fn release_name(transaction: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    let claim = keys::name_claim(&team.organization_id, &team.name.folded());
    let ours = expression::values([(":team", s(team.id.uuid().to_string()))]);
    transaction.delete(&claim, Some("#team_id = :team"), Some(ours), conflict)
}

/// Adds a change of the organization's number of teams.
fn count_teams(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    by: i8,
) -> Result<(), Error> {
    let values = expression::values([(":by", n(by))]);
    transaction.update(
        &keys::organization(org),
        "ADD #team_count :by",
        None,
        values,
        conflict,
    )
}

/// Adds the condition that a lead is an active user. `field` is the field of the request that names
/// the lead.
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
            ConditionFailure::Rejected(match user {
                Some(_) => Rejected::UserInactive(field),
                None => Rejected::UserNotFound(field),
            })
        },
    )
}
