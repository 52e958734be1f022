//! The local stack: an embedded DynamoDB-compatible engine, a gateway, queues, a bus, the table's
//! stream and the schedule, and the functions' own `handle` between them.

mod aws;
mod bucket;
mod cors;
mod data;
mod demo;
mod dynamodb;
mod engine;
mod events;
mod functions;
mod gateway;
mod guard;
mod listen;
mod queues;
mod routes;
mod samples;
mod schedule;
mod settings;
mod stream;

use std::{
    fs,
    io::{self, IsTerminal},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use axum::Router;
use muster::{bucket::Bucket, bus::Bus, http::Deps, jobs::JobQueues, queue::Queue, store::Table};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tracing_subscriber::EnvFilter;

use crate::{args, emulator, output, template::Template};
use bucket::BUCKET;
pub use bucket::Objects;
use cors::Cors;
use data::Folder;
pub use demo::{ContractKeys, DemoKeys, DemoUser, Organization};
use engine::Engine;
pub use events::Events;
pub use functions::Handler;
use functions::{Functions, Reach};
use gateway::Gateway;
use guard::Guard;
pub(crate) use queues::reason_of;
pub use queues::{Contents, DeadLetter, Queues};
pub use settings::Settings;
use stream::{Position, Pump};

/// The table's name in the embedded engine.
const TABLE: &str = "muster";

/// The bus's name.
const BUS: &str = "muster";

/// How long the stack may take to prepare its table.
const PREPARATION: Duration = Duration::from_mins(1);

/// Where the local stack keeps its data.
#[derive(Debug, Clone)]
pub enum Data {
    /// Nowhere.
    Memory,
    /// Nowhere, and to begin with there is what the files in `events/` name, well-known keys
    /// included.
    Samples,
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

/// The file in the data folder that keeps what was in the queues when the stack was stopped.
const QUEUES_FILE: &str = "queues.json";

/// How long what is under way may take to finish when the stack is stopped.
const FAREWELL: Duration = Duration::from_secs(2);

/// A local stack that serves.
pub struct LocalStack {
    /// Where the gateway listens.
    pub url: String,
    /// Where DynamoDB listens.
    pub dynamodb_url: String,
    /// Where the queues and the bus listen, as SQS and EventBridge.
    pub aws_url: String,
    /// The table's name.
    pub table: String,
    /// The demo organization, and another beside it.
    pub organizations: [Organization; 2],
    /// The queues.
    pub queues: Queues,
    /// What was announced.
    pub events: Events,
    /// The bucket of failed records.
    pub failed_records: Objects,
    engine: Option<Engine>,
    /// Told to the gateway and all that invokes functions.
    stop: watch::Sender<bool>,
    /// Those, who finish what they have begun.
    working: Vec<JoinHandle<()>>,
    /// Told to the queues and the bus, which are needed until then.
    stop_aws: watch::Sender<bool>,
    aws: JoinHandle<()>,
    position: Position,
    folder: Option<Arc<Folder>>,
}

impl LocalStack {
    /// Starts a stack on this port, 0 for a free one, and waits until it serves.
    ///
    /// # Errors
    /// The port is in use or the address is not this machine's, the data folder is in use or
    /// damaged; each says what to do.
    pub async fn start(port: u16, data: Data, settings: Settings) -> anyhow::Result<Self> {
        let template = settings.apply(Template::load()?);
        let address = settings.listen;
        let listener = TcpListener::bind(SocketAddr::from((address, port)))
            .await
            .map_err(|error| refused(address, port, &error))?;
        let url = format!("http://{}", listener.local_addr()?);

        let folder = match &data {
            Data::Folder(path) => Some(Arc::new(Folder::open(path)?)),
            Data::Memory | Data::Samples | Data::Elsewhere { .. } => None,
        };
        let damaged = |error| match &folder {
            Some(folder) => folder.damaged(&error),
            None => error,
        };
        let guard = Guard::new(address, settings.allow_hosts.clone());
        let has_samples = matches!(data, Data::Samples);
        let (dynamodb_url, name, engine) = if let Data::Elsewhere {
            dynamodb_url,
            table,
        } = data
        {
            (dynamodb_url, table, None)
        } else {
            let file = folder.as_ref().map(|folder| folder.database());
            let engine = Engine::start(address, guard.clone(), file.as_deref()).map_err(damaged)?;
            (engine.url().to_owned(), TABLE.to_owned(), Some(engine))
        };
        let client = emulator::client(&dynamodb_url);
        template
            .table
            .create(&client, &name)
            .await
            .map_err(damaged)?;
        let table = Table::new(client, name.as_str());
        let preparing = table.until(Instant::now() + PREPARATION);
        let organizations = demo::prepare(&preparing, folder.as_deref())
            .await
            .map_err(damaged)?;
        if has_samples {
            samples::put(&preparing, &organizations[0]).await?;
        }
        let position = Position::open(folder.clone()).map_err(damaged)?;

        let (queues, events, failed_records) = (
            Queues::new(&template),
            Events::default(),
            Objects::default(),
        );
        if let Some(kept) = folder
            .as_ref()
            .map(|folder| folder.read(QUEUES_FILE))
            .transpose()
            .map_err(damaged)?
            .flatten()
        {
            queues.restore(kept);
        }
        let aws_listener = TcpListener::bind(SocketAddr::from((address, 0))).await?;
        let aws_url = format!("http://{}", aws_listener.local_addr()?);
        let (stop_aws, stopping_aws) = watch::channel(false);
        let router = aws::router(queues.clone(), events.clone(), failed_records.clone());
        let aws = serve(aws_listener, guard.clone(), router, stopping_aws);

        let (stop, stopping) = watch::channel(false);
        let reach = reach(table.clone(), &queues, &aws_url)?;
        let mut functions = Functions::new(&template, reach, &settings);
        let mut working = Vec::new();
        for mapping in &template.stream_mappings {
            let function = functions.get(&mapping.function)?;
            let (mapping, position, stop) = (mapping.clone(), position.clone(), stopping.clone());
            let objects = failed_records.clone();
            let pump = Pump::open(
                &dynamodb_url,
                &name,
                mapping,
                function,
                objects,
                position,
                stop,
            );
            let pump = pump.await.map_err(damaged)?;
            working.push(tokio::spawn(pump.run()));
        }
        for mapping in &template.queue_mappings {
            let function = functions.get(&mapping.function)?;
            let run =
                queues::mapping::run(queues.clone(), mapping.clone(), function, stopping.clone());
            working.push(tokio::spawn(run));
        }
        for schedule in &template.schedules {
            let function = functions.get(&schedule.function)?;
            working.push(tokio::spawn(schedule::run(
                schedule.clone(),
                function,
                stopping.clone(),
            )));
        }
        let api_guard = guard.with_origins(&settings.cors_origins);
        let cors = Cors::new(&template.cors, settings.cors_origins)?;
        let gateway = Gateway::new(&template, cors, || {
            let mut deps = Deps::new(table.clone());
            (settings.http)(&mut deps);
            deps
        })?;
        // Pages of listed origins may call the API, and not the stack's own routes.
        let own_routes = guard.protect(routes::router(
            queues.clone(),
            events.clone(),
            aws_url.clone(),
        ));
        working.push(serve(
            listener,
            api_guard,
            gateway.router().merge(own_routes),
            stopping,
        ));
        Ok(Self {
            url,
            dynamodb_url,
            aws_url,
            table: name,
            organizations,
            queues,
            events,
            failed_records,
            engine,
            stop,
            working,
            stop_aws,
            aws,
            position,
            folder,
        })
    }

    /// Lets what is under way finish, for up to two seconds, then stops. What is in the queues is
    /// kept where there is a data folder.
    ///
    /// # Errors
    /// The engine did not stop, or the folder cannot be written.
    pub async fn stop(self) -> anyhow::Result<()> {
        let deadline = Instant::now() + FAREWELL;
        let _ = self.stop.send(true);
        for working in self.working {
            end(working, deadline).await;
        }
        let _ = self.stop_aws.send(true);
        end(self.aws, deadline).await;
        if let Some(folder) = &self.folder {
            folder.write(QUEUES_FILE, &self.queues.keep())?;
        }
        self.position.save()?;
        match self.engine {
            Some(engine) => engine.stop().await,
            None => Ok(()),
        }
    }

    /// A queue's URL.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        queues::url(&self.aws_url, name)
    }

    /// The functions' environment here, as `sam local --env-vars` takes it: what they share, and
    /// then what differs.
    #[must_use]
    pub fn env_vars(&self) -> Value {
        let dead_letters = |queue| {
            let dead_letters = self
                .queues
                .dead_letters_of(queue)
                .map(|name| self.queue_url(name));
            json!({ "DEAD_LETTER_QUEUE_URL": dead_letters })
        };
        json!({
            "Parameters": {
                "AWS_ENDPOINT_URL": self.aws_url,
                "AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb_url,
                "EVENT_BUS_NAME": BUS,
                "FAILED_RECORDS_BUCKET": BUCKET,
                "JOBS_QUEUE_URL": self.queue_url("jobs"),
                "LONG_JOBS_QUEUE_URL": self.queue_url("long-jobs"),
                "PROXY_SECRET_SHA256": "",
                "STACK_NAME": "local",
                "TABLE_NAME": self.table,
            },
            "AssignmentFunction": dead_letters("tickets"),
            "DirectoryFunction": dead_letters("users"),
        })
    }

    /// What `muster dev --json` prints.
    #[must_use]
    pub fn describe(&self) -> Description<'_> {
        let [demo, other_organization] = &self.organizations;
        Description {
            url: &self.url,
            dynamodb_url: &self.dynamodb_url,
            aws_url: &self.aws_url,
            tickets_queue_url: self.queue_url("tickets"),
            users_queue_url: self.queue_url("users"),
            jobs_queue_url: self.queue_url("jobs"),
            long_jobs_queue_url: self.queue_url("long-jobs"),
            table: &self.table,
            organization_id: &demo.organization_id,
            keys: &demo.keys,
            users: &demo.users,
            other_organization,
        }
    }
}

/// What the functions reach: the table, and the queues and the bus at this endpoint.
fn reach(table: Table, queues: &Queues, aws_url: &str) -> anyhow::Result<Reach> {
    let sdk = emulator::sdk_config(aws_url);
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    let queue = |name: &str| Queue::new(sqs.clone(), queues::url(aws_url, name));
    let dead_letters = |name: &str| {
        queues
            .dead_letters_of(name)
            .map(queue)
            .with_context(|| format!("the queue {name} has no dead-letter queue"))
    };
    Ok(Reach {
        table,
        bus: Bus::new(aws_sdk_eventbridge::Client::new(&sdk), BUS),
        jobs: JobQueues {
            urgent: queue("jobs"),
            long: queue("long-jobs"),
        },
        failed_records: Bucket::new(&sdk, BUCKET)?,
        ticket_dead_letters: dead_letters("tickets")?,
        user_dead_letters: dead_letters("users")?,
    })
}

/// Why an address cannot be listened on, and what to do.
fn refused(address: IpAddr, port: u16, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("port {port} is in use: choose another with --port, or 0 for any free one")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow!("{address} is no address of this machine: choose another with --listen")
        }
        _ => anyhow!(
            "port {port} cannot be listened on ({error}): choose another with --port, or 0 for any free one"
        ),
    }
}

/// Serves routes on a task of its own.
fn serve(
    listener: TcpListener,
    guard: Guard,
    routes: Router,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = listen::serve(listener, guard, routes, stop).await {
            tracing::error!("no longer serving: {error}");
        }
    })
}

/// Waits for a task's end until the deadline, then aborts it.
async fn end(mut task: JoinHandle<()>, deadline: Instant) {
    if timeout_at(deadline, &mut task).await.is_err() {
        task.abort();
        // What it held is gone when this returns.
        let _ = task.await;
    }
}

/// Everything a program needs to use a local stack.
#[derive(Debug, Serialize)]
pub struct Description<'s> {
    url: &'s str,
    dynamodb_url: &'s str,
    aws_url: &'s str,
    tickets_queue_url: String,
    users_queue_url: String,
    jobs_queue_url: String,
    long_jobs_queue_url: String,
    table: &'s str,
    organization_id: &'s str,
    keys: &'s DemoKeys,
    users: &'s [DemoUser],
    other_organization: &'s Organization,
}

/// `muster dev`: serves until it is interrupted.
///
/// # Errors
/// See [`LocalStack::start`]; or the greeting or the file of `--env-vars` cannot be written.
pub async fn run(dev: args::Dev) -> anyhow::Result<()> {
    let args::Dev {
        port,
        listen,
        data_dir,
        in_memory,
        samples,
        env_vars,
        cors_origins,
        allow_hosts,
        json,
    } = dev;
    let data = match data_dir {
        _ if samples => Data::Samples,
        _ if in_memory => Data::Memory,
        Some(folder) => Data::Folder(folder),
        None => Data::Folder(Folder::default_path()?),
    };
    if !listen.is_loopback() {
        output::note(format_args!(
            "warning: every client that reaches {listen} can read and write all data here: the table and the queues ask for no \
             credentials"
        ));
    }
    let settings = Settings {
        listen,
        cors_origins,
        allow_hosts,
        ..Settings::default()
    };
    let mut interrupted = Interrupts::listen().context("could not listen for Ctrl-C")?;
    let stack = tokio::select! {
        stack = LocalStack::start(port, data.clone(), settings) => stack?,
        () = interrupted.next() => return Ok(()),
    };
    if let Some(file) = env_vars
        && let Err(error) = fs::write(&file, format!("{:#}\n", stack.env_vars()))
    {
        stack.stop().await?;
        return Err(error).with_context(|| format!("{} cannot be written", file.display()));
    }
    let greeting = if json {
        serde_json::to_string(&stack.describe())?
    } else {
        greeting(&stack, &data)
    };
    // The greeting has the addresses and the keys. A stack that could not print them has no user,
    // so it ends. Its keys end with it, or stay in the data folder for the greeting of the next
    // start.
    let printed = output::line(greeting);
    if printed.is_ok() {
        interrupted.next().await;
    }
    stack.stop().await?;
    Ok(printed?)
}

fn greeting(stack: &LocalStack, data: &Data) -> String {
    let LocalStack {
        url,
        dynamodb_url,
        aws_url,
        table,
        organizations: [demo, _],
        ..
    } = stack;
    let DemoKeys { toptickets, itsm } = &demo.keys;
    let kept = match data {
        Data::Memory => "in memory, forgotten at the end".to_owned(),
        Data::Samples => {
            "in memory, forgotten at the end; what the files in events/ name is in it".to_owned()
        }
        Data::Folder(folder) => format!(
            "{} (what waits in the queues, when it is ended by Ctrl-C)",
            folder.display()
        ),
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
         Documentation    {url}/docs\n\
         Tickets          curl {url}/_dev/queues/tickets -H 'Content-Type: application/json' -d @EVENT.json\n\
         \x20                or SQS at {}\n\
         Events           GET {url}/_dev/events\n\
         DynamoDB         {dynamodb_url}, table {table}\n\
         SQS, S3 and bus  {aws_url}\n\
         Organization     {}, {} users\n\
         Data             {kept}",
        contract("TopTickets", toptickets),
        contract("ITSM", itsm),
        stack.queue_url("tickets"),
        demo.organization_id,
        demo.users.len(),
    )
}

/// Ctrl-C, and the signal by which a process is asked to end. Listened for from the first to the
/// last: one that comes between two waits is not lost.
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
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(windows)]
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: tokio::signal::windows::ctrl_c()?,
        })
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

/// Logs to standard error: warnings and worse, unless `RUST_LOG` says otherwise. The SDK warns of
/// every place without credentials that it tries.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,aws_config=error"));
    let stderr = io::stderr;
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        // The subscriber reports a failed write with `eprintln!`, which panics where standard error
        // is a closed pipe.
        .log_internal_errors(false)
        .try_init();
}
