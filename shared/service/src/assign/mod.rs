//! Settling tickets: read, plan, write, and again from fresh reads where somebody else was faster.

mod choosing;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt, stream};
use rand::seq::SliceRandom;
use tokio::sync::Mutex;

use crate::{
    store::{self, CommitError, Store, Tickets},
    telemetry,
};
use muster_domain::{
    OrganizationId, TeamId, TicketId, Timestamp,
    routing::{
        DecisionCounts, MissingInput, Plan, PlanningInput, TeamMatch, TeamMatcher, TicketTask,
        Trigger, UnmatchedTicket, plan,
    },
};

/// Why a ticket was not settled.
#[derive(Debug, Clone)]
pub enum Failure {
    /// There is no such organization.
    UnknownOrganization,
    /// The table failed. What is unavailable may be tried again.
    Store(Arc<store::Error>),
}

/// Settles tickets of one organization, none of which may come twice. Says for each, by position,
/// what kept it from being settled: then nothing of it was written, or an attempt's outcome is
/// unknown, and it may be tried again either way.
///
/// Each team's tickets are settled by themselves, a few teams at a time: decisions of different
/// teams do not conflict. Two round trips for tickets of one team that fit a transaction: reads
/// beside each other, and the transaction. Tickets that name no team take five: the tickets, the
/// index of specializations, the loads, the chosen team and the transaction. On a write conflict a
/// group is read and planned again, with full-jitter backoff, until the store's deadline
/// (optimistic concurrency).
pub async fn settle(
    store: &Store,
    org: &OrganizationId,
    work: &[TicketTask],
    now: Timestamp,
) -> Vec<Option<Failure>> {
    let mut groups: BTreeMap<Option<TeamId>, Vec<usize>> = BTreeMap::new();
    for (position, work) in work.iter().enumerate() {
        groups.entry(named_team(work)).or_default().push(position);
    }
    let groups = groups
        .into_iter()
        .map(|(team, positions)| Group { team, positions })
        .collect();
    let mut failures = vec![None; work.len()];
    for (position, failure) in (Settling {
        store,
        org,
        work,
        now,
        choices: Mutex::default(),
    })
    .groups(groups)
    .await
    {
        failures[position] = failure;
    }
    failures
}

/// The team that a ticket's events name last.
fn named_team(work: &TicketTask) -> Option<TeamId> {
    match &work.trigger {
        Trigger::Events(events) => events.iter().rev().find_map(|event| event.ticket.team_id),
        Trigger::Waiting | Trigger::Unrouted | Trigger::TeamDeleted => None,
    }
}

/// Tickets that are settled together, by position.
struct Group {
    /// The team they seem to belong to, which is read beside them.
    team: Option<TeamId>,
    positions: Vec<usize>,
}

/// What became of a ticket, by position.
type Outcomes = Vec<(usize, Option<Failure>)>;

/// What an attempt came to.
#[derive(Default)]
struct Attempt {
    done: Outcomes,
    /// What has to be tried again, since the table has moved on.
    outdated: Vec<usize>,
    /// What turned out not to belong together.
    apart: Vec<Group>,
}

struct Settling<'s> {
    store: &'s Store,
    org: &'s OrganizationId,
    work: &'s [TicketTask],
    now: Timestamp,
    /// The teams chosen for the tickets that name none. Kept through regrouping and retries, so
    /// that a batch chooses once.
    choices: Mutex<TeamMatcher>,
}

/// The result of planning a group.
enum Planned {
    Whole(Plan),
    /// The group's tickets got different teams, so that they are read and planned anew by team.
    Apart(Vec<Group>),
    UnknownOrganization,
}

impl Settling<'_> {
    /// How many teams are decided for at once. The more there are, the longer lies between what is
    /// read and what is written of each, and the more often somebody else is faster.
    const TEAMS_AT_ONCE: usize = 4;
    /// The most reads in a row for one plan, counted anew after each choice of teams. A plan needs
    /// at most three: the tickets' teams, the chosen teams, and the counters of assignees who are
    /// not members.
    const MAX_LESSONS: usize = 8;

    /// Settles groups in no particular order, so that invocations that begin together do not meet
    /// at every team.
    async fn groups(&self, mut groups: Vec<Group>) -> Outcomes {
        groups.shuffle(&mut rand::rng());
        let settling: Vec<_> = groups.into_iter().map(|group| self.group(group)).collect();
        stream::iter(settling)
            .buffer_unordered(Self::TEAMS_AT_ONCE)
            .concat()
            .await
    }

    /// Settles a group, as often as it takes.
    async fn group(&self, group: Group) -> Outcomes {
        let Group {
            team,
            mut positions,
        } = group;
        let mut outcomes = Vec::with_capacity(positions.len());
        let mut backoff = self.store.backoff();
        loop {
            let Attempt {
                done,
                outdated,
                apart,
            } = self.attempt(team, &positions).await;
            outcomes.extend(done);
            outcomes.extend(Box::pin(self.groups(apart)).await);
            positions = outdated;
            if positions.is_empty() {
                return outcomes;
            }
            if !backoff.pause().await {
                outcomes.extend(failed(&positions, store::Error::contended()));
                return outcomes;
            }
        }
    }

    /// Reads, plans and writes once. What turns out to belong to different teams is only taken
    /// apart, for each team is read just before it is written. An item that cannot be read fails
    /// its own ticket alone: the group is halved until it is found.
    async fn attempt(&self, team: Option<TeamId>, positions: &[usize]) -> Attempt {
        let mut attempt = Attempt::default();
        let Plan {
            mut groups,
            unchanged,
            superseded,
        } = match self.read_and_plan(team, positions).await {
            Ok(Planned::Whole(plan)) => plan,
            Ok(Planned::Apart(groups)) => {
                attempt.apart = groups;
                return attempt;
            }
            Ok(Planned::UnknownOrganization) => {
                let unknown = |&position| (position, Some(Failure::UnknownOrganization));
                attempt.done.extend(positions.iter().map(unknown));
                return attempt;
            }
            Err(store::Error::Internal(_)) if positions.len() > 1 => {
                let (left, right) = positions.split_at(positions.len() / 2);
                attempt.apart.extend([left, right].map(|half| Group {
                    team,
                    positions: half.to_vec(),
                }));
                return attempt;
            }
            Err(error) => {
                attempt.done.extend(failed(positions, error));
                return attempt;
            }
        };
        let position = |at: &usize| positions[*at];
        attempt
            .done
            .extend(unchanged.iter().map(|at| (position(at), None)));
        count(DecisionCounts {
            superseded,
            ..DecisionCounts::default()
        });
        if groups.len() > 1 {
            attempt.apart.extend(groups.iter().map(|group| {
                Group {
                    team: group
                        .iter()
                        .flat_map(|writes| &writes.tickets)
                        .find_map(|(_, ticket)| ticket.team_id),
                    positions: group
                        .iter()
                        .flat_map(|writes| &writes.tasks)
                        .map(position)
                        .collect(),
                }
            }));
            return attempt;
        }
        for writes in groups.pop().unwrap_or_default() {
            let positions: Vec<_> = writes.tasks.iter().map(position).collect();
            if !attempt.outdated.is_empty() {
                // It was made over what the one before would have left.
                attempt.outdated.extend(positions);
                continue;
            }
            match self.store.commit_plan(self.org, &writes, self.now).await {
                Ok(()) => {
                    count(writes.decisions);
                    attempt
                        .done
                        .extend(positions.into_iter().map(|position| (position, None)));
                }
                Err(CommitError::Conflict) => attempt.outdated.extend(positions),
                Err(CommitError::Failed(error)) => attempt.done.extend(failed(&positions, error)),
            }
        }
        attempt
    }

    /// Plans a group, and reads what the plan needs.
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
            .map(|&position| self.work[position].clone())
            .collect();
        let ids: BTreeSet<&TicketId> = group.iter().map(|work| &work.ticket_id).collect();
        // Most often there is nothing else to know.
        let likely = MissingInput {
            teams: team.into_iter().collect(),
            ..MissingInput::default()
        };
        let mut known = PlanningInput {
            team_matches: self.choices.lock().await.matches_of(ids.iter().copied()),
            ..PlanningInput::default()
        };
        let (tickets, learned) = tokio::join!(
            store.tickets(org, ids),
            store.load_missing(org, likely, &mut known)
        );
        let (tickets, ()) = (tickets?, learned?);
        if !tickets.organization_exists {
            return Ok(Planned::UnknownOrganization);
        }
        let mut lessons = 0;
        while lessons < Self::MAX_LESSONS {
            let mut missing = match plan(&group, &tickets.by_id, &known, now) {
                Ok(plan) => return Ok(Planned::Whole(plan)),
                Err(missing) => missing,
            };
            let wanted = std::mem::take(&mut missing.unmatched_tickets);
            if wanted.is_empty() {
                lessons += 1;
            } else {
                // A ticket rejects each of its candidates once, so this ends.
                lessons = 0;
                known.team_matches.extend(self.choose(&wanted).await?);
                let groups = self.by_choice(team, positions, &tickets, &known);
                if groups.len() > 1 {
                    return Ok(Planned::Apart(groups));
                }
            }
            if !missing.is_empty() {
                store.load_missing(org, missing, &mut known).await?;
            }
        }
        Err(store::Error::internal("a plan wants to know ever more"))
    }

    /// Chooses teams for tickets, one call at a time, so that each ticket of the batch counts for
    /// those after it.
    async fn choose(
        &self,
        wanted: &[UnmatchedTicket],
    ) -> Result<HashMap<TicketId, TeamMatch>, store::Error> {
        let mut choices = self.choices.lock().await;
        choosing::choose(self.store, self.org, wanted, &mut choices).await?;
        Ok(choices.matches_of(wanted.iter().map(|wanted| &wanted.ticket_id)))
    }

    /// Groups tickets by the team that was chosen for them; the others by their own team, or else
    /// the team of their group.
    fn by_choice(
        &self,
        team: Option<TeamId>,
        positions: &[usize],
        tickets: &Tickets,
        known: &PlanningInput,
    ) -> Vec<Group> {
        let mut groups: BTreeMap<Option<TeamId>, Vec<usize>> = BTreeMap::new();
        for &position in positions {
            let id = &self.work[position].ticket_id;
            let chosen = known.team_matches.get(id).and_then(|matched| matched.team);
            let own = tickets.by_id.get(id).and_then(|ticket| ticket.team_id);
            groups
                .entry(chosen.or(own).or(team))
                .or_default()
                .push(position);
        }
        groups
            .into_iter()
            .map(|(team, positions)| Group { team, positions })
            .collect()
    }
}

/// Counts decisions that are committed, and superseded events that are done with.
fn count(
    DecisionCounts {
        assigned,
        unrouted,
        begun_waiting,
        superseded,
    }: DecisionCounts,
) {
    telemetry::record(|measured| {
        measured.tickets_assigned += assigned;
        measured.tickets_unrouted += unrouted;
        measured.tickets_begun_waiting += begun_waiting;
        measured.superseded_events += superseded;
    });
}

fn failed(positions: &[usize], error: store::Error) -> Outcomes {
    let failure = Failure::Store(Arc::new(error));
    positions
        .iter()
        .map(|&position| (position, Some(failure.clone())))
        .collect()
}
