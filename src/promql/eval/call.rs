//! Functions over instant vectors and scalars.

use std::cmp::Ordering;

use super::calendar::civil;
use super::histogram::{self, Bucket};
use super::keys::Places;
use super::run::Run;
use super::{Sample, Val, aggregate, over_time};
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;
use crate::model::matcher::MatchOp;
use crate::model::series::Millis;
use crate::promql::ast::{Call, Expr, Grouping};
use crate::promql::error::QueryError;
use crate::promql::functions::Op;

/// Evaluates a call.
pub(super) fn evaluate(run: &Run<'_>, call: &Call, at: Millis) -> Result<Val, QueryError> {
    let args = Args { run, call, at };
    let seconds = |at: Millis| at as f64 / 1000.0;
    Ok(Val::Vector(match call.function.op {
        Op::Map(with) => args.map(with)?,
        Op::Calendar(with) if call.args.is_empty() => vec![unlabelled(with(civil(seconds(at))))],
        Op::Calendar(with) => args.map(|value| with(civil(value)))?,
        Op::Range(op) => over_time::evaluate(run, call, op, at)?,
        Op::Vector => vec![unlabelled(args.scalar(0)?)],
        Op::Absent => {
            let present = !args.vector(0)?.is_empty();
            if present { Vec::new() } else { vec![absent(call)] }
        }
        Op::AbsentOverTime => {
            let mut present = false;
            run.windows(args.expr(0)?, at, &mut |_, _, _, _| present = true)?;
            if present { Vec::new() } else { vec![absent(call)] }
        }
        Op::Clamp => {
            let (low, high) = (args.scalar(1)?, args.scalar(2)?);
            if high < low { Vec::new() } else { args.map(|value| larger(low, smaller(high, value)))? }
        }
        Op::ClampMax => {
            let high = args.scalar(1)?;
            args.map(|value| smaller(high, value))?
        }
        Op::ClampMin => {
            let low = args.scalar(1)?;
            args.map(|value| larger(low, value))?
        }
        Op::Round => {
            let nearest = if call.args.len() > 1 { args.scalar(1)? } else { 1.0 };
            // Multiplying by the inverse keeps 0.1-like steps exact.
            let inverse = 1.0 / nearest;
            args.map(|value| (value * inverse + 0.5).floor() / inverse)?
        }
        Op::Timestamp => timestamps(&args)?,
        Op::Sort { descending } => {
            let mut samples = args.vector(0)?;
            samples.sort_by(|a, b| aggregate::order(a.value, b.value, descending));
            samples
        }
        Op::SortByLabel { descending } => sort_by_label(&args, descending)?,
        Op::LabelReplace => label_replace(&args)?,
        Op::LabelJoin => label_join(&args)?,
        Op::HistogramQuantile => {
            let phi = args.scalar(0)?;
            run.env.check_quantile(phi, call.first_place);
            histograms(&args, 1, |name, buckets| {
                let (value, fixed) = histogram::quantile(phi, buckets);
                if fixed {
                    run.env.note(false, || {
                        format!(
                            "input to histogram_quantile needed to be fixed for monotonicity (see \
                             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) \
                             for metric name {name:?} ({})",
                            call.place
                        )
                    });
                }
                value
            })?
        }
        Op::HistogramFraction => {
            let (low, high) = (args.scalar(0)?, args.scalar(1)?);
            histograms(&args, 2, |_, buckets| histogram::fraction(low, high, buckets))?
        }
        Op::Scalar => {
            let samples = args.vector(0)?;
            return Ok(Val::Scalar(match samples.as_slice() {
                [only] => only.value,
                _ => f64::NAN,
            }));
        }
        Op::Time => return Ok(Val::Scalar(seconds(at))),
        Op::Pi => return Ok(Val::Scalar(std::f64::consts::PI)),
        Op::MinOf => return Ok(Val::Scalar(smaller(args.scalar(0)?, args.scalar(1)?))),
        Op::MaxOf => return Ok(Val::Scalar(larger(args.scalar(0)?, args.scalar(1)?))),
        Op::QueryStart => return Ok(Val::Scalar(seconds(run.env.start))),
        Op::QueryEnd => return Ok(Val::Scalar(seconds(run.env.end))),
        Op::QueryRange => return Ok(Val::Scalar(seconds(run.env.end - run.env.start))),
        Op::QueryStep => return Ok(Val::Scalar(seconds(run.env.step))),
    }))
}

/// The arguments of a call.
struct Args<'r, 'e, 'c> {
    run: &'r Run<'e>,
    call: &'c Call,
    at: Millis,
}

impl<'c> Args<'_, '_, 'c> {
    fn expr(&self, index: usize) -> Result<&'c Expr, QueryError> {
        // Counts and types were checked while parsing.
        self.call
            .args
            .get(index)
            .ok_or_else(|| QueryError::BadArgument(format!("{} needs argument {}", self.call.function.name, index + 1)))
    }

    fn vector(&self, index: usize) -> Result<Vec<Sample>, QueryError> {
        self.run.vector(self.expr(index)?, self.at)
    }

    fn scalar(&self, index: usize) -> Result<f64, QueryError> {
        self.run.scalar(self.expr(index)?, self.at)
    }

    fn text(&self, index: usize) -> &'c str {
        match self.call.args.get(index).map(Expr::bare) {
            Some(Expr::Text(text)) => text,
            _ => "",
        }
    }

    /// Element by element over the first argument; the metric name is dropped.
    fn map(&self, with: impl Fn(f64) -> f64) -> Result<Vec<Sample>, QueryError> {
        let mut samples = self.vector(0)?;
        for sample in &mut samples {
            sample.value = with(sample.value);
            sample.hide = true;
        }
        self.run.check_unique(&samples, self.expr(0)?)?;
        Ok(samples)
    }
}

fn unlabelled(value: f64) -> Sample {
    Sample { labels: Labels::empty(), hide: false, value }
}

/// The smaller of two; NaN if either is.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The larger of two; NaN if either is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The element that stands for missing series: labels that the selector fixes with `=`, once each.
fn absent(call: &Call) -> Sample {
    let matchers = match call.args.first().map(Expr::bare) {
        Some(Expr::Selector(selector) | Expr::Range(selector, _)) => selector.matchers.as_slice(),
        _ => &[],
    };
    let fixed = matchers.iter().filter(|matcher| {
        let name = matcher.name();
        name != METRIC_NAME
            && matcher.op() == MatchOp::Equal
            && matchers.iter().filter(|other| other.name() == name).count() == 1
    });
    Sample { labels: Labels::from_pairs(fixed.map(|m| (m.name(), m.value()))), hide: false, value: 1.0 }
}

/// A selector's own times; of anything else the evaluation time.
fn timestamps(args: &Args<'_, '_, '_>) -> Result<Vec<Sample>, QueryError> {
    let expr = args.expr(0)?;
    let Expr::Selector(selector) = expr.bare() else { return args.map(|_| args.at as f64 / 1000.0) };
    let mut out = Vec::new();
    args.run.each_latest(selector, args.at, &mut |labels, point| {
        out.push(Sample { labels: labels.clone(), hide: true, value: point.at as f64 / 1000.0 });
    })?;
    args.run.check_unique(&out, expr)?;
    Ok(out)
}

fn sort_by_label(args: &Args<'_, '_, '_>, descending: bool) -> Result<Vec<Sample>, QueryError> {
    let reader = args.run.env.reader;
    let mut samples = args.vector(0)?;
    samples.sort_by(|a, b| {
        let by_label = (1..args.call.args.len())
            .map(|index| args.text(index))
            .map(|name| natural(reader.get(a, name), reader.get(b, name)))
            .find(|order| order.is_ne());
        let order = by_label.unwrap_or_else(|| reader.labels(a).cmp(reader.labels(b)));
        if descending { order.reverse() } else { order }
    });
    Ok(samples)
}

/// Compares texts with their numbers as numbers: `4m5` before `4m600`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (x, y) = (piece(a), piece(b));
        if x.is_empty() || y.is_empty() {
            return x.len().cmp(&y.len());
        }
        let order = match (x.parse::<u64>(), y.parse::<u64>()) {
            (Ok(x), Ok(y)) => x.cmp(&y),
            _ => x.cmp(y),
        };
        if order.is_ne() {
            return order;
        }
        a = a.get(x.len()..).unwrap_or("");
        b = b.get(y.len()..).unwrap_or("");
    }
}

/// The leading digits, or everything before the next digit.
fn piece(text: &str) -> &str {
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

fn label_replace(args: &Args<'_, '_, '_>) -> Result<Vec<Sample>, QueryError> {
    let (to, replacement, from) = (args.text(1), args.text(2), args.text(3));
    let mut samples = args.vector(0)?;
    let Some(pattern) = &args.call.pattern else { return Ok(samples) };
    for sample in &mut samples {
        let mut value = String::new();
        match pattern.captures(args.run.env.reader.get(sample, from)) {
            Some(captures) => captures.expand(replacement, &mut value),
            None => continue,
        }
        set_label(sample, to, &value);
    }
    args.run.unique(&samples)?;
    Ok(samples)
}

fn label_join(args: &Args<'_, '_, '_>) -> Result<Vec<Sample>, QueryError> {
    let (to, separator) = (args.text(1), args.text(2));
    let mut samples = args.vector(0)?;
    for sample in &mut samples {
        let values: Vec<&str> =
            (3..args.call.args.len()).map(|index| args.run.env.reader.get(sample, args.text(index))).collect();
        let value = values.join(separator);
        set_label(sample, to, &value);
    }
    args.run.unique(&samples)?;
    Ok(samples)
}

fn set_label(sample: &mut Sample, name: &str, value: &str) {
    sample.labels = sample.labels.with(name, value);
    if name == METRIC_NAME {
        sample.hide = false;
    }
}

/// Gathers the buckets of each classic histogram and applies a function to them.
fn histograms(
    args: &Args<'_, '_, '_>,
    vector: usize,
    with: impl Fn(&str, &mut Vec<Bucket>) -> f64,
) -> Result<Vec<Sample>, QueryError> {
    const LE: &str = "le";
    let reader = args.run.env.reader;
    let grouping = Grouping { except: true, labels: vec![LE.into()] };
    let mut groups: Vec<(Sample, Vec<Bucket>)> = Vec::new();
    let mut places = Places::default();
    for sample in args.vector(vector)? {
        let Ok(bound) = reader.get(&sample, LE).parse::<f64>() else {
            args.run.env.note(true, || {
                format!(
                    "bucket label \"le\" is missing or has a malformed value of {:?} for metric name {:?} ({})",
                    reader.get(&sample, LE),
                    reader.get(&sample, METRIC_NAME),
                    args.call.place
                )
            });
            continue;
        };
        let bucket = Bucket { bound, count: sample.value };
        // Histograms of different names are different, though their names are dropped.
        let name = |sample: &Sample| reader.get(sample, METRIC_NAME).to_owned();
        let signature = reader.signature(&sample, &grouping) ^ reader.signature(&sample, &NAME_ONLY);
        let same = |place: usize| {
            groups
                .get(place)
                .is_some_and(|(other, _)| reader.same(other, &sample, &grouping) && name(other) == name(&sample))
        };
        match places.find_or_put(signature, groups.len(), same).and_then(|place| groups.get_mut(place)) {
            Some((_, buckets)) => buckets.push(bucket),
            None => groups.push((sample, vec![bucket])),
        }
    }
    let mut out: Vec<Sample> = Vec::with_capacity(groups.len());
    for (sample, mut buckets) in groups {
        let value = with(reader.get(&sample, METRIC_NAME), &mut buckets);
        out.push(Sample { labels: sample.labels.without(&[LE]), hide: true, value });
    }
    if !reader.delayed {
        args.run.unique(&out)?;
    }
    Ok(out)
}

static NAME_ONLY: std::sync::LazyLock<Grouping> =
    std::sync::LazyLock::new(|| Grouping { except: false, labels: vec![METRIC_NAME.into()] });
