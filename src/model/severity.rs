//! Severity: how urgent an alert is.

use std::cmp::Ordering;

/// `critical > high > medium > low > info`; any other word ranks lowest, `warning` as `medium`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// For the record.
    Info,
    /// Some day.
    Low,
    /// Soon.
    Medium,
    /// Today.
    High,
    /// Now.
    Critical,
}

impl Severity {
    /// All five, most urgent first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// How a word that a user wrote is ordered and counted.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "critical" => Self::Critical,
            "high" => Self::High,
            "medium" | "warning" => Self::Medium,
            "low" => Self::Low,
            _ => Self::Info,
        }
    }

    /// The word in JSON answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }

    /// Most urgent first.
    #[must_use]
    pub fn urgent_first(a: &str, b: &str) -> Ordering {
        Self::of(b).cmp(&Self::of(a))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_counts_as_medium() {
        assert_eq!(Severity::of("warning"), Severity::Medium);
        assert!(Severity::of("high") > Severity::of("warning"));
    }
}
