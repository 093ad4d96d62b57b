//! The one place where this room asks the query engine.

use crate::model::ports::Series;
use crate::model::series::Millis;
use crate::model::{Labels, Matcher};
use crate::promql::{Limits, Note, Query, QueryError, RangeSeries, Value};

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Whether the expression itself is wrong, rather than what it asks of the data.
    pub bad: bool,
    /// What is wrong, where, and what to do.
    pub message: String,
}

fn parse(text: &str) -> Result<Query, Refusal> {
    Query::parse(text).map_err(|error| Refusal { bad: true, message: error.to_string() })
}

fn failed(error: QueryError) -> Refusal {
    Refusal { bad: false, message: error.to_string() }
}

/// The value of an expression at one time, and what is to be said about it.
pub(super) fn instant(series: &dyn Series, text: &str, at: Millis) -> Result<(Value, Vec<Note>), Refusal> {
    let mut notes = Vec::new();
    let value = parse(text)?.instant_noting(series, at, &Limits::default(), &mut notes).map_err(failed)?;
    Ok((value, notes))
}

/// The samples of an expression at one time; a number is a sample without labels.
pub(super) fn samples(series: &dyn Series, text: &str, at: Millis) -> Result<Vec<(Labels, f64)>, Refusal> {
    match instant(series, text, at)?.0 {
        Value::Vector(samples) => Ok(samples),
        Value::Scalar(value) => Ok(vec![(Labels::empty(), value)]),
        Value::Matrix(_) | Value::Text(_) => {
            let message = format!("{text:?} gives no single values; put it into rate(…) or an _over_time function");
            Err(Refusal { bad: true, message })
        }
    }
}

/// The values of an expression over time, and what is to be said about them.
pub(super) fn range(
    series: &dyn Series,
    text: &str,
    from: Millis,
    to: Millis,
    step: Millis,
) -> Result<(Vec<RangeSeries>, Vec<Note>), Refusal> {
    let mut notes = Vec::new();
    let lines = parse(text)?.range_noting(series, from, to, step, &Limits::default(), &mut notes).map_err(failed)?;
    Ok((lines, notes))
}

/// The matchers of a series selector, as in `match[]`.
pub(super) fn selectors(text: &str) -> Result<Vec<Vec<Matcher>>, Refusal> {
    let sets = parse(text)?.selectors();
    if sets.is_empty() {
        let message = format!("{text:?} selects no series; write a selector such as up{{job=\"node\"}}");
        return Err(Refusal { bad: true, message });
    }
    Ok(sets)
}
