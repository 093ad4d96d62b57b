//! The table of functions: names, argument types, and what each one is.

use super::ast::Type;
use super::eval::calendar;
use super::eval::over_time::RangeOp;

/// One function of PromQL.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of its arguments.
    pub args: &'static [Type],
    /// How many of them, from the end, may be left out.
    pub optional: usize,
    /// The last argument may be repeated (and is then not needed at all).
    pub repeats: bool,
    /// What it yields.
    pub returns: Type,
    /// Only served on request, as behind Prometheus's feature flag.
    pub experimental: bool,
    /// What it does.
    pub op: Op,
}

/// What a function does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// One number to one number, element by element.
    Map(fn(f64) -> f64),
    /// A field of the calendar, of the elements or of the evaluation time.
    Calendar(fn(calendar::Civil) -> f64),
    /// Over each series' window.
    Range(RangeOp),
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    HistogramFraction,
    HistogramQuantile,
    LabelJoin,
    LabelReplace,
    Pi,
    Round,
    Scalar,
    Sort {
        descending: bool,
    },
    SortByLabel {
        descending: bool,
    },
    Time,
    Timestamp,
    Vector,
    MinOf,
    MaxOf,
    QueryStart,
    QueryEnd,
    QueryRange,
    QueryStep,
}

const V: &[Type] = &[Type::Vector];
const M: &[Type] = &[Type::Matrix];
const VS: &[Type] = &[Type::Vector, Type::Scalar];
const SV: &[Type] = &[Type::Scalar, Type::Vector];
const SM: &[Type] = &[Type::Scalar, Type::Matrix];
const MS: &[Type] = &[Type::Matrix, Type::Scalar];
const SS: &[Type] = &[Type::Scalar, Type::Scalar];
const T: Type = Type::Text;

const fn function(name: &'static str, args: &'static [Type], op: Op) -> Function {
    Function { name, args, optional: 0, repeats: false, returns: Type::Vector, experimental: false, op }
}

const fn map(name: &'static str, with: fn(f64) -> f64) -> Function {
    function(name, V, Op::Map(with))
}

const fn date(name: &'static str, with: fn(calendar::Civil) -> f64) -> Function {
    Function { optional: 1, ..function(name, V, Op::Calendar(with)) }
}

const fn range(name: &'static str, op: RangeOp) -> Function {
    function(name, M, Op::Range(op))
}

const fn scalar(name: &'static str, args: &'static [Type], op: Op) -> Function {
    Function { returns: Type::Scalar, ..function(name, args, op) }
}

const fn experimental(of: Function) -> Function {
    Function { experimental: true, ..of }
}

/// All functions, in order of name.
static FUNCTIONS: &[Function] = &[
    map("abs", f64::abs),
    function("absent", V, Op::Absent),
    function("absent_over_time", M, Op::AbsentOverTime),
    map("acos", f64::acos),
    map("acosh", f64::acosh),
    map("asin", f64::asin),
    map("asinh", f64::asinh),
    map("atan", f64::atan),
    map("atanh", f64::atanh),
    range("avg_over_time", RangeOp::Avg),
    map("ceil", f64::ceil),
    range("changes", RangeOp::Changes),
    function("clamp", &[Type::Vector, Type::Scalar, Type::Scalar], Op::Clamp),
    function("clamp_max", VS, Op::ClampMax),
    function("clamp_min", VS, Op::ClampMin),
    map("cos", f64::cos),
    map("cosh", f64::cosh),
    range("count_over_time", RangeOp::Count),
    date("day_of_month", |civil| f64::from(civil.day)),
    date("day_of_week", |civil| f64::from(civil.weekday)),
    date("day_of_year", |civil| f64::from(civil.day_of_year)),
    date("days_in_month", |civil| f64::from(civil.days_in_month)),
    map("deg", f64::to_degrees),
    range("delta", RangeOp::Delta),
    range("deriv", RangeOp::Deriv),
    experimental(function(
        "double_exponential_smoothing",
        &[Type::Matrix, Type::Scalar, Type::Scalar],
        Op::Range(RangeOp::Smoothing),
    )),
    experimental(scalar("end", &[], Op::QueryEnd)),
    map("exp", f64::exp),
    range("first_over_time", RangeOp::First),
    map("floor", f64::floor),
    function("histogram_fraction", &[Type::Scalar, Type::Scalar, Type::Vector], Op::HistogramFraction),
    function("histogram_quantile", SV, Op::HistogramQuantile),
    date("hour", |civil| f64::from(civil.hour)),
    range("idelta", RangeOp::Idelta),
    range("increase", RangeOp::Increase),
    range("irate", RangeOp::Irate),
    Function { repeats: true, ..function("label_join", &[Type::Vector, T, T, T], Op::LabelJoin) },
    function("label_replace", &[Type::Vector, T, T, T, T], Op::LabelReplace),
    range("last_over_time", RangeOp::Last),
    map("ln", f64::ln),
    map("log10", f64::log10),
    map("log2", f64::log2),
    experimental(range("mad_over_time", RangeOp::Mad)),
    experimental(scalar("max_of", SS, Op::MaxOf)),
    range("max_over_time", RangeOp::Max),
    experimental(scalar("min_of", SS, Op::MinOf)),
    range("min_over_time", RangeOp::Min),
    date("minute", |civil| f64::from(civil.minute)),
    date("month", |civil| f64::from(civil.month)),
    scalar("pi", &[], Op::Pi),
    function("predict_linear", MS, Op::Range(RangeOp::PredictLinear)),
    range("present_over_time", RangeOp::Present),
    function("quantile_over_time", SM, Op::Range(RangeOp::Quantile)),
    map("rad", f64::to_radians),
    experimental(scalar("range", &[], Op::QueryRange)),
    range("rate", RangeOp::Rate),
    range("resets", RangeOp::Resets),
    Function { optional: 1, ..function("round", VS, Op::Round) },
    scalar("scalar", V, Op::Scalar),
    map("sgn", |value| {
        if value < 0.0 {
            -1.0
        } else if value > 0.0 {
            1.0
        } else {
            value
        }
    }),
    map("sin", f64::sin),
    map("sinh", f64::sinh),
    function("sort", V, Op::Sort { descending: false }),
    experimental(Function {
        repeats: true,
        ..function("sort_by_label", &[Type::Vector, T], Op::SortByLabel { descending: false })
    }),
    experimental(Function {
        repeats: true,
        ..function("sort_by_label_desc", &[Type::Vector, T], Op::SortByLabel { descending: true })
    }),
    function("sort_desc", V, Op::Sort { descending: true }),
    map("sqrt", f64::sqrt),
    experimental(scalar("start", &[], Op::QueryStart)),
    range("stddev_over_time", RangeOp::Stddev),
    range("stdvar_over_time", RangeOp::Stdvar),
    experimental(scalar("step", &[], Op::QueryStep)),
    range("sum_over_time", RangeOp::Sum),
    map("tan", f64::tan),
    map("tanh", f64::tanh),
    scalar("time", &[], Op::Time),
    function("timestamp", V, Op::Timestamp),
    experimental(range("ts_of_first_over_time", RangeOp::TimeOfFirst)),
    experimental(range("ts_of_last_over_time", RangeOp::TimeOfLast)),
    experimental(range("ts_of_max_over_time", RangeOp::TimeOfMax)),
    experimental(range("ts_of_min_over_time", RangeOp::TimeOfMin)),
    function("vector", &[Type::Scalar], Op::Vector),
    date("year", |civil| civil.year as f64),
];

/// A function by its name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().and_then(|at| FUNCTIONS.get(at))
}

/// Why a function that Prometheus has is missing here: its kind, and what to do instead.
pub(super) fn missing(name: &str) -> Option<&'static str> {
    match name {
        "histogram_avg"
        | "histogram_count"
        | "histogram_sum"
        | "histogram_stddev"
        | "histogram_stdvar"
        | "histogram_quantiles" => {
            Some("native histograms are not stored; use the _count, _sum and _bucket series of a classic histogram")
        }
        "info" => Some("it is experimental in Prometheus; join with * on(…) group_left(…)"),
        "holt_winters" => Some("Prometheus 3 calls it double_exponential_smoothing"),
        "integral" => Some("it is experimental in Prometheus; use avg_over_time times the range in seconds"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_function_is_found() {
        for function in FUNCTIONS {
            assert_eq!(find(function.name).map(|found| found.name), Some(function.name));
        }
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
    }
}
