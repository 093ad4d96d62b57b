//! Operators between two operands: arithmetic, comparison, sets, and which elements belong together.

use super::keys::{Places, Reader};
use super::run::Run;
use super::{Sample, Val};
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;
use crate::model::series::Millis;
use crate::promql::ast::{Binary, BinaryOp, Group, Matching};
use crate::promql::error::QueryError;

/// Evaluates an operator and its operands.
pub(super) fn evaluate(run: &Run<'_>, node: &Binary, at: Millis) -> Result<Val, QueryError> {
    let left = run.eval(&node.left, at)?;
    // Nothing on the left is nothing in the end. The right is skipped only where it could not tell of a mistake in the
    // query: an alert must not learn only when it should fire that it never could.
    if node.skips_right && matches!(&left, Val::Vector(samples) if samples.is_empty()) {
        return Ok(left);
    }
    let right = run.eval(&node.right, at)?;
    Ok(match (left, right) {
        (Val::Scalar(a), Val::Scalar(b)) => Val::Scalar(scalars(node.op, a, b)),
        (Val::Vector(samples), Val::Scalar(value)) => {
            let out = vector_and_scalar(node, samples, |element| (element, value));
            run.check_unique(&out, &node.left)?;
            Val::Vector(out)
        }
        (Val::Scalar(value), Val::Vector(samples)) => {
            let out = vector_and_scalar(node, samples, |element| (value, element));
            run.check_unique(&out, &node.right)?;
            Val::Vector(out)
        }
        (Val::Vector(left), Val::Vector(right)) => {
            let reader = run.env.reader;
            Val::Vector(match node.op {
                BinaryOp::And => intersect(reader, left, &right, &node.matching, true),
                BinaryOp::Unless => intersect(reader, left, &right, &node.matching, false),
                BinaryOp::Or => union(reader, left, right, &node.matching),
                _ => vectors(reader, node, left, right)?,
            })
        }
        _ => Val::Vector(Vec::new()),
    })
}

/// An operator on two numbers; comparisons give 0 or 1.
pub(in crate::promql) fn scalars(op: BinaryOp, a: f64, b: f64) -> f64 {
    if op.is_comparison() { f64::from(holds(op, a, b)) } else { arithmetic(op, a, b) }
}

fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => f64::NAN,
    }
}

fn holds(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Less => a < b,
        BinaryOp::LessEqual => a <= b,
        BinaryOp::Greater => a > b,
        BinaryOp::GreaterEqual => a >= b,
        _ => false,
    }
}

/// A filter keeps the vector's value, on whichever side the vector stands.
fn vector_and_scalar(node: &Binary, mut samples: Vec<Sample>, operands: impl Fn(f64) -> (f64, f64)) -> Vec<Sample> {
    if !node.op.is_comparison() {
        for sample in &mut samples {
            let (a, b) = operands(sample.value);
            sample.value = arithmetic(node.op, a, b);
            sample.hide = true;
        }
    } else if node.as_bool {
        for sample in &mut samples {
            let (a, b) = operands(sample.value);
            sample.value = f64::from(holds(node.op, a, b));
            sample.hide = true;
        }
    } else {
        samples.retain(|sample| {
            let (a, b) = operands(sample.value);
            holds(node.op, a, b)
        });
    }
    samples
}

/// `and` (keeps what matches) and `unless` (keeps what does not).
fn intersect(reader: Reader, mut left: Vec<Sample>, right: &[Sample], matching: &Matching, keep: bool) -> Vec<Sample> {
    if left.is_empty() || (right.is_empty() && !keep) {
        return left;
    }
    let places = index(reader, right, matching);
    left.retain(|sample| member(reader, sample, right, &places, matching) == keep);
    left
}

/// `or`: all of the left, and of the right what the left does not match.
fn union(reader: Reader, mut left: Vec<Sample>, right: Vec<Sample>, matching: &Matching) -> Vec<Sample> {
    if left.is_empty() {
        return right;
    }
    let places = index(reader, &left, matching);
    let mut added: Vec<Sample> =
        right.into_iter().filter(|sample| !member(reader, sample, &left, &places, matching)).collect();
    left.append(&mut added);
    left
}

fn index(reader: Reader, samples: &[Sample], matching: &Matching) -> Places {
    let mut places = Places::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        let same = |other: usize| samples.get(other).is_some_and(|other| reader.same(other, sample, &matching.labels));
        places.find_or_put(reader.signature(sample, &matching.labels), index, same);
    }
    places
}

fn member(reader: Reader, sample: &Sample, of: &[Sample], places: &Places, matching: &Matching) -> bool {
    let same = |other: usize| of.get(other).is_some_and(|other| reader.same(other, sample, &matching.labels));
    places.find(reader.signature(sample, &matching.labels), same).is_some()
}

/// Arithmetic and comparison between elements that match.
fn vectors(reader: Reader, node: &Binary, left: Vec<Sample>, right: Vec<Sample>) -> Result<Vec<Sample>, QueryError> {
    let matching = &node.matching;
    let swapped = matching.group == Group::Right;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    if many.is_empty() || one.is_empty() {
        return Ok(Vec::new());
    }
    let places = index_unique(reader, &one, matching, if swapped { "left" } else { "right" })?;
    let mut matched = vec![false; one.len()];
    let mut out: Vec<Sample> = Vec::new();
    let mut results = Results::default();
    for sample in many {
        let signature = reader.signature(&sample, &matching.labels);
        let same = |other: usize| one.get(other).is_some_and(|other| reader.same(other, &sample, &matching.labels));
        let Some(place) = places.find(signature, same) else { continue };
        let Some(partner) = one.get(place) else { continue };
        if matching.group == Group::OneToOne
            && matched.get_mut(place).is_some_and(|matched| std::mem::replace(matched, true))
        {
            return Err(QueryError::Matching(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)".into(),
            ));
        }
        let (a, b) = if swapped { (partner.value, sample.value) } else { (sample.value, partner.value) };
        let value = match node.op.is_comparison() {
            false => arithmetic(node.op, a, b),
            true if node.as_bool => f64::from(holds(node.op, a, b)),
            true if holds(node.op, a, b) => a,
            true => continue,
        };
        let mut element = joined(reader, sample, partner, matching);
        element.hide |= node.as_bool || !node.op.is_comparison();
        element.value = value;
        if matching.group != Group::OneToOne && results.seen(reader, &element, &out) {
            return Err(QueryError::Matching(
                "multiple matches for labels: grouping labels must ensure unique matches".into(),
            ));
        }
        out.push(element);
    }
    Ok(out)
}

/// The label sets that a many-to-one match has produced.
#[derive(Default)]
struct Results(Places);

impl Results {
    fn seen(&mut self, reader: Reader, element: &Sample, out: &[Sample]) -> bool {
        let same = |other: usize| out.get(other).is_some_and(|other| reader.labels(other).eq(reader.labels(element)));
        self.0.find_or_put(reader.whole(element), out.len(), same).is_some()
    }
}

/// The labels of a match: those of the "many" side, reduced by `on` and `ignoring` or enlarged by `group_…(labels)`.
fn joined(reader: Reader, mut many: Sample, one: &Sample, matching: &Matching) -> Sample {
    if matching.group == Group::OneToOne {
        if !matching.labels.except {
            many.labels = reader.part(&many, &matching.labels);
            many.hide &= many.labels.metric().is_some();
        } else if !matching.labels.labels.is_empty() {
            let names: Vec<&str> = matching.labels.labels.iter().map(String::as_str).collect();
            many.labels = many.labels.without(&names);
        }
    }
    for name in &matching.include {
        many.labels = many.labels.with(name, reader.get(one, name));
        if name == METRIC_NAME {
            many.hide = false;
        }
    }
    many
}

fn index_unique(reader: Reader, one: &[Sample], matching: &Matching, side: &str) -> Result<Places, QueryError> {
    let mut places = Places::with_capacity(one.len());
    for (index, sample) in one.iter().enumerate() {
        let same = |other: usize| one.get(other).is_some_and(|other| reader.same(other, sample, &matching.labels));
        if let Some(other) = places.find_or_put(reader.signature(sample, &matching.labels), index, same) {
            let visible = |sample: &Sample| {
                if sample.hide && !reader.delayed { sample.labels.without_metric() } else { sample.labels.clone() }
            };
            let mut pair = [visible(sample), one.get(other).map_or_else(Labels::empty, visible)].map(|l| written(&l));
            pair.sort_unstable();
            return Err(QueryError::Matching(format!(
                "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
                 many-to-many matching not allowed: matching labels must be unique on one side",
                written(&reader.part(sample, &matching.labels)),
                pair[0],
                pair[1]
            )));
        }
    }
    Ok(places)
}

/// `{a="b", c="d"}`, the metric name among the labels.
fn written(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
