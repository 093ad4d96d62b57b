//! AgentReport: what one agent says of itself. Written by agents, created by the controller, never by people.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::model::report::Report;

/// What the controller tells an agent beside the plan.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "vitals.dev",
    version = "v1alpha1",
    kind = "AgentReport",
    namespaced,
    shortname = "vrep",
    category = "vitals",
    status = "AgentReportStatus",
    derive = "PartialEq",
    doc = "What one agent says of itself. Written by agents, created by the controller, never by people.",
    printcolumn(name = "ROLE", type_ = "string", json_path = ".spec.role"),
    printcolumn(name = "HEALTHY", type_ = "string", json_path = ".status.summary.healthy"),
    printcolumn(name = "FIRING", type_ = "integer", json_path = ".status.summary.firing"),
    printcolumn(name = "PLAN", type_ = "integer", json_path = ".status.planRev"),
    printcolumn(name = "SEEN", type_ = "date", json_path = ".status.summary.seen"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "VERSION", type_ = "string", json_path = ".status.version", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct AgentReportSpec {
    /// What the agent does.
    pub role: AgentRole,
    /// Labels of the node that selectors use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub node_labels: BTreeMap<String, String>,
    /// Endpoints of pods on the node that the agent scrapes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 512)))]
    pub scrape: Vec<String>,
}

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AgentRole {
    /// One per node.
    Node,
    /// Runs cluster-placed checks.
    Prober,
}

/// The report itself, with a summary for the columns of `kubectl get`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentReportStatus {
    /// The report in short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<ReportSummary>,
    /// The report.
    #[serde(flatten)]
    pub report: Report,
}

/// A report in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportSummary {
    /// Healthy checks of all: `19/20`.
    pub healthy: String,
    /// How many alerts fire.
    pub firing: i32,
    /// When it was written.
    pub seen: Time,
}

impl JsonSchema for AgentReportStatus {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AgentReportStatus".into()
    }

    /// Written by hand: the shape of [`Report`] and nothing that is not in it, with the bounds of DESIGN §6.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let count = json_schema!({ "type": "integer", "format": "int64", "minimum": 0 });
        let seconds = json_schema!({ "type": "integer", "format": "int64", "description": "Unix seconds." });
        let word = json_schema!({ "type": "string", "maxLength": 128 });
        let instance = serde_json::json!({
            "slot": count, "fp": { "type": "string", "maxLength": 16, "pattern": "^[0-9a-f]{16}$" },
            "labels": { "type": "object", "maxProperties": 64, "additionalProperties": { "type": "string", "maxLength": 1024 } },
            "activeAt": seconds, "firedAt": seconds, "keepFiringSince": seconds,
            "value": { "type": "string", "maxLength": 32, "description": "A number as text." }
        });
        let mut ended = instance.clone();
        if let (Some(map), Ok(value)) = (ended.as_object_mut(), serde_json::to_value(&seconds)) {
            map.insert("resolvedAt".into(), value);
        }
        json_schema!({
            "type": "object",
            "description": "The report, with a summary for the columns of `kubectl get`.",
            "required": ["epoch", "seq", "renewTime", "planRev", "version", "states"],
            "properties": {
                "summary": { "type": "object", "required": ["healthy", "firing", "seen"], "properties": {
                    "healthy": { "type": "string", "maxLength": 32 },
                    "firing": { "type": "integer", "format": "int32", "minimum": 0 },
                    "seen": { "type": "string", "format": "date-time" } } },
                "epoch": count, "seq": count, "renewTime": seconds, "planRev": count, "version": word,
                "states": { "type": "string", "maxLength": 16384, "description": "Two bits of health per slot, base64." },
                "reasons": { "type": "array", "maxItems": 64, "items": { "type": "object",
                    "required": ["slot", "reason", "since"], "properties": {
                        "slot": count, "reason": word, "message": { "type": "string", "maxLength": 512 }, "since": seconds } } },
                "rules": { "type": "array", "maxItems": 1024, "items": { "type": "object", "required": ["slot"],
                    "properties": { "slot": count, "pending": count, "firing": count, "dropped": count } } },
                "notEvaluated": { "type": "array", "maxItems": 16, "items": { "type": "object",
                    "required": ["slot", "reason"], "properties": { "slot": count, "reason": word } } },
                "moreNotEvaluated": { "type": "boolean" },
                "pending": { "type": "array", "maxItems": 512, "items": { "type": "object",
                    "required": ["slot", "fp", "labels", "activeAt", "value"], "properties": instance } },
                "firing": { "type": "array", "maxItems": 512, "items": { "type": "object",
                    "required": ["slot", "fp", "labels", "activeAt", "value"], "properties": instance } },
                "resolved": { "type": "array", "maxItems": 512, "items": { "type": "object",
                    "required": ["slot", "fp", "labels", "activeAt", "value", "resolvedAt"], "properties": ended } },
                "truncated": { "type": "object", "properties": { "pending": count, "firing": count, "resolved": count } }
            }
        })
    }
}
