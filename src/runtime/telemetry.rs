//! Logs: tracing to standard error, as text for people or JSON for machines.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// Whether a line was logged since the last question: whoever draws on the same terminal must draw anew below it.
static LOGGED: AtomicBool = AtomicBool::new(false);

/// Whether a line was logged since the last call.
pub fn take_logged() -> bool {
    LOGGED.swap(false, Ordering::Relaxed)
}

/// Standard error, noting that something was written.
#[derive(Default)]
struct Noting;

impl Write for Noting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.store(true, Ordering::Relaxed);
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts logging. `level` is a word such as `info` or a filter such as `vitals::fleet=debug,info`.
///
/// Standard error, because standard output belongs to tables and plain result lines.
///
/// # Errors
/// The filter cannot be read; the text says which part.
pub fn start(format: LogFormat, level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|why| {
        format!("--log-level {level:?} cannot be read ({why}); write error, warn, info, debug or trace")
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            registry
                .with(
                    tracing_subscriber::fmt::layer().with_writer(Noting::default).with_target(false).with_ansi(colours),
                )
                .try_init()
        }
        LogFormat::Json => registry
            .with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(Noting::default))
            .try_init(),
    };
    // A second start (tests in one process) keeps the first subscriber.
    let _ = started;
    Ok(())
}
