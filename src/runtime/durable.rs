//! Files that survive a crash: written aside, synced, renamed; and a directory that only one process uses.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A directory of state, locked for this process while the value lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Held for its lock, which the system drops with the process, however it ends.
    _lock: File,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// It cannot be made or written.
    #[error(
        "the state directory {path} cannot be used: {source}; choose another with --state-dir, or correct its permissions"
    )]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process uses it.
    #[error(
        "the state directory {path} is in use by another vitals process; stop that one, or choose another with --state-dir"
    )]
    Busy {
        /// The directory.
        path: PathBuf,
    },
}

impl StateDirError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unusable { .. } => "StateDirUnusable",
            Self::Busy { .. } => "StateDirBusy",
        }
    }
}

impl StateDir {
    /// Makes the directory (mode 0700: it may hold labels and messages) and locks it.
    ///
    /// # Errors
    /// It cannot be made, is not writable, or another process holds it.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let unusable = |source| StateDirError::Unusable { path: path.to_owned(), source };
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(path).map_err(unusable)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock")).map_err(unusable)?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StateDirError::Busy { path: path.to_owned() }),
            Err(errno) => Err(unusable(errno.into())),
        }
    }

    /// A file's path within.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Replaces a file whole: after a crash it holds either the old or the new content. Returns the new file, open for
/// appending.
///
/// # Errors
/// The system's answer; the old content is then still there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<File> {
    let aside = path.with_extension("new");
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = fs::remove_file(&aside);
    let mut file = options.create_new(true).append(true).open(&aside)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&aside, path)?;
    sync_parent(path)?;
    Ok(file)
}

/// Makes a rename or a new file in a directory durable.
///
/// # Errors
/// The system's answer.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Puts a file that cannot be read out of the way, so that its bytes can be looked at and the process can go on.
/// Returns where it went.
pub fn set_aside(path: &Path) -> PathBuf {
    let kept = path.with_extension("corrupt");
    if let Err(why) = fs::rename(path, &kept) {
        tracing::warn!(path = %path.display(), %why, "a corrupt file could not be put aside");
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_serves_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        let refused = StateDir::open(dir.path()).unwrap_err();
        assert_eq!(refused.reason(), "StateDirBusy");
        drop(first);
        assert!(StateDir::open(dir.path()).is_ok());
    }

    #[test]
    fn a_directory_below_a_file_is_refused_with_the_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = StateDir::open(&file.path().join("state")).unwrap_err();
        assert_eq!(refused.reason(), "StateDirUnusable");
        assert!(refused.to_string().contains("--state-dir"));
    }

    #[test]
    fn a_replaced_file_holds_the_new_content_and_nothing_lies_around() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
