//! The commands of README.md and docs/tutorial.md: the `bash` blocks of each page, run in one shell
//! as they stand, print the output that the page shows.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use aws_sdk_sqs::types::QueueAttributeName;
use axum::{Router, extract::State, routing::get};
use muster_cli::emulator;
use serde_json::Value;

use crate::support::{Dev, PATIENCE, has_curl, lines, muster, run, stderr, stdout};

/// The address of the stack on the page.
const ADDRESS: &str = "http://127.0.0.1:3000";

/// A line that separates the outputs of two blocks. The exit code of the block follows it.
const SEPARATOR: &str = "--- end of block: ";

/// A block of commands, and the output that the page shows for it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Block {
    commands: String,
    output: String,
    /// The lines that the console of the stack shows.
    console: String,
}

/// Returns the `bash` blocks of a page in order. The output of a block is the `json` or `text`
/// block that comes next. A `console` block has lines of the stack's console.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut fences = page.split("\n```");
    // The text between two fences is the content of a block, or prose.
    while let (Some(_prose), Some(fenced)) = (fences.next(), fences.next()) {
        let (language, content) = fenced.split_once('\n').unwrap_or((fenced, ""));
        match (language, blocks.last_mut()) {
            ("bash", _) => blocks.push(Block {
                commands: content.to_owned(),
                ..Block::default()
            }),
            ("console", Some(block)) => content.clone_into(&mut block.console),
            ("json" | "text", Some(block)) if block.output.is_empty() => {
                content.clone_into(&mut block.output);
            }
            ("json" | "text" | "console", _) => {
                panic!("no block of commands precedes this output: {content}")
            }
            _ => {}
        }
    }
    blocks
}

/// Replaces ids and times by placeholders. The same id has the same placeholder wherever it occurs.
#[derive(Default)]
struct Masked {
    ids: Vec<String>,
}

impl Masked {
    /// The ids of the demo organization's users, which are the same everywhere.
    const FIXED: &str = "10000000-0000-4000-8000-";

    fn line(&mut self, line: &str) -> String {
        without_durations(&without_times(&self.without_ids(line)))
    }

    fn without_ids(&mut self, line: &str) -> String {
        let mut masked = String::new();
        let mut rest = line;
        while let Some(next) = rest.chars().next() {
            let id = rest
                .get(..36)
                .filter(|word| is_uuid(word) && !word.starts_with(Self::FIXED));
            let length = if let Some(id) = id {
                let known = self
                    .ids
                    .iter()
                    .position(|known| known == id)
                    .unwrap_or_else(|| {
                        self.ids.push(id.to_owned());
                        self.ids.len() - 1
                    });
                masked.extend(["<id ", &known.to_string(), ">"]);
                id.len()
            } else {
                masked.push(next);
                next.len_utf8()
            };
            rest = &rest[length..];
        }
        masked
    }
}

fn is_uuid(word: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match byte {
            b'-' => dashes.contains(&at),
            _ => byte.is_ascii_hexdigit() && !dashes.contains(&at),
        })
}

/// Replaces the values of the JSON fields `timestamp` and `…_at`: times in RFC 3339 and Unix
/// seconds.
fn without_times(line: &str) -> String {
    // A time has neither a brace nor a comma, so it ends where the piece of its field does.
    let masked = |piece: &str| {
        let (field, rest) = piece.split_once("\":")?;
        let name = field.rsplit('"').next()?;
        let value = rest.trim_end_matches([',', '}']);
        let is_masked = (name == "timestamp" || name.ends_with("_at")) && is_time(value);
        is_masked.then(|| format!("{field}\":<time>{}", &rest[value.len()..]))
    };
    let pieces = line.split_inclusive(['{', ',', '}']);
    pieces
        .map(|piece| masked(piece).unwrap_or_else(|| piece.to_owned()))
        .collect()
}

fn is_time(value: &str) -> bool {
    let shape: String = value
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000000000" || shape == "\"0000-00-00T00:00:00Z\""
}

/// Replaces the figures in `in 0.1 s, 9 a second`.
fn without_durations(line: &str) -> String {
    let Some((before, after)) = line.split_once(" in ") else {
        return line.to_owned();
    };
    let Some((seconds, rest)) = after.split_once(" s, ") else {
        return line.to_owned();
    };
    let Some((rate, rest)) = rest.split_once(" a second.") else {
        return line.to_owned();
    };
    if seconds.parse::<f64>().is_err() || rate.parse::<u64>().is_err() {
        return line.to_owned();
    }
    format!("{before} in <seconds> s, <rate> a second.{rest}")
}

#[test]
fn mask_hides_ids_and_times_alone() {
    let mut masked = Masked::default();
    let (one, two) = (
        "01a20024-2dce-7152-bc84-89f71c4ce334",
        "e9fc7e25-3b6b-4c4e-9d26-3cc1d7f3a3f0",
    );
    assert_eq!(
        masked.line(&format!("team_{one},/v1/{two}/{one}")),
        "team_<id 0>,/v1/<id 1>/<id 0>"
    );
    for (line, shown) in [
        (
            r#"{"created_at":1795298700,"at":"2026-11-21T22:05:00Z"}"#,
            r#"{"created_at":<time>,"at":"2026-11-21T22:05:00Z"}"#,
        ),
        (
            r#"{"timestamp":"2026-11-21T22:05:00Z","path":"/"}"#,
            r#"{"timestamp":<time>,"path":"/"}"#,
        ),
        (
            r#"{"a":[{"queried_at":1795298700}],"b_at":null}"#,
            r#"{"a":[{"queried_at":<time>}],"b_at":null}"#,
        ),
        (
            "Sent 1 event to x in 0.1 s, 12 a second.",
            "Sent 1 event to x in <seconds> s, <rate> a second.",
        ),
    ] {
        assert_eq!(masked.line(line), shown);
    }
    for shown in [
        r#"{"rate":98.35,"open":72,"avg":36.0,"seconds":1795298700}"#,
        r#"{"id":"usr_10000000-0000-4000-8000-000000000003"}"#,
        r#"{"name":"Sam: a team, \"at\"","updated_at":"soon"}"#,
        "Sent 1 event in time.",
    ] {
        assert_eq!(masked.line(shown), shown);
    }
}

#[test]
fn blocks_have_the_output_that_follows() {
    let page = "a\n```sh\nleft out\n```\nb\n```bash\none\ntwo\n```\n\n```json\n{}\n```\nc\n```bash\nthree\n```\n```console\nline\n```\nd\n";
    let block = |commands: &str, output: &str, console: &str| Block {
        commands: commands.to_owned(),
        output: output.to_owned(),
        console: console.to_owned(),
    };
    assert_eq!(
        blocks(page),
        [block("one\ntwo", "{}", ""), block("three", "", "line")]
    );
}

/// A stack on which the blocks of a page run.
struct PageStack {
    /// The addresses in its outputs that are [`ADDRESS`] on the page.
    addresses: Vec<String>,
    /// The output of `muster dev` that the first block reads: the address and the keys.
    greeting: String,
    /// Texts of the page to replace before the commands run. None for a local stack.
    replaced: Vec<(&'static str, String)>,
    /// The time for all blocks.
    patience: Duration,
    /// The start of the stack.
    started: Instant,
    /// The lines after the greeting. None for a deployed stack.
    console: Option<Arc<Mutex<Vec<String>>>>,
}

impl PageStack {
    /// Starts a stack as the page says, but on a free port. The process ends when the first value
    /// is dropped.
    fn local(arguments: &[&str]) -> (Dev, Self) {
        let started = Instant::now();
        let (child, mut lines) = lines(muster(["dev", "--port", "0"]).args(arguments));
        let dev = Dev {
            child,
            description: Value::Null,
        };
        let mut greeting = String::new();
        for line in lines.by_ref() {
            greeting.extend([&*line, "\n"]);
            if line.starts_with("Data") {
                break;
            }
        }
        let console = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&console);
        thread::spawn(move || lines.for_each(|line| shown.lock().expect("no panic").push(line)));
        let url = greeting
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let addresses = vec![url.expect("the greeting has the address").to_owned()];
        // On a busy machine a batch of events fails, and is received again after the visibility
        // timeout of three minutes.
        (
            dev,
            Self {
                addresses,
                greeting,
                replaced: Vec::new(),
                patience: 10 * PATIENCE,
                started,
                console: Some(console),
            },
        )
    }

    /// Uses the deployed stack that the file at this path describes. An operator's commands put the
    /// demo organization there.
    fn deployed(path: &Path) -> (Dev, Self) {
        let dev = Dev::in_memory();
        let description = fs::read(path).expect("the description can be read");
        let description: Value =
            serde_json::from_slice(&description).expect("the description is JSON");
        let text = |pointer: &str| {
            description
                .pointer(pointer)
                .and_then(Value::as_str)
                .expect("it is described")
        };
        let operate = |arguments: &[&str]| {
            let organization = ["--organization", dev.text("/organization_id")];
            let table = [
                "--table",
                text("/table"),
                "--endpoint-url",
                text("/endpoint_url"),
            ];
            let mut command = muster(arguments);
            command.args(organization).args(table);
            let output = run(command);
            assert!(
                output.status.success(),
                "{arguments:?}: {}",
                stderr(&output)
            );
            stdout(&output)
        };
        let users = dev.description["users"]
            .as_array()
            .expect("the demo has users");
        let lines: Vec<_> = users.iter().map(Value::to_string).collect();
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        fs::write(file.path(), lines.join("\n")).expect("a file can be written");
        operate(&[
            "users",
            "import",
            file.path().to_str().expect("a path in UTF-8"),
        ]);
        let keys = ["tt_admin", "itsm"].map(|kind| operate(&["keys", "create", "--kind", kind]));
        let (url, queue) = (
            text("/url").to_owned(),
            text("/queues/tickets/url").to_owned(),
        );
        // The ticket queue has an address of its own, and no `/_dev/queues`.
        let depths = depths(queue.clone());
        let replaced = vec![
            ("--to $MUSTER", format!("--to {queue}")),
            ("$MUSTER/_dev", format!("{depths}/_dev")),
        ];
        let greeting = format!("{url} {}", keys.concat());
        (
            dev,
            Self {
                addresses: vec![queue, url],
                greeting,
                replaced,
                patience: 30 * PATIENCE,
                started: Instant::now(),
                console: None,
            },
        )
    }

    /// Runs the blocks in one shell, and returns the output and the exit code of each.
    fn run_blocks(&self, blocks: &[Block]) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        fs::write(file("muster-dev.txt"), &self.greeting).expect("a file can be written");
        let mut script = String::new();
        for Block { commands, .. } in blocks {
            let commands = self
                .replaced
                .iter()
                .fold(commands.clone(), |commands, (from, to)| {
                    commands.replace(from, to)
                });
            script.push_str(&commands);
            script.push_str("\nprintf '\\n%s%s\\n' '");
            script.extend([SEPARATOR, "' $?\n"]);
        }
        fs::write(file("blocks.sh"), script).expect("a file can be written");
        let create = |name: &str| File::create(file(name)).expect("a file can be made");
        let mut shell = Command::new("bash")
            .args(["--noprofile", "--norc", "blocks.sh"])
            .current_dir(folder.path())
            // The addresses of this machine are not behind a proxy.
            .env("NO_PROXY", "*")
            .env("PATH", path_of_muster())
            .stdin(Stdio::null())
            .stdout(create("stdout"))
            .stderr(create("stderr"))
            .spawn()
            .expect("there is a bash");
        let deadline = Instant::now() + self.patience;
        let ended = loop {
            match shell.try_wait().expect("a child can be waited for") {
                None if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
                status => break status,
            }
        };
        if ended.is_none() {
            shell.kill().expect("a child can be killed");
            shell.wait().expect("it ended");
        }
        let read = |name: &str| fs::read_to_string(file(name)).expect("the output is UTF-8");
        let (output, errors) = (read("stdout"), read("stderr"));
        let output = self
            .addresses
            .iter()
            .fold(output, |output, address| output.replace(address, ADDRESS));
        assert!(ended.is_some(), "the blocks do not end: {output}\n{errors}");
        assert_eq!(errors, "", "{output}");
        let mut results = Vec::new();
        let mut printed = String::new();
        for line in output.lines() {
            match line.strip_prefix(SEPARATOR) {
                Some(code) => results.push((std::mem::take(&mut printed), code.to_owned())),
                None => printed.extend([line, "\n"]),
            }
        }
        results
    }
}

/// The search path, with the program under test first.
fn path_of_muster() -> OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_muster"))
        .parent()
        .expect("a folder")
        .to_owned();
    let others = env::var_os("PATH").unwrap_or_default();
    env::join_paths([program].into_iter().chain(env::split_paths(&others))).expect("folders")
}

/// Serves the depth of a queue of SQS in the form of `/_dev/queues`, and returns the address.
fn depths(queue: String) -> String {
    async fn depth(State(queue): State<String>) -> String {
        let url = url::Url::parse(&queue).expect("the URL of a queue");
        let sqs =
            aws_sdk_sqs::Client::new(&emulator::sdk_config(&url.origin().ascii_serialization()));
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let asked = sqs
            .get_queue_attributes()
            .queue_url(queue)
            .set_attribute_names(Some(names.to_vec()));
        let attributes = asked
            .send()
            .await
            .expect("the queue responds")
            .attributes
            .unwrap_or_default();
        let [visible, in_flight] = names.map(|name| attributes[&name].clone());
        format!(r#"{{"tickets":{{"visible":{visible},"in_flight":{in_flight}}}}}"#)
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("tokio can use it");
    let router = Router::new()
        .route("/_dev/queues", get(depth))
        .with_state(queue);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("it serves");
        });
    });
    format!("http://{address}")
}

#[test]
fn readme_prints_its_outputs() {
    // On a deployed stack, both pages would work in one organization, and see each other's teams.
    if has_curl() && env::var_os("MUSTER_TEST_DEPLOYED").is_none() {
        let blocks = blocks(include_str!("../../../README.md"));
        assert!(blocks.len() > 1, "the page has blocks");
        assert!(
            blocks.iter().any(|block| block.console.contains(" -> ")),
            "the page shows a decision"
        );
        let (_dev, stack) = PageStack::local(&["--in-memory"]);
        assert_outputs(&stack, &blocks);
        let elapsed = stack.started.elapsed();
        assert!(elapsed < Duration::from_mins(1), "{elapsed:?}");
    }
}

#[test]
fn tutorial_prints_its_outputs() {
    if has_curl() {
        let blocks = blocks(include_str!("../../../docs/tutorial.md"));
        assert!(blocks.len() > 8, "the page has blocks");
        let (_dev, stack) = match env::var_os("MUSTER_TEST_DEPLOYED") {
            Some(path) => PageStack::deployed(Path::new(&path)),
            None => PageStack::local(&["--in-memory", "--empty"]),
        };
        assert_outputs(&stack, &blocks);
    }
}

/// Runs the blocks of a page, and compares their outputs with those of the page.
fn assert_outputs(stack: &PageStack, blocks: &[Block]) {
    let results = stack.run_blocks(blocks);
    assert_eq!(results.len(), blocks.len());
    let (mut shown, mut printed) = (Masked::default(), Masked::default());
    for (block, (actual, code)) in blocks.iter().zip(&results) {
        let Block {
            commands,
            output,
            console,
        } = block;
        assert_eq!(code, "0", "{commands}\n{actual}");
        let expected: Vec<_> = output.trim().lines().map(|line| shown.line(line)).collect();
        let actual: Vec<_> = actual
            .trim()
            .lines()
            .map(|line| printed.line(line))
            .collect();
        assert_eq!(actual, expected, "{commands}");
        assert_console(stack, console);
    }
}

/// Waits until the console has shown these lines in this order. Other lines may be between them.
fn assert_console(stack: &PageStack, expected: &str) {
    let Some(console) = &stack.console else {
        return;
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lines = console.lock().expect("no panic").clone();
        let mut shown = lines.iter().map(|line| without_clock(line));
        let missing = expected
            .lines()
            .find(|line| !shown.any(|shown| shown == without_clock(line)));
        let Some(missing) = missing else {
            return;
        };
        assert!(
            Instant::now() < deadline,
            "the console does not show {missing:?}: {lines:#?}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Replaces the time of day and the duration in a line of the console.
fn without_clock(line: &str) -> String {
    let line = line.split_once("  ").map_or(line, |(_clock, line)| line);
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let words: Vec<_> = line.split(' ').collect();
    let masked = words.iter().enumerate().map(|(at, word)| {
        let is_duration = is_number(word) && words.get(at + 1) == Some(&"ms");
        if is_duration { "<duration>" } else { word }
    });
    masked.collect::<Vec<_>>().join(" ")
}
