//! `muster completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use crate::{commands::Cli, output};

/// `muster completions`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster completions bash > ~/.local/share/bash-completion/completions/muster
  muster completions zsh > ~/.zfunc/_muster
  muster completions fish > ~/.config/fish/completions/muster.fish")]
pub struct Completions {
    /// Shell to complete commands in
    #[arg(value_enum)]
    pub shell: Shell,
    /// Print one line of JSON: the shell and the script
    #[arg(long)]
    pub json: bool,
}

impl Completions {
    /// Prints the completion script.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { shell, json } = self;
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "muster", &mut script);
        if json {
            let script = String::from_utf8(script)?;
            let described = json!({ "shell": shell.to_string(), "script": script });
            return Ok(output::line(described)?);
        }
        Ok(output::write(|out| out.write_all(&script))?)
    }
}
