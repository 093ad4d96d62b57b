//! The machine under us: one collector per file, read and record apart.
//!
//! A collector *reads* a source of the kernel (`reader`: descriptors stay open) and *records* its text as readings of
//! series that were made once. [`Collection`] runs them all and survives each of them. [`probe`] answers single
//! questions of checks.

mod collection;
mod collectors;
mod error;
mod parse;
pub mod probe;
mod reader;
mod rows;
mod slow;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use collection::Collection;
pub use error::HostError;

use crate::model::collector::Collector;
use reader::SharedFile;

/// Where the host's trees are. In a pod they are mounted somewhere else than `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The host's `/proc`.
    pub proc: PathBuf,
    /// The host's `/sys`.
    pub sys: PathBuf,
    /// The host's `/`: file systems are asked for their usage below it.
    pub root: PathBuf,
    /// What udev knows of devices, usually `/run/udev/data` of the host.
    pub udev: PathBuf,
}

impl Roots {
    /// Roots of a host whose trees are mounted at these places; udev's data is looked for below `root`.
    #[must_use]
    pub fn new(proc: impl Into<PathBuf>, sys: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let udev = root.join("run/udev/data");
        Self { proc: proc.into(), sys: sys.into(), root, udev }
    }

    /// A path of the host as this process reaches it.
    #[must_use]
    pub fn host_path(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/") {
            Ok(relative) => self.root.join(relative),
            Err(_) => path.to_path_buf(),
        }
    }
}

impl Default for Roots {
    /// The machine that this process runs on.
    fn default() -> Self {
        Self::new("/proc", "/sys", "/")
    }
}

/// Which collectors run: the default ones, with these changes. `disable` wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Collectors to run beside the default ones.
    pub enable: Vec<String>,
    /// Collectors not to run.
    pub disable: Vec<String>,
}

/// What collectors may be told beyond their defaults, which are node_exporter's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The node's name for `node_uname_info`, where this process sees another one (a pod's).
    pub node_name: Option<String>,
    /// Whether `stat` tells the soft interrupts by vector.
    pub softirqs: bool,
}

/// What collectors are made from.
struct Ground {
    roots: Roots,
    options: Options,
    /// `/proc/stat`, which takes the kernel long on large machines and which several collectors read.
    stat: SharedFile,
    meminfo: SharedFile,
    vmstat: SharedFile,
    /// How old may be what seldom changes and costs a system call of its own (udev's data, clock sources, counters of
    /// single interfaces that no list has).
    patience: Duration,
}

/// No longer than the usual scrape interval, so that a usual scrape tells only fresh values.
const PATIENCE: Duration = Duration::from_secs(5);

/// The collectors that a selection names, in the order of the registry.
///
/// # Errors
/// A name that no collector has.
pub fn collectors(roots: &Roots, selection: &Selection) -> Result<Vec<Box<dyn Collector>>, HostError> {
    collectors_with(roots, selection, &Options::default())
}

/// As [`collectors()`], with options.
///
/// # Errors
/// A name that no collector has.
pub fn collectors_with(
    roots: &Roots,
    selection: &Selection,
    options: &Options,
) -> Result<Vec<Box<dyn Collector>>, HostError> {
    for name in selection.enable.iter().chain(&selection.disable) {
        if !collectors::REGISTRY.iter().any(|row| row.name == name) {
            return Err(HostError::UnknownCollector { name: name.clone(), known: collector_names().join(", ") });
        }
    }
    let ground = Ground {
        roots: roots.clone(),
        options: options.clone(),
        stat: SharedFile::new(roots.proc.join("stat")),
        meminfo: SharedFile::new(roots.proc.join("meminfo")),
        vmstat: SharedFile::new(roots.proc.join("vmstat")),
        patience: PATIENCE,
    };
    let named = |list: &[String], name: &str| list.iter().any(|listed| listed == name);
    Ok(collectors::REGISTRY
        .iter()
        .filter(|row| row.on || named(&selection.enable, row.name))
        .filter(|row| !named(&selection.disable, row.name))
        .map(|row| (row.make)(&ground))
        .collect())
}

/// The names of all collectors.
#[must_use]
pub fn collector_names() -> Vec<&'static str> {
    collectors::REGISTRY.iter().map(|row| row.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_collector_is_refused_with_the_known_ones() {
        let selection = Selection { enable: vec!["cpus".into()], ..Selection::default() };
        let error = collectors(&Roots::default(), &selection).err().unwrap();
        assert_eq!(error.reason(), "UnknownCollector");
        assert!(error.to_string().contains("\"cpus\"") && error.to_string().contains("loadavg"), "{error}");
    }

    #[test]
    fn a_disabled_collector_does_not_run_even_if_enabled() {
        let selection = Selection { enable: vec!["cpu".into()], disable: vec!["cpu".into(), "time".into()] };
        let names: Vec<_> =
            collectors(&Roots::default(), &selection).unwrap().iter().map(|collector| collector.name()).collect();
        assert!(!names.contains(&"cpu") && !names.contains(&"time") && names.contains(&"meminfo"), "{names:?}");
    }

    #[test]
    fn collector_names_are_unique() {
        let mut names = collector_names();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_host_path_lies_below_the_root() {
        let roots = Roots::new("/host/proc", "/host/sys", "/host/root");
        assert_eq!(roots.host_path(Path::new("/var/lib")), Path::new("/host/root/var/lib"));
        assert_eq!(roots.host_path(Path::new("/")), Path::new("/host/root/"));
    }
}
