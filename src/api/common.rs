//! Pieces that several resources share: references, matchers, conditions, times.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::model::{MatchOp, Matcher};

/// The schema of a condition list: a map by type, as `kubectl wait` and server-side apply want it.
pub fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "The state in the form that `kubectl wait --for=condition=…` reads.",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "type": "string", "maxLength": 64 },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                "observedGeneration": { "type": "integer", "format": "int64", "minimum": 0 },
                "lastTransitionTime": { "type": "string", "format": "date-time" },
                "reason": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" },
                "message": { "type": "string", "maxLength": 4096 }
            }
        }
    })
}

/// The schema of a number or a percentage: `3` or `"80%"`.
pub fn number_or_percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "A number, such as 3, or a percentage in quotes, such as \"80%\".",
        "x-kubernetes-int-or-string": true,
        "pattern": "^(100|[1-9]?[0-9])%$",
        "minimum": 0,
        "maxLength": 4
    })
}

/// The schema of the four ways to match.
fn match_type(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["=", "!=", "=~", "!~"], "default": "=",
        "description": "How: = equal, != not equal, =~ and !~ a regular expression anchored at both ends." })
}

fn equal() -> MatchOp {
    MatchOp::Equal
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelMatcher {
    /// The label.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub name: String,
    /// How it is compared.
    #[serde(default = "equal")]
    #[schemars(schema_with = "match_type")]
    pub match_type: MatchOp,
    /// With what.
    #[schemars(length(max = 1024))]
    pub value: String,
}

impl LabelMatcher {
    /// Compiles it.
    ///
    /// # Errors
    /// A regular expression that does not compile or is too large.
    pub fn matcher(&self) -> Result<Matcher, crate::model::matcher::MatcherError> {
        Matcher::new(self.name.clone(), self.match_type, self.value.clone())
    }
}

/// Another resource, in the same namespace unless it names one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; default this resource's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// How urgent, most urgent first; `warning` ranks and counts as medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeverityWord {
    /// Now.
    Critical,
    /// Today.
    High,
    /// Soon.
    Medium,
    /// Soon, in Prometheus's usual word.
    Warning,
    /// Some day.
    Low,
    /// For the record.
    Info,
}

impl SeverityWord {
    /// The word as written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Warning => "warning",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

/// Who took an alert in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// Who.
    #[schemars(length(max = 256))]
    pub by: String,
    /// When.
    pub at: Time,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub comment: String,
}
