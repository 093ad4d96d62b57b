//! Check `disk`: how full the file system of a path is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::time::timeout_at;

use super::percent::{Limits, whole};
use super::{CheckEnv, unreadable};
use crate::host::{Roots, probe};
use crate::model::check::{BoxFuture, Check};
use crate::model::health::Verdict;
use crate::model::needs::Needs;
use crate::model::plan::Thresholds;
use crate::model::spec::DiskSpec;

/// Unhealthy above this many percent unless the user says otherwise.
const DEFAULT: i32 = 85;

/// One disk check.
pub(super) struct DiskCheck {
    path: PathBuf,
    roots: Roots,
    limits: Limits,
    /// A dead network file system holds its caller for ever. One thread may be lost to it, not one per run.
    asking: Arc<AtomicBool>,
}

impl DiskCheck {
    pub(super) fn new(spec: &DiskSpec, thresholds: &Thresholds, env: &CheckEnv) -> Self {
        Self {
            path: PathBuf::from(&spec.path),
            roots: env.roots.clone(),
            limits: Limits::percent(thresholds.degraded.disk, thresholds.unhealthy.disk, DEFAULT),
            asking: Arc::default(),
        }
    }

    fn hangs(&self) -> Verdict {
        let message = format!(
            "the file system of {} does not answer; check whether its server or device is gone",
            self.path.display()
        );
        Verdict::unhealthy("FileSystemHangs", message)
    }

    async fn judge(&self, deadline: Instant) -> Verdict {
        if self.asking.swap(true, Ordering::AcqRel) {
            return self.hangs();
        }
        let (path, roots, asking) = (self.path.clone(), self.roots.clone(), Arc::clone(&self.asking));
        let asked = tokio::task::spawn_blocking(move || {
            let usage = probe::disk_usage(&roots, &path);
            asking.store(false, Ordering::Release);
            usage
        });
        match timeout_at(deadline.into(), asked).await {
            Ok(Ok(Ok(usage))) => {
                let what = format!("{} is", self.path.display());
                let verdict = self.limits.judge(usage.percent_used, "DiskUsageHigh", &what, " full", whole);
                verdict
                    .detail("percentUsed", usage.percent_used)
                    .detail("totalBytes", usage.total)
                    .detail("availableBytes", usage.available)
            }
            Ok(Ok(Err(error))) => unreadable(&error),
            Ok(Err(_)) => Verdict::unknown("Stopped", "the process is stopping"),
            Err(_) => self.hangs(),
        }
    }
}

impl Check for DiskCheck {
    fn kind(&self) -> &'static str {
        "disk"
    }

    fn needs(&self) -> Needs {
        Needs { mounts: &["/"], ..Needs::default() }
    }

    fn run(&self, deadline: Instant) -> BoxFuture<'_, Verdict> {
        Box::pin(self.judge(deadline))
    }
}
