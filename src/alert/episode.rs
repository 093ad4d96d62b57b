//! An episode: one time that one alert fired, from its first report to its end. Its identity and its words.

use serde::{Deserialize, Serialize};

use crate::model::Labels;
use crate::model::labels::Fnv;
use crate::model::object::ObjectKey;
use crate::model::report::{Fingerprint, Instance, Seconds, lossless};

/// The label that tells on which node a Node-scope alert is.
pub const NODE: &str = "node";
/// The label that Prometheus uses for the same; equal to [`NODE`] here.
pub const INSTANCE: &str = "instance";

/// What an episode is known by, everywhere and for ever: the alert's id and the second in which it fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EpisodeKey {
    /// The alert's id, stable over its episodes.
    pub id: Fingerprint,
    /// When this episode began to fire.
    pub fired_at: Seconds,
}

impl std::fmt::Display for EpisodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.id, self.fired_at)
    }
}

/// An instance of a rule as the leader knows it; an episode from the moment it fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Episode {
    /// The alert's id: hash of the rule's key, the node and the instance's fingerprint.
    pub id: Fingerprint,
    /// Its rule.
    pub rule: ObjectKey,
    /// Its node; empty for what the leader itself evaluates.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// The fingerprint by which its agent knows it.
    pub fp: Fingerprint,
    /// The instance's labels, `node` and `instance` as the leader sets them.
    pub labels: Labels,
    /// Since when the expression holds.
    pub active_at: Seconds,
    /// When the episode began; 0 while pending.
    pub fired_at: Seconds,
    /// When its agent says that it began: later than `fired_at` after the agent lost its memory.
    pub agent_fired_at: Seconds,
    /// Since when it fires only because of `keepFiringFor`; 0 otherwise.
    #[serde(default)]
    pub keep_firing_since: Seconds,
    /// The last value.
    #[serde(with = "lossless")]
    pub value: f64,
    /// Epoch of the report that told it last.
    pub epoch: u64,
    /// Sequence number of that report.
    pub seq: u64,
}

impl Episode {
    /// What it is known by.
    #[must_use]
    pub fn key(&self) -> EpisodeKey {
        EpisodeKey { id: self.id, fired_at: self.fired_at }
    }

    /// Whether it fires, or did.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.fired_at != 0
    }

    /// An instance that a report tells, as the leader keeps it.
    #[must_use]
    pub fn from_report(rule: &ObjectKey, node: &str, instance: &Instance, order: (u64, u64)) -> Self {
        let labels = if node.is_empty() {
            instance.labels.clone()
        } else {
            instance.labels.with(NODE, node).with(INSTANCE, node)
        };
        Self {
            id: alert_id(rule, node, instance.fp),
            rule: rule.clone(),
            node: node.to_owned(),
            fp: instance.fp,
            labels,
            active_at: instance.active_at,
            fired_at: instance.fired_at,
            agent_fired_at: instance.fired_at,
            keep_firing_since: instance.keep_firing_since,
            value: instance.value,
            epoch: order.0,
            seq: order.1,
        }
    }

    /// The instance as an agent would report it: what a [`RuleLife`](super::life::RuleLife) is restored from.
    #[must_use]
    pub fn to_instance(&self, slot: u32) -> Instance {
        Instance {
            slot,
            fp: self.fp,
            labels: self.labels.clone(),
            active_at: self.active_at,
            fired_at: self.agent_fired_at,
            keep_firing_since: self.keep_firing_since,
            value: self.value,
        }
    }
}

/// An alert's id: never depends on severity, annotations or value.
#[must_use]
pub fn alert_id(rule: &ObjectKey, node: &str, fp: Fingerprint) -> Fingerprint {
    Fingerprint(Fnv::of(&[&rule.namespace, &rule.name, node, &fp.to_string()]))
}

/// Why an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// Its agent said so.
    Resolved,
    /// Two complete reports in a row did not name it.
    Reconciled,
    /// Its rule is not evaluated there any more.
    NotSelected,
    /// Its node is gone.
    NodeRemoved,
    /// Its rule is gone.
    RuleDeleted,
}

impl EndReason {
    /// The word in views and statuses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "Resolved",
            Self::Reconciled => "Reconciled",
            Self::NotSelected => "NotSelected",
            Self::NodeRemoved => "NodeRemoved",
            Self::RuleDeleted => "RuleDeleted",
        }
    }
}

/// What the ledger tells the desk.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An episode began.
    Fired(Episode),
    /// An episode ended.
    Ended {
        /// As it last was.
        episode: Episode,
        /// When.
        at: Seconds,
        /// Why.
        reason: EndReason,
    },
    /// An episode began and ended before any report that told it arrived.
    Missed {
        /// As it last was.
        episode: Episode,
        /// When it ended.
        at: Seconds,
    },
}
