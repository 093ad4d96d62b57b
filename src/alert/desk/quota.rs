//! Quotas: which messages the limits of an hour let through, and the one that says how much they hold back.

use std::collections::{BTreeMap, BTreeSet};

use super::Desk;
use super::decide::message_key;
use super::docs::Doc;
use super::intent::{Attempt, Intent, Member};
use super::limit::LimitKey;
use super::sort::Members;
use crate::alert::episode::EpisodeKey;
use crate::model::Labels;
use crate::model::fleet_plan::FleetPlan;
use crate::model::labels::Fnv;
use crate::model::notification::{Notification, NotifiedAlert};
use crate::model::object::ObjectKey;
use crate::model::series::Millis;

impl Desk {
    /// Splits alerts into those whose message may go and those that a drained limit holds.
    pub(super) fn within_limits(
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

    pub(super) fn record<'m>(&mut self, receiver: &ObjectKey, firing: impl Iterator<Item = &'m Member>, now: Millis) {
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
    pub(super) fn announce(
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
}
