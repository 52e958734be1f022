//! Responses to requests with an `Idempotency-Key`, saved under the key.
//!
//! The transaction that carries out a request also saves its response, on condition that the key is
//! not in use. So a response is saved if and only if the request was carried out, and of concurrent
//! duplicates one is carried out.
//!
//! The body is compressed. One that is larger than an item is spread over several, all of them
//! written by that transaction.

use std::{
    io::{self, Read as _, Write as _},
    time::Duration,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use futures_util::future::try_join_all;

use super::{
    Error, Store,
    error::CommitError,
    expression::{self, Values, n},
    items::{self, Item, ResponseItem, ResponsePartItem},
    keys,
    records::{RenderedResponse, SavedResponse},
    transaction::{ConditionFailure, Transaction},
};
use crate::telemetry;
use muster_domain::{Error as Rejected, Idempotency, OrganizationId, Timestamp};

/// The time for which a response is saved. An older one counts as absent, even if TTL has not
/// deleted its items yet.
const RETENTION: Duration = Duration::from_hours(24);

/// The most bytes of a compressed body in one item. The other attributes of the item take under 1
/// KB.
///
/// An item has at most 400 KB (AWS, "Constraints in Amazon DynamoDB",
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
const MAX_PART_BYTES: usize = 400_000;

/// The most items of one response. They take 3.6 MB, and the rest of the transaction takes under
/// 0.2 MB.
///
/// The items of a transaction have at most 4 MB together (AWS, `TransactWriteItems`,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
const MAX_PARTS: usize = 9;

/// The condition that a key is not in use.
const UNUSED: &str = "attribute_not_exists(#pk) OR #expires_at <= :now";

impl SavedResponse {
    fn is_of(&self, request: &Idempotency) -> bool {
        self.fingerprint == request.fingerprint.to_string()
    }

    /// Returns the response, given the further parts of its body in order.
    fn into_response(
        self,
        further: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<RenderedResponse, Error> {
        let Self {
            fingerprint: _,
            status,
            version,
            parts: _,
            mut compressed,
            expires_at: _,
        } = self;
        compressed.extend(further.into_iter().flatten());
        let body = decompress(&compressed).map_err(Error::internal)?;
        Ok(RenderedResponse {
            status,
            version,
            body,
        })
    }
}

impl Store {
    /// Returns the saved response of a request, if the request was carried out before.
    ///
    /// No round trip without a key, else one. One more for a saved response that is spread over
    /// several items.
    ///
    /// # Errors
    /// [`IdempotencyKeyReused`](muster_domain::Error::IdempotencyKeyReused) if another request used
    /// the key; [`Error::Unavailable`] or [`Error::Internal`].
    pub(super) async fn find_saved_response(
        &self,
        org: &OrganizationId,
        request: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<Option<RenderedResponse>, Error> {
        let Some(request) = request else {
            return Ok(None);
        };
        let Some(item) = self.get(&keys::saved_response(org, request, 0)).await? else {
            return Ok(None);
        };
        let saved = items::saved_response(item)?;
        // TTL deletes an item up to days after its expiry.
        if saved.expires_at <= now.secs() {
            return Ok(None);
        }
        if !saved.is_of(request) {
            return Err(Rejected::IdempotencyKeyReused.into());
        }
        let further =
            (1..saved.parts).map(|part| self.saved_part(org, request, part, saved.expires_at));
        let further = try_join_all(further).await?;
        saved.into_response(further).map(Some)
    }

    /// Reads a further part of a saved response. One round trip.
    ///
    /// Fails if the part does not belong to the head: the response expired between the two reads,
    /// and TTL deleted the part or another request replaced it.
    async fn saved_part(
        &self,
        org: &OrganizationId,
        request: &Idempotency,
        part: usize,
        expires_at: i64,
    ) -> Result<Vec<u8>, Error> {
        let item = self
            .get(&keys::saved_response(org, request, part))
            .await?
            .ok_or_else(Error::contended)?;
        let saved = items::saved_part(item)?;
        if saved.expires_at == expires_at {
            Ok(saved.compressed)
        } else {
            Err(Error::contended())
        }
    }

    /// If a concurrent duplicate of this request has just committed, returns its saved response
    /// ([`Error::Replayed`]) instead of the rejection that it caused. Else returns `outcome`.
    ///
    /// Parallel reads, and the conditions of a transaction that conflicts with another one, may see
    /// the effect of the duplicate and not yet its response. A transaction that checks the key
    /// conflicts with an uncommitted write of the key and is retried, so its result is final. One
    /// round trip if a request with a key was rejected, else none.
    ///
    /// # Errors
    /// That of `outcome`, [`Error::Replayed`],
    /// [`IdempotencyKeyReused`](muster_domain::Error::IdempotencyKeyReused).
    pub(super) async fn prefer_saved_response<T>(
        &self,
        org: &OrganizationId,
        request: Option<&Idempotency>,
        now: Timestamp,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        if let (Err(Error::Rejected(rejected)), Some(request)) = (&outcome, request)
            && *rejected != Rejected::IdempotencyKeyReused
        {
            let key = keys::saved_response(org, request, 0);
            let mut transaction = Transaction::new(self);
            transaction.check(&key, UNUSED, Some(unused_values(now)), move |item| {
                on_key_in_use(item, request)
            })?;
            match transaction.commit().await {
                Ok(()) => {}
                Err(CommitError::Conflict) => {
                    if let Some(response) =
                        self.find_saved_response(org, Some(request), now).await?
                    {
                        return Err(Error::Replayed(response));
                    }
                }
                Err(CommitError::Failed(error)) => return Err(error),
            }
        }
        outcome
    }
}

/// Adds the save of a response to the transaction that carries out its request, on condition that
/// the key is not in use.
///
/// A response that is too large to be saved does not fail the request: the transaction then leaves
/// it out, and a retry is a new request. No response within today's limits is that large.
pub(super) fn save_response<'t>(
    transaction: &mut Transaction<'t>,
    org: &OrganizationId,
    request: &'t Idempotency,
    response: &RenderedResponse,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(parts) = compress(&response.body).ok().and_then(split) else {
        telemetry::record(|measured| measured.responses_not_saved = 1);
        tracing::warn!(
            bytes = response.body.len(),
            "the response is too large to be saved for its Idempotency-Key"
        );
        return Ok(());
    };
    let expires_at = now.plus(RETENTION).secs();
    for (part, compressed) in parts.iter().enumerate().skip(1) {
        // The condition of the head holds for all parts, so this put has none. It may replace a
        // part of an expired response that TTL has not deleted yet.
        transaction.put_always(ResponsePartItem::new(
            org,
            request,
            part,
            compressed.clone(),
            expires_at,
        ))?;
    }
    let head = SavedResponse {
        fingerprint: request.fingerprint.to_string(),
        status: response.status,
        version: response.version,
        parts: parts.len(),
        compressed: parts.into_iter().next().unwrap_or_default(),
        expires_at,
    };
    transaction.put(
        ResponseItem::new(org, request, head),
        UNUSED,
        Some(unused_values(now)),
        move |item| on_key_in_use(item, request),
    )
}

/// The values of [`UNUSED`].
fn unused_values(now: Timestamp) -> Values {
    expression::values([(":now", n(now.secs()))])
}

/// Interprets the failed condition that a key is not in use, from the head that uses the key.
///
/// A conflict stands for a response that is spread over several items: the caller reads it.
fn on_key_in_use(item: Option<&Item>, request: &Idempotency) -> ConditionFailure {
    match item.cloned().map(items::saved_response) {
        Some(Ok(saved)) if !saved.is_of(request) => {
            ConditionFailure::Rejected(Rejected::IdempotencyKeyReused)
        }
        Some(Ok(saved)) if saved.parts == 1 => saved
            .into_response([])
            .map_or(ConditionFailure::Conflict, ConditionFailure::Replayed),
        Some(Ok(_) | Err(_)) | None => ConditionFailure::Conflict,
    }
}

/// Compresses a body as gzip. Its checksum detects a truncated body. Uses the fastest level,
/// because a function has a fraction of a processor.
fn compress(body: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_bytes())?;
    encoder.finish()
}

fn decompress(compressed: &[u8]) -> io::Result<String> {
    let mut body = String::new();
    GzDecoder::new(compressed).read_to_string(&mut body)?;
    Ok(body)
}

/// Splits a compressed body into parts of one item each. `None` if a transaction cannot take them.
fn split(compressed: Vec<u8>) -> Option<Vec<Vec<u8>>> {
    if compressed.len() <= MAX_PART_BYTES {
        return Some(vec![compressed]);
    }
    let parts: Vec<_> = compressed
        .chunks(MAX_PART_BYTES)
        .map(<[u8]>::to_vec)
        .collect();
    (parts.len() <= MAX_PARTS).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(parts: &[Vec<u8>]) -> SavedResponse {
        SavedResponse {
            fingerprint: "f".to_owned(),
            status: 201,
            version: Some(7),
            parts: parts.len(),
            compressed: parts[0].clone(),
            expires_at: 9,
        }
    }

    /// A text that hardly compresses.
    fn random_text(chars: usize) -> String {
        (0..chars)
            .map(|_| char::from_u32(0x2_0000 + rand::random_range(0..0x1_0000)).unwrap())
            .collect()
    }

    #[test]
    fn response_round_trip_over_parts_is_equal() {
        for (body, expected) in [
            (String::new(), 1),
            ("{}".repeat(500_000), 1),
            (random_text(300_000), 2),
        ] {
            let parts = split(compress(&body).unwrap()).unwrap();
            assert!(
                parts.len() >= expected && parts.iter().all(|part| part.len() <= MAX_PART_BYTES)
            );
            let read = response(&parts)
                .into_response(parts[1..].iter().cloned())
                .unwrap();
            assert_eq!(
                read,
                RenderedResponse {
                    status: 201,
                    version: Some(7),
                    body
                }
            );
        }
    }

    #[test]
    fn split_of_a_body_over_the_transaction_limit_is_none() {
        assert_eq!(
            split(vec![0; MAX_PARTS * MAX_PART_BYTES]).map(|parts| parts.len()),
            Some(MAX_PARTS)
        );
        assert_eq!(split(vec![0; MAX_PARTS * MAX_PART_BYTES + 1]), None);
    }

    #[test]
    fn truncated_body_is_an_error() {
        let parts = split(compress(&random_text(1_000)).unwrap()).unwrap();
        assert!(
            response(&[parts[0][..1_000].to_vec()])
                .into_response([])
                .is_err()
        );
    }
}
