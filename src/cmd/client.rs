//! `vitals get`, `why`, `query` and `ack`: views of a running server and actions on it.

use std::process::ExitCode;

use crate::cli::client::Server;
use crate::cli::{self, CliError, DEFAULT_SERVER, Output, terminal};

/// Where the server is.
#[derive(Debug, clap::Args)]
struct At {
    /// The server to ask.
    #[arg(long, env = "VITALS_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    server: String,
}

/// Arguments of `vitals get`.
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// healthchecks (vhc), alertrules (valr), alerts, dashboards (vdb), alertreceivers (vrcv) or silences (vsil).
    kind: String,
    /// Only this one: NAME or NAMESPACE/NAME.
    name: Option<String>,
    /// wide, json or yaml.
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    output: Output,
    #[command(flatten)]
    at: At,
}

/// Arguments of `vitals why`.
#[derive(Debug, clap::Args)]
pub struct WhyArgs {
    /// A check or a rule: NAME or NAMESPACE/NAME.
    name: String,
    /// json or yaml.
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    output: Output,
    #[command(flatten)]
    at: At,
}

/// Arguments of `vitals query`.
#[derive(Debug, clap::Args)]
pub struct QueryArgs {
    /// The expression, in one argument.
    expr: String,
    /// json or yaml.
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    output: Output,
    #[command(flatten)]
    at: At,
}

/// Arguments of `vitals ack`.
#[derive(Debug, clap::Args)]
pub struct AckArgs {
    /// The alert's id, or its name while only one of that name fires.
    alert: String,
    /// Why.
    #[arg(long, default_value = "")]
    comment: String,
    /// Who; the login name unless given.
    #[arg(long, env = "USER", default_value = "somebody")]
    by: String,
    #[command(flatten)]
    at: At,
}

/// Runs `vitals get`.
///
/// # Errors
/// As the command's.
pub fn get(args: GetArgs) -> anyhow::Result<ExitCode> {
    let asked = cli::get::GetArgs { kind: args.kind, name: args.name, output: args.output };
    ask(&args.at, async |server, out| cli::get::get(&server, &asked, terminal::style(), out).await)
}

/// Runs `vitals why`.
///
/// # Errors
/// As the command's.
pub fn why(args: &WhyArgs) -> anyhow::Result<ExitCode> {
    ask(&args.at, async |server, out| cli::why::why(&server, &args.name, args.output, terminal::style(), out).await)
}

/// Runs `vitals query`.
///
/// # Errors
/// As the command's.
pub fn query(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    ask(&args.at, async |server, out| cli::query::query(&server, &args.expr, args.output, terminal::style(), out).await)
}

/// Runs `vitals ack`.
///
/// # Errors
/// As the command's.
pub fn ack(args: &AckArgs) -> anyhow::Result<ExitCode> {
    ask(&args.at, async |server, out| cli::act::acknowledge(&server, &args.alert, &args.by, &args.comment, out).await)
}

/// Asks a server something and prints into a buffer first: a pipe that closes early is no error.
fn ask(
    at: &At,
    work: impl AsyncFnOnce(Server, &mut dyn std::io::Write) -> Result<(), CliError>,
) -> anyhow::Result<ExitCode> {
    let server = Server::new(&at.server)?;
    let mut out = Vec::new();
    let done = super::small_runtime()?.block_on(work(server, &mut out));
    // A closed pipe (`| head`) is no mistake of anybody.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &out);
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // What was asked for is not there: an answer, if not the wished one.
        Err(why @ CliError::Refused { status: 404, .. }) => {
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("vitals: {why}\n"));
            Ok(ExitCode::from(1))
        }
        Err(why) => Err(why.into()),
    }
}
