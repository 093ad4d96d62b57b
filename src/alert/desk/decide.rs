//! Decisions: looks at every case and group at one moment and makes the messages that are due.

use std::collections::{BTreeMap, BTreeSet};

use super::docs::Doc;
use super::intent::{Attempt, Intent, Member};
use super::limit::LimitKey;
use super::sort::Members;
use super::{Desk, Group, Words};
use crate::alert::episode::{Episode, EpisodeKey};
use crate::model::fleet_plan::FleetPlan;
use crate::model::labels::Fnv;
use crate::model::notification::{Notification, NotifiedAlert};
use crate::model::object::ObjectKey;
use crate::model::series::Millis;

/// Most alerts that a message shows; the rest is counted in it.
pub const MAX_SHOWN: usize = 100;
/// Most alerts that a message is about; the rest waits for the group's next one.
pub const MAX_MEMBERS: usize = 1000;

impl Desk {
    /// Makes the messages that are due now and returns their keys. What is `frozen` is not repeated.
    pub fn decide(&mut self, now: Millis, frozen: &dyn Fn(&Episode) -> bool, words: &dyn Words) -> Vec<String> {
        let plan = std::sync::Arc::clone(&self.plan);
        self.drop_for_lost_receivers(&plan, now);
        let members = self.sort_cases(&plan, frozen, now);
        let mut made = Vec::new();
        let busy: BTreeSet<u64> = self.intents.values().filter_map(|intent| intent.group).collect();
        for (id, members) in self.news_first(&members) {
            if !busy.contains(&id) {
                self.decide_group(&plan, id, members, now, words, &mut made);
            }
        }
        let receivers: Vec<(u64, String)> = self
            .groups
            .iter()
            .filter(|(id, _)| !members.contains_key(id) && !busy.contains(id))
            .map(|(id, group)| (*id, group.receiver.namespace.to_string()))
            .collect();
        for (id, namespace) in receivers {
            self.groups.remove(&id);
            self.dirty.insert(Doc::Group(namespace, id));
        }
        self.forget_old(&plan, now);
        made
    }

    /// Groups in the order in which they may use up a limit: news before repeats, urgent before old before new.
    fn news_first<'m>(&self, members: &'m BTreeMap<u64, Members>) -> Vec<(u64, &'m Members)> {
        let mut order: Vec<(u64, &Members)> = members.iter().map(|(id, members)| (*id, members)).collect();
        order.sort_by_key(|(id, members)| {
            let since = self.groups.get(id).and_then(|group| group.changed_since).unwrap_or(Millis::MAX);
            (members.fresh.is_empty(), std::cmp::Reverse(members.urgency), since, *id)
        });
        order
    }

    /// Messages to receivers that do not exist any more are given up.
    fn drop_for_lost_receivers(&mut self, plan: &FleetPlan, now: Millis) {
        let lost = self.intents.values().filter(|intent| !plan.receivers.contains_key(intent.receiver()));
        let lost: Vec<String> = lost.filter(|intent| !intent.attempt.sending).map(|i| i.key().to_owned()).collect();
        for key in lost {
            let gone = super::SendFailure {
                retryable: false,
                retry_after: None,
                reason: "ReceiverGone".into(),
                message: "the receiver was deleted".into(),
            };
            self.finish(&key, Err(gone), now);
        }
    }

    fn decide_group(
        &mut self,
        plan: &FleetPlan,
        id: u64,
        members: &Members,
        now: Millis,
        words: &dyn Words,
        made: &mut Vec<String>,
    ) {
        let namespace = members.receiver.namespace.to_string();
        let changed = !members.fresh.is_empty() || !members.over.is_empty();
        let Some(group) = self.groups.get_mut(&id) else {
            let new = Group {
                receiver: members.receiver.clone(),
                labels: members.labels.clone(),
                changed_since: changed.then_some(now),
                last_flush: None,
                last_told: None,
            };
            self.groups.insert(id, new);
            self.dirty.insert(Doc::Group(namespace, id));
            if changed && members.timing.wait == 0 {
                self.flush(plan, id, members, now, words, made);
            }
            return;
        };
        if changed != group.changed_since.is_some() {
            group.changed_since = changed.then_some(now);
            self.dirty.insert(Doc::Group(namespace, id));
        }
        // A clock that was set back must not hold a group for longer than its own times.
        let due = |since: Millis, length: Millis| now < since || now >= since.saturating_add(length);
        let wants = match group.changed_since {
            Some(since) => {
                due(since, members.timing.wait) && group.last_flush.is_none_or(|at| due(at, members.timing.interval))
            }
            None => false,
        };
        // A repeat that was given up is not tried again at once.
        let rested = group.last_flush.is_none_or(|at| due(at, members.timing.interval.min(members.timing.repeat)));
        let told = group.last_told.or(group.last_flush);
        let repeats = !members.standing.is_empty() && rested && told.is_none_or(|at| due(at, members.timing.repeat));
        if wants || repeats {
            self.flush(plan, id, members, now, words, made);
        }
    }

    /// Makes a group's message, as far as the limits let it.
    fn flush(
        &mut self,
        plan: &FleetPlan,
        id: u64,
        members: &Members,
        now: Millis,
        words: &dyn Words,
        made: &mut Vec<String>,
    ) {
        let (fresh, held) = self.within_limits(plan, members, &members.fresh, now);
        let (standing, _) = self.within_limits(plan, members, &members.standing, now);
        if !held.is_empty() {
            self.announce(plan, members, &held, now, made);
        }
        if fresh.is_empty() && members.over.is_empty() && standing.is_empty() {
            return;
        }
        let told_before = self.groups.get(&id).is_some_and(|group| group.last_told.is_some());
        let cause = match (fresh.is_empty(), members.over.is_empty(), standing.is_empty()) {
            (false, _, _) if told_before => "changed",
            (false, _, _) => "firing",
            (true, false, true) => "resolved",
            (true, false, false) => "changed",
            (true, true, _) => "repeat",
        };
        let firing = |keys: &[EpisodeKey]| keys.iter().map(|key| Member { case: *key, over: false }).collect();
        // News first, so that what merely stands never crowds it out; then what fires before what ended.
        let mut all: Vec<Member> = firing(&fresh);
        all.extend(members.over.iter().map(|key| Member { case: *key, over: true }));
        all.extend::<Vec<Member>>(firing(&standing));
        all.truncate(MAX_MEMBERS);
        let is_news = |member: &Member| fresh.binary_search(&member.case).is_ok();
        all.sort_by_key(|member| (member.over, !is_news(member), member.case.fired_at, member.case.id));
        self.record(&members.receiver, all.iter().filter(|member| !member.over), now);
        let alerts: Vec<NotifiedAlert> =
            all.iter().take(MAX_SHOWN).filter_map(|member| self.in_words(plan, member.case, words)).collect();
        let group = self.groups.get_mut(&id);
        let labels = group.as_ref().map_or(members.labels.clone(), |group| group.labels.clone());
        if let Some(group) = group {
            (group.changed_since, group.last_flush) = (None, Some(now));
        }
        self.dirty.insert(Doc::Group(members.receiver.namespace.to_string(), id));
        let notification = Notification {
            idempotency_key: message_key(&members.receiver, id, cause, now, &all),
            receiver: members.receiver.clone(),
            group_key: format!("{}:{labels}", members.receiver),
            group_labels: labels,
            cause: cause.to_owned(),
            truncated: u32::try_from(all.len() - alerts.len()).unwrap_or(u32::MAX),
            alerts,
            at: now,
        };
        self.intend(Intent { notification, group: Some(id), members: all, attempt: Attempt::default() }, made);
    }

    pub(super) fn intend(&mut self, intent: Intent, made: &mut Vec<String>) {
        let key = intent.key().to_owned();
        self.dirty.insert(Doc::Intent(intent.receiver().namespace.to_string(), key.clone()));
        self.intents.insert(key.clone(), intent);
        made.push(key);
    }

    /// A case as a message carries it, its annotations rendered with the value of now.
    fn in_words(&mut self, plan: &FleetPlan, key: EpisodeKey, words: &dyn Words) -> Option<NotifiedAlert> {
        let case = self.cases.get_mut(&key)?;
        if let Some(rule) = plan.rules.get(&case.episode.rule) {
            let new = words.word(&case.episode.rule, rule, &case.episode);
            // Labels stay what they were when it began to fire: they are what a receiver knows it by.
            (case.wording.annotations, case.wording.message) = (new.annotations, new.message);
        }
        Some(case.notified(&self.config.base_url))
    }

    /// Drops what no decision needs any more.
    fn forget_old(&mut self, plan: &FleetPlan, now: Millis) {
        let idle: Vec<LimitKey> =
            self.limits.iter().filter(|(_, limit)| limit.is_idle(now)).map(|(key, _)| key.clone()).collect();
        for key in idle {
            self.limits.remove(&key);
            self.dirty.insert(Doc::Limit(key));
        }
        let over = self.cooldowns.iter().filter(|(_, last)| {
            let length = plan.rules.get(&last.rule).map_or(0, |rule| rule.notify.cooldown.as_millis_i64());
            now >= last.at.saturating_add(length)
        });
        let over: Vec<_> = over.map(|(id, last)| (*id, last.rule.namespace.to_string())).collect();
        for (id, namespace) in over {
            self.cooldowns.remove(&id);
            self.dirty.insert(Doc::Cooldown(namespace, id));
        }
    }
}

/// The idempotency key of a message.
pub(super) fn message_key(receiver: &ObjectKey, group: u64, cause: &str, at: Millis, members: &[Member]) -> String {
    let mut hash = Fnv::default();
    for part in [&receiver.to_string(), cause, &group.to_string(), &at.to_string()] {
        hash.part(part);
    }
    for member in members {
        hash.part(&member.case.to_string());
        hash.part(if member.over { "over" } else { "firing" });
    }
    format!("{:016x}{:016x}", group, hash.finish())
}
