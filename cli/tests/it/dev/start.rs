//! The output of `muster dev`, its signals, and its environment file.

use std::{collections::BTreeSet, fs, process::Command, time::Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{folder, refused, signal};
use crate::support::{
    Dev, PATIENCE, assert_fails, first_line, has_curl, lines, local_stack::until, muster, run,
    stderr, stdout, wait,
};

/// The fields of the JSON output that have URLs.
const URLS: [&str; 7] = [
    "url",
    "dynamodb_url",
    "aws_url",
    "tickets_queue_url",
    "users_queue_url",
    "jobs_queue_url",
    "long_jobs_queue_url",
];

const OTHER_FIELDS: [&str; 5] = [
    "table",
    "organization_id",
    "keys",
    "users",
    "other_organization",
];

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
async fn json_output_is_one_line_when_ready() {
    let (child, mut lines) = lines(&mut muster([
        "dev",
        "--in-memory",
        "--empty",
        "--json",
        "--port",
        "0",
    ]));
    let dev = Dev {
        child,
        description: serde_json::from_str(&lines.next().unwrap()).unwrap(),
    };
    assert_eq!(
        keys(&dev.description),
        URLS.into_iter().chain(OTHER_FIELDS).collect()
    );
    assert_organization(&dev.description);
    let other = &dev.description["other_organization"];
    assert_organization(other);
    assert_ne!(other["organization_id"], dev.description["organization_id"]);
    assert_eq!(dev.text("/table"), "muster");
    for url in URLS.map(|name| dev.text(&format!("/{name}"))) {
        assert!(
            url.starts_with("http://127.0.0.1:") && !url.ends_with('/'),
            "{url}"
        );
    }

    // Every key is valid immediately, each for its own organization.
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

/// At this moment, the stack has just stopped waiting for a signal during its start.
#[test]
fn signal_right_after_start_is_handled() {
    for name in ["INT", "TERM"].repeat(8) {
        let mut dev = Dev::in_memory();
        signal(&dev.child, name);
        assert_eq!(wait(&mut dev.child).code(), Some(0), "{name}");
    }
}

#[test]
fn signal_ends_the_stack_with_exit_code_0() {
    for name in ["INT", "TERM"] {
        let (_folder, path) = folder();
        for arguments in [vec!["--in-memory"], vec!["--data-dir", &path]] {
            let mut dev = Dev::start(arguments);
            signal(&dev.child, name);
            assert_eq!(wait(&mut dev.child).code(), Some(0), "{name}");
        }
    }
}

/// Returns the `curl` commands of a greeting. Their further lines are indented.
fn curls(greeting: &[String]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut is_command = false;
    for line in greeting {
        let is_next = is_command && line.starts_with("  ");
        is_command = is_next || line.starts_with("curl ");
        match commands.last_mut() {
            Some(command) if is_next => command.extend(["\n", line]),
            _ if is_command => commands.push(line.clone()),
            _ => {}
        }
    }
    commands
}

/// Runs a command of the greeting, and returns the JSON that it prints.
fn run_curl(curl: &str) -> Value {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{curl} -sS --max-time 30 --noproxy '*'")]);
    let output = run(command);
    serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{curl}: {}", stderr(&output)))
}

#[test]
fn greeting_has_working_commands_in_80_columns() {
    let arguments = ["dev", "--in-memory", "--quiet", "--port", "0"];
    let (child, lines) = lines(&mut muster(arguments));
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
    let is_wide = |line: &&String| line.chars().count() > 80;
    assert_eq!(greeting.iter().find(is_wide), None);
    let curls = curls(&greeting);
    let [toptickets, itsm, ticket, decision] = &curls[..] else {
        panic!("{greeting:#?}")
    };
    if has_curl() {
        assert!(run_curl(toptickets).is_array(), "{toptickets}");
        assert_eq!(run_curl(itsm)["success"], true);
        assert_eq!(run_curl(ticket), json!({ "accepted": 1 }));
        let deadline = Instant::now() + PATIENCE;
        let decided = loop {
            let response = run_curl(decision);
            if response["success"] == true {
                break response;
            }
            assert!(Instant::now() < deadline, "{response}");
        };
        assert_eq!(decided["data"]["ticket_id"], "INC-1");
        assert_ne!(decided["data"]["reason"], "");
    }
    signal(&dev.child, "INT");
    assert_eq!(wait(&mut dev.child).code(), Some(0));
}

#[tokio::test]
async fn env_vars_file_has_every_variable() {
    const TEMPLATE: &str = include_str!("../../../../template.yaml");
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
fn env_vars_file_that_is_unwritable_is_named() {
    let (_folder, path) = folder();
    let file = format!("{path}/not/there/env.json");
    assert_fails(
        &refused(&["--port", "0", "--in-memory", "--env-vars", &file]),
        &[&file],
    );
}

/// The log targets of the service's crates begin with `muster`.
#[tokio::test]
async fn rust_log_of_muster_selects_the_functions_logs() {
    let (folder, _) = folder();
    let log = folder.path().join("stderr");
    let stderr = fs::File::create(&log).expect("a file can be created");
    let mut command = muster(["dev", "--json", "--in-memory", "--empty", "--port", "0"]);
    let (child, line) = first_line(command.env("RUST_LOG", "muster=debug").stderr(stderr));
    let dev = Dev {
        child,
        description: serde_json::from_str(&line).expect("the first line is JSON"),
    };
    let post = reqwest::Client::new()
        .post(format!("{}/_dev/queues/tickets", dev.text("/url")))
        .header("content-type", "application/json");
    let response = post.body("not an event").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);

    let logged = || fs::read_to_string(&log).expect("the log is UTF-8");
    until("a line of a function", || {
        logged().contains(" INFO muster_")
    })
    .await;
    let is_of_muster = |line: &str| line.contains("muster");
    assert!(logged().lines().all(is_of_muster), "{}", logged());
}
