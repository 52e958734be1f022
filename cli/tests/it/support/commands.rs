//! Commands on the table of a local stack, and their input files.

use std::{fs, path::PathBuf, process::Output};

use serde_json::Value;

use super::{Dev, muster, run, stderr, stdout};

/// Runs a command on the table of a stack.
pub fn on(dev: &Dev, arguments: &[&str]) -> Output {
    at(dev.dynamodb_url(), arguments)
}

pub fn at(endpoint: &str, arguments: &[&str]) -> Output {
    let mut command = muster(arguments);
    command.args(["--endpoint-url", endpoint]);
    run(command)
}

/// Runs a command that should succeed, and returns its output.
#[track_caller]
pub fn succeeds(dev: &Dev, arguments: &[&str]) -> String {
    let output = on(dev, arguments);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output)
}

/// Parses each line as JSON.
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

/// Writes a file, and returns its folder and its name.
pub fn file(content: impl AsRef<[u8]>) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path: PathBuf = folder.path().join("input");
    fs::write(&path, content).expect("a file can be written");
    let path = path.to_str().expect("its name is UTF-8").to_owned();
    (folder, path)
}
