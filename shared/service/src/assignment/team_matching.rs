//! The reads for matching teams to tickets without a team. [`TeamMatcher`] decides.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};

use crate::store::{self, Store};
use muster_domain::{
    Folded, OrganizationId, RingPlace, Ticket, TicketId,
    routing::{TeamCandidate, TeamMatcher, TopicPage, UnmatchedTicket, candidates},
};

/// The most topics that are read concurrently.
const CONCURRENT_TOPICS: usize = 25;

/// The most tickets that read pages of their own concurrently, for topics with more teams than a
/// page.
const CONCURRENT_TICKETS: usize = 8;

/// Matches a team to each ticket, and stores the matches in `matcher`.
///
/// Costs two round trips: the index entries of the topics concurrently, then the loads of the
/// candidates. A topic with more teams than a page costs one more, because each ticket reads a page
/// from its own place on the ring. Another match after a rejected team costs no round trip.
///
/// # Errors
/// [`store::Error::Unavailable`] or [`store::Error::Internal`].
pub(super) async fn match_teams(
    store: &Store,
    org: &OrganizationId,
    tickets: &[UnmatchedTicket],
    matcher: &mut TeamMatcher,
) -> Result<(), store::Error> {
    let unmatched = matcher.without_candidates(tickets);
    for (ticket, candidates) in read_candidates(store, org, &unmatched).await? {
        matcher.set_candidates(ticket, candidates);
    }
    let teams = matcher.missing_loads(tickets);
    if !teams.is_empty() {
        let loads = store.loads(org, teams.iter().copied()).await?;
        matcher.set_loads(teams, loads);
    }
    matcher.match_teams(tickets);
    Ok(())
}

/// Reads the teams that the topic index lists under a ticket's topics: those that share the most
/// topics first, at most [`MAX_TEAMS`](muster_domain::routing::MAX_TEAMS). The index may be older
/// than the specializations of a team.
///
/// Costs one round trip: a query for each topic, concurrently. No round trip without topics.
///
/// # Errors
/// [`store::Error::Unavailable`] or [`store::Error::Internal`].
pub async fn candidate_teams(
    store: &Store,
    org: &OrganizationId,
    ticket: &Ticket,
) -> Result<Vec<TeamCandidate>, store::Error> {
    let unmatched = UnmatchedTicket {
        ticket_id: ticket.id.clone(),
        topics: ticket.topics().into_iter().cloned().collect(),
        rejected: None,
    };
    let read = read_candidates(store, org, &[&unmatched]).await?;
    Ok(read.into_iter().flat_map(|(_, teams)| teams).collect())
}

/// Reads the candidate teams of tickets.
async fn read_candidates<'w>(
    store: &Store,
    org: &OrganizationId,
    unmatched: &[&'w UnmatchedTicket],
) -> Result<Vec<(&'w UnmatchedTicket, Vec<TeamCandidate>)>, store::Error> {
    let first_pages = read_first_pages(store, org, unmatched).await?;
    let of_ticket = unmatched.iter().map(|ticket| {
        let first_pages = &first_pages;
        async move {
            let own = own_topics(ticket, first_pages);
            let start = RingPlace::of(ticket.ticket_id.as_str());
            let own = try_join_all(own.map(|topic| store.specialists(org, topic, start))).await?;
            let shared = ticket.topics.as_slice().iter().filter_map(|topic| {
                let FirstPage { from, page } = first_pages.get(topic)?;
                (page.is_complete || *from == &ticket.ticket_id).then_some(page)
            });
            Ok((*ticket, candidates(&ticket.ticket_id, shared.chain(&own))))
        }
    });
    stream::iter(of_ticket.collect::<Vec<_>>())
        .buffered(CONCURRENT_TICKETS)
        .try_collect()
        .await
}

/// The first page of a topic, which begins at the place of one ticket.
struct FirstPage<'w> {
    from: &'w TicketId,
    page: TopicPage,
}

/// Reads a page of each topic, from the place of the first ticket with this topic.
async fn read_first_pages<'w>(
    store: &Store,
    org: &OrganizationId,
    unmatched: &[&'w UnmatchedTicket],
) -> Result<HashMap<&'w Folded, FirstPage<'w>>, store::Error> {
    let mut seen = HashSet::new();
    let topics = unmatched.iter().flat_map(|ticket| {
        ticket
            .topics
            .as_slice()
            .iter()
            .map(|topic| (topic, *ticket))
    });
    let pages = topics
        .filter(|(topic, _)| seen.insert(*topic))
        .map(|(topic, ticket)| async move {
            let from = &ticket.ticket_id;
            let page = store
                .specialists(org, topic, RingPlace::of(from.as_str()))
                .await?;
            Ok((topic, FirstPage { from, page }))
        });
    stream::iter(pages.collect::<Vec<_>>())
        .buffer_unordered(CONCURRENT_TOPICS)
        .try_collect()
        .await
}

/// Returns the topics of which a ticket needs a page that begins at its own place.
fn own_topics<'w>(
    ticket: &'w UnmatchedTicket,
    first_pages: &HashMap<&Folded, FirstPage<'_>>,
) -> impl Iterator<Item = &'w Folded> {
    ticket.topics.as_slice().iter().filter(move |topic| {
        let first = first_pages.get(topic);
        !first.is_some_and(|first| first.page.is_complete || *first.from == ticket.ticket_id)
    })
}
