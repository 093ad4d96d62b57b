//! The leader's series as a frame for `/metrics`: the same that its rules see.

use std::sync::Arc;

use super::Fleet;
use crate::model::labels::METRIC_NAME;
use crate::model::series::{Family, Frame, MetricKind, SeriesInfo};

/// Families with their help; `ALERTS` is not among them, since agents print their own.
const FAMILIES: [(&str, &str, MetricKind); 8] = [
    (
        "vitals_healthcheck_health",
        "Health of a check: 1 healthy, 0.5 degraded, 0 unhealthy, -1 unknown.",
        MetricKind::Gauge,
    ),
    ("vitals_healthcheck_nodes", "Results of a check, by health.", MetricKind::Gauge),
    ("vitals_agent_up", "Whether a node's agent can be believed.", MetricKind::Gauge),
    ("system_health_status", "Overall health: 1 healthy, 0.5 degraded, 0 unhealthy, -1 unknown.", MetricKind::Gauge),
    ("system_health_percentage", "Percent of checks that are healthy.", MetricKind::Gauge),
    ("vitals_system_health_score", "Health percentage minus penalties of firing alerts.", MetricKind::Gauge),
    ("vitals_notifications_total", "Messages to receivers, by result.", MetricKind::Counter),
    ("vitals_alerts", "Alerts, by state and severity.", MetricKind::Gauge),
];

impl Fleet {
    /// The leader's series of now.
    #[must_use]
    pub fn frame(&self) -> Frame {
        let now = self.clock.now();
        let samples = self.core().series(now);
        let mut frame = Frame { at: now.wall, readings: Vec::new() };
        for (name, help, kind) in FAMILIES {
            let family: Arc<Family> = Family::new(name, help, kind);
            for (labels, value) in samples.iter().filter(|(labels, _)| labels.metric() == Some(name)) {
                let pairs: Vec<(&str, &str)> = labels.iter().filter(|(label, _)| *label != METRIC_NAME).collect();
                frame.put(&SeriesInfo::new(&family, &pairs), *value);
            }
        }
        frame
    }
}
