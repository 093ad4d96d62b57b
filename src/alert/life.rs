//! The life of one rule's instances where the rule is evaluated: inactive, pending, firing, resolved.
//!
//! The steps are Prometheus's, with four promises that it does not make: what could not be evaluated changes nothing,
//! raising `for` does not end a firing episode, a result above `limit` never resolves what already fires, and
//! everything survives a restart through the report.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Labels;
use crate::model::plan::{OnTrouble, RulePlan};
use crate::model::report::{Ended, Fingerprint, Instance, Report, Seconds};
use crate::model::series::Millis;

/// How long an ended instance stays in reports, in milliseconds.
pub const KEEP_ENDED: Millis = 15 * 60 * 1000;
/// Most instances of one rule, whatever its `limit` says; a `limit` of 0 means this.
pub const MAX_INSTANCES: usize = 10_000;

/// What one evaluation of a rule's expression brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The result vector; empty when nothing holds.
    Samples(Vec<(Labels, f64)>),
    /// History does not yet cover the expression's range.
    Warming,
    /// No series at all has the names that the expression selects.
    NoSuchSeries,
    /// The expression could not be evaluated, with the engine's words.
    Failed(String),
}

/// What an evaluation changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Holds, not yet for long enough.
    Pending(Fingerprint),
    /// Fires from now on.
    Firing(Fingerprint),
    /// Fired, and does not hold any more.
    Resolved(Fingerprint),
    /// Was pending, and does not hold any more.
    Vanished(Fingerprint),
}

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Holds, not yet for long enough.
    Pending,
    /// Fires.
    Firing,
}

/// One pending or firing instance. Times in unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// The result's labels without the metric name.
    pub labels: Labels,
    /// Since when the expression holds.
    pub active_at: Millis,
    /// Since when it fires.
    pub fired_at: Option<Millis>,
    /// Since when it fires only because of `keepFiringFor`.
    pub keep_firing_since: Option<Millis>,
    /// The last value.
    pub value: f64,
    /// Whether it comes from before a restart and was not seen to hold since.
    pub restored: bool,
}

impl Live {
    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.fired_at.is_some() { Phase::Firing } else { Phase::Pending }
    }

    fn report(&self, slot: u32, fp: u64) -> Instance {
        Instance {
            slot,
            fp: Fingerprint(fp),
            labels: self.labels.clone(),
            active_at: seconds(self.active_at),
            fired_at: self.fired_at.map_or(0, seconds),
            keep_firing_since: self.keep_firing_since.map_or(0, seconds),
            value: self.value,
        }
    }
}

/// An instance that ended, and whether a report that says so was taken.
#[derive(Clone, Debug, PartialEq)]
struct Gone {
    live: Live,
    at: Millis,
    told: bool,
}

/// All instances of one rule in one process.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleLife {
    live: BTreeMap<u64, Live>,
    /// The newest ending of each instance.
    gone: BTreeMap<u64, Gone>,
    /// Why the last evaluation does not count; a rule that was not evaluated yet is warming up.
    not_evaluated: Option<&'static str>,
    error: Option<String>,
    dropped: u32,
    evaluated_at: Option<Millis>,
}

impl Default for RuleLife {
    fn default() -> Self {
        Self {
            live: BTreeMap::new(),
            gone: BTreeMap::new(),
            not_evaluated: Some("Warming"),
            error: None,
            dropped: 0,
            evaluated_at: None,
        }
    }
}

fn seconds(at: Millis) -> Seconds {
    at.div_euclid(1000)
}

impl RuleLife {
    /// A rule that was never evaluated.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over the instances that this process reported before it restarted.
    ///
    /// `rev` is the revision of the rule's plan entry: a report that answers an older plan may mean another rule by
    /// this slot and is not read.
    pub fn restore(&mut self, slot: u32, rev: u64, report: &Report) {
        if report.plan_rev < rev {
            return;
        }
        for instance in report.pending.iter().chain(&report.firing).filter(|instance| instance.slot == slot) {
            self.restore_instance(instance);
        }
        for ended in report.resolved.iter().filter(|ended| ended.instance.slot == slot) {
            let live = restored(&ended.instance);
            self.gone.insert(live.labels.fingerprint(), Gone { live, at: ended.resolved_at * 1000, told: true });
        }
    }

    /// Takes over one instance from before a restart.
    pub fn restore_instance(&mut self, instance: &Instance) {
        let live = restored(instance);
        self.live.insert(live.labels.fingerprint(), live);
    }

    /// The rule was edited: until its next evaluation nothing is known about what holds.
    pub fn replanned(&mut self) {
        self.not_evaluated = Some("Warming");
        self.error = None;
    }

    /// Takes in one evaluation made at `at`, and says what it changed.
    pub fn evaluate(&mut self, plan: &RulePlan, outcome: Outcome, at: Millis) -> Vec<Transition> {
        self.evaluated_at = Some(at);
        self.error = None;
        self.forget_old(at);
        match outcome {
            Outcome::Samples(samples) => match distinct(samples) {
                Ok(found) => {
                    self.not_evaluated = None;
                    self.step(plan, found, at)
                }
                Err(twice) => self.failed(plan, duplicate(&twice), at),
            },
            Outcome::Warming => {
                self.not_evaluated = Some("Warming");
                Vec::new()
            }
            Outcome::NoSuchSeries => match plan.no_data {
                OnTrouble::KeepLast => {
                    self.not_evaluated = Some("NoSuchSeries");
                    Vec::new()
                }
                OnTrouble::Ok => {
                    self.not_evaluated = None;
                    self.step(plan, BTreeMap::new(), at)
                }
                OnTrouble::Alerting => {
                    self.not_evaluated = Some("NoSuchSeries");
                    self.step_trouble(plan, at)
                }
            },
            Outcome::Failed(why) => self.failed(plan, why, at),
        }
    }

    fn failed(&mut self, plan: &RulePlan, why: String, at: Millis) -> Vec<Transition> {
        self.error = Some(why);
        self.not_evaluated = Some("EvaluationFailed");
        match plan.on_error {
            OnTrouble::KeepLast => Vec::new(),
            OnTrouble::Ok => self.step(plan, BTreeMap::new(), at),
            OnTrouble::Alerting => self.step_trouble(plan, at),
        }
    }

    /// One instance without labels for the trouble itself; what was known before stays as it was.
    fn step_trouble(&mut self, plan: &RulePlan, at: Millis) -> Vec<Transition> {
        let mut changes = Vec::new();
        let nameless = Labels::empty();
        let fp = nameless.fingerprint();
        self.holds(plan, fp, (nameless, f64::NAN), at, &mut changes);
        changes
    }

    /// One evaluation whose result is `found`.
    fn step(&mut self, plan: &RulePlan, mut found: BTreeMap<u64, (Labels, f64)>, at: Millis) -> Vec<Transition> {
        let mut changes = Vec::new();
        self.dropped = self.cut(plan, &mut found);
        if self.live.is_empty() && found.is_empty() {
            return changes;
        }
        let missing: Vec<u64> = self.live.keys().filter(|fp| !found.contains_key(fp)).copied().collect();
        for fp in missing {
            self.misses(plan, fp, at, &mut changes);
        }
        for (fp, sample) in found {
            self.holds(plan, fp, sample, at, &mut changes);
        }
        changes
    }

    /// Keeps what fires, then what is pending, then the first new ones by fingerprint, up to `limit`; counts the rest.
    fn cut(&self, plan: &RulePlan, found: &mut BTreeMap<u64, (Labels, f64)>) -> u32 {
        let limit = match plan.limit as usize {
            0 => MAX_INSTANCES,
            limit => limit.min(MAX_INSTANCES),
        };
        if found.len() <= limit {
            return 0;
        }
        // 0 fires, 1 pending, 2 new: an overflow must never resolve what fires.
        let mut order: Vec<(u8, u64)> = found
            .keys()
            .map(|fp| match self.live.get(fp).map(Live::phase) {
                Some(Phase::Firing) => (0, *fp),
                Some(Phase::Pending) => (1, *fp),
                None => (2, *fp),
            })
            .collect();
        order.sort_unstable();
        let firing = order.iter().take_while(|(rank, _)| *rank == 0).count();
        let surplus = order.split_off(limit.max(firing));
        for (_, fp) in &surplus {
            found.remove(fp);
        }
        u32::try_from(surplus.len()).unwrap_or(u32::MAX)
    }

    fn holds(&mut self, plan: &RulePlan, fp: u64, sample: (Labels, f64), at: Millis, out: &mut Vec<Transition>) {
        let (labels, value) = sample;
        let is_new = !self.live.contains_key(&fp);
        let live = self.live.entry(fp).or_insert(Live {
            labels,
            active_at: at,
            fired_at: None,
            keep_firing_since: None,
            value,
            restored: false,
        });
        live.value = value;
        live.restored = false;
        live.keep_firing_since = None;
        // A clock that was set back must not hold an alert off.
        live.active_at = live.active_at.min(at);
        if live.fired_at.is_some() {
            return;
        }
        if at - live.active_at >= plan.hold.as_millis_i64() {
            // An episode's name is the second in which it fired: two episodes never share one.
            let earliest = self.gone.get(&fp).and_then(|gone| gone.live.fired_at).map_or(at, |last| last + 1000);
            live.fired_at = Some(at.max(earliest));
            out.push(Transition::Firing(Fingerprint(fp)));
        } else if is_new {
            out.push(Transition::Pending(Fingerprint(fp)));
        }
    }

    fn misses(&mut self, plan: &RulePlan, fp: u64, at: Millis, out: &mut Vec<Transition>) {
        let Some(live) = self.live.get_mut(&fp) else { return };
        if live.phase() == Phase::Pending {
            self.live.remove(&fp);
            out.push(Transition::Vanished(Fingerprint(fp)));
            return;
        }
        let keep = plan.keep_firing_for.as_millis_i64();
        if keep > 0 {
            let since = (*live.keep_firing_since.get_or_insert(at)).min(at);
            live.keep_firing_since = Some(since);
            if at - since < keep {
                return;
            }
        }
        if let Some(live) = self.live.remove(&fp) {
            self.gone.insert(fp, Gone { live, at, told: false });
            out.push(Transition::Resolved(Fingerprint(fp)));
        }
    }

    fn forget_old(&mut self, at: Millis) {
        if !self.gone.is_empty() {
            self.gone.retain(|_, gone| !gone.told || at - gone.at < KEEP_ENDED);
            // While nobody takes reports, the oldest endings give way: the leader then learns by absence.
            while self.gone.len() > MAX_INSTANCES {
                let Some(oldest) = self.gone.iter().min_by_key(|(_, gone)| gone.at).map(|(fp, _)| *fp) else { break };
                self.gone.remove(&oldest);
            }
        }
    }

    /// A report was taken: the endings that it carried need no further telling.
    pub fn written(&mut self, slot: u32, report: &Report) {
        let carried: BTreeSet<(Fingerprint, Seconds)> = report
            .resolved
            .iter()
            .filter(|ended| ended.instance.slot == slot)
            .map(|ended| (ended.instance.fp, ended.instance.fired_at))
            .collect();
        for (fp, gone) in &mut self.gone {
            if carried.contains(&(Fingerprint(*fp), gone.live.fired_at.map_or(0, seconds))) {
                gone.told = true;
            }
        }
    }

    /// Whoever needs to know has heard of all endings: the process that evaluates also keeps the ledger.
    pub fn told(&mut self) {
        for gone in self.gone.values_mut() {
            gone.told = true;
        }
    }

    /// Pending and firing instances by fingerprint.
    pub fn instances(&self) -> impl Iterator<Item = (Fingerprint, &Live)> {
        self.live.iter().map(|(fp, live)| (Fingerprint(*fp), live))
    }

    /// Pending instances as a report carries them.
    pub fn pending(&self, slot: u32) -> impl Iterator<Item = Instance> + '_ {
        self.of_phase(slot, Phase::Pending)
    }

    /// Firing instances as a report carries them.
    pub fn firing(&self, slot: u32) -> impl Iterator<Item = Instance> + '_ {
        self.of_phase(slot, Phase::Firing)
    }

    fn of_phase(&self, slot: u32, phase: Phase) -> impl Iterator<Item = Instance> + '_ {
        self.live.iter().filter(move |(_, live)| live.phase() == phase).map(move |(fp, live)| live.report(slot, *fp))
    }

    /// Instances that ended less than [`KEEP_ENDED`] ago or that no report has told yet.
    pub fn ended(&self, slot: u32) -> impl Iterator<Item = Ended> + '_ {
        self.gone
            .iter()
            .map(move |(fp, gone)| Ended { instance: gone.live.report(slot, *fp), resolved_at: seconds(gone.at) })
    }

    /// How many are pending and firing.
    #[must_use]
    pub fn counts(&self) -> (u32, u32) {
        let firing = self.live.values().filter(|live| live.phase() == Phase::Firing).count();
        (u32::try_from(self.live.len() - firing).unwrap_or(u32::MAX), u32::try_from(firing).unwrap_or(u32::MAX))
    }

    /// Results above `limit` in the last evaluation that counted.
    #[must_use]
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Why the instances are only what they were: `Warming`, `NoSuchSeries` or `EvaluationFailed`.
    #[must_use]
    pub fn not_evaluated(&self) -> Option<&'static str> {
        self.not_evaluated
    }

    /// The engine's words about the last evaluation, if it failed.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// When it was last evaluated, whatever came of it.
    #[must_use]
    pub fn evaluated_at(&self) -> Option<Millis> {
        self.evaluated_at
    }

    /// Whether an instance from before a restart was not seen to hold since: such a rule must stay [`Outcome::Warming`]
    /// until history covers its range.
    #[must_use]
    pub fn has_restored(&self) -> bool {
        self.live.values().any(|live| live.restored)
    }
}

fn restored(instance: &Instance) -> Live {
    let time = |at: Seconds| (at != 0).then_some(at.saturating_mul(1000));
    Live {
        labels: instance.labels.clone(),
        active_at: instance.active_at.saturating_mul(1000),
        fired_at: time(instance.fired_at),
        keep_firing_since: time(instance.keep_firing_since),
        value: instance.value,
        restored: true,
    }
}

/// The samples by fingerprint, the metric name dropped; Err: two that have become one.
fn distinct(samples: Vec<(Labels, f64)>) -> Result<BTreeMap<u64, (Labels, f64)>, Labels> {
    let mut found = BTreeMap::new();
    for (labels, value) in samples {
        let labels = labels.without_metric();
        if let Some((labels, _)) = found.insert(labels.fingerprint(), (labels, value)) {
            return Err(labels);
        }
    }
    Ok(found)
}

fn duplicate(labels: &Labels) -> String {
    format!(
        "two results have the same labels {labels} once the metric name is dropped; \
         aggregate with sum by (...) or select one metric name"
    )
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
