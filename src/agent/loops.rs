//! The agent's loops: who waits for what.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::pace::Change;
use super::{Agent, Progress};
use crate::agent::check_series;
use crate::check::Run;
use crate::model::health::Health;
use crate::model::plan::{Plan, Work};
use crate::model::ports::{PlanSource, ReportSink, SinkError};
use crate::model::report::Report;
use crate::model::series::{Frame, Millis};
use crate::runtime::tasks::Tasks;
use crate::runtime::{clock, metrics};

/// How often checks are looked at for results that have become too old.
const STALE_LOOK: Duration = Duration::from_secs(1);
/// Least time between two rounds of evaluation, in milliseconds.
const ROUND: Millis = 50;

/// What the sink holds of this agent; asked until it answers or the process ends.
pub(super) async fn last_report(sink: &dyn ReportSink, stop: &CancellationToken) -> Option<Report> {
    loop {
        match sink.last().await {
            Ok(report) => return report,
            Err(why) => {
                tracing::warn!(%why, "the last report cannot be read yet");
                let wait = match why {
                    SinkError::Later { after_ms, .. } => after_ms.clamp(100, 30_000),
                    SinkError::NotNewer { .. } => 100,
                };
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(wait)) => {}
                    () = stop.cancelled() => return None,
                }
            }
        }
    }
}

impl Agent {
    pub(super) fn spawn_loops(&self, plans: Box<dyn PlanSource>, runs: mpsc::Receiver<Arc<Run>>, tasks: &Tasks) {
        let until_stop = |work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let stop = tasks.stop().clone();
            async move {
                tokio::select! {
                    () = work => {}
                    () = stop.cancelled() => {}
                }
            }
        };
        tasks.spawn("collector", until_stop(Box::pin(self.clone().collect_loop())));
        tasks.spawn("plans", until_stop(Box::pin(self.clone().plan_loop(plans))));
        tasks.spawn("results", until_stop(Box::pin(self.clone().result_loop(runs))));
        tasks.spawn("evaluator", until_stop(Box::pin(self.clone().evaluate_loop())));
        // The reporter outlives the stop signal by one write: the last word of this process must not be lost.
        tasks.spawn("reporter", self.clone().report_loop(tasks.stop().clone()));
    }

    async fn collect_loop(self) {
        let mut clock = tokio::time::interval(self.inner.collect_every.std());
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            clock.tick().await;
            let agent = self.clone();
            // Reading /proc blocks: not on a thread that runs checks.
            let done = tokio::task::spawn_blocking(move || {
                let now = clock::now_millis();
                agent.with_host_frame(now, |frame| agent.inner.store.append(frame, "host"));
                agent.inner.store.prune(now);
            });
            if done.await.is_err() {
                metrics::panicked("host");
                tracing::error!("a collection panicked; its readings are missing");
            }
            Progress::tick(&self.inner.progress.collector);
        }
    }

    /// Reads the host now and hands the frame over.
    pub(super) fn with_host_frame<T>(&self, now: Millis, then: impl FnOnce(&Frame) -> T) -> T {
        let mut host = self.inner.host.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        let host = &mut *host;
        host.frame.reset(now);
        host.collection.collect(now, &mut host.frame);
        metrics::OWN.scrape_duration.set(started.elapsed().as_secs_f64());
        then(&host.frame)
    }

    async fn plan_loop(self, mut plans: Box<dyn PlanSource>) {
        while let Some(plan) = plans.next().await {
            // A plan that breaks the adoption must not take the agent down: the last one stays in force.
            let adopted = std::panic::catch_unwind(AssertUnwindSafe(|| self.adopt(plan)));
            if adopted.is_err() {
                metrics::panicked("agent");
                tracing::error!("adopting a plan panicked; the previous one stays in force");
            }
        }
    }

    fn adopt(&self, plan: Arc<Plan>) {
        let now = clock::now_millis();
        let mut state = self.state();
        let (changed_checks, ended) = state.checks.adopt(&plan);
        let changed_rules = state.rules.adopt(&plan, &self.inner.node, now);
        if let Some(last) = &state.restore {
            let last = last.clone();
            for rule in state.rules.by_slot.values_mut().filter(|rule| changed_rules.contains(&rule.slot)) {
                rule.life.restore(rule.slot, rule.rev, &last);
            }
            state.unsettled = changed_checks.iter().copied().collect();
        }
        // Only the first plan after a start meets the previous life's report.
        if plan.rev > 0 {
            state.restore = None;
        }
        state.pace.retain(|slot| plan.slot(slot).is_some());
        let waiting: std::collections::BTreeSet<u32> = changed_checks.iter().chain(&changed_rules).copied().collect();
        if waiting.is_empty() {
            state.pace.settled(now);
            state.adopting = None;
        } else {
            state.pace.adopting(now);
            state.adopting = Some(waiting);
        }
        state.plan = Arc::clone(&plan);
        drop(state);
        for slot in ended {
            self.inner.store.append(&Frame { at: now, readings: Vec::new() }, &check_source(slot));
        }
        self.inner.scheduler.set_entries(&plan.entries);
        self.settle_unsupported(&plan, now);
        tracing::info!(rev = plan.rev, entries = plan.entries.len(), "plan adopted");
        self.inner.rules_due.notify_one();
        self.inner.report_due.notify_one();
        self.changed();
    }

    /// Entries of a newer controller have their result at once: Unknown.
    fn settle_unsupported(&self, plan: &Plan, now: Millis) {
        let mut state = self.state();
        for entry in plan.entries.iter().filter(|entry| matches!(entry.work, Work::Unsupported(_))) {
            Self::settle(&mut state, entry.slot, now);
        }
    }

    /// A changed entry has its first result.
    pub(super) fn settle(state: &mut super::State, slot: u32, now: Millis) {
        state.unsettled.remove(&slot);
        if let Some(waiting) = &mut state.adopting
            && waiting.remove(&slot)
            && waiting.is_empty()
        {
            state.adopting = None;
            state.pace.settled(now);
        }
    }

    async fn result_loop(self, mut runs: mpsc::Receiver<Arc<Run>>) {
        let mut stale = tokio::time::interval(STALE_LOOK);
        loop {
            tokio::select! {
                run = runs.recv() => match run {
                    Some(run) => self.take_run(run),
                    None => return,
                },
                _ = stale.tick() => self.look_for_stale(),
            }
        }
    }

    /// Takes in one run, once.
    pub(super) fn take_run(&self, run: Arc<Run>) {
        let now = clock::now_millis();
        let slot = run.slot;
        let mut state = self.state();
        let Some(check) = state.checks.by_slot.get_mut(&slot) else { return };
        let seen = check.last.as_ref().is_some_and(|last| last.started_at >= run.started_at);
        if check.entry.rev != run.rev || seen {
            return;
        }
        metrics::OWN.scheduler_lag.set(run.lag.as_secs_f64());
        check.feed(run, now);
        let figures = check.figures(now);
        let mut frame = Frame { at: now, readings: Vec::with_capacity(16) };
        check_series::write(&[(&check.series, figures)], &mut frame);
        let flipped = note(check, now);
        if flipped {
            state.pace.changed(Change::Check(slot), now);
        }
        Self::settle(&mut state, slot, now);
        drop(state);
        self.inner.store.append(&frame, &check_source(slot));
        self.inner.report_due.notify_one();
        self.changed();
    }

    fn look_for_stale(&self) {
        let now = clock::now_millis();
        let mut state = self.state();
        let mut flipped = Vec::new();
        for (slot, check) in &mut state.checks.by_slot {
            if check.last.is_some() && note(check, now) {
                flipped.push(*slot);
            }
        }
        for slot in &flipped {
            state.pace.changed(Change::Check(*slot), now);
        }
        drop(state);
        if !flipped.is_empty() {
            self.inner.report_due.notify_one();
            self.changed();
        }
    }

    async fn evaluate_loop(self) {
        loop {
            Progress::tick(&self.inner.progress.evaluator);
            let now = clock::now_millis();
            let due = self.state().rules.take_due(now);
            for slot in due {
                self.evaluate_rule(slot, now);
                // Between two rules others get the thread.
                tokio::task::yield_now().await;
            }
            let next = self.state().rules.next_due().unwrap_or(now + 1000);
            // Rules that are due close together share a round: a thousand of them are not a thousand wake-ups.
            let wait = (next - clock::now_millis()).clamp(ROUND, 1000).unsigned_abs();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
                () = self.inner.rules_due.notified() => {}
            }
        }
    }

    async fn report_loop(self, stop: CancellationToken) {
        loop {
            Progress::tick(&self.inner.progress.reporter);
            let now = clock::now_millis();
            let (at, cause) = self.state().pace.next();
            if at <= now {
                self.write_report(cause.as_str()).await;
                continue;
            }
            let wait = Duration::from_millis((at - now).clamp(1, 1000).unsigned_abs());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.inner.report_due.notified() => {}
                () = stop.cancelled() => {
                    self.write_report("stopping").await;
                    return;
                }
            }
        }
    }
}

/// Whether a check's state differs from the one last noticed; notices it. A first result is a change too.
fn note(check: &mut super::check_state::CheckState, now: Millis) -> bool {
    let health: Health = check.standing(now).health;
    let flipped = check.noticed != Some(health);
    check.noticed = Some(health);
    flipped
}

fn check_source(slot: u32) -> String {
    format!("check:{slot}")
}
