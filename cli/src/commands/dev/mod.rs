//! `muster dev`.

mod greeting;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use anyhow::Context;
use clap::Args;

use crate::{
    local::{CorsOrigin, Data, HostName, LocalStack, Settings},
    output,
    running::RuntimeFile,
};

/// `muster dev`
#[derive(Debug, Args)]
pub struct Dev {
    /// Port of the API; 0 picks a free one
    #[arg(long, default_value_t = 3000)]
    pub port: u16,
    /// Address to listen on, also for DynamoDB and SQS, which accept any credentials. Containers
    /// reach the address of Docker's bridge, such as 172.17.0.1, but not 127.0.0.1
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST.into(), value_parser = one_address)]
    pub listen: IpAddr,
    /// Folder that stores teams, tickets and keys, and, at a regular shutdown, the messages of the
    /// queues [default: muster in the user's data directory]
    #[arg(long, value_name = "DIR", conflicts_with = "in_memory")]
    pub data_dir: Option<PathBuf>,
    /// Store the data in memory only; it is lost at the end
    #[arg(long)]
    pub in_memory: bool,
    /// Add the data that the files in events/ refer to: two teams, and published API keys
    #[arg(long, requires = "in_memory", conflicts_with = "data_dir")]
    pub samples: bool,
    /// File to write the functions' environment to, as `sam local --env-vars` reads it; an existing
    /// file is replaced
    #[arg(long, value_name = "FILE")]
    pub env_vars: Option<PathBuf>,
    /// Origin that may call the API from a browser, such as http://localhost:5173; * allows
    /// every origin. Pages of other origins are refused, and DynamoDB and SQS refuse pages of every
    /// origin. Can be repeated [default: none]
    #[arg(long = "cors-origin", value_name = "URL", value_parser = CorsOrigin::parse)]
    pub cors_origins: Vec<CorsOrigin>,
    /// Additional host name of the stack, such as host.docker.internal. Clients may always use
    /// localhost and an IP address: one of the loopback interface or, with --listen, any. Can be
    /// repeated
    #[arg(long = "allow-host", value_name = "NAME", value_parser = HostName::parse)]
    pub allow_hosts: Vec<HostName>,
    /// Print one line of JSON instead of the greeting when the stack is ready
    #[arg(long)]
    pub json: bool,
}

impl Dev {
    /// Runs a local stack until a signal ends the process.
    ///
    /// # Errors
    /// Returns the error of [`LocalStack::start`], or the greeting or the file of `--env-vars`
    /// cannot be written.
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
                "warning: every client that reaches {listen} can read and write all data: DynamoDB and SQS accept any \
                 credentials"
            ));
        }
        let settings = Settings {
            listen,
            cors_origins,
            allow_hosts,
            ..Settings::default()
        };
        let mut signals = ShutdownSignals::listen().context("cannot listen for Ctrl-C")?;
        let stack = tokio::select! {
            stack = LocalStack::start(port, data.clone(), settings) => stack?,
            () = signals.next() => return Ok(()),
        };
        if let Some(file) = env_vars
            && let Err(error) = fs::write(&file, format!("{:#}\n", stack.env_vars()))
        {
            stack.stop().await?;
            return Err(error).with_context(|| format!("cannot write {}", file.display()));
        }
        let runtime_file = RuntimeFile::write(&stack);
        if let Err(error) = &runtime_file {
            output::note(format_args!(
                "warning: other commands do not find this stack by themselves: {error:#}"
            ));
        }
        let greeting = if json {
            serde_json::to_string(&stack.describe())?
        } else {
            greeting::text(&stack, &data)
        };
        // Without the greeting, the addresses and keys of the stack are unknown, so it ends. In a
        // data folder, the keys remain for the greeting of the next start.
        let printed = output::line(greeting);
        if printed.is_ok() {
            signals.next().await;
        }
        drop(runtime_file);
        stack.stop().await?;
        Ok(printed?)
    }
}

/// Ctrl-C and SIGTERM. The handlers are installed once, so that a signal between two waits is not
/// lost.
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
            Err("an address of all interfaces is not supported: name one address".to_owned())
        }
        Ok(address) => Ok(address),
        Err(_) => Err("not an IP address: use the form 127.0.0.1 or ::1".to_owned()),
    }
}
