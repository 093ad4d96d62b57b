//! Check `load`: the five-minute load average per processor.

use std::time::Instant;

use super::percent::Limits;
use super::{CheckEnv, CheckError, unreadable};
use crate::host::{Roots, probe};
use crate::model::check::{BoxFuture, Check};
use crate::model::health::Verdict;
use crate::model::spec::LoadSpec;

/// One load check.
pub(super) struct LoadCheck {
    roots: Roots,
    limits: Limits,
}

impl LoadCheck {
    pub(super) fn new(spec: &LoadSpec, env: &CheckEnv) -> Result<Self, CheckError> {
        let unhealthy = decimal("load.perCore", &spec.per_core)?;
        let degraded =
            spec.degraded_per_core.as_deref().map(|text| decimal("load.degradedPerCore", text)).transpose()?;
        Ok(Self { roots: env.roots.clone(), limits: Limits::plain(degraded, unhealthy) })
    }
}

impl Check for LoadCheck {
    fn kind(&self) -> &'static str {
        "load"
    }

    fn run(&self, _: Instant) -> BoxFuture<'_, Verdict> {
        Box::pin(async move {
            match probe::load(&self.roots) {
                Ok(load) => self
                    .limits
                    .judge(load.five / load.cpus as f64, "LoadHigh", "load per processor is", "", |l| format!("{l:.2}"))
                    .detail("load1", load.one)
                    .detail("load5", load.five)
                    .detail("load15", load.fifteen)
                    .detail("processors", load.cpus),
                Err(error) => unreadable(&error),
            }
        })
    }
}

/// A decimal as the schema has it: digits, at most one point.
fn decimal(field: &str, text: &str) -> Result<f64, CheckError> {
    let plain = text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = text.parse::<f64>().ok().filter(|number| plain && number.is_finite());
    number.ok_or_else(|| CheckError::field(field, format!("{text:?} is not a decimal; write \"2\" or \"1.5\"")))
}
