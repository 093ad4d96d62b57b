//! AlertRule: a condition over samples or over checks, and what happens when it holds.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{Acknowledgement, LabelMatcher, ObjectRef, SeverityWord, conditions};
use super::healthcheck::RemediationSpec;
use crate::model::plan::OnTrouble;
use crate::model::spec::{LabelSelector, Operator};
use crate::model::{Health, Span};

/// A rule: exactly one condition, how long it must hold, whom to tell. All conditions become PromQL.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "vitals.dev",
    version = "v1alpha1",
    kind = "AlertRule",
    namespaced,
    shortname = "valr",
    category = "vitals",
    status = "AlertRuleStatus",
    derive = "PartialEq",
    doc = "A condition over samples or over checks, and what happens when it holds.",
    printcolumn(name = "STATE", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "SEVERITY", type_ = "string", json_path = ".status.severity"),
    printcolumn(name = "FIRING", type_ = "string", json_path = ".status.firing"),
    printcolumn(name = "SINCE", type_ = "date", json_path = ".status.since"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "EXPR", type_ = "string", json_path = ".status.expr", priority = 1),
    printcolumn(name = "FOR", type_ = "string", json_path = ".spec.for", priority = 1),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.expr), has(self.health), has(self.threshold), has(self.errorRate)].filter(present, present).size() == 1").message("an AlertRule has exactly one condition: expr, health, threshold or errorRate"))]
#[x_kube(validation = Rule::new("!has(self.record) || has(self.expr)").message("record needs expr: it names the series that the expression's result is kept under").field_path(".record"))]
#[x_kube(validation = Rule::new("!has(self.record) || !(has(self.alert) || has(self.severity) || has(self.annotations) || has(self.notify) || has(self.for) || has(self.keepFiringFor) || has(self.remediation) || has(self.inhibitedBy))").message("a recording rule raises no alert: alert, severity, annotations, notify, for, keepFiringFor, inhibitedBy and remediation do not belong to it").field_path(".record"))]
#[x_kube(validation = Rule::new("!has(self.health) || !has(self.scope) || self.scope == 'Cluster'").message("a health condition is judged over all nodes: leave scope out or write Cluster").field_path(".scope"))]
#[x_kube(validation = Rule::new("!has(self.prometheus) || has(self.expr)").message("prometheus needs expr").field_path(".prometheus"))]
#[x_kube(validation = Rule::new("!has(self.prometheus) || !has(self.scope)").message("write scope or prometheus, not both").field_path(".scope"))]
#[x_kube(validation = Rule::new("!has(self.interval) || duration(self.interval) >= duration('1s')").message("interval must be at least 1s").field_path(".interval"))]
#[x_kube(validation = Rule::new("!(has(self.health) && has(self.health.for) && has(self.for))").message("write for or health.for, not both").field_path(".for"))]
#[x_kube(validation = Rule::new("!(has(self.severity) && has(self.labels) && 'severity' in self.labels)").message("write severity or labels.severity, not both").field_path(".severity"))]
pub struct AlertRuleSpec {
    /// PromQL; every series of the result is one alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub expr: Option<String>,
    /// Checks in certain states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCondition>,
    /// A metric beyond a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<ThresholdCondition>,
    /// Too many failed runs of checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<ErrorRate>,
    /// Keep the result of `expr` as a series of this name instead of alerting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[a-zA-Z_:][a-zA-Z0-9_:]*$"))]
    pub record: Option<String>,
    /// The `alertname`; default the resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub alert: Option<String>,
    /// Node: every agent over its own samples. Cluster: once, over the roll-ups of all nodes. Default Cluster for health,
    /// else Node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<RuleScopeSpec>,
    /// Evaluate on an external Prometheus, Thanos or Mimir instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusSource>,
    /// Rules of one group are evaluated one after the other at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub group: Option<String>,
    /// The order within the group.
    #[serde(default)]
    pub order: i32,
    /// How long the condition must hold before an alert fires.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// How long an alert keeps firing after the condition stopped to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<Span>,
    /// Time between evaluations; default ALERT_CHECK_INTERVAL, 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// How urgent; default label `severity`, else medium.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityWord>,
    /// Labels added to every alert; values may be templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub labels: BTreeMap<String, String>,
    /// Texts for people; values may be templates, such as `{{ $labels.instance }} is at {{ $value }}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations")]
    pub annotations: BTreeMap<String, String>,
    /// How many nodes must fire before anybody is told.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100_000))]
    pub min_nodes: i32,
    /// What an expression that finds no series at all means.
    #[serde(default)]
    #[schemars(schema_with = "on_trouble")]
    pub no_data: OnTrouble,
    /// What an expression that fails means.
    #[serde(default)]
    #[schemars(schema_with = "on_trouble")]
    pub on_error: OnTrouble,
    /// Fire only when no node has a result: for rules about something that must be somewhere.
    #[serde(default)]
    pub absent_on_every_node: bool,
    /// Most alerts per evaluation; more are counted and announced by one summary alert.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: i32,
    /// Whom to tell, and how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<NotifySpec>,
    /// Other alerts that suppress this rule's messages while they fire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub inhibited_by: Vec<InhibitedBy>,
    /// What is done by itself when an alert fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<RemediationSpec>,
    /// Do not evaluate.
    #[serde(default)]
    pub suspend: bool,
}

fn one() -> i32 {
    1
}

fn twenty() -> i32 {
    20
}

/// Texts may be long: a description with a table of values is usual.
fn annotations(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 8192 } })
}

fn on_trouble(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "enum": ["KeepLast", "OK", "Alerting"], "default": "KeepLast",
        "description": "KeepLast: alerts stay as they are. OK: nothing fires. Alerting: one alert without labels fires." })
}

/// Where a rule is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RuleScopeSpec {
    /// By every agent over its own samples.
    Node,
    /// Once, over the roll-ups of all nodes.
    Cluster,
}

/// Checks of this namespace in certain states.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.selector)").message("health wants either name or selector"))]
pub struct HealthCondition {
    /// The check's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// The checks' labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The states that count; default Unhealthy.
    #[serde(default = "unhealthy")]
    #[schemars(length(min = 1, max = 4))]
    pub status_in: Vec<Health>,
    /// How long; the same as the rule's own `for`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
}

fn unhealthy() -> Vec<Health> {
    vec![Health::Unhealthy]
}

/// A metric, taken over a window, beyond a value.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.window) || duration(self.window) > duration('0s')").message("window must be longer than 0s").field_path(".window"))]
pub struct ThresholdCondition {
    /// The metric's name.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[a-zA-Z_:][a-zA-Z0-9_:]*$"))]
    pub metric: String,
    /// Which of its series.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matchers: Vec<LabelMatcher>,
    /// What is taken of the window.
    #[serde(default)]
    pub function: Function,
    /// The window; default 5m (function last: the newest value alone).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// How it is compared.
    pub operator: Operator,
    /// With what; a decimal in quotes.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub value: String,
    /// An alert ends only beyond this value on the other side; a decimal in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub clear_value: Option<String>,
}

/// What is taken of a window of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    /// The newest value.
    #[default]
    Last,
    /// The mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Growth a second of a counter.
    Rate,
    /// Growth of a counter.
    Increase,
}

/// A share of failed runs of checks of this namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.selector)").message("errorRate wants either name or selector"))]
#[x_kube(validation = Rule::new("!has(self.window) || duration(self.window) > duration('0s')").message("window must be longer than 0s").field_path(".window"))]
pub struct ErrorRate {
    /// The check's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// The checks' labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Over what time; default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// Fire at this share of failed runs or above, percent.
    #[schemars(range(min = 1, max = 100))]
    pub percent: i32,
    /// Say nothing with fewer runs in the window.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 10_000))]
    pub min_runs: i32,
}

fn four() -> i32 {
    4
}

/// An external server that answers PromQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusSource {
    /// Its base URL.
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://[^/@\s]+(/.*)?$"))]
    pub url: String,
    /// Bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<crate::model::spec::SecretKeyRef>,
}

/// Whom to tell, and how often. Unset times have Alertmanager's usual values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifySpec {
    /// AlertReceivers; default those that match, else the default one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub receivers: Vec<ObjectRef>,
    /// Labels whose values make one message; default alertname and namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), inner(length(min = 1, max = 128)))]
    pub group_by: Option<Vec<String>>,
    /// How long a new group waits for more alerts; default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<Span>,
    /// Least time between two messages of a group that changed; default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<Span>,
    /// Least time between two messages of a group that did not change; default 4h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<Span>,
    /// Least time between two told episodes of one alert; default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Span>,
    /// Most messages an hour; default no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_per_hour: Option<i32>,
    /// Whether the end is told too; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_resolved: Option<bool>,
}

/// Other alerts that suppress this rule's messages while they fire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InhibitedBy {
    /// What the other alert's labels must be.
    #[schemars(length(min = 1, max = 16))]
    pub matchers: Vec<LabelMatcher>,
    /// Labels that must be equal on both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128)))]
    pub equal: Vec<String>,
}

/// The state of an AlertRule; never a last evaluation time or a current value: those are metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertRuleStatus {
    /// The generation of the spec that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Inactive`, `Pending`, `Firing`, `Suspended` or `Unknown`: the worst over all alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub state: Option<String>,
    /// The severity in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub severity: Option<String>,
    /// Nodes that fire, of all: `12/5000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub firing: Option<String>,
    /// Since when it has this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The PromQL that is evaluated, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub expr: Option<String>,
    /// One sentence: the worst alert's message, or what is wrong with the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// Alerts by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<AlertCounts>,
    /// The most urgent alerts, firing ones first, at most twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["fingerprint"]))]
    pub alerts: Vec<AlertStatus>,
    /// How many alerts are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated_alerts: Option<i32>,
    /// `Accepted`, `Evaluated`, `Delivered`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// Alerts by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertCounts {
    /// Not yet long enough.
    #[serde(default)]
    pub pending: i32,
    /// Firing.
    #[serde(default)]
    pub firing: i32,
    /// Firing and taken in hand.
    #[serde(default)]
    pub acknowledged: i32,
    /// Firing and not told: silenced or inhibited.
    #[serde(default)]
    pub suppressed: i32,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// Its identity, stable over episodes.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
    /// `Pending` or `Firing`.
    #[schemars(length(max = 16))]
    pub state: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    /// Since when the condition holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_at: Option<Time>,
    /// Since when it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Time>,
    /// Since when it fires only because of `keepFiringFor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<Time>,
    /// Who took it in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
    /// `Waiting`, `Notified`, `Failing`, `Silenced` or `Inhibited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub notification: Option<String>,
}
