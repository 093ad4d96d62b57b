//! Check `memory`: how much of the machine's memory is in use.

use std::time::Instant;

use super::percent::{Limits, whole};
use super::{CheckEnv, unreadable};
use crate::host::{Roots, probe};
use crate::model::check::{BoxFuture, Check};
use crate::model::health::Verdict;
use crate::model::plan::Thresholds;

/// Unhealthy above this many percent unless the user says otherwise.
const DEFAULT: i32 = 80;

/// One memory check.
pub(super) struct MemoryCheck {
    roots: Roots,
    limits: Limits,
}

impl MemoryCheck {
    pub(super) fn new(thresholds: &Thresholds, env: &CheckEnv) -> Self {
        let limits = Limits::percent(thresholds.degraded.memory, thresholds.unhealthy.memory, DEFAULT);
        Self { roots: env.roots.clone(), limits }
    }
}

impl Check for MemoryCheck {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn run(&self, _: Instant) -> BoxFuture<'_, Verdict> {
        Box::pin(async move {
            match probe::memory(&self.roots) {
                Ok(memory) => self
                    .limits
                    .judge(memory.percent_used, "MemoryUsageHigh", "memory is", " used", whole)
                    .detail("percentUsed", memory.percent_used)
                    .detail("totalBytes", memory.total)
                    .detail("availableBytes", memory.available),
                Err(error) => unreadable(&error),
            }
        })
    }
}
