//! Puts one installation together: the one place that knows every room of `run`, and of Vitals inside another program.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;

use crate::agent::{self, Agent, history_file};
use crate::check::scheduler::Build;
use crate::check::{CheckEnv, SchedulerConfig, build};
use crate::compile::Previous;
use crate::host::{Collection, Roots, Selection, collectors};
use crate::local::files::FileProblem;
use crate::local::installation::{self, Installation, Sources};
use crate::local::last_good::LastGood;
use crate::local::plan_channel::{channel, last_plan};
use crate::local::report_file::{ReportFile, TakesReports};
use crate::model::Span;
use crate::model::collector::Collector;
use crate::net::Dialer;
use crate::runtime::durable::StateDir;
use crate::runtime::tasks::Tasks;

use super::doors::ToFleet;
use super::{ground, leader};

/// How often the host is read for history.
const COLLECT_EVERY: Span = Span::seconds(15);

/// What an installation is made from.
pub struct Plan {
    /// What is read.
    pub sources: Sources,
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// Where people reach the page.
    pub base_url: String,
    /// The only way out.
    pub dialer: Dialer,
    /// What checks are made with.
    pub env: CheckEnv,
    /// How a plan entry becomes a check; None: as `check::build` does.
    pub build: Option<Build>,
    /// Collectors beside the host's.
    pub collectors: Vec<Box<dyn Collector>>,
}

/// A running installation with what must outlive it.
pub struct Assembled {
    /// The installation.
    pub installation: Arc<Installation>,
    /// The mistakes of the first reading.
    pub problems: Vec<FileProblem>,
    /// The files of the first reading.
    pub files: Vec<PathBuf>,
    config: Option<std::collections::BTreeMap<String, String>>,
    _state: StateDir,
}

impl Assembled {
    /// An annotation of the VitalsConfig.
    #[must_use]
    pub fn config_annotation(&self, name: &str) -> Option<String> {
        self.config.as_ref()?.get(name).cloned()
    }
}

/// Starts everything but the web server.
///
/// # Errors
/// Nothing sound to run, or a state directory that cannot be used.
pub async fn assemble(plan: Plan, tasks: &Tasks) -> anyhow::Result<Assembled> {
    let state = StateDir::open(&plan.state_dir)?;
    let tell = |told: Option<String>| told.into_iter().for_each(|told| tracing::warn!("{told}"));
    let (previous, told) = last_plan(&state.file("plan.gz"));
    tell(told);
    let mut last_good = LastGood::default();
    let read = plan.sources.read(Previous { plan: Some(&previous), dashboards: &[] }, &mut last_good);
    if read.loaded.objects.is_empty() {
        let lines: Vec<String> = read.problems.iter().map(ToString::to_string).collect();
        bail!("there is nothing to run\n{}", lines.join("\n"));
    }
    let settings = read.settings.clone();
    let node = ground::node_name();
    let store = ground::store(&settings, &node);
    tell(history_file::restore(&store, &state.file("history")));
    store.select(read.compiled.selectors.clone());
    let fleet = leader::open(&state, &store, &node, &plan.dialer, &plan.base_url).await?;
    fleet.set_plan(read.compiled.fleet.clone());
    let first = Arc::new(read.compiled.plan.clone());
    let (sender, receiver) = channel(Arc::clone(&first), state.file("plan.gz"));
    sender.keep(&first).map_err(anyhow::Error::msg)?;
    let to_fleet: Arc<dyn TakesReports> = Arc::new(ToFleet(Arc::clone(&fleet)));
    let (reports, told) = ReportFile::open(&format!("node.{node}"), state.file("report.json"), to_fleet);
    tell(told);
    let selection =
        Selection { enable: settings.enable_collectors.clone(), disable: settings.disable_collectors.clone() };
    let mut sources = collectors(&Roots::default(), &selection)?;
    sources.extend(plan.collectors);
    let names = sources.iter().map(|collector| collector.name().to_owned()).collect();
    let env = plan.env;
    let parts = agent::Parts {
        node: node.clone(),
        store: Arc::clone(&store),
        identity: ground::identity(&settings, &node),
        collection: Collection::new(sources),
        scheduler: SchedulerConfig::new(&node),
        build: plan.build.unwrap_or_else(|| Box::new(move |key, check| build(key, check, &env))),
        plans: Box::new(receiver),
        reports: Arc::new(reports),
        collect_every: COLLECT_EVERY,
        // One agent and no API server: nobody to spread over, little to spare.
        spread: Span::millis(200),
        scatter: false,
    };
    let agent = Agent::start(parts, tasks).await;
    tasks.spawn("history", history_file::keep(Arc::clone(&store), state.file("history"), tasks.stop().clone()));
    let (stop, leader) = (tasks.stop().clone(), Arc::clone(&fleet));
    tasks.spawn("fleet", async move {
        if let Err(why) = leader.run(stop.clone()).await {
            tracing::error!(%why, "the fleet stopped");
            stop.cancel();
        }
    });
    let (problems, files) = (read.problems.clone(), read.loaded.files.clone());
    let config = read.loaded.objects.config.as_ref().map(|config| config.annotations.clone());
    let parts = installation::Parts {
        node,
        agent,
        fleet,
        store,
        collectors: names,
        plans: sender,
        sources: plan.sources,
        first,
        last_good,
    };
    Ok(Assembled { installation: Installation::new(parts, read), problems, files, config, _state: state })
}
