//! A case: one episode on the desk, with its words, its acknowledgement and whom it was told to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::episode::{EndReason, Episode};
use crate::model::Labels;
use crate::model::fleet_plan::FleetRule;
use crate::model::notification::NotifiedAlert;
use crate::model::object::ObjectKey;
use crate::model::report::Seconds;
use crate::model::series::Millis;
use crate::model::view::{AckView, AlertView, NotificationView};

/// An alert in words: its rule's labels and annotations, rendered for one episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wording {
    /// `alertname`.
    pub name: String,
    /// The severity word.
    pub severity: String,
    /// All labels: instance labels, rule labels, `alertname`, `severity`, `namespace`, `node`.
    pub labels: Labels,
    /// Rendered annotations.
    pub annotations: BTreeMap<String, String>,
    /// One sentence.
    pub message: String,
    /// What it is about; may be empty.
    pub component: String,
    /// Which template is broken and how, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Puts alerts into words. Pure: the same episode of the same rule gives the same words.
pub trait Words: Send + Sync {
    /// The words for one episode.
    fn word(&self, key: &ObjectKey, rule: &FleetRule, episode: &Episode) -> Wording;
}

/// The end of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When.
    pub at: Seconds,
    /// Why.
    pub reason: EndReason,
}

/// What one receiver knows of an episode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// `delivered`, `failing` or `dropped`: the fate of the last message.
    pub status: String,
    /// When that was.
    pub at: Millis,
    /// The group in which it was told, so that the end is told there too.
    pub group: u64,
    /// When the message that it fires was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<Millis>,
    /// When the message that it ended was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Millis>,
}

impl Told {
    /// The message that it fires, the one that it ended, and the last attempt where that is neither.
    fn views(&self, receiver: &ObjectKey) -> Vec<NotificationView> {
        let delivered = [self.firing, self.resolved];
        let view = |status: &str, at| NotificationView { receiver: receiver.clone(), status: status.to_owned(), at };
        let mut views: Vec<_> = delivered.into_iter().flatten().map(|at| view("delivered", at)).collect();
        if !delivered.contains(&Some(self.at)) {
            views.push(view(&self.status, self.at));
        }
        views
    }
}

/// One episode on the desk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// The episode as its last report told it.
    pub episode: Episode,
    /// Its words.
    pub wording: Wording,
    /// Its end, once it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ending>,
    /// Its acknowledgement: stops first messages and repeats, never the message that it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<AckView>,
    /// Whom it was told to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<ObjectKey, Told>,
    /// Why it is not told now, or was never told: `Silenced`, `Inhibited`, `Acknowledged`, `MinNodes`, `Cooldown`,
    /// `RateLimited`, `NoReceiver`, `ResolvedInGroupWait`, `EndedUnreported`, `DeliveryFailed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Receivers and groups, until the plan changes.
    #[serde(skip)]
    pub(super) places: Option<Vec<Place>>,
    /// The silence that covers it, as of the silences then active.
    #[serde(skip)]
    pub(super) silenced_by: Option<ObjectKey>,
    #[serde(skip)]
    pub(super) silence_epoch: u64,
    /// When this process first saw its end, by its own clock.
    #[serde(skip)]
    pub(super) end_seen: Option<Millis>,
}

/// One receiver of a case, and the group in which it hears of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) receiver: ObjectKey,
    pub(super) group: u64,
    /// Whether the receiver is still chosen; one that is not hears only of the end of what it was told.
    pub(super) routed: bool,
}

impl Case {
    pub(super) fn new(episode: Episode, wording: Wording) -> Self {
        Self {
            episode,
            wording,
            ended: None,
            ack: None,
            told: BTreeMap::new(),
            held: None,
            places: None,
            silenced_by: None,
            silence_epoch: 0,
            end_seen: None,
        }
    }

    /// Whether a receiver was told that it fires.
    #[must_use]
    pub fn was_told(&self, receiver: &ObjectKey) -> bool {
        self.told.get(receiver).is_some_and(|told| told.firing.is_some())
    }

    /// Whether anybody was told that it fires.
    #[must_use]
    pub fn was_notified(&self) -> bool {
        self.told.values().any(|told| told.firing.is_some())
    }

    /// The receivers that hear of it, or would.
    #[must_use]
    pub fn receivers(&self) -> Vec<ObjectKey> {
        self.places.iter().flatten().map(|place| place.receiver.clone()).collect()
    }

    /// As a message carries it.
    pub(super) fn notified(&self, base_url: &str) -> NotifiedAlert {
        NotifiedAlert {
            id: self.episode.id.to_string(),
            name: self.wording.name.clone(),
            severity: self.wording.severity.clone(),
            labels: self.wording.labels.clone(),
            annotations: self.wording.annotations.clone(),
            message: self.wording.message.clone(),
            component: self.wording.component.clone(),
            value: value_text(self.episode.value),
            starts_at: self.episode.fired_at.saturating_mul(1000),
            ends_at: self.ended.map(|ending| ending.at.saturating_mul(1000)),
            generator_url: if base_url.is_empty() {
                String::new()
            } else {
                format!("{base_url}/#alert-{}", self.episode.id)
            },
        }
    }

    /// As the page and the API show it.
    #[must_use]
    pub fn view(&self) -> AlertView {
        let fired_at = self.episode.fired_at.saturating_mul(1000);
        let resolved_at = self.ended.map(|ending| ending.at.saturating_mul(1000));
        let mut told: Vec<NotificationView> =
            self.told.iter().flat_map(|(receiver, told)| told.views(receiver)).collect();
        told.sort_by_key(|told| told.at);
        let changes = [Some(fired_at), resolved_at, self.ack.as_ref().map(|ack| ack.at)];
        AlertView {
            id: self.episode.id.to_string(),
            rule: self.episode.rule.clone(),
            name: self.wording.name.clone(),
            severity: self.wording.severity.clone(),
            state: if self.ended.is_some() { "Resolved" } else { "Firing" }.to_owned(),
            message: self.wording.message.clone(),
            component: self.wording.component.clone(),
            labels: self.wording.labels.clone(),
            annotations: self.wording.annotations.clone(),
            value: value_text(self.episode.value),
            node: self.episode.node.clone(),
            active_at: self.episode.active_at.saturating_mul(1000),
            fired_at: Some(fired_at),
            resolved_at,
            resolved_reason: self.ended.map_or(String::new(), |ending| ending.reason.as_str().to_owned()),
            updated_at: changes.into_iter().flatten().max().unwrap_or(fired_at),
            acknowledged: self.ack.clone(),
            silenced_by: self.silenced_by.clone(),
            notifications: told,
        }
    }
}

/// A value as text, as Prometheus writes it.
#[must_use]
pub fn value_text(value: f64) -> String {
    let mut text = String::new();
    crate::model::series::write_value(value, &mut text);
    text
}
