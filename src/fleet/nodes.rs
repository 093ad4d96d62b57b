//! What is known of each node: whether it is there, its newest report, and what each check contributed last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::clock::Now;
use crate::model::fleet_plan::{FleetCheck, FleetPlan, SlotRef};
use crate::model::object::ObjectKey;
use crate::model::ports::NodeState;
use crate::model::report::{Report, SlotReason};
use crate::model::series::Millis;
use crate::model::{Health, Span};

/// Time between reports of an agent to whom nothing happens, in milliseconds.
const HEARTBEAT: Millis = 5 * 60 * 1000;
/// The same in a fleet of more than [`LARGE_FLEET`] nodes.
const SLOW_HEARTBEAT: Millis = 10 * 60 * 1000;
const LARGE_FLEET: usize = 2000;
/// How long a new node may take to send its first report, in milliseconds.
const FIRST_REPORT: Millis = 2 * 60 * 1000;
/// How long the last states of a node count at least while its agent is not ready, in milliseconds.
const AGENT_GRACE: Millis = 60 * 1000;
/// Most nodes that are kept.
const MAX_NODES: usize = 20_000;
/// Highest slot that is read: a plan never gets near it.
const MAX_SLOT: u32 = 1 << 16;
/// "Never contributed", beside the two bits of a health.
const NONE: u8 = 0xff;

/// What a node says of one target of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contribution {
    /// Nothing is expected of it yet.
    NotExpected,
    /// Its own word, or its last one while it rolls out.
    Told(Health),
    /// It cannot be asked, and why.
    Unknown(&'static str),
}

/// One node.
#[derive(Debug)]
struct Node {
    /// As the cluster sees it; none until the cluster names it.
    state: Option<NodeState>,
    /// Its newest report that answers a plan we have.
    report: Option<Arc<Report>>,
    /// A report that answers a plan which is still to come.
    ahead: Option<(Arc<Report>, Millis)>,
    /// When its newest report came, on the clock that never jumps.
    received: Millis,
    /// The last contribution by slot, as health bits or [`NONE`].
    last: Vec<u8>,
}

impl Node {
    fn new() -> Self {
        Self { state: None, report: None, ahead: None, received: 0, last: Vec::new() }
    }
}

/// Since when a slot means what it means.
#[derive(Debug)]
struct Slot {
    key: ObjectKey,
    target: Option<String>,
    rev: u64,
    since: Millis,
}

/// All nodes.
#[derive(Debug, Default)]
pub struct Nodes {
    nodes: BTreeMap<String, Node>,
    slots: BTreeMap<u32, Slot>,
    /// Time between two plans, in milliseconds: max(1 s, agents / 90).
    cycle: Millis,
}

impl Nodes {
    /// Takes in which nodes there are. Returns those that are gone.
    ///
    /// An empty list is what a cluster view shows before it has looked: it removes nobody.
    pub fn sync(&mut self, states: Vec<NodeState>) -> Vec<String> {
        if states.is_empty() {
            return Vec::new();
        }
        self.cycle = 1000.max(i64::try_from(states.len()).unwrap_or(Millis::MAX) * 1000 / 90);
        let names: BTreeSet<&str> = states.iter().map(|state| state.name.as_str()).collect();
        let gone: Vec<String> = self
            .nodes
            .iter()
            .filter(|(name, node)| node.state.is_some() && !names.contains(name.as_str()))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &gone {
            self.nodes.remove(name);
        }
        for state in states {
            let node = self.nodes.entry(state.name.clone()).or_insert_with(Node::new);
            node.state = Some(state);
        }
        gone
    }

    /// Works from another plan: contributions of slots that now mean something else are forgotten.
    pub fn set_plan(&mut self, plan: &FleetPlan, now: Now) {
        let mut slots = BTreeMap::new();
        for (key, check) in &plan.checks {
            for SlotRef { slot, rev, target } in check.slots.iter().filter(|slot| slot.slot < MAX_SLOT) {
                let old = self.slots.remove(slot);
                let same = old.as_ref().is_some_and(|old| old.key == *key && old.target == *target);
                let since = old.filter(|old| same && old.rev == *rev).map_or(now.mono, |old| old.since);
                if !same {
                    self.forget(*slot);
                }
                slots.insert(*slot, Slot { key: key.clone(), target: target.clone(), rev: *rev, since });
            }
        }
        for slot in std::mem::take(&mut self.slots).into_keys() {
            self.forget(slot);
        }
        self.slots = slots;
        for node in self.nodes.values_mut() {
            if let Some(report) = node.report.clone() {
                contribute(&mut node.last, &self.slots, &report);
            }
        }
    }

    fn forget(&mut self, slot: u32) {
        for node in self.nodes.values_mut() {
            if let Some(last) = node.last.get_mut(slot as usize) {
                *last = NONE;
            }
        }
    }

    /// Keeps a report that was read.
    pub fn keep(&mut self, name: &str, report: Arc<Report>, received: Millis) {
        let Some(node) = self.entry(name) else { return };
        node.ahead = None;
        node.received = received;
        node.report = Some(Arc::clone(&report));
        let mut last = std::mem::take(&mut node.last);
        contribute(&mut last, &self.slots, &report);
        if let Some(node) = self.nodes.get_mut(name) {
            node.last = last;
        }
    }

    /// Keeps a report that answers a plan which is still to come, or of a node that is still to come.
    pub fn keep_for_later(&mut self, name: &str, report: Arc<Report>, received: Millis) {
        if let Some(node) = self.entry(name) {
            let newer = node.ahead.as_ref().is_none_or(|(old, _)| old.order() < report.order());
            if newer {
                node.ahead = Some((report, received));
            }
        }
    }

    fn entry(&mut self, name: &str) -> Option<&mut Node> {
        if !self.nodes.contains_key(name) && self.nodes.len() >= MAX_NODES {
            return None;
        }
        Some(self.nodes.entry(name.to_owned()).or_insert_with(Node::new))
    }

    /// Reports that wait for a plan up to `rev` and whose node is there: to be offered again.
    pub fn take_ready(&mut self, rev: u64) -> Vec<(String, Arc<Report>, Millis)> {
        let mut ready = Vec::new();
        for (name, node) in &mut self.nodes {
            let fits = node.state.is_some() && node.ahead.as_ref().is_some_and(|(report, _)| report.plan_rev <= rev);
            if let Some((report, received)) = node.ahead.take_if(|_| fits) {
                ready.push((name.clone(), report, received));
            }
        }
        ready
    }

    /// Whether the cluster names a node.
    #[must_use]
    pub fn is_there(&self, name: &str) -> bool {
        self.nodes.get(name).is_some_and(|node| node.state.is_some())
    }

    /// The nodes that the cluster names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|(_, node)| node.state.is_some()).map(|(name, _)| name.as_str())
    }

    /// The newest report of a node.
    #[must_use]
    pub fn report(&self, name: &str) -> Option<&Arc<Report>> {
        self.nodes.get(name)?.report.as_ref()
    }

    /// All newest reports of nodes that the cluster names.
    pub fn reports(&self) -> impl Iterator<Item = (&str, &Report)> {
        let there = self.nodes.iter().filter(|(_, node)| node.state.is_some());
        there.filter_map(|(name, node)| node.report.as_deref().map(|report| (name.as_str(), report)))
    }

    /// How many nodes there are, and how many of them can be believed.
    #[must_use]
    pub fn ready(&self, now: Now) -> (usize, usize) {
        let all = self.names().count();
        let ready = self.names().filter(|name| self.trouble(name, Span::default(), now).is_none()).count();
        (ready, all)
    }

    /// Nodes of which nothing can be said: their alerts are frozen.
    #[must_use]
    pub fn frozen(&self, now: Now) -> BTreeSet<String> {
        let unknown = self.names().filter(|name| self.trouble(name, Span::default(), now).is_some());
        unknown.map(str::to_owned).collect()
    }

    /// Whether a node is too young to have reported.
    #[must_use]
    pub fn is_new(&self, name: &str, now: Now) -> bool {
        let Some(node) = self.nodes.get(name) else { return true };
        node.report.is_none() && node.state.as_ref().is_none_or(|state| now.wall - state.created_at < FIRST_REPORT)
    }

    /// Why nothing that a node said counts any more for something that happens every `interval`, if so.
    #[must_use]
    pub fn trouble(&self, name: &str, interval: Span, now: Now) -> Option<&'static str> {
        let node = self.nodes.get(name)?;
        let Some(state) = &node.state else { return Some("NodeGone") };
        if !state.node_ready {
            return Some("NodeNotReady");
        }
        if node.report.is_none() {
            return Some("NoReport");
        }
        let grace = AGENT_GRACE.max(interval.as_millis_i64().saturating_mul(5) / 2);
        if !state.agent_ready && now.wall - state.agent_since > grace {
            return Some("AgentNotReady");
        }
        let heartbeat = if self.nodes.len() > LARGE_FLEET { SLOW_HEARTBEAT } else { HEARTBEAT };
        (now.mono - node.received > heartbeat * 5 / 2).then_some("ReportStale")
    }

    /// What a node contributes to one target of a check.
    #[must_use]
    pub fn contribution(&self, name: &str, check: &FleetCheck, slot: &SlotRef, now: Now) -> Contribution {
        if self.is_new(name, now) {
            return Contribution::NotExpected;
        }
        if let Some(why) = self.trouble(name, check.interval, now) {
            return Contribution::Unknown(why);
        }
        let Some(node) = self.nodes.get(name) else { return Contribution::NotExpected };
        if let Some(report) = node.report.as_ref().filter(|report| report.plan_rev >= slot.rev) {
            return Contribution::Told(report.states.get(slot.slot));
        }
        // Not adopted yet: the last word counts for a while, and of a new check none is expected.
        let since = self.slots.get(&slot.slot).map_or(now.mono, |known| known.since);
        let patience = 3 * self.cycle + check.timeout.as_millis_i64() + 60_000;
        if now.mono - since > patience {
            return Contribution::Unknown("NotAdopted");
        }
        match node.last.get(slot.slot as usize) {
            Some(bits) if *bits != NONE => Contribution::Told(Health::from_bits(*bits)),
            _ => Contribution::NotExpected,
        }
    }

    /// What a node's report says about why a slot is not Healthy.
    #[must_use]
    pub fn reason(&self, name: &str, slot: u32) -> Option<&SlotReason> {
        self.nodes.get(name)?.report.as_ref()?.reasons.iter().find(|reason| reason.slot == slot)
    }

    /// How many nodes answer a plan that covers this slot, of all.
    #[must_use]
    pub fn adopted(&self, rev: u64) -> (usize, usize) {
        let all = self.names().count();
        (self.reports().filter(|(_, report)| report.plan_rev >= rev).count(), all)
    }
}

fn contribute(last: &mut Vec<u8>, slots: &BTreeMap<u32, Slot>, report: &Report) {
    let Some((highest, _)) = slots.last_key_value() else { return };
    if last.len() <= *highest as usize {
        last.resize(*highest as usize + 1, NONE);
    }
    for (number, slot) in slots {
        if report.plan_rev >= slot.rev {
            last[*number as usize] = report.states.get(*number).bits();
        }
    }
}
