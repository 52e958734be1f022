//! `muster users list`.

use clap::Args;
use muster_domain::{OrganizationId, User};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    commands::{CALL_TIMEOUT, TableTarget, columns::columns, values},
    output,
};

/// The number of users of a page.
const PAGE_SIZE: usize = 100;

/// `muster users list`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster users list
  muster users list --organization acme --table muster --json | jq -r .email")]
pub struct List {
    /// Organization of the users [default: the demo organization of the running `muster dev`]
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: Option<OrganizationId>,
    /// Print one line of JSON for each user
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl List {
    /// Prints the organization's users.
    ///
    /// # Errors
    /// No organization is named, the table fails, or the output cannot be written.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            json,
            target,
        } = self;
        let target = target.resolve().await?;
        let organization = target.organization(organization)?;
        let table = target.table().await?;
        let store = || table.until(Instant::now() + CALL_TIMEOUT);
        target.ensure_organization(&store(), &organization).await?;
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = store()
                .users_by_name(&organization, after.as_deref(), PAGE_SIZE)
                .await
                .map_err(|error| target.explain(error))?;
            if json {
                output::write(|out| {
                    page.entries
                        .iter()
                        .try_for_each(|user| writeln!(out, "{}", describe(user)))
                })?;
            } else {
                rows.extend(page.entries.iter().map(row));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if json {
            return Ok(());
        }
        if rows.is_empty() {
            output::note(format_args!(
                "The index has no users of {organization}. `muster users import` and user events write profiles."
            ));
            return Ok(());
        }
        Ok(output::write(|out| {
            out.write_all(columns(["ID", "NAME", "EMAIL", "ROLE", "STATUS"], &rows).as_bytes())
        })?)
    }
}

fn row(user: &User) -> [String; 5] {
    [
        user.id.uuid().to_string(),
        user.name.clone(),
        user.email.clone(),
        user.role.clone(),
        user.status.as_str().to_owned(),
    ]
}

/// Returns a user in the fields of `muster users import`.
fn describe(user: &User) -> Value {
    let User {
        id,
        name,
        email,
        role,
        avatar_url,
        status,
        version: _,
    } = user;
    json!({
        "id": id.uuid().to_string(),
        "name": name,
        "email": email,
        "role": role,
        "avatar_url": avatar_url,
        "status": status.as_str(),
    })
}
