//! `pressure`: for how long tasks waited for CPU, I/O and memory (PSI), from `/proc/pressure`.

use std::io;
use std::sync::Arc;

use crate::host::Ground;
use crate::host::parse::{first_word, lines, misread, number};
use crate::host::reader::{Gate, KernelFile};
use crate::host::rows::counter;
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Frame, SeriesInfo};

pub(super) const NAME: &str = "pressure";
const ABSENT: CollectError = CollectError::Absent("pressure stall information (Linux 4.20 with CONFIG_PSI)");

/// One file, and the series of its two lines.
struct Resource {
    file: KernelFile,
    some: Option<Arc<SeriesInfo>>,
    full: Option<Arc<SeriesInfo>>,
    /// Older kernels lack single files, which are then looked for only now and then.
    gate: Gate,
    is_missing: bool,
}

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    let resource = |name: &str, some: Option<(_, _)>, full: Option<(_, _)>| {
        let series = |(name, help)| SeriesInfo::new(&counter(name, help), &[]);
        let file = KernelFile::new(ground.roots.proc.join("pressure").join(name));
        let gate = Gate::new(ground.patience);
        Resource { file, some: some.map(series), full: full.map(series), gate, is_missing: false }
    };
    Box::new(Pressure {
        resources: [
            resource(
                "cpu",
                Some((
                    "node_pressure_cpu_waiting_seconds_total",
                    "Total time in seconds that processes have waited for CPU time",
                )),
                None,
            ),
            resource(
                "io",
                Some((
                    "node_pressure_io_waiting_seconds_total",
                    "Total time in seconds that processes have waited due to IO congestion",
                )),
                Some((
                    "node_pressure_io_stalled_seconds_total",
                    "Total time in seconds no process could make progress due to IO congestion",
                )),
            ),
            resource(
                "memory",
                Some((
                    "node_pressure_memory_waiting_seconds_total",
                    "Total time in seconds that processes have waited for memory",
                )),
                Some((
                    "node_pressure_memory_stalled_seconds_total",
                    "Total time in seconds no process could make progress due to memory congestion",
                )),
            ),
            resource(
                "irq",
                None,
                Some((
                    "node_pressure_irq_stalled_seconds_total",
                    "Total time in seconds no process could make progress due to IRQ congestion",
                )),
            ),
        ],
    })
}

struct Pressure {
    resources: [Resource; 4],
}

impl Collector for Pressure {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        let mut found = false;
        for resource in &mut self.resources {
            if resource.is_missing && !resource.gate.passes() {
                continue;
            }
            let text = match resource.file.read() {
                Ok(text) => text,
                Err(CollectError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    resource.is_missing = true;
                    continue;
                }
                // The kernel has it and was started with psi=0.
                Err(CollectError::Read { source, .. }) if source.kind() == io::ErrorKind::Unsupported => {
                    return Err(ABSENT);
                }
                Err(error) => return Err(error),
            };
            let totals = parse(text)?;
            for (series, total) in [(&resource.some, totals.some), (&resource.full, totals.full)] {
                if let Some(series) = series {
                    // Two divisions, as node_exporter: one would differ in the last bit.
                    out.put(series, total.ok_or(ABSENT)? as f64 / 1000.0 / 1000.0);
                }
            }
            (found, resource.is_missing) = (true, false);
        }
        if found { Ok(()) } else { Err(ABSENT) }
    }
}

/// Microseconds in which some, or all, tasks waited.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    some: Option<u64>,
    full: Option<u64>,
}

fn parse(text: &[u8]) -> Result<Totals, CollectError> {
    let mut totals = Totals::default();
    for line in lines(text) {
        let (kind, rest) = first_word(line);
        let place = match kind {
            b"some" => &mut totals.some,
            b"full" => &mut totals.full,
            _ => continue,
        };
        let total = rest.rsplit(|&byte| byte == b' ').next().and_then(|word| word.strip_prefix(b"total="));
        *place = Some(total.and_then(number).ok_or_else(|| misread("pressure", "total=…", line))?);
    }
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{TestHost, lines};
    use super::*;

    const BOTH: &str = "some avg10=0.18 avg60=0.34 avg300=0.10 total=159886802\n\
                        full avg10=0.18 avg60=0.34 avg300=0.10 total=159229614\n";

    #[test]
    fn waiting_is_told_in_seconds() {
        let host = TestHost::new(&[
            ("proc/pressure/cpu", BOTH),
            ("proc/pressure/io", BOTH),
            ("proc/pressure/memory", BOTH),
            ("proc/pressure/irq", "full avg10=0.00 avg60=0.00 avg300=0.00 total=8494\n"),
        ]);
        let mut frame = Frame::default();
        new(&host.ground()).collect(&mut frame).unwrap();
        let lines = lines(&frame);
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0], "node_pressure_cpu_waiting_seconds_total 159.886802");
        assert_eq!(lines[5], "node_pressure_irq_stalled_seconds_total 0.008494");
    }

    #[test]
    fn a_kernel_without_pressure_information_is_no_failure_worth_a_log_line() {
        let host = TestHost::new(&[]);
        let error = new(&host.ground()).collect(&mut Frame::default()).unwrap_err();
        assert_eq!(error.reason(), "Absent");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in "((some|full) |total=|[0-9]|\\PC|\n)*") {
            let _ = parse(text.as_bytes());
        }
    }
}
