//! One run of one check: attempts within one deadline, panics caught, the result handed over.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::{Run, Stats};
use crate::model::check::Check;
use crate::model::duration::Span;
use crate::model::health::{Health, Verdict};
use crate::model::object::ObjectKey;
use crate::model::series::Millis;

/// How long a check may overrun its deadline before it is dropped: enough to say itself what it was waiting for.
const GRACE: Duration = Duration::from_millis(100);

/// A run that ended: its slot, the generation of the slot's occupant, the result.
pub(super) type Done = (u32, u64, Arc<Run>);

/// What it takes to run a check.
pub(super) struct Job {
    pub slot: u32,
    pub rev: u64,
    pub key: ObjectKey,
    pub target: Option<Arc<str>>,
    pub kind: &'static str,
    pub check: Box<dyn Check>,
    pub timeout: Duration,
    pub retries: u32,
}

/// Runs the job, hands the result out, then tells the clockwork.
pub(super) async fn run(
    job: Arc<Job>,
    generation: u64,
    due: Instant,
    results: mpsc::Sender<Arc<Run>>,
    done: mpsc::UnboundedSender<Done>,
    stats: Arc<Stats>,
) {
    let started_at = unix_millis();
    let started = Instant::now();
    let (verdict, attempts) = attempts(&*job.check, job.timeout, job.retries, &stats.panics).await;
    let run = Arc::new(Run {
        slot: job.slot,
        rev: job.rev,
        key: job.key.clone(),
        target: job.target.clone(),
        kind: job.kind,
        verdict,
        started_at,
        duration: started.elapsed(),
        attempts,
        lag: started.saturating_duration_since(due),
    });
    // A reader that is behind holds up this check only. A reader that is gone wants no results.
    let _ = results.send(Arc::clone(&run)).await;
    let _ = done.send((job.slot, generation, run));
}

/// Runs a check once outside any schedule, with the deadline, the retries and the protection of a scheduled run;
/// the verdict of the last attempt and the number of attempts.
pub async fn run_once(check: &dyn Check, timeout: Duration, retries: u32) -> (Verdict, u32) {
    attempts(check, timeout, retries, &AtomicU64::new(0)).await
}

/// Attempts until one does not fail, the retries are used up, or the time is.
async fn attempts(check: &dyn Check, timeout: Duration, retries: u32, panics: &AtomicU64) -> (Verdict, u32) {
    let deadline = Instant::now() + timeout;
    let mut attempts = 0;
    loop {
        attempts += 1;
        // The check's own `run` may panic as well as its future.
        let attempt = AssertUnwindSafe(async { check.run(deadline).await }).catch_unwind();
        let verdict = match timeout_at((deadline + GRACE).into(), attempt).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => {
                panics.fetch_add(1, Ordering::Relaxed);
                let message = "the check itself broke down, which is a defect of vitals; please report it with the log";
                return (Verdict::unhealthy("Panicked", message), attempts);
            }
            Err(_) => {
                let span = Span::millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
                let message = format!("did not finish within {span}; raise the timeout, or look at what hangs");
                return (Verdict::unhealthy("DeadlineExceeded", message), attempts);
            }
        };
        if verdict.health != Health::Unhealthy || attempts > retries || Instant::now() >= deadline {
            return (verdict, attempts);
        }
    }
}

pub(super) fn unix_millis() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX))
}
