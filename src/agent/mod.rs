//! One node's life: plan in, collect, check, evaluate, report out.
//!
//! Five loops share one locked state: `plans` adopts what it is told to do, `collector` reads the host, `results`
//! takes in finished runs, `evaluator` evaluates due rules, `reporter` writes what changed. Nothing is awaited while
//! the lock is held.

pub mod check_series;
pub mod check_state;
mod exposition;
pub mod history_file;
mod loops;
pub mod pace;
mod report;
pub mod rule_state;
mod rules;
mod view;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::check::scheduler::Build;
use crate::check::{Scheduler, SchedulerConfig};
use crate::host::Collection;
use crate::model::Labels;
use crate::model::duration::Span;
use crate::model::plan::{Plan, Role};
use crate::model::ports::{PlanSource, ReportSink};
use crate::model::series::{Frame, Millis};
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;
use crate::store::Store;
use check_state::Checks;
use pace::Pace;
use rule_state::Rules;

/// What an agent is made of: everything that another room provides.
pub struct Parts {
    /// The node's name (`run`: the host's).
    pub node: String,
    /// Recent history, shared with whoever queries it.
    pub store: Arc<Store>,
    /// The labels that the store adds to every series; whoever scrapes `/metrics` adds its own.
    pub identity: Labels,
    /// The host's collectors.
    pub collection: Collection,
    /// How the scheduler works.
    pub scheduler: SchedulerConfig,
    /// How a plan entry becomes a check.
    pub build: Build,
    /// Where plans come from.
    pub plans: Box<dyn PlanSource>,
    /// Where reports go.
    pub reports: Arc<dyn ReportSink>,
    /// How often the host is read for the store.
    pub collect_every: Span,
    /// `T` of DESIGN §6.3.
    pub spread: Span,
    /// Whether flips wait a random part of `T`.
    pub scatter: bool,
}

/// A running agent.
#[derive(Clone)]
pub struct Agent {
    inner: Arc<Inner>,
}

struct Inner {
    node: String,
    store: Arc<Store>,
    identity: Labels,
    reports: Arc<dyn ReportSink>,
    scheduler: Scheduler,
    collect_every: Span,
    host: Mutex<HostSide>,
    state: Mutex<State>,
    /// Wakes the reporter when its next write moved forward.
    report_due: Notify,
    /// Wakes the evaluator when the rules changed.
    rules_due: Notify,
    /// Grows with every change that a view could show.
    version: AtomicU64,
    progress: Progress,
    own: exposition::Own,
    started_at: Millis,
}

/// The collectors and their last frame.
struct HostSide {
    collection: Collection,
    frame: Frame,
}

struct State {
    plan: Arc<Plan>,
    checks: Checks,
    rules: Rules,
    pace: Pace,
    epoch: u64,
    seq: u64,
    /// Slots of the adopted plan that have no result yet; None when the plan has been answered.
    adopting: Option<BTreeSet<u32>>,
    /// Slots whose checks have not run since the start: until they have, restored alerts cannot end.
    unsettled: BTreeSet<u32>,
    /// Whether the last report was taken, and when.
    accepted_at: Option<Millis>,
    /// The oldest moment that history covers without a long gap.
    history_from: Millis,
    /// What the previous life of this agent reported, until its rules are adopted.
    restore: Option<crate::model::report::Report>,
}

/// When each loop last went round, for `/health/live`. Zero: not started.
#[derive(Debug, Default)]
struct Progress {
    collector: AtomicI64,
    evaluator: AtomicI64,
    reporter: AtomicI64,
}

impl Progress {
    fn tick(clock: &AtomicI64) {
        clock.store(clock::now_millis(), Ordering::Relaxed);
    }
}

impl Agent {
    /// Starts an agent; it ends with the tasks' token. Waits for the report sink's word on what was reported last.
    pub async fn start(parts: Parts, tasks: &Tasks) -> Self {
        let now = clock::now_millis();
        let last = loops::last_report(parts.reports.as_ref(), tasks.stop()).await;
        let epoch = last.as_ref().map_or(1, |report| report.epoch + 1);
        // History from before the restart counts when the gap is shorter than what a query looks back anyway.
        let history_from = match parts.store.span() {
            Some((oldest, newest)) if now - newest < crate::promql::Limits::default().lookback_ms => oldest,
            _ => now,
        };
        let (scheduler, runs) = Scheduler::start(parts.scheduler, parts.build, tasks.stop().clone());
        let inner = Arc::new(Inner {
            store: parts.store,
            identity: parts.identity,
            reports: parts.reports,
            scheduler,
            collect_every: parts.collect_every,
            host: Mutex::new(HostSide { collection: parts.collection, frame: Frame::default() }),
            state: Mutex::new(State {
                plan: Arc::new(Plan::empty(Role::Node)),
                checks: Checks::default(),
                rules: Rules::default(),
                pace: Pace::new(&parts.node, parts.spread.as_millis_i64(), parts.scatter, now),
                epoch,
                seq: 0,
                adopting: None,
                unsettled: BTreeSet::new(),
                accepted_at: None,
                history_from,
                restore: last,
            }),
            node: parts.node,
            report_due: Notify::new(),
            rules_due: Notify::new(),
            version: AtomicU64::new(1),
            progress: Progress::default(),
            own: exposition::Own::default(),
            started_at: now,
        });
        let agent = Self { inner };
        agent.spawn_loops(parts.plans, runs, tasks);
        agent
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held is caught by its task, which stops the process: until then reading on is
        // better than a second panic.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.inner.version.fetch_add(1, Ordering::Relaxed);
    }
}
