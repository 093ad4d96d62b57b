//! Views: the state of a running process as the page, the API and the terminal read it. Plain data, no behaviour.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dashboard::Panel;
use super::health::Health;
use super::labels::Labels;
use super::object::ObjectKey;
use super::series::Millis;

/// The whole process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SystemView {
    /// Overall health, by CONTRACT §3.
    pub health: Health,
    /// 100 × healthy / total; 100 when there is no check.
    pub health_percentage: f64,
    /// Percentage minus penalties of firing alerts.
    pub score: f64,
    /// Checks that are not suspended.
    pub total: usize,
    /// Those of them that are Healthy.
    pub healthy: usize,
    /// `run`, `agent` or `controller`.
    pub mode: String,
    /// This node's name.
    pub node: String,
    /// When the process started.
    pub started_at: Millis,
    /// Now, by the process's clock.
    pub now: Millis,
    /// The plan in force.
    pub plan_revision: u64,
    /// Agents ready and desired.
    pub agents: (usize, usize),
    /// Alerts that ended since the history began.
    pub resolved_alerts: u64,
    /// Resources that were refused, with why.
    pub refused: Vec<RefusedView>,
}

/// A resource that is not in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusedView {
    /// Its kind.
    pub kind: String,
    /// Its key, or the file when it has no readable name.
    pub object: String,
    /// Where: `file:line`.
    pub at: String,
    /// A finite word.
    pub reason: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// One HealthCheck.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckView {
    /// Its key.
    pub key: ObjectKey,
    /// The kind's word.
    pub kind: String,
    /// What is checked.
    pub target: String,
    /// Component type, empty when unset.
    pub component_type: String,
    /// Whether it decides the system's health alone.
    pub critical: bool,
    /// Its health after thresholds and quorum.
    pub health: Health,
    /// A finite word.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// Since when it has this health.
    pub since: Option<Millis>,
    /// When it last ran here.
    pub last_check: Option<Millis>,
    /// How long that run took.
    pub duration_ms: Option<f64>,
    /// Time between runs, in milliseconds.
    pub interval_ms: u64,
    /// Deadline of a run, in milliseconds.
    pub timeout_ms: u64,
    /// Percent of good runs in the window; none before the first run.
    pub success_rate: Option<f64>,
    /// Percent of failed runs in the window.
    pub error_rate: Option<f64>,
    /// How many nodes (or targets) are healthy, of all: `1/1`.
    pub summary: String,
    /// Not run.
    pub suspended: bool,
    /// The last run's phases, in milliseconds.
    pub phases: Vec<(String, f64)>,
    /// The last run's facts.
    pub details: BTreeMap<String, serde_json::Value>,
    /// Labels of the resource.
    pub labels: BTreeMap<String, String>,
    /// Checks that this one depends on.
    pub depends_on: Vec<ObjectKey>,
}

/// One run or one change of a check, for the history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunView {
    /// When it ended.
    pub at: Millis,
    /// Which check.
    pub key: ObjectKey,
    /// The run's own result, before thresholds.
    pub health: Health,
    /// A finite word.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// How long it took.
    pub duration_ms: f64,
}

/// One AlertRule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleView {
    /// Its key.
    pub key: ObjectKey,
    /// `Inactive`, `Pending`, `Firing`, `Suspended` or `Unknown`.
    pub state: String,
    /// The severity word.
    pub severity: String,
    /// Nodes that fire, of all: `0/1`.
    pub firing: String,
    /// Since when it has this state.
    pub since: Option<Millis>,
    /// The PromQL that is evaluated.
    pub expr: String,
    /// `for`, as written.
    pub hold: String,
    /// One sentence: the worst alert's message, or what is wrong with the rule.
    pub message: String,
    /// `Evaluated`'s reason: `Ok`, `Warming`, `NoSuchSeries`, `EvaluationFailed`.
    pub evaluated: String,
    /// Whether the rule records a series instead of alerting.
    pub record: bool,
    /// Time between evaluations, in milliseconds.
    pub interval_ms: u64,
    /// When it was last evaluated here.
    pub last_evaluation: Option<Millis>,
    /// How long that took, in milliseconds.
    pub evaluation_ms: Option<f64>,
    /// Its receivers, as the desk resolves them; empty = nobody is told.
    pub receivers: Vec<ObjectKey>,
    /// Labels and annotations as written.
    pub labels: BTreeMap<String, String>,
    /// Annotations as written.
    pub annotations: BTreeMap<String, String>,
}

/// One alert: an instance of a rule on a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AlertView {
    /// Identity, stable over episodes.
    pub id: String,
    /// Its rule.
    pub rule: ObjectKey,
    /// `alertname`.
    pub name: String,
    /// The severity word.
    pub severity: String,
    /// `Pending`, `Firing` or `Resolved`.
    pub state: String,
    /// Rendered message.
    pub message: String,
    /// Component, may be empty.
    pub component: String,
    /// All labels.
    pub labels: Labels,
    /// Rendered annotations.
    pub annotations: BTreeMap<String, String>,
    /// The last value, as text.
    pub value: String,
    /// The node it is on.
    pub node: String,
    /// Since when the expression holds.
    pub active_at: Millis,
    /// Since when it fires.
    pub fired_at: Option<Millis>,
    /// Since when it does not.
    pub resolved_at: Option<Millis>,
    /// Why it ended: `Resolved`, `Reconciled`, `NotSelected`, `NodeRemoved`, `RuleDeleted`.
    pub resolved_reason: String,
    /// The last change.
    pub updated_at: Millis,
    /// Its acknowledgement.
    pub acknowledged: Option<AckView>,
    /// The silence that covers it now.
    pub silenced_by: Option<ObjectKey>,
    /// Whom it was told to.
    pub notifications: Vec<NotificationView>,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AckView {
    /// Who.
    pub by: String,
    /// When.
    pub at: Millis,
    /// Why.
    pub comment: String,
}

/// One message that was sent, or tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationView {
    /// To whom.
    pub receiver: ObjectKey,
    /// `delivered`, `failing` or `dropped`.
    pub status: String,
    /// When.
    pub at: Millis,
}

/// One AlertReceiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReceiverView {
    /// Its key.
    pub key: ObjectKey,
    /// `log`, `webhook`, …
    pub kind: String,
    /// Whether the last message went out.
    pub ready: bool,
    /// A finite word.
    pub reason: String,
    /// Messages waiting.
    pub queued: usize,
}

/// One Silence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SilenceView {
    /// Its key.
    pub key: ObjectKey,
    /// `Pending`, `Active` or `Expired`.
    pub state: String,
    /// When it ends.
    pub ends_at: Option<Millis>,
    /// How many alerts it covers.
    pub matched: usize,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
}

/// One Dashboard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DashboardView {
    /// Its key.
    pub key: ObjectKey,
    /// Its id in `/dashboard/{id}`.
    pub id: String,
    /// Heading.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// How often the page should ask again, in milliseconds.
    pub refresh_ms: u64,
    /// When it was first seen.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// What it shows.
    pub panels: Vec<Panel>,
}

/// Whether the process makes progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeView {
    /// Whether the answer is 200.
    pub ok: bool,
    /// What stands still or is missing, in words.
    pub problems: Vec<String>,
}
