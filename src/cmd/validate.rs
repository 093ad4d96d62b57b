//! `vitals validate`: every mistake of resource files, without running anything.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::settings::Flags;
use crate::compile::Previous;
use crate::local::last_good::LastGood;

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or directories with resources.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// Prints one line per mistake: file, line, column, object, field, what is wrong, what to write instead.
///
/// # Errors
/// A flag that cannot be used.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let sources = args.flags.sources(args.paths.clone(), &args.flags.check_env())?;
    let read = sources.read(Previous::default(), &mut LastGood::default());
    let mut out = std::io::stdout().lock();
    for problem in &read.problems {
        let _ = writeln!(out, "{problem}");
    }
    let objects = read.loaded.objects.len();
    let files = read.loaded.files.len();
    if read.problems.is_empty() && objects > 0 {
        let _ = writeln!(out, "{objects} objects in {files} files are sound");
        return Ok(ExitCode::SUCCESS);
    }
    let _ = writeln!(out, "{} mistakes in {files} files; {objects} objects are sound", read.problems.len());
    Ok(ExitCode::from(super::BAD_INPUT))
}
