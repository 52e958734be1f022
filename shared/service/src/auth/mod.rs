//! From the credential of a request to whom it speaks for.
//!
//! This happens inside each function, not in an authorizer of the gateway: both documents promise
//! bodies of their own for 401 and 403, which an HTTP API's authorizer cannot render.

mod cache;
mod jwt;

use std::{net::IpAddr, sync::Arc};

use futures_util::TryFutureExt;
use ipnet::IpNet;

pub use cache::Cache;
pub use jwt::Verifier;

use crate::store::{self, Store};
use muster_domain::{
    ApiKey, Contract, KeyHash, OrganizationId, Scope, SecretKey, Subject, Timestamp, TokenIssuer,
};

/// The API keys that were seen lately, about 300 bytes each.
pub type KeyCache = Cache<KeyHash, ApiKey>;

/// What the tokens that were seen lately were verified with, about 500 bytes a key of 2048 bits,
/// and as much for the rest.
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
    /// The networks it may come from; any address if there are none.
    pub allowed_networks: Vec<IpNet>,
    /// Whose requests are counted together.
    pub subject: Subject,
    /// How many of them a clock minute may have.
    pub requests_a_minute: u32,
}

impl Principal {
    /// Whether it may do what `scope` names.
    #[must_use]
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether it may come from an address. An IPv4 address that comes as IPv6 is the IPv4 address.
    #[must_use]
    pub fn allows_address(&self, address: Option<IpAddr>) -> bool {
        let contains = |address: IpAddr| {
            let address = address.to_canonical();
            self.allowed_networks
                .iter()
                .any(|network| network.contains(&address))
        };
        self.allowed_networks.is_empty() || address.is_some_and(contains)
    }

    fn of(key: &ApiKey) -> Self {
        Self {
            organization_id: key.organization_id.clone(),
            contract: key.kind.contract(),
            scopes: Scope::ALL
                .into_iter()
                .filter(|scope| key.allows(*scope))
                .collect(),
            allowed_networks: key.allowed_networks.clone(),
            subject: Subject::of_key(key.hash),
            requests_a_minute: key.kind.requests_a_minute(),
        }
    }
}

/// The token of an `Authorization: Bearer <token>` header. The scheme's letter case does not
/// matter.
#[must_use]
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The contract that a token's form belongs to, whether the token is good or not: errors are
/// answered in its shape.
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

/// Three parts of base64url between dots, the last of which is empty where nothing is signed: only
/// the ITSM platform issues such tokens.
fn is_jwt_shaped(token: &str) -> bool {
    let base64url = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='))
    };
    let parts: Vec<_> = token.split('.').collect();
    matches!(parts[..], [header, claims, _] if !header.is_empty() && !claims.is_empty())
        && parts.into_iter().all(base64url)
}

/// Resolves a token by its form, as an API key or a JWT; `None` if it is no good. No round trip
/// where what it is resolved with is in its cache, else one.
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
        return Ok(key
            .filter(|key| key.is_valid(now))
            .map(|key| Principal::of(&key)));
    }
    let Some(token) = jwt::Unverified::parse(token) else {
        return Ok(None);
    };
    let ready = |issuer: TokenIssuer| Arc::new(Verifier::new(&issuer));
    let read = store
        .token_issuer(&token.organization_id)
        .map_ok(|issuer| issuer.map(ready));
    let verifier = verifiers
        .get_or_read(token.organization_id.clone(), now, read)
        .await?;
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
    fn a_principal_comes_from_its_networks_alone() {
        let may = |networks: &[&str], address: &str| {
            let principal = Principal {
                organization_id: OrganizationId::parse("org").unwrap(),
                contract: Contract::Itsm,
                scopes: Vec::new(),
                allowed_networks: networks
                    .iter()
                    .map(|network| network.parse().unwrap())
                    .collect(),
                subject: Subject::of_token(&OrganizationId::parse("org").unwrap(), "sub"),
                requests_a_minute: 1,
            };
            principal.allows_address(address.parse().ok())
        };
        for (networks, inside, outside) in [
            (
                &["192.0.2.0/24"][..],
                &["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.7"][..],
                &["192.0.3.0", "::"][..],
            ),
            (
                &["192.0.2.7/32"],
                &["192.0.2.7", "::ffff:c000:207"],
                &["192.0.2.6", "192.0.2.8", "::192.0.2.7"],
            ),
            (
                &["0.0.0.0/0"],
                &["0.0.0.0", "255.255.255.255", "::ffff:8.8.8.8"],
                &["::1", "2001:db8::1"],
            ),
            (
                &["2001:db8::/32"],
                &["2001:db8::", "2001:db8:ffff::1"],
                &["2001:db9::", "192.0.2.7"],
            ),
            (
                &["2001:db8::7/128"],
                &["2001:db8::7", "2001:0DB8:0:0::7"],
                &["2001:db8::8", "::ffff:192.0.2.7"],
            ),
            (
                &["::/0"],
                &["::", "2001:db8::1"],
                &["192.0.2.7", "::ffff:192.0.2.7"],
            ),
            (
                &["192.0.2.0/25", "::1/128"],
                &["192.0.2.127", "::1"],
                &["192.0.2.128", "::2"],
            ),
        ] {
            for address in inside {
                assert!(may(networks, address), "{address} is in {networks:?}");
                assert!(may(&[], address));
            }
            for address in outside.iter().chain(&[
                "",
                "localhost",
                "192.0.2.7:443",
                "[::1]",
                "192.0.2.7, 192.0.2.7",
            ]) {
                assert!(!may(networks, address), "{address} is not in {networks:?}");
                assert!(may(&[], address), "without networks no address matters");
            }
        }
    }

    #[test]
    fn a_token_shows_its_contract_before_it_is_known() {
        assert_eq!(spoken_contract("tt_nonsense"), Some(Contract::Toptickets));
        assert_eq!(spoken_contract("itsm_nonsense"), Some(Contract::Itsm));
        assert_eq!(spoken_contract("eyJh.eyJz.c2ln"), Some(Contract::Itsm));
        assert_eq!(spoken_contract("eyJh.eyJz."), Some(Contract::Itsm));
        for unknown in [
            "sk_live_1",
            "a.b",
            "a..b",
            ".a.b",
            "..",
            "a.b.c.d",
            "a.b.c d",
            "TT_live_1",
        ] {
            assert_eq!(spoken_contract(unknown), None, "{unknown}");
        }
    }
}
