//! Running one job: its deadlines, its follow-up messages and its chain.

use std::{collections::BTreeSet, time::Duration};

use muster_contracts::jobs::{Job, JobMessage, Lane, URGENT_PAGES};
use muster_domain::{Clock, OrganizationId, TeamId, TicketId, Timestamp, UserId};
use muster_service::{
    jobs::{JobQueues, JobToSend},
    store::Store,
    telemetry,
};
use tokio::time::Instant;

use crate::{Deps, Error, MAX_HOPS, Pace, copy_profiles::CopyProgress, restart::Totals};

/// The dependencies and deadlines that the jobs of one invocation share.
pub(crate) struct JobRunner<'d> {
    /// The store. Its deadline leaves time to send a follow-up message.
    pub(crate) store: Store,
    queues: &'d JobQueues,
    /// The time when the invocation began.
    pub(crate) started_at: Timestamp,
    clock: &'d Clock,
    pub(crate) pace: Pace,
    /// The time after which a job begins no further page.
    stop: Instant,
    deadline: Instant,
}

/// The run of one job, with its place in a chain of jobs that continue each other.
pub(crate) struct Run<'w> {
    pub(crate) runner: &'w JobRunner<'w>,
    /// The number of messages before this job in its chain.
    hop: u32,
    /// The tickets that failed in this chain. Each has a job of its own that retries it.
    pub(crate) retried: BTreeSet<TicketId>,
    /// The queue of the message.
    lane: Lane,
    /// The number of pages so far.
    pages: usize,
}

impl<'d> JobRunner<'d> {
    /// The part of the time between `stop` and the deadline that the store may use. The rest is for
    /// sending follow-up messages.
    const STORE_SHARE: f64 = 0.9;

    pub(crate) fn new(deps: &'d Deps, deadline: Instant) -> Self {
        let begun = Instant::now();
        let left = deadline.saturating_duration_since(begun);
        // After `stop` a job only finishes the current page and sends the rest.
        let stop = begun + left.mul_f64(deps.pace.share);
        let store_deadline = stop
            + deadline
                .saturating_duration_since(stop)
                .mul_f64(Self::STORE_SHARE);
        Self {
            store: deps.table.until(store_deadline),
            queues: &deps.jobs,
            started_at: (deps.clock)(),
            clock: &deps.clock,
            pace: deps.pace,
            stop,
            deadline,
        }
    }

    /// Runs the job of one message.
    pub(crate) async fn run(&self, body: &str) -> Result<(), Error> {
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
        .run(&job)
        .await
    }

    /// Returns the current time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl Run<'_> {
    /// The most reads of an index that does not show yet the tickets that the table counts (the
    /// index is eventually consistent). The delay doubles from one second on. Then the schedule
    /// starts the job again.
    const MAX_EMPTY_READS: u32 = 8;
    /// The delay between the two passes of a profile copy. It exceeds the longest timeout of a
    /// function, so that no write from before the first pass is still in flight.
    pub(crate) const SECOND_PASS_DELAY: Duration = Duration::from_secs(90);

    async fn run(&mut self, job: &Job) -> Result<(), Error> {
        match job {
            Job::SweepTeam {
                organization_id,
                team_id,
                empty_reads,
            } => {
                let (organization, team) = (organization(organization_id)?, team(team_id)?);
                self.sweep_team(&organization, team, *empty_reads).await
            }
            Job::DrainTeam {
                organization_id,
                team_id,
                empty_reads,
            } => {
                let (organization, team) = (organization(organization_id)?, team(team_id)?);
                self.drain_team(&organization, team, *empty_reads).await
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
                self.process_ticket(&organization(organization_id)?, ticket(ticket_id)?, *list)
                    .await
            }
            Job::CopyProfile {
                organization_id,
                user_id,
                after,
                second_pass,
                rev,
            } => {
                let progress = CopyProgress {
                    after: after.clone(),
                    is_second_pass: *second_pass,
                    rev: *rev,
                };
                self.copy_profile(&organization(organization_id)?, user(user_id)?, progress)
                    .await
            }
            Job::RestartPendingWork {
                after,
                waiting,
                unrouted,
            } => {
                let totals = Totals {
                    waiting: *waiting,
                    unrouted: *unrouted,
                };
                self.restart_unfinished(after.clone(), totals).await
            }
        }
    }

    /// Counts a page. Returns whether the job may begin another: time is left, and a job of the
    /// urgent queue has done fewer than [`URGENT_PAGES`].
    pub(crate) fn has_time_left(&mut self) -> bool {
        self.pages += 1;
        let has_pages = self.lane == Lane::Long || self.pages < URGENT_PAGES;
        has_pages && Instant::now() < self.runner.stop
    }

    /// Sends a job again with a longer delay, because the index does not show the rest of its work
    /// yet.
    pub(crate) async fn requeue_with_backoff(
        &self,
        empty_reads: u32,
        job: impl FnOnce(u32) -> Job,
    ) -> Result<(), Error> {
        if empty_reads == Self::MAX_EMPTY_READS {
            return Ok(());
        }
        self.enqueue(
            vec![job(empty_reads + 1)],
            Duration::from_secs(1 << empty_reads),
        )
        .await
    }

    /// Continues the chain with jobs on its queue. A chain of [`MAX_HOPS`] messages ends here.
    pub(crate) async fn enqueue(&self, jobs: Vec<Job>, delay: Duration) -> Result<(), Error> {
        let is_rest = self.lane == Lane::Long;
        self.continue_chain(jobs, delay, is_rest).await
    }

    /// Sends the rest of a job to the long queue, without delay.
    pub(crate) async fn enqueue_rest(&self, job: Job) -> Result<(), Error> {
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
            telemetry::record(|metrics| metrics.jobs_aborted += jobs.len());
            return Ok(());
        }
        let retried: BTreeSet<String> = retried.iter().map(ToString::to_string).collect();
        let continued = |job: Job| {
            // A job of the long lane stays there without the flag.
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

    /// Starts a chain with each of the jobs.
    pub(crate) async fn start(&self, jobs: &[Job]) -> Result<(), Error> {
        let messages: Vec<_> = jobs.iter().cloned().map(JobToSend::first).collect();
        Ok(self
            .runner
            .queues
            .send(&messages, self.runner.deadline)
            .await?)
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
