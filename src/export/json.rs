//! The JSON form of `/metrics`, for those who do not speak Prometheus.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::families::groups;
use crate::model::labels::METRIC_NAME;
use crate::model::number;
use crate::model::series::{Frame, Millis, Reading};

/// The format's media type.
pub const CONTENT_TYPE: &str = "application/json";

/// `{"timestamp", "metrics": {name: {"type", "help", "samples": [{"labels", "value"}]}}}` over all frames.
///
/// A sample of a histogram says its own name as `name`. JSON has no infinities and no NaN: those are the strings that
/// Prometheus uses.
#[must_use]
pub fn document(frames: &[&Frame], at: Millis) -> Value {
    let mut metrics = Map::new();
    for group in groups(frames) {
        let family = group.family;
        let samples: Vec<Value> = group.readings().map(|reading| sample(&family.name, reading)).collect();
        let entry = json!({"type": family.kind.as_str(), "help": family.help, "samples": samples});
        metrics.insert(family.name.clone().into_owned(), entry);
    }
    json!({"timestamp": timestamp(at), "metrics": metrics})
}

fn sample(family: &str, reading: &Reading) -> Value {
    let labels: HashMap<&str, &str> = reading.series.labels.iter().filter(|(name, _)| *name != METRIC_NAME).collect();
    let value = if reading.value.is_finite() { json!(reading.value) } else { json!(&*number::text(reading.value)) };
    match reading.series.labels.metric() {
        Some(name) if name != family => json!({"name": name, "labels": labels, "value": value}),
        _ => json!({"labels": labels, "value": value}),
    }
}

/// RFC 3339 in UTC, with milliseconds.
fn timestamp(at: Millis) -> String {
    Timestamp::from_millisecond(at).map(|time| format!("{time:.3}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::{Family, MetricKind, SeriesInfo};

    #[test]
    fn families_become_objects_with_their_samples() {
        let gauge = Family::new("up", "Whether.", MetricKind::Gauge);
        let histogram = Family::new("d", "D.", MetricKind::Histogram);
        let mut frame = Frame::default();
        frame.put(&SeriesInfo::new(&gauge, &[("job", "a\"b")]), 1.5);
        frame.put(&SeriesInfo::new(&gauge, &[]), f64::INFINITY);
        frame.put(&SeriesInfo::suffixed(&histogram, "_count", &[]), 2.0);
        assert_eq!(
            document(&[&frame], 1_700_000_000_250),
            json!({
                "timestamp": "2023-11-14T22:13:20.250Z",
                "metrics": {
                    "up": {"type": "gauge", "help": "Whether.", "samples": [
                        {"labels": {"job": "a\"b"}, "value": 1.5},
                        {"labels": {}, "value": "+Inf"},
                    ]},
                    "d": {"type": "histogram", "help": "D.", "samples": [
                        {"name": "d_count", "labels": {}, "value": 2.0},
                    ]},
                },
            })
        );
    }
}
