//! `muster users`.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Dev, assert_fails, file, json_lines, on, stderr, stdout, succeeds};

pub fn id(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

pub fn line(n: u32) -> String {
    json!({ "id": id(n), "name": format!("User {n}"), "email": format!("user{n}@acme.example") })
        .to_string()
}

/// Adds a user to a new team, and returns the response.
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
async fn users_import_merges_profiles() {
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
        // A later line of a user replaces an earlier one. The last line ends without a line feed.
        line(5),
        json!({ "id": id(5), "name": "Later", "email": "l@x.example", "avatar_url": "https://x.example/l" })
            .to_string(),
    ];
    let (_folder, path) = file(content.join("\r\n"));
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
        let (status_code, body) = join(&dev, &id(n)).await;
        assert_eq!(status_code, status, "{body}");
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

    let (_folder, empty) = file("");
    assert!(stdout(&import(&empty)).contains("Imported 0 users"));
    assert_fails(&import("/no/such/file.jsonl"), &["/no/such/file.jsonl"]);
}

#[tokio::test]
async fn users_import_reports_invalid_lines() {
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
    let (_folder, path) = file(&content);
    let output = on(
        &dev,
        &["users", "import", "--organization", organization, &path],
    );
    let printed = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let bad = [2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16];
    let numbers: Vec<u32> = printed
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{path}:")))
        .map(|line| line.split(':').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, bad, "{printed}");
    assert!(
        printed
            .lines()
            .last()
            .unwrap()
            .starts_with(&format!("error: {} lines", bad.len())),
        "{printed}"
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
    let (_folder, path) = file(user.to_string());
    let import = ["users", "import", "--organization", organization, &path];
    let refused = on(&dev, &import);
    let printed = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains(&format!(
            "{path}:1: unknown field \"last_login\": fix it, or pass --ignore-unknown"
        )),
        "{printed}"
    );
    assert_eq!(join(&dev, &id(1)).await.0, StatusCode::NOT_FOUND);
    let printed = succeeds(&dev, &[&import[..], &["--ignore-unknown"]].concat());
    assert!(printed.contains("Imported 1 users"), "{printed}");
    assert_eq!(join(&dev, &id(1)).await.0, StatusCode::CREATED);
}

/// Asserts that 16 users are listed in the order of their names, in both forms.
fn assert_listed_by_name(listed: impl Fn(&[&str]) -> String) {
    let users = json_lines(&listed(&["--json"]));
    let names: Vec<_> = users
        .iter()
        .map(|user| user["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(users.len(), 16, "14 demo users and 2 imported ones");
    assert!(
        names.is_sorted_by_key(|name| name.to_lowercase()),
        "{names:?}"
    );
    let header = listed(&[]).lines().next().map(str::to_owned);
    assert!(header.expect("a line").starts_with("ID  "));
    assert!(listed(&[]).contains("user1@acme.example"));
}

#[tokio::test]
async fn users_erase_is_final_and_import_says_so() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let (_folder, path) = file([line(1), line(2)].join("\n"));
    let import = ["users", "import", "--organization", organization, &path];
    succeeds(&dev, &import);
    let list = ["users", "list", "--organization", organization];
    let listed = |more: &[&str]| succeeds(&dev, &[&list[..], more].concat());
    assert_listed_by_name(listed);

    let erase = ["users", "erase", "--organization", organization];
    let unconfirmed = on(&dev, &[&erase[..], &[&id(1), &id(7)]].concat());
    let (known, unknown) = (
        format!("{} (User 1)", id(1)),
        format!("{} (without a profile)", id(7)),
    );
    assert_fails(
        &unconfirmed,
        &["permanently", &known, &unknown, "pass --yes"],
    );
    let printed = succeeds(
        &dev,
        &[
            "users",
            "erase",
            "--yes",
            "--organization",
            organization,
            &id(1),
            &format!("usr_{}", id(7)),
        ],
    );
    let expected = format!(
        "{}: is erased.\n{}: had no profile; a tombstone rejects later events.\n",
        id(1),
        id(7)
    );
    assert_eq!(printed, expected);
    let again = succeeds(
        &dev,
        &[
            "users",
            "erase",
            "--yes",
            "--organization",
            organization,
            &id(1),
        ],
    );
    assert!(again.contains("was already erased"), "{again}");
    let left = listed(&["--json"]);
    assert_eq!(left.lines().count(), 15);
    assert!(!left.contains("User 1\""), "{left}");

    let output = on(&dev, &import);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains(&format!("{path}:1: this user is deleted permanently")),
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
async fn users_import_of_1000_lines_succeeds() {
    let dev = Dev::in_memory();
    let organization = dev.text("/organization_id");
    let (_folder, path) = file((1..=1_000).map(|n| line(n) + "\n").collect::<String>());
    let printed = succeeds(
        &dev,
        &["users", "import", "--organization", organization, &path],
    );
    assert!(printed.contains("Imported 1000 users"), "{printed}");
    for n in [1, 25, 26, 999, 1_000] {
        assert_eq!(join(&dev, &id(n)).await.0, StatusCode::CREATED, "user {n}");
    }
}
