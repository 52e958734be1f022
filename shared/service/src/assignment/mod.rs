//! Processing of ticket tasks: read, plan, write. A write conflict starts again from fresh reads.
//!
//! The decisions are pure and in [`muster_domain::routing`]; this module does their I/O.

mod team_matching;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rand::seq::SliceRandom;
use tokio::sync::Mutex;

pub use team_matching::candidate_teams;

use crate::{
    store::{self, CommitError, Store, TicketsRead},
    telemetry,
};
use muster_domain::{
    OrganizationId, TeamId, TicketId, Timestamp,
    routing::{
        DecisionCounts, MissingInput, Plan, PlanningInput, TeamMatch, TeamMatcher, TicketTask,
        TransactionPlan, Trigger, UnmatchedTicket, plan,
    },
};

/// The failure of a task.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The organization does not exist.
    #[error("the organization does not exist")]
    UnknownOrganization,
    /// The table failed. An unavailable table can be retried.
    #[error(transparent)]
    Store(Arc<store::Error>),
}

/// Processes tasks of one organization, with at most one task for each ticket. Returns the failure
/// of each task by position. A failed task wrote nothing, or the outcome of its write is unknown;
/// it is safe to retry either way, because processing is idempotent.
///
/// The tickets of a team form a group, because decisions of different teams do not conflict. Up to
/// four groups run concurrently.
///
/// Costs two round trips for tickets of one team that fit a transaction: concurrent reads, then the
/// transaction. Tickets without a team cost five: the tickets, the topic index, the loads, the
/// matched team and the transaction. On a write conflict a group is read and planned again, with
/// full-jitter backoff, until the store's deadline (optimistic concurrency).
pub async fn process(
    store: &Store,
    org: &OrganizationId,
    tasks: &[TicketTask],
    now: Timestamp,
) -> Vec<Option<Failure>> {
    let mut groups: BTreeMap<Option<TeamId>, Vec<usize>> = BTreeMap::new();
    for (position, task) in tasks.iter().enumerate() {
        groups.entry(named_team(task)).or_default().push(position);
    }
    let groups = groups
        .into_iter()
        .map(|(team, positions)| TaskGroup { team, positions })
        .collect();
    let processor = Processor {
        store,
        org,
        tasks,
        now,
        team_matcher: Mutex::default(),
    };
    let mut failures = vec![None; tasks.len()];
    for (position, failure) in processor.process_groups(groups).await {
        failures[position] = failure;
    }
    failures
}

/// Returns the team that the latest event of a task names.
fn named_team(task: &TicketTask) -> Option<TeamId> {
    match &task.trigger {
        Trigger::Events(events) => events.iter().rev().find_map(|event| event.ticket.team_id),
        Trigger::Waiting | Trigger::Unrouted | Trigger::TeamDeleted => None,
    }
}

/// Tasks that are planned together, by position.
struct TaskGroup {
    /// The expected team, which is read concurrently with the tickets.
    team: Option<TeamId>,
    positions: Vec<usize>,
}

impl TaskGroup {
    /// Returns the group of one team's transactions. The tasks of a transaction are indices of
    /// `positions`.
    fn of(transactions: &[TransactionPlan], positions: &[usize]) -> Self {
        let mut tickets = transactions
            .iter()
            .flat_map(|transaction| &transaction.tickets);
        let tasks = transactions
            .iter()
            .flat_map(|transaction| &transaction.tasks);
        Self {
            team: tickets.find_map(|(_, ticket)| ticket.team_id),
            positions: tasks.map(|&at| positions[at]).collect(),
        }
    }
}

/// The outcomes of tasks, by position.
type Outcomes = Vec<(usize, Option<Failure>)>;

/// The result of one attempt at a group.
#[derive(Default)]
struct Attempt {
    done: Outcomes,
    /// The tasks to attempt again after a write conflict.
    conflicted: Vec<usize>,
    /// Groups of different teams, to be processed on their own.
    split: Vec<TaskGroup>,
}

struct Processor<'s> {
    store: &'s Store,
    org: &'s OrganizationId,
    tasks: &'s [TicketTask],
    now: Timestamp,
    /// The matched teams of tickets without a team. Shared by groups and attempts, so that a batch
    /// matches each ticket once.
    team_matcher: Mutex<TeamMatcher>,
}

/// The result of planning a group.
enum Planned {
    Whole(Plan),
    /// The tickets matched different teams. Each team is read and planned on its own.
    Split(Vec<TaskGroup>),
    UnknownOrganization,
}

impl Processor<'_> {
    /// The most groups that run concurrently. More groups lengthen the time between the read and
    /// the write of each, and so cause more write conflicts.
    const CONCURRENT_GROUPS: usize = 4;
    /// The upper bound on read rounds of a plan, counted from the last match of teams. Three is the
    /// worst case: the tickets' teams, the matched teams, and the counters of assignees who are not
    /// members.
    const MAX_READ_ROUNDS: usize = 8;

    /// Processes groups in random order, so that concurrent invocations do not contend for the same
    /// team at the same time. Groups that an attempt splits join the others.
    async fn process_groups(&self, mut pending: Vec<TaskGroup>) -> Outcomes {
        pending.shuffle(&mut rand::rng());
        let mut running = FuturesUnordered::new();
        let mut outcomes = Outcomes::new();
        loop {
            while running.len() < Self::CONCURRENT_GROUPS
                && let Some(group) = pending.pop()
            {
                running.push(self.process_group(group));
            }
            let Some((done, split)) = running.next().await else {
                return outcomes;
            };
            outcomes.extend(done);
            if !split.is_empty() {
                pending.extend(split);
                pending.shuffle(&mut rand::rng());
            }
        }
    }

    /// Attempts a group until every task has an outcome or is part of a split group. Returns the
    /// outcomes and the split groups.
    async fn process_group(&self, group: TaskGroup) -> (Outcomes, Vec<TaskGroup>) {
        let TaskGroup {
            team,
            mut positions,
        } = group;
        let mut outcomes = Vec::with_capacity(positions.len());
        let mut groups = Vec::new();
        let mut backoff = self.store.backoff();
        loop {
            let Attempt {
                done,
                conflicted,
                split,
            } = self.attempt(team, &positions).await;
            outcomes.extend(done);
            groups.extend(split);
            positions = conflicted;
            if positions.is_empty() {
                return (outcomes, groups);
            }
            if !backoff.pause().await {
                outcomes.extend(failed(&positions, store::Error::contended()));
                return (outcomes, groups);
            }
        }
    }

    /// Reads, plans and writes a group once.
    ///
    /// A group with several teams is only split: each team has to be read immediately before it is
    /// written, or conflicts become likely. A group with an unreadable item is halved, until the
    /// item fails the task of its own ticket alone.
    async fn attempt(&self, team: Option<TeamId>, positions: &[usize]) -> Attempt {
        let mut attempt = Attempt::default();
        match self.read_and_plan(team, positions).await {
            Ok(Planned::Whole(plan)) => return self.commit(plan, positions).await,
            Ok(Planned::Split(groups)) => attempt.split = groups,
            Ok(Planned::UnknownOrganization) => {
                let unknown = |&position| (position, Some(Failure::UnknownOrganization));
                attempt.done.extend(positions.iter().map(unknown));
            }
            Err(store::Error::Internal(_)) if positions.len() > 1 => {
                let (left, right) = positions.split_at(positions.len() / 2);
                attempt.split.extend([left, right].map(|half| TaskGroup {
                    team,
                    positions: half.to_vec(),
                }));
            }
            Err(error) => attempt.done.extend(failed(positions, error)),
        }
        attempt
    }

    /// Writes the plan of the tasks at these positions. Splits a plan with several teams.
    async fn commit(&self, plan: Plan, positions: &[usize]) -> Attempt {
        let Plan {
            mut groups,
            unchanged,
            superseded,
        } = plan;
        let mut attempt = Attempt::default();
        let unchanged = unchanged.iter().map(|&at| (positions[at], None));
        attempt.done.extend(unchanged);
        count(DecisionCounts {
            superseded,
            ..DecisionCounts::default()
        });
        if groups.len() > 1 {
            let of_team = |transactions: &Vec<_>| TaskGroup::of(transactions, positions);
            attempt.split.extend(groups.iter().map(of_team));
            return attempt;
        }
        for transaction in groups.pop().unwrap_or_default() {
            let positions = transaction.tasks.iter().map(|&at| positions[at]).collect();
            self.commit_transaction(&transaction, positions, &mut attempt)
                .await;
        }
        attempt
    }

    /// Writes the next transaction of a plan, which has the tasks at these positions. Adds their
    /// outcomes to the attempt.
    async fn commit_transaction(
        &self,
        transaction: &TransactionPlan,
        positions: Vec<usize>,
        attempt: &mut Attempt,
    ) {
        if !attempt.conflicted.is_empty() {
            // This transaction was planned on the result of the failed one.
            attempt.conflicted.extend(positions);
            return;
        }
        match self
            .store
            .commit_plan(self.org, transaction, self.now)
            .await
        {
            Ok(()) => {
                count(transaction.decisions);
                let done = positions.into_iter().map(|position| (position, None));
                attempt.done.extend(done);
            }
            Err(CommitError::Conflict) => attempt.conflicted.extend(positions),
            Err(CommitError::Failed(error)) => attempt.done.extend(failed(&positions, error)),
        }
    }

    /// Plans a group. Reads the missing input of the plan until the plan is complete.
    async fn read_and_plan(
        &self,
        team: Option<TeamId>,
        positions: &[usize],
    ) -> Result<Planned, store::Error> {
        let Self {
            store, org, now, ..
        } = *self;
        let group: Vec<TicketTask> = positions
            .iter()
            .map(|&position| self.tasks[position].clone())
            .collect();
        let ids: BTreeSet<&TicketId> = group.iter().map(|task| &task.ticket_id).collect();
        // In most batches this is all the input that a plan needs.
        let expected = MissingInput {
            teams: team.into_iter().collect(),
            ..MissingInput::default()
        };
        let mut input = PlanningInput {
            team_matches: self
                .team_matcher
                .lock()
                .await
                .matches_of(ids.iter().copied()),
            ..PlanningInput::default()
        };
        let (tickets, loaded) = tokio::join!(
            store.tickets(org, ids),
            store.load_missing(org, expected, &mut input)
        );
        let (tickets, ()) = (tickets?, loaded?);
        if !tickets.organization_exists {
            return Ok(Planned::UnknownOrganization);
        }
        let mut read_rounds = 0;
        while read_rounds < Self::MAX_READ_ROUNDS {
            let mut missing = match plan(&group, &tickets.by_id, &input, now) {
                Ok(plan) => return Ok(Planned::Whole(plan)),
                Err(missing) => missing,
            };
            let unmatched = std::mem::take(&mut missing.unmatched_tickets);
            if unmatched.is_empty() {
                read_rounds += 1;
            } else {
                // A ticket rejects each of its candidates once, so this ends.
                read_rounds = 0;
                input
                    .team_matches
                    .extend(self.match_teams(&unmatched).await?);
                let groups = self.by_matched_team(team, positions, &tickets, &input);
                if groups.len() > 1 {
                    return Ok(Planned::Split(groups));
                }
            }
            if !missing.is_empty() {
                store.load_missing(org, missing, &mut input).await?;
            }
        }
        Err(store::Error::internal(
            "planning did not converge within 8 read rounds",
        ))
    }

    /// Matches teams to tickets. Calls are serialized, so that the assignment of a ticket counts in
    /// the loads that later tickets of the batch compare.
    async fn match_teams(
        &self,
        unmatched: &[UnmatchedTicket],
    ) -> Result<HashMap<TicketId, TeamMatch>, store::Error> {
        let mut matcher = self.team_matcher.lock().await;
        team_matching::match_teams(self.store, self.org, unmatched, &mut matcher).await?;
        Ok(matcher.matches_of(unmatched.iter().map(|ticket| &ticket.ticket_id)))
    }

    /// Groups tickets by their matched team, else by their own team, else by the team of the group.
    fn by_matched_team(
        &self,
        team: Option<TeamId>,
        positions: &[usize],
        tickets: &TicketsRead,
        input: &PlanningInput,
    ) -> Vec<TaskGroup> {
        let mut groups: BTreeMap<Option<TeamId>, Vec<usize>> = BTreeMap::new();
        for &position in positions {
            let id = &self.tasks[position].ticket_id;
            let matched = input.team_matches.get(id).and_then(|matched| matched.team);
            let own = tickets.by_id.get(id).and_then(|ticket| ticket.team_id);
            groups
                .entry(matched.or(own).or(team))
                .or_default()
                .push(position);
        }
        groups
            .into_iter()
            .map(|(team, positions)| TaskGroup { team, positions })
            .collect()
    }
}

/// Records committed decisions and superseded events in the metrics.
fn count(
    DecisionCounts {
        assigned,
        unrouted,
        begun_waiting,
        superseded,
    }: DecisionCounts,
) {
    telemetry::record(|metrics| {
        metrics.tickets_assigned += assigned;
        metrics.tickets_unrouted += unrouted;
        metrics.tickets_begun_waiting += begun_waiting;
        metrics.superseded_events += superseded;
    });
}

fn failed(positions: &[usize], error: store::Error) -> Outcomes {
    let failure = Failure::Store(Arc::new(error));
    positions
        .iter()
        .map(|&position| (position, Some(failure.clone())))
        .collect()
}
