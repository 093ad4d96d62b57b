//! What queries mean, tested on small histories.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::model::ports::{SeriesId, next_generation};

/// Labels and values of a series.
type Given<'a> = (&'a [(&'a str, &'a str)], &'a [f64]);

/// Series in a list; counts how often selectors were searched.
struct Memory {
    generation: u64,
    series: Vec<(Labels, Vec<Point>)>,
    searches: AtomicUsize,
}

impl Memory {
    fn new(series: Vec<(Labels, Vec<Point>)>) -> Self {
        Self { generation: next_generation(), series, searches: AtomicUsize::new(0) }
    }

    /// One series per pair of labels and values, a value every ten seconds.
    fn of(series: &[Given<'_>]) -> Self {
        let points = |values: &[f64]| {
            values.iter().enumerate().map(|(i, value)| Point { at: i as i64 * 10_000, value: *value }).collect()
        };
        Self::new(
            series
                .iter()
                .map(|(labels, values)| (Labels::from_pairs(labels.iter().copied()), points(values)))
                .collect(),
        )
    }
}

impl Series for Memory {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn find(&self, matchers: &[Matcher], out: &mut Vec<SeriesId>) {
        self.searches.fetch_add(1, Ordering::Relaxed);
        for (index, (labels, _)) in self.series.iter().enumerate() {
            if matchers.iter().all(|matcher| matcher.matches(labels)) {
                out.push(SeriesId(index as u32));
            }
        }
    }

    fn labels(&self, id: SeriesId) -> Labels {
        self.series[id.0 as usize].0.clone()
    }

    fn points(&self, id: SeriesId, from: Millis, to: Millis, out: &mut Vec<Point>) {
        out.extend(self.series[id.0 as usize].1.iter().filter(|point| from <= point.at && point.at <= to));
    }

    fn latest(&self, id: SeriesId, from: Millis, to: Millis) -> Option<Point> {
        self.series[id.0 as usize].1.iter().rfind(|point| from <= point.at && point.at <= to).copied()
    }
}

const NAME: &str = METRIC_NAME;

fn ask(memory: &Memory, text: &str, at: Millis) -> Result<Value, QueryError> {
    Query::parse(text)?.instant(memory, at, &Limits::default())
}

fn vector(memory: &Memory, text: &str, at: Millis) -> Vec<(String, f64)> {
    match ask(memory, text, at) {
        Ok(Value::Vector(elements)) => {
            elements.into_iter().map(|(labels, value)| (labels.to_string(), value)).collect()
        }
        other => panic!("{text}: {other:?}"),
    }
}

fn error(text: &str) -> String {
    Query::parse(text).map(|query| query.to_string()).unwrap_err().to_string()
}

#[test]
fn a_hostile_text_is_a_clear_error_and_no_overflow() {
    let megabyte = "a+".repeat(500_000) + "a";
    assert_eq!(Query::parse(&megabyte).unwrap_err().reason(), "ExpressionTooLong");
    let deep = |open: &str, close: &str| open.repeat(10_000) + "1" + &close.repeat(10_000);
    for text in [
        deep("(", ")"),
        deep("-", ""),
        deep("abs(", ")"),
        deep("1+", ""),
        deep("sum(", ")"),
        deep("2^", ""),
        deep("{", ""),
    ] {
        let error = Query::parse(&text).unwrap_err();
        assert!(["ExpressionTooDeep", "BadExpression"].contains(&error.reason()), "{error}");
    }
    let subqueries = format!("up{}", "[5m:]".repeat(2000));
    assert!(Query::parse(&subqueries).is_err());
    let matchers = format!("up{{{}}}", "a=\"b\",".repeat(9000));
    assert!(Query::parse(&matchers).is_ok());
    for text in
        ["x[1e30]", "x offset 1e300", "x @ 1e300", "x[0]", "x[-5m]", "x offset 9999999999y", "0x", "1e", "x[5m:0s]"]
    {
        assert!(Query::parse(text).is_err(), "{text}");
    }
    assert_eq!(Query::parse("x{a=~\"(a{1000}){1000}\"}").unwrap_err().reason(), "BadPattern");
}

#[test]
fn the_deepest_accepted_expression_can_be_evaluated_written_and_dropped() {
    let memory = Memory::of(&[(&[(NAME, "a")], &[1.0])]);
    let nested = |open: &str, close: &str| open.repeat(MAX_NESTING - 1) + "a" + &close.repeat(MAX_NESTING - 1);
    let chain = |op: &str| format!("a{}", format!("{op}a").repeat(MAX_DEPTH - 1));
    for text in [
        nested("(", ")"),
        nested("abs(", ")"),
        nested("sum(", ")"),
        nested("-", ""),
        nested("sum_over_time((", ")[1m:])"),
        chain("+"),
        chain(" or "),
        chain("^"),
    ] {
        match Query::parse(&text) {
            Ok(query) => drop((query.instant(&memory, 0, &Limits::default()), query.to_string())),
            Err(error) => assert_eq!(error.reason(), "ExpressionTooDeep", "{text}"),
        }
    }
    assert!(Query::parse(&nested("abs(", ")")).is_ok() && Query::parse(&chain("+")).is_ok());
}

#[test]
fn an_error_says_where_and_what_was_expected() {
    assert_eq!(error("up ==\n  )"), "2:3: expected an expression, found \")\"");
    assert_eq!(
        error("rate(up)"),
        "1:6: argument 1 of rate must be a range vector, not a instant vector; add a range such as [5m]"
    );
    assert_eq!(error("1 == 2"), "1:3: comparisons between scalars must use bool: write == bool");
    assert_eq!(
        error("{a=\"\"}"),
        "1:1: a selector needs a metric name or a matcher that does not match the empty value"
    );
    assert_eq!(error("up up"), "1:4: unexpected \"up\" after the end of the expression; is an operator missing?");
    assert_eq!(error(""), "1:1: there is no expression; write one such as up == 0");
    assert!(error("a and 1").contains("wrap a number in vector(…)"));
    assert!(error("foo(up)").contains("there is no function \"foo\""));
    assert!(error("up offset").contains("expected a duration such as 5m after offset"));
}

#[test]
fn what_is_not_served_is_named() {
    for (text, feature) in [
        ("histogram_sum(x)", "the function histogram_sum"),
        ("info(x)", "the function info"),
        ("limitk(1, x)", "the aggregation limitk"),
        ("x[5m+1m]", "arithmetic in durations"),
        ("a + fill(0) b", "the modifier fill"),
        ("rate(x[5m] anchored)", "the modifier anchored"),
        ("mad_over_time(x[5m])", "the function mad_over_time"),
    ] {
        let error = Query::parse(text).unwrap_err();
        assert_eq!(error.reason(), "NotSupported", "{text}: {error}");
        assert!(error.to_string().contains(feature), "{text}: {error}");
    }
    assert!(Query::parse_experimental("mad_over_time(x[5m])").is_ok());
}

#[test]
fn a_counter_reset_counts_from_zero() {
    let memory = Memory::of(&[(&[(NAME, "c_total")], &[10.0, 20.0, 5.0, 15.0])]);
    assert_eq!(vector(&memory, "increase(c_total[30s])", 30_000)[0].1, 22.5);
    assert_eq!(vector(&memory, "resets(c_total[1m])", 30_000)[0].1, 1.0);
}

#[test]
fn a_stale_series_is_gone_at_once_and_an_old_one_after_the_lookback() {
    let stale = crate::model::series::stale_nan();
    let memory = Memory::of(&[(&[(NAME, "a")], &[1.0, stale]), (&[(NAME, "b")], &[1.0])]);
    assert_eq!(vector(&memory, "a", 9_999).len(), 1);
    assert_eq!(vector(&memory, "a", 10_000).len(), 0);
    assert_eq!(vector(&memory, "b", 299_999).len(), 1);
    assert_eq!(vector(&memory, "b", 300_000).len(), 0);
    assert_eq!(vector(&memory, "count_over_time(a[1m])", 10_000)[0].1, 1.0);
}

#[test]
fn names_are_dropped_at_once_and_ambiguity_is_an_error() {
    let memory = Memory::of(&[(&[(NAME, "a"), ("x", "1")], &[1.0]), (&[(NAME, "b"), ("x", "1")], &[2.0])]);
    for text in [
        "-{x=\"1\"}",
        "abs({x=\"1\"})",
        "{x=\"1\"} * 2",
        "sum(abs({x=\"1\"}))",
        "rate({x=\"1\"}[1m]) or changes({x=\"1\"}[1m])",
    ] {
        assert_eq!(ask(&memory, text, 0).unwrap_err(), QueryError::DuplicateLabels, "{text}");
    }
    // Within one query a dropped name is not seen any more…
    assert_eq!(vector(&memory, "sum by (__name__) (abs(a))", 0), [("{}".to_owned(), 1.0)]);
    assert_eq!(vector(&memory, r#"label_replace(abs(a), "y", "$1", "__name__", "(.*)")"#, 0)[0].0, r#"{x="1"}"#);
    // …unless they are dropped at the end only.
    let delayed = Limits { delayed_name_removal: true, ..Limits::default() };
    let sum = Query::parse("sum(abs({x=\"1\"}))").unwrap().instant(&memory, 0, &delayed);
    assert_eq!(sum, Ok(Value::Vector(vec![(Labels::empty(), 3.0)])));
}

#[test]
fn ambiguous_matches_are_errors_that_name_the_series() {
    let memory = Memory::of(&[
        (&[(NAME, "many"), ("x", "1"), ("y", "1")], &[1.0]),
        (&[(NAME, "many"), ("x", "1"), ("y", "2")], &[2.0]),
        (&[(NAME, "one"), ("x", "1")], &[3.0]),
    ]);
    let error = ask(&memory, "one * on (x) many", 0).unwrap_err().to_string();
    assert!(error.contains(r#"match group {x="1"}"#) && error.contains(r#"y="2""#), "{error}");
    let error = ask(&memory, "many * on (x) one", 0).unwrap_err().to_string();
    assert!(error.contains("group_left"), "{error}");
    assert_eq!(vector(&memory, "many * on (x) group_left one", 0).len(), 2);
}

#[test]
fn a_query_that_touches_everything_ends_with_a_clear_error() {
    let labels: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    let series =
        labels.iter().map(|i| (Labels::from_pairs([(NAME, "m"), ("i", i)]), vec![Point { at: 0, value: 1.0 }; 1]));
    let memory = Memory::new(series.collect());
    let query = |text: &str, limits: Limits| {
        Query::parse(text).unwrap().range(&memory, 0, 100_000, 1000, &limits).unwrap_err().reason()
    };
    let base = Limits::default();
    assert_eq!(query("{i=~\".+\"}", Limits { max_series: 100, ..base.clone() }), "TooManySeries");
    assert_eq!(query("m", Limits { max_samples: 1000, ..base.clone() }), "TooManySamples");
    assert_eq!(query("m", Limits { max_held: 1000, ..base.clone() }), "TooManyHeldSamples");
    assert_eq!(query("m", Limits { max_steps: 50, ..base.clone() }), "TooManySteps");
    assert_eq!(query("max_over_time(m[1d:1s])", Limits { max_samples: 100_000, ..base.clone() }), "TooManySteps");
    assert_eq!(
        query("sum_over_time(sum_over_time(vector(1)[1h:1s])[1h:1s])", Limits { max_samples: 100_000, ..base }),
        "TooManySamples"
    );
}

#[test]
fn selectors_are_searched_once_per_generation() {
    let mut memory = Memory::of(&[(&[(NAME, "a")], &[1.0, 2.0])]);
    let query = Query::parse("a + a").unwrap();
    for _ in 0..10 {
        query.clone().instant(&memory, 10_000, &Limits::default()).unwrap();
    }
    assert_eq!(memory.searches.load(Ordering::Relaxed), 2);
    memory.series.push((Labels::from_pairs([(NAME, "a"), ("x", "1")]), vec![Point { at: 0, value: 5.0 }]));
    memory.generation = next_generation();
    assert_eq!(
        query.instant(&memory, 10_000, &Limits::default()).map(|v| matches!(v, Value::Vector(e) if e.len() == 2)),
        Ok(true)
    );
    // Another store with the same query is another answer.
    let other = Memory::of(&[]);
    assert_eq!(query.instant(&other, 10_000, &Limits::default()), Ok(Value::Vector(vec![])));
}

#[test]
fn a_query_tells_what_it_reads_and_how_far_back() {
    let query = Query::parse("sum(rate(a{x=\"1\"}[5m] offset 1m)) / max_over_time(b[1h:1m]) + c offset 2h").unwrap();
    assert_eq!(query.metric_names(), ["a", "b", "c"]);
    assert_eq!(query.selectors().len(), 3);
    assert_eq!(query.reach(), Span::seconds(7200));
    assert_eq!(Query::parse("max_over_time(rate(a[5m])[1h:] offset 1h)").unwrap().reach(), Span::seconds(7500));
    assert_eq!(Query::parse("a offset -5m").unwrap().reach(), Span::seconds(0));
    let scoped = query.scoped_to_namespace("team");
    assert_eq!(scoped.to_string().matches("namespace=\"team\"").count(), 3);
}

#[test]
fn a_range_query_gives_at_each_step_what_an_instant_query_gives() {
    let memory = Memory::of(&[
        (&[(NAME, "a_total"), ("x", "1")], &[1.0, 2.0, 4.0, 1.0, 3.0, 7.0]),
        (&[(NAME, "a_total"), ("x", "2")], &[0.0, 5.0, f64::NAN, 6.0]),
    ]);
    for text in [
        "a_total",
        "rate(a_total[30s])",
        "sum by (x) (a_total)",
        "topk(1, a_total)",
        "a_total > 2",
        "a_total * on (x) a_total",
        "max_over_time(a_total[30s:7s])",
        "a_total offset 10s",
        "rate(a_total[20s] @ 30)",
        "absent(a_total > 6)",
        "time()",
        "abs(a_total) or vector(1)",
    ] {
        let query = Query::parse(text).unwrap();
        let limits = Limits::default();
        let range = query.range(&memory, 0, 60_000, 5_000, &limits).unwrap();
        for at in (0..=60_000).step_by(5_000) {
            let mut from_range: Vec<(Labels, u64)> = range
                .iter()
                .filter_map(|s| s.points.iter().find(|p| p.at == at).map(|p| (s.labels.clone(), p.value.to_bits())))
                .collect();
            let mut from_instant: Vec<(Labels, u64)> = match query.instant(&memory, at, &limits).unwrap() {
                Value::Vector(elements) => elements.into_iter().map(|(l, v)| (l, v.to_bits())).collect(),
                Value::Scalar(value) => vec![(Labels::empty(), value.to_bits())],
                other => panic!("{other:?}"),
            };
            from_range.sort();
            from_instant.sort();
            assert_eq!(from_range, from_instant, "{text} at {at}");
        }
    }
}

#[test]
fn what_a_query_says_about_itself() {
    let memory = Memory::of(&[(&[(NAME, "gauge")], &[1.0, 2.0])]);
    let mut notes = Vec::new();
    Query::parse("rate(gauge[1m])").unwrap().instant_noting(&memory, 10_000, &Limits::default(), &mut notes).unwrap();
    assert!(notes[0].message.contains("might not be a counter") && !notes[0].warning, "{notes:?}");
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("a".to_owned()),
        Just("b{x=\"1\"}".to_owned()),
        Just("{__name__=~\"a|b\", y!=\"2\"}".to_owned()),
        (-5_i32..5).prop_map(|number| format!("vector({number})")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (
                two.clone(),
                prop::sample::select(vec![
                    "+", "-", "*", "/", "%", "^", "atan2", ">", "== bool", "and", "or", "unless"
                ])
            )
                .prop_map(|((a, b), op)| format!("({a} {op} {b})")),
            (
                two,
                prop::sample::select(vec![
                    "+ on (x) group_left",
                    "* ignoring (y)",
                    "and on (x)",
                    "> on () group_right (y)"
                ])
            )
                .prop_map(|((a, b), op)| format!("({a} {op} {b})")),
            (
                inner.clone(),
                prop::sample::select(vec!["sum", "avg", "count", "max", "stddev", "topk(2,", "quantile(0.5,"]),
                prop::sample::select(vec!["", "by (x)", "without (x)", "by (y, __name__)"])
            )
                .prop_map(|(a, op, by)| match op.strip_suffix(',') {
                    Some(op) => format!(
                        "{}{by} ({}, {a})",
                        &op[..op.find('(').unwrap_or(0)],
                        &op[op.find('(').unwrap_or(0) + 1..]
                    ),
                    None => format!("{op} {by} ({a})"),
                }),
            (
                inner.clone(),
                prop::sample::select(vec!["abs", "-", "rate", "max_over_time", "absent", "sort_desc", "timestamp"])
            )
                .prop_map(|(a, f)| match f {
                    "-" => format!("-{a}"),
                    "rate" | "max_over_time" => format!("{f}(({a})[30s:10s])"),
                    f => format!("{f}({a})"),
                }),
        ]
    })
}

fn small() -> Memory {
    Memory::of(&[
        (&[(NAME, "a"), ("x", "1"), ("y", "1")], &[1.0, 2.0, 3.0]),
        (&[(NAME, "a"), ("x", "1"), ("y", "2")], &[4.0, f64::NAN, 6.0]),
        (&[(NAME, "a"), ("x", "2"), ("y", "1")], &[0.0, -1.0, f64::INFINITY]),
        (&[(NAME, "b"), ("x", "1")], &[10.0, 5.0, 20.0]),
        (&[(NAME, "b"), ("x", "2"), ("y", "3")], &[7.0]),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = Query::parse(&text);
    }

    #[test]
    fn no_mixture_of_tokens_panics(words in prop::collection::vec(prop::sample::select(vec![
        "a", "sum", "by", "(", ")", "[", "]", "{", "}", "5m", "1", "-", "+", "^", "==", "bool", "on", "ignoring", "group_left",
        "offset", "@", "start", "end", ":", ",", "=", "=~", "\"x\"", "rate", "and", "or", "topk", "count_values", "inf", "1e400", "#",
    ]), 0..20)) {
        let text = words.join(" ");
        if let Ok(query) = Query::parse_experimental(&text) {
            let _ = query.instant(&small(), 20_000, &Limits::default());
        }
    }

    #[test]
    fn a_written_query_reads_back_and_means_the_same(text in expression()) {
        let Ok(query) = Query::parse(&text) else { return Ok(()) };
        let again = Query::parse(&query.to_string()).unwrap();
        prop_assert_eq!(query.to_string(), again.to_string());
        let (memory, limits) = (small(), Limits::default());
        let (a, b) = (query.instant(&memory, 20_000, &limits), again.instant(&memory, 20_000, &limits));
        prop_assert_eq!(format!("{a:?}"), format!("{b:?}"));
    }

    #[test]
    fn an_instant_answer_is_the_range_answer_of_one_step(text in expression(), at in 0_i64..4) {
        let Ok(query) = Query::parse(&text) else { return Ok(()) };
        let (memory, limits) = (small(), Limits::default());
        let instant = query.instant(&memory, at * 10_000, &limits);
        let range = query.range(&memory, at * 10_000, at * 10_000, 1000, &limits);
        match (instant, range) {
            (Ok(Value::Vector(mut elements)), Ok(series)) => {
                elements.sort_by(|a, b| a.0.cmp(&b.0));
                let from_range: Vec<(Labels, f64)> = series.into_iter().map(|s| (s.labels, s.points[0].value)).collect();
                prop_assert_eq!(format!("{elements:?}"), format!("{from_range:?}"));
            }
            (Ok(_), Ok(_)) => {}
            (Err(a), Err(b)) => prop_assert_eq!(a, b),
            (a, b) => prop_assert!(false, "{a:?} but {b:?}"),
        }
    }

    #[test]
    fn sums_of_parts_are_the_sum_of_the_whole(values in prop::collection::vec((0_u8..3, 0_u8..3, -1000_i32..1000), 1..30)) {
        let mut seen = std::collections::BTreeMap::new();
        for (x, y, value) in values {
            seen.insert((x, y), f64::from(value));
        }
        let series = seen.iter().map(|((x, y), value)| {
            (Labels::from_pairs([(NAME.to_owned(), "m".to_owned()), ("x".into(), x.to_string()), ("y".into(), y.to_string())]), vec![Point { at: 0, value: *value }])
        });
        let memory = Memory::new(series.collect());
        let whole = vector(&memory, "sum(m)", 0)[0].1;
        for parts in ["sum(sum by (x) (m))", "sum(sum without (x) (m))", "sum(avg by (x) (m) * count by (x) (m))"] {
            let sum = vector(&memory, parts, 0)[0].1;
            prop_assert!((sum - whole).abs() < 1e-6, "{parts}: {sum} is not {whole}");
        }
        // Grouping by x is grouping without all others.
        prop_assert_eq!(vector(&memory, "max by (x) (m)", 0), vector(&memory, "max without (y) (m)", 0));
        let counts: f64 = vector(&memory, "count by (y) (m)", 0).iter().map(|(_, count)| count).sum();
        prop_assert_eq!(counts as usize, seen.len());
    }
}
