//! Reads of the topic index.

use super::{
    Error, Store,
    items::{self, Item},
    keys,
};
use muster_domain::{
    Folded, OrganizationId, RingPlace,
    routing::{MAX_ENTRIES, TopicEntry, TopicPage},
};

impl Store {
    /// Reads the teams that the index lists under a topic, from a place on the ring: at most
    /// [`MAX_ENTRIES`], each team once, strongly consistent. One round trip.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub(crate) async fn specialists(
        &self,
        org: &OrganizationId,
        topic: &Folded,
        start: RingPlace,
    ) -> Result<TopicPage, Error> {
        let call = self
            .range_query(
                keys::specialists_partition(org, topic),
                keys::ring_turn(start),
            )
            .projection_expression("sk")
            .limit(i32::try_from(MAX_ENTRIES).unwrap_or(i32::MAX));
        let page = self.send(|| call.clone().send()).await?;
        let specialist = |item: &Item| items::text(item, "sk").and_then(keys::specialist_of);
        let entries = page
            .items()
            .iter()
            .filter_map(specialist)
            .map(|(place, team)| TopicEntry { place, team });
        Ok(TopicPage {
            entries: entries.collect(),
            is_complete: page.last_evaluated_key.is_none(),
        })
    }
}
