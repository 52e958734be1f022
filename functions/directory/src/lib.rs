//! The consumer of the user queue: stores user profiles.

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

/// Dependencies of the function, shared by all invocations of an execution environment.
#[derive(Clone)]
pub struct Deps {
    /// The table.
    pub table: Table,
    /// The queue for poison messages.
    pub dead_letters: Queue,
    /// The clock.
    pub clock: Clock,
}

/// The most users, or organizations, that are processed concurrently.
const CONCURRENCY: usize = 25;

/// The events of one user in a batch.
#[derive(Default)]
struct UserEvents {
    /// The positions of their messages.
    positions: Vec<usize>,
    events: Vec<(EventVersion, UserSnapshot)>,
}

/// Handles one batch of messages: the events of each user together, and users concurrently.
///
/// Costs three sequential round trips: the organizations, the stored users, and the writes of
/// changed profiles. A failure of one user does not affect the others.
///
/// # Errors
/// Infallible: failed messages are reported as partial batch failures.
pub async fn handle(
    event: LambdaEvent<SqsEvent>,
    deps: &Deps,
) -> Result<SqsBatchResponse, Infallible> {
    let mut batch = Batch::new(event);
    let store = deps.table.until(batch.deadline());
    let now = (deps.clock)();

    let parsed: Vec<_> = batch.bodies().map(|body| user_event(body, now)).collect();
    let mut organizations: HashMap<OrganizationId, HashMap<UserId, UserEvents>> = HashMap::new();
    for (position, event) in parsed.into_iter().enumerate() {
        match event {
            Ok(event) => {
                let users = organizations.entry(event.organization_id).or_default();
                let user = users.entry(event.user.id).or_default();
                user.positions.push(position);
                user.events.push((event.version, event.user));
            }
            Err(poison) => batch.poison(position, poison),
        }
    }
    drop_unknown_organizations(&store, &mut organizations, &mut batch).await;

    let writes: Vec<_> = organizations
        .iter()
        .flat_map(|(org, users)| users.iter().map(move |(&user, events)| (org, user, events)))
        .map(|(org, user, events)| {
            let store = &store;
            async move {
                (
                    org,
                    events,
                    store
                        .apply_user_events(org, user, &events.events, now)
                        .await,
                )
            }
        })
        .collect();
    let mut writes = stream::iter(writes).buffer_unordered(CONCURRENCY);
    while let Some((org, events, outcome)) = writes.next().await {
        if let Err(error) = outcome {
            batch.fail(events.positions.iter().copied(), Some(org.clone()), &error);
        }
    }
    Ok(batch.finish(&deps.dead_letters).await)
}

/// Removes the events of unknown organizations as poison, and those of organizations that cannot be
/// read as failed.
async fn drop_unknown_organizations(
    store: &Store,
    organizations: &mut HashMap<OrganizationId, HashMap<UserId, UserEvents>>,
    batch: &mut Batch,
) {
    let lookups: Vec<_> = organizations
        .keys()
        .cloned()
        .map(|org| async move {
            let exists = store.organization_exists(&org).await;
            (org, exists)
        })
        .collect();
    let mut lookups = stream::iter(lookups).buffer_unordered(CONCURRENCY);
    while let Some((org, exists)) = lookups.next().await {
        let outcome = match exists {
            Ok(true) => continue,
            Ok(false) => None,
            Err(error) => Some(error),
        };
        let users = organizations.remove(&org).unwrap_or_default();
        let positions = users.into_values().flat_map(|events| events.positions);
        match outcome {
            Some(error) => batch.fail(positions, Some(org), &error),
            None => positions
                .for_each(|position| batch.poison(position, Poison::unknown_organization())),
        }
    }
}
