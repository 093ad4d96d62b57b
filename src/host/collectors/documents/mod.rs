//! `documents`: a second set of plain names (`cpu_percent_total`, `memory_virtual_used_bytes`, …) for people who know
//! them from psutil. The values follow psutil's definitions.

mod cpu;
mod memory;

use crate::host::Ground;
use crate::host::reader::SharedFile;
use crate::model::collector::{CollectError, Collector};
use crate::model::series::Frame;

pub(super) const NAME: &str = "documents";

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    Box::new(Documents {
        stat: ground.stat.clone(),
        meminfo: ground.meminfo.clone(),
        vmstat: ground.vmstat.clone(),
        cpu: cpu::Recorder::new(&ground.roots),
        memory: memory::Recorder::new(),
    })
}

struct Documents {
    stat: SharedFile,
    meminfo: SharedFile,
    vmstat: SharedFile,
    cpu: cpu::Recorder,
    memory: memory::Recorder,
}

impl Collector for Documents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        self.stat.with(out.at, |text| self.cpu.record(text, out))?;
        let swapped = self.vmstat.with(out.at, |text| Ok(memory::swapped(text)))?;
        self.meminfo.with(out.at, |text| self.memory.record(text, swapped, out))
    }
}
