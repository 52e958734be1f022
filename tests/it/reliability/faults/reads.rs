//! Reads against a faulty table.

use std::time::Duration;

use muster_domain::Contract::{self, Itsm};
use reqwest::Method;

use super::{
    FaultFixture, PERMANENT_FAULTS, SHORT_TIME, TRANSIENT_READ_FAULTS, assert_failed, call_in_time,
    each,
};
use crate::support::{
    fault_injection::{FaultScript, InjectedFault, READS},
    invoke::{self, TestInvocation},
    n,
};

/// Returns every read of the API.
fn reads(fixture: &FaultFixture) -> Vec<(Contract, String)> {
    let team = fixture.team_path();
    let mut reads = vec![
        (Itsm, format!("{team}/workload")),
        (Itsm, "/v1/teams?search=e".to_owned()),
    ];
    for contract in Contract::ALL {
        reads.extend([(contract, team.clone()), (contract, "/v1/teams".to_owned())]);
        reads.extend(["/members", "/assignments"].map(|list| (contract, format!("{team}{list}"))));
        reads.push((contract, "/v1/assignments/TKT-1".to_owned()));
        reads.push((contract, found_tickets(fixture)));
    }
    reads
}

/// Returns the list of the team's assigned tickets over the organization's list.
fn found_tickets(fixture: &FaultFixture) -> String {
    format!("/v1/assignments?state=assigned&team_id={}", fixture.team)
}

#[tokio::test]
async fn read_with_transient_fault_is_retried() {
    let fixture = FaultFixture::new().await;
    let cases = reads(&fixture)
        .into_iter()
        .flat_map(|read| TRANSIENT_READ_FAULTS.map(|fault| (read.clone(), fault)));
    each(cases, async |((contract, target), fault)| {
        let what = format!("{target} under {contract:?}, {fault:?}");
        let invocation = TestInvocation::new(fixture.token(contract), Method::GET, &*target, None);
        let expected = invocation
            .call(&fixture.deps(&FaultScript::default()))
            .await;
        assert_eq!(expected.status, 200, "{what}: {expected}");
        // Fails each read of the request in turn. With a cold key cache, the read of the key fails
        // too.
        let (warm, cold) = (FaultScript::default(), FaultScript::default());
        invocation.call(&fixture.deps(&warm)).await;
        for nth in 0..warm.calls(READS) {
            let script = FaultScript::default();
            script.nth(READS, nth, fault.clone());
            let response = invocation.call(&fixture.deps(&script)).await;
            assert!(script.is_consumed(), "{what}");
            let same = response.json == expected.json || target.ends_with("/workload");
            assert!(
                response.status == 200 && same,
                "{what}: {response}, not {expected}"
            );
        }
        cold.once(&["GetItem"], fault.clone());
        let response = invocation
            .call(&invoke::deps(
                &fixture.org.stack,
                cold.client(&fixture.org.stack),
            ))
            .await;
        assert!(
            cold.is_consumed() && response.status == 200,
            "{what}: {response}"
        );
    })
    .await;
}

#[tokio::test]
async fn unprocessed_keys_are_read_again_until_the_deadline() {
    let fixture = FaultFixture::new().await;
    fixture
        .org
        .set_load(&fixture.team, &[("open_tickets", n(1))])
        .await;
    let lists = [
        format!("{}/assignments", fixture.team_path()),
        found_tickets(&fixture),
    ];
    let cases = lists
        .iter()
        .flat_map(|list| Contract::ALL.map(|contract| (list, contract)));
    for (target, contract) in cases {
        let invocation = TestInvocation::new(fixture.token(contract), Method::GET, &**target, None);
        let (fine, once, always) = (
            FaultScript::default(),
            FaultScript::default(),
            FaultScript::default(),
        );
        let expected = invocation.call(&fixture.deps(&fine)).await;
        once.once(&["BatchGetItem"], InjectedFault::Unprocessed);
        let response = invocation.call(&fixture.deps(&once)).await;
        assert_eq!(
            (once.calls(&["BatchGetItem"]), &response.json),
            (2, &expected.json),
            "{response}"
        );
        assert!(response.text.contains("TKT-1"), "{response}");
        always.always(&["BatchGetItem"], InjectedFault::Unprocessed);
        let short = TestInvocation {
            time: SHORT_TIME,
            ..invocation
        };
        assert_failed(
            &call_in_time(&short, &fixture.deps(&always)).await,
            contract,
            503,
            "every key unprocessed",
        );
    }
}

#[tokio::test]
async fn read_with_persistent_fault_returns_503_in_time() {
    let fixture = FaultFixture::new().await;
    let cases = reads(&fixture).into_iter().flat_map(|read| {
        let faults = [
            TRANSIENT_READ_FAULTS[0].clone(),
            TRANSIENT_READ_FAULTS[2].clone(),
            InjectedFault::ConnectionClosed,
            InjectedFault::NoResponse,
        ];
        faults.map(|fault| (read.clone(), fault))
    });
    each(cases, async |((contract, target), fault)| {
        let what = format!("{target} under {contract:?}, {fault:?}");
        let script = FaultScript::default();
        script.always(READS, fault);
        let invocation = TestInvocation {
            time: SHORT_TIME,
            ..TestInvocation::new(fixture.token(contract), Method::GET, &*target, None)
        };
        assert_failed(
            &call_in_time(&invocation, &fixture.deps(&script)).await,
            contract,
            503,
            &what,
        );
        // With a cold key cache, the read of the key fails first.
        let cold = invoke::deps(&fixture.org.stack, script.client(&fixture.org.stack));
        assert_failed(
            &call_in_time(&invocation, &cold).await,
            contract,
            503,
            &what,
        );
    })
    .await;
}

#[tokio::test]
async fn read_with_permanent_fault_returns_500_without_retry() {
    let fixture = FaultFixture::new().await;
    let cases = reads(&fixture)
        .into_iter()
        .flat_map(|read| PERMANENT_FAULTS.map(|fault| (read.clone(), fault)));
    each(cases, async |((contract, target), fault)| {
        let what = format!("{target} under {contract:?}, {fault:?}");
        let invocation = TestInvocation::new(fixture.token(contract), Method::GET, &*target, None);
        let (all, fine) = (FaultScript::default(), FaultScript::default());
        all.always(READS, fault);
        invocation.call(&fixture.deps(&fine)).await;
        assert_failed(
            &invocation.call(&fixture.deps(&all)).await,
            contract,
            500,
            &what,
        );
        assert!(
            all.calls(READS) <= fine.calls(READS),
            "{what}: no call is retried"
        );
        let cold = invoke::deps(&fixture.org.stack, all.client(&fixture.org.stack));
        assert_failed(&invocation.call(&cold).await, contract, 500, &what);
    })
    .await;
}

#[tokio::test]
async fn invocation_without_time_left_returns_503() {
    let fixture = FaultFixture::new().await;
    for contract in Contract::ALL {
        let before = fixture.state().await;
        let invocation = TestInvocation {
            time: Duration::from_millis(400),
            ..TestInvocation::new(
                fixture.token(contract),
                Method::GET,
                fixture.team_path(),
                None,
            )
        };
        let script = FaultScript::default();
        script.always(READS, InjectedFault::NoResponse);
        assert_failed(
            &invocation.call(&fixture.deps(&script)).await,
            contract,
            503,
            "no time left",
        );
        assert_eq!(fixture.state().await, before);
    }
}
