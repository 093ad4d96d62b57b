//! What `vitals run` says on standard output: a live table on a terminal, plain lines elsewhere.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::cli::live::{Live, Screen};
use crate::cli::terminal;
use crate::local::files::FileProblem;
use crate::local::installation::Installation;
use crate::model::ports::Views;
use crate::runtime::telemetry;

/// How often the views are looked at for changes.
const LOOK: Duration = Duration::from_millis(200);
/// Looks between two drawings for the sake of ages alone.
const AGES: u32 = 5;

/// The one writer of standard output.
#[derive(Clone)]
pub struct Paper(Arc<Mutex<Live>>);

impl Paper {
    /// Says where it answers, where its state is, and what is wrong with the files.
    #[must_use]
    pub fn start(url: &str, state_dir: &Path, files: &[PathBuf], problems: &[FileProblem]) -> Self {
        let screen = if terminal::is_live() { Screen::Terminal } else { Screen::Lines };
        let mut out = stdout().lock();
        // Whoever reads this through a pipe waits for the first line.
        let _ = writeln!(out, "listening on {url}");
        let _ = writeln!(out, "{} files read; state is kept in {}", files.len(), state_dir.display());
        write_problems(&mut out, problems);
        let _ = out.flush();
        Self(Arc::new(Mutex::new(Live::new(screen, terminal::style(), url))))
    }

    /// Says that the files were read again.
    pub async fn reloaded(&self, problems: &[FileProblem]) {
        let mut live = self.0.lock().await;
        live.leave();
        let mut out = stdout().lock();
        if problems.is_empty() {
            let _ = writeln!(out, "files read again: all sound");
        } else {
            let _ = writeln!(out, "files read again; what is not sound stays as it was:");
            write_problems(&mut out, problems);
        }
        let _ = out.flush();
    }

    /// Follows the views until the process stops.
    pub async fn follow(self, installation: Arc<Installation>, stop: CancellationToken) {
        let mut shown = 0;
        let mut looks = 0;
        loop {
            let version = installation.version();
            looks += 1;
            if version != shown || (terminal::is_live() && looks >= AGES) {
                (shown, looks) = (version, 0);
                let mut out = Vec::new();
                let mut live = self.0.lock().await;
                if telemetry::take_logged() {
                    live.leave();
                }
                let drawn = live.update(installation.as_ref(), terminal::size(), &mut out);
                // A reader that went away does not stop the checks.
                let _ = drawn.and_then(|()| stdout().write_all(&out)).and_then(|()| stdout().flush());
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

fn write_problems(out: &mut impl Write, problems: &[FileProblem]) {
    for problem in problems {
        let _ = writeln!(out, "{problem}");
    }
}
