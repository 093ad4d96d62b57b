//! A notification: one message about one group of alerts for one receiver.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::labels::Labels;
use super::object::ObjectKey;
use super::series::Millis;

/// What a receiver is told. Rendered and complete: a receiver adds nothing but its format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The same for every repeat of this one message: the receiver may drop what it has seen.
    pub idempotency_key: String,
    /// Whom it is for.
    pub receiver: ObjectKey,
    /// Identity of the group.
    pub group_key: String,
    /// The labels by which the group was made.
    pub group_labels: Labels,
    /// Why it is sent: `firing`, `changed`, `repeat`, `resolved`, `suppressed`.
    pub cause: String,
    /// The alerts, firing ones first.
    pub alerts: Vec<NotifiedAlert>,
    /// Alerts left out because there were too many.
    pub truncated: u32,
    /// When the decision was taken, unix milliseconds.
    pub at: Millis,
}

impl Notification {
    /// `firing` while one alert fires, else `resolved`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        if self.alerts.iter().any(|alert| alert.ends_at.is_none()) { "firing" } else { "resolved" }
    }
}

/// One alert in a notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotifiedAlert {
    /// The alert's id.
    pub id: String,
    /// The rule's `alertname`.
    pub name: String,
    /// The rule's severity word.
    pub severity: String,
    /// All labels: instance labels, rule labels, `alertname`, `severity`, `namespace`, `node`.
    pub labels: Labels,
    /// Rendered annotations.
    pub annotations: BTreeMap<String, String>,
    /// One sentence: annotation `message`, `summary` or `description`, else one made from name and labels.
    pub message: String,
    /// Label `component`, or the name of the check that it is about.
    pub component: String,
    /// The value, as text.
    pub value: String,
    /// Since when it fires, unix milliseconds.
    pub starts_at: Millis,
    /// Since when it does not.
    pub ends_at: Option<Millis>,
    /// Where to read more.
    pub generator_url: String,
}
