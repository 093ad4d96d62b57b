//! `vitals check`: every check once. An agent without collectors and rules runs them, so that a result here means what
//! it means in `run`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use super::once::{LastReport, OnePlan, views};
use super::settings::Flags;
use super::{ground, small_runtime};
use crate::agent::{Agent, Parts};
use crate::check::{SchedulerConfig, build};
use crate::cli::client::Server;
use crate::cli::results::{self, Format};
use crate::cli::{act, terminal};
use crate::compile::Previous;
use crate::host::Collection;
use crate::local::last_good::LastGood;
use crate::model::Span;
use crate::model::plan::Work;
use crate::runtime::tasks::Tasks;
use crate::runtime::{clock, telemetry};

/// What a run may take beyond its own deadline before it is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or directories with resources; with --server, names of checks to run there now.
    #[arg(required_unless_present = "server", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Ask a running server instead: all its last results, or fresh ones of the named checks.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// table, json or junit.
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    flags: Flags,
}

/// Runs them, prints them, and ends with 0, 1 or 3.
///
/// # Errors
/// Files that are not sound, or without a check; a server that does not answer.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut out = Vec::new();
    let style = terminal::style();
    let code = match &args.server {
        Some(url) => {
            let server = Server::new(url)?;
            let names: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
            small_runtime()?.block_on(act::check(&server, &names, args.output, style, &mut out))?
        }
        None => {
            telemetry::start(args.flags.log_format, "warn").map_err(anyhow::Error::msg)?;
            let checks = small_runtime()?.block_on(once(&args))?;
            results::write(&checks, clock::now_millis(), args.output, style, &mut out)?;
            results::exit_code(&checks)
        }
    };
    // A closed pipe is no mistake of anybody.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &out);
    Ok(ExitCode::from(code))
}

async fn once(args: &Args) -> anyhow::Result<Vec<crate::model::view::CheckView>> {
    let env = args.flags.check_env();
    let read = args.flags.sources(args.paths.clone(), &env)?.read(Previous::default(), &mut LastGood::default());
    if !read.problems.is_empty() {
        let lines: Vec<String> = read.problems.iter().map(ToString::to_string).collect();
        bail!("nothing was run\n{}", lines.join("\n"));
    }
    if read.compiled.fleet.checks.is_empty() {
        bail!("there is no HealthCheck in {} files; nothing was run", read.loaded.files.len());
    }
    let mut plan = read.compiled.plan.clone();
    plan.entries.retain(|entry| matches!(entry.work, Work::Check(_)));
    let longest = plan.entries.iter().filter_map(|entry| match &entry.work {
        Work::Check(check) => Some(check.timeout.std()),
        Work::Rule(_) | Work::Unsupported(_) => None,
    });
    let patience = longest.max().unwrap_or_default() + PATIENCE;
    let node = ground::node_name();
    let (reports, mut last) = LastReport::new();
    let tasks = Tasks::new(CancellationToken::new());
    let slots: Vec<u32> = plan.entries.iter().map(|entry| entry.slot).collect();
    let agent = Agent::start(
        Parts {
            node: node.clone(),
            store: ground::store(&read.settings, &node),
            identity: ground::identity(&read.settings, &node),
            collection: Collection::new(Vec::new()),
            scheduler: SchedulerConfig { first_runs_within: Some(Duration::ZERO), ..SchedulerConfig::new(&node) },
            build: Box::new(move |key, check| build(key, check, &env)),
            plans: Box::new(OnePlan::new(Arc::new(plan))),
            reports: Arc::new(reports),
            collect_every: Span::seconds(3600),
            spread: Span::millis(10),
            scatter: false,
        },
        &tasks,
    )
    .await;
    let all_ran = || slots.iter().all(|slot| agent.check_slot(*slot).is_some_and(|check| check.last_check.is_some()));
    // Every first result is a change, and every change is a report.
    let waiting = async { while !all_ran() && last.changed().await.is_ok() {} };
    let _ = tokio::time::timeout(patience, waiting).await;
    tasks.stop().cancel();
    tasks.finish(PATIENCE).await;
    let report = last.borrow().clone();
    Ok(views(&read.compiled.fleet, &node, report, &agent))
}
