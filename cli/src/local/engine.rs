//! The embedded DynamoDB-compatible engine. It has a thread of its own, because its synchronous
//! operations would block other tasks.

use std::{io, path::Path, thread, time::Duration};

use anyhow::{Context, anyhow};
use muster_engine::{Database, Storage};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    time::Instant,
};
use uuid::Uuid;

use super::{console::Console, dynamodb, guard::Guard, server::serve};

/// The interval for the deletion of expired items. Readers compare the expiry time, as with
/// DynamoDB, where deletion can take days.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(5);

/// An engine that accepts requests.
pub(super) struct Engine {
    url: String,
    stop: watch::Sender<bool>,
    stopped: oneshot::Receiver<io::Result<()>>,
}

impl Engine {
    /// Starts an engine over a file, or in memory, that serves on the listener behind the guard.
    pub(super) fn start(
        listener: TcpListener,
        guard: Guard,
        file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let database = open(file)?;
        let url = format!("http://{}", listener.local_addr()?);
        // The listener moves to the runtime of the engine's thread.
        let listener = listener.into_std()?;
        let (stop, stopping) = watch::channel(false);
        let (ended, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("dynamodb".to_owned())
            .spawn(move || {
                let outcome = runtime.block_on(async move {
                    let listener = TcpListener::from_std(listener)?;
                    let sweeping = tokio::spawn(delete_expired(database.clone()));
                    let routes = dynamodb::router(database);
                    let outcome =
                        serve(listener, guard, routes, Console::default(), stopping).await;
                    sweeping.abort();
                    outcome
                });
                // The runtime owns the last reference to the database, which closes with it.
                drop(runtime);
                let _ = ended.send(outcome);
            })?;
        Ok(Self { url, stop, stopped })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Stops the engine and flushes its file.
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

/// Opens the database, and repairs the storage of the stream.
///
/// The engine searches the last sequence number at every write, and the next records at every read.
/// Without an index it scans all records ever written, so a table gets slower over time. DynamoDB
/// retains stream records for 24 hours; older records are deleted at the start.
fn open(file: Option<&Path>) -> anyhow::Result<Database> {
    const SCHEMA_FIXES: &str = "CREATE INDEX IF NOT EXISTS muster_stream
                            ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
                        DELETE FROM _stream_records WHERE created_at < unixepoch() - 24 * 60 * 60;";
    let name = match file {
        Some(file) => file
            .to_str()
            .context("the folder's name is not UTF-8")?
            .to_owned(),
        // Two connections share the memory while one of them is open.
        None => format!("file:muster-{}?mode=memory&cache=shared", Uuid::new_v4()),
    };
    let storage = Storage::new(&name)?;
    storage.conn().execute_batch(SCHEMA_FIXES)?;
    let database = Database::new(&name)?;
    drop(storage);
    Ok(database)
}

/// Deletes expired items periodically.
async fn delete_expired(database: Database) {
    let mut ticks = tokio::time::interval_at(Instant::now() + EXPIRY_INTERVAL, EXPIRY_INTERVAL);
    loop {
        ticks.tick().await;
        let database = database.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            tracing::warn!("cannot delete expired items: {error}");
        }
    }
}
