//! Data as templates see it: an alert's context, or the JSON of a notification.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::Value;

use super::AlertContext;
use super::budget::labels_value;

/// Fields of a rule's template at the top.
pub(super) const ALERT_FIELDS: [&str; 4] = ["Labels", "Value", "ExternalLabels", "ExternalURL"];
/// Fields of a message's template at the top.
pub(super) const NOTIFICATION_FIELDS: [&str; 11] = [
    "Receiver",
    "Status",
    "Alerts",
    "GroupLabels",
    "CommonLabels",
    "CommonAnnotations",
    "ExternalURL",
    "GroupKey",
    "TruncatedAlerts",
    "NotificationReason",
    "Version",
];

/// `.Labels`, `.Value`, `.ExternalLabels`, `.ExternalURL`.
pub(super) fn alert(context: &AlertContext<'_>) -> Value {
    Value::Map(Arc::new(BTreeMap::from([
        (Arc::from("Labels"), labels_value(context.labels)),
        (Arc::from("Value"), Value::Float(context.value)),
        (Arc::from("ExternalLabels"), labels_value(context.external_labels)),
        (Arc::from("ExternalURL"), Value::String(Arc::from(context.external_url))),
    ])))
}

/// Any JSON. Depth is bounded by serde_json's own limit when it was read, or by the code that built it.
pub(super) fn json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::Bool(*flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::Int(integer),
            (None, Some(integer)) => Value::Uint(integer),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(Arc::from(text.as_str())),
        serde_json::Value::Array(items) => Value::List(items.iter().map(json).collect()),
        serde_json::Value::Object(map) => {
            Value::Map(Arc::new(map.iter().map(|(key, value)| (Arc::from(key.as_str()), json(value))).collect()))
        }
    }
}

/// The other way, for `toJson`.
pub(super) fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil | Value::Function(_) => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => text.to_string().into(),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(map) => {
            serde_json::Value::Object(map.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect())
        }
    }
}
