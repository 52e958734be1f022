//! Authentication: resolves a credential to a principal.
//!
//! Each function authenticates by itself instead of an authorizer of the gateway. Both documents
//! define the bodies of 401 and 403, and an authorizer of an HTTP API cannot render them.

mod cache;
mod jwt;

use std::{net::IpAddr, sync::Arc};

use futures_util::TryFutureExt;
use ipnet::IpNet;
use lambda_http::http::HeaderValue;

pub use cache::Cache;
pub use jwt::Verifier;

use crate::store::{self, Store};
use muster_contracts::UnauthorizedReason;
use muster_domain::{
    ApiKey, Contract, KeyEnd, KeyHash, OrganizationId, Scope, SecretKey, Subject, Timestamp,
    TokenIssuer,
};

/// A cache of API keys, about 300 bytes each.
pub type KeyCache = Cache<KeyHash, ApiKey>;

/// A cache of token verifiers. Each takes about 500 bytes, and 500 for each 2048-bit key.
pub type VerifierCache = Cache<OrganizationId, Arc<Verifier>>;

/// The authenticated caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The organization of all data that the caller can access.
    pub organization_id: OrganizationId,
    /// The contract of requests and responses.
    pub contract: Contract,
    /// The granted scopes.
    pub scopes: Vec<Scope>,
    /// The networks from which requests are accepted. An empty list accepts any address.
    pub allowed_networks: Vec<IpNet>,
    /// The subject of the rate limit.
    pub subject: Subject,
    /// The rate limit, in requests per clock minute.
    pub requests_a_minute: u32,
}

impl Principal {
    /// Returns whether the caller has a scope.
    #[must_use]
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Returns whether requests from an address are accepted. An IPv4-mapped IPv6 address counts as
    /// the IPv4 address.
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

/// Returns the token of an `Authorization: Bearer <token>` header. The scheme is case-insensitive.
///
/// # Errors
/// The header is absent, has no token or has another scheme.
pub fn bearer(header: Option<&HeaderValue>) -> Result<&str, UnauthorizedReason> {
    let header = header.ok_or(UnauthorizedReason::NoCredential)?;
    // A credential is ASCII.
    let header = header
        .to_str()
        .map_err(|_| UnauthorizedReason::InvalidCredential)?
        .trim();
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    match (scheme, token.trim()) {
        ("", _) => Err(UnauthorizedReason::NoCredential),
        (scheme, _) if !scheme.eq_ignore_ascii_case("bearer") => {
            Err(UnauthorizedReason::OtherScheme)
        }
        (_, "") => Err(UnauthorizedReason::NoCredential),
        (_, token) => Ok(token),
    }
}

/// Returns the contract that the form of a token belongs to. An invalid token gets its error
/// response in this contract.
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

/// Returns whether a token has the form of a JWT: three base64url parts, of which the last is empty
/// in an unsigned token. Only the ITSM platform issues JWTs.
fn is_jwt_shaped(token: &str) -> bool {
    let base64url = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='))
    };
    let parts: Vec<_> = token.split('.').collect();
    matches!(parts[..], [header, claims, _] if !header.is_empty() && !claims.is_empty())
        && parts.into_iter().all(base64url)
}

/// Resolves an API key or a JWT to its principal, or to the reason why the credential is invalid.
/// Costs one round trip, or none if the key or the verifier is cached.
///
/// The end of a key or of a token is named only to a client that has the whole secret: the hash of
/// the key is stored, or the signature of the token is valid.
///
/// # Errors
/// [`store::Error::Unavailable`] or [`store::Error::Internal`].
pub async fn authenticate(
    token: &str,
    keys: &KeyCache,
    verifiers: &VerifierCache,
    store: &Store,
    now: Timestamp,
) -> Result<Result<Principal, UnauthorizedReason>, store::Error> {
    const INVALID: UnauthorizedReason = UnauthorizedReason::InvalidCredential;
    if let Some(secret) = SecretKey::parse(token) {
        let hash = secret.hash();
        // The cache has ended keys too, so the reason is the same on each request.
        let key = keys.get_or_read(hash, now, store.api_key(hash)).await?;
        return Ok(key.ok_or(INVALID).and_then(|key| match key.end(now) {
            None => Ok(Principal::of(&key)),
            Some(KeyEnd::Revoked) => Err(UnauthorizedReason::KeyRevoked),
            Some(KeyEnd::Expired) => Err(UnauthorizedReason::KeyExpired),
        }));
    }
    let Some(token) = jwt::Unverified::parse(token) else {
        return Ok(Err(INVALID));
    };
    let ready = |issuer: TokenIssuer| Arc::new(Verifier::new(&issuer));
    let read = store
        .token_issuer(&token.organization_id)
        .map_ok(|issuer| issuer.map(ready));
    let verifier = verifiers
        .get_or_read(token.organization_id.clone(), now, read)
        .await?;
    Ok(verifier
        .ok_or(INVALID)
        .and_then(|verifier| verifier.verify(&token, now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_token_follows_the_scheme() {
        use UnauthorizedReason::{InvalidCredential, NoCredential, OtherScheme};
        for (header, expected) in [
            ("Bearer abc", Ok("abc")),
            ("bearer  abc ", Ok("abc")),
            ("", Err(NoCredential)),
            ("Bearer", Err(NoCredential)),
            ("Bearer ", Err(NoCredential)),
            ("Basic abc", Err(OtherScheme)),
            ("abc", Err(OtherScheme)),
            ("Bearerabc", Err(OtherScheme)),
            ("Bearer \u{e9}", Err(InvalidCredential)),
        ] {
            let header = HeaderValue::from_str(header).unwrap();
            assert_eq!(bearer(Some(&header)), expected, "{header:?}");
        }
        assert_eq!(bearer(None), Err(NoCredential));
    }

    /// Returns whether a principal with these networks may call from the address.
    fn allows(networks: &[&str], address: &str) -> bool {
        let org = OrganizationId::parse("org").unwrap();
        let principal = Principal {
            subject: Subject::of_token(&org, "sub"),
            organization_id: org,
            contract: Contract::Itsm,
            scopes: Vec::new(),
            allowed_networks: networks
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
            requests_a_minute: 1,
        };
        principal.allows_address(address.parse().ok())
    }

    /// Networks of a principal, with addresses inside and outside of them.
    const NETWORKS: [(&[&str], &[&str], &[&str]); 7] = [
        (
            &["192.0.2.0/24"],
            &["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.7"],
            &["192.0.3.0", "::"],
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
    ];
    /// Texts that are not an address.
    const NO_ADDRESSES: [&str; 5] = [
        "",
        "localhost",
        "192.0.2.7:443",
        "[::1]",
        "192.0.2.7, 192.0.2.7",
    ];

    #[test]
    fn principal_is_accepted_from_its_networks_only() {
        for (networks, inside, outside) in NETWORKS {
            for address in inside {
                assert!(allows(networks, address), "{address} is in {networks:?}");
                assert!(allows(&[], address));
            }
            for address in outside.iter().chain(&NO_ADDRESSES) {
                assert!(
                    !allows(networks, address),
                    "{address} is not in {networks:?}"
                );
                assert!(allows(&[], address), "without networks no address matters");
            }
        }
    }

    #[test]
    fn contract_follows_from_the_form_of_a_token() {
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
