//! Where a check runs, and when its failures are expected.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Span;
use crate::model::spec::LabelSelector;

/// Where a check runs.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.replicas) || self.type == 'Cluster'").message("replicas is for placement type Cluster").field_path(".replicas"))]
#[x_kube(validation = Rule::new("has(self.selector) == (self.type == 'Nodes')").message("placement type Nodes needs a selector, the other types have none").field_path(".selector"))]
pub struct Placement {
    /// Cluster: from one place. EveryNode: on every node. Nodes: on the nodes that `selector` selects.
    #[serde(rename = "type")]
    pub kind: PlacementType,
    /// From how many places at once (Cluster); default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub replicas: Option<i32>,
    /// Labels of the nodes (Nodes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// The three ways to place a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlacementType {
    /// From one place, a prober.
    Cluster,
    /// On every node.
    EveryNode,
    /// On chosen nodes.
    Nodes,
}

/// A time at which failures are expected.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.schedule) != has(self.startsAt)").message("a maintenance window has either schedule or startsAt"))]
pub struct MaintenanceWindow {
    /// When it begins again and again: a cron expression of five fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 128))]
    pub schedule: Option<String>,
    /// When it begins once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Time>,
    /// How long it lasts.
    pub duration: Span,
    /// The time zone of the schedule, such as `Europe/Berlin`; default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub time_zone: Option<String>,
}
