//! The part of Prometheus's HTTP API that tools and Grafana need: queries, series and labels, rules and alerts.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::eval::{self, Refusal};
use super::params::Params;
use super::time::rfc3339;
use super::{Web, WebError, time};
use crate::model::labels::METRIC_NAME;
use crate::model::ports::{Series, SeriesId};
use crate::model::series::{Millis, Point, write_value};
use crate::model::view::{AlertView, RuleView};
use crate::model::{Labels, Matcher, Span};
use crate::promql::{self, Note, RangeSeries};

/// Queries that are worked on at once; more wait.
pub(super) const MAX_AT_ONCE: usize = 2;
/// Most points of one series in one answer, as in Prometheus.
const MAX_POINTS: i64 = 11_000;
/// Most series that `/api/v1/series` and its kin give.
const MAX_SERIES: usize = 10_000;

/// An error in Prometheus's own shape.
pub(super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

impl ApiError {
    fn bad(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", text: text.into() }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        if refusal.bad {
            return Self::bad(refusal.message);
        }
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", text: refusal.message }
    }
}

impl From<WebError> for ApiError {
    fn from(error: WebError) -> Self {
        match error {
            WebError::BadRequest(_) => Self::bad(error.to_string()),
            other => Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "unavailable", text: other.to_string() },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "status": "error", "errorType": self.kind, "error": self.text });
        (self.status, Json(body)).into_response()
    }
}

type Answered = Result<Json<Value>, ApiError>;

fn success(data: Value) -> Answered {
    Ok(Json(json!({ "status": "success", "data": data })))
}

/// A number as Prometheus's API writes it: in quotes.
pub(super) fn number(value: f64) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

fn pair(point: &Point) -> Value {
    json!([point.at as f64 / 1000.0, number(point.value)])
}

/// `/api/v1/query`
pub(super) async fn query(State(web): Web, params: Params) -> Answered {
    let text = params.required("query")?.to_owned();
    let at = params.time("time")?.unwrap_or_else(|| web.views.system().now);
    let (value, notes) = web.compute(move |web| eval::instant(&*web.views.series(), &text, at)).await??;
    let with_time = |value: f64| pair(&Point { at, value });
    let data = match value {
        promql::Value::Scalar(value) => json!({ "resultType": "scalar", "result": with_time(value) }),
        promql::Value::Text(text) => json!({ "resultType": "string", "result": [at as f64 / 1000.0, text] }),
        promql::Value::Vector(samples) => {
            let one = |(labels, value): &(Labels, f64)| json!({ "metric": labels, "value": with_time(*value) });
            json!({ "resultType": "vector", "result": samples.iter().map(one).collect::<Vec<_>>() })
        }
        promql::Value::Matrix(lines) => json!({ "resultType": "matrix", "result": matrix(&lines) }),
    };
    noted(data, &notes)
}

/// An answer with the engine's remarks, as Prometheus adds them.
fn noted(data: Value, notes: &[Note]) -> Answered {
    let of = |warning: bool| -> Vec<&str> {
        notes.iter().filter(|note| note.warning == warning).map(|note| note.message.as_str()).collect()
    };
    let mut answer = json!({ "status": "success", "data": data });
    for (key, texts) in [("warnings", of(true)), ("infos", of(false))] {
        if !texts.is_empty() {
            answer[key] = json!(texts);
        }
    }
    Ok(Json(answer))
}

fn matrix(lines: &[RangeSeries]) -> Vec<Value> {
    let one = |line: &RangeSeries| json!({ "metric": line.labels, "values": line.points.iter().map(pair).collect::<Vec<_>>() });
    lines.iter().map(one).collect()
}

/// `/api/v1/query_range`
pub(super) async fn query_range(State(web): Web, params: Params) -> Answered {
    let text = params.required("query")?.to_owned();
    let time = |name: &str| params.required(name).and_then(|_| params.time(name)).map(Option::unwrap_or_default);
    let (from, to) = (time("start")?, time("end")?);
    let step = step_of(params.required("step")?)?;
    if to < from {
        return Err(ApiError::bad("end is before start; swap them"));
    }
    if (to - from) / step > MAX_POINTS {
        return Err(ApiError::bad(format!(
            "more than {MAX_POINTS} points a series; ask with a larger step or a shorter range"
        )));
    }
    let (lines, notes) = web.compute(move |web| eval::range(&*web.views.series(), &text, from, to, step)).await??;
    noted(json!({ "resultType": "matrix", "result": matrix(&lines) }), &notes)
}

fn step_of(text: &str) -> Result<Millis, ApiError> {
    let millis = match text.parse::<f64>() {
        Ok(seconds) => Some((seconds * 1000.0) as Millis),
        Err(_) => Span::parse(text).ok().map(Span::as_millis_i64),
    };
    millis.filter(|step| *step > 0).ok_or_else(|| {
        ApiError::bad(format!("step={text} is not possible; write seconds or a duration such as 15s, above zero"))
    })
}

/// The series that `match[]` selects (all when there is none and none is needed) with points in the time asked for.
struct Selection {
    sets: Vec<Vec<Matcher>>,
    from: Millis,
    to: Millis,
}

impl Selection {
    fn read(params: &Params, now: Millis) -> Result<Self, ApiError> {
        let mut sets = Vec::new();
        for text in params.all("match[]") {
            sets.extend(eval::selectors(text)?);
        }
        Ok(Self { sets, from: params.time("start")?.unwrap_or(0), to: params.time("end")?.unwrap_or(now) })
    }

    fn labels(&self, series: &dyn Series) -> Vec<Labels> {
        let all = [Vec::new()];
        let sets: &[Vec<Matcher>] = if self.sets.is_empty() { &all } else { &self.sets };
        let mut ids: BTreeSet<SeriesId> = BTreeSet::new();
        let mut found = Vec::new();
        for set in sets {
            series.find(set, &mut found);
            ids.extend(found.drain(..));
        }
        ids.into_iter()
            .filter(|id| series.latest(*id, self.from, self.to).is_some())
            .take(MAX_SERIES)
            .map(|id| series.labels(id))
            .collect()
    }
}

/// `/api/v1/series`
pub(super) async fn series(State(web): Web, params: Params) -> Answered {
    let selection = Selection::read(&params, web.views.system().now)?;
    if selection.sets.is_empty() {
        return Err(ApiError::bad("no match[] given; add at least one such as match[]=up"));
    }
    let labels = web.compute(move |web| selection.labels(&*web.views.series())).await?;
    success(json!(labels))
}

/// `/api/v1/labels`
pub(super) async fn labels(State(web): Web, params: Params) -> Answered {
    let selection = Selection::read(&params, web.views.system().now)?;
    let sets = web.compute(move |web| selection.labels(&*web.views.series())).await?;
    let names: BTreeSet<&str> = sets.iter().flat_map(|set| set.iter().map(|(name, _)| name)).collect();
    success(json!(names))
}

/// `/api/v1/label/{name}/values`
pub(super) async fn label_values(State(web): Web, Path(name): Path<String>, params: Params) -> Answered {
    let selection = Selection::read(&params, web.views.system().now)?;
    let sets = web.compute(move |web| selection.labels(&*web.views.series())).await?;
    let values: BTreeSet<&str> = sets.iter().filter_map(|set| set.get(&name)).collect();
    success(json!(values))
}

/// `/api/v1/status/buildinfo`: Grafana asks it to learn whom it talks to.
pub(super) async fn buildinfo(State(web): Web) -> Answered {
    success(json!({ "version": web.options.version, "application": "vitals" }))
}

fn alert_of_api(alert: &AlertView) -> Value {
    json!({
        "labels": labels_of(alert),
        "annotations": alert.annotations,
        "state": if alert.state == "Pending" { "pending" } else { "firing" },
        "activeAt": rfc3339(alert.active_at),
        "value": alert.value,
    })
}

fn labels_of(alert: &AlertView) -> Labels {
    alert.labels.with("alertname", &alert.name).without(&[METRIC_NAME])
}

/// `/api/v1/alerts`
pub(super) async fn alerts(State(web): Web) -> Answered {
    let alerts: Vec<Value> = web.views.alerts().iter().map(alert_of_api).collect();
    success(json!({ "alerts": alerts }))
}

/// `/api/v1/rules`: one group per namespace.
pub(super) async fn rules(State(web): Web, params: Params) -> Answered {
    let kind = params.get("type");
    if !matches!(kind, None | Some("alert" | "record")) {
        return Err(ApiError::bad("type is not known; write alert or record"));
    }
    let alerts = web.views.alerts();
    let mut groups: BTreeMap<String, Vec<RuleView>> = BTreeMap::new();
    for rule in web.views.rules() {
        if kind.is_none_or(|kind| (kind == "record") == rule.record) {
            groups.entry(rule.key.namespace.to_string()).or_default().push(rule);
        }
    }
    let group = |(namespace, rules): (String, Vec<RuleView>)| {
        let interval = rules.iter().map(|rule| rule.interval_ms).min().unwrap_or(0);
        let spent: f64 = rules.iter().filter_map(|rule| rule.evaluation_ms).sum();
        let last = rules.iter().filter_map(|rule| rule.last_evaluation).max();
        json!({
            "name": namespace,
            "file": namespace,
            "interval": interval as f64 / 1000.0,
            "limit": 0,
            "evaluationTime": spent / 1000.0,
            "lastEvaluation": time::rfc3339(last.unwrap_or(0)),
            "rules": rules.iter().map(|rule| rule_of_api(rule, &alerts)).collect::<Vec<_>>(),
        })
    };
    success(json!({ "groups": groups.into_iter().map(group).collect::<Vec<_>>() }))
}

fn rule_of_api(rule: &RuleView, alerts: &[AlertView]) -> Value {
    let failed = !matches!(rule.evaluated.as_str(), "Ok" | "Warming" | "NoSuchSeries" | "");
    let mut value = json!({
        "name": &*rule.key.name,
        "query": rule.expr,
        "labels": rule.labels,
        "health": if failed { "err" } else if rule.last_evaluation.is_some() { "ok" } else { "unknown" },
        "evaluationTime": rule.evaluation_ms.unwrap_or(0.0) / 1000.0,
        "lastEvaluation": rfc3339(rule.last_evaluation.unwrap_or(0)),
        "type": if rule.record { "recording" } else { "alerting" },
    });
    if failed {
        value["lastError"] = json!(rule.message);
    }
    if !rule.record {
        let own: Vec<Value> = alerts.iter().filter(|alert| alert.rule == rule.key).map(alert_of_api).collect();
        value["state"] = match rule.state.as_str() {
            "Firing" => "firing".into(),
            "Pending" => "pending".into(),
            _ => "inactive".into(),
        };
        value["duration"] = json!(Span::parse(&rule.hold).map(Span::as_secs_f64).unwrap_or(0.0));
        value["annotations"] = json!(rule.annotations);
        value["alerts"] = json!(own);
    }
    value
}
