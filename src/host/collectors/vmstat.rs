//! `vmstat`: paging, swapping and out-of-memory kills, from `/proc/vmstat`.

use std::sync::Arc;

use crate::host::Ground;
use crate::host::parse::{first_word, lines, misread, number};
use crate::host::reader::SharedFile;
use crate::host::rows::Rows;
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Family, Frame, MetricKind, SeriesInfo};

pub(super) const NAME: &str = "vmstat";

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    Box::new(VmStat { vmstat: ground.vmstat.clone(), recorder: Recorder::default() })
}

struct VmStat {
    vmstat: SharedFile,
    recorder: Recorder,
}

impl Collector for VmStat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        self.vmstat.with(out.at, |text| self.recorder.record(text, out))
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
            *value = number(rest.trim_ascii()).ok_or_else(|| misread("vmstat", "a number", line))? as f64;
        }
        self.rows.finish();
        for (series, value) in self.rows.values().flatten() {
            out.put(series, *value);
        }
        Ok(())
    }
}

/// node_exporter's default choice of fields: `^(oom_kill|pgpg|pswp|pg.*fault).*`.
fn is_told(name: &[u8]) -> bool {
    name.starts_with(b"oom_kill")
        || name.starts_with(b"pgpg")
        || name.starts_with(b"pswp")
        || (name.starts_with(b"pg") && name[2..].windows(5).any(|piece| piece == b"fault"))
}

fn series(name: &[u8]) -> Option<Arc<SeriesInfo>> {
    let name = std::str::from_utf8(name).ok().filter(|name| is_told(name.as_bytes()))?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let help = format!("/proc/vmstat information field {name}.");
    Some(SeriesInfo::new(&Family::new(format!("node_vmstat_{name}"), help, MetricKind::Untyped), &[]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{TestHost, assert_well_formed, lines};
    use super::*;

    #[test]
    fn only_the_fields_that_node_exporter_tells_are_told() {
        let text = "nr_free_pages 977769\npgpgin 7344136\npswpout 426\npgfault 2320168\npgmajfault 507162\n\
                    pgscan_direct 5\noom_kill 3\n";
        let host = TestHost::new(&[("proc/vmstat", text)]);
        let mut frame = Frame::default();
        new(&host.ground()).collect(&mut frame).unwrap();
        assert_eq!(
            lines(&frame),
            [
                "node_vmstat_pgpgin 7344136",
                "node_vmstat_pswpout 426",
                "node_vmstat_pgfault 2320168",
                "node_vmstat_pgmajfault 507162",
                "node_vmstat_oom_kill 3",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_repeat_a_series(text in "((pgpgin|pgfault|pswp\\PC|pg) [0-9]{1,22}\n|\\PC)*") {
            let mut frame = Frame::default();
            let _ = Recorder::default().record(text.as_bytes(), &mut frame);
            assert_well_formed(&frame);
        }
    }
}
