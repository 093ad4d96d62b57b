//! The series that a check leaves behind: its own metrics, and the component metrics of CONTRACT §6.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::model::health::Health;
use crate::model::plan::Entry;
use crate::model::series::{Family, Frame, MetricKind, SeriesInfo};

struct Families {
    runs: Arc<Family>,
    duration: Arc<Family>,
    phase: Arc<Family>,
    status: Arc<Family>,
    component_status: Arc<Family>,
    component_time: Arc<Family>,
    component_success: Arc<Family>,
    component_error: Arc<Family>,
}

static FAMILIES: LazyLock<Families> = LazyLock::new(|| {
    let gauge = |name: &'static str, help: &'static str| Family::new(name, help, MetricKind::Gauge);
    Families {
        runs: Family::new("vitals_check_runs_total", "Runs of a check, by result.", MetricKind::Counter),
        duration: gauge("vitals_check_duration_seconds", "How long the last run of a check took."),
        phase: gauge("vitals_check_phase_seconds", "How long each phase of the last run took."),
        status: gauge("vitals_check_status", "State of a check: 1 healthy, 0.5 degraded, 0 unhealthy, -1 unknown."),
        component_status: gauge(
            "component_health_status",
            "State of a component: 1 healthy, 0.5 degraded, 0 unhealthy, -1 unknown.",
        ),
        component_time: gauge("component_health_response_time_ms", "How long a component's last check took."),
        component_success: gauge("component_health_success_rate", "Percent of successful runs in the check's window."),
        component_error: gauge("component_health_error_rate", "Percent of failed runs in the check's window."),
    }
});

/// The figures of one check (one target) at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Its state.
    pub health: Health,
    /// Duration of the last run, seconds.
    pub duration: Option<f64>,
    /// Phases of the last run, seconds.
    pub phases: Vec<(&'static str, f64)>,
    /// Percent of good runs in the window.
    pub success_rate: Option<f64>,
    /// Percent of failed runs in the window.
    pub error_rate: Option<f64>,
    /// Runs so far, by result, in the order of [`Health::ALL`].
    pub runs: [u64; 4],
}

/// The series of one check: made once per plan entry, so that a run costs no label work.
#[derive(Debug)]
pub struct CheckSeries {
    labels: Vec<(String, String)>,
    runs: [Arc<SeriesInfo>; 4],
    duration: Arc<SeriesInfo>,
    status: Arc<SeriesInfo>,
    phases: BTreeMap<&'static str, Arc<SeriesInfo>>,
    component_status: Arc<SeriesInfo>,
    component_time: Arc<SeriesInfo>,
    component_success: Arc<SeriesInfo>,
    component_error: Arc<SeriesInfo>,
}

impl CheckSeries {
    /// The series of a plan entry; `component` is the value of the component metrics' one label.
    #[must_use]
    pub fn new(entry: &Entry, kind: &str, component: &str) -> Self {
        let mut labels = vec![
            ("name".to_owned(), entry.key.name.to_string()),
            ("namespace".to_owned(), entry.key.namespace.to_string()),
            ("type".to_owned(), kind.to_owned()),
        ];
        if let Some(target) = &entry.target {
            labels.push(("target".to_owned(), target.clone()));
        }
        let own = |family: &Arc<Family>, more: &[(&str, &str)]| {
            let mut all: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            all.extend_from_slice(more);
            SeriesInfo::new(family, &all)
        };
        let families = &*FAMILIES;
        let of_component = |family: &Arc<Family>| SeriesInfo::new(family, &[("component", component)]);
        Self {
            runs: Health::ALL.map(|health| own(&families.runs, &[("result", health.lower())])),
            duration: own(&families.duration, &[]),
            status: own(&families.status, &[]),
            phases: BTreeMap::new(),
            component_status: of_component(&families.component_status),
            component_time: of_component(&families.component_time),
            component_success: of_component(&families.component_success),
            component_error: of_component(&families.component_error),
            labels,
        }
    }

    /// Makes series for phases not seen before.
    pub fn learn(&mut self, figures: &Figures) {
        for (phase, _) in &figures.phases {
            if !self.phases.contains_key(phase) {
                let mut all: Vec<(&str, &str)> = self.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                all.push(("phase", phase));
                self.phases.insert(phase, SeriesInfo::new(&FAMILIES.phase, &all));
            }
        }
    }
}

/// Writes many checks, family by family, as the exposition wants them.
pub fn write(checks: &[(&CheckSeries, Figures)], out: &mut Frame) {
    for (series, figures) in checks {
        for (info, count) in series.runs.iter().zip(figures.runs) {
            out.put(info, count as f64);
        }
    }
    write_some(checks, out, |series| &series.duration, |figures| figures.duration);
    for (series, figures) in checks {
        for (phase, seconds) in &figures.phases {
            if let Some(info) = series.phases.get(phase) {
                out.put(info, *seconds);
            }
        }
    }
    let state = |figures: &Figures| Some(figures.health.as_number());
    write_some(checks, out, |series| &series.status, state);
    write_some(checks, out, |series| &series.component_status, state);
    write_some(checks, out, |series| &series.component_time, |figures| figures.duration.map(|s| s * 1000.0));
    write_some(checks, out, |series| &series.component_success, |figures| figures.success_rate);
    write_some(checks, out, |series| &series.component_error, |figures| figures.error_rate);
}

fn write_some(
    checks: &[(&CheckSeries, Figures)],
    out: &mut Frame,
    series: impl Fn(&CheckSeries) -> &Arc<SeriesInfo>,
    value: impl Fn(&Figures) -> Option<f64>,
) {
    for (check, figures) in checks {
        if let Some(value) = value(figures) {
            out.put(series(check), value);
        }
    }
}
