//! `/api/v1/resources/{kind}`: the views as they are, for the terminal and other programs.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Web, WebError};
use crate::model::ObjectKey;
use crate::model::ports::Views;

/// The kinds that can be asked for: plural, kind, short name.
const KINDS: [(&str, &str, &str); 6] = [
    ("healthchecks", "HealthCheck", "vhc"),
    ("alertrules", "AlertRule", "valr"),
    ("alerts", "Alert", ""),
    ("dashboards", "Dashboard", "vdb"),
    ("alertreceivers", "AlertReceiver", "vrcv"),
    ("silences", "Silence", "vsil"),
];

fn kind_of(word: &str) -> Result<&'static str, WebError> {
    let word = word.to_ascii_lowercase();
    let known = KINDS.iter().find(|(plural, kind, short)| {
        *plural == word || kind.to_ascii_lowercase() == word || (!short.is_empty() && *short == word)
    });
    known.map(|(_, kind, _)| *kind).ok_or_else(|| {
        let all: Vec<&str> = KINDS.iter().map(|(plural, ..)| *plural).collect();
        WebError::NotFound(format!(
            "there is no kind {:?}; there are {}",
            super::health::shortened(&word),
            all.join(", ")
        ))
    })
}

fn items<T: Serialize>(views: Vec<T>, key: impl Fn(&T) -> ObjectKey) -> Result<Vec<(ObjectKey, Value)>, WebError> {
    let one = |view: &T| {
        let value = serde_json::to_value(view)
            .map_err(|error| WebError::Failed(format!("a view cannot be written as JSON: {error}")))?;
        Ok((key(view), value))
    };
    views.iter().map(one).collect()
}

fn all(views: &dyn Views, kind: &str) -> Result<Vec<(ObjectKey, Value)>, WebError> {
    match kind {
        "HealthCheck" => items(views.checks(), |view| view.key.clone()),
        "AlertRule" => items(views.rules(), |view| view.key.clone()),
        "Alert" => items(views.alerts(), |view| view.rule.clone()),
        "Dashboard" => items(views.dashboards(), |view| view.key.clone()),
        "AlertReceiver" => items(views.receivers(), |view| view.key.clone()),
        _ => items(views.silences(), |view| view.key.clone()),
    }
}

/// `GET /api/v1/resources/{kind}`: `{"kind","now","items"}`; `now` is the clock that ages are counted by.
pub(super) async fn list(State(web): Web, Path(kind): Path<String>) -> Result<Json<Value>, WebError> {
    let kind = kind_of(&kind)?;
    let items: Vec<Value> = all(&*web.views, kind)?.into_iter().map(|(_, value)| value).collect();
    Ok(Json(json!({ "kind": format!("{kind}List"), "now": web.views.system().now, "items": items })))
}

/// `GET /api/v1/resources/{kind}/{namespace}/{name}`
pub(super) async fn one(
    State(web): Web,
    Path((kind, namespace, name)): Path<(String, String, String)>,
) -> Result<Json<Value>, WebError> {
    let kind = kind_of(&kind)?;
    let key = ObjectKey::new(&namespace, &name);
    let found = all(&*web.views, kind)?.into_iter().find(|(have, _)| *have == key);
    found.map(|(_, value)| Json(value)).ok_or_else(|| {
        WebError::NotFound(format!("there is no {kind} {:?}", super::health::shortened(&key.to_string())))
    })
}
