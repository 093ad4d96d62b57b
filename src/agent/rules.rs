//! Evaluating one rule: expression to result vector, result to instances, instances to `ALERTS`.

use std::sync::Arc;
use std::time::Instant;

use super::pace::Change;
use super::{Agent, State};
use crate::alert::life::{Outcome, Phase, RuleLife, Transition};
use crate::model::labels::{Labels, METRIC_NAME};
use crate::model::plan::RulePlan;
use crate::model::ports::Series;
use crate::model::series::Millis;
use crate::promql::Query;
use crate::runtime::metrics;

/// A restored alert waits at most this long for history to cover its rule's range.
const LONGEST_WARMUP: Millis = 15 * 60_000;
/// A restored alert waits at most this long for the first results of all checks.
const LONGEST_SETTLING: Millis = 60_000;

impl Agent {
    /// Evaluates the rule in a slot at a time, and lets everybody know what changed.
    pub(super) fn evaluate_rule(&self, slot: u32, now: Millis) {
        let (query, plan, warming) = {
            let state = self.state();
            let Some(rule) = state.rules.by_slot.get(&slot) else { return };
            (rule.query.clone(), Arc::clone(&rule.plan), self.is_warming(&state, slot, now))
        };
        let started = Instant::now();
        // Outside the lock: an expression may take its time, checks must not wait for it.
        let outcome = match (&query, warming) {
            (Err(why), _) => Outcome::Failed(why.clone()),
            (Ok(_), true) => Outcome::Warming,
            (Ok(query), false) => evaluate(query, self.inner.store.as_ref(), now),
        };
        let took = started.elapsed();
        metrics::OWN.rule_duration.with_label_values(&["node"]).observe(took.as_secs_f64());
        metrics::OWN.rule_evaluations.with_label_values(&[outcome_word(&outcome)]).inc();
        if matches!(outcome, Outcome::Failed(_)) {
            metrics::OWN.rule_failures.inc();
        }
        if plan.record {
            self.record(slot, &plan, &outcome, now);
        }
        let mut state = self.state();
        let Some(rule) = state.rules.by_slot.get_mut(&slot).filter(|rule| Arc::ptr_eq(&rule.plan, &plan)) else {
            return;
        };
        rule.took_ms = took.as_secs_f64() * 1000.0;
        let before = rule.life.not_evaluated();
        let outcome = if plan.record { without_samples(outcome) } else { outcome };
        let transitions = rule.life.evaluate(&plan, outcome, now);
        let alerts = if plan.record { Vec::new() } else { alert_series(&rule.life, &plan) };
        let store_alerts = !plan.record && (rule.in_store || !alerts.is_empty());
        rule.in_store = !alerts.is_empty();
        let told = rule.life.not_evaluated() != before;
        let changed = !transitions.is_empty() || told;
        for transition in transitions {
            let change = match transition {
                Transition::Pending(_) | Transition::Vanished(_) => Change::Pending(slot),
                Transition::Firing(_) => Change::Firing(slot),
                Transition::Resolved(_) => Change::Resolved(slot),
            };
            state.pace.changed(change, now);
        }
        if told {
            state.pace.changed(Change::Pending(slot), now);
        }
        Self::settle(&mut state, slot, now);
        drop(state);
        if store_alerts {
            self.inner.store.append_values(&format!("alerts:{slot}"), now, &alerts);
        }
        if changed {
            self.inner.report_due.notify_one();
            self.changed();
        }
    }

    /// Whether alerts from before a restart would end only because history is still too short to show them.
    fn is_warming(&self, state: &State, slot: u32, now: Millis) -> bool {
        let Some(rule) = state.rules.by_slot.get(&slot) else { return false };
        if !rule.life.has_restored() {
            return false;
        }
        let age = now - self.inner.started_at;
        if !state.unsettled.is_empty() && age < LONGEST_SETTLING {
            return true;
        }
        let reach = rule.query.as_ref().map_or(0, |query| query.reach().as_millis_i64());
        now - state.history_from < reach && age < LONGEST_WARMUP
    }

    fn record(&self, slot: u32, plan: &RulePlan, outcome: &Outcome, now: Millis) {
        let Outcome::Samples(samples) = outcome else { return };
        let values: Vec<(Labels, f64)> = samples
            .iter()
            .map(|(labels, value)| {
                let named = plan.labels.iter().fold(labels.without_metric(), |set, (n, v)| set.with(n, v));
                (named.with(METRIC_NAME, &plan.name), *value)
            })
            .collect();
        self.inner.store.append_values(&format!("record:{slot}"), now, &values);
    }
}

fn evaluate(query: &Query, series: &dyn Series, now: Millis) -> Outcome {
    match query.rule_samples(series, now) {
        Ok(Some(samples)) => Outcome::Samples(samples),
        Ok(None) => Outcome::NoSuchSeries,
        Err(why) => Outcome::Failed(why),
    }
}

fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Samples(_) => "ok",
        Outcome::Warming => "warming",
        Outcome::NoSuchSeries => "no_such_series",
        Outcome::Failed(_) => "failed",
    }
}

/// A recording rule has no instances: its life only remembers how the evaluation went.
fn without_samples(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Samples(_) => Outcome::Samples(Vec::new()),
        other => other,
    }
}

/// `ALERTS` and `ALERTS_FOR_STATE` as Prometheus writes them, with the static severity.
fn alert_series(life: &RuleLife, plan: &RulePlan) -> Vec<(Labels, f64)> {
    let mut series = Vec::new();
    for (_, live) in life.instances() {
        let mut labels = live.labels.with("alertname", &plan.name);
        if !plan.severity.is_empty() {
            labels = labels.with("severity", &plan.severity);
        }
        let word = match live.phase() {
            Phase::Pending => "pending",
            Phase::Firing => "firing",
        };
        series.push((labels.with(METRIC_NAME, "ALERTS").with("alertstate", word), 1.0));
        series.push((labels.with(METRIC_NAME, "ALERTS_FOR_STATE"), (live.active_at / 1000) as f64));
    }
    series
}
