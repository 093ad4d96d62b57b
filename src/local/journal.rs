//! The journal of `run`: an append-only file of checksummed lines, one line per commit, compacted when it has grown.
//!
//! A line is `crc32 {"key": document or null, …}`. A commit is one line and one fsync, so after a kill -9 it is there
//! whole or not at all. A line that cannot be read is skipped and reported; its neighbours stay.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::model::check::BoxFuture;
use crate::model::ports::{Change, Journal, JournalError};
use crate::runtime::durable;

/// Below this size a journal is never compacted.
const COMPACT_ABOVE: u64 = 256 * 1024;

/// A journal in one file.
#[derive(Clone, Debug)]
pub struct FileJournal {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    documents: BTreeMap<String, Value>,
    /// Bytes in the file.
    size: u64,
    /// Bytes in the file right after the last compaction: it is due when the file has doubled since.
    compacted: u64,
}

/// What opening a journal found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Lines that could not be read, by number. A torn last line (a crash while writing) is not counted: nothing
    /// that was promised was in it.
    pub unreadable: Vec<usize>,
    /// Where the unreadable file was kept, if any line was unreadable.
    pub kept: Option<PathBuf>,
}

impl FileJournal {
    /// Opens or makes the journal.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<(Self, Opened)> {
        let mut documents = BTreeMap::new();
        let mut opened = Opened::default();
        let torn = match File::open(path) {
            Ok(file) => read_lines(file, &mut documents, &mut opened.unreadable)?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => false,
            Err(why) => return Err(why),
        };
        if !opened.unreadable.is_empty() {
            opened.kept = Some(durable::set_aside(path));
        }
        if torn || opened.kept.is_some() {
            durable::replace(path, &whole(&documents))?;
        }
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.create(true).append(true).open(path)?;
        durable::sync_parent(path)?;
        let size = file.metadata()?.len();
        let inner = Inner { path: path.to_owned(), file, documents, size, compacted: size };
        Ok((Self { inner: Arc::new(Mutex::new(inner)) }, opened))
    }
}

impl Inner {
    fn commit(&mut self, changes: Vec<Change>) -> io::Result<()> {
        let set: BTreeMap<String, Value> =
            changes.into_iter().map(|change| (change.key, change.value.unwrap_or(Value::Null))).collect();
        let line = encode(&set);
        if let Err(why) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            // Half a line may be there: cut it off, so that the next commit starts on a fresh line.
            let _ = self.file.set_len(self.size);
            return Err(why);
        }
        self.size += line.len() as u64;
        for (key, value) in set {
            if value.is_null() {
                self.documents.remove(&key);
            } else {
                self.documents.insert(key, value);
            }
        }
        if self.size > COMPACT_ABOVE
            && self.size > 2 * self.compacted
            && let Err(why) = self.compact()
        {
            // The commit itself is safe in the long file; the next one tries again.
            tracing::warn!(%why, path = %self.path.display(), "the journal could not be compacted");
        }
        Ok(())
    }

    fn compact(&mut self) -> io::Result<()> {
        let content = whole(&self.documents);
        // The handle outlives the rename: there is no moment in which commits go to a file without a name.
        self.file = durable::replace(&self.path, &content)?;
        self.size = content.len() as u64;
        self.compacted = self.size;
        Ok(())
    }
}

/// All documents, each as a line of its own: a damaged byte then costs one document.
fn whole(documents: &BTreeMap<String, Value>) -> Vec<u8> {
    documents.iter().flat_map(|(key, value)| encode(&BTreeMap::from([(key.clone(), value.clone())]))).collect()
}

fn encode(set: &BTreeMap<String, Value>) -> Vec<u8> {
    // A map of text keys to JSON values always serializes.
    let json = serde_json::to_vec(set).unwrap_or_default();
    let mut line = format!("{:08x} ", checksum(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    line
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Reads all lines; true when the last one is torn.
fn read_lines(file: File, documents: &mut BTreeMap<String, Value>, bad: &mut Vec<usize>) -> io::Result<bool> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(false);
        }
        number += 1;
        let Some(body) = line.strip_suffix(b"\n") else { return Ok(true) };
        match decode(body) {
            Some(set) => {
                for (key, value) in set {
                    if value.is_null() {
                        documents.remove(&key);
                    } else {
                        documents.insert(key, value);
                    }
                }
            }
            None => bad.push(number),
        }
    }
}

fn decode(line: &[u8]) -> Option<BTreeMap<String, Value>> {
    let (crc, json) = line.split_at_checked(9)?;
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?.trim_end(), 16).ok()?;
    if crc != checksum(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

impl Journal for FileJournal {
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, Value)>, JournalError>> {
        Box::pin(async move {
            let inner = self.inner.lock().map_err(|_| poisoned())?;
            Ok(inner.documents.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
        })
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), JournalError>> {
        if changes.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            // An fsync takes as long as the disk likes: not on a thread that runs checks.
            let written = tokio::task::spawn_blocking(move || {
                let mut inner = inner.lock().map_err(|_| poisoned())?;
                inner
                    .commit(changes)
                    .map_err(|why| JournalError::Unavailable(format!("{}: {why}", inner.path.display())))
            });
            written.await.unwrap_or_else(|why| Err(JournalError::Unavailable(why.to_string())))
        })
    }
}

fn poisoned() -> JournalError {
    JournalError::Unavailable("an earlier write failed badly".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(key: &str, value: i64) -> Change {
        Change { key: key.into(), value: Some(value.into()) }
    }

    fn reopened(path: &Path) -> (Vec<(String, Value)>, Opened) {
        let (journal, opened) = FileJournal::open(path).unwrap();
        let documents = journal.inner.lock().unwrap().documents.clone().into_iter().collect();
        (documents, opened)
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = FileJournal::open(&path).unwrap();
        journal.commit(vec![set("a/x", 1), set("a/y", 2)]).await.unwrap();
        journal.commit(vec![Change { key: "a/x".into(), value: None }]).await.unwrap();
        drop(journal);
        assert_eq!(reopened(&path), (vec![("a/y".into(), 2.into())], Opened::default()));
    }

    #[tokio::test]
    async fn a_torn_last_line_is_dropped_without_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = FileJournal::open(&path).unwrap();
        journal.commit(vec![set("a/x", 1)]).await.unwrap();
        let whole = std::fs::read(&path).unwrap();
        journal.commit(vec![set("a/x", 2), set("a/y", 2)]).await.unwrap();
        let longer = std::fs::read(&path).unwrap();
        drop(journal);
        for cut in whole.len()..longer.len() {
            std::fs::write(&path, &longer[..cut]).unwrap();
            let (documents, opened) = reopened(&path);
            assert_eq!(documents, vec![("a/x".into(), 1.into())], "cut at {cut}");
            assert_eq!(opened, Opened::default());
        }
    }

    #[tokio::test]
    async fn a_damaged_line_costs_itself_only_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = FileJournal::open(&path).unwrap();
        for number in 0..3 {
            journal.commit(vec![set(&format!("a/{number}"), number)]).await.unwrap();
        }
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 12;
        bytes[second] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (documents, opened) = reopened(&path);
        assert_eq!(documents.len(), 2);
        assert_eq!(opened.unreadable, vec![2]);
        assert!(opened.kept.unwrap().exists());
        assert_eq!(reopened(&path), (documents, Opened::default()), "the next start finds a clean file");
    }

    #[tokio::test]
    async fn a_journal_that_has_grown_is_compacted_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (journal, _) = FileJournal::open(&path).unwrap();
        let text = "x".repeat(20_000);
        for number in 0..200 {
            let change = Change { key: format!("a/{}", number % 5), value: Some(format!("{number}{text}").into()) };
            journal.commit(vec![change]).await.unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 1_000_000);
        drop(journal);
        let (documents, _) = reopened(&path);
        assert_eq!(documents.len(), 5);
        assert!(documents[4].1.as_str().unwrap().starts_with("199x"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("journal");
            std::fs::write(&path, bytes).unwrap();
            let _ = FileJournal::open(&path);
        }
    }
}
