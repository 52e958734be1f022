//! `muster users erase`.

use anyhow::ensure;
use clap::Args;
use muster_domain::{OrganizationId, Timestamp, UserId, UserStatus};
use tokio::time::Instant;

use crate::{
    commands::{CALL_TIMEOUT, TableTarget, values},
    output,
};

/// `muster users erase`
#[derive(Debug, Args)]
pub struct Erase {
    /// Organization of the users
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Ids of the users: UUIDs, with or without usr_ before them
    #[arg(value_name = "USER-ID", required = true, value_parser = values::user)]
    pub users: Vec<UserId>,
    /// Which table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Erase {
    /// Erases the personal data of users.
    ///
    /// # Errors
    /// There is no such organization, or the table fails; users named before were erased by then.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            users,
            target,
        } = self;
        let table = target.table().await?;
        let store = || table.until(Instant::now() + CALL_TIMEOUT);
        let exists = store()
            .organization_exists(&organization)
            .await
            .map_err(|error| target.explain(error))?;
        // A misspelt organization would leave the personal data in place without an error.
        ensure!(
            exists,
            "there is no organization {organization} in table {:?}: check --organization",
            target.table
        );
        // A reader that closes its end must not keep the other users from being erased.
        let mut printed = Ok(());
        for user in users {
            let before = store()
                .erase_user(&organization, user, Timestamp::now())
                .await;
            let outcome = match before.map_err(|error| target.explain(error))? {
                Some(UserStatus::Deleted) => "was erased before; its memberships are erased again",
                Some(UserStatus::Active | UserStatus::Inactive | UserStatus::Suspended) => {
                    "is erased"
                }
                None => "had no profile; a tombstone keeps later events out",
            };
            printed = printed.and(output::line(format_args!("{}: {outcome}.", user.uuid())));
        }
        Ok(printed?)
    }
}
