//! Commands that find the running `muster dev`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};

use crate::{
    dev::signal,
    support::{Dev, assert_fails, file, first_line, muster, run, stderr, stdout, wait},
};

/// A local stack with a runtime directory of its own.
struct Started {
    dev: Dev,
    folder: PathBuf,
    _parent: tempfile::TempDir,
}

impl Started {
    fn new() -> Self {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("muster");
        let dev = start_in(&folder);
        Self {
            dev,
            folder,
            _parent: parent,
        }
    }

    /// The file of the running stack.
    fn file(&self) -> PathBuf {
        self.folder.join("dev.json")
    }

    /// Runs a command with the runtime directory and a variable.
    fn run_with(&self, arguments: &[&str], variable: Option<(&str, &str)>) -> Output {
        let mut command = muster(arguments);
        command.env("MUSTER_RUNTIME_DIR", &self.folder);
        command.envs(variable);
        run(command)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, None)
    }
}

fn start_in(folder: &Path) -> Dev {
    let mut command = muster(["dev", "--json", "--in-memory", "--empty", "--port", "0"]);
    command.env("MUSTER_RUNTIME_DIR", folder);
    let (child, line) = first_line(&mut command);
    let description = serde_json::from_str(&line).expect("the first line is JSON");
    Dev { child, description }
}

const LIST: [&str; 4] = ["keys", "list", "--organization", "org_demo"];

#[test]
fn commands_find_the_running_stack() {
    let started = Started::new();
    let (dev, run) = (&started.dev, |arguments: &[&str]| started.run(arguments));
    let note = format!(
        "using the local stack at {} (process {})\n",
        dev.text("/url"),
        dev.child.id()
    );
    let listed = run(&LIST);
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    assert_eq!(stderr(&listed), note);
    assert_eq!(stdout(&listed).lines().count(), 5, "four keys");
    let (_folder, events) = file(json!({ "specversion": "1.0" }).to_string());
    for (arguments, words) in [
        (&["table", "create"][..], "already exists"),
        (&["tickets", "send", &events], "Sent 1 event"),
        (&["tickets", "redrive"], "Sent "),
        (&["changes", "redrive"], "Replayed 0 records"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).starts_with(&note), "{}", stderr(&output));
        assert!(stdout(&output).contains(words), "{}", stdout(&output));
    }

    // The queue, the table and the organization are those of the stack.
    let organization = ["/demo/organization_id", "/organization_id"]
        .into_iter()
        .find_map(|name| dev.description.pointer(name)?.as_str())
        .expect("an organization");
    let data =
        json!({ "organization_id": organization, "ticket": { "id": "INC-77", "status": "new" } });
    let event = json!({
        "specversion": "1.0", "id": "1", "type": "ticket.created", "time": "2026-03-02T09:00:00Z", "data": data,
    });
    let (_folder, ticket) = file(event.to_string());
    let sent = run(&["tickets", "send", &ticket, "--wait"]);
    assert_eq!((sent.status.code(), stderr(&sent)), (Some(0), note.clone()));
    let explained = run(&["tickets", "explain", "INC-77"]);
    assert!(
        stdout(&explained).starts_with("INC-77 has no team"),
        "{}",
        stderr(&explained)
    );

    commands_show_the_greeted_organization(&started, organization);

    // MUSTER_URL is an address that the user gave, so no search is necessary.
    let url = ("MUSTER_URL", dev.text("/url"));
    let sent = started.run_with(&["tickets", "send", &events], Some(url));
    assert_eq!((sent.status.code(), &*stderr(&sent)), (Some(0), ""));
}

/// Asserts that the commands show the organization of the greeting, in which INC-77 is unrouted.
fn commands_show_the_greeted_organization(started: &Started, organization: &str) {
    for arguments in [&["teams", "list"][..], &["status"]] {
        let output = started.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let note = format!("using the organization {organization} of the local stack");
        assert!(stderr(&output).contains(&note), "{}", stderr(&output));
    }
    let status = started.run(&["status", "--json"]);
    let status: Value = serde_json::from_str(&stdout(&status)).expect("one line of JSON");
    let queues: Vec<_> = status["queues"]
        .as_array()
        .expect("queues")
        .iter()
        .map(|queue| queue["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(queues, ["jobs", "long_jobs", "tickets", "users"]);
    assert_eq!(status["organization_id"], organization);
    let unrouted = status["unrouted_tickets"].as_u64();
    assert!(unrouted >= Some(1), "the ticket above: {status}");
    assert!(status["waiting_tickets"].is_u64(), "{status}");
    let unknown = started.run(&["status", "--organization", "nobody"]);
    assert!(stderr(&unknown).contains("no organization nobody"));
}

#[cfg(unix)]
#[test]
fn dev_env_exports_the_running_stack() {
    let started = Started::new();
    let dev = &started.dev;
    let json = stdout(&started.run(&["dev", "env", "--json"]));
    let variables: Value = serde_json::from_str(&json).expect("one line of JSON");
    for (name, pointer) in [
        ("MUSTER_URL", "/url"),
        ("MUSTER_ORGANIZATION", "/organization_id"),
        ("MUSTER_ITSM_KEY", "/keys/itsm/admin"),
        (
            "MUSTER_TOPTICKETS_READ_ONLY_KEY",
            "/keys/toptickets/read_only",
        ),
        ("MUSTER_USER_ID", "/users/0/id"),
        ("TABLE_NAME", "/table"),
        ("AWS_ENDPOINT_URL", "/aws_url"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "/dynamodb_url"),
        ("TICKETS_QUEUE_URL", "/tickets_queue_url"),
    ] {
        assert_eq!(variables[name], dev.text(pointer), "{name}");
    }
    let greeted = dev.description.get("demo").unwrap_or(&dev.description);
    for (name, pointer) in [
        ("MUSTER_ORGANIZATION", "/organization_id"),
        ("MUSTER_ITSM_KEY", "/keys/itsm/admin"),
        (
            "MUSTER_TOPTICKETS_READ_ONLY_KEY",
            "/keys/toptickets/read_only",
        ),
        ("MUSTER_USER_ID", "/users/0/id"),
    ] {
        assert_eq!(Some(&variables[name]), greeted.pointer(pointer), "{name}");
    }
    let dotenv = stdout(&started.run(&["dev", "env", "--output", "dotenv"]));
    assert!(dotenv.contains(&format!("MUSTER_URL={}\n", dev.text("/url"))));

    // The variables select the stack for the commands and for the tools of AWS.
    let script = r#"eval "$("$MUSTER" dev env)" && "$MUSTER" keys list --organization "$MUSTER_ORGANIZATION""#;
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", script])
        .env("MUSTER", env!("CARGO_BIN_EXE_muster"))
        .env("MUSTER_RUNTIME_DIR", &started.folder);
    let listed = run(shell);
    assert_eq!((listed.status.code(), &*stderr(&listed)), (Some(0), ""));
    assert_eq!(stdout(&listed).lines().count(), 5, "four keys");

    let none = run(muster(["dev", "env"]));
    assert_fails(&none, &["no running local stack", "start `muster dev`"]);
}

#[test]
fn named_table_or_account_excludes_the_running_stack() {
    let started = Started::new();
    let (_folder, events) = file("{}");
    for name in ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "TABLE_NAME"] {
        let send = ["tickets", "send", &events];
        let sent = started.run_with(&send, Some((name, "production")));
        assert_fails(&sent, &[name, "--to"]);
        if name != "TABLE_NAME" {
            let listed = started.run_with(&LIST, Some((name, "production")));
            assert_fails(&listed, &[name, "--table", "--aws"]);
        }
    }
    // These commands call AWS, for which the environment has no credentials.
    let no_credentials = |output: &Output| {
        assert_eq!(output.status.code(), Some(1));
        let error = stderr(output);
        assert!(
            error.starts_with("error: there are no AWS credentials"),
            "{error}"
        );
    };
    let imds = Some(("AWS_EC2_METADATA_DISABLED", "true"));
    for option in [&["--aws"][..], &["--table", "muster"]] {
        no_credentials(&started.run_with(&[&LIST[..], option].concat(), imds));
    }
    let elsewhere = [&LIST[..], &["--endpoint-url", "http://127.0.0.1:1"]].concat();
    assert_fails(&started.run(&elsewhere), &["http://127.0.0.1:1"]);
}

#[test]
fn stale_runtime_file_is_ignored() {
    let mut started = Started::new();
    let no_stack = |output: &Output| {
        let words = ["no running local stack", "muster dev", "--table", "--aws"];
        assert_fails(output, &words);
    };
    // Another process listens on the port.
    let content = fs::read_to_string(started.file()).expect("the file is there");
    let mut other: Value = serde_json::from_str(&content).expect("it is JSON");
    other["pid"] = json!(1);
    fs::write(started.file(), other.to_string()).expect("the file can be written");
    no_stack(&started.run(&LIST));

    // A later stack replaces the file; the end of the earlier one leaves it.
    let mut later = start_in(&started.folder);
    signal(&started.dev.child, "TERM");
    assert!(wait(&mut started.dev.child).success());
    assert!(stderr(&started.run(&LIST)).contains(later.text("/url")));

    signal(&later.child, "TERM");
    assert!(wait(&mut later.child).success());
    assert!(!started.file().exists(), "a stack removes its file");
    no_stack(&started.run(&LIST));

    let mut killed = start_in(&started.folder);
    killed.child.kill().expect("it can be killed");
    killed.child.wait().expect("it ended");
    assert!(started.file().exists());
    no_stack(&started.run(&LIST));
}
