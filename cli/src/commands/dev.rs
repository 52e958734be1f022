//! `muster dev`.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use anyhow::Context;
use clap::Args;

use crate::{
    local::{ContractKeys, CorsOrigin, Data, DemoKeys, HostName, LocalStack, Settings},
    output,
};

/// `muster dev`
#[derive(Debug, Args)]
pub struct Dev {
    /// Port to serve on; 0 picks a free one
    #[arg(long, default_value_t = 3000)]
    pub port: u16,
    /// Address to serve on, the table and the queues too, which ask for no credentials. A container
    /// reaches that of Docker's bridge, such as 172.17.0.1, and not 127.0.0.1
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST.into(), value_parser = one_address)]
    pub listen: IpAddr,
    /// DataDir that keeps teams, tickets and keys from one start to the next, and what waits in the
    /// queues unless it is killed [default: one under the user's data directory]
    #[arg(long, value_name = "DIR", conflicts_with = "in_memory")]
    pub data_dir: Option<PathBuf>,
    /// Keep nothing: forget everything at the end
    #[arg(long)]
    pub in_memory: bool,
    /// Begin with what the files in events/ name: two teams, and keys that everybody knows
    #[arg(long, requires = "in_memory", conflicts_with = "data_dir")]
    pub samples: bool,
    /// Write the functions' environment to this file, over what it has, as `sam local --env-vars`
    /// takes it
    #[arg(long, value_name = "FILE")]
    pub env_vars: Option<PathBuf>,
    /// Origin whose pages may call the API from a browser, such as http://localhost:5173; * is any.
    /// Pages of other origins are refused, and no page reaches the table or the queues. Can be
    /// given more than once
    #[arg(long = "cors-origin", value_name = "URL", value_parser = CorsOrigin::parse)]
    pub cors_origins: Vec<CorsOrigin>,
    /// Host name that clients may call the stack by, such as host.docker.internal. Without it they
    /// use localhost or an IP address: that of this machine's loopback interface, or any with
    /// --listen. Can be given more than once
    #[arg(long = "allow-host", value_name = "NAME", value_parser = HostName::parse)]
    pub allow_hosts: Vec<HostName>,
    /// Print one line of JSON in place of the greeting, once it serves
    #[arg(long)]
    pub json: bool,
}

impl Dev {
    /// Serves until it is signals.
    ///
    /// # Errors
    /// See [`LocalStack::start`]; or the greeting or the file of `--env-vars` cannot be written.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            port,
            listen,
            data_dir,
            in_memory,
            samples,
            env_vars,
            cors_origins,
            allow_hosts,
            json,
        } = self;
        let data = match data_dir {
            _ if samples => Data::Samples,
            _ if in_memory => Data::Memory,
            Some(folder) => Data::Directory(folder),
            None => Data::Directory(Data::default_folder()?),
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
        let mut signals = ShutdownSignals::listen().context("could not listen for Ctrl-C")?;
        let stack = tokio::select! {
            stack = LocalStack::start(port, data.clone(), settings) => stack?,
            () = signals.next() => return Ok(()),
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
        // The greeting has the addresses and the keys. A stack that could not print them has no
        // user, so it ends. Its keys end with it, or stay in the data folder for the greeting of
        // the next start.
        let printed = output::line(greeting);
        if printed.is_ok() {
            signals.next().await;
        }
        stack.stop().await?;
        Ok(printed?)
    }
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
    let data_location = match data {
        Data::Memory => "in memory, forgotten at the end".to_owned(),
        Data::Samples => {
            "in memory, forgotten at the end; what the files in events/ name is in it".to_owned()
        }
        Data::Directory(folder) => format!(
            "{} (what waits in the queues, when it is ended by Ctrl-C)",
            folder.display()
        ),
        Data::External { dynamodb_url, .. } => format!("where {dynamodb_url} keeps it"),
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
         Data             {data_location}",
        contract("TopTickets", toptickets),
        contract("ITSM", itsm),
        stack.queue_url("tickets"),
        demo.organization_id,
        demo.users.len(),
    )
}

/// Ctrl-C, and the signal by which a process is asked to end. Listened for from the first to the
/// last: one that comes between two waits is not lost.
struct ShutdownSignals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl ShutdownSignals {
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

fn one_address(text: &str) -> Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => {
            Err("name one address: nobody can be told to call all of them".to_owned())
        }
        Ok(address) => Ok(address),
        Err(_) => Err("an address is written 127.0.0.1 or ::1".to_owned()),
    }
}
