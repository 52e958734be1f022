//! `muster users erase`.

use clap::Args;
use muster_domain::{OrganizationId, Timestamp, UserId, UserStatus};
use muster_service::store::{Error, Store};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    commands::{CALL_TIMEOUT, Confirmation, TableTarget, values},
    output,
};

/// The maximum number of users that the question names.
const NAMED_USERS: usize = 10;

/// `muster users erase`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster users erase --organization acme usr_10000000-0000-4000-8000-000000000004
  muster users erase --organization acme --yes --json 10000000-0000-4000-8000-000000000004")]
pub struct Erase {
    /// Organization of the users
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Ids of the users: UUIDs, with or without usr_ before them
    #[arg(value_name = "USER-ID", required = true, value_parser = values::user)]
    pub users: Vec<UserId>,
    /// Print one line of JSON for each user: its id, and the outcome, which is erased,
    /// already_erased or no_profile
    #[arg(long)]
    pub json: bool,
    /// The confirmation.
    #[command(flatten)]
    pub confirmation: Confirmation,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Erase {
    /// Erases the personal data of users.
    ///
    /// # Errors
    /// The organization does not exist, the user declines, or the table fails; the users before the
    /// failure are erased.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            users,
            json,
            confirmation,
            target,
        } = self;
        let target = target.resolve().await?;
        let table = target.table().await?;
        let store = || table.until(Instant::now() + CALL_TIMEOUT);
        // A misspelt organization would leave the personal data in place without an error.
        target.ensure_organization(&store(), &organization).await?;
        if !confirmation.yes {
            let names = names(&store(), &organization, &users).await;
            let names = names.map_err(|error| target.explain(error))?;
            let count = users.len();
            confirmation.confirm(&format!(
                "Erase the personal data of these users of {organization} ({count}) permanently, in {}: {names}",
                target.place()
            ))?;
        }
        // A closed pipe must not stop the erasure of the other users.
        let mut printed = Ok(());
        for user in users {
            let before = store()
                .erase_user(&organization, user, Timestamp::now())
                .await;
            let (outcome, sentence) = match before.map_err(|error| target.explain(error))? {
                Some(UserStatus::Deleted) => (
                    "already_erased",
                    "was already erased; its memberships are erased again",
                ),
                Some(UserStatus::Active | UserStatus::Inactive | UserStatus::Suspended) => {
                    ("erased", "is erased")
                }
                None => (
                    "no_profile",
                    "had no profile; a tombstone rejects later events",
                ),
            };
            let id = user.uuid();
            printed = printed.and(if json {
                output::line(json!({ "id": id.to_string(), "outcome": outcome }))
            } else {
                output::line(format_args!("{id}: {sentence}."))
            });
        }
        Ok(printed?)
    }
}

/// Returns the ids and the names of the first users, for the question. One round trip for each of
/// them.
async fn names(
    store: &Store,
    organization: &OrganizationId,
    users: &[UserId],
) -> Result<String, Error> {
    let mut names = Vec::new();
    for id in users.iter().take(NAMED_USERS) {
        let user = store.user(organization, *id).await?;
        let name = user
            .as_ref()
            .map_or("without a profile", |user| &*user.name);
        names.push(format!("{} ({name})", id.uuid()));
    }
    if users.len() > NAMED_USERS {
        names.push(format!("and {} more", users.len() - NAMED_USERS));
    }
    Ok(names.join(", "))
}
