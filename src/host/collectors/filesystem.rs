//! `filesystem`: how full each mounted file system is. The mounts come from `/proc/1/mountinfo`, the numbers from
//! threads that may hang in place of the collection ([`super::statfs`]).

use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use regex::bytes::Regex;

use super::statfs::{self, Answer, Asker};
use crate::host::parse::{label, lines, misread};
use crate::host::reader::KernelFile;
use crate::host::rows::{Columns, Rows, gauge, put_columns};
use crate::host::{Ground, Roots};
use crate::model::collector::{CollectError, Collector};
use crate::model::needs::Needs;
use crate::model::series::{Family, Frame, SeriesInfo};

pub(super) const NAME: &str = "filesystem";

/// Mount points and types that are left out, as node_exporter does.
const EXCLUDED_POINTS: &str =
    "(?-u)^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
const EXCLUDED_TYPES: &str = "(?-u)^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|\
                              hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|\
                              selinuxfs|squashfs|erofs|sysfs|tracefs)$";
/// Mounts and their usage are asked for anew when the last answers are this old.
const REFRESH_AFTER: Duration = Duration::from_secs(5);
/// A file system that does not answer for this long is stuck, as node_exporter's default has it.
const STUCK_AFTER: Duration = Duration::from_secs(5);
/// How long a collection may wait for answers: the first one, and all others.
const PATIENCE: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(20)];
const STUCK_TEXT: &str = "mountpoint timeout";

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    Box::new(FileSystems::new(&ground.roots, Asker::new(Box::new(statfs::usage)), REFRESH_AFTER, STUCK_AFTER))
}

struct FileSystems {
    files: [KernelFile; 2],
    recorder: Recorder,
    asker: Asker,
    refreshed: Option<Instant>,
    refresh_after: Duration,
    stuck_after: Duration,
}

impl FileSystems {
    fn new(roots: &Roots, asker: Asker, refresh_after: Duration, stuck_after: Duration) -> Self {
        Self {
            // Where other processes are hidden, our own mounts are the best that is known.
            files: [
                KernelFile::with_long_lines(roots.proc.join("1/mountinfo")),
                KernelFile::with_long_lines(roots.proc.join("self/mountinfo")),
            ],
            recorder: Recorder::new(roots.clone()),
            asker,
            refreshed: None,
            refresh_after,
            stuck_after,
        }
    }
}

impl Collector for FileSystems {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs { mounts: &["/"], ..Needs::default() }
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        if self.refreshed.is_none_or(|at| at.elapsed() >= self.refresh_after) {
            let [first, own] = &mut self.files;
            let text = match first.read() {
                Ok(text) => text,
                Err(_) => own.read()?,
            };
            self.recorder.mounts(text)?;
            let patience = PATIENCE[usize::from(self.refreshed.is_some())];
            let paths: HashSet<&Path> =
                self.recorder.rows.values().flatten().map(|mount| mount.path.as_path()).collect();
            self.asker.ask(paths, patience);
            self.refreshed = Some(Instant::now());
        }
        self.recorder.record(|path| self.asker.answer(path, self.stuck_after), out);
        Ok(())
    }
}

/// One mounted file system.
struct Mount {
    /// Where this process reaches it.
    path: PathBuf,
    device: String,
    point: String,
    kind: String,
    read_only: bool,
    /// The last error's words, empty while all is well: it is a label of all series.
    error: String,
    columns: Columns<8>,
    info: Arc<SeriesInfo>,
}

struct Recorder {
    roots: Roots,
    families: [Arc<Family>; 8],
    info: Arc<Family>,
    excluded_points: Option<Regex>,
    excluded_types: Option<Regex>,
    /// By device, mount point and type, which are a series' labels; none for what is left out.
    rows: Rows<Option<Mount>>,
}

impl Recorder {
    fn new(roots: Roots) -> Self {
        Self {
            roots,
            families: [
                gauge(
                    "node_filesystem_device_error",
                    "Whether an error occurred while getting statistics for the given device.",
                ),
                gauge("node_filesystem_readonly", "Filesystem read-only status."),
                gauge("node_filesystem_size_bytes", "Filesystem size in bytes."),
                gauge("node_filesystem_free_bytes", "Filesystem free space in bytes."),
                gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes."),
                gauge("node_filesystem_files", "Filesystem total file nodes."),
                gauge("node_filesystem_files_free", "Filesystem total free file nodes."),
                gauge(
                    "node_filesystem_purgeable_bytes",
                    "Filesystem space available including purgeable space (MacOS specific).",
                ),
            ],
            info: gauge("node_filesystem_mount_info", "Filesystem mount information."),
            excluded_points: Regex::new(EXCLUDED_POINTS).ok(),
            excluded_types: Regex::new(EXCLUDED_TYPES).ok(),
            rows: Rows::default(),
        }
    }

    /// Takes over the list of mounts.
    fn mounts(&mut self, text: &[u8]) -> Result<(), CollectError> {
        self.rows.begin();
        for line in lines(text) {
            let found =
                Found::parse(line).ok_or_else(|| misread("mountinfo", "a mount of at least ten fields", line))?;
            let raw_point = strip_root(&found.point, self.roots.root.as_os_str().as_bytes());
            let (device, point, kind) = (label(found.device), label(raw_point), label(found.kind));
            let key = [device.as_bytes(), point.as_bytes(), kind.as_bytes()].join(&0);
            let mount = self.rows.entry(&key, || {
                let out = |pattern: &Option<Regex>, text: &str| {
                    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text.as_bytes()))
                };
                if out(&self.excluded_points, &point) || out(&self.excluded_types, &kind) {
                    return None;
                }
                let labels = [
                    ("device", &*device),
                    ("major", &label(found.major)),
                    ("minor", &label(found.minor)),
                    ("mountpoint", &point),
                ];
                Some(Mount {
                    path: self.roots.host_path(Path::new(OsStr::from_bytes(raw_point))),
                    columns: columns(&self.families, &device, &kind, &point, ""),
                    info: SeriesInfo::new(&self.info, &labels),
                    device: device.clone().into_owned(),
                    point: point.clone().into_owned(),
                    kind: kind.clone().into_owned(),
                    read_only: false,
                    error: String::new(),
                })
            });
            if let Some(mount) = mount {
                mount.read_only = found.read_only;
            }
        }
        self.rows.finish();
        Ok(())
    }

    /// Writes what is known of every mount.
    fn record(&mut self, answer: impl Fn(&Path) -> Answer, out: &mut Frame) {
        for mount in self.rows.values_mut().flatten() {
            mount.columns.clear();
            let (usage, error) = match answer(&mount.path) {
                Answer::Usage(usage) => (Some(usage), String::new()),
                Answer::Failed(words) => (None, words),
                Answer::Stuck => (None, STUCK_TEXT.to_owned()),
                // Nothing is known yet, so nothing is told.
                Answer::Pending => continue,
            };
            if mount.error != error {
                mount.columns = columns(&self.families, &mount.device, &mount.kind, &mount.point, &error);
                mount.error = error;
            }
            mount.columns.set(0, if usage.is_some() { 0.0 } else { 1.0 });
            mount.columns.set(1, if mount.read_only { 1.0 } else { 0.0 });
            if let Some(usage) = usage {
                // node_exporter tells the last one as 0 on Linux.
                let values = [usage.size, usage.free, usage.available, usage.files, usage.files_free, 0.0];
                for (column, value) in values.into_iter().enumerate() {
                    mount.columns.set(column + 2, value);
                }
            }
        }
        let mounts = || self.rows.values().flatten();
        put_columns(mounts().map(|mount| &mount.columns), out);
        for mount in mounts().filter(|mount| mount.columns.has(2)) {
            out.put(&mount.info, 1.0);
        }
    }
}

fn columns(families: &[Arc<Family>; 8], device: &str, kind: &str, point: &str, error: &str) -> Columns<8> {
    Columns::new(families, &[("device", device), ("device_error", error), ("fstype", kind), ("mountpoint", point)])
}

/// The mount point without the folder that the host's root is mounted at, for lists that this process sees itself.
fn strip_root<'a>(point: &'a [u8], root: &[u8]) -> &'a [u8] {
    match point.strip_prefix(root) {
        Some(b"") => b"/",
        Some(rest) if rest.starts_with(b"/") && root != b"/" => rest,
        _ => point,
    }
}

/// A line of `mountinfo`.
struct Found<'a> {
    major: &'a [u8],
    minor: &'a [u8],
    point: Cow<'a, [u8]>,
    kind: &'a [u8],
    device: &'a [u8],
    read_only: bool,
}

impl<'a> Found<'a> {
    /// `22 27 0:21 / /proc rw,relatime shared:1 - proc proc rw`: optional fields end at the dash.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let mut numbers = fields.nth(2)?.splitn(2, |&byte| byte == b':');
        let (major, minor) = (numbers.next()?, numbers.next()?);
        let point = unescaped(fields.nth(1)?);
        let options = fields.next()?;
        fields.find(|field| *field == b"-")?;
        let (kind, device, super_options) = (fields.next()?, fields.next()?, fields.next()?);
        let has = |options: &[u8], wanted: &[u8]| options.split(|&byte| byte == b',').any(|option| option == wanted);
        let read_only = has(options, b"ro") || has(super_options, b"ro") || has(super_options, b"emergency_ro");
        Some(Self { major, minor, point, kind, device, read_only })
    }
}

/// The kernel writes blanks, tabs, newlines and backslashes as `\040`.
fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let escape = after.first_chunk::<3>().filter(|_| byte == b'\\').and_then(|digits| octal(*digits));
        match escape {
            Some(escaped) => {
                plain.push(escaped);
                rest = &after[3..];
            }
            None => plain.push(byte),
        }
    }
    Cow::Owned(plain)
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
#[path = "filesystem_tests.rs"]
mod tests;
