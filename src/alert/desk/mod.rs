//! The desk: who hears of which alert, when, and how often. Decisions only; sending and keeping are the caller's.
//!
//! One round: [`Desk::note`] the ledger's events, [`Desk::decide`] makes intents, the caller commits
//! [`Desk::take_changes`] and says so with [`Desk::made_durable`], then sends what is [`Desk::due`] and reports each
//! outcome with [`Desk::finish`]. A crash anywhere between is survived by [`Desk::restore`]: an intent without an
//! outcome is sent again with the same idempotency key, everything else happened exactly once.

mod case;
mod decide;
mod docs;
mod intent;
mod limit;
mod mute;
mod route;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::episode::{EndReason, Episode, EpisodeKey, Event};
use crate::model::Labels;
use crate::model::fleet_plan::FleetPlan;
use crate::model::labels::Fnv;
use crate::model::object::ObjectKey;
use crate::model::report::{Fingerprint, Seconds};
use crate::model::series::Millis;
use crate::model::view::AckView;
pub use case::{Case, Ending, Told, Wording, Words, value_text};
use docs::Doc;
pub use docs::DocumentError;
pub use intent::{Fate, Intent, Member, SendFailure};
use limit::{Limit, LimitKey};
pub use mute::{covers, is_active};
pub use route::receivers as route;

/// How the desk is set up.
#[derive(Clone, Debug)]
pub struct DeskConfig {
    /// The namespace whose receivers serve all others; None: every receiver's does, as in `run`.
    pub operator_namespace: Option<String>,
    /// How many ended episodes are kept.
    pub history: usize,
    /// Where people read more, without a closing slash; may be empty.
    pub base_url: String,
}

impl Default for DeskConfig {
    fn default() -> Self {
        Self { operator_namespace: None, history: 1000, base_url: String::new() }
    }
}

/// Alerts of one receiver that are told together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    receiver: ObjectKey,
    labels: Labels,
    /// Since when there is something new to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed_since: Option<Millis>,
    /// When its last message was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_flush: Option<Millis>,
    /// When its last message that named something firing was decided, once it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_told: Option<Millis>,
}

/// The last episode of an alert that somebody was told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cooldown {
    rule: ObjectKey,
    fired_at: Seconds,
    at: Millis,
}

/// Why an alert cannot be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// No episode of it fires.
    #[error("no alert with this id fires now; `vitals get alerts` lists the ids")]
    NotFiring,
}

/// The state of the desk.
#[derive(Debug)]
pub struct Desk {
    config: DeskConfig,
    plan: Arc<FleetPlan>,
    /// Counts plans, so that what was derived from an older one is made anew.
    plan_epoch: u64,
    cases: BTreeMap<EpisodeKey, Case>,
    history: VecDeque<Case>,
    groups: BTreeMap<u64, Group>,
    intents: BTreeMap<String, Intent>,
    limits: BTreeMap<LimitKey, Limit>,
    cooldowns: BTreeMap<Fingerprint, Cooldown>,
    resolved: u64,
    counts: BTreeMap<(ObjectKey, &'static str), u64>,
    dirty: BTreeSet<Doc>,
}

impl Desk {
    /// An empty desk.
    #[must_use]
    pub fn new(config: DeskConfig) -> Self {
        Self {
            config,
            plan: Arc::default(),
            plan_epoch: 0,
            cases: BTreeMap::new(),
            history: VecDeque::new(),
            groups: BTreeMap::new(),
            intents: BTreeMap::new(),
            limits: BTreeMap::new(),
            cooldowns: BTreeMap::new(),
            resolved: 0,
            counts: BTreeMap::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// Works from another plan: words and receivers of what fires are made anew.
    pub fn set_plan(&mut self, plan: Arc<FleetPlan>, words: &dyn Words) {
        for (key, case) in &mut self.cases {
            case.places = None;
            let rule = &case.episode.rule;
            let Some(new) = plan.rules.get(rule).filter(|new| self.plan.rules.get(rule) != Some(*new)) else {
                continue;
            };
            let wording = words.word(rule, new, &case.episode);
            if wording != case.wording {
                case.wording = wording;
                self.dirty.insert(Doc::alert(*key, case));
            }
        }
        self.plan = plan;
        self.plan_epoch += 1;
    }

    /// Takes in one event of the ledger.
    pub fn note(&mut self, event: Event, words: &dyn Words) {
        match event {
            Event::Fired(episode) => {
                let case = self.open_case(episode, words);
                self.dirty.insert(Doc::alert(case.episode.key(), &case));
                self.cases.insert(case.episode.key(), case);
            }
            Event::Ended { episode, at, reason } => self.note_end(episode, Ending { at, reason }, words),
            Event::Missed { episode, at } => {
                let mut case = self.open_case(episode, words);
                case.ended = Some(Ending { at, reason: EndReason::Resolved });
                case.held = Some("EndedUnreported".into());
                self.file(case);
            }
        }
    }

    fn open_case(&self, episode: Episode, words: &dyn Words) -> Case {
        let wording = match self.plan.rules.get(&episode.rule) {
            Some(rule) => words.word(&episode.rule, rule, &episode),
            None => plain_words(&episode),
        };
        Case::new(episode, wording)
    }

    fn note_end(&mut self, episode: Episode, ending: Ending, words: &dyn Words) {
        let key = episode.key();
        let mut case = self.cases.remove(&key).unwrap_or_else(|| self.open_case(episode.clone(), words));
        case.episode = episode;
        case.ended = Some(ending);
        case.places = None;
        self.dirty.insert(Doc::alert(key, &case));
        self.cases.insert(key, case);
    }

    /// Brings times and values of what fires up to date, without touching the journal.
    pub fn refresh<'a>(&mut self, open: impl Iterator<Item = &'a Episode>) {
        for episode in open.filter(|episode| episode.has_fired()) {
            if let Some(case) = self.cases.get_mut(&episode.key()) {
                case.episode.value = episode.value;
                case.episode.keep_firing_since = episode.keep_firing_since;
                case.episode.agent_fired_at = episode.agent_fired_at;
                (case.episode.epoch, case.episode.seq) = (episode.epoch, episode.seq);
            }
        }
    }

    /// Puts an ended case into the history; the oldest one gives way.
    fn file(&mut self, case: Case) {
        self.resolved += 1;
        self.dirty.insert(Doc::Count);
        self.dirty.insert(Doc::history(&case));
        self.history.push_back(case);
        while self.history.len() > self.config.history {
            if let Some(oldest) = self.history.pop_front() {
                self.dirty.insert(Doc::history(&oldest));
            }
        }
    }

    /// Acknowledges the episode of an alert that fires now.
    ///
    /// # Errors
    /// Nothing of that id fires.
    pub fn acknowledge(&mut self, id: Fingerprint, ack: AckView) -> Result<EpisodeKey, AckError> {
        let range = EpisodeKey { id, fired_at: Seconds::MIN }..=EpisodeKey { id, fired_at: Seconds::MAX };
        let mut newest = self.cases.range_mut(range).rev();
        let Some((key, case)) = newest.find(|(_, case)| case.ended.is_none()) else { return Err(AckError::NotFiring) };
        case.ack = Some(ack);
        self.dirty.insert(Doc::alert(*key, case));
        Ok(*key)
    }

    /// Takes back an acknowledgement that could not be kept.
    pub fn take_back(&mut self, key: EpisodeKey) {
        if let Some(case) = self.cases.get_mut(&key) {
            case.ack = None;
            self.dirty.insert(Doc::alert(key, case));
        }
    }

    /// These messages are in the journal: they may be sent.
    pub fn made_durable<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) {
        for key in keys {
            if let Some(intent) = self.intents.get_mut(key) {
                intent.attempt.durable = true;
            }
        }
    }

    /// Messages to send now, oldest first.
    pub fn due(&self, now: Millis) -> Vec<&Intent> {
        let mut due: Vec<&Intent> = self.intents.values().filter(|intent| intent.is_due(now)).collect();
        due.sort_by(|a, b| (a.notification.at, a.key()).cmp(&(b.notification.at, b.key())));
        due
    }

    /// A message is on its way: it is not due until its outcome is told.
    pub fn begin(&mut self, key: &str) {
        if let Some(intent) = self.intents.get_mut(key) {
            intent.attempt.sending = true;
        }
    }

    /// Takes in the outcome of an attempt.
    pub fn finish(&mut self, key: &str, outcome: Result<(), SendFailure>, now: Millis) -> Fate {
        let Some(intent) = self.intents.get_mut(key) else { return Fate::Dropped };
        let retry_for = self.plan.receivers.get(intent.receiver()).map_or(0, |to| to.retry_for.as_millis_i64());
        let fate = match outcome {
            Ok(()) => Fate::Delivered,
            Err(failure) if failure.retryable && now - intent.notification.at < retry_for => {
                intent.back_off(failure.retry_after, now);
                Fate::Failing
            }
            Err(_) => Fate::Dropped,
        };
        let receiver = intent.receiver().clone();
        self.mark(key, fate, now);
        if fate != Fate::Failing {
            self.intents.remove(key);
            self.dirty.insert(Doc::Intent(receiver.namespace.to_string(), key.to_owned()));
        }
        *self.counts.entry((receiver, fate.as_str())).or_default() += 1;
        fate
    }

    /// Writes a message's fate into its cases and its group.
    fn mark(&mut self, key: &str, fate: Fate, now: Millis) {
        let Some(intent) = self.intents.get(key) else { return };
        let receiver = intent.receiver().clone();
        for member in &intent.members {
            let Some(case) = self.cases.get_mut(&member.case) else { continue };
            let group = intent.group.unwrap_or_default();
            let empty = Told { status: String::new(), at: now, group, firing: None, resolved: None };
            let told = case.told.entry(receiver.clone()).or_insert(empty);
            (told.status, told.at) = (fate.as_str().to_owned(), now);
            if fate == Fate::Delivered {
                let first = if member.over { &mut told.resolved } else { &mut told.firing };
                first.get_or_insert(now);
                told.group = group;
                case.held = None;
                case.places = None;
                let rule = self.plan.rules.get(&case.episode.rule);
                if !member.over && rule.is_some_and(|rule| rule.notify.cooldown.as_millis() > 0) {
                    let last = Cooldown { rule: case.episode.rule.clone(), fired_at: member.case.fired_at, at: now };
                    let known = self.cooldowns.get(&member.case.id).is_some_and(|old| old.fired_at == last.fired_at);
                    if !known {
                        self.dirty.insert(Doc::Cooldown(last.rule.namespace.to_string(), member.case.id));
                        self.cooldowns.insert(member.case.id, last);
                    }
                }
            }
            // A failed attempt is worth a word in the view, not a write to the journal.
            if fate != Fate::Failing {
                self.dirty.insert(Doc::alert(member.case, case));
            }
        }
        let Some((id, group)) = intent.group.and_then(|id| self.groups.get_mut(&id).map(|group| (id, group))) else {
            return;
        };
        match fate {
            Fate::Delivered if intent.members.iter().any(|member| !member.over) => {
                group.last_told = Some(intent.notification.at);
            }
            // What could not be said is due again after the group's interval.
            Fate::Dropped => group.last_flush = Some(now),
            _ => return,
        }
        self.dirty.insert(Doc::Group(receiver.namespace.to_string(), id));
    }

    /// Episodes that fire, and those whose end is still to be told.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }

    /// Ended episodes, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Case> {
        self.history.iter()
    }

    /// Messages whose fate is not known.
    pub fn intents(&self) -> impl Iterator<Item = &Intent> {
        self.intents.values()
    }

    /// How many episodes ended since the history began.
    #[must_use]
    pub fn resolved(&self) -> u64 {
        self.resolved
    }

    /// Attempts by receiver and fate since this process started.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<(ObjectKey, &'static str), u64> {
        &self.counts
    }

    /// The receivers that hear of a rule's alerts, as far as that can be said before there is one.
    #[must_use]
    pub fn receivers_of(&self, rule: &ObjectKey) -> Vec<ObjectKey> {
        let Some(known) = self.plan.rules.get(rule) else { return Vec::new() };
        let mut labels = vec![("alertname", known.rule.name.as_str()), ("namespace", rule.namespace.as_ref())];
        labels.push(("severity", &known.rule.severity));
        labels.extend(known.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let labels = Labels::from_pairs(labels);
        let operator = self.config.operator_namespace.as_deref();
        route::receivers(&self.plan, operator, rule, known, &labels, &known.rule.severity)
    }
}

/// Words for an alert whose rule is gone.
fn plain_words(episode: &Episode) -> Wording {
    let name = episode.rule.name.to_string();
    Wording {
        labels: episode.labels.with("alertname", &name).with("namespace", &episode.rule.namespace),
        message: name.clone(),
        name,
        ..Wording::default()
    }
}

/// A group's number: the same for the same receiver and label values, in every process.
fn group_id(receiver: &ObjectKey, labels: &Labels) -> u64 {
    Fnv::of(&[&receiver.namespace, &receiver.name, &format!("{:016x}", labels.fingerprint())])
}

#[cfg(test)]
mod tests;
