//! What an agent shows: the last run of each check, the last evaluation of each rule, its metrics, its pulse.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use super::{Agent, check_series};
use crate::alert::life::Phase;
use crate::check::RunNowError;
use crate::model::Labels;
use crate::model::health::Health;
use crate::model::object::ObjectKey;
use crate::model::series::{Family, Frame, MetricKind, Millis, SeriesInfo};
use crate::model::view::{CheckView, ProbeView, RunView};
use crate::runtime::clock;

/// A loop that has not gone round for this long stands still.
const STANDSTILL: Millis = 30_000;

/// One check (one target of it) as the agent knows it.
#[derive(Clone, Debug)]
pub struct SlotView {
    /// Its state, after thresholds.
    pub health: Health,
    /// A finite word.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// Since when.
    pub since: Option<Millis>,
    /// When it last ran.
    pub last_check: Option<Millis>,
    /// How long that took.
    pub duration_ms: Option<f64>,
    /// The last run's phases, milliseconds.
    pub phases: Vec<(String, f64)>,
    /// The last run's facts.
    pub details: BTreeMap<String, serde_json::Value>,
    /// Percent of good runs in the window.
    pub success_rate: Option<f64>,
    /// Percent of failed runs in the window.
    pub error_rate: Option<f64>,
}

impl SlotView {
    /// Fills in what the roll-up does not know: the last run.
    pub fn fill(self, view: &mut CheckView) {
        view.last_check = self.last_check;
        view.duration_ms = self.duration_ms;
        view.phases = self.phases;
        view.details = self.details;
        view.success_rate = self.success_rate;
        view.error_rate = self.error_rate;
        if view.message.is_empty() {
            view.message = self.message;
        }
    }
}

/// One rule as the agent knows it.
#[derive(Clone, Debug)]
pub struct RuleSlotView {
    /// `Ok`, or why the last evaluation does not count.
    pub evaluated: String,
    /// The engine's words, if it failed.
    pub error: String,
    /// When it was last evaluated.
    pub last_evaluation: Option<Millis>,
    /// How long that took, milliseconds.
    pub evaluation_ms: f64,
}

impl Agent {
    /// Grows with every change that a view could show.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.inner.version.load(Ordering::Relaxed)
    }

    /// The revision of the plan in force.
    #[must_use]
    pub fn plan_revision(&self) -> u64 {
        self.state().plan.rev
    }

    /// One check's slot.
    #[must_use]
    pub fn check_slot(&self, slot: u32) -> Option<SlotView> {
        let now = clock::now_millis();
        let state = self.state();
        let check = state.checks.by_slot.get(&slot)?;
        let standing = check.standing(now);
        let (success_rate, error_rate) = check.rates();
        let last = check.last.as_ref();
        Some(SlotView {
            health: standing.health,
            reason: standing.reason.to_owned(),
            message: standing.message.to_owned(),
            since: standing.since,
            last_check: check.runs.back().map(|run| run.at),
            duration_ms: last.map(|run| run.duration.as_secs_f64() * 1000.0),
            phases: last
                .iter()
                .flat_map(|run| &run.verdict.phases)
                .map(|(name, ms)| ((*name).to_owned(), *ms))
                .collect(),
            details: last
                .iter()
                .flat_map(|run| &run.verdict.details)
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            success_rate,
            error_rate,
        })
    }

    /// One rule's slot.
    #[must_use]
    pub fn rule_slot(&self, slot: u32) -> Option<RuleSlotView> {
        let state = self.state();
        let rule = state.rules.by_slot.get(&slot)?;
        Some(RuleSlotView {
            evaluated: rule.life.not_evaluated().unwrap_or("Ok").to_owned(),
            error: rule.life.error().unwrap_or("").to_owned(),
            last_evaluation: rule.life.evaluated_at(),
            evaluation_ms: rule.took_ms,
        })
    }

    /// Runs of one check or of all, oldest first, the newest `limit` of them.
    #[must_use]
    pub fn runs(&self, key: Option<&ObjectKey>, from: Millis, to: Millis, limit: usize) -> Vec<RunView> {
        self.state().checks.runs(key, from, to, limit)
    }

    /// Runs the check in a slot now and waits for the verdict.
    ///
    /// # Errors
    /// There is no check in the slot, it ran less than a second ago, or the process is stopping.
    pub async fn run_now(&self, slot: u32) -> Result<(), RunNowError> {
        let run = self.inner.scheduler.run_now(slot).await?;
        // The same run also comes through the results' channel; whoever is first feeds it, the other sees it fed.
        self.take_run(run);
        Ok(())
    }

    /// All metrics of this agent, the host read afresh.
    pub fn with_frames<T>(&self, then: impl FnOnce(&[&Frame]) -> T) -> T {
        let now = clock::now_millis();
        let mut own = Frame { at: now, readings: Vec::new() };
        {
            let state = self.state();
            let checks: Vec<_> =
                state.checks.by_slot.values().map(|check| (&check.series, check.figures(now))).collect();
            check_series::write(&checks, &mut own);
            write_alerts(&state, &self.inner.identity, &mut own);
        }
        self.with_host_frame(now, |host| then(&[host, &own]))
    }

    /// Whether every loop advances.
    #[must_use]
    pub fn live(&self) -> ProbeView {
        let now = clock::now_millis();
        let mut problems = Vec::new();
        let collect = self.inner.collect_every.as_millis_i64();
        let progress = &self.inner.progress;
        let mut look = |name: &str, clock: &AtomicI64, allowed: Millis| {
            let last = clock.load(Ordering::Relaxed).max(self.inner.started_at);
            if now - last > allowed {
                problems.push(format!("the {name} has stood still for {} s", (now - last) / 1000));
            }
        };
        look("collector", &progress.collector, STANDSTILL.max(3 * collect));
        look("rule evaluator", &progress.evaluator, STANDSTILL);
        look("report loop", &progress.reporter, STANDSTILL);
        let late = self.inner.scheduler.progress().last().elapsed();
        if late.as_millis() > STANDSTILL.unsigned_abs().into() {
            problems.push(format!("the check scheduler has stood still for {} s", late.as_secs()));
        }
        ProbeView { ok: problems.is_empty(), problems }
    }

    /// Whether a plan is in force and a report about it was taken within one and a half heartbeats.
    #[must_use]
    pub fn ready(&self) -> ProbeView {
        let now = clock::now_millis();
        let state = self.state();
        let mut problems = Vec::new();
        if state.plan.rev == 0 {
            problems.push("no plan has been loaded yet".to_owned());
        }
        match state.accepted_at {
            None => problems.push("no report has been taken yet".to_owned()),
            Some(at) if now - at > super::pace::HEARTBEAT * 3 / 2 => {
                problems.push(format!("the last report was taken {} s ago", (now - at) / 1000));
            }
            Some(_) => {}
        }
        ProbeView { ok: problems.is_empty(), problems }
    }
}

fn write_alerts(state: &super::State, identity: &Labels, out: &mut Frame) {
    let family = Family::new("ALERTS", "Pending and firing alerts.", MetricKind::Gauge);
    let since = Family::new("ALERTS_FOR_STATE", "Since when an alert's expression holds.", MetricKind::Gauge);
    let mut started = Vec::new();
    for rule in state.rules.by_slot.values() {
        for (_, live) in rule.life.instances() {
            let scraped = |label: &(&str, &str)| identity.get(label.0) != Some(label.1);
            let mut labels: Vec<(&str, &str)> = live.labels.iter().filter(scraped).collect();
            labels.push(("alertname", &rule.plan.name));
            if !rule.plan.severity.is_empty() {
                labels.push(("severity", &rule.plan.severity));
            }
            started.push((SeriesInfo::new(&since, &labels), live.active_at));
            let word = match live.phase() {
                Phase::Pending => "pending",
                Phase::Firing => "firing",
            };
            labels.push(("alertstate", word));
            out.put(&SeriesInfo::new(&family, &labels), 1.0);
        }
    }
    for (series, at) in started {
        out.put(&series, (at / 1000) as f64);
    }
}
