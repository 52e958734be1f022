//! Usage errors and help texts.

use crate::support::{muster, run, stderr, stdout};

/// Command lines with a usage error.
const USAGE_ERRORS: &[&[&str]] = &[
    &[],
    &["nonsense"],
    &["dev", "--port", "65536"],
    &["dev", "--port", "x"],
    &["dev", "--in-memory", "--data-dir", "x"],
    &["dev", "more"],
    &["table"],
    &["table", "create", "--endpoint-url", "not a url"],
    &["keys"],
    &["keys", "create", "--kind", "itsm"],
    &["keys", "create", "--organization", "o"],
    &[
        "keys",
        "create",
        "--organization",
        "o",
        "--kind",
        "tt_other",
    ],
    &["keys", "create", "--organization", "a b", "--kind", "itsm"],
    &["keys", "create", "--organization", "", "--kind", "itsm"],
    &["keys", "list"],
    &["keys", "revoke", "--organization", "o"],
    &["jwks"],
    &["jwks", "set", "x.json"],
    &["jwks", "set", "--organization", "o"],
    &[
        "jwks",
        "set",
        "--organization",
        "o",
        "--issuer",
        "",
        "x.json",
    ],
    &[
        "jwks",
        "set",
        "--organization",
        "o",
        "--audience",
        "a\nb",
        "x.json",
    ],
    &["jwks", "show"],
    &["jwks", "show", "--organization", "o", "x.json"],
    &["jwks", "remove"],
    &["users", "import", "--organization", "o"],
    &["users", "import", "x.jsonl"],
    &["users", "erase", "--organization", "o"],
    &["users", "erase", "--organization", "o", "alice"],
    &["users", "erase", "6f9619ff-8b86-4011-b42d-00cf4fc964ff"],
];

#[test]
fn usage_error_exits_with_2() {
    let keys = ["keys", "create", "--organization", "o", "--kind", "itsm"];
    let mut senseless: Vec<Vec<&str>> = USAGE_ERRORS.iter().map(|it| it.to_vec()).collect();
    for time in ["0d", "5", "h", "-1h", "1w", "1.5h", "", "99999999999h"] {
        senseless.push([&keys[..], &["--expires-in", time]].concat());
    }
    for networks in [
        "",
        "office",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/8,",
        "10.0.0.0/8 10.1.0.0/16",
        "::/129",
    ] {
        senseless.push([&keys[..], &["--allow-from", networks]].concat());
    }
    for scopes in [
        "",
        "teams:all",
        "teams:read,,teams:write",
        "teams:read teams:write",
    ] {
        senseless.push([&keys[..], &["--scopes", scopes]].concat());
    }
    for arguments in senseless {
        let output = run(muster(&arguments));
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(
            stderr(&output).contains("Usage") || stderr(&output).contains("--help"),
            "{arguments:?}"
        );
    }
}

/// Commands, each with words of its help.
const HELP: &[(&[&str], &[&str])] = &[
    (
        &[],
        &[
            "dev",
            "table",
            "keys",
            "jwks",
            "users",
            "this machine",
            "AWS_REGION",
            "--endpoint-url",
        ],
    ),
    (
        &["dev"],
        &[
            "--port",
            "3000",
            "0 picks",
            "--data-dir",
            "--in-memory",
            "--json",
            "127.0.0.1",
        ],
    ),
    (&["table"], &["create"]),
    (
        &["table", "create"],
        &["template.yaml", "--table", "TABLE_NAME", "--endpoint-url"],
    ),
    (&["keys"], &["create", "list", "revoke"]),
    (
        &["keys", "create"],
        &[
            "--organization",
            "--kind",
            "tt_admin",
            "tt_live",
            "tt_agent",
            "tt_ro",
            "itsm",
            "--scopes",
            "teams:read",
            "teams:write",
            "teams:delete",
            "--allow-from",
            "192.0.2.0/24",
            "anywhere",
            "--expires-in",
            "30d",
            "72h",
            "--json",
            "--table",
            "--endpoint-url",
            "once",
        ],
    ),
    (
        &["keys", "list"],
        &["--organization", "--json", "without the secrets"],
    ),
    (
        &["keys", "revoke"],
        &["KEY-ID", "60 seconds", "first digits"],
    ),
    (&["jwks"], &["set", "show", "remove"]),
    (
        &["jwks", "set"],
        &[
            "FILE.json",
            "JSON Web Key Set",
            "1 to 20",
            "2048 to 8192",
            "RS256",
            "kid",
            "60 seconds",
            "set both",
            "--organization",
            "--issuer",
            "--audience",
            "exact match",
            "--table",
        ],
    ),
    (&["jwks", "show"], &["--organization", "--json"]),
    (&["jwks", "remove"], &["--organization", "60 seconds"]),
    (&["users"], &["import", "list", "erase"]),
    (
        &["users", "import"],
        &[
            "JSON lines",
            "\"id\"",
            "full_name",
            "email",
            "is_active",
            "suspended",
            "by number",
            "exit code",
            "--organization",
            "--ignore-unknown",
            "deleted user",
        ],
    ),
    (
        &["users", "erase"],
        &[
            "USER-ID",
            "permanently",
            "tombstone",
            "Deleted user",
            "operations.md",
            "--organization",
        ],
    ),
    (
        &["tickets"],
        &["check", "send", "list", "explain", "generate", "redrive"],
    ),
    (
        &["tickets", "list"],
        &[
            "--state",
            "unrouted",
            "waiting",
            "assigned",
            "--team",
            "--priority",
            "--limit",
            "--organization",
            "--json",
            "two round trips",
        ],
    ),
    (
        &["tickets", "explain"],
        &[
            "TICKET-ID",
            "--organization",
            "--json",
            "who could take",
            "two round trips",
            "first 100 teams",
            "scans nothing",
        ],
    ),
    (
        &["tickets", "check"],
        &[
            "FILE.jsonl",
            "standard input",
            "--queue",
            "users",
            "--json",
            "dead letter",
            "assigned_to",
            "exit code",
        ],
    ),
    (
        &["tickets", "send"],
        &[
            "FILE.jsonl",
            "standard input",
            "--to",
            "http://127.0.0.1:3000",
            "SQS",
            "by number",
            "exit code",
            "--wait",
            "--timeout",
            "--speed",
            "Ctrl-C",
            "up to 500 tickets",
            "5 minutes",
            "--json",
        ],
    ),
    (
        &["tickets", "generate"],
        &[
            "--seed",
            "--start",
            "24 hours ago",
            "--teams",
            "--users",
            "--contract",
            "--duplicates",
            "--shuffle",
            "UTC",
        ],
    ),
    (
        &["tickets", "redrive"],
        &[
            "--from",
            "--to",
            "--reason",
            "--limit",
            "--dry-run",
            "--json",
            "SQS",
            "muster dev",
            "of users or of jobs",
            "interrupted",
            "idempotent",
            "5 minutes",
            "exit code",
        ],
    ),
];

#[test]
fn help_names_options_and_limits() {
    for (command, words) in HELP {
        let output = run(muster(command.iter().chain([&"--help"])));
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = stdout(&output);
        for word in *words {
            assert!(
                help.contains(word),
                "{command:?} --help does not say {word:?}:\n{help}"
            );
        }
    }
    let version = run(muster(["--version"]));
    assert!(
        stdout(&version).starts_with("muster "),
        "{}",
        stdout(&version)
    );
}
