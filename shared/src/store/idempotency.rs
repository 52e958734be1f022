//! What requests with an `Idempotency-Key` were answered, kept under the key.
//!
//! The answer is written in the transaction that does what was asked, on condition that the key is not in use. So there is an
//! answer if and only if it was done, and of the same requests at the same moment one does it.

use std::time::Duration;

use super::{
    Error, Store, expression,
    expression::n,
    items::{self, AnswerItem, Item},
    keys,
    retry::Stale,
    transaction::{Refusal, Transaction, Values},
};
use crate::domain::{Error as Refused, Idempotency, OrganizationId, Timestamp};

/// How long an answer is kept. An older one is as if it were not there, whether or not the table has removed it yet.
const KEPT: Duration = Duration::from_hours(24);

/// The most bytes that the body of an answer to keep may have. An item has up to 400 KB, and what else it takes is under 1 KB.
const MAX_BODY_BYTES: usize = 400_000;

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
        Self { status: 201, version, body }
    }
}

/// What is kept under a key.
pub(super) struct Kept {
    /// The request's, as text.
    pub(super) fingerprint: String,
    pub(super) answer: Answer,
    pub(super) expires_at: i64,
}

impl Kept {
    /// The answer, if it was given to the same request.
    fn answer_to(self, request: &Idempotency) -> Result<Answer, Refused> {
        if self.fingerprint == request.fingerprint.to_string() {
            Ok(self.answer)
        } else {
            Err(Refused::IdempotencyKeyReused)
        }
    }
}

impl Store {
    /// Fails if a request's key is in use: with what was answered, or because that was another request. One round trip, none
    /// without a key.
    ///
    /// # Errors
    /// [`Error::Answered`], [`IdempotencyKeyReused`](crate::domain::Error::IdempotencyKeyReused).
    pub(super) async fn check_unused(
        &self,
        org: &OrganizationId,
        request: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(request) = request else { return Ok(()) };
        let Some(item) = self.get(&keys::idempotency(org, &request.key)).await? else { return Ok(()) };
        let kept = items::kept(item)?;
        if kept.expires_at <= now.secs() {
            return Ok(());
        }
        Err(kept.answer_to(request).map_or_else(Error::Refused, Error::Answered))
    }

    /// Takes back a refusal that only shows what the same request did, sent before and under way until a moment ago.
    ///
    /// Looks at the key once more, in a way that waits for whoever is writing to it: reads that go beside each other, and the
    /// conditions of a transaction that meets another halfway, may see what that did and not yet what it answered. One round trip
    /// where a request with a key was refused.
    ///
    /// # Errors
    /// That of `outcome`, [`Error::Answered`], [`IdempotencyKeyReused`](crate::domain::Error::IdempotencyKeyReused).
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
            let key = keys::idempotency(org, &request.key);
            let mut transaction = Transaction::new(self);
            transaction.check(&key, UNUSED, Some(at(now)), move |item| in_use(item, request))?;
            transaction.commit().await.map_err(Stale::into_error)?;
        }
        outcome
    }
}

/// Has a transaction keep what it will have been answered with, on condition that the key is not in use.
pub(super) fn keep<'t>(
    transaction: &mut Transaction<'t>,
    org: &OrganizationId,
    request: &'t Idempotency,
    answer: &Answer,
    now: Timestamp,
) -> Result<(), Error> {
    if answer.body.len() > MAX_BODY_BYTES {
        return Err(Error::internal("the answer is too large to be kept for its Idempotency-Key"));
    }
    let item = AnswerItem::new(org, request, answer, now.plus(KEPT).secs());
    transaction.put(item, UNUSED, Some(at(now)), move |item| in_use(item, request))
}

fn at(now: Timestamp) -> Values {
    expression::values([(":now", n(now.secs()))])
}

/// The meaning of a key that is in use. What cannot be read is neither an answer nor another request's.
fn in_use(item: Option<&Item>, request: &Idempotency) -> Refusal {
    match item.cloned().map(items::kept) {
        Some(Ok(kept)) => kept.answer_to(request).map_or_else(Refusal::Because, Refusal::Answered),
        Some(Err(_)) | None => Refusal::Outdated,
    }
}
