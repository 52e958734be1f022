//! Local stacks and organizations for the measurements.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use muster_cli::{
    commands::keys::issue,
    emulator,
    local::{Data, LocalStack, Settings},
    sam::Template,
};
use muster_domain::{
    KeyKind, MemberRole, NewMember, NewTeam, OrganizationId, QueueStrategy, Scope, Tags, Team,
    TeamId, TeamName, Timestamp, User, UserId, UserStatus,
};
use muster_service::store::{RenderedResponse, Store, Table};
use tokio::{runtime::Runtime, time::Instant};
use uuid::Uuid;

/// An item of the table.
pub type Item = HashMap<String, AttributeValue>;

/// The limit of the work of a fixture, which only ends a run that hangs.
const PATIENCE: Duration = Duration::from_mins(5);

/// A local stack in memory, on threads of its own. It stops when it is dropped.
pub struct Fixture {
    pub stack: LocalStack,
    /// Runs the stack's functions and servers.
    _services: Runtime,
}

impl Fixture {
    /// Starts a stack without a batching window, as `muster dev` has it.
    pub fn start() -> anyhow::Result<Self> {
        let services = Runtime::new()?;
        let settings = Settings {
            batching_window: Some(Duration::ZERO),
            ..Settings::default()
        };
        Ok(Self {
            stack: services.block_on(LocalStack::start(0, Data::Memory, settings))?,
            _services: services,
        })
    }

    /// Returns an organization in the table that the stack's functions use.
    pub fn organization(&self) -> anyhow::Result<Organization> {
        self.in_table(self.stack.table.clone())
    }

    /// Returns an organization in a new table. The stack's functions do not use it, so every call
    /// comes from the measurement.
    pub async fn new_table(&self) -> anyhow::Result<Organization> {
        let org = self.in_table(format!("muster-{}", Uuid::new_v4()))?;
        Template::load()?
            .table
            .create(&org.client, &org.table)
            .await?;
        Ok(org)
    }

    fn in_table(&self, table: String) -> anyhow::Result<Organization> {
        Ok(Organization {
            client: emulator::client(&self.stack.dynamodb_url),
            table,
            id: OrganizationId::parse("org_bench")?,
        })
    }
}

/// An organization in one table.
pub struct Organization {
    pub client: Client,
    /// The table's name.
    pub table: String,
    pub id: OrganizationId,
}

impl Organization {
    /// Returns the table, over the organization's client.
    pub fn table(&self) -> Table {
        Table::new(self.client.clone(), self.table.as_str())
    }

    pub fn store(&self) -> Store {
        self.table().until(Instant::now() + PATIENCE)
    }

    /// Stores users with the numbers from 0, with this status.
    pub async fn add_users(&self, count: u32, status: UserStatus) -> anyhow::Result<()> {
        let users: Vec<_> = (0..count).map(|n| user(n, status)).collect();
        for users in users.chunks(25) {
            self.store().put_users(&self.id, users).await?;
        }
        Ok(())
    }

    /// Stores a new key of the ITSM contract with all scopes in both tables, and returns its token.
    pub async fn add_key_to(&self, other: &Self) -> anyhow::Result<String> {
        let scopes = Scope::ALL.to_vec();
        let (secret, key) = issue(KeyKind::Itsm, self.id.clone(), scopes, Timestamp::now());
        for org in [self, other] {
            org.store().put_api_key(&key).await?;
        }
        Ok(secret.reveal().to_owned())
    }

    /// Creates the team with this number.
    pub async fn add_team(&self, n: u32, strategy: QueueStrategy) -> anyhow::Result<TeamId> {
        let team = new_team(&self.id, n, strategy)?;
        let response = RenderedResponse::created(String::new(), None);
        self.store().create_team(&team, &response, None).await?;
        Ok(team.id)
    }

    /// Adds the user with this number to a team, with skills.
    pub async fn add_member(&self, team: TeamId, n: u32, skills: &[&str]) -> anyhow::Result<()> {
        let new = NewMember {
            user_id: user_id(n),
            role: MemberRole::Member,
            skills: Tags::parse(skills).map_err(|error| anyhow!("{skills:?}: {error:?}"))?,
        };
        let response = |_: &_, _: &_| RenderedResponse::created(String::new(), None);
        let at = CREATED.plus(Duration::from_millis(n.into()));
        self.store()
            .add_member(&self.id, team, &new, response, None, at)
            .await?;
        Ok(())
    }

    /// Reads an item.
    ///
    /// # Errors
    /// The item does not exist, or the table cannot be read.
    pub async fn item(&self, pk: &str, sk: &str) -> anyhow::Result<Item> {
        let get = self.client.get_item().table_name(&self.table);
        let get = get.key("pk", string(pk)).key("sk", string(sk));
        let output = get.send().await?;
        output.item.with_context(|| format!("no item {pk} {sk}"))
    }

    /// Writes items, 25 in a call.
    pub async fn put(&self, items: Vec<Item>) -> anyhow::Result<()> {
        let write = async |items: &[Item]| {
            let mut requests = Vec::with_capacity(items.len());
            for item in items {
                let put = PutRequest::builder().set_item(Some(item.clone())).build()?;
                requests.push(WriteRequest::builder().put_request(put).build());
            }
            let call = self.client.batch_write_item();
            call.request_items(&self.table, requests).send().await?;
            anyhow::Ok(())
        };
        stream::iter(items.chunks(25).map(write))
            .buffer_unordered(4)
            .try_collect::<()>()
            .await
    }
}

/// The time at which teams are created and members join.
pub const CREATED: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Returns a string attribute.
pub fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Returns the id of the team with this number: a UUIDv7, in the order of the numbers.
pub fn team_id(n: u32) -> TeamId {
    TeamId::new(Uuid::from_u128(
        0x019b_b000_0000_7000_8000_0000_0000_0000 + u128::from(n),
    ))
}

/// Returns the team with this number, without members and specializations.
pub fn new_team(
    organization: &OrganizationId,
    n: u32,
    strategy: QueueStrategy,
) -> anyhow::Result<Team> {
    let new = NewTeam {
        name: TeamName::parse(&format!("Team {n}"))?,
        description: None,
        lead_id: None,
        queue_strategy: strategy,
        specializations: Tags::default(),
    };
    Ok(Team::create(team_id(n), organization.clone(), new, CREATED))
}

/// Returns the id of the user with this number.
pub fn user_id(n: u32) -> UserId {
    UserId::new(Uuid::from_u128(
        0x5ca1_ab1e_0000_4000_8000_0000_0000_0000 + u128::from(n),
    ))
}

/// Returns the profile of the user with this number.
pub fn user(n: u32, status: UserStatus) -> User {
    User {
        id: user_id(n),
        name: format!("User {n}"),
        email: format!("user.{n}@acme.example"),
        role: "agent".to_owned(),
        avatar_url: None,
        status,
        version: 1,
    }
}

/// Returns a runtime on the current thread, as the functions have it.
///
/// # Errors
/// Errors of the operating system.
pub fn function_runtime() -> anyhow::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime)
}

/// Waits until a condition holds. Checks it every 5 milliseconds.
///
/// # Errors
/// The condition fails, or does not hold within five minutes.
pub async fn wait_until(
    condition: &str,
    mut holds: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await? {
        anyhow::ensure!(Instant::now() < deadline, "timed out waiting: {condition}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
