//! The collectors, one file each. A new one is a file, its `mod` and a line in [`REGISTRY`].

pub(super) mod cpu;
mod diskstats;
mod documents;
mod filesystem;
pub(super) mod loadavg;
pub(super) mod meminfo;
mod netdev;
mod pressure;
mod stat;
pub(super) mod statfs;
mod time;
mod uname;
mod vmstat;

use super::Ground;
use crate::model::collector::Collector;

/// How a collector is found and made.
pub(super) struct Row {
    /// Its name, node_exporter's where that has it.
    pub(super) name: &'static str,
    /// Whether it runs when nobody asks for it.
    pub(super) on: bool,
    /// Makes it.
    pub(super) make: fn(&Ground) -> Box<dyn Collector>,
}

/// Every collector there is.
pub(super) const REGISTRY: &[Row] = &[
    Row { name: cpu::NAME, on: true, make: cpu::new },
    Row { name: diskstats::NAME, on: true, make: diskstats::new },
    Row { name: documents::NAME, on: true, make: documents::new },
    Row { name: filesystem::NAME, on: true, make: filesystem::new },
    Row { name: loadavg::NAME, on: true, make: loadavg::new },
    Row { name: meminfo::NAME, on: true, make: meminfo::new },
    Row { name: netdev::NAME, on: true, make: netdev::new },
    Row { name: pressure::NAME, on: true, make: pressure::new },
    Row { name: stat::NAME, on: true, make: stat::new },
    Row { name: time::NAME, on: true, make: time::new },
    Row { name: uname::NAME, on: true, make: uname::new },
    Row { name: vmstat::NAME, on: true, make: vmstat::new },
];

#[cfg(test)]
mod testing;
#[cfg(test)]
pub(super) use testing::assert_well_formed;
