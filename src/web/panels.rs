//! Dashboards filled with values: what `/dashboard/{id}` prints and the page draws.

use super::eval::{self, Refusal};
use crate::model::Labels;
use crate::model::dashboard::{Panel, PanelKind, PanelQuery, PanelThresholds};
use crate::model::ports::Series;
use crate::model::series::{Millis, Point};
use crate::model::view::DashboardView;

/// Most lines of one panel.
const MAX_ROWS: usize = 100;
/// Points of a line over time.
const STEPS: i64 = 120;
/// Least time between two points of a line, in milliseconds.
const MIN_STEP: Millis = 5000;

/// A panel and its values.
pub(super) struct Filled {
    pub panel: Panel,
    pub rows: Vec<Row>,
    /// Why a query has no answer.
    pub problem: Option<String>,
}

/// One line, bar or number.
pub(super) struct Row {
    pub name: String,
    pub labels: Labels,
    pub value: Option<f64>,
    pub color: &'static str,
    /// Over time, for panels that draw it.
    pub points: Vec<Point>,
}

/// The thresholds of a panel as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub warning: Option<f64>,
    pub critical: Option<f64>,
}

impl Limits {
    pub(super) fn of(thresholds: Option<&PanelThresholds>) -> Self {
        let read = |text: Option<&String>| text.and_then(|text| text.parse().ok());
        thresholds.map_or_else(Self::default, |given| Self {
            warning: read(given.warning.as_ref()),
            critical: read(given.critical.as_ref()),
        })
    }

    /// `green`, `yellow` or `red`; `blue` without thresholds, `gray` without a value.
    pub(super) fn color(self, value: Option<f64>) -> &'static str {
        let Some(value) = value.filter(|value| !value.is_nan()) else { return "gray" };
        // Critical below warning: small values are the bad ones.
        let falls = matches!((self.warning, self.critical), (Some(w), Some(c)) if c < w);
        let beyond = |limit: Option<f64>| limit.is_some_and(|limit| if falls { value < limit } else { value >= limit });
        match self {
            Self { warning: None, critical: None } => "blue",
            _ if beyond(self.critical) => "red",
            _ if beyond(self.warning) => "yellow",
            _ => "green",
        }
    }
}

/// Asks every query of a dashboard.
pub(super) fn fill(dashboard: &DashboardView, series: &dyn Series, now: Millis, range: Millis) -> Vec<Filled> {
    dashboard.panels.iter().map(|panel| fill_panel(panel, series, now, range)).collect()
}

fn fill_panel(panel: &Panel, series: &dyn Series, now: Millis, range: Millis) -> Filled {
    let limits = Limits::of(panel.thresholds.as_ref());
    let mut filled = Filled { panel: panel.clone(), rows: Vec::new(), problem: None };
    for query in &panel.queries {
        match rows(query, panel.kind, limits, series, now, range) {
            Ok(mut rows) => {
                tell_apart(&mut rows);
                filled.rows.extend(rows);
            }
            Err(refusal) => filled.problem = Some(refusal.message),
        }
    }
    filled.rows.truncate(MAX_ROWS);
    filled
}

/// Lines of one name get their labels instead: two equal names say nothing.
fn tell_apart(rows: &mut [Row]) {
    let alike = rows.windows(2).any(|pair| pair[0].name == pair[1].name);
    for row in rows.iter_mut().filter(|_| alike) {
        row.name = row.labels.to_string();
    }
}

fn rows(
    query: &PanelQuery,
    kind: PanelKind,
    limits: Limits,
    series: &dyn Series,
    now: Millis,
    range: Millis,
) -> Result<Vec<Row>, Refusal> {
    let Some(expr) = query.expr.as_deref().or(query.metric.as_deref()) else { return Ok(Vec::new()) };
    let row = |labels: Labels, value: Option<f64>, points: Vec<Point>| {
        let name = name_of(query, expr, &labels);
        Row { name, labels, value, color: limits.color(value), points }
    };
    if matches!(kind, PanelKind::TimeSeries | PanelKind::Stat) {
        let step = (range / STEPS).max(MIN_STEP);
        // Steps at round times: a line does not wobble when the page is asked again.
        let to = now - now.rem_euclid(step);
        let (lines, _) = eval::range(series, expr, to - range, to, step)?;
        if !lines.is_empty() {
            let latest = eval::samples(series, expr, now)?;
            let value_of = |labels: &Labels| latest.iter().find(|(have, _)| have == labels).map(|(_, value)| *value);
            return Ok(lines
                .into_iter()
                .map(|line| row(line.labels.clone(), value_of(&line.labels), line.points))
                .collect());
        }
    }
    Ok(eval::samples(series, expr, now)?
        .into_iter()
        .map(|(labels, value)| row(labels, Some(value), Vec::new()))
        .collect())
}

/// The legend with its `{{label}}`s filled, else the metric's name, else what tells the line from others.
fn name_of(query: &PanelQuery, expr: &str, labels: &Labels) -> String {
    if let Some(legend) = &query.legend {
        return fill_legend(legend, labels);
    }
    if let Some(metric) = &query.metric {
        return metric.clone();
    }
    match labels.metric() {
        Some(name) if labels.len() == 1 => name.to_owned(),
        _ if labels.is_empty() => expr.to_owned(),
        _ => labels.to_string(),
    }
}

fn fill_legend(legend: &str, labels: &Labels) -> String {
    let mut out = String::new();
    let mut rest = legend;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        match after.split_once("}}") {
            Some((name, tail)) => {
                out.push_str(labels.get(name.trim()).unwrap_or(""));
                rest = tail;
            }
            None => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(warning: Option<f64>, critical: Option<f64>) -> Limits {
        Limits { warning, critical }
    }

    #[test]
    fn colours_follow_thresholds_in_both_directions() {
        let rising = limits(Some(80.0), Some(90.0));
        assert_eq!([10.0, 80.0, 90.0].map(|v| rising.color(Some(v))), ["green", "yellow", "red"]);
        let falling = limits(Some(80.0), Some(60.0));
        assert_eq!([100.0, 80.0, 79.0, 59.0].map(|v| falling.color(Some(v))), ["green", "green", "yellow", "red"]);
        assert_eq!(limits(None, None).color(Some(1.0)), "blue");
        assert_eq!(rising.color(None), "gray");
        assert_eq!(rising.color(Some(f64::NAN)), "gray");
        assert_eq!(limits(None, Some(5.0)).color(Some(6.0)), "red");
    }

    #[test]
    fn legends_name_labels() {
        let labels = Labels::from_pairs([("device", "eth0")]);
        assert_eq!(fill_legend("{{device}} in {{ missing }}|{{", &labels), "eth0 in |{{");
    }
}
