//! The folder with the local stack's data.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use etcetera::{BaseStrategy, choose_base_strategy};
use serde::{Serialize, de::DeserializeOwned};

/// The version of the stored formats, table items included. It changes with each of them. A folder
/// of another version is refused, because there is no migration.
const FORMAT: u32 = 4;
/// The file with the format version.
const FORMAT_FILE: &str = "format";
/// The temporary file of a start that was killed while it wrote the version.
const PARTIAL_FORMAT_FILE: &str = "format.new";
/// The version of folders without a version file.
const UNNUMBERED_FORMAT: u32 = 1;
/// The file that a running stack locks.
const LOCK_FILE: &str = "lock";
/// The database of the embedded engine.
const DATABASE_FILE: &str = "muster.db";

/// The beginnings of the names of all files that any format has, except the lock and the version.
const OWN_FILES: [&str; 4] = [
    DATABASE_FILE,
    "demo-keys.json",
    "queues.json",
    "stream.json",
];

/// A locked data folder. The lock excludes other processes: the database supports one at a time.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// The lock ends when the file is closed.
    _lock: File,
}

/// The contents of a folder, before it is used.
enum DirContents {
    /// No data yet.
    Empty,
    /// Data of this version.
    Format(u32),
    /// Files of another program.
    Foreign,
}

impl DataDir {
    /// Returns the default folder.
    ///
    /// # Errors
    /// There is no home directory.
    pub(super) fn default_path() -> anyhow::Result<PathBuf> {
        choose_base_strategy()
            .map(|user| user.data_dir().join("muster"))
            .context("there is no home directory for the data: pass --data-dir or --in-memory")
    }

    /// Opens or creates the folder. Only its owner may read it, because it has keys in plain text.
    ///
    /// # Errors
    /// The folder cannot be used, is in use, or has another version or foreign files. The error
    /// says how to fix it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let unusable = |error| unusable(path, &error);
        fs::create_dir_all(path).map_err(unusable)?;
        let contents = own_contents(path)?;
        if let DirContents::Format(format) = contents
            && format != FORMAT
        {
            bail!(
                "the data in {shown} has format {format}, but this version of muster reads format {FORMAT} only: pass \
                 --reset to delete it, or move the folder away, or pass another --data-dir, or --in-memory"
            );
        }
        let lock = lock(path)?;
        make_private(path).map_err(unusable)?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        if matches!(contents, DirContents::Empty) {
            folder.write(FORMAT_FILE, &FORMAT)?;
        }
        // SQLite creates its other files with the mode of this one.
        private().open(folder.database()).map_err(unusable)?;
        Ok(folder)
    }

    /// Deletes the data in a folder, of any format, and returns the names of the deleted files. A
    /// missing folder has none. Files of other programs stay.
    ///
    /// # Errors
    /// The folder is in use, is not a data folder, or a file cannot be deleted.
    pub(super) fn reset(path: &Path) -> anyhow::Result<Vec<String>> {
        let failed = |error| unusable(path, &error);
        if !path.try_exists().map_err(failed)? {
            return Ok(Vec::new());
        }
        if let DirContents::Empty = own_contents(path)? {
            return Ok(Vec::new());
        }
        let folder = Self {
            path: path.to_owned(),
            _lock: lock(path)?,
        };
        let mut deleted = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            if let Ok(name) = entry.map_err(failed)?.file_name().into_string()
                && OWN_FILES.iter().any(|own| is_own(&name, own))
            {
                deleted.push(name);
            }
        }
        deleted.sort();
        for name in &deleted {
            fs::remove_file(path.join(name)).map_err(|error| {
                anyhow!("cannot delete {} ({error})", path.join(name).display())
            })?;
        }
        // The version stays until the data is deleted, so that an interrupted reset leaves a
        // data folder.
        folder.write(FORMAT_FILE, &FORMAT)?;
        Ok(deleted)
    }

    /// Returns the path of the database.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// Reads a JSON file of the folder, if it exists.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| name.to_owned())
                .map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| name.to_owned()),
        }
    }

    /// Writes a JSON file of the folder atomically. Only its owner may read it.
    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let (path, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let mut file = private().truncate(true).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(new, path)?;
        Ok(())
    }

    /// Returns the error for data that cannot be used, with its fix.
    pub(super) fn damaged(&self, reason: &anyhow::Error) -> anyhow::Error {
        let folder = self.path.display();
        // The engine's error continues with advice about its own features, which does not apply.
        let reason = format!("{reason:#}");
        let reason = reason
            .split(". ")
            .next()
            .unwrap_or_default()
            .trim_end_matches('.');
        anyhow!(
            "the data in {folder} is damaged ({reason}): pass --reset to delete it, or move the folder away, or pass another \
             --data-dir, or --in-memory"
        )
    }
}

/// Returns the error of a folder that cannot be read or written.
fn unusable(path: &Path, error: &io::Error) -> anyhow::Error {
    let shown = path.display();
    anyhow!("cannot store data in {shown} ({error}): pass another --data-dir, or --in-memory")
}

/// Tells whether a file is an own file, its temporary file, or one of the database's other files,
/// such as `muster.db-wal`.
fn is_own(name: &str, own: &str) -> bool {
    name.strip_prefix(own)
        .is_some_and(|rest| rest.is_empty() || rest == ".new" || rest.starts_with('-'))
}

/// Returns the contents of a folder without foreign files.
fn own_contents(path: &Path) -> anyhow::Result<DirContents> {
    match contents(path).map_err(|error| unusable(path, &error))? {
        DirContents::Foreign => bail!(
            "{} has other files: pass a new or empty folder as --data-dir, or pass --in-memory",
            path.display()
        ),
        own => Ok(own),
    }
}

/// Locks a folder.
fn lock(path: &Path) -> anyhow::Result<File> {
    let lock = private()
        .open(path.join(LOCK_FILE))
        .map_err(|error| unusable(path, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!(
            "another `muster dev` uses the data in {}: end it, or pass another --data-dir, or --in-memory",
            path.display()
        ),
        Err(TryLockError::Error(error)) => Err(unusable(path, &error)),
    }
}

/// Reads the version, and looks for data and foreign files without one.
fn contents(folder: &Path) -> io::Result<DirContents> {
    match fs::read_to_string(folder.join(FORMAT_FILE)) {
        Ok(number) => {
            let number = number.trim().parse();
            return number
                .map(DirContents::Format)
                .map_err(|_| io::Error::other("the format is not a number"));
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

/// Returns the options to open or create a file that only its owner may read.
fn private() -> OpenOptions {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Restricts the folder and its files to their owner.
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
