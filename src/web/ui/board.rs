//! `/dashboards/{id}`: panels in a grid of twelve columns.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::PageState;
use super::chart::{self, color_word, empty};
use super::number::human;
use super::rows::{alert, pill, since};
use super::shell::place;
use crate::model::dashboard::PanelKind;
use crate::model::ports::Views;
use crate::model::series::Millis;
use crate::model::view::{CheckView, DashboardView};
use crate::web::health::component_type;
use crate::web::panels::{Filled, Limits};

/// The ranges that can be chosen: word and milliseconds.
const RANGES: [(&str, Millis); 5] =
    [("15m", 900_000), ("30m", 1_800_000), ("1h", 3_600_000), ("6h", 21_600_000), ("24h", 86_400_000)];

/// The page's state and body.
pub(super) fn render(
    views: &dyn Views,
    dashboard: &DashboardView,
    panels: &[Filled],
    range: Millis,
) -> (PageState, Markup) {
    let system = views.system();
    let state = PageState {
        title: format!("{} – Vitals", dashboard.title),
        health: system.health,
        now: system.now,
        place: place(&system.node, &system.mode),
    };
    let body = html! {
        div.crumbs { a href="/" { "Overview" } }
        div.heading {
            h1 { (dashboard.title) }
            @if !dashboard.description.is_empty() { p.muted { (dashboard.description) } }
            nav.ranges aria-label="Time range" {
                @for (word, millis) in RANGES {
                    a href={ "?range=" (word) } aria-current=[(millis == range).then_some("true")] { (word) }
                }
            }
        }
        div.panels {
            @for filled in panels { (panel(views, filled, system.now, range)) }
            @if panels.is_empty() { p.empty { "This dashboard has no panels." } }
        }
    };
    (state, body)
}

fn panel(views: &dyn Views, filled: &Filled, now: Millis, range: Millis) -> Markup {
    let panel = &filled.panel;
    let limits = Limits::of(panel.thresholds.as_ref());
    let unit = panel.unit.as_str();
    let (from, to) = (now - range, now);
    html! {
        section.panel.{ "w" (panel.width.clamp(1, 12)) } {
            h2 { (panel.title) }
            @if !panel.description.is_empty() { p.muted { (panel.description) } }
            @if let Some(problem) = &filled.problem { p.problem { (problem) } }
            @match panel.kind {
                PanelKind::Stat => {
                    @if filled.rows.is_empty() { (empty()) }
                    div.stats {
                        @for row in &filled.rows {
                            div {
                                p.big.{ (row.color) } {
                                    (row.value.map_or_else(|| "–".to_owned(), |value| human(value, unit))) (color_word(row.color))
                                }
                                p.caption { (row.name) }
                                @if row.points.len() > 1 { (chart::sparkline(row, from, to)) }
                            }
                        }
                    }
                }
                PanelKind::Gauge => {
                    @if filled.rows.is_empty() { (empty()) }
                    @for row in &filled.rows { (chart::gauge(row, limits, unit)) }
                }
                PanelKind::TimeSeries => (chart::lines(&panel.title, &filled.rows, limits, unit, from, to))
                PanelKind::Bar => (chart::bars(&filled.rows, unit))
                PanelKind::Table => (table(filled, unit))
                PanelKind::AlertList => (alerts(views, now))
                PanelKind::HealthMatrix => (matrix(&views.checks(), now))
            }
        }
    }
}

fn table(filled: &Filled, unit: &str) -> Markup {
    if filled.rows.is_empty() {
        return empty();
    }
    html! {
        div.scroll {
            table {
                thead { tr { th scope="col" { "Series" } th.number scope="col" { "Value" } } }
                tbody {
                    @for row in &filled.rows {
                        tr {
                            td { (row.name) }
                            td.number.{ (row.color) } {
                                (row.value.map_or_else(|| "–".to_owned(), |value| human(value, unit))) (color_word(row.color))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn alerts(views: &dyn Views, now: Millis) -> Markup {
    let alerts = views.alerts();
    html! {
        @if alerts.is_empty() { p.empty { "No alert fires." } }
        @else { ul.rows { @for view in &alerts { (alert(view, now)) } } }
    }
}

fn matrix(checks: &[CheckView], now: Millis) -> Markup {
    let mut by_type: BTreeMap<&str, Vec<&CheckView>> = BTreeMap::new();
    for check in checks.iter().filter(|check| !check.suspended) {
        by_type.entry(component_type(check)).or_default().push(check);
    }
    html! {
        @if by_type.is_empty() { p.empty { "Nothing is checked yet." } }
        dl.matrix {
            @for (kind, list) in by_type {
                dt { (kind) }
                dd {
                    ul {
                        @for check in list {
                            li.tile.{ (check.health.lower()) } title=(check.message) {
                                strong { (check.key.name) }
                                (pill(check.health))
                                span.muted { (since(check.since, now)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
