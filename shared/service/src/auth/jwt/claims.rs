//! The claims of a token with a verified signature.

use std::time::Duration;

use serde::Deserialize;

use crate::auth::Principal;
use muster_contracts::UnauthorizedReason;
use muster_domain::{Contract, OrganizationId, Scope, Subject, Timestamp};

/// The accepted difference between the clocks of the issuer and of Muster.
const SKEW: Duration = Duration::from_mins(1);

/// The rate limit of a user's tokens, in requests per clock minute.
const REQUESTS_A_MINUTE: u32 = 2_000;

/// The required claims, and the optional ones that are checked. No `Debug`, so that they cannot be
/// logged.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    #[serde(rename = "organizationId")]
    organization_id: String,
    permissions: Vec<String>,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    /// Required by the document, and not used.
    #[serde(rename = "jti")]
    _jti: String,
    /// Compared by the library, which also accepts a list. The type rejects a list.
    #[serde(rename = "iss")]
    _iss: Option<String>,
}

/// Seconds since the epoch, or fractions of them (RFC 7519, 2).
#[derive(Clone, Copy, Deserialize)]
struct NumericDate(f64);

impl NumericDate {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a value out of range saturates"
    )]
    fn timestamp(self) -> Timestamp {
        Timestamp::from_millis((self.0 * 1000.0).round() as i64)
    }
}

impl Claims {
    /// Returns the principal of a token of this organization.
    ///
    /// # Errors
    /// The token has expired at `now`, or is invalid for another reason.
    pub(super) fn principal(
        self,
        organization_id: &OrganizationId,
        now: Timestamp,
    ) -> Result<Principal, UnauthorizedReason> {
        let Self {
            sub,
            organization_id: claimed,
            permissions,
            exp,
            nbf,
            _jti: _,
            _iss: _,
        } = self;
        let has_begun = nbf.is_none_or(|nbf| nbf.timestamp() <= now.plus(SKEW));
        let has_ended = exp.timestamp().plus(SKEW) <= now;
        if claimed != organization_id.as_str() || !has_begun {
            return Err(UnauthorizedReason::InvalidCredential);
        }
        if has_ended {
            return Err(UnauthorizedReason::TokenExpired);
        }
        let granted: Vec<_> = permissions
            .iter()
            .filter_map(|permission| granted(permission))
            .collect();
        Ok(Principal {
            organization_id: organization_id.clone(),
            contract: Contract::Itsm,
            scopes: Scope::ALL
                .into_iter()
                .filter(|scope| granted.contains(scope))
                .collect(),
            subject: Subject::of_token(organization_id, &sub),
            allowed_networks: Vec::new(),
            requests_a_minute: REQUESTS_A_MINUTE,
        })
    }
}

/// Returns the scope of a permission `resource:action:scope`, if the permission covers the whole
/// organization.
fn granted(permission: &str) -> Option<Scope> {
    let (scope, reach) = permission.rsplit_once(':')?;
    if matches!(reach, "org" | "all") {
        Scope::parse(scope)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn org() -> OrganizationId {
        OrganizationId::parse("org").unwrap()
    }

    fn good() -> Value {
        json!({
            "sub": "usr_1", "organizationId": "org", "permissions": ["teams:read:org"], "exp": 1000, "jti": "1", "iat": 900,
        })
    }

    /// Returns valid claims with changes.
    fn with(changes: &Value) -> Value {
        let mut claims = good();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn principal_at(claims: &Value, now: Timestamp) -> Option<Principal> {
        serde_json::from_str::<Claims>(&claims.to_string())
            .ok()?
            .principal(&org(), now)
            .ok()
    }

    fn principal(claims: &Value) -> Option<Principal> {
        principal_at(claims, Timestamp::from_secs(950))
    }

    #[test]
    fn token_is_an_itsm_principal_of_its_organization() {
        let expected = Principal {
            organization_id: org(),
            contract: Contract::Itsm,
            scopes: vec![Scope::TeamsRead],
            subject: Subject::of_token(&org(), "usr_1"),
            allowed_networks: Vec::new(),
            requests_a_minute: 2_000,
        };
        assert_eq!(principal(&good()), Some(expected));
        assert_eq!(
            principal(&with(&json!({ "organizationId": "other" }))),
            None
        );
        let more = json!({ "iss": "any-issuer", "aud": 7, "name": "Alex", "nbf": null, "iat": "yesterday" });
        assert_eq!(
            principal(&with(&more)),
            principal(&good()),
            "other claims are ignored"
        );
    }

    #[test]
    fn claims_are_present_and_of_their_types() {
        for name in ["sub", "organizationId", "permissions", "exp", "jti"] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(principal(&claims), None, "without {name}");
            for wrong in [
                json!(null),
                json!(true),
                json!({}),
                json!([7]),
                json!([[]]),
                json!([null]),
            ] {
                assert_eq!(
                    principal(&with(&json!({ name: wrong }))),
                    None,
                    "{name}: {wrong}"
                );
            }
            if name != "exp" {
                assert_eq!(principal(&with(&json!({ name: 7 }))), None, "{name}");
            }
            if !["sub", "organizationId", "jti"].contains(&name) {
                assert_eq!(principal(&with(&json!({ name: "1000" }))), None, "{name}");
            }
            let twice =
                good()
                    .to_string()
                    .replacen('{', &format!("{{\"{name}\":{},", good()[name]), 1);
            assert!(
                serde_json::from_str::<Claims>(&twice).is_err(),
                "{name} twice"
            );
        }
        for (name, wrong) in [
            ("nbf", json!("900")),
            ("nbf", json!([900])),
            ("iss", json!(["a"])),
            ("iss", json!(7)),
        ] {
            assert_eq!(
                principal(&with(&json!({ name: wrong }))),
                None,
                "{name}: {wrong}"
            );
        }
    }

    #[test]
    fn token_expires_a_minute_after_exp() {
        let at = |exp: Value, millis| {
            principal_at(
                &with(&json!({ "exp": exp })),
                Timestamp::from_millis(millis),
            )
            .is_some()
        };
        assert!(at(json!(1000), 1_059_999));
        assert!(!at(json!(1000), 1_060_000));
        assert!(at(json!(1000.5), 1_060_499));
        assert!(!at(json!(1000.5), 1_060_500));
        assert!(at(json!(1000), 0));
        for (never, always) in [(0.0, 1e300), (-1.0, f64::MAX), (-1e300, 253_402_300_800.0)] {
            assert!(
                !at(json!(never), 60_000) && at(json!(always), 253_402_300_799_999),
                "{never} {always}"
            );
        }
        assert!(at(json!(u64::MAX), i64::MAX - 1) && !at(json!(i64::MIN), 0));
    }

    #[test]
    fn expiry_is_named_for_own_tokens_that_have_begun() {
        let reason = |changes: &Value| {
            let claims: Claims = serde_json::from_str(&with(changes).to_string()).unwrap();
            claims.principal(&org(), Timestamp::from_secs(1_060))
        };
        let invalid = Err(UnauthorizedReason::InvalidCredential);
        assert_eq!(reason(&json!({})), Err(UnauthorizedReason::TokenExpired));
        assert_eq!(reason(&json!({ "organizationId": "other" })), invalid);
        assert_eq!(reason(&json!({ "nbf": 1_200 })), invalid);
    }

    #[test]
    fn token_is_valid_a_minute_before_nbf() {
        let at = |nbf: Value, millis| {
            let claims = with(&json!({ "nbf": nbf, "exp": 1e10 }));
            principal_at(&claims, Timestamp::from_millis(millis)).is_some()
        };
        assert!(!at(json!(1000), 939_999));
        assert!(at(json!(1000), 940_000));
        assert!(!at(json!(1000.5), 940_499));
        assert!(at(json!(1000.5), 940_500));
        assert!(at(json!(-1e300), 0) && at(json!(null), 0));
        assert!(!at(json!(1e300), 253_402_300_799_999));
    }

    #[test]
    fn permission_of_the_whole_organization_is_a_scope() {
        let scopes = |permissions: &[&str]| {
            principal(&with(&json!({ "permissions": permissions })))
                .unwrap()
                .scopes
        };
        assert_eq!(scopes(&[]), []);
        assert_eq!(scopes(&["teams:read:all"]), [Scope::TeamsRead]);
        assert_eq!(
            scopes(&["teams:delete:org", "teams:write:all", "teams:write:org"]),
            [Scope::TeamsWrite, Scope::TeamsDelete]
        );
        for permission in [
            "",
            ":",
            "::",
            "::org",
            "org",
            "teams:org",
            "teams:read",
            "teams:read:",
            "teams:read:own",
            "teams:read:team",
            "teams:read:ORG",
            "Teams:read:org",
            "teams:read:org:x",
            "teams:read:x:org",
            "teams:read:org:all",
            "x:teams:read:org",
            "teams:read: org",
            " teams:read:org",
            "teams:read:org ",
            "teams:*:org",
            "*:*:all",
            "tickets:read:org",
            "teams:admin:org",
        ] {
            assert_eq!(scopes(&[permission]), [], "{permission:?}");
        }
    }

    proptest! {
        /// The scopes are exactly those with a permission for the whole organization.
        #[test]
        fn scopes_follow_from_permissions(
            permissions in prop::collection::vec("(teams|tickets):(read|write|delete|all)(:(org|all|own|team|)){0,2}|.{0,12}", 0..8),
        ) {
            let has = |scope: Scope| ["org", "all"].iter().any(|reach| {
                permissions.iter().any(|permission| *permission == format!("{}:{reach}", scope.as_str()))
            });
            let expected: Vec<_> = Scope::ALL.into_iter().filter(|scope| has(*scope)).collect();
            prop_assert_eq!(principal(&with(&json!({ "permissions": permissions }))).unwrap().scopes, expected);
        }

        /// The comparison has millisecond precision and a tolerance of one minute.
        #[test]
        fn exp_and_nbf_are_compared_with_skew(exp in 0..4_000_000_000_i64, nbf in 0..4_000_000_000_i64, off in -120_000..120_000_i64) {
            let claims = with(&json!({ "exp": exp, "nbf": nbf }));
            for around in [exp, nbf] {
                let now = around * 1000 + off;
                let good = now < exp * 1000 + 60_000 && now >= nbf * 1000 - 60_000;
                prop_assert_eq!(principal_at(&claims, Timestamp::from_millis(now)).is_some(), good);
            }
        }

        /// A token of another organization is invalid. One user of two organizations is two
        /// subjects.
        #[test]
        fn principal_needs_its_own_organization(sub in ".{0,40}", claimed in "[a-z]{1,3}", org in "[a-z]{1,3}") {
            let claims = with(&json!({ "sub": sub, "organizationId": claimed }));
            let claims: Claims = serde_json::from_str(&claims.to_string()).unwrap();
            let org = OrganizationId::parse(&org).unwrap();
            let principal = claims.principal(&org, Timestamp::from_secs(950));
            prop_assert_eq!(principal.is_ok(), claimed == org.as_str());
            if let Ok(principal) = principal {
                prop_assert_eq!(principal.subject, Subject::of_token(&org, &sub));
                prop_assert_eq!(principal.organization_id, org);
            }
        }
    }
}
