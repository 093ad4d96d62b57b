//! `/dashboards` and `/dashboard/{id}` in JSON.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::panels::{self, Filled, Limits, Row};
use super::params::Params;
use super::time::rfc3339;
use super::{Shared, Web, WebError};
use crate::model::dashboard::PanelKind;
use crate::model::ports::Views;
use crate::model::series::Millis;
use crate::model::view::DashboardView;

/// What lines over time show when nothing else is asked, in milliseconds.
pub(super) const USUAL_RANGE: Millis = 30 * 60_000;
/// The longest that may be asked.
const MAX_RANGE: Millis = 7 * 24 * 3_600_000;

/// `GET /dashboards`
pub(super) async fn list(State(web): Web) -> Json<Value> {
    let one = |view: &DashboardView| {
        json!({
            "id": view.id,
            "title": view.title,
            "description": view.description,
            "updated_at": rfc3339(view.updated_at),
            "panels": view.panels.len(),
        })
    };
    Json(json!({ "dashboards": web.views.dashboards().iter().map(one).collect::<Vec<_>>() }))
}

/// Finds a dashboard by id (`system_overview`), by name (`system-overview`) or by `namespace/` either.
pub(super) fn find(views: &dyn Views, id: &str) -> Result<DashboardView, WebError> {
    let all = views.dashboards();
    if let Some(view) = all.iter().find(|view| view.id == id) {
        return Ok(view.clone());
    }
    let (namespace, name) = id.split_once('/').map_or((None, id), |(namespace, name)| (Some(namespace), name));
    let same = |view: &&DashboardView| {
        namespace.is_none_or(|namespace| *view.key.namespace == *namespace)
            && view.key.name.replace('-', "_") == name.replace('-', "_")
    };
    let mut found = all.iter().filter(same);
    match (found.next(), found.next()) {
        (Some(view), None) => Ok(view.clone()),
        (Some(_), Some(_)) => Err(WebError::Ambiguous(format!(
            "several dashboards are called {:?}; ask with the namespace: namespace/name",
            super::health::shortened(id)
        ))),
        (None, _) => Err(WebError::NotFound(format!(
            "there is no dashboard {:?}; GET /dashboards lists all",
            super::health::shortened(id)
        ))),
    }
}

/// The time that `?range=` asks for.
pub(super) fn range_of(params: &Params) -> Result<Millis, WebError> {
    let Some(text) = params.get("range") else { return Ok(USUAL_RANGE) };
    let range = crate::model::Span::parse(text).map_err(|error| WebError::BadRequest(format!("range: {error}")))?;
    Ok(range.as_millis_i64().clamp(60_000, MAX_RANGE))
}

/// `GET /dashboard/{id}`: panels with their values of now.
pub(super) async fn one(State(web): Web, Path(id): Path<String>, params: Params) -> Result<Json<Value>, WebError> {
    let range = range_of(&params)?;
    Ok(Json(web.compute(move |web| dashboard_json(web, &id, range)).await??))
}

fn dashboard_json(web: &Shared, id: &str, range: Millis) -> Result<Value, WebError> {
    let view = find(&*web.views, id)?;
    let now = web.views.system().now;
    let filled = panels::fill(&view, &*web.views.series(), now, range);
    let panels: Vec<Value> = filled.iter().map(|panel| panel_json(web, panel, now)).collect();
    Ok(json!({
        "id": view.id,
        "title": view.title,
        "description": view.description,
        "refresh_interval": view.refresh_ms as f64 / 1000.0,
        "created_at": rfc3339(view.created_at),
        "updated_at": rfc3339(view.updated_at),
        "panels": panels,
    }))
}

fn panel_json(web: &Shared, filled: &Filled, now: Millis) -> Value {
    let panel = &filled.panel;
    let (panel_type, chart) = words(panel.kind);
    let limits = Limits::of(panel.thresholds.as_ref());
    let metric = |row: &Row| {
        let mut value = json!({
            "name": row.name,
            "value": row.value,
            "unit": unit(&panel.unit),
            "timestamp": rfc3339(now),
            "chart_type": chart,
            "color": row.color,
            "threshold_warning": limits.warning,
            "threshold_critical": limits.critical,
            "labels": row.labels,
        });
        if !row.points.is_empty() {
            value["values"] = row.points.iter().map(|p| json!([p.at as f64 / 1000.0, p.value])).collect();
        }
        value
    };
    let mut value = json!({
        "id": panel.id(),
        "title": panel.title,
        "description": panel.description,
        "panel_type": panel_type,
        "layout": { "width": panel.width, "height": panel.height },
        "metrics": filled.rows.iter().map(metric).collect::<Vec<_>>(),
    });
    if let Some(problem) = &filled.problem {
        value["error"] = json!(problem);
    }
    match panel.kind {
        PanelKind::AlertList => {
            let firing = web.views.alerts().into_iter().filter(|alert| alert.state == "Firing");
            value["alerts"] = firing.map(|alert| super::alerts::alert_json(&alert)).collect();
        }
        PanelKind::HealthMatrix => {
            value["components"] = web.views.checks().iter().map(super::health::check_json).collect();
        }
        _ => {}
    }
    value
}

fn words(kind: PanelKind) -> (&'static str, &'static str) {
    match kind {
        PanelKind::Stat => ("metrics", "stat"),
        PanelKind::Gauge => ("metrics", "gauge"),
        PanelKind::TimeSeries => ("metrics", "line"),
        PanelKind::Bar => ("metrics", "bar"),
        PanelKind::Table => ("table", "table"),
        PanelKind::AlertList => ("alerts", "list"),
        PanelKind::HealthMatrix => ("health", "matrix"),
    }
}

/// The unit as it is printed after a number.
pub(super) fn unit(word: &str) -> &str {
    match word {
        "percent" => "%",
        "seconds" => "s",
        "milliseconds" => "ms",
        "bytes" => "B",
        "bytes/s" => "B/s",
        other => other,
    }
}
