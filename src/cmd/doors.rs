//! Doors between rooms that may not know each other: each adapter turns one room's words into another's.

use std::sync::Arc;

use crate::alert::desk::SendFailure;
use crate::fleet::{Deliver, Fleet};
use crate::local::installation::Installation;
use crate::local::report_file::TakesReports;
use crate::model::Span;
use crate::model::check::BoxFuture;
use crate::model::fleet_plan::Integration;
use crate::model::notification::Notification;
use crate::model::ports::Exposition;
use crate::model::report::Report;
use crate::notify::Sender;

/// Carries messages from the fleet to receivers.
pub struct Courier(pub Sender);

impl Deliver for Courier {
    fn deliver<'a>(
        &'a self,
        to: &'a Integration,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), SendFailure>> {
        Box::pin(async move {
            self.0.send(to, notification).await.map_err(|why| SendFailure {
                retryable: why.retryable(),
                retry_after: why.retry_after().and_then(|wait| u64::try_from(wait.as_millis()).ok()).map(Span::millis),
                reason: why.reason().to_owned(),
                message: why.to_string(),
            })
        })
    }
}

/// Carries reports from the agent to the fleet of the same process.
pub struct ToFleet(pub Arc<Fleet>);

impl TakesReports for ToFleet {
    fn take(&self, name: &str, report: Report) {
        let receipt = self.0.receive(name, report);
        tracing::trace!(?receipt, name, "report taken");
    }
}

/// Shows an installation's metrics.
pub struct Metrics(pub Arc<Installation>);

impl Exposition for Metrics {
    fn text(&self) -> BoxFuture<'_, Vec<u8>> {
        let installation = Arc::clone(&self.0);
        Box::pin(async move {
            // Reading the host blocks: not on a thread that answers requests.
            tokio::task::spawn_blocking(move || installation.metrics_text()).await.unwrap_or_default()
        })
    }
}
