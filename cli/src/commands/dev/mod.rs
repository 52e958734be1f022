//! `muster dev`.

mod env;
mod greeting;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

use crate::{
    local::{
        Console, ConsoleFormat, ConsolePrinter, CorsOrigin, Data, HostName, LocalStack, Settings,
    },
    output,
    running::RuntimeFile,
};

pub use env::Env;

/// The form of the console's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// Text for people
    Human,
    /// One JSON object a line; the first is that of --json
    Json,
}

/// `muster dev`
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  muster dev
  muster dev --in-memory --port 0
  muster dev --data-dir ./data --cors-origin http://localhost:5173
  eval \"$(muster dev env)\""
)]
pub struct Dev {
    /// The command on the running stack, instead of a start.
    #[command(subcommand)]
    pub command: Option<DevCommand>,
    /// Port of the API; 0 picks a free one
    #[arg(long, default_value_t = 3000)]
    pub port: u16,
    /// Port of DynamoDB; 0 picks a free one [default: --port + 1, or 0 if --port is 0]
    #[arg(long, value_name = "PORT")]
    pub dynamodb_port: Option<u16>,
    /// Port of SQS, S3 and the event bus; 0 picks a free one [default: --port + 2, or 0 if --port
    /// is 0]
    #[arg(long, value_name = "PORT")]
    pub aws_port: Option<u16>,
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
    /// Delete the content of the data folder first, without a question. A folder that is in use, or
    /// that has files of another program, is refused
    #[arg(long, conflicts_with = "in_memory")]
    pub reset: bool,
    /// The longest time for which a queue or the stream gathers a batch, such as 500ms or 1s. In
    /// AWS it is a second, as template.yaml says
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = batch_window)]
    pub batch_window: Duration,
    /// Add the data that the files in events/ refer to: two teams, and published API keys
    #[arg(long, requires = "in_memory", conflicts_with = "data_dir")]
    pub samples: bool,
    /// Do not create the demo organization with its teams and tickets
    #[arg(long)]
    pub empty: bool,
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
    /// Print one line of JSON instead of the greeting when the stack is ready, and no line after it
    /// without --log
    #[arg(long)]
    pub json: bool,
    /// Print no lines after the greeting
    #[arg(long, conflicts_with = "log")]
    pub quiet: bool,
    /// Form of the lines after the greeting: one for each request, decision, announcement and dead
    /// letter. They never have credentials or bodies [default: human]
    #[arg(long, value_name = "FORM", value_enum)]
    pub log: Option<LogForm>,
}

/// `muster dev`, on the running stack
#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// Print the addresses, the keys and a user id of the running stack, as variables for a shell
    ///
    /// The variables are MUSTER_URL, MUSTER_ORGANIZATION, a key and a read-only key of each
    /// contract, MUSTER_USER_ID, and those of the AWS tools: TABLE_NAME, AWS_ENDPOINT_URL,
    /// AWS_ENDPOINT_URL_DYNAMODB, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the URLs
    /// of the queues. The stack accepts any credentials.
    Env(Env),
}

impl Dev {
    /// Runs a local stack, or the command on the running one.
    ///
    /// # Errors
    /// Returns the error of [`LocalStack::start`], or the greeting or the file of `--env-vars`
    /// cannot be written; or the command fails.
    pub async fn run(mut self) -> anyhow::Result<()> {
        match self.command.take() {
            Some(DevCommand::Env(env)) => env.run().await,
            None => self.serve().await,
        }
    }

    /// Runs a local stack until a signal ends the process.
    async fn serve(self) -> anyhow::Result<()> {
        let data = self.data()?;
        let Self { listen, .. } = &self;
        if !listen.is_loopback() {
            output::note(format_args!(
                "warning: every client that reaches {listen} can read and write all data: DynamoDB and SQS accept any \
                 credentials"
            ));
        }
        let (console, events) = Console::channel();
        let settings = self.settings(&console)?;
        let mut signals = ShutdownSignals::listen().context("cannot listen for Ctrl-C")?;
        let stack = tokio::select! {
            stack = LocalStack::start(self.port, data.clone(), settings) => stack?,
            () = signals.next() => return Ok(()),
        };
        let runtime_file = publish(&stack);
        let outcome = self.announce(&stack, &data);
        let mut printer = None;
        if outcome.is_ok() {
            if let Some(format) = self.console_format() {
                let table = stack.table_client();
                printer = Some(ConsolePrinter::start(console, events, table, format));
            }
            signals.next().await;
        }
        drop(runtime_file);
        let stopped = stack.stop().await;
        if let Some(printer) = printer {
            printer.finish().await;
        }
        stopped?;
        outcome
    }

    /// Returns the place of the data.
    fn data(&self) -> anyhow::Result<Data> {
        Ok(match &self.data_dir {
            _ if self.samples => Data::Samples,
            _ if self.in_memory => Data::Memory,
            Some(folder) => Data::Directory(folder.clone()),
            None => Data::Directory(Data::default_folder()?),
        })
    }

    /// Returns the settings of the stack, which reports to the console if there are lines to print.
    fn settings(&self, console: &Console) -> anyhow::Result<Settings> {
        let port_after =
            |own: Option<u16>, distance| own.map_or_else(|| port_after(self.port, distance), Ok);
        let console = self.console_format().map(|_| console.clone());
        Ok(Settings {
            listen: self.listen,
            dynamodb_port: port_after(self.dynamodb_port, 1)?,
            aws_port: port_after(self.aws_port, 2)?,
            reset: self.reset,
            batching_window: Some(self.batch_window),
            console: console.unwrap_or_default(),
            cors_origins: self.cors_origins.clone(),
            allow_hosts: self.allow_hosts.clone(),
            demo: !self.empty,
            ..Settings::default()
        })
    }

    /// Returns the form of the lines after the greeting, or `None` for no lines.
    fn console_format(&self) -> Option<ConsoleFormat> {
        match self.log {
            None if self.quiet || self.json => None,
            None | Some(LogForm::Human) => Some(ConsoleFormat::human()),
            Some(LogForm::Json) => Some(ConsoleFormat::Json),
        }
    }

    /// Writes the file of `--env-vars`, and prints the greeting or the line of `--json`. Without
    /// it, the addresses and keys of the stack are unknown, so a failure ends the stack. In a data
    /// folder, the keys remain for the greeting of the next start.
    fn announce(&self, stack: &LocalStack, data: &Data) -> anyhow::Result<()> {
        if let Some(file) = &self.env_vars {
            fs::write(file, format!("{:#}\n", stack.env_vars()))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let is_json = self.json || self.log == Some(LogForm::Json);
        output::line(if is_json {
            serde_json::to_string(&stack.describe())?
        } else {
            greeting::text(stack, data, self.batch_window)
        })?;
        Ok(())
    }
}

/// Writes the file by which other commands find the stack. A failure is a warning, because the
/// stack serves without the file.
fn publish(stack: &LocalStack) -> Option<RuntimeFile> {
    RuntimeFile::write(stack)
        .inspect_err(|error| {
            output::note(format_args!(
                "warning: other commands do not find this stack by themselves: {error:#}"
            ));
        })
        .ok()
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

/// Returns the port that is this much higher than the port of the API; 0 stays 0, a free port.
fn port_after(port: u16, distance: u16) -> anyhow::Result<u16> {
    match port {
        0 => Ok(0),
        _ => port.checked_add(distance).with_context(|| {
            format!(
                "no port is {distance} above {port}: choose a lower --port, or pass --dynamodb-port and --aws-port"
            )
        }),
    }
}

/// Parses a time in seconds or milliseconds, at most the maximum of AWS Lambda. AWS Lambda
/// Developer Guide, "Invoking Lambda with records from an event source":
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html>.
fn batch_window(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_mins(5);
    const RULE: &str = "not a time: use a number and a unit, ms or s, such as 500ms or 1s";
    let number = |number: &str| number.parse().map_err(|_| RULE.to_owned());
    let window = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(milliseconds), _) => Duration::from_millis(number(milliseconds)?),
        (None, Some(seconds)) => Duration::from_secs(number(seconds)?),
        (None, None) if text == "0" => Duration::ZERO,
        (None, None) => return Err(RULE.to_owned()),
    };
    if window > LONGEST {
        return Err("must be at most 300s".to_owned());
    }
    Ok(window)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_window_without_a_unit_is_rejected() {
        for (text, window) in [
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("500ms", Duration::from_millis(500)),
            ("1s", Duration::from_secs(1)),
            ("300s", Duration::from_mins(5)),
        ] {
            assert_eq!(batch_window(text), Ok(window), "{text}");
        }
        for bad in [
            "",
            "s",
            "ms",
            "1",
            "1m",
            "-1s",
            "0.5s",
            "301s",
            "99999999999s",
            "1é",
        ] {
            assert!(batch_window(bad).is_err(), "{bad:?}");
        }
    }
}
