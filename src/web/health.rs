//! `/health…`: the whole, the probes, the checks and their history.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::params::Params;
use super::time::{maybe, rfc3339};
use super::{Access, Web, WebError};
use crate::model::ObjectKey;
use crate::model::ports::Views;
use crate::model::view::{CheckView, ProbeView, RunView};

/// Runs that `/health/history` gives when no limit is asked, and at most.
const HISTORY: (usize, usize) = (100, 1000);

/// `GET /health`: one word to anybody, the numbers to a caller.
pub(super) async fn overall(State(web): Web) -> Json<Value> {
    let system = web.views.system();
    if web.options.access == Access::OpenOnly {
        return Json(json!({ "status": system.health.lower() }));
    }
    Json(json!({
        "status": system.health.lower(),
        "timestamp": rfc3339(system.now),
        "healthy_components": system.healthy,
        "total_components": system.total,
        "health_percentage": system.health_percentage,
        "score": system.score,
    }))
}

/// `GET /health/detailed`: every component by name.
pub(super) async fn detailed(State(web): Web) -> Json<Value> {
    let system = web.views.system();
    let checks = web.views.checks();
    let names = short_names(&checks);
    let last = checks.iter().filter_map(|check| check.last_check).max().unwrap_or(system.now);
    let mut components = Map::new();
    let mut words = Map::new();
    for (check, name) in checks.iter().zip(names).filter(|(check, _)| !check.suspended) {
        words.insert(name.clone(), check.health.lower().into());
        let component = json!({
            "component_type": component_type(check),
            "component_name": name,
            "status": check.health.lower(),
            "last_check": maybe(check.last_check),
            "response_time_ms": check.duration_ms,
            "success_rate": check.success_rate,
            "error_rate": check.error_rate,
            "namespace": &*check.key.namespace,
            "message": check.message,
            "reason": check.reason,
            "since": maybe(check.since),
        });
        components.insert(name, component);
    }
    Json(json!({
        "status": system.health.lower(),
        "last_check": rfc3339(last),
        "healthy_components": system.healthy,
        "total_components": system.total,
        "health_percentage": system.health_percentage,
        "components": components,
        "checks": words,
    }))
}

/// The component type, or the kind of check where none is set.
pub(super) fn component_type(check: &CheckView) -> &str {
    if check.component_type.is_empty() { &check.kind } else { &check.component_type }
}

/// The bare name of each check, or `namespace/name` where two share a name.
pub(super) fn short_names(checks: &[CheckView]) -> Vec<String> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    for check in checks {
        *count.entry(&check.key.name).or_default() += 1;
    }
    let name = |check: &CheckView| match count.get(&*check.key.name) {
        Some(1) => check.key.name.to_string(),
        _ => check.key.to_string(),
    };
    checks.iter().map(name).collect()
}

/// `GET /health/live`
pub(super) async fn live(State(web): Web) -> Response {
    probe(web.views.live())
}

/// `GET /health/ready`
pub(super) async fn ready(State(web): Web) -> Response {
    probe(web.views.ready())
}

fn probe(view: ProbeView) -> Response {
    let (status, word) = if view.ok { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "failing") };
    (status, Json(json!({ "status": word, "problems": view.problems }))).into_response()
}

/// `GET /health/checks`
pub(super) async fn list(State(web): Web) -> Json<Value> {
    let checks: Vec<Value> = web.views.checks().iter().map(check_json).collect();
    Json(json!({ "total": checks.len(), "checks": checks }))
}

/// A check in the list.
pub(super) fn check_json(check: &CheckView) -> Value {
    json!({
        "name": &*check.key.name,
        "namespace": &*check.key.namespace,
        "type": check.kind,
        "status": check.health.lower(),
        "message": check.message,
        "last_check": maybe(check.last_check),
        "duration_ms": check.duration_ms,
        "interval_seconds": check.interval_ms as f64 / 1000.0,
        "reason": check.reason,
        "since": maybe(check.since),
        "target": check.target,
        "component_type": component_type(check),
        "critical": check.critical,
        "suspended": check.suspended,
        "summary": check.summary,
        "success_rate": check.success_rate,
        "error_rate": check.error_rate,
    })
}

fn check_with_details(check: &CheckView) -> Value {
    let mut value = check_json(check);
    value["details"] = json!(check.details);
    value["phases_ms"] = check.phases.iter().map(|(name, ms)| (name.clone(), json!(ms))).collect::<Map<_, _>>().into();
    value["depends_on"] = json!(check.depends_on);
    value["labels"] = json!(check.labels);
    value
}

/// Finds a check by `namespace/name`, or by its bare name while that is unique.
pub(super) fn find(views: &dyn Views, key: &str) -> Result<CheckView, WebError> {
    let mut found: Vec<CheckView> = views
        .checks()
        .into_iter()
        .filter(|check| match key.split_once('/') {
            Some((namespace, name)) => *check.key.namespace == *namespace && *check.key.name == *name,
            None => *check.key.name == *key,
        })
        .collect();
    match (found.pop(), found.as_slice()) {
        (Some(check), []) => Ok(check),
        (Some(check), more) => {
            let keys: Vec<String> = more.iter().chain([&check]).map(|check| check.key.to_string()).collect();
            Err(WebError::Ambiguous(format!("several checks are named {key:?}: ask for one of {}", keys.join(", "))))
        }
        (None, _) => {
            Err(WebError::NotFound(format!("there is no check {:?}; GET /health/checks lists all", shortened(key))))
        }
    }
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// `GET /health/checks/{key}`: runs it now, or shows the last result with `?cached=true`.
pub(super) async fn one(State(web): Web, Path(key): Path<String>, params: Params) -> Result<Json<Value>, WebError> {
    let check = find(&*web.views, &key)?;
    if params.flag("cached") {
        return Ok(Json(check_with_details(&check)));
    }
    Ok(Json(check_with_details(&web.commands.run_check(&check.key).await?)))
}

/// `POST /health/checks/{key}/run`
pub(super) async fn run(State(web): Web, Path(path): Path<String>) -> Result<Json<Value>, WebError> {
    let Some(key) = path.strip_suffix("/run") else {
        return Err(WebError::NotFound(format!("POST goes to /health/checks/{}/run", shortened(&path))));
    };
    let check = find(&*web.views, key)?;
    Ok(Json(check_with_details(&web.commands.run_check(&check.key).await?)))
}

/// `GET /health/history`: runs, newest last; `next` is the `to` of the page before.
pub(super) async fn history(State(web): Web, params: Params) -> Result<Json<Value>, WebError> {
    let check: Option<ObjectKey> = match params.get("check") {
        Some(key) => Some(find(&*web.views, key)?.key),
        None => None,
    };
    let now = web.views.system().now;
    let (from, to) = (params.time("from")?.unwrap_or(0), params.time("to")?.unwrap_or(now));
    let limit = params.limit(HISTORY.0, HISTORY.1)?;
    let runs = web.views.runs(check.as_ref(), from, to, limit);
    let next = if runs.len() == limit { runs.first().map(|run| rfc3339(run.at - 1)) } else { None };
    let history: Vec<Value> = runs.iter().map(run_json).collect();
    Ok(Json(json!({ "history": history, "next": next })))
}

/// One run in a history.
pub(super) fn run_json(run: &RunView) -> Value {
    json!({
        "timestamp": rfc3339(run.at),
        "check": run.key.to_string(),
        "status": run.health.lower(),
        "message": run.message,
        "duration_ms": run.duration_ms,
        "reason": run.reason,
    })
}
