//! Why a snapshot was not taken back.

/// Everything that can go wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bytes are not a snapshot of this program.
    #[error("this is not a snapshot of recent history; delete the file to start without history")]
    NotASnapshot,
    /// The snapshot is of another version.
    #[error("the snapshot has format {found}, this version reads {known}; delete the file to start without history")]
    OtherVersion {
        /// Its format.
        found: u8,
        /// Ours.
        known: u8,
    },
    /// The bytes were damaged.
    #[error("the snapshot is damaged ({0}); delete the file to start without history")]
    Damaged(&'static str),
}

impl StoreError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotASnapshot => "NotASnapshot",
            Self::OtherVersion { .. } => "OtherVersion",
            Self::Damaged(_) => "SnapshotDamaged",
        }
    }
}
