//! The report: what one agent says of itself, small and complete, written when something changed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use super::health::Health;
use super::labels::Labels;

/// Largest report, in bytes of JSON.
pub const MAX_BYTES: usize = 32 * 1024;
/// How many rules may be named in `not_evaluated`.
pub const MAX_NOT_EVALUATED: usize = 16;

/// Unix time in seconds: the resolution of everything in a report.
pub type Seconds = i64;

/// An AgentReport's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// 1 + the highest epoch ever seen of this report: grows with every restart of the agent.
    pub epoch: u64,
    /// Grows with every write of one epoch. (epoch, seq) orders reports.
    pub seq: u64,
    /// When it was written, by the agent's clock.
    pub renew_time: Seconds,
    /// The plan that it answers.
    pub plan_rev: u64,
    /// The agent's version.
    pub version: String,
    /// Two bits per slot, base64; complete, never cut. See [`States`].
    pub states: States,
    /// Why the worst checks are what they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<SlotReason>,
    /// Counts per rule that is not inactive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleCount>,
    /// Rules whose last evaluation did not happen or failed: their instances are as they were. Slots, cut at 16 …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_evaluated: Vec<NotEvaluated>,
    /// … and this says that there are more: then no absence means anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_not_evaluated: bool,
    /// Instances that hold but not yet long enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Instance>,
    /// Instances that fire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firing: Vec<Instance>,
    /// Instances that ended in the last 15 minutes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<Ended>,
    /// How many instances did not fit.
    #[serde(default, skip_serializing_if = "Truncated::is_none")]
    pub truncated: Truncated,
}

impl Report {
    /// What orders two reports of one agent.
    #[must_use]
    pub fn order(&self) -> (u64, u64) {
        (self.epoch, self.seq)
    }
}

/// Why a check is not Healthy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotReason {
    /// Which check.
    pub slot: u32,
    /// A finite word.
    pub reason: String,
    /// One sentence, shortened.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when.
    pub since: Seconds,
}

/// How many instances a rule has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleCount {
    /// Which rule.
    pub slot: u32,
    /// Pending ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pending: u32,
    /// Firing ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub firing: u32,
    /// Those above the rule's `limit`, dropped by this evaluation.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u32,
}

/// A rule that could not be judged, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotEvaluated {
    /// Which rule.
    pub slot: u32,
    /// `Warming`, `NoSuchSeries`, `EvaluationFailed`, …
    pub reason: String,
}

/// One alert instance that is pending or firing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Its rule.
    pub slot: u32,
    /// Its fingerprint: hash of the instance labels, hexadecimal.
    pub fp: Fingerprint,
    /// The result's labels, the metric name dropped.
    pub labels: Labels,
    /// Since when the expression holds.
    pub active_at: Seconds,
    /// Since when it fires; 0 while pending.
    #[serde(default, skip_serializing_if = "is_zero_i64")]
    pub fired_at: Seconds,
    /// Since when it fires only because of `keepFiringFor`; 0 otherwise.
    #[serde(default, skip_serializing_if = "is_zero_i64")]
    pub keep_firing_since: Seconds,
    /// The last value.
    #[serde(with = "lossless")]
    pub value: f64,
}

/// One instance that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// The instance as it last was.
    #[serde(flatten)]
    pub instance: Instance,
    /// When it ended.
    pub resolved_at: Seconds,
}

/// Instances that did not fit into the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Truncated {
    /// Pending ones.
    #[serde(default)]
    pub pending: u32,
    /// Firing ones.
    #[serde(default)]
    pub firing: u32,
    /// Resolved ones.
    #[serde(default)]
    pub resolved: u32,
}

impl Truncated {
    /// Whether everything fitted.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The hash of an instance's labels, written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Two bits of health per slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States(Vec<u8>);

impl States {
    /// All slots Unknown.
    #[must_use]
    pub fn new(slots: u32) -> Self {
        Self(vec![0; slots.div_ceil(4) as usize])
    }

    /// The health in a slot; Unknown beyond the end.
    #[must_use]
    pub fn get(&self, slot: u32) -> Health {
        let byte = self.0.get((slot / 4) as usize).copied().unwrap_or(0);
        Health::from_bits(byte >> (2 * (slot % 4)))
    }

    /// Sets the health in a slot, growing as needed.
    pub fn set(&mut self, slot: u32, health: Health) {
        let at = (slot / 4) as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        let shift = 2 * (slot % 4);
        self.0[at] = (self.0[at] & !(3 << shift)) | (health.bits() << shift);
    }
}

impl Serialize for States {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for States {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD_NO_PAD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_zero_i64(number: &i64) -> bool {
    *number == 0
}

/// Values as text, because JSON has no NaN and no infinity.
pub mod lossless {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a value as text.
    ///
    /// # Errors
    /// Only the serializer's own.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads a value from text.
    ///
    /// # Errors
    /// Not a number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_checks_fit_into_seventy_characters() {
        let mut states = States::new(200);
        for slot in 0..200 {
            states.set(slot, Health::ALL[slot as usize % 4]);
        }
        let text = serde_json::to_string(&states).unwrap();
        assert!(text.len() <= 70, "{}", text.len());
        let back: States = serde_json::from_str(&text).unwrap();
        assert_eq!(back, states);
        assert_eq!(back.get(1), Health::Degraded);
        assert_eq!(back.get(4000), Health::Unknown);
    }

    #[test]
    fn values_that_json_cannot_hold_survive() {
        let instance = Instance {
            slot: 1,
            fp: Fingerprint(0xab),
            labels: Labels::from_pairs([("disk", "sda")]),
            active_at: 5,
            fired_at: 0,
            keep_firing_since: 0,
            value: f64::INFINITY,
        };
        let text = serde_json::to_string(&instance).unwrap();
        assert!(text.contains("\"00000000000000ab\""));
        assert_eq!(serde_json::from_str::<Instance>(&text).unwrap(), instance);
    }
}
