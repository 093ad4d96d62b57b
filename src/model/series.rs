//! Series and readings: what a collector writes, the store keeps and the exposition prints.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::labels::{Labels, METRIC_NAME};
use super::number;

/// Unix time in milliseconds.
pub type Millis = i64;

/// The bit pattern of the NaN that marks "this series ended here" (Prometheus's staleness marker).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker.
#[must_use]
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether a value is the staleness marker (an ordinary NaN is not).
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// One value at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When, in unix milliseconds.
    pub at: Millis,
    /// What.
    pub value: f64,
}

/// What kind of numbers a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Only grows, but for restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// `_bucket`, `_sum` and `_count` series.
    Histogram,
    /// Not known.
    Untyped,
}

impl MetricKind {
    /// The word of the `# TYPE` line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Untyped => "untyped",
        }
    }
}

/// A metric family: one name, one help text, one kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// The family's name as on the `# TYPE` line.
    pub name: Cow<'static, str>,
    /// One sentence for people.
    pub help: Cow<'static, str>,
    /// The kind.
    pub kind: MetricKind,
}

impl Family {
    /// A family known when the program is built.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>, kind: MetricKind) -> Arc<Self> {
        Arc::new(Self { name: name.into(), help: help.into(), kind })
    }
}

static NEXT_SERIES_ID: AtomicU64 = AtomicU64::new(1);

/// One series of a family, made once and then shared by every reading of it.
///
/// `text` is the line's beginning in the text exposition, encoded once: the hot path only appends a number.
#[derive(Debug)]
pub struct SeriesInfo {
    /// Unique within this process: lets the store find its place without hashing labels.
    pub id: u64,
    /// The family it belongs to.
    pub family: Arc<Family>,
    /// All labels, the metric name included.
    pub labels: Labels,
    /// `name{a="b"} ` with the trailing blank, escaped.
    pub text: Box<str>,
}

impl SeriesInfo {
    /// A series whose name is its family's.
    #[must_use]
    pub fn new(family: &Arc<Family>, labels: &[(&str, &str)]) -> Arc<Self> {
        Self::suffixed(family, "", labels)
    }

    /// A series whose name is its family's plus a suffix (`_bucket`, `_sum`, `_count`).
    #[must_use]
    pub fn suffixed(family: &Arc<Family>, suffix: &str, labels: &[(&str, &str)]) -> Arc<Self> {
        let name = format!("{}{suffix}", family.name);
        // The text keeps the given order, which is the order node_exporter prints: names sorted.
        let set = Labels::from_pairs(labels.iter().map(|(n, v)| (*n, *v)));
        let mut text = String::with_capacity(name.len() + 24 * labels.len() + 1);
        text.push_str(&name);
        if !set.is_empty() {
            text.push('{');
            for (index, (name, value)) in set.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(name);
                text.push_str("=\"");
                escape_label_value(value, &mut text);
                text.push('"');
            }
            text.push('}');
        }
        text.push(' ');
        Arc::new(Self {
            id: NEXT_SERIES_ID.fetch_add(1, Ordering::Relaxed),
            family: Arc::clone(family),
            labels: set.with(METRIC_NAME, &name),
            text: text.into_boxed_str(),
        })
    }
}

/// Writes a label value as the text format wants it: backslash, quote and newline escaped.
pub fn escape_label_value(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// Writes a number in the shortest form that reads back equal; see [`number::text`].
pub fn write_value(value: f64, out: &mut String) {
    out.push_str(&number::text(value));
}

/// One value of one series, of the frame's time.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Which series.
    pub series: Arc<SeriesInfo>,
    /// Its value now.
    pub value: f64,
}

/// What one collection brought: readings of one moment, all readings of a family adjacent.
#[derive(Debug, Default)]
pub struct Frame {
    /// When it was taken, unix milliseconds.
    pub at: Millis,
    /// The readings.
    pub readings: Vec<Reading>,
}

impl Frame {
    /// Empties the frame for the next collection and keeps its memory.
    pub fn reset(&mut self, at: Millis) {
        self.at = at;
        self.readings.clear();
    }

    /// Adds one reading.
    pub fn put(&mut self, series: &Arc<SeriesInfo>, value: f64) {
        self.readings.push(Reading { series: Arc::clone(series), value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: f64) -> String {
        let mut out = String::new();
        write_value(value, &mut out);
        out
    }

    #[test]
    fn numbers_are_written_in_a_form_that_prometheus_reads_back() {
        assert_eq!(written(0.0), "0");
        assert_eq!(written(1.5), "1.5");
        assert_eq!(written(123_456_789.0), "123456789");
        assert_eq!(written(1e21), "1e+21");
        assert_eq!(written(2.5e-7), "2.5e-07");
        assert_eq!(written(f64::INFINITY), "+Inf");
        assert_eq!(written(f64::NAN), "NaN");
    }

    #[test]
    fn hostile_label_values_stay_inside_their_quotes() {
        let family = Family::new("m", "h", MetricKind::Gauge);
        let series = SeriesInfo::new(&family, &[("path", "a\"b\\c\nd")]);
        assert_eq!(&*series.text, "m{path=\"a\\\"b\\\\c\\nd\"} ");
    }

    #[test]
    fn only_the_marker_is_stale() {
        assert!(is_stale(stale_nan()));
        assert!(!is_stale(f64::NAN));
    }
}
