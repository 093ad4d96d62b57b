//! `stat`: interrupts, context switches, forks, boot time and the number of processes, from `/proc/stat`.

use std::sync::Arc;

use crate::host::Ground;
use crate::host::parse::{first_word, lines, misread, number, words};
use crate::host::reader::SharedFile;
use crate::host::rows::{counter, gauge};
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Family, Frame, SeriesInfo};

pub(super) const NAME: &str = "stat";

/// Vectors of soft interrupts in the kernel's order.
const VECTORS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    let vectors = ground.options.softirqs.then(|| {
        let family = counter("node_softirqs_total", "Number of softirq calls.");
        VECTORS.map(|vector| SeriesInfo::new(&family, &[("vector", vector)]))
    });
    Box::new(Stat { stat: ground.stat.clone(), recorder: Recorder { series: fields(), vectors } })
}

/// The lines that hold one number each, and the series it goes to.
fn fields() -> [(&'static str, Arc<SeriesInfo>); 6] {
    let series = |family: Arc<Family>| SeriesInfo::new(&family, &[]);
    [
        ("intr", series(counter("node_intr_total", "Total number of interrupts serviced."))),
        ("ctxt", series(counter("node_context_switches_total", "Total number of context switches."))),
        ("btime", series(gauge("node_boot_time_seconds", "Node boot time, in unixtime."))),
        ("processes", series(counter("node_forks_total", "Total number of forks."))),
        ("procs_running", series(gauge("node_procs_running", "Number of processes in runnable state."))),
        (
            "procs_blocked",
            series(gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.")),
        ),
    ]
}

struct Stat {
    stat: SharedFile,
    recorder: Recorder,
}

impl Collector for Stat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        self.stat.with(out.at, |text| self.recorder.record(text, out))
    }
}

struct Recorder {
    series: [(&'static str, Arc<SeriesInfo>); 6],
    vectors: Option<[Arc<SeriesInfo>; 10]>,
}

impl Recorder {
    fn record(&self, text: &[u8], out: &mut Frame) -> Result<(), CollectError> {
        let mut values = [None; 6];
        let mut softirqs: &[u8] = &[];
        for line in lines(text).filter(|line| !line.starts_with(b"cpu")) {
            let (name, rest) = first_word(line);
            if let Some(field) = self.series.iter().position(|(field, _)| field.as_bytes() == name) {
                // Of `intr` only the total counts; the thousands of numbers behind it are not even looked at.
                let (value, _) = first_word(rest);
                values[field] = Some(number(value).ok_or_else(|| misread("stat", "a number", line))?);
            } else if name == b"softirq" {
                softirqs = rest;
            }
        }
        for ((_, series), value) in self.series.iter().zip(values) {
            if let Some(value) = value {
                out.put(series, value as f64);
            }
        }
        for (series, value) in self.vectors.iter().flatten().zip(words(softirqs).skip(1)) {
            out.put(series, number(value).ok_or_else(|| misread("stat", "a number", softirqs))? as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{TestHost, assert_well_formed, lines};
    use super::*;

    const TEXT: &str = "cpu  1 2 3 4\nintr 8885917 17 0 0\nctxt 38014093\nbtime 1418183276\nprocesses 26442\n\
                        procs_running 2\nprocs_blocked 0\nsoftirq 55 1 2 3 4 5 6 7 8 9 10\n";

    #[test]
    fn every_line_becomes_its_series() {
        let host = TestHost::new(&[("proc/stat", TEXT)]);
        let mut frame = Frame::default();
        new(&host.ground()).collect(&mut frame).unwrap();
        assert_well_formed(&frame);
        assert_eq!(
            lines(&frame),
            [
                "node_intr_total 8885917",
                "node_context_switches_total 38014093",
                "node_boot_time_seconds 1418183276",
                "node_forks_total 26442",
                "node_procs_running 2",
                "node_procs_blocked 0",
            ]
        );
    }

    #[test]
    fn soft_interrupts_are_told_by_vector_when_asked_for() {
        let host = TestHost::new(&[("proc/stat", TEXT)]);
        let mut ground = host.ground();
        ground.options.softirqs = true;
        let mut frame = Frame::default();
        new(&ground).collect(&mut frame).unwrap();
        assert!(lines(&frame).contains(&"node_softirqs_total{vector=\"hi\"} 1".to_owned()));
        assert!(lines(&frame).contains(&"node_softirqs_total{vector=\"rcu\"} 10".to_owned()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in "(intr|ctxt|softirq|\\PC| |\n|[0-9])*") {
            let recorder = Recorder { series: fields(), vectors: None };
            let mut frame = Frame::default();
            let _ = recorder.record(text.as_bytes(), &mut frame);
            assert_well_formed(&frame);
        }
    }
}
