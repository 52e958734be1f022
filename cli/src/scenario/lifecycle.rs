//! A ticket from its creation to the end of the day.

use std::{f64::consts::TAU, time::Duration};

use muster_domain::{Contract, Priority, TeamId, TicketStatus, Timestamp, UserId};
use rand::Rng;

use super::{
    DAY, Scenario,
    catalog::{PRIORITIES, TOPICS, Topic, arrival, due_within, pick, resolution},
};

/// A ticket: its constant fields, and a snapshot after each change.
#[derive(Debug)]
pub(super) struct TicketLifecycle {
    pub contract: Contract,
    pub topic: &'static Topic,
    pub priority: Priority,
    pub created_at: Timestamp,
    pub due_at: Timestamp,
    pub snapshots: Vec<Snapshot>,
}

/// The type of a change's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventKind {
    Created,
    Updated,
    Unassigned,
    Deleted,
}

/// The fields of a ticket after a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot {
    pub kind: EventKind,
    pub status: TicketStatus,
    pub team: Option<TeamId>,
    pub assignee: Option<UserId>,
    pub resolved_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

/// A change of a ticket.
#[derive(Debug, Clone, Copy)]
enum LifecycleStep {
    SetStatus(TicketStatus),
    /// A person assigns it to a user.
    Assign(UserId),
    /// A person moves it to another team, which removes the assignee.
    MoveToTeam(TeamId),
    Unassign,
    Delete,
}

impl TicketLifecycle {
    pub(super) fn new(scenario: &Scenario, index: u32, random: &mut impl Rng) -> Self {
        let second = scenario.start.secs().rem_euclid(86_400).unsigned_abs();
        let created = whole_seconds(arrival(index, scenario.tickets, second, random));
        let any = Contract::ALL[usize::from(random.random_bool(0.5))];
        let topic = pick(&TOPICS, random);
        let priority = *pick(&PRIORITIES, random);
        let created_at = scenario.start.plus(created);
        let team = one_of(&scenario.teams, random);
        let mut latest = Snapshot {
            kind: EventKind::Created,
            status: TicketStatus::New,
            team,
            assignee: None,
            resolved_at: None,
            updated_at: created_at,
        };
        let mut snapshots = vec![latest];
        for (after, change) in changes(scenario, team, priority, random) {
            let updated_at = created_at
                .plus(after)
                .max(latest.updated_at.plus(Duration::from_secs(1)));
            if updated_at >= scenario.start.plus(DAY) {
                break;
            }
            latest = latest.then(change, updated_at);
            snapshots.push(latest);
            if latest.kind == EventKind::Deleted || latest.status == TicketStatus::Cancelled {
                break;
            }
        }
        Self {
            contract: scenario.contract.unwrap_or(any),
            topic,
            priority,
            created_at,
            due_at: created_at.plus(due_within(priority)),
            snapshots,
        }
    }
}

impl Snapshot {
    fn then(self, change: LifecycleStep, updated_at: Timestamp) -> Self {
        let next = Self {
            kind: EventKind::Updated,
            updated_at,
            ..self
        };
        match change {
            LifecycleStep::SetStatus(status) => {
                let resolved_at = match status {
                    TicketStatus::Resolved => Some(updated_at),
                    TicketStatus::Closed => self.resolved_at,
                    _ => None,
                };
                Self {
                    status,
                    resolved_at,
                    ..next
                }
            }
            LifecycleStep::Assign(user) => Self {
                assignee: Some(user),
                ..next
            },
            LifecycleStep::MoveToTeam(team) => Self {
                team: Some(team),
                assignee: None,
                ..next
            },
            LifecycleStep::Unassign => Self {
                kind: EventKind::Unassigned,
                assignee: None,
                ..next
            },
            LifecycleStep::Delete => Self {
                kind: EventKind::Deleted,
                ..next
            },
        }
    }
}

/// Returns the changes of a ticket in order, each with the time after its creation. Changes after a
/// cancellation or a deletion are ignored.
fn changes(
    scenario: &Scenario,
    team: Option<TeamId>,
    priority: Priority,
    random: &mut impl Rng,
) -> Vec<(Duration, LifecycleStep)> {
    let (median, deviation) = resolution(priority);
    let resolved = log_normal(median, deviation, random).max(Duration::from_mins(3));
    let begun = resolved.mul_f64(random.random_range(0.05..0.4));
    let between = |random: &mut _, from: f64, to: f64| between(begun, resolved, from, to, random);

    let mut changes = vec![(begun, LifecycleStep::SetStatus(TicketStatus::InProgress))];
    if random.random_bool(0.25) {
        let waits = if random.random_bool(0.6) {
            TicketStatus::Pending
        } else {
            TicketStatus::OnHold
        };
        changes.push((between(random, 0.1, 0.5), LifecycleStep::SetStatus(waits)));
        changes.push((
            between(random, 0.6, 0.9),
            LifecycleStep::SetStatus(TicketStatus::InProgress),
        ));
    }
    if random.random_bool(0.01) {
        changes.push((between(random, 0.0, 0.5), LifecycleStep::Delete));
    }
    if random.random_bool(0.04) {
        changes.push((
            between(random, 0.0, 0.8),
            LifecycleStep::SetStatus(TicketStatus::Cancelled),
        ));
    }
    if random.random_bool(0.03) {
        changes.push((between(random, 0.0, 0.9), LifecycleStep::Unassign));
    }
    if random.random_bool(0.08)
        && let Some(user) = one_of(&scenario.users, random)
    {
        changes.push((between(random, 0.0, 0.9), LifecycleStep::Assign(user)));
    }
    if random.random_bool(0.03)
        && let Some(other) = one_of(&scenario.teams, random)
        && Some(other) != team
    {
        changes.push((between(random, 0.0, 0.5), LifecycleStep::MoveToTeam(other)));
    }

    changes.extend(completion(resolved, median, deviation, random));

    for (after, _) in &mut changes {
        *after = whole_seconds(*after);
    }
    changes.sort_by_key(|(after, _)| *after);
    changes
}

/// Returns the resolution of a ticket, and the changes after it: it can be reopened, and closed.
fn completion(
    resolved: Duration,
    median: Duration,
    deviation: f64,
    random: &mut impl Rng,
) -> Vec<(Duration, LifecycleStep)> {
    let mut changes = vec![(resolved, LifecycleStep::SetStatus(TicketStatus::Resolved))];
    let mut last = resolved;
    if random.random_bool(0.06) {
        let reopened = last + log_normal(Duration::from_mins(45), 0.8, random);
        let begun = reopened + log_normal(Duration::from_mins(20), 0.8, random);
        last = begun + log_normal(median / 2, deviation, random);
        changes.push((reopened, LifecycleStep::SetStatus(TicketStatus::Open)));
        changes.push((begun, LifecycleStep::SetStatus(TicketStatus::InProgress)));
        changes.push((last, LifecycleStep::SetStatus(TicketStatus::Resolved)));
    }
    if random.random_bool(0.9) {
        // The requester confirms the resolution.
        changes.push((
            last + log_normal(Duration::from_hours(1), 1.0, random),
            LifecycleStep::SetStatus(TicketStatus::Closed),
        ));
    }
    changes
}

/// Returns a random time between two, from one fraction of the way to another.
fn between(begin: Duration, end: Duration, from: f64, to: f64, random: &mut impl Rng) -> Duration {
    begin
        + end
            .saturating_sub(begin)
            .mul_f64(random.random_range(from..to))
}

/// Returns a log-normal time by its median and the deviation of its logarithm, limited to three
/// deviations.
fn log_normal(median: Duration, deviation: f64, random: &mut impl Rng) -> Duration {
    // The Box-Muller transform returns a normally distributed number.
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    let normal = (-2.0 * (1.0 - radius).ln()).sqrt() * (TAU * angle).cos();
    median.mul_f64((deviation * normal.clamp(-3.0, 3.0)).exp())
}

fn one_of<T: Copy>(options: &[T], random: &mut impl Rng) -> Option<T> {
    let count = u32::try_from(options.len()).unwrap_or(u32::MAX);
    (count > 0).then(|| options[random.random_range(0..count) as usize])
}

/// Rounds down to whole seconds: both platforms have no fractions.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}
