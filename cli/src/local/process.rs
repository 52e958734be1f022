//! The identity of a stack.

use std::{fmt, process};

use muster_domain::Timestamp;
use serde::{Deserialize, Serialize};

/// The process of a stack and the start of the stack. The operating system reuses process ids, so
/// the id alone does not identify a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: u32,
    /// The start of the stack, in milliseconds since 1970.
    pub started_at: i64,
}

impl ProcessIdentity {
    /// The header in which `/health` of a stack has its identity.
    pub const HEADER: &str = "x-muster-process";

    /// Returns the identity of a stack that this process starts now.
    pub(super) fn of_this_process() -> Self {
        Self {
            pid: process::id(),
            started_at: Timestamp::now().millis(),
        }
    }
}

/// The value of [`ProcessIdentity::HEADER`].
impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, started_at } = self;
        write!(f, "{pid}-{started_at}")
    }
}
