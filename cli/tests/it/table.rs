//! `muster table`, and commands on a table that is missing or unreachable.

use serde_json::json;

use crate::{
    jwks::jwk,
    support::{Dev, assert_fails, at, file, muster, on, run, stdout, succeeds},
    users::{id, line},
};

#[test]
fn table_create_that_is_repeated_succeeds() {
    let dev = Dev::in_memory();
    let create = ["table", "create", "--table", "mine"];
    assert_eq!(succeeds(&dev, &create), "Created the table mine.\n");
    assert!(succeeds(&dev, &create).contains("already exists"));
    assert_eq!(
        succeeds(
            &dev,
            &["keys", "list", "--organization", "org", "--table", "mine"]
        ),
        ""
    );
    let mut command = muster(["table", "create", "--endpoint-url", dev.dynamodb_url()]);
    command.env("TABLE_NAME", "from-the-environment");
    assert_eq!(
        stdout(&run(command)),
        "Created the table from-the-environment.\n"
    );
}

#[test]
fn missing_table_error_names_the_fix() {
    let dev = Dev::in_memory();
    let (_folder, path) = file(line(1));
    let (_other_folder, set) = file(json!({ "keys": [jwk("a", 2048)] }).to_string());
    for command in [
        vec!["keys", "create", "--kind", "itsm"],
        vec!["keys", "list"],
        vec!["keys", "revoke", "0123"],
        vec!["jwks", "set", &set],
        vec!["jwks", "show"],
        vec!["jwks", "remove"],
        vec!["users", "import", &path],
        vec!["users", "erase", &id(1)],
    ] {
        let output = on(
            &dev,
            &[&command[..], &["--organization", "o", "--table", "nowhere"]].concat(),
        );
        assert_fails(
            &output,
            &[
                "nowhere",
                dev.dynamodb_url(),
                "--table",
                "muster table create",
            ],
        );
        assert_eq!(stdout(&output), "", "no key is shown that was not stored");
    }
}

#[test]
fn unreachable_table_error_names_the_endpoint() {
    // No service uses port 1, and it is not among the ports that a system assigns.
    let endpoint = "http://127.0.0.1:1";
    let output = at(
        endpoint,
        &["keys", "create", "--organization", "o", "--kind", "itsm"],
    );
    assert_fails(&output, &[endpoint, "DynamoDB"]);
    assert_eq!(stdout(&output), "");
    assert_fails(&at(endpoint, &["table", "create"]), &[endpoint, "DynamoDB"]);
}
