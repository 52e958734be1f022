//! The checkpoint of the table's stream.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::local::data_dir::DataDir;

/// The file of the checkpoint in the data folder.
const CHECKPOINT_FILE: &str = "stream.json";

/// The last processed record of each shard. It is saved at most once a second and at the end. After
/// a kill, later records are delivered again: delivery is at least once.
#[derive(Debug, Clone, Default)]
pub(in crate::local) struct Checkpoint {
    progress: Arc<Mutex<Progress>>,
    data_dir: Option<Arc<DataDir>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// The stream's ARN. Sequence numbers are valid within one stream.
    stream: String,
    /// The sequence number of the last processed record, by shard.
    shards: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Reads the checkpoint of the folder, if there is one.
    pub(in crate::local) fn open(data_dir: Option<Arc<DataDir>>) -> anyhow::Result<Self> {
        let saved = data_dir
            .as_deref()
            .map(|data_dir| data_dir.read(CHECKPOINT_FILE))
            .transpose()?
            .flatten();
        Ok(Self {
            progress: Arc::new(Mutex::new(saved.unwrap_or_default())),
            data_dir,
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Progress) -> T) -> T {
        work(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Clears the checkpoint if it belongs to another stream.
    pub(super) fn reset_for_stream(&self, stream: &str) {
        self.with(|progress| {
            if progress.stream != stream {
                *progress = Progress {
                    stream: stream.to_owned(),
                    shards: BTreeMap::new(),
                };
            }
        });
    }

    pub(super) fn get(&self, shard: &str) -> Option<String> {
        self.with(|progress| progress.shards.get(shard).cloned())
    }

    pub(super) fn set(&self, shard: &str, sequence_number: &str) {
        self.with(|progress| {
            progress
                .shards
                .insert(shard.to_owned(), sequence_number.to_owned())
        });
    }

    /// Saves the checkpoint, if there is a folder.
    pub(in crate::local) fn save(&self) -> anyhow::Result<()> {
        match &self.data_dir {
            Some(data_dir) => self.with(|progress| data_dir.write(CHECKPOINT_FILE, progress)),
            None => Ok(()),
        }
    }
}
