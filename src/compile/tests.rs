//! What resources become, and what is refused.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::api::validate;
use crate::model::Span;
use crate::model::fleet_plan::{Integration, Quorum, RuleScope, SilenceTarget};
use crate::model::plan::{CheckPlan, RulePlan, Work};
use crate::model::spec::CheckSpec;

const NOW: i64 = 1_767_225_600;

fn object(kind: Kind, name: &str, spec: Value) -> Value {
    let mut object = json!({ "apiVersion": "vitals.dev/v1alpha1", "kind": kind.as_str(), "metadata": { "name": name }, "spec": spec });
    if kind.namespaced() {
        object["metadata"]["namespace"] = json!("shop");
    }
    object
}

/// Sound objects only, so that what is refused is refused by the compiler.
fn objects(list: &[Value]) -> Objects {
    let mut objects = Objects::default();
    for object in list {
        let kind = Kind::of(object["kind"].as_str().unwrap()).unwrap();
        assert_eq!(validate(kind, object), [], "{object}");
        objects.insert(kind, object).unwrap();
    }
    objects
}

fn quiet() -> Settings {
    Settings { default_rules: false, default_dashboards: false, ..Settings::default() }
}

fn compiled(list: &[Value]) -> Compiled {
    compile(&objects(list), &quiet(), Previous::default(), NOW)
}

fn in_cluster(list: &[Value]) -> Compiled {
    let settings = Settings {
        default_rules: false,
        default_dashboards: false,
        ..Settings::effective(Mode::Cluster, &Overrides::default(), None)
    };
    compile(&objects(list), &settings, Previous::default(), NOW)
}

fn check(name: &str, spec: Value) -> Value {
    object(Kind::HealthCheck, name, spec)
}

fn rule(name: &str, spec: Value) -> Value {
    object(Kind::AlertRule, name, spec)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

fn refused(list: &[Value]) -> Vec<(String, &'static str)> {
    compiled(list).refused.into_iter().map(|refused| (refused.path, refused.reason)).collect()
}

fn plans(out: &Compiled) -> Vec<&CheckPlan> {
    let works = out.plan.entries.iter().map(|entry| &entry.work);
    works.filter_map(|work| if let Work::Check(plan) = work { Some(&**plan) } else { None }).collect()
}

fn rules(out: &Compiled) -> Vec<&RulePlan> {
    let works = out.plan.entries.iter().map(|entry| &entry.work);
    works.filter_map(|work| if let Work::Rule(plan) = work { Some(&**plan) } else { None }).collect()
}

#[test]
fn a_check_gets_the_defaults_of_the_contract() {
    let out = compiled(&[check("m", json!({ "memory": {} }))]);
    assert_eq!(out.refused, []);
    let plan = plans(&out)[0];
    assert_eq!((plan.interval, plan.timeout), (Span::seconds(30), Span::seconds(10)));
    assert_eq!((plan.retries, plan.failure_threshold, plan.success_threshold), (0, 3, 2));
    assert_eq!(plan.thresholds.unhealthy.memory, Some(80));
    let fleet = &out.fleet.checks[&key("m")];
    assert_eq!((fleet.kind, &*fleet.target, fleet.quorum), ("memory", "host", Quorum::None));
    assert_eq!((fleet.slots[0].slot, fleet.slots[0].rev), (0, NOW as u64));
    assert_eq!((out.plan.rev, out.fleet.rev), (NOW as u64, NOW as u64));
}

#[test]
fn a_short_interval_shortens_the_timeout() {
    let out = compiled(&[check("m", json!({ "cpu": {}, "interval": "2s" }))]);
    assert_eq!(plans(&out)[0].timeout, Span::seconds(2));
}

#[test]
fn a_timeout_beyond_the_interval_in_force_is_refused() {
    let list = [check("m", json!({ "cpu": {}, "timeout": "45s" }))];
    assert_eq!(refused(&list), [("spec.timeout".into(), "TimeoutTooLong")]);
}

#[test]
fn limits_that_a_user_set_are_not_mixed_with_defaults() {
    let limits = |spec: Value| plans(&compiled(&[check("c", spec)]))[0].thresholds.clone();
    let both = limits(json!({ "disk": {}, "thresholds": { "degraded": { "disk": 90 } } }));
    assert_eq!((both.degraded.disk, both.unhealthy.disk), (Some(90), None));
    assert_eq!(limits(json!({ "disk": {} })).unhealthy.disk, Some(85));
    assert_eq!(limits(json!({ "cpu": {} })).unhealthy.cpu, Some(75));
}

#[test]
fn a_limit_of_another_kind_is_refused_not_ignored() {
    let list = [check("c", json!({ "memory": {}, "thresholds": { "unhealthy": { "disk": 5 } } }))];
    assert_eq!(refused(&list), [("spec.thresholds.unhealthy.disk".into(), "LimitNotApplicable")]);
}

#[test]
fn each_target_has_a_slot_of_its_own() {
    let targets = json!([{ "address": "a:1", "name": "one" }, { "address": "b" }]);
    let out = compiled(&[check("t", json!({ "tcp": { "host": "x", "port": 9 }, "targets": targets }))]);
    let fleet = &out.fleet.checks[&key("t")];
    assert_eq!(fleet.target, "2 targets");
    let slots: Vec<_> = fleet.slots.iter().map(|slot| (slot.slot, slot.target.as_deref())).collect();
    assert_eq!(slots, [(0, Some("one")), (1, Some("b"))]);
    let addresses: Vec<_> = plans(&out).iter().map(|plan| plan.spec.target()).collect();
    assert_eq!(addresses, ["a:1", "b:9"]);
    let twins = json!([{ "address": "a:1", "name": "one" }, { "address": "b", "name": "one" }]);
    let list = [check("t", json!({ "tcp": { "host": "x", "port": 9 }, "targets": twins }))];
    assert_eq!(refused(&list), [("spec.targets[1]".into(), "Duplicate")]);
}

#[test]
fn a_composite_check_and_a_suspended_one_run_nowhere() {
    let out = compiled(&[
        check("a", json!({ "memory": {} })),
        check("b", json!({ "cpu": {}, "suspend": true })),
        check("both", json!({ "composite": { "checks": ["a", "b"], "min": 1 } })),
    ]);
    assert_eq!(out.refused, []);
    assert_eq!(out.plan.entries.len(), 1);
    assert_eq!(out.fleet.checks[&key("both")].composite, Some((vec![key("a"), key("b")], 1)));
    assert!(out.fleet.checks[&key("b")].suspended);
}

#[test]
fn circles_of_dependencies_are_refused_and_what_leads_to_them_is_not() {
    let depends = |name: &str, on: &[&str]| check(name, json!({ "memory": {}, "dependsOn": on }));
    let list = [
        depends("a", &["b"]),
        check("b", json!({ "composite": { "checks": ["c"] } })),
        depends("c", &["a"]),
        depends("alone", &["alone"]),
        depends("before", &["a"]),
        depends("d", &["e"]),
        depends("e", &[]),
    ];
    let out = compiled(&list);
    let names: Vec<_> = out.refused.iter().map(|refused| &*refused.key.name).collect();
    assert_eq!(names, ["a", "alone", "b", "c"]);
    assert!(out.refused.iter().all(|refused| refused.reason == "DependencyCycle"));
    assert!(out.fleet.checks.contains_key(&key("before")) && out.fleet.checks.contains_key(&key("d")));
}

#[test]
fn a_dependency_that_does_not_exist_is_told_and_left_out() {
    let out = compiled(&[check("a", json!({ "memory": {}, "dependsOn": ["nobody"] }))]);
    assert_eq!(out.refused, []);
    assert_eq!((&*out.warnings[0].path, out.warnings[0].reason), ("spec.dependsOn[0]", "UnknownCheck"));
    assert_eq!(out.fleet.checks[&key("a")].depends_on, []);
}

#[test]
fn quorums_are_numbers_or_shares() {
    let quorum = |field: &str, value: Value| {
        let out = compiled(&[check("a", json!({ "memory": {}, field: value }))]);
        out.fleet.checks[&key("a")].quorum
    };
    assert_eq!(quorum("minHealthy", json!(3)), Quorum::MinHealthy(3));
    assert_eq!(quorum("minHealthy", json!("80%")), Quorum::MinHealthyPercent(80));
    assert_eq!(quorum("maxUnhealthy", json!(1)), Quorum::MaxUnhealthy(1));
    assert_eq!(quorum("maxUnhealthy", json!("5%")), Quorum::MaxUnhealthyPercent(5));
}

#[test]
fn a_field_that_is_not_served_yet_refuses_its_object_alone() {
    let out = compiled(&[check("d", json!({ "dns": { "name": "example.org" } })), check("m", json!({ "memory": {} }))]);
    assert_eq!(out.refused.len(), 1);
    let said = out.refused[0].to_string();
    assert_eq!(
        said,
        "HealthCheck shop/d: spec.dns: is not served by this version; leave it out; a later version serves it (NotYetSupported)"
    );
    assert_eq!(out.fleet.checks.len(), 1);
    let list = [rule("r", json!({ "expr": "up", "prometheus": { "url": "http://p:9090" } }))];
    assert_eq!(refused(&list), [("spec.prometheus".into(), "NotYetSupported")]);
}

#[test]
fn secrets_are_refused_where_nobody_can_look_them_up() {
    let bearer = json!({ "http": { "url": "http://a/b", "bearer": { "name": "s", "key": "k" } } });
    assert_eq!(refused(&[check("a", bearer.clone())]), [("spec.http.bearer".into(), "NotYetSupported")]);
    let settings = Settings { secrets: Some(Arc::new(|_, _, _| None)), ..quiet() };
    let out = compile(&objects(&[check("a", bearer)]), &settings, Previous::default(), NOW);
    assert_eq!(out.refused, [], "checks look Secrets up at each run");
}

#[test]
fn the_room_that_runs_checks_may_refuse_them_with_its_own_words() {
    let try_check = |_: &ObjectKey, spec: &CheckSpec| match spec {
        CheckSpec::Http(_) => Err(("http.expect.bodyMatches".to_owned(), "BadPattern", "too large".to_owned())),
        _ => Ok(()),
    };
    let settings = Settings { try_check: Some(Arc::new(try_check)), ..quiet() };
    let list = [check("a", json!({ "http": { "url": "http://a/b" } })), check("m", json!({ "memory": {} }))];
    let out = compile(&objects(&list), &settings, Previous::default(), NOW);
    assert_eq!((&*out.refused[0].path, out.refused[0].reason), ("spec.http.expect.bodyMatches", "BadPattern"));
    assert_eq!(out.fleet.checks.len(), 1);
}

#[test]
fn host_checks_and_rules_over_everything_need_a_trusted_namespace() {
    let list = [
        check("m", json!({ "memory": {} })),
        check("t", json!({ "tcp": { "host": "a", "port": 1 } })),
        rule("r", json!({ "expr": "sum(up) / count(x[5m:1m]) > 1" })),
        rule("c", json!({ "expr": "up", "scope": "Cluster" })),
        rule("h", json!({ "health": { "name": "t" } })),
    ];
    let list: Vec<Value> = list.into_iter().filter(|object| object["metadata"]["name"] != "r").collect();
    let out = in_cluster(&list);
    let said: Vec<_> = out.refused.iter().map(|refused| (&*refused.key.name, &*refused.path, refused.reason)).collect();
    assert_eq!(said, [("m", "spec.memory", "NotTrusted"), ("c", "spec.scope", "NotTrusted")]);
    assert!(out.refused[0].remedy.contains("kubectl label namespace shop vitals.dev/trusted=true"));
    assert!(out.fleet.rules.contains_key(&key("h")) && out.fleet.checks.contains_key(&key("t")));
    let out = in_cluster(&[rule("r", json!({ "expr": "sum(up) > 1" }))]);
    assert_eq!(rules(&out)[0].expr, "sum(up{namespace=\"shop\"}) > 1");
    let out = compiled(&[rule("r", json!({ "expr": "sum(up) > 1" }))]);
    assert_eq!(rules(&out)[0].expr, "sum(up) > 1", "in run everybody is trusted");
}

#[test]
fn checks_may_not_hammer_one_target() {
    let hammer = |name: &str, seconds: u32| {
        let targets: Vec<Value> = (0..40).map(|n| json!({ "address": format!("/{n}") })).collect();
        check(
            name,
            json!({ "http": { "url": "http://victim/" }, "targets": targets, "interval": format!("{seconds}s") }),
        )
    };
    let out = in_cluster(&[hammer("a", 1), hammer("b", 1), hammer("c", 5)]);
    let said: Vec<_> = out.refused.iter().map(|refused| (&*refused.key.name, refused.reason)).collect();
    assert_eq!(said, [("b", "TargetRateExceeded")]);
    assert!(out.refused[0].message.contains("victim:80 80.0 times a second; 50 are allowed"), "{}", out.refused[0]);
    assert_eq!(compiled(&[hammer("a", 1), hammer("b", 1)]).refused, [], "in run the machine's owner decides");
}

#[test]
fn a_rule_goes_to_agents_or_to_the_leader() {
    let out = compiled(&[
        rule("node", json!({ "expr": "up == 0", "for": "1m", "labels": { "severity": "high" } })),
        rule("leader", json!({ "health": { "name": "a", "for": "5s" } })),
        rule("recorded", json!({ "expr": "sum(up)", "record": "up:sum", "labels": { "a": "b" } })),
        rule("asleep", json!({ "expr": "up", "suspend": true })),
    ]);
    assert_eq!(out.refused, []);
    assert_eq!(out.plan.entries.len(), 2);
    let node = &out.fleet.rules[&key("node")];
    assert_eq!((node.scope, node.slot.as_ref().map(|slot| slot.slot)), (RuleScope::Node, Some(0)));
    assert_eq!((&*node.rule.name, &*node.rule.severity, node.rule.hold), ("node", "high", Span::seconds(60)));
    assert_eq!((node.rule.interval, node.rule.limit, node.min_nodes), (Span::seconds(60), 20, 1));
    let leader = &out.fleet.rules[&key("leader")];
    assert_eq!((leader.scope, &leader.slot), (RuleScope::Cluster, &None));
    assert_eq!((leader.rule.hold, &*leader.rule.severity), (Span::seconds(5), "medium"));
    assert_eq!(leader.source, "check a is Unhealthy");
    let recorded = &out.fleet.rules[&key("recorded")].rule;
    assert!(recorded.record && recorded.name == "up:sum" && recorded.labels["a"] == "b");
    assert!(out.fleet.rules[&key("asleep")].suspended);
}

#[test]
fn expressions_and_templates_are_read_before_anything_runs() {
    let list = [
        rule("a", json!({ "expr": "sum(rate(a[5m])", "annotations": { "summary": "{{ $value" } })),
        rule("b", json!({ "expr": "up[5m]" })),
        rule("c", json!({ "expr": "up{a=~\"((a{1000}){1000}){1000}\"}" })),
        rule("d", json!({ "expr": "up", "labels": { "alertname": "x", "a-b": "y" } })),
        rule("e", json!({ "expr": "up", "annotations": { "q": "{{ query \"sum(\" }}" } })),
        rule("f", json!({ "expr": "up", "record": "a", "labels": { "x": "{{ $value }}" } })),
    ];
    let out = compiled(&list);
    let said: Vec<_> = out.refused.iter().map(|refused| (&*refused.key.name, &*refused.path, refused.reason)).collect();
    let expected = [
        ("a", "spec.annotations.summary", "TemplateSyntax"),
        ("a", "spec.expr", "BadSyntax"),
        ("b", "spec.expr", "NotAVector"),
        ("c", "spec.expr", "BadPattern"),
        ("d", "spec.labels.a-b", "BadLabelName"),
        ("d", "spec.labels.alertname", "ReservedLabel"),
        ("e", "spec.annotations.q", "BadSyntax"),
        ("f", "spec.labels.x", "NotATemplate"),
    ];
    assert_eq!(
        said.iter().map(|(a, b, _)| (*a, *b)).collect::<Vec<_>>(),
        expected.map(|(a, b, _)| (a, b)),
        "{:#?}",
        out.refused
    );
    assert_eq!(said.len(), expected.len());
}

#[test]
fn selectors_of_rules_and_panels_are_told_once_each() {
    let panel = |query: Value| json!({ "title": "P", "kind": "Stat", "queries": [query] });
    let out = compiled(&[
        rule("a", json!({ "expr": "up == 0 and rate(x_total{a=\"b\"}[5m]) > 1" })),
        rule("b", json!({ "expr": "up == 1" })),
        object(
            Kind::Dashboard,
            "d",
            json!({ "title": "D", "panels": [panel(json!({ "metric": "up" })), panel(json!({ "metric": "y" }))] }),
        ),
    ]);
    let said: Vec<String> =
        out.selectors.iter().map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for word in ["__name__=\"up\"", "__name__=\"x_total\"", "__name__=\"y\""] {
        assert!(said.iter().any(|selector| selector.contains(word)), "{said:?}");
    }
}

#[test]
fn somebody_is_always_told() {
    let out = compiled(&[]);
    let built_in = &out.fleet.receivers[&ObjectKey::new("vitals-system", "default")];
    assert!(built_in.default && built_in.integration.kind() == "log");
    let settings = Settings { alert_webhook_url: Some("http://hook/".into()), ..quiet() };
    let out = compile(&Objects::default(), &settings, Previous::default(), NOW);
    assert_eq!(out.fleet.receivers.values().filter(|receiver| receiver.default).count(), 2);
    let own = object(Kind::AlertReceiver, "mine", json!({ "log": {}, "default": true }));
    assert_eq!(compiled(&[own]).fleet.receivers.len(), 1, "a default of one's own replaces the built-in one");
}

#[test]
fn a_rule_names_receivers_that_exist_and_let_it() {
    let receiver = |name: &str| object(Kind::AlertReceiver, name, json!({ "log": {} }));
    let mut foreign = receiver("foreign");
    foreign["metadata"]["namespace"] = json!("other");
    let named = json!([{ "name": "own" }, { "name": "nobody" }, { "name": "foreign", "namespace": "other" }]);
    let list = [receiver("own"), foreign, rule("r", json!({ "expr": "up", "notify": { "receivers": named } }))];
    let out = in_cluster(&list);
    assert_eq!(out.fleet.rules[&key("r")].notify.receivers, [key("own")]);
    let said: Vec<_> = out.warnings.iter().map(|warning| (&*warning.path, warning.reason)).collect();
    let expected =
        [("spec.notify.receivers[1]", "UnknownReceiver"), ("spec.notify.receivers[2]", "ReceiverNotAllowed")];
    assert_eq!(said, expected);
    let out = compiled(&list);
    assert_eq!(out.fleet.rules[&key("r")].notify.receivers.len(), 2, "in run receivers are open");
}

#[test]
fn a_webhook_gets_its_secrets_when_it_is_compiled() {
    let spec = json!({ "webhook": { "urlFrom": { "name": "s", "key": "url" },
        "headers": [{ "name": "Authorization", "secretKeyRef": { "name": "s", "key": "token" } }] } });
    let list = [object(Kind::AlertReceiver, "hook", spec)];
    assert_eq!(refused(&list).len(), 2);
    let secrets = |namespace: &str, name: &str, key: &str| match (namespace, name, key) {
        ("shop", "s", "url") => Some("https://h/secret\n".to_owned()),
        ("shop", "s", "token") => Some("Bearer x".to_owned()),
        _ => None,
    };
    let settings = Settings { secrets: Some(Arc::new(secrets)), ..quiet() };
    let out = compile(&objects(&list), &settings, Previous::default(), NOW);
    let expected = Integration::Webhook {
        url: "https://h/secret".into(),
        headers: vec![("Authorization".into(), "Bearer x".into())],
        timeout: Span::seconds(10),
        template: None,
    };
    assert_eq!(out.fleet.receivers[&key("hook")].integration, expected);
}

#[test]
fn a_silence_from_a_file_needs_a_beginning_for_its_duration() {
    let matchers = json!([{ "name": "a", "value": "b" }]);
    let silence = |spec: Value| object(Kind::Silence, "s", spec);
    let without = silence(json!({ "matchers": matchers, "duration": "1h", "comment": "c" }));
    assert_eq!(refused(std::slice::from_ref(&without)), [("spec.startsAt".into(), "Required")]);
    let mut created = without.clone();
    created["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    let out = compiled(&[created]);
    let found = &out.fleet.silences[&key("s")];
    assert_eq!((found.starts_at, found.ends_at), (NOW * 1000, Some((NOW + 3600) * 1000)));
    let ack = silence(json!({ "alertRef": { "fingerprint": "f", "episode": 5 }, "until": "Resolved", "comment": "c" }));
    let out = in_cluster(&[ack]);
    let found = &out.fleet.silences[&key("s")];
    assert_eq!(found.covers, SilenceTarget::Episode { id: "f".into(), fired_at: 5 });
    assert_eq!((found.ends_at, found.namespace.as_deref()), (None, Some("shop")));
}

#[test]
fn dashboards_have_unique_ids_and_keep_their_times() {
    let dashboard = |title: &str| json!({ "title": title, "panels": [{ "title": "A", "kind": "AlertList" }] });
    let mut twin = object(Kind::Dashboard, "my-board", dashboard("B"));
    twin["metadata"]["namespace"] = json!("other");
    let list =
        [object(Kind::Dashboard, "my-board", dashboard("A")), twin, object(Kind::Dashboard, "x-y", dashboard("C"))];
    let first = compiled(&list);
    let ids: Vec<_> = first.dashboards.iter().map(|view| &*view.id).collect();
    assert_eq!(ids, ["shop/my_board", "other/my_board", "x_y"]);
    let changed = [list[0].clone(), list[1].clone(), object(Kind::Dashboard, "x-y", dashboard("D"))];
    let previous = Previous { plan: Some(&first.plan), dashboards: &first.dashboards };
    let second = compile(&objects(&changed), &quiet(), previous, NOW + 60);
    let times: Vec<_> = second.dashboards.iter().map(|view| (view.created_at, view.updated_at)).collect();
    assert_eq!(times, [(NOW * 1000, NOW * 1000), (NOW * 1000, NOW * 1000), (NOW * 1000, (NOW + 60) * 1000)]);
    assert_eq!(second.dashboards[0].refresh_ms, 30_000);
    let bad = object(
        Kind::Dashboard,
        "bad",
        json!({ "title": "T", "panels": [{ "title": "A", "kind": "Stat", "queries": [{ "expr": "sum(" }] }] }),
    );
    assert_eq!(refused(&[bad])[0].0, "spec.panels[0].queries[0].expr");
}

#[test]
fn the_shipped_sets_compile_and_can_be_switched_off() {
    let out = compile(&Objects::default(), &Settings::default(), Previous::default(), NOW);
    assert_eq!((&out.refused, &out.warnings), (&vec![], &vec![]));
    let mut names: Vec<_> =
        out.fleet.rules.values().map(|rule| (&*rule.rule.name, &*rule.rule.severity, rule.notify.cooldown)).collect();
    names.sort();
    let minutes = |minutes: u64| Span::seconds(60 * minutes);
    let expected = [
        ("ComponentHighLatency", "medium", minutes(15)),
        ("ComponentLowSuccessRate", "medium", minutes(10)),
        ("ComponentUnhealthy", "high", minutes(5)),
        ("SystemDegraded", "high", minutes(10)),
        ("SystemUnhealthy", "critical", minutes(5)),
    ];
    assert_eq!(names, expected);
    let ids: Vec<_> = out.dashboards.iter().map(|view| &*view.id).collect();
    assert_eq!(ids, ["hardware", "system_overview"]);
    let off = object(Kind::VitalsConfig, "default", json!({ "defaults": { "rules": false, "dashboards": false } }));
    let objects = objects(&[off]);
    let settings =
        Settings::effective(Mode::Run, &Overrides::default(), objects.config.as_ref().map(|config| &config.spec));
    let out = compile(&objects, &settings, Previous::default(), NOW);
    assert_eq!((out.plan.entries.len(), out.dashboards.len()), (0, 0));
}

#[test]
fn a_config_with_a_field_that_is_not_served_is_told_so() {
    let config = object(
        Kind::VitalsConfig,
        "default",
        json!({ "auth": { "mode": "mtls" }, "networkPolicy": { "deny": ["10.0.0.0/40"] } }),
    );
    let said = refused(&[config]);
    assert_eq!(said, [("spec.auth".into(), "NotYetSupported"), ("spec.networkPolicy.deny[0]".into(), "BadNetwork")]);
}

#[test]
fn a_second_compilation_keeps_what_did_not_change() {
    let list =
        [check("a", json!({ "memory": {} })), check("b", json!({ "cpu": {} })), rule("r", json!({ "expr": "up" }))];
    let first = compiled(&list);
    let previous = Previous { plan: Some(&first.plan), dashboards: &[] };
    assert_eq!(compile(&objects(&list), &quiet(), previous, NOW + 9).plan, first.plan);
    let encoded = Plan::decode(&first.plan.encode().unwrap()).unwrap();
    let previous = Previous { plan: Some(&encoded), dashboards: &[] };
    assert_eq!(compile(&objects(&list), &quiet(), previous, NOW + 9).plan, first.plan, "after a restart, too");
    let changed = [list[0].clone(), check("b", json!({ "cpu": {}, "interval": "5s" })), list[2].clone()];
    let second = compile(&objects(&changed), &quiet(), previous, NOW + 9);
    let revs: Vec<_> = second.plan.entries.iter().map(|entry| entry.rev as i64 - NOW).collect();
    assert_eq!(revs, [0, 9, 0]);
}

#[test]
fn a_plan_that_is_full_refuses_what_is_new() {
    // Bodies that do not compress: a plan holds about a dozen of them.
    let body = |seed: u64| {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'!' + (state % 90) as u8)
        };
        (0..60_000).map(|_| next()).collect::<String>()
    };
    let list: Vec<Value> = (0..14)
        .map(|n| check(&format!("c{n:02}"), json!({ "http": { "url": "http://a/b", "body": body(n + 1) } })))
        .collect();
    let first = compiled(&list[4..8]);
    assert_eq!(first.refused, []);
    let previous = Previous { plan: Some(&first.plan), dashboards: &[] };
    let out = compile(&objects(&list), &quiet(), previous, NOW + 9);
    assert!(!out.refused.is_empty() && out.refused.iter().all(|refused| refused.reason == "PlanFull"));
    assert!(out.plan.encode().is_ok());
    for name in ["c04", "c05", "c06", "c07", "c00"] {
        assert!(
            out.fleet.checks.contains_key(&key(name)),
            "{name}: what was there stays, the alphabet decides the rest"
        );
    }
    assert_eq!(out.plan.entries.len() + out.refused.len(), list.len());
}
