//! Small drawings as inline SVG: run strips, sparklines, lines over time, bars. Colours come from the style sheet.

use maud::{Markup, html};

use super::number::human;
use crate::model::Health;
use crate::model::series::{Millis, Point};
use crate::model::view::RunView;
use crate::web::panels::{Limits, Row};
use crate::web::time::clock;

/// Runs that a strip shows.
pub(super) const STRIP: usize = 30;
/// Lines that one chart draws; the legend of more would be longer than the chart.
const MAX_LINES: usize = 8;

/// The last runs of a check, newest at the right: colour and height say the result.
pub(super) fn strip(runs: &[RunView]) -> Markup {
    let count = |health: Health| runs.iter().filter(|run| run.health == health).count();
    let words: Vec<String> = Health::ALL
        .iter()
        .filter(|health| count(**health) > 0)
        .map(|health| format!("{} {}", count(*health), health.lower()))
        .collect();
    let label = match runs.len() {
        0 => "No run yet".to_owned(),
        1 => format!("Last run: {}", words.join(", ")),
        n => format!("Last {n} runs: {}", words.join(", ")),
    };
    let first = STRIP.saturating_sub(runs.len());
    html! {
        svg.strip viewBox="0 0 150 20" width="150" height="20" role="img" aria-label=(label) {
            title { (label) }
            @for at in 0..first { rect.none x=(at * 5) y="16" width="3" height="4" {} }
            @for (at, run) in runs.iter().enumerate() {
                @let height = match run.health {
                    Health::Healthy => 10,
                    Health::Degraded => 14,
                    Health::Unhealthy => 20,
                    Health::Unknown => 6,
                };
                rect class=(run.health.lower()) x=((first + at) * 5) y=(20 - height) width="3" height=(height) {}
            }
        }
    }
}

/// The range of values that a chart spans: zero belongs to it unless the values are far from it.
fn span(rows: &[Row], limits: Limits, unit: &str) -> (f64, f64) {
    let values =
        rows.iter().flat_map(|row| row.points.iter().map(|point| point.value)).filter(|value| value.is_finite());
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return (0.0, 1.0);
    }
    // A threshold near the values is worth seeing; one far off would flatten them.
    for limit in [limits.warning, limits.critical].into_iter().flatten() {
        if limit <= high * 2.0 {
            high = high.max(limit);
        }
    }
    if low > 0.0 && low < high * 0.7 {
        low = 0.0;
    }
    if matches!(unit, "percent" | "%") && low >= 0.0 && high <= 100.0 {
        low = 0.0;
        high = if high > 50.0 { 100.0 } else { high };
    }
    if matches!(unit, "percent" | "%") && high == 100.0 {
        return (0.0, 100.0);
    }
    let room = if high > low { (high - low) * 0.08 } else { high.abs().max(1.0) * 0.1 };
    (if low == 0.0 { 0.0 } else { low - room }, high + room)
}

/// The path of a line through a box of `width` × `height`; a gap in time is a gap in the line.
fn path(points: &[Point], from: Millis, to: Millis, (low, high): (f64, f64), width: f64, height: f64) -> String {
    use std::fmt::Write as _;
    let step = points.windows(2).map(|pair| pair[1].at - pair[0].at).min().unwrap_or(0);
    let mut out = String::new();
    let mut before: Option<Millis> = None;
    for point in points {
        if !point.value.is_finite() {
            before = None;
            continue;
        }
        let x = (point.at - from) as f64 / ((to - from).max(1)) as f64 * width;
        let y = height - (point.value - low) / (high - low) * height;
        let joined = before.is_some_and(|at| point.at - at <= step * 3 / 2);
        // Writing into a String cannot fail.
        let _ = write!(out, "{}{x:.1} {y:.1}", if joined { "L" } else { "M" });
        before = Some(point.at);
    }
    out
}

/// A line without axes.
pub(super) fn sparkline(row: &Row, from: Millis, to: Millis) -> Markup {
    let bounds = span(std::slice::from_ref(row), Limits::default(), "");
    html! {
        svg.spark viewBox="0 0 200 36" preserveAspectRatio="none" aria-hidden="true" {
            path d=(path(&row.points, from, to, bounds, 200.0, 36.0)) {}
        }
    }
}

/// Lines over time with axes, thresholds and a legend of last values.
pub(super) fn lines(title: &str, rows: &[Row], limits: Limits, unit: &str, from: Millis, to: Millis) -> Markup {
    if rows.iter().all(|row| row.points.is_empty()) {
        return empty();
    }
    let shown = &rows[..rows.len().min(MAX_LINES)];
    let (low, high) = span(shown, limits, unit);
    let y = |value: f64| format!("{:.1}", 160.0 - (value - low) / (high - low) * 160.0);
    let inside = |limit: Option<f64>| limit.filter(|limit| (low..=high).contains(limit));
    html! {
        div.chart {
            div.y aria-hidden="true" {
                span { (human(high, unit)) } span { (human(low + (high - low) / 2.0, unit)) } span { (human(low, unit)) }
            }
            svg viewBox="0 0 600 160" preserveAspectRatio="none" role="img" aria-label=(format!("{title} from {} to {} UTC", clock(from), clock(to))) {
                @for at in [0, 80, 160] { line.grid x1="0" x2="600" y1=(at) y2=(at) {} }
                @if let Some(limit) = inside(limits.warning) { line.warning x1="0" x2="600" y1=(y(limit)) y2=(y(limit)) {} }
                @if let Some(limit) = inside(limits.critical) { line.critical x1="0" x2="600" y1=(y(limit)) y2=(y(limit)) {} }
                @for (at, row) in shown.iter().enumerate() {
                    path class=(format!("line s{at}")) d=(path(&row.points, from, to, (low, high), 600.0, 160.0)) {}
                }
            }
            div.x aria-hidden="true" { span { (clock(from)) } span { (clock(from + (to - from) / 2)) } span { (clock(to)) } }
        }
        ul.legend {
            @for (at, row) in shown.iter().enumerate() {
                li {
                    svg.key viewBox="0 0 18 6" width="18" height="6" aria-hidden="true" { path class=(format!("line s{at}")) d="M0 3H18" {} }
                    span.name { (row.name) }
                    span.value.{ (row.color) } { (row.value.map_or_else(|| "no value".to_owned(), |value| human(value, unit))) }
                }
            }
            @if rows.len() > shown.len() { li.more { "and " (rows.len() - shown.len()) " more" } }
        }
    }
}

/// A bar between limits.
pub(super) fn gauge(row: &Row, limits: Limits, unit: &str) -> Markup {
    let Some(value) = row.value.filter(|value| value.is_finite()) else { return empty() };
    let top = match unit {
        "percent" | "%" => 100.0,
        _ => [Some(value), limits.warning, limits.critical].into_iter().flatten().fold(0.0, f64::max) * 1.1,
    };
    let at = |value: f64| format!("{:.1}", (value / if top > 0.0 { top } else { 1.0 } * 300.0).clamp(0.0, 300.0));
    html! {
        p.big.{ (row.color) } { (human(value, unit)) (color_word(row.color)) }
        svg.gauge viewBox="0 0 300 14" preserveAspectRatio="none" aria-hidden="true" {
            rect.track x="0" y="3" width="300" height="8" rx="4" {}
            rect class=(format!("fill {}", row.color)) x="0" y="3" width=(at(value)) height="8" rx="4" {}
            @if let Some(limit) = limits.warning { rect.mark.yellow x=(at(limit)) y="0" width="2" height="14" {} }
            @if let Some(limit) = limits.critical { rect.mark.red x=(at(limit)) y="0" width="2" height="14" {} }
        }
        p.caption { (row.name) }
    }
}

/// Bars, longest first as the query gave them.
pub(super) fn bars(rows: &[Row], unit: &str) -> Markup {
    let top = rows.iter().filter_map(|row| row.value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    if rows.is_empty() {
        return empty();
    }
    html! {
        ul.bars {
            @for row in rows {
                @let width = row.value.filter(|value| value.is_finite() && top > 0.0).map_or(0.0, |value| (value / top * 100.0).clamp(0.0, 100.0));
                li {
                    span.name { (row.name) }
                    svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                        rect class=(format!("fill {}", row.color)) width=(format!("{width:.1}")) height="8" {}
                    }
                    span.value { (row.value.map_or_else(|| "–".to_owned(), |value| human(value, unit))) (color_word(row.color)) }
                }
            }
        }
    }
}

/// What a colour says, in words, for whom colour says nothing.
pub(super) fn color_word(color: &str) -> Markup {
    html! {
        @match color {
            "red" => { " " span.flag.red { "critical" } }
            "yellow" => { " " span.flag.yellow { "warning" } }
            _ => {}
        }
    }
}

/// A panel without values.
pub(super) fn empty() -> Markup {
    html! { p.empty { "No values yet." } }
}
