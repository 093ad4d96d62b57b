//! Helpers of the collectors' tests: a host made of files, and a frame as readable lines.

use std::path::Path;
use std::time::Duration;

use crate::host::reader::SharedFile;
use crate::host::{Ground, Options, Roots};
use crate::model::series::Frame;

/// A host below a temporary folder.
pub(super) struct TestHost {
    folder: tempfile::TempDir,
}

impl TestHost {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        for (path, text) in files {
            host.write(path, text);
        }
        host
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn ground(&self) -> Ground {
        let at = |name: &str| self.folder.path().join(name);
        let roots = Roots { udev: at("udev"), ..Roots::new(at("proc"), at("sys"), at("root")) };
        Ground {
            stat: SharedFile::new(roots.proc.join("stat")),
            meminfo: SharedFile::new(roots.proc.join("meminfo")),
            vmstat: SharedFile::new(roots.proc.join("vmstat")),
            patience: Duration::ZERO,
            roots,
            options: Options::default(),
        }
    }
}

/// The readings as lines of the text format.
pub(super) fn lines(frame: &Frame) -> Vec<String> {
    frame
        .readings
        .iter()
        .map(|reading| format!("{}{}", reading.series.text, &*crate::model::number::text(reading.value)))
        .collect()
}

/// Asserts that all readings of a family are adjacent and that no series appears twice.
pub(in crate::host) fn assert_well_formed(frame: &Frame) {
    let mut families: Vec<&str> = Vec::new();
    let mut series = std::collections::HashSet::new();
    for reading in &frame.readings {
        let name = reading.series.family.name.as_ref();
        if families.last() != Some(&name) {
            assert!(!families.contains(&name), "the family {name} is in two places");
            families.push(name);
        }
        assert!(series.insert(reading.series.text.clone()), "twice: {}", reading.series.text);
    }
}
