//! The trait of everything that reads the host and writes readings.

use super::health::Reason;
use super::needs::Needs;
use super::series::Frame;

/// One source of host metrics. A failed collector loses its own families only.
pub trait Collector: Send {
    /// Its name as node_exporter's `collector` label has it (`cpu`, `meminfo`, …).
    fn name(&self) -> &'static str;

    /// What it needs from the machine; the default is readable `/proc` and `/sys`.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Reads the source and appends its readings; all readings of a family adjacent, no family twice.
    ///
    /// # Errors
    /// The source could not be read or understood; what was appended before the error is dropped by the caller.
    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError>;
}

/// Why a collector brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// This machine has no such thing; not an error worth a log line (node_exporter's `ErrNoData`).
    #[error("this machine has no {0}")]
    Absent(&'static str),
    /// The source could not be opened or read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The source was read and not understood.
    #[error("cannot understand {path}: {what}")]
    Parse {
        /// The file.
        path: String,
        /// What was wrong, with the offending piece shortened.
        what: String,
    },
}

impl CollectError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Absent(_) => "Absent",
            Self::Read { .. } => "ReadFailed",
            Self::Parse { .. } => "ParseFailed",
        }
    }
}
