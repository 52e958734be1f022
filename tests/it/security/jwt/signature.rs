//! The header and the signature of a token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    signature::{RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256},
};
use serde_json::json;

use super::{assert_accepted, assert_rejected, signers, valid_claims};
use crate::{
    security::auth::assert_unauthorized,
    support::{
        Stack,
        jwt::{assemble, with},
        response_shape::ErrorFormat,
    },
};

#[tokio::test]
async fn algorithm_other_than_rs256_is_rejected() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = valid_claims(&org).to_string();
    let header = |alg: &str| json!({ "typ": "JWT", "alg": alg, "kid": "a" }).to_string();
    assert_accepted(&org, &signer.sign_text(&header("RS256"), &claims), "RS256").await;

    for alg in ["none", "None", "NONE", "nOnE", ""] {
        assert_rejected(&org, &assemble(&header(alg), &claims, |_| Vec::new()), alg).await;
        assert_rejected(&org, &signer.sign_text(&header(alg), &claims), alg).await;
    }
    // The public key used as a shared secret, in each of its encodings.
    let jwk = signer.jwk();
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let written = [
        signer.public_der(),
        &n,
        jwk["n"].as_str().unwrap().as_bytes(),
        jwk.to_string().as_bytes(),
        b"",
    ]
    .map(<[u8]>::to_vec);
    for secret in &written {
        for (alg, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let sign = |message: &[u8]| {
                hmac::sign(&hmac::Key::new(algorithm, secret), message)
                    .as_ref()
                    .to_vec()
            };
            assert_rejected(&org, &assemble(&header(alg), &claims, sign), alg).await;
            assert_rejected(&org, &assemble(&header("RS256"), &claims, sign), alg).await;
        }
    }
    // The right key with another RSA algorithm, under its own name and as RS256.
    let others: [(&str, &'static dyn ring::signature::RsaEncoding); 3] = [
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
    ];
    for (alg, encoding) in others {
        for reported in [alg, "RS256"] {
            let token = assemble(&header(reported), &claims, |message| {
                signer.signature(encoding, message)
            });
            assert_rejected(&org, &token, &format!("{alg} under the name {reported}")).await;
        }
    }
    for alg in [
        "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256", "RS256 ", "RSA256", "HS256",
    ] {
        assert_rejected(&org, &signer.sign_text(&header(alg), &claims), alg).await;
    }
}

#[tokio::test]
async fn header_is_validated_strictly() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = valid_claims(&org);
    for header in [
        json!({ "alg": "RS256" }),
        json!({ "alg": "RS256", "kid": "a" }),
        json!({ "alg": "RS256", "kid": "a", "typ": "at+jwt", "cty": "JWT", "more": { "of": ["this"] } }),
        // URLs of keys in the header are ignored.
        json!({ "alg": "RS256", "kid": "a", "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u" }),
    ] {
        assert_accepted(
            &org,
            &signer.sign_with(&header, &claims),
            &header.to_string(),
        )
        .await;
    }
    for header in [
        json!({}),
        json!({ "kid": "a" }),
        json!({ "alg": null, "kid": "a" }),
        json!({ "alg": 256, "kid": "a" }),
        json!({ "alg": ["RS256"], "kid": "a" }),
        json!({ "ALG": "RS256", "kid": "a" }),
        json!({ "alg": "RS256", "kid": 1 }),
        json!({ "alg": "RS256", "kid": ["a"] }),
        json!({ "alg": "RS256", "kid": "" }),
        json!({ "alg": "RS256", "kid": "A" }),
        json!({ "alg": "RS256", "kid": "b" }),
        json!({ "alg": "RS256", "kid": "a", "crit": ["exp"] }),
        json!({ "alg": "RS256", "kid": "a", "crit": [] }),
        json!({ "alg": "RS256", "kid": "a", "crit": ["b64"], "b64": false }),
        json!(["RS256", "a"]),
        json!("RS256"),
        json!(null),
    ] {
        assert_rejected(
            &org,
            &signer.sign_with(&header, &claims),
            &header.to_string(),
        )
        .await;
    }
    for header in [
        "",
        "{",
        "{}}",
        "{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"a\"}",
        "\u{0}",
    ] {
        let token = signer.sign_text(header, &claims.to_string());
        let error_format = if header.is_empty() {
            ErrorFormat::Either
        } else {
            ErrorFormat::Itsm
        };
        assert_unauthorized(
            &org.stack.client(&token).get("/v1/teams").await,
            error_format,
            header,
        );
    }
}

#[tokio::test]
async fn untrusted_key_in_the_header_is_rejected() {
    let org = Stack::shared().organization().await;
    let (signer, untrusted) = signers();
    org.trust(&[signer.jwk()]).await;
    let claims = valid_claims(&org);
    for header in [
        json!({ "alg": "RS256", "kid": "a", "jwk": untrusted.jwk() }),
        json!({ "alg": "RS256", "jwk": untrusted.jwk() }),
        json!({ "alg": "RS256", "kid": "b", "jwk": untrusted.jwk() }),
        json!({ "alg": "RS256", "kid": "a" }),
        json!({ "alg": "RS256" }),
    ] {
        assert_rejected(
            &org,
            &untrusted.sign_with(&header, &claims),
            &header.to_string(),
        )
        .await;
    }
}

#[tokio::test]
async fn modified_token_is_rejected() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let token = signer.sign(&with(
        valid_claims(&org),
        &json!({ "permissions": ["teams:read:org"] }),
    ));
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    assert_accepted(&org, &token, "as it was signed").await;

    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    for changes in [
        json!({ "permissions": ["teams:delete:org"] }),
        json!({ "sub": "usr_2" }),
        json!({ "exp": 4_000_000_000_u64 }),
        json!({ "jti": null }),
    ] {
        let changed = encode(with(valid_claims(&org), &changes).to_string().as_bytes());
        assert_rejected(
            &org,
            &format!("{header}.{changed}.{signature}"),
            &changes.to_string(),
        )
        .await;
    }
    let respelt = encode(format!("{} ", json!({ "alg": "RS256", "kid": "a" })).as_bytes());
    assert_rejected(
        &org,
        &format!("{respelt}.{payload}.{signature}"),
        "the header",
    )
    .await;
}

#[tokio::test]
async fn modified_signature_is_rejected() {
    let org = Stack::shared().organization().await;
    let (signer, _) = signers();
    org.trust(&[signer.jwk()]).await;
    let token = signer.sign(&with(
        valid_claims(&org),
        &json!({ "permissions": ["teams:read:org"] }),
    ));
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        encode(&bytes)
    };
    let other = signer.sign(&valid_claims(&org));
    for (context, bad) in [
        ("the first bit", changed(0)),
        ("a bit in between", changed(100)),
        ("the last bit", changed(255)),
        ("no signature", String::new()),
        ("cut short", encode(&bytes[..255])),
        ("too long", encode(&[&bytes[..], &[0]].concat())),
        ("zeros before", encode(&[&[0][..], &bytes].concat())),
        ("zeros", encode(&[0; 256])),
        ("one", encode(&[&[0; 255][..], &[1]].concat())),
        ("ones", encode(&[0xff; 256])),
        (
            "another token's",
            other.rsplit('.').next().unwrap().to_owned(),
        ),
        ("padded", format!("{signature}=")),
        ("padded twice", format!("{signature}==")),
        (
            "other bits than base64url's",
            format!("{}_", &signature[..signature.len() - 1]),
        ),
    ] {
        assert_rejected(&org, &format!("{header}.{payload}.{bad}"), context).await;
    }
    for (context, bad) in [
        ("a part more", format!("{token}.{signature}")),
        ("a part less", format!("{header}.{payload}")),
        (
            "another alphabet",
            format!("{header}.{payload}+/.{signature}"),
        ),
        ("an empty payload", format!("{header}..{signature}")),
        ("commas", token.replace('.', ",")),
        ("in quotes", format!("\"{token}\"")),
    ] {
        let response = org.stack.client(&bad).get("/v1/teams").await;
        assert_unauthorized(&response, ErrorFormat::Either, context);
    }
}
