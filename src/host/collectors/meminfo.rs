//! `meminfo`: how memory is used, from `/proc/meminfo`.

use std::sync::Arc;

use crate::host::Ground;
use crate::host::parse::{first_word, lines, misread, number, words};
use crate::host::reader::SharedFile;
use crate::host::rows::Rows;
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Family, Frame, MetricKind, SeriesInfo};

pub(super) const NAME: &str = "meminfo";

/// The fields that are told, as the kernel writes them. `Active(anon)` becomes `node_memory_Active_anon_bytes`.
const FIELDS: &[&str] = &[
    "MemTotal",
    "MemFree",
    "MemAvailable",
    "Buffers",
    "Cached",
    "SwapCached",
    "Active",
    "Inactive",
    "Active(anon)",
    "Inactive(anon)",
    "Active(file)",
    "Inactive(file)",
    "Unevictable",
    "Mlocked",
    "SwapTotal",
    "SwapFree",
    "Zswap",
    "Zswapped",
    "Dirty",
    "Writeback",
    "AnonPages",
    "Mapped",
    "Shmem",
    "Slab",
    "SReclaimable",
    "SUnreclaim",
    "KernelStack",
    "PageTables",
    "NFS_Unstable",
    "Bounce",
    "WritebackTmp",
    "CommitLimit",
    "Committed_AS",
    "VmallocTotal",
    "VmallocUsed",
    "VmallocChunk",
    "Percpu",
    "HardwareCorrupted",
    "AnonHugePages",
    "ShmemHugePages",
    "ShmemPmdMapped",
    "CmaTotal",
    "CmaFree",
    "HugePages_Total",
    "HugePages_Free",
    "HugePages_Rsvd",
    "HugePages_Surp",
    "Hugepagesize",
    "DirectMap4k",
    "DirectMap2M",
    "DirectMap1G",
];

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    Box::new(MemInfo { meminfo: ground.meminfo.clone(), recorder: Recorder::default() })
}

struct MemInfo {
    meminfo: SharedFile,
    recorder: Recorder,
}

impl Collector for MemInfo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        self.meminfo.with(out.at, |text| self.recorder.record(text, out))
    }
}

#[derive(Default)]
struct Recorder {
    /// The series of each line with the value of this pass; none for the lines that are not told.
    rows: Rows<Option<(Arc<SeriesInfo>, f64)>>,
}

impl Recorder {
    fn record(&mut self, text: &[u8], out: &mut Frame) -> Result<(), CollectError> {
        self.rows.begin();
        for line in lines(text) {
            let (name, rest) = first_word(line);
            let Some((_, value)) = self.rows.entry(name, || series(name).map(|series| (series, 0.0))) else { continue };
            *value = bytes(rest).ok_or_else(|| misread("meminfo", "a number of kB", line))? as f64;
        }
        self.rows.finish();
        for (series, value) in self.rows.values().flatten() {
            out.put(series, *value);
        }
        Ok(())
    }
}

/// The value of a line: bytes where the unit is kB, else a plain number.
pub(in crate::host) fn bytes(rest: &[u8]) -> Option<u64> {
    let mut words = words(rest);
    let value = words.next().and_then(number)?;
    match (words.next(), words.next()) {
        (None, _) => Some(value),
        (Some(b"kB"), None) => value.checked_mul(1024),
        _ => None,
    }
}

fn series(name: &[u8]) -> Option<Arc<SeriesInfo>> {
    let name = name.strip_suffix(b":")?;
    let field = FIELDS.iter().find(|field| field.as_bytes() == name)?;
    let unit = if matches!(*field, "HugePages_Total" | "HugePages_Free" | "HugePages_Rsvd" | "HugePages_Surp") {
        ""
    } else {
        "_bytes"
    };
    let field = format!("{}{unit}", field.replace('(', "_").replace(')', ""));
    let help = format!("Memory information field {field}.");
    Some(SeriesInfo::new(&Family::new(format!("node_memory_{field}"), help, MetricKind::Gauge), &[]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{TestHost, assert_well_formed, lines};
    use super::*;

    #[test]
    fn kilobytes_become_bytes_and_pages_stay_pages() {
        let text =
            "MemTotal:        3742148 kB\nActive(anon):    1 kB\nHugePages_Total:       3\nFileHugePages: 9 kB\n";
        let host = TestHost::new(&[("proc/meminfo", text)]);
        let mut frame = Frame::default();
        new(&host.ground()).collect(&mut frame).unwrap();
        assert_eq!(
            lines(&frame),
            [
                "node_memory_MemTotal_bytes 3831959552",
                "node_memory_Active_anon_bytes 1024",
                "node_memory_HugePages_Total 3"
            ]
        );
        assert_eq!(frame.readings[1].series.family.help, "Memory information field Active_anon_bytes.");
    }

    #[test]
    fn an_unknown_unit_is_an_error() {
        let error = Recorder::default().record(b"MemTotal: 1 MB\n", &mut Frame::default()).unwrap_err();
        assert!(error.to_string().contains("MemTotal: 1 MB"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_repeat_a_series(text in "((MemTotal|Cached|Slab): +[0-9]{1,22} kB\n|\\PC|\n)*") {
            let mut frame = Frame::default();
            let _ = Recorder::default().record(text.as_bytes(), &mut frame);
            assert_well_formed(&frame);
        }
    }
}
