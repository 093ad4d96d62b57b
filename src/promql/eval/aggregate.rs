//! Aggregations: `sum by (…)`, `topk`, `quantile` and their like.

use super::Sample;
use super::keys::Places;
use super::numbers::{Mean, Sum, quantile};
use super::run::Run;
use crate::model::series::Millis;
use crate::promql::ast::{Aggregate, AggregateOp, Expr, Grouping};
use crate::promql::error::QueryError;

/// Evaluates an aggregation.
pub(super) fn evaluate(run: &Run<'_>, node: &Aggregate, at: Millis) -> Result<Vec<Sample>, QueryError> {
    let samples = run.vector(&node.inner, at)?;
    match node.op {
        AggregateOp::Topk | AggregateOp::Bottomk => {
            let k = whole_number(run, node, at)?;
            Ok(best(run, node, samples, k))
        }
        AggregateOp::CountValues => count_values(run, node, samples),
        AggregateOp::Quantile => {
            let phi = match &node.param {
                Some(param) => run.scalar(param, at)?,
                None => f64::NAN,
            };
            run.env.check_quantile(phi, node.first_place);
            Ok(fold(
                run,
                &node.grouping,
                &samples,
                |first| vec![first],
                Vec::push,
                |mut values| quantile(phi, &mut values),
            ))
        }
        AggregateOp::Sum => Ok(fold(
            run,
            &node.grouping,
            &samples,
            |first| {
                let mut sum = Sum::default();
                sum.add(first);
                sum
            },
            Sum::add,
            Sum::total,
        )),
        AggregateOp::Avg => Ok(fold(
            run,
            &node.grouping,
            &samples,
            |first| {
                let mut mean = Mean::default();
                mean.add(first);
                mean
            },
            Mean::add,
            Mean::result,
        )),
        AggregateOp::Count => Ok(fold(run, &node.grouping, &samples, |_| 1.0, |count, _| *count += 1.0, |count| count)),
        AggregateOp::Group => Ok(fold(run, &node.grouping, &samples, |_| 1.0, |_, _| (), |one| one)),
        AggregateOp::Max => Ok(fold(
            run,
            &node.grouping,
            &samples,
            |first| first,
            |best, value| {
                if value > *best || best.is_nan() {
                    *best = value;
                }
            },
            |best| best,
        )),
        AggregateOp::Min => Ok(fold(
            run,
            &node.grouping,
            &samples,
            |first| first,
            |best, value| {
                if value < *best || best.is_nan() {
                    *best = value;
                }
            },
            |best| best,
        )),
        AggregateOp::Stdvar => Ok(fold(run, &node.grouping, &samples, Spread::new, Spread::add, Spread::variance)),
        AggregateOp::Stddev => {
            Ok(fold(run, &node.grouping, &samples, Spread::new, Spread::add, |spread| spread.variance().sqrt()))
        }
    }
}

/// Mean and squared distances, updated value by value.
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn new(first: f64) -> Self {
        Self { count: 1.0, mean: first, squares: if first.is_finite() { 0.0 } else { f64::NAN } }
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn variance(self) -> f64 {
        self.squares / self.count
    }
}

/// One result element per group, in order of first appearance.
fn fold<S>(
    run: &Run<'_>,
    grouping: &Grouping,
    samples: &[Sample],
    begin: impl Fn(f64) -> S,
    add: impl Fn(&mut S, f64),
    end: impl Fn(S) -> f64,
) -> Vec<Sample> {
    struct Open<S> {
        first: usize,
        hide: bool,
        state: S,
    }
    let reader = run.env.reader;
    let mut groups: Vec<Open<S>> = Vec::new();
    let mut places = Places::default();
    // `sum(x)` has one group only: no label needs to be read.
    let single = !grouping.except && grouping.labels.is_empty();
    for (index, sample) in samples.iter().enumerate() {
        let next = groups.len();
        let found = if single {
            (next > 0).then_some(0)
        } else {
            let same = |group: usize| {
                let other = groups.get(group).and_then(|group| samples.get(group.first));
                other.is_some_and(|other| reader.same(other, sample, grouping))
            };
            places.find_or_put(reader.signature(sample, grouping), next, same)
        };
        match found.and_then(|place| groups.get_mut(place)) {
            Some(group) => {
                add(&mut group.state, sample.value);
                group.hide |= sample.hide;
            }
            None => groups.push(Open { first: index, hide: sample.hide, state: begin(sample.value) }),
        }
    }
    groups
        .into_iter()
        .filter_map(|group| {
            let first = samples.get(group.first)?;
            let labels = reader.part(first, grouping);
            let hide = group.hide && labels.metric().is_some();
            Some(Sample { labels, hide, value: end(group.state) })
        })
        .collect()
}

/// The parameter of `topk` and `bottomk`.
fn whole_number(run: &Run<'_>, node: &Aggregate, at: Millis) -> Result<usize, QueryError> {
    let k = match &node.param {
        Some(param) => run.scalar(param, at)?,
        None => f64::NAN,
    };
    if k.is_nan() {
        return Err(QueryError::BadArgument(format!("Parameter value is NaN: {} needs a number", node.op.as_str())));
    }
    if k.abs() >= 9.3e18 {
        return Err(QueryError::BadArgument(format!(
            "Scalar value {k} overflows int64: {} needs less",
            node.op.as_str()
        )));
    }
    Ok(if k < 1.0 { 0 } else { k as usize })
}

/// The k largest or smallest elements of each group, best first; NaN is worst.
fn best(run: &Run<'_>, node: &Aggregate, samples: Vec<Sample>, k: usize) -> Vec<Sample> {
    if k == 0 {
        return Vec::new();
    }
    let reader = run.env.reader;
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut places = Places::default();
    for (index, sample) in samples.iter().enumerate() {
        let same = |group: usize| {
            let other = groups.get(group).and_then(|group| group.first()).and_then(|first| samples.get(*first));
            other.is_some_and(|other| reader.same(other, sample, &node.grouping))
        };
        let found = places.find_or_put(reader.signature(sample, &node.grouping), groups.len(), same);
        match found.and_then(|place| groups.get_mut(place)) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    let value = |index: &usize| samples.get(*index).map_or(f64::NAN, |sample| sample.value);
    let largest_first = node.op == AggregateOp::Topk;
    let mut out = Vec::new();
    for mut group in groups {
        // Stable: of equal elements the earlier ones stay.
        group.sort_by(|a, b| order(value(a), value(b), largest_first));
        group.truncate(k);
        out.extend(group.iter().filter_map(|index| samples.get(*index).cloned()));
    }
    out
}

/// Orders values with NaN last.
pub(super) fn order(a: f64, b: f64, descending: bool) -> std::cmp::Ordering {
    match a.partial_cmp(&b) {
        Some(order) if descending => order.reverse(),
        Some(order) => order,
        None => a.is_nan().cmp(&b.is_nan()),
    }
}

/// Counts equal values; the value becomes a label.
fn count_values(run: &Run<'_>, node: &Aggregate, samples: Vec<Sample>) -> Result<Vec<Sample>, QueryError> {
    let Some(Expr::Text(label)) = node.param.as_ref().map(Expr::bare) else {
        return Err(QueryError::BadArgument("count_values needs a label name in quotes".into()));
    };
    if label.is_empty() {
        return Err(QueryError::BadArgument(format!("invalid label name {label:?} in count_values")));
    }
    let mut grouping = node.grouping.clone();
    if grouping.except {
        grouping.labels.retain(|name| name != label);
    } else if !grouping.labels.contains(label) {
        grouping.labels.push(label.clone());
    }
    // Elements grouped by `without` lose their name before the value is added.
    let labelled: Vec<Sample> = samples
        .into_iter()
        .map(|sample| {
            let text = number(sample.value);
            let base = run.env.reader.part(&sample, &node.grouping);
            let hide = sample.hide && base.metric().is_some();
            Sample { labels: base.with(label, &text), hide, value: sample.value }
        })
        .collect();
    Ok(fold(run, &grouping, &labelled, |_| 1.0, |count, _| *count += 1.0, |count| count))
}

/// A value without exponent, as Go's `'f', -1`.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        format!("{value}")
    }
}
