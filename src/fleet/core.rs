//! The fleet's mind: everything it knows, and one step of thinking. No waiting, no I/O; the time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::FleetConfig;
use super::clock::Now;
use super::cluster_rules::{ClusterRules, Engine, Scene, series};
use super::judge::SystemInput;
use super::nodes::Nodes;
use super::pending::Pending;
use super::rollup::{Kept, Rollup, roll_up, system};
use crate::alert::desk::{Desk, DeskConfig, Words};
use crate::alert::episode::Episode;
use crate::alert::ledger::{Ledger, Received};
use crate::model::{Labels, Span};
use crate::model::fleet_plan::{FleetPlan, FleetRule, Notify, RuleScope};
use crate::model::object::ObjectKey;
use crate::model::plan::{OnTrouble, RulePlan};
use crate::model::ports::{Change, NodeState};
use crate::model::report::Report;
use crate::model::series::Millis;

/// Up to this many nodes every report is thought about at once; beyond, once a second.
const SMALL_FLEET: usize = 64;
/// Least time between two thoughts that nothing asked for, in milliseconds.
pub(super) const TICK: Millis = 1000;
/// How long after the start a check may stay Unknown before its kept state is given up, in milliseconds.
const KEPT_FOR: Millis = 10 * 60_000;

/// What one agent's report was taken as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It counts.
    Taken,
    /// It is kept until its plan, or its node, is known here.
    Kept,
    /// A newer one is known: continue above this epoch and sequence number.
    NotNewer {
        /// Its epoch.
        epoch: u64,
        /// Its sequence number.
        seq: u64,
    },
    /// This name is not one of a node's report.
    UnknownName,
}

/// Everything that the fleet knows.
pub(super) struct Core {
    pub(super) plan: Arc<FleetPlan>,
    pub(super) nodes: Nodes,
    pub(super) rollups: BTreeMap<ObjectKey, Rollup>,
    pub(super) ledger: Ledger,
    pub(super) desk: Desk,
    pub(super) rules: ClusterRules,
    pub(super) system: SystemInput,
    pub(super) rule_states: BTreeMap<ObjectKey, (&'static str, Millis)>,
    pub(super) failing: BTreeMap<ObjectKey, (String, Millis)>,
    pub(super) pending: Pending,
    kept: BTreeMap<ObjectKey, Kept>,
    kept_pending: BTreeMap<DocumentName, Episode>,
    engine: Box<dyn Engine>,
    words: Box<dyn Words>,
    alerts_series: bool,
    started: Now,
    last_step: Option<Millis>,
    dirty: bool,
    pub(super) version: u64,
}

/// The journal's name of a document.
type DocumentName = String;

/// The rule under whose name reports that had to leave something out are announced.
fn cut_rule(config: &FleetConfig) -> (ObjectKey, FleetRule) {
    let namespace = config.operator_namespace.as_deref().unwrap_or(crate::model::object::DEFAULT_NAMESPACE);
    let rule = RulePlan {
        name: "AlertsTruncated".into(),
        record: false,
        expr: String::new(),
        hold: Span::default(),
        keep_firing_for: Span::default(),
        interval: Span::seconds(60),
        group: String::new(),
        order: 0,
        severity: "high".into(),
        labels: BTreeMap::new(),
        limit: 1,
        no_data: OnTrouble::KeepLast,
        on_error: OnTrouble::KeepLast,
    };
    let rule = FleetRule {
        slot: None,
        scope: RuleScope::Node,
        rule,
        source: "a node's report is full".into(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        min_nodes: 0,
        notify: Notify::default(),
        inhibited_by: Vec::new(),
        suspended: false,
    };
    (ObjectKey::new(namespace, "alerts-truncated"), rule)
}

impl Core {
    /// Begins from the journal's documents.
    pub(super) fn restore(
        config: &FleetConfig,
        documents: &[(String, Value)],
        engine: Box<dyn Engine>,
        words: Box<dyn Words>,
        now: Now,
    ) -> Self {
        let mut desk = Desk::new(DeskConfig {
            operator_namespace: config.operator_namespace.clone(),
            history: config.history,
            base_url: config.base_url.clone(),
        });
        for bad in desk.restore(documents.iter().map(|(key, value)| (key.as_str(), value))) {
            tracing::warn!(document = bad.key, "{bad}");
        }
        let mut ledger = Ledger::new(Some(cut_rule(config).0));
        let mut kept = BTreeMap::new();
        let mut kept_pending = BTreeMap::new();
        for (key, value) in documents {
            let mut parts = key.splitn(3, '/');
            let (Some(namespace), Some(kind), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            match kind {
                "check" => {
                    if let Ok(state) = serde_json::from_value::<Kept>(value.clone()) {
                        kept.insert(ObjectKey::new(namespace, name), state);
                    }
                }
                "pending" => {
                    if let Ok(episode) = serde_json::from_value::<Episode>(value.clone()) {
                        kept_pending.insert(key.clone(), episode);
                    }
                }
                _ => {}
            }
        }
        let ended: Vec<_> = desk.ended_episodes().collect();
        ledger.restore(kept_pending.values().cloned().chain(desk.open_episodes()), ended);
        Self {
            plan: Arc::default(),
            nodes: Nodes::default(),
            rollups: BTreeMap::new(),
            ledger,
            desk,
            rules: ClusterRules::default(),
            system: SystemInput::default(),
            rule_states: BTreeMap::new(),
            failing: BTreeMap::new(),
            pending: Pending::default(),
            kept,
            kept_pending,
            engine,
            words,
            alerts_series: config.alerts_series,
            started: now,
            last_step: None,
            dirty: true,
            version: 1,
        }
    }

    /// Works from another plan.
    pub(super) fn set_plan(&mut self, config: &FleetConfig, mut plan: FleetPlan, now: Now) {
        let (key, rule) = cut_rule(config);
        plan.rules.insert(key, rule);
        let plan = Arc::new(plan);
        self.ledger.set_plan(Arc::clone(&plan), now.wall.div_euclid(1000));
        // Ends first: the desk must still know the rules of what ended.
        self.note_events();
        self.desk.set_plan(Arc::clone(&plan), &*self.words);
        self.nodes.set_plan(&plan, now);
        self.rules.set_plan(&plan, &self.ledger);
        self.failing.retain(|key, _| plan.receivers.contains_key(key));
        let gone: Vec<ObjectKey> = self.kept.keys().filter(|key| !plan.checks.contains_key(*key)).cloned().collect();
        for key in gone {
            self.kept.remove(&key);
            self.pending.add([Change { key: check_document(&key), value: None }]);
        }
        self.plan = plan;
        self.offer_again(now);
        self.dirty = true;
    }

    /// Takes in a report that came `age` milliseconds ago.
    pub(super) fn receive(&mut self, name: &str, report: Report, age: Millis, now: Now) -> Receipt {
        let Some(node) = name.strip_prefix("node.").filter(|node| !node.is_empty()) else {
            return Receipt::UnknownName;
        };
        self.receive_from(node, Arc::new(report), now.mono - age.max(0), now)
    }

    fn receive_from(&mut self, node: &str, report: Arc<Report>, received: Millis, now: Now) -> Receipt {
        if !self.nodes.is_there(node) {
            self.nodes.keep_for_later(node, report, received);
            return Receipt::Kept;
        }
        match self.ledger.receive(node, &report, now.wall.div_euclid(1000)) {
            Received::Taken => {
                self.nodes.keep(node, report, received);
                self.dirty = true;
                Receipt::Taken
            }
            Received::NotNewer { epoch, seq } => Receipt::NotNewer { epoch, seq },
            Received::AheadOfPlan => {
                self.nodes.keep_for_later(node, report, received);
                Receipt::Kept
            }
        }
    }

    fn offer_again(&mut self, now: Now) {
        for (node, report, received) in self.nodes.take_ready(self.plan.rev) {
            if self.ledger.receive(&node, &report, now.wall.div_euclid(1000)) == Received::Taken {
                self.nodes.keep(&node, report, received);
                self.dirty = true;
            }
        }
    }

    /// Whether something waits that should be thought about before the next tick.
    pub(super) fn is_pressing(&self) -> bool {
        self.dirty && self.nodes.names().nth(SMALL_FLEET).is_none()
    }

    /// The leader's series of this moment.
    pub(super) fn series(&self, now: Now) -> Vec<(Labels, f64)> {
        series(&self.scene(), now)
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            plan: &self.plan,
            nodes: &self.nodes,
            rollups: &self.rollups,
            system: self.system,
            desk: &self.desk,
            alerts_series: self.alerts_series,
        }
    }

    /// Thinks once: nodes, roll-up, the leader's rules, alerts, messages. Returns whether messages were decided.
    pub(super) fn step(&mut self, nodes: Vec<NodeState>, now: Now) -> bool {
        let tick = self.last_step.is_none_or(|last| now.mono - last >= TICK);
        if !tick && !self.is_pressing() {
            return false;
        }
        self.last_step = Some(now.mono);
        for gone in self.nodes.sync(nodes) {
            self.ledger.remove_node(&gone, now.wall.div_euclid(1000));
        }
        self.forget_strangers(now);
        self.offer_again(now);
        self.note_events();
        self.roll_up(now);
        if self.rules.is_due(now) {
            let scene = Scene {
                plan: &self.plan,
                nodes: &self.nodes,
                rollups: &self.rollups,
                system: self.system,
                desk: &self.desk,
                alerts_series: self.alerts_series,
            };
            self.rules.evaluate(&scene, &mut *self.engine, &mut self.ledger, now);
            self.note_events();
            self.keep_pending();
        }
        self.desk.refresh(self.ledger.open());
        let frozen = self.nodes.frozen(now);
        let made = self.desk.decide(now.wall, &frozen, &*self.words);
        self.watch_rules(now);
        self.dirty = false;
        self.collect();
        !made.is_empty()
    }

    /// Alerts of nodes that went away while this process did not run.
    fn forget_strangers(&mut self, now: Now) {
        if self.nodes.names().next().is_none() {
            return;
        }
        let strangers: Vec<String> =
            self.ledger.nodes().filter(|node| !self.nodes.is_there(node)).map(str::to_owned).collect();
        for node in strangers {
            self.ledger.remove_node(&node, now.wall.div_euclid(1000));
        }
    }

    fn note_events(&mut self) {
        for event in self.ledger.take_events() {
            self.version += 1;
            self.desk.note(event, &*self.words);
        }
    }

    fn roll_up(&mut self, now: Now) {
        let new = roll_up(&self.plan, &self.nodes, now, &self.rollups, &self.kept);
        if new != self.rollups {
            self.version += 1;
        }
        self.rollups = new;
        for (key, rollup) in &self.rollups {
            let state = Kept { health: rollup.health, since: rollup.since };
            let early = rollup.counts.known() == 0 && now.mono - self.started.mono < KEPT_FOR;
            if early || self.kept.get(key) == Some(&state) {
                continue;
            }
            self.kept.insert(key.clone(), state);
            let value = serde_json::to_value(state).ok();
            self.pending.add([Change { key: check_document(key), value }]);
        }
        let firing = self.desk.cases().filter(|case| case.ended.is_none());
        self.system = system(&self.plan, &self.rollups, firing.map(|case| case.wording.severity.as_str()));
    }

    /// Keeps what is pending of the leader's own rules: nobody else would remember it.
    fn keep_pending(&mut self) {
        let waiting = self.ledger.open_on("").filter(|episode| !episode.has_fired());
        let new: BTreeMap<DocumentName, Episode> = waiting
            .map(|episode| (format!("{}/pending/{}", episode.rule.namespace, episode.id), episode.clone()))
            .collect();
        let old = &self.kept_pending;
        let over = old.keys().filter(|key| !new.contains_key(*key)).map(|key| Change { key: key.clone(), value: None });
        let begun =
            new.iter().filter(|(key, episode)| old.get(*key).is_none_or(|known| known.active_at != episode.active_at));
        let begun = begun.map(|(key, episode)| Change { key: key.clone(), value: serde_json::to_value(episode).ok() });
        self.pending.add(over.chain(begun).collect::<Vec<_>>());
        self.kept_pending = new;
    }

    /// Notes since when each rule is in its state.
    fn watch_rules(&mut self, now: Now) {
        let mut firing: BTreeSet<&ObjectKey> = BTreeSet::new();
        let mut waiting: BTreeSet<&ObjectKey> = BTreeSet::new();
        for episode in self.ledger.open() {
            if episode.has_fired() {
                firing.insert(&episode.rule)
            } else {
                waiting.insert(&episode.rule)
            };
        }
        let known = self.nodes.reports().next().is_some();
        let mut states = BTreeMap::new();
        for (key, rule) in &self.plan.rules {
            let state = match rule.scope {
                _ if rule.suspended => "Suspended",
                _ if firing.contains(key) => "Firing",
                _ if waiting.contains(key) => "Pending",
                RuleScope::Node if !known => "Unknown",
                _ => "Inactive",
            };
            let since = match self.rule_states.get(key) {
                Some((old, since)) if *old == state => *since,
                _ => {
                    self.version += 1;
                    let fired = self.ledger.open().filter(|episode| episode.rule == *key && episode.has_fired());
                    // After a restart an alert is as old as its first episode, not as this process.
                    let first = fired.map(|episode| episode.fired_at.saturating_mul(1000)).min();
                    first.filter(|_| state == "Firing").unwrap_or(now.wall)
                }
            };
            states.insert(key.clone(), (state, since));
        }
        self.rule_states = states;
    }

    /// Moves the desk's changes to those that wait for the journal.
    pub(super) fn collect(&mut self) {
        if self.desk.has_changes() {
            self.version += 1;
            self.pending.add(self.desk.take_changes());
        }
    }

    /// Labels of an alert that is only pending, as the desk would set them.
    pub(super) fn words(&self) -> &dyn Words {
        &*self.words
    }
}

fn check_document(key: &ObjectKey) -> String {
    format!("{}/check/{}", key.namespace, key.name)
}
