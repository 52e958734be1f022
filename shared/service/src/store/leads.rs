//! The teams that a user leads: an item for each, beside the user's profile.
//!
//! Every transaction that changes a team's lead moves these items with it, so that a deleted user's
//! teams are found without reading all teams. A lead need not be a member of the team.

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

/// The most leads that one page of [`Store::clear_leads`] reads.
const LEADS_PER_PAGE: i32 = 100;

impl Store {
    /// Takes a user out of the lead of a page of teams, after a team; gives the last team of the
    /// page if there may be more. Two round trips for up to 25 teams: the page, and a transaction
    /// for each team beside each other.
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
        let led =
            led.ok_or_else(|| Error::internal("an item under a user's leads is not a lead"))?;
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
                .ok_or_else(|| Error::internal("a page of leads ends with no lead")),
        }
    }

    /// Takes a user out of the lead of a team, unless the lead has changed meanwhile. One round
    /// trip.
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
            // The transaction that changed the lead has removed the item.
            Ok(()) | Err(CommitError::Conflict) => Ok(()),
            Err(CommitError::Failed(error)) => Err(error),
        }
    }
}

/// Moves the items of a team's lead from the one before to the one after, in the transaction that
/// changes the lead.
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
