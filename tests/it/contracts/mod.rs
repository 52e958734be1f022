//! The two contracts, held to the letter.

mod documents;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering::SeqCst},
};

use muster::domain::{TeamId, Timestamp};

use crate::support::Stack;

/// A stack of one's own whose clock stands still until it is moved, and whose next team id can be chosen.
struct Scene {
    stack: Stack,
    secs: Arc<AtomicI64>,
    next_team: Arc<Mutex<Option<TeamId>>>,
}

impl Scene {
    async fn at(secs: i64) -> Self {
        let secs = Arc::new(AtomicI64::new(secs));
        let next_team = Arc::new(Mutex::new(None));
        let stack = Stack::with({
            let (secs, next_team) = (Arc::clone(&secs), Arc::clone(&next_team));
            move |deps| {
                let secs = Arc::clone(&secs);
                deps.clock = Arc::new(move || Timestamp::from_secs(secs.load(SeqCst)));
                let (next_team, usual) = (Arc::clone(&next_team), Arc::clone(&deps.new_team_id));
                deps.new_team_id = Arc::new(move |now| {
                    let chosen = next_team.lock().expect("nobody panics with it").take();
                    chosen.unwrap_or_else(|| usual(now))
                });
            }
        })
        .await;
        Self { stack, secs, next_team }
    }

    /// Moves the clock.
    fn set(&self, secs: i64) {
        self.secs.store(secs, SeqCst);
    }

    /// Chooses the id of the team that is created next.
    fn next_team(&self, id: &str) {
        let id = TeamId::parse(id).expect("a team's id");
        *self.next_team.lock().expect("nobody panics with it") = Some(id);
    }
}
