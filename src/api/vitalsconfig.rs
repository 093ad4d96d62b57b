//! VitalsConfig: the one object of settings of an installation; the same document configures `vitals run`.

mod outputs;
mod policy;
mod workload;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use outputs::{
    ExportsSpec, JsonExport, JsonFormat, LogFormat, LogsSpec, OtlpExport, PushgatewayExport, RemoteWriteExport,
};
pub use policy::{AuthMode, AuthSpec, CheckPolicySpec, NetworkPolicySpec, RulePolicySpec, TlsServerSpec};
pub use workload::{AgentProfile, AgentSpec, GpuWorkload, ProberSpec, ResourceAmounts, ResourcesSpec, TolerationSpec};

use super::common::{ObjectRef, conditions};
use crate::model::Span;
use crate::model::spec::LabelSelector;

/// Settings. Precedence everywhere: flag, environment, this, built-in default; so nothing here has a default of its own.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "vitals.dev",
    version = "v1alpha1",
    kind = "VitalsConfig",
    shortname = "vcfg",
    category = "vitals",
    status = "VitalsConfigStatus",
    derive = "PartialEq",
    doc = "The one object of settings of an installation, named default.",
    validation = Rule::new("self.metadata.name == 'default'").message("there is one VitalsConfig and its name is default").field_path(".metadata.name"),
    printcolumn(name = "AGENTS", type_ = "string", json_path = ".status.agents"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct VitalsConfigSpec {
    /// Which collectors run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collectors: Option<CollectorsSpec>,
    /// Labels of every series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsSpec>,
    /// Which sets of metric names are exposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NamesSpec>,
    /// The times of CONTRACT's environment variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<IntervalsSpec>,
    /// How much history is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSpec>,
    /// What leaves the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSpec>,
    /// Where samples are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exports: Option<ExportsSpec>,
    /// Namespaces that are trusted beside the operator's own and those labelled `vitals.dev/trusted=true`; when set in
    /// `vitals run`, only these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 63)))]
    pub trusted_namespaces: Option<Vec<String>>,
    /// Who may ask for which checks, and how often a target may be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_policy: Option<CheckPolicySpec>,
    /// Who may see which series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_policy: Option<RulePolicySpec>,
    /// What may be dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicySpec>,
    /// Who may call the HTTP API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSpec>,
    /// The HTTP API's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsServerSpec>,
    /// The shipped rules and dashboards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<DefaultsSpec>,
    /// The receiver of alerts that no other receiver takes; default the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_receiver: Option<ObjectRef>,
    /// The process's own log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogsSpec>,
    /// The agents' workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSpec>,
    /// The probers' workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prober: Option<ProberSpec>,
    /// PrometheusRule objects that are followed as AlertRules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus_rule_selector: Option<LabelSelector>,
}

/// Which collectors run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectorsSpec {
    /// These too, or with `disable: ["*"]` only these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 64)))]
    pub enable: Vec<String>,
    /// Not these; `*` = none but those enabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 64)))]
    pub disable: Vec<String>,
}

/// Labels of every series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelsSpec {
    /// Label `job`; default node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub job: Option<String>,
    /// More labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub extra: BTreeMap<String, String>,
}

/// Which sets of metric names are exposed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamesSpec {
    /// node_exporter's names; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_exporter: Option<bool>,
    /// The names `cpu_*`, `memory_*`, `gpu_*`, `system_*`, `component_*`; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<bool>,
    /// Older prefixes as aliases; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<bool>,
}

/// Times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntervalsSpec {
    /// Between runs of a check that names none (HEALTH_CHECK_INTERVAL); default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Span>,
    /// Deadline of a check that names none (HEALTH_CHECK_TIMEOUT); default the smaller of 10s and its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_timeout: Option<Span>,
    /// Between evaluations of a rule that names none (ALERT_CHECK_INTERVAL); default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Span>,
    /// Between refreshes of a dashboard that names none (DASHBOARD_UPDATE_INTERVAL); default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<Span>,
    /// Between pushes to outputs that name none (METRICS_EXPORT_INTERVAL); default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Span>,
}

/// How much history is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionSpec {
    /// Hours of series that a rule or dashboard selects (METRICS_RETENTION_HOURS); default 24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8784))]
    pub hours: Option<i32>,
    /// Most memory for history: a number with `Ki`, `Mi`, `Gi`; default 16Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^[1-9][0-9]*(Ki|Mi|Gi)?$"))]
    pub max_memory: Option<String>,
    /// Where state is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub directory: Option<String>,
}

/// What leaves the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricsSpec {
    /// Names of metrics, or `name{label}` for one label, that no output shows; `*` at the end stands for the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(min = 1, max = 256)))]
    pub drop: Vec<String>,
}

/// The shipped rules and dashboards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultsSpec {
    /// The dashboards; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboards: Option<bool>,
    /// The rules; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<bool>,
}

/// The state of an installation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitalsConfigStatus {
    /// The generation of the spec that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Agents that are ready, of those expected: `4988/5000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub agents: Option<String>,
    /// The plan in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_revision: Option<i64>,
    /// `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}
