//! `muster man`.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;
use serde_json::json;

use crate::{commands::Cli, output};

/// `muster man`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster man --out ~/.local/share/man/man1
  muster man --out man --json")]
pub struct Man {
    /// Folder for the pages, which is created; existing pages are replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Print one line of JSON: the folder and the names of the pages
    #[arg(long)]
    pub json: bool,
}

impl Man {
    /// Writes the manual pages of all commands.
    ///
    /// # Errors
    /// The folder cannot be created or written, or the output cannot be written.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { out: folder, json } = self;
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let mut names = Vec::new();
        for (name, page) in pages() {
            output::write_file(&folder.join(&name), |file| page.render(file))?;
            names.push(name);
        }
        let folder = folder.display();
        if json {
            output::line(json!({ "folder": folder.to_string(), "pages": names }))?;
        } else {
            output::line(format_args!("Wrote {} pages to {folder}.", names.len()))?;
        }
        Ok(())
    }
}

/// Returns the page of each command with its file name.
fn pages() -> Vec<(String, Page)> {
    // The subcommand `help` needs no page. The names of subcommands exist after `build`.
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let (mut pages, mut open) = (Vec::new(), vec![root]);
    while let Some(command) = open.pop() {
        open.extend(command.get_subcommands().cloned());
        let page = Page::new(command);
        pages.push((page.get_filename(), page));
    }
    pages
}
