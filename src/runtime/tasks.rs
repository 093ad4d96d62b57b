//! Tasks: every background task has a name, an owner and an end.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::metrics;

/// The background tasks of one process; they end when the token is cancelled.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Tasks that end with this token.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), stop }
    }

    /// The token that ends them.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a task that ends by itself once the token is cancelled.
    ///
    /// A panic in it ends the process's work in an orderly way: half a process that looks alive is worse than none.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let inner = tokio::spawn(work);
        self.tracker.spawn(async move {
            if let Err(failure) = inner.await
                && failure.is_panic()
            {
                metrics::panicked(name);
                tracing::error!(task = name, "a background task panicked; stopping");
                stop.cancel();
            }
        });
    }

    /// Waits for all tasks, at most this long; false when some did not end.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_task_stops_the_process_instead_of_leaving_half_of_it() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("broken", async { panic!("for the test") });
        tasks.stop().cancelled().await;
        assert!(tasks.finish(Duration::from_secs(5)).await);
    }
}
