//! The process's own metrics, kept in the prometheus crate's default registry.

use std::sync::LazyLock;

use super::clock;

use prometheus::{Counter, Gauge, HistogramVec, IntCounter, IntCounterVec, Opts, core::Collector};

/// Every metric that Vitals keeps about itself. Label sets are finite.
pub struct Own {
    /// Panics caught, by room or task.
    pub panics: IntCounterVec,
    /// Errors met, by room and reason's room only.
    pub errors: IntCounterVec,
    /// How late checks start.
    pub scheduler_lag: Gauge,
    /// Rule evaluations, by result.
    pub rule_evaluations: IntCounterVec,
    /// How long evaluating one rule takes.
    pub rule_duration: HistogramVec,
    /// Failed evaluations.
    pub rule_failures: IntCounter,
    /// Reports written, by cause.
    pub report_writes: IntCounterVec,
    /// How long the last collection of the host's metrics took.
    pub scrape_duration: Gauge,
    /// Series in the store.
    pub series: Gauge,
    /// Bytes in the store.
    pub store_bytes: Gauge,
    /// What the store dropped, by what.
    pub store_dropped: IntCounterVec,
    /// Processor time of this process.
    pub cpu_seconds: Counter,
    /// Resident memory of this process.
    pub resident_bytes: Gauge,
    /// Open file descriptors.
    pub open_fds: Gauge,
    /// When the process started, unix seconds.
    pub start_time: Gauge,
    /// How long the process has run.
    pub uptime: Gauge,
}

/// The one set of own metrics.
pub static OWN: LazyLock<Own> = LazyLock::new(Own::new);

/// A metric that could not be built (a programming mistake: a bad name) is replaced by an unregistered twin, so that
/// the rest of the process goes on; a test looks at every name.
fn keep<M: Collector + Clone + 'static>(metric: M) -> M {
    if let Err(why) = prometheus::register(Box::new(metric.clone())) {
        tracing::error!(%why, "an own metric was not registered");
    }
    metric
}

macro_rules! build {
    ($make:expr) => {
        match $make {
            Ok(metric) => keep(metric),
            // The names are literals below and checked by a test: this arm cannot be reached by input.
            Err(_) => std::process::abort(),
        }
    };
}

impl Own {
    fn new() -> Self {
        let opts = |name: &str, help: &str| Opts::new(name, help);
        Self {
            panics: build!(IntCounterVec::new(opts("vitals_panics_total", "Panics caught, by room."), &["room"])),
            errors: build!(IntCounterVec::new(opts("vitals_errors_total", "Errors met, by room."), &["room"])),
            scheduler_lag: build!(Gauge::with_opts(opts(
                "vitals_scheduler_lag_seconds",
                "How late the last check started after its planned time."
            ))),
            rule_evaluations: build!(IntCounterVec::new(
                opts("vitals_rule_evaluations_total", "Rule evaluations, by outcome."),
                &["outcome"]
            )),
            rule_duration: build!(HistogramVec::new(
                prometheus::HistogramOpts::new(
                    "vitals_rule_evaluation_duration_seconds",
                    "How long one rule takes to evaluate, by scope."
                )
                .buckets(vec![1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0]),
                &["scope"]
            )),
            rule_failures: build!(IntCounter::with_opts(opts(
                "vitals_rule_failures_total",
                "Rule evaluations that ended with an error."
            ))),
            report_writes: build!(IntCounterVec::new(
                opts("vitals_report_writes_total", "Reports written, by cause."),
                &["reason"]
            )),
            scrape_duration: build!(Gauge::with_opts(opts(
                "vitals_scrape_duration_seconds",
                "How long the last collection of host metrics took."
            ))),
            series: build!(Gauge::with_opts(opts("vitals_series", "Series in the store."))),
            store_bytes: build!(Gauge::with_opts(opts("vitals_store_bytes", "Memory that the store holds, in bytes."))),
            store_dropped: build!(IntCounterVec::new(
                opts("vitals_store_dropped_total", "What the store dropped to stay in its memory, by what."),
                &["what"]
            )),
            cpu_seconds: build!(Counter::with_opts(opts(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds."
            ))),
            resident_bytes: build!(Gauge::with_opts(opts(
                "process_resident_memory_bytes",
                "Resident memory size in bytes."
            ))),
            open_fds: build!(Gauge::with_opts(opts("process_open_fds", "Number of open file descriptors."))),
            start_time: build!(Gauge::with_opts(opts(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds."
            ))),
            uptime: build!(Gauge::with_opts(opts("vitals_uptime_seconds", "How long the process has run."))),
        }
    }
}

/// Counts a caught panic.
pub fn panicked(room: &str) {
    OWN.panics.with_label_values(&[room]).inc();
}

/// Counts an error that was handled.
pub fn error(room: &str) {
    OWN.errors.with_label_values(&[room]).inc();
}

/// Begins to count: the start time, and families that a dashboard wants to see before anything happened.
pub fn start() {
    OWN.start_time.set(clock::now_millis() as f64 / 1000.0);
    for room in ["agent", "check", "fleet", "host", "local", "web"] {
        OWN.panics.with_label_values(&[room]);
        OWN.errors.with_label_values(&[room]);
    }
}

/// Brings a counter to a total that is kept elsewhere.
pub fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// Reads what the system says of this process: called before the own metrics are shown.
pub fn refresh_process() {
    OWN.uptime.set(clock::now_millis() as f64 / 1000.0 - OWN.start_time.get());
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    if let Ok(stat) = std::fs::read_to_string("/proc/self/stat")
        // The command in parentheses may hold blanks: fields are counted after it. utime and stime are 14 and 15.
        && let Some((_, rest)) = stat.rsplit_once(')')
    {
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let cpu = (number(11) + number(12)) / ticks;
        let so_far = OWN.cpu_seconds.get();
        if cpu > so_far {
            OWN.cpu_seconds.inc_by(cpu - so_far);
        }
        OWN.resident_bytes.set(number(21) * rustix::param::page_size() as f64);
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        OWN.open_fds.set(entries.count() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_own_metric_is_registered_under_a_good_name() {
        LazyLock::force(&OWN);
        refresh_process();
        error("test");
        let names: Vec<String> = prometheus::gather().iter().map(|family| family.name().to_owned()).collect();
        for name in ["process_cpu_seconds_total", "vitals_series", "vitals_errors_total", "vitals_store_bytes"] {
            assert!(names.iter().any(|known| known == name), "{name} is missing in {names:?}");
        }
        assert!(OWN.resident_bytes.get() > 0.0);
    }
}
