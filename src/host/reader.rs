//! Reading files of the kernel again and again: opened once, read from the start with `pread`, no allocation.
//!
//! `/proc` and `/sys` render their text on every read, so an open descriptor always tells the present; keeping it open
//! saves most of the cost of a small file.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::model::collector::CollectError;
use crate::model::series::Millis;

/// The largest file that is read: enough for `/proc/stat` of 4,000 interrupts and for 20,000 mounts.
const LIMIT: usize = 4 << 20;
const FIRST_ROOM: usize = 4096;
/// The kernel hands out lists as whole lines, about a page at a time. Where lines are shorter than this, so short an
/// answer is the whole list, and asking for more can be saved.
const SHORT: usize = 2048;
/// Attributes of `/sys` that may stay open at the same time, far below the usual limit of 1,024 descriptors.
const OPEN_ATTRIBUTES: usize = 400;

/// A file of the kernel that is read again and again.
pub(crate) struct KernelFile {
    path: PathBuf,
    descriptor: Option<OwnedFd>,
    buffer: Vec<u8>,
    may_be_empty: bool,
    has_long_lines: bool,
}

impl KernelFile {
    /// A file that is never empty: container runtimes mask files by showing them empty, which must count as a failure.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, descriptor: None, buffer: Vec::new(), may_be_empty: false, has_long_lines: false }
    }

    /// A file that is empty when there is nothing to tell (`diskstats` without a disk).
    pub(crate) fn maybe_empty(path: PathBuf) -> Self {
        Self { may_be_empty: true, ..Self::new(path) }
    }

    /// A file whose lines may be longer than two kilobytes (`mountinfo`).
    pub(crate) fn with_long_lines(path: PathBuf) -> Self {
        Self { has_long_lines: true, ..Self::new(path) }
    }

    /// The whole text as it is now.
    ///
    /// # Errors
    /// It cannot be opened or read, is larger than 4 MiB, or is empty and should not be.
    pub(crate) fn read(&mut self) -> Result<&[u8], CollectError> {
        match self.try_read() {
            Ok(length) => Ok(&self.buffer[..length]),
            Err(source) => Err(CollectError::Read { path: self.path.display().to_string(), source }),
        }
    }

    fn try_read(&mut self) -> io::Result<usize> {
        let length = match &self.descriptor {
            Some(descriptor) => match fill(descriptor, &mut self.buffer, self.has_long_lines) {
                Err(error) if is_gone(&error) => {
                    self.descriptor = None;
                    self.open_and_read()?
                }
                other => other?,
            },
            None => self.open_and_read()?,
        };
        if length == 0 && !self.may_be_empty {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file is empty, as container runtimes make files that they hide; mount the host's /proc",
            ));
        }
        Ok(length)
    }

    fn open_and_read(&mut self) -> io::Result<usize> {
        let descriptor = open(&self.path)?;
        let length = fill(&descriptor, &mut self.buffer, self.has_long_lines)?;
        self.descriptor = Some(descriptor);
        Ok(length)
    }
}

/// A [`KernelFile`] that several collectors of one collection use: read once per frame time.
#[derive(Clone)]
pub(crate) struct SharedFile(Arc<Mutex<Shared>>);

struct Shared {
    file: KernelFile,
    /// The frame time that the buffer holds the text of, and how long that text is.
    fresh: Option<(Millis, usize)>,
}

impl SharedFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(Arc::new(Mutex::new(Shared { file: KernelFile::new(path), fresh: None })))
    }

    /// Hands the text at frame time `at` to `record`.
    ///
    /// # Errors
    /// The file's, or `record`'s.
    pub(crate) fn with<R>(
        &self,
        at: Millis,
        record: impl FnOnce(&[u8]) -> Result<R, CollectError>,
    ) -> Result<R, CollectError> {
        // A collector that panicked while it held the text leaves nothing half done here.
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = match shared.fresh {
            Some((time, length)) if time == at => length,
            _ => {
                shared.fresh = None;
                let length = shared.file.read()?.len();
                shared.fresh = Some((at, length));
                length
            }
        };
        record(&shared.file.buffer[..length])
    }
}

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A descriptor that counts among the open attributes.
struct Counted(OwnedFd);

impl Counted {
    /// None when enough are open already.
    fn keep(descriptor: OwnedFd) -> Option<Self> {
        OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < OPEN_ATTRIBUTES).then_some(open + 1))
            .ok()
            .map(|_| Self(descriptor))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One small value of `/sys`. Kept open while few are; opened for every read beyond that.
pub(crate) struct Attribute {
    path: PathBuf,
    descriptor: Option<Counted>,
}

/// Room for one attribute's text; longer texts are cut.
pub(crate) type AttributeText = [u8; 1024];

impl Attribute {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, descriptor: None }
    }

    /// Its text without surrounding blanks. Sensors and hot-plugged devices answer with errors as a matter of course.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read<'a>(&mut self, room: &'a mut AttributeText) -> io::Result<&'a [u8]> {
        let kept = self.descriptor.as_ref().map(|kept| pread(&kept.0, room, 0));
        let length = match kept {
            Some(Ok(length)) => length,
            _ => {
                self.descriptor = None;
                let descriptor = open(&self.path)?;
                let length = pread(&descriptor, room, 0)?;
                self.descriptor = Counted::keep(descriptor);
                length
            }
        };
        Ok(room[..length].trim_ascii())
    }

    /// Its value, if it can be read and is a whole number.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut room = [0; 1024];
        self.read(&mut room).ok().and_then(super::parse::number)
    }
}

/// Lets through at most one in a period: for what seldom changes and still costs a system call to ask for.
pub(crate) struct Gate {
    period: Duration,
    passed: Option<Instant>,
}

impl Gate {
    pub(crate) fn new(period: Duration) -> Self {
        Self { period, passed: None }
    }

    /// Whether the period is over; the first time it is.
    pub(crate) fn passes(&mut self) -> bool {
        let passes = self.passed.is_none_or(|passed| passed.elapsed() >= self.period);
        if passes {
            self.passed = Some(Instant::now());
        }
        passes
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?)
}

fn pread(descriptor: &OwnedFd, room: &mut [u8], offset: usize) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::pread(descriptor, &mut *room, offset as u64))?)
}

/// Reads to the end, which only a read of nothing tells, or a first read that is [`SHORT`].
fn fill(descriptor: &OwnedFd, buffer: &mut Vec<u8>, has_long_lines: bool) -> io::Result<usize> {
    let mut length = 0;
    loop {
        if length == buffer.len() {
            if length >= LIMIT {
                return Err(io::Error::other("the file is larger than 4 MiB"));
            }
            buffer.resize((length * 2).max(FIRST_ROOM), 0);
        }
        match pread(descriptor, &mut buffer[length..], length)? {
            0 => return Ok(length),
            read if length == 0 && read < SHORT && !has_long_lines => return Ok(read),
            read => length += read,
        }
    }
}

/// Whether what the descriptor stood for went away, so that the path may now name something else.
fn is_gone(error: &io::Error) -> bool {
    [Errno::NODEV, Errno::STALE, Errno::NOENT, Errno::SRCH]
        .iter()
        .any(|gone| error.raw_os_error() == Some(gone.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_from_its_start_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stat");
        let long = "x".repeat(10_000);
        std::fs::write(&path, &long).unwrap();
        let mut file = KernelFile::new(path.clone());
        assert_eq!(file.read().unwrap(), long.as_bytes());
        std::fs::write(&path, "short").unwrap();
        assert_eq!(file.read().unwrap(), b"short");
    }

    #[test]
    fn a_masked_file_is_a_failure_and_not_an_empty_success() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("interrupts");
        std::fs::write(&path, "").unwrap();
        let error = KernelFile::new(path.clone()).read().unwrap_err();
        assert!(error.to_string().contains("interrupts") && error.to_string().contains("empty"), "{error}");
        assert_eq!(KernelFile::maybe_empty(path).read().unwrap(), b"");
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let error = KernelFile::new("/dev/zero".into()).read().unwrap_err();
        assert!(error.to_string().contains("4 MiB"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = KernelFile::new("/nowhere/stat".into()).read().unwrap_err();
        assert!(error.to_string().contains("/nowhere/stat"), "{error}");
    }

    #[test]
    fn collectors_of_one_frame_share_one_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stat");
        std::fs::write(&path, "one").unwrap();
        let first = SharedFile::new(path.clone());
        let second = first.clone();
        let text = |file: &SharedFile, at| file.with(at, |text| Ok(text.to_vec())).unwrap();
        assert_eq!(text(&first, 1), b"one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(text(&second, 1), b"one");
        assert_eq!(text(&second, 2), b"two");
    }

    #[test]
    fn an_attribute_that_came_back_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("count");
        let mut attribute = Attribute::new(path.clone());
        assert_eq!(attribute.number(), None);
        std::fs::write(&path, " 17\n").unwrap();
        assert_eq!(attribute.number(), Some(17));
    }
}
