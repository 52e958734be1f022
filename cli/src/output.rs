//! Standard output and standard error of every command.
//!
//! Commands print through this module alone, so that each of them reports a failed write in the
//! same way. Clippy's `print_stdout` and `print_stderr` lints refuse `println!` and `eprintln!` in
//! this crate.

use std::{
    fmt::Display,
    fs::File,
    io::{self, BufWriter, ErrorKind, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use tracing_subscriber::EnvFilter;

/// The failure to write the output of a command.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to {to}")]
pub struct WriteError {
    /// The name of the destination.
    to: String,
    #[source]
    cause: io::Error,
}

impl WriteError {
    /// Tells whether the reader closed its end of the pipe, as `head` does after the last line that
    /// it prints.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        self.cause.kind() == ErrorKind::BrokenPipe
    }
}

/// Writes a line to standard output and flushes it.
///
/// # Errors
/// Standard output does not accept the whole line.
pub fn line(text: impl Display) -> Result<(), WriteError> {
    write(|out| writeln!(out, "{text}"))
}

/// Lets `fill` write to standard output through a buffer, and flushes it.
///
/// # Errors
/// `fill` fails, or standard output does not accept everything that it wrote.
pub fn write(fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), WriteError> {
    // The lock buffers by line. The larger buffer saves a system call for each line of a long
    // output.
    let filled = buffered(io::stdout().lock(), fill);
    filled.map_err(|cause| WriteError {
        to: "standard output".to_owned(),
        cause,
    })
}

/// Lets `fill` write to a new file through a buffer, and flushes it. An existing file is truncated.
///
/// # Errors
/// The file cannot be created, `fill` fails, or the file does not accept everything that it wrote.
pub fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let filled = File::create(path).and_then(|file| buffered(file, fill));
    filled.map_err(|cause| WriteError {
        to: path.display().to_string(),
        cause,
    })
}

fn buffered(to: impl Write, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = BufWriter::with_capacity(64 * 1024, to);
    fill(&mut buffer)?;
    buffer.flush()
}

/// Writes a line to standard error. A failure is ignored, because no stream is left to report it
/// on.
pub fn note(text: impl Display) {
    let line = format!("{text}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Prints a usage error, the help or the version, and returns the exit code: 2 for a usage error.
#[must_use]
pub fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        // As with `note`, no stream is left to report a failure on.
        let _ = error.print();
        return ExitCode::from(2);
    }
    exit_code(write(|_| error.print()).map_err(anyhow::Error::from))
}

/// Reports a failed command on standard error and returns the exit code: 0 for success, 1 for
/// failure.
///
/// A closed pipe is a success, because the reader needs no more lines. The exit code is 0 and not
/// 141, the code of a program that SIGPIPE ends: `muster keys list | head -1` then also succeeds in
/// a script with `set -o pipefail`.
#[must_use]
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.downcast_ref().is_some_and(WriteError::is_closed_pipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Installs a subscriber that logs to standard error: warnings and errors, unless `RUST_LOG` is
/// set. The SDK warns about each source of credentials that it tries, so its configuration logs
/// errors only.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,aws_config=error"));
    let stderr = io::stderr;
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        // The subscriber reports a failed write with `eprintln!`, which panics where standard error
        // is a closed pipe.
        .log_internal_errors(false)
        .try_init();
}
