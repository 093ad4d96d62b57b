//! The generated CRDs: equal to the committed files, structural, bounded, and with the promised names and columns.

use std::path::PathBuf;

use serde_json::Value;
use vitals::api::{self, Kind};

fn path(kind: Kind) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crds").join(format!("vitals.dev_{}.yaml", kind.plural()))
}

fn yaml(kind: Kind) -> String {
    serde_saphyr::to_string(&kind.crd()).unwrap()
}

fn json(kind: Kind) -> Value {
    serde_json::to_value(kind.crd()).unwrap()
}

/// Calls `visit` with the dotted path of every schema node.
fn walk<'a>(schema: &'a Value, path: &str, visit: &mut dyn FnMut(&str, &'a Value)) {
    visit(path, schema);
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        walk(child, &format!("{path}.{name}"), visit);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(&schema["additionalProperties"], &format!("{path}.*"), visit);
    }
}

fn schema(crd: &Value) -> &Value {
    &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

#[test]
fn the_committed_crds_are_the_generated_ones() {
    for kind in Kind::ALL {
        let generated = yaml(kind);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path(kind), &generated).unwrap();
        }
        let committed = std::fs::read_to_string(path(kind)).unwrap_or_default();
        assert!(
            committed == generated,
            "{} is not what the code generates; run UPDATE_GOLDEN=1 cargo test --test crds",
            path(kind).display()
        );
    }
}

#[test]
fn the_committed_files_read_back_as_the_generated_crds() {
    for kind in Kind::ALL {
        let read: Value = serde_saphyr::from_str(&std::fs::read_to_string(path(kind)).unwrap()).unwrap();
        assert_eq!(read, json(kind), "{kind}");
    }
}

#[test]
fn every_crd_fits_into_an_annotation_of_kubectl_apply() {
    for kind in Kind::ALL {
        let bytes = serde_json::to_vec(&kind.crd()).unwrap().len();
        assert!(bytes < 262_144, "{kind} has {bytes} bytes");
    }
}

#[test]
fn names_are_those_that_nobody_else_owns() {
    for kind in Kind::ALL {
        let crd = json(kind);
        assert_eq!(crd["spec"]["group"], api::GROUP);
        assert_eq!(crd["spec"]["names"]["kind"], kind.as_str());
        assert_eq!(crd["spec"]["names"]["plural"], kind.plural());
        assert_eq!(crd["spec"]["names"]["shortNames"], serde_json::json!([kind.short_name()]));
        assert_eq!(crd["spec"]["names"]["categories"], serde_json::json!([api::CATEGORY]));
        assert_eq!(crd["spec"]["scope"], if kind.namespaced() { "Namespaced" } else { "Cluster" });
        assert_eq!(crd["spec"]["versions"][0]["name"], api::VERSION);
        assert_eq!(crd["spec"]["versions"][0]["subresources"], serde_json::json!({ "status": {} }));
    }
}

#[test]
fn printer_columns_are_those_of_the_contract() {
    let promised = [
        (Kind::HealthCheck, "TYPE HEALTH NODES REASON SINCE AGE", "INTERVAL TARGET MESSAGE"),
        (Kind::AlertRule, "STATE SEVERITY FIRING SINCE AGE", "EXPR FOR MESSAGE"),
        (Kind::Dashboard, "READY PANELS URL AGE", ""),
        (Kind::AlertReceiver, "TYPE READY REASON AGE", ""),
        (Kind::Silence, "STATE ENDS MATCHED AUTHOR AGE", "COMMENT"),
        (Kind::AgentReport, "ROLE HEALTHY FIRING PLAN SEEN AGE", "VERSION"),
        (Kind::VitalsConfig, "AGENTS READY AGE", ""),
    ];
    for (kind, narrow, wide) in promised {
        let crd = json(kind);
        let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
        let of = |priority: i64| {
            let names = columns.iter().filter(|c| c["priority"].as_i64().unwrap_or(0) == priority);
            names.map(|c| c["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(0), narrow, "{kind}");
        assert_eq!(of(1), wide, "{kind}");
    }
}

#[test]
fn every_column_shows_a_field_that_the_schema_has() {
    for kind in Kind::ALL {
        let crd = json(kind);
        for column in crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap() {
            let path = column["jsonPath"].as_str().unwrap();
            let path = path.replace("[?(@.type==\"Ready\")]", "[]").replace("[?(@.type==\"Healthy\")]", "[]");
            if path.starts_with(".metadata") {
                continue;
            }
            let mut found = None;
            walk(schema(&crd), "", &mut |at, node| {
                if at == path {
                    found = Some(node["type"].clone());
                }
            });
            let kind_of_field = found.unwrap_or_else(|| panic!("{kind}: no field {path}"));
            let expected = if column["type"] == "integer" { "integer" } else { "string" };
            assert_eq!(kind_of_field, expected, "{kind} {path}");
        }
    }
}

#[test]
fn schemas_are_structural_bounded_and_without_floats() {
    for kind in Kind::ALL {
        let crd = json(kind);
        walk(schema(&crd), "", &mut |path, node| {
            let at = format!("{kind}{path}: {node}");
            if path == ".metadata" {
                return;
            }
            for word in ["oneOf", "anyOf", "allOf", "not", "$ref", "nullable", "x-kubernetes-preserve-unknown-fields"] {
                assert!(node.get(word).is_none(), "{word} at {at}");
            }
            assert!(node["format"].as_str().is_none_or(|format| !format.starts_with("uint")), "{at}");
            assert!(!node["additionalProperties"].is_boolean(), "{at}");
            assert!(!(node.get("properties").is_some() && node.get("additionalProperties").is_some()), "{at}");
            match node["type"].as_str() {
                Some("string") => {
                    let bounded = ["maxLength", "enum", "format"].iter().any(|word| node.get(word).is_some());
                    assert!(bounded || [".apiVersion", ".kind"].contains(&path), "no bound: {at}");
                }
                Some("array") => assert!(node["maxItems"].is_u64() || node["maxItems"].is_i64(), "no bound: {at}"),
                Some("object") => {
                    let map = node.get("additionalProperties").is_some();
                    assert!(!map || node.get("maxProperties").is_some(), "no bound: {at}");
                }
                Some("integer" | "boolean") => {}
                None => assert_eq!(node["x-kubernetes-int-or-string"], true, "no type: {at}"),
                other => panic!("{other:?} at {at}"),
            }
        });
    }
}

#[test]
fn every_field_says_what_it_is() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::AgentReport) {
        let crd = json(kind);
        walk(schema(&crd), "", &mut |path, node| {
            let own = path.starts_with(".spec.") && !path.ends_with("[]") && !path.ends_with(".*");
            assert!(!own || node["description"].is_string(), "{kind}{path} has no description");
        });
    }
}

#[test]
fn every_rule_has_a_message_for_people() {
    let mut rules = 0;
    for kind in Kind::ALL {
        let crd = json(kind);
        walk(schema(&crd), "", &mut |path, node| {
            for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
                rules += 1;
                assert!(rule["message"].as_str().is_some_and(|text| text.len() > 15), "{kind}{path}: {rule}");
            }
        });
    }
    assert!(rules > 40, "only {rules} rules were found");
}
