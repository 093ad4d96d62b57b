//! What `vitals run` says on standard output: a live table on a terminal, plain lines elsewhere.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::local::files::FileProblem;
use crate::local::installation::Installation;
use crate::model::ports::Views;

/// How often the views are looked at for changes.
const LOOK: Duration = Duration::from_millis(250);

/// Says where it answers, where its state is, and what is wrong with the files.
pub fn started(url: &str, state_dir: &Path, files: &[PathBuf], problems: &[FileProblem]) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "listening on {url}");
    let _ = writeln!(out, "state is kept in {}", state_dir.display());
    let _ = writeln!(out, "{} files read", files.len());
    write_problems(&mut out, problems);
    let _ = out.flush();
}

/// Says that the files were read again.
pub fn reloaded(problems: &[FileProblem]) {
    let mut out = std::io::stdout().lock();
    if problems.is_empty() {
        let _ = writeln!(out, "files read again: all sound");
    } else {
        let _ = writeln!(out, "files read again; what is not sound stays as it was:");
        write_problems(&mut out, problems);
    }
    let _ = out.flush();
}

fn write_problems(out: &mut impl std::io::Write, problems: &[FileProblem]) {
    for problem in problems {
        let _ = writeln!(out, "{problem}");
    }
}

/// Follows the views until the process stops.
pub async fn follow(installation: Arc<Installation>, url: String, stop: CancellationToken) {
    let mut shown = 0;
    let _ = url;
    loop {
        let version = installation.version();
        if version != shown {
            shown = version;
            let mut out = std::io::stdout().lock();
            for check in installation.checks() {
                let _ = writeln!(out, "{} {} {} {}", check.key, check.health, check.reason, check.message);
            }
            for alert in installation.alerts() {
                let _ = writeln!(out, "ALERT {} {} {}", alert.name, alert.state, alert.message);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => break,
        }
    }
}
