//! Cluster-scope rules: the leader's own series, and the rules that it evaluates over them.

use std::collections::BTreeMap;

use super::clock::Now;
use super::judge::SystemInput;
use super::nodes::Nodes;
use super::rollup::Rollup;
use crate::alert::desk::Desk;
use crate::alert::ledger::{Ledger, SUMMARY};
use crate::alert::life::{Outcome, RuleLife};
use crate::model::fleet_plan::{FleetPlan, RuleScope};
use crate::model::labels::METRIC_NAME;
use crate::model::object::ObjectKey;
use crate::model::plan::RulePlan;
use crate::model::series::Millis;
use crate::model::severity::Severity;
use crate::model::{Health, Labels, Span};

/// How long after its start a leader waits for the nodes' reports before it judges their absence, in milliseconds.
const SETTLING: Millis = 60_000;
/// Longest time that a restored alert waits for history, in milliseconds.
const LONGEST_WARMING: Millis = 15 * 60_000;

/// A store of the leader's series with a query engine over it.
pub trait Engine: Send + Sync {
    /// Takes in all of the leader's series as of `at`.
    fn record(&mut self, at: Millis, samples: &[(Labels, f64)]);

    /// Takes in what one recording rule gave.
    fn record_rule(&mut self, rule: &ObjectKey, at: Millis, samples: &[(Labels, f64)]);

    /// Evaluates an expression; None when no series has a name that it selects.
    ///
    /// # Errors
    /// The engine's words, when it cannot be evaluated.
    fn evaluate(&mut self, expr: &str, at: Millis) -> Result<Option<Vec<(Labels, f64)>>, String>;

    /// How far back an expression looks.
    fn reach(&mut self, expr: &str) -> Span;
}

/// The rules that the leader evaluates.
#[derive(Debug, Default)]
pub struct ClusterRules {
    lives: BTreeMap<ObjectKey, Life>,
    started: Option<Millis>,
}

#[derive(Debug)]
struct Life {
    plan: RulePlan,
    life: RuleLife,
    /// When it is next evaluated, on the clock that never jumps.
    next: Millis,
    took_ms: f64,
}

/// What the series are made of.
pub struct Scene<'a> {
    /// The plan.
    pub plan: &'a FleetPlan,
    /// The nodes.
    pub nodes: &'a Nodes,
    /// The checks.
    pub rollups: &'a BTreeMap<ObjectKey, Rollup>,
    /// The system.
    pub system: SystemInput,
    /// The alerts.
    pub desk: &'a Desk,
    /// Whether to write counts of alerts as `ALERTS`.
    pub alerts_series: bool,
}

impl ClusterRules {
    /// Works from another plan. What was open before a restart comes from the ledger.
    pub fn set_plan(&mut self, plan: &FleetPlan, ledger: &Ledger) {
        let mine = plan.rules.iter().filter(|(_, rule)| rule.scope == RuleScope::Cluster && !rule.suspended);
        let mut lives = BTreeMap::new();
        for (key, rule) in mine {
            let life = match self.lives.remove(key) {
                Some(mut old) => {
                    if old.plan != rule.rule {
                        old.life.replanned();
                        (old.plan, old.next) = (rule.rule.clone(), 0);
                    }
                    old
                }
                None => {
                    let mut life = RuleLife::new();
                    for episode in ledger.open_on("").filter(|episode| episode.rule == *key && episode.fp != SUMMARY) {
                        life.restore_instance(&episode.to_instance(0));
                    }
                    Life { plan: rule.rule.clone(), life, next: 0, took_ms: 0.0 }
                }
            };
            lives.insert(key.clone(), life);
        }
        self.lives = lives;
    }

    /// Whether a rule is to be evaluated now.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        self.lives.values().any(|life| life.next <= now.mono)
    }

    /// Evaluates the rules whose time has come, over series of this moment, and tells the ledger.
    pub fn evaluate(&mut self, scene: &Scene<'_>, engine: &mut dyn Engine, ledger: &mut Ledger, now: Now) {
        let started = *self.started.get_or_insert(now.mono);
        engine.record(now.wall, &series(scene, now));
        // Before the nodes have reported, silence means nothing.
        let all_told = scene.nodes.names().all(|name| scene.nodes.report(name).is_some());
        let settled = all_told || now.mono - started >= SETTLING;
        let mut due: Vec<(&ObjectKey, &mut Life)> =
            self.lives.iter_mut().filter(|(_, life)| life.next <= now.mono).collect();
        due.sort_by(|(a, x), (b, y)| {
            let place =
                |key: &ObjectKey, life: &Life| (key.namespace.clone(), life.plan.group.clone(), life.plan.order);
            place(a, x).cmp(&place(b, y)).then_with(|| a.cmp(b))
        });
        for (key, life) in due {
            let interval = life.plan.interval.as_millis_i64().max(1000);
            life.next = if life.next == 0 { now.mono + interval } else { (life.next + interval).max(now.mono + 1) };
            let before = std::time::Instant::now();
            let outcome = if settled { run(&life.plan, engine, now.wall) } else { Outcome::Warming };
            life.took_ms = before.elapsed().as_secs_f64() * 1000.0;
            if life.plan.record {
                record(key, &life.plan, engine, outcome, now.wall);
                continue;
            }
            let covered = now.mono - started >= engine.reach(&life.plan.expr).as_millis_i64().min(LONGEST_WARMING);
            let outcome = match outcome {
                // What is known from before the restart cannot be refuted by history that does not reach back.
                Outcome::Samples(_) if life.life.has_restored() && !covered => Outcome::Warming,
                outcome => outcome,
            };
            life.life.evaluate(&life.plan, outcome, now.wall);
            ledger.observe(key, &life.life, now.wall.div_euclid(1000));
            // The ledger keeps endings from here on.
            life.life.told();
        }
    }

    /// One rule's instances, when it was evaluated, and how long that took in milliseconds.
    #[must_use]
    pub fn life(&self, key: &ObjectKey) -> Option<(&RuleLife, f64)> {
        self.lives.get(key).map(|life| (&life.life, life.took_ms))
    }
}

fn run(plan: &RulePlan, engine: &mut dyn Engine, at: Millis) -> Outcome {
    match engine.evaluate(&plan.expr, at) {
        Ok(Some(samples)) => Outcome::Samples(samples),
        Ok(None) => Outcome::NoSuchSeries,
        Err(why) => Outcome::Failed(why),
    }
}

fn record(key: &ObjectKey, plan: &RulePlan, engine: &mut dyn Engine, outcome: Outcome, at: Millis) {
    let samples = match outcome {
        Outcome::Samples(samples) => samples,
        _ => Vec::new(),
    };
    let named = |labels: Labels| {
        let extra = plan.labels.iter().fold(labels, |labels, (name, value)| labels.with(name, value));
        extra.with(METRIC_NAME, &plan.name)
    };
    let samples: Vec<(Labels, f64)> = samples.into_iter().map(|(labels, value)| (named(labels), value)).collect();
    engine.record_rule(key, at, &samples);
}

/// The leader's series of this moment.
#[must_use]
pub fn series(scene: &Scene<'_>, now: Now) -> Vec<(Labels, f64)> {
    let mut out = Vec::new();
    let mut put = |name: &str, labels: &[(&str, &str)], value: f64| {
        let pairs = labels.iter().copied().chain([(METRIC_NAME, name)]);
        out.push((Labels::from_pairs(pairs), value));
    };
    for (key, rollup) in scene.rollups {
        if scene.plan.checks.get(key).is_none_or(|check| check.suspended) {
            continue;
        }
        let [namespace, name] = [("namespace", key.namespace.as_ref()), ("name", key.name.as_ref())];
        put("vitals_healthcheck_health", &[namespace, name], rollup.health.as_number());
        for health in Health::ALL {
            let count = f64::from(rollup.counts.of(health));
            put("vitals_healthcheck_nodes", &[namespace, name, ("health", health.lower())], count);
        }
    }
    for name in scene.nodes.names() {
        // A node that has just come is neither up nor down.
        if !scene.nodes.is_new(name, now) {
            let up = scene.nodes.trouble(name, Span::default(), now).is_none();
            put("vitals_agent_up", &[("node", name)], f64::from(u8::from(up)));
        }
    }
    put("system_health_status", &[], scene.system.health().as_number());
    put("system_health_percentage", &[], scene.system.percentage());
    put("vitals_system_health_score", &[], scene.system.score());
    for ((receiver, fate), count) in scene.desk.counts() {
        let receiver = receiver.to_string();
        put("vitals_notifications_total", &[("receiver", &receiver), ("result", fate)], *count as f64);
    }
    let mut firing: BTreeMap<(&ObjectKey, &str, &str), f64> = BTreeMap::new();
    let mut by_severity: BTreeMap<&str, f64> = Severity::ALL.iter().map(|severity| (severity.as_str(), 0.0)).collect();
    for case in scene.desk.cases().filter(|case| case.ended.is_none()) {
        let words = &case.wording;
        *firing.entry((&case.episode.rule, &words.name, &words.severity)).or_default() += 1.0;
        *by_severity.entry(Severity::of(&words.severity).as_str()).or_default() += 1.0;
    }
    if !scene.alerts_series {
        firing.clear();
    }
    for ((rule, name, severity), count) in firing {
        let labels = [("alertname", name), ("namespace", rule.namespace.as_ref()), ("severity", severity)];
        put("ALERTS", &[labels[0], labels[1], labels[2], ("alertstate", "firing")], count);
    }
    for (severity, count) in by_severity {
        put("vitals_alerts", &[("state", "firing"), ("severity", severity)], count);
    }
    out
}
