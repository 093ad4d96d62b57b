//! Dashboard: panels over series, alerts and checks, drawn by the page and exported to other tools.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::conditions;
use crate::model::Span;
use crate::model::dashboard::Panel;

/// A dashboard.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "vitals.dev",
    version = "v1alpha1",
    kind = "Dashboard",
    namespaced,
    shortname = "vdb",
    category = "vitals",
    status = "DashboardStatus",
    derive = "PartialEq",
    doc = "Panels over series, alerts and checks, drawn by the page and exported to other tools.",
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "PANELS", type_ = "integer", json_path = ".status.panels"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.panels.all(p, p.kind in ['AlertList', 'HealthMatrix'] || has(p.queries))").message("every panel but AlertList and HealthMatrix needs queries").field_path(".panels"))]
#[x_kube(validation = Rule::new("self.panels.all(p, !has(p.queries) || p.queries.all(q, has(q.expr) != has(q.metric)))").message("each query has either expr or metric").field_path(".panels"))]
pub struct DashboardSpec {
    /// The heading.
    #[schemars(length(min = 1, max = 128))]
    pub title: String,
    /// One sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub description: String,
    /// How often the page asks again; default DASHBOARD_UPDATE_INTERVAL, 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_interval: Option<Span>,
    /// Values that a reader chooses and queries use as `$name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub variables: Vec<DashboardVariable>,
    /// What it shows.
    #[schemars(length(min = 1, max = 40))]
    pub panels: Vec<Panel>,
    /// Other tools that get a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exports: Option<DashboardExports>,
}

/// A value that a reader chooses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DashboardVariable {
    /// Its name.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub name: String,
    /// The label whose values are offered.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub label: String,
    /// Only values of this metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub metric: Option<String>,
    /// The value at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub default: Option<String>,
}

/// Other tools that get a copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DashboardExports {
    /// Grafana.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grafana: Option<GrafanaExport>,
}

/// How Grafana gets a copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrafanaExport {
    /// A ConfigMap for the sidecar, or a GrafanaDashboard for grafana-operator.
    #[serde(default)]
    pub mode: GrafanaMode,
    /// Labels of the ConfigMap; default `grafana_dashboard: "1"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: BTreeMap<String, String>,
    /// The folder in Grafana.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub folder: Option<String>,
    /// Labels of the Grafana instances (GrafanaDashboard).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub instance_selector: BTreeMap<String, String>,
    /// The data source's uid in Grafana.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub datasource_uid: Option<String>,
}

/// The form of a copy for Grafana.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GrafanaMode {
    /// A ConfigMap that the sidecar loads.
    #[default]
    ConfigMap,
    /// An object of grafana-operator.
    GrafanaDashboard,
}

/// The state of a Dashboard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DashboardStatus {
    /// The generation of the spec that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
    /// How many panels it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panels: Option<i32>,
    /// The hash of what was exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub content_hash: Option<String>,
    /// Where copies are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub exports: Vec<ExportedAs>,
    /// `Ready`, `Exported`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// One copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportedAs {
    /// The copy's kind.
    #[schemars(length(max = 64))]
    pub kind: String,
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
}
