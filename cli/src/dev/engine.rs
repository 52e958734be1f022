//! The embedded DynamoDB-compatible engine, on a thread of its own: its operations are synchronous, and would hold up other
//! tasks.

use std::{path::PathBuf, thread};

use anyhow::{Context, anyhow};
use dynoxide::Database;
use tokio::sync::oneshot;

/// An engine that serves.
pub(super) struct Engine {
    url: String,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<Result<(), String>>,
}

impl Engine {
    /// Starts an engine over this file, or in memory, on a free port of 127.0.0.1.
    pub(super) fn start(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let database = match file {
            None => Database::memory(),
            Some(file) => Database::new(file.to_str().context("the folder's name is not UTF-8")?),
        }?;
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopping) = oneshot::channel::<()>();
        let (ended, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("dynamodb".to_owned()).spawn(move || {
            let outcome = runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
                let stopping = async {
                    let _ = stopping.await;
                };
                dynoxide::server::serve_with_shutdown(listener, database, stopping).await
            });
            let _ = ended.send(outcome);
        })?;
        Ok(Self { url, stop, stopped })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Stops the engine, its file written out.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let Self { url: _, stop, stopped } = self;
        let _ = stop.send(());
        let waited = tokio::time::timeout(std::time::Duration::from_secs(5), stopped).await;
        match waited {
            Ok(Ok(outcome)) => outcome.map_err(|error| anyhow!("the engine failed: {error}")),
            Ok(Err(_)) => Err(anyhow!("the engine's thread panicked")),
            Err(_) => Err(anyhow!("the engine did not stop in time")),
        }
    }
}
