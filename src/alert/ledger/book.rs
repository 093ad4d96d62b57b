//! One node's page of the ledger: how its reports begin, continue and end episodes.

use std::collections::{BTreeMap, BTreeSet};

use super::{KEEP_TOMBSTONES, SUMMARY, SUMMARY_LABEL, Slots};
use crate::alert::episode::{EndReason, Episode, Event};
use crate::alert::life::RuleLife;
use crate::model::Labels;
use crate::model::fleet_plan::FleetPlan;
use crate::model::object::ObjectKey;
use crate::model::report::{Ended, Fingerprint, Instance, Report, Seconds};

/// What is pending or firing, and what speaks against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// The episode.
    pub episode: Episode,
    /// The agent's time of the first complete report that did not name it, if the last one did not.
    absent_since: Option<Seconds>,
    /// Its agent names it as pending although it fires: the agent forgot that it fired, and will say so anew.
    forgotten: bool,
}

/// An ending, remembered so that nothing older is taken for news.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tombstone {
    agent_fired_at: Seconds,
    fired_at: Seconds,
    /// When it was last heard of, by this process's clock.
    heard_at: Seconds,
}

/// Most instances under one node: a report holds a few hundred.
const MAX_OPEN: usize = 4096;

type Key = (ObjectKey, Fingerprint);

/// One node's instances.
#[derive(Debug)]
pub(super) struct Book {
    node: String,
    /// The newest report that was read.
    order: (u64, u64),
    /// After a restart the newest report is read once more: what is only pending stands nowhere else.
    reread: bool,
    open: BTreeMap<Key, Open>,
    ended: BTreeMap<Key, Tombstone>,
}

/// One report, with what it can bear witness to.
struct Reading<'a> {
    report: &'a Report,
    slots: &'a Slots,
    /// Rules whose instances are only what they were.
    unjudged: BTreeSet<u32>,
    at: Seconds,
}

impl<'a> Reading<'a> {
    fn new(report: &'a Report, slots: &'a Slots, at: Seconds) -> Self {
        let unjudged = report.not_evaluated.iter().map(|rule| rule.slot).collect();
        Self { report, slots, unjudged, at }
    }

    fn rule(&self, slot: u32) -> Option<&'a ObjectKey> {
        self.slots.rule(slot, self.report.plan_rev)
    }

    /// Whether this report would name every firing instance of a rule.
    fn is_complete_for(&self, slot: u32) -> bool {
        self.report.truncated.is_none() && !self.report.more_not_evaluated && !self.unjudged.contains(&slot)
    }
}

impl Book {
    pub(super) fn new(node: &str) -> Self {
        Self { node: node.to_owned(), order: (0, 0), reread: true, open: BTreeMap::new(), ended: BTreeMap::new() }
    }

    pub(super) fn order(&self) -> (u64, u64) {
        self.order
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Episode> {
        self.open.values().map(|open| &open.episode)
    }

    pub(super) fn restore_open(&mut self, episode: Episode) {
        self.order = self.order.max((episode.epoch, episode.seq));
        let key = (episode.rule.clone(), episode.fp);
        // Two open episodes of one alert cannot be; should a journal say so, the later one counts.
        let newer = self.open.get(&key).is_none_or(|open| open.episode.fired_at < episode.fired_at);
        if newer {
            self.open.insert(key, Open { episode, absent_since: None, forgotten: false });
        }
    }

    pub(super) fn restore_ended(&mut self, episode: &Episode, at: Seconds) {
        self.order = self.order.max((episode.epoch, episode.seq));
        self.bury(episode, at);
    }

    fn bury(&mut self, episode: &Episode, now: Seconds) {
        let stone = Tombstone { agent_fired_at: episode.agent_fired_at, fired_at: episode.fired_at, heard_at: now };
        let key = (episode.rule.clone(), episode.fp);
        if self.ended.get(&key).is_none_or(|last| last.fired_at <= stone.fired_at) {
            self.ended.insert(key, stone);
        }
    }

    /// Reads a report; false if it is not newer than the last one.
    pub(super) fn read(
        &mut self,
        plan: &FleetPlan,
        slots: &Slots,
        cut_rule: Option<&ObjectKey>,
        report: &Report,
        at: Seconds,
        out: &mut Vec<Event>,
    ) -> bool {
        if report.order() < self.order || (report.order() == self.order && !self.reread) {
            return false;
        }
        (self.order, self.reread) = (report.order(), false);
        let reading = Reading::new(report, slots, at);
        let mut seen: BTreeSet<Key> = BTreeSet::new();
        for ended in &report.resolved {
            self.read_ended(&reading, ended, out);
        }
        for instance in &report.firing {
            let Some(rule) = reading.rule(instance.slot).filter(|_| instance.fp != SUMMARY) else { continue };
            if instance.fired_at != 0 && seen.insert((rule.clone(), instance.fp)) {
                self.read_firing(rule, instance, reading.at, out);
            }
        }
        for instance in &report.pending {
            let Some(rule) = reading.rule(instance.slot).filter(|_| instance.fp != SUMMARY) else { continue };
            if seen.insert((rule.clone(), instance.fp)) {
                self.read_pending(rule, instance);
            }
        }
        self.read_summaries(plan, &reading, &mut seen, out);
        if let Some(rule) = cut_rule {
            self.read_cut(rule, &reading, &mut seen, out);
        }
        self.read_absences(plan, &reading, &seen, cut_rule, out);
        self.ended.retain(|_, stone| at - stone.heard_at < KEEP_TOMBSTONES);
        true
    }

    fn read_ended(&mut self, reading: &Reading<'_>, ended: &Ended, out: &mut Vec<Event>) {
        let instance = &ended.instance;
        let Some(rule) = reading.rule(instance.slot).filter(|_| instance.fired_at != 0) else { return };
        let key = (rule.clone(), instance.fp);
        if let Some(stone) = self.ended.get_mut(&key).filter(|stone| instance.fired_at <= stone.agent_fired_at) {
            stone.heard_at = reading.at;
            return;
        }
        let mut known = false;
        if let Some(open) = self.open.get(&key).filter(|open| open.episode.has_fired()) {
            match instance.fired_at.cmp(&open.episode.agent_fired_at) {
                // The end of an older episode, told again.
                std::cmp::Ordering::Less => return,
                std::cmp::Ordering::Equal => known = true,
                // Nobody heard the end of the one before: this one began after it. Unless the agent forgot it.
                std::cmp::Ordering::Greater => known = open.forgotten || open.episode.epoch != reading.report.epoch,
            }
            let at = if known { ended.resolved_at } else { instance.active_at };
            if let Some(open) = self.open.get_mut(&key).filter(|_| known) {
                open.episode.agent_fired_at = instance.fired_at;
            }
            self.end(&key, (at, reading.at), EndReason::Resolved, out);
        }
        if !known {
            let mut episode = Episode::from_report(rule, &self.node, instance, reading.report.order());
            self.open.remove(&key);
            episode.fired_at = self.unused_second(&key, episode.fired_at);
            self.bury(&episode, reading.at);
            out.push(Event::Missed { episode, at: ended.resolved_at });
        }
    }

    /// The second by which a new episode is known: two of one alert never share it.
    fn unused_second(&self, key: &Key, fired_at: Seconds) -> Seconds {
        self.ended.get(key).map_or(fired_at, |stone| fired_at.max(stone.fired_at + 1))
    }

    fn read_firing(&mut self, rule: &ObjectKey, instance: &Instance, at: Seconds, out: &mut Vec<Event>) {
        let key = (rule.clone(), instance.fp);
        let order = self.order;
        if let Some(open) = self.open.get_mut(&key).filter(|open| open.episode.has_fired()) {
            let same = open.episode.agent_fired_at == instance.fired_at;
            // A restart without memory begins the same episode anew, unless its end was told.
            if same || open.forgotten || open.episode.epoch != order.0 {
                open.see(instance, order);
                return;
            }
            self.end(&key, (instance.active_at.min(at), at), EndReason::Resolved, out);
        }
        if self.open.len() >= MAX_OPEN {
            return;
        }
        let mut episode = Episode::from_report(rule, &self.node, instance, order);
        episode.fired_at = self.unused_second(&key, episode.fired_at);
        out.push(Event::Fired(episode.clone()));
        self.open.insert(key, Open { episode, absent_since: None, forgotten: false });
    }

    fn read_pending(&mut self, rule: &ObjectKey, instance: &Instance) {
        let key = (rule.clone(), instance.fp);
        let order = self.order;
        let full = self.open.len() >= MAX_OPEN;
        match self.open.get_mut(&key) {
            // It holds, so the episode goes on; the agent has forgotten that it fired.
            Some(open) if open.episode.has_fired() => {
                open.absent_since = None;
                open.forgotten = true;
                open.episode.value = instance.value;
            }
            None if full => {}
            _ => {
                let mut episode = Episode::from_report(rule, &self.node, instance, order);
                (episode.fired_at, episode.agent_fired_at) = (0, 0);
                self.open.insert(key, Open { episode, absent_since: None, forgotten: false });
            }
        }
    }

    /// One summary alert per rule whose `limit` was exceeded.
    fn read_summaries(
        &mut self,
        plan: &FleetPlan,
        reading: &Reading<'_>,
        seen: &mut BTreeSet<Key>,
        out: &mut Vec<Event>,
    ) {
        for count in reading.report.rules.iter().filter(|count| count.dropped > 0) {
            let Some(rule) = reading.rule(count.slot).filter(|rule| plan.rules.contains_key(*rule)) else { continue };
            seen.insert((rule.clone(), SUMMARY));
            self.summary(rule, "limit", count.dropped, reading.at, out);
        }
        let over: Vec<Key> = self.open.keys().filter(|key| key.1 == SUMMARY && !seen.contains(*key)).cloned().collect();
        for key in over {
            let slot = plan.rules.get(&key.0).and_then(|rule| rule.slot.as_ref());
            if slot.is_some_and(|slot| reading.report.plan_rev >= slot.rev && !reading.unjudged.contains(&slot.slot)) {
                self.end(&key, (reading.at, reading.at), EndReason::Resolved, out);
            }
        }
    }

    /// One alert for a report that had to leave instances out.
    fn read_cut(&mut self, rule: &ObjectKey, reading: &Reading<'_>, seen: &mut BTreeSet<Key>, out: &mut Vec<Event>) {
        let cut = reading.report.truncated;
        let key = (rule.clone(), SUMMARY);
        if !cut.is_none() {
            seen.insert(key);
            let all = cut.pending.saturating_add(cut.firing).saturating_add(cut.resolved);
            self.summary(rule, "report", all, reading.at, out);
        } else if self.open.contains_key(&key) {
            self.end(&key, (reading.at, reading.at), EndReason::Resolved, out);
        }
    }

    fn summary(&mut self, rule: &ObjectKey, what: &str, count: u32, at: Seconds, out: &mut Vec<Event>) {
        let since = self.open.get(&(rule.clone(), SUMMARY)).map_or(at, |open| open.episode.agent_fired_at);
        let instance = Instance {
            slot: 0,
            fp: SUMMARY,
            labels: Labels::from_pairs([(SUMMARY_LABEL, what)]),
            active_at: since,
            fired_at: since,
            keep_firing_since: 0,
            value: f64::from(count),
        };
        self.read_firing(rule, &instance, at, out);
    }

    fn read_absences(
        &mut self,
        plan: &FleetPlan,
        reading: &Reading<'_>,
        seen: &BTreeSet<Key>,
        cut_rule: Option<&ObjectKey>,
        out: &mut Vec<Event>,
    ) {
        let now = reading.report.renew_time;
        let mut over = Vec::new();
        let mut gone = Vec::new();
        for (key, open) in &mut self.open {
            if key.1 == SUMMARY || seen.contains(key) || Some(&key.0) == cut_rule {
                continue;
            }
            let Some(rule) = plan.rules.get(&key.0) else { continue };
            let Some(slot) = rule.slot.as_ref().filter(|slot| reading.report.plan_rev >= slot.rev) else { continue };
            let witness = reading.is_complete_for(slot.slot);
            if !open.episode.has_fired() {
                if witness {
                    gone.push(key.clone());
                }
                continue;
            }
            if !witness {
                open.absent_since = None;
                continue;
            }
            // A clock that was set back starts the wait anew.
            let first = open.absent_since.filter(|first| *first <= now);
            open.absent_since = Some(first.unwrap_or(now));
            if first.is_some_and(|first| (now - first).saturating_mul(1000) >= rule.rule.interval.as_millis_i64()) {
                over.push(key.clone());
            }
        }
        for key in gone {
            self.open.remove(&key);
        }
        for key in over {
            self.end(&key, (reading.at, reading.at), EndReason::Reconciled, out);
        }
    }

    /// Takes in a rule that this process evaluates: nothing can be lost on the way, so absence means the end.
    pub(super) fn observe(&mut self, rule: &ObjectKey, life: &RuleLife, at: Seconds, out: &mut Vec<Event>) {
        self.order.1 += 1;
        let endings: BTreeMap<(Fingerprint, Seconds), Seconds> =
            life.ended(0).map(|ended| ((ended.instance.fp, ended.instance.fired_at), ended.resolved_at)).collect();
        let mut seen = BTreeSet::new();
        for instance in life.firing(0) {
            seen.insert(instance.fp);
            self.read_firing(rule, &instance, at, out);
        }
        for instance in life.pending(0) {
            seen.insert(instance.fp);
            self.read_pending(rule, &instance);
        }
        if life.not_evaluated().is_some() {
            // What was cut is not known now.
            seen.insert(SUMMARY);
        } else if life.dropped() > 0 {
            seen.insert(SUMMARY);
            self.summary(rule, "limit", life.dropped(), at, out);
        }
        let first = (rule.clone(), Fingerprint(0));
        let of_rule = self.open.range(first..).take_while(|(key, _)| key.0 == *rule);
        let over: Vec<Key> = of_rule.filter(|(key, _)| !seen.contains(&key.1)).map(|(key, _)| key.clone()).collect();
        for key in over {
            let Some(open) = self.open.get(&key) else { continue };
            if open.episode.has_fired() {
                let ended_at = endings.get(&(key.1, open.episode.agent_fired_at)).copied().unwrap_or(at);
                self.end(&key, (ended_at, at), EndReason::Resolved, out);
            } else {
                self.open.remove(&key);
            }
        }
    }

    /// Ends every episode for whose rule `fate` names a reason; forgets what is only pending.
    pub(super) fn end_where(
        &mut self,
        fate: impl Fn(&ObjectKey) -> Option<EndReason>,
        at: Seconds,
        out: &mut Vec<Event>,
    ) {
        let over: Vec<(Key, EndReason)> =
            self.open.keys().filter_map(|key| fate(&key.0).map(|reason| (key.clone(), reason))).collect();
        for (key, reason) in over {
            self.end(&key, (at, at), reason, out);
        }
    }

    /// Ends one episode: when it ended, and now.
    fn end(&mut self, key: &Key, (at, now): (Seconds, Seconds), reason: EndReason, out: &mut Vec<Event>) {
        let Some(Open { mut episode, .. }) = self.open.remove(key) else { return };
        if !episode.has_fired() {
            return;
        }
        (episode.epoch, episode.seq) = self.order;
        self.bury(&episode, now);
        // An end before the beginning would make a negative duration.
        out.push(Event::Ended { at: at.max(episode.fired_at), episode, reason });
    }
}

impl Open {
    fn see(&mut self, instance: &Instance, order: (u64, u64)) {
        self.absent_since = None;
        self.forgotten = false;
        self.episode.agent_fired_at = instance.fired_at;
        self.episode.keep_firing_since = instance.keep_firing_since;
        self.episode.value = instance.value;
        (self.episode.epoch, self.episode.seq) = order;
    }
}
