//! Conditions become PromQL: one engine for all of them.

use crate::api::{AlertRuleSpec, ErrorRate, Function, HealthCondition, LabelMatcher, ThresholdCondition};
use crate::model::{Health, Span};
use crate::promql::{Query, QueryError};

/// Default window of thresholds and error rates.
const WINDOW: Span = Span::seconds(300);

/// A rule's condition as PromQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The field that it was written in, such as `spec.expr`.
    pub path: &'static str,
    /// The PromQL.
    pub expr: String,
    /// The condition as people read it.
    pub source: String,
    /// Whether it is judged over roll-ups unless the rule says otherwise.
    pub over_rollups: bool,
}

/// The PromQL of a rule. `select` gives the names of the namespace's checks that a selector selects.
///
/// | condition | PromQL |
/// |---|---|
/// | `expr` | as written |
/// | `threshold` | `avg_over_time(metric{matchers}[window]) > value`; function `last` without window: `metric{…} > value` |
/// | `errorRate` | `100 ×` growth of `vitals_check_runs_total{result="unhealthy"}` `/` growth of all runs `>= percent` |
/// | `health` | `vitals_healthcheck_health{…} == 0` and so on: Healthy 1, Degraded 0.5, Unhealthy 0, Unknown -1 |
#[must_use]
pub fn condition(
    namespace: &str,
    spec: &AlertRuleSpec,
    select: &dyn Fn(&crate::model::spec::LabelSelector) -> Vec<String>,
) -> Condition {
    if let Some(health) = &spec.health {
        let names = names(health.name.as_ref(), health.selector.as_ref(), select);
        health_condition(namespace, health, &names)
    } else if let Some(threshold) = &spec.threshold {
        threshold_condition(threshold)
    } else if let Some(rate) = &spec.error_rate {
        let names = names(rate.name.as_ref(), rate.selector.as_ref(), select);
        error_rate_condition(namespace, rate, &names)
    } else {
        let expr = spec.expr.as_deref().unwrap_or_default().trim().to_owned();
        Condition { path: "spec.expr", source: expr.clone(), expr, over_rollups: false }
    }
}

/// Reads an expression that is a rule's.
///
/// # Errors
/// It is not PromQL, or its result is neither an instant vector nor a number.
pub fn parse(expr: &str) -> Result<Query, (&'static str, String)> {
    let query = Query::parse(expr).map_err(|error: QueryError| (error.reason(), error.to_string()))?;
    if query.yields_vector() {
        Ok(query)
    } else {
        let message =
            "the expression gives a range or a text, not one value per series; apply a function such as rate()";
        Err(("NotAVector", message.into()))
    }
}

fn names(
    name: Option<&String>,
    selector: Option<&crate::model::spec::LabelSelector>,
    select: &dyn Fn(&crate::model::spec::LabelSelector) -> Vec<String>,
) -> Vec<String> {
    match (name, selector) {
        (Some(name), _) => vec![name.clone()],
        (None, Some(selector)) => select(selector),
        (None, None) => Vec::new(),
    }
}

/// `namespace="…",name="…"`, with a regular expression for several names. No name at all matches no series.
fn of_checks(namespace: &str, names: &[String]) -> String {
    match names {
        [name] => format!("namespace={namespace:?},name={name:?}"),
        names => {
            let pattern = names.iter().map(|name| name.replace('.', r"\.")).collect::<Vec<_>>().join("|");
            format!("namespace={namespace:?},name=~{pattern:?}")
        }
    }
}

fn said(names: &[String]) -> String {
    match names {
        [] => "no check".into(),
        [name] => format!("check {name}"),
        names => format!("{} checks", names.len()),
    }
}

fn health_condition(namespace: &str, health: &HealthCondition, names: &[String]) -> Condition {
    let series = format!("vitals_healthcheck_health{{{}}}", of_checks(namespace, names));
    let mut states: Vec<Health> = health.status_in.clone();
    states.sort_unstable();
    states.dedup();
    let parts: Vec<String> = states.iter().map(|state| format!("{series} == {}", state.as_number())).collect();
    let words: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    Condition {
        path: "spec.health",
        expr: parts.join(" or "),
        source: format!("{} is {}", said(names), words.join(" or ")),
        over_rollups: true,
    }
}

fn threshold_condition(threshold: &ThresholdCondition) -> Condition {
    let matchers: Vec<String> = threshold.matchers.iter().map(written).collect();
    let selector = if matchers.is_empty() {
        threshold.metric.clone()
    } else {
        format!("{}{{{}}}", threshold.metric, matchers.join(","))
    };
    let function = match threshold.function {
        Function::Last => "last_over_time",
        Function::Avg => "avg_over_time",
        Function::Min => "min_over_time",
        Function::Max => "max_over_time",
        Function::Rate => "rate",
        Function::Increase => "increase",
    };
    let left = match (threshold.function, threshold.window) {
        (Function::Last, None) => selector,
        (_, window) => format!("{function}({selector}[{}])", window.unwrap_or(WINDOW)),
    };
    let expr = format!("{left} {} {}", threshold.operator.as_str(), threshold.value);
    Condition { path: "spec.threshold", source: expr.clone(), expr, over_rollups: false }
}

fn written(matcher: &LabelMatcher) -> String {
    format!("{}{}{}", matcher.name, matcher.match_type.as_str(), quoted(&matcher.value))
}

/// A text as PromQL quotes it.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn error_rate_condition(namespace: &str, rate: &ErrorRate, names: &[String]) -> Condition {
    let window = rate.window.unwrap_or(WINDOW);
    let checks = of_checks(namespace, names);
    let failed = format!("increase(vitals_check_runs_total{{{checks},result=\"unhealthy\"}}[{window}])");
    let all = format!("sum by (namespace, name) (increase(vitals_check_runs_total{{{checks}}}[{window}]))");
    // increase() extrapolates: ten runs may come out as 9.97, so half a run of grace.
    let enough = format!("{all} > {}.5", rate.min_runs - 1);
    Condition {
        path: "spec.errorRate",
        expr: format!("100 * sum by (namespace, name) ({failed}) / {all} >= {} and {enough}", rate.percent),
        source: format!("{}: {}% of runs failed in {window}", said(names), rate.percent),
        over_rollups: false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rule(json: serde_json::Value) -> AlertRuleSpec {
        serde_json::from_value(json).unwrap()
    }

    fn expr(json: serde_json::Value) -> String {
        let found = condition("shop", &rule(json), &|_| vec!["a".into(), "b.c".into()]);
        parse(&found.expr).unwrap_or_else(|why| panic!("{}: {why:?}", found.expr));
        found.expr
    }

    #[test]
    fn a_threshold_is_a_function_over_a_window_compared() {
        let threshold = json!({ "metric": "node_load1", "operator": "GreaterThan", "value": "2" });
        assert_eq!(expr(json!({ "threshold": threshold })), "node_load1 > 2");
        let threshold = json!({ "metric": "m", "function": "avg", "window": "1h30m", "operator": "LessOrEqual", "value": "-1.5",
            "matchers": [{ "name": "a", "value": "x\"y" }, { "name": "b", "matchType": "!~", "value": "c\\d" }] });
        assert_eq!(
            expr(json!({ "threshold": threshold })),
            "avg_over_time(m{a=\"x\\\"y\",b!~\"c\\\\d\"}[1h30m]) <= -1.5"
        );
        let threshold = json!({ "metric": "m", "function": "rate", "operator": "NotEqual", "value": "0" });
        assert_eq!(expr(json!({ "threshold": threshold })), "rate(m[5m]) != 0");
    }

    #[test]
    fn health_is_compared_with_its_number() {
        assert_eq!(
            expr(json!({ "health": { "name": "web" } })),
            "vitals_healthcheck_health{namespace=\"shop\",name=\"web\"} == 0"
        );
        assert_eq!(
            expr(
                json!({ "health": { "selector": { "matchLabels": { "a": "b" } }, "statusIn": ["Unknown", "Degraded", "Unknown"] } })
            ),
            "vitals_healthcheck_health{namespace=\"shop\",name=~\"a|b\\\\.c\"} == 0.5 or \
             vitals_healthcheck_health{namespace=\"shop\",name=~\"a|b\\\\.c\"} == -1"
        );
    }

    #[test]
    fn an_error_rate_needs_enough_runs() {
        assert_eq!(
            expr(json!({ "errorRate": { "name": "web", "percent": 20 } })),
            "100 * sum by (namespace, name) (increase(vitals_check_runs_total{namespace=\"shop\",name=\"web\",result=\"unhealthy\"}[5m])) \
             / sum by (namespace, name) (increase(vitals_check_runs_total{namespace=\"shop\",name=\"web\"}[5m])) >= 20 \
             and sum by (namespace, name) (increase(vitals_check_runs_total{namespace=\"shop\",name=\"web\"}[5m])) > 3.5"
        );
    }

    #[test]
    fn a_range_is_no_condition() {
        assert_eq!(parse("up[5m]").unwrap_err().0, "NotAVector");
        assert!(parse("sum(rate(a[5m])").is_err());
    }

    proptest! {
        #[test]
        fn every_threshold_that_the_schema_takes_is_promql(
            value in "-?[0-9]{1,6}(\\.[0-9]{1,4})?", label in "\\PC{0,40}", function in 0usize..6, window in 1u64..1_000_000
        ) {
            let function = ["last", "avg", "min", "max", "rate", "increase"][function];
            let spec = rule(json!({ "threshold": { "metric": "m", "function": function, "operator": "LessThan",
                "value": value, "window": Span::millis(window), "matchers": [{ "name": "a", "value": label }] } }));
            let found = condition("shop", &spec, &|_| Vec::new());
            prop_assert!(parse(&found.expr).is_ok(), "{}: {:?}", found.expr, parse(&found.expr).err());
        }
    }
}
