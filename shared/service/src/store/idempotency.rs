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
    Error, Store, expression,
    expression::n,
    items::{self, Item, ResponseItem, ResponsePartItem},
    keys,
    retry::Stale,
    transaction::{Refusal, Transaction, Values},
};
use crate::telemetry;
use muster_domain::{Error as Refused, Idempotency, OrganizationId, Timestamp};

/// How long a response is saved. An older one counts as absent, whether or not TTL has deleted its
/// items.
const KEPT: Duration = Duration::from_hours(24);

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

/// A success, as the client is told of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The version of the one team that the body shows.
    pub version: Option<u64>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// 201, with a body that may show one team.
    #[must_use]
    pub fn created(body: String, version: Option<u64>) -> Self {
        Self {
            status: 201,
            version,
            body,
        }
    }
}

/// The head of a saved response: the first of its items.
pub(super) struct SavedResponse {
    /// Fingerprint of the request, as text.
    pub(super) fingerprint: String,
    pub(super) status: u16,
    pub(super) version: Option<u64>,
    /// Number of items over which the compressed body is spread, the head included.
    pub(super) parts: usize,
    /// First part of the compressed body.
    pub(super) compressed: Vec<u8>,
    /// In seconds.
    pub(super) expires_at: i64,
}

/// A further item of a saved response.
pub(super) struct SavedPart {
    pub(super) compressed: Vec<u8>,
    /// In seconds.
    pub(super) expires_at: i64,
}

impl SavedResponse {
    fn is_of(&self, request: &Idempotency) -> bool {
        self.fingerprint == request.fingerprint.to_string()
    }

    /// Returns the response, given the further parts of its body in order.
    fn into_answer(self, further: impl IntoIterator<Item = Vec<u8>>) -> Result<Answer, Error> {
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
        Ok(Answer {
            status,
            version,
            body,
        })
    }
}

impl Store {
    /// Fails if a request's key is in use: with the saved response of the same request, or because
    /// that was another request.
    ///
    /// No round trip without a key, else one. One more for a saved response that is spread over
    /// several items.
    ///
    /// # Errors
    /// [`Error::Answered`], [`IdempotencyKeyReused`](muster_domain::Error::IdempotencyKeyReused).
    pub(super) async fn check_unused(
        &self,
        org: &OrganizationId,
        request: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(request) = request else {
            return Ok(());
        };
        let Some(item) = self.get(&keys::saved_response(org, request, 0)).await? else {
            return Ok(());
        };
        let saved = items::saved_response(item)?;
        if saved.expires_at <= now.secs() {
            return Ok(());
        }
        if !saved.is_of(request) {
            return Err(Refused::IdempotencyKeyReused.into());
        }
        let further =
            (1..saved.parts).map(|part| self.saved_part(org, request, part, saved.expires_at));
        let further = try_join_all(further).await?;
        Err(Error::Answered(saved.into_answer(further)?))
    }

    /// Reads a further part of a saved response. One round trip.
    ///
    /// Fails if the part does not belong to the head: the response expired between the two reads,
    /// and TTL or another request replaced it.
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

    /// Replaces a refusal by the saved response, where a concurrent duplicate of the request was
    /// just carried out and caused the refusal.
    ///
    /// Parallel reads, and the conditions of a transaction that meets another one, may see the
    /// effect of the duplicate and not yet its response. A condition check waits for a writer of
    /// the key, so it decides. One round trip where a request with a key was refused.
    ///
    /// # Errors
    /// That of `outcome`, [`Error::Answered`],
    /// [`IdempotencyKeyReused`](muster_domain::Error::IdempotencyKeyReused).
    pub(super) async fn unless_answered<T>(
        &self,
        org: &OrganizationId,
        request: Option<&Idempotency>,
        now: Timestamp,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        if let (Err(Error::Refused(refused)), Some(request)) = (&outcome, request)
            && *refused != Refused::IdempotencyKeyReused
        {
            let key = keys::saved_response(org, request, 0);
            let mut transaction = Transaction::new(self);
            transaction.check(&key, UNUSED, Some(at(now)), move |item| {
                in_use(item, request)
            })?;
            match transaction.commit().await {
                Ok(()) => {}
                Err(Stale::Outdated) => self.check_unused(org, Some(request), now).await?,
                Err(Stale::Error(error)) => return Err(error),
            }
        }
        outcome
    }
}

/// Has a transaction save the response that it leads to, on condition that the key is not in use.
///
/// A response that is too large to be saved does not fail the request: the transaction then leaves
/// it out. A retry is a new request in that case. No response of today's limits is that large.
pub(super) fn save<'t>(
    transaction: &mut Transaction<'t>,
    org: &OrganizationId,
    request: &'t Idempotency,
    answer: &Answer,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(parts) = compress(&answer.body).ok().and_then(split) else {
        telemetry::record(|measured| measured.responses_not_saved = 1);
        tracing::warn!(
            bytes = answer.body.len(),
            "the response is too large to be saved for its Idempotency-Key"
        );
        return Ok(());
    };
    let expires_at = now.plus(KEPT).secs();
    for (part, compressed) in parts.iter().enumerate().skip(1) {
        // Without a condition: the condition of the head holds for all parts. One may be left of an
        // expired response.
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
        status: answer.status,
        version: answer.version,
        parts: parts.len(),
        compressed: parts.into_iter().next().unwrap_or_default(),
        expires_at,
    };
    transaction.put(
        ResponseItem::new(org, request, head),
        UNUSED,
        Some(at(now)),
        move |item| in_use(item, request),
    )
}

fn at(now: Timestamp) -> Values {
    expression::values([(":now", n(now.secs()))])
}

/// Returns the meaning of a key that is in use. A response that is spread over several items has to
/// be read first.
fn in_use(item: Option<&Item>, request: &Idempotency) -> Refusal {
    match item.cloned().map(items::saved_response) {
        Some(Ok(saved)) if !saved.is_of(request) => Refusal::Because(Refused::IdempotencyKeyReused),
        Some(Ok(saved)) if saved.parts == 1 => saved
            .into_answer([])
            .map_or(Refusal::Outdated, Refusal::Answered),
        Some(Ok(_) | Err(_)) | None => Refusal::Outdated,
    }
}

/// Compresses a body as gzip, whose checksum detects a truncated body. At the fastest level,
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
    fn response_survives_compression_and_parts() {
        for (body, expected) in [
            (String::new(), 1),
            ("{}".repeat(500_000), 1),
            (random_text(300_000), 2),
        ] {
            let parts = split(compress(&body).unwrap()).unwrap();
            assert!(
                parts.len() >= expected && parts.iter().all(|part| part.len() <= MAX_PART_BYTES)
            );
            let answer = response(&parts)
                .into_answer(parts[1..].iter().cloned())
                .unwrap();
            assert_eq!(
                answer,
                Answer {
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
                .into_answer([])
                .is_err()
        );
    }
}
