//! The consumer of the ticket queue: assigns tickets to teams and members, and updates the workload
//! counters.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::future::join_all;
use lambda_runtime::LambdaEvent;
use muster_contracts::events::inbound::{Poison, TicketMessage, ticket_event};
use muster_domain::{
    Clock, OrganizationId, TicketEvent, TicketId,
    routing::{TicketTask, Trigger},
};
use muster_service::{
    assignment::{self, Failure},
    aws::{sqs_batch::Batch, sqs_send::Queue},
    store::Table,
    telemetry,
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

/// Handles one batch of messages: the tickets of each organization together, and the organizations
/// concurrently.
///
/// # Errors
/// Infallible: failed messages are reported as partial batch failures.
pub async fn handle(
    event: LambdaEvent<SqsEvent>,
    deps: &Deps,
) -> Result<SqsBatchResponse, Infallible> {
    let mut batch = Batch::new(event);
    let now = (deps.clock)();
    let store = deps.table.until(batch.deadline());

    let mut organizations: BTreeMap<OrganizationId, EventsByTicket> = BTreeMap::new();
    let parsed: Vec<_> = batch.bodies().map(|body| ticket_event(body, now)).collect();
    let mut unknown_priorities = 0;
    for (position, message) in parsed.into_iter().enumerate() {
        match message {
            Ok(TicketMessage {
                event,
                has_unknown_priority,
            }) => {
                unknown_priorities += usize::from(has_unknown_priority);
                organizations
                    .entry(event.organization_id.clone())
                    .or_default()
                    .add(position, event);
            }
            Err(poison) => batch.poison(position, poison),
        }
    }
    telemetry::record(|measured| measured.unknown_priorities += unknown_priorities);
    let processed = join_all(
        organizations
            .into_iter()
            .map(async |(organization, tickets)| {
                let (messages, tasks) = tickets.in_order();
                let failures = assignment::process(&store, &organization, &tasks, now).await;
                (organization, messages.into_iter().zip(failures))
            }),
    )
    .await;
    for (organization, outcomes) in processed {
        for (messages, failure) in outcomes {
            match failure {
                None => {}
                Some(Failure::UnknownOrganization) => {
                    for message in messages {
                        batch.poison(message, Poison::unknown_organization());
                    }
                }
                Some(Failure::Store(error)) => {
                    batch.fail(messages, Some(organization.clone()), &error);
                }
            }
        }
    }
    Ok(batch.finish(&deps.dead_letters).await)
}

/// The events of one organization, by ticket, with the positions of their messages.
#[derive(Default)]
struct EventsByTicket(HashMap<TicketId, (Vec<usize>, Vec<TicketEvent>)>);

impl EventsByTicket {
    fn add(&mut self, position: usize, event: TicketEvent) {
        let (messages, events) = self.0.entry(event.ticket.id.clone()).or_default();
        messages.push(position);
        events.push(event);
    }

    /// Returns the events of each ticket in the order of their versions, and the tickets in the
    /// order of their oldest event. A standard queue delivers messages in any order.
    fn in_order(self) -> (Vec<Vec<usize>>, Vec<TicketTask>) {
        let mut tickets: Vec<_> = self.0.into_iter().collect();
        for (_, (_, events)) in &mut tickets {
            events.sort_by(|a, b| a.version.cmp(&b.version));
        }
        tickets.sort_by(|(_, (_, a)), (_, (_, b))| {
            let oldest = |events: &[TicketEvent]| events.first().map(|event| event.version.clone());
            oldest(a).cmp(&oldest(b))
        });
        let task = |(ticket_id, (messages, events))| {
            (
                messages,
                TicketTask {
                    ticket_id,
                    trigger: Trigger::Events(events),
                },
            )
        };
        tickets.into_iter().map(task).unzip()
    }
}
