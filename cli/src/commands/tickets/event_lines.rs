//! A reader of files with JSON lines, with bounded read-ahead.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    thread,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::IgnoredAny;
use tokio::sync::mpsc;

/// The maximum size of an event: the local queues and the template's queues accept no more.
const MAX_BYTES: usize = 256 * 1024;

/// The maximum number of lines that are read and not sent yet.
const READ_AHEAD: usize = 256;

/// A line that is not blank.
#[derive(Debug)]
pub(super) struct EventLine {
    /// The line number, from 1.
    pub number: u64,
    /// The JSON of the line, or its fault.
    pub event: Result<String, String>,
}

/// Returns the name of a file for messages to the user.
pub(super) fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Starts to read a file, or standard input for `-`, and shows the progress on a terminal.
///
/// # Errors
/// The file cannot be opened. A later read error takes the place of a line, and ends the stream.
pub(super) fn read(
    path: &Path,
) -> anyhow::Result<(mpsc::Receiver<io::Result<EventLine>>, ProgressBar)> {
    let style = |template| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let (input, progress): (Box<dyn Read + Send>, _) = if path.as_os_str() == "-" {
        (
            Box::new(io::stdin()),
            ProgressBar::no_length().with_style(style("{spinner} {elapsed}  {msg}")),
        )
    } else {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let style = style("{bar:40} {bytes} of {total_bytes}, {eta} left  {msg}");
        (Box::new(file), ProgressBar::new(bytes).with_style(style))
    };
    let mut input = BufReader::with_capacity(64 * 1024, progress.wrap_read(input));
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    // A detached thread, because a read of standard input can block forever.
    thread::spawn(move || {
        for number in 1.. {
            let line = match next(&mut input) {
                Ok(None) => return,
                Ok(Some(Ok(text))) if text.is_empty() => continue,
                Ok(Some(event)) => Ok(EventLine { number, event }),
                Err(error) => Err(error),
            };
            let ends = line.is_err();
            if sender.blocking_send(line).is_err() || ends {
                return;
            }
        }
    });
    Ok((receiver, progress))
}

/// Returns the next line without the white space around it, or `None` at the end.
fn next(input: &mut impl BufRead) -> io::Result<Option<Result<String, String>>> {
    // Two more bytes than the maximum: the line feed, and one byte to detect a longer line.
    let most = MAX_BYTES as u64 + 2;
    let mut line = Vec::new();
    if input.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == most && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok(Some(parse(line)))
}

/// Parses a line. A blank line is an empty text.
fn parse(line: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(line).map_err(|_| "not UTF-8".to_owned());
    // Some editors write a byte order mark at the start of a file.
    let text = text?.trim_start_matches('\u{feff}').trim().to_owned();
    if text.len() > MAX_BYTES {
        return Err("longer than 256 KiB, the maximum of a queue".to_owned());
    }
    if !text.is_empty() {
        serde_json::from_str::<IgnoredAny>(&text).map_err(|error| {
            // The column is dropped: the caller reports the line number.
            let message = error.to_string();
            format!(
                "not JSON: {}",
                message.split(" at line ").next().unwrap_or_default()
            )
        })?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_that_is_not_json_is_a_fault() {
        let parse = |text: &str| parse(text.as_bytes().to_vec());
        assert_eq!(parse(" {\"a\":1} \r\n"), Ok("{\"a\":1}".to_owned()));
        assert_eq!(parse("\u{feff}[]"), Ok("[]".to_owned()));
        assert_eq!(parse(" \t\r\n"), Ok(String::new()));
        assert_eq!(
            parse("{\"a\""),
            Err("not JSON: EOF while parsing an object".to_owned())
        );
        assert!(parse("{} {}").unwrap_err().contains("trailing characters"));
        assert_eq!(super::parse(vec![0xff]), Err("not UTF-8".to_owned()));
    }

    #[test]
    fn line_over_256_kib_is_a_fault_and_skipped() {
        let of = |bytes: usize| format!("{:?}", "x".repeat(bytes - 2));
        let text = format!(
            "{}\r\n{}\n{}\n1\n2",
            of(MAX_BYTES),
            of(MAX_BYTES + 1),
            of(1_000_000)
        );
        let mut input = BufReader::with_capacity(100, text.as_bytes());
        let mut lines = Vec::new();
        while let Some(line) = next(&mut input).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0].as_ref().map(String::len), Ok(MAX_BYTES));
        assert!(
            lines[1]
                .as_ref()
                .is_err_and(|fault| fault.contains("longer"))
        );
        assert!(
            lines[2]
                .as_ref()
                .is_err_and(|fault| fault.contains("longer"))
        );
        assert_eq!(lines[3..], [Ok("1".to_owned()), Ok("2".to_owned())]);
    }
}
