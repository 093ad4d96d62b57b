//! The parts that every object has: apiVersion, kind, metadata.

use serde_json::{Map, Value};

use super::Problem;
use super::words::{cut, nearest, shown};
use crate::api::{API_VERSION, Kind};

/// Fields of an object.
const TOP: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
/// Fields of metadata; those beyond the first four are the API server's and come with `kubectl get -o yaml`.
const METADATA: [&str; 15] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
    "selfLink",
];

/// Adds every mistake outside `spec`.
pub fn check(kind: Kind, object: &Value, out: &mut Vec<Problem>) {
    let Some(map) = object.as_object() else {
        out.push(Problem::new(
            "",
            "WrongType",
            "an object is a map of fields",
            "write apiVersion, kind, metadata, spec",
        ));
        return;
    };
    unknown_fields(map, &TOP, "", out);
    if map.get("apiVersion").and_then(Value::as_str) != Some(API_VERSION) {
        let found = map.get("apiVersion").map_or("nothing".into(), shown);
        let message = format!("{found} is not the version of {kind}");
        out.push(Problem::new("apiVersion", "UnknownVersion", message, format!("write {API_VERSION}")));
    }
    match map.get("metadata") {
        Some(Value::Object(metadata)) => check_metadata(kind, metadata, out),
        _ => {
            let remedy = "add `metadata:` with `name:` below it";
            out.push(Problem::new("metadata.name", "Required", "is missing", remedy));
        }
    }
}

fn check_metadata(kind: Kind, metadata: &Map<String, Value>, out: &mut Vec<Problem>) {
    unknown_fields(metadata, &METADATA, "metadata", out);
    match metadata.get("name") {
        Some(Value::String(name)) => {
            if !is_subdomain(name) {
                let message = format!("{:?} is not a name", cut(name));
                let remedy = "write lower-case letters, digits, - and . (at most 253), beginning and ending with a letter or digit";
                out.push(Problem::new("metadata.name", "BadName", message, remedy));
            }
        }
        Some(other) => {
            let message = format!("{} is not a text", shown(other));
            out.push(Problem::new("metadata.name", "WrongType", message, format!("put it in quotes: \"{other}\"")));
        }
        None => out.push(Problem::new("metadata.name", "Required", "is missing", "add `name:` below `metadata`")),
    }
    match metadata.get("namespace") {
        None => {}
        Some(_) if !kind.namespaced() => {
            let message = format!("a {kind} belongs to no namespace");
            out.push(Problem::new("metadata.namespace", "NotNamespaced", message, "remove it"));
        }
        Some(Value::String(name)) if is_dns_label(name) => {}
        Some(other) => {
            let message = format!("{} is not a namespace", shown(other));
            let remedy = "write lower-case letters, digits and - (at most 63)";
            out.push(Problem::new("metadata.namespace", "BadName", message, remedy));
        }
    }
    for field in ["labels", "annotations"] {
        match metadata.get(field) {
            None => {}
            Some(Value::Object(map)) => check_texts(map, field, out),
            Some(other) => {
                let message = format!("{} is not a map of texts", shown(other));
                out.push(Problem::new(
                    &format!("metadata.{field}"),
                    "WrongType",
                    message,
                    "write `name: \"value\"` below it",
                ));
            }
        }
    }
}

fn check_texts(map: &Map<String, Value>, field: &str, out: &mut Vec<Problem>) {
    for (name, value) in map.iter().take(super::MAX_PROBLEMS) {
        let at = format!("metadata.{field}.{name}");
        if !is_qualified_name(name) {
            let message = format!("{:?} is not a {} name", cut(name), field.trim_end_matches('s'));
            let remedy = "write at most 63 letters, digits, -, _ and ., optionally after a domain and /";
            out.push(Problem::new(&at, "BadName", message, remedy));
        }
        match value {
            Value::String(text) if field == "labels" && !is_label_value(text) => {
                let message = format!("{:?} is not a label's value", cut(text));
                let remedy = "write at most 63 letters, digits, -, _ and ., beginning and ending with a letter or digit; \
                              longer texts belong into annotations";
                out.push(Problem::new(&at, "BadValue", message, remedy));
            }
            Value::String(_) => {}
            other => {
                let message = format!("{} is not a text", shown(other));
                out.push(Problem::new(&at, "WrongType", message, format!("put it in quotes: \"{other}\"")));
            }
        }
    }
}

fn unknown_fields(map: &Map<String, Value>, known: &[&str], path: &str, out: &mut Vec<Problem>) {
    for name in map.keys().filter(|name| !known.contains(&name.as_str())).take(super::MAX_PROBLEMS) {
        let at = if path.is_empty() { cut(name) } else { format!("{path}.{}", cut(name)) };
        let remedy = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if path.is_empty() => "move it below `spec`, or remove it".into(),
            None => "remove it".into(),
        };
        out.push(Problem::new(&at, "UnknownField", "there is no such field", remedy));
    }
}

/// A DNS subdomain: what Kubernetes takes as the name of a resource.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| !part.is_empty() && dns_characters(part))
}

/// A DNS label: what Kubernetes takes as the name of a namespace.
fn is_dns_label(text: &str) -> bool {
    !text.is_empty() && text.len() <= 63 && dns_characters(text)
}

fn dns_characters(text: &str) -> bool {
    let ends_well = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends_well = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    text.len() <= 63
        && ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}
