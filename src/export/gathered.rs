//! Metrics that the `prometheus` crate counts (the process's own ones), as readings of a frame.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::model::number;
use crate::model::series::{Family, Frame, MetricKind, SeriesInfo};

/// Converts what `Registry::gather` returns. Remembers the series, so that each keeps its identity for the store.
#[derive(Default)]
pub struct Gathered {
    families: HashMap<String, Known>,
    pass: u64,
    /// The key of the series at hand: its suffix and labels.
    key: String,
}

struct Known {
    family: Arc<Family>,
    series: HashMap<String, (Arc<SeriesInfo>, u64)>,
    pass: u64,
}

impl Gathered {
    /// A converter that knows no series yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the readings of these families, all readings of a family adjacent. Forgets series that are gone.
    pub fn append(&mut self, families: &[MetricFamily], out: &mut Frame) {
        self.pass += 1;
        for gathered in families {
            let kind = match gathered.get_field_type() {
                MetricType::COUNTER => MetricKind::Counter,
                MetricType::GAUGE => MetricKind::Gauge,
                MetricType::HISTOGRAM => MetricKind::Histogram,
                // The crate makes neither.
                MetricType::SUMMARY | MetricType::UNTYPED => continue,
            };
            let known = self.families.entry(gathered.name().to_owned()).or_insert_with(|| Known {
                family: Family::new(gathered.name().to_owned(), gathered.help().to_owned(), kind),
                series: HashMap::new(),
                pass: 0,
            });
            known.pass = self.pass;
            let mut put = |metric: &Metric, suffix: &'static str, bound: Option<f64>, value: f64| {
                known.put(Part { metric, suffix, bound }, value, self.pass, &mut self.key, out);
            };
            for metric in gathered.get_metric() {
                match kind {
                    MetricKind::Counter => put(metric, "", None, metric.get_counter().get_value()),
                    MetricKind::Gauge => put(metric, "", None, metric.get_gauge().get_value()),
                    MetricKind::Untyped => {}
                    MetricKind::Histogram => {
                        let histogram = metric.get_histogram();
                        for bucket in histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite()) {
                            put(metric, "_bucket", Some(bucket.upper_bound()), bucket.cumulative_count() as f64);
                        }
                        let count = histogram.get_sample_count() as f64;
                        put(metric, "_bucket", Some(f64::INFINITY), count);
                        put(metric, "_sum", None, histogram.get_sample_sum());
                        put(metric, "_count", None, count);
                    }
                }
            }
        }
        let pass = self.pass;
        self.families.retain(|_, known| {
            known.series.retain(|_, (_, seen)| *seen == pass);
            known.pass == pass
        });
    }
}

/// One line of a metric: a histogram has many.
struct Part<'a> {
    metric: &'a Metric,
    suffix: &'static str,
    bound: Option<f64>,
}

impl Known {
    fn put(&mut self, part: Part<'_>, value: f64, pass: u64, key: &mut String, out: &mut Frame) {
        let bound = part.bound.map(number::text);
        key.clear();
        key.push_str(part.suffix);
        for label in part.metric.get_label() {
            // Lengths keep `a=1` apart from a name or value that contains it.
            for text in [label.name(), label.value()] {
                key.push_str(&number::text(text.len() as f64));
                key.push(':');
                key.push_str(text);
            }
        }
        key.push_str(bound.as_deref().unwrap_or_default());
        if let Some((series, seen)) = self.series.get_mut(key.as_str()) {
            *seen = pass;
            out.put(series, value);
            return;
        }
        let labels = part.metric.get_label().iter().map(|label| (label.name(), label.value()));
        let labels: Vec<_> = labels.chain(bound.as_deref().map(|bound| ("le", bound))).collect();
        let series = SeriesInfo::suffixed(&self.family, part.suffix, &labels);
        out.put(&series, value);
        self.series.insert(key.clone(), (series, pass));
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

    use super::*;
    use crate::export::text;

    fn written(frame: &Frame) -> String {
        let mut out = Vec::new();
        text::write(&[frame], &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn counters_gauges_and_histograms_are_written_as_prometheus_reads_them() {
        let registry = Registry::new();
        let runs = IntCounterVec::new(Opts::new("runs_total", "Runs."), &["result"]).unwrap();
        let queue = IntGauge::new("queue", "Queue.").unwrap();
        let options = HistogramOpts::new("took_seconds", "Took.").buckets(vec![0.1, 1.0]);
        let took = Histogram::with_opts(options).unwrap();
        registry.register(Box::new(runs.clone())).unwrap();
        registry.register(Box::new(queue.clone())).unwrap();
        registry.register(Box::new(took.clone())).unwrap();
        runs.with_label_values(&["ok"]).inc_by(3);
        queue.set(-2);
        took.observe(0.5);

        let mut gathered = Gathered::new();
        let mut frame = Frame::default();
        gathered.append(&registry.gather(), &mut frame);
        assert_eq!(
            written(&frame),
            "# HELP queue Queue.\n# TYPE queue gauge\nqueue -2\n\
             # HELP runs_total Runs.\n# TYPE runs_total counter\nruns_total{result=\"ok\"} 3\n\
             # HELP took_seconds Took.\n# TYPE took_seconds histogram\n\
             took_seconds_bucket{le=\"0.1\"} 0\ntook_seconds_bucket{le=\"1\"} 1\ntook_seconds_bucket{le=\"+Inf\"} 1\n\
             took_seconds_sum 0.5\ntook_seconds_count 1\n"
        );
    }

    #[test]
    fn a_series_keeps_its_identity_while_it_lives() {
        let registry = Registry::new();
        let runs = IntCounterVec::new(Opts::new("runs_total", "Runs."), &["result"]).unwrap();
        registry.register(Box::new(runs.clone())).unwrap();
        let mut gathered = Gathered::new();
        let mut id = || {
            let mut frame = Frame::default();
            gathered.append(&registry.gather(), &mut frame);
            frame.readings.first().map(|reading| reading.series.id)
        };
        runs.with_label_values(&["ok"]).inc();
        let first = id();
        assert!(first.is_some());
        assert_eq!(id(), first);
        runs.reset();
        assert_eq!(id(), None);
        runs.with_label_values(&["ok"]).inc();
        assert_ne!(id(), first);
    }
}
