//! `vitals crds`: the custom resource definitions, as `kubectl apply` takes them.

use std::io::Write as _;
use std::process::ExitCode;

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints all seven.
///
/// # Errors
/// None but a closed pipe, which is no mistake.
pub fn run(_: &Args) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for crd in crate::api::crds() {
        let yaml = serde_saphyr::to_string(&crd)?;
        if write!(out, "---\n{yaml}").is_err() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}
