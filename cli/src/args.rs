//! The command line's grammar. Its doc comments are the help texts, which have no Markdown.
#![expect(clippy::doc_markdown, reason = "backticks would show in a terminal")]

mod browsers;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use muster::domain::{Contract, KeyKind, OrganizationId, Scope, TeamId, Timestamp, UserId};

pub use browsers::{CorsOrigin, HostName};

/// Teams, memberships and ticket routing for help desks
///
/// `muster dev` runs everything on this machine. The commands for tables, keys, JWKS and users work
/// on the table that --table names, in AWS by the usual environment (AWS_REGION, AWS_PROFILE, …) or
/// wherever --endpoint-url points; those for tickets on a queue, and those for changes on the
/// bucket of failed records.
///
/// The exit code is 0 if the command succeeds or its reader closes the pipe, 1 if it fails, and 2
/// for a usage error.
#[derive(Debug, Parser)]
#[command(name = "muster", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole service on this machine, with a demo organization
    Dev(Dev),
    /// Work on the DynamoDB table
    Table {
        /// What to do with it.
        #[command(subcommand)]
        command: TableCommand,
    },
    /// Make, list and revoke API keys
    Keys {
        /// What to do with them.
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Say which keys the ITSM platform signs an organization's tokens with
    Jwks {
        /// What to do with them.
        #[command(subcommand)]
        command: JwksCommand,
    },
    /// Work on user profiles
    Users {
        /// What to do with them.
        #[command(subcommand)]
        command: UsersCommand,
    },
    /// Make up ticket events, check them, send them, and send dead letters again
    Tickets {
        /// What to do with them.
        #[command(subcommand)]
        command: TicketsCommand,
    },
    /// Announce changes of the table again that failed
    Changes {
        /// The work on them.
        #[command(subcommand)]
        command: ChangesCommand,
    },
    /// Print a contract's OpenAPI document
    Openapi(Openapi),
}

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
    /// Folder that keeps teams, tickets and keys from one start to the next, and what waits in the
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

/// Which table, and where.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The table's name
    #[arg(long, env = "TABLE_NAME", default_value = "muster", value_name = "NAME", value_parser = table_name)]
    pub table: String,
    /// DynamoDB's address, where it is not AWS's own
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<url::Url>,
}

/// `muster table`
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Create the table as template.yaml defines it; says so and succeeds if it exists
    Create(TableCreate),
}

/// `muster table create`
#[derive(Debug, Args)]
pub struct TableCreate {
    /// Which table.
    #[command(flatten)]
    pub target: Target,
}

/// `muster keys`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and show it, this once
    ///
    /// A key that cannot be printed, because the pipe is closed or the disk is full, is deleted
    /// again. The exit code is then 1.
    Create(KeysCreate),
    /// List an organization's keys, without the secrets
    List(KeysList),
    /// Revoke a key; functions that know it stop taking it within 60 seconds
    Revoke(KeysRevoke),
}

/// `muster keys create`
#[derive(Debug, Args)]
pub struct KeysCreate {
    /// Whose key
    #[arg(long, value_name = "ID", value_parser = organization)]
    pub organization: OrganizationId,
    /// What the key is for: its prefix, and so the contract it speaks
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// What it may do [default: all that its kind may]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCOPE,…")]
    pub scopes: Option<Vec<ScopeName>>,
    /// Your own words for it
    #[arg(long, value_name = "TEXT", value_parser = line)]
    pub name: Option<String>,
    /// Where it may be used from: networks and single addresses, such as 192.0.2.0/24,2001:db8::7
    /// [default: anywhere]
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', value_parser = network)]
    pub allow_from: Vec<IpNet>,
    /// How long it is good for, such as 90m, 12h or 30d [default: until revoked; tt_ro keys 72h at
    /// most]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub expires_in: Option<Duration>,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Which table.
    #[command(flatten)]
    pub target: Target,
}

/// `muster keys list`
#[derive(Debug, Args)]
pub struct KeysList {
    /// Whose keys
    #[arg(long, value_name = "ID", value_parser = organization)]
    pub organization: OrganizationId,
    /// Print one line of JSON a key
    #[arg(long)]
    pub json: bool,
    /// Which table.
    #[command(flatten)]
    pub target: Target,
}

/// `muster keys revoke`
#[derive(Debug, Args)]
pub struct KeysRevoke {
    /// Whose key
    #[arg(long, value_name = "ID", value_parser = organization)]
    pub organization: OrganizationId,
    /// The key's id as `muster keys list` shows it, the first digits of it, or the key itself
    #[arg(value_name = "KEY-ID")]
    pub id: String,
    /// Which table.
    #[command(flatten)]
    pub target: Target,
}

/// `muster jwks`
#[derive(Debug, Subcommand)]
pub enum JwksCommand {
    /// Have tokens verified with the keys of a file, in place of those before
    ///
    /// The file is a JSON Web Key Set with 1 to 20 public RSA keys of 2048 to 8192 bits for RS256.
    /// A token names its key by "kid"; one that names none is taken if there is one key. Functions
    /// that know the keys before believe them for up to 60 seconds, so to change keys: set both,
    /// wait a minute, sign with the new one, and set it alone when the old tokens have ended.
    Set(JwksSet),
    /// Show what is set
    Show(JwksShow),
    /// Take no token of an organization any more; functions that know its keys stop within 60
    /// seconds
    Remove(JwksRemove),
}

/// `muster jwks set`
#[derive(Debug, Args)]
pub struct JwksSet {
    /// Whose tokens
    #[arg(long, value_name = "ID", value_parser = organization)]
    pub organization: OrganizationId,
    /// What a token's "iss" has to be, to the letter [default: not checked]
    #[arg(long, value_name = "URL", value_parser = claim)]
    pub issuer: Option<String>,
    /// What has to be in a token's "aud", to the letter [default: not checked]
    #[arg(long, value_name = "TEXT", value_parser = claim)]
    pub audience: Option<String>,
    /// The file
    #[arg(value_name = "FILE.json")]
    pub file: PathBuf,
    /// Which table.
    #[command(flatten)]
    pub target: Target,
}

/// `muster jwks show`
#[derive(Debug, Args)]
pub struct JwksShow {
    /// Whose tokens
    #[arg(long, value_name = "ID", value_parser = organization)]
    pub organization: OrganizationId,
    /// Print one line of JSON, a JSON Web Key Set itself
    #[arg(long)]
    pub json: bool,
    /// Which table.
    #[command(flatten)]
    pub target: Target,
}

/// `muster jwks remove`
#[derive(Debug, Args)]
pub struct JwksRemove {
    /// Whose tokens
    #[arg(long, value_name = "ID", value_parser = organization)]
    pub organization: OrganizationId,
    /// Which table.
    #[command(flatten)]
    pub target: Target,
}

/// `muster users`
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Write the profiles of a file of JSON lines, as what the platform says of its users now
    ///
    /// Each line is one object. Required fields: "id", "name" (or "full_name"), "email". Optional
    /// fields: "role" (agent), "avatar_url" and "status" (active, inactive, suspended; or
    /// "is_active", true or false). An absent optional field keeps its value. The command reports
    /// each line that it leaves out, by number: one with an error, with an unknown field, or of a
    /// user of whom the platform has sent something newer. It imports the other lines and ends with
    /// exit code 1. A line of a deleted user changes nothing; the command reports it, and that is
    /// no failure.
    Import(UsersImport),
    /// Erase the personal data of users, for good
    ///
    /// Replaces the profile of each user by the tombstone that the event user.deleted makes: the id
    /// stays, and both contracts show "Deleted user". The user can be unknown to Muster so far.
    /// Memberships and leads follow within seconds, by a job. Run the command again if that job was
    /// lost. docs/operations.md says which copies remain, and for how long.
    Erase(UsersErase),
}

/// `muster users import`
#[derive(Debug, Args)]
pub struct UsersImport {
    /// Whose users
    #[arg(long, value_name = "ID", value_parser = organization)]
    pub organization: OrganizationId,
    /// The file
    #[arg(value_name = "FILE.jsonl")]
    pub file: PathBuf,
    /// Accept lines with unknown fields, and ignore those fields
    #[arg(long)]
    pub ignore_unknown: bool,
    /// Which table.
    #[command(flatten)]
    pub target: Target,
}

/// `muster users erase`
#[derive(Debug, Args)]
pub struct UsersErase {
    /// Organization of the users
    #[arg(long, value_name = "ID", value_parser = organization)]
    pub organization: OrganizationId,
    /// Ids of the users: UUIDs, with or without usr_ before them
    #[arg(value_name = "USER-ID", required = true, value_parser = user)]
    pub users: Vec<UserId>,
    /// Which table.
    #[command(flatten)]
    pub target: Target,
}

/// `muster tickets`
#[derive(Debug, Subcommand)]
pub enum TicketsCommand {
    /// Check the events of a file of JSON lines, and send nothing
    ///
    /// Each line is parsed as the function of the queue parses a message. A message with a fault
    /// becomes a dead letter: every fault of every line is reported, and the exit code is then 1. A
    /// warning is a likely mistake in an event that Muster takes: a field with a name like that of
    /// a documented one, such as "state", "assigned_to" or "group"; an unknown priority; no status
    /// in the whole file. Warnings do not change the exit code.
    ///
    /// The check reads no table: it does not see an unknown organization, or an event that is older
    /// than another.
    Check(TicketsCheck),
    /// Send the events of a file of JSON lines to the ticket queue, here or in AWS
    ///
    /// One CloudEvent a line; blank lines are left out. A line that is not JSON is reported by
    /// number and the rest is sent; the exit code is then 1. Events are sent many at once, so they
    /// need not arrive in the file's order. An event that comes twice changes nothing, so a file
    /// can be sent again.
    Send(TicketsSend),
    /// Write a day of ticket events, as a help desk would have them, as JSON lines
    ///
    /// Tickets come as people do, with a quiet night, a peak in the morning and a dip at lunch
    /// (UTC). They are worked on, wait, are resolved, closed, sometimes reopened, cancelled or
    /// deleted; what is not done when the day ends stays open. The same options write the same
    /// bytes, --start included.
    Generate(TicketsGenerate),
    /// Send dead letters again: those of tickets, of users or of jobs
    ///
    /// Dead letters are what could never succeed, which carries its reason, and what failed 10
    /// times. First mend the cause; `muster tickets redrive --dry-run` shows what is there. Then
    /// each is sent to the queue that gave it up, and deleted once that took it. So this can be
    /// interrupted anywhere and run again: nothing is lost, and what comes twice changes nothing.
    /// What is impossible still comes back, with its reason.
    ///
    /// What is left is unseen by others until the end of the command, or for 5 minutes if it is
    /// killed. The exit code is 1 when something that should have been sent again was not, and when
    /// so much is left that there may be more than was seen.
    Redrive(TicketsRedrive),
}

/// `muster tickets check`
#[derive(Debug, Args)]
pub struct TicketsCheck {
    /// The file; - reads standard input
    #[arg(value_name = "FILE.jsonl")]
    pub file: PathBuf,
    /// The queue that the events are for
    #[arg(long, value_enum, value_name = "QUEUE", default_value = "tickets")]
    pub queue: QueueName,
    /// Print one line of JSON for each line with faults or warnings: "line", "event" (its id),
    /// "faults", "warnings". The line of a warning about the whole file is null
    #[arg(long)]
    pub json: bool,
}

/// The queues that take events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueueName {
    /// Events of tickets
    Tickets,
    /// Events of users
    Users,
}

/// `muster tickets send`
#[derive(Debug, Args)]
pub struct TicketsSend {
    /// The file; - reads standard input
    #[arg(value_name = "FILE.jsonl")]
    pub file: PathBuf,
    /// Where to: the address of `muster dev`, or an SQS queue's URL
    /// (sqs.REGION.amazonaws.com/ACCOUNT/NAME), by the usual AWS environment
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000", value_parser = destination)]
    pub to: Destination,
}

/// `muster tickets redrive`
#[derive(Debug, Args)]
pub struct TicketsRedrive {
    /// The dead letters: an SQS queue's URL, by the usual AWS environment; or the address of
    /// `muster dev`, for those of its ticket queue
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000", value_parser = destination)]
    pub from: Destination,
    /// Where to, in the same way [default: the queue whose dead letters they are, as SQS knows it]
    #[arg(long, value_name = "URL", value_parser = destination)]
    pub to: Option<Destination>,
    /// Only those whose reason has this text in it; the reason of what failed is "received too
    /// often"
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Show them and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Edit the body of each before it is sent, with the command in VISUAL or EDITOR
    ///
    /// The function's own parser checks the edited body. Then the body is sent, and that dead
    /// letter is deleted. A dead letter whose body is unchanged or not valid stays. The command
    /// ends when the editor fails, as vi does after :cq.
    #[arg(long, conflicts_with = "dry_run")]
    pub edit: bool,
    /// With --dry-run: print one line of JSON for each, with the whole body
    #[arg(long, requires = "dry_run")]
    pub json: bool,
}

/// `muster changes`
#[derive(Debug, Subcommand)]
pub enum ChangesCommand {
    /// Replay the bucket of failed records: announce the changes and start the jobs that follow
    /// from them
    ///
    /// The bucket has the records of the table's stream that the changes function put aside, and
    /// those that Lambda gave up. First fix the cause; `muster changes redrive --dry-run` shows the
    /// objects with their reasons. Each object is deleted after all of its records were announced
    /// on the bus and their jobs are on their queues. So this can be interrupted anywhere and run
    /// again: a second announcement has the same id. This program reads the records, so use the
    /// version that has the fix.
    ///
    /// An object with records that still fail is left and reported. The exit code is then 1.
    Redrive(ChangesRedrive),
}

/// `muster changes redrive`
#[derive(Debug, Args)]
pub struct ChangesRedrive {
    /// The bucket's name, by the usual AWS environment; or the address of `muster dev`
    #[arg(long, value_name = "BUCKET", default_value = "http://127.0.0.1:3000", value_parser = failed_records)]
    pub from: FailedRecords,
    /// The event bus to announce on; that of `muster dev` is known
    #[arg(long, value_name = "NAME", env = "EVENT_BUS_NAME")]
    pub bus: Option<String>,
    /// The URL of the queue of urgent jobs; that of `muster dev` is known
    #[arg(long, value_name = "URL", env = "JOBS_QUEUE_URL")]
    pub jobs: Option<url::Url>,
    /// The URL of the queue of long jobs; that of `muster dev` is known
    #[arg(long, value_name = "URL", env = "LONG_JOBS_QUEUE_URL")]
    pub long_jobs: Option<url::Url>,
    /// Only objects with keys that begin with this: changes/ are those of the function, aws/lambda/
    /// those of Lambda
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prefix: String,
    /// At most so many objects
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Show the objects without sending or deleting
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: print one line of JSON for each object, with its records
    #[arg(long, requires = "dry_run")]
    pub json: bool,
}

/// The place of failed records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailedRecords {
    /// A `muster dev`.
    LocalStack(url::Url),
    /// An S3 bucket, by name.
    Bucket(String),
}

/// Where ticket events are sent to. An SQS queue's URL has a path, account and name; the local
/// stack's address has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A `muster dev`.
    LocalStack(url::Url),
    /// An SQS queue, or an emulator's.
    Queue(url::Url),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalStack(url) => f.write_str(&url.origin().ascii_serialization()),
            Self::Queue(url) => url.fmt(f),
        }
    }
}

/// `muster tickets generate`
#[derive(Debug, Args)]
pub struct TicketsGenerate {
    /// Whose tickets
    #[arg(long, value_name = "ID", value_parser = organization)]
    pub organization: OrganizationId,
    /// How many tickets are created; about four events come of each
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub tickets: u32,
    /// Another number is another day
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// When the day begins, such as 2026-03-02T00:00:00Z [default: 24 hours ago, since nobody takes
    /// events of the future]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub start: Option<Timestamp>,
    /// Teams for the tickets to name [default: none, so that specializations route them]
    #[arg(long, value_name = "ID,…", value_delimiter = ',', value_parser = team)]
    pub teams: Vec<TeamId>,
    /// Users whom people reassign some tickets to [default: nobody is named]
    #[arg(long, value_name = "ID,…", value_delimiter = ',', value_parser = user)]
    pub users: Vec<UserId>,
    /// Whose field names and words the tickets have
    #[arg(long, value_enum, default_value_t = TicketContract::Mixed)]
    pub contract: TicketContract,
    /// How many of a hundred events come twice
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub duplicates: u8,
    /// Let events come out of order, within this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub shuffle: u32,
    /// Write to this file, over what it has [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `muster openapi`
#[derive(Debug, Args)]
pub struct Openapi {
    /// Which contract
    #[arg(value_enum)]
    pub contract: ContractName,
}

/// The contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractName(pub Contract);

impl ValueEnum for ContractName {
    fn value_variants<'a>() -> &'a [Self] {
        const { &[Self(Contract::Toptickets), Self(Contract::Itsm)] }
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

/// The contract whose words tickets have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TicketContract {
    /// team_id, assignee_id, due_at, urgent; times in ISO 8601
    Toptickets,
    /// assigned_team_id, assigned_user_id, due_date, critical; times in Unix seconds
    Itsm,
    /// Some tickets of each
    Mixed,
}

impl TicketContract {
    /// The contract, if it is one.
    #[must_use]
    pub fn contract(self) -> Option<Contract> {
        match self {
            Self::Toptickets => Some(Contract::Toptickets),
            Self::Itsm => Some(Contract::Itsm),
            Self::Mixed => None,
        }
    }
}

/// The kinds of API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub KeyKind);

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(KeyKind::TtAdmin),
                Self(KeyKind::TtLive),
                Self(KeyKind::TtAgent),
                Self(KeyKind::TtReadOnly),
                Self(KeyKind::Itsm),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let help = match self.0 {
            KeyKind::TtAdmin => "TopTickets, any scope, 2,000 requests a minute",
            KeyKind::TtLive => "TopTickets, any scope, 200 requests a minute",
            KeyKind::TtAgent => "TopTickets, reading only, 200 requests a minute",
            KeyKind::TtReadOnly => "TopTickets, reading only, for 72 hours, 200 requests a minute",
            KeyKind::Itsm => "ITSM platform, any scope, 2,000 requests a minute",
        };
        Some(clap::builder::PossibleValue::new(self.0.as_str()).help(help))
    }
}

/// The scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeName(pub Scope);

impl ValueEnum for ScopeName {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(Scope::TeamsRead),
                Self(Scope::TeamsWrite),
                Self(Scope::TeamsDelete),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

fn failed_records(text: &str) -> Result<FailedRecords, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        let url = url::Url::parse(text)
            .map_err(|error| format!("the address of `muster dev` is invalid: {error}"))?;
        return Ok(FailedRecords::LocalStack(url));
    }
    // AWS: "General purpose bucket naming rules",
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    let is_plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
    };
    if (3..=63).contains(&text.len()) && text.bytes().all(is_plain) {
        Ok(FailedRecords::Bucket(text.to_owned()))
    } else {
        Err("a bucket name has 3 to 63 characters of a-z 0-9 . -".to_owned())
    }
}

fn organization(text: &str) -> Result<OrganizationId, String> {
    OrganizationId::parse(text)
        .map_err(|_| "an organization id has 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned())
}

fn team(text: &str) -> Result<TeamId, String> {
    TeamId::parse(text)
        .map_err(|_| "a team's id is a UUID, with or without team_ before it".to_owned())
}

fn user(text: &str) -> Result<UserId, String> {
    UserId::parse(text)
        .map_err(|_| "a user's id is a UUID, with or without usr_ before it".to_owned())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "a time is written 2026-03-02T00:00:00Z".to_owned())?;
    Ok(Timestamp::from_secs(moment.unix_timestamp()))
}

fn destination(text: &str) -> Result<Destination, String> {
    const RULE: &str = "neither an address of `muster dev`, such as http://127.0.0.1:3000, nor a queue's URL, such as \
                        https://sqs.eu-west-1.amazonaws.com/123456789012/tickets";
    let url = url::Url::parse(text).map_err(|_| RULE)?;
    let has_path = url.path().len() > 1;
    match url.scheme() {
        "http" if !has_path => Ok(Destination::LocalStack(url)),
        "http" | "https" if has_path => Ok(Destination::Queue(url)),
        _ => Err(RULE.to_owned()),
    }
}

fn table_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (3..=255).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("a table's name has 3 to 255 characters of A-Z a-z 0-9 _ - .".to_owned())
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

fn line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        Err("must not have control characters".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn claim(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        line(text)
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    const RULE: &str = "a network is written 192.0.2.0/24 or 2001:db8::/32, and a single address without the slash";
    let network = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => text.parse::<IpNet>().map_err(|_| RULE)?,
    };
    if network != network.trunc() {
        return Err(format!(
            "the network of this length is {}, and the address alone {}",
            network.trunc(),
            network.addr()
        ));
    }
    // Functions take an IPv4 address for one however it is written, and so must what it is compared
    // with.
    let mapped = match network {
        IpNet::V6(v6) => v6
            .addr()
            .to_ipv4_mapped()
            .zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    match mapped {
        Some((address, prefix_len)) => {
            IpNet::new(address.into(), prefix_len).map_err(|_| RULE.to_owned())
        }
        None => Ok(network),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    const RULE: &str = "a time is a number and a unit: m (minutes), h (hours) or d (days)";
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or(RULE)?;
    let number: u32 = number.parse().map_err(|_| RULE)?;
    let unit = match unit {
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        "d" => Duration::from_hours(24),
        _ => return Err(RULE.to_owned()),
    };
    if number == 0 {
        Err("must be more than nothing".to_owned())
    } else {
        Ok(unit * number)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_path_tells_a_queue_from_the_local_stack() {
        for local in [
            "http://127.0.0.1:3000",
            "http://localhost:3000/",
            "http://[::1]:8080",
        ] {
            assert!(
                matches!(destination(local), Ok(Destination::LocalStack(_))),
                "{local}"
            );
        }
        for queue in [
            "https://sqs.eu-west-1.amazonaws.com/123456789012/tickets",
            "http://127.0.0.1:4566/000000000000/tickets",
        ] {
            assert!(
                matches!(destination(queue), Ok(Destination::Queue(_))),
                "{queue}"
            );
        }
        for neither in [
            "",
            "tickets",
            "127.0.0.1:3000",
            "https://127.0.0.1:3000",
            "ftp://host/queue",
            "arn:aws:sqs:a:b:c",
        ] {
            assert!(destination(neither).is_err(), "{neither}");
        }
    }

    #[test]
    fn a_network_is_named_by_its_first_address() {
        for (text, network) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(
                super::network(text)
                    .map(|network| network.to_string())
                    .as_deref(),
                Ok(network)
            );
        }
        for (text, meant) in [
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("10.0.0.1/0", "0.0.0.0/0"),
            ("2001:db8::7/64", "2001:db8::/64"),
            ("::ffff:192.0.2.7/120", "::ffff:192.0.2.0/120"),
        ] {
            let error = super::network(text).unwrap_err();
            assert!(error.contains(meant) && error.contains("alone"), "{error}");
        }
        for bad in [
            "",
            " ",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2/24",
            "2001:db8::/129",
            "office",
            "192.0.2.7:443",
        ] {
            assert!(super::network(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("90m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("30d"), Ok(Duration::from_hours(720)));
        for bad in ["", "h", "5", "1w", "-1h", "0d", "1.5h", "5é"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
