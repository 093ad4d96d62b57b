//! What a webhook is sent: Alertmanager's webhook body, version 4, with severity, component and message added.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::notification::{Notification, NotifiedAlert};
use crate::model::series::Millis;

/// Alertmanager's way of writing "has not ended".
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The body as Alertmanager names its fields (`groupLabels`, `startsAt`).
pub(super) fn alertmanager(notification: &Notification, external_url: &str) -> Value {
    let common = Common::of(notification);
    let first = notification.alerts.first();
    json!({
        "version": "4",
        "groupKey": notification.group_key,
        "truncatedAlerts": notification.truncated,
        "status": notification.status(),
        "receiver": notification.receiver.to_string(),
        "groupLabels": notification.group_labels,
        "commonLabels": common.labels,
        "commonAnnotations": common.annotations,
        "externalURL": external_url,
        "alerts": notification.alerts.iter().map(alert).collect::<Vec<_>>(),
        // The most urgent alert comes first and speaks for the group.
        "severity": first.map_or("", |alert| alert.severity.as_str()),
        "component": first.map_or("", |alert| alert.component.as_str()),
        "message": message(notification),
    })
}

/// The same as templates see it: Go's names (`.GroupLabels`, `.StartsAt`).
pub(super) fn template_data(notification: &Notification, external_url: &str) -> Value {
    let Value::Object(body) = alertmanager(notification, external_url) else { return Value::Null };
    let alerts = |value: Value| match value {
        Value::Array(list) => list.into_iter().map(go_names).collect(),
        other => other,
    };
    let named = body.into_iter().map(|(key, value)| {
        let value = if key == "alerts" { alerts(value) } else { value };
        (go_name(&key), value)
    });
    let reason = ("NotificationReason".to_owned(), Value::from(notification.cause.as_str()));
    Value::Object(named.chain(std::iter::once(reason)).collect())
}

fn alert(alert: &NotifiedAlert) -> Value {
    json!({
        "status": if alert.ends_at.is_none() { "firing" } else { "resolved" },
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": time(alert.starts_at),
        "endsAt": alert.ends_at.map_or_else(|| NO_TIME.to_owned(), time),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.id,
        "severity": alert.severity,
        "component": alert.component,
        "message": alert.message,
        "value": alert.value,
    })
}

/// One sentence for the whole group.
fn message(notification: &Notification) -> String {
    let Some(first) = notification.alerts.first() else { return String::new() };
    match notification.alerts.len() - 1 + notification.truncated as usize {
        0 => first.message.clone(),
        more => format!("{} (and {more} more)", first.message),
    }
}

/// What all alerts have in common.
struct Common<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
}

impl<'a> Common<'a> {
    fn of(notification: &'a Notification) -> Self {
        let mut alerts = notification.alerts.iter();
        let Some(first) = alerts.next() else { return Self { labels: BTreeMap::new(), annotations: BTreeMap::new() } };
        let mut labels: BTreeMap<_, _> = first.labels.iter().collect();
        let mut annotations: BTreeMap<_, _> =
            first.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        for alert in alerts {
            labels.retain(|name, value| alert.labels.get(name) == Some(*value));
            annotations.retain(|name, text| alert.annotations.get(*name).map(String::as_str) == Some(*text));
        }
        Self { labels, annotations }
    }
}

fn go_names(object: Value) -> Value {
    match object {
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(key, value)| (go_name(&key), value)).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// `groupLabels` → `GroupLabels`.
fn go_name(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// RFC 3339 in UTC, milliseconds kept.
fn time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| NO_TIME.to_owned(), |at| format!("{at:.3}"))
}
