//! `diskstats`: what went to and from each disk, from `/proc/diskstats`, and what udev knows of the disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use regex::bytes::Regex;

use crate::host::parse::{decimal, label, lines, misread, number, words};
use crate::host::reader::{Gate, KernelFile};
use crate::host::rows::{Columns, Rows, counter, gauge, put_columns};
use crate::host::{Ground, Roots};
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Family, Frame, SeriesInfo};

pub(super) const NAME: &str = "diskstats";

/// Devices that are left out, as node_exporter does: RAM disks, loops and partitions.
const EXCLUDED: &str = r"(?-u)^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
/// The kernel's sector, whatever the disk's is.
const SECTOR_BYTES: f64 = 512.0;
/// node_exporter multiplies by this instead of dividing by 1,000; the results differ in the last bit.
const SECONDS_PER_TICK: f64 = 0.001;
/// Lines of kernels before 2.6.25 have fewer numbers and are left out.
const FEWEST_NUMBERS: usize = 11;
/// The largest file of udev's data that is read.
const UDEV_LIMIT: usize = 64 << 10;

/// What each number of a line is multiplied by.
const FACTORS: [f64; 17] = [
    1.0,
    1.0,
    SECTOR_BYTES,
    SECONDS_PER_TICK,
    1.0,
    1.0,
    SECTOR_BYTES,
    SECONDS_PER_TICK,
    1.0,
    SECONDS_PER_TICK,
    SECONDS_PER_TICK,
    1.0,
    1.0,
    1.0,
    SECONDS_PER_TICK,
    1.0,
    SECONDS_PER_TICK,
];

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    Box::new(DiskStats {
        // A machine may well have no disk.
        file: KernelFile::maybe_empty(ground.roots.proc.join("diskstats")),
        recorder: Recorder::new(&ground.roots, ground.patience),
    })
}

struct DiskStats {
    file: KernelFile,
    recorder: Recorder,
}

impl Collector for DiskStats {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        let text = self.file.read()?;
        self.recorder.record(text, out)
    }
}

struct Recorder {
    columns: [Arc<Family>; 17],
    facts: FactFamilies,
    excluded: Option<Regex>,
    /// udev's folder, and when it last changed: udev replaces files, which changes their folder.
    udev: PathBuf,
    udev_changed: Option<SystemTime>,
    udev_gate: Gate,
    /// `/sys/block`.
    block: PathBuf,
    /// By name; none for excluded devices.
    rows: Rows<Option<Disk>>,
}

struct Disk {
    major: u64,
    minor: u64,
    name: String,
    columns: Columns<17>,
    facts: Facts,
}

impl Recorder {
    fn new(roots: &Roots, patience: Duration) -> Self {
        Self {
            columns: column_families(),
            facts: FactFamilies::new(),
            excluded: Regex::new(EXCLUDED).ok(),
            udev: roots.udev.clone(),
            udev_changed: None,
            udev_gate: Gate::new(patience),
            block: roots.sys.join("block"),
            rows: Rows::default(),
        }
    }

    fn record(&mut self, text: &[u8], out: &mut Frame) -> Result<(), CollectError> {
        self.notice_udev();
        self.rows.begin();
        for line in lines(text) {
            let bad = || misread("diskstats", "two numbers, a name and numbers", line);
            let mut rest = words(line);
            let (Some(major), Some(minor), Some(name)) = (rest.next(), rest.next(), rest.next()) else {
                return Err(bad());
            };
            let (major, minor) = (number(major).ok_or_else(bad)?, number(minor).ok_or_else(bad)?);
            let name = label(name);
            let facts = || self.facts.of(major, minor, &name, &self.udev, &self.block);
            let disk = self.rows.entry(name.as_bytes(), || {
                if self.excluded.as_ref().is_some_and(|excluded| excluded.is_match(name.as_bytes())) {
                    return None;
                }
                let columns = Columns::new(&self.columns, &[("device", &name)]);
                Some(Disk { columns, facts: facts(), major, minor, name: name.clone().into_owned() })
            });
            let Some(disk) = disk else { continue };
            if (disk.major, disk.minor) != (major, minor) {
                (disk.major, disk.minor, disk.facts) = (major, minor, facts());
            }
            disk.columns.clear();
            let mut numbers = 0;
            for (word, factor) in rest.zip(FACTORS) {
                disk.columns.set(numbers, number(word).ok_or_else(bad)? as f64 * factor);
                numbers += 1;
            }
            if numbers < FEWEST_NUMBERS {
                disk.columns.clear();
            }
        }
        self.rows.finish();
        self.put(out);
        Ok(())
    }

    /// Asks udev's data again after it changed: a disk was formatted, or udev met it after we did.
    fn notice_udev(&mut self) {
        if !self.udev_gate.passes() {
            return;
        }
        let changed = std::fs::metadata(&self.udev).and_then(|folder| folder.modified()).ok();
        if changed != self.udev_changed {
            self.udev_changed = changed;
            for disk in self.rows.values_mut().flatten() {
                disk.facts = self.facts.of(disk.major, disk.minor, &disk.name, &self.udev, &self.block);
            }
        }
    }

    fn put(&self, out: &mut Frame) {
        let disks = || self.rows.values().flatten();
        for disk in disks() {
            out.put(&disk.facts.info, 1.0);
        }
        put_columns(disks().map(|disk| &disk.columns), out);
        for series in disks().filter_map(|disk| disk.facts.filesystem.as_ref()) {
            out.put(series, 1.0);
        }
        for series in disks().filter_map(|disk| disk.facts.mapper.as_ref()) {
            out.put(series, 1.0);
        }
        for fact in 0..3 {
            for (series, value) in disks().filter_map(|disk| disk.facts.ata[fact].as_ref()) {
                out.put(series, *value);
            }
        }
    }
}

/// What is known of a disk and seldom changes.
struct Facts {
    info: Arc<SeriesInfo>,
    filesystem: Option<Arc<SeriesInfo>>,
    mapper: Option<Arc<SeriesInfo>>,
    ata: [Option<(Arc<SeriesInfo>, f64)>; 3],
}

struct FactFamilies {
    info: Arc<Family>,
    filesystem: Arc<Family>,
    mapper: Arc<Family>,
    ata: [(&'static str, Arc<Family>); 3],
}

impl FactFamilies {
    fn new() -> Self {
        Self {
            info: gauge("node_disk_info", "Info of /sys/block/<block_device>."),
            filesystem: gauge("node_disk_filesystem_info", "Info about disk filesystem."),
            mapper: gauge("node_disk_device_mapper_info", "Info about disk device mapper."),
            ata: [
                ("ID_ATA_WRITE_CACHE", gauge("node_disk_ata_write_cache", "ATA disk has a write cache.")),
                (
                    "ID_ATA_WRITE_CACHE_ENABLED",
                    gauge("node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled."),
                ),
                (
                    "ID_ATA_ROTATION_RATE_RPM",
                    gauge("node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs)."),
                ),
            ],
        }
    }

    fn of(&self, major: u64, minor: u64, name: &str, udev: &Path, block: &Path) -> Facts {
        let properties = properties(&udev_text(&udev.join(format!("b{major}:{minor}"))));
        let property = |key: &str| properties.get(key).map_or("", String::as_str);
        let first = |keys: &[&str]| keys.iter().map(|key| property(key)).find(|text| !text.is_empty()).unwrap_or("");
        // `/` in a device's name is `!` in /sys.
        let rotational = std::fs::read(block.join(name.replace('/', "!")).join("queue/rotational"));
        let rotational = if rotational.is_ok_and(|text| text.trim_ascii() == b"1") { "1" } else { "0" };
        let info = SeriesInfo::new(
            &self.info,
            &[
                ("device", name),
                ("major", &major.to_string()),
                ("minor", &minor.to_string()),
                ("path", property("ID_PATH")),
                ("wwn", property("ID_WWN")),
                ("model", property("ID_MODEL")),
                ("serial", first(&["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"])),
                ("revision", property("ID_REVISION")),
                ("rotational", rotational),
            ],
        );
        let filesystem = (!property("ID_FS_TYPE").is_empty()).then(|| {
            let labels = [
                ("device", name),
                ("type", property("ID_FS_TYPE")),
                ("usage", property("ID_FS_USAGE")),
                ("uuid", property("ID_FS_UUID")),
                ("version", property("ID_FS_VERSION")),
            ];
            SeriesInfo::new(&self.filesystem, &labels)
        });
        let mapper = (!property("DM_NAME").is_empty()).then(|| {
            let labels = [
                ("device", name),
                ("name", property("DM_NAME")),
                ("uuid", property("DM_UUID")),
                ("vg_name", property("DM_VG_NAME")),
                ("lv_name", property("DM_LV_NAME")),
                ("lv_layer", property("DM_LV_LAYER")),
            ];
            SeriesInfo::new(&self.mapper, &labels)
        });
        let ata = self.ata.each_ref().map(|(key, family)| {
            let value = decimal(property(key).as_bytes()).filter(|_| !property("ID_ATA").is_empty())?;
            Some((SeriesInfo::new(family, &[("device", name)]), value))
        });
        Facts { info, filesystem, mapper, ata }
    }
}

/// What udev wrote down of a device; nothing if it did not.
fn udev_text(path: &Path) -> Vec<u8> {
    let mut text = std::fs::read(path).unwrap_or_default();
    text.truncate(UDEV_LIMIT);
    text
}

/// The device's properties: lines `E:NAME=value`.
fn properties(text: &[u8]) -> HashMap<String, String> {
    lines(text)
        .filter_map(|line| line.strip_prefix(b"E:"))
        .filter_map(|line| {
            let at = line.iter().position(|&byte| byte == b'=')?;
            Some((label(&line[..at]).into_owned(), label(&line[at + 1..]).into_owned()))
        })
        .collect()
}

fn column_families() -> [Arc<Family>; 17] {
    [
        counter("node_disk_reads_completed_total", "The total number of reads completed successfully."),
        counter("node_disk_reads_merged_total", "The total number of reads merged."),
        counter("node_disk_read_bytes_total", "The total number of bytes read successfully."),
        counter("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads."),
        counter("node_disk_writes_completed_total", "The total number of writes completed successfully."),
        counter("node_disk_writes_merged_total", "The number of writes merged."),
        counter("node_disk_written_bytes_total", "The total number of bytes written successfully."),
        counter("node_disk_write_time_seconds_total", "This is the total number of seconds spent by all writes."),
        gauge("node_disk_io_now", "The number of I/Os currently in progress."),
        counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os."),
        counter("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."),
        counter("node_disk_discards_completed_total", "The total number of discards completed successfully."),
        counter("node_disk_discards_merged_total", "The total number of discards merged."),
        counter("node_disk_discarded_sectors_total", "The total number of sectors discarded successfully."),
        counter("node_disk_discard_time_seconds_total", "This is the total number of seconds spent by all discards."),
        counter("node_disk_flush_requests_total", "The total number of flush requests completed successfully"),
        counter(
            "node_disk_flush_requests_time_seconds_total",
            "This is the total number of seconds spent by all flush requests.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{TestHost, assert_well_formed, lines};
    use super::*;

    const TEXT: &str = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0\n   8       0 sda 25354637 34367663 1003346126 104 \
        28444756 11134226 505697032 63877960 0 9653880 82621804\n   8       1 sda1 250 0 2000 36 0 0 0 0 0 36 36\n\
        252       0 dm-0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n";

    #[test]
    fn disks_are_told_and_partitions_are_not() {
        let host = TestHost::new(&[
            ("proc/diskstats", TEXT),
            (
                "udev/b8:0",
                "S:disk\nE:ID_MODEL=FAST\nE:ID_SERIAL_SHORT=1\nE:ID_ATA=1\nE:ID_ATA_ROTATION_RATE_RPM=7200\n",
            ),
            ("udev/b252:0", "E:DM_NAME=root\nE:ID_FS_TYPE=ext4\n"),
            ("sys/block/sda/queue/rotational", "1\n"),
        ]);
        let mut frame = Frame::default();
        new(&host.ground()).collect(&mut frame).unwrap();
        assert_well_formed(&frame);
        let lines = lines(&frame);
        for line in [
            "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",model=\"FAST\",rotational=\"1\",serial=\"1\"} 1",
            "node_disk_read_bytes_total{device=\"sda\"} 513713216512",
            "node_disk_read_time_seconds_total{device=\"sda\"} 0.10400000000000001",
            "node_disk_flush_requests_time_seconds_total{device=\"dm-0\"} 0.017",
            "node_disk_filesystem_info{device=\"dm-0\",type=\"ext4\"} 1",
            "node_disk_device_mapper_info{device=\"dm-0\",name=\"root\"} 1",
            "node_disk_ata_rotation_rate_rpm{device=\"sda\"} 7200",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.contains("sda1") || line.contains("loop0")));
    }

    #[test]
    fn what_udev_learns_later_is_told_then() {
        let host = TestHost::new(&[("proc/diskstats", TEXT)]);
        let mut disks = new(&host.ground());
        let mut frame = Frame::default();
        disks.collect(&mut frame).unwrap();
        assert!(!lines(&frame).iter().any(|line| line.contains("filesystem_info")));
        host.write("udev/b8:0", "E:ID_FS_TYPE=xfs\n");
        frame.reset(1);
        disks.collect(&mut frame).unwrap();
        assert!(lines(&frame).iter().any(|line| line.contains("filesystem_info{device=\"sda\",type=\"xfs\"}")));
    }

    #[test]
    fn the_excluded_devices_are_node_exporters() {
        let excluded = Regex::new(EXCLUDED).unwrap();
        for name in ["ram0", "zram1", "loop7", "fd0", "sda1", "vdb2", "xvda3", "nvme0n1p1"] {
            assert!(excluded.is_match(name.as_bytes()), "{name}");
        }
        for name in ["sda", "nvme0n1", "dm-0", "md0", "sr0", "mmcblk0p1"] {
            assert!(!excluded.is_match(name.as_bytes()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_repeat_a_series(
            text in "(( {0,3}[0-9]{1,3}){2} (sd[a-c]|\\PC{1,4})( [0-9]{1,21}){9,19}\n|\n)*",
            junk in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut frame = Frame::default();
            let mut recorder = Recorder::new(&Roots::new("/nowhere", "/nowhere", "/nowhere"), Duration::ZERO);
            if recorder.record(text.as_bytes(), &mut frame).is_ok() {
                assert_well_formed(&frame);
            }
            let _ = recorder.record(&junk, &mut frame);
            let _ = properties(&junk);
        }
    }
}
