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

    // MUSTER_URL is an address that the user gave, so no search is necessary.
    let url = ("MUSTER_URL", dev.text("/url"));
    let sent = started.run_with(&["tickets", "send", &events], Some(url));
    assert_eq!((sent.status.code(), &*stderr(&sent)), (Some(0), ""));
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
