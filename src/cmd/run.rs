//! `vitals run`: everything in one process, from the same files that a cluster gets.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;

use super::assemble::{Assembled, Plan, assemble};
use super::doors::Metrics;
use super::ground;
use super::screen::Paper;
use super::settings::Flags;
use crate::local::demo_targets::{self, DemoTargets};
use crate::local::installation::Installation;
use crate::local::watch::Watch;
use crate::runtime::tasks::Tasks;
use crate::runtime::{metrics, shutdown, telemetry};
use crate::web::{self, WebOptions, WebState};

/// How long tasks may take to end after the stop signal.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or directories with resources; of a directory's subdirectories only `local` is read.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The address to listen on; only loopback addresses, since nobody is asked who they are.
    #[arg(long, env = "MONITORING_HOST", default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port to listen on; 0 takes any free one.
    #[arg(long, env = "MONITORING_PORT", default_value_t = 8080)]
    port: u16,
    /// Where alerts, acknowledgements, the notification log and history are kept over restarts.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// Runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// Bad input, a port in use, an unusable state directory.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    telemetry::start(args.flags.log_format, &args.flags.log_level).map_err(anyhow::Error::msg)?;
    metrics::start();
    if !args.host.is_loopback() {
        bail!(
            "--host {}: only loopback addresses are served by this version, since nobody is asked who they are; write 127.0.0.1",
            args.host
        );
    }
    super::runtime()?.block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<ExitCode> {
    let asked = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(asked)
        .await
        .with_context(|| format!("cannot listen on {asked}; choose another port with --port (0 takes any free one)"))?;
    let bind = listener.local_addr()?;
    let url = format!("http://{bind}");
    let tasks = Tasks::new(shutdown::on_signals()?);
    let env = args.flags.check_env();
    let plan = Plan {
        sources: args.flags.sources(args.paths.clone(), &env)?,
        state_dir: args.state_dir.unwrap_or_else(|| ground::default_state_dir(&args.paths)),
        base_url: url.clone(),
        dialer: env.dialer.clone(),
        env,
        build: None,
        collectors: Vec::new(),
    };
    let state_dir = plan.state_dir.clone();
    let assembled = assemble(plan, &tasks).await?;
    let installation = Arc::clone(&assembled.installation);
    let paper = Paper::start(&url, &state_dir, &assembled.files, &assembled.problems);
    start_demo_targets(&assembled, &tasks).await;
    spawn_web(listener, bind, &installation, &tasks);
    spawn_reload(args.paths, &installation, &paper, &tasks);
    tasks.spawn("screen", paper.follow(Arc::clone(&installation), tasks.stop().clone()));
    tasks.stop().cancelled().await;
    if !tasks.finish(LAST_WORDS).await {
        tracing::warn!("some tasks did not end in time; what they had to keep is kept");
    }
    Ok(ExitCode::SUCCESS)
}

async fn start_demo_targets(assembled: &Assembled, tasks: &Tasks) {
    let Some(text) = assembled.config_annotation(demo_targets::ANNOTATION) else { return };
    match DemoTargets::parse(&text) {
        Ok(targets) => targets.start(tasks).await,
        Err(why) => tracing::warn!("{why}"),
    }
}

pub(super) fn spawn_web(listener: TcpListener, bind: SocketAddr, installation: &Arc<Installation>, tasks: &Tasks) {
    let about = Arc::clone(installation);
    let options = WebOptions {
        info: Arc::new(move || about.info()),
        registry: prometheus::default_registry().clone(),
        shutdown: tasks.stop().clone(),
        ..WebOptions::new(bind)
    };
    let state = WebState {
        views: installation.clone(),
        commands: installation.clone(),
        exposition: Arc::new(Metrics(Arc::clone(installation))),
        options,
    };
    tasks.spawn("web", async move {
        if let Err(why) = web::serve(listener, state).await {
            tracing::error!(%why, "the web server stopped");
        }
    });
}

fn spawn_reload(paths: Vec<PathBuf>, installation: &Arc<Installation>, paper: &Paper, tasks: &Tasks) {
    let (installation, paper, stop) = (Arc::clone(installation), paper.clone(), tasks.stop().clone());
    tasks.spawn("reload", async move {
        let mut watch = Watch::new(&paths);
        loop {
            tokio::select! {
                () = watch.changed() => {}
                () = stop.cancelled() => return,
            }
            let reading = Arc::clone(&installation);
            // Reading files blocks, and writing the plan waits for the disk.
            if let Ok(problems) = tokio::task::spawn_blocking(move || reading.reload()).await {
                paper.reloaded(&problems).await;
            }
        }
    });
}
