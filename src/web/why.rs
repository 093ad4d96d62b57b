//! `/api/v1/why/{name}`: one check or rule with all that explains its state, and what to do next.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::eval;
use super::prometheus::number;
use super::{Shared, Web, WebError, health};
use crate::model::view::{AlertView, CheckView, ReceiverView, RuleView, RunView};
use crate::model::{Health, ObjectKey};

/// Runs, alerts and values that an explanation shows at most.
const SHOWN: usize = 10;

/// `GET /api/v1/why/{namespace}/{name}`, or the bare name while it is unique.
pub(super) async fn why(State(web): Web, Path(key): Path<String>) -> Result<Json<Value>, WebError> {
    Ok(Json(web.compute(move |web| explain(web, &key)).await??))
}

fn explain(web: &Shared, key: &str) -> Result<Value, WebError> {
    let check = match health::find(&*web.views, key) {
        Ok(check) => Some(check),
        Err(WebError::NotFound(_)) => None,
        Err(other) => return Err(other),
    };
    let rule = find_rule(web, key)?;
    if check.is_none() && rule.is_none() {
        return Err(WebError::NotFound(format!(
            "there is no check and no rule {:?}; `vitals get healthchecks` and `vitals get alertrules` list them",
            health::shortened(key)
        )));
    }
    Ok(json!({
        "now": web.views.system().now,
        "check": check.map(|check| explain_check(web, &check)),
        "rule": rule.map(|rule| explain_rule(web, &rule)),
    }))
}

fn find_rule(web: &Shared, key: &str) -> Result<Option<RuleView>, WebError> {
    let same = |rule: &RuleView| match key.split_once('/') {
        Some((namespace, name)) => *rule.key.namespace == *namespace && *rule.key.name == *name,
        None => *rule.key.name == *key,
    };
    let mut found: Vec<RuleView> = web.views.rules().into_iter().filter(same).collect();
    let first = found.pop();
    if found.is_empty() {
        return Ok(first);
    }
    let keys: Vec<String> = found.iter().chain(&first).map(|rule| rule.key.to_string()).collect();
    Err(WebError::Ambiguous(format!("several rules are named {key:?}: ask for one of {}", keys.join(", "))))
}

fn explain_check(web: &Shared, check: &CheckView) -> Value {
    let now = web.views.system().now;
    let runs = web.views.runs(Some(&check.key), 0, now, SHOWN);
    let others = web.views.checks();
    let depends: Vec<&CheckView> = others.iter().filter(|other| check.depends_on.contains(&other.key)).collect();
    let missing: Vec<&ObjectKey> =
        check.depends_on.iter().filter(|key| !others.iter().any(|other| other.key == **key)).collect();
    let alerts: Vec<AlertView> = web.views.alerts().into_iter().filter(|alert| is_about(alert, check)).collect();
    // The phase that took longest in a failing run is where it hangs; a run stops in its last phase.
    let failing_phase = (check.health != Health::Healthy).then(|| check.phases.last().map(|(name, _)| name)).flatten();
    json!({
        "check": check,
        "runs": runs,
        "failing_phase": failing_phase,
        "depends_on": depends,
        "missing_dependencies": missing,
        "alerts": alerts,
        "next": check_advice(check, &runs, &depends, &missing),
    })
}

/// Whether an alert speaks of a check: by component, or by the check's labels on its series.
fn is_about(alert: &AlertView, check: &CheckView) -> bool {
    let label = |name: &str| alert.labels.get(name);
    let named = [label("check"), label("name"), label("healthcheck")].contains(&Some(&*check.key.name));
    let here = label("namespace").is_none_or(|namespace| namespace == &*check.key.namespace);
    (named && here) || alert.component == *check.key.name
}

fn check_advice(check: &CheckView, runs: &[RunView], depends: &[&CheckView], missing: &[&ObjectKey]) -> Vec<String> {
    let mut advice = Vec::new();
    if check.suspended {
        advice.push("It is suspended (spec.suspend): nothing is checked until that is removed.".to_owned());
        return advice;
    }
    for key in missing {
        advice.push(format!("It depends on {key}, which does not exist: correct spec.dependsOn."));
    }
    for other in depends.iter().filter(|other| other.health != Health::Healthy) {
        advice.push(format!("Mend {} first ({}): this check depends on it.", other.key, other.health.lower()));
    }
    if check.health == Health::Healthy {
        if let Some(bad) = runs.iter().rev().find(|run| run.health != Health::Healthy) {
            advice.push(format!(
                "It is healthy. One of the last {} runs was not ({}): a failureThreshold above 1 rides over such runs.",
                runs.len(),
                bad.reason
            ));
        } else {
            advice.push("It is healthy; there is nothing to do.".to_owned());
        }
        return advice;
    }
    let target = &check.target;
    let hint = match check.reason.as_str() {
        reason if reason.contains("Resolve") || reason.contains("Dns") || reason.contains("NoSuchHost") => {
            format!("The name of {target} does not resolve: look at the name, and at this machine's resolver.")
        }
        reason if reason.contains("Refused") => {
            format!("Nothing listens at {target}: start it, or correct the port.")
        }
        reason if reason.contains("AddressDenied") => {
            format!("The network policy does not allow {target}: see networkPolicy in the VitalsConfig.")
        }
        reason if reason.contains("Timeout") || reason.contains("TimedOut") => format!(
            "{target} does not answer within {} ms: look whether it is overloaded or a firewall drops packets; raise \
             spec.timeout if it is only slow.",
            check.timeout_ms
        ),
        reason if reason.contains("Tls") || reason.contains("Certificate") => {
            format!("The TLS session with {target} fails: look at its certificate's names, issuer and dates.")
        }
        reason if reason.contains("Status") => {
            format!("{target} answers, but not as expected: look at its own log, or correct spec.http.expect.")
        }
        reason if reason.contains("Dependency") => String::new(),
        "DependencyFailed" | "" => String::new(),
        _ if check.health == Health::Unknown => format!(
            "It could not be judged ({}): see the message above; `vitals get healthchecks` shows whether others are too.",
            check.reason
        ),
        _ => format!("Look at {target}; the message above says what was found."),
    };
    if !hint.is_empty() {
        advice.push(hint);
    }
    advice.push(format!("Once mended, POST /health/checks/{}/run confirms it at once.", check.key));
    advice
}

fn explain_rule(web: &Shared, rule: &RuleView) -> Value {
    let alerts: Vec<AlertView> = web.views.alerts().into_iter().filter(|alert| alert.rule == rule.key).collect();
    let receivers: Vec<ReceiverView> =
        web.views.receivers().into_iter().filter(|receiver| rule.receivers.contains(&receiver.key)).collect();
    let now = web.views.system().now;
    let (values, problem) = match eval::samples(&*web.views.series(), &rule.expr, now) {
        Ok(samples) => (samples, None),
        Err(refusal) => (Vec::new(), Some(refusal.message)),
    };
    let shown: Vec<Value> =
        values.iter().take(SHOWN).map(|(labels, value)| json!({ "labels": labels, "value": number(*value) })).collect();
    json!({
        "rule": rule,
        "alerts": alerts,
        "checks": checks_behind(web, &alerts),
        "receivers": receivers,
        "values": shown,
        "values_total": values.len(),
        "query_error": problem,
        "next": rule_advice(rule, &alerts, &receivers),
    })
}

/// The checks that a rule's alerts speak of: what they found says more than the rule's number.
fn checks_behind(web: &Shared, alerts: &[AlertView]) -> Vec<CheckView> {
    let mut checks = web.views.checks();
    checks.retain(|check| alerts.iter().any(|alert| is_about(alert, check)));
    checks.truncate(SHOWN);
    checks
}

fn rule_advice(rule: &RuleView, alerts: &[AlertView], receivers: &[ReceiverView]) -> Vec<String> {
    let mut advice = Vec::new();
    match rule.evaluated.as_str() {
        "Warming" => advice.push("It waits until there is history enough for its range; nothing to do.".to_owned()),
        "NoSuchSeries" => advice.push(
            "No series matches its expression: look at the names with `vitals query`, and whether the collector is on."
                .to_owned(),
        ),
        "" | "Ok" => {}
        other => advice.push(format!("Its evaluation fails ({other}): {}", rule.message)),
    }
    if rule.record {
        return advice;
    }
    if rule.receivers.is_empty() {
        advice.push(
            "Nobody is told: no AlertReceiver matches it and none is the default. Add one with `default: true`, or name \
             it in spec.notify.receivers."
                .to_owned(),
        );
    }
    for receiver in receivers.iter().filter(|receiver| !receiver.ready) {
        advice.push(format!("Messages to {} do not get through ({}).", receiver.key, receiver.reason));
    }
    let loud = alerts.iter().filter(|alert| alert.state == "Firing" && alert.acknowledged.is_none());
    for alert in loud.take(3) {
        if let Some(url) = alert.annotations.get("runbook_url") {
            advice.push(format!("Follow {url}."));
        }
        advice.push(format!("Acknowledge it with `vitals ack {}` while you work on it.", alert.id));
    }
    match rule.state.as_str() {
        "Pending" => advice.push(format!("It fires once it has held for {}.", rule.hold)),
        "Inactive" if advice.is_empty() => advice.push("It does not fire; there is nothing to do.".to_owned()),
        _ => {}
    }
    advice
}
