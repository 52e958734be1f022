//! The folder that keeps the local stack's data.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use etcetera::{BaseStrategy, choose_base_strategy};
use serde::{Serialize, de::DeserializeOwned};

/// The format of the data, that of the table's items included. It changes with every stored format:
/// a folder of another format is refused, because there is no migration.
const FORMAT: u32 = 3;
/// The file that has the format's number.
const FORMAT_FILE: &str = "format";
/// The same, from a start that was killed while it wrote the file.
const PARTIAL_FORMAT_FILE: &str = "format.new";
/// The format of folders without a number.
const UNNUMBERED_FORMAT: u32 = 1;
/// The file that a running stack locks.
const LOCK_FILE: &str = "lock";
/// The engine's file.
const DATABASE_FILE: &str = "muster.db";

/// A data folder, locked: the engine's file takes one process at a time.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// Unlocked by closing it.
    _lock: File,
}

/// The contents of a folder, as far as they matter before it is used.
enum DirContents {
    /// No data yet.
    Empty,
    /// Data of this format.
    Format(u32),
    /// Files that are not Muster's.
    Foreign,
}

impl DataDir {
    /// Returns the folder that data is kept in by default.
    ///
    /// # Errors
    /// There is no home directory.
    pub(super) fn default_path() -> anyhow::Result<PathBuf> {
        choose_base_strategy()
            .map(|user| user.data_dir().join("muster"))
            .context("there is no home directory to keep data in: pass --data-dir or --in-memory")
    }

    /// Opens the folder, or makes it, for its owner alone: it has keys in the clear.
    ///
    /// # Errors
    /// It cannot be used, is in use, or has data of another format or other files; each error names
    /// a remedy.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let unusable = |error: io::Error| {
            anyhow!(
                "cannot keep data in {shown} ({error}): pass another --data-dir, or --in-memory"
            )
        };
        fs::create_dir_all(path).map_err(unusable)?;
        let contents = contents(path).map_err(unusable)?;
        match contents {
            DirContents::Empty | DirContents::Format(FORMAT) => {}
            DirContents::Format(format) => bail!(
                "the data in {shown} has format {format}, and this version of muster reads format {FORMAT} alone: move the \
                 folder away, or pass another --data-dir, or --in-memory"
            ),
            DirContents::Foreign => {
                bail!(
                    "{shown} has other files in it: pass a new or empty folder as --data-dir, or pass --in-memory"
                )
            }
        }
        let lock = private().open(path.join(LOCK_FILE)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another `muster dev` uses the data in {shown}: end it, or pass another --data-dir, or --in-memory"
                )
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        make_private(path).map_err(unusable)?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        if matches!(contents, DirContents::Empty) {
            folder.write(FORMAT_FILE, &FORMAT)?;
        }
        // SQLite gives its other files the mode of this one.
        private().open(folder.database()).map_err(unusable)?;
        Ok(folder)
    }

    /// The engine's file.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// Reads a JSON file of the folder, if it is there.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| name.to_owned())
                .map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| name.to_owned()),
        }
    }

    /// Writes a JSON file of the folder whole or not at all, for its owner's eyes only.
    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let (path, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let mut file = private().truncate(true).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(new, path)?;
        Ok(())
    }

    /// Returns the error of data that cannot be used, with the remedies.
    pub(super) fn damaged(&self, reason: &anyhow::Error) -> anyhow::Error {
        let folder = self.path.display();
        // The engine goes on to advise about features of its own.
        let reason = format!("{reason:#}");
        let reason = reason
            .split(". ")
            .next()
            .unwrap_or_default()
            .trim_end_matches('.');
        anyhow!(
            "the data in {folder} is damaged ({reason}): move the folder away, or pass another --data-dir, or --in-memory"
        )
    }
}

/// Looks for the format's number, and for data and files without one.
fn contents(folder: &Path) -> io::Result<DirContents> {
    match fs::read_to_string(folder.join(FORMAT_FILE)) {
        Ok(number) => {
            let number = number.trim().parse();
            return number
                .map(DirContents::Format)
                .map_err(|_| io::Error::other("its format is no number"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut is_empty = true;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name == DATABASE_FILE {
            return Ok(DirContents::Format(UNNUMBERED_FORMAT));
        }
        is_empty &= name == LOCK_FILE || name == PARTIAL_FORMAT_FILE;
    }
    Ok(if is_empty {
        DirContents::Empty
    } else {
        DirContents::Foreign
    })
}

/// Options that open a file for writing, or make one that only its owner may read.
fn private() -> OpenOptions {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Closes the folder and its files to all but their owner.
#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::set_permissions(entry.path(), Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}
