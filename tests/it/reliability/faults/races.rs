//! Changes of another client between the reads and the write of a request.

use std::sync::Arc;

use muster_domain::{
    Contract::{self, Itsm, Toptickets},
    User,
};
use reqwest::Method;
use serde_json::Value;

use super::{FaultFixture, TeamsState, write::Write};
use crate::support::{
    Response,
    fault_injection::{FaultScript, Hook, InjectedFault, WRITES},
    table::OrgTable,
};

/// Returns a hook that sends a request of another client over ITSM.
pub(super) fn send_request(
    fixture: &FaultFixture,
    method: Method,
    target: String,
    body: Value,
) -> Hook {
    let client = fixture.org.itsm.clone();
    Arc::new(move || {
        let request = client.request(method.clone(), &target).json(&body);
        Box::pin(async move {
            let response = crate::support::Client::send(request).await;
            assert!(
                response.status.is_success(),
                "the concurrent request failed: {response}"
            );
        })
    })
}

/// The result of a request with a concurrent change.
pub(super) struct RaceResult {
    pub(super) fixture: FaultFixture,
    pub(super) before: TeamsState,
    pub(super) response: Response,
    pub(super) after: TeamsState,
}

/// Runs a write with a concurrent change, under both contracts in turn.
pub(super) async fn race(
    write: Write,
    between: impl Fn(&FaultFixture) -> Hook,
    then: impl Fn(Contract, RaceResult),
) {
    for (_, contract) in Write::ALL.into_iter().filter(|(one, _)| *one == write) {
        let (fixture, script) = (FaultFixture::new().await, FaultScript::default());
        let before = fixture.state().await;
        script.once(WRITES, InjectedFault::RunFirst(between(&fixture)));
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert!(script.is_consumed());
        let after = fixture.state().await;
        then(
            contract,
            RaceResult {
                fixture,
                before,
                response,
                after,
            },
        );
    }
}

/// Returns the status of a violated business rule.
pub(super) fn conflict(contract: Contract) -> u16 {
    match contract {
        Toptickets => 422,
        Itsm => 409,
    }
}

/// Returns a hook that writes a user's profile without the API, as the directory does.
pub(super) fn write_profile(fixture: &FaultFixture, n: usize, change: impl Fn(&mut User)) -> Hook {
    let (store, org) = (fixture.org.stack.store(), fixture.org.id.clone());
    let mut user = fixture.org.users[n].clone();
    user.version += 1;
    change(&mut user);
    Arc::new(move || {
        let (store, org, user) = (store.clone(), org.clone(), user.clone());
        Box::pin(async move {
            store
                .put_users(&org, &[user])
                .await
                .expect("the users are written");
        })
    })
}

/// Returns a hook that sets a number of the team's item.
pub(super) fn set_team_number(
    fixture: &FaultFixture,
    attribute: &'static str,
    number: i64,
) -> Hook {
    let (table, team) = (Arc::new(OrgTable::of(&fixture.org)), fixture.team.clone());
    Arc::new(move || {
        let (table, team) = (Arc::clone(&table), team.clone());
        Box::pin(async move { table.set_number(&team, attribute, number).await })
    })
}

/// Returns a hook that sets a number of the team's load.
pub(super) fn set_load_number(
    fixture: &FaultFixture,
    attribute: &'static str,
    number: i64,
) -> Hook {
    let (table, team) = (Arc::new(OrgTable::of(&fixture.org)), fixture.team.clone());
    Arc::new(move || {
        let (table, team) = (Arc::clone(&table), team.clone());
        Box::pin(async move { table.set_load_number(&team, attribute, number).await })
    })
}
