//! The folder that keeps the local stack's data.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use etcetera::{BaseStrategy, choose_base_strategy};
use serde::{Serialize, de::DeserializeOwned};

/// A data folder, locked: the engine's file takes one process at a time.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Unlocked by closing it.
    _lock: File,
}

impl Folder {
    /// Where data is kept when nobody says where.
    pub(super) fn default_path() -> anyhow::Result<PathBuf> {
        choose_base_strategy()
            .map(|user| user.data_dir().join("muster"))
            .context("there is no home directory to keep data in: pass --data-dir or --in-memory")
    }

    /// Opens the folder, or makes it.
    pub(super) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let shown = path.display();
        let unusable = |error: std::io::Error| {
            anyhow!("cannot keep data in {shown} ({error}): pass another --data-dir, or --in-memory")
        };
        fs::create_dir_all(&path).map_err(unusable)?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another `muster dev` uses the data in {shown}: end it, or pass another --data-dir, or --in-memory"
                )
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        Ok(Self { path, _lock: lock })
    }

    /// The engine's file.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("muster.db")
    }

    /// Reads a JSON file of the folder, if it is there.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| name.to_owned()).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| name.to_owned()),
        }
    }

    /// Writes a JSON file of the folder whole or not at all, for its owner's eyes only.
    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let (path, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let mut file = private(&new)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(new, path)?;
        Ok(())
    }

    /// Says that the data cannot be used, and what to do.
    pub(super) fn damaged(&self, why: &anyhow::Error) -> anyhow::Error {
        let folder = self.path.display();
        // The engine goes on to advise about features of its own.
        let why = format!("{why:#}");
        let why = why.split(". ").next().unwrap_or_default().trim_end_matches('.');
        anyhow!(
            "the data in {folder} is damaged ({why}): move the folder away, or pass another --data-dir, or --in-memory"
        )
    }
}

fn private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
