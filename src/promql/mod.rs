//! PromQL: reads expressions and answers them over recent history, with Prometheus 3's meaning.
//!
//! Pure: time is an argument, data come through [`Series`]. A [`Query`] is read once and evaluated often; it remembers
//! which series its selectors found while none appears or disappears. Native histograms and experimental features are
//! refused when the query is read.

mod ast;
mod cache;
mod error;
mod eval;
mod functions;
mod lexer;
mod parser;
mod rule;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::ports::Series;
use crate::model::series::{Millis, Point};
use crate::model::{Span, labels::METRIC_NAME};

use ast::{Expr, Type};
use cache::Cache;
pub use error::{Place, QueryError};
use eval::keys::Reader;
use eval::run::{Env, Run};
use eval::{Sample, Val};

/// Longest text of an expression, in bytes.
pub const MAX_TEXT: usize = 64 * 1024;
/// Most operators in a chain such as `a or b or c`, and the highest tree that an expression may be.
pub const MAX_DEPTH: usize = 256;
/// Deepest nesting of parentheses and calls. Lower than the tree's height: reading costs more stack than evaluating.
pub const MAX_NESTING: usize = 100;
/// Step of a subquery that gives none, in milliseconds.
const DEFAULT_SUBQUERY_STEP: i64 = 60_000;
/// Times beyond this (the year 275760) are refused, so that arithmetic with them never overflows.
const MAX_TIME: Millis = 8_640_000_000_000_000;

/// One read expression. Cheap to clone; clones share what the query remembers about selectors.
#[derive(Clone)]
pub struct Query(Arc<Compiled>);

struct Compiled {
    /// As written, for display.
    tree: Expr,
    /// For evaluation: constants folded, parentheses gone, selectors numbered.
    plan: Expr,
    cache: Cache,
}

/// How far a query may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How old the newest sample of an instant vector may be, in milliseconds.
    pub lookback_ms: i64,
    /// Points that may be looked at, counted each time: bounds the work.
    pub max_samples: usize,
    /// Points that may be held in memory at once, 16 bytes each.
    pub max_held: usize,
    /// Series that a selector may find or a result may have.
    pub max_series: usize,
    /// Steps of a range query or subquery.
    pub max_steps: usize,
    /// Metric names are dropped at the end of the query, as behind Prometheus's feature flag
    /// `promql-delayed-name-removal`.
    pub delayed_name_removal: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            max_samples: 50_000_000,
            max_held: 2_000_000,
            max_series: 20_000,
            max_steps: 11_000,
            delayed_name_removal: false,
        }
    }
}

/// A series of a range query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its points, oldest first.
    pub points: Vec<Point>,
}

/// The answer to an instant query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// One number per label set.
    Vector(Vec<(Labels, f64)>),
    /// Points per label set.
    Matrix(Vec<RangeSeries>),
    /// A text.
    Text(String),
}

/// Something about an answer that its numbers do not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether it is likely a mistake in the query (Prometheus's `warn`) or just worth knowing (`info`).
    pub warning: bool,
    /// One sentence.
    pub message: String,
}

impl Query {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is not PromQL, of wrong types, too long, too deep, or not served here.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Self::read(text, false)
    }

    /// Reads an expression that may use the experimental functions that are served here.
    ///
    /// # Errors
    /// As [`Query::parse`].
    pub fn parse_experimental(text: &str) -> Result<Self, QueryError> {
        Self::read(text, true)
    }

    fn read(text: &str, experimental: bool) -> Result<Self, QueryError> {
        if text.len() > MAX_TEXT {
            return Err(QueryError::TooLong { len: text.len(), max: MAX_TEXT });
        }
        Ok(Self::of(parser::parse(text, experimental)?))
    }

    fn of(tree: Expr) -> Self {
        let mut plan = tree.clone();
        let mut nodes = 0;
        plan.rewrite(&mut |expr| {
            fold(expr);
            if let Expr::Binary(binary) = expr {
                let vectors = binary.left.kind() == Type::Vector && binary.right.kind() == Type::Vector;
                binary.skips_right = vectors && binary.op != ast::BinaryOp::Or && binary.right.is_harmless();
            }
            if let Expr::Selector(ast::Selector { node, .. }) | Expr::Range(ast::Selector { node, .. }, _) = expr {
                *node = nodes;
                nodes += 1;
            }
            if let Expr::Subquery(subquery) = expr {
                subquery.node = nodes;
                nodes += 1;
            }
        });
        Self(Arc::new(Compiled { tree, plan, cache: Cache::new(nodes) }))
    }

    /// Answers the query for one moment.
    ///
    /// # Errors
    /// A limit was exceeded, labels were ambiguous, or an argument was not acceptable.
    pub fn instant(&self, series: &dyn Series, at: Millis, limits: &Limits) -> Result<Value, QueryError> {
        self.ask_instant(series, at, limits, None)
    }

    /// As [`Query::instant`]; appends what is to be said about the answer.
    ///
    /// # Errors
    /// As [`Query::instant`].
    pub fn instant_noting(
        &self,
        series: &dyn Series,
        at: Millis,
        limits: &Limits,
        notes: &mut Vec<Note>,
    ) -> Result<Value, QueryError> {
        self.ask_instant(series, at, limits, Some(notes))
    }

    fn ask_instant(
        &self,
        series: &dyn Series,
        at: Millis,
        limits: &Limits,
        notes: Option<&mut Vec<Note>>,
    ) -> Result<Value, QueryError> {
        check_times(at, at, 1)?;
        let env = self.env(series, limits, (at, at, 0), notes.is_some());
        let run = Run::new(&env, at, at, 1);
        let plan = &self.0.plan;
        let value = if plan.kind() == Type::Matrix {
            let mut matrix = run.matrix(plan, at)?;
            matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
            Value::Matrix(matrix)
        } else {
            match run.eval(plan, at)? {
                Val::Scalar(value) => Value::Scalar(value),
                Val::Text(text) => Value::Text(text),
                Val::Vector(samples) => Value::Vector(finished(&run, samples)?),
            }
        };
        give_notes(env, notes);
        Ok(value)
    }

    /// Answers the query for each step of a range, both ends included; series are in order of labels.
    ///
    /// # Errors
    /// As [`Query::instant`], and when the range is not one or has too many steps.
    pub fn range(
        &self,
        series: &dyn Series,
        from: Millis,
        to: Millis,
        step_ms: i64,
        limits: &Limits,
    ) -> Result<Vec<RangeSeries>, QueryError> {
        self.ask_range(series, from, to, step_ms, limits, None)
    }

    /// As [`Query::range`]; appends what is to be said about the answer.
    ///
    /// # Errors
    /// As [`Query::range`].
    pub fn range_noting(
        &self,
        series: &dyn Series,
        from: Millis,
        to: Millis,
        step_ms: i64,
        limits: &Limits,
        notes: &mut Vec<Note>,
    ) -> Result<Vec<RangeSeries>, QueryError> {
        self.ask_range(series, from, to, step_ms, limits, Some(notes))
    }

    fn ask_range(
        &self,
        series: &dyn Series,
        from: Millis,
        to: Millis,
        step_ms: i64,
        limits: &Limits,
        notes: Option<&mut Vec<Note>>,
    ) -> Result<Vec<RangeSeries>, QueryError> {
        check_times(from, to, step_ms)?;
        let plan = &self.0.plan;
        if !matches!(plan.kind(), Type::Scalar | Type::Vector) {
            return Err(QueryError::BadArgument(format!(
                "a range query needs a scalar or an instant vector, not a {}; apply a function such as rate to it",
                plan.kind()
            )));
        }
        let env = self.env(series, limits, (from, to, step_ms), notes.is_some());
        self.note_useless_sorting(&env);
        let run = Run::new(&env, from, to, step_ms);
        let collected = run.collect(plan, false)?;
        let mut out: Vec<RangeSeries> =
            collected.into_iter().map(|series| RangeSeries { labels: series.labels, points: series.points }).collect();
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        give_notes(env, notes);
        Ok(out)
    }

    fn env<'a>(
        &'a self,
        series: &'a dyn Series,
        limits: &'a Limits,
        (start, end, step): (Millis, Millis, i64),
        noting: bool,
    ) -> Env<'a> {
        Env {
            series,
            limits,
            cache: &self.0.cache,
            start,
            end,
            step,
            reader: Reader { delayed: limits.delayed_name_removal },
            looked_at: Cell::new(0),
            held: Cell::new(0),
            notes: noting.then(RefCell::default),
        }
    }

    fn note_useless_sorting(&self, env: &Env<'_>) {
        self.0.plan.walk(&mut |expr| {
            if let Expr::Call(call) = expr
                && matches!(call.function.op, functions::Op::Sort { .. } | functions::Op::SortByLabel { .. })
            {
                env.note(true, || {
                    format!(
                        "sort is ineffective for range queries since results are always ordered by labels ({})",
                        call.place
                    )
                });
            }
        });
    }

    /// The matchers of every selector in the query.
    #[must_use]
    pub fn selectors(&self) -> Vec<Vec<Matcher>> {
        let mut out = Vec::new();
        self.0.tree.walk(&mut |expr| {
            if let Expr::Selector(selector) | Expr::Range(selector, _) = expr {
                out.push(selector.matchers.clone());
            }
        });
        out
    }

    /// How far into the past the query looks: the longest sum of ranges, subqueries and offsets; without the lookback.
    #[must_use]
    pub fn reach(&self) -> Span {
        Span::millis(reach(&self.0.plan).max(0) as u64)
    }

    /// Whether the query, asked for one moment, yields an instant vector or a scalar (and so can be a rule).
    #[must_use]
    pub fn yields_vector(&self) -> bool {
        matches!(self.0.plan.kind(), Type::Scalar | Type::Vector)
    }

    /// The same query over series of one namespace only: every selector gets `namespace="…"`.
    #[must_use]
    pub fn scoped_to_namespace(&self, namespace: &str) -> Self {
        let mut tree = self.0.tree.clone();
        tree.rewrite(&mut |expr| {
            if let Expr::Selector(selector) | Expr::Range(selector, _) = expr {
                selector.matchers.push(Matcher::equal("namespace", namespace));
            }
        });
        Self::of(tree)
    }

    /// The metric names that selectors fix with `=`, sorted, each once.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .selectors()
            .iter()
            .flatten()
            .filter(|matcher| matcher.name() == METRIC_NAME && matcher.op() == crate::model::MatchOp::Equal)
            .map(|matcher| matcher.value().to_owned())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.tree.fmt(f)
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({self})")
    }
}

impl PartialEq for Query {
    /// Equal text, once written in one style.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.to_string() == other.to_string()
    }
}

impl std::str::FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        Self::parse(text)
    }
}

/// Computes what is constant and removes parentheses; children are folded already.
fn fold(expr: &mut Expr) {
    let folded = match expr {
        Expr::Paren(inner) => std::mem::replace(inner.as_mut(), Expr::Number(0.0)),
        Expr::Negate(inner) => match **inner {
            Expr::Number(value) => Expr::Number(-value),
            _ => return,
        },
        Expr::Binary(binary) => match (&binary.left, &binary.right) {
            (Expr::Number(a), Expr::Number(b)) => Expr::Number(eval::binary::scalars(binary.op, *a, *b)),
            _ => return,
        },
        _ => return,
    };
    *expr = folded;
}

fn reach(expr: &Expr) -> i64 {
    match expr {
        Expr::Number(_) | Expr::Text(_) => 0,
        Expr::Selector(selector) => selector.shift.offset,
        Expr::Range(selector, range) => range + selector.shift.offset,
        Expr::Subquery(subquery) => subquery.range + subquery.shift.offset + reach(&subquery.inner).max(0),
        Expr::Call(call) => call.args.iter().map(reach).max().unwrap_or(0),
        Expr::Aggregate(aggregate) => reach(&aggregate.inner).max(aggregate.param.as_ref().map_or(0, reach)),
        Expr::Binary(binary) => reach(&binary.left).max(reach(&binary.right)),
        Expr::Negate(inner) | Expr::Paren(inner) => reach(inner),
    }
}

fn give_notes(env: Env<'_>, notes: Option<&mut Vec<Note>>) {
    if let (Some(notes), Some(found)) = (notes, env.notes) {
        notes.append(&mut found.take());
    }
}

fn check_times(from: Millis, to: Millis, step: i64) -> Result<(), QueryError> {
    let good = |at: Millis| (-MAX_TIME..=MAX_TIME).contains(&at);
    if step <= 0 || from > to || !good(from) || !good(to) || step > MAX_TIME {
        return Err(QueryError::BadRange { from, to, step });
    }
    Ok(())
}

/// Drops the names that are to be dropped and refuses what is then ambiguous.
fn finished(run: &Run<'_>, samples: Vec<Sample>) -> Result<Vec<(Labels, f64)>, QueryError> {
    if samples.len() > run.env.limits.max_series {
        return Err(QueryError::TooManySeries { limit: run.env.limits.max_series });
    }
    let mut dropped = false;
    let samples: Vec<Sample> = samples
        .into_iter()
        .map(|sample| {
            dropped |= sample.hide;
            match sample.hide {
                true => Sample { labels: sample.labels.without_metric(), hide: false, ..sample },
                false => sample,
            }
        })
        .collect();
    if dropped && samples.len() > 1 {
        run.unique(&samples)?;
    }
    Ok(samples.into_iter().map(|sample| (sample.labels, sample.value)).collect())
}
