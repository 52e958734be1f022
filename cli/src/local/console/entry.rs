//! The lines of the console: text for people, and JSON for programs.

use clap::builder::styling::{AnsiColor, Style};
use muster_domain::{Contract, OrganizationId, TicketState, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    announcement::AnnouncementSummary, decision::DecisionSummary, request::RequestSummary,
    text::clean,
};

/// A message that arrived in a dead-letter queue.
#[derive(Debug)]
pub(in crate::local) struct DeadLetter {
    pub(in crate::local) at: Timestamp,
    /// The name of the source queue.
    pub(in crate::local) queue: String,
    pub(in crate::local) message_id: String,
    pub(in crate::local) reason: String,
    /// The body, of which only the id of the ticket or the user is shown.
    pub(in crate::local) body: String,
}

/// A line, with the names that it shows.
#[derive(Debug)]
pub(super) enum Entry {
    Request(RequestSummary),
    Decision {
        decision: DecisionSummary,
        team: Option<String>,
        assignee: Option<String>,
    },
    Announcement {
        announcement: AnnouncementSummary,
        /// The name of the team of a membership.
        team: Option<String>,
    },
    DeadLetter(DeadLetter),
    /// The number of lines that were dropped since the line before.
    Dropped {
        at: Timestamp,
        lines: u64,
    },
}

impl Entry {
    /// Returns the line for people.
    pub(super) fn human(&self, has_color: bool) -> String {
        let paint = |style: Style, text: &str| {
            if has_color {
                format!("{style}{text}{style:#}")
            } else {
                text.to_owned()
            }
        };
        let (clock, line) = match self {
            Self::Request(request) => (clock(&request.at.iso8601()), human_request(request, paint)),
            Self::Decision {
                decision,
                team,
                assignee,
            } => {
                let names = (team.as_deref(), assignee.as_deref());
                (
                    clock(&decision.at.iso8601()),
                    human_decision(decision, names, paint),
                )
            }
            Self::Announcement { announcement, team } => {
                let team = team.as_ref().map(|team| format!(" in {}", clean(team)));
                let kind = paint(AnsiColor::Cyan.on_default(), &clean(&announcement.kind));
                let name = clean(&announcement.name);
                let line = format!("announced {kind}: {name}{}", team.unwrap_or_default());
                (clock(&announcement.time), line)
            }
            Self::DeadLetter(letter) => {
                let label = paint(AnsiColor::Red.on_default().bold(), "dead letter");
                let subject = subject(&letter.body).map(|id| format!(" {id}"));
                let (subject, queue) = (subject.unwrap_or_default(), &letter.queue);
                let reason = clean(&letter.reason);
                (
                    clock(&letter.at.iso8601()),
                    format!("{label} of {queue}:{subject} {reason}"),
                )
            }
            Self::Dropped { at, lines } => (
                clock(&at.iso8601()),
                format!("{lines} lines were dropped, because the output is slow"),
            ),
        };
        format!("{}  {line}", paint(Style::new().dimmed(), &clock))
    }

    /// Returns the line for programs: one JSON object.
    pub(super) fn json(&self) -> String {
        let (time, kind, fields) = match self {
            Self::Request(request) => (
                request.at.iso8601_millis(),
                "request",
                json!({
                    "method": request.method,
                    "path": request.target,
                    "status": request.status,
                    "contract": request.contract.map(Contract::as_str),
                    "duration_ms": u64::try_from(request.duration.as_millis()).unwrap_or(u64::MAX),
                    "reason": request.reason,
                    "ignored_fields": request.ignored_fields,
                }),
            ),
            Self::Decision {
                decision,
                team,
                assignee,
            } => (
                decision.at.iso8601_millis(),
                "decision",
                json!({
                    "organization_id": decision.organization_id.as_str(),
                    "ticket_id": clean(&decision.ticket_id),
                    "state": decision.state.as_str(),
                    "team_id": decision.team_id.map(|id| id.uuid().to_string()),
                    "team": team.as_deref().map(clean),
                    "assignee_id": decision.assignee_id.map(|id| id.uuid().to_string()),
                    "assignee": assignee.as_deref().map(clean),
                    "reason": decision.reason,
                }),
            ),
            Self::Announcement { announcement, team } => (
                announcement.time.clone(),
                "announcement",
                json!({
                    "organization_id": announcement.organization_id.as_ref().map(OrganizationId::as_str),
                    "type": clean(&announcement.kind),
                    "subject": clean(&announcement.subject),
                    "name": clean(&announcement.name),
                    "team": team.as_deref().map(clean),
                }),
            ),
            Self::DeadLetter(letter) => (
                letter.at.iso8601_millis(),
                "dead_letter",
                json!({
                    "queue": letter.queue,
                    "message_id": letter.message_id,
                    "subject": subject(&letter.body),
                    "reason": clean(&letter.reason),
                }),
            ),
            Self::Dropped { at, lines } => {
                (at.iso8601_millis(), "dropped", json!({ "lines": lines }))
            }
        };
        let mut line = Map::from_iter([
            ("time".to_owned(), Value::String(time)),
            ("event".to_owned(), Value::String(kind.to_owned())),
        ]);
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        Value::Object(line).to_string()
    }
}

/// Returns the time of day in UTC of a time in ISO 8601.
fn clock(time: &str) -> String {
    time.get(11..19).unwrap_or(time).to_owned()
}

fn human_request(request: &RequestSummary, paint: impl Fn(Style, &str) -> String) -> String {
    let RequestSummary {
        at: _,
        method,
        target,
        status,
        contract,
        duration,
        reason,
        ignored_fields,
    } = request;
    let color = match status {
        400..=499 => AnsiColor::Yellow,
        500.. => AnsiColor::Red,
        _ => AnsiColor::Green,
    };
    let status = paint(color.on_default().bold(), &status.to_string());
    let contract = match contract {
        Some(Contract::Toptickets) => "TopTickets ",
        Some(Contract::Itsm) => "ITSM ",
        None => "",
    };
    let mut line = format!(
        "{method} {target} {status} {contract}{} ms",
        duration.as_millis()
    );
    if let Some(reason) = reason {
        line.push_str("  ");
        line.push_str(&paint(color.on_default(), reason));
    }
    if let Some(fields) = ignored_fields {
        line.push_str("  ");
        let warning = format!("ignored fields: {fields}");
        line.push_str(&paint(AnsiColor::Yellow.on_default(), &warning));
    }
    line
}

fn human_decision(
    decision: &DecisionSummary,
    (team, assignee): (Option<&str>, Option<&str>),
    paint: impl Fn(Style, &str) -> String,
) -> String {
    let ticket = paint(Style::new().bold(), &clean(&decision.ticket_id));
    let team = team.map_or_else(|| "no team".to_owned(), clean);
    let place = match assignee {
        Some(assignee) => format!("{team} / {}", clean(assignee)),
        None => team,
    };
    let (color, state) = match decision.state {
        TicketState::Assigned => (AnsiColor::Green, ""),
        TicketState::Waiting => (AnsiColor::Yellow, "waiting, "),
        TicketState::Unrouted => (AnsiColor::Yellow, "unrouted, "),
        TicketState::Closed => (AnsiColor::Cyan, "closed, "),
        TicketState::Deleted => (AnsiColor::Cyan, "deleted, "),
    };
    let place = paint(color.on_default().bold(), &place);
    format!("{ticket} -> {place}: {state}{}", clean(&decision.reason))
}

/// Returns the id of the ticket or the user in an event, if it has one of a usual size.
fn subject(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let ids = ["/data/ticket/id", "/data/user/id", "/detail/data/ticket/id"];
    let id = ids
        .iter()
        .find_map(|pointer| body.pointer(pointer)?.as_str())?;
    (!id.is_empty() && id.len() <= 64).then(|| clean(id))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use muster_domain::{TeamId, UserId};

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_736_064_000_123);

    fn request(status: u16, contract: Option<Contract>) -> RequestSummary {
        RequestSummary {
            at: AT,
            method: "POST".to_owned(),
            target: "/v1/teams?strict=true".to_owned(),
            status,
            contract,
            duration: Duration::from_micros(12_700),
            reason: None,
            ignored_fields: None,
        }
    }

    fn decision(state: TicketState, reason: &str) -> DecisionSummary {
        let is_assigned = state == TicketState::Assigned;
        let team = TeamId::parse("a1b2c3d4-e5f6-7890-abcd-ef1234567890").unwrap();
        let user = UserId::parse("f6e5d4c3-b2a1-0987-fedc-ba9876543210").unwrap();
        DecisionSummary {
            at: AT,
            organization_id: OrganizationId::parse("org_demo").unwrap(),
            ticket_id: "INC-1".to_owned(),
            state,
            team_id: (state != TicketState::Unrouted).then_some(team),
            assignee_id: is_assigned.then_some(user),
            reason: reason.to_owned(),
        }
    }

    fn entries() -> Vec<Entry> {
        let decided = |decision: DecisionSummary| Entry::Decision {
            team: decision.team_id.map(|_| "Technical Support".to_owned()),
            assignee: decision
                .assignee_id
                .map(|_| "Sam\u{1b}[2J Patel".to_owned()),
            decision,
        };
        let announced = |data: &str, kind: &str, subject: &str| {
            let event = format!(
                r#"{{"type":"{kind}","time":"2025-01-05T08:00:00.123Z","subject":"{subject}","data":{data}}}"#
            );
            AnnouncementSummary::parse(&event).expect("an announcement")
        };
        let member = r#"{"organization_id":"org_demo","name":"Sam Patel","team_id":"a1b2c3d4-e5f6-7890-abcd-ef1234567890"}"#;
        vec![
            Entry::Request(request(201, Some(Contract::Toptickets))),
            Entry::Request(RequestSummary {
                reason: Some("name: is required".to_owned()),
                ..request(400, Some(Contract::Itsm))
            }),
            Entry::Request(RequestSummary {
                ignored_fields: Some("group, state".to_owned()),
                ..request(201, None)
            }),
            decided(decision(
                TicketState::Assigned,
                "most matching skills (1 of 2)",
            )),
            decided(decision(TicketState::Waiting, "the team has no members")),
            decided(decision(TicketState::Unrouted, "its team was deleted")),
            Entry::Announcement {
                announcement: announced(member, "member.added", "teams/a/members/b"),
                team: Some("Technical Support".to_owned()),
            },
            Entry::Announcement {
                announcement: announced(
                    r#"{"ticket_id":"INC-1"}"#,
                    "ticket.assigned",
                    "tickets/INC-1",
                ),
                team: None,
            },
            Entry::DeadLetter(DeadLetter {
                at: AT,
                queue: "tickets".to_owned(),
                message_id: "7".to_owned(),
                reason: "data.ticket.status: must be one of new, open".to_owned(),
                body: r#"{"data":{"ticket":{"id":"INC-9","note":"private"}}}"#.to_owned(),
            }),
            Entry::Dropped { at: AT, lines: 3 },
        ]
    }

    #[test]
    fn human_lines_match_the_golden() {
        let lines: Vec<_> = entries().iter().map(|entry| entry.human(false)).collect();
        let golden = [
            "POST /v1/teams?strict=true 201 TopTickets 12 ms",
            "POST /v1/teams?strict=true 400 ITSM 12 ms  name: is required",
            "POST /v1/teams?strict=true 201 12 ms  ignored fields: group, state",
            "INC-1 -> Technical Support / Sam [2J Patel: most matching skills (1 of 2)",
            "INC-1 -> Technical Support: waiting, the team has no members",
            "INC-1 -> no team: unrouted, its team was deleted",
            "announced member.added: Sam Patel in Technical Support",
            "announced ticket.assigned: INC-1",
            "dead letter of tickets: INC-9 data.ticket.status: must be one of new, open",
            "3 lines were dropped, because the output is slow",
        ];
        assert_eq!(lines, golden.map(|line| format!("08:00:00  {line}")));
    }

    #[test]
    fn colored_line_is_the_plain_one_with_colors() {
        for entry in entries() {
            let mut plain = String::new();
            for (at, piece) in entry.human(true).split('\u{1b}').enumerate() {
                let text = piece.split_once('m').map(|(_, text)| text);
                plain.push_str(if at == 0 {
                    piece
                } else {
                    text.expect("a color")
                });
            }
            assert_eq!(plain, entry.human(false));
            assert!(entry.human(true).contains('\u{1b}'));
        }
    }

    #[test]
    fn json_lines_match_the_golden() {
        let lines: Vec<Value> = entries()
            .iter()
            .map(|entry| serde_json::from_str(&entry.json()).expect("JSON"))
            .collect();
        let time = "2025-01-05T08:00:00.123Z";
        let (team, user) = (
            "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "f6e5d4c3-b2a1-0987-fedc-ba9876543210",
        );
        let golden = [
            (
                1,
                json!({"time": time, "event": "request", "method": "POST", "path": "/v1/teams?strict=true", "status": 400, "contract": "itsm", "duration_ms": 12, "reason": "name: is required", "ignored_fields": null}),
            ),
            (
                3,
                json!({"time": time, "event": "decision", "organization_id": "org_demo", "ticket_id": "INC-1", "state": "assigned", "team_id": team, "team": "Technical Support", "assignee_id": user, "assignee": "Sam [2J Patel", "reason": "most matching skills (1 of 2)"}),
            ),
            (
                6,
                json!({"time": time, "event": "announcement", "organization_id": "org_demo", "type": "member.added", "subject": "teams/a/members/b", "name": "Sam Patel", "team": "Technical Support"}),
            ),
            (
                8,
                json!({"time": time, "event": "dead_letter", "queue": "tickets", "message_id": "7", "subject": "INC-9", "reason": "data.ticket.status: must be one of new, open"}),
            ),
        ];
        for (at, line) in golden {
            assert_eq!(lines[at], line);
        }
        assert_eq!(
            (&lines[9]["event"], &lines[9]["lines"]),
            (&json!("dropped"), &json!(3))
        );
    }
}
