//! `uname`: the kernel's name and version, and this machine's name.

use std::ffi::CStr;
use std::sync::Arc;

use crate::host::Ground;
use crate::host::rows::gauge;
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Family, Frame, SeriesInfo};

pub(super) const NAME: &str = "uname";

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    let family = gauge("node_uname_info", "Labeled system information as provided by the uname system call.");
    Box::new(Uname { family, node_name: ground.options.node_name.clone(), known: None })
}

struct Uname {
    family: Arc<Family>,
    node_name: Option<String>,
    /// The host name that the series was made with: the only part that can change while the kernel runs.
    known: Option<(Box<CStr>, Arc<SeriesInfo>)>,
}

impl Collector for Uname {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        let uname = rustix::system::uname();
        let series = match &self.known {
            Some((nodename, series)) if **nodename == *uname.nodename() => series,
            _ => {
                let text = |part: &CStr| part.to_string_lossy().into_owned();
                let nodename = self.node_name.clone().unwrap_or_else(|| text(uname.nodename()));
                let labels = [
                    ("sysname", text(uname.sysname())),
                    ("release", text(uname.release())),
                    ("version", text(uname.version())),
                    ("machine", text(uname.machine())),
                    ("nodename", nodename),
                    ("domainname", text(uname.domainname())),
                ];
                let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
                let series = SeriesInfo::new(&self.family, &labels);
                &self.known.insert((uname.nodename().into(), series)).1
            }
        };
        out.put(series, 1.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestHost;
    use super::*;

    #[test]
    fn the_machine_is_told_with_the_names_that_uname_gives() {
        let mut frame = Frame::default();
        let mut uname = new(&TestHost::new(&[]).ground());
        uname.collect(&mut frame).unwrap();
        uname.collect(&mut frame).unwrap();
        let series = &frame.readings[0].series;
        assert_eq!(series.labels.get("sysname"), Some("Linux"));
        assert!(series.labels.get("release").is_some());
        assert!(Arc::ptr_eq(series, &frame.readings[1].series), "the series is made once");
    }

    #[test]
    fn a_pod_tells_the_name_of_its_node() {
        let mut ground = TestHost::new(&[]).ground();
        ground.options.node_name = Some("worker-7".into());
        let mut frame = Frame::default();
        new(&ground).collect(&mut frame).unwrap();
        assert_eq!(frame.readings[0].series.labels.get("nodename"), Some("worker-7"));
    }
}
