//! `muster dev` as somebody runs it: what it prints, how it ends, and what it keeps.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command},
};

use crate::support::{Dev, assert_fails, has_curl, lines, muster, run, stderr, stdout, wait};
use reqwest::StatusCode;
use serde_json::{Value, json};

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(kill.expect("there is a kill command").success());
}

/// Runs `muster dev` where it should not come up.
fn refused(arguments: &[&str]) -> std::process::Output {
    let mut command = muster(["dev", "--json"]);
    command.args(arguments);
    run(command)
}

/// A new folder, and its name.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::Builder::new()
        .prefix("muster é 'x' ")
        .tempdir()
        .expect("a folder can be made");
    let name = folder
        .path()
        .to_str()
        .expect("its name is UTF-8")
        .to_owned();
    (folder, name)
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect()
}

fn assert_organization(organization: &Value) {
    assert!(organization["organization_id"].is_string());
    assert_eq!(
        keys(&organization["keys"]),
        BTreeSet::from(["toptickets", "itsm"])
    );
    for (contract, admin, read_only) in [
        ("toptickets", "tt_admin_", "tt_ro_"),
        ("itsm", "itsm_", "itsm_"),
    ] {
        let of_contract = &organization["keys"][contract];
        assert_eq!(keys(of_contract), BTreeSet::from(["admin", "read_only"]));
        assert!(
            of_contract["admin"]
                .as_str()
                .is_some_and(|key| key.starts_with(admin))
        );
        assert!(
            of_contract["read_only"]
                .as_str()
                .is_some_and(|key| key.starts_with(read_only))
        );
    }
    let users = organization["users"].as_array().expect("a list of users");
    let of_status = |status: &str| users.iter().filter(|user| user["status"] == status).count();
    assert!(of_status("active") >= 12, "{users:?}");
    assert_eq!((of_status("inactive"), of_status("suspended")), (1, 1));
    for user in users {
        assert_eq!(
            keys(user),
            BTreeSet::from(["id", "name", "email", "role", "avatar_url", "status"])
        );
    }
    let ids: BTreeSet<_> = users
        .iter()
        .map(|user| user["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids.len(), users.len());
    assert!(ids.iter().all(|id| id.len() == 36), "bare UUIDs");
}

#[tokio::test]
async fn json_is_one_line_once_it_serves() {
    let (child, mut lines) = lines(&mut muster(["dev", "--in-memory", "--json", "--port", "0"]));
    let dev = Dev {
        child,
        description: serde_json::from_str(&lines.next().unwrap()).unwrap(),
    };
    let queues = [
        "tickets_queue_url",
        "users_queue_url",
        "jobs_queue_url",
        "long_jobs_queue_url",
    ];
    let urls: Vec<_> = ["url", "dynamodb_url", "aws_url"]
        .into_iter()
        .chain(queues)
        .collect();
    let others = [
        "table",
        "organization_id",
        "keys",
        "users",
        "other_organization",
    ];
    assert_eq!(
        keys(&dev.description),
        urls.iter().copied().chain(others).collect()
    );
    assert_organization(&dev.description);
    let other = &dev.description["other_organization"];
    assert_organization(other);
    assert_ne!(other["organization_id"], dev.description["organization_id"]);
    assert_eq!(dev.text("/table"), "muster");
    for url in urls.iter().map(|name| dev.text(&format!("/{name}"))) {
        assert!(
            url.starts_with("http://127.0.0.1:") && !url.ends_with('/'),
            "{url}"
        );
    }

    // Every key works at once, and each for its own organization.
    let body = json!({ "name": "Support" });
    for prefix in ["", "/other_organization"] {
        for (contract, refused) in [
            ("toptickets", StatusCode::FORBIDDEN),
            ("itsm", StatusCode::FORBIDDEN),
        ] {
            let key = |name: &str| {
                dev.text(&format!("{prefix}/keys/{contract}/{name}"))
                    .to_owned()
            };
            let created = dev
                .post(&key("admin"), "/v1/teams", &json!({ "name": contract }))
                .await;
            assert_eq!(created.0, StatusCode::CREATED, "{created:?}");
            assert_eq!(dev.list(&key("read_only")).await.0, StatusCode::OK);
            assert_eq!(
                dev.post(&key("read_only"), "/v1/teams", &body).await.0,
                refused
            );
        }
    }

    let mut dev = dev;
    signal(&dev.child, "TERM");
    assert_eq!(wait(&mut dev.child).code(), Some(0));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        Vec::<String>::new(),
        "nothing but the one line"
    );
}

/// The moment the stack serves, when it has just stopped waiting for a signal during its start.
#[test]
fn an_interrupt_at_once_is_not_lost() {
    for name in ["INT", "TERM"].repeat(8) {
        let mut dev = Dev::in_memory();
        signal(&dev.child, name);
        assert_eq!(wait(&mut dev.child).code(), Some(0), "{name}");
    }
}

#[test]
fn an_interrupt_ends_it_well() {
    for name in ["INT", "TERM"] {
        let (_kept, path) = folder();
        for arguments in [vec!["--in-memory"], vec!["--data-dir", &path]] {
            let mut dev = Dev::start(arguments);
            signal(&dev.child, name);
            assert_eq!(wait(&mut dev.child).code(), Some(0), "{name}");
        }
    }
}

#[test]
fn the_greeting_has_a_line_to_try_for_each_contract() {
    let (child, lines) = lines(&mut muster(["dev", "--in-memory", "--port", "0"]));
    let mut dev = Dev {
        child,
        description: Value::Null,
    };
    let mut greeting = Vec::new();
    for line in lines {
        greeting.push(line);
        if greeting.last().is_some_and(|line| line.starts_with("Data")) {
            break;
        }
    }
    let curls: Vec<_> = greeting
        .iter()
        .map(|line| line.trim())
        .filter(|line| line.starts_with("curl "))
        .collect();
    assert_eq!(curls.len(), 2, "{greeting:#?}");
    if has_curl() {
        let answers: Vec<Value> = curls
            .iter()
            .map(|curl| {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("{curl} -sS --max-time 30 --noproxy '*'")]);
                let output = run(command);
                serde_json::from_str(&stdout(&output))
                    .unwrap_or_else(|_| panic!("{curl}: {}", stderr(&output)))
            })
            .collect();
        assert_eq!(
            answers
                .iter()
                .filter(|answer| **answer == json!([]))
                .count(),
            1,
            "one speaks TopTickets"
        );
        assert_eq!(
            answers
                .iter()
                .filter(|answer| answer["success"] == true)
                .count(),
            1,
            "one speaks ITSM"
        );
    }
    signal(&dev.child, "INT");
    assert_eq!(wait(&mut dev.child).code(), Some(0));
}

/// Creates a team and gives what the list then says.
async fn with_a_team(dev: &Dev) -> Value {
    let admin = dev.text("/keys/itsm/admin");
    let created = dev
        .post(admin, "/v1/teams", &json!({ "name": "Kept" }))
        .await;
    assert_eq!(created.0, StatusCode::CREATED, "{created:?}");
    dev.list(admin).await.1
}

#[tokio::test]
async fn a_data_folder_keeps_teams_and_keys() {
    for name in ["TERM", "KILL"] {
        let (_kept, path) = folder();
        let arguments = ["--data-dir", &path];
        let mut dev = Dev::start(arguments);
        let before = with_a_team(&dev).await;
        signal(&dev.child, name);
        wait(&mut dev.child);

        let again = Dev::start(arguments);
        assert_eq!(
            again.description["keys"], dev.description["keys"],
            "after {name}"
        );
        assert_eq!(
            again.description["users"], dev.description["users"],
            "after {name}"
        );
        let admin = again.text("/keys/itsm/admin");
        assert_eq!(
            again.list(admin).await,
            (StatusCode::OK, before),
            "after {name}"
        );
        let taken = again
            .post(admin, "/v1/teams", &json!({ "name": "KEPT" }))
            .await;
        assert_eq!(taken.0, StatusCode::CONFLICT, "after {name}: {taken:?}");
    }
}

#[tokio::test]
async fn memory_keeps_nothing() {
    let dev = Dev::in_memory();
    let body = with_a_team(&dev).await;
    assert_eq!(body["data"][0]["name"], "Kept");
    let again = Dev::in_memory();
    assert_eq!(
        again.list(again.text("/keys/itsm/admin")).await.1["data"],
        json!([])
    );
    assert_eq!(
        again.list(dev.text("/keys/itsm/admin")).await.0,
        StatusCode::UNAUTHORIZED
    );
}

/// A key that the files in `events/` carry.
const SAMPLE_KEY: &str = "itsm_EverybodyKnowsThisKeyItOpensNothingButSamples";

#[tokio::test]
async fn keys_that_everybody_knows_are_for_samples_alone() {
    let dev = Dev::start(["--in-memory", "--samples"]);
    let (status, teams) = dev.list(SAMPLE_KEY).await;
    assert_eq!(
        (status, &teams["meta"]["pagination"]["total"]),
        (StatusCode::OK, &json!(2)),
        "{teams}"
    );

    assert_eq!(
        Dev::in_memory().list(SAMPLE_KEY).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (_kept, path) = folder();
    assert_eq!(
        Dev::start(["--data-dir", &path]).list(SAMPLE_KEY).await.0,
        StatusCode::UNAUTHORIZED
    );

    // A folder with such a key in it would outlive this.
    for (arguments, other) in [
        (vec!["--samples"], "--in-memory"),
        (vec!["--samples", "--data-dir", &path], "--data-dir"),
    ] {
        let output = refused(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains("--samples") && stderr(&output).contains(other),
            "{output:?}"
        );
    }
}

#[tokio::test]
async fn the_environment_of_functions_is_written_whole() {
    const TEMPLATE: &str = include_str!("../../../template.yaml");
    let (folder, _) = folder();
    let file = folder.path().join("env.json");
    fs::write(
        &file,
        "what was there before, and longer than what comes".repeat(100),
    )
    .unwrap();
    let dev = Dev::start(["--in-memory", "--env-vars", file.to_str().unwrap()]);
    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap())
        .expect("JSON, before the stack is announced");

    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(TEMPLATE).unwrap();
    let variables = |properties: &serde_yaml_ng::Value| {
        let variables = properties
            .get("Environment")
            .and_then(|environment| environment.get("Variables"));
        let names = variables
            .and_then(serde_yaml_ng::Value::as_mapping)
            .into_iter()
            .flatten();
        names
            .map(|(name, _)| name.as_str().expect("a name").to_owned())
            .collect::<BTreeSet<_>>()
    };
    let shared = variables(&template["Globals"]["Function"]);
    let mut declared = BTreeSet::new();
    for (function, resource) in template["Resources"].as_mapping().unwrap() {
        let function = function.as_str().unwrap();
        if resource["Type"] == "AWS::Serverless::Function" {
            let of_function = &shared | &variables(&resource["Properties"]);
            let given = &keys(&written["Parameters"]) | &keys(&written[function]);
            let missing: Vec<_> = of_function
                .iter()
                .filter(|name| !given.contains(name.as_str()))
                .collect();
            assert!(missing.is_empty(), "{function} needs {missing:?}");
            declared.extend(of_function);
        }
    }
    for name in written.as_object().unwrap().values().flat_map(keys) {
        assert!(
            declared.contains(name),
            "`sam local` passes on no {name}: the template does not have it"
        );
    }

    let parameters = &written["Parameters"];
    for (variable, described) in [
        ("AWS_ENDPOINT_URL", "/aws_url"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "/dynamodb_url"),
        ("JOBS_QUEUE_URL", "/jobs_queue_url"),
        ("LONG_JOBS_QUEUE_URL", "/long_jobs_queue_url"),
        ("TABLE_NAME", "/table"),
    ] {
        assert_eq!(parameters[variable], dev.text(described), "{variable}");
    }
    for (function, queue) in [
        ("AssignmentFunction", "tickets"),
        ("DirectoryFunction", "users"),
    ] {
        let url = format!("{}-dead-letters", dev.text(&format!("/{queue}_queue_url")));
        assert_eq!(written[function], json!({ "DEAD_LETTER_QUEUE_URL": url }));
    }
}

#[test]
fn an_environment_that_cannot_be_written_is_named() {
    let (_kept, path) = folder();
    let file = format!("{path}/not/there/env.json");
    assert_fails(
        &refused(&["--port", "0", "--in-memory", "--env-vars", &file]),
        &[&file],
    );
}

// Elsewhere only 127.0.0.1 is there by itself.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn everything_listens_on_the_address_that_is_named() {
    let dev = Dev::start(["--in-memory", "--listen", "127.0.0.2"]);
    for url in
        ["/url", "/dynamodb_url", "/aws_url", "/tickets_queue_url"].map(|name| dev.text(name))
    {
        let url = reqwest::Url::parse(url).unwrap();
        let port = url.port().unwrap();
        assert_eq!(url.host_str(), Some("127.0.0.2"));
        assert!(std::net::TcpStream::connect(("127.0.0.2", port)).is_ok());
        assert!(
            std::net::TcpStream::connect(("127.0.0.1", port)).is_err(),
            "{url} is nowhere else"
        );
    }
    assert_eq!(
        dev.list(dev.text("/keys/itsm/admin")).await.0,
        StatusCode::OK
    );
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    // Of a network that is for documents, so that it is no machine's.
    let output = refused(&["--port", "0", "--in-memory", "--listen", "192.0.2.1"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = stderr(&output);
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(
        lines[0].starts_with("warning: ") && lines[0].contains("192.0.2.1"),
        "{stderr}"
    );
    assert!(
        lines[1].starts_with("error: ") && lines[1].contains("--listen"),
        "{stderr}"
    );
}

#[test]
fn all_addresses_are_none_to_be_called_by() {
    for (address, words) in [
        ("0.0.0.0", "one address"),
        ("::", "one address"),
        ("localhost", "127.0.0.1"),
    ] {
        let output = refused(&["--in-memory", "--listen", address]);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains("--listen") && stderr(&output).contains(words),
            "{output:?}"
        );
    }
}

#[tokio::test]
async fn a_data_folder_is_for_one_at_a_time() {
    let (_kept, path) = folder();
    let dev = Dev::start(["--data-dir", &path]);
    let second = refused(&["--port", "0", "--data-dir", &path]);
    assert_fails(
        &second,
        &["another `muster dev`", "--data-dir", "--in-memory"],
    );
    assert_eq!(stdout(&second), "");
    let before = with_a_team(&dev).await;
    assert_eq!(
        dev.list(dev.text("/keys/itsm/admin")).await.1,
        before,
        "the first serves on"
    );
}

#[tokio::test]
async fn pages_of_a_configured_origin_may_call_the_api() {
    let origins = ["http://localhost:5173", "https://desk.example.com"];
    let dev = Dev::start([
        "--in-memory",
        "--cors-origin",
        origins[0],
        "--cors-origin",
        origins[1],
    ]);
    for origin in origins {
        let url = format!("{}/v1/teams", dev.text("/url"));
        let request = reqwest::Client::new()
            .request(reqwest::Method::OPTIONS, url)
            .header("origin", origin);
        let answer = request
            .header("access-control-request-method", "GET")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], origin);
    }
}

#[test]
fn an_origin_that_is_none_is_refused() {
    let output = muster([
        "dev",
        "--in-memory",
        "--cors-origin",
        "http://localhost:5173/app",
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("--cors-origin") && stderr(&output).contains("nothing more"),
        "{output:?}"
    );
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = refused(&["--port", &port, "--in-memory"]);
    assert_fails(&output, &[&port, "in use", "--port"]);
    assert_eq!(stdout(&output), "");
}

/// What is in a folder, by name.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed"))
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path()).expect("a file"),
            )
        })
        .filter(|(name, _)| name != "lock")
        .collect();
    files.sort();
    files
}

#[test]
fn a_damaged_data_folder_is_left_alone() {
    let garbage = b"this is no database, and long enough to be mistaken for one".repeat(200);
    for (file, content) in [
        ("muster.db", garbage.as_slice()),
        ("demo-keys.json", b"garbage"),
        ("demo-keys.json", b""),
        ("demo-keys.json", b"[]"),
        ("demo-keys.json", b"\xff\xfe"),
        ("demo-keys.json", br#"{"org_demo": {"toptickets": 7}}"#),
        ("queues.json", b"[]"),
        ("stream.json", b"garbage"),
    ] {
        let (folder, path) = folder();
        let mut dev = Dev::start(["--data-dir", &path]);
        signal(&dev.child, "TERM");
        wait(&mut dev.child);

        fs::write(folder.path().join(file), content).unwrap();
        let before: Vec<_> = contents(folder.path())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let output = refused(&["--port", "0", "--data-dir", &path]);
        assert_fails(&output, &[&path, "damaged", "--data-dir", "--in-memory"]);
        assert_eq!(stdout(&output), "");
        let after = contents(folder.path());
        assert!(
            before
                .iter()
                .all(|name| after.iter().any(|(kept, _)| kept == name)),
            "{file}: nothing is deleted"
        );
        let kept = after
            .iter()
            .find(|(name, _)| name == file)
            .map(|(_, bytes)| bytes.as_slice());
        assert_eq!(kept, Some(content), "{file} is as it was");
    }
}

#[test]
fn a_data_folder_has_to_be_a_folder() {
    let (folder, path) = folder();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    for place in [format!("{path}/file"), format!("{path}/file/below")] {
        let output = refused(&["--port", "0", "--data-dir", &place]);
        assert_fails(&output, &[&place, "--data-dir", "--in-memory"]);
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_data_folder_is_made_where_there_is_none() {
    let (_kept, path) = folder();
    let below = format!("{path}/not/there/yet");
    let mut dev = Dev::start(["--data-dir", &below]);
    signal(&dev.child, "TERM");
    assert_eq!(wait(&mut dev.child).code(), Some(0));
    assert!(Path::new(&below).join("muster.db").is_file());
}

#[cfg(unix)]
#[test]
fn data_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, path) = folder();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let loosen =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    loosen(folder.path(), 0o755);
    // The second start finds a folder that has been opened to others.
    for _ in 0..2 {
        let mut dev = Dev::start(["--data-dir", &path]);
        let files: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(
            files.iter().any(|file| file.ends_with("muster.db-wal")),
            "{files:?}"
        );
        assert_eq!(mode(folder.path()), 0o700);
        for file in &files {
            assert_eq!(mode(file), 0o600, "{file:?}");
        }
        signal(&dev.child, "TERM");
        wait(&mut dev.child);
        assert_eq!(mode(&folder.path().join("queues.json")), 0o600);
        loosen(folder.path(), 0o755);
        for file in files.iter().filter(|file| file.exists()) {
            loosen(file, 0o644);
        }
    }
}

#[test]
fn data_folder_of_another_format_is_left_alone() {
    let (folder, path) = folder();
    let mut dev = Dev::start(["--data-dir", &path]);
    signal(&dev.child, "TERM");
    wait(&mut dev.child);
    let format = folder.path().join("format");
    let number: u32 = fs::read_to_string(&format)
        .unwrap()
        .trim()
        .parse()
        .expect("a number");

    // Folders of the first format have no number.
    for other in [None, Some(number - 1), Some(number + 1)] {
        match other {
            None => fs::remove_file(&format).unwrap(),
            Some(other) => fs::write(&format, other.to_string()).unwrap(),
        }
        let before = contents(folder.path());
        let output = refused(&["--port", "0", "--data-dir", &path]);
        let found = format!("format {}", other.unwrap_or(1));
        assert_fails(
            &output,
            &[
                &path,
                &found,
                &format!("format {number} "),
                "move",
                "--data-dir",
                "--in-memory",
            ],
        );
        assert_eq!(contents(folder.path()), before);
    }
    fs::write(&format, "garbage").unwrap();
    assert_fails(
        &refused(&["--port", "0", "--data-dir", &path]),
        &[&path, "format", "--data-dir", "--in-memory"],
    );
}

#[test]
fn folder_with_other_files_is_no_data_folder() {
    let (folder, path) = folder();
    fs::write(folder.path().join("letter.txt"), "mine").unwrap();
    let output = refused(&["--port", "0", "--data-dir", &path]);
    assert_fails(
        &output,
        &[&path, "other files", "--data-dir", "--in-memory"],
    );
    assert_eq!(
        fs::read_dir(&path).unwrap().count(),
        1,
        "nothing is put there"
    );
}
