//! Resources in, plans out: what agents do, what the fleet works from, what the page draws, and what was refused.
//!
//! Pure: the same resources, settings, last plan and time give the same result.

mod checks;
mod dashboards;
mod defaults;
mod expr;
mod objects;
mod policy;
mod receivers;
mod rules;
mod settings;
mod silences;
mod slots;
mod support;

use std::fmt;

use crate::api::Kind;
use crate::model::fleet_plan::FleetPlan;
use crate::model::plan::{Plan, PlanError, Role};
use crate::model::view::DashboardView;
use crate::model::{Matcher, ObjectKey};

pub use objects::{Object, Objects, key_of};
pub use settings::{
    Mode, OPERATOR_NAMESPACE, Overrides, Secrets, Settings, Trust, TryCheck, bytes, hours_or_duration,
    seconds_or_duration,
};
pub use slots::{Draft, assign};
pub use support::NOT_YET;

/// What was in force before, so that slots and times stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Previous<'a> {
    /// The last plan.
    pub plan: Option<&'a Plan>,
    /// The last dashboards.
    pub dashboards: &'a [DashboardView],
}

/// What resources became.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What agents do. In `vitals run` everything is in this one plan.
    pub plan: Plan,
    /// What the fleet works from.
    pub fleet: FleetPlan,
    /// What the page draws, by title.
    pub dashboards: Vec<DashboardView>,
    /// Resources that are not in force (a VitalsConfig is, but for the fields named), by kind and key.
    pub refused: Vec<Refused>,
    /// Resources that are in force, but not wholly as written.
    pub warnings: Vec<Refused>,
    /// The selectors of all rules and panels: which series are worth a long history.
    pub selectors: Vec<Vec<Matcher>>,
}

/// One mistake in one resource, found when it was compiled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The resource's kind.
    pub kind: Kind,
    /// Which one.
    pub key: ObjectKey,
    /// The field, such as `spec.expr`.
    pub path: String,
    /// A finite word: the reason of its condition.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do; empty when the message says it.
    pub remedy: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}: {}", self.kind, self.key, self.path, self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        write!(f, " ({})", self.reason)
    }
}

/// Collects mistakes of one resource.
struct Complaints<'a> {
    kind: Kind,
    key: &'a ObjectKey,
    list: Vec<Refused>,
}

impl<'a> Complaints<'a> {
    fn new(kind: Kind, key: &'a ObjectKey) -> Self {
        Self { kind, key, list: Vec::new() }
    }

    fn add(
        &mut self,
        path: impl Into<String>,
        reason: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (path, message, remedy) = (path.into(), message.into(), remedy.into());
        self.list.push(Refused { kind: self.kind, key: self.key.clone(), path, reason, message, remedy });
    }

    /// Refuses fields that a later version serves.
    fn add_not_yet(&mut self, spec: &impl serde::Serialize) {
        let spec = serde_json::to_value(spec).unwrap_or_default();
        for path in support::not_yet_supported(self.kind, &spec) {
            self.add(
                path,
                "NotYetSupported",
                "is not served by this version",
                "leave it out; a later version serves it",
            );
        }
    }
}

/// Compiles. `now_s` is the time in unix seconds: revisions and first-seen times come from it.
#[must_use]
pub fn compile(objects: &Objects, settings: &Settings, previous: Previous<'_>, now_s: i64) -> Compiled {
    let objects = &defaults::with_defaults(objects, settings);
    let mut out = Compiled {
        plan: Plan::empty(Role::Node),
        fleet: FleetPlan::default(),
        dashboards: Vec::new(),
        refused: Vec::new(),
        warnings: Vec::new(),
        selectors: Vec::new(),
    };
    if let Some(config) = &objects.config {
        out.refused.extend(policy::check_config(config));
    }
    let mut drafts = checks::compile_all(objects, settings, &mut out);
    out.fleet.receivers = receivers::compile_all(objects, settings, &mut out.refused);
    drafts.extend(rules::compile_all(objects, settings, &mut out));
    out.fleet.silences = silences::compile_all(objects, settings, now_s, &mut out.refused);
    out.dashboards = dashboards::compile_all(objects, settings, previous.dashboards, now_s, &mut out);
    out.plan = fitting_plan(previous.plan, drafts, now_s, &mut out);
    fill_slots(&mut out);
    out.refused.sort();
    out.warnings.sort();
    out.selectors.sort_by_cached_key(|selector| selector.iter().map(ToString::to_string).collect::<Vec<_>>());
    out.selectors.dedup();
    out
}

/// The largest plan that fits: what was there before stays, new entries are refused from the end of the alphabet.
fn fitting_plan(previous: Option<&Plan>, mut drafts: Vec<Draft>, now_s: i64, out: &mut Compiled) -> Plan {
    let known = |draft: &Draft| {
        previous
            .is_some_and(|plan| plan.entries.iter().any(|entry| entry.key == draft.key && entry.target == draft.target))
    };
    let whole = assign(Role::Node, previous, drafts.clone(), now_s);
    if !matches!(whole.encode(), Err(PlanError::TooLarge(_))) {
        return whole;
    }
    drafts.sort_by_cached_key(|draft| (!known(draft), draft.key.clone(), draft.target.clone()));
    let fits = |count: &usize| {
        let plan = assign(Role::Node, previous, drafts[..*count].to_vec(), now_s);
        plan.encode().is_ok()
    };
    let counts: Vec<usize> = (0..=drafts.len()).collect();
    let count = counts.partition_point(fits).saturating_sub(1);
    let mut full: Vec<(Kind, ObjectKey)> = drafts[count..]
        .iter()
        .map(|draft| match draft.work {
            crate::model::plan::Work::Rule(_) => (Kind::AlertRule, draft.key.clone()),
            _ => (Kind::HealthCheck, draft.key.clone()),
        })
        .collect();
    full.sort();
    full.dedup();
    // A check with many targets runs whole or not at all.
    drafts.truncate(count);
    drafts.retain(|draft| !full.iter().any(|(_, key)| *key == draft.key));
    for (kind, key) in full {
        match kind {
            Kind::AlertRule => drop(out.fleet.rules.remove(&key)),
            _ => drop(out.fleet.checks.remove(&key)),
        }
        let mut complaints = Complaints::new(kind, &key);
        let message = format!("the plan is full ({} KiB)", crate::model::plan::MAX_ENCODED / 1024);
        complaints.add("", "PlanFull", message, "remove resources, or use fewer and shorter ones");
        out.refused.append(&mut complaints.list);
    }
    assign(Role::Node, previous, drafts, now_s)
}

/// Tells the fleet where in a report each check and rule stands.
fn fill_slots(out: &mut Compiled) {
    use crate::model::fleet_plan::SlotRef;
    use crate::model::plan::Work;
    out.fleet.rev = out.plan.rev;
    for entry in &out.plan.entries {
        let slot = SlotRef { slot: entry.slot, rev: entry.rev, target: entry.target.clone() };
        match &entry.work {
            Work::Check(_) => {
                if let Some(check) = out.fleet.checks.get_mut(&entry.key) {
                    check.slots.push(slot);
                }
            }
            Work::Rule(_) => {
                if let Some(rule) = out.fleet.rules.get_mut(&entry.key) {
                    rule.slot = Some(slot);
                }
            }
            Work::Unsupported(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
