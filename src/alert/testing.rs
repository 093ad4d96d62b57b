//! Small worlds for tests of alerts: rules, plans, episodes and plain words.

use std::collections::BTreeMap;

use crate::alert::desk::Words;
use crate::alert::episode::Episode;
use crate::alert::render::{Expand, Renderer};
use crate::model::fleet_plan::{FleetPlan, FleetRule, Integration, Notify, Receiver, RuleScope, SlotRef};
use crate::model::object::ObjectKey;
use crate::model::plan::{OnTrouble, RulePlan};
use crate::model::report::{Fingerprint, Instance, Seconds};
use crate::model::{Labels, Span};

/// A plan of one rule: evaluated every `interval` seconds, fires at once.
pub fn rule_plan(name: &str, interval: u64) -> RulePlan {
    RulePlan {
        name: name.into(),
        record: false,
        expr: "x > 0".into(),
        hold: Span::default(),
        keep_firing_for: Span::default(),
        interval: Span::seconds(interval),
        group: String::new(),
        order: 0,
        severity: "high".into(),
        labels: BTreeMap::new(),
        limit: 20,
        no_data: OnTrouble::KeepLast,
        on_error: OnTrouble::KeepLast,
    }
}

/// A rule of Node scope without a slot.
pub fn rule(name: &str, interval: u64) -> FleetRule {
    FleetRule {
        slot: None,
        scope: RuleScope::Node,
        rule: rule_plan(name, interval),
        source: "x > 0".into(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        min_nodes: 0,
        notify: Notify::default(),
        inhibited_by: Vec::new(),
        suspended: false,
    }
}

/// A rule in a slot.
pub fn rule_in(slot: u32, rev: u64, name: &str, interval: u64) -> FleetRule {
    FleetRule { slot: Some(SlotRef { slot, rev, target: None }), ..rule(name, interval) }
}

/// A receiver that takes everything and is retried for an hour.
pub fn receiver() -> Receiver {
    Receiver {
        integration: Integration::Log { level: "warn".into() },
        severities: Vec::new(),
        matchers: Vec::new(),
        default: false,
        allowed_namespaces: Vec::new(),
        max_per_hour: 0,
        retry_for: Span::seconds(3600),
        send_resolved: true,
    }
}

/// A plan with these rules (in namespace `shop`) and receivers.
pub fn plan(rev: u64, rules: Vec<(&str, FleetRule)>, receivers: Vec<(&str, Receiver)>) -> FleetPlan {
    FleetPlan {
        rev,
        rules: rules.into_iter().map(|(name, rule)| (ObjectKey::new("shop", name), rule)).collect(),
        receivers: receivers.into_iter().map(|(name, to)| (ObjectKey::new("shop", name), to)).collect(),
        ..FleetPlan::default()
    }
}

/// An instance as a report carries it; `fired_at` 0 for a pending one.
pub fn instance(slot: u32, disk: &str, fired_at: Seconds) -> Instance {
    let labels = Labels::from_pairs([("disk", disk)]);
    Instance {
        slot,
        fp: Fingerprint(labels.fingerprint()),
        labels,
        active_at: fired_at,
        fired_at,
        keep_firing_since: 0,
        value: 1.0,
    }
}

/// An episode that fires.
pub fn episode(rule: &ObjectKey, node: &str, disk: &str, fired_at: Seconds) -> Episode {
    Episode::from_report(rule, node, &instance(0, disk, fired_at), (1, 1))
}

/// A language in which every text means itself.
pub struct Verbatim;

impl Expand for Verbatim {
    fn expand(&self, template: &str, _: &Labels, _: f64) -> Result<String, String> {
        Ok(template.to_owned())
    }
}

/// Words without templates.
pub fn words() -> impl Words {
    Renderer::new(Verbatim)
}
