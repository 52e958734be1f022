//! `muster keys`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Dev, assert_fails, json_lines, on, stderr, stdout, succeeds};

#[tokio::test]
async fn key_created_is_shown_once_and_works() {
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
async fn keys_in_json_have_every_property() {
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
async fn key_from_another_network_is_rejected() {
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
}

#[test]
fn key_with_a_malformed_network_is_rejected() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
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
fn key_kind_limits_scopes_and_lifetime() {
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
    // Both lifetimes are 72 hours, so the days of the month are enough to compare.
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
async fn key_revoked_by_its_id_prefix_is_rejected() {
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
            &[
                "keys",
                "revoke",
                "--yes",
                "--organization",
                organization,
                id,
            ],
        )
    };

    let unconfirmed = on(
        &dev,
        &["keys", "revoke", "--organization", organization, id],
    );
    assert_fails(
        &unconfirmed,
        &[id, "itsm", organization, dev.dynamodb_url(), "pass --yes"],
    );
    assert_eq!(stdout(&unconfirmed), "");

    // The key was never used, so no function has cached it.
    let output = revoke(&id[..12], organization);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("60 seconds"),
        "{}",
        stdout(&output)
    );
    assert_eq!(dev.list(key).await.0, StatusCode::UNAUTHORIZED);
    assert!(stdout(&revoke(id, organization)).contains("already revoked"));
    assert!(
        stdout(&revoke(key, organization)).contains("already revoked"),
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

#[test]
fn key_revoked_by_unknown_or_ambiguous_id_fails() {
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
    let id = created["id"].as_str().unwrap();
    let revoke = |id: &str, organization: &str| {
        on(
            &dev,
            &[
                "keys",
                "revoke",
                "--yes",
                "--organization",
                organization,
                id,
            ],
        )
    };

    assert_fails(
        &revoke("zzzz", organization),
        &["no key", "muster keys list"],
    );
    assert_fails(&revoke("", organization), &["no key"]);
    assert_fails(&revoke(id, "org_other"), &["no key"]);
    // The command never repeats a key, even an unknown one.
    let strange = format!("itsm_{}", "x".repeat(43));
    let output = revoke(&strange, organization);
    assert_fails(&output, &["no key"]);
    assert!(!stderr(&output).contains(&strange), "{}", stderr(&output));
    // Seventeen ids cannot all differ in the first of sixteen digits.
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
}
