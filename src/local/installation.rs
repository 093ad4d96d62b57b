//! One installation of `run`: files in; plan, fleet plan and dashboards out, again whenever a file changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::agent::Agent;
use crate::compile::{self, Compiled, Mode, Overrides, Previous, Settings};
use crate::fleet::Fleet;
use crate::local::files::{self, FileProblem, Loaded};
use crate::local::last_good::LastGood;
use crate::local::plan_channel::PlanSender;
use crate::model::Span;
use crate::model::fleet_plan::FleetPlan;
use crate::model::plan::Plan;
use crate::model::series::Millis;
use crate::model::view::{DashboardView, RefusedView};
use crate::runtime::clock;
use crate::store::Store;

/// What is read, and how.
pub struct Sources {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Flags and environment.
    pub overrides: Overrides,
    /// Adds to settings what only the process can provide (secrets, a look at checks).
    pub complete: Box<dyn Fn(&mut Settings) + Send + Sync>,
}

/// What one reading of the files gave.
pub struct Read {
    /// The files' content and its mistakes.
    pub loaded: Loaded,
    /// The settings in force.
    pub settings: Settings,
    /// The result.
    pub compiled: Compiled,
    /// All mistakes, of files and of their meaning.
    pub problems: Vec<FileProblem>,
}

impl Sources {
    /// Completes settings further, after what completes them already.
    pub fn also(&mut self, more: impl Fn(&mut Settings) + Send + Sync + 'static) {
        let before = std::mem::replace(&mut self.complete, Box::new(|_| {}));
        self.complete = Box::new(move |settings| {
            before(settings);
            more(settings);
        });
    }

    /// Reads and compiles everything once.
    #[must_use]
    pub fn read(&self, previous: Previous<'_>, last_good: &mut LastGood) -> Read {
        let loaded = files::load(&self.paths);
        let mut objects = last_good.complete(&loaded);
        let mut problems = loaded.problems.clone();
        loop {
            let config = objects.config.as_ref().map(|config| &config.spec);
            let mut settings = Settings::effective(Mode::Run, &self.overrides, config);
            (self.complete)(&mut settings);
            let compiled = compile::compile(&objects, &settings, previous, clock::now_seconds());
            let mut restored = false;
            for refused in compiled.refused.iter().chain(&compiled.warnings) {
                // The same resource is refused twice only when its earlier version is refused, too.
                let told = loaded.explain(refused);
                if !problems.contains(&told) {
                    problems.push(told);
                }
                restored |= last_good.restore(refused.kind, &refused.key, &mut objects);
            }
            if !restored {
                last_good.remember(objects, &loaded);
                return Read { loaded, settings, compiled, problems };
            }
        }
    }
}

/// What is in force, for views.
#[derive(Debug, Default)]
pub struct InForce {
    /// Dashboards, by title.
    pub dashboards: Vec<DashboardView>,
    /// Resources that are not in force, or not in the version that the file holds.
    pub refused: Vec<RefusedView>,
    /// Grows with every reading.
    pub readings: u64,
    /// What the fleet works from: which slots belong to which check and rule.
    pub fleet: FleetPlan,
}

/// A running installation.
pub struct Installation {
    pub(super) node: String,
    pub(super) started_at: Millis,
    pub(super) agent: Agent,
    pub(super) fleet: Arc<Fleet>,
    pub(super) store: Arc<Store>,
    pub(super) collectors: Vec<String>,
    plans: PlanSender,
    sources: Sources,
    lasting: Lasting,
    work: Mutex<Work>,
    in_force: Mutex<InForce>,
}

/// Settings that hold from start to end of the process.
#[derive(Debug, PartialEq)]
struct Lasting {
    job: String,
    labels: BTreeMap<String, String>,
    collectors: (Vec<String>, Vec<String>),
    retention: Span,
    max_memory: u64,
}

impl Lasting {
    fn of(settings: &Settings) -> Self {
        Self {
            job: settings.job.clone(),
            labels: settings.labels.clone(),
            collectors: (settings.enable_collectors.clone(), settings.disable_collectors.clone()),
            retention: settings.retention,
            max_memory: settings.max_memory,
        }
    }
}

struct Work {
    plan: Arc<Plan>,
    last_good: LastGood,
}

/// What an installation is put together from.
pub struct Parts {
    /// The node's name.
    pub node: String,
    /// The agent.
    pub agent: Agent,
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// Recent history.
    pub store: Arc<Store>,
    /// Names of the collectors that run.
    pub collectors: Vec<String>,
    /// The way to the agent.
    pub plans: PlanSender,
    /// What is read.
    pub sources: Sources,
    /// What the agent starts with: the first reading, already kept and sent.
    pub first: Arc<Plan>,
    /// What the first reading learned.
    pub last_good: LastGood,
}

impl Installation {
    /// Puts an installation together; `read` is the first reading.
    #[must_use]
    pub fn new(parts: Parts, read: Read) -> Arc<Self> {
        let installation = Arc::new(Self {
            node: parts.node,
            started_at: clock::now_millis(),
            agent: parts.agent,
            fleet: parts.fleet,
            store: parts.store,
            collectors: parts.collectors,
            plans: parts.plans,
            sources: parts.sources,
            lasting: Lasting::of(&read.settings),
            work: Mutex::new(Work { plan: parts.first, last_good: parts.last_good }),
            in_force: Mutex::new(InForce::default()),
        });
        installation.show(read.compiled, &read.problems);
        installation
    }

    /// Reads the files again and puts what is sound in force. Returns the mistakes.
    pub fn reload(&self) -> Vec<FileProblem> {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = Arc::clone(&work.plan);
        let dashboards = self.in_force().dashboards.clone();
        let previous = Previous { plan: Some(&plan), dashboards: &dashboards };
        let read = self.sources.read(previous, &mut work.last_good);
        if read.compiled.plan != *plan {
            // Kept first: slots that an agent reports on must mean the same after a crash.
            match self.plans.keep(&read.compiled.plan) {
                Ok(()) => work.plan = Arc::new(read.compiled.plan.clone()),
                Err(why) => {
                    tracing::error!(%why, "the new plan could not be kept; the old one stays in force");
                    return read.problems;
                }
            }
        }
        if self.lasting != Lasting::of(&read.settings) {
            tracing::warn!(
                "labels, collectors, retention and memory of the VitalsConfig take effect at the next start"
            );
        }
        self.store.select(read.compiled.selectors.clone());
        self.fleet.set_plan(read.compiled.fleet.clone());
        self.plans.send(Arc::clone(&work.plan));
        self.show(read.compiled, &read.problems);
        read.problems
    }

    pub(super) fn in_force(&self) -> MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, compiled: Compiled, problems: &[FileProblem]) {
        let mut in_force = self.in_force();
        in_force.dashboards = compiled.dashboards;
        in_force.refused = problems.iter().map(refused_view).collect();
        in_force.readings += 1;
        in_force.fleet = compiled.fleet;
    }
}

fn refused_view(problem: &FileProblem) -> RefusedView {
    let (kind, object) = match &problem.object {
        Some((kind, key)) => (kind.to_string(), key.to_string()),
        None => ("File".to_owned(), problem.file.display().to_string()),
    };
    RefusedView { kind, object, at: problem.place(), reason: problem.reason.to_owned(), message: problem.to_string() }
}
