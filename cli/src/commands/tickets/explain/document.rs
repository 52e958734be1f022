//! The decision about a ticket, for programs.

use std::collections::HashMap;

use muster_domain::{
    Candidate, Folded, Member, PassOverReason, QueueStrategy, Team, Ticket, Timestamp, User,
    UserId, routing::TeamInput,
};
use serde_json::{Value, json};

use super::{
    read::{Explained, Outlook, Teams},
    sentences,
};

/// Returns the document of `--json`. Ids are bare UUIDs, times are RFC 3339 in UTC.
pub(super) fn document(explained: &Explained) -> Value {
    let Explained {
        organization,
        ticket,
        team,
        people,
        outlook,
    } = explained;
    let Ticket {
        id,
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
        team_id,
        assignee_id,
        state,
        decision,
    } = ticket;
    let time = |time: &Option<Timestamp>| time.map(Timestamp::iso8601);
    let version = versions.newest().map(|version| {
        json!({
            "at": version.at.iso8601_millis(),
            "time": version.time.map(Timestamp::iso8601_millis),
            "event_id": version.event_id,
        })
    });
    let candidates = decision.candidates.iter();
    let candidates: Vec<_> = candidates
        .map(|candidate| candidate_document(candidate, people))
        .collect();
    json!({
        "organization_id": organization.as_str(),
        "ticket_id": id.as_str(),
        "state": state.as_str(),
        "status": status.as_str(),
        "priority": priority.as_str(),
        "topics": ticket.topics().into_iter().map(Folded::as_str).collect::<Vec<_>>(),
        "created_at": created_at.iso8601(),
        "due_at": time(due_at),
        "resolved_at": time(resolved_at),
        "closed_at": time(closed_at),
        "team": team_id.map(|id| json!({ "id": id.uuid().to_string(), "name": team.as_ref().map(name_of) })),
        "assignee": assignee_id.map(|id| user_document(id, people)),
        "reason": decision.reason.as_str(),
        "explanation": decision.explanation(),
        "strategy": decision.strategy.map(QueueStrategy::as_str),
        "fallback": decision.fallback.map(QueueStrategy::as_str),
        "turn": decision.turn,
        "considered": decision.considered,
        "eligible": decision.eligible,
        "candidates": candidates,
        "decided_at": decision.decided_at.iso8601(),
        "version": version,
        "revision": rev,
        "could_take_it": could_take_it(ticket, outlook),
    })
}

fn name_of(team: &Team) -> &str {
    team.name.as_str()
}

fn user_document(id: UserId, people: &HashMap<UserId, User>) -> Value {
    let profile = people.get(&id);
    json!({
        "id": id.uuid().to_string(),
        "name": profile.map(|user| &user.name),
        "status": profile.map(|user| user.status.as_str()),
    })
}

fn candidate_document(candidate: &Candidate, people: &HashMap<UserId, User>) -> Value {
    let Candidate {
        user_id,
        open_tickets,
        last_turn,
        matched_skills,
        pass_over_reason,
    } = candidate;
    json!({
        "user_id": user_id.uuid().to_string(),
        "name": people.get(user_id).map(|user| &user.name),
        "open_tickets": open_tickets,
        "last_turn": last_turn,
        "matched_skills": matched_skills,
        "eligible": candidate.is_eligible(),
        "why_not": pass_over_reason.map(PassOverReason::as_str),
    })
}

/// Returns the users that could take the ticket; null for a ticket that has an assignee or needs
/// none.
fn could_take_it(ticket: &Ticket, outlook: &Outlook) -> Value {
    match outlook {
        Outlook::Decided => Value::Null,
        Outlook::Waiting(input) => json!({
            "waiting_tickets": input.as_ref().map(|input| input.load.waiting_tickets),
            "members": input.as_ref().map(|input| members(ticket, input, |_| true)),
        }),
        Outlook::Unrouted(Teams {
            matching,
            similar,
            total,
        }) => {
            let matching: Vec<_> = matching
                .iter()
                .map(|input| {
                    let mut team = team_document(ticket, input);
                    let topics = input.team.specializations.matched(&ticket.topics());
                    team["matched_topics"] = json!(topics);
                    team
                })
                .collect();
            let similar: Vec<_> = similar
                .iter()
                .map(|(similar, input)| {
                    let mut team = team_document(ticket, input);
                    team["topic"] = json!(similar.topic);
                    team["specialization"] = json!(similar.specialization);
                    team
                })
                .collect();
            json!({ "matching_teams": matching, "similar_teams": similar, "teams": total })
        }
    }
}

fn team_document(ticket: &Ticket, input: &TeamInput) -> Value {
    let is_eligible = |member: &Member| member.is_eligible();
    json!({
        "id": input.team.id.uuid().to_string(),
        "name": name_of(&input.team),
        "eligible_members": members(ticket, input, is_eligible),
    })
}

fn members(ticket: &Ticket, input: &TeamInput, is_shown: impl Fn(&Member) -> bool) -> Vec<Value> {
    let topics = ticket.topics();
    let member = |member: &Member| {
        let user = &member.user;
        let eligible = member.is_eligible();
        json!({
            "user_id": user.id.uuid().to_string(),
            "name": user.name,
            "open_tickets": member.open_tickets,
            "matched_skills": member.skills.matched(&topics),
            "eligible": eligible,
            "why_not": (!eligible).then(|| sentences::why_not(user.status)),
        })
    };
    input
        .members
        .iter()
        .filter(|member| is_shown(member))
        .map(member)
        .collect()
}
