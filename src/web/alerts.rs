//! `/alerts…`: what fires, what fired, and acknowledging it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::params::Params;
use super::time::{maybe, rfc3339};
use super::{Web, WebError};
use crate::model::severity::Severity;
use crate::model::view::AlertView;

/// Alerts that a history gives when no limit is asked, and at most.
const HISTORY: (usize, usize) = (100, 1000);
/// Longest name and comment of an acknowledgement, in characters.
const MAX_NOTE: usize = 500;

/// The word of an alert's state in JSON.
pub(super) fn status(alert: &AlertView) -> &'static str {
    match alert.state.as_str() {
        "Pending" => "pending",
        "Resolved" => "resolved",
        _ if alert.acknowledged.is_some() => "acknowledged",
        _ => "active",
    }
}

/// One alert.
pub(super) fn alert_json(alert: &AlertView) -> Value {
    let acknowledged = alert.acknowledged.as_ref();
    json!({
        "id": alert.id,
        "name": alert.name,
        "severity": alert.severity,
        "status": status(alert),
        "message": alert.message,
        "component": alert.component,
        "created_at": rfc3339(alert.fired_at.unwrap_or(alert.active_at)),
        "updated_at": rfc3339(alert.updated_at),
        "rule": alert.rule.to_string(),
        "labels": alert.labels,
        "annotations": alert.annotations,
        "value": alert.value,
        "node": alert.node,
        "active_at": rfc3339(alert.active_at),
        "acknowledged": acknowledged.map(|ack| json!({"by": ack.by, "at": rfc3339(ack.at), "comment": ack.comment})),
        "silenced_by": alert.silenced_by.as_ref().map(ToString::to_string),
        "notifications": notifications(alert),
    })
}

fn notifications(alert: &AlertView) -> Vec<Value> {
    let one = |sent: &crate::model::view::NotificationView| json!({ "receiver": sent.receiver.to_string(), "status": sent.status, "at": rfc3339(sent.at) });
    alert.notifications.iter().map(one).collect()
}

/// `GET /alerts`: what fires; `?status=` also pending, resolved or all.
pub(super) async fn list(State(web): Web, params: Params) -> Result<Json<Value>, WebError> {
    let wanted = statuses(&params)?;
    let severities = severities(&params)?;
    let current = web.views.alerts();
    let system = web.views.system();
    let past =
        if wanted.contains(&"resolved") { web.views.alert_history(0, system.now, HISTORY.1) } else { Vec::new() };
    let shown: Vec<Value> = current
        .iter()
        .chain(&past)
        .filter(|alert| wanted.contains(&status(alert)))
        .filter(|alert| severities.is_empty() || severities.contains(&Severity::of(&alert.severity)))
        .map(alert_json)
        .collect();
    let firing: Vec<&AlertView> = current.iter().filter(|alert| alert.state == "Firing").collect();
    let count = |word: &str| current.iter().filter(|alert| status(alert) == word).count();
    let by_severity: Map<String, Value> = Severity::ALL
        .iter()
        .map(|severity| {
            let count = firing.iter().filter(|alert| Severity::of(&alert.severity) == *severity).count();
            (severity.as_str().to_owned(), count.into())
        })
        .collect();
    Ok(Json(json!({
        "alerts": shown,
        "summary": {
            "total_active": firing.len(),
            "total_resolved": system.resolved_alerts,
            "active_by_severity": by_severity,
            "total_acknowledged": count("acknowledged"),
            "total_pending": count("pending"),
        },
    })))
}

fn statuses(params: &Params) -> Result<Vec<&'static str>, WebError> {
    const ALL: [&str; 4] = ["active", "acknowledged", "pending", "resolved"];
    let Some(text) = params.get("status") else { return Ok(vec!["active", "acknowledged"]) };
    let mut wanted = Vec::new();
    for word in text.split(',') {
        match word.trim().to_ascii_lowercase().as_str() {
            "all" => wanted.extend(ALL),
            // 002 says firing where 001 says active.
            "firing" => wanted.extend(["active", "acknowledged"]),
            other => match ALL.iter().find(|known| **known == other) {
                Some(known) => wanted.push(*known),
                None => {
                    return Err(WebError::BadRequest(format!(
                        "status={} is not known; write one of {}, all",
                        super::health::shortened(text),
                        ALL.join(", ")
                    )));
                }
            },
        }
    }
    Ok(wanted)
}

fn severities(params: &Params) -> Result<Vec<Severity>, WebError> {
    let Some(text) = params.get("severity") else { return Ok(Vec::new()) };
    let one = |word: &str| {
        let word = word.trim().to_ascii_lowercase();
        let known = word == "warning" || Severity::ALL.iter().any(|severity| severity.as_str() == word);
        known.then(|| Severity::of(&word)).ok_or_else(|| {
            WebError::BadRequest(format!(
                "severity={} is not known; write one of critical, high, medium, low, info, warning",
                super::health::shortened(text)
            ))
        })
    };
    text.split(',').map(one).collect()
}

/// `GET /alerts/history`: alerts that ended, newest last.
pub(super) async fn history(State(web): Web, params: Params) -> Result<Json<Value>, WebError> {
    let now = web.views.system().now;
    let (from, to) = (params.time("from")?.unwrap_or(0), params.time("to")?.unwrap_or(now));
    let limit = params.limit(HISTORY.0, HISTORY.1)?;
    let alerts = web.views.alert_history(from, to, limit);
    let full = alerts.len() == limit;
    let next = if full { alerts.first().and_then(|alert| alert.resolved_at).map(|at| rfc3339(at - 1)) } else { None };
    let alerts: Vec<Value> = alerts.iter().map(ended_json).collect();
    Ok(Json(json!({ "alerts": alerts, "next": next })))
}

fn ended_json(alert: &AlertView) -> Value {
    let mut value = alert_json(alert);
    let started = alert.fired_at.unwrap_or(alert.active_at);
    value["resolved_at"] = json!(maybe(alert.resolved_at));
    value["resolved_reason"] = json!(alert.resolved_reason);
    value["duration_seconds"] = json!(alert.resolved_at.map(|at| (at - started).max(0) as f64 / 1000.0));
    value
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    #[serde(default, alias = "author", alias = "acknowledged_by")]
    by: String,
    #[serde(default)]
    comment: String,
}

/// `POST /alerts/{id}/acknowledge`, with `{"by","comment"}` or the same as a form.
pub(super) async fn acknowledge(
    State(web): Web,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, WebError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    let said: Acknowledgement = if is_form {
        let form = Params::of_form(&body)?;
        Acknowledgement {
            by: form.get("by").unwrap_or("").to_owned(),
            comment: form.get("comment").unwrap_or("").to_owned(),
        }
    } else if body.iter().all(u8::is_ascii_whitespace) {
        Acknowledgement::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| WebError::BadRequest(format!("the body is not {{\"by\": …, \"comment\": …}}: {error}")))?
    };
    for (field, text) in [("by", &said.by), ("comment", &said.comment)] {
        if text.chars().count() > MAX_NOTE {
            return Err(WebError::BadRequest(format!("{field} is longer than {MAX_NOTE} characters; shorten it")));
        }
    }
    let by = if said.by.trim().is_empty() { "somebody" } else { said.by.trim() };
    let alert = web.commands.acknowledge(&id, by, said.comment.trim()).await?;
    if is_form {
        // A browser without the script: back to where the button was.
        return Ok(Redirect::to("/#alerts").into_response());
    }
    Ok(Json(alert_json(&alert)).into_response())
}
