//! The local stack: an embedded DynamoDB-compatible engine, a gateway, and the functions' own `handle` between them.

mod data;
mod demo;
mod engine;
mod gateway;

use std::{
    io::{IsTerminal, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, anyhow};
use axum::serve::ListenerExt;
use muster::{http::Deps, store::Table};
use serde::Serialize;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::Instant};
use tracing_subscriber::EnvFilter;

use crate::{args, emulator, template::Template};
use data::Folder;
pub use demo::{ContractKeys, DemoKeys, DemoUser, Organization};
use engine::Engine;
use gateway::Gateway;

/// The table's name in the embedded engine.
const TABLE: &str = "muster";

/// How long the stack may take to prepare its table.
const PREPARATION: Duration = Duration::from_mins(1);

/// Where the local stack keeps its data.
#[derive(Debug, Clone)]
pub enum Data {
    /// Nowhere.
    Memory,
    /// In this folder.
    Folder(PathBuf),
    /// In a table of another engine than the embedded one.
    Elsewhere {
        /// Where that engine listens.
        dynamodb_url: String,
        /// The table's name.
        table: String,
    },
}

/// A local stack that serves.
pub struct LocalStack {
    /// Where the gateway listens.
    pub url: String,
    /// Where DynamoDB listens.
    pub dynamodb_url: String,
    /// The table's name.
    pub table: String,
    /// The demo organization, and another beside it.
    pub organizations: [Organization; 2],
    engine: Option<Engine>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
    _folder: Option<Folder>,
}

impl LocalStack {
    /// Starts a stack on this port of 127.0.0.1, 0 for a free one, and waits until it serves.
    ///
    /// `adjust` may exchange what the functions depend on, such as the clock.
    ///
    /// # Errors
    /// The port is in use, the data folder is in use or damaged; each says what to do.
    pub async fn start(port: u16, data: Data, adjust: impl Fn(&mut Deps)) -> anyhow::Result<Self> {
        let template = Template::load()?;
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(|error| {
            let taken = error.kind() == std::io::ErrorKind::AddrInUse;
            let why = if taken { "is in use".to_owned() } else { format!("cannot be listened on ({error})") };
            anyhow!("port {port} {why}: choose another with --port, or 0 for any free one")
        })?;
        let url = format!("http://{}", listener.local_addr()?);

        let folder = match &data {
            Data::Folder(path) => Some(Folder::open(path.clone())?),
            Data::Memory | Data::Elsewhere { .. } => None,
        };
        let damaged = |error| match &folder {
            Some(folder) => folder.damaged(&error),
            None => error,
        };
        let (dynamodb_url, name, engine) = if let Data::Elsewhere { dynamodb_url, table } = data {
            (dynamodb_url, table, None)
        } else {
            let engine = Engine::start(folder.as_ref().map(Folder::database)).map_err(damaged)?;
            (engine.url().to_owned(), TABLE.to_owned(), Some(engine))
        };
        let client = emulator::client(&dynamodb_url);
        template.table.create(&client, &name).await.map_err(damaged)?;
        let table = Table::new(client, name.as_str());
        let preparing = table.until(Instant::now() + PREPARATION);
        let organizations = demo::prepare(&preparing, folder.as_ref()).await.map_err(damaged)?;

        let gateway = Gateway::new(&template, || {
            let mut deps = Deps::new(table.clone());
            adjust(&mut deps);
            deps
        })?;
        let (stop, stopped) = oneshot::channel();
        let listener = listener.tap_io(|connection| {
            // Small answers are not held back until the next packet.
            let _ = connection.set_nodelay(true);
        });
        let serving = axum::serve(listener, gateway.router()).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let served = tokio::spawn(serving.into_future());
        Ok(Self { url, dynamodb_url, table: name, organizations, engine, stop, served, _folder: folder })
    }

    /// Lets the requests under way finish, for up to two seconds, then stops.
    ///
    /// # Errors
    /// The engine did not stop.
    pub async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        let mut served = self.served;
        if tokio::time::timeout(Duration::from_secs(2), &mut served).await.is_err() {
            served.abort();
        }
        match self.engine {
            Some(engine) => engine.stop().await,
            None => Ok(()),
        }
    }

    /// What `muster dev --json` prints.
    #[must_use]
    pub fn describe(&self) -> Description<'_> {
        let [demo, other_organization] = &self.organizations;
        Description {
            url: &self.url,
            dynamodb_url: &self.dynamodb_url,
            table: &self.table,
            organization_id: &demo.organization_id,
            keys: &demo.keys,
            users: &demo.users,
            other_organization,
        }
    }
}

/// Everything a program needs to use a local stack.
#[derive(Debug, Serialize)]
pub struct Description<'s> {
    url: &'s str,
    dynamodb_url: &'s str,
    table: &'s str,
    organization_id: &'s str,
    keys: &'s DemoKeys,
    users: &'s [DemoUser],
    other_organization: &'s Organization,
}

/// `muster dev`: serves until it is interrupted.
///
/// # Errors
/// See [`LocalStack::start`].
pub async fn run(args::Dev { port, data_dir, in_memory, json }: args::Dev) -> anyhow::Result<()> {
    let data = match data_dir {
        _ if in_memory => Data::Memory,
        Some(folder) => Data::Folder(folder),
        None => Data::Folder(Folder::default_path()?),
    };
    let mut interrupted = Interrupts::listen().context("could not listen for Ctrl-C")?;
    let stack = tokio::select! {
        stack = LocalStack::start(port, data.clone(), |_| {}) => stack?,
        () = interrupted.next() => return Ok(()),
    };
    let greeting = if json { serde_json::to_string(&stack.describe())? } else { greeting(&stack, &data) };
    // Whoever reads this may close its end; the stack serves on.
    let _ = writeln!(std::io::stdout(), "{greeting}");
    interrupted.next().await;
    stack.stop().await
}

fn greeting(stack: &LocalStack, data: &Data) -> String {
    let LocalStack { url, dynamodb_url, table, organizations: [demo, _], .. } = stack;
    let DemoKeys { toptickets, itsm } = &demo.keys;
    let kept = match data {
        Data::Memory => "in memory, forgotten at the end".to_owned(),
        Data::Folder(folder) => folder.display().to_string(),
        Data::Elsewhere { dynamodb_url, .. } => format!("where {dynamodb_url} keeps it"),
    };
    let contract = |name: &str, ContractKeys { admin, read_only }: &ContractKeys| {
        format!(
            "{name}\n  admin key      {admin}\n  read-only key  {read_only}\n  \
             curl {url}/v1/teams -H 'Authorization: Bearer {admin}'\n"
        )
    };
    format!(
        "Muster serves at {url} (Ctrl-C ends it)\n\n{}\n{}\n\
         DynamoDB         {dynamodb_url}, table {table}\n\
         Organization     {}, {} users\n\
         Data             {kept}",
        contract("TopTickets", toptickets),
        contract("ITSM", itsm),
        demo.organization_id,
        demo.users.len(),
    )
}

/// Ctrl-C, and the signal by which a process is asked to end. Listened for from the first to the last: one that comes between
/// two waits is not lost.
struct Interrupts {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Interrupts {
    #[cfg(unix)]
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(windows)]
    fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(windows)]
        self.interrupt.recv().await;
    }
}

/// Logs to standard error: warnings and worse, unless `RUST_LOG` says otherwise. The engine warns of every failed condition,
/// which is how it is used; the SDK warns of every place without credentials that it tries.
pub fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,aws_config=error,dynoxide=error"));
    let stderr = std::io::stderr;
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .try_init();
}
