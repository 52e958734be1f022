//! Schedules: functions that are invoked again and again.

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::functions::Function;
use crate::template::Schedule;

/// Invokes a function by its schedule until it is told to stop, the first time when the time has passed once. An invocation
/// that is under way is waited for.
pub(super) async fn run(schedule: Schedule, function: Function, mut stop: watch::Receiver<bool>) {
    let Schedule { function: _, every, input } = schedule;
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            // Gone is whoever could tell: that is the end too.
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = function.invoke(&input).await {
            tracing::error!("a scheduled invocation failed: {error:#}");
        }
    }
}
