//! `/metrics`: the exposition as text, or as JSON for who asks for that.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::time::rfc3339;
use super::{Web, WebError, exposition};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`: text unless the caller prefers JSON.
pub(super) async fn negotiated(State(web): Web, headers: HeaderMap) -> Result<Response, WebError> {
    if !prefers_json(&headers) {
        return Ok(text(State(web)).await);
    }
    let body = web.exposition.text().await;
    let timestamp = rfc3339(web.views.system().now);
    let metrics = web.compute(move |_| exposition::to_json(&String::from_utf8_lossy(&body))).await?;
    Ok(Json(json!({ "timestamp": timestamp, "metrics": metrics })).into_response())
}

/// `GET /metrics/prometheus`: always text.
pub(super) async fn text(State(web): Web) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], web.exposition.text().await).into_response()
}

/// Whether JSON stands before text in `Accept`. Scrapers and browsers never write it first.
fn prefers_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    for part in accept.split(',') {
        let kind = part.split(';').next().unwrap_or("").trim();
        match kind {
            "application/json" => return true,
            "text/plain" | "application/openmetrics-text" | "text/html" | "*/*" | "text/*" => return false,
            _ => {}
        }
    }
    false
}
