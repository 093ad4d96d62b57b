//! Shutdown: Ctrl-C and SIGTERM end the process once, in order; a second signal ends it at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGINT or SIGTERM.
///
/// # Errors
/// The system refused to install a signal handler.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let ours = token.clone();
    tokio::spawn(async move {
        let mut wait = async || {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            }
        };
        let name = wait().await;
        tracing::info!(signal = name, "stopping; a second signal stops at once");
        ours.cancel();
        wait().await;
        // The user asked twice: whatever is still writing is safe to cut, as a kill -9 would be.
        std::process::exit(130);
    });
    Ok(token)
}
