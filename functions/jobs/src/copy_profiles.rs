//! Copying a changed profile into the user's memberships.

use muster_contracts::jobs::Job;
use muster_domain::{OrganizationId, UserId};
use muster_service::store::CopiedPage;

use crate::{Error, runner::Run};

/// The progress of copying a profile.
pub(crate) struct CopyProgress {
    /// The cursor of the next page.
    pub(crate) after: Option<String>,
    pub(crate) is_second_pass: bool,
    /// The revision of the profile at the beginning of the first pass.
    pub(crate) rev: Option<u64>,
}

impl Run<'_> {
    /// Copies a user's profile into their memberships, page by page, in two passes.
    ///
    /// The eventually consistent index may miss a membership that began just before the profile
    /// changed, so a second pass follows. Then the profile leaves the pending work, unless it has
    /// changed since the first pass.
    pub(crate) async fn copy_profile(
        &mut self,
        org: &OrganizationId,
        user: UserId,
        progress: CopyProgress,
    ) -> Result<(), Error> {
        let CopyProgress {
            mut after,
            is_second_pass,
            rev: mut first_rev,
        } = progress;
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
            let Some(page) = store
                .copy_profile(org, user, after, runner.started_at)
                .await?
            else {
                return Ok(());
            };
            let CopiedPage {
                rev,
                is_marked,
                next,
            } = page;
            let rev = *first_rev.get_or_insert(rev);
            match next {
                None if !is_second_pass => {
                    return self
                        .enqueue(vec![rest(None, true, rev)], Self::SECOND_PASS_DELAY)
                        .await;
                }
                None if is_marked => return Ok(store.mark_profile_copied(org, user, rev).await?),
                None => return Ok(()),
                Some(_) if !self.has_time_left() => {
                    return self.enqueue_rest(rest(next, is_second_pass, rev)).await;
                }
                Some(_) => after = next,
            }
        }
    }
}
