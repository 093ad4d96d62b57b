//! The roll-up: from what every node says of every check to one health per check, dependencies included.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::clock::Now;
use super::judge::{Counts, SystemInput, judge};
use super::nodes::{Contribution, Nodes};
use crate::model::Health;
use crate::model::fleet_plan::{FleetCheck, FleetPlan, Quorum};
use crate::model::object::ObjectKey;
use crate::model::series::Millis;

/// Most failing results that are named.
const MAX_FAILING: usize = 10;

/// One result that is not Healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// On which node.
    pub node: String,
    /// Of which target, when the check has several.
    pub target: Option<String>,
    /// What it is.
    pub health: Health,
    /// A finite word.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

/// One check, rolled up.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// Its health.
    pub health: Health,
    /// A finite word; `Ok` when Healthy.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// Since when it has this health, unix milliseconds.
    pub since: Millis,
    /// The results behind it.
    pub counts: Counts,
    /// Some of those that are not Healthy, worst first.
    pub failing: Vec<Failing>,
    /// Nodes that answer the plan with the check's newest revision, and all; equal once it is rolled out.
    pub adopted: (usize, usize),
}

impl Rollup {
    /// `healthy/total`.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{}/{}", self.counts.healthy, self.counts.total())
    }
}

/// The part of a roll-up that outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The last known health.
    pub health: Health,
    /// Since when.
    pub since: Millis,
}

/// Rolls all checks up. `previous` gives the times since when; `kept` those from before a restart.
#[must_use]
pub fn roll_up(
    plan: &FleetPlan,
    nodes: &Nodes,
    now: Now,
    previous: &BTreeMap<ObjectKey, Rollup>,
    kept: &BTreeMap<ObjectKey, Kept>,
) -> BTreeMap<ObjectKey, Rollup> {
    let names: Vec<&str> = nodes.names().collect();
    let mut done: BTreeMap<&ObjectKey, Rollup> = BTreeMap::new();
    let (order, circular) = in_order(plan);
    for key in &circular {
        if let Some(check) = plan.checks.get(*key) {
            let own = if check.composite.is_some() { Rollup::blank() } else { own_rollup(check, nodes, &names, now) };
            let message = "its dependencies lead back to itself; remove one of them".to_owned();
            done.insert(key, Rollup { health: Health::Unknown, reason: "DependencyCycle".into(), message, ..own });
        }
    }
    for key in order {
        let Some(check) = plan.checks.get(key) else { continue };
        let mut rollup = match &check.composite {
            _ if check.suspended => Rollup { reason: "Suspended".into(), ..Rollup::blank() },
            Some((members, least)) => composite(plan, &done, members, *least),
            None => own_rollup(check, nodes, &names, now),
        };
        let failed = check.depends_on.iter().find_map(|on| failed_dependency(plan, &done, on));
        if let Some(message) = failed.filter(|_| !check.suspended) {
            (rollup.health, rollup.reason, rollup.message) = (Health::Unknown, "DependencyFailed".into(), message);
        }
        done.insert(key, rollup);
    }
    done.into_iter()
        .map(|(key, mut rollup)| {
            rollup.since = match (previous.get(key), kept.get(key)) {
                (Some(old), _) if old.health == rollup.health => old.since,
                // The first word after a restart continues what was known before it.
                (old, Some(kept)) if kept.health == rollup.health && old.is_none_or(|old| old.counts.known() == 0) => {
                    kept.since
                }
                _ => now.wall,
            };
            (key.clone(), rollup)
        })
        .collect()
}

impl Rollup {
    fn blank() -> Self {
        Self {
            health: Health::Unknown,
            reason: String::new(),
            message: String::new(),
            since: 0,
            counts: Counts::default(),
            failing: Vec::new(),
            adopted: (0, 0),
        }
    }
}

/// Why a dependency holds a check up, if it does. A suspended one counts for nothing.
fn failed_dependency(plan: &FleetPlan, done: &BTreeMap<&ObjectKey, Rollup>, on: &ObjectKey) -> Option<String> {
    let Some(check) = plan.checks.get(on) else { return Some(format!("it depends on {on}, which does not exist")) };
    let health = done.get(on).map_or(Health::Unknown, |rollup| rollup.health);
    (!check.suspended && health != Health::Healthy).then(|| format!("it depends on {on}, which is {health}"))
}

/// A check over checks: at least `least` of them must work.
fn composite(plan: &FleetPlan, done: &BTreeMap<&ObjectKey, Rollup>, members: &[ObjectKey], least: usize) -> Rollup {
    let mut rollup = Rollup::blank();
    let distinct: BTreeSet<&ObjectKey> = members.iter().collect();
    for key in distinct {
        let (health, reason) = match (plan.checks.get(key), done.get(key)) {
            (Some(check), _) if check.suspended => continue,
            (Some(_), Some(member)) => (member.health, member.reason.clone()),
            _ => (Health::Unknown, "NotFound".to_owned()),
        };
        rollup.counts.add(health);
        if health != Health::Healthy {
            let message = format!("{key} is {health}");
            rollup.failing.push(Failing {
                node: String::new(),
                target: Some(key.to_string()),
                health,
                reason,
                message,
            });
        }
    }
    let least = u32::try_from(least).unwrap_or(u32::MAX);
    rollup.health = judge(rollup.counts, Quorum::MinHealthy(least));
    name_worst(&mut rollup);
    rollup
}

/// A check's own results on all nodes.
fn own_rollup(check: &FleetCheck, nodes: &Nodes, names: &[&str], now: Now) -> Rollup {
    let mut rollup = Rollup::blank();
    let newest = check.slots.iter().map(|slot| slot.rev).max().unwrap_or(0);
    rollup.adopted = nodes.adopted(newest);
    for node in names {
        for slot in &check.slots {
            let (health, trouble) = match nodes.contribution(node, check, slot, now) {
                Contribution::NotExpected => continue,
                Contribution::Told(health) => (health, None),
                Contribution::Unknown(why) => (Health::Unknown, Some(why)),
            };
            rollup.counts.add(health);
            if health == Health::Healthy || rollup.failing.len() >= MAX_FAILING && !worse(&rollup.failing, health) {
                continue;
            }
            let (reason, message) = match (trouble, nodes.reason(node, slot.slot)) {
                (Some(why), _) => (why.to_owned(), trouble_in_words(why, node)),
                (None, Some(told)) => (told.reason.clone(), told.message.clone()),
                (None, None) if health == Health::Unknown => ("NoResult".to_owned(), "no result yet".to_owned()),
                (None, None) => (health.as_str().to_owned(), String::new()),
            };
            let failing = Failing { node: (*node).to_owned(), target: slot.target.clone(), health, reason, message };
            rollup.failing.push(failing);
            if rollup.failing.len() > MAX_FAILING {
                sort_worst_first(&mut rollup.failing);
                rollup.failing.truncate(MAX_FAILING);
            }
        }
    }
    rollup.health = judge(rollup.counts, check.quorum);
    name_worst(&mut rollup);
    rollup
}

fn trouble_in_words(why: &str, node: &str) -> String {
    match why {
        "NodeNotReady" => format!("node {node} is not Ready"),
        "AgentNotReady" => format!("the agent on {node} is not ready"),
        "NoReport" => format!("the agent on {node} has not reported yet"),
        "ReportStale" => format!("the agent on {node} has been silent for too long"),
        "NotAdopted" => format!("the agent on {node} has not adopted this check"),
        _ => format!("node {node} cannot be judged"),
    }
}

/// How bad a health is, for naming the worst first.
fn rank(health: Health) -> u8 {
    match health {
        Health::Unhealthy => 0,
        Health::Degraded => 1,
        Health::Unknown => 2,
        Health::Healthy => 3,
    }
}

fn worse(failing: &[Failing], health: Health) -> bool {
    failing.iter().any(|known| rank(health) < rank(known.health))
}

fn sort_worst_first(failing: &mut [Failing]) {
    // Stable: of equally bad ones the first node stays first.
    failing.sort_by_key(|one| rank(one.health));
}

/// Takes reason and message from the worst result.
fn name_worst(rollup: &mut Rollup) {
    sort_worst_first(&mut rollup.failing);
    rollup.failing.truncate(MAX_FAILING);
    match rollup.failing.first() {
        _ if rollup.health == Health::Healthy => rollup.reason = "Ok".into(),
        Some(worst) => {
            rollup.reason.clone_from(&worst.reason);
            rollup.message.clone_from(&worst.message);
            let bad = rollup.counts.total() - rollup.counts.healthy;
            if bad > 1 {
                let place = worst.target.as_ref().filter(|_| worst.node.is_empty()).unwrap_or(&worst.node);
                rollup.message = format!("{} ({place}, and {} more)", worst.message, bad - 1);
            }
        }
        None => {
            rollup.reason = "NoResult".into();
            rollup.message = "no result yet".into();
        }
    }
}

/// All checks so that each comes after those that it needs, and apart from them those on a circle. Linear.
fn in_order(plan: &FleetPlan) -> (Vec<&ObjectKey>, Vec<&ObjectKey>) {
    let mut needs: BTreeMap<&ObjectKey, BTreeSet<&ObjectKey>> = BTreeMap::new();
    let mut users: BTreeMap<&ObjectKey, BTreeSet<&ObjectKey>> = BTreeMap::new();
    for (key, check) in &plan.checks {
        let members = check.composite.iter().flat_map(|(members, _)| members);
        let named = check.depends_on.iter().chain(members);
        let found: BTreeSet<&ObjectKey> = named.filter(|need| plan.checks.contains_key(*need)).collect();
        for need in &found {
            users.entry(need).or_default().insert(key);
        }
        needs.insert(key, found);
    }
    let all: BTreeSet<&ObjectKey> = plan.checks.keys().collect();
    let first = peel(&all, &needs, &users);
    let placed: BTreeSet<&ObjectKey> = first.iter().copied().collect();
    // What is left stands on a circle or behind one; nothing that is left needs what only stands behind.
    let left: BTreeSet<&ObjectKey> = all.difference(&placed).copied().collect();
    let behind: BTreeSet<&ObjectKey> = peel(&left, &users, &needs).into_iter().collect();
    let circular = left.difference(&behind).copied().collect();
    let mut order = first;
    order.extend(peel(&behind, &needs, &users));
    (order, circular)
}

/// Takes away, again and again, what has no edge of `from` left within `among`. Returns the order of taking.
fn peel<'a>(
    among: &BTreeSet<&'a ObjectKey>,
    from: &BTreeMap<&'a ObjectKey, BTreeSet<&'a ObjectKey>>,
    back: &BTreeMap<&'a ObjectKey, BTreeSet<&'a ObjectKey>>,
) -> Vec<&'a ObjectKey> {
    let inside = |key: &&'a ObjectKey| from.get(key).into_iter().flatten().filter(|to| among.contains(*to)).count();
    let mut edges: BTreeMap<&ObjectKey, usize> = among.iter().map(|key| (*key, inside(key))).collect();
    let mut free: Vec<&ObjectKey> = edges.iter().filter(|(_, count)| **count == 0).map(|(key, _)| *key).collect();
    let mut taken = Vec::new();
    while let Some(key) = free.pop() {
        taken.push(key);
        for other in back.get(key).into_iter().flatten() {
            if let Some(count) = edges.get_mut(other) {
                *count -= 1;
                if *count == 0 {
                    free.push(other);
                }
            }
        }
    }
    taken
}

/// What the system's health is made of: all checks that are not suspended, and the severities of firing alerts.
pub fn system<'a>(
    plan: &FleetPlan,
    rollups: &BTreeMap<ObjectKey, Rollup>,
    firing: impl Iterator<Item = &'a str>,
) -> SystemInput {
    let mut input = SystemInput::default();
    for (key, check) in plan.checks.iter().filter(|(_, check)| !check.suspended) {
        let health = rollups.get(key).map_or(Health::Unknown, |rollup| rollup.health);
        input.checks.add(health);
        input.critical_unhealthy |= check.critical && health == Health::Unhealthy;
    }
    for severity in firing {
        input.add_alert(severity);
    }
    input
}

#[cfg(test)]
#[path = "rollup_tests.rs"]
mod tests;
