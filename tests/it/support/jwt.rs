//! Signs tokens like the ITSM platform, and invalid ones.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use muster_cli::commands::jwks;
use muster_domain::{OrganizationId, Timestamp, TokenIssuer};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair},
};
use serde_json::{Value, json};

use super::{Client, Organization};

/// Three key pairs for tests only: their private keys are public.
pub static SIGNERS: LazyLock<[Signer; 3]> = LazyLock::new(|| {
    [
        Signer::new("a", include_bytes!("../fixtures/rsa-a.pk8")),
        Signer::new("b", include_bytes!("../fixtures/rsa-b.pk8")),
        Signer::new("c", include_bytes!("../fixtures/rsa-c.pk8")),
    ]
});

/// A key pair that signs tokens.
pub struct Signer {
    kid: &'static str,
    pair: RsaKeyPair,
}

impl Signer {
    fn new(kid: &'static str, pkcs8: &[u8]) -> Self {
        Self {
            kid,
            pair: RsaKeyPair::from_pkcs8(pkcs8).expect("a fixture is a key"),
        }
    }

    /// Returns the public key under its kid.
    pub fn jwk(&self) -> Value {
        self.jwk_called(self.kid)
    }

    /// Returns the public key under another kid.
    pub fn jwk_called(&self, kid: &str) -> Value {
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(self.pair.public());
        let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
        json!({ "kty": "RSA", "kid": kid, "n": n, "e": e })
    }

    /// Returns the public key in PKCS#1.
    pub fn public_der(&self) -> &[u8] {
        self.pair.public().as_ref()
    }

    /// Returns the header of the tokens that this key signs.
    pub fn header(&self) -> Value {
        json!({ "typ": "JWT", "alg": "RS256", "kid": self.kid })
    }

    /// Returns a token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }

    /// Returns a token with this header, signed with RS256 independent of the header.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Returns a token of these two texts.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        assemble(header, claims, |message| {
            self.signature(&RSA_PKCS1_SHA256, message)
        })
    }

    /// Signs a message with this padding and hash.
    pub fn signature(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .expect("the key signs");
        signature
    }
}

/// Builds a token of this header and these claims, with the signature that `sign` returns.
pub fn assemble(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = [header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".");
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Returns claims with all permissions that are valid for an hour.
pub fn claims(organization: &OrganizationId, now: Timestamp) -> Value {
    json!({
        "sub": "usr_10000000-0000-4000-8000-000000000001",
        "organizationId": organization.as_str(),
        "permissions": ["teams:read:all", "teams:write:org", "teams:delete:org", "tickets:read:own"],
        "iat": now.secs(),
        "exp": now.secs() + 3600,
        "jti": "0b2ad1c6-9f0b-4f0e-9c0a-6d6a5f0f7b11",
    })
}

/// Replaces or adds claims. A null removes the claim.
pub fn with(mut claims: Value, changes: &Value) -> Value {
    let fields = claims.as_object_mut().expect("claims are an object");
    for (name, value) in changes.as_object().expect("changes are an object") {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    claims
}

impl Organization {
    /// Trusts tokens of these keys only, like the operator's command.
    pub async fn trust(&self, keys: &[Value]) {
        self.trust_only(keys, None, None).await;
    }

    /// Trusts tokens of these keys, of this issuer and for this audience only.
    pub async fn trust_only(&self, keys: &[Value], issuer: Option<&str>, audience: Option<&str>) {
        let keys = jwks::parse(&json!({ "keys": keys }).to_string()).expect("a valid JWKS");
        let issuer = TokenIssuer {
            organization_id: self.id.clone(),
            keys,
            issuer: issuer.map(str::to_owned),
            audience: audience.map(str::to_owned),
            updated_at: Timestamp::now(),
        };
        self.stack
            .store()
            .put_token_issuer(&issuer)
            .await
            .expect("keys can be written");
    }

    /// Trusts the first of the [`SIGNERS`] and returns a client with one of its tokens, with all
    /// permissions.
    pub async fn bearer(&self) -> Client {
        self.trust(&[SIGNERS[0].jwk()]).await;
        self.stack
            .client(&SIGNERS[0].sign(&claims(&self.id, Timestamp::now())))
    }
}
