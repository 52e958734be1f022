//! `muster tickets redrive --edit`, with scripts as editors.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::{Arc, Mutex},
};

use muster_cli::local::{Data, LocalStack};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::redrive::{dead, refusing, send_dead_letters, sorted, start_recording, visible};
use crate::support::{
    assert_fails,
    local_stack::{handler, records, settings, until},
    muster, run, stderr, stdout,
};

/// The reason of the dead letters to edit.
const REASON: &str = "data.ticket.status: must be one of new";

/// Runs the command with an editor, and with temporary files in this folder.
async fn edit(folder: &Path, editor: &str, arguments: &[&str]) -> Output {
    let mut command = muster([&["tickets", "redrive", "--edit"], arguments].concat());
    command.env("EDITOR", editor).env("TMPDIR", folder);
    tokio::task::spawn_blocking(move || run(command))
        .await
        .expect("it does not panic")
}

/// Writes a script, and returns its folder and the command that runs it on the file `$1`.
fn script(lines: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("editor");
    fs::write(&path, lines).expect("a file can be written");
    let command = format!("sh {}", path.display());
    (folder, command)
}

/// Replaces `lost` by `new`, and the file by another of the same name, as some editors do.
const REPAIR: &str = "sed s/lost/new/ \"$1\" > \"$1~\" && mv \"$1~\" \"$1\"\n";

fn ticket(id: &str, status: &str) -> Value {
    let ticket = json!({ "id": id, "status": status, "updated_at": "2025-03-03T09:00:00Z" });
    let data = json!({ "organization_id": "acme", "ticket": ticket });
    json!({ "specversion": "1.0", "id": id, "source": "/desk", "type": "ticket.created", "data": data })
}

/// Returns the files that the editor opened and that still exist.
fn remaining_files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    files
        .map(|path| path.join("dead-letter.json"))
        .filter(|path| path.exists())
        .collect()
}

#[tokio::test]
async fn edited_body_replaces_its_dead_letter() {
    let (stack, accepted) = start_recording().await;
    // Some systems send JSON on several lines.
    let lost = format!("{:#}\n", ticket("INC-1", "lost"));
    send_dead_letters(
        &stack,
        "tickets",
        [(&*lost, Some(REASON)), ("other", Some("it is not JSON"))],
    )
    .await;
    let wait = "cp \"$1\" $TMPDIR/shown; while [ ! -e $TMPDIR/go ]; do sleep 0.05; done\n";
    let (folder, editor) = script(&format!("{wait}{REPAIR}"));
    let path = folder.path().to_owned();
    let url = stack.url.clone();
    let editing =
        tokio::spawn(
            async move { edit(&path, &editor, &["--from", &url, "--reason", "status"]).await },
        );

    until("the editor is open", || {
        folder.path().join("shown").exists()
    })
    .await;
    let shown = fs::read_to_string(folder.path().join("shown")).expect("a text");
    assert!(
        shown.starts_with(
            "# Dead letter: ticket INC-1 of organization acme\n# Reason: data.ticket.status"
        ),
        "{shown}"
    );
    assert!(
        shown.contains("\n  \"type\": \"ticket.created\""),
        "{shown}"
    );
    assert_eq!(
        (dead(&stack, "tickets").len(), sorted(&accepted)),
        (2, Vec::new()),
        "neither sent nor deleted before"
    );
    let hidden = visible(&stack, "tickets").await;
    assert!(
        hidden == "1" || hidden == "0",
        "the letter is hidden: {hidden}"
    );
    fs::write(folder.path().join("go"), "").expect("a file can be written");

    let sent = editing.await.expect("it does not panic");
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    let summary = stdout(&sent);
    assert!(
        summary.starts_with("Sent 1 dead letter again, ")
            && summary.ends_with(". Left because the reason does not match: 1.\n"),
        "{summary}"
    );
    until("it is accepted", || {
        sorted(&accepted) == [ticket("INC-1", "new").to_string()]
    })
    .await;
    assert_eq!(
        (dead(&stack, "tickets"), visible(&stack, "tickets").await),
        (vec!["other".to_owned()], "1".to_owned())
    );
    assert_eq!(remaining_files(folder.path()), [""; 0].map(PathBuf::from));
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn each_dead_letter_is_edited_by_itself() {
    let (stack, accepted) = start_recording().await;
    let lost = ["INC-1", "INC-2", "INC-3"].map(|id| ticket(id, "lost").to_string());
    send_dead_letters(
        &stack,
        "tickets",
        lost.iter().map(|body| (&**body, Some(REASON))),
    )
    .await;
    // The second dead letter stays unchanged.
    let (folder, editor) = script(&format!("grep -q INC-2 \"$1\" && exit\n{REPAIR}"));
    let sent = edit(folder.path(), &editor, &["--from", &stack.url]).await;
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    assert!(
        stdout(&sent).starts_with("Sent 2 dead letters again, "),
        "{}",
        stdout(&sent)
    );
    assert!(
        stdout(&sent).ends_with(". Left unchanged: 1.\n"),
        "{}",
        stdout(&sent)
    );
    until("both are accepted", || {
        sorted(&accepted) == ["INC-1", "INC-3"].map(|id| ticket(id, "new").to_string())
    })
    .await;
    assert_eq!(
        (dead(&stack, "tickets"), visible(&stack, "tickets").await),
        (vec![lost[1].clone()], "1".to_owned())
    );

    let sent = edit(
        folder.path(),
        "true",
        &["--from", &stack.url, "--limit", "1"],
    )
    .await;
    assert!(
        stdout(&sent).ends_with(". Left unchanged: 1. The limit is reached; there may be more.\n"),
        "{}",
        stdout(&sent)
    );
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn invalid_body_leaves_the_dead_letter() {
    let (stack, accepted) = start_recording().await;
    let lost = ["INC-1", "INC-2"].map(|id| ticket(id, "lost").to_string());
    send_dead_letters(
        &stack,
        "tickets",
        lost.iter().map(|body| (&**body, Some(REASON))),
    )
    .await;
    let (folder, editor) = script(
        "case $(cat \"$1\") in *INC-1*) sed -i.old s/lost/found/ \"$1\";; *) echo oops > \"$1\";; esac\n",
    );
    let sent = edit(folder.path(), &editor, &["--from", &stack.url]).await;
    let errors = stderr(&sent);
    assert_eq!(sent.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("ticket INC-1 of organization acme is left: data.ticket.status"),
        "{errors}"
    );
    assert!(
        errors.contains("ticket INC-2 of organization acme is left: not JSON"),
        "{errors}"
    );
    assert!(
        errors.ends_with("error: dead letters left because their edited bodies are not valid: 2\n"),
        "{errors}"
    );
    assert!(
        stdout(&sent).starts_with("Sent 0 dead letters again, "),
        "{}",
        stdout(&sent)
    );
    assert_eq!(
        (dead(&stack, "tickets"), visible(&stack, "tickets").await),
        (lost.to_vec(), "2".to_owned())
    );
    assert_eq!(sorted(&accepted), [""; 0]);
    let remaining_files = remaining_files(folder.path());
    assert!(
        remaining_files.len() == 2
            && remaining_files
                .iter()
                .all(|file| errors.contains(file.to_str().expect("UTF-8"))),
        "{errors}"
    );
    let texts: String = remaining_files
        .iter()
        .map(|file| fs::read_to_string(file).expect("a text"))
        .collect();
    assert!(texts.contains("found") && texts.contains("oops"), "{texts}");
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn failed_editor_ends_the_command() {
    let (stack, accepted) = start_recording().await;
    let lost = ["INC-1", "INC-2"].map(|id| ticket(id, "lost").to_string());
    send_dead_letters(
        &stack,
        "tickets",
        lost.iter().map(|body| (&**body, Some(REASON))),
    )
    .await;
    let (folder, editor) = script(&format!("echo >> $TMPDIR/opened\n{REPAIR}exit 3\n"));
    let sent = edit(folder.path(), &editor, &["--from", &stack.url]).await;
    assert_fails(&sent, &["stopped", "left as they were", "exit status: 3"]);
    let opened = fs::read_to_string(folder.path().join("opened")).expect("it was opened");
    assert_eq!(opened.lines().count(), 1);
    // The shell prints a line about the missing command.
    let sent = edit(
        folder.path(),
        "no-such-editor 2>&-",
        &["--from", &stack.url],
    )
    .await;
    assert_fails(&sent, &["the editor \"no-such-editor", "failed", "stopped"]);
    assert_eq!(
        (dead(&stack, "tickets"), visible(&stack, "tickets").await),
        (lost.to_vec(), "2".to_owned())
    );
    assert_eq!(sorted(&accepted), [""; 0]);

    let without = run(muster([
        "tickets", "redrive", "--edit", "--from", &stack.url,
    ]));
    assert_fails(&without, &["--edit", "set EDITOR"]);
    let senseless = run(muster(["tickets", "redrive", "--edit", "--dry-run"]));
    assert_eq!(senseless.status.code(), Some(2), "{}", stderr(&senseless));
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn refused_body_leaves_the_dead_letter() {
    let (stack, _) = start_recording().await;
    let lost = ticket("INC-1", "lost").to_string();
    send_dead_letters(&stack, "tickets", [(&*lost, Some(REASON))]).await;
    let (folder, editor) = script(REPAIR);
    let sent = edit(
        folder.path(),
        &editor,
        &["--from", &stack.url, "--to", &refusing().await],
    )
    .await;
    assert_fails(
        &sent,
        &[
            "the edited text is in",
            "1 messages could not be sent",
            "not for you",
        ],
    );
    assert_eq!(
        (dead(&stack, "tickets"), visible(&stack, "tickets").await),
        (vec![lost], "1".to_owned())
    );
    let [file] = &remaining_files(folder.path())[..] else {
        panic!("one text is remaining_files")
    };
    assert!(
        fs::read_to_string(file)
            .expect("a text")
            .contains("\"new\"")
    );
    stack.stop().await.expect("it stops");
}

#[tokio::test]
async fn user_event_is_checked_as_one() {
    let accepted: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&accepted);
    let records_bodies = handler(move |event| {
        let bodies = records(&event)
            .iter()
            .map(|record| record["body"].as_str().expect("a text").to_owned());
        log.lock().expect("no test panics with it").extend(bodies);
        Value::Null
    });
    let stack = LocalStack::start(
        0,
        Data::Memory,
        settings([("DirectoryFunction", records_bodies)]),
    )
    .await;
    let stack = stack.expect("a stack starts");
    let user = |status: &str| {
        let id = "10000000-0000-4000-8000-000000000001";
        let user = json!({ "id": id, "status": status, "updated_at": "2025-03-03T09:00:00Z" });
        let data = json!({ "organization_id": "acme", "user": user });
        json!({ "specversion": "1.0", "id": "1", "source": "/hr", "type": "user.updated", "data": data }).to_string()
    };
    send_dead_letters(
        &stack,
        "users",
        [(
            &*user("lost"),
            Some("data.user.status: must be one of active"),
        )],
    )
    .await;
    let from = stack.queue_url("users-dead-letters");
    let (folder, editor) = script("sed -i.old s/lost/found/ \"$1\"\n");
    let sent = edit(folder.path(), &editor, &["--from", &from]).await;
    assert!(
        sent.status.code() == Some(1) && stderr(&sent).contains("data.user.status"),
        "{}",
        stderr(&sent)
    );
    let (folder, editor) = script("sed -i.old s/lost/active/ \"$1\"\n");
    let sent = edit(folder.path(), &editor, &["--from", &from]).await;
    assert_eq!(
        (sent.status.code(), stderr(&sent)),
        (Some(0), String::new())
    );
    until("it is accepted", || sorted(&accepted) == [user("active")]).await;
    assert_eq!(dead(&stack, "users"), [""; 0]);
    stack.stop().await.expect("it stops");
}
