//! `muster jwks`.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

use crate::support::{Dev, PATIENCE, assert_fails, file, json_lines, on, stderr, stdout, succeeds};

/// Returns an RSA key of this size as a JWK. Its private half does not exist.
pub fn jwk(kid: &str, bits: usize) -> Value {
    json!({ "kty": "RSA", "kid": kid, "n": URL_SAFE_NO_PAD.encode(vec![0xff; bits / 8]), "e": "AQAB" })
}

/// Returns a signing key as a JWK, and a token by it for an organization.
fn signed(organization: &str) -> (Value, String) {
    let pair = RsaKeyPair::from_pkcs8(include_bytes!("../../../tests/it/fixtures/rsa-a.pk8"))
        .expect("a key");
    let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
    let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
    let claims = json!({
        "sub": "usr_1",
        "organizationId": organization,
        "permissions": ["teams:read:org"],
        "exp": 32_503_680_000_u64,
        "jti": "1",
        "iss": "https://id.acme.example",
        "aud": ["teams-api"],
    });
    let header = json!({ "alg": "RS256", "kid": "a" });
    let message = [header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .expect("the key signs");
    let jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "a", "n": n, "e": e });
    (
        jwk,
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)),
    )
}

/// Sets the keys of the demo organization, with more arguments.
fn set(dev: &Dev, keys: &Value, more: &[&str]) -> String {
    let content = json!({ "keys": keys, "cached_until": 7 });
    let (_folder, path) = file(format!("\u{feff}{content}"));
    let organization = dev.text("/organization_id");
    let set = ["jwks", "set", "--organization", organization, &path];
    succeeds(dev, &[&set[..], more].concat())
}

/// Asserts that a text has each of these lines.
#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|other| other == *line),
            "{line:?} is not in:\n{text}"
        );
    }
}

#[tokio::test]
async fn jwks_set_makes_functions_accept_tokens() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let (trusted, token) = signed(organization);
    assert_eq!(dev.list(&token).await.0, StatusCode::UNAUTHORIZED);
    let printed = set(&dev, &json!([trusted, jwk("b", 4096)]), &[]);
    assert!(
        printed.contains("these 2 keys") && printed.contains("60 seconds"),
        "{printed}"
    );
    // The function caches for some seconds that there were no keys.
    let deadline = Instant::now() + PATIENCE;
    while dev.list(&token).await.0 != StatusCode::OK {
        assert!(Instant::now() < deadline, "the keys do not count");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn jwks_show_prints_the_keys_that_set_accepts() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let (trusted, _) = signed(organization);
    set(&dev, &json!([trusted, jwk("b", 4096)]), &[]);
    let show = ["jwks", "show", "--organization", organization];
    let shown = succeeds(&dev, &show);
    assert_lines(
        &shown,
        &[
            "Issuer:    any",
            "Audience:  any",
            "BITS  KID",
            "2048  a",
            "4096  b",
        ],
    );
    // `jwks set` accepts the JSON output of `jwks show`.
    let shown = succeeds(&dev, &[&show[..], &["--json"]].concat());
    let (_folder, path) = file(&shown);
    succeeds(&dev, &["jwks", "set", "--organization", "org_again", &path]);
    let again = json_lines(&succeeds(
        &dev,
        &["jwks", "show", "--organization", "org_again", "--json"],
    ))
    .remove(0);
    let shown = json_lines(&shown).remove(0);
    assert_eq!(
        (&shown["keys"], &shown["issuer"], &shown["audience"]),
        (&again["keys"], &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&shown["keys"][0], &shown["organization_id"]),
        (&trusted, &json!(organization))
    );
}

#[tokio::test]
async fn jwks_set_replaces_keys_issuer_and_audience() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let (trusted, token) = signed(organization);
    set(&dev, &json!([trusted, jwk("b", 4096)]), &[]);
    let show = ["jwks", "show", "--organization", organization];
    // The whole set is replaced, with issuer and audience.
    let printed = set(
        &dev,
        &json!([trusted]),
        &[
            "--issuer",
            "https://id.acme.example",
            "--audience",
            "teams-api",
        ],
    );
    assert!(printed.contains("this key"), "{printed}");
    let shown = succeeds(&dev, &show);
    assert_lines(
        &shown,
        &[
            "Issuer:    https://id.acme.example",
            "Audience:  teams-api",
            "2048  a",
        ],
    );
    assert!(!shown.contains("4096"), "{shown}");
    assert_eq!(dev.list(&token).await.0, StatusCode::OK);
}

#[tokio::test]
async fn jwks_remove_deletes_the_keys() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    set(&dev, &json!([jwk("a", 2048)]), &[]);
    let show = ["jwks", "show", "--organization", organization];
    let remove = ["jwks", "remove", "--yes", "--organization", organization];
    let unconfirmed = on(&dev, &["jwks", "remove", "--organization", organization]);
    assert_fails(&unconfirmed, &["Remove the 1 keys", organization, "--yes"]);
    assert!(succeeds(&dev, &remove).contains("60 seconds"));
    for gone in [&remove[..], &show] {
        assert_fails(
            &on(&dev, gone),
            &[organization, "no keys for tokens", "muster jwks set"],
        );
    }
    let key = dev.text("/keys/itsm/admin");
    assert_eq!(
        dev.list(key).await.0,
        StatusCode::OK,
        "keys of the API are another matter"
    );
}

/// An RSA key with changed members.
fn changed(changes: &Value) -> Value {
    let mut key = jwk("a", 2048);
    for (name, value) in changes.as_object().expect("an object") {
        key[name] = value.clone();
    }
    key
}

/// An RSA key without a member.
fn without(member: &str) -> Value {
    let mut key = jwk("a", 2048);
    key.as_object_mut().expect("an object").remove(member);
    key
}

/// Files that are not a key set, each with words of the error.
fn malformed_files() -> Vec<(String, Vec<&'static str>)> {
    vec![
        (String::new(), vec!["not JSON"]),
        ("-----BEGIN PUBLIC KEY-----".to_owned(), vec!["not JSON"]),
        ("[]".to_owned(), vec!["not a JWKS"]),
        (jwk("a", 2048).to_string(), vec!["not a JWKS", "keys"]),
        (
            json!({ "keys": jwk("a", 2048) }).to_string(),
            vec!["not a JWKS", "keys"],
        ),
    ]
}

/// Key sets with an invalid key, each with words of the error.
fn invalid_keys() -> Vec<(Value, Vec<&'static str>)> {
    let many: Vec<_> = (0..21).map(|n| jwk(&n.to_string(), 2048)).collect();
    vec![
        (json!([]), vec!["0 keys", "1 to 20"]),
        (json!(many), vec!["21 keys", "1 to 20"]),
        (json!(["a"]), vec!["key 1", "not a JSON object"]),
        (
            json!([jwk("a", 2048), jwk("a", 3072)]),
            vec!["kid", "\"a\""],
        ),
        (
            json!([jwk("a", 2048), without("kid")]),
            vec!["key 2", "no kid"],
        ),
        (
            json!([jwk("a", 1024)]),
            vec!["key 1", "1024 bits", "2048 to 8192"],
        ),
        (
            json!([jwk("a", 2048), jwk("b", 8200)]),
            vec!["key 2", "8200 bits"],
        ),
        (json!([without("kty")]), vec!["kty is missing"]),
        (json!([without("n")]), vec!["n is missing"]),
        (json!([without("e")]), vec!["e is missing"]),
        (
            json!([changed(&json!({ "n": 7 }))]),
            vec!["n is not a string"],
        ),
        (
            json!([changed(&json!({ "n": "+/+/" }))]),
            vec!["n must be base64url"],
        ),
        (
            json!([changed(&json!({ "e": "AQAB==" }))]),
            vec!["e must be base64url"],
        ),
        (
            json!([changed(&json!({ "e": "AA" }))]),
            vec!["e must be odd"],
        ),
        (
            json!([changed(&json!({ "kid": 7 }))]),
            vec!["kid is not a string"],
        ),
        (
            json!([changed(&json!({ "kid": "a\u{1b}[2J" }))]),
            vec!["kid", "control"],
        ),
    ]
}

/// Key sets with a key for another use, each with words of the error.
fn keys_of_other_kinds() -> Vec<(Value, Vec<&'static str>)> {
    vec![
        (
            json!([jwk("a", 2048), { "kty": "EC", "crv": "P-256", "x": "x", "y": "y" }]),
            vec!["key 2", "\"EC\"", "RSA"],
        ),
        (
            json!([{ "kty": "OKP", "crv": "Ed25519", "x": "x" }]),
            vec!["\"OKP\""],
        ),
        (json!([changed(&json!({ "kty": "rsa" }))]), vec!["\"rsa\""]),
        (
            json!([changed(&json!({ "use": "enc" }))]),
            vec!["use", "\"enc\"", "\"sig\""],
        ),
        (
            json!([changed(&json!({ "alg": "RS384" }))]),
            vec!["alg", "\"RS384\"", "\"RS256\""],
        ),
        (
            json!([changed(&json!({ "alg": "PS256" }))]),
            vec!["\"PS256\""],
        ),
        (
            json!([changed(&json!({ "alg": "RSA-OAEP" }))]),
            vec!["\"RSA-OAEP\""],
        ),
    ]
}

/// Key sets with a private member, each with words of the error.
fn private_keys() -> Vec<(Value, Vec<&'static str>)> {
    let parts = ["d", "p", "q", "dp", "dq", "qi", "oth"].map(|part| {
        let key = changed(&json!({ "kid": "b", (part): "c2VjcmV0" }));
        let words = vec!["key 2", "private", "remove the private members"];
        (json!([jwk("a", 2048), key]), words)
    });
    let symmetric = json!([{ "kty": "oct", "k": "c2VjcmV0" }]);
    parts
        .into_iter()
        .chain([(symmetric, vec!["private"])])
        .collect()
}

#[test]
fn jwks_file_without_public_keys_is_rejected() {
    let dev = Dev::in_memory();
    let sets = [invalid_keys(), keys_of_other_kinds(), private_keys()].concat();
    let sets = sets
        .into_iter()
        .map(|(keys, words)| (json!({ "keys": keys }).to_string(), words));
    let cases = malformed_files().into_iter().chain(sets);
    for (content, words) in cases {
        let (_folder, path) = file(&content);
        let output = on(&dev, &["jwks", "set", "--organization", "o", &path]);
        assert_fails(&output, &[&[path.as_str()], &words[..]].concat());
        assert!(!stderr(&output).contains("c2VjcmV0"), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    assert_fails(
        &on(
            &dev,
            &["jwks", "set", "--organization", "o", "/no/such/file.json"],
        ),
        &["/no/such/file.json"],
    );
    let (_folder, path) = file([0xff, 0xfe]);
    assert_fails(
        &on(&dev, &["jwks", "set", "--organization", "o", &path]),
        &[&path, "UTF-8"],
    );
    assert_fails(
        &on(&dev, &["jwks", "show", "--organization", "o"]),
        &["no keys for tokens"],
    );
}
