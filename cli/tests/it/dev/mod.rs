//! `muster dev`: its output, its end, and its stored data.

mod console;
mod data_dir;
mod demo;
mod listeners;
mod start;

use std::process::{Child, Command, Output};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Dev, muster, run};

pub fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(kill.expect("there is a kill command").success());
}

/// Runs `muster dev` with arguments that it should reject.
pub fn refused(arguments: &[&str]) -> Output {
    let mut command = muster(["dev", "--json"]);
    command.args(arguments);
    run(command)
}

/// Creates a folder, and returns its name.
pub fn folder() -> (tempfile::TempDir, String) {
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

/// Creates a team, and returns the list of teams.
pub async fn with_a_team(dev: &Dev) -> Value {
    let admin = dev.text("/keys/itsm/admin");
    let created = dev
        .post(admin, "/v1/teams", &json!({ "name": "Kept" }))
        .await;
    assert_eq!(created.0, StatusCode::CREATED, "{created:?}");
    dev.list(admin).await.1
}
