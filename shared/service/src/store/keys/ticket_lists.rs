//! The keys of lists of tickets, and the positions in them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    by_decision, open_partition, queue_partition, ticket, unrouted_partition, urgency,
    waiting_partition,
};
use crate::store::index::Index;
use muster_domain::{
    OrganizationId, Priority, TicketId, TicketPosition, TicketSelection, Timestamp,
};

/// A list of tickets in an index.
pub(in crate::store) struct TicketListKeys {
    pub(in crate::store) index: Index,
    pub(in crate::store) partition: String,
    /// The prefix of the sort keys, if the list has a part of the partition.
    pub(in crate::store) prefix: Option<String>,
    /// True for the order of the sort keys, false for its reverse.
    pub(in crate::store) is_forward: bool,
}

impl TicketListKeys {
    /// Returns the keys of a list.
    pub(in crate::store) fn of(org: &OrganizationId, selection: &TicketSelection) -> Self {
        let (index, partition) = match *selection {
            TicketSelection::Unrouted { .. } => (Index::First, unrouted_partition(org)),
            TicketSelection::Waiting {
                team: Some(team), ..
            } => (Index::First, waiting_partition(org, team)),
            TicketSelection::Waiting { team: None, .. } => (Index::Second, queue_partition(org)),
            TicketSelection::Assigned { team, .. } => (Index::First, open_partition(org, team)),
        };
        Self {
            index,
            partition,
            prefix: selection
                .priority()
                .map(|priority| format!("{}#", priority.rank())),
            is_forward: !matches!(selection, TicketSelection::Assigned { .. }),
        }
    }

    /// Returns the key of the index and of the table at which a query begins, after a position.
    ///
    /// The filter of an unrouted ticket is not part of a position. `~` follows every filter, so the
    /// query begins after the ticket with any filter. An item with this key need not exist.
    pub(in crate::store) fn start_after(
        &self,
        org: &OrganizationId,
        selection: &TicketSelection,
        position: &TicketPosition,
    ) -> HashMap<String, AttributeValue> {
        let TicketPosition { priority, at, id } = position;
        let place = match priority {
            Some(priority) => urgency(*priority, *at, id),
            None => by_decision(*at, id),
        };
        let sort_key = match selection {
            TicketSelection::Unrouted { .. } => format!("{place}#~"),
            TicketSelection::Waiting { .. } | TicketSelection::Assigned { .. } => place,
        };
        let names = self.index.names();
        let mut start = ticket(org, id).attributes();
        start.insert(
            names.pk.to_owned(),
            AttributeValue::S(self.partition.clone()),
        );
        start.insert(names.sk.to_owned(), AttributeValue::S(sort_key));
        start
    }
}

/// Returns the position of an entry in a list of tickets, by its sort key in the index.
pub(in crate::store) fn ticket_position(
    selection: &TicketSelection,
    index_sk: &str,
) -> Option<TicketPosition> {
    let mut parts = index_sk.split('#');
    let priority = match selection {
        TicketSelection::Assigned { .. } => None,
        TicketSelection::Unrouted { .. } | TicketSelection::Waiting { .. } => {
            let rank: usize = parts.next()?.parse().ok()?;
            Some(*Priority::ALL.get(rank)?)
        }
    };
    Some(TicketPosition {
        priority,
        at: Timestamp::from_millis(parts.next()?.parse().ok()?),
        id: TicketId::parse(parts.next()?).ok()?,
    })
}
