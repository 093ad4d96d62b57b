//! The scheduler: runs every planned check at its time, each alone, none able to hold up or bring down another.
//!
//! One task keeps a heap of due times (`clockwork`); each run is a short-lived task of its own (`running`).

mod clockwork;
mod running;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::CheckError;
use crate::model::check::{BoxFuture, Check};
use crate::model::duration::Span;
use crate::model::health::Verdict;
use crate::model::object::ObjectKey;
use crate::model::plan::{Entry, Work};
use crate::model::series::Millis;
use running::Job;
pub use running::run_once;

/// How often an entry that cannot be run says so.
const UNSUPPORTED_EVERY: Span = Span::seconds(30);

/// Makes the check of an entry: [`super::build`] with its environment, or a caller's own.
pub type Build =
    Box<dyn Fn(&ObjectKey, &crate::model::plan::CheckPlan) -> Result<Box<dyn Check>, CheckError> + Send + Sync>;

/// How the scheduler works.
#[derive(Clone, Debug)]
pub struct SchedulerConfig {
    /// The node's (or prober's) name: part of every check's phase.
    pub node: String,
    /// Over what time the first runs of newly planned checks are spread; None: they wait for their phase.
    pub first_runs_within: Option<Duration>,
    /// Most runs at the same time, per kind; kinds not named here may run 16 at a time.
    pub at_once: HashMap<&'static str, usize>,
    /// How many results may wait to be read before runs are held up.
    pub results: usize,
}

impl SchedulerConfig {
    /// First runs within a second; network kinds may use a quarter of the process's file descriptors each.
    #[must_use]
    pub fn new(node: &str) -> Self {
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(4096);
        let network = usize::try_from(descriptors / 4).unwrap_or(usize::MAX).clamp(64, 2048);
        Self {
            node: node.to_owned(),
            first_runs_within: Some(Duration::from_secs(1)),
            at_once: HashMap::from([("http", network), ("tcp", network)]),
            results: 1024,
        }
    }
}

/// One finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Which entry.
    pub slot: u32,
    /// Its revision.
    pub rev: u64,
    /// Its resource.
    pub key: ObjectKey,
    /// Which of the resource's targets.
    pub target: Option<Arc<str>>,
    /// The check's kind.
    pub kind: &'static str,
    /// What it found; of the last attempt.
    pub verdict: Verdict,
    /// When it began, unix milliseconds.
    pub started_at: Millis,
    /// How long it took, all attempts together.
    pub duration: Duration,
    /// How many attempts it took.
    pub attempts: u32,
    /// How late it began.
    pub lag: Duration,
}

/// Why a run on demand did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunNowError {
    /// No check is planned in this slot.
    #[error("no check is planned there")]
    NotPlanned,
    /// Asked for less than a second ago.
    #[error("the check was run less than a second ago; try again in a second")]
    TooOften,
    /// The plan changed or the process stops.
    #[error("the check was removed or changed while it ran")]
    Gone,
}

impl RunNowError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotPlanned => "NotPlanned",
            Self::TooOften => "TooOften",
            Self::Gone => "Gone",
        }
    }
}

/// Counters of the scheduler, for its metrics.
#[derive(Debug, Default)]
pub struct Stats {
    /// Due times that were skipped because the check still ran or waited.
    pub skipped: AtomicU64,
    /// Runs that panicked.
    pub panics: AtomicU64,
    /// Runs in progress.
    pub running: AtomicU64,
    /// Due runs that wait for a place of their kind.
    pub waiting: AtomicU64,
}

/// When the scheduler last turned its wheel: it does so at least twice a second, whatever the checks do.
#[derive(Clone, Debug)]
pub struct Progress {
    began: Instant,
    last: Arc<AtomicU64>,
}

impl Progress {
    fn new() -> Self {
        Self { began: Instant::now(), last: Arc::default() }
    }

    fn tick(&self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    /// The last turn.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// An entry, ready to run.
struct Planned {
    job: Arc<Job>,
    interval: Duration,
}

enum Command {
    /// Replace these, remove those.
    Change {
        planned: Vec<Planned>,
        removed: Vec<u32>,
    },
    RunNow {
        slot: u32,
        answer: oneshot::Sender<Result<Arc<Run>, RunNowError>>,
    },
}

/// The handle of a running scheduler.
pub struct Scheduler {
    commands: mpsc::UnboundedSender<Command>,
    build: Build,
    /// What is planned: slot and revision.
    planned: Mutex<HashMap<u32, u64>>,
    progress: Progress,
    stats: Arc<Stats>,
}

impl Scheduler {
    /// Starts the scheduler on the current tokio runtime; it has nothing to do yet.
    ///
    /// It stops, and the results end, when `shutdown` is cancelled or the handle is dropped.
    #[must_use]
    pub fn start(
        config: SchedulerConfig,
        build: Build,
        shutdown: CancellationToken,
    ) -> (Self, mpsc::Receiver<Arc<Run>>) {
        let (commands, inbox) = mpsc::unbounded_channel();
        let (results, outbox) = mpsc::channel(config.results.max(1));
        let (progress, stats) = (Progress::new(), Arc::<Stats>::default());
        let clockwork = clockwork::Clockwork::new(config, results, progress.clone(), Arc::clone(&stats));
        tokio::spawn(clockwork.turn(inbox, shutdown));
        (Self { commands, build, planned: Mutex::default(), progress, stats }, outbox)
    }

    /// Puts a plan in force. Entries with the same slot and revision as before are left alone, running or not;
    /// all others are stopped, made anew, or removed. Rules are not the scheduler's business and are skipped.
    pub fn set_entries(&self, entries: &[Entry]) {
        let mut known = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = HashMap::with_capacity(entries.len());
        let mut planned = Vec::new();
        for entry in entries {
            if matches!(entry.work, Work::Rule(_)) || wanted.insert(entry.slot, entry.rev).is_some() {
                continue;
            }
            if known.get(&entry.slot) != Some(&entry.rev) {
                planned.push(self.prepare(entry));
            }
        }
        let removed = known.keys().filter(|slot| !wanted.contains_key(slot)).copied().collect();
        *known = wanted;
        // Sent under the lock: two plans in a row arrive in the order in which they were compared.
        let _ = self.commands.send(Command::Change { planned, removed });
    }

    /// Runs the check of a slot now, or joins the run in progress; counted like any run.
    ///
    /// # Errors
    /// Nothing is planned there, it was asked for less than a second ago, or it was removed meanwhile.
    pub async fn run_now(&self, slot: u32) -> Result<Arc<Run>, RunNowError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::RunNow { slot, answer }).map_err(|_| RunNowError::Gone)?;
        answered.await.unwrap_or(Err(RunNowError::Gone))
    }

    /// Whether the scheduler lives.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    fn prepare(&self, entry: &Entry) -> Planned {
        let (check, interval, timeout, retries) = match &entry.work {
            Work::Check(plan) => {
                let check = (self.build)(&entry.key, plan).unwrap_or_else(|error| {
                    Box::new(Refused::new(plan.spec.kind(), error.reason(), error.to_string()))
                });
                (check, plan.interval, plan.timeout, plan.retries)
            }
            Work::Unsupported(why) => {
                let message = format!("this agent is older than the plan: {why}; update the agent");
                let check: Box<dyn Check> = Box::new(Refused::new("unsupported", "UnsupportedByAgent", message));
                (check, UNSUPPORTED_EVERY, UNSUPPORTED_EVERY, 0)
            }
            // Filtered out by the caller.
            Work::Rule(_) => {
                let check: Box<dyn Check> = Box::new(Refused::new("rule", "NotACheck", String::new()));
                (check, UNSUPPORTED_EVERY, UNSUPPORTED_EVERY, 0)
            }
        };
        let job = Job {
            slot: entry.slot,
            rev: entry.rev,
            key: entry.key.clone(),
            target: entry.target.as_deref().map(Arc::from),
            kind: check.kind(),
            check,
            timeout: timeout.std(),
            retries,
        };
        // A shorter interval than this can only be a mistake, and would keep the wheel spinning.
        Planned { job: Arc::new(job), interval: interval.std().max(Duration::from_millis(10)) }
    }
}

/// Stands in for a check that cannot be made: its state is Unknown and says why.
struct Refused {
    kind: &'static str,
    verdict: Verdict,
}

impl Refused {
    fn new(kind: &'static str, reason: &'static str, message: String) -> Self {
        Self { kind, verdict: Verdict::unknown(reason, message) }
    }
}

impl Check for Refused {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn run(&self, _: Instant) -> BoxFuture<'_, Verdict> {
        Box::pin(std::future::ready(self.verdict.clone()))
    }
}

#[cfg(test)]
mod tests;
