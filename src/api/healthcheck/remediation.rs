//! What is done by itself when a check fails or an alert fires.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::{ObjectRef, number_or_percent};
use crate::model::Span;
use crate::model::spec::LabelSelector;

/// Self-healing, bounded and dry by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemediationSpec {
    /// What is done.
    pub action: RemediationAction,
    /// DryRun only says what would be done.
    #[serde(default)]
    pub mode: RemediationMode,
    /// How long the trouble must last first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// How often it is tried.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: i32,
    /// Least time between two attempts.
    #[serde(default = "ten_minutes")]
    pub cooldown: Span,
    /// Time of health after which the attempts are forgotten.
    #[serde(default = "one_hour")]
    pub reset_after: Span,
    /// Nothing is done while fewer results than this are healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "number_or_percent")]
    pub min_healthy: Option<IntOrString>,
    /// Whether somebody must approve each attempt.
    #[serde(default)]
    pub approval: Approval,
    /// What is done when the attempts are used up, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub escalate: Vec<RemediationAction>,
}

fn three() -> i32 {
    3
}

fn ten_minutes() -> Span {
    Span::seconds(600)
}

fn one_hour() -> Span {
    Span::seconds(3600)
}

/// Whether anything is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RemediationMode {
    /// Only say what would be done.
    #[default]
    DryRun,
    /// Do it.
    Apply,
}

/// Whether somebody must approve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    /// Nobody.
    #[default]
    None,
    /// Somebody with the right to.
    Required,
}

/// Exactly one thing to do.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.deletePod), has(self.rolloutRestart), has(self.cordon), has(self.uncordon), has(self.nodeCondition), has(self.runJob), has(self.webhook), has(self.restartUnit), has(self.restoreFile), has(self.exec)].filter(present, present).size() == 1").message("a remediation action is exactly one of deletePod, rolloutRestart, cordon, uncordon, nodeCondition, runJob, webhook, restartUnit, restoreFile, exec"))]
pub struct RemediationAction {
    /// Delete the pods so that their owner makes new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_pod: Option<PodsAction>,
    /// Restart a workload as `kubectl rollout restart` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_restart: Option<WorkloadAction>,
    /// Keep new pods off the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordon: Option<NothingMore>,
    /// Let pods onto the node again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncordon: Option<NothingMore>,
    /// Set a condition and optionally a taint on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_condition: Option<NodeConditionAction>,
    /// Run a Job made from a suspended CronJob or Job template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_job: Option<RunJobAction>,
    /// Call an AlertReceiver's webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookAction>,
    /// Restart a systemd unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_unit: Option<RestartUnitAction>,
    /// Put a file back as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_file: Option<RestoreFileAction>,
    /// Run a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecAction>,
}

/// An action without settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NothingMore {}

/// Which pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodsAction {
    /// Labels of the pods.
    pub selector: LabelSelector,
}

/// Which workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadAction {
    /// Deployment, StatefulSet or DaemonSet.
    #[schemars(length(max = 16), regex(pattern = "^(Deployment|StatefulSet|DaemonSet)$"))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Which condition and taint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeConditionAction {
    /// The condition's type.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// Also taint the node `vitals.dev/<type>` with this effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^(NoSchedule|PreferNoSchedule|NoExecute)$"))]
    pub taint: Option<String>,
}

/// Which Job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunJobAction {
    /// The CronJob whose template is used.
    pub cron_job_ref: ObjectRef,
    /// Pin the Job to the node that is in trouble.
    #[serde(default)]
    pub on_node: bool,
}

/// Which webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAction {
    /// An AlertReceiver with a webhook.
    pub receiver_ref: ObjectRef,
}

/// Which unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartUnitAction {
    /// Its name with suffix.
    #[schemars(length(min = 3, max = 256))]
    pub unit: String,
}

/// Which file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreFileAction {
    /// The file.
    #[schemars(length(min = 1, max = 4096), regex(pattern = "^/"))]
    pub path: String,
    /// Where its good copy is.
    #[schemars(length(min = 1, max = 4096), regex(pattern = "^/"))]
    pub from: String,
}

/// Which command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecAction {
    /// The program and its arguments; no shell in between.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096)))]
    pub command: Vec<String>,
}
