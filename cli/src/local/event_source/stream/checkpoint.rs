//! How far the stream was handled.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::local::data_dir::Folder;

/// The file in the data folder that says how far the stream was handled.
const FILE: &str = "stream.json";

/// How far a stream was handled. Written down at most once a second and at the end: what a killed
/// stack had handled since comes again, and functions take records more than once.
#[derive(Debug, Clone, Default)]
pub(in crate::local) struct Position {
    handled: Arc<Mutex<Handled>>,
    folder: Option<Arc<Folder>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Handled {
    /// Another stream's numbers mean nothing.
    stream: String,
    /// The sequence number of the last record that was handled, by shard.
    shards: BTreeMap<String, String>,
}

impl Position {
    /// What the folder has, if it has one.
    pub(in crate::local) fn open(folder: Option<Arc<Folder>>) -> anyhow::Result<Self> {
        let kept = folder
            .as_deref()
            .map(|folder| folder.read(FILE))
            .transpose()?
            .flatten();
        Ok(Self {
            handled: Arc::new(Mutex::new(kept.unwrap_or_default())),
            folder,
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Handled) -> T) -> T {
        work(&mut self.handled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets the position if it is of another stream.
    pub(super) fn of_stream(&self, stream: &str) {
        self.with(|handled| {
            if handled.stream != stream {
                *handled = Handled {
                    stream: stream.to_owned(),
                    shards: BTreeMap::new(),
                };
            }
        });
    }

    pub(super) fn get(&self, shard: &str) -> Option<String> {
        self.with(|handled| handled.shards.get(shard).cloned())
    }

    pub(super) fn set(&self, shard: &str, sequence_number: &str) {
        self.with(|handled| {
            handled
                .shards
                .insert(shard.to_owned(), sequence_number.to_owned())
        });
    }

    /// Writes it down, where there is a folder.
    pub(in crate::local) fn save(&self) -> anyhow::Result<()> {
        match &self.folder {
            Some(folder) => self.with(|handled| folder.write(FILE, handled)),
            None => Ok(()),
        }
    }
}
