//! The user queue: keeps user profiles.

use std::{collections::HashMap, convert::Infallible};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::{StreamExt as _, stream};
use lambda_runtime::LambdaEvent;
use muster_contracts::events::inbound::{Poison, user_event};
use muster_domain::{Clock, EventVersion, OrganizationId, UserId, UserSnapshot};
use muster_service::{
    aws::{sqs_batch::Batch, sqs_send::Queue},
    store::{Store, Table},
};

/// What the function depends on. One for the life of its instance.
#[derive(Clone)]
pub struct Deps {
    /// The table.
    pub table: Table,
    /// Where messages go that can never succeed.
    pub dead_letters: Queue,
    /// The time.
    pub clock: Clock,
}

/// How many users, or organizations, are worked on at once.
const AT_ONCE: usize = 25;

/// What a batch says of one user.
#[derive(Default)]
struct Said {
    /// The messages that say it.
    positions: Vec<usize>,
    events: Vec<(EventVersion, UserSnapshot)>,
}

/// Handles one batch of messages: the events of each user together, and users beside each other.
///
/// Three round trips, one after another: do the organizations exist, what is known of the users,
/// and the writes of what is news. A user whose profile cannot be written for the moment holds up
/// nobody else.
///
/// # Errors
/// Never: messages that have to come again are named in the answer.
pub async fn handle(
    event: LambdaEvent<SqsEvent>,
    deps: &Deps,
) -> Result<SqsBatchResponse, Infallible> {
    let mut batch = Batch::new(event);
    let store = deps.table.until(batch.deadline());
    let now = (deps.clock)();

    let parsed: Vec<_> = batch.bodies().map(|body| user_event(body, now)).collect();
    let mut organizations: HashMap<OrganizationId, HashMap<UserId, Said>> = HashMap::new();
    for (position, event) in parsed.into_iter().enumerate() {
        match event {
            Ok(event) => {
                let users = organizations.entry(event.organization_id).or_default();
                let said = users.entry(event.user.id).or_default();
                said.positions.push(position);
                said.events.push((event.version, event.user));
            }
            Err(poison) => batch.poison(position, poison),
        }
    }
    keep_known(&store, &mut organizations, &mut batch).await;

    let heard: Vec<_> = organizations
        .iter()
        .flat_map(|(org, users)| users.iter().map(move |(&user, said)| (org, user, said)))
        .map(|(org, user, said)| {
            let store = &store;
            async move {
                (
                    org,
                    said,
                    store.apply_user_events(org, user, &said.events, now).await,
                )
            }
        })
        .collect();
    let mut heard = stream::iter(heard).buffer_unordered(AT_ONCE);
    while let Some((org, said, outcome)) = heard.next().await {
        if let Err(error) = outcome {
            batch.fail(said.positions.iter().copied(), Some(org.clone()), error);
        }
    }
    Ok(batch.finish(&deps.dead_letters).await)
}

/// Sets aside what is said of organizations that nobody works with here, or of which that cannot be
/// found out for the moment.
async fn keep_known(
    store: &Store,
    organizations: &mut HashMap<OrganizationId, HashMap<UserId, Said>>,
    batch: &mut Batch,
) {
    let asked: Vec<_> = organizations
        .keys()
        .cloned()
        .map(|org| async move {
            let exists = store.organization_exists(&org).await;
            (org, exists)
        })
        .collect();
    let mut asked = stream::iter(asked).buffer_unordered(AT_ONCE);
    while let Some((org, exists)) = asked.next().await {
        let outcome = match exists {
            Ok(true) => continue,
            Ok(false) => None,
            Err(error) => Some(error),
        };
        let users = organizations.remove(&org).unwrap_or_default();
        let positions = users.into_values().flat_map(|said| said.positions);
        match outcome {
            Some(error) => batch.fail(positions, Some(org), error),
            None => positions
                .for_each(|position| batch.poison(position, Poison::unknown_organization())),
        }
    }
}
