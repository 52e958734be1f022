//! An instance of a function that crashes at one of its calls, and a log of every transaction that
//! the table committed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::{
    Client,
    config::{HttpClient, RuntimeComponents, SharedHttpClient, http::HttpRequest},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    result::ConnectorError,
};
use serde_json::Value;
use tokio::sync::Notify;

use super::{Stack, invoke};

/// The moment of a crash, relative to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Before the call is sent.
    BeforeCall,
    /// After the call took effect and before its response arrives.
    AfterCall,
}

/// The decisions of one transaction for one team: its turns and their tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnRange {
    pub team: String,
    pub from: u64,
    pub to: u64,
    /// Turn, ticket, member.
    pub decisions: Vec<(u64, String, String)>,
}

#[derive(Debug, Default)]
struct LogRecords {
    /// Tokens of the committed transactions. A transaction that is sent again with its token has no
    /// effect.
    tokens: HashSet<String>,
    turns: Vec<TurnRange>,
    transactions: usize,
    conflicts: usize,
    in_flight: usize,
}

/// The transactions that the table committed, whether or not the sender received the response.
#[derive(Debug, Clone, Default)]
pub struct TransactionLog(Arc<(Mutex<LogRecords>, Notify)>);

impl TransactionLog {
    fn written(&self) -> MutexGuard<'_, LogRecords> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the numbers of committed and of rejected transactions.
    pub fn transactions(&self) -> (usize, usize) {
        let written = self.written();
        (written.transactions, written.conflicts)
    }

    /// Returns the decisions of every team by turn: the ticket and the member. Asserts that each
    /// turn was taken once.
    pub fn decisions(&self) -> HashMap<String, BTreeMap<u64, (String, String)>> {
        let mut teams: HashMap<String, BTreeMap<u64, _>> = HashMap::new();
        for TurnRange {
            team,
            from,
            to,
            decisions,
        } in &self.written().turns
        {
            let turns = teams.entry(team.clone()).or_default();
            assert_eq!(
                u64::try_from(decisions.len()),
                Ok(to - from),
                "turns of {team} and their decisions: {decisions:?}"
            );
            for (turn, ticket, member) in decisions {
                let before = turns.insert(*turn, (ticket.clone(), member.clone()));
                assert_eq!(
                    before, None,
                    "turn {turn} of {team} was taken twice, last by {ticket}"
                );
            }
        }
        teams
    }

    /// Waits until no call is in flight, including calls of crashed instances.
    pub async fn wait_until_idle(&self) {
        loop {
            let ended = self.0.1.notified();
            if self.written().in_flight == 0 {
                return;
            }
            ended.await;
        }
    }

    fn record(&self, request: &Value) {
        let mut written = self.written();
        let token = request["ClientRequestToken"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if !written.tokens.insert(token) {
            return;
        }
        written.transactions += 1;
        let writes = request["TransactItems"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let number = |value: &Value| {
            value["N"]
                .as_str()
                .and_then(|number| number.parse::<u64>().ok())
        };
        for write in &writes {
            let update = &write["Update"];
            let key = |attribute: &str| update["Key"][attribute]["S"].as_str().unwrap_or_default();
            let Some((_, team)) = key("pk")
                .split_once("#TEAM#")
                .filter(|_| key("sk") == "LOAD")
            else {
                continue;
            };
            let values = &update["ExpressionAttributeValues"];
            let Some((from, to)) = number(&values[":from"]).zip(number(&values[":to"])) else {
                continue;
            };
            let decision = |write: &Value| {
                let ticket = &write["Put"]["Item"];
                let decision = &ticket["decision"]["M"];
                let is_one = ticket["sk"]["S"] == "TICKET"
                    && ticket["team_id"]["S"] == team
                    && ticket["state"]["S"] == "assigned"
                    && decision["reason"]["S"] == "strategy";
                let turn = number(&decision["turn"])
                    .filter(|turn| is_one && (from + 1..=to).contains(turn))?;
                let text = |value: &Value| value["S"].as_str().unwrap_or_default().to_owned();
                Some((turn, text(&ticket["pk"]), text(&ticket["assignee_id"])))
            };
            let decisions = writes.iter().filter_map(decision).collect();
            written.turns.push(TurnRange {
                team: team.to_owned(),
                from,
                to,
                decisions,
            });
        }
    }
}

/// One instance of a function, as the HTTP client between its SDK client and the table.
#[derive(Debug, Clone)]
pub struct Instance(Arc<InstanceState>);

#[derive(Debug)]
struct InstanceState {
    transaction_log: TransactionLog,
    real: SharedHttpClient,
    calls: Mutex<usize>,
    /// The call, from 0, at which the instance crashes.
    crash_at: Option<(usize, CrashPoint)>,
    crashed: Notify,
}

impl Instance {
    /// Returns an instance that does not crash.
    pub fn new(transaction_log: &TransactionLog) -> Self {
        Self::crashing(transaction_log, None)
    }

    /// Returns an instance that crashes at a call, counted from 0.
    pub fn crashing(
        transaction_log: &TransactionLog,
        crash_at: Option<(usize, CrashPoint)>,
    ) -> Self {
        let (real, transaction_log) = (invoke::http(), transaction_log.clone());
        Self(Arc::new(InstanceState {
            transaction_log,
            real,
            calls: Mutex::default(),
            crash_at,
            crashed: Notify::new(),
        }))
    }

    /// Returns the client of the instance.
    pub fn client(&self, stack: &Stack) -> Client {
        Client::from_conf(
            invoke::client_config(stack)
                .http_client(self.clone())
                .build(),
        )
    }

    /// Returns the number of calls that the instance made.
    pub fn calls(&self) -> usize {
        *self.calls_made()
    }

    fn calls_made(&self) -> MutexGuard<'_, usize> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs work of the instance. Returns `None` if the instance crashed: no code runs after that,
    /// but calls already sent still arrive.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            // The crash has priority over the work.
            biased;
            () = self.0.crashed.notified() => None,
            done = work => Some(done),
        }
    }
}

impl HttpClient for Instance {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let real = self.0.real.http_connector(settings, components);
        SharedHttpConnector::new(CrashConnector {
            instance: self.clone(),
            real,
        })
    }
}

#[derive(Debug)]
struct CrashConnector {
    instance: Instance,
    real: SharedHttpConnector,
}

impl HttpConnector for CrashConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let state = Arc::clone(&self.instance.0);
        let call = {
            let mut calls = self.instance.calls_made();
            *calls += 1;
            *calls - 1
        };
        let crash_point = state
            .crash_at
            .filter(|(at, _)| call >= *at)
            .map(|(at, crash_point)| (call == at, crash_point));
        if let Some((_, CrashPoint::BeforeCall) | (false, CrashPoint::AfterCall)) = crash_point {
            state.crashed.notify_one();
            return HttpConnectorFuture::new(std::future::pending());
        }
        let is_transaction = request
            .headers()
            .get("x-amz-target")
            .is_some_and(|target| target.ends_with(".TransactWriteItems"));
        let body = is_transaction
            .then(|| request.body().bytes().map(<[u8]>::to_vec))
            .flatten();
        let (transaction_log, real) = (state.transaction_log.clone(), self.real.clone());
        transaction_log.written().in_flight += 1;
        // On a task of its own, a call that was sent arrives even if its sender crashes.
        let sent = tokio::spawn(async move {
            let response = real.call(request).await;
            if let (Some(body), Ok(response)) = (body, &response) {
                if response.status().is_success() {
                    transaction_log
                        .record(&serde_json::from_slice(&body).expect("the SDK writes JSON"));
                } else {
                    transaction_log.written().conflicts += 1;
                }
            }
            transaction_log.written().in_flight -= 1;
            transaction_log.0.1.notify_waiters();
            response
        });
        HttpConnectorFuture::new(async move {
            let response = sent
                .await
                .map_err(|error| ConnectorError::other(error.into(), None))?;
            if crash_point.is_some() {
                state.crashed.notify_one();
                return std::future::pending().await;
            }
            response
        })
    }
}
