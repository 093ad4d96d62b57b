//! Silence: alerts about which nobody is told for a while, or that somebody took in hand.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{LabelMatcher, conditions};
use crate::model::Span;

/// A silence: which alerts, how long, who and why.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "vitals.dev",
    version = "v1alpha1",
    kind = "Silence",
    namespaced,
    shortname = "vsil",
    category = "vitals",
    status = "SilenceStatus",
    derive = "PartialEq",
    doc = "Alerts about which nobody is told for a while, or that somebody took in hand.",
    printcolumn(name = "STATE", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "ENDS", type_ = "string", json_path = ".status.endsAt"),
    printcolumn(name = "MATCHED", type_ = "integer", json_path = ".status.matched"),
    printcolumn(name = "AUTHOR", type_ = "string", json_path = ".spec.author"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "COMMENT", type_ = "string", json_path = ".spec.comment", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.matchers) != has(self.alertRef)").message("a Silence has either matchers or alertRef"))]
#[x_kube(validation = Rule::new("!has(self.matchers) || self.matchers.exists(m, (m.matchType == '=' && m.value != '') || (m.matchType == '!=' && m.value == '') || (m.matchType == '=~' && !''.matches('^(?:' + m.value + ')$')) || (m.matchType == '!~' && ''.matches('^(?:' + m.value + ')$')))").message("at least one matcher must not match an empty value, or the silence would cover everything").field_path(".matchers"))]
#[x_kube(validation = Rule::new("[has(self.endsAt), has(self.duration), has(self.until)].filter(present, present).size() <= 1").message("write only one of endsAt, duration and until"))]
#[x_kube(validation = Rule::new("has(self.endsAt) || has(self.duration) || has(self.until)").message("a Silence ends: write endsAt, duration or, with alertRef, until: Resolved"))]
#[x_kube(validation = Rule::new("!has(self.until) || has(self.alertRef)").message("until: Resolved needs alertRef").field_path(".until"))]
#[x_kube(validation = Rule::new("!has(self.schedule) || has(self.duration)").message("schedule needs duration: how long each silence lasts").field_path(".schedule"))]
#[x_kube(validation = Rule::new("!has(self.startsAt) || !has(self.endsAt) || self.startsAt < self.endsAt").message("endsAt must be after startsAt").field_path(".endsAt"))]
pub struct SilenceSpec {
    /// Which alerts: all of these must match an alert's labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub matchers: Option<Vec<LabelMatcher>>,
    /// One episode of one alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_ref: Option<AlertRef>,
    /// From when; default when it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Time>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// How long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Again and again: a cron expression of five fields says when each silence begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 128))]
    pub schedule: Option<String>,
    /// Resolved: an acknowledgement. Repeats and escalation stop, the end is still told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<SilenceUntil>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub author: Option<String>,
    /// Why.
    #[schemars(length(min = 1, max = 1024))]
    pub comment: String,
}

/// One episode of one alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertRef {
    /// The alert's id.
    #[schemars(length(min = 1, max = 64))]
    pub fingerprint: String,
    /// When the episode began to fire, unix seconds.
    #[schemars(range(min = 0))]
    pub episode: i64,
}

/// When an acknowledgement ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SilenceUntil {
    /// With the episode.
    Resolved,
}

/// The state of a Silence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SilenceStatus {
    /// The generation of the spec that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Pending`, `Active` or `Expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub state: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// How many alerts it covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<i32>,
    /// `Accepted`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}
