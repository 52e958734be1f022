//! Settling tickets: read, plan, write, and again from fresh reads where somebody else was faster.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;

use crate::{
    domain::{OrganizationId, TicketId, Timestamp},
    routing::{Cause, Known, Missing, Plan, Work, Writes, plan},
    store::{self, Stale, Store},
};

/// Why a ticket was not settled.
#[derive(Debug, Clone)]
pub enum Failure {
    /// There is no such organization.
    UnknownOrganization,
    /// The table failed. What is unavailable may be tried again.
    Store(Arc<store::Error>),
}

/// How often a plan may want to know more. Each time it knows the teams of more tickets; three times is the most there is:
/// what is about which topics, which teams know of these, and who is unheard of.
const MAX_LESSONS: usize = 8;

/// Settles tickets of one organization, none of which may come twice. Says for each, by position, what kept it from being
/// settled: then nothing of it was written, or an attempt's outcome is unknown, and it may be tried again either way.
///
/// Two round trips for tickets of one team that fit a transaction: reads beside each other, and the transaction. One more
/// where a ticket's team has to be looked up first. Whoever finds that the table has moved on starts again from reads, with
/// full jitter, until the store's deadline.
pub async fn settle(store: &Store, org: &OrganizationId, work: &[Work], now: Timestamp) -> Vec<Option<Failure>> {
    let mut failures = vec![None; work.len()];
    let mut pending: Vec<usize> = (0..work.len()).collect();
    let mut backoff = store.backoff();
    while !pending.is_empty() {
        let outcomes = attempt(store, org, work, &pending, now).await;
        pending.clear();
        for (position, outcome) in outcomes {
            match outcome {
                Outcome::Settled => {}
                Outcome::Outdated => pending.push(position),
                Outcome::Failed(failure) => failures[position] = Some(failure),
            }
        }
        if !pending.is_empty() && !backoff.pause().await {
            let contended = Failure::Store(Arc::new(store::Error::contended()));
            pending.drain(..).for_each(|position| failures[position] = Some(contended.clone()));
        }
    }
    failures
}

/// What became of a ticket in one attempt.
#[derive(Clone)]
enum Outcome {
    Settled,
    Outdated,
    Failed(Failure),
}

/// Reads, plans and writes once. An item that cannot be read fails its own ticket alone: the batch is halved until it is found.
async fn attempt(
    store: &Store,
    org: &OrganizationId,
    work: &[Work],
    pending: &[usize],
    now: Timestamp,
) -> Vec<(usize, Outcome)> {
    let batch: Vec<Work> = pending.iter().map(|&position| work[position].clone()).collect();
    let all = |outcome: Outcome| pending.iter().map(move |&position| (position, outcome.clone())).collect();
    let plan = match read_and_plan(store, org, &batch, now).await {
        Ok(Some(plan)) => plan,
        Ok(None) => return all(Outcome::Failed(Failure::UnknownOrganization)),
        Err(store::Error::Internal(_)) if pending.len() > 1 => {
            let (left, right) = pending.split_at(pending.len() / 2);
            let mut outcomes = Box::pin(attempt(store, org, work, left, now)).await;
            outcomes.extend(Box::pin(attempt(store, org, work, right, now)).await);
            return outcomes;
        }
        Err(error) => return all(Outcome::Failed(Failure::Store(Arc::new(error)))),
    };
    let Plan { groups, nothing_to_do } = plan;
    let mut outcomes: Vec<_> = nothing_to_do.into_iter().map(|at| (pending[at], Outcome::Settled)).collect();
    let written = join_all(groups.iter().map(|group| write_in_turn(store, org, group))).await;
    for (group, written) in groups.iter().zip(written) {
        for (writes, outcome) in group.iter().zip(written) {
            outcomes.extend(writes.work.iter().map(|&at| (pending[at], outcome.clone())));
        }
    }
    outcomes
}

/// Plans a batch, reading whatever the plan wants to know. `None` if there is no such organization.
async fn read_and_plan(
    store: &Store,
    org: &OrganizationId,
    batch: &[Work],
    now: Timestamp,
) -> Result<Option<Plan>, store::Error> {
    let ids: BTreeSet<&TicketId> = batch.iter().map(|work| &work.ticket_id).collect();
    // The teams that events name are read beside the tickets: most often there is nothing else to know.
    let named = batch.iter().flat_map(|work| match &work.cause {
        Cause::Events(events) => events.as_slice(),
        Cause::Waiting | Cause::Unrouted | Cause::TeamGone => &[],
    });
    let named = Missing { teams: named.filter_map(|event| event.ticket.team_id).collect(), ..Missing::default() };
    let mut known = Known::default();
    let (tickets, learned) = tokio::join!(store.tickets(org, ids), store.learn(org, named, &mut known));
    let (tickets, ()) = (tickets?, learned?);
    if !tickets.organization_exists {
        return Ok(None);
    }
    for _ in 0..MAX_LESSONS {
        match plan(batch, &tickets.by_id, &known, now) {
            Ok(plan) => return Ok(Some(plan)),
            Err(missing) => store.learn(org, missing, &mut known).await?,
        }
    }
    Err(store::Error::internal("a plan wants to know ever more"))
}

/// Writes a team's transactions one after the other, each made over what the one before leaves.
async fn write_in_turn(store: &Store, org: &OrganizationId, group: &[Writes]) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(group.len());
    for writes in group {
        let outcome = match store.write(org, writes).await {
            Ok(()) => Outcome::Settled,
            Err(Stale::Outdated) => Outcome::Outdated,
            Err(Stale::Error(error)) => Outcome::Failed(Failure::Store(Arc::new(error))),
        };
        let goes_on = matches!(outcome, Outcome::Settled);
        outcomes.push(outcome);
        if !goes_on {
            // Those that follow were made over what is not there now.
            outcomes.resize(group.len(), Outcome::Outdated);
            break;
        }
    }
    outcomes
}
