//! Sorting: every case into the groups of its receivers, with what there is to say of it now.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Place};
use super::docs::Doc;
use super::mute::Mutes;
use super::{Desk, group_id, route};
use crate::alert::episode::{Episode, EpisodeKey};
use crate::model::Labels;
use crate::model::fleet_plan::{FleetPlan, Notify};
use crate::model::object::ObjectKey;
use crate::model::series::Millis;
use crate::model::severity::Severity;

/// How long a receiver that refuses it is offered the message that an alert ended, in milliseconds.
const GIVE_UP_ENDS: Millis = 24 * 3_600_000;

/// What a group has to say at one moment.
pub(super) struct Members {
    pub(super) receiver: ObjectKey,
    pub(super) labels: Labels,
    pub(super) timing: Timing,
    /// The most urgent of those that the receiver does not know.
    pub(super) urgency: Severity,
    /// Fire, and the receiver does not know.
    pub(super) fresh: Vec<EpisodeKey>,
    /// Fire, and the receiver knows.
    pub(super) standing: Vec<EpisodeKey>,
    /// Ended, and the receiver only knows that they fired.
    pub(super) over: Vec<EpisodeKey>,
}

/// The most urgent times of a group's rules, in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    pub(super) wait: Millis,
    pub(super) interval: Millis,
    pub(super) repeat: Millis,
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
    /// Sorts all cases into groups, and files those of which nothing is left to say.
    pub(super) fn sort_cases(
        &mut self,
        plan: &FleetPlan,
        frozen: &dyn Fn(&Episode) -> bool,
        now: Millis,
    ) -> BTreeMap<u64, Members> {
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
                        true if !frozen(&case.episode) => members.standing.push(*key),
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
