//! AlertRules: what agents and the leader evaluate, and what the desk makes of it.

use super::expr::{self, Condition};
use super::policy::trust_remedy;
use super::receivers::may_name;
use super::slots::Draft;
use super::{Compiled, Complaints, Object, Objects, Settings};
use crate::api::{AlertRuleSpec, Kind, NotifySpec, RuleScopeSpec};
use crate::model::fleet_plan::{FleetRule, Inhibition, Notify, RuleScope};
use crate::model::plan::{RulePlan, Work};
use crate::model::{ObjectKey, Span};
use crate::template::Template;

/// The severity of a rule that names none.
const DEFAULT_SEVERITY: &str = "medium";

/// Compiles all rules into `out.fleet.rules`, and into drafts of what agents evaluate.
pub fn compile_all(objects: &Objects, settings: &Settings, out: &mut Compiled) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (key, rule) in &objects.rules {
        let mut complaints = Complaints::new(Kind::AlertRule, key);
        complaints.add_not_yet(&rule.spec);
        let compiled =
            if complaints.list.is_empty() { compile_one(rule, objects, settings, &mut complaints) } else { None };
        let Some((mut fleet, selectors)) = compiled.filter(|_| complaints.list.is_empty()) else {
            out.refused.append(&mut complaints.list);
            continue;
        };
        fleet.notify.receivers = receivers(rule, objects, settings, &mut complaints);
        out.warnings.append(&mut complaints.list);
        if !fleet.suspended {
            out.selectors.extend(selectors);
            if fleet.scope == RuleScope::Node {
                let work = Work::Rule(Box::new(fleet.rule.clone()));
                drafts.push(Draft { key: key.clone(), target: None, work });
            }
        }
        out.fleet.rules.insert(key.clone(), fleet);
    }
    drafts
}

type Compilation = (FleetRule, Vec<Vec<crate::model::Matcher>>);

fn compile_one(
    rule: &Object<AlertRuleSpec>,
    objects: &Objects,
    settings: &Settings,
    complaints: &mut Complaints<'_>,
) -> Option<Compilation> {
    let (key, spec) = (&rule.key, &rule.spec);
    let namespace = &*key.namespace;
    let found = expr::condition(namespace, spec, &|selector| {
        let checks = objects.checks.values().filter(|check| &*check.key.namespace == namespace);
        checks.filter(|check| selector.matches(&check.labels)).map(|check| check.key.name.to_string()).collect()
    });
    let scope = match spec.scope {
        Some(RuleScopeSpec::Cluster) => RuleScope::Cluster,
        Some(RuleScopeSpec::Node) => RuleScope::Node,
        None if found.over_rollups => RuleScope::Cluster,
        None => RuleScope::Node,
    };
    let query = match expr::parse(&found.expr) {
        Ok(query) => query,
        Err((reason, message)) => {
            complaints.add(found.path, reason, message, "");
            check_texts(spec, complaints);
            return None;
        }
    };
    check_texts(spec, complaints);
    let confined = settings.restrict_rules && !settings.trusts(namespace);
    if confined && scope == RuleScope::Cluster && !found.over_rollups {
        let message = format!("namespace {namespace} is not trusted with rules over all nodes");
        complaints.add("spec.scope", "NotTrusted", message, trust_remedy(namespace, settings));
    }
    let query = if confined { query.scoped_to_namespace(namespace) } else { query };
    let inhibited_by = inhibitions(spec, complaints);
    let selectors = query.selectors();
    let Condition { expr, source, .. } = found;
    let expr = if confined { query.to_string() } else { expr };
    let name = spec.record.clone().or_else(|| spec.alert.clone()).unwrap_or_else(|| key.name.to_string());
    let written = spec.labels.get("severity").filter(|word| !word.contains('{')).cloned();
    let severity = spec.severity.map(|word| word.as_str().to_owned()).or(written);
    let record = spec.record.is_some();
    let plan = RulePlan {
        name,
        record,
        expr,
        hold: spec.health.as_ref().and_then(|health| health.hold).or(spec.hold).unwrap_or_default(),
        keep_firing_for: spec.keep_firing_for.unwrap_or_default(),
        interval: spec.interval.unwrap_or(settings.rule_interval),
        group: spec.group.clone().unwrap_or_default(),
        order: spec.order,
        severity: if record { String::new() } else { severity.unwrap_or_else(|| DEFAULT_SEVERITY.into()) },
        labels: if record { spec.labels.clone() } else { Default::default() },
        limit: u32::try_from(spec.limit).unwrap_or(20).max(1),
        no_data: spec.no_data,
        on_error: spec.on_error,
    };
    let fleet = FleetRule {
        slot: None,
        scope,
        rule: plan,
        source,
        labels: spec.labels.clone(),
        annotations: spec.annotations.clone(),
        min_nodes: u32::try_from(spec.min_nodes).unwrap_or(1).max(1),
        notify: notify(spec.notify.as_ref()),
        inhibited_by,
        suspended: spec.suspend,
    };
    Some((fleet, selectors))
}

/// Labels and annotations: names, templates, and the queries inside templates.
fn check_texts(spec: &AlertRuleSpec, complaints: &mut Complaints<'_>) {
    for (field, map) in [("labels", &spec.labels), ("annotations", &spec.annotations)] {
        for (name, text) in map {
            let path = format!("spec.{field}.{name}");
            if !is_label_name(name) {
                let message = format!("{name:?} is not the name of a label or annotation");
                complaints.add(
                    &path,
                    "BadLabelName",
                    message,
                    "write letters, digits and _, not beginning with a digit",
                );
            }
            if field == "labels" && (name == "alertname" || name.starts_with("__")) {
                let remedy = if name == "alertname" { "write `alert:` instead" } else { "choose another name" };
                complaints.add(&path, "ReservedLabel", format!("label {name} cannot be set"), remedy);
            }
            if field == "labels" && spec.record.is_some() && text.contains("{{") {
                let message = "labels of a recorded series cannot be templates";
                complaints.add(
                    &path,
                    "NotATemplate",
                    message,
                    "write the value, or use label_replace in the expression",
                );
                continue;
            }
            match Template::parse(text) {
                Err(error) => complaints.add(&path, error.reason(), error.to_string(), ""),
                Ok(template) => {
                    for query in template.queries() {
                        if let Err(error) = crate::promql::Query::parse(query) {
                            let message = format!("query {query:?} in the template: {error}");
                            complaints.add(&path, error.reason(), message, "");
                        }
                    }
                }
            }
        }
    }
}

fn is_label_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn inhibitions(spec: &AlertRuleSpec, complaints: &mut Complaints<'_>) -> Vec<Inhibition> {
    let mut out = Vec::new();
    for (index, by) in spec.inhibited_by.iter().enumerate() {
        let mut matchers = Vec::new();
        for (at, matcher) in by.matchers.iter().enumerate() {
            match matcher.matcher() {
                Ok(matcher) => matchers.push(matcher),
                Err(error) => {
                    let path = format!("spec.inhibitedBy[{index}].matchers[{at}]");
                    complaints.add(path, error.reason(), error.to_string(), "");
                }
            }
        }
        if !matchers.is_empty() && matchers.iter().all(crate::model::Matcher::matches_empty) {
            let message = "at least one matcher must not match an empty value, or every alert would inhibit this one";
            complaints.add(format!("spec.inhibitedBy[{index}].matchers"), "MatchesEverything", message, "");
        }
        out.push(Inhibition { matchers, equal: by.equal.clone() });
    }
    out
}

fn notify(spec: Option<&NotifySpec>) -> Notify {
    let default = Notify::default();
    let Some(spec) = spec else { return default };
    Notify {
        receivers: Vec::new(),
        group_by: spec.group_by.clone().unwrap_or(default.group_by),
        group_wait: spec.group_wait.unwrap_or(default.group_wait),
        group_interval: spec.group_interval.unwrap_or(default.group_interval),
        repeat_interval: spec.repeat_interval.unwrap_or(default.repeat_interval),
        cooldown: spec.cooldown.unwrap_or(Span::default()),
        max_per_hour: spec.max_per_hour.and_then(|most| u32::try_from(most).ok()).unwrap_or(default.max_per_hour),
        send_resolved: spec.send_resolved.unwrap_or(default.send_resolved),
    }
}

/// The receivers that a rule names and may name. What it names in vain is told and left out: then those that match take
/// its alerts, else the default one, so that somebody is told in any case.
fn receivers(
    rule: &Object<AlertRuleSpec>,
    objects: &Objects,
    settings: &Settings,
    complaints: &mut Complaints<'_>,
) -> Vec<ObjectKey> {
    let mut out = Vec::new();
    let named = rule.spec.notify.iter().flat_map(|notify| notify.receivers.iter().enumerate());
    for (index, named) in named {
        let path = format!("spec.notify.receivers[{index}]");
        let key = ObjectKey::new(named.namespace.as_deref().unwrap_or(&rule.key.namespace), &named.name);
        match objects.receivers.get(&key) {
            None => {
                let message = format!("there is no AlertReceiver {key}");
                complaints.add(path, "UnknownReceiver", message, "correct name and namespace, or add the receiver");
            }
            Some(receiver) if !may_name(receiver, &rule.key.namespace, settings) => {
                let message = format!("AlertReceiver {key} does not let namespace {} name it", rule.key.namespace);
                let remedy = format!("add {} to its spec.allowedNamespaces", rule.key.namespace);
                complaints.add(path, "ReceiverNotAllowed", message, remedy);
            }
            Some(_) => out.push(key),
        }
    }
    out
}
