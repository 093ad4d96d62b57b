//! `cpu`: what each CPU spent its time on, from `/proc/stat`; throttling, isolation and hot-plug from `/sys`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::Ground;
use crate::host::parse::{first_word, lines, misread, number, words};
use crate::host::reader::{Attribute, SharedFile};
use crate::host::rows::{Rows, counter, gauge};
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Family, Frame, SeriesInfo};

pub(super) const NAME: &str = "cpu";

/// The kernel counts CPU time in hundredths of a second on every architecture that we run on.
pub(in crate::host) const TICKS_PER_SECOND: f64 = 100.0;
/// The columns of a CPU's line. The last two are also contained in `user` and `nice`.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const COLUMNS: usize = MODES.len() + GUEST_MODES.len();
const IDLE: usize = 3;
/// An idle counter that jumps back by this much means that the CPU was unplugged and came back with new counters.
const JUMP_BACK_TICKS: u64 = 300;
/// More CPUs than Linux can have.
const MOST_CPUS: u64 = 65_536;

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    let folder = ground.roots.sys.join("devices/system/cpu");
    Box::new(Cpu {
        stat: ground.stat.clone(),
        recorder: Recorder::default(),
        isolated: isolated(&folder),
        attributes: Attributes::discover(&folder),
        folder,
    })
}

struct Cpu {
    stat: SharedFile,
    recorder: Recorder,
    isolated: Vec<Arc<SeriesInfo>>,
    attributes: Attributes,
    folder: PathBuf,
}

impl Collector for Cpu {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        let plugged = self.stat.with(out.at, |text| self.recorder.record(text, out))?;
        for series in &self.isolated {
            out.put(series, 1.0);
        }
        if plugged {
            self.attributes = Attributes::discover(&self.folder);
        }
        self.attributes.record(out);
        Ok(())
    }
}

/// What is remembered of one CPU.
struct Row {
    ticks: [u64; COLUMNS],
    series: [Arc<SeriesInfo>; COLUMNS],
}

struct Recorder {
    modes: Arc<Family>,
    guests: Arc<Family>,
    rows: Rows<Row>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            modes: counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode."),
            guests: counter("node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode."),
            rows: Rows::default(),
        }
    }
}

impl Recorder {
    /// Says whether CPUs came or went.
    fn record(&mut self, text: &[u8], out: &mut Frame) -> Result<bool, CollectError> {
        let mut came = false;
        self.rows.begin();
        for (cpu, rest) in cpu_lines(text) {
            let id = number(cpu).filter(|id| *id < MOST_CPUS).ok_or_else(|| misread("stat", "a CPU's number", cpu))?;
            let row = self.rows.entry(&id.to_le_bytes(), || {
                came = true;
                Row { ticks: [0; COLUMNS], series: series(&self.modes, &self.guests, &id.to_string()) }
            });
            advance(&mut row.ticks, &ticks(rest).ok_or_else(|| misread("stat", "a CPU's times", rest))?);
        }
        let went = self.rows.finish();
        for columns in [0..MODES.len(), MODES.len()..COLUMNS] {
            for row in self.rows.values() {
                for column in columns.clone() {
                    out.put(&row.series[column], row.ticks[column] as f64 / TICKS_PER_SECOND);
                }
            }
        }
        Ok(came || went)
    }
}

/// The lines of single CPUs: the number as text, and the times. They stand together at the text's beginning.
fn cpu_lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(text)
        .map(first_word)
        .map_while(|(name, rest)| Some((name.strip_prefix(b"cpu")?, rest)))
        .filter(|(cpu, _)| !cpu.is_empty())
}

/// The times of a line; columns that an older kernel lacks are zero.
pub(in crate::host) fn ticks(rest: &[u8]) -> Option<[u64; COLUMNS]> {
    let mut ticks = [0; COLUMNS];
    for (place, word) in ticks.iter_mut().zip(words(rest)) {
        *place = number(word)?;
    }
    Some(ticks)
}

/// Moves counters forward. The kernel's idle and iowait are estimates that may go back a little: those keep their old
/// value. A large jump back is a CPU that came back from being unplugged: it starts anew.
fn advance(known: &mut [u64; COLUMNS], new: &[u64; COLUMNS]) {
    if known[IDLE].saturating_sub(new[IDLE]) >= JUMP_BACK_TICKS {
        *known = [0; COLUMNS];
    }
    for (known, new) in known.iter_mut().zip(new) {
        *known = (*known).max(*new);
    }
}

fn series(modes: &Arc<Family>, guests: &Arc<Family>, cpu: &str) -> [Arc<SeriesInfo>; COLUMNS] {
    std::array::from_fn(|column| match MODES.get(column) {
        Some(mode) => SeriesInfo::new(modes, &[("cpu", cpu), ("mode", mode)]),
        None => SeriesInfo::new(guests, &[("cpu", cpu), ("mode", GUEST_MODES[column - MODES.len()])]),
    })
}

/// The CPUs that the scheduler leaves alone, set when the kernel starts.
fn isolated(folder: &Path) -> Vec<Arc<SeriesInfo>> {
    let family =
        gauge("node_cpu_isolated", "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.");
    let text = std::fs::read(folder.join("isolated")).unwrap_or_default();
    ranges(text.trim_ascii()).iter().map(|cpu| SeriesInfo::new(&family, &[("cpu", &cpu.to_string())])).collect()
}

/// The numbers of a list such as `1,3-5,9`, each once; nothing if it is not such a list.
fn ranges(text: &[u8]) -> Vec<u64> {
    let mut cpus = std::collections::BTreeSet::new();
    for part in text.split(|&byte| byte == b',').filter(|part| !part.is_empty()) {
        let mut ends = part.splitn(2, |&byte| byte == b'-').map(number);
        let (Some(first), last) = (ends.next().flatten(), ends.next()) else { return Vec::new() };
        let Some(last) = last.unwrap_or(Some(first)).filter(|last| *last < MOST_CPUS) else { return Vec::new() };
        cpus.extend(first..=last);
    }
    cpus.into_iter().collect()
}

/// Attributes of single CPUs that exist on this machine, found anew when CPUs come or go.
struct Attributes {
    core_throttles: Vec<(Attribute, Arc<SeriesInfo>)>,
    package_throttles: Vec<(Attribute, Arc<SeriesInfo>)>,
    online: Vec<(Attribute, Arc<SeriesInfo>)>,
}

impl Attributes {
    fn discover(folder: &Path) -> Self {
        let core_family = counter("node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.");
        let package_family =
            counter("node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.");
        let online_family = gauge("node_cpu_online", "CPUs that are online and being scheduled.");
        let mut found = Self { core_throttles: Vec::new(), package_throttles: Vec::new(), online: Vec::new() };
        let mut cores = std::collections::HashSet::new();
        let mut packages = std::collections::HashSet::new();
        let cpus = cpu_folders(folder);
        // Where the first CPU cannot be unplugged, none is told; as node_exporter.
        let pluggable = cpus.first().is_some_and(|(_, cpu)| cpu.join("online").exists());
        for (id, cpu) in &cpus {
            if pluggable {
                let series = SeriesInfo::new(&online_family, &[("cpu", &id.to_string())]);
                found.online.push((Attribute::new(cpu.join("online")), series));
            }
            let topology = |name: &str| Attribute::new(cpu.join("topology").join(name)).number();
            let (Some(package), Some(core)) = (topology("physical_package_id"), topology("core_id")) else { continue };
            let throttle = |file: &str| {
                let mut attribute = Attribute::new(cpu.join("thermal_throttle").join(file));
                attribute.number().map(|_| attribute)
            };
            let (package_label, core_label) = (package.to_string(), core.to_string());
            // The threads of a core tell the same number, so one of them is asked.
            if !cores.contains(&(package, core))
                && let Some(attribute) = throttle("core_throttle_count")
            {
                cores.insert((package, core));
                let labels = [("core", core_label.as_str()), ("package", &package_label)];
                found.core_throttles.push((attribute, SeriesInfo::new(&core_family, &labels)));
            }
            if !packages.contains(&package)
                && let Some(attribute) = throttle("package_throttle_count")
            {
                packages.insert(package);
                let series = SeriesInfo::new(&package_family, &[("package", &package_label)]);
                found.package_throttles.push((attribute, series));
            }
        }
        found
    }

    fn record(&mut self, out: &mut Frame) {
        for (attribute, series) in self.core_throttles.iter_mut().chain(&mut self.package_throttles) {
            if let Some(count) = attribute.number() {
                out.put(series, count as f64);
            }
        }
        for (attribute, series) in &mut self.online {
            out.put(series, if attribute.number() == Some(1) { 1.0 } else { 0.0 });
        }
    }
}

/// The folders of the CPUs that the machine has, by number.
fn cpu_folders(folder: &Path) -> Vec<(u64, PathBuf)> {
    let mut cpus: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let id = number(entry.file_name().as_encoded_bytes().strip_prefix(b"cpu")?)?;
            Some((id, entry.path()))
        })
        .collect();
    cpus.sort_unstable();
    cpus
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{TestHost, assert_well_formed, lines};
    use super::*;

    const STAT: &str = "cpu  1 1 1 1 1 1 1 1 1 1\ncpu0 44490 19 21045 1087069 220 1 3410 0 2 1\n\
                        cpu1 47869 23 16474 1110787 591 0 46 0 3 2\nintr 1 2 3\n";

    fn collected(cpu: &mut Box<dyn Collector>, at: i64) -> Vec<String> {
        let mut frame = Frame::default();
        frame.reset(at);
        cpu.collect(&mut frame).unwrap();
        assert_well_formed(&frame);
        lines(&frame)
    }

    #[test]
    fn ticks_become_seconds_by_cpu_and_mode() {
        let host = TestHost::new(&[("proc/stat", STAT)]);
        let lines = collected(&mut new(&host.ground()), 0);
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[0], "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 444.9");
        assert_eq!(lines[11], "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} 11107.87");
        assert_eq!(lines[16], "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"user\"} 0.02");
    }

    #[test]
    fn a_counter_never_goes_back_unless_the_cpu_was_unplugged() {
        let stat = |idle: u64, iowait: u64| format!("cpu0 10 0 0 {idle} {iowait}\n");
        let host = TestHost::new(&[("proc/stat", &stat(5000, 70))]);
        let mut cpu = new(&host.ground());
        let of = |lines: &[String], mode: &str| {
            lines.iter().find(|line| line.contains(&format!("mode=\"{mode}\""))).unwrap().clone()
        };
        collected(&mut cpu, 0);
        host.write("proc/stat", &stat(4990, 60));
        let lines = collected(&mut cpu, 1);
        assert!(of(&lines, "idle").ends_with(" 50") && of(&lines, "iowait").ends_with(" 0.7"), "{lines:?}");
        host.write("proc/stat", &stat(100, 1));
        let lines = collected(&mut cpu, 2);
        assert!(of(&lines, "idle").ends_with(" 1") && of(&lines, "iowait").ends_with(" 0.01"), "{lines:?}");
    }

    #[test]
    fn an_unplugged_cpu_disappears() {
        let host = TestHost::new(&[("proc/stat", STAT)]);
        let mut cpu = new(&host.ground());
        collected(&mut cpu, 0);
        host.write("proc/stat", "cpu1 47869 23 16474 1110787 591 0 46 0 3 2\n");
        let lines = collected(&mut cpu, 1);
        assert_eq!(lines.len(), 10);
        assert!(lines.iter().all(|line| line.contains("cpu=\"1\"")), "{lines:?}");
    }

    #[test]
    fn throttling_is_told_once_per_core_and_package() {
        let mut files = vec![("proc/stat".to_owned(), STAT)];
        for cpu in ["cpu0", "cpu1"] {
            let folder = format!("sys/devices/system/cpu/{cpu}");
            files.push((format!("{folder}/topology/physical_package_id"), "0\n"));
            files.push((format!("{folder}/topology/core_id"), "0\n"));
            files.push((format!("{folder}/thermal_throttle/core_throttle_count"), "5\n"));
            files.push((format!("{folder}/thermal_throttle/package_throttle_count"), "30\n"));
        }
        files.push(("sys/devices/system/cpu/isolated".into(), "1,3-4\n"));
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let lines = collected(&mut new(&TestHost::new(&files).ground()), 0);
        assert_eq!(
            lines[20..],
            [
                "node_cpu_isolated{cpu=\"1\"} 1",
                "node_cpu_isolated{cpu=\"3\"} 1",
                "node_cpu_isolated{cpu=\"4\"} 1",
                "node_cpu_core_throttles_total{core=\"0\",package=\"0\"} 5",
                "node_cpu_package_throttles_total{package=\"0\"} 30",
            ]
        );
    }

    #[test]
    fn cpus_that_can_be_unplugged_say_whether_they_are_online() {
        let host = TestHost::new(&[
            ("proc/stat", "cpu0 1 1 1 1\n"),
            ("sys/devices/system/cpu/cpu0/online", "1\n"),
            ("sys/devices/system/cpu/cpu1/online", "0\n"),
        ]);
        let lines = collected(&mut new(&host.ground()), 0);
        assert_eq!(lines[10..], ["node_cpu_online{cpu=\"0\"} 1", "node_cpu_online{cpu=\"1\"} 0"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_repeat_a_series(
            text in "(cpu[0-9]{0,3}( [0-9]{1,21}){0,12}\n|\\PC|\n)*",
            list in "([0-9]{1,6}|-|,|x)*",
        ) {
            let mut frame = Frame::default();
            let _ = Recorder::default().record(text.as_bytes(), &mut frame);
            assert_well_formed(&frame);
            let _ = ranges(list.as_bytes());
        }
    }
}
