//! Chooses teams for tickets that name none: the reads, over which `routing` decides.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};

use crate::store::{self, Store};
use muster_domain::{
    Folded, OrganizationId, RingPlace, TicketId,
    routing::{TeamCandidate, TeamMatcher, TopicPage, UnmatchedTicket, candidates},
};

/// The number of topics whose entries are read at once.
const TOPICS_AT_ONCE: usize = 25;

/// The number of tickets whose own entries are read at once, where a topic has more teams than a
/// page.
const TICKETS_AT_ONCE: usize = 8;

/// Chooses a team for each ticket, and records it in the batch's choices.
///
/// Two round trips: the topics' index entries beside each other, then the loads of the candidates.
/// One more if a topic has more teams than a page has entries, for then each ticket reads a page
/// from its own place. No round trip in place of a team that was rejected.
pub(super) async fn choose(
    store: &Store,
    org: &OrganizationId,
    wanted: &[UnmatchedTicket],
    choices: &mut TeamMatcher,
) -> Result<(), store::Error> {
    let unknown = choices.without_candidates(wanted);
    for (wanted, candidates) in read_candidates(store, org, &unknown).await? {
        choices.set_candidates(wanted, candidates);
    }
    let teams = choices.missing_loads(wanted);
    if !teams.is_empty() {
        let loads = store.loads(org, teams.iter().copied()).await?;
        choices.set_loads(teams, loads);
    }
    choices.match_teams(wanted);
    Ok(())
}

/// Reads the candidates for tickets.
async fn read_candidates<'w>(
    store: &Store,
    org: &OrganizationId,
    unknown: &[&'w UnmatchedTicket],
) -> Result<Vec<(&'w UnmatchedTicket, Vec<TeamCandidate>)>, store::Error> {
    let first_pages = read_first_pages(store, org, unknown).await?;
    let of_ticket = unknown.iter().map(|wanted| {
        let first_pages = &first_pages;
        async move {
            let own = own_topics(wanted, first_pages);
            let start = RingPlace::of(wanted.ticket_id.as_str());
            let own = try_join_all(own.map(|topic| store.specialists(org, topic, start))).await?;
            let shared = wanted.topics.as_slice().iter().filter_map(|topic| {
                let FirstPage { ticket, page } = first_pages.get(topic)?;
                (page.is_complete || *ticket == &wanted.ticket_id).then_some(page)
            });
            Ok((*wanted, candidates(&wanted.ticket_id, shared.chain(&own))))
        }
    });
    stream::iter(of_ticket.collect::<Vec<_>>())
        .buffered(TICKETS_AT_ONCE)
        .try_collect()
        .await
}

/// The first page that is read of a topic: from the place of one ticket.
struct FirstPage<'w> {
    ticket: &'w TicketId,
    page: TopicPage,
}

/// Reads a page of each topic, from the place of the first ticket with this topic.
async fn read_first_pages<'w>(
    store: &Store,
    org: &OrganizationId,
    unknown: &[&'w UnmatchedTicket],
) -> Result<HashMap<&'w Folded, FirstPage<'w>>, store::Error> {
    let mut seen = HashSet::new();
    let topics = unknown.iter().flat_map(|wanted| {
        wanted
            .topics
            .as_slice()
            .iter()
            .map(|topic| (topic, *wanted))
    });
    let pages = topics
        .filter(|(topic, _)| seen.insert(*topic))
        .map(|(topic, wanted)| async move {
            let ticket = &wanted.ticket_id;
            let page = store
                .specialists(org, topic, RingPlace::of(ticket.as_str()))
                .await?;
            Ok((topic, FirstPage { ticket, page }))
        });
    stream::iter(pages.collect::<Vec<_>>())
        .buffer_unordered(TOPICS_AT_ONCE)
        .try_collect()
        .await
}

/// Returns the topics of which a ticket needs a page from its own place.
fn own_topics<'w>(
    wanted: &'w UnmatchedTicket,
    first_pages: &HashMap<&Folded, FirstPage<'_>>,
) -> impl Iterator<Item = &'w Folded> {
    wanted.topics.as_slice().iter().filter(move |topic| {
        let first = first_pages.get(topic);
        !first.is_some_and(|first| first.page.is_complete || *first.ticket == wanted.ticket_id)
    })
}
