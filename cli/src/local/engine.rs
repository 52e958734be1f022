//! The embedded DynamoDB-compatible engine, on a thread of its own: its operations are synchronous,
//! and would hold up other tasks.

use std::{
    io,
    net::{IpAddr, TcpListener},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow};
use muster_engine::{Database, Storage};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};
use uuid::Uuid;

use super::{dynamodb, guard::Guard, listen::serve};

/// How often items are removed whose time has passed. Nobody may count on it: whoever reads one
/// compares the time.
const SWEEP_EVERY: Duration = Duration::from_mins(5);

/// An engine that serves.
pub(super) struct Engine {
    url: String,
    stop: watch::Sender<bool>,
    stopped: oneshot::Receiver<io::Result<()>>,
}

impl Engine {
    /// Starts an engine over this file, or in memory, on a free port of this address, behind the
    /// guard.
    pub(super) fn start(
        address: IpAddr,
        guard: Guard,
        file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let database = open(file)?;
        let listener = TcpListener::bind((address, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopping) = watch::channel(false);
        let (ended, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("dynamodb".to_owned())
            .spawn(move || {
                let outcome = runtime.block_on(async move {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    let sweeping = tokio::spawn(sweep(database.clone()));
                    let outcome =
                        serve(listener, guard, dynamodb::router(database), stopping).await;
                    sweeping.abort();
                    outcome
                });
                // The database is closed with the last that holds it.
                drop(runtime);
                let _ = ended.send(outcome);
            })?;
        Ok(Self { url, stop, stopped })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Stops the engine, its file written out.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let Self {
            url: _,
            stop,
            stopped,
        } = self;
        let _ = stop.send(true);
        let waited = tokio::time::timeout(Duration::from_secs(30), stopped).await;
        match waited {
            Ok(Ok(outcome)) => outcome.map_err(|error| anyhow!("the engine failed: {error}")),
            Ok(Err(_)) => Err(anyhow!("the engine's thread panicked")),
            Err(_) => Err(anyhow!("the engine did not stop in time")),
        }
    }
}

/// Opens the database, and mends how it keeps the stream.
///
/// The engine looks for the last sequence number at every write and for the next records at every
/// read; without an index it looks at all records there ever were, and a table is slower by the
/// day. What DynamoDB forgets after a day goes here at the start.
fn open(file: Option<&Path>) -> anyhow::Result<Database> {
    const MEND: &str = "CREATE INDEX IF NOT EXISTS muster_stream
                            ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
                        DELETE FROM _stream_records WHERE created_at < unixepoch() - 24 * 60 * 60;";
    let name = match file {
        Some(file) => file
            .to_str()
            .context("the folder's name is not UTF-8")?
            .to_owned(),
        // Memory that two connections share for as long as one of them is open.
        None => format!("file:muster-{}?mode=memory&cache=shared", Uuid::new_v4()),
    };
    let mended = Storage::new(&name)?;
    mended.conn().execute_batch(MEND)?;
    let database = Database::new(&name)?;
    drop(mended);
    Ok(database)
}

/// Removes items whose time has passed, again and again.
async fn sweep(database: Database) {
    let mut ticks = tokio::time::interval_at(Instant::now() + SWEEP_EVERY, SWEEP_EVERY);
    loop {
        ticks.tick().await;
        let database = database.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            tracing::warn!("expired items could not be removed: {error}");
        }
    }
}
