//! Composition roots: one file a command, wiring only. Nothing here decides anything.

mod assemble;
mod check;
mod client;
mod crds;
mod doors;
pub mod embed;
pub mod embedded;
mod ground;
mod leader;
mod once;
mod run;
mod screen;
mod settings;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code of bad input: files, flags, ports, directories.
pub const BAD_INPUT: u8 = 2;

/// Health checks, hardware metrics and alerts as Kubernetes resources, from one small binary.
#[derive(Debug, Parser)]
#[command(name = "vitals", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process, without a cluster, from the same files that a cluster gets.
    Run(run::Args),
    /// Run the checks once: exit 0 healthy, 1 unhealthy, 2 bad input, 3 degraded or unknown.
    Check(check::Args),
    /// Say what is wrong with resource files: file, line, field and what to write instead.
    Validate(validate::Args),
    /// Show resources and alerts of a running server.
    Get(client::GetArgs),
    /// Say why a check or a rule is as it is, and what to do next.
    Why(client::WhyArgs),
    /// Evaluate a PromQL expression on a running server.
    Query(client::QueryArgs),
    /// Acknowledge an alert: stop its repeats until it resolves.
    Ack(client::AckArgs),
    /// Print the custom resource definitions.
    Crds(crds::Args),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    // One TLS provider, chosen once, before anything can open a connection. A second start keeps the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(args),
        Command::Validate(args) => validate::run(&args),
        Command::Get(args) => client::get(args),
        Command::Why(args) => client::why(&args),
        Command::Query(args) => client::query(&args),
        Command::Ack(args) => client::ack(&args),
        Command::Crds(args) => crds::run(&args),
    };
    outcome.unwrap_or_else(|why| {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "vitals: {why:#}");
        ExitCode::from(BAD_INPUT)
    })
}

/// The runtime of long-lived commands: as many threads as there is work for on a small machine, no more.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(16)
        .thread_name("vitals")
        .enable_all()
        .build()?)
}

/// The runtime of commands that end by themselves.
fn small_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().max_blocking_threads(4).enable_all().build()?)
}
