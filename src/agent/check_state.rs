//! The checks of one agent: what each one's state is, what its last run said, and the runs before it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::agent::check_series::{CheckSeries, Figures};
use crate::check::{Run, Standing, Track};
use crate::model::health::Health;
use crate::model::object::ObjectKey;
use crate::model::plan::{Entry, Plan, Work};
use crate::model::series::Millis;
use crate::model::view::RunView;

/// Runs remembered per check: a strip on the page, and an hour of history at the default interval.
const KEPT_RUNS: usize = 120;

/// One check (one target of it) as the agent knows it.
#[derive(Debug)]
pub struct CheckState {
    /// Its plan entry.
    pub entry: Entry,
    /// Its state over the runs; None when this agent does not know the kind.
    track: Option<Track>,
    /// Its last run.
    pub last: Option<Arc<Run>>,
    /// Its runs, newest last.
    pub runs: VecDeque<RunView>,
    /// Runs so far, by result.
    pub counts: [u64; 4],
    /// Its series.
    pub series: CheckSeries,
    /// The state that was last noticed as a change.
    pub noticed: Option<Health>,
}

impl CheckState {
    /// Takes in one run.
    pub fn feed(&mut self, run: Arc<Run>, at: Millis) {
        let duration_ms = run.duration.as_secs_f64() * 1000.0;
        if let Some(place) = Health::ALL.iter().position(|health| *health == run.verdict.health) {
            self.counts[place] += 1;
        }
        if self.runs.len() == KEPT_RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(RunView {
            at,
            key: self.entry.key.clone(),
            health: run.verdict.health,
            reason: run.verdict.reason.to_owned(),
            message: run.verdict.message.clone(),
            duration_ms,
        });
        if let Some(track) = &mut self.track {
            track.feed(at, &run.verdict, run.duration);
        }
        self.last = Some(run);
        let figures = self.figures(at);
        self.series.learn(&figures);
    }

    /// What it is now: Unknown when the last result is too old.
    #[must_use]
    pub fn standing(&self, now: Millis) -> Standing<'_> {
        match (&self.track, &self.entry.work) {
            (Some(track), _) => track.at(now),
            (None, Work::Unsupported(why)) => {
                Standing { health: Health::Unknown, reason: "UnsupportedByAgent", message: why, since: None }
            }
            (None, _) => Standing { health: Health::Unknown, reason: "NotRunYet", message: "", since: None },
        }
    }

    /// Percent of good and of failed runs in the window.
    #[must_use]
    pub fn rates(&self) -> (Option<f64>, Option<f64>) {
        self.track.as_ref().map_or((None, None), |track| (track.success_rate(), track.error_rate()))
    }

    /// Its figures now.
    #[must_use]
    pub fn figures(&self, now: Millis) -> Figures {
        let (success_rate, error_rate) = self.rates();
        Figures {
            health: self.standing(now).health,
            duration: self.last.as_ref().map(|run| run.duration.as_secs_f64()),
            phases: self.last.iter().flat_map(|run| &run.verdict.phases).map(|(n, ms)| (*n, ms / 1000.0)).collect(),
            success_rate,
            error_rate,
            runs: self.counts,
        }
    }
}

/// All checks of the plan, by slot.
#[derive(Debug, Default)]
pub struct Checks {
    /// By slot.
    pub by_slot: BTreeMap<u32, CheckState>,
}

impl Checks {
    /// Takes over a plan: unchanged entries keep everything, others start anew.
    /// Returns the slots that are new or changed, and those whose series must end.
    pub fn adopt(&mut self, plan: &Plan) -> (Vec<u32>, Vec<u32>) {
        let mut changed = Vec::new();
        let mut kept = BTreeMap::new();
        for entry in &plan.entries {
            let kind = match &entry.work {
                Work::Check(check) => check.spec.kind(),
                Work::Unsupported(_) => "unsupported",
                Work::Rule(_) => continue,
            };
            match self.by_slot.remove(&entry.slot) {
                Some(old) if old.entry.rev == entry.rev && old.entry.key == entry.key => {
                    kept.insert(entry.slot, old);
                }
                _ => {
                    changed.push(entry.slot);
                    kept.insert(entry.slot, started(entry, kind, &component(plan, entry)));
                }
            }
        }
        let ended = self.by_slot.keys().copied().chain(changed.iter().copied()).collect();
        self.by_slot = kept;
        (changed, ended)
    }

    /// Runs of one check or of all, oldest first.
    #[must_use]
    pub fn runs(&self, key: Option<&ObjectKey>, from: Millis, to: Millis, limit: usize) -> Vec<RunView> {
        let mut runs: Vec<RunView> = self
            .by_slot
            .values()
            .filter(|check| key.is_none_or(|key| check.entry.key == *key))
            .flat_map(|check| &check.runs)
            .filter(|run| (from..=to).contains(&run.at))
            .cloned()
            .collect();
        runs.sort_by_key(|run| run.at);
        runs.split_off(runs.len().saturating_sub(limit))
    }
}

fn started(entry: &Entry, kind: &str, component: &str) -> CheckState {
    let track = match &entry.work {
        Work::Check(plan) => Some(Track::new(plan)),
        Work::Rule(_) | Work::Unsupported(_) => None,
    };
    CheckState {
        entry: entry.clone(),
        track,
        last: None,
        runs: VecDeque::new(),
        counts: [0; 4],
        series: CheckSeries::new(entry, kind, component),
        noticed: None,
    }
}

/// The value of label `component`: the check's name, its namespace in front where two namespaces use the name, and
/// the target behind where it has several.
fn component(plan: &Plan, entry: &Entry) -> String {
    let ambiguous = plan.entries.iter().any(|other| {
        other.key.name == entry.key.name
            && other.key.namespace != entry.key.namespace
            && !matches!(other.work, Work::Rule(_))
    });
    let mut name = if ambiguous { entry.key.to_string() } else { entry.key.name.to_string() };
    if let Some(target) = &entry.target {
        name.push('/');
        name.push_str(target);
    }
    name
}
