//! A local stack, from its start to its shutdown.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use muster_service::{
    aws::{eventbridge::Bus, s3::Bucket, sqs_send::Queue},
    http::Deps,
    jobs::JobQueues,
    store::Table,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::{
    BUS, BucketObjects, Console, Demo, DemoOrganization, EventBus, ProcessIdentity, Queues,
    Settings, aws,
    cors::Cors,
    data_dir::DataDir,
    demo_route,
    engine::Engine,
    event_source::{Checkpoint, Functions, Resources, StreamPoller, run_queue, run_schedule},
    gateway::Gateway,
    guard::Guard,
    listeners::Listeners,
    routes,
    s3::BUCKET,
    seed::{PreparedTable, SeedData},
    server, sqs,
};
use crate::{emulator, output, sam::Template};

/// The table's name in the embedded engine.
const TABLE: &str = "muster";

/// The file in the data folder with the messages of the queues, which a shutdown writes.
const QUEUES_FILE: &str = "queues.json";

/// The time that running requests and invocations have to finish at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// The place of the local stack's data.
#[derive(Debug, Clone)]
pub enum Data {
    /// In memory.
    Memory,
    /// In memory, with the samples of `events/` and their published keys.
    Samples,
    /// In this folder.
    Directory(PathBuf),
    /// In a table of another engine.
    External {
        /// The endpoint of that engine.
        dynamodb_url: String,
        /// The table's name.
        table: String,
    },
}

impl Data {
    /// Returns the default folder of `muster dev`.
    ///
    /// # Errors
    /// There is no home directory.
    pub fn default_folder() -> anyhow::Result<PathBuf> {
        DataDir::default_path()
    }
}

/// A local stack that accepts requests.
pub struct LocalStack {
    /// The identity of the stack.
    pub process: ProcessIdentity,
    /// The address of the API.
    pub url: String,
    /// The endpoint of DynamoDB.
    pub dynamodb_url: String,
    /// The endpoint of SQS, EventBridge and S3.
    pub aws_url: String,
    /// The table's name.
    pub table: String,
    /// Two organizations without teams and tickets.
    pub organizations: [DemoOrganization; 2],
    /// The demo organization, if the settings include it.
    pub demo: Option<Demo>,
    /// The queues.
    pub queues: Queues,
    /// The announcements.
    pub events: EventBus,
    /// The bucket of failed records.
    pub failed_records: BucketObjects,
    engine: Option<Engine>,
    /// Stops the API and the event sources.
    stop: watch::Sender<bool>,
    /// The servers and event sources, which finish their running work.
    tasks: Vec<JoinHandle<()>>,
    /// Stops the AWS services, which running invocations need until their end.
    stop_aws: watch::Sender<bool>,
    aws: JoinHandle<()>,
    checkpoint: Checkpoint,
    data_dir: Option<Arc<DataDir>>,
}

impl LocalStack {
    /// Returns the table's client.
    #[must_use]
    pub fn table_client(&self) -> Table {
        Table::new(emulator::client(&self.dynamodb_url), self.table.as_str())
    }

    /// Starts a stack whose API has this port, 0 for a free one, and waits until it accepts
    /// requests.
    ///
    /// # Errors
    /// A port is in use, the address does not belong to this machine, or the data folder is in
    /// use or damaged. The error says how to fix it.
    pub async fn start(port: u16, data: Data, settings: Settings) -> anyhow::Result<Self> {
        let process = ProcessIdentity::of_this_process();
        let template = settings.apply(Template::load()?);
        let Listeners { api, dynamodb, aws } = Listeners::bind(port, &settings).await?;
        let url = format!("http://{}", api.local_addr()?);
        let guard = Guard::new(settings.listen, settings.allow_hosts.clone());
        let console = settings.console.clone();

        let data_dir = open_data(&data, settings.reset)?;
        let damaged = |error| damaged(data_dir.as_deref(), error);
        let engine = open_engine(&data, dynamodb, &guard, data_dir.as_deref()).map_err(damaged)?;
        let mut prepared = prepare_table(&data, &template, &engine, data_dir.as_deref(), &settings)
            .await
            .map_err(damaged)?;
        let table = prepared.table.clone();
        let checkpoint = Checkpoint::open(data_dir.clone()).map_err(damaged)?;
        let services =
            ServicesEndpoint::start(&template, aws, &guard, data_dir.as_deref(), &console)?;
        let (stop, stopping) = watch::channel(false);
        let resources = resources(table.clone(), &services)?;
        let mut functions = Functions::new(&template, resources, &settings);
        let assignment = functions.get("AssignmentFunction")?;
        let demo = prepared.demo(&assignment).await.map_err(damaged)?;
        let sources = Sources {
            template: &template,
            functions,
            services: &services,
            checkpoint: &checkpoint,
            skips_seeds: prepared.skips_seeds,
            console: &console,
            stopping: &stopping,
        };
        let mut tasks = sources.spawn(&engine).await.map_err(damaged)?;
        let shown = demo_route::router(settings.listen, &prepared.organizations[0], demo.as_ref());
        let routes = api_routes(process, &template, &settings, &table)?
            .merge(own_routes(&guard, &services))
            .merge(shown);
        let guard = guard.with_origins(&settings.cors_origins);
        tasks.push(serve(api, guard, routes, console, stopping));

        let ServicesEndpoint {
            queues,
            events,
            failed_records,
            url: aws_url,
            stop: stop_aws,
            server: aws,
        } = services;
        Ok(Self {
            process,
            url,
            dynamodb_url: engine.url,
            aws_url,
            table: engine.table,
            organizations: prepared.organizations,
            demo,
            queues,
            events,
            failed_records,
            engine: engine.embedded,
            stop,
            tasks,
            stop_aws,
            aws,
            checkpoint,
            data_dir,
        })
    }

    /// Waits up to two seconds for running work, then stops. With a data folder, the messages of
    /// the queues are saved.
    ///
    /// # Errors
    /// The engine does not stop, or the folder cannot be written.
    pub async fn stop(self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SHUTDOWN_GRACE;
        let _ = self.stop.send(true);
        for tasks in self.tasks {
            join_or_abort(tasks, deadline).await;
        }
        let _ = self.stop_aws.send(true);
        join_or_abort(self.aws, deadline).await;
        if let Some(data_dir) = &self.data_dir {
            data_dir.write(QUEUES_FILE, &self.queues.snapshot())?;
        }
        self.checkpoint.save()?;
        match self.engine {
            Some(engine) => engine.stop().await,
            None => Ok(()),
        }
    }

    /// Returns the organization of the greeting: the demo organization, or else the first
    /// organization without teams.
    #[must_use]
    pub fn greeted(&self) -> &DemoOrganization {
        match &self.demo {
            Some(demo) => &demo.organization,
            None => &self.organizations[0],
        }
    }

    /// Returns the URL of a queue.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        sqs::url(&self.aws_url, name)
    }
}

/// Opens the data folder, if there is one. A reset deletes its content first, and prints the names
/// of the deleted files.
fn open_data(data: &Data, reset: bool) -> anyhow::Result<Option<Arc<DataDir>>> {
    match data {
        Data::Directory(path) => {
            if reset {
                let deleted = DataDir::reset(path)?;
                let names = if deleted.is_empty() {
                    "no files".to_owned()
                } else {
                    deleted.join(", ")
                };
                output::note(format_args!("deleted {names} in {}", path.display()));
            }
            Ok(Some(Arc::new(DataDir::open(path)?)))
        }
        Data::Memory | Data::Samples | Data::External { .. } => Ok(None),
    }
}

/// Returns the error for damaged data.
fn damaged(data_dir: Option<&DataDir>, error: anyhow::Error) -> anyhow::Error {
    match data_dir {
        Some(data_dir) => data_dir.damaged(&error),
        None => error,
    }
}

/// The engine with the table.
struct TableEngine {
    url: String,
    table: String,
    /// The embedded engine, unless the table is in an external one.
    embedded: Option<Engine>,
}

/// Starts the embedded engine, unless the table is in an external one.
fn open_engine(
    data: &Data,
    listener: TcpListener,
    guard: &Guard,
    data_dir: Option<&DataDir>,
) -> anyhow::Result<TableEngine> {
    if let Data::External {
        dynamodb_url,
        table,
    } = data
    {
        return Ok(TableEngine {
            url: dynamodb_url.clone(),
            table: table.clone(),
            embedded: None,
        });
    }
    let file = data_dir.map(DataDir::database);
    let engine = Engine::start(listener, guard.clone(), file.as_deref())?;
    Ok(TableEngine {
        url: engine.url().to_owned(),
        table: TABLE.to_owned(),
        embedded: Some(engine),
    })
}

/// Creates the table with its organizations, if they are missing.
async fn prepare_table<'s>(
    data: &Data,
    template: &Template,
    engine: &TableEngine,
    data_dir: Option<&'s DataDir>,
    settings: &Settings,
) -> anyhow::Result<PreparedTable<'s>> {
    let seeds = SeedData {
        demo: settings.demo,
        samples: matches!(data, Data::Samples),
    };
    PreparedTable::open(&template.table, &engine.url, &engine.table, data_dir, seeds).await
}

/// The emulated SQS, EventBridge and S3, at one endpoint.
struct ServicesEndpoint {
    queues: Queues,
    events: EventBus,
    failed_records: BucketObjects,
    url: String,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl ServicesEndpoint {
    /// Serves the services on the listener, with the saved messages of the queues.
    fn start(
        template: &Template,
        listener: TcpListener,
        guard: &Guard,
        data_dir: Option<&DataDir>,
        console: &Console,
    ) -> anyhow::Result<Self> {
        let queues = Queues::new(template, console.clone());
        let saved = data_dir
            .map(|data_dir| data_dir.read(QUEUES_FILE))
            .transpose()
            .map_err(|error| damaged(data_dir, error))?
            .flatten();
        if let Some(saved) = saved {
            queues.restore(saved);
        }
        let events = EventBus::new(console.clone());
        let failed_records = BucketObjects::default();
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopping) = watch::channel(false);
        let router = aws::router(queues.clone(), events.clone(), failed_records.clone());
        let server = serve(
            listener,
            guard.clone(),
            router,
            Console::default(),
            stopping,
        );
        Ok(Self {
            queues,
            events,
            failed_records,
            url,
            stop,
            server,
        })
    }
}

/// The event sources of the template.
struct Sources<'s> {
    template: &'s Template,
    functions: Functions<'s>,
    services: &'s ServicesEndpoint,
    checkpoint: &'s Checkpoint,
    /// True if the stream is read after the records of the seeded data.
    skips_seeds: bool,
    console: &'s Console,
    stopping: &'s watch::Receiver<bool>,
}

impl Sources<'_> {
    /// Runs each event source on its own task.
    async fn spawn(self, engine: &TableEngine) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let Self {
            template,
            mut functions,
            services,
            checkpoint,
            skips_seeds,
            console,
            stopping,
        } = self;
        let mut tasks = Vec::new();
        for mapping in &template.stream_mappings {
            let mut mapping = mapping.clone();
            if skips_seeds {
                "LATEST".clone_into(&mut mapping.starting_position);
            }
            let function = functions.get(&mapping.function)?;
            let poller = StreamPoller::open(
                &engine.url,
                &engine.table,
                mapping,
                function,
                services.failed_records.clone(),
                checkpoint.clone(),
                stopping.clone(),
            );
            let poller = poller.await?.with_console(console.clone());
            tasks.push(tokio::spawn(poller.run()));
        }
        for mapping in &template.queue_mappings {
            let function = functions.get(&mapping.function)?;
            let queues = services.queues.clone();
            let run = run_queue(queues, mapping.clone(), function, stopping.clone());
            tasks.push(tokio::spawn(run));
        }
        for schedule in &template.schedules {
            let function = functions.get(&schedule.function)?;
            let run = run_schedule(schedule.clone(), function, stopping.clone());
            tasks.push(tokio::spawn(run));
        }
        Ok(tasks)
    }
}

/// Returns the routes for the queues and the announcements. Pages of listed origins may call the
/// API only, so the guard of these routes has no origins.
fn own_routes(guard: &Guard, services: &ServicesEndpoint) -> Router {
    guard.clone().protect(routes::router(
        services.queues.clone(),
        services.events.clone(),
        services.url.clone(),
    ))
}

/// Returns the routes of the API.
fn api_routes(
    process: ProcessIdentity,
    template: &Template,
    settings: &Settings,
    table: &Table,
) -> anyhow::Result<Router> {
    let cors = Cors::new(&template.cors, settings.cors_origins.clone())?;
    let gateway = Gateway::new(process, template, cors, || {
        let mut deps = Deps::new(table.clone());
        (settings.http)(&mut deps);
        deps
    })?;
    Ok(gateway.router())
}

/// Returns the clients of the event-driven functions for this stack.
fn resources(table: Table, services: &ServicesEndpoint) -> anyhow::Result<Resources> {
    let ServicesEndpoint {
        queues,
        url: aws_url,
        ..
    } = services;
    let sdk = emulator::sdk_config(aws_url);
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    let queue = |name: &str| Queue::new(sqs.clone(), sqs::url(aws_url, name));
    let dead_letters = |name: &str| {
        queues
            .dead_letters_of(name)
            .map(queue)
            .with_context(|| format!("the queue {name} has no dead-letter queue"))
    };
    Ok(Resources {
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

/// Serves routes on a task of their own.
fn serve(
    listener: TcpListener,
    guard: Guard,
    routes: Router,
    console: Console,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = server::serve(listener, guard, routes, console, stop).await {
            tracing::error!("the server stopped: {error}");
        }
    })
}

/// Waits for the end of a task until the deadline, then aborts it.
async fn join_or_abort(mut task: JoinHandle<()>, deadline: Instant) {
    if timeout_at(deadline, &mut task).await.is_err() {
        task.abort();
        // After this, the resources of the task are released.
        let _ = task.await;
    }
}
