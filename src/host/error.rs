//! What can be wrong with reading this machine.

use std::path::PathBuf;

use crate::model::collector::CollectError;
use crate::model::health::Reason;

/// Why the host could not be read as asked.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A collector was enabled or disabled that does not exist.
    #[error("there is no collector {name:?}; write one of {known}")]
    UnknownCollector {
        /// What was written.
        name: String,
        /// All names that exist, comma separated.
        known: String,
    },
    /// A file of the kernel could not be read or understood.
    #[error(transparent)]
    Source(#[from] CollectError),
    /// A file system did not say how full it is.
    #[error(
        "cannot ask the file system of {path} for its usage: {source}; check that the path exists and may be entered"
    )]
    Usage {
        /// The path that was asked for.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl HostError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::UnknownCollector { .. } => "UnknownCollector",
            Self::Source(source) => source.reason(),
            Self::Usage { .. } => "UsageUnavailable",
        }
    }
}
