//! Health: the four results of a check, and the verdict of one run.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The four results. Written `Healthy` in resources and `healthy` in JSON answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Health {
    /// Works.
    Healthy,
    /// Works, but not as it should.
    Degraded,
    /// Does not work.
    Unhealthy,
    /// Cannot be judged.
    #[default]
    Unknown,
}

impl Health {
    /// All four, best first.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Unknown];

    /// The word in resources and terminal tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Unhealthy => "Unhealthy",
            Self::Unknown => "Unknown",
        }
    }

    /// The word in JSON answers.
    #[must_use]
    pub fn lower(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    /// The number in `system_health_status` and its kin: 1, 0.5, 0, -1.
    #[must_use]
    pub fn as_number(self) -> f64 {
        match self {
            Self::Healthy => 1.0,
            Self::Degraded => 0.5,
            Self::Unhealthy => 0.0,
            Self::Unknown => -1.0,
        }
    }

    /// The two bits of a report's `states`.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Healthy => 1,
            Self::Degraded => 2,
            Self::Unhealthy => 3,
        }
    }

    /// The health of two bits of a report's `states`.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            1 => Self::Healthy,
            2 => Self::Degraded,
            3 => Self::Unhealthy,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A finite, CamelCase cause: fit for a condition, a label and a metric. Never free text.
pub type Reason = &'static str;

/// What one run of a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The result, thresholds of the check's own kind applied.
    pub health: Health,
    /// Why, as one of a finite set of words; `Ok` when healthy.
    pub reason: Reason,
    /// One sentence for people, without secrets.
    pub message: String,
    /// How long each phase took, in milliseconds, in order (`resolve`, `connect`, `tls`, `first_byte`, `transfer`).
    pub phases: Vec<(&'static str, f64)>,
    /// More facts for `/health/checks/{name}`, without secrets.
    pub details: BTreeMap<&'static str, serde_json::Value>,
}

impl Verdict {
    /// A verdict without phases or details.
    pub fn new(health: Health, reason: Reason, message: impl Into<String>) -> Self {
        Self { health, reason, message: message.into(), phases: Vec::new(), details: BTreeMap::new() }
    }

    /// Healthy.
    pub fn healthy(message: impl Into<String>) -> Self {
        Self::new(Health::Healthy, "Ok", message)
    }

    /// Degraded.
    pub fn degraded(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Health::Degraded, reason, message)
    }

    /// Unhealthy.
    pub fn unhealthy(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Health::Unhealthy, reason, message)
    }

    /// Unknown.
    pub fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Health::Unknown, reason, message)
    }

    /// Adds a fact.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.details.insert(name, value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_bits_carry_every_health() {
        for health in Health::ALL {
            assert_eq!(Health::from_bits(health.bits()), health);
        }
    }
}
