//! The organization's pass over its unrouted tickets.

use std::time::Duration;

use muster_contracts::jobs::{FailedOn, Job, PassProgress};
use muster_domain::{OrganizationId, RoutingPass, TeamId, Timestamp};
use muster_service::store::{IndexPage, Released};

use crate::{Error, runner::Run};

impl Run<'_> {
    /// Indexes a team under its current topics. If the team has new topics, starts the
    /// organization's pass.
    pub(super) async fn index_specializations(
        &self,
        org: &OrganizationId,
        team: TeamId,
    ) -> Result<(), Error> {
        let has_merged = self
            .runner
            .store
            .index_specializations(org, team, self.runner.now())
            .await?;
        if has_merged {
            self.enqueue(vec![Job::route_unrouted(org, None)], Duration::ZERO)
                .await?;
        }
        Ok(())
    }

    /// Begins or continues the pass over the organization's unrouted tickets, page by page.
    ///
    /// A lease limits an organization to one pass at a time. A job that finds the lease taken ends,
    /// because its holder reads the merged topics before the release. After a crash the pass is
    /// still pending work, and the schedule starts it again.
    pub(super) async fn route_unrouted(
        &mut self,
        org: &OrganizationId,
        progress: Option<PassProgress>,
    ) -> Result<(), Error> {
        let progress = match progress {
            None => self.begin_pass(org).await?,
            Some(progress) if progress.is_complete => self.follow_pass(org, progress).await?,
            Some(progress) => Some(progress),
        };
        let Some(mut progress) = progress else {
            return Ok(());
        };
        loop {
            let runner = self.runner;
            let Some(pass) = runner
                .store
                .renew_lease(org, &progress.owner, self.lease_end())
                .await?
            else {
                return Ok(());
            };
            let after = progress.after.as_deref();
            let IndexPage { entries, next } = runner
                .store
                .unrouted_tickets(org, after, runner.pace.page)
                .await?;
            let matching = entries
                .into_iter()
                .filter(|(_, filter)| pass.topics.may_match(*filter))
                .map(|(id, _)| id);
            self.process_tickets(org, matching.collect(), FailedOn::Unrouted)
                .await?;
            progress.after = next;
            if progress.after.is_none() {
                return self.end_pass(org, progress).await;
            }
            if !self.has_time_left() {
                return self
                    .enqueue(
                        vec![Job::route_unrouted(org, Some(progress))],
                        Duration::ZERO,
                    )
                    .await;
            }
        }
    }

    /// Takes the lease if a pass is due. If only the last pass is left and is not due yet, sends a
    /// delayed job.
    async fn begin_pass(&self, org: &OrganizationId) -> Result<Option<PassProgress>, Error> {
        let (store, now) = (&self.runner.store, self.runner.now());
        let Some(pass) = store
            .pass(org)
            .await?
            .filter(|pass| pass.is_pending && !pass.is_leased(now))
        else {
            return Ok(None);
        };
        if !pass.has_new_topics() && now < pass.last_pass_at() {
            self.start_last_pass(org, &pass, now).await?;
            return Ok(None);
        }
        let lease = store.take_lease(org, now, self.lease_end()).await?;
        Ok(lease.map(|lease| PassProgress {
            owner: lease.owner,
            rev: lease.pass.rev,
            began_at: now.millis(),
            after: None,
            is_complete: false,
        }))
    }

    /// Ends a complete pass: finishes if it was the last, else pauses. Topics that are merged
    /// during the pause share the next pass.
    async fn end_pass(&self, org: &OrganizationId, progress: PassProgress) -> Result<(), Error> {
        let store = &self.runner.store;
        let PassProgress {
            owner,
            rev,
            began_at,
            ..
        } = &progress;
        let Some(pass) = store.cover_pass(org, owner, *rev, self.lease_end()).await? else {
            return Ok(());
        };
        if pass.is_finished_by(*rev, Timestamp::from_millis(*began_at)) {
            match store.finish_pass(org, owner, *rev).await? {
                Released::Done | Released::Lost => return Ok(()),
                Released::Merged => {}
            }
        }
        let paused = PassProgress {
            is_complete: true,
            after: None,
            ..progress
        };
        self.enqueue(
            vec![Job::route_unrouted(org, Some(paused))],
            RoutingPass::PAUSE,
        )
        .await
    }

    /// Continues after the pause of a complete pass. Begins a further pass if topics were merged,
    /// else releases the lease and leaves the last pass to a later job.
    async fn follow_pass(
        &self,
        org: &OrganizationId,
        progress: PassProgress,
    ) -> Result<Option<PassProgress>, Error> {
        let store = &self.runner.store;
        loop {
            let now = self.runner.now();
            let Some(pass) = store
                .renew_lease(org, &progress.owner, self.lease_end())
                .await?
            else {
                return Ok(None);
            };
            if pass.has_new_topics() {
                let began_at = now.millis();
                return Ok(Some(PassProgress {
                    rev: pass.rev,
                    began_at,
                    after: None,
                    is_complete: false,
                    ..progress
                }));
            }
            match store.release_lease(org, &progress.owner, pass.rev).await? {
                Released::Done => {
                    self.start_last_pass(org, &pass, now).await?;
                    return Ok(None);
                }
                Released::Lost => return Ok(None),
                Released::Merged => {}
            }
        }
    }

    /// Sends the job of the last pass, delayed until it is due.
    async fn start_last_pass(
        &self,
        org: &OrganizationId,
        pass: &RoutingPass,
        now: Timestamp,
    ) -> Result<(), Error> {
        // SQS delays a message by whole seconds.
        let delay = Duration::from_secs(
            pass.last_pass_at()
                .since(now)
                .as_millis()
                .div_ceil(1000)
                .try_into()
                .unwrap_or(0),
        );
        self.enqueue(vec![Job::route_unrouted(org, None)], delay)
            .await
    }

    fn lease_end(&self) -> Timestamp {
        self.runner.now().plus(RoutingPass::LEASE)
    }
}
