//! The failure of a job.

use muster_service::{assignment::Failure, aws::sqs_send::SendError, store};

/// The reason that a job has to run again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("not a job: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Ticket(#[from] Failure),
    #[error(transparent)]
    Send(#[from] SendError),
}
