//! Receiver `log`: the process's own log, one line per alert.

use tracing::{error, info, warn};

use crate::model::notification::Notification;

/// Most alerts of one notification that get a line of their own.
const MOST_LINES: usize = 50;

/// Writes the notification at `error`, `warn` (also for any other word) or `info`.
pub(super) fn write(level: &str, notification: &Notification) {
    let receiver = notification.receiver.to_string();
    let cause = notification.cause.as_str();
    for alert in notification.alerts.iter().take(MOST_LINES) {
        let status = if alert.ends_at.is_none() { "firing" } else { "resolved" };
        // `tracing` wants the level at compile time.
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    target: "vitals::alert",
                    receiver, cause, status, alert = alert.name, severity = alert.severity, component = alert.component,
                    labels = %alert.labels, value = alert.value, id = alert.id,
                    "{}", alert.message
                )
            };
        }
        match level {
            "error" => line!(error),
            "info" => line!(info),
            _ => line!(warn),
        }
    }
    let more = notification.alerts.len().saturating_sub(MOST_LINES) + notification.truncated as usize;
    if more > 0 {
        warn!(target: "vitals::alert", receiver, cause, "{more} more alerts of the same group");
    }
}
