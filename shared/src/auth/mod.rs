//! From the credential of a request to whom it speaks for.
//!
//! This happens inside each function, not in an authorizer of the gateway: both documents promise bodies of their own for
//! 401 and 403, which an HTTP API's authorizer cannot render.

mod cache;
mod jwt;

use std::sync::Arc;

use futures_util::TryFutureExt;

pub use cache::Cache;
pub use jwt::Verifier;

use crate::{
    domain::{ApiKey, Contract, KeyHash, OrganizationId, Scope, SecretKey, Subject, Timestamp, TokenIssuer},
    store::{self, Store},
};

/// The API keys that were seen lately, about 300 bytes each.
pub type KeyCache = Cache<KeyHash, ApiKey>;

/// What the tokens that were seen lately were verified with, about 500 bytes a key of 2048 bits, and as much for the rest.
pub type VerifierCache = Cache<OrganizationId, Arc<Verifier>>;

/// Whom a request speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The organization whose teams it sees.
    pub organization_id: OrganizationId,
    /// The contract it speaks.
    pub contract: Contract,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Whose requests are counted together.
    pub subject: Subject,
    /// How many of them a clock minute may have.
    pub requests_a_minute: u32,
}

impl Principal {
    /// Whether it may do what `scope` names.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    fn of(key: &ApiKey) -> Self {
        Self {
            organization_id: key.organization_id.clone(),
            contract: key.kind.contract(),
            scopes: Scope::ALL.into_iter().filter(|scope| key.allows(*scope)).collect(),
            subject: Subject::of_key(key.hash),
            requests_a_minute: key.kind.requests_a_minute(),
        }
    }
}

/// The token of an `Authorization: Bearer <token>` header. The scheme's letter case does not matter.
#[must_use]
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The contract that a token's form belongs to, whether the token is good or not: errors are answered in its shape.
#[must_use]
pub fn spoken_contract(token: &str) -> Option<Contract> {
    if token.starts_with("tt_") {
        Some(Contract::Toptickets)
    } else if token.starts_with("itsm_") || is_jwt_shaped(token) {
        Some(Contract::Itsm)
    } else {
        None
    }
}

/// Three parts of base64url between dots, the last of which is empty where nothing is signed: only the ITSM platform issues
/// such tokens.
fn is_jwt_shaped(token: &str) -> bool {
    let base64url =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='));
    let parts: Vec<_> = token.split('.').collect();
    matches!(parts[..], [header, claims, _] if !header.is_empty() && !claims.is_empty())
        && parts.into_iter().all(base64url)
}

/// Resolves a token by its form, as an API key or a JWT; `None` if it is no good. No round trip where what it is resolved with
/// is in its cache, else one.
///
/// # Errors
/// [`store::Error::Unavailable`] or [`store::Error::Internal`].
pub async fn authenticate(
    token: &str,
    keys: &KeyCache,
    verifiers: &VerifierCache,
    store: &Store,
    now: Timestamp,
) -> Result<Option<Principal>, store::Error> {
    if let Some(secret) = SecretKey::parse(token) {
        let hash = secret.hash();
        let key = keys.get_or_read(hash, now, store.api_key(hash)).await?;
        return Ok(key.filter(|key| key.is_valid(now)).map(|key| Principal::of(&key)));
    }
    let Some(token) = jwt::Unverified::parse(token) else { return Ok(None) };
    let ready = |issuer: TokenIssuer| Arc::new(Verifier::new(&issuer));
    let read = store.token_issuer(&token.organization_id).map_ok(|issuer| issuer.map(ready));
    let verifier = verifiers.get_or_read(token.organization_id.clone(), now, read).await?;
    Ok(verifier.and_then(|verifier| verifier.verify(&token, now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_what_follows_the_scheme() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for bad in ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearerabc"] {
            assert_eq!(bearer(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_token_shows_its_contract_before_it_is_known() {
        assert_eq!(spoken_contract("tt_nonsense"), Some(Contract::Toptickets));
        assert_eq!(spoken_contract("itsm_nonsense"), Some(Contract::Itsm));
        assert_eq!(spoken_contract("eyJh.eyJz.c2ln"), Some(Contract::Itsm));
        assert_eq!(spoken_contract("eyJh.eyJz."), Some(Contract::Itsm));
        for unknown in ["sk_live_1", "a.b", "a..b", ".a.b", "..", "a.b.c.d", "a.b.c d", "TT_live_1"] {
            assert_eq!(spoken_contract(unknown), None, "{unknown}");
        }
    }
}
