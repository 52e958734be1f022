//! The operator's commands as somebody runs them, on the table of a local stack.

use std::{
    fs,
    path::PathBuf,
    process::Output,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::support::{Dev, PATIENCE, assert_fails, muster, run, stderr, stdout};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

/// Runs a command on the table of a stack.
fn on(dev: &Dev, arguments: &[&str]) -> Output {
    at(dev.dynamodb_url(), arguments)
}

fn at(endpoint: &str, arguments: &[&str]) -> Output {
    let mut command = muster(arguments);
    command.args(["--endpoint-url", endpoint]);
    run(command)
}

/// Runs a command that should succeed, and gives what it said.
#[track_caller]
fn succeeds(dev: &Dev, arguments: &[&str]) -> String {
    let output = on(dev, arguments);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output)
}

/// The JSON of each line.
fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

#[test]
fn a_table_is_created_once() {
    let dev = Dev::in_memory();
    let create = ["table", "create", "--table", "mine"];
    assert_eq!(succeeds(&dev, &create), "Created the table mine.\n");
    assert!(succeeds(&dev, &create).contains("exists already"));
    assert_eq!(
        succeeds(
            &dev,
            &["keys", "list", "--organization", "org", "--table", "mine"]
        ),
        ""
    );
    let mut command = muster(["table", "create", "--endpoint-url", dev.dynamodb_url()]);
    command.env("TABLE_NAME", "from-the-environment");
    assert_eq!(
        stdout(&run(command)),
        "Created the table from-the-environment.\n"
    );
}

#[tokio::test]
async fn a_key_is_shown_once_and_works() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    for (kind, may_write) in [
        ("tt_admin", true),
        ("tt_live", true),
        ("tt_agent", false),
        ("tt_ro", false),
        ("itsm", true),
    ] {
        let create = [
            "keys",
            "create",
            "--organization",
            organization,
            "--kind",
            kind,
            "--name",
            kind,
        ];
        let output = on(&dev, &create);
        let (key, note) = (stdout(&output), stderr(&output));
        let key = key.strip_suffix('\n').unwrap();
        assert!(
            key.starts_with(&format!("{kind}_")) && !key.contains(char::is_whitespace),
            "the key and nothing else"
        );
        assert!(note.contains("only time") && !note.contains(key), "{note}");
        assert_eq!(
            note.contains("until it is revoked"),
            kind != "tt_ro",
            "{note}"
        );

        assert_eq!(dev.list(key).await.0, StatusCode::OK, "{kind}");
        let written = dev.post(key, "/v1/teams", &json!({ "name": kind })).await.0;
        assert_eq!(
            written,
            if may_write {
                StatusCode::CREATED
            } else {
                StatusCode::FORBIDDEN
            },
            "{kind}"
        );

        for list in [vec!["keys", "list"], vec!["keys", "list", "--json"]] {
            let listed = succeeds(
                &dev,
                &[&list[..], &["--organization", organization]].concat(),
            );
            assert!(listed.contains(kind), "{listed}");
            assert!(
                !listed.contains(key) && !listed.contains(&key[kind.len() + 1..]),
                "{kind}: the list shows it again"
            );
        }
    }
}

#[tokio::test]
async fn keys_are_described_in_json() {
    let dev = Dev::in_memory();
    let organization = "org_json";
    let create = [
        "keys",
        "create",
        "--organization",
        organization,
        "--kind",
        "tt_live",
        "--scopes",
        "teams:read,teams:delete",
        "--name",
        "it's \"mine\"",
        "--allow-from",
        "127.0.0.0/8,2001:db8::7",
        "--expires-in",
        "90m",
        "--json",
    ];
    let created = json_lines(&succeeds(&dev, &create));
    let [created] = &created[..] else {
        panic!("one line")
    };
    assert_eq!(created["kind"], "tt_live");
    assert_eq!(created["contract"], "toptickets");
    assert_eq!(created["organization_id"], organization);
    assert_eq!(created["scopes"], json!(["teams:read", "teams:delete"]));
    assert_eq!(
        created["allowed_networks"],
        json!(["127.0.0.0/8", "2001:db8::7/128"])
    );
    assert_eq!(created["name"], "it's \"mine\"");
    assert_eq!(created["revoked_at"], Value::Null);
    assert!(created["expires_at"].as_str().unwrap() > created["created_at"].as_str().unwrap());
    let key = created["key"].as_str().unwrap();
    assert_eq!(dev.list(key).await.0, StatusCode::OK);
    let refused = dev.post(key, "/v1/teams", &json!({ "name": "x" })).await;
    assert_eq!(
        refused.0,
        StatusCode::FORBIDDEN,
        "the scope was not asked for: {refused:?}"
    );

    let listed = json_lines(&succeeds(
        &dev,
        &["keys", "list", "--organization", organization, "--json"],
    ));
    let mut expected = created.clone();
    expected.as_object_mut().unwrap().remove("key");
    assert_eq!(listed, [expected]);
}

#[tokio::test]
async fn a_key_is_good_from_its_networks_alone() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let create = |name: &str, allow_from: &[&str]| {
        let create = [
            "keys",
            "create",
            "--organization",
            organization,
            "--kind",
            "itsm",
            "--name",
            name,
        ];
        let output = on(&dev, &[&create[..], allow_from].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        (stdout(&output).trim_end().to_owned(), stderr(&output))
    };
    for (name, allow_from, from, status) in [
        ("any", &[][..], "anywhere", StatusCode::OK),
        (
            "here",
            &["--allow-from", "127.0.0.1"],
            "127.0.0.1/32",
            StatusCode::OK,
        ),
        (
            "elsewhere",
            &["--allow-from", "192.0.2.0/24"],
            "192.0.2.0/24",
            StatusCode::FORBIDDEN,
        ),
        (
            "both",
            &["--allow-from", "192.0.2.0/24,127.0.0.0/8"],
            "192.0.2.0/24,127.0.0.0/8",
            StatusCode::OK,
        ),
        (
            "repeated",
            &["--allow-from", "::1", "--allow-from", "2001:db8::/32"],
            "::1/128,2001:db8::/32",
            StatusCode::FORBIDDEN,
        ),
    ] {
        let (key, note) = create(name, allow_from);
        assert!(note.ends_with(&format!(", from {from}.\n")), "{note}");
        assert_eq!(dev.list(&key).await.0, status, "{name}");
        let listed = succeeds(&dev, &["keys", "list", "--organization", organization]);
        let line = listed
            .lines()
            .find(|line| line.ends_with(&format!(" {name}")))
            .expect("it is listed");
        assert!(line.contains(&format!(" {from} ")), "{listed}");
    }
    for (network, why) in [
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("office", "2001:db8::/32"),
    ] {
        let create = [
            "keys",
            "create",
            "--organization",
            organization,
            "--kind",
            "itsm",
            "--allow-from",
            network,
        ];
        let output = on(&dev, &create);
        assert_eq!(output.status.code(), Some(2), "{network}");
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
}

#[test]
fn a_kind_bounds_the_scopes_and_the_time() {
    let dev = Dev::in_memory();
    for kind in ["tt_ro", "tt_agent"] {
        for scopes in ["teams:write", "teams:read,teams:delete"] {
            let create = [
                "keys",
                "create",
                "--organization",
                "o",
                "--kind",
                kind,
                "--scopes",
                scopes,
            ];
            assert_fails(&on(&dev, &create), &[kind, "may not carry", "--kind"]);
        }
    }
    assert_eq!(
        succeeds(&dev, &["keys", "list", "--organization", "o"]),
        "",
        "nothing was made"
    );

    let expiry = |expires_in: &[&str]| {
        let create = [
            "keys",
            "create",
            "--organization",
            "o",
            "--kind",
            "tt_ro",
            "--json",
        ];
        let created = json_lines(&succeeds(&dev, &[&create[..], expires_in].concat()));
        (
            created[0]["created_at"].clone(),
            created[0]["expires_at"].clone(),
        )
    };
    // Both are three days, and one moment apart at most: the days of the month say enough.
    let day = |time: &Value| time.as_str().unwrap()[..10].to_owned();
    let (longest, refused) = (expiry(&[]), expiry(&["--expires-in", "365d"]));
    assert_ne!(day(&longest.0), day(&longest.1));
    assert_eq!(
        longest.1.as_str().unwrap()[11..],
        longest.0.as_str().unwrap()[11..],
        "72 hours to the second"
    );
    assert_eq!(
        refused.1.as_str().unwrap()[11..],
        refused.0.as_str().unwrap()[11..],
        "72 hours to the second"
    );
    let (created, shorter) = expiry(&["--expires-in", "24h"]);
    assert_eq!(
        shorter.as_str().unwrap()[11..],
        created.as_str().unwrap()[11..]
    );
    assert!(day(&shorter) < day(&longest.1));
}

#[tokio::test]
async fn a_key_is_revoked_by_the_beginning_of_its_id() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let create = [
        "keys",
        "create",
        "--organization",
        organization,
        "--kind",
        "itsm",
        "--json",
    ];
    let created = json_lines(&succeeds(&dev, &create)).remove(0);
    let (id, key) = (
        created["id"].as_str().unwrap(),
        created["key"].as_str().unwrap(),
    );
    let revoke = |id: &str, organization: &str| {
        on(
            &dev,
            &["keys", "revoke", "--organization", organization, id],
        )
    };

    assert_fails(
        &revoke("zzzz", organization),
        &["no key", "muster keys list"],
    );
    assert_fails(&revoke("", organization), &["no key"]);
    assert_fails(&revoke(id, "org_other"), &["no key"]);
    // A key is not repeated, not even one that is nobody's.
    let strange = format!("itsm_{}", "x".repeat(43));
    let output = revoke(&strange, organization);
    assert_fails(&output, &["no key"]);
    assert!(!stderr(&output).contains(&strange), "{}", stderr(&output));
    // Seventeen keys cannot all differ in the first of sixteen digits.
    for _ in 0..17 {
        succeeds(
            &dev,
            &[
                "keys",
                "create",
                "--organization",
                "org_many",
                "--kind",
                "itsm",
            ],
        );
    }
    let many = json_lines(&succeeds(
        &dev,
        &["keys", "list", "--organization", "org_many", "--json"],
    ));
    let first = |key: &Value| key["id"].as_str().unwrap()[..1].to_owned();
    let shared = many
        .iter()
        .map(first)
        .find(|digit| many.iter().filter(|key| first(key) == *digit).count() > 1);
    assert_fails(
        &revoke(&shared.unwrap(), "org_many"),
        &["more than one key"],
    );

    // It was never used, so no function remembers it.
    let output = revoke(&id[..12], organization);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("60 seconds"),
        "{}",
        stdout(&output)
    );
    assert_eq!(dev.list(key).await.0, StatusCode::UNAUTHORIZED);
    assert!(stdout(&revoke(id, organization)).contains("revoked already"));
    assert!(
        stdout(&revoke(key, organization)).contains("revoked already"),
        "the key itself names it too"
    );
    let listed = json_lines(&succeeds(
        &dev,
        &["keys", "list", "--organization", organization, "--json"],
    ));
    let revoked: Vec<_> = listed
        .iter()
        .filter(|key| !key["revoked_at"].is_null())
        .collect();
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0]["id"], id);
    assert!(
        succeeds(&dev, &["keys", "list", "--organization", organization]).contains("revoked 2")
    );
}

/// An RSA key of this many bits, of which nobody knows the private half.
pub fn jwk(kid: &str, bits: usize) -> Value {
    json!({ "kty": "RSA", "kid": kid, "n": URL_SAFE_NO_PAD.encode(vec![0xff; bits / 8]), "e": "AQAB" })
}

/// A key that signs, as a JWK, and a token by it for an organization.
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

#[tokio::test]
async fn tokens_are_verified_with_the_keys_of_a_file() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let (trusted, token) = signed(organization);
    assert_eq!(dev.list(&token).await.0, StatusCode::UNAUTHORIZED);
    let set = |keys: Value, more: &[&str]| {
        let (_kept, path) = file(format!(
            "\u{feff}{}",
            json!({ "keys": keys, "cached_until": 7 })
        ));
        succeeds(
            &dev,
            &[
                &["jwks", "set", "--organization", organization, &path],
                more,
            ]
            .concat(),
        )
    };
    let said = set(json!([trusted, jwk("b", 4096)]), &[]);
    assert!(
        said.contains("these 2 keys") && said.contains("60 seconds"),
        "{said}"
    );
    // The function remembers for some seconds that there were none.
    let deadline = Instant::now() + PATIENCE;
    while dev.list(&token).await.0 != StatusCode::OK {
        assert!(Instant::now() < deadline, "the keys do not count");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let show = ["jwks", "show", "--organization", organization];
    let shown = succeeds(&dev, &show);
    for line in [
        "Issuer:    any",
        "Audience:  any",
        "BITS  KID",
        "2048  a",
        "4096  b",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line:?} is not in:\n{shown}"
        );
    }
    // What is shown in JSON can be set again, as it is.
    let shown = succeeds(&dev, &[&show[..], &["--json"]].concat());
    let (_kept, path) = file(&shown);
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

    // The whole is replaced, issuer and audience too.
    let said = set(
        json!([trusted]),
        &[
            "--issuer",
            "https://id.acme.example",
            "--audience",
            "teams-api",
        ],
    );
    assert!(said.contains("this key"), "{said}");
    let shown = succeeds(&dev, &show);
    for line in [
        "Issuer:    https://id.acme.example",
        "Audience:  teams-api",
        "2048  a",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line:?} is not in:\n{shown}"
        );
    }
    assert!(!shown.contains("4096"), "{shown}");
    assert_eq!(dev.list(&token).await.0, StatusCode::OK);

    let remove = ["jwks", "remove", "--organization", organization];
    assert!(succeeds(&dev, &remove).contains("60 seconds"));
    for gone in [&remove, &show] {
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

#[test]
fn a_file_that_is_no_set_of_public_keys_is_refused() {
    let dev = Dev::in_memory();
    let key = |changes: Value| {
        let mut key = jwk("a", 2048);
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    };
    let without = |member: &str| {
        let mut key = jwk("a", 2048);
        key.as_object_mut().unwrap().remove(member);
        key
    };
    let many: Vec<_> = (0..21).map(|n| jwk(&n.to_string(), 2048)).collect();
    let mut cases = vec![
        (String::new(), vec!["not JSON"]),
        ("-----BEGIN PUBLIC KEY-----".to_owned(), vec!["not JSON"]),
        ("[]".to_owned(), vec!["not a JWKS"]),
        (jwk("a", 2048).to_string(), vec!["not a JWKS", "keys"]),
        (
            json!({ "keys": jwk("a", 2048) }).to_string(),
            vec!["not a JWKS", "keys"],
        ),
    ];
    for (keys, words) in [
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
        (json!([without("kty")]), vec!["no kty"]),
        (json!([without("n")]), vec!["no n"]),
        (json!([without("e")]), vec!["no e"]),
        (json!([key(json!({ "n": 7 }))]), vec!["n is not a string"]),
        (
            json!([key(json!({ "n": "+/+/" }))]),
            vec!["n must be base64url"],
        ),
        (
            json!([key(json!({ "e": "AQAB==" }))]),
            vec!["e must be base64url"],
        ),
        (json!([key(json!({ "e": "AA" }))]), vec!["e must be odd"]),
        (
            json!([key(json!({ "kid": 7 }))]),
            vec!["kid is not a string"],
        ),
        (
            json!([key(json!({ "kid": "a\u{1b}[2J" }))]),
            vec!["kid", "control"],
        ),
        (
            json!([jwk("a", 2048), { "kty": "EC", "crv": "P-256", "x": "x", "y": "y" }]),
            vec!["key 2", "\"EC\"", "RSA"],
        ),
        (
            json!([{ "kty": "OKP", "crv": "Ed25519", "x": "x" }]),
            vec!["\"OKP\""],
        ),
        (json!([key(json!({ "kty": "rsa" }))]), vec!["\"rsa\""]),
        (
            json!([key(json!({ "use": "enc" }))]),
            vec!["use", "\"enc\"", "\"sig\""],
        ),
        (
            json!([key(json!({ "alg": "RS384" }))]),
            vec!["alg", "\"RS384\"", "\"RS256\""],
        ),
        (json!([key(json!({ "alg": "PS256" }))]), vec!["\"PS256\""]),
        (
            json!([key(json!({ "alg": "RSA-OAEP" }))]),
            vec!["\"RSA-OAEP\""],
        ),
    ] {
        cases.push((json!({ "keys": keys }).to_string(), words));
    }
    for part in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        let keys = json!([
            jwk("a", 2048),
            key(json!({ "kid": "b", (part): "c2VjcmV0" }))
        ]);
        cases.push((
            json!({ "keys": keys }).to_string(),
            vec!["key 2", "private", "public keys alone"],
        ));
    }
    cases.push((
        json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] }).to_string(),
        vec!["private"],
    ));
    for (content, words) in cases {
        let (_kept, path) = file(&content);
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
    let (_kept, path) = file([0xff, 0xfe]);
    assert_fails(
        &on(&dev, &["jwks", "set", "--organization", "o", &path]),
        &[&path, "UTF-8"],
    );
    assert_fails(
        &on(&dev, &["jwks", "show", "--organization", "o"]),
        &["no keys for tokens"],
    );
}

/// A file of this content, and its name.
fn file(content: impl AsRef<[u8]>) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path: PathBuf = folder.path().join("input");
    fs::write(&path, content).expect("a file can be written");
    let path = path.to_str().expect("its name is UTF-8").to_owned();
    (folder, path)
}

fn id(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

fn line(n: u32) -> String {
    json!({ "id": id(n), "name": format!("User {n}"), "email": format!("user{n}@acme.example") })
        .to_string()
}

/// Adds a user to a new team and gives the answer.
async fn join(dev: &Dev, user: &str) -> (StatusCode, Value) {
    static TEAMS: AtomicUsize = AtomicUsize::new(0);
    let admin = dev.text("/keys/itsm/admin");
    let name = format!("Team {} of {user}", TEAMS.fetch_add(1, Ordering::Relaxed));
    let (_, created) = dev.post(admin, "/v1/teams", &json!({ "name": name })).await;
    let team = created["data"]["id"].as_str().expect("a team");
    dev.post(
        admin,
        &format!("/v1/teams/{team}/members"),
        &json!({ "user_id": user }),
    )
    .await
}

#[tokio::test]
async fn users_are_imported() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let import = |path: &str| {
        on(
            &dev,
            &["users", "import", "--organization", organization, path],
        )
    };
    let content = [
        line(1),
        String::new(),
        json!({ "id": format!("usr_{}", id(2)), "full_name": " Zoë 🦀 ", "email": "z@x.example", "is_active": true })
            .to_string(),
        json!({ "id": id(3), "name": "Away", "email": "a@x.example", "status": "suspended", "role": "manager" })
            .to_string(),
        json!({ "id": id(4), "name": "Off", "email": "o@x.example", "is_active": false }).to_string(),
        // The later line of a user counts, and the last one ends without a line feed.
        line(5),
        json!({ "id": id(5), "name": "Later", "email": "l@x.example", "avatar_url": "https://x.example/l" })
            .to_string(),
    ];
    let (_kept, path) = file(content.join("\r\n"));
    let output = import(&path);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("Imported 5 users"),
        "{}",
        stdout(&output)
    );
    for (n, status, name) in [
        (1, 201, "User 1"),
        (2, 201, "Zoë 🦀"),
        (3, 422, ""),
        (4, 422, ""),
        (5, 201, "Later"),
    ] {
        let (answered, body) = join(&dev, &id(n)).await;
        assert_eq!(answered, status, "{body}");
        if status == 201 {
            assert_eq!(body["data"]["name"], name);
        }
    }
    let again = import(&path);
    assert_eq!(
        again.status.code(),
        Some(0),
        "again does no harm: {}",
        stderr(&again)
    );

    let (_kept, empty) = file("");
    assert!(stdout(&import(&empty)).contains("Imported 0 users"));
    assert_fails(&import("/no/such/file.jsonl"), &["/no/such/file.jsonl"]);
}

#[tokio::test]
async fn bad_lines_are_named_and_the_rest_goes_in() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let mut content = [
        line(1),
        "{".to_owned(),
        "null".to_owned(),
        line(2),
        json!({ "id": "7", "name": "A", "email": "a@x.example" }).to_string(),
        json!({ "id": format!("team_{}", id(3)), "name": "A", "email": "a@x.example" }).to_string(),
        json!({ "id": id(3), "name": " ", "email": "a@x.example" }).to_string(),
        json!({ "id": id(3), "name": "A" }).to_string(),
        json!({ "id": id(3), "name": "A", "email": "a@x.example", "status": "away" }).to_string(),
        json!({ "id": id(3), "name": "A\u{0}B", "email": "a@x.example" }).to_string(),
        json!({ "id": id(3), "name": "x".repeat(256), "email": "a@x.example" }).to_string(),
        json!({ "id": id(3), "name": "A", "email": "a@x.example", "stauts": "inactive" })
            .to_string(),
        format!("{} {}", line(3), line(3)),
        "[".repeat(100_000),
        line(4),
    ]
    .join("\n")
    .into_bytes();
    content.extend(b"\n{\"id\":\"\xff\"}\n");
    let (_kept, path) = file(&content);
    let output = on(
        &dev,
        &["users", "import", "--organization", organization, &path],
    );
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let bad = [2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16];
    let numbers: Vec<u32> = said
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{path}:")))
        .map(|line| line.split(':').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, bad, "{said}");
    assert!(
        said.lines()
            .last()
            .unwrap()
            .starts_with(&format!("error: {} lines", bad.len())),
        "{said}"
    );
    assert!(
        stdout(&output).contains("Imported 3 users"),
        "{}",
        stdout(&output)
    );
    for n in [1, 2, 4] {
        assert_eq!(join(&dev, &id(n)).await.0, StatusCode::CREATED);
    }
    assert_eq!(join(&dev, &id(3)).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn users_import_ignores_unknown_fields_on_request() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let user = json!({ "id": id(1), "name": "A", "email": "a@x.example", "last_login": "2026-03-02T09:00:00Z" });
    let (_kept, path) = file(user.to_string());
    let import = ["users", "import", "--organization", organization, &path];
    let refused = on(&dev, &import);
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!(
            "{path}:1: unknown field \"last_login\": correct it, or pass --ignore-unknown"
        )),
        "{said}"
    );
    assert_eq!(join(&dev, &id(1)).await.0, StatusCode::NOT_FOUND);
    let said = succeeds(&dev, &[&import[..], &["--ignore-unknown"]].concat());
    assert!(said.contains("Imported 1 users"), "{said}");
    assert_eq!(join(&dev, &id(1)).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn users_erase_is_final_and_import_says_so() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let (_kept, path) = file([line(1), line(2)].join("\n"));
    let import = ["users", "import", "--organization", organization, &path];
    succeeds(&dev, &import);
    let said = succeeds(
        &dev,
        &[
            "users",
            "erase",
            "--organization",
            organization,
            &id(1),
            &format!("usr_{}", id(7)),
        ],
    );
    let expected = format!(
        "{}: is erased.\n{}: had no profile; a tombstone keeps later events out.\n",
        id(1),
        id(7)
    );
    assert_eq!(said, expected);
    let again = succeeds(
        &dev,
        &["users", "erase", "--organization", organization, &id(1)],
    );
    assert!(again.contains("was erased before"), "{again}");

    let output = on(&dev, &import);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains(&format!("{path}:1: this user is deleted")),
        "{}",
        stderr(&output)
    );
    assert!(
        stdout(&output).contains("Imported 1 users"),
        "{}",
        stdout(&output)
    );
    assert_eq!(join(&dev, &id(1)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_thousand_users_are_imported() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let (_kept, path) = file((1..=1_000).map(|n| line(n) + "\n").collect::<String>());
    let said = succeeds(
        &dev,
        &["users", "import", "--organization", organization, &path],
    );
    assert!(said.contains("Imported 1000 users"), "{said}");
    for n in [1, 25, 26, 999, 1_000] {
        assert_eq!(join(&dev, &id(n)).await.0, StatusCode::CREATED, "user {n}");
    }
}

#[test]
fn a_missing_table_names_the_remedy() {
    let dev = Dev::in_memory();
    let (_kept, path) = file(line(1));
    let (_kept_too, set) = file(json!({ "keys": [jwk("a", 2048)] }).to_string());
    for command in [
        vec!["keys", "create", "--kind", "itsm"],
        vec!["keys", "list"],
        vec!["keys", "revoke", "0123"],
        vec!["jwks", "set", &set],
        vec!["jwks", "show"],
        vec!["jwks", "remove"],
        vec!["users", "import", &path],
        vec!["users", "erase", &id(1)],
    ] {
        let output = on(
            &dev,
            &[&command[..], &["--organization", "o", "--table", "nowhere"]].concat(),
        );
        assert_fails(
            &output,
            &[
                "nowhere",
                dev.dynamodb_url(),
                "--table",
                "muster table create",
            ],
        );
        assert_eq!(stdout(&output), "", "no key is shown that was not stored");
    }
}

#[test]
fn an_unreachable_table_is_said_to_be_one() {
    // Nobody has listened on this port for decades, and no free one is taken from it.
    let endpoint = "http://127.0.0.1:1";
    let output = at(
        endpoint,
        &["keys", "create", "--organization", "o", "--kind", "itsm"],
    );
    assert_fails(&output, &[endpoint, "DynamoDB"]);
    assert_eq!(stdout(&output), "");
    assert_fails(&at(endpoint, &["table", "create"]), &[endpoint, "DynamoDB"]);
}

#[test]
fn a_command_line_that_makes_no_sense_exits_with_2() {
    let keys = ["keys", "create", "--organization", "o", "--kind", "itsm"];
    let mut senseless: Vec<Vec<&str>> = vec![
        vec![],
        vec!["nonsense"],
        vec!["dev", "--port", "65536"],
        vec!["dev", "--port", "x"],
        vec!["dev", "--in-memory", "--data-dir", "x"],
        vec!["dev", "more"],
        vec!["table"],
        vec!["table", "create", "--endpoint-url", "not a url"],
        vec!["keys"],
        vec!["keys", "create", "--kind", "itsm"],
        vec!["keys", "create", "--organization", "o"],
        vec![
            "keys",
            "create",
            "--organization",
            "o",
            "--kind",
            "tt_other",
        ],
        vec!["keys", "create", "--organization", "a b", "--kind", "itsm"],
        vec!["keys", "create", "--organization", "", "--kind", "itsm"],
        vec!["keys", "list"],
        vec!["keys", "revoke", "--organization", "o"],
        vec!["jwks"],
        vec!["jwks", "set", "x.json"],
        vec!["jwks", "set", "--organization", "o"],
        vec![
            "jwks",
            "set",
            "--organization",
            "o",
            "--issuer",
            "",
            "x.json",
        ],
        vec![
            "jwks",
            "set",
            "--organization",
            "o",
            "--audience",
            "a\nb",
            "x.json",
        ],
        vec!["jwks", "show"],
        vec!["jwks", "show", "--organization", "o", "x.json"],
        vec!["jwks", "remove"],
        vec!["users", "import", "--organization", "o"],
        vec!["users", "import", "x.jsonl"],
        vec!["users", "erase", "--organization", "o"],
        vec!["users", "erase", "--organization", "o", "alice"],
        vec!["users", "erase", "6f9619ff-8b86-4011-b42d-00cf4fc964ff"],
    ];
    for time in ["0d", "5", "h", "-1h", "1w", "1.5h", "", "99999999999h"] {
        senseless.push([&keys[..], &["--expires-in", time]].concat());
    }
    for networks in [
        "",
        "office",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/8,",
        "10.0.0.0/8 10.1.0.0/16",
        "::/129",
    ] {
        senseless.push([&keys[..], &["--allow-from", networks]].concat());
    }
    for scopes in [
        "",
        "teams:all",
        "teams:read,,teams:write",
        "teams:read teams:write",
    ] {
        senseless.push([&keys[..], &["--scopes", scopes]].concat());
    }
    for arguments in senseless {
        let output = run(muster(&arguments));
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(
            stderr(&output).contains("Usage") || stderr(&output).contains("--help"),
            "{arguments:?}"
        );
    }
}

#[test]
fn help_says_what_matters() {
    for (command, words) in [
        (
            vec![],
            &[
                "dev",
                "table",
                "keys",
                "jwks",
                "users",
                "this machine",
                "AWS_REGION",
                "--endpoint-url",
            ][..],
        ),
        (
            vec!["dev"],
            &[
                "--port",
                "3000",
                "0 picks",
                "--data-dir",
                "--in-memory",
                "--json",
                "127.0.0.1",
            ],
        ),
        (vec!["table"], &["create"]),
        (
            vec!["table", "create"],
            &["template.yaml", "--table", "TABLE_NAME", "--endpoint-url"],
        ),
        (vec!["keys"], &["create", "list", "revoke"]),
        (
            vec!["keys", "create"],
            &[
                "--organization",
                "--kind",
                "tt_admin",
                "tt_live",
                "tt_agent",
                "tt_ro",
                "itsm",
                "--scopes",
                "teams:read",
                "teams:write",
                "teams:delete",
                "--allow-from",
                "192.0.2.0/24",
                "anywhere",
                "--expires-in",
                "30d",
                "72h",
                "--json",
                "--table",
                "--endpoint-url",
                "once",
            ],
        ),
        (
            vec!["keys", "list"],
            &["--organization", "--json", "without the secrets"],
        ),
        (
            vec!["keys", "revoke"],
            &["KEY-ID", "60 seconds", "first digits"],
        ),
        (vec!["jwks"], &["set", "show", "remove"]),
        (
            vec!["jwks", "set"],
            &[
                "FILE.json",
                "JSON Web Key Set",
                "1 to 20",
                "2048 to 8192",
                "RS256",
                "kid",
                "60 seconds",
                "set both",
                "--organization",
                "--issuer",
                "--audience",
                "to the letter",
                "--table",
            ],
        ),
        (vec!["jwks", "show"], &["--organization", "--json"]),
        (vec!["jwks", "remove"], &["--organization", "60 seconds"]),
        (vec!["users"], &["import", "erase"]),
        (
            vec!["users", "import"],
            &[
                "JSON lines",
                "\"id\"",
                "full_name",
                "email",
                "is_active",
                "suspended",
                "by number",
                "exit code",
                "--organization",
                "--ignore-unknown",
                "deleted user",
            ],
        ),
        (
            vec!["users", "erase"],
            &[
                "USER-ID",
                "for good",
                "tombstone",
                "Deleted user",
                "operations.md",
                "--organization",
            ],
        ),
    ] {
        let output = run(muster(command.iter().chain([&"--help"])));
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = stdout(&output);
        for word in words {
            assert!(
                help.contains(word),
                "{command:?} --help does not say {word:?}:\n{help}"
            );
        }
    }
    let version = run(muster(["--version"]));
    assert!(
        stdout(&version).starts_with("muster "),
        "{}",
        stdout(&version)
    );
}
