//! The rows of `muster tickets list`.

use std::collections::HashMap;

use muster_domain::{
    Folded, OrganizationId, QueueStrategy, Team, TeamId, Ticket, Timestamp, User, UserId,
};
use serde_json::{Value, json};

use crate::commands::{columns::columns, tickets::explain::span};

/// The tickets of a list, with the names of their teams and assignees.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub tickets: Vec<Ticket>,
    pub teams: HashMap<TeamId, Team>,
    pub users: HashMap<UserId, User>,
}

impl Rows {
    fn team(&self, ticket: &Ticket) -> Option<&str> {
        let team = self.teams.get(&ticket.team_id?)?;
        Some(team.name.as_str())
    }

    fn assignee(&self, ticket: &Ticket) -> Option<&str> {
        let user = self.users.get(&ticket.assignee_id?)?;
        Some(user.name.as_str())
    }

    /// Returns the table for people: a line for each ticket, with the reason of its state.
    pub(super) fn text(&self, now: Timestamp) -> String {
        let id = |uuid: Option<uuid::Uuid>| uuid.map(|uuid| uuid.to_string());
        let row = |ticket: &Ticket| {
            let team = self.team(ticket).map(str::to_owned);
            let team = team.or_else(|| id(ticket.team_id.map(TeamId::uuid)));
            let assignee = self.assignee(ticket).map(str::to_owned);
            let assignee = assignee.or_else(|| id(ticket.assignee_id.map(UserId::uuid)));
            let topics: Vec<_> = topics(ticket).collect();
            [
                ticket.id.to_string(),
                ticket.priority.as_str().to_owned(),
                span(now.since(ticket.created_at)),
                or_dash(team),
                or_dash(assignee),
                or_dash((!topics.is_empty()).then(|| topics.join(", "))),
                ticket.decision.explanation(),
            ]
        };
        let rows: Vec<_> = self.tickets.iter().map(row).collect();
        let header = [
            "TICKET", "PRIORITY", "AGE", "TEAM", "ASSIGNEE", "TOPICS", "WHY",
        ];
        columns(header, &rows)
    }

    /// Returns the documents of `--json`.
    pub(super) fn documents(&self, organization: &OrganizationId) -> Vec<Value> {
        let document = |ticket: &Ticket| {
            let team = ticket
                .team_id
                .map(|id| json!({ "id": id.uuid().to_string(), "name": self.team(ticket) }));
            let assignee = ticket
                .assignee_id
                .map(|id| json!({ "id": id.uuid().to_string(), "name": self.assignee(ticket) }));
            let decision = &ticket.decision;
            json!({
                "organization_id": organization.as_str(),
                "ticket_id": ticket.id.as_str(),
                "state": ticket.state.as_str(),
                "status": ticket.status.as_str(),
                "priority": ticket.priority.as_str(),
                "created_at": ticket.created_at.iso8601(),
                "due_at": ticket.due_at.map(Timestamp::iso8601),
                "decided_at": decision.decided_at.iso8601(),
                "team": team,
                "assignee": assignee,
                "topics": topics(ticket).collect::<Vec<_>>(),
                "strategy": decision.strategy.map(QueueStrategy::as_str),
                "reason": decision.reason.as_str(),
                "explanation": decision.explanation(),
            })
        };
        self.tickets.iter().map(document).collect()
    }
}

/// Returns the texts that are compared with specializations. The category comes first.
fn topics(ticket: &Ticket) -> impl Iterator<Item = &str> {
    let texts = ticket.category.iter().chain(&ticket.subcategory);
    texts.chain(ticket.tags.as_slice()).map(Folded::as_str)
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
