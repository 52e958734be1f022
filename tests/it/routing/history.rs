//! Seeded scenarios: thousands of events, partly duplicated and out of order, processed by
//! concurrent batches.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use muster_domain::QueueStrategy::{LeastBusy, RoundRobin, SkillBased};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::support::{
    Stack,
    crash::{CrashPoint, Instance},
    org::{OrgFixture, Scenario, ScenarioPlan, TeamFixture, TicketHistory, team},
    sqs::{Sent, invoke_assignment},
    table::{Item, number, text},
    table_audit::TableAudit,
};

const TOPICS: [&str; 12] = [
    "vpn", "dns", "mail", "printer", "sso", "wifi", "laptop", "payroll", "hiring", "badge",
    "backup", "legal",
];
const TEAMS: usize = 40;
const USERS: usize = 120;
/// Round-robin teams with a constant roster, where no member is ever passed over. Elsewhere a
/// ticket that is unassigned goes to another member and takes a turn, so the numbers of decisions
/// may differ by more than one.
const STEADY: std::ops::Range<usize> = 0..12;
/// The team that a member leaves and joins again.
const CHANGING: usize = 13;
/// The team that is deleted.
const DELETED: usize = 38;
/// The team that is empty at first.
const EMPTY_AT_FIRST: usize = 39;

/// Returns forty teams of six members, of every strategy.
fn teams() -> Vec<TeamFixture> {
    let mut rng = StdRng::seed_from_u64(40);
    (0..TEAMS)
        .map(|n| {
            let strategy = match n {
                0..16 => RoundRobin,
                _ if n.is_multiple_of(2) => LeastBusy,
                _ => SkillBased,
            };
            let members = (n * 3..n * 3 + 6).map(|user| (user % USERS, Vec::new()));
            let mut team = TeamFixture {
                members: members.collect(),
                ..TeamFixture::of(strategy, [])
            };
            for (_, skills) in &mut team.members {
                skills.extend(TOPICS.choose_multiple(&mut rng, 2));
            }
            match n {
                // No team has the last topic.
                EMPTY_AT_FIRST => team.members.clear(),
                16.. if n != DELETED => team
                    .specializations
                    .extend(TOPICS[..11].choose_multiple(&mut rng, 2)),
                _ => {}
            }
            team
        })
        .collect()
}

/// The delivery of a scenario's batches.
struct ScheduledDelivery {
    workers: u64,
    /// The range of messages in a batch.
    sizes: RangeInclusive<usize>,
    /// The percentage of instances that crash.
    crash_percent: u32,
}

/// The messages of a scenario, and the changes of the roster between the batches.
struct DeliveryQueue {
    org: Arc<OrgFixture>,
    delivery: ScheduledDelivery,
    total: usize,
    /// The messages and the number of batches in flight.
    messages: Mutex<(VecDeque<String>, usize)>,
    /// The percentage of taken messages at which each change is due.
    changes: Mutex<VecDeque<(usize, MembershipChange)>>,
}

/// A change of the roster.
#[derive(Debug, Clone, Copy)]
enum MembershipChange {
    Leave,
    Delete,
    Return,
    Join,
}

impl DeliveryQueue {
    /// Takes the next batch, which is empty if every message is taken. `None` if no batch is in
    /// flight either.
    fn next_batch(&self, rng: &mut StdRng) -> Option<Vec<String>> {
        let (messages, in_flight) = &mut *self.messages.lock().expect("the lock is not poisoned");
        let size = rng
            .random_range(self.delivery.sizes.clone())
            .min(messages.len());
        let batch: Vec<_> = messages.drain(..size).collect();
        if batch.is_empty() && *in_flight == 0 {
            return None;
        }
        *in_flight += usize::from(!batch.is_empty());
        Some(batch)
    }

    /// Ends a batch. The failed messages are redelivered.
    fn end_batch(&self, failed: impl Iterator<Item = String>) {
        let (messages, in_flight) = &mut *self.messages.lock().expect("the lock is not poisoned");
        messages.extend(failed);
        *in_flight -= 1;
    }

    /// Makes the next change of the roster, if it is due.
    async fn change_roster(&self) {
        let change = {
            let left = self
                .messages
                .lock()
                .expect("the lock is not poisoned")
                .0
                .len();
            let taken = 100 * (self.total - left) / self.total;
            let mut changes = self.changes.lock().expect("the lock is not poisoned");
            let is_due = changes.front().is_some_and(|(at, _)| taken >= *at);
            if is_due { changes.pop_front() } else { None }
        };
        match change.map(|(_, change)| change) {
            Some(MembershipChange::Leave) => self.org.leave(CHANGING, CHANGING * 3).await,
            Some(MembershipChange::Delete) => self.org.delete(DELETED).await,
            Some(MembershipChange::Return) => self.org.join(CHANGING, CHANGING * 3, &[]).await,
            Some(MembershipChange::Join) => self.org.join(EMPTY_AT_FIRST, 7, &["vpn"]).await,
            None => {}
        }
    }

    /// Processes batches until no message is left. Returns the number of crashed instances.
    async fn work(self: Arc<Self>, worker: u64) -> usize {
        let mut rng = StdRng::seed_from_u64(worker);
        let mut crashes = 0;
        while let Some(batch) = self.next_batch(&mut rng) {
            if batch.is_empty() {
                // A batch in flight may still fail.
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            self.change_roster().await;
            let crash_point = *[CrashPoint::BeforeCall, CrashPoint::AfterCall]
                .choose(&mut rng)
                .expect("two");
            let crash_at = (rng.random_range(0..100) < self.delivery.crash_percent)
                .then(|| (rng.random_range(0..60), crash_point));
            let instance = Instance::crashing(&self.org.transaction_log, crash_at);
            let deps = self.org.assignment(&instance);
            let failed = instance.run(invoke_assignment(&deps, &batch)).await;
            crashes += usize::from(failed.is_none());
            let failed = failed.unwrap_or_else(|| (0..batch.len()).collect());
            self.end_batch(failed.into_iter().map(|position| batch[position].clone()));
        }
        crashes
    }
}

/// Lets concurrent workers process the messages in batches. Failed messages, and the batches of
/// crashed instances, are redelivered. The roster changes between batches. Returns the number of
/// crashed instances.
///
/// Each worker is a task of its own: the SDK's code takes most of the time, and runs on all cores.
async fn deliver(
    org: &Arc<OrgFixture>,
    messages: Vec<String>,
    delivery: ScheduledDelivery,
) -> usize {
    let workers = delivery.workers;
    let queue = Arc::new(DeliveryQueue {
        org: Arc::clone(org),
        delivery,
        total: messages.len(),
        messages: Mutex::new((VecDeque::from(messages), 0)),
        changes: Mutex::new(VecDeque::from([
            (30, MembershipChange::Leave),
            (50, MembershipChange::Delete),
            (60, MembershipChange::Return),
            (70, MembershipChange::Join),
        ])),
    });
    let work = |worker| tokio::spawn(Arc::clone(&queue).work(worker));
    let crashes = join_all((0..workers).map(work)).await.into_iter();
    crashes
        .map(|crashes| crashes.expect("no worker panics"))
        .sum()
}

/// Asserts that a ticket item has the version of its newest event.
fn assert_newest_event(id: &str, item: &Item, history: &TicketHistory) {
    let (at, event_id) = &history.version;
    // Every event sets the status. Its code is `s`.
    let is_newest = |text: &String| {
        text.split_once('#').is_some_and(|(fields, version)| {
            fields.contains('s')
                && version.starts_with(&format!("{}#", at * 1000))
                && version.ends_with(&format!("#{event_id}"))
        })
    };
    let versions: Vec<_> = item["versions"]
        .as_l()
        .expect("a list")
        .iter()
        .filter_map(|text| text.as_s().ok())
        .collect();
    assert!(
        versions.iter().copied().any(is_newest),
        "{id}: {history:?} {versions:?}"
    );
}

/// Asserts that every ticket has the state of its events.
fn assert_none_is_lost(
    audit: &TableAudit,
    histories: &BTreeMap<String, TicketHistory>,
    org: &OrgFixture,
) {
    let mut decisions: HashMap<String, usize> = HashMap::new();
    for (_, (ticket, _)) in org.transaction_log.decisions().into_values().flatten() {
        let id = ticket.rsplit('#').next().unwrap_or_default().to_owned();
        *decisions.entry(id).or_default() += 1;
    }
    assert!(
        audit.tickets.keys().eq(histories.keys()),
        "exactly the tickets of the scenario exist"
    );
    let mut plain = 0;
    for (id, history) in histories {
        let item = &audit.tickets[id];
        let decided = decisions.get(id).copied().unwrap_or(0);
        // After the deletion of its team, a later event that names the team routes the ticket by
        // specializations.
        let rematched = usize::from(history.named.contains(&team(DELETED)));
        assert!(
            decided <= history.decisions + rematched,
            "{id} was decided {decided} times: {history:?} {item:?}"
        );
        if history.is_deleted {
            assert_eq!(text(item, "state"), "deleted", "{id}: {history:?}");
            continue;
        }
        assert_newest_event(id, item, history);
        assert_eq!(text(item, "status"), history.status, "{id}");
        if history.named.contains(&team(DELETED)) {
            continue;
        }
        if let Some(user) = &history.adopted_by {
            assert_eq!(text(item, "assignee_id"), user, "{id}: {history:?}");
        }
        if history.is_plain {
            plain += 1;
            assert_eq!(
                (decided, text(item, "state")),
                (1, "assigned"),
                "{id}: {history:?}"
            );
            assert!(
                history.named.contains(text(item, "team_id")),
                "{id}: {item:?}"
            );
        }
    }
    assert!(
        plain * 20 > histories.len(),
        "only {plain} of {} tickets are decided once",
        histories.len()
    );
}

async fn run_scenario(events: usize, seed: u64, delivery: ScheduledDelivery) -> usize {
    // The engine slows down as its transactions grow in number, so this test has a stack of its
    // own.
    let stack = Stack::with(|_| {}).await;
    let teams = teams();
    let org = Arc::new(OrgFixture::open(&stack, USERS, &teams).await);
    let steady: Vec<_> = STEADY.collect();
    let unassigning: Vec<_> = (STEADY.end..TEAMS).collect();
    let plan = ScenarioPlan {
        seed,
        events,
        unassigning: &unassigning,
        steady: &steady,
        users: USERS,
        teams: &teams,
        topics: &TOPICS,
    };
    let Scenario {
        mut messages,
        histories,
    } = plan.make(&org.id);
    let poison: Vec<_> = (0..20)
        .map(|n| format!("{{ this is no event: {n}"))
        .collect();
    for (n, poison) in poison.iter().enumerate() {
        messages.insert(n * messages.len() / 20, poison.clone());
    }
    let began = Instant::now();
    let count = messages.len();
    let crashes = deliver(&org, messages, delivery).await;
    let delivered_in = began.elapsed();
    org.assert_consistent().await;
    org.finish().await;
    let audit = org.assert_consistent().await;
    let (made, conflicts) = org.transaction_log.transactions();
    eprintln!(
        "{count} messages about {} tickets in {delivered_in:?}, {made} transactions, {conflicts} conflicts, {crashes} crashes; \
         all in {:?}",
        histories.len(),
        began.elapsed()
    );

    audit.assert_at_rest();
    assert_none_is_lost(&audit, &histories, &org);
    let mut dead_letters: Vec<_> = org
        .dead_letters
        .take()
        .into_iter()
        .map(|Sent { body, .. }| body)
        .collect();
    dead_letters.sort();
    dead_letters.dedup();
    let mut poison = poison;
    poison.sort();
    assert_eq!(dead_letters, poison);
    for n in STEADY {
        let (fewest, most) = audit.spread(&team(n), &org.transaction_log);
        assert!(
            most > 0 && most - fewest <= 1,
            "decisions in team {n}: {fewest} to {most}"
        );
    }
    assert!(audit.deleted_teams.contains_key(&team(DELETED)));
    assert!(
        number(&audit.loads[&team(EMPTY_AT_FIRST)], "turn") > 0,
        "waiting tickets were assigned"
    );
    crashes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn day_of_20000_events_leaves_exact_counters() {
    let delivery = ScheduledDelivery {
        workers: 8,
        sizes: 100..=100,
        crash_percent: 0,
    };
    run_scenario(20_000, 2026, delivery).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_instances_leave_exact_counters() {
    let delivery = ScheduledDelivery {
        workers: 8,
        sizes: 1..=50,
        crash_percent: 40,
    };
    let crashes = run_scenario(2000, 31, delivery).await;
    assert!(crashes >= 10, "only {crashes} instances crashed");
}
