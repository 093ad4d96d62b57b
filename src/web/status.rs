//! `/status` and `/info`: the process in numbers, and what it is.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Web;
use crate::model::Health;
use crate::model::severity::Severity;

/// `GET /status`
pub(super) async fn status(State(web): Web) -> Json<Value> {
    let system = web.views.system();
    let checks = web.views.checks();
    let alerts = web.views.alerts();
    let by_status: Map<String, Value> = Health::ALL
        .iter()
        .map(|health| {
            let count = checks.iter().filter(|check| !check.suspended && check.health == *health).count();
            (health.lower().to_owned(), count.into())
        })
        .collect();
    let by_severity: Map<String, Value> = Severity::ALL
        .iter()
        .map(|severity| {
            let fires = |state: &str, word: &str| state == "Firing" && Severity::of(word) == *severity;
            let count = alerts.iter().filter(|alert| fires(&alert.state, &alert.severity)).count();
            (severity.as_str().to_owned(), count.into())
        })
        .collect();
    Json(json!({
        "status": system.health.lower(),
        "uptime_seconds": (system.now - system.started_at).max(0) / 1000,
        "version": web.options.version,
        "mode": system.mode,
        "node": system.node,
        "checks": by_status,
        "alerts": by_severity,
        "agents": { "ready": system.agents.0, "desired": system.agents.1 },
        "plan_revision": system.plan_revision,
        "score": system.score,
        "refused": system.refused.len(),
    }))
}

/// `GET /info`
pub(super) async fn info(State(web): Web) -> Json<Value> {
    let mut info = (web.options.info)();
    if let Some(map) = info.as_object_mut() {
        map.entry("version").or_insert_with(|| web.options.version.clone().into());
    }
    Json(info)
}
