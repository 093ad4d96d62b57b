//! The ledger: reports in, episodes out. It decides which alerts exist; the desk decides who hears of them.
//!
//! A report *owns* exactly the instances under its own node: node names are overwritten from the report's name, so no
//! agent can speak about another's alerts. What the leader evaluates itself stands under the empty node name.
//! An episode ends only by the five reasons of [`EndReason`]; silence, doubt and cut reports end nothing.

mod book;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alert::episode::{EndReason, Episode, Event};
use crate::alert::life::RuleLife;
use crate::model::fleet_plan::{FleetPlan, FleetRule, RuleScope};
use crate::model::object::ObjectKey;
use crate::model::report::{Fingerprint, Report, Seconds};
use book::Book;
pub use book::Open;

/// Fingerprint of the one summary instance that stands for what is above a rule's `limit`.
pub const SUMMARY: Fingerprint = Fingerprint(u64::MAX);
/// Label of summary instances.
pub const SUMMARY_LABEL: &str = "summary";
/// How long an ending is remembered so that a late repeat of it is not taken for news, in seconds.
const KEEP_TOMBSTONES: Seconds = 3600;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was read.
    Taken,
    /// This one or a newer one was read before: the newest that was.
    NotNewer {
        /// Its epoch.
        epoch: u64,
        /// Its sequence number.
        seq: u64,
    },
    /// It answers a plan that this leader does not have yet: offer it again after the next plan.
    AheadOfPlan,
}

/// The rules of a node's plan by slot.
#[derive(Clone, Debug, Default)]
struct Slots(BTreeMap<u32, (u64, ObjectKey)>);

impl Slots {
    /// The rule that a report means by a slot; none if the report answers an older plan than that entry's.
    fn rule(&self, slot: u32, plan_rev: u64) -> Option<&ObjectKey> {
        self.0.get(&slot).filter(|(rev, _)| plan_rev >= *rev).map(|(_, rule)| rule)
    }
}

/// All instances that reports told, by node.
#[derive(Debug, Default)]
pub struct Ledger {
    plan: Arc<FleetPlan>,
    slots: Slots,
    /// The rule under whose name cut reports are announced.
    cut_rule: Option<ObjectKey>,
    books: BTreeMap<String, Book>,
    events: Vec<Event>,
}

impl Ledger {
    /// A ledger that announces reports which had to leave instances out as an alert of `cut_rule`.
    #[must_use]
    pub fn new(cut_rule: Option<ObjectKey>) -> Self {
        Self { cut_rule, ..Self::default() }
    }

    /// Takes over what was open, and what ended lately, before a restart.
    pub fn restore(
        &mut self,
        open: impl IntoIterator<Item = Episode>,
        ended: impl IntoIterator<Item = (Episode, Seconds)>,
    ) {
        for episode in open {
            self.book(&episode.node.clone()).restore_open(episode);
        }
        for (episode, at) in ended {
            self.book(&episode.node).restore_ended(&episode, at);
        }
    }

    fn book(&mut self, node: &str) -> &mut Book {
        self.books.entry(node.to_owned()).or_insert_with(|| Book::new(node))
    }

    /// Works from another plan: ends what its rules do not cover any more.
    pub fn set_plan(&mut self, plan: Arc<FleetPlan>, at: Seconds) {
        self.slots = Slots(
            plan.rules
                .iter()
                .filter(|(_, rule)| rule.scope == RuleScope::Node && !rule.suspended)
                .filter_map(|(key, rule)| rule.slot.as_ref().map(|slot| (slot.slot, (slot.rev, key.clone()))))
                .collect(),
        );
        let cut_rule = self.cut_rule.as_ref();
        for (node, book) in &mut self.books {
            let fate = |rule: &ObjectKey| match plan.rules.get(rule) {
                _ if Some(rule) == cut_rule => None,
                None => Some(EndReason::RuleDeleted),
                Some(rule) if belongs(rule, node) => None,
                Some(_) => Some(EndReason::NotSelected),
            };
            book.end_where(fate, at, &mut self.events);
        }
        self.plan = plan;
    }

    /// The plan that it works from.
    #[must_use]
    pub fn plan(&self) -> &Arc<FleetPlan> {
        &self.plan
    }

    /// Reads one report of a node, received at `at` by this process's clock.
    pub fn receive(&mut self, node: &str, report: &Report, at: Seconds) -> Received {
        if report.plan_rev > self.plan.rev {
            return Received::AheadOfPlan;
        }
        let (plan, slots) = (Arc::clone(&self.plan), std::mem::take(&mut self.slots));
        let cut_rule = self.cut_rule.clone();
        let mut events = std::mem::take(&mut self.events);
        let book = self.book(node);
        let (epoch, seq) = book.order();
        let taken = book.read(&plan, &slots, cut_rule.as_ref(), report, at, &mut events);
        (self.slots, self.events) = (slots, events);
        if taken { Received::Taken } else { Received::NotNewer { epoch, seq } }
    }

    /// Takes in the instances of a rule that the leader evaluates itself.
    pub fn observe(&mut self, rule: &ObjectKey, life: &RuleLife, at: Seconds) {
        let mut events = std::mem::take(&mut self.events);
        self.book("").observe(rule, life, at, &mut events);
        self.events = events;
    }

    /// A node is gone, and its alerts with it.
    pub fn remove_node(&mut self, node: &str, at: Seconds) {
        if let Some(mut book) = self.books.remove(node) {
            book.end_where(|_| Some(EndReason::NodeRemoved), at, &mut self.events);
        }
    }

    /// Nodes of which there are instances.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.books.keys().map(String::as_str).filter(|node| !node.is_empty())
    }

    /// Everything pending and firing.
    pub fn open(&self) -> impl Iterator<Item = &Episode> {
        self.books.values().flat_map(Book::open)
    }

    /// What is pending or firing under one node; `""` for what the leader evaluates.
    pub fn open_on(&self, node: &str) -> impl Iterator<Item = &Episode> {
        self.books.get(node).into_iter().flat_map(Book::open)
    }

    /// What began and ended since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// Whether a rule's alerts may stand under a node.
fn belongs(rule: &FleetRule, node: &str) -> bool {
    let by_leader = node.is_empty();
    !rule.suspended && by_leader == (rule.scope == RuleScope::Cluster) && (by_leader || rule.slot.is_some())
}

#[cfg(test)]
mod tests;
