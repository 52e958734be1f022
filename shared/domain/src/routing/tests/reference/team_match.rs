//! Verifies the team match of a ticket.

use super::{MissingInput, PlanningInput, matched};
use crate::{TeamId, TicketId, Topics, routing::UnmatchedTicket};

/// Returns the matched team of a ticket, verified by the team as read. `None` if no team matches.
///
/// # Errors
/// The team to read, or the ticket that needs a match: its first one, one for its present topics,
/// or the next one after a team that was deleted or no longer matches.
pub(super) fn matched_team(
    input: &PlanningInput,
    ticket_id: &TicketId,
    topics: &Topics,
) -> Result<Option<TeamId>, MissingInput> {
    if topics.as_slice().is_empty() {
        return Ok(None);
    }
    let unmatched = |rejected| UnmatchedTicket {
        ticket_id: ticket_id.clone(),
        topics: topics.clone(),
        rejected,
    };
    let Some(team_match) = input
        .team_matches
        .get(ticket_id)
        .filter(|team_match| team_match.topics == *topics)
    else {
        return Err(MissingInput::team_match(unmatched(None)));
    };
    let Some(team) = team_match.team else {
        return Ok(None);
    };
    match input.team_input(team)? {
        Some(team_input) if matched(topics, &team_input.specializations) > 0 => Ok(Some(team)),
        Some(_) | None => Err(MissingInput::team_match(unmatched(Some(team)))),
    }
}
