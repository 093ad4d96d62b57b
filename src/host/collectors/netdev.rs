//! `netdev`: what went through each network interface, from `net/dev` of the host's first process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::host::Ground;
use crate::host::parse::{label, lines, misread, number, words};
use crate::host::reader::{Attribute, Gate, KernelFile};
use crate::host::rows::{Columns, Rows, put_columns};
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Family, Frame, MetricKind};

pub(super) const NAME: &str = "netdev";

/// The columns of `net/dev` in the kernel's order, then one that only `/sys` tells.
const STATISTICS: [&str; 17] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
    "receive_nohandler",
];
const NO_HANDLER: usize = 16;

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    let proc = &ground.roots.proc;
    Box::new(NetDev {
        // The first process lives in the host's network namespace; `net` leads to the one of whoever reads it.
        files: [KernelFile::new(proc.join("1/net/dev")), KernelFile::new(proc.join("net/dev"))],
        recorder: Recorder::new(ground.roots.sys.join("class/net"), ground.patience),
    })
}

struct NetDev {
    files: [KernelFile; 2],
    recorder: Recorder,
}

impl Collector for NetDev {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        let [first, own] = &mut self.files;
        let text = match first.read() {
            Ok(text) => text,
            Err(_) => own.read()?,
        };
        self.recorder.record(text, out)
    }
}

struct Interface {
    columns: Columns<17>,
    no_handler: Attribute,
    /// Its last value, as it costs a system call per interface.
    no_handler_count: Option<u64>,
}

struct Recorder {
    families: [Arc<Family>; 17],
    /// Where `/sys` lists the interfaces.
    folder: PathBuf,
    gate: Gate,
    rows: Rows<Interface>,
}

impl Recorder {
    fn new(folder: PathBuf, patience: Duration) -> Self {
        let family = |name: &str| {
            let help = format!("Network device statistic {name}.");
            Family::new(format!("node_network_{name}_total"), help, MetricKind::Counter)
        };
        Self { families: STATISTICS.map(family), folder, gate: Gate::new(patience), rows: Rows::default() }
    }

    fn record(&mut self, text: &[u8], out: &mut Frame) -> Result<(), CollectError> {
        let refresh = self.gate.passes();
        self.rows.begin();
        // The two lines of headings have bars.
        for line in lines(text).filter(|line| !line.contains(&b'|')) {
            // An alias has a colon in its name.
            let colon = line.iter().rposition(|&byte| byte == b':');
            let (name, rest) = colon.map(|at| (line[..at].trim_ascii(), &line[at + 1..])).unwrap_or_default();
            if name.is_empty() {
                return Err(misread("net/dev", "an interface's name and a colon", line));
            }
            let device = label(name);
            let mut new = false;
            let interface = self.rows.entry(device.as_bytes(), || {
                new = true;
                // A name with a slash cannot be an interface's and must not lead elsewhere.
                let folder = self.folder.join(device.replace('/', "_")).join("statistics/rx_nohandler");
                Interface {
                    columns: Columns::new(&self.families, &[("device", &device)]),
                    no_handler: Attribute::new(folder),
                    no_handler_count: None,
                }
            });
            interface.columns.clear();
            let mut columns = 0;
            for word in words(rest).take(NO_HANDLER) {
                let value = number(word).ok_or_else(|| misread("net/dev", "sixteen numbers", line))?;
                interface.columns.set(columns, value as f64);
                columns += 1;
            }
            if columns < NO_HANDLER {
                return Err(misread("net/dev", "sixteen numbers", line));
            }
            if refresh || new {
                interface.no_handler_count = interface.no_handler.number();
            }
            if let Some(count) = interface.no_handler_count {
                interface.columns.set(NO_HANDLER, count as f64);
            }
        }
        self.rows.finish();
        put_columns(self.rows.values().map(|interface| &interface.columns), out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{TestHost, assert_well_formed, lines};
    use super::*;

    const TEXT: &str = "Inter-|   Receive                  |  Transmit\n face |bytes    packets errs|bytes packets\n\
        lo: 435303245 1832522 0 0 0 0 0 0 435303245 1832522 0 0 0 0 0 0\n\
        eth0:68210035552 520993275 1 2 3 4 5 6 9315587528 43451486 7 8 9 10 11 12\n";

    #[test]
    fn every_column_is_a_family_over_all_interfaces() {
        let host = TestHost::new(&[("proc/1/net/dev", TEXT), ("sys/class/net/eth0/statistics/rx_nohandler", "13\n")]);
        let mut frame = Frame::default();
        new(&host.ground()).collect(&mut frame).unwrap();
        assert_well_formed(&frame);
        let lines = lines(&frame);
        assert_eq!(lines.len(), 33);
        assert_eq!(lines[1], "node_network_receive_bytes_total{device=\"eth0\"} 68210035552");
        assert_eq!(lines[31], "node_network_transmit_compressed_total{device=\"eth0\"} 12");
        assert_eq!(lines[32], "node_network_receive_nohandler_total{device=\"eth0\"} 13");
    }

    #[test]
    fn where_the_first_process_is_hidden_our_own_namespace_is_told() {
        let host = TestHost::new(&[("proc/net/dev", TEXT)]);
        let mut frame = Frame::default();
        new(&host.ground()).collect(&mut frame).unwrap();
        assert_eq!(frame.readings.len(), 32);
    }

    #[test]
    fn an_interface_that_went_away_is_told_no_more() {
        let host = TestHost::new(&[("proc/1/net/dev", TEXT)]);
        let mut netdev = new(&host.ground());
        netdev.collect(&mut Frame::default()).unwrap();
        let without: String =
            TEXT.lines().filter(|line| !line.starts_with("eth0")).map(|line| format!("{line}\n")).collect();
        host.write("proc/1/net/dev", &without);
        let mut frame = Frame::default();
        netdev.collect(&mut frame).unwrap();
        assert_eq!(frame.readings.len(), 16);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_leave_their_quotes(
            name in proptest::collection::vec(any::<u8>(), 0..12),
            rest in "([0-9]{1,21} ){14,18}\n",
        ) {
            let mut text = name;
            text.push(b':');
            text.extend_from_slice(rest.as_bytes());
            let mut frame = Frame::default();
            let _ = Recorder::new("/nowhere".into(), Duration::ZERO).record(&text, &mut frame);
            assert_well_formed(&frame);
            for line in lines(&frame) {
                prop_assert!(!line.contains('\n'), "{line:?}");
            }
        }
    }
}
