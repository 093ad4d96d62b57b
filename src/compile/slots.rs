//! Slots: the places of entries in every report, kept for life.
//!
//! Entries that did not change keep slot and revision. A changed entry keeps its slot and gets the plan's new revision. A
//! freed slot is given away only together with a new revision, so no report can be read as something it did not mean.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ObjectKey;
use crate::model::plan::{Entry, PLAN_VERSION, Plan, Role, Work};

/// Something to do that has no slot yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The resource it comes from.
    pub key: ObjectKey,
    /// Which of the check's targets, when it has several.
    pub target: Option<String>,
    /// What to do.
    pub work: Work,
}

/// What makes a draft the same thing as an entry of the last plan.
type Identity = (bool, ObjectKey, Option<String>);

fn identity(key: &ObjectKey, target: &Option<String>, work: &Work) -> Identity {
    (matches!(work, Work::Rule(_)), key.clone(), target.clone())
}

/// The plan that follows `previous`. `now` is in unix seconds.
#[must_use]
pub fn assign(role: Role, previous: Option<&Plan>, drafts: Vec<Draft>, now: i64) -> Plan {
    let last = previous.map_or(0, |plan| plan.rev);
    let rev = (last + 1).max(u64::try_from(now).unwrap_or(0));
    let mut known: BTreeMap<Identity, &Entry> = BTreeMap::new();
    for entry in previous.into_iter().flat_map(|plan| &plan.entries) {
        known.insert(identity(&entry.key, &entry.target, &entry.work), entry);
    }
    let mut entries = Vec::with_capacity(drafts.len());
    let mut new = Vec::new();
    let mut changed = previous.is_none();
    for draft in drafts {
        match known.remove(&identity(&draft.key, &draft.target, &draft.work)) {
            Some(entry) => {
                let same = entry.work == draft.work;
                changed |= !same;
                entries.push(entry_of(draft, entry.slot, if same { entry.rev } else { rev }));
            }
            None => new.push(draft),
        }
    }
    changed |= !new.is_empty() || !known.is_empty();
    let used: BTreeSet<u32> = entries.iter().map(|entry| entry.slot).collect();
    let mut free = (0..).filter(|slot| !used.contains(slot));
    // There are more slots than entries can be.
    entries.extend(new.into_iter().map(|draft| entry_of(draft, free.next().unwrap_or(u32::MAX), rev)));
    entries.sort_by_key(|entry| entry.slot);
    Plan { version: PLAN_VERSION, role, rev: if changed { rev } else { last }, entries }
}

fn entry_of(draft: Draft, slot: u32, rev: u64) -> Entry {
    Entry { slot, rev, key: draft.key, target: draft.target, work: draft.work }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Span;
    use crate::model::plan::{CheckPlan, Thresholds};
    use crate::model::spec::{CheckSpec, MemorySpec};

    fn draft(name: u8, version: u8) -> Draft {
        let plan = CheckPlan {
            interval: Span::seconds(u64::from(version) + 1),
            timeout: Span::seconds(1),
            retries: 0,
            failure_threshold: 3,
            success_threshold: 2,
            thresholds: Thresholds::default(),
            component_type: String::new(),
            node_selector: BTreeMap::new(),
            spec: CheckSpec::Memory(MemorySpec {}),
        };
        let target = name.is_multiple_of(3).then(|| format!("target-{name}"));
        Draft { key: ObjectKey::new("default", &format!("c{}", name / 2)), target, work: Work::Check(Box::new(plan)) }
    }

    fn plan_of(contents: &BTreeMap<u8, u8>, previous: Option<&Plan>, now: i64) -> Plan {
        // Names 2k and 2k+1 share a key; keep those that differ in their target only.
        let mut seen = BTreeSet::new();
        let drafts = contents.iter().map(|(name, version)| draft(*name, *version));
        let drafts = drafts.filter(|draft| seen.insert(identity(&draft.key, &draft.target, &draft.work))).collect();
        assign(Role::Node, previous, drafts, now)
    }

    #[test]
    fn removing_one_entry_moves_no_other() {
        let first = plan_of(&[(0, 0), (2, 0), (4, 0)].into(), None, 100);
        assert_eq!(first.rev, 100);
        let second = plan_of(&[(0, 0), (4, 0)].into(), Some(&first), 200);
        assert_eq!(second.entries[..], [first.entries[0].clone(), first.entries[2].clone()]);
        assert_eq!(second.rev, 200);
        let third = plan_of(&[(0, 0), (4, 0), (6, 0)].into(), Some(&second), 150);
        assert_eq!(
            (third.entries[1].slot, third.entries[1].rev),
            (1, 201),
            "a clock that goes back gives no old revision"
        );
    }

    #[test]
    fn nothing_new_is_no_new_plan() {
        let first = plan_of(&[(0, 0), (2, 0)].into(), None, 100);
        assert_eq!(plan_of(&[(0, 0), (2, 0)].into(), Some(&first), 999), first);
    }

    proptest! {
        #[test]
        fn no_slot_ever_has_two_meanings_at_one_revision(
            history in prop::collection::vec((prop::collection::btree_map(0u8..24, 0u8..3, 0..12), -5i64..50), 1..30)
        ) {
            let mut now = 1_000i64;
            let mut meanings: BTreeMap<(u32, u64), (Identity, Work)> = BTreeMap::new();
            let mut last_rev_of_slot: BTreeMap<u32, u64> = BTreeMap::new();
            let mut previous: Option<Plan> = None;
            for (contents, step) in history {
                now += step;
                let plan = plan_of(&contents, previous.as_ref(), now);
                let mut slots = BTreeSet::new();
                for entry in &plan.entries {
                    prop_assert!(slots.insert(entry.slot), "one slot, two entries");
                    prop_assert!(entry.rev <= plan.rev);
                    let meaning = (identity(&entry.key, &entry.target, &entry.work), entry.work.clone());
                    let known = meanings.entry((entry.slot, entry.rev)).or_insert_with(|| meaning.clone());
                    prop_assert_eq!(known, &meaning);
                    let last = last_rev_of_slot.entry(entry.slot).or_insert(0);
                    prop_assert!(entry.rev >= *last, "a slot's revision never falls");
                    *last = entry.rev;
                }
                if let Some(previous) = &previous {
                    prop_assert!(plan.rev >= previous.rev);
                    if plan.entries != previous.entries {
                        prop_assert!(plan.rev > previous.rev);
                    }
                    for entry in &plan.entries {
                        let same = previous.entries.iter().find(|old| old.key == entry.key && old.target == entry.target);
                        if let Some(old) = same {
                            prop_assert_eq!(old.slot, entry.slot, "kept for life");
                            prop_assert_eq!(old.rev == entry.rev, old.work == entry.work);
                        } else {
                            prop_assert!(entry.rev > previous.rev, "a slot is given away only with a new revision");
                        }
                    }
                }
                previous = Some(plan);
            }
        }
    }
}
