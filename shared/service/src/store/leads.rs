//! Leads: one item for each team that a user leads, in the partition of the user's profile.
//!
//! Every transaction that changes a team's lead moves these items as well. So the teams of a
//! deleted user are found without a read of all teams. A lead need not be a member of the team.

use super::{
    Error, Store,
    access::run_concurrently,
    error::CommitError,
    expression::{self, n, s},
    items::{self, Item, LeadItem},
    keys,
    transaction::{Transaction, conflict},
};
use muster_domain::{OrganizationId, TeamId, Timestamp, UserId};

/// The most leads in one page of [`Store::clear_leads`].
const LEADS_PER_PAGE: i32 = 100;

impl Store {
    /// Clears the lead of a page of teams that a user leads. `after` is the last team of the
    /// previous page. Returns the last team of this page if there may be more.
    ///
    /// Two round trips for up to 25 teams: the page, and one transaction for each team, in
    /// parallel. A page that runs twice has the same effect.
    pub(super) async fn clear_leads(
        &self,
        org: &OrganizationId,
        user: UserId,
        after: Option<TeamId>,
        now: Timestamp,
    ) -> Result<Option<TeamId>, Error> {
        let call = self
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :leads)")
            .expression_attribute_values(":pk", s(keys::user(org, user).pk))
            .expression_attribute_values(":leads", s(keys::LEADS))
            .limit(LEADS_PER_PAGE)
            .set_exclusive_start_key(after.map(|team| keys::lead(org, user, team).attributes()));
        let page = self.send(|| call.clone().send()).await?;
        let team_of = |item: &Item| items::text(item, "sk").and_then(keys::led_team_of);
        let led: Option<Vec<TeamId>> = page.items().iter().map(team_of).collect();
        let led = led.ok_or_else(|| Error::internal("an item of a user's leads is not a lead"))?;
        run_concurrently(
            led.iter()
                .map(|&team| self.clear_lead(org, user, team, now))
                .collect(),
        )
        .await?;
        match &page.last_evaluated_key {
            None => Ok(None),
            Some(last) => team_of(last)
                .map(Some)
                .ok_or_else(|| Error::internal("the last key of a page of leads is not a lead")),
        }
    }

    /// Clears the lead of a team, on condition that the user still leads it. One round trip.
    async fn clear_lead(
        &self,
        org: &OrganizationId,
        user: UserId,
        team: TeamId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut transaction = Transaction::new(self);
        let lead = s(user.uuid().to_string());
        let values =
            expression::values([(":one", n(1)), (":now", n(now.millis())), (":lead", lead)]);
        let update = "SET #version = #version + :one, #updated_at = :now REMOVE #lead_id";
        transaction.update(
            &keys::team(org, team),
            update,
            Some("#lead_id = :lead"),
            values,
            conflict,
        )?;
        delete_lead(&mut transaction, org, user, team)?;
        match transaction.commit().await {
            // A conflict means that the lead changed since the page was read. The transaction that
            // changed it has removed the item.
            Ok(()) | Err(CommitError::Conflict) => Ok(()),
            Err(CommitError::Failed(error)) => Err(error),
        }
    }
}

/// Adds the move of a lead item from the previous lead of a team to the new one, to the transaction
/// that changes the lead.
pub(super) fn move_lead(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    team: TeamId,
    before: Option<UserId>,
    after: Option<UserId>,
) -> Result<(), Error> {
    if before == after {
        return Ok(());
    }
    if let Some(user) = before {
        delete_lead(transaction, org, user, team)?;
    }
    if let Some(user) = after {
        transaction.put_always(LeadItem::new(keys::lead(org, user, team)))?;
    }
    Ok(())
}

fn delete_lead(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    user: UserId,
    team: TeamId,
) -> Result<(), Error> {
    transaction.delete(&keys::lead(org, user, team), None, None, conflict)
}
