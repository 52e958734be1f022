//! Writes against a faulty table.

use muster_domain::Contract::Itsm;

use super::{
    FaultFixture, PERMANENT_FAULTS, SHORT_TIME, TRANSIENT_READ_FAULTS, assert_failed, call_in_time,
    each, write::Write,
};
use crate::support::{
    fault_injection::{FaultScript, InjectedFault, READS, WRITES},
    invoke::TestInvocation,
};

#[tokio::test]
async fn write_with_one_transient_fault_happens_once() {
    let cases = Write::ALL
        .into_iter()
        .enumerate()
        .flat_map(|(n, (write, contract))| {
            let (hard, plain) = write.transient_faults();
            // The faults of the second group differ only in the exception, so each write is tested
            // with a third of them.
            let faults = hard
                .into_iter()
                .chain(plain.into_iter().skip(n % 3).step_by(3));
            faults.map(move |fault| (write, contract, fault))
        });
    each(cases, async |(write, contract, fault)| {
        let what = format!("{write:?} under {contract:?}, {fault:?}");
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let expected = write.apply(&fixture, fixture.state().await);
        script.once(WRITES, fault);
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert_eq!(response.status, write.status(), "{what}: {response}");
        assert!(script.is_consumed(), "{what}");
        assert_eq!(script.calls(WRITES), 2, "{what}");
        assert_eq!(
            response.header("etag"),
            write.etag(contract, &expected),
            "{what}"
        );
        assert_eq!(fixture.state().await, expected, "{what}");
    })
    .await;
}

/// The write happens once, however many responses are lost.
#[tokio::test]
async fn write_with_repeatedly_lost_responses_happens_once() {
    each(Write::ALL, async |(write, contract)| {
        let what = format!("{write:?} under {contract:?}");
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let expected = write.apply(&fixture, fixture.state().await);
        for fault in [
            InjectedFault::ResponseDropped,
            InjectedFault::ResponseReplaced,
            InjectedFault::ResponseTruncated,
            InjectedFault::ConnectionClosed,
        ] {
            script.once(WRITES, fault);
        }
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert_eq!(response.status, write.status(), "{what}: {response}");
        assert!(script.is_consumed(), "{what}");
        assert_eq!(
            response.header("etag"),
            write.etag(contract, &expected),
            "{what}"
        );
        assert_eq!(fixture.state().await, expected, "{what}");
    })
    .await;
}

#[tokio::test]
async fn write_with_persistent_fault_returns_503_in_time() {
    let cases = Write::ALL
        .into_iter()
        .enumerate()
        .flat_map(|(n, (write, contract))| {
            let (hard, plain) = write.transient_faults();
            let faults = hard
                .into_iter()
                .chain(plain)
                .chain([InjectedFault::NoResponse]);
            faults
                .skip(n % 5)
                .step_by(5)
                .map(move |fault| (write, contract, fault))
        });
    each(cases, async |(write, contract, fault)| {
        let what = format!("{write:?} under {contract:?}, {fault:?}");
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let before = fixture.state().await;
        script.always(WRITES, fault.clone());
        let invocation = TestInvocation {
            time: SHORT_TIME,
            ..write.invocation(&fixture, contract)
        };
        let response = call_in_time(&invocation, &fixture.deps(&script)).await;
        assert_failed(&response, contract, 503, &what);
        if !matches!(fault, InjectedFault::NoResponse) {
            assert!(script.calls(WRITES) > 1, "{what}: not retried");
        }
        let after = fixture.state().await;
        // The deadline may end a last attempt after its write took effect.
        let lost = matches!(
            fault,
            InjectedFault::ResponseReplaced
                | InjectedFault::ResponseDropped
                | InjectedFault::ResponseTruncated
        );
        let at_most_once =
            after == before || lost && after == write.apply(&fixture, before.clone());
        assert!(at_most_once, "{what}: {after:?}, before {before:?}");
    })
    .await;
}

#[tokio::test]
async fn write_with_permanent_fault_returns_500_without_retry() {
    let cases = Write::ALL.into_iter().flat_map(|(write, contract)| {
        let canceled = write
            .is_transaction()
            .then_some(InjectedFault::Canceled("ValidationError"));
        PERMANENT_FAULTS
            .into_iter()
            .chain(canceled)
            .map(move |fault| (write, contract, fault))
    });
    each(cases, async |(write, contract, fault)| {
        let what = format!("{write:?} under {contract:?}, {fault:?}");
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let before = fixture.state().await;
        script.always(WRITES, fault);
        let response = write
            .invocation(&fixture, contract)
            .call(&fixture.deps(&script))
            .await;
        assert_failed(&response, contract, 500, &what);
        assert_eq!(script.calls(WRITES), 1, "{what}");
        assert_eq!(fixture.state().await, before, "{what}");
    })
    .await;
}

#[tokio::test]
async fn write_with_one_failed_read_happens_once() {
    let reading = [
        Write::Describe,
        Write::Rename,
        Write::Lead,
        Write::Delete,
        Write::Add,
        Write::Return,
        Write::Learn,
        Write::Promote,
        Write::DescribeIf,
        Write::AddOnce,
    ];
    let cases = reading
        .into_iter()
        .flat_map(|write| (0..4).map(move |nth| (write, nth)));
    each(cases, async |(write, nth)| {
        let (fixture, script) = (FaultFixture::of(write).await, FaultScript::default());
        let expected = write.apply(&fixture, fixture.state().await);
        script.nth(READS, nth, TRANSIENT_READ_FAULTS[nth].clone());
        let response = write
            .invocation(&fixture, Itsm)
            .call(&fixture.deps(&script))
            .await;
        assert_eq!(response.status, write.status(), "{write:?}: {response}");
        assert_eq!(fixture.state().await, expected, "{write:?}");
    })
    .await;
}
