//! Functions over the points of one window: `rate`, `increase`, `avg_over_time` and their like.

use super::Sample;
use super::numbers::{Sum, quantile};
use super::run::Run;
use crate::model::series::{Millis, Point};
use crate::promql::ast::{Call, Expr};
use crate::promql::error::QueryError;

/// A function over one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::promql) enum RangeOp {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    First,
    Idelta,
    Increase,
    Irate,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Smoothing,
    Stddev,
    Stdvar,
    Sum,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMax,
    TimeOfMin,
}

/// The time that a window covers: after `from`, up to and including `to`, in unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub(in crate::promql) struct Window {
    pub from: Millis,
    pub to: Millis,
}

/// Evaluates a call of such a function for every series of its range vector.
pub(super) fn evaluate(run: &Run<'_>, call: &Call, op: RangeOp, at: Millis) -> Result<Vec<Sample>, QueryError> {
    let (matrix, params) = arguments(run, call, op, at)?;
    let keeps_name = matches!(op, RangeOp::Last | RangeOp::First);
    let counts = matches!(op, RangeOp::Rate | RangeOp::Increase);
    let mut out = Vec::new();
    let mut scratch = Vec::new();
    run.windows(matrix, at, &mut |labels, hide, points, window| {
        if counts && run.env.notes.is_some() {
            note_other_than_counter(run, labels.metric().unwrap_or(""), call);
        }
        if let Some(value) = apply(op, points, window, at, params, &mut scratch) {
            out.push(Sample { labels: labels.clone(), hide: hide || !keeps_name, value });
        }
    })?;
    if !keeps_name {
        run.check_unique(&out, matrix)?;
    }
    Ok(out)
}

/// `rate` of a gauge is the commonest mistake in rules; the name is the only hint.
fn note_other_than_counter(run: &Run<'_>, name: &str, call: &Call) {
    let counter = ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
    if !name.is_empty() && !counter {
        run.env.note(false, || {
            format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?} ({})",
                call.first_place
            )
        });
    }
}

fn arguments<'e>(run: &Run<'_>, call: &'e Call, op: RangeOp, at: Millis) -> Result<(&'e Expr, [f64; 2]), QueryError> {
    let mut params = [0.0; 2];
    let (first, rest) = match call.args.split_first() {
        Some(split) => split,
        None => return Err(QueryError::BadArgument(format!("{} needs an argument", call.function.name))),
    };
    let matrix = match op {
        RangeOp::Quantile => {
            params[0] = run.scalar(first, at)?;
            run.env.check_quantile(params[0], call.first_place);
            rest.first().unwrap_or(first)
        }
        _ => {
            for (param, arg) in params.iter_mut().zip(rest) {
                *param = run.scalar(arg, at)?;
            }
            first
        }
    };
    if op == RangeOp::Smoothing {
        for (param, what) in params.iter().zip(["smoothing", "trend"]) {
            if !(*param > 0.0 && *param < 1.0) {
                return Err(QueryError::BadArgument(format!(
                    "{}: the {what} factor must be between 0 and 1, not {param}",
                    call.function.name
                )));
            }
        }
    }
    Ok((matrix, params))
}

fn apply(
    op: RangeOp,
    points: &[Point],
    window: Window,
    at: Millis,
    params: [f64; 2],
    scratch: &mut Vec<f64>,
) -> Option<f64> {
    let first = points.first()?;
    let last = points.last()?;
    let values = points.iter().map(|point| point.value);
    Some(match op {
        RangeOp::Rate => return extrapolated(points, window, true, true),
        RangeOp::Increase => return extrapolated(points, window, true, false),
        RangeOp::Delta => return extrapolated(points, window, false, false),
        RangeOp::Irate => return last_two(points, true),
        RangeOp::Idelta => return last_two(points, false),
        RangeOp::Avg => average(values),
        RangeOp::Sum => {
            let mut sum = Sum::default();
            values.for_each(|value| sum.add(value));
            sum.total()
        }
        RangeOp::Count => points.len() as f64,
        RangeOp::Present => 1.0,
        RangeOp::First => first.value,
        RangeOp::Last => last.value,
        RangeOp::Max => extreme(points, |a, b| a > b).value,
        RangeOp::Min => extreme(points, |a, b| a < b).value,
        RangeOp::TimeOfMax => seconds(extreme(points, |a, b| a >= b).at),
        RangeOp::TimeOfMin => seconds(extreme(points, |a, b| a <= b).at),
        RangeOp::TimeOfFirst => seconds(first.at),
        RangeOp::TimeOfLast => seconds(last.at),
        RangeOp::Changes => {
            let changed = |a: f64, b: f64| a != b && !(a.is_nan() && b.is_nan());
            pairs(points).filter(|(a, b)| changed(a.value, b.value)).count() as f64
        }
        RangeOp::Resets => pairs(points).filter(|(a, b)| b.value < a.value).count() as f64,
        RangeOp::Stdvar => variance(values),
        RangeOp::Stddev => variance(values).sqrt(),
        RangeOp::Quantile => {
            scratch.clear();
            scratch.extend(values);
            quantile(params[0], scratch)
        }
        RangeOp::Mad => {
            scratch.clear();
            scratch.extend(values);
            if scratch.iter().any(|value| value.is_nan()) {
                return Some(f64::NAN);
            }
            let median = quantile(0.5, scratch);
            scratch.iter_mut().for_each(|value| *value = (*value - median).abs());
            quantile(0.5, scratch)
        }
        RangeOp::Deriv => {
            if points.len() < 2 {
                return None;
            }
            regression(points, first.at).0
        }
        RangeOp::PredictLinear => {
            if points.len() < 2 {
                return None;
            }
            let (slope, intercept) = regression(points, at);
            slope * params[0] + intercept
        }
        RangeOp::Smoothing => return smoothing(points, params),
    })
}

fn seconds(at: Millis) -> f64 {
    at as f64 / 1000.0
}

fn pairs(points: &[Point]) -> impl Iterator<Item = (&Point, &Point)> {
    points.iter().zip(points.iter().skip(1))
}

/// The point that beats all others; NaN never does.
fn extreme(points: &[Point], beats: impl Fn(f64, f64) -> bool) -> Point {
    let mut best = points.first().copied().unwrap_or(Point { at: 0, value: f64::NAN });
    for point in points.iter().skip(1) {
        if beats(point.value, best.value) || best.value.is_nan() {
            best = *point;
        }
    }
    best
}

/// `rate`, `increase` and `delta`: the change over the window, stretched to its edges as Prometheus 3 does.
fn extrapolated(points: &[Point], window: Window, counter: bool, per_second: bool) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let mut change = last.value - first.value;
    if counter {
        // A fall is a restart at zero: what was counted before it is added again.
        let mut previous = first.value;
        for point in points.iter().skip(1) {
            if point.value < previous {
                change += previous;
            }
            previous = point.value;
        }
    }
    let sampled = (last.at - first.at) as f64 / 1000.0;
    let mean_gap = sampled / (points.len() - 1) as f64;
    // A series that begins or ends well inside the window is stretched by half a gap only.
    let threshold = mean_gap * 1.1;
    let stretch = |gap: f64| if gap >= threshold { mean_gap / 2.0 } else { gap };
    let mut to_start = stretch((first.at - window.from) as f64 / 1000.0);
    if counter && change > 0.0 && first.value >= 0.0 {
        // A counter is not stretched to before it was zero.
        to_start = to_start.min(sampled * (first.value / change));
    }
    let to_end = stretch((window.to - last.at) as f64 / 1000.0);
    let mut factor = (sampled + to_start + to_end) / sampled;
    if per_second {
        factor /= (window.to - window.from) as f64 / 1000.0;
    }
    Some(change * factor)
}

/// `irate` and `idelta`: the last two points alone.
fn last_two(points: &[Point], per_second: bool) -> Option<f64> {
    let [.., previous, last] = points else { return None };
    let change = if per_second && last.value < previous.value { last.value } else { last.value - previous.value };
    if !per_second {
        return Some(change);
    }
    let gap = last.at - previous.at;
    (gap != 0).then(|| change / (gap as f64 / 1000.0))
}

/// The mean; computed step by step only where the plain sum would overflow.
fn average(values: impl Iterator<Item = f64>) -> f64 {
    let mut mean = super::numbers::Mean::default();
    values.for_each(|value| mean.add(value));
    mean.result()
}

fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for value in values {
        count += 1.0;
        let delta = value - mean.raw();
        mean.add(delta / count);
        squares.add(delta * (value - mean.raw()));
    }
    squares.raw() / count
}

/// Least squares: slope per second, and the line's value at `origin`.
fn regression(points: &[Point], origin: Millis) -> (f64, f64) {
    let initial = points.first().map_or(f64::NAN, |point| point.value);
    if points.iter().all(|point| point.value == initial) {
        return if initial.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, initial) };
    }
    let (mut x, mut y, mut xy, mut xx) = (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for point in points {
        let offset = (point.at - origin) as f64 / 1000.0;
        x.add(offset);
        y.add(point.value);
        xy.add(offset * point.value);
        xx.add(offset * offset);
    }
    let n = points.len() as f64;
    let (x, y, xy, xx) = (x.raw(), y.raw(), xy.raw(), xx.raw());
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// Holt's double exponential smoothing.
fn smoothing(points: &[Point], [factor, trend_factor]: [f64; 2]) -> Option<f64> {
    let [first, second, ..] = points else { return None };
    let (mut before, mut level) = (0.0, first.value);
    let mut trend = second.value - first.value;
    for (index, point) in points.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = factor * point.value + (1.0 - factor) * (level + trend);
        (before, level) = (level, next);
    }
    Some(level)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_counters_rate_is_never_negative_whatever_its_resets(
            values in prop::collection::vec(0.0_f64..1e12, 2..60),
            gaps in prop::collection::vec(1_i64..100_000, 60),
        ) {
            let mut at = 0;
            let points: Vec<Point> = values.iter().zip(gaps).map(|(value, gap)| {
                at += gap;
                Point { at, value: *value }
            }).collect();
            let window = Window { from: 0, to: at };
            let rate = extrapolated(&points, window, true, true).unwrap();
            prop_assert!(rate >= 0.0, "{rate}");
            let increase = extrapolated(&points, window, true, false).unwrap();
            prop_assert!((increase - rate * at as f64 / 1000.0).abs() <= increase * 1e-9);
        }

        #[test]
        fn a_mean_lies_between_the_extremes(values in prop::collection::vec(-1e300_f64..1e300, 1..50)) {
            let mean = average(values.iter().copied());
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let slack = 1e-9 * low.abs().max(high.abs());
            prop_assert!(mean >= low - slack && mean <= high + slack);
        }
    }
}
