//! The decision about a ticket, for people.

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use muster_domain::{
    Candidate, Decision, Folded, Member, QueueStrategy, Reason, Team, Ticket, TicketState,
    Timestamp, User, UserId, UserStatus, routing::TeamInput,
};

use super::read::{Explained, MAX_COMPARED, Outlook, Teams};
use crate::commands::columns::columns;

/// Returns the whole text: a sentence with the state, the facts, the candidates, and the users that
/// could take the ticket.
pub(super) fn text(explained: &Explained, now: Timestamp) -> String {
    let Explained {
        organization: _,
        ticket,
        team,
        people,
        outlook,
    } = explained;
    let mut text = format!("{}\n\n", headline(explained, now));
    if ticket.state != TicketState::Deleted {
        for (name, value) in facts(ticket, team.as_ref()) {
            let _ = writeln!(text, "{name:<10}  {value}");
        }
    }
    if !ticket.decision.candidates.is_empty() && ticket.state != TicketState::Waiting {
        let _ = write!(text, "\n{}", candidates(ticket, people));
    }
    match outlook {
        Outlook::Decided => {}
        Outlook::Waiting(input) => {
            let _ = write!(text, "\n{}", waiting(ticket, input.as_deref()));
        }
        Outlook::Unrouted(teams) => {
            let _ = write!(text, "\n{}", unrouted(ticket, teams));
        }
    }
    text
}

/// Returns the state of the ticket in one sentence.
fn headline(explained: &Explained, now: Timestamp) -> String {
    let Explained {
        organization: _,
        ticket,
        team,
        people,
        outlook: _,
    } = explained;
    let Ticket { id, state, .. } = ticket;
    let since = ticket.decision.decided_at;
    let since = format!("since {} ({})", since.iso8601(), span(now.since(since)));
    let team = match (team, ticket.team_id) {
        (Some(team), _) => Some(team.name.as_str().to_owned()),
        (None, Some(id)) => Some(format!("the deleted team {}", id.uuid())),
        (None, None) => None,
    };
    let assignee = ticket.assignee_id.map(|id| person(people, id));
    match state {
        TicketState::Assigned => {
            let assignee = assignee.unwrap_or_else(|| "an unknown user".to_owned());
            match team {
                Some(team) => format!("{id} is assigned to {assignee} of {team}, {since}."),
                None => format!("{id} is assigned to {assignee}, without a team, {since}."),
            }
        }
        TicketState::Waiting => {
            let team = team.unwrap_or_else(|| "its team".to_owned());
            format!("{id} waits for an eligible member of {team}, {since}.")
        }
        TicketState::Unrouted => format!("{id} has no team and no assignee, {since}."),
        TicketState::Closed => {
            let last = match (assignee, team) {
                (Some(assignee), Some(team)) => {
                    format!(" Its last assignee is {assignee} of {team}.")
                }
                (Some(assignee), None) => format!(" Its last assignee is {assignee}."),
                (None, Some(team)) => format!(" Its team is {team}."),
                (None, None) => String::new(),
            };
            format!(
                "{id} is closed, with status {}.{last}",
                ticket.status.as_str()
            )
        }
        TicketState::Deleted => {
            format!("{id} is deleted. The deletion is final, and later events have no effect.")
        }
    }
}

/// Returns a user's name, or the id of a user without a profile.
pub(super) fn person(people: &HashMap<UserId, User>, id: UserId) -> String {
    people.get(&id).map_or_else(
        || format!("the unknown user {}", id.uuid()),
        |user| user.name.clone(),
    )
}

/// Returns a time span in its two largest units.
pub(in crate::commands::tickets) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Returns the facts of the decision and of the ticket, each with its name.
fn facts(ticket: &Ticket, team: Option<&Team>) -> Vec<(&'static str, String)> {
    let Ticket {
        id: _,
        rev,
        versions,
        status,
        priority,
        category: _,
        subcategory: _,
        tags: _,
        created_at,
        resolved_at,
        closed_at,
        due_at,
        team_id: _,
        assignee_id,
        state: _,
        decision,
    } = ticket;
    let mut facts = vec![("Why", decision.explanation())];
    if let Some(team) = team {
        let strategy = team.queue_strategy.as_str();
        let team = format!(
            "{} ({}), strategy {strategy}",
            team.name.as_str(),
            team.id.uuid()
        );
        facts.push(("Team", team));
    }
    facts.extend(assignee_id.map(|id| ("Assignee", id.uuid().to_string())));
    facts.push(("Decided", decided(decision)));
    facts.extend(decision.fallback.map(|fallback| {
        let strategy = decision
            .strategy
            .map_or("the strategy", QueueStrategy::as_str);
        let fallback = fallback.as_str();
        (
            "Fallback",
            format!("{fallback} in place of {strategy}, because no skill matches"),
        )
    }));
    let times = [
        ("due", due_at),
        ("resolved", resolved_at),
        ("closed", closed_at),
    ];
    let times: String = times
        .into_iter()
        .filter_map(|(name, time)| Some(format!(", {name} {}", (*time)?.iso8601())))
        .collect();
    let (status, priority) = (status.as_str(), priority.as_str());
    let created = created_at.iso8601();
    facts.push((
        "Ticket",
        format!("status {status}, priority {priority}, created {created}{times}"),
    ));
    facts.push(("Topics", topics(&ticket.topics())));
    let version = versions.newest().map(|version| {
        let at = version.at.iso8601_millis();
        (
            "Version",
            format!("{at} of event {}; revision {rev}", version.event_id),
        )
    });
    facts.extend(version);
    facts
}

fn decided(decision: &Decision) -> String {
    let at = decision.decided_at.iso8601();
    let turn = decision
        .turn
        .map(|turn| format!(", turn {turn}"))
        .unwrap_or_default();
    let Decision {
        considered,
        eligible,
        ..
    } = decision;
    let members = match considered {
        0 => String::new(),
        1 => format!("; {eligible} of 1 member was eligible"),
        _ => format!("; {eligible} of {considered} members were eligible"),
    };
    format!("{at}{turn}{members}")
}

/// Returns the topics as they are compared, or the lack of them.
fn topics(topics: &[&Folded]) -> String {
    if topics.is_empty() {
        return "none: the ticket has no category, subcategory or tags".to_owned();
    }
    let topics: Vec<_> = topics.iter().map(|topic| topic.as_str()).collect();
    topics.join(", ")
}

/// Returns the table of the candidates at the time of the decision.
fn candidates(ticket: &Ticket, people: &HashMap<UserId, User>) -> String {
    let selected = ticket
        .assignee_id
        .filter(|_| ticket.decision.reason == Reason::Strategy);
    let row = |candidate: &Candidate| {
        let Candidate {
            user_id,
            open_tickets,
            last_turn,
            matched_skills,
            pass_over_reason,
        } = candidate;
        let why_not = match pass_over_reason {
            Some(reason) => reason.as_str().replace('_', " "),
            None if selected == Some(*user_id) => "selected".to_owned(),
            None => "ranked lower".to_owned(),
        };
        [
            person(people, *user_id),
            user_id.uuid().to_string(),
            open_tickets.to_string(),
            last_turn.to_string(),
            matched_skills.to_string(),
            why_not,
        ]
    };
    let rows: Vec<_> = ticket.decision.candidates.iter().map(row).collect();
    let header = [
        "CANDIDATE",
        "USER ID",
        "OPEN",
        "LAST TURN",
        "SKILLS",
        "WHY NOT",
    ];
    format!(
        "The best candidates at the time of the decision:\n\n{}",
        columns(header, &rows)
    )
}

/// Returns the members of the team of a waiting ticket, each with the reason that excludes them.
/// Says also how the wait ends.
fn waiting(ticket: &Ticket, input: Option<&TeamInput>) -> String {
    let Some(input) = input else {
        return "Its team was deleted. The sweep of the team sets the ticket to unrouted.\n"
            .to_owned();
    };
    let team = input.team.name.as_str();
    let others = input.load.waiting_tickets;
    let queue = if others <= 1 {
        "No other ticket waits with this team.".to_owned()
    } else {
        format!(
            "{others} tickets wait with this team; the most urgent is assigned first, then the oldest."
        )
    };
    if input.members.is_empty() {
        return format!(
            "Who could take it: {team} has no members. The ticket is assigned when an active user joins the team. {queue}\n"
        );
    }
    let eligible: Vec<_> = eligible(input).collect();
    let outlook = if eligible.is_empty() {
        format!(
            "Who could take it: the first of these members of {team} whose status becomes active, or a new member."
        )
    } else {
        format!(
            "Who could take it: {}, eligible since the decision. The drain of the team assigns the ticket within \
             seconds; if it does not, `muster tickets redrive` shows failed jobs.",
            eligible.join(", ")
        )
    };
    let header = ["MEMBER", "USER ID", "OPEN", "SKILLS", "WHY NOT"];
    let rows: Vec<_> = members_of(ticket, input).collect();
    format!("{outlook} {queue}\n\n{}", columns(header, &rows))
}

/// Returns a row for each member of a team.
fn members_of(ticket: &Ticket, input: &TeamInput) -> impl Iterator<Item = [String; 5]> {
    let topics = ticket.topics();
    input.members.iter().map(move |member| {
        let Member {
            user, open_tickets, ..
        } = member;
        [
            user.name.clone(),
            user.id.uuid().to_string(),
            open_tickets.to_string(),
            member.skills.matched(&topics).to_string(),
            why_not(user.status).to_owned(),
        ]
    })
}

/// Returns the reason for which a user with this status gets no ticket.
pub(super) fn why_not(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Active => "eligible now",
        UserStatus::Inactive => "inactive",
        UserStatus::Suspended => "suspended",
        UserStatus::Deleted => "deleted",
    }
}

/// Returns the names of a team's eligible members.
fn eligible(input: &TeamInput) -> impl Iterator<Item = &str> {
    input
        .members
        .iter()
        .filter(|member| member.is_eligible())
        .map(|member| member.user.name.as_str())
}

/// Returns the teams that could take an unrouted ticket, and the changes that route it.
fn unrouted(ticket: &Ticket, teams: &Teams) -> String {
    let Teams {
        matching,
        similar,
        total,
    } = teams;
    let topics = ticket.topics();
    if *total == 0 {
        return "Who could take it: the organization has no teams. Create one that has a topic of the ticket as a \
                specialization.\n"
            .to_owned();
    }
    if topics.is_empty() {
        return "Who could take it: any team that an event names in team_id. Without topics, no team matches.\n"
            .to_owned();
    }
    if !matching.is_empty() {
        let rows: Vec<_> = matching
            .iter()
            .map(|input| {
                let shared = input.team.specializations.matched(&topics).to_string();
                let [name, id, members] = team_cells(input);
                [name, id, shared, members]
            })
            .collect();
        let header = ["TEAM", "TEAM ID", "TOPICS", "ELIGIBLE MEMBERS"];
        return format!(
            "Who could take it: these teams share a topic now. The pass after a change of specializations routes the \
             ticket within 3 minutes; its next event does so at once.\n\n{}",
            columns(header, &rows)
        );
    }
    let fix = "To route it, add one of its topics to the specializations of a team, or send an event that names a team.";
    let compared = match *total {
        1 => "1 team".to_owned(),
        total if total > MAX_COMPARED => format!("the first {MAX_COMPARED} of {total} teams"),
        total => format!("{total} teams"),
    };
    if similar.is_empty() {
        return format!(
            "Who could take it: no team has one of these topics or a similar one (compared: {compared}). {fix}\n"
        );
    }
    let rows: Vec<_> = similar
        .iter()
        .map(|(similar, input)| {
            let [name, id, members] = team_cells(input);
            let [specialization, topic] =
                [&similar.specialization, &similar.topic].map(Clone::clone);
            [name, id, specialization, topic, members]
        })
        .collect();
    let header = [
        "TEAM",
        "TEAM ID",
        "SPECIALIZATION",
        "TOPIC",
        "ELIGIBLE MEMBERS",
    ];
    format!(
        "Who could take it: no team has one of these topics. These have similar ones (compared: {compared}). {fix}\n\n{}",
        columns(header, &rows)
    )
}

/// Returns the name and the id of a team, and its eligible members: three names and the number of
/// the others.
fn team_cells(input: &TeamInput) -> [String; 3] {
    const NAMES: usize = 3;
    let names: Vec<_> = eligible(input).collect();
    let members = match names.len() {
        0 => format!("none of {}", input.members.len()),
        count if count <= NAMES => names.join(", "),
        count => format!("{} and {} more", names[..NAMES].join(", "), count - NAMES),
    };
    [
        input.team.name.as_str().to_owned(),
        input.team.id.uuid().to_string(),
        members,
    ]
}

#[cfg(test)]
mod tests;
