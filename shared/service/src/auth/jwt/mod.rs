//! Tokens of the ITSM platform: JWTs (RFC 7519) that are signed with RS256.
//!
//! The client learns only one reason of an invalid token: the expiry, after the signature was
//! verified. No reason is logged, because a log must not contain parts of a token.

mod claims;
mod rs256;

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, dangerous::insecure_decode_claims, decode, decode_header,
};
use serde_json::{Map, Value};

use self::claims::Claims;
use super::Principal;
use muster_contracts::UnauthorizedReason;
use muster_domain::{OrganizationId, Timestamp, TokenIssuer, TokenKey};

/// The unverified organization and key id of a token. They only select the key.
pub(super) struct Unverified<'t> {
    token: &'t str,
    kid: Option<String>,
    pub(super) organization_id: OrganizationId,
}

impl<'t> Unverified<'t> {
    /// Parses a token with the algorithm RS256. `None` for any other text.
    pub(super) fn parse(token: &'t str) -> Option<Self> {
        let header = decode_header(token).ok()?;
        // `crit` lists extensions that a verifier must support (RFC 7515, 4.1.11). The library
        // ignores it, and Muster supports none.
        if header.alg != Algorithm::RS256 || header.crit.is_some() {
            return None;
        }
        // The claims must be an object: serde accepts a list for `Claims` too.
        let claims: Map<String, Value> = insecure_decode_claims(token).ok()?;
        let organization_id =
            OrganizationId::parse(claims.get("organizationId")?.as_str()?).ok()?;
        Some(Self {
            token,
            kid: header.kid,
            organization_id,
        })
    }
}

/// The prepared keys and rules of an organization's tokens.
pub struct Verifier {
    organization_id: OrganizationId,
    keys: Vec<(Option<String>, DecodingKey)>,
    validation: Validation,
}

impl Verifier {
    /// Prepares the keys and rules of an issuer.
    #[must_use]
    pub fn new(issuer: &TokenIssuer) -> Self {
        rs256::install();
        let TokenIssuer {
            organization_id,
            keys,
            issuer,
            audience,
            updated_at: _,
        } = issuer;
        let mut validation = Validation::new(Algorithm::RS256);
        // The library uses the system clock. `Claims::principal` compares with the time of the
        // request.
        validation.validate_exp = false;
        // The library accepts a token without a claim unless the claim is declared as required.
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        validation.validate_aud = audience.is_some();
        if let Some(audience) = audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        let prepared = |TokenKey { kid, key }: &TokenKey| {
            (
                kid.clone(),
                DecodingKey::from_rsa_raw_components(key.n(), key.e()),
            )
        };
        Self {
            organization_id: organization_id.clone(),
            keys: keys.as_slice().iter().map(prepared).collect(),
            validation,
        }
    }

    /// Verifies a token and returns its principal.
    ///
    /// # Errors
    /// The reason why the token is invalid at `now`.
    pub(super) fn verify(
        &self,
        token: &Unverified<'_>,
        now: Timestamp,
    ) -> Result<Principal, UnauthorizedReason> {
        let invalid = UnauthorizedReason::InvalidCredential;
        let key = self.key(token.kid.as_deref()).ok_or(invalid)?;
        let verified = decode::<Claims>(token.token, key, &self.validation).map_err(|_| invalid)?;
        verified.claims.principal(&self.organization_id, now)
    }

    /// Returns the key with an id. A token without a key id is valid if there is a single key.
    fn key(&self, kid: Option<&str>) -> Option<&DecodingKey> {
        match (kid, &self.keys[..]) {
            (None, [(_, only)]) => Some(only),
            (None, _) => None,
            (kid, keys) => keys
                .iter()
                .find(|(known, _)| known.as_deref() == kid)
                .map(|(_, key)| key),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use ring::{
        rand::SystemRandom,
        rsa::PublicKeyComponents,
        signature::{RSA_PKCS1_SHA256, RsaKeyPair},
    };
    use serde_json::json;

    use super::*;
    use muster_domain::{RsaPublicKey, TokenKeys};

    const NOW: Timestamp = Timestamp::from_secs(1_736_064_000);

    /// Returns a verifier and a valid token.
    fn verifier_and_token() -> (Verifier, String) {
        let pair =
            RsaKeyPair::from_pkcs8(include_bytes!("../../../../../tests/it/fixtures/rsa-a.pk8"))
                .unwrap();
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
        let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
        let issuer = TokenIssuer {
            organization_id: OrganizationId::parse("org").unwrap(),
            keys: TokenKeys::parse(vec![TokenKey {
                kid: None,
                key: RsaPublicKey::parse(&n, &e).unwrap(),
            }])
            .unwrap(),
            issuer: None,
            audience: None,
            updated_at: NOW,
        };
        let claims = json!({ "sub": "1", "organizationId": "org", "permissions": [], "exp": NOW.secs(), "jti": "1" });
        let message = [json!({ "alg": "RS256" }), claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        )
        .unwrap();
        (
            Verifier::new(&issuer),
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)),
        )
    }

    fn verify(verifier: &Verifier, token: &str) -> Option<Principal> {
        verifier.verify(&Unverified::parse(token)?, NOW).ok()
    }

    proptest! {
        #[test]
        fn token_with_a_changed_character_is_invalid(at in any::<prop::sample::Index>(), by in "[A-Za-z0-9_.=-]") {
            let (verifier, token) = verifier_and_token();
            prop_assert!(verify(&verifier, &token).is_some());
            let at = at.index(token.len());
            let changed = [&token[..at], &by, &token[at + 1..]].concat();
            prop_assert_eq!(verify(&verifier, &changed).is_some(), changed == token);
        }

        #[test]
        fn parsing_any_text_as_a_token_does_not_panic(
            header in r#"\{"alg":"(RS256|none)"(,"kid":.{0,5})?\}|.{0,20}"#,
            claims in r#"\{"organizationId":"[a-z]{0,3}".{0,9}\}|.{0,20}"#,
            rest in ".{0,9}",
        ) {
            let (verifier, _) = verifier_and_token();
            let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
            for token in [format!("{header}.{claims}.{rest}"), format!("{header}.{claims}"), rest] {
                prop_assert!(verify(&verifier, &token).is_none());
            }
        }
    }
}
