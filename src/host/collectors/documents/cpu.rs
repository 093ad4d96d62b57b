//! The `cpu_*` names: counts, frequency, usage over the last collection interval, events.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::cpu::ticks;
use crate::host::Roots;
use crate::host::parse::{decimal, first_word, lines, number};
use crate::host::rows::{Rows, counter, gauge};
use crate::host::slow::Slow;
use crate::model::collector::CollectError;
use crate::model::series::{Family, Frame, SeriesInfo};

/// How often the clock frequency is read.
const FREQUENCY_EVERY: Duration = Duration::from_secs(10);
const IDLE: usize = 3;
const IOWAIT: usize = 4;
/// The first eight columns are all time; the two after them are contained in the first two.
const ALL: usize = 8;

pub(super) struct Recorder {
    physical: Arc<SeriesInfo>,
    cores: usize,
    logical: Arc<SeriesInfo>,
    frequencies: [Arc<SeriesInfo>; 3],
    total: (Arc<SeriesInfo>, Usage),
    per_cpu: Arc<Family>,
    cpus: Rows<(Arc<SeriesInfo>, Usage)>,
    events: [(&'static [u8], Arc<SeriesInfo>); 3],
    syscalls: Arc<SeriesInfo>,
    frequency: Slow<Option<Frequencies>>,
}

/// Current, lowest and highest clock frequency in MHz, the mean over all CPUs; 0 where unknown, as psutil has it.
type Frequencies = [f64; 3];

impl Recorder {
    pub(super) fn new(roots: &Roots) -> Self {
        let series = |family: Arc<Family>| SeriesInfo::new(&family, &[]);
        let (folder, cpuinfo) = (roots.sys.join("devices/system/cpu"), roots.proc.join("cpuinfo"));
        Self {
            physical: series(gauge("cpu_physical_count", "Number of physical CPU cores.")),
            logical: series(gauge("cpu_logical_count", "Number of logical CPU cores.")),
            frequencies: [
                series(gauge("cpu_frequency_current_mhz", "Current CPU frequency in MHz.")),
                series(gauge("cpu_frequency_min_mhz", "Minimum CPU frequency in MHz.")),
                series(gauge("cpu_frequency_max_mhz", "Maximum CPU frequency in MHz.")),
            ],
            total: (
                series(gauge("cpu_percent_total", "Total CPU usage percentage over the last collection interval.")),
                Usage::default(),
            ),
            per_cpu: gauge("cpu_percent_per_cpu", "CPU usage percentage per core over the last collection interval."),
            cpus: Rows::default(),
            events: [
                (b"ctxt", series(counter("cpu_ctx_switches_total", "Total context switches."))),
                (b"intr", series(counter("cpu_interrupts_total", "Total hardware interrupts."))),
                (b"softirq", series(counter("cpu_soft_interrupts_total", "Total software interrupts."))),
            ],
            syscalls: series(counter("cpu_syscalls_total", "Total system calls; always 0 on Linux.")),
            cores: cores(&folder),
            frequency: Slow::new(FREQUENCY_EVERY, move || frequencies(&folder, &cpuinfo)),
        }
    }

    pub(super) fn record(&mut self, text: &[u8], out: &mut Frame) -> Result<(), CollectError> {
        let mut events = [None; 3];
        self.cpus.begin();
        for line in lines(text) {
            let (name, rest) = first_word(line);
            if let Some(cpu) = name.strip_prefix(b"cpu") {
                let Some(ticks) = ticks(rest) else { continue };
                if cpu.is_empty() {
                    self.total.1.advance(&ticks);
                } else if let Some(core) = number(cpu) {
                    let family = &self.per_cpu;
                    let row = self.cpus.entry(&core.to_le_bytes(), || {
                        (SeriesInfo::new(family, &[("core", &core.to_string())]), Usage::default())
                    });
                    row.1.advance(&ticks);
                }
            } else if let Some(event) = self.events.iter().position(|(field, _)| *field == name) {
                events[event] = number(first_word(rest).0);
            }
        }
        self.cpus.finish();

        if self.cores > 0 {
            out.put(&self.physical, self.cores as f64);
        }
        for (series, frequency) in self.frequencies.iter().zip(self.frequency.latest().flatten().into_iter().flatten())
        {
            out.put(series, frequency);
        }
        out.put(&self.logical, self.cpus.values().count() as f64);
        if let Some(percent) = self.total.1.percent {
            out.put(&self.total.0, percent);
        }
        for (series, usage) in self.cpus.values() {
            if let Some(percent) = usage.percent {
                out.put(series, percent);
            }
        }
        for ((_, series), count) in self.events.iter().zip(events) {
            if let Some(count) = count {
                out.put(series, count as f64);
            }
        }
        out.put(&self.syscalls, 0.0);
        Ok(())
    }
}

/// How busy something was between the last two different samples.
#[derive(Default)]
struct Usage {
    /// Busy and all ticks of the last sample.
    last: Option<(u64, u64)>,
    percent: Option<f64>,
}

impl Usage {
    fn advance(&mut self, ticks: &[u64; 10]) {
        let all = ticks[..ALL].iter().fold(0_u64, |sum, ticks| sum.saturating_add(*ticks));
        let busy = all.saturating_sub(ticks[IDLE]).saturating_sub(ticks[IOWAIT]);
        match self.last {
            // Asked twice within one tick of the kernel: nothing is known of so short a time.
            Some((_, last_all)) if last_all == all => return,
            Some((last_busy, last_all)) if all > last_all => {
                let percent = 100.0 * busy.saturating_sub(last_busy) as f64 / (all - last_all) as f64;
                self.percent = Some(percent.min(100.0));
            }
            // Unplugged and back: starts anew.
            _ => self.percent = None,
        }
        self.last = Some((busy, all));
    }
}

/// The folders of all CPUs.
fn cpus(folder: &Path) -> Vec<PathBuf> {
    let is_cpu = |path: &PathBuf| {
        let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
        name.strip_prefix(b"cpu").is_some_and(|id| number(id).is_some())
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_cpu).collect()
}

fn value(cpu: &Path, file: &str) -> Option<u64> {
    number(std::fs::read(cpu.join(file)).ok()?.trim_ascii())
}

/// How many cores there are; 0 when the machine does not say.
fn cores(folder: &Path) -> usize {
    let core = |cpu: &PathBuf| Some((value(cpu, "topology/physical_package_id")?, value(cpu, "topology/core_id")?));
    cpus(folder).iter().filter_map(core).collect::<HashSet<_>>().len()
}

fn frequencies(folder: &Path, cpuinfo: &Path) -> Option<Frequencies> {
    let cpus = cpus(folder);
    let mean_of = |file: &str| mean(cpus.iter().filter_map(|cpu| value(cpu, file)).map(|khz| khz as f64 / 1000.0));
    let current = mean_of("cpufreq/scaling_cur_freq").or_else(|| frequency_of(&std::fs::read(cpuinfo).ok()?))?;
    let limit = |file: &str| mean_of(file).unwrap_or(0.0);
    Some([current, limit("cpufreq/scaling_min_freq"), limit("cpufreq/scaling_max_freq")])
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The mean of the frequencies that `/proc/cpuinfo` tells, where there is no driver for them.
fn frequency_of(cpuinfo: &[u8]) -> Option<f64> {
    let values = lines(cpuinfo).filter_map(|line| {
        let rest = line.strip_prefix(b"cpu MHz")?.trim_ascii_start().strip_prefix(b":")?;
        decimal(rest.trim_ascii())
    });
    mean(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::testing::{TestHost, assert_well_formed, lines};
    use super::*;

    fn recorded(recorder: &mut Recorder, text: &str) -> Vec<String> {
        let mut frame = Frame::default();
        recorder.record(text.as_bytes(), &mut frame).unwrap();
        assert_well_formed(&frame);
        lines(&frame)
    }

    #[test]
    fn percents_are_of_the_time_between_two_samples() {
        let mut recorder = Recorder::new(&TestHost::new(&[]).ground().roots);
        let text = |busy: u64, idle: u64| {
            format!("cpu  {busy} 0 0 {idle} 0\ncpu0 {busy} 0 0 {idle} 0\nintr 5 1\nctxt 7\nsoftirq 9 1\n")
        };
        let first = recorded(&mut recorder, &text(100, 100));
        assert!(!first.iter().any(|line| line.contains("percent")), "one sample says nothing: {first:?}");
        for line in [
            "cpu_logical_count 1",
            "cpu_ctx_switches_total 7",
            "cpu_interrupts_total 5",
            "cpu_soft_interrupts_total 9",
            "cpu_syscalls_total 0",
        ] {
            assert!(first.iter().any(|found| found == line), "{line} is not in {first:?}");
        }
        let expected = ["cpu_percent_total 25", "cpu_percent_per_cpu{core=\"0\"} 25"];
        let second = recorded(&mut recorder, &text(150, 250));
        assert!(expected.iter().all(|line| second.iter().any(|found| found == line)), "{second:?}");
        let same = recorded(&mut recorder, &text(150, 250));
        assert!(expected.iter().all(|line| same.iter().any(|found| found == line)), "no time went by: {same:?}");
        let third = recorded(&mut recorder, &text(250, 250));
        assert!(third.contains(&"cpu_percent_total 100".into()), "{third:?}");
    }

    #[test]
    fn cores_and_frequencies_come_from_sys_or_else_from_cpuinfo() {
        let cpu = |id: u8, file: &str| format!("sys/devices/system/cpu/cpu{id}/{file}");
        let host = TestHost::new(&[
            (&cpu(0, "topology/physical_package_id"), "0\n"),
            (&cpu(0, "topology/core_id"), "0\n"),
            (&cpu(1, "topology/physical_package_id"), "0\n"),
            (&cpu(1, "topology/core_id"), "0\n"),
            ("proc/cpuinfo", "processor : 0\ncpu MHz\t\t: 2000.5\n\nprocessor : 1\ncpu MHz\t\t: 1999.5\n"),
        ]);
        let roots = host.ground().roots;
        let folder = roots.sys.join("devices/system/cpu");
        assert_eq!(cores(&folder), 1);
        let read = || frequencies(&folder, &roots.proc.join("cpuinfo"));
        assert_eq!(read(), Some([2000.0, 0.0, 0.0]));
        for (file, khz) in
            [("scaling_cur_freq", "2400000"), ("scaling_min_freq", "800000"), ("scaling_max_freq", "3200000")]
        {
            host.write(&cpu(0, &format!("cpufreq/{file}")), khz);
        }
        assert_eq!(read(), Some([2400.0, 800.0, 3200.0]));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_repeat_a_series(text in "(cpu[0-9]{0,2}( [0-9]{1,21}){0,11}\n|intr [0-9]\n|\\PC|\n)*") {
            let mut recorder = Recorder::new(&Roots::new("/nowhere", "/nowhere", "/nowhere"));
            recorded(&mut recorder, &text);
            recorded(&mut recorder, &text);
            let _ = frequency_of(text.as_bytes());
        }
    }
}
