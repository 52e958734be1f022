//! The job queues and the schedule: finishes work that does not fit one request.
//!
//! A job does a bounded part of its work and puts the rest on the queue. It may be done twice, late
//! and beside another like it, because each job is idempotent.

mod routing;
mod sweep;
mod unrouted;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::future::join_all;
use lambda_runtime::LambdaEvent;
use muster_contracts::jobs::{Job, JobMessage, Lane, URGENT_PAGES, WaitingTotals};
use muster_domain::{Clock, OrganizationId, TeamId, TicketId, Timestamp, UserId};
use muster_service::{
    assign::Failure,
    aws::{sqs_batch::Batch, sqs_send::SendError},
    jobs::{JobQueues, JobToSend},
    store::{self, CopiedPage, PendingItem, PendingWork, Store, Table},
    telemetry,
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// What the function depends on. One for the life of its instance.
#[derive(Clone)]
pub struct Deps {
    /// The table.
    pub table: Table,
    /// The queues for continuations.
    pub jobs: JobQueues,
    /// The time.
    pub clock: Clock,
    /// How much a job does before it hands on the rest.
    pub pace: Pace,
}

/// How much a job does before it hands on the rest.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The number of index entries that a job reads at once.
    pub page: usize,
    /// The share of the invocation's time after which a job begins no further page, from 0 to 1.
    pub share: f64,
}

impl Default for Pace {
    /// 90 entries: as many tickets as fit a transaction beside the load of their team and a few
    /// members. Three fifths of the time: a page that begins then has the rest to finish.
    fn default() -> Self {
        Self {
            page: 90,
            share: 0.6,
        }
    }
}

/// The most messages of a chain of jobs.
///
/// Lambda's own loop detection stops a chain after about 16 invocations, so the template switches
/// it off for this function. A sweep of 100,000 tickets takes at most 1,112 messages, one for each
/// page of 90. AWS: "Use Lambda recursive loop detection to prevent infinite loops",
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>.
pub const MAX_HOPS: u32 = 2_000;

/// Handles a batch of messages of a job queue, or the schedule's own event, which is a job itself.
///
/// # Errors
/// The job of the schedule failed: Lambda counts an error, and retries twice. Messages that failed
/// are named in the response instead.
pub async fn handle(
    event: LambdaEvent<Value>,
    deps: &Deps,
) -> Result<SqsBatchResponse, lambda_runtime::Error> {
    let LambdaEvent { payload, context } = event;
    let is_scheduled = payload.get("Records").is_none();
    let payload = if is_scheduled {
        as_message(&payload)
    } else {
        payload
    };
    let event = serde_json::from_value::<SqsEvent>(payload).unwrap_or_else(|error| {
        // Nothing can be told of messages that are not there.
        tracing::error!(%error, "not an event of SQS");
        SqsEvent::default()
    });
    let mut batch = Batch::new(LambdaEvent::new(event, context));
    let runner = JobRunner::new(deps, batch.deadline());
    // A job that the batch has twice would only get in its own way.
    let mut jobs: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (position, body) in batch.bodies().enumerate() {
        jobs.entry(body.to_owned()).or_default().push(position);
    }
    let outcomes = join_all(jobs.keys().map(|body| runner.perform(body))).await;
    for ((body, positions), outcome) in jobs.into_iter().zip(outcomes) {
        if let Err(error) = outcome {
            if is_scheduled {
                // The schedule has no queue that redelivers its event, and a response that names it
                // is no error to Lambda.
                tracing::error!(%error, "the scheduled job failed");
                return Err("the scheduled job failed".into());
            }
            batch.fail(positions, organization_of(&body), error);
        }
    }
    Ok(batch.into_response())
}

/// The schedule's event as a message of the queue.
fn as_message(job: &Value) -> Value {
    json!({ "Records": [{ "messageId": "schedule", "body": job.to_string() }] })
}

/// The organization that a job is for, if it is for one.
fn organization_of(job: &str) -> Option<OrganizationId> {
    let job: Value = serde_json::from_str(job).ok()?;
    OrganizationId::parse(job.get("organization_id")?.as_str()?).ok()
}

/// Why a job has to be done again.
#[derive(Debug)]
enum Error {
    Unreadable(String),
    Store(store::Error),
    Ticket(Failure),
    SendError(SendError),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "not a job: {why}"),
            Self::Store(error) => error.fmt(f),
            Self::Ticket(Failure::Store(error)) => error.fmt(f),
            Self::Ticket(Failure::UnknownOrganization) => {
                f.write_str("there is no such organization")
            }
            Self::SendError(error) => error.fmt(f),
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::SendError(error)
    }
}

/// The dependencies and deadlines that the jobs of one invocation share.
struct JobRunner<'d> {
    /// Gives up early enough that a job can still hand on the rest of its work.
    store: Store,
    queues: &'d JobQueues,
    now: Timestamp,
    clock: &'d Clock,
    pace: Pace,
    /// When a job stops beginning more.
    stop: Instant,
    deadline: Instant,
}

/// One job, with its place in a chain of jobs that continue each other.
struct Run<'w> {
    runner: &'w JobRunner<'w>,
    /// The number of messages before this job in its chain.
    hop: u32,
    /// Tickets that failed in this chain. Jobs of their own retry them.
    retried: BTreeSet<TicketId>,
    /// The queue that the message came from.
    lane: Lane,
    /// The number of pages that this message has done.
    pages: usize,
}

impl<'d> JobRunner<'d> {
    /// The share of the time between [`JobRunner::stop`] and the deadline that the store has. The
    /// rest is for the queue.
    const STORE_SHARE: f64 = 0.9;

    fn new(deps: &'d Deps, deadline: Instant) -> Self {
        let begun = Instant::now();
        let left = deadline.saturating_duration_since(begun);
        // The rest is for work that is begun by then, and for handing on the work that is not.
        let stop = begun + left.mul_f64(deps.pace.share);
        let store_deadline = stop
            + deadline
                .saturating_duration_since(stop)
                .mul_f64(Self::STORE_SHARE);
        Self {
            store: deps.table.until(store_deadline),
            queues: &deps.jobs,
            now: (deps.clock)(),
            clock: &deps.clock,
            pace: deps.pace,
            stop,
            deadline,
        }
    }

    /// Does the job of one message.
    async fn perform(&self, body: &str) -> Result<(), Error> {
        let message: JobMessage =
            serde_json::from_str(body).map_err(|error| Error::Unreadable(error.to_string()))?;
        let lane = message.lane();
        let JobMessage {
            job,
            hop,
            retried,
            is_rest: _,
        } = message;
        let retried = retried
            .iter()
            .map(|id| ticket(id))
            .collect::<Result<_, _>>()?;
        Run {
            runner: self,
            hop,
            retried,
            lane,
            pages: 0,
        }
        .perform(&job)
        .await
    }

    /// Returns the time now. The field `now` is the time when the invocation began.
    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl Run<'_> {
    /// How often an index is looked at again that does not show yet what the table counts, each
    /// time after twice as long, from one second on; then the schedule does.
    const MAX_LOOKS: u32 = 8;
    /// How long after a first look nothing is under way any more that began before it: longer than
    /// any function may take.
    const SECOND_LOOK: Duration = Duration::from_secs(90);

    async fn perform(&mut self, job: &Job) -> Result<(), Error> {
        match job {
            Job::SweepTeam {
                organization_id,
                team_id,
                empty_reads,
            } => {
                self.sweep_team(
                    &organization(organization_id)?,
                    team(team_id)?,
                    *empty_reads,
                )
                .await
            }
            Job::DrainTeam {
                organization_id,
                team_id,
                empty_reads,
            } => {
                self.drain_team(
                    &organization(organization_id)?,
                    team(team_id)?,
                    *empty_reads,
                )
                .await
            }
            Job::IndexSpecializations {
                organization_id,
                team_id,
            } => {
                self.index_specializations(&organization(organization_id)?, team(team_id)?)
                    .await
            }
            Job::RouteUnrouted {
                organization_id,
                progress,
            } => {
                self.route_unrouted(&organization(organization_id)?, progress.clone())
                    .await
            }
            Job::ProcessTicket {
                organization_id,
                ticket_id,
                list,
            } => {
                self.settle_ticket(&organization(organization_id)?, ticket(ticket_id)?, *list)
                    .await
            }
            Job::CopyProfile {
                organization_id,
                user_id,
                after,
                second_pass,
                rev,
            } => {
                let look = Look {
                    after: after.clone(),
                    is_second: *second_pass,
                    rev: *rev,
                };
                self.copy_profile(&organization(organization_id)?, user(user_id)?, look)
                    .await
            }
            Job::RestartPendingWork { after, waiting } => {
                self.restart_unfinished(after.clone(), *waiting).await
            }
        }
    }

    /// Counts a page, and returns whether the message may begin another: there is time, and on the
    /// urgent queue there are fewer than [`URGENT_PAGES`] so far.
    fn has_time_left(&mut self) -> bool {
        self.pages += 1;
        let has_pages = self.lane == Lane::Long || self.pages < URGENT_PAGES;
        has_pages && Instant::now() < self.runner.stop
    }

    /// Has a job look again later at an index that does not show the rest of its work yet.
    async fn requeue_with_backoff(
        &self,
        empty_reads: u32,
        job: impl FnOnce(u32) -> Job,
    ) -> Result<(), Error> {
        if empty_reads == Self::MAX_LOOKS {
            return Ok(());
        }
        self.enqueue(
            vec![job(empty_reads + 1)],
            Duration::from_secs(1 << empty_reads),
        )
        .await
    }

    /// Continues this chain on its queue with jobs, unless it has reached [`MAX_HOPS`]: then it
    /// ends here.
    async fn enqueue(&self, jobs: Vec<Job>, delay: Duration) -> Result<(), Error> {
        let is_rest = self.lane == Lane::Long;
        self.continue_chain(jobs, delay, is_rest).await
    }

    /// Hands on the rest of a job to the long queue, at once.
    async fn enqueue_rest(&self, job: Job) -> Result<(), Error> {
        self.continue_chain(vec![job], Duration::ZERO, true).await
    }

    async fn continue_chain(
        &self,
        jobs: Vec<Job>,
        delay: Duration,
        is_rest: bool,
    ) -> Result<(), Error> {
        let Self {
            runner,
            hop,
            retried,
            lane: _,
            pages: _,
        } = self;
        if *hop >= MAX_HOPS {
            tracing::error!(jobs = ?jobs.iter().map(Job::name).collect::<Vec<_>>(), hop, "job chain is too long");
            telemetry::record(|measured| measured.jobs_aborted += jobs.len());
            return Ok(());
        }
        let retried: BTreeSet<String> = retried.iter().map(ToString::to_string).collect();
        let continued = |job: Job| {
            // A job that starts on the long queue needs no mark to stay there.
            let is_rest = is_rest && job.lane() == Lane::Urgent;
            let message = JobMessage {
                job,
                hop: hop + 1,
                retried: retried.clone(),
                is_rest,
            };
            JobToSend::delayed(&message, delay)
        };
        let messages: Vec<_> = jobs.into_iter().map(continued).collect();
        Ok(runner.queues.send(&messages, runner.deadline).await?)
    }

    /// Starts a chain with each of these jobs.
    async fn start(&self, jobs: &[Job]) -> Result<(), Error> {
        let messages: Vec<_> = jobs.iter().cloned().map(JobToSend::first).collect();
        Ok(self
            .runner
            .queues
            .send(&messages, self.runner.deadline)
            .await?)
    }

    /// Copies a user's profile into their memberships, page by page.
    ///
    /// The index may not show yet a membership that began just before the profile changed. So there
    /// is a second look, after which the profile leaves the index of unfinished work if it has not
    /// changed since the first.
    async fn copy_profile(
        &mut self,
        org: &OrganizationId,
        user: UserId,
        look: Look,
    ) -> Result<(), Error> {
        let Look {
            mut after,
            is_second,
            rev: mut first_rev,
        } = look;
        let runner = self.runner;
        let store = &runner.store;
        let rest = |after, second_pass, rev| Job::CopyProfile {
            organization_id: org.to_string(),
            user_id: user.uuid().to_string(),
            after,
            second_pass,
            rev: Some(rev),
        };
        loop {
            let Some(page) = store.copy_profile(org, user, after, runner.now).await? else {
                return Ok(());
            };
            let CopiedPage {
                rev,
                is_marked,
                next,
            } = page;
            let rev = *first_rev.get_or_insert(rev);
            match next {
                None if !is_second => {
                    return self
                        .enqueue(vec![rest(None, true, rev)], Self::SECOND_LOOK)
                        .await;
                }
                None if is_marked => return Ok(store.mark_profile_copied(org, user, rev).await?),
                None => return Ok(()),
                Some(_) if !self.has_time_left() => {
                    return self.enqueue_rest(rest(next, is_second, rev)).await;
                }
                Some(_) => after = next,
            }
        }
    }

    /// Starts the jobs of all marked loads, and of other marked items once they are older than
    /// [`START_AGAIN_AFTER`]; counts the waiting tickets. A job that is under way is done twice,
    /// which is harmless.
    ///
    /// What does not fit one invocation goes on in another, which is told how many were counted:
    /// only the last tells of all, and none where a part could not be counted.
    async fn restart_unfinished(
        &mut self,
        mut after: Option<String>,
        waiting: Option<WaitingTotals>,
    ) -> Result<(), Error> {
        let mut waiting = if after.is_none() {
            Some(WaitingTotals::default())
        } else {
            waiting
        };
        loop {
            let page = self
                .runner
                .store
                .pending_work(after.as_deref(), self.runner.pace.page)
                .await?;
            let restarted: Vec<Job> = page
                .entries
                .iter()
                .filter_map(|marked| job_of(marked, self.runner.now))
                .collect();
            self.start(&restarted).await?;
            if let Some(before) = waiting {
                waiting = self.count_waiting(before, &page.entries).await;
            }
            after = page.next;
            if after.is_none() {
                telemetry::record(|measured| measured.waiting = waiting.or(measured.waiting));
                return Ok(());
            }
            if !self.has_time_left() {
                return self
                    .enqueue(
                        vec![Job::RestartPendingWork { after, waiting }],
                        Duration::ZERO,
                    )
                    .await;
            }
        }
    }

    /// Adds who waits to those that were counted before, for the metrics. Work goes on where that
    /// cannot be told.
    async fn count_waiting(
        &self,
        before: WaitingTotals,
        marked: &[PendingItem],
    ) -> Option<WaitingTotals> {
        let teams = marked.iter().filter_map(|marked| match &marked.work {
            PendingWork::Drain(org, team) => Some((org, *team)),
            PendingWork::Sweep(..)
            | PendingWork::IndexSpecializations(..)
            | PendingWork::CopyProfile(..)
            | PendingWork::RouteUnrouted(_) => None,
        });
        let waiting = self.runner.store.waiting_tickets(teams).await;
        let waiting = waiting
            .inspect_err(|error| tracing::warn!(%error, "who waits was not counted"))
            .ok()?;
        Some(WaitingTotals {
            tickets: before.tickets + waiting.iter().sum::<u64>(),
            teams: before.teams + waiting.len() as u64,
        })
    }
}

/// The progress of copying a profile.
struct Look {
    /// The cursor of the next page.
    after: Option<String>,
    is_second: bool,
    /// The revision of the profile at the beginning of the first look.
    rev: Option<u64>,
}

/// The age from which on the schedule starts unfinished work again. Younger work has a message
/// under way in most cases. A drain costs one read if it is not due, and waiting tickets are
/// urgent, so that the schedule starts every drain.
const START_AGAIN_AFTER: Duration = Duration::from_mins(5);

/// Returns the job that finishes an item, if the schedule has to start it by now.
fn job_of(marked: &PendingItem, now: Timestamp) -> Option<Job> {
    let PendingItem { since, work } = marked;
    let is_old = now.since(*since) >= START_AGAIN_AFTER;
    match work {
        PendingWork::Drain(org, team) => Some(Job::drain(org, *team, 0)),
        PendingWork::Sweep(org, team) => is_old.then(|| Job::sweep(org, *team, 0)),
        PendingWork::IndexSpecializations(org, team) => {
            is_old.then(|| Job::index_specializations(org, *team))
        }
        PendingWork::CopyProfile(org, user) => is_old.then(|| Job::copy_profile(org, *user, false)),
        PendingWork::RouteUnrouted(org) => is_old.then(|| Job::route_unrouted(org, None)),
    }
}

fn organization(text: &str) -> Result<OrganizationId, Error> {
    OrganizationId::parse(text).map_err(|_| Error::Unreadable("organization_id".to_owned()))
}

fn team(text: &str) -> Result<TeamId, Error> {
    TeamId::parse(text).map_err(|_| Error::Unreadable("team_id".to_owned()))
}

fn ticket(text: &str) -> Result<TicketId, Error> {
    TicketId::parse(text).map_err(|_| Error::Unreadable("ticket_id".to_owned()))
}

fn user(text: &str) -> Result<UserId, Error> {
    UserId::parse(text).map_err(|_| Error::Unreadable("user_id".to_owned()))
}
