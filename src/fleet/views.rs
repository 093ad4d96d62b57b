//! What the fleet shows: the parts of the views that the leader knows.

use std::collections::{BTreeMap, BTreeSet};

use super::core::Core;
use super::rollup::Rollup;
use super::{Counts, Fleet, SystemInput};
use crate::alert::desk::{Case, covers, is_active, value_text};
use crate::alert::episode::Episode;
use crate::model::Health;
use crate::model::fleet_plan::{FleetCheck, FleetRule, RuleScope, SilenceTarget};
use crate::model::object::ObjectKey;
use crate::model::series::Millis;
use crate::model::severity::Severity;
use crate::model::view::{AlertView, CheckView, ReceiverView, RuleView, SilenceView};

/// The fleet's part of the system's view.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetSummary {
    /// Overall health, percentage and score come from these.
    pub system: SystemInput,
    /// The plan in force.
    pub plan_revision: u64,
    /// Agents that can be believed, and expected ones.
    pub agents: (usize, usize),
    /// Alerts that ended since the history began.
    pub resolved_alerts: u64,
}

impl Fleet {
    /// The whole.
    #[must_use]
    pub fn summary(&self) -> FleetSummary {
        let core = self.core();
        FleetSummary {
            system: core.system,
            plan_revision: core.plan.rev,
            agents: core.nodes.ready(self.clock.now()),
            resolved_alerts: core.desk.resolved(),
        }
    }

    /// All checks by key, as rolled up; what an agent knows of its own runs (last run, phases, rates, details) is for
    /// the caller to fill in.
    #[must_use]
    pub fn checks(&self) -> Vec<CheckView> {
        let core = self.core();
        core.plan.checks.iter().map(|(key, check)| check_view(key, check, core.rollups.get(key))).collect()
    }

    /// One check with its counts and what fails where.
    #[must_use]
    pub fn rollup(&self, key: &ObjectKey) -> Option<Rollup> {
        self.core().rollups.get(key).cloned()
    }

    /// How many results of each health a check has.
    #[must_use]
    pub fn counts(&self, key: &ObjectKey) -> Option<Counts> {
        self.core().rollups.get(key).map(|rollup| rollup.counts)
    }

    /// All rules by key; when an agent last evaluated one, and how long that took, is for the caller to fill in.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleView> {
        let core = self.core();
        let mut nodes: BTreeMap<&ObjectKey, BTreeSet<&str>> = BTreeMap::new();
        for episode in core.ledger.open().filter(|episode| episode.has_fired()) {
            nodes.entry(&episode.rule).or_default().insert(&episode.node);
        }
        let mut worst: BTreeMap<&ObjectKey, &Case> = BTreeMap::new();
        for case in core.desk.cases().filter(|case| case.ended.is_none()) {
            let seen = worst.entry(&case.episode.rule).or_insert(case);
            if case.wording.problem.is_some() && seen.wording.problem.is_none() {
                *seen = case;
            }
        }
        let all = core.nodes.names().count();
        let shown = core.plan.rules.iter().filter(|(_, rule)| !rule.rule.expr.is_empty());
        shown
            .map(|(key, rule)| {
                let firing = nodes.get(key).map_or(0, BTreeSet::len);
                let expected = if rule.scope == RuleScope::Cluster { 1 } else { all };
                let (state, since) = core.rule_states.get(key).map_or(("Unknown", None), |(s, at)| (*s, Some(*at)));
                let (evaluated, trouble) = evaluated(&core, key, rule);
                let said = worst.get(key).map(|case| match &case.wording.problem {
                    Some(problem) => problem.clone(),
                    None => case.wording.message.clone(),
                });
                let life = core.rules.life(key);
                RuleView {
                    key: key.clone(),
                    state: state.to_owned(),
                    severity: rule.rule.severity.clone(),
                    firing: format!("{firing}/{expected}"),
                    since,
                    expr: rule.rule.expr.clone(),
                    hold: rule.rule.hold.to_string(),
                    message: trouble.or(said).unwrap_or_default(),
                    evaluated,
                    record: rule.rule.record,
                    interval_ms: rule.rule.interval.as_millis(),
                    last_evaluation: life.and_then(|(life, _)| life.evaluated_at()),
                    evaluation_ms: life.map(|(_, took)| took),
                    receivers: core.desk.receivers_of(key),
                    labels: rule.labels.clone(),
                    annotations: rule.annotations.clone(),
                }
            })
            .collect()
    }

    /// Pending and firing alerts, most urgent first.
    #[must_use]
    pub fn alerts(&self) -> Vec<AlertView> {
        let core = self.core();
        let firing = core.desk.cases().filter(|case| case.ended.is_none()).map(|case| firing_view(&core, case));
        let waiting = core.ledger.open().filter(|episode| !episode.has_fired());
        let mut all: Vec<AlertView> = firing.chain(waiting.map(|episode| pending_view(&core, episode))).collect();
        all.sort_by(|a, b| {
            let urgency =
                |alert: &AlertView| (alert.state != "Firing", std::cmp::Reverse(Severity::of(&alert.severity)));
            urgency(a).cmp(&urgency(b)).then_with(|| (a.active_at, &a.id).cmp(&(b.active_at, &b.id)))
        });
        all
    }

    /// Alerts that ended between `from` and `to`, at most the `limit` newest ones, newest last.
    #[must_use]
    pub fn alert_history(&self, from: Millis, to: Millis, limit: usize) -> Vec<AlertView> {
        let core = self.core();
        let telling = core.desk.cases().filter(|case| case.ended.is_some());
        let mut all: Vec<AlertView> =
            core.desk.history().chain(telling).map(|case| with_held(case.view(), case)).collect();
        all.retain(|alert| alert.resolved_at.is_some_and(|at| (from..=to).contains(&at)));
        all.sort_by(|a, b| (a.resolved_at, &a.id).cmp(&(b.resolved_at, &b.id)));
        all.split_off(all.len().saturating_sub(limit))
    }

    /// All receivers by key.
    #[must_use]
    pub fn receivers(&self) -> Vec<ReceiverView> {
        let core = self.core();
        let mut queued: BTreeMap<&ObjectKey, usize> = BTreeMap::new();
        for intent in core.desk.intents() {
            *queued.entry(intent.receiver()).or_default() += 1;
        }
        let views = core.plan.receivers.iter().map(|(key, receiver)| {
            let failing = core.failing.get(key).map(|(reason, _)| reason.clone());
            ReceiverView {
                key: key.clone(),
                kind: receiver.integration.kind().to_owned(),
                ready: failing.is_none(),
                reason: failing.unwrap_or_else(|| "Ok".to_owned()),
                queued: queued.get(key).copied().unwrap_or(0),
            }
        });
        views.collect()
    }

    /// All silences by key.
    #[must_use]
    pub fn silences(&self) -> Vec<SilenceView> {
        let core = self.core();
        let now = self.clock.now().wall;
        let views = core.plan.silences.iter().map(|(key, silence)| {
            let firing = core.desk.cases().filter(|case| case.ended.is_none());
            let matched = firing.filter(|case| covers(silence, case)).count();
            // An acknowledgement dies with its episode.
            let died =
                silence.ends_at.is_none() && matches!(silence.covers, SilenceTarget::Episode { .. }) && matched == 0;
            let state = match is_active(silence, now) {
                _ if silence.starts_at > now => "Pending",
                true if !died => "Active",
                _ => "Expired",
            };
            SilenceView {
                key: key.clone(),
                state: state.to_owned(),
                ends_at: silence.ends_at,
                matched,
                author: silence.author.clone(),
                comment: silence.comment.clone(),
            }
        });
        views.collect()
    }

    /// Attempts by receiver and fate (`delivered`, `failing`, `dropped`) since this process started.
    #[must_use]
    pub fn notification_counts(&self) -> Vec<(ObjectKey, &'static str, u64)> {
        let core = self.core();
        core.desk.counts().iter().map(|((receiver, fate), count)| (receiver.clone(), *fate, *count)).collect()
    }
}

/// A check as rolled up; what an agent knows of its own runs is left open.
pub(super) fn check_view(key: &ObjectKey, check: &FleetCheck, rollup: Option<&Rollup>) -> CheckView {
    CheckView {
        key: key.clone(),
        kind: check.kind.to_owned(),
        target: check.target.clone(),
        component_type: check.component_type.clone(),
        critical: check.critical,
        health: rollup.map_or(Health::Unknown, |rollup| rollup.health),
        reason: rollup.map_or_else(|| "NoResult".to_owned(), |rollup| rollup.reason.clone()),
        message: rollup.map_or_else(String::new, |rollup| rollup.message.clone()),
        since: rollup.map(|rollup| rollup.since),
        last_check: None,
        duration_ms: None,
        interval_ms: check.interval.as_millis(),
        timeout_ms: check.timeout.as_millis(),
        success_rate: None,
        error_rate: None,
        summary: rollup.map_or_else(String::new, Rollup::summary),
        suspended: check.suspended,
        phases: Vec::new(),
        details: BTreeMap::new(),
        labels: check.labels.clone(),
        depends_on: check.depends_on.clone(),
    }
}

/// Whether a rule is evaluated, and the words of what hinders it.
fn evaluated(core: &Core, key: &ObjectKey, rule: &FleetRule) -> (String, Option<String>) {
    if let Some((life, _)) = core.rules.life(key) {
        let error = life.error().map(str::to_owned);
        return (life.not_evaluated().unwrap_or("Ok").to_owned(), error);
    }
    let Some(slot) = rule.slot.as_ref().filter(|_| !rule.suspended) else { return ("Suspended".to_owned(), None) };
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut fine = 0;
    for (_, report) in core.nodes.reports().filter(|(_, report)| report.plan_rev >= slot.rev) {
        match report.not_evaluated.iter().find(|rule| rule.slot == slot.slot) {
            Some(not) => *reasons.entry(&not.reason).or_default() += 1,
            None => fine += 1,
        }
    }
    // A failure anywhere is worth a word; missing series are one only if no node has any.
    let reason = match () {
        () if reasons.contains_key("EvaluationFailed") => "EvaluationFailed",
        () if fine > 0 => "Ok",
        () if reasons.contains_key("NoSuchSeries") && !reasons.contains_key("Warming") => "NoSuchSeries",
        () => "Warming",
    };
    let message = match reason {
        "EvaluationFailed" => {
            let count = reasons.get(reason).copied().unwrap_or(0);
            Some(format!("its expression fails on {count} nodes; `vitals query` shows the error"))
        }
        "NoSuchSeries" => Some("no node has a series that its expression selects".to_owned()),
        _ => None,
    };
    (reason.to_owned(), message)
}

fn firing_view(core: &Core, case: &Case) -> AlertView {
    let mut view = with_held(case.view(), case);
    // While a message waits for its next attempt, its receivers are shown as they are.
    for intent in core.desk.intents().filter(|intent| intent.failures() > 0) {
        let about = intent.members.iter().any(|member| member.case == case.episode.key());
        if let Some(told) = view.notifications.iter_mut().find(|told| about && told.receiver == *intent.receiver()) {
            "failing".clone_into(&mut told.status);
        }
    }
    view
}

/// Says in the notifications why nobody was told, if so: `suppressed/Silenced`.
fn with_held(mut view: AlertView, case: &Case) -> AlertView {
    if let Some(reason) = case.held.as_ref().filter(|_| !case.was_notified()) {
        for receiver in case.receivers() {
            let known = view.notifications.iter().any(|told| told.receiver == receiver);
            if !known {
                let status = format!("suppressed/{reason}");
                let at = view.updated_at;
                view.notifications.push(crate::model::view::NotificationView { receiver, status, at });
            }
        }
    }
    view
}

fn pending_view(core: &Core, episode: &Episode) -> AlertView {
    let active_at = episode.active_at.saturating_mul(1000);
    let wording = core.plan.rules.get(&episode.rule).map(|rule| core.words().word(&episode.rule, rule, episode));
    let wording = wording.unwrap_or_default();
    AlertView {
        id: episode.id.to_string(),
        rule: episode.rule.clone(),
        name: wording.name,
        severity: wording.severity,
        state: "Pending".to_owned(),
        message: wording.message,
        component: wording.component,
        labels: wording.labels,
        annotations: wording.annotations,
        value: value_text(episode.value),
        node: episode.node.clone(),
        active_at,
        fired_at: None,
        resolved_at: None,
        resolved_reason: String::new(),
        updated_at: active_at,
        acknowledged: None,
        silenced_by: None,
        notifications: Vec::new(),
    }
}
