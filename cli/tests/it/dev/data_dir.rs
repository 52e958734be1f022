//! The data of `muster dev`: in memory, with samples, and in a folder.

use std::{fs, io::Read, path::Path, process::Stdio};

use reqwest::StatusCode;
use serde_json::json;

use super::{folder, refused, signal, with_a_team};
use crate::support::{Dev, assert_fails, first_line, muster, stderr, stdout, wait};

#[tokio::test]
async fn data_dir_restart_keeps_teams_and_keys() {
    for name in ["TERM", "KILL"] {
        let (_folder, path) = folder();
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
async fn in_memory_restart_has_no_data() {
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

/// A key in the files of `events/`.
const SAMPLE_KEY: &str = "itsm_EverybodyKnowsThisKeyItOpensNothingButSamples";

#[tokio::test]
async fn published_keys_are_rejected_without_samples() {
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
    let (_folder, path) = folder();
    assert_eq!(
        Dev::start(["--data-dir", &path]).list(SAMPLE_KEY).await.0,
        StatusCode::UNAUTHORIZED
    );

    // A folder with a published key would outlive the process.
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
async fn data_dir_in_use_is_rejected() {
    let (_folder, path) = folder();
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

/// Returns the files of a folder by name.
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
fn data_dir_damaged_is_unchanged() {
    let garbage = b"this is no database, and long enough to be mistaken for one".repeat(200);
    for (file, content) in [
        ("muster.db", garbage.as_slice()),
        ("demo-keys.json", b"garbage"),
        ("demo-keys.json", b""),
        ("demo-keys.json", b"[]"),
        ("demo-keys.json", b"\xff\xfe"),
        ("demo-keys.json", br#"{"org_demo": {"toptickets": 7}}"#),
        ("demo-data.json", b"{}"),
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
fn data_dir_that_is_a_file_is_rejected() {
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
fn data_dir_missing_is_created() {
    let (_folder, path) = folder();
    let below = format!("{path}/not/there/yet");
    let mut dev = Dev::start(["--data-dir", &below]);
    signal(&dev.child, "TERM");
    assert_eq!(wait(&mut dev.child).code(), Some(0));
    assert!(Path::new(&below).join("muster.db").is_file());
}

#[cfg(unix)]
#[test]
fn data_dir_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, path) = folder();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let loosen =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    loosen(folder.path(), 0o755);
    // The second start finds a folder that other users may read.
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
fn data_dir_of_another_format_is_unchanged() {
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
fn data_dir_with_foreign_files_is_rejected() {
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

#[tokio::test]
async fn reset_deletes_own_files_alone() {
    let (folder, path) = folder();
    let arguments = ["--data-dir", &path, "--reset"];
    let mut dev = Dev::start(["--data-dir", &path]);
    with_a_team(&dev).await;
    assert_fails(
        &refused(&[&["--port", "0"], &arguments[..]].concat()),
        &["another `muster dev`", &path],
    );
    signal(&dev.child, "TERM");
    wait(&mut dev.child);
    fs::write(folder.path().join("letter.txt"), "mine").unwrap();
    // An unknown format and a damaged file are reasons for a reset.
    fs::write(folder.path().join("format"), "999").unwrap();
    fs::write(folder.path().join("queues.json"), "garbage").unwrap();

    let mut command = muster(["dev", "--json", "--port", "0"]);
    let (child, line) = first_line(command.args(arguments).stderr(Stdio::piped()));
    let mut again = Dev {
        child,
        description: serde_json::from_str(&line).expect("the first line is JSON"),
    };
    let key = again.text("/keys/itsm/admin");
    assert_eq!(again.list(key).await.1["data"], json!([]));
    assert_ne!(again.description["keys"], dev.description["keys"]);
    signal(&again.child, "TERM");
    wait(&mut again.child);
    let mut printed = String::new();
    let stderr = again.child.stderr.as_mut().expect("it is piped");
    stderr.read_to_string(&mut printed).unwrap();
    assert_eq!(
        printed,
        format!("deleted demo-keys.json, muster.db, queues.json, stream.json in {path}\n")
    );
    let kept = fs::read(folder.path().join("letter.txt")).unwrap();
    assert_eq!(kept, b"mine");
}

#[test]
fn reset_without_a_data_folder_is_rejected() {
    let (folder, path) = folder();
    fs::write(folder.path().join("muster.txt"), "mine").unwrap();
    assert_fails(
        &refused(&["--port", "0", "--data-dir", &path, "--reset"]),
        &[&path, "other files", "--data-dir"],
    );
    assert_eq!(fs::read(folder.path().join("muster.txt")).unwrap(), b"mine");
    let in_memory = refused(&["--in-memory", "--reset"]);
    assert_eq!(in_memory.status.code(), Some(2), "{in_memory:?}");
}
