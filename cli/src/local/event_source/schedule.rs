//! Functions that are invoked by a schedule.

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::function::Function;
use crate::sam::Schedule;

/// Invokes a function at the rate of its schedule, first after one period, until it is stopped.
/// Waits for a running invocation.
pub(in crate::local) async fn run(
    schedule: Schedule,
    function: Function,
    mut stop: watch::Receiver<bool>,
) {
    let Schedule {
        function: _,
        every,
        input,
    } = schedule;
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            // `wait_for` fails if the sender is dropped, which stops the schedule too.
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = function.invoke(&input).await {
            tracing::error!("a scheduled invocation failed: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use anyhow::bail;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn schedule_continues_after_failures_until_stopped() {
        let (invoked, mut invocations) = tokio::sync::mpsc::unbounded_channel();
        let function = Function::from_handler(Arc::new(move |event, _| {
            let sent = invoked.send(event);
            Box::pin(async move {
                sent.expect("the test listens");
                bail!("in vain")
            })
        }));
        let schedule = Schedule {
            function: "F".to_owned(),
            every: Duration::from_millis(5),
            input: json!({ "job": "restart_unfinished" }),
        };
        let (stop, stopping) = watch::channel(false);
        let running = tokio::spawn(run(schedule, function, stopping));
        for _ in 0..3 {
            assert_eq!(
                invocations.recv().await.as_deref(),
                Some(r#"{"job":"restart_unfinished"}"#)
            );
        }
        stop.send(true).unwrap();
        running.await.unwrap();
    }
}
