//! Confirmation of commands that erase, revoke or purge.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{bail, ensure};
use clap::Args;

/// The option that confirms in advance.
#[derive(Debug, Clone, Copy, Args)]
pub struct Confirmation {
    /// Do not ask for confirmation. Without a terminal, the command requires this option
    #[arg(long)]
    pub yes: bool,
}

impl Confirmation {
    /// Asks on the terminal for a confirmation of `action`, such as "Revoke the key 4f0c".
    ///
    /// `action` is in the imperative and names the target. It must have no control characters.
    ///
    /// # Errors
    /// The user declines, or there is neither a terminal nor `--yes`.
    pub(super) fn confirm(self, action: &str) -> anyhow::Result<()> {
        let Self { yes } = self;
        if yes {
            return Ok(());
        }
        let (stdin, stderr) = (io::stdin(), io::stderr());
        if !(stdin.is_terminal() && stderr.is_terminal()) {
            bail!("{action}? There is no terminal for the reply: pass --yes");
        }
        ask(action, stdin.lock(), stderr.lock())
    }
}

/// Writes the question, and reads the reply from one line.
fn ask(action: &str, mut from: impl BufRead, mut to: impl Write) -> anyhow::Result<()> {
    write!(to, "{action}? [y/N] ")?;
    to.flush()?;
    let mut reply = String::new();
    from.read_line(&mut reply)?;
    let is_yes = matches!(&*reply.trim().to_ascii_lowercase(), "y" | "yes");
    ensure!(is_yes, "cancelled: nothing was changed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_other_than_yes_cancels() {
        let reply = |text: &str| {
            let mut shown = Vec::new();
            let outcome = ask("Revoke the key 4f0c", text.as_bytes(), &mut shown);
            assert_eq!(shown, b"Revoke the key 4f0c? [y/N] ");
            outcome
        };
        for yes in ["y\n", "Y", " yes\r\n"] {
            assert!(reply(yes).is_ok(), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no", "yess", "yy"] {
            let error = reply(no).unwrap_err();
            assert_eq!(
                error.to_string(),
                "cancelled: nothing was changed",
                "{no:?}"
            );
        }
    }
}
