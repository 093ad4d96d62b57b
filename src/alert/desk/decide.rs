//! Decisions: looks at every case and group at one moment and makes the messages that are due.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Place};
use super::docs::Doc;
use super::intent::{Attempt, Intent, Member};
use super::limit::LimitKey;
use super::mute::Mutes;
use super::{Desk, Group, Words, group_id, route};
use crate::alert::episode::EpisodeKey;
use crate::model::Labels;
use crate::model::fleet_plan::{FleetPlan, Notify};
use crate::model::labels::Fnv;
use crate::model::notification::{Notification, NotifiedAlert};
use crate::model::object::ObjectKey;
use crate::model::series::Millis;
use crate::model::severity::Severity;

/// Most alerts that a message shows; the rest is counted in it.
pub const MAX_SHOWN: usize = 100;
/// Most alerts that a message is about; the rest waits for the group's next one.
pub const MAX_MEMBERS: usize = 1000;

/// How long a receiver that refuses it is offered the message that an alert ended, in milliseconds.
const GIVE_UP_ENDS: Millis = 24 * 3_600_000;

/// What a group has to say at one moment.
struct Members {
    receiver: ObjectKey,
    labels: Labels,
    timing: Timing,
    /// The most urgent of those that the receiver does not know.
    urgency: Severity,
    /// Fire, and the receiver does not know.
    fresh: Vec<EpisodeKey>,
    /// Fire, and the receiver knows.
    standing: Vec<EpisodeKey>,
    /// Ended, and the receiver only knows that they fired.
    over: Vec<EpisodeKey>,
}

/// The most urgent times of a group's rules, in milliseconds.
#[derive(Clone, Copy)]
struct Timing {
    wait: Millis,
    interval: Millis,
    repeat: Millis,
}

impl Timing {
    fn of(notify: &Notify) -> Self {
        // A repeat interval of nothing means that nothing is repeated.
        let repeat = match notify.repeat_interval.as_millis_i64() {
            0 => Millis::MAX,
            repeat => repeat,
        };
        Self { wait: notify.group_wait.as_millis_i64(), interval: notify.group_interval.as_millis_i64(), repeat }
    }

    fn and(self, other: Self) -> Self {
        Self {
            wait: self.wait.min(other.wait),
            interval: self.interval.min(other.interval),
            repeat: self.repeat.min(other.repeat),
        }
    }
}

impl Desk {
    /// Makes the messages that are due now and returns their keys. Alerts on `frozen` nodes are not repeated.
    pub fn decide(&mut self, now: Millis, frozen: &BTreeSet<String>, words: &dyn Words) -> Vec<String> {
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

    /// Sorts all cases into groups, and files those of which nothing is left to say.
    fn sort_cases(&mut self, plan: &FleetPlan, frozen: &BTreeSet<String>, now: Millis) -> BTreeMap<u64, Members> {
        let mutes = Mutes::new(plan, self.plan_epoch, &self.cases, now);
        let mut on_its_way: BTreeMap<&ObjectKey, BTreeSet<EpisodeKey>> = BTreeMap::new();
        let mut unsettled: BTreeSet<EpisodeKey> = BTreeSet::new();
        for intent in self.intents.values() {
            unsettled.extend(intent.members.iter().map(|member| member.case));
            on_its_way.entry(intent.receiver()).or_default().extend(intent.members.iter().map(|member| member.case));
        }
        let operator = self.config.operator_namespace.as_deref();
        let mut groups: BTreeMap<u64, Members> = BTreeMap::new();
        let mut done = Vec::new();
        for (key, case) in &mut self.cases {
            mutes.silence(case);
            let places = match case.places.take() {
                Some(places) => places,
                None => places(plan, operator, case),
            };
            let cooldown = self.cooldowns.get(&key.id).map(|last| (last.fired_at, last.at));
            let hold = match case.ended {
                Some(_) => None,
                None if places.is_empty() => Some("NoReceiver"),
                None => mutes.hold(case, cooldown, now),
            };
            if case.ended.is_none() && !case.was_notified() && hold != case.held.as_deref() {
                // A drained limit is noted where messages are made; only an answer to another question replaces it.
                if hold.is_some() || case.held.as_deref() != Some("RateLimited") {
                    case.held = hold.map(str::to_owned);
                    self.dirty.insert(Doc::alert(*key, case));
                }
            }
            let rule = plan.rules.get(&case.episode.rule);
            let default = Notify::default();
            let notify = rule.map_or(&default, |rule| &rule.notify);
            // While a message about it is on its way, nobody knows yet what there is left to say.
            let mut open = case.ended.is_none() || unsettled.contains(key);
            let end_seen = match case.ended {
                Some(_) => *case.end_seen.get_or_insert(now),
                None => now,
            };
            for place in &places {
                let busy = on_its_way.get(&place.receiver).is_some_and(|keys| keys.contains(key));
                let told = case.told.get(&place.receiver);
                let knows = told.is_some_and(|told| told.firing.is_some());
                let knows_end = told.is_some_and(|told| told.resolved.is_some());
                let tells_end = notify.send_resolved
                    && plan.receivers.get(&place.receiver).is_some_and(|receiver| receiver.send_resolved);
                let ended = case.ended.is_some();
                let end_is_due = ended && now - end_seen < GIVE_UP_ENDS && knows && !knows_end && tells_end;
                open |= busy || end_is_due;
                let keeps_group = !ended || busy || end_is_due;
                if !keeps_group {
                    continue;
                }
                let members = groups.entry(place.group).or_insert_with(|| Members {
                    receiver: place.receiver.clone(),
                    labels: group_labels(&case.wording.labels, &notify.group_by),
                    timing: Timing::of(notify),
                    urgency: Severity::Info,
                    fresh: Vec::new(),
                    standing: Vec::new(),
                    over: Vec::new(),
                });
                members.timing = members.timing.and(Timing::of(notify));
                if busy {
                    continue;
                }
                if end_is_due {
                    members.over.push(*key);
                } else if !ended && hold.is_none() && place.routed {
                    match knows {
                        false => {
                            members.fresh.push(*key);
                            members.urgency = members.urgency.max(Severity::of(&case.wording.severity));
                        }
                        true if !frozen.contains(&case.episode.node) => members.standing.push(*key),
                        true => {}
                    }
                }
            }
            case.places = Some(places);
            if !open {
                done.push(*key);
            }
        }
        for key in done {
            self.close(key);
        }
        groups
    }

    /// Files an ended case, with the reason if nobody was told.
    fn close(&mut self, key: EpisodeKey) {
        let Some(mut case) = self.cases.remove(&key) else { return };
        self.dirty.insert(Doc::alert(key, &case));
        if !case.was_notified() && case.held.is_none() {
            let tried = case.told.values().any(|told| told.status == "dropped");
            case.held = Some(if tried { "DeliveryFailed" } else { "ResolvedInGroupWait" }.into());
        }
        self.file(case);
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

    fn intend(&mut self, intent: Intent, made: &mut Vec<String>) {
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

    /// Splits alerts into those whose message may go and those that a drained limit holds.
    fn within_limits(
        &self,
        plan: &FleetPlan,
        members: &Members,
        keys: &[EpisodeKey],
        now: Millis,
    ) -> (Vec<EpisodeKey>, Vec<EpisodeKey>) {
        let allows = |rule: Option<&ObjectKey>, per_hour: u32| {
            per_hour == 0 || {
                let key = LimitKey { receiver: members.receiver.clone(), rule: rule.cloned() };
                self.limits.get(&key).is_none_or(|limit| limit.allows(per_hour, now))
            }
        };
        if !allows(None, plan.receivers.get(&members.receiver).map_or(0, |receiver| receiver.max_per_hour)) {
            return (Vec::new(), keys.to_vec());
        }
        keys.iter().partition(|key| {
            let rule = self.cases.get(key).map(|case| &case.episode.rule);
            let per_hour = rule.and_then(|rule| plan.rules.get(rule)).map_or(0, |rule| rule.notify.max_per_hour);
            allows(rule, per_hour)
        })
    }

    fn record<'m>(&mut self, receiver: &ObjectKey, firing: impl Iterator<Item = &'m Member>, now: Millis) {
        let rules: BTreeSet<ObjectKey> =
            firing.filter_map(|member| self.cases.get(&member.case).map(|case| case.episode.rule.clone())).collect();
        if rules.is_empty() {
            return;
        }
        for rule in rules.into_iter().map(Some).chain([None]) {
            let per_hour = match &rule {
                Some(rule) => self.plan.rules.get(rule).map_or(0, |rule| rule.notify.max_per_hour),
                None => self.plan.receivers.get(receiver).map_or(0, |receiver| receiver.max_per_hour),
            };
            if per_hour > 0 {
                let key = LimitKey { receiver: receiver.clone(), rule };
                self.limits.entry(key.clone()).or_default().record(now);
                self.dirty.insert(Doc::Limit(key));
            }
        }
    }

    /// One message an hour that says how much is held back.
    fn announce(
        &mut self,
        plan: &FleetPlan,
        members: &Members,
        held: &[EpisodeKey],
        now: Millis,
        made: &mut Vec<String>,
    ) {
        for key in held {
            let Some(case) = self.cases.get_mut(key).filter(|case| !case.was_notified()) else { continue };
            if case.held.as_deref() != Some("RateLimited") {
                case.held = Some("RateLimited".into());
                self.dirty.insert(Doc::alert(*key, case));
            }
        }
        let receiver = &members.receiver;
        let per_hour = plan.receivers.get(receiver).map_or(0, |receiver| receiver.max_per_hour);
        let drained = LimitKey { receiver: receiver.clone(), rule: None };
        let all = per_hour > 0 && self.limits.get(&drained).is_some_and(|limit| !limit.allows(per_hour, now));
        let mut by_limit: BTreeMap<LimitKey, usize> = BTreeMap::new();
        for case in held.iter().filter_map(|key| self.cases.get(key)) {
            let rule = Some(case.episode.rule.clone()).filter(|_| !all);
            *by_limit.entry(LimitKey { receiver: receiver.clone(), rule }).or_default() += 1;
        }
        for (limit, count) in by_limit {
            if self.limits.entry(limit.clone()).or_default().announce(now) {
                self.dirty.insert(Doc::Limit(limit.clone()));
                self.announce_one(&limit, &members.labels, count, now, made);
            }
        }
    }

    fn announce_one(&mut self, limit: &LimitKey, group: &Labels, count: usize, now: Millis, made: &mut Vec<String>) {
        let receiver = &limit.receiver;
        let whose = limit.rule.as_ref().map_or(format!("receiver {receiver}"), |rule| format!("rule {rule}"));
        let message = format!("{count} alerts suppressed: {whose} has used up its maxPerHour");
        let name = "NotificationsSuppressed";
        let labels = group.with("alertname", name);
        let alert = NotifiedAlert {
            id: format!("{:016x}", Fnv::of(&[name, &receiver.to_string(), &whose])),
            name: name.to_owned(),
            severity: "info".to_owned(),
            labels: labels.with("severity", "info"),
            annotations: BTreeMap::from([("summary".to_owned(), message.clone())]),
            message,
            component: String::new(),
            value: count.to_string(),
            starts_at: now,
            ends_at: None,
            generator_url: self.config.base_url.clone(),
        };
        let notification = Notification {
            idempotency_key: message_key(receiver, Fnv::of(&[&whose]), "suppressed", now, &[]),
            receiver: receiver.clone(),
            group_key: format!("{receiver}:{labels}"),
            group_labels: labels,
            cause: "suppressed".to_owned(),
            alerts: vec![alert],
            truncated: 0,
            at: now,
        };
        self.intend(Intent { notification, group: None, members: Vec::new(), attempt: Attempt::default() }, made);
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

/// A case's receivers and groups. What was told stays in its group, whatever the rule says now.
fn places(plan: &FleetPlan, operator: Option<&str>, case: &Case) -> Vec<Place> {
    let rule = &case.episode.rule;
    let routed = match plan.rules.get(rule) {
        Some(known) if case.ended.is_none() => {
            route::receivers(plan, operator, rule, known, &case.wording.labels, &case.wording.severity)
        }
        _ => Vec::new(),
    };
    let told_group = |receiver: &ObjectKey| case.told.get(receiver).filter(|t| t.firing.is_some()).map(|t| t.group);
    let default = Notify::default();
    let group_by = plan.rules.get(rule).map_or(&default.group_by, |rule| &rule.notify.group_by);
    let labels = group_labels(&case.wording.labels, group_by);
    let mut places: Vec<Place> = routed
        .into_iter()
        .map(|receiver| Place {
            group: told_group(&receiver).unwrap_or_else(|| group_id(&receiver, &labels)),
            routed: true,
            receiver,
        })
        .collect();
    for receiver in case.told.keys().filter(|receiver| case.was_told(receiver)) {
        if !places.iter().any(|place| place.receiver == *receiver) {
            let group = told_group(receiver).unwrap_or_default();
            places.push(Place { receiver: receiver.clone(), group, routed: false });
        }
    }
    places
}

/// The labels that make a group; `...` means all of them.
fn group_labels(labels: &Labels, group_by: &[String]) -> Labels {
    if group_by.iter().any(|name| name == "...") {
        return labels.clone();
    }
    let names: Vec<&str> = group_by.iter().map(String::as_str).collect();
    labels.only(&names)
}

/// The idempotency key of a message.
fn message_key(receiver: &ObjectKey, group: u64, cause: &str, at: Millis, members: &[Member]) -> String {
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
