//! Single questions about the machine, as checks ask them. Each opens its file anew: a check asks every few seconds.

use std::path::Path;

use super::collectors::{cpu, loadavg, meminfo, statfs};
use super::parse::{first_word, lines, misread};
use super::reader::KernelFile;
use super::{HostError, Roots};
use crate::model::collector::CollectError;

/// What all CPUs together spent their time on since the machine started, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuTimes {
    /// Programs, time in guests included.
    pub user: f64,
    /// Programs of low priority, time in guests included.
    pub nice: f64,
    /// The kernel.
    pub system: f64,
    /// Nothing.
    pub idle: f64,
    /// Nothing, while a disk was waited for.
    pub iowait: f64,
    /// Interrupts.
    pub irq: f64,
    /// Soft interrupts.
    pub softirq: f64,
    /// Taken by the hypervisor for others.
    pub steal: f64,
}

impl CpuTimes {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.busy() + self.idle + self.iowait
    }

    /// All but idle and iowait.
    #[must_use]
    pub fn busy(&self) -> f64 {
        self.user + self.nice + self.system + self.irq + self.softirq + self.steal
    }

    /// Percent of the time between an earlier answer and this one that was busy, 0 to 100; none when no time went by.
    #[must_use]
    pub fn busy_percent_since(&self, earlier: &Self) -> Option<f64> {
        let total = self.total() - earlier.total();
        // Counters of single CPUs may go back, see the `cpu` collector.
        (total > 0.0).then(|| (100.0 * (self.busy() - earlier.busy()) / total).clamp(0.0, 100.0))
    }
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// All that the kernel manages.
    pub total: u64,
    /// What programs could still get without swapping, by the kernel's estimate.
    pub available: u64,
    /// 100 × (total − available) / total.
    pub percent_used: f64,
}

/// How full a file system is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiskUsage {
    /// Its size.
    pub total: f64,
    /// What is used.
    pub used: f64,
    /// What others than root can still use.
    pub available: f64,
    /// 100 × used / (used + available), as `df` has it: the part reserved for root does not count.
    pub percent_used: f64,
}

/// How many tasks ran or waited, on average, and on how many CPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
    /// CPUs that are online.
    pub cpus: usize,
}

/// What the CPUs spent their time on.
///
/// # Errors
/// `/proc/stat` cannot be read or understood.
pub fn cpu_times(roots: &Roots) -> Result<CpuTimes, HostError> {
    Ok(cpu_times_of(&read(roots, "stat")?)?)
}

/// How much memory there is and how much of it can still be had.
///
/// # Errors
/// `/proc/meminfo` cannot be read or understood.
pub fn memory(roots: &Roots) -> Result<Memory, HostError> {
    Ok(memory_of(&read(roots, "meminfo")?)?)
}

/// Percent of memory in use.
///
/// # Errors
/// `/proc/meminfo` cannot be read or understood.
pub fn memory_percent(roots: &Roots) -> Result<f64, HostError> {
    Ok(memory(roots)?.percent_used)
}

/// How full the file system of a path of the host is. Hangs for as long as that file system does, so call it where
/// that hurts nobody and with a deadline.
///
/// # Errors
/// The path cannot be reached, or the file system has no size (`/proc`).
pub fn disk_usage(roots: &Roots, path: &Path) -> Result<DiskUsage, HostError> {
    let failed = |source| HostError::Usage { path: path.to_path_buf(), source };
    let usage = statfs::usage(&roots.host_path(path)).map_err(failed)?;
    let used = usage.size - usage.free;
    if used + usage.available <= 0.0 {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::Unsupported, "it has no size")));
    }
    let percent_used = 100.0 * used / (used + usage.available);
    Ok(DiskUsage { total: usage.size, used, available: usage.available, percent_used })
}

/// The load averages and the number of CPUs.
///
/// # Errors
/// `/proc/loadavg` or `/proc/stat` cannot be read or understood.
pub fn load(roots: &Roots) -> Result<Load, HostError> {
    let [one, five, fifteen] = loadavg::parse(&read(roots, "loadavg")?)?;
    let cpus = cpu_count(&read(roots, "stat")?);
    if cpus == 0 {
        return Err(misread("stat", "lines of CPUs", b"none").into());
    }
    Ok(Load { one, five, fifteen, cpus })
}

fn read(roots: &Roots, file: &str) -> Result<Vec<u8>, CollectError> {
    Ok(KernelFile::new(roots.proc.join(file)).read()?.to_vec())
}

fn cpu_times_of(text: &[u8]) -> Result<CpuTimes, CollectError> {
    let line = lines(text).next().unwrap_or_default();
    let times = line.strip_prefix(b"cpu ").and_then(cpu::ticks);
    let times = times.ok_or_else(|| misread("stat", "the sum over all CPUs", line))?;
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] =
        times.map(|ticks| ticks as f64 / cpu::TICKS_PER_SECOND);
    Ok(CpuTimes { user, nice, system, idle, iowait, irq, softirq, steal })
}

fn cpu_count(text: &[u8]) -> usize {
    lines(text)
        .map_while(|line| line.strip_prefix(b"cpu"))
        .filter(|rest| rest.first().is_some_and(u8::is_ascii_digit))
        .count()
}

fn memory_of(text: &[u8]) -> Result<Memory, CollectError> {
    let field = |name: &[u8]| {
        let line = lines(text).find(|line| first_word(line).0 == name)?;
        meminfo::bytes(first_word(line).1)
    };
    // Kernels before 3.14 make no estimate; free memory and caches come close.
    let estimate = || Some(field(b"MemFree:")?.saturating_add(field(b"Buffers:")?).saturating_add(field(b"Cached:")?));
    match (field(b"MemTotal:"), field(b"MemAvailable:").or_else(estimate)) {
        (Some(total), Some(available)) if total > 0 => {
            let available = available.min(total);
            let percent_used = 100.0 * (total - available) as f64 / total as f64;
            Ok(Memory { total, available, percent_used })
        }
        _ => Err(misread("meminfo", "MemTotal and MemAvailable", text)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_busy_share_counts_neither_idle_nor_iowait() {
        let earlier = cpu_times_of(b"cpu  100 0 100 700 100 0 0 0 0 0\n").unwrap();
        let later = cpu_times_of(b"cpu  130 0 120 720 130 0 0 0 0 0\n").unwrap();
        assert_eq!(later.busy_percent_since(&earlier), Some(50.0));
        assert_eq!(later.busy_percent_since(&later), None);
    }

    #[test]
    fn memory_in_use_is_what_is_not_available() {
        let memory = memory_of(b"MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\n").unwrap();
        assert_eq!(memory, Memory { total: 1_024_000, available: 256_000, percent_used: 75.0 });
    }

    #[test]
    fn the_disk_is_as_full_as_df_says() {
        let usage = disk_usage(&Roots::default(), Path::new("/")).unwrap();
        assert!((0.0..=100.0).contains(&usage.percent_used), "{usage:?}");
        let error = disk_usage(&Roots::default(), Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.reason(), "UsageUnavailable");
        assert!(error.to_string().contains("/nowhere"), "{error}");
        assert!(disk_usage(&Roots::default(), Path::new("/proc")).is_err());
    }

    #[test]
    fn this_machine_answers_every_question() {
        let roots = Roots::default();
        assert!(cpu_times(&roots).unwrap().total() > 0.0);
        assert!(memory_percent(&roots).unwrap() > 0.0);
        assert!(load(&roots).unwrap().cpus > 0);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_question_panic(text in "(cpu ?|MemTotal:|MemAvailable:|[0-9]{1,21}| |kB|\n|\\PC)*") {
            let _ = (cpu_times_of(text.as_bytes()), cpu_count(text.as_bytes()), memory_of(text.as_bytes()));
        }
    }
}
