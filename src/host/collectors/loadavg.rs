//! `loadavg`: how many tasks ran or waited, on average over 1, 5 and 15 minutes.

use std::sync::Arc;

use crate::host::Ground;
use crate::host::parse::{decimal, misread, words};
use crate::host::reader::KernelFile;
use crate::host::rows::gauge;
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Frame, SeriesInfo};

pub(super) const NAME: &str = "loadavg";

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    let series = |name, help| SeriesInfo::new(&gauge(name, help), &[]);
    Box::new(LoadAvg {
        file: KernelFile::new(ground.roots.proc.join("loadavg")),
        series: [
            series("node_load1", "1m load average."),
            series("node_load5", "5m load average."),
            series("node_load15", "15m load average."),
        ],
    })
}

struct LoadAvg {
    file: KernelFile,
    series: [Arc<SeriesInfo>; 3],
}

impl Collector for LoadAvg {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        let loads = parse(self.file.read()?)?;
        for (series, load) in self.series.iter().zip(loads) {
            out.put(series, load);
        }
        Ok(())
    }
}

/// The three averages.
pub(in crate::host) fn parse(text: &[u8]) -> Result<[f64; 3], CollectError> {
    let mut loads = words(text).map_while(decimal);
    match (loads.next(), loads.next(), loads.next()) {
        (Some(one), Some(five), Some(fifteen)) => Ok([one, five, fifteen]),
        _ => Err(misread("loadavg", "three load averages", text)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{TestHost, lines};
    use super::*;

    #[test]
    fn the_three_averages_are_told_as_the_kernel_wrote_them() {
        let host = TestHost::new(&[("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n")]);
        let mut frame = Frame::default();
        new(&host.ground()).collect(&mut frame).unwrap();
        assert_eq!(lines(&frame), ["node_load1 0.21", "node_load5 0.37", "node_load15 0.39"]);
    }

    #[test]
    fn a_text_without_three_averages_is_an_error_that_quotes_it() {
        let error = parse(b"0.1 many").unwrap_err();
        assert!(error.to_string().contains("0.1 many"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&text);
        }
    }
}
