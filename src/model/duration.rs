//! Durations as users write them: `500ms`, `30s`, `5m`, `1h`, `1h30m`.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The pattern of every duration field in the resources.
pub const PATTERN: &str = r"^([0-9]+(ms|s|m|h))+$";
/// Longest duration that is accepted: a year.
const MAX_MILLIS: u64 = 366 * 24 * 3_600_000;

/// A length of time in milliseconds, written with the units `ms`, `s`, `m`, `h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(u64);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a duration; write a number with a unit ms, s, m or h, such as \"30s\" or \"1h30m\" (at most a year)"
)]
pub struct BadSpan {
    /// What was written.
    pub text: String,
}

impl Span {
    /// From milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// In milliseconds, signed, for arithmetic with times.
    #[must_use]
    pub const fn as_millis_i64(self) -> i64 {
        self.0 as i64
    }

    /// In seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// As the standard library's duration.
    #[must_use]
    pub const fn std(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Reads `1h30m`.
    ///
    /// # Errors
    /// Anything that [`PATTERN`] does not describe, or longer than a year.
    pub fn parse(text: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan { text: text.chars().take(64).collect() };
        let mut rest = text;
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let (unit, length) = if rest.starts_with("ms") {
                (1, 2)
            } else if rest.starts_with('s') {
                (1000, 1)
            } else if rest.starts_with('m') {
                (60_000, 1)
            } else if rest.starts_with('h') {
                (3_600_000, 1)
            } else {
                return Err(bad());
            };
            rest = &rest[length..];
            total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
        }
        if total > MAX_MILLIS { Err(bad()) } else { Ok(Self(total)) }
    }
}

/// How long something has lasted, as kubectl prints ages: `5s`, `2m`, `9m30s`, `3h12m`, `47h`, `4d3h`, `2y9d`.
///
/// The argument is in milliseconds; a negative length (clocks differ) is `0s`.
#[must_use]
pub fn age(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: char, small: i64, next: char| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{next}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () if days < 730 => format!("{days}d"),
        () if days < 2920 => two(days / 365, 'y', days % 365, 'd'),
        () => format!("{}y", days / 365),
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "maxLength": 32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_written() {
        for text in ["500ms", "30s", "5m", "1h", "1h30m", "1m500ms", "0s"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (570, "9m30s"),
            (3600, "60m"),
            (11_520, "3h12m"),
            (100_000, "27h"),
            (356_400, "4d3h"),
            (900_000, "10d"),
            (64_000_000, "2y10d"),
            (400_000_000, "12y"),
        ] {
            assert_eq!(age(seconds * 1000), expected, "{seconds}");
        }
    }

    #[test]
    fn a_duration_without_a_unit_is_refused_with_the_remedy() {
        for text in ["", "30", "1d", "-5s", "5 s", "99999999999999999999s", "9999999h"] {
            let error = Span::parse(text).unwrap_err();
            assert!(error.to_string().contains("such as \"30s\""), "{text}");
        }
    }
}
