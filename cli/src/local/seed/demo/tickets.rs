//! The tickets of the demo organization: at least one assigned, waiting, unrouted and resolved.

use std::time::Duration;

use muster_domain::Timestamp;
use serde_json::{Value, json};

use super::catalog::{ALEX, FACILITIES, NETWORK_OPERATIONS, ORGANIZATION};

/// A ticket, in the fields of its event.
#[derive(Clone, Copy)]
pub(super) struct TicketSeed {
    pub(super) id: &'static str,
    status: &'static str,
    priority: &'static str,
    category: &'static str,
    subcategory: &'static str,
    tags: &'static [&'static str],
    /// The team that the event names. Without one, the specializations select the team.
    team_id: Option<&'static str>,
    /// The assignee that the event names. Without one, the team's strategy selects the assignee.
    assignee_id: Option<&'static str>,
    /// Minutes since the creation.
    age: i64,
}

/// A ticket without a named team and assignee.
const fn ticket(
    id: &'static str,
    status: &'static str,
    priority: &'static str,
    [category, subcategory]: [&'static str; 2],
    tags: &'static [&'static str],
    age: i64,
) -> TicketSeed {
    TicketSeed {
        id,
        status,
        priority,
        category,
        subcategory,
        tags,
        team_id: None,
        assignee_id: None,
        age,
    }
}

const fn of_facilities(ticket: TicketSeed) -> TicketSeed {
    TicketSeed {
        team_id: Some(FACILITIES),
        ..ticket
    }
}

/// The tickets, the oldest first. They are assigned in this order.
pub(super) const TICKETS: [TicketSeed; 11] = [
    TicketSeed {
        team_id: Some(NETWORK_OPERATIONS),
        assignee_id: Some(ALEX),
        ..ticket(
            "R-1",
            "resolved",
            "high",
            ["Network", "WAN"],
            &["outage"],
            700,
        )
    },
    ticket("A-1", "open", "medium", ["Bug", "Export"], &["report"], 310),
    ticket(
        "TKT-2024:001",
        "in_progress",
        "high",
        ["Application", "Client"],
        &["Cisco"],
        280,
    ),
    ticket(
        "A-2",
        "in_progress",
        "critical",
        ["Network", "VPN"],
        &["remote"],
        240,
    ),
    ticket(
        "U-1",
        "new",
        "medium",
        ["Catering", "Menu"],
        &["canteen"],
        200,
    ),
    of_facilities(ticket(
        "W-1",
        "new",
        "medium",
        ["Building", "Heating"],
        &["office"],
        180,
    )),
    ticket(
        "A-3",
        "open",
        "high",
        ["Network", "DNS"],
        &["intranet"],
        150,
    ),
    ticket(
        "A-4",
        "open",
        "low",
        ["Billing", "Invoice"],
        &["refund"],
        90,
    ),
    ticket(
        "A-5",
        "new",
        "medium",
        ["Hardware", "Laptop"],
        &["battery"],
        60,
    ),
    of_facilities(ticket(
        "W-2",
        "new",
        "high",
        ["Building", "Access"],
        &["badge"],
        45,
    )),
    ticket(
        "U-2",
        "open",
        "high",
        ["Legal", "Contract"],
        &["supplier"],
        20,
    ),
];

impl TicketSeed {
    /// Returns the platform's event about the ticket, with times relative to `now`.
    pub(super) fn event(&self, now: Timestamp) -> Value {
        let Self {
            id,
            status,
            priority,
            category,
            subcategory,
            tags,
            team_id,
            assignee_id,
            age,
        } = self;
        let created_at = Timestamp::from_millis(now.millis() - age * 60_000);
        let due_at = created_at.plus(Duration::from_hours(8));
        let resolved_at =
            (*status == "resolved").then(|| created_at.plus(Duration::from_mins(250)));
        let updated_at = resolved_at.unwrap_or(created_at);
        json!({
            "specversion": "1.0",
            "id": format!("demo:{id}"),
            "source": "/muster/demo",
            "type": "ticket.created",
            "time": updated_at.iso8601(),
            "datacontenttype": "application/json",
            "data": {
                "organization_id": ORGANIZATION,
                "ticket": {
                    "id": id,
                    "status": status,
                    "priority": priority,
                    "category": category,
                    "subcategory": subcategory,
                    "tags": tags,
                    "team_id": team_id,
                    "assignee_id": assignee_id,
                    "created_at": created_at.iso8601(),
                    "updated_at": updated_at.iso8601(),
                    "resolved_at": resolved_at.map(Timestamp::iso8601),
                    "due_at": due_at.iso8601(),
                }
            }
        })
    }
}
