//! The fleet's side of the plan: what the leader needs to roll up reports, keep episodes and notify people.
//!
//! Compiled from the same resources as the agents' [`Plan`](super::plan::Plan), never sent anywhere.

use std::collections::BTreeMap;

use super::duration::Span;
use super::matcher::Matcher;
use super::object::ObjectKey;
use super::plan::RulePlan;
use super::series::Millis;

/// Everything the leader works from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetPlan {
    /// The revision of the agents' plans compiled together with it.
    pub rev: u64,
    /// Checks, by key.
    pub checks: BTreeMap<ObjectKey, FleetCheck>,
    /// Rules, by key.
    pub rules: BTreeMap<ObjectKey, FleetRule>,
    /// Receivers, by key.
    pub receivers: BTreeMap<ObjectKey, Receiver>,
    /// Silences, by key.
    pub silences: BTreeMap<ObjectKey, Silence>,
}

/// One HealthCheck as the roll-up sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetCheck {
    /// The kind's word.
    pub kind: &'static str,
    /// What is checked, for people.
    pub target: String,
    /// Where its results stand in a report: one slot per target. Empty for composite checks and suspended ones.
    pub slots: Vec<SlotRef>,
    /// Time between runs.
    pub interval: Span,
    /// Deadline of one run.
    pub timeout: Span,
    /// How many must be healthy.
    pub quorum: Quorum,
    /// Checks of the same namespace that must be Healthy, or this one is Unknown/DependencyFailed.
    pub depends_on: Vec<ObjectKey>,
    /// Members and least number of Healthy ones, for a composite check.
    pub composite: Option<(Vec<ObjectKey>, usize)>,
    /// Label `vitals.dev/critical: "true"`.
    pub critical: bool,
    /// Label `vitals.dev/component-type`.
    pub component_type: String,
    /// Not run; counts for nothing.
    pub suspended: bool,
    /// The resource's labels, for selectors.
    pub labels: BTreeMap<String, String>,
}

/// A slot and the revision from which on it means this entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRef {
    /// The slot.
    pub slot: u32,
    /// The entry's revision: reports with a lower `planRev` are not read for it.
    pub rev: u64,
    /// Which target of the check.
    pub target: Option<String>,
}

/// How many of the expected results must be healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quorum {
    /// No quorum: the first truth table of CONTRACT §3.
    #[default]
    None,
    /// At least this many.
    MinHealthy(u32),
    /// At least this share, percent, rounded up.
    MinHealthyPercent(u32),
    /// At most this many.
    MaxUnhealthy(u32),
    /// At most this share, percent, rounded down.
    MaxUnhealthyPercent(u32),
}

/// Where a rule is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleScope {
    /// By every agent over its own samples.
    Node,
    /// By the leader over roll-ups.
    Cluster,
}

/// One AlertRule as the desk sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetRule {
    /// Its slot in the agents' plans (Node scope), with the revision it is valid from.
    pub slot: Option<SlotRef>,
    /// Where it is evaluated.
    pub scope: RuleScope,
    /// How it is evaluated: by the leader itself for Cluster scope.
    pub rule: RulePlan,
    /// What a user wrote as the rule's condition, for people.
    pub source: String,
    /// Templates of labels.
    pub labels: BTreeMap<String, String>,
    /// Templates of annotations.
    pub annotations: BTreeMap<String, String>,
    /// How many nodes must fire before anybody is told.
    pub min_nodes: u32,
    /// Whom to tell, and how often.
    pub notify: Notify,
    /// Alerts that match one of these while firing suppress this rule's notifications.
    pub inhibited_by: Vec<Inhibition>,
    /// Not evaluated.
    pub suspended: bool,
}

/// Another alert that suppresses this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Inhibition {
    /// What the other alert's labels must match.
    pub matchers: Vec<Matcher>,
    /// Labels that must be equal on both.
    pub equal: Vec<String>,
}

/// When and how a rule's alerts are notified.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// Named receivers; empty = every receiver that matches, else the default one.
    pub receivers: Vec<ObjectKey>,
    /// Labels whose values make one group.
    pub group_by: Vec<String>,
    /// How long a new group waits for more alerts.
    pub group_wait: Span,
    /// Least time between two messages of a group that changed.
    pub group_interval: Span,
    /// Least time between two messages of a group that did not change.
    pub repeat_interval: Span,
    /// Least time between two notified episodes of one alert.
    pub cooldown: Span,
    /// Most messages an hour; 0 = no limit.
    pub max_per_hour: u32,
    /// Whether the end is told too.
    pub send_resolved: bool,
}

impl Default for Notify {
    /// The defaults of CONTRACT §9.
    fn default() -> Self {
        Self {
            receivers: Vec::new(),
            group_by: vec!["alertname".into(), "namespace".into()],
            group_wait: Span::seconds(30),
            group_interval: Span::seconds(300),
            repeat_interval: Span::seconds(4 * 3600),
            cooldown: Span::default(),
            max_per_hour: 0,
            send_resolved: true,
        }
    }
}

/// One AlertReceiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Where messages go.
    pub integration: Integration,
    /// Severities it takes; empty = all.
    pub severities: Vec<String>,
    /// Labels it takes.
    pub matchers: Vec<Matcher>,
    /// Takes what no other receiver takes.
    pub default: bool,
    /// Namespaces it serves when it lives in the operator's namespace (or `run`); empty = all.
    pub allowed_namespaces: Vec<String>,
    /// Most messages an hour over all rules; 0 = no limit.
    pub max_per_hour: u32,
    /// How long a failing message is retried.
    pub retry_for: Span,
    /// Overrides the rules' `sendResolved` when false.
    pub send_resolved: bool,
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq)]
pub enum Integration {
    /// The process's own log.
    Log {
        /// `error`, `warn` or `info`.
        level: String,
    },
    /// An HTTP endpoint.
    Webhook {
        /// Where to POST. May hold a secret: never log it whole.
        url: String,
        /// Extra request headers. May hold secrets.
        headers: Vec<(String, String)>,
        /// Deadline of one attempt.
        timeout: Span,
        /// A Go template of the whole body; none = Alertmanager's webhook body, version 4.
        template: Option<String>,
    },
}

impl Integration {
    /// The word of the TYPE column.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Log { .. } => "log",
            Self::Webhook { .. } => "webhook",
        }
    }
}

/// One Silence.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// What it covers.
    pub covers: SilenceTarget,
    /// From when, unix milliseconds.
    pub starts_at: Millis,
    /// Until when; none = until the alert resolves (an acknowledgement).
    pub ends_at: Option<Millis>,
    /// Only alerts of this namespace; none = all.
    pub namespace: Option<String>,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
}

/// What a silence covers.
#[derive(Clone, Debug, PartialEq)]
pub enum SilenceTarget {
    /// Alerts whose labels match all of these.
    Matchers(Vec<Matcher>),
    /// One episode of one alert, by the alert's id and the time it began to fire (unix seconds).
    Episode {
        /// The alert's id.
        id: String,
        /// `firedAt` of the episode.
        fired_at: i64,
    },
}
