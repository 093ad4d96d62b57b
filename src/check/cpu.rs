//! Check `cpu`: how busy the processors were since the last run.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::percent::{Limits, whole};
use super::{CheckEnv, unreadable};
use crate::host::probe::{self, CpuTimes};
use crate::host::{HostError, Roots};
use crate::model::check::{BoxFuture, Check};
use crate::model::health::Verdict;
use crate::model::plan::Thresholds;

/// Unhealthy above this many percent unless the user says otherwise.
const DEFAULT: i32 = 75;
/// The first run has no earlier reading to compare with: it takes two, this far apart, so that the first result
/// comes within the first second and still means something (twenty ticks of the kernel's clock).
const FIRST_SPAN: Duration = Duration::from_millis(200);

/// One cpu check.
pub(super) struct CpuCheck {
    roots: Roots,
    limits: Limits,
    earlier: Mutex<Option<CpuTimes>>,
}

impl CpuCheck {
    pub(super) fn new(thresholds: &Thresholds, env: &CheckEnv) -> Self {
        let limits = Limits::percent(thresholds.degraded.cpu, thresholds.unhealthy.cpu, DEFAULT);
        Self { roots: env.roots.clone(), limits, earlier: Mutex::default() }
    }

    async fn measure(&self, deadline: Instant) -> Result<Verdict, HostError> {
        let earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner).take();
        let earlier = match earlier {
            Some(earlier) => earlier,
            None => {
                let earlier = probe::cpu_times(&self.roots)?;
                let left = deadline.saturating_duration_since(Instant::now());
                tokio::time::sleep(FIRST_SPAN.min(left / 2)).await;
                earlier
            }
        };
        let now = probe::cpu_times(&self.roots)?;
        *self.earlier.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let Some(busy) = now.busy_percent_since(&earlier) else {
            return Ok(Verdict::unknown("NoTimePassed", "the kernel counted no processor time since the last run"));
        };
        let verdict = self.limits.judge(busy, "CpuUsageHigh", "the processors are", " busy", whole);
        Ok(verdict.detail("percentBusy", busy))
    }
}

impl Check for CpuCheck {
    fn kind(&self) -> &'static str {
        "cpu"
    }

    fn run(&self, deadline: Instant) -> BoxFuture<'_, Verdict> {
        Box::pin(async move { self.measure(deadline).await.unwrap_or_else(|error| unreadable(&error)) })
    }
}
