//! The one place where this room asks the query engine.

use crate::model::labels::METRIC_NAME;
use crate::model::ports::Series;
use crate::model::series::{Millis, Point, is_stale};
use crate::model::{Labels, Matcher};

/// How far back an instant query looks for a series' last point.
const LOOKBACK: Millis = 5 * 60_000;

/// What a query gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Scalar(f64),
    Vector(Vec<(Labels, f64)>),
    Matrix(Vec<(Labels, Vec<Point>)>),
    Text(String),
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Whether the expression itself is wrong.
    pub bad: bool,
    pub message: String,
}

fn matchers(text: &str) -> Result<Vec<Matcher>, Refusal> {
    Ok(vec![Matcher::equal(METRIC_NAME, text.trim())])
}

/// The value of an expression at one time.
pub(super) fn instant(series: &dyn Series, text: &str, at: Millis) -> Result<Answer, Refusal> {
    let mut ids = Vec::new();
    series.find(&matchers(text)?, &mut ids);
    let found = ids.into_iter().filter_map(|id| {
        let point = series.latest(id, at - LOOKBACK, at)?;
        (!is_stale(point.value)).then(|| (series.labels(id), point.value))
    });
    Ok(Answer::Vector(found.collect()))
}

/// The values of an expression over time.
pub(super) fn range(
    series: &dyn Series,
    text: &str,
    from: Millis,
    to: Millis,
    step: Millis,
) -> Result<Vec<(Labels, Vec<Point>)>, Refusal> {
    let mut ids = Vec::new();
    series.find(&matchers(text)?, &mut ids);
    let line = |id| {
        let at = |at: Millis| series.latest(id, at - LOOKBACK, at).filter(|point| !is_stale(point.value));
        let steps = (from..=to).step_by(step.max(1) as usize);
        (series.labels(id), steps.filter_map(|t| at(t).map(|point| Point { at: t, value: point.value })).collect())
    };
    Ok(ids.into_iter().map(line).collect())
}

/// The matchers of a series selector, as in `match[]`.
pub(super) fn selectors(text: &str) -> Result<Vec<Vec<Matcher>>, Refusal> {
    Ok(vec![matchers(text)?])
}
