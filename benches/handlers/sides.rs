//! Three equal tables: one for recording, one for the handlers, one for the calls alone.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use lambda_http::{Body, Request};
use muster_cli::emulator;
use muster_domain::{QueueStrategy::SkillBased, TeamId, Timestamp, UserStatus};
use muster_harness::calls::{Recorded, Recorder};
use muster_service::{http::Deps, store::Table};
use reqwest::Method;
use serde_json::Value;

use super::{
    IN_FLIGHT,
    cases::{CREATED_ID, Case, FIRST_NEW_USER, TICKETS},
};
use crate::{
    events,
    fixture::{Fixture, Organization, team_id},
    invocation::{Invocation, handle},
};

/// The requests of a key, fewer than its rate limit of 2,000 requests a minute.
const REQUESTS_OF_A_KEY: usize = 1_500;

/// The number of the first team that a request creates.
const FIRST_NEW_TEAM: u32 = 1_000;

/// The tables, and the dependencies of the functions.
pub struct Sides {
    recorder: Recorder,
    /// The functions over the first table.
    recording: Deps,
    /// The functions over the second table.
    pub handled: Deps,
    organizations: [Organization; 2],
    /// The third table.
    pub raw: Organization,
    token: String,
    /// The requests with this token.
    requests: usize,
    /// The id of the resource that the last request before a measured one created.
    created: String,
}

/// A measured request, and the calls that it makes.
pub struct Prepared {
    pub request: Request,
    pub calls: Recorded,
}

impl Sides {
    /// Creates the tables, each with 16 teams of five members and 20 open tickets.
    pub async fn start(fixture: &Fixture) -> anyhow::Result<Self> {
        let [first, second, raw] = [
            seeded(fixture).await?,
            seeded(fixture).await?,
            seeded(fixture).await?,
        ];
        let recorder = Recorder::default();
        let config = emulator::configuration(&fixture.stack.dynamodb_url);
        let client = Client::from_conf(config.interceptor(recorder.clone()).build());
        let recording = functions(Table::new(client, first.table.as_str()));
        let handled = functions(second.table());
        Ok(Self {
            recorder,
            recording,
            handled,
            organizations: [first, second],
            raw,
            token: String::new(),
            requests: REQUESTS_OF_A_KEY,
            created: String::new(),
        })
    }

    /// Sends the requests before a measured request, and records the calls of the measured one.
    pub async fn prepare(&mut self, case: &Case, n: usize) -> anyhow::Result<Prepared> {
        if let Some(before) = case.before {
            let body = self.send_to_all(&before(n)).await?;
            self.created = created_id(&body)?.unwrap_or_default();
        }
        let mut measured = (case.measured)(n);
        measured.target = measured.target.replace(CREATED_ID, &self.created);
        self.renew_token().await?;
        let calls = self.record(&measured).await?.0;
        Ok(Prepared {
            request: measured.request(&self.token)?,
            calls,
        })
    }

    /// Sends the requests after a measured request.
    pub async fn clean_up(&mut self, case: &Case, n: usize) -> anyhow::Result<()> {
        if let Some(after) = case.after {
            self.send_to_all(&after(n)).await?;
        }
        Ok(())
    }

    /// Sends a request with its effect to all tables, and returns the body of the response.
    async fn send_to_all(&mut self, invocation: &Invocation) -> anyhow::Result<Body> {
        self.renew_token().await?;
        let (calls, body) = self.record(invocation).await?;
        handle(invocation.request(&self.token)?, &self.handled).await?;
        calls.replay(&self.raw.client).await?;
        Ok(body)
    }

    /// Sends a request to the first table. Returns its calls, to the third one, and the response.
    async fn record(&mut self, invocation: &Invocation) -> anyhow::Result<(Recorded, Body)> {
        self.requests += 1;
        self.recorder.take();
        let body = handle(invocation.request(&self.token)?, &self.recording).await?;
        let calls = self.recorder.take().in_table(&self.raw.table);
        Ok((calls, body))
    }

    /// Replaces a key that is near its rate limit. The functions read and cache the new one.
    async fn renew_token(&mut self) -> anyhow::Result<()> {
        if self.requests < REQUESTS_OF_A_KEY {
            return Ok(());
        }
        let [first, second] = &self.organizations;
        self.token = first.add_key_to(second).await?;
        self.requests = 0;
        let warm_up = Invocation::new(Method::GET, "/v1/teams?limit=1", None);
        for deps in [&self.recording, &self.handled] {
            handle(warm_up.request(&self.token)?, deps).await?;
        }
        Ok(())
    }
}

/// Returns the id of the resource in a response, if it has one.
///
/// # Errors
/// The response is no JSON.
pub fn created_id(body: &Body) -> anyhow::Result<Option<String>> {
    let Body::Text(text) = body else {
        return Ok(None);
    };
    let body: Value = serde_json::from_str(text)?;
    let id = body.pointer("/data/id").and_then(Value::as_str);
    Ok(id.map(str::to_owned))
}

/// Returns the dependencies of the functions over a table. The time stands still, so that a cached
/// key does not expire, and the ids of teams follow each other.
pub fn functions(table: Table) -> Deps {
    let mut deps = Deps::new(table);
    let now = Timestamp::now();
    deps.clock = Arc::new(move || now);
    let next = AtomicU32::new(FIRST_NEW_TEAM);
    deps.new_team_id =
        Arc::new(move |_| -> TeamId { team_id(next.fetch_add(1, Ordering::SeqCst)) });
    deps
}

/// Creates a table with an organization.
pub async fn seeded(fixture: &Fixture) -> anyhow::Result<Organization> {
    let org = fixture.new_table().await?;
    let users = u32::try_from(FIRST_NEW_USER + IN_FLIGHT)?;
    org.add_users(users, UserStatus::Active).await?;
    let deps = events::assignment(fixture, org.table());
    for n in 0..IN_FLIGHT {
        let team = org.add_team(u32::try_from(n)?, SkillBased).await?;
        for user in 0..u32::try_from(FIRST_NEW_USER)? {
            org.add_member(team, user, &["VPN", "Printer"]).await?;
        }
        let messages: Vec<_> = (0..TICKETS)
            .map(|at| events::new_ticket(&org.id, team, &format!("TKT-{n}-{at}"), at))
            .collect();
        let event = events::batch(&messages)?;
        events::assign(&deps, event).await.context("seeding")?;
    }
    Ok(org)
}
