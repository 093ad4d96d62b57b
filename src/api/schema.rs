//! Makes a derived CRD structural and bounded: what the API server accepts without a warning.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value};

/// Bound of a text that has none of its own.
const MAX_TEXT: u64 = 1024;
/// Bound of a list that has none of its own.
const MAX_ITEMS: u64 = 64;
/// Bound of a map that has none of its own.
const MAX_ENTRIES: u64 = 64;

/// Cleans every schema of a CRD:
///
/// - formats that OpenAPI in Kubernetes does not know (`uint32`, …) go, their lower bound stays;
/// - `additionalProperties: false` goes: a structural schema knows its fields anyway;
/// - `nullable` goes: an empty field is a mistake, not a value;
/// - defaults that say nothing (`null`, `[]`, `{}`) go;
/// - every text, list and map gets a bound, without which the API server refuses the cost of CEL rules.
#[must_use]
pub fn normalize(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let Ok(mut json) = serde_json::to_value(&crd) else { return crd };
    let versions = json.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten() {
        if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
            clean(schema);
        }
    }
    // The derive writes `shortNames` and `singular` in any case; reading back cannot fail on what was just written.
    serde_json::from_value(json).unwrap_or(crd)
}

fn clean(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    map.remove("nullable");
    if map.get("additionalProperties").is_some_and(Value::is_boolean) {
        map.remove("additionalProperties");
    }
    if map.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        map.remove("format");
        map.entry("minimum").or_insert_with(|| Value::from(0));
    }
    if map.get("default").is_some_and(says_nothing) {
        map.remove("default");
    }
    tidy_description(map);
    bound(map);
    for child in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        clean(child);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(key) {
            clean(child);
        }
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// One line: doc comments are wrapped for people who read code.
fn tidy_description(map: &mut Map<String, Value>) {
    if let Some(text) = map.get("description").and_then(Value::as_str) {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        map.insert("description".into(), Value::from(line));
    }
}

fn bound(map: &mut Map<String, Value>) {
    match map.get("type").and_then(Value::as_str) {
        Some("string") => {
            let bounded = map.contains_key("enum") || map.contains_key("format") || map.contains_key("maxLength");
            if !bounded {
                map.insert("maxLength".into(), Value::from(MAX_TEXT));
            }
        }
        Some("array") => {
            map.entry("maxItems").or_insert_with(|| Value::from(MAX_ITEMS));
        }
        Some("object") if map.contains_key("additionalProperties") => {
            map.entry("maxProperties").or_insert_with(|| Value::from(MAX_ENTRIES));
        }
        _ => {}
    }
}
