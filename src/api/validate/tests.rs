//! Every mistake is found, in one go, with what to write instead.

use serde_json::{Value, json};

use super::*;

fn check(spec: Value) -> Value {
    json!({ "apiVersion": "vitals.dev/v1alpha1", "kind": "HealthCheck", "metadata": { "name": "web" }, "spec": spec })
}

fn found(kind: Kind, object: &Value) -> Vec<String> {
    validate(kind, object).iter().map(ToString::to_string).collect()
}

fn check_problems(spec: Value) -> Vec<String> {
    found(Kind::HealthCheck, &check(spec))
}

fn rule(spec: Value) -> Vec<String> {
    let object =
        json!({ "apiVersion": "vitals.dev/v1alpha1", "kind": "AlertRule", "metadata": { "name": "r" }, "spec": spec });
    found(Kind::AlertRule, &object)
}

#[test]
fn a_sound_check_has_no_problem() {
    assert_eq!(check_problems(json!({ "http": { "url": "http://shop/health" }, "interval": "10s" })), [""; 0]);
    assert_eq!(check_problems(json!({ "memory": {} })), [""; 0]);
}

#[test]
fn a_misspelt_field_is_answered_with_the_right_one_and_nothing_else() {
    let problems = check_problems(json!({ "htpt": { "url": "http://shop/" } }));
    assert_eq!(problems, ["spec.htpt: there is no such field; did you mean `http`?"]);
}

#[test]
fn a_field_one_level_too_high_is_sent_to_its_home() {
    let problems = check_problems(json!({ "tcp": { "host": "db", "port": 1 }, "consumerGroup": "a" }));
    assert_eq!(
        problems,
        ["spec.consumerGroup: there is no such field; it belongs below another field, such as `kafka`"]
    );
}

#[test]
fn two_kinds_of_check_in_one_are_refused() {
    let problems = check_problems(json!({ "memory": {}, "cpu": {} }));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("spec: a HealthCheck has exactly one kind of check"), "{problems:?}");
    assert!(check_problems(json!({ "interval": "10s" }))[0].contains("exactly one kind of check"));
}

#[test]
fn all_mistakes_are_named_not_only_the_first() {
    let problems = check_problems(json!({
        "http": { "url": "shop", "method": "FETCH", "expect": { "status": ["2xx"] } },
        "memory": {},
        "interval": 30,
        "timeout": "1d",
        "retries": 99,
        "suspend": "yes",
        "dependsOn": "db"
    }));
    let expected = [
        "spec.http.url: is 4 characters long, at least 8 are needed",
        "spec.http.method: \"FETCH\" has not the right form; write one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "spec.http.expect.status[0]: \"2xx\" has not the right form; write a status code or a range, such as \"200\" or \"200-299\"",
        "spec.interval: 30 is not a text; write a unit too: 30s",
        "spec.timeout: \"1d\" is not a duration; write a number with a unit ms, s, m or h, such as \"30s\" or \"1h30m\" (at most a year)",
        "spec.retries: 99 is out of range; write a number from 0 to 10",
        "spec.suspend: \"yes\" is not true or false; write true or false without quotes",
        "spec.dependsOn: \"db\" is not a list; write a list: each entry on its own line after `- `",
        "spec: a HealthCheck has exactly one kind of check, such as http, tcp or disk; write one HealthCheck for each; there are http and memory",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_timeout_beyond_the_interval_is_refused() {
    let problems = check_problems(json!({ "memory": {}, "interval": "10s", "timeout": "11s" }));
    assert_eq!(
        problems,
        ["spec.timeout: timeout must not be longer than interval, because a check never overlaps itself"]
    );
    assert_eq!(check_problems(json!({ "memory": {}, "interval": "1m", "timeout": "59s" })), [""; 0]);
    assert_eq!(check_problems(json!({ "memory": {}, "interval": "500ms" })).len(), 1);
}

#[test]
fn an_empty_field_is_a_mistake_with_a_remedy() {
    let problems = check_problems(json!({ "memory": null }));
    assert_eq!(problems[0], "spec.memory: has no value; write `memory: {}` or remove it");
}

#[test]
fn quorum_is_a_number_or_a_percentage_and_only_one_of_both() {
    assert_eq!(check_problems(json!({ "memory": {}, "minHealthy": 3 })), [""; 0]);
    assert_eq!(check_problems(json!({ "memory": {}, "minHealthy": "80%" })), [""; 0]);
    let problems = check_problems(json!({ "memory": {}, "minHealthy": "80" }));
    assert!(problems[0].contains("\"80%\""), "{problems:?}");
    let problems = check_problems(json!({ "memory": {}, "minHealthy": 1, "maxUnhealthy": 1 }));
    assert_eq!(problems, ["spec.maxUnhealthy: write minHealthy or maxUnhealthy, not both"]);
}

#[test]
fn limits_must_be_in_order() {
    let limits = json!({ "degraded": { "disk": 90 }, "unhealthy": { "disk": 80 } });
    assert_eq!(check_problems(json!({ "disk": {}, "thresholds": limits })).len(), 1);
    let limits = json!({ "degraded": { "disk": 70, "responseTime": "1s" }, "unhealthy": { "disk": 80 } });
    assert_eq!(check_problems(json!({ "disk": {}, "thresholds": limits })), [""; 0]);
}

#[test]
fn placement_parts_must_fit_together() {
    let with = |placement: Value| check_problems(json!({ "memory": {}, "placement": placement })).len();
    assert_eq!(with(json!({ "type": "EveryNode" })), 0);
    assert_eq!(with(json!({ "type": "Nodes", "selector": { "matchLabels": { "a": "b" } } })), 0);
    assert_eq!(with(json!({ "type": "Nodes" })), 1);
    assert_eq!(with(json!({ "type": "EveryNode", "replicas": 2 })), 1);
    assert_eq!(with(json!({ "type": "everynode" })), 1);
}

#[test]
fn two_targets_with_one_address_are_refused() {
    let targets = json!([{ "address": "a:1" }, { "address": "a:1" }]);
    let problems = check_problems(json!({ "tcp": { "host": "a", "port": 1 }, "targets": targets }));
    assert_eq!(problems, ["spec.targets[1]: has the same address as entry [0]; remove one of them"]);
}

#[test]
fn a_header_has_a_value_or_a_secret() {
    let header = |header: Value| check_problems(json!({ "http": { "url": "http://a/b", "headers": [header] } })).len();
    assert_eq!(header(json!({ "name": "X", "value": "1" })), 0);
    assert_eq!(header(json!({ "name": "X" })), 1);
    assert_eq!(header(json!({ "name": "X", "value": "1", "secretKeyRef": { "name": "s", "key": "k" } })), 1);
}

#[test]
fn a_rule_has_exactly_one_condition() {
    assert_eq!(rule(json!({ "expr": "up == 0" })), [""; 0]);
    assert!(rule(json!({ "for": "5m" }))[0].contains("exactly one condition"));
    assert!(rule(json!({ "expr": "up", "health": { "name": "web" } }))[0].contains("exactly one condition"));
}

#[test]
fn a_recording_rule_is_no_alert() {
    assert_eq!(rule(json!({ "record": "a:b:c", "expr": "up" })), [""; 0]);
    assert_eq!(rule(json!({ "record": "a:b:c", "expr": "up", "severity": "high" })).len(), 1);
    assert_eq!(rule(json!({ "record": "a:b:c", "health": { "name": "x" } })).len(), 1);
}

#[test]
fn words_of_the_rule_are_checked() {
    let problems = rule(json!({ "expr": "up", "severity": "crtical" }));
    assert_eq!(problems, ["spec.severity: \"crtical\" is not known here; write critical"]);
    let threshold = json!({ "metric": "node_load1", "operator": "Above", "value": 2 });
    let problems = rule(json!({ "threshold": threshold }));
    assert!(problems[0].contains("GreaterThan"), "{problems:?}");
    assert_eq!(problems[1], "spec.threshold.value: 2 is not a text; put it in quotes: \"2\"");
}

#[test]
fn a_silence_must_not_cover_everything_and_must_end() {
    let silence = |spec: Value| {
        let object = json!({ "apiVersion": "vitals.dev/v1alpha1", "kind": "Silence", "metadata": { "name": "s" }, "spec": spec });
        found(Kind::Silence, &object)
    };
    let matcher = |op: &str, value: &str| json!([{ "name": "a", "matchType": op, "value": value }]);
    let good = json!({ "matchers": matcher("=", "1"), "duration": "1h", "comment": "c" });
    assert_eq!(silence(good), [""; 0]);
    let without_type = json!({ "matchers": [{ "name": "a", "value": "1" }], "duration": "1h", "comment": "c" });
    assert_eq!(silence(without_type), [""; 0], "matchType defaults to =");
    for (op, value) in [("=", ""), ("=~", ".*"), ("!=", "x"), ("!~", "x")] {
        let problems = silence(json!({ "matchers": matcher(op, value), "duration": "1h", "comment": "c" }));
        assert!(problems.iter().any(|p| p.contains("cover everything")), "{op} {value}: {problems:?}");
    }
    assert_eq!(silence(json!({ "matchers": matcher("=~", "a.+"), "duration": "1h", "comment": "c" })), [""; 0]);
    assert!(silence(json!({ "matchers": matcher("=", "1"), "comment": "c" }))[0].contains("a Silence ends"));
    let ack = json!({ "alertRef": { "fingerprint": "abc", "episode": 1 }, "until": "Resolved", "comment": "c" });
    assert_eq!(silence(ack), [""; 0]);
    let backwards = json!({ "matchers": matcher("=", "1"), "startsAt": "2026-02-01T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z", "comment": "c" });
    assert_eq!(silence(backwards), ["spec.endsAt: endsAt must be after startsAt"]);
    let bad_time = json!({ "matchers": matcher("=", "1"), "endsAt": "tomorrow", "comment": "c" });
    assert!(silence(bad_time)[0].contains("2026-01-31T22:00:00Z"));
}

#[test]
fn a_receiver_has_one_integration_and_a_webhook_one_address() {
    let receiver = |spec: Value| {
        let object = json!({ "apiVersion": "vitals.dev/v1alpha1", "kind": "AlertReceiver", "metadata": { "name": "s" }, "spec": spec });
        found(Kind::AlertReceiver, &object)
    };
    assert_eq!(receiver(json!({ "log": {} })), [""; 0]);
    assert_eq!(receiver(json!({ "webhook": { "url": "https://a/b" } })), [""; 0]);
    assert_eq!(
        receiver(json!({ "webhook": { "url": "https://a/b", "format": "Template", "template": "x" } })),
        [""; 0]
    );
    assert_eq!(receiver(json!({ "webhook": { "url": "https://a/b", "template": "x" } })).len(), 1);
    assert_eq!(receiver(json!({ "webhook": {} })), ["spec.webhook: webhook wants either url or urlFrom"]);
    assert_eq!(receiver(json!({ "log": {}, "webhook": { "url": "https://a/b" } })).len(), 1);
}

#[test]
fn panels_need_queries_unless_they_show_alerts_or_checks() {
    let dashboard = |panels: Value| {
        let object = json!({ "apiVersion": "vitals.dev/v1alpha1", "kind": "Dashboard", "metadata": { "name": "s" },
            "spec": { "title": "T", "panels": panels } });
        found(Kind::Dashboard, &object)
    };
    assert_eq!(dashboard(json!([{ "title": "A", "kind": "AlertList" }])), [""; 0]);
    assert_eq!(dashboard(json!([{ "title": "A", "kind": "Stat" }])).len(), 1);
    assert_eq!(dashboard(json!([{ "title": "A", "kind": "Stat", "queries": [{ "metric": "up" }] }])), [""; 0]);
    assert_eq!(
        dashboard(json!([{ "title": "A", "kind": "Stat", "queries": [{ "metric": "up", "expr": "up" }] }])).len(),
        1
    );
}

#[test]
fn the_config_is_called_default() {
    let config = |name: &str| json!({ "apiVersion": "vitals.dev/v1alpha1", "kind": "VitalsConfig", "metadata": { "name": name }, "spec": {} });
    assert_eq!(found(Kind::VitalsConfig, &config("default")), [""; 0]);
    assert_eq!(
        found(Kind::VitalsConfig, &config("mine")),
        ["metadata.name: there is one VitalsConfig and its name is default"]
    );
}

#[test]
fn names_labels_and_versions_are_checked() {
    let object = json!({
        "apiVersion": "vitals.dev/v1", "kind": "HealthCheck", "speck": {},
        "metadata": { "name": "My Check", "namespace": "a.b", "labels": { "a b": "c", "critical": true } },
        "spec": { "memory": {} }
    });
    let problems = found(Kind::HealthCheck, &object);
    assert_eq!(problems.len(), 6, "{problems:#?}");
    assert_eq!(problems[0], "speck: there is no such field; did you mean `spec`?");
    assert_eq!(
        problems[1],
        "apiVersion: \"vitals.dev/v1\" is not the version of HealthCheck; write vitals.dev/v1alpha1"
    );
    assert_eq!(problems[5], "metadata.labels.critical: true is not a text; put it in quotes: \"true\"");
}

#[test]
fn what_kubectl_prints_is_taken_back() {
    let object = json!({
        "apiVersion": "vitals.dev/v1alpha1", "kind": "HealthCheck",
        "metadata": { "name": "a", "uid": "x", "resourceVersion": "1", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [] },
        "spec": { "memory": {} }, "status": { "health": "Healthy", "whatever": 1 }
    });
    assert_eq!(found(Kind::HealthCheck, &object), [""; 0]);
}

#[test]
fn a_hostile_object_gets_a_bounded_answer() {
    let fields: serde_json::Map<String, Value> = (0..50_000).map(|i| (format!("f{i}"), Value::from(i))).collect();
    assert_eq!(validate(Kind::HealthCheck, &check(Value::Object(fields))).len(), MAX_PROBLEMS);
    let many: Vec<Value> = (0..50_000).map(|i| json!({ "address": i })).collect();
    let problems = validate(Kind::HealthCheck, &check(json!({ "memory": {}, "targets": many })));
    assert_eq!(problems[0].reason, "TooMany");
    assert!(problems.len() <= MAX_PROBLEMS);
}

/// The generated schema without what validation does not read: descriptions and the status.
fn generated(kind: Kind) -> String {
    fn strip(schema: &mut Value) {
        let Some(map) = schema.as_object_mut() else { return };
        map.remove("description");
        map.get_mut("properties")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(|map| map.values_mut())
            .for_each(strip);
        for key in ["items", "additionalProperties"] {
            map.get_mut(key).into_iter().for_each(strip);
        }
    }
    let crd = serde_json::to_value(kind.crd()).unwrap();
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    schema["properties"].as_object_mut().unwrap().remove("status");
    strip(&mut schema);
    // One field a line, for people who read a change.
    serde_json::to_string_pretty(&schema).unwrap().lines().map(|line| line.trim_start().to_owned() + "\n").collect()
}

#[test]
fn the_committed_schemas_are_the_generated_ones() {
    for kind in Kind::ALL {
        let path = format!("{}/src/api/validate/schemas/{}.json", env!("CARGO_MANIFEST_DIR"), kind.plural());
        let text = generated(kind);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap_or_default() == text,
            "{path} is not what the code generates; run UPDATE_GOLDEN=1 cargo test api:: and build again"
        );
    }
}

#[test]
fn every_pattern_compiles() {
    for kind in Kind::ALL {
        for piece in schema_text(kind).split("\"pattern\": ").skip(1) {
            let text: String = serde_json::Deserializer::from_str(piece).into_iter().next().unwrap().unwrap();
            assert!(regex::Regex::new(&text).is_ok(), "{kind}: {text}");
        }
    }
}

/// Every `x-kubernetes-validations` list of a schema.
fn rules_of(schema: &Value, out: &mut Vec<Value>) {
    match schema {
        Value::Object(map) => {
            out.extend(map.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten().cloned());
            map.values().for_each(|child| rules_of(child, out));
        }
        Value::Array(list) => list.iter().for_each(|child| rules_of(child, out)),
        _ => {}
    }
}

#[test]
fn every_rule_of_every_kind_is_understood_here() {
    let mut rules = Vec::new();
    for kind in Kind::ALL {
        rules_of(&serde_json::from_str(schema_text(kind)).unwrap(), &mut rules);
    }
    assert!(rules.len() > 40, "{}", rules.len());
    for rule in rules {
        if let Err(why) = super::rule::Rule::read(&rule) {
            panic!("{rule}: {why}");
        }
    }
}

mod any {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[0-9]{1,3}(ms|s|m|h)".prop_map(Value::from),
        ];
        let names = prop_oneof![
            Just("http"),
            Just("url"),
            Just("interval"),
            Just("timeout"),
            Just("targets"),
            Just("address"),
            Just("minHealthy"),
            Just("thresholds"),
            Just("degraded"),
            Just("cpu"),
            Just("matchers"),
            Just("expr"),
            Just("health"),
            Just("name"),
            Just("labels"),
            Just("panels"),
            Just("queries"),
            Just("kind"),
            Just("zzz"),
        ];
        leaf.prop_recursive(4, 48, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((names.clone(), inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_value_makes_validation_panic(spec in json(), kind in 0usize..7) {
            let _ = validate(Kind::ALL[kind], &check(spec.clone()));
            let _ = validate(Kind::ALL[kind], &spec);
        }
    }
}

mod oracle {
    //! Kube's own CEL engine must say the same of objects with sound shapes.

    use std::collections::BTreeSet;

    use kube::core::cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
    use proptest::prelude::*;

    use super::*;

    /// A random value of a schema; fields come and go by the bits of `dice`.
    fn of(schema: &Value, dice: &mut u64) -> Value {
        let mut roll = |sides: u64| {
            *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*dice >> 33) % sides
        };
        if let Some(words) = schema["enum"].as_array() {
            return words[roll(words.len() as u64) as usize].clone();
        }
        match schema["type"].as_str() {
            Some("object") if schema["properties"].is_object() => {
                let required: Vec<&str> =
                    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let fields = schema["properties"].as_object().unwrap();
                // Many fields: few of them. Few fields: about half.
                let odds = if fields.len() > 12 { 8 } else { 2 };
                let chosen: Vec<_> =
                    fields.iter().filter(|(name, _)| required.contains(&name.as_str()) || roll(odds) == 0).collect();
                Value::Object(chosen.into_iter().map(|(name, field)| (name.clone(), of(field, dice))).collect())
            }
            Some("object") => {
                let names = ["severity", "team"];
                let count = roll(3) as usize;
                Value::Object(names[..count].iter().map(|name| ((*name).to_owned(), Value::from("x"))).collect())
            }
            Some("array") => {
                let least = schema["minItems"].as_u64().unwrap_or(0);
                let count = least + roll(3);
                Value::Array((0..count).map(|_| of(&schema["items"], dice)).collect())
            }
            Some("integer") => Value::from(1 + roll(90)),
            Some("boolean") => Value::from(roll(2) == 0),
            _ if schema["format"] == "date-time" => {
                Value::from(format!("2026-01-0{}T00:00:00+0{}:00", 1 + roll(3), roll(3)))
            }
            _ if schema["x-kubernetes-int-or-string"] == true => Value::from(roll(9)),
            _ if schema["pattern"] == crate::model::duration::PATTERN => {
                Value::from(["0s", "500ms", "1s", "30s", "1m30s", "2h"][roll(6) as usize])
            }
            _ => Value::from(["", "x", ".*", "a|", "default"][roll(5) as usize]),
        }
    }

    fn schema(kind: Kind) -> &'static (Value, CompiledSchema) {
        static ALL: [OnceLock<(Value, CompiledSchema)>; 7] = [const { OnceLock::new() }; 7];
        ALL[kind as usize].get_or_init(|| {
            let schema = serde_json::from_str(schema_text(kind)).unwrap();
            let compiled = compile_schema(&schema);
            (schema, compiled)
        })
    }

    fn ours(kind: Kind, object: &Value) -> BTreeSet<(String, String)> {
        let mut object = object.clone();
        checker(kind).fill(&mut object);
        let mut out = BTreeSet::new();
        checker(kind).rules(&object, "", &mut |path, rule, evaluated| {
            assert!(evaluated, "{path}: {} cannot be evaluated on {object}", rule.text);
            out.insert((format!("{path}{}", rule.field), rule.message.clone()));
        });
        out
    }

    fn theirs(kind: Kind, object: &Value) -> BTreeSet<(String, String)> {
        let Err(errors) = Validator::new().validate_compiled(&schema(kind).1, object, None) else {
            return BTreeSet::new();
        };
        errors
            .into_vec()
            .into_iter()
            .map(|error| {
                assert_eq!(error.kind, ErrorKind::ValidationFailure, "{error:?} on {object}");
                (error.field_path, error.message)
            })
            .collect()
    }

    #[test]
    fn kubes_engine_compiles_every_rule() {
        for kind in Kind::ALL {
            let errors = schema(kind).1.compilation_errors();
            assert!(errors.is_empty(), "{kind}: {errors:?}");
        }
    }

    #[test]
    fn random_objects_break_every_rule_sometimes_and_keep_it_sometimes() {
        let mut broken: BTreeSet<String> = BTreeSet::new();
        let mut dice = 1;
        for round in 0..4000 {
            let kind = Kind::ALL[round % 7];
            let object = json!({ "metadata": { "name": "default" }, "spec": of(&schema(kind).0["properties"]["spec"], &mut dice) });
            broken.extend(ours(kind, &object).into_iter().map(|(_, message)| message));
        }
        assert!(broken.len() > 30, "only {} rules were ever broken: the comparison means little", broken.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(192))]

        #[test]
        fn both_engines_say_the_same(mut dice in any::<u64>(), kind in 0usize..7, named in prop::bool::weighted(0.8)) {
            let kind = Kind::ALL[kind];
            let spec = of(&schema(kind).0["properties"]["spec"], &mut dice);
            let object = json!({ "metadata": { "name": if named { "default" } else { "other" } }, "spec": spec });
            prop_assert_eq!(ours(kind, &object), theirs(kind, &object), "{}", object);
        }
    }
}
