//! The table of a stack at its start, with the seeded data.

use std::time::Duration;

use muster_service::store::Table;
use tokio::time::Instant;

use super::{
    demo::{Demo, seed_demo},
    organizations::{DemoOrganization, Organizations, SeedTarget, seed_organizations},
    samples::seed_samples,
};
use crate::{
    emulator,
    local::{data_dir::DataDir, event_source::Function},
    sam::TableDefinition,
};

/// Timeout for the creation of the table and the seeded data.
const SETUP_TIMEOUT: Duration = Duration::from_mins(1);

/// The data that a stack has in addition to the organizations without teams.
#[derive(Debug, Clone, Copy)]
pub(in crate::local) struct SeedData {
    /// The demo organization.
    pub(in crate::local) demo: bool,
    /// The samples of `events/`.
    pub(in crate::local) samples: bool,
}

/// A table with its organizations.
pub(in crate::local) struct PreparedTable<'s> {
    /// The table.
    pub(in crate::local) table: Table,
    /// The organizations without teams.
    pub(in crate::local) organizations: [DemoOrganization; 2],
    /// True if the stream is to be read after the records of the seeded data.
    pub(in crate::local) skips_seeds: bool,
    target: SeedTarget<'s>,
    demo: Option<DemoOrganization>,
}

impl<'s> PreparedTable<'s> {
    /// Creates the table, the organizations and the samples, if they are missing.
    ///
    /// # Errors
    /// The table or the data folder fails.
    pub(in crate::local) async fn open(
        definition: &TableDefinition,
        dynamodb_url: &str,
        name: &str,
        data_dir: Option<&'s DataDir>,
        SeedData { demo, samples }: SeedData,
    ) -> anyhow::Result<Self> {
        let client = emulator::client(dynamodb_url);
        let table = Table::new(client.clone(), name);
        let target = SeedTarget {
            is_new: definition.create(&client, name).await?,
            store: table.until(Instant::now() + SETUP_TIMEOUT),
            data_dir,
        };
        let seeded = Box::pin(seed_organizations(&target, demo));
        let Organizations { empty, demo } = seeded.await?;
        if samples {
            Box::pin(seed_samples(&target.store, &empty[0])).await?;
        }
        Ok(Self {
            table,
            // The jobs of the samples start from the stream.
            skips_seeds: target.is_new && demo.is_some() && !samples,
            organizations: empty,
            target,
            demo,
        })
    }

    /// Creates the missing demo data, if the stack has the demo organization. `assignment` is the
    /// function of the ticket queue.
    ///
    /// # Errors
    /// The table, the function or the data folder fails.
    pub(in crate::local) async fn demo(
        &mut self,
        assignment: &Function,
    ) -> anyhow::Result<Option<Demo>> {
        let Some(organization) = self.demo.take() else {
            return Ok(None);
        };
        let demo = Box::pin(seed_demo(&self.target, assignment, organization));
        demo.await.map(Some)
    }
}
