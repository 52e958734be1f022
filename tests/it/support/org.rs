//! An organization with a table of its own, the ticket events of its platform, and a seeded
//! scenario of a day.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use muster_cli::sam::Template;
use muster_domain::{
    IfVersion, MemberRole, NewMember, NewTeam, OrganizationId, QueueStrategy, Tags, Team, TeamId,
    TeamName, Timestamp, User, UserId, UserStatus,
};
use muster_jobs::Pace;
use muster_service::store::{OnLead, OnOpenTickets, RenderedResponse, Table};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Stack,
    crash::{Instance, TransactionLog},
    sqs::{SqsRecorder, run_jobs},
    table_audit::TableAudit,
};

/// The clock of the functions, in Unix seconds: just after the end of the seeded day.
pub const NOW: i64 = 1_768_435_200;

/// Returns the response for a caller that is not an HTTP client.
fn no_response() -> RenderedResponse {
    RenderedResponse::created(String::new(), None)
}

/// A team to create.
#[derive(Debug, Clone)]
pub struct TeamFixture {
    pub strategy: QueueStrategy,
    pub specializations: Vec<&'static str>,
    /// The users by number, each with skills.
    pub members: Vec<(usize, Vec<&'static str>)>,
}

impl TeamFixture {
    /// Returns a team of these users, without specializations and skills.
    pub fn of(strategy: QueueStrategy, members: impl IntoIterator<Item = usize>) -> Self {
        let members = members.into_iter().map(|user| (user, Vec::new())).collect();
        Self {
            strategy,
            specializations: Vec::new(),
            members,
        }
    }
}

/// Returns the id of the team with this number.
pub fn team_id(n: usize) -> TeamId {
    TeamId::new(Uuid::from_u128(
        0x019b_b000_0000_7000_8000_0000_0000_0000 + n as u128,
    ))
}

/// Returns the id of the user with this number.
pub fn user_id(n: usize) -> UserId {
    UserId::new(Uuid::from_u128(
        0x5ca1_ab1e_0000_4000_8000_0000_0000_0000 + n as u128,
    ))
}

/// Returns a team's id as in events and items.
pub fn team(n: usize) -> String {
    team_id(n).uuid().to_string()
}

/// Returns a user's id as in events and items.
pub fn user(n: usize) -> String {
    user_id(n).uuid().to_string()
}

/// An organization, with the queues that its functions send to.
pub struct OrgFixture {
    pub stack: Stack,
    pub id: OrganizationId,
    pub transaction_log: TransactionLog,
    pub dead_letters: SqsRecorder,
    pub jobs: SqsRecorder,
}

impl OrgFixture {
    /// Creates an organization with these teams, by number, and this many active users. It has a
    /// table of its own in the engine of the stack. The functions of the stack do not use that
    /// table, so every write comes from the test.
    pub async fn open(stack: &Stack, users: usize, teams: &[TeamFixture]) -> Self {
        let stack = Stack {
            table: format!("muster-{}", Uuid::new_v4()),
            ..stack.clone()
        };
        let template = Template::load().expect("the template is valid");
        template
            .table
            .create(&stack.dynamodb(), &stack.table)
            .await
            .expect("the table is created");
        let id =
            OrganizationId::parse(&format!("org_{}", Uuid::new_v4().simple())).expect("a valid id");
        let org = Self {
            stack,
            id,
            transaction_log: TransactionLog::default(),
            dead_letters: SqsRecorder::default(),
            jobs: SqsRecorder::default(),
        };
        let store = org.stack.store();
        let profiles: Vec<_> = (0..users).map(|n| profile(n, UserStatus::Active)).collect();
        for profiles in profiles.chunks(25) {
            store
                .put_users(&org.id, profiles)
                .await
                .expect("the users are written");
        }
        let long_ago = Timestamp::from_secs(NOW - 100_000);
        for (n, team_fixture) in teams.iter().enumerate() {
            let new = NewTeam {
                name: TeamName::parse(&format!("Team {n}")).expect("a name"),
                description: None,
                lead_id: None,
                queue_strategy: team_fixture.strategy,
                specializations: Tags::parse(&team_fixture.specializations).expect("valid tags"),
            };
            let team = Team::create(team_id(n), org.id.clone(), new, long_ago);
            store
                .create_team(&team, &no_response(), None)
                .await
                .expect("the team is created");
            store
                .index_specializations(&org.id, team_id(n), long_ago)
                .await
                .expect("the team is indexed");
            for (user, skills) in &team_fixture.members {
                org.join(n, *user, skills).await;
            }
        }
        org
    }

    /// Adds a user to a team.
    pub async fn join(&self, team: usize, user: usize, skills: &[&str]) {
        let skills = Tags::parse(skills).expect("valid tags");
        let new = NewMember {
            user_id: user_id(user),
            role: MemberRole::Member,
            skills,
        };
        // In the order of the user numbers, so that every run has the same order.
        let at =
            Timestamp::from_millis((NOW - 90_000) * 1000 + i64::try_from(user).expect("a few"));
        let joined = self
            .stack
            .store()
            .add_member(
                &self.id,
                team_id(team),
                &new,
                |_, _| no_response(),
                None,
                at,
            )
            .await;
        joined.expect("the user is added");
    }

    /// Removes a user from a team.
    pub async fn leave(&self, team: usize, user: usize) {
        let now = Timestamp::from_secs(NOW);
        let left = self
            .stack
            .store()
            .remove_member(&self.id, team_id(team), user_id(user), OnLead::Clear, now)
            .await;
        left.expect("the member is removed");
    }

    /// Deletes a team with all that it holds, long enough before [`NOW`] for the schedule to start
    /// its sweep.
    pub async fn delete(&self, team: usize) {
        let now = Timestamp::from_secs(NOW - 600);
        let (store, unassign) = (self.stack.store(), OnOpenTickets::Unassign);
        let deleted = store
            .delete_team(&self.id, team_id(team), &IfVersion::Any, unassign, now)
            .await;
        deleted.expect("the team is deleted");
    }

    /// Removes a team from the index of specializations, as if it were not indexed yet.
    pub async fn unindex(&self, team: usize, topics: &[&str]) {
        let team = self::team(team);
        let audit = self.read_table().await;
        let entries = |pk: &str, sk: &str| {
            topics
                .iter()
                .any(|topic| pk.ends_with(&format!("#SPEC#{topic}")))
                && sk.ends_with(&team)
        };
        let is_indexed =
            |pk: &str, sk: &str| entries(pk, sk) || sk == "SPECS" && pk.ends_with(&team);
        let indexed: Vec<_> = audit
            .items
            .keys()
            .filter(|(pk, sk)| is_indexed(pk, sk))
            .collect();
        assert_eq!(indexed.len(), 2 * topics.len() + 1, "{indexed:?}");
        let key = |text: &String| aws_sdk_dynamodb::types::AttributeValue::S(text.clone());
        for (pk, sk) in indexed {
            let delete = self
                .stack
                .dynamodb()
                .delete_item()
                .table_name(&self.stack.table);
            delete
                .key("pk", key(pk))
                .key("sk", key(sk))
                .send()
                .await
                .expect("the item is deleted");
        }
        let marking = self
            .stack
            .dynamodb()
            .update_item()
            .table_name(&self.stack.table);
        marking
            .key("pk", key(&format!("ORG#{}", self.id)))
            .key("sk", key(&format!("TEAM#{team}")))
            .update_expression("SET gsi1pk = :pk, gsi1sk = :sk")
            .expression_attribute_values(":pk", key(&"WORK#0".to_owned()))
            .expression_attribute_values(":sk", key(&format!("{:015}#", (NOW - 600) * 1000)))
            .send()
            .await
            .expect("the team exists");
    }

    fn table(&self, instance: &Instance) -> Table {
        Table::new(instance.client(&self.stack), self.stack.table.as_str())
    }

    /// Returns the dependencies of the assignment function for this instance.
    pub fn assignment(&self, instance: &Instance) -> muster_assignment::Deps {
        self.assignment_over(self.table(instance))
    }

    /// Returns the dependencies of the assignment function over another table.
    pub fn assignment_over(&self, table: Table) -> muster_assignment::Deps {
        let clock = Arc::new(|| Timestamp::from_secs(NOW));
        muster_assignment::Deps {
            table,
            dead_letters: self.dead_letters.queue(),
            clock,
        }
    }

    /// Returns the dependencies of the jobs function for this instance.
    pub fn jobs(&self, instance: &Instance) -> muster_jobs::Deps {
        let clock = Arc::new(|| Timestamp::from_secs(NOW));
        muster_jobs::Deps {
            table: self.table(instance),
            jobs: self.jobs.job_queues(),
            clock,
            pace: Pace::default(),
        }
    }

    /// Lets the schedule start all pending work, and performs jobs until none is left.
    pub async fn finish(&self) {
        self.finish_at(Timestamp::from_secs(NOW)).await;
    }

    /// Does the same at another time.
    pub async fn finish_at(&self, now: Timestamp) {
        let restart = json!({ "job": "restart_unfinished" }).to_string();
        let deps = muster_jobs::Deps {
            clock: Arc::new(move || now),
            ..self.jobs(&Instance::new(&self.transaction_log))
        };
        run_jobs(&deps, &self.jobs, vec![restart]).await;
    }

    /// Returns the content of the table once no call is in flight.
    pub async fn read_table(&self) -> TableAudit {
        self.transaction_log.wait_until_idle().await;
        TableAudit::read(&self.stack, &self.id).await
    }

    /// Reads the table and asserts every invariant that does not depend on completed jobs.
    pub async fn assert_consistent(&self) -> TableAudit {
        let audit = self.read_table().await;
        audit.assert_exact();
        audit.assert_turns(&self.transaction_log);
        audit
    }

    /// Returns a ticket event of the platform, with a time in seconds before [`NOW`].
    pub fn ticket_event(&self, kind: &str, id: &str, ago: i64, ticket: Value) -> String {
        ticket_message(
            &self.id,
            kind,
            &format!("{id}-{ago}"),
            id,
            NOW - ago,
            ticket,
        )
    }
}

/// Returns the first profile of the user with this number.
pub fn profile(n: usize, status: UserStatus) -> User {
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

/// Returns a message of the ticket queue.
pub fn ticket_message(
    org: &OrganizationId,
    kind: &str,
    event_id: &str,
    id: &str,
    at: i64,
    mut ticket: Value,
) -> String {
    ticket["id"] = id.into();
    ticket["updated_at"] = at.into();
    json!({
        "specversion": "1.0",
        "id": event_id,
        "source": "desk",
        "type": format!("ticket.{kind}"),
        "time": "2026-01-14T00:00:00Z",
        "data": { "organization_id": org.as_str(), "ticket": ticket },
    })
    .to_string()
}

/// The expected state of a ticket after its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketHistory {
    /// The latest version: time in seconds, event id.
    pub version: (i64, String),
    /// The latest status.
    pub status: String,
    pub is_deleted: bool,
    /// The maximum number of decisions.
    pub decisions: usize,
    /// Whether the ticket was always open, always in one team, and never assigned by a person.
    pub is_plain: bool,
    /// The assignee of the last event, if it named one.
    pub adopted_by: Option<String>,
    /// The teams that events named.
    pub named: BTreeSet<String>,
}

/// A seeded stream of ticket events, and the expected states.
pub struct Scenario {
    /// In the order of delivery.
    pub messages: Vec<String>,
    pub histories: BTreeMap<String, TicketHistory>,
}

/// The parameters of a seeded scenario.
pub struct ScenarioPlan<'p> {
    pub seed: u64,
    pub events: usize,
    /// Teams whose tickets may be unassigned.
    pub unassigning: &'p [usize],
    pub steady: &'p [usize],
    pub users: usize,
    pub teams: &'p [TeamFixture],
    pub topics: &'p [&'static str],
}

impl ScenarioPlan<'_> {
    /// Returns the messages of a day: at least the wanted number of events, a tenth of them
    /// duplicated, each up to a minute late.
    pub fn make(&self, org: &OrganizationId) -> Scenario {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut histories = BTreeMap::new();
        let mut delivered: Vec<(i64, String)> = Vec::new();
        let mut events = 0;
        while events < self.events {
            let id = format!("TKT-2026-{:06}", histories.len());
            let mut ticket = TicketPlan::new(self, org, id.clone(), &mut rng);
            ticket.run(&mut rng);
            for (at, body) in &ticket.sent {
                delivered.push((at * 1000 + rng.random_range(0..60_000), body.clone()));
                if rng.random_bool(0.1) {
                    delivered.push((at * 1000 + rng.random_range(0..60_000), body.clone()));
                }
            }
            events += ticket.sent.len();
            histories.insert(id, ticket.history);
        }
        delivered.sort();
        Scenario {
            messages: delivered.into_iter().map(|(_, body)| body).collect(),
            histories,
        }
    }
}

/// The day of one ticket, from the view of its platform.
struct TicketPlan<'p> {
    plan: &'p ScenarioPlan<'p>,
    org: &'p OrganizationId,
    id: String,
    at: i64,
    ticket: Value,
    is_steady: bool,
    sent: Vec<(i64, String)>,
    history: TicketHistory,
}

impl<'p> TicketPlan<'p> {
    fn new(
        plan: &'p ScenarioPlan<'p>,
        org: &'p OrganizationId,
        id: String,
        rng: &mut StdRng,
    ) -> Self {
        let is_steady = rng.random_bool(0.6);
        // A ticket that may be unassigned always names a team where that is allowed.
        let team = if is_steady {
            let anywhere = [plan.steady, plan.unassigning].concat();
            rng.random_bool(0.7)
                .then(|| *anywhere.choose(rng).expect("at least one team"))
        } else {
            plan.unassigning.choose(rng).copied()
        };
        // The teams are in five time zones with shifts of eight hours. Most tickets arrive in the
        // middle of a shift.
        let shift = team.unwrap_or_else(|| rng.random_range(0..5)) % 5;
        let noon = (0..3).map(|_| rng.random_range(0..9600)).sum::<i64>();
        let at = NOW - 86_400 + i64::try_from(shift).expect("a small number") * 14_400 + noon;
        let (category, tag) = (plan.topics.choose(rng), plan.topics.choose(rng));
        let priority = ["critical", "high", "medium", "low"].choose(rng);
        let ticket = json!({
            "status": "new",
            "priority": priority,
            "category": category,
            "tags": [tag],
            "created_at": at,
            "due_at": rng.random_bool(0.8).then(|| at + rng.random_range(600..30_000)),
            "team_id": team.map(self::team),
        });
        let history = TicketHistory {
            version: (at, String::new()),
            status: String::new(),
            is_deleted: false,
            decisions: 1,
            is_plain: team.is_some(),
            adopted_by: None,
            named: BTreeSet::new(),
        };
        Self {
            plan,
            org,
            id,
            at,
            ticket,
            is_steady,
            sent: Vec::new(),
            history,
        }
    }

    fn emit(&mut self, kind: &str, rng: &mut StdRng) {
        if self.at > NOW {
            return;
        }
        let event_id = uuid::Builder::from_random_bytes(rng.random())
            .into_uuid()
            .to_string();
        self.history.version = (self.at, event_id.clone());
        let is_over = |status: &str| matches!(status, "resolved" | "closed" | "cancelled");
        let status = self.ticket["status"].as_str().unwrap_or_default();
        // The previous assignee may be ineligible when the ticket is reopened.
        self.history.decisions += usize::from(is_over(&self.history.status) && !is_over(status));
        status.clone_into(&mut self.history.status);
        self.history.is_deleted |= kind == "deleted";
        self.history.is_plain &=
            matches!(&*self.history.status, "new" | "open" | "in_progress") && kind != "deleted";
        self.history.adopted_by = self.ticket["assignee_id"].as_str().map(str::to_owned);
        self.history
            .named
            .extend(self.ticket["team_id"].as_str().map(str::to_owned));
        self.sent.push((
            self.at,
            ticket_message(
                self.org,
                kind,
                &event_id,
                &self.id,
                self.at,
                self.ticket.clone(),
            ),
        ));
        // A platform that only echoes a decision does not name an assignee.
        self.ticket["assignee_id"] = Value::Null;
        self.at += rng.random_range(20..9000);
    }

    fn run(&mut self, rng: &mut StdRng) {
        if rng.random_bool(0.05) {
            self.assign(rng);
        }
        self.emit("created", rng);
        while self.at < NOW {
            match rng.random_range(0..100) {
                0..32 => self.ticket["status"] = "in_progress".into(),
                32..42 => self.assign(rng),
                42..48 if !self.is_steady => {
                    self.history.decisions += 1;
                    self.history.is_plain = false;
                    self.emit("unassigned", rng);
                    continue;
                }
                48..53 => {
                    let teams = if self.is_steady {
                        self.plan.steady
                    } else {
                        self.plan.unassigning
                    };
                    self.ticket["team_id"] = teams.choose(rng).map(|&n| team(n)).into();
                    self.history.decisions += 1;
                    self.history.is_plain = false;
                }
                53..56 => {
                    self.ticket["status"] = "cancelled".into();
                    self.emit("updated", rng);
                    return;
                }
                56..58 => {
                    self.emit("deleted", rng);
                    return;
                }
                58..85 => {
                    self.ticket["status"] = "resolved".into();
                    self.ticket["resolved_at"] = self.at.into();
                    self.emit("updated", rng);
                    if rng.random_bool(0.7) {
                        return;
                    }
                    let reopens = rng.random_bool(0.4);
                    self.ticket["status"] = if reopens { "open" } else { "closed" }.into();
                    if reopens {
                        self.ticket["resolved_at"] = Value::Null;
                    }
                }
                // The last event of this ticket.
                85..93 => return,
                _ => {}
            }
            self.emit("updated", rng);
        }
    }

    /// Assigns the ticket to a user by a person: mostly a member of its team, sometimes another or
    /// an unknown user.
    fn assign(&mut self, rng: &mut StdRng) {
        self.history.is_plain = false;
        let team_fixture = self.ticket["team_id"]
            .as_str()
            .and_then(|id| (0..self.plan.teams.len()).find(|&n| team(n) == id));
        let colleague = team_fixture
            .and_then(|n| self.plan.teams[n].members.choose(rng))
            .map(|(n, _)| *n);
        let assignee = match rng.random_range(0..100) {
            0..2 => 900_000 + rng.random_range(0..20),
            2..8 => rng.random_range(0..self.plan.users),
            _ => colleague.unwrap_or_else(|| rng.random_range(0..self.plan.users)),
        };
        self.ticket["assignee_id"] = user(assignee).into();
    }
}
