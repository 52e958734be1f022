//! The item of a ticket, with its latest decision.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Item, bad,
    event_version::{parse_version, version_text},
    from_item,
};
use crate::store::{Error, keys};
use muster_domain::{
    Candidate, Decision, EventVersion, Folded, OrganizationId, PassOverReason, Priority,
    QueueStrategy, Reason, TeamId, Ticket, TicketState, TicketStatus, TicketVersions, Timestamp,
    Topics, UserId,
};

/// `ORG#o#TICKET#k`, `TICKET`.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct TicketItem {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1sk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi2pk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi2sk: Option<String>,
    rev: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    versions: Vec<String>,
    status: String,
    priority: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subcategory: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolved_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assignee_id: Option<String>,
    state: String,
    decision: DecisionAttribute,
}

/// Returns each version once, after the codes of the fields that have it:
/// `spcbgnrdt#1708790000000#1708790000123#event-1`. One event often sets most of the fields, so
/// this form keeps most tickets within a write unit of 1 KB.
pub(super) fn ticket_version_texts(versions: &TicketVersions) -> Vec<String> {
    let TicketVersions {
        status,
        priority,
        category,
        subcategory,
        tags,
        created_at,
        resolved_at,
        due_at,
        team,
        assignee,
    } = versions;
    let mut codes_of: BTreeMap<&EventVersion, String> = BTreeMap::new();
    for (code, version) in [
        ('s', status),
        ('p', priority),
        ('c', category),
        ('b', subcategory),
        ('g', tags),
        ('n', created_at),
        ('r', resolved_at),
        ('d', due_at),
        ('t', team),
        ('a', assignee),
    ] {
        if let Some(version) = version {
            codes_of.entry(version).or_default().push(code);
        }
    }
    codes_of
        .into_iter()
        .map(|(version, codes)| format!("{codes}#{}", version_text(version)))
        .collect()
}

pub(super) fn parse_ticket_versions(texts: &[String]) -> Option<TicketVersions> {
    let mut versions = TicketVersions::default();
    for text in texts {
        let (codes, version) = text.split_once('#')?;
        let version = Arc::new(parse_version(version)?);
        for code in codes.chars() {
            let field = match code {
                's' => &mut versions.status,
                'p' => &mut versions.priority,
                'c' => &mut versions.category,
                'b' => &mut versions.subcategory,
                'g' => &mut versions.tags,
                'n' => &mut versions.created_at,
                'r' => &mut versions.resolved_at,
                'd' => &mut versions.due_at,
                't' => &mut versions.team,
                'a' => &mut versions.assignee,
                _ => return None,
            };
            *field = Some(Arc::clone(&version));
        }
    }
    Some(versions)
}

/// The latest decision about a ticket.
#[derive(Serialize, Deserialize)]
struct DecisionAttribute {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strategy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
    considered: u64,
    eligible: u64,
    candidates: Vec<CandidateAttribute>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    replaces_missing_team: bool,
    decided_at: i64,
}

#[derive(Serialize, Deserialize)]
struct CandidateAttribute {
    user_id: String,
    open_tickets: u64,
    last_turn: u64,
    matched_skills: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
}

impl TicketItem {
    pub(in crate::store) fn new(organization_id: &OrganizationId, ticket: &Ticket) -> Self {
        let Ticket {
            id,
            rev,
            versions,
            status,
            priority,
            category,
            subcategory,
            tags,
            created_at,
            resolved_at,
            due_at,
            closed_at,
            team_id,
            assignee_id,
            state,
            decision,
        } = ticket;
        let folded = |text: &Folded| text.as_str().to_owned();
        let keys::Key { pk, sk } = keys::ticket(organization_id, id);
        let (gsi1pk, gsi1sk) = keys::ticket_by_state(organization_id, ticket)
            .map(|key| (key.pk, key.sk))
            .unzip();
        let (gsi2pk, gsi2sk) = keys::waiting_ticket(organization_id, ticket)
            .map(|key| (key.pk, key.sk))
            .unzip();
        Self {
            pk,
            sk,
            gsi1pk,
            gsi1sk,
            gsi2pk,
            gsi2sk,
            rev: *rev,
            versions: ticket_version_texts(versions),
            status: status.as_str().to_owned(),
            priority: priority.as_str().to_owned(),
            category: category.as_ref().map(folded),
            subcategory: subcategory.as_ref().map(folded),
            tags: tags.as_slice().iter().map(folded).collect(),
            created_at: created_at.millis(),
            resolved_at: resolved_at.map(Timestamp::millis),
            due_at: due_at.map(Timestamp::millis),
            closed_at: closed_at.map(Timestamp::millis),
            team_id: team_id.map(|id| id.uuid().to_string()),
            assignee_id: assignee_id.map(|id| id.uuid().to_string()),
            state: state.as_str().to_owned(),
            decision: DecisionAttribute::new(decision),
        }
    }
}

impl DecisionAttribute {
    fn new(decision: &Decision) -> Self {
        let Decision {
            reason,
            strategy,
            turn,
            fallback,
            considered,
            eligible,
            candidates,
            replaces_missing_team,
            decided_at,
        } = decision;
        Self {
            reason: reason.as_str().to_owned(),
            strategy: strategy.map(|strategy| strategy.as_str().to_owned()),
            turn: *turn,
            fallback: fallback.map(|strategy| strategy.as_str().to_owned()),
            considered: *considered,
            eligible: *eligible,
            candidates: candidates.iter().map(CandidateAttribute::new).collect(),
            replaces_missing_team: *replaces_missing_team,
            decided_at: decided_at.millis(),
        }
    }

    fn into_decision(self) -> Option<Decision> {
        let Self {
            reason,
            strategy,
            turn,
            fallback,
            considered,
            eligible,
            candidates,
            replaces_missing_team,
            decided_at,
        } = self;
        let strategy_of = |text: Option<String>| match text {
            Some(text) => QueueStrategy::parse(&text).map(Some),
            None => Some(None),
        };
        Some(Decision {
            reason: Reason::parse(&reason)?,
            strategy: strategy_of(strategy)?,
            turn,
            fallback: strategy_of(fallback)?,
            considered,
            eligible,
            candidates: candidates
                .into_iter()
                .map(CandidateAttribute::into_candidate)
                .collect::<Option<_>>()?,
            replaces_missing_team,
            decided_at: Timestamp::from_millis(decided_at),
        })
    }
}

impl CandidateAttribute {
    fn new(candidate: &Candidate) -> Self {
        let Candidate {
            user_id,
            open_tickets,
            last_turn,
            matched_skills,
            pass_over_reason,
        } = *candidate;
        Self {
            user_id: user_id.uuid().to_string(),
            open_tickets,
            last_turn,
            matched_skills,
            why_not: pass_over_reason.map(|reason| reason.as_str().to_owned()),
        }
    }

    fn into_candidate(self) -> Option<Candidate> {
        let Self {
            user_id,
            open_tickets,
            last_turn,
            matched_skills,
            why_not,
        } = self;
        Some(Candidate {
            user_id: UserId::parse(&user_id).ok()?,
            open_tickets,
            last_turn,
            matched_skills,
            pass_over_reason: match why_not {
                Some(text) => Some(PassOverReason::parse(&text)?),
                None => None,
            },
        })
    }
}

/// Converts an item into a ticket.
pub(in crate::store) fn ticket(item: Item) -> Result<Ticket, Error> {
    let TicketItem {
        pk,
        sk: _,
        gsi1pk: _,
        gsi1sk: _,
        gsi2pk: _,
        gsi2sk: _,
        rev,
        versions,
        status,
        priority,
        category,
        subcategory,
        tags,
        created_at,
        resolved_at,
        due_at,
        closed_at,
        team_id,
        assignee_id,
        state,
        decision,
    } = from_item(item)?;
    Ok(Ticket {
        id: keys::ticket_of(&pk).ok_or_else(|| bad("pk"))?,
        rev,
        versions: parse_ticket_versions(&versions).ok_or_else(|| bad("versions"))?,
        status: TicketStatus::parse(&status).ok_or_else(|| bad("status"))?,
        priority: Priority::parse(&priority).ok_or_else(|| bad("priority"))?,
        category: category.as_deref().map(Folded::of),
        subcategory: subcategory.as_deref().map(Folded::of),
        tags: Topics::of(tags),
        created_at: Timestamp::from_millis(created_at),
        resolved_at: resolved_at.map(Timestamp::from_millis),
        due_at: due_at.map(Timestamp::from_millis),
        closed_at: closed_at.map(Timestamp::from_millis),
        team_id: team_id
            .as_deref()
            .map(TeamId::parse)
            .transpose()
            .map_err(|_| bad("team_id"))?,
        assignee_id: assignee_id
            .as_deref()
            .map(UserId::parse)
            .transpose()
            .map_err(|_| bad("assignee_id"))?,
        state: TicketState::parse(&state).ok_or_else(|| bad("state"))?,
        decision: decision.into_decision().ok_or_else(|| bad("decision"))?,
    })
}
