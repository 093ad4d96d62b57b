//! The tree of an expression, and how it is written back as text.

use std::fmt;

use super::functions::{Function, Op};
use super::lexer::write_duration;
use crate::model::labels::METRIC_NAME;
use crate::model::{MatchOp, Matcher};

/// What an expression yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Scalar,
    Vector,
    Matrix,
    Text,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::Text => "string",
        })
    }
}

/// One node of the tree.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Number(f64),
    Text(String),
    Selector(Selector),
    /// A selector with a range in milliseconds.
    Range(Selector, i64),
    Subquery(Box<Subquery>),
    Call(Box<Call>),
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    Negate(Box<Expr>),
    Paren(Box<Expr>),
}

/// `name{a="b"} @ 5 offset 1m`
#[derive(Clone, Debug)]
pub(super) struct Selector {
    /// All conditions, the name among them.
    pub matchers: Vec<Matcher>,
    pub shift: Shift,
    /// Its place in the tables of a run.
    pub node: usize,
}

/// `@` and `offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Shift {
    pub at: At,
    /// Milliseconds into the past; negative = into the future.
    pub offset: i64,
}

/// The time that `@` pins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum At {
    /// The evaluation time.
    #[default]
    Now,
    /// The query's first step.
    Start,
    /// The query's last step.
    End,
    /// Unix milliseconds.
    Time(i64),
}

/// `expr[range:step]`
#[derive(Clone, Debug)]
pub(super) struct Subquery {
    pub inner: Expr,
    /// Milliseconds.
    pub range: i64,
    /// Milliseconds; the default is [`super::DEFAULT_SUBQUERY_STEP`].
    pub step: Option<i64>,
    pub shift: Shift,
    pub node: usize,
}

/// `function(args)`
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    /// Where it stands in the text.
    pub place: super::error::Place,
    /// Where its first argument stands.
    pub first_place: super::error::Place,
    /// The regular expression of a `label_replace`.
    pub pattern: Option<regex::Regex>,
}

/// `sum by (a) (expr)`
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub op: AggregateOp,
    pub param: Option<Expr>,
    pub inner: Expr,
    pub grouping: Grouping,
    /// Where its parameter (or else its expression) stands in the text.
    pub first_place: super::error::Place,
}

/// How an aggregation or a match chooses labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grouping {
    /// `without`, `ignoring`: all labels but these (and the metric name).
    pub except: bool,
    /// Sorted, without duplicates.
    pub labels: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AggregateOp {
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
}

impl AggregateOp {
    pub fn find(word: &str) -> Option<Self> {
        const ALL: [AggregateOp; 12] = [
            AggregateOp::Avg,
            AggregateOp::Bottomk,
            AggregateOp::Count,
            AggregateOp::CountValues,
            AggregateOp::Group,
            AggregateOp::Max,
            AggregateOp::Min,
            AggregateOp::Quantile,
            AggregateOp::Stddev,
            AggregateOp::Stdvar,
            AggregateOp::Sum,
            AggregateOp::Topk,
        ];
        ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(word))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Bottomk => "bottomk",
            Self::Count => "count",
            Self::CountValues => "count_values",
            Self::Group => "group",
            Self::Max => "max",
            Self::Min => "min",
            Self::Quantile => "quantile",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Sum => "sum",
            Self::Topk => "topk",
        }
    }

    /// The type of the parameter, if it takes one.
    pub fn param(self) -> Option<Type> {
        match self {
            Self::Bottomk | Self::Topk | Self::Quantile => Some(Type::Scalar),
            Self::CountValues => Some(Type::Text),
            _ => None,
        }
    }
}

/// `left op right`
#[derive(Clone, Debug)]
pub(super) struct Binary {
    pub op: BinaryOp,
    /// `bool`: a comparison yields 0 or 1.
    pub as_bool: bool,
    pub left: Expr,
    pub right: Expr,
    pub matching: Matching,
    /// The right operand need not be evaluated when the left one is an empty vector.
    pub skips_right: bool,
}

/// Which elements of two vectors belong together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matching {
    /// Whether `on` or `ignoring` was written.
    pub written: bool,
    pub labels: Grouping,
    pub group: Group,
    /// Labels that `group_left` and `group_right` copy.
    pub include: Vec<String>,
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            written: false,
            labels: Grouping { except: true, labels: Vec::new() },
            group: Group::OneToOne,
            include: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    OneToOne,
    /// `group_left`: many on the left.
    Left,
    /// `group_right`: many on the right.
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    pub const ALL: [Self; 16] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Mod,
        Self::Pow,
        Self::Atan2,
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessEqual,
        Self::Greater,
        Self::GreaterEqual,
        Self::And,
        Self::Or,
        Self::Unless,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Binds the tighter the higher.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            op if op.is_comparison() => 3,
            Self::Add | Self::Sub => 4,
            Self::Pow => 6,
            _ => 5,
        }
    }

    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual | Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual)
    }

    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

impl Expr {
    /// What it yields.
    pub fn kind(&self) -> Type {
        match self {
            Self::Number(_) => Type::Scalar,
            Self::Text(_) => Type::Text,
            Self::Selector(_) | Self::Aggregate(_) => Type::Vector,
            Self::Range(..) | Self::Subquery(_) => Type::Matrix,
            Self::Call(call) => call.function.returns,
            Self::Binary(binary) => match (binary.left.kind(), binary.right.kind()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            Self::Negate(inner) | Self::Paren(inner) => inner.kind(),
        }
    }

    /// The expression inside any parentheses.
    pub fn bare(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(inner) = expr {
            expr = inner;
        }
        expr
    }

    /// Whether evaluating it can find no mistake in the query (ambiguous labels, bad arguments), whatever the data.
    pub fn is_harmless(&self) -> bool {
        match self {
            Self::Number(_) | Self::Text(_) => true,
            Self::Selector(selector) | Self::Range(selector, _) => selector.is_named(),
            Self::Paren(inner) | Self::Negate(inner) => inner.is_harmless(),
            Self::Call(call) => {
                use super::eval::over_time::RangeOp;
                let simple = matches!(call.function.op, Op::Map(_) | Op::Range(_) | Op::Vector | Op::Time | Op::Scalar);
                simple
                    && !matches!(call.function.op, Op::Range(RangeOp::Smoothing))
                    && call.args.iter().all(Self::is_harmless)
            }
            Self::Aggregate(aggregate) => {
                aggregate.op.param().is_none()
                    && !aggregate.grouping.labels.iter().any(|label| label == METRIC_NAME)
                    && aggregate.inner.is_harmless()
            }
            Self::Binary(binary) => {
                let vectors = binary.left.kind() == Type::Vector && binary.right.kind() == Type::Vector;
                // Matching two vectors may be ambiguous; `or` may bring names together.
                (!vectors || matches!(binary.op, BinaryOp::And | BinaryOp::Unless))
                    && binary.left.is_harmless()
                    && binary.right.is_harmless()
            }
            Self::Subquery(_) => false,
        }
    }

    /// Calls `visit` for every node, parents first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Number(_) | Self::Text(_) | Self::Selector(_) | Self::Range(..) => {}
            Self::Subquery(subquery) => subquery.inner.walk(visit),
            Self::Call(call) => call.args.iter().for_each(|arg| arg.walk(visit)),
            Self::Aggregate(aggregate) => {
                if let Some(param) = &aggregate.param {
                    param.walk(visit);
                }
                aggregate.inner.walk(visit);
            }
            Self::Binary(binary) => {
                binary.left.walk(visit);
                binary.right.walk(visit);
            }
            Self::Negate(inner) | Self::Paren(inner) => inner.walk(visit),
        }
    }

    /// Calls `change` for every node, children first.
    pub fn rewrite(&mut self, change: &mut dyn FnMut(&mut Self)) {
        match self {
            Self::Number(_) | Self::Text(_) | Self::Selector(_) | Self::Range(..) => {}
            Self::Subquery(subquery) => subquery.inner.rewrite(change),
            Self::Call(call) => call.args.iter_mut().for_each(|arg| arg.rewrite(change)),
            Self::Aggregate(aggregate) => {
                if let Some(param) = &mut aggregate.param {
                    param.rewrite(change);
                }
                aggregate.inner.rewrite(change);
            }
            Self::Binary(binary) => {
                binary.left.rewrite(change);
                binary.right.rewrite(change);
            }
            Self::Negate(inner) | Self::Paren(inner) => inner.rewrite(change),
        }
        change(self);
    }
}

/// Whether a name can be written without quotes.
pub(super) fn is_plain_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Words that cannot stand for a metric when written without braces.
pub(super) fn is_reserved(word: &str) -> bool {
    ["bool", "on", "ignoring", "group_left", "group_right", "inf", "nan", "atan2"]
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(word))
}

fn write_label(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_plain_label(name) { f.write_str(name) } else { write_text(name, f) }
}

/// Writes a string so that it reads back equal.
fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_control() && (c as u32) < 0x80 => write!(f, "\\x{:02x}", c as u32)?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

fn write_labels(labels: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("(")?;
    for (index, label) in labels.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write_label(label, f)?;
    }
    f.write_str(")")
}

impl Selector {
    /// Whether all its series have the same name.
    pub fn is_named(&self) -> bool {
        self.matchers.iter().any(|matcher| {
            matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal && !matcher.value().is_empty()
        })
    }

    fn write(&self, range: Option<i64>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |matcher: &Matcher| {
            matcher.name() == METRIC_NAME
                && matcher.op() == MatchOp::Equal
                && !matcher.value().is_empty()
                && !is_reserved(matcher.value())
                && super::parser::is_metric_name(matcher.value())
        };
        let name = self.matchers.iter().position(plain);
        if let Some(matcher) = name.and_then(|at| self.matchers.get(at)) {
            f.write_str(matcher.value())?;
        }
        let rest = self.matchers.len() - usize::from(name.is_some());
        if rest > 0 || name.is_none() {
            f.write_str("{")?;
            let mut first = true;
            for (index, matcher) in self.matchers.iter().enumerate() {
                if Some(index) == name {
                    continue;
                }
                if !first {
                    f.write_str(",")?;
                }
                first = false;
                write_label(matcher.name(), f)?;
                f.write_str(matcher.op().as_str())?;
                write_text(matcher.value(), f)?;
            }
            f.write_str("}")?;
        }
        if let Some(range) = range {
            f.write_str("[")?;
            write_duration(range, f)?;
            f.write_str("]")?;
        }
        self.shift.write(f)
    }
}

impl Shift {
    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            At::Now => {}
            At::Start => f.write_str(" @ start()")?,
            At::End => f.write_str(" @ end()")?,
            At::Time(at) => {
                let sign = if at < 0 { "-" } else { "" };
                write!(f, " @ {sign}{}.{:03}", at.unsigned_abs() / 1000, at.unsigned_abs() % 1000)?;
            }
        }
        if self.offset != 0 {
            f.write_str(" offset ")?;
            write_duration(self.offset, f)?;
        }
        Ok(())
    }
}

/// Writes a number so that it reads back equal.
fn write_number(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value.is_nan() {
        f.write_str("NaN")
    } else if value.is_infinite() {
        f.write_str(if value > 0.0 { "Inf" } else { "-Inf" })
    } else if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) {
        write!(f, "{value:e}")
    } else {
        write!(f, "{value}")
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => write_number(*value, f),
            Self::Text(text) => write_text(text, f),
            Self::Selector(selector) => selector.write(None, f),
            Self::Range(selector, range) => selector.write(Some(*range), f),
            Self::Subquery(subquery) => {
                write!(f, "{}[", subquery.inner)?;
                write_duration(subquery.range, f)?;
                f.write_str(":")?;
                if let Some(step) = subquery.step {
                    write_duration(step, f)?;
                }
                f.write_str("]")?;
                subquery.shift.write(f)
            }
            Self::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (index, arg) in call.args.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{arg}")?;
                }
                f.write_str(")")
            }
            Self::Aggregate(aggregate) => {
                f.write_str(aggregate.op.as_str())?;
                if aggregate.grouping.except || !aggregate.grouping.labels.is_empty() {
                    f.write_str(if aggregate.grouping.except { " without " } else { " by " })?;
                    write_labels(&aggregate.grouping.labels, f)?;
                    f.write_str(" ")?;
                }
                f.write_str("(")?;
                if let Some(param) = &aggregate.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", aggregate.inner)
            }
            Self::Binary(binary) => {
                write!(f, "{} {}", binary.left, binary.op.as_str())?;
                if binary.as_bool {
                    f.write_str(" bool")?;
                }
                let matching = &binary.matching;
                if matching.written {
                    f.write_str(if matching.labels.except { " ignoring " } else { " on " })?;
                    write_labels(&matching.labels.labels, f)?;
                }
                if matching.group != Group::OneToOne {
                    f.write_str(if matching.group == Group::Left { " group_left " } else { " group_right " })?;
                    write_labels(&matching.include, f)?;
                }
                write!(f, " {}", binary.right)
            }
            Self::Negate(inner) => write!(f, "-{inner}"),
            Self::Paren(inner) => write!(f, "({inner})"),
        }
    }
}
