//! The rules of one agent: which group is due when, and what lives of each rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alert::life::RuleLife;
use crate::model::labels::Fnv;
use crate::model::object::ObjectKey;
use crate::model::plan::{Entry, Plan, RulePlan, Work};
use crate::model::series::Millis;
use crate::promql::Query;

/// One rule as the agent knows it.
#[derive(Debug)]
pub struct RuleState {
    /// Its slot.
    pub slot: u32,
    /// The revision of the plan entry.
    pub rev: u64,
    /// The resource.
    pub key: ObjectKey,
    /// What was asked.
    pub plan: Arc<RulePlan>,
    /// The expression, or why it cannot be read (an older agent meets a newer function).
    pub query: Result<Arc<Query>, String>,
    /// Its instances. A recording rule has none.
    pub life: RuleLife,
    /// How long the last evaluation took, milliseconds.
    pub took_ms: f64,
    /// Whether the store holds `ALERTS` of it: only then must their absence be told.
    pub in_store: bool,
}

/// All rules, and when their groups are due.
#[derive(Debug, Default)]
pub struct Rules {
    /// By slot.
    pub by_slot: BTreeMap<u32, RuleState>,
    groups: BTreeMap<String, Group>,
}

#[derive(Debug)]
struct Group {
    /// Slots in order of evaluation.
    slots: Vec<u32>,
    interval: Millis,
    due: Millis,
}

impl Rules {
    /// Takes over a plan: unchanged rules keep everything, edited ones keep their instances, new ones start empty.
    /// Returns the slots that are new or changed.
    pub fn adopt(&mut self, plan: &Plan, node: &str, now: Millis) -> Vec<u32> {
        let mut changed = Vec::new();
        let mut kept = BTreeMap::new();
        for entry in &plan.entries {
            let Work::Rule(rule) = &entry.work else { continue };
            let old = self.by_slot.remove(&entry.slot).filter(|old| old.key == entry.key);
            let state = match old {
                Some(old) if old.rev == entry.rev => old,
                old => {
                    changed.push(entry.slot);
                    renewed(old, entry, rule)
                }
            };
            kept.insert(entry.slot, state);
        }
        self.by_slot = kept;
        self.regroup(node, now);
        changed
    }

    /// Slots of the groups that are due, group by group, in order; plans their next time.
    pub fn take_due(&mut self, now: Millis) -> Vec<u32> {
        let mut due = Vec::new();
        for group in self.groups.values_mut() {
            if group.due <= now {
                due.extend_from_slice(&group.slots);
                // Missed evaluations coalesce: the next one is in the future, in phase.
                let missed = (now - group.due) / group.interval;
                group.due += (missed + 1) * group.interval;
            }
        }
        due
    }

    /// When the next group is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.groups.values().map(|group| group.due).min()
    }

    fn regroup(&mut self, node: &str, now: Millis) {
        let old = std::mem::take(&mut self.groups);
        for state in self.by_slot.values() {
            let name = if state.plan.group.is_empty() {
                state.key.to_string()
            } else {
                format!("{}/{}", state.key.namespace, state.plan.group)
            };
            let interval = state.plan.interval.as_millis_i64().max(100);
            let group = self.groups.entry(name.clone()).or_insert_with(|| Group {
                slots: Vec::new(),
                interval,
                due: match old.get(&name) {
                    Some(group) if group.interval == interval => group.due,
                    _ => first_due(&name, node, interval, now),
                },
            });
            group.interval = group.interval.min(interval);
            group.slots.push(state.slot);
        }
        for group in self.groups.values_mut() {
            let rules = &self.by_slot;
            group.slots.sort_by_key(|slot| rules.get(slot).map(|rule| (rule.plan.order, rule.key.clone())));
        }
    }
}

/// The first evaluation comes within a second or one interval, whichever is less, spread by name and node.
fn first_due(name: &str, node: &str, interval: Millis, now: Millis) -> Millis {
    let phase = Fnv::of(&[name, node]) % (interval.min(1000).unsigned_abs());
    now + i64::try_from(phase).unwrap_or(0)
}

fn renewed(old: Option<RuleState>, entry: &Entry, rule: &RulePlan) -> RuleState {
    let query = Query::parse(&rule.expr).map(Arc::new).map_err(|why| why.to_string());
    let life = match old {
        Some(mut old) => {
            old.life.replanned();
            old.life
        }
        None => RuleLife::new(),
    };
    RuleState {
        slot: entry.slot,
        rev: entry.rev,
        key: entry.key.clone(),
        plan: Arc::new(rule.clone()),
        query,
        life,
        took_ms: 0.0,
        // What an earlier version of the rule left there must end.
        in_store: true,
    }
}
