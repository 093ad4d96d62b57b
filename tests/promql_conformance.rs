//! Runs PromQL test scripts in the format of the Prometheus project and compares every answer.
//!
//! The scripts are in the folder that `PROMQLTEST_DIR` names, else in `$VITALS_TEST_DATA/promqltest`; with neither the
//! test says that it was skipped. It prints `file: passed/in scope of all` per script.
//!
//! An evaluation is out of scope only when it fails *and* needs what is not served: native histograms, or what
//! Prometheus itself calls experimental. Which ones those are in the known scripts is committed in
//! `promql_conformance/out_of_scope.txt`, with reasons, and what is not right yet in `promql_conformance/not_yet.txt`;
//! both are checked in both directions.

// A test may fail by panicking, helpers included.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use regex::Regex;
use vitals::model::labels::{Labels, METRIC_NAME};
use vitals::model::matcher::Matcher;
use vitals::model::ports::{Series, SeriesId, next_generation};
use vitals::model::series::{Millis, Point, stale_nan};
use vitals::promql::{Limits, Note, Query, QueryError, RangeSeries, Value};

#[test]
fn every_script_agrees_with_prometheus_but_for_what_is_listed() {
    let Some(folder) = scripts() else {
        say("SKIPPED every_script_agrees_with_prometheus: set PROMQLTEST_DIR or VITALS_TEST_DATA (1 test skipped)\n");
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there is no script *.test in {}", folder.display());
    let (out_list, not_yet_list) = (listed("out_of_scope.txt"), listed("not_yet.txt"));
    let mut found_out = BTreeSet::new();
    let mut found_not_yet = BTreeSet::new();
    let mut unexpected = String::new();
    let mut seen = BTreeSet::new();
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        seen.insert(name.clone());
        let text = std::fs::read_to_string(file).unwrap();
        let (mut all, mut out, mut passed) = (0, 0, 0);
        for outcome in Script::run(&text) {
            all += 1;
            let key = format!("{name}\t{}", outcome.command);
            match (outcome.result, outcome.out_of_scope) {
                (Ok(()), _) => passed += 1,
                (Err(_), Some(reason)) => {
                    out += 1;
                    found_out.insert(format!("{reason}\t{key}"));
                }
                (Err(why), None) => {
                    let entry = not_yet_list.iter().find(|entry| entry.split_once('\t').is_some_and(|(_, k)| k == key));
                    match entry {
                        Some(entry) => drop(found_not_yet.insert(entry.clone())),
                        None => {
                            let _ = writeln!(unexpected, "{name}:{}: {}\n    {why}", outcome.line, outcome.command);
                        }
                    }
                }
            }
        }
        say(&format!("{name}: {passed}/{} of {all}\n", all - out));
    }
    if std::env::var_os("PROMQLTEST_WRITE").is_some() {
        let text: String = found_out.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(lists().join("out_of_scope.txt"), format!("{OUT_HEADER}{text}")).unwrap();
        return;
    }
    assert!(unexpected.is_empty(), "these evaluations disagree with Prometheus:\n{unexpected}");
    // The lists speak of the known scripts only; of a script that they know each line must hold.
    let concerns = |line: &&String| line.split('\t').nth(1).is_some_and(|file| seen.contains(file));
    let known: BTreeSet<&str> = out_list.iter().filter_map(|line| line.split('\t').nth(1)).collect();
    for line in out_list.iter().filter(concerns) {
        assert!(found_out.contains(line), "listed as out of scope, but it passes or fails otherwise now:\n{line}");
    }
    for line in found_out.iter().filter(|line| line.split('\t').nth(1).is_some_and(|file| known.contains(file))) {
        assert!(out_list.contains(line), "out of scope, but not listed:\n{line}");
    }
    for line in not_yet_list.iter().filter(concerns) {
        assert!(found_not_yet.contains(line), "listed as not right yet, but it passes now; remove it:\n{line}");
    }
}

const OUT_HEADER: &str = "# Evaluations that need what is not served, and fail for it: reason, script, command.\n\
    # native: native histograms; experimental: behind a feature flag in Prometheus.\n";

fn scripts() -> Option<PathBuf> {
    std::env::var_os("PROMQLTEST_DIR")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("VITALS_TEST_DATA").map(|folder| Path::new(&folder).join("promqltest")))
}

fn lists() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql_conformance")
}

fn listed(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(lists().join(name)).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

/// Past the test harness, which swallows what passing tests print.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Series as a script loads them.
struct Memory {
    generation: u64,
    series: Vec<(Labels, Vec<Point>)>,
    /// Series that have native histograms, which are not stored.
    native: Vec<Labels>,
}

impl Memory {
    fn new() -> Self {
        Self { generation: next_generation(), series: Vec::new(), native: Vec::new() }
    }

    fn load(&mut self, labels: Labels, step: i64, values: Vec<Given>) {
        self.generation = next_generation();
        if values.iter().any(|value| matches!(value, Given::Native)) {
            self.native.push(labels.clone());
        }
        let floats = values.into_iter().enumerate().filter_map(|(index, value)| match value {
            Given::Float(value) => Some(Point { at: index as i64 * step, value }),
            Given::Stale => Some(Point { at: index as i64 * step, value: stale_nan() }),
            Given::Missing | Given::Native => None,
        });
        let points = match self.series.iter().position(|(known, _)| *known == labels) {
            Some(at) => &mut self.series[at].1,
            None => {
                self.series.push((labels, Vec::new()));
                &mut self.series.last_mut().unwrap().1
            }
        };
        for point in floats {
            if points.last().is_none_or(|last| last.at < point.at) {
                points.push(point);
            }
        }
    }

    /// `load_with_nhcb` makes native histograms of classic ones.
    fn also_native(&mut self, labels: &Labels) {
        let name = labels.metric().unwrap_or("");
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        if let Some(base) = base {
            self.native.push(labels.without(&["le"]).with(METRIC_NAME, base));
        }
    }

    fn touches_native(&self, query: &Query) -> bool {
        query
            .selectors()
            .iter()
            .any(|matchers| self.native.iter().any(|labels| matchers.iter().all(|m| m.matches(labels))))
    }
}

impl Series for Memory {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn find(&self, matchers: &[Matcher], out: &mut Vec<SeriesId>) {
        for (index, (labels, _)) in self.series.iter().enumerate() {
            if matchers.iter().all(|matcher| matcher.matches(labels)) {
                out.push(SeriesId(index as u32));
            }
        }
        out.sort_by_key(|id| self.labels(*id));
    }

    fn labels(&self, id: SeriesId) -> Labels {
        self.series[id.0 as usize].0.clone()
    }

    fn points(&self, id: SeriesId, from: Millis, to: Millis, out: &mut Vec<Point>) {
        let points = &self.series[id.0 as usize].1;
        let begin = points.partition_point(|point| point.at < from);
        out.extend(points[begin..].iter().take_while(|point| point.at <= to));
    }

    fn latest(&self, id: SeriesId, from: Millis, to: Millis) -> Option<Point> {
        let points = &self.series[id.0 as usize].1;
        let end = points.partition_point(|point| point.at <= to);
        points[..end].last().filter(|point| from <= point.at).copied()
    }
}

/// One value of a series in a script.
#[derive(Clone, Debug)]
enum Given {
    Float(f64),
    Stale,
    Missing,
    Native,
}

/// What became of one evaluation.
struct Outcome {
    line: usize,
    command: String,
    result: Result<(), String>,
    out_of_scope: Option<&'static str>,
}

/// An evaluation as a script describes it.
struct Eval {
    line: usize,
    command: String,
    expr: String,
    /// Start, end, step; the step is none for an instant query.
    from: Millis,
    to: Millis,
    step: Option<i64>,
    ordered: bool,
    /// What is expected of failing and of notes: kind and message.
    expects: Vec<(String, Expected)>,
    text: Option<String>,
    scalar: Option<f64>,
    matrix: Option<(Millis, i64)>,
    series: Vec<(Labels, Vec<Given>)>,
}

#[derive(Clone)]
enum Expected {
    Anything,
    Message(String),
    Pattern(Regex),
}

impl Expected {
    fn fits(&self, message: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Message(text) => {
                let plain = text.trim_start_matches("PromQL warning: ").trim_start_matches("PromQL info: ");
                let placeless = message.rsplit_once(" (").map_or(message, |(before, _)| before);
                message == plain || placeless == plain || message.starts_with(&format!("{plain}:"))
            }
            Self::Pattern(pattern) => pattern.is_match(message),
        }
    }
}

struct Script {
    memory: Memory,
    outcomes: Vec<Outcome>,
}

impl Script {
    fn run(text: &str) -> Vec<Outcome> {
        let lines: Vec<&str> =
            text.lines().map(str::trim).map(|line| if line.starts_with('#') { "" } else { line }).collect();
        let mut script = Self { memory: Memory::new(), outcomes: Vec::new() };
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            let body = || lines[at + 1..].iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>();
            let word = line.split_whitespace().next().unwrap_or("");
            if word == "clear" {
                script.memory = Memory::new();
                at += 1;
            } else if word.starts_with("load") {
                let step = duration(line.split_whitespace().nth(1).unwrap());
                // Within one load a later line for the same series replaces the earlier one.
                let given: BTreeMap<Labels, Vec<Given>> = body().into_iter().map(series).collect();
                for (labels, values) in given {
                    if word == "load_with_nhcb" {
                        script.memory.also_native(&labels);
                    }
                    script.memory.load(labels, step, values);
                }
                at += 1 + body().len();
            } else if word.starts_with("eval") {
                let eval = Eval::read(at + 1, line, &body());
                script.evaluate(eval);
                at += 1 + lines[at + 1..].iter().take_while(|line| !line.is_empty()).count();
            } else {
                assert!(line.is_empty(), "line {}: not a command: {line}", at + 1);
                at += 1;
            }
        }
        script.outcomes
    }

    fn evaluate(&mut self, eval: Eval) {
        let (result, out_of_scope) = match Query::parse_experimental(&eval.expr) {
            Err(error) => {
                let experimental =
                    matches!(&error, QueryError::Unsupported { hint, .. } if hint.contains("experimental"));
                let native = matches!(&error, QueryError::Unsupported { hint, .. } if hint.contains("native"));
                let reason = native.then_some("native").or(experimental.then_some("experimental"));
                (eval.judge_error(&error.to_string()), reason)
            }
            Ok(query) => {
                let native = self.memory.touches_native(&query)
                    || eval.series.iter().any(|(_, values)| values.iter().any(|value| matches!(value, Given::Native)));
                // Prometheus drops these two with the name, behind a flag.
                let metadata = self.memory.series.iter().any(|(labels, _)| labels.get("__type__").is_some());
                let reason = native.then_some("native").or(metadata.then_some("experimental"));
                (eval.check(&query, &self.memory), reason)
            }
        };
        self.outcomes.push(Outcome { line: eval.line, command: eval.command, result, out_of_scope });
    }
}

impl Eval {
    fn read(line: usize, command: &str, body: &[&str]) -> Self {
        let instant = Regex::new(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$").unwrap();
        let range = Regex::new(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$")
            .unwrap();
        let (mode, expr, from, to, step) = if let Some(found) = instant.captures(command) {
            let at = found.get(2).map_or(0, |at| duration(at.as_str()));
            (found.get(1), found[3].to_owned(), at, at, None)
        } else if let Some(found) = range.captures(command) {
            (found.get(1), found[5].to_owned(), duration(&found[2]), duration(&found[3]), Some(duration(&found[4])))
        } else {
            panic!("line {line}: not an evaluation: {command}");
        };
        let mut eval = Self {
            line,
            command: command.split_whitespace().collect::<Vec<_>>().join(" "),
            expr,
            from,
            to,
            step,
            ordered: false,
            expects: Vec::new(),
            text: None,
            scalar: None,
            matrix: None,
            series: Vec::new(),
        };
        match mode.map(|mode| mode.as_str()) {
            Some("ordered") => eval.ordered = true,
            Some(kind) => eval.expects.push((kind.to_owned(), Expected::Anything)),
            None => {}
        }
        body.iter().for_each(|line| eval.read_expectation(line));
        eval
    }

    fn read_expectation(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("expect range vector from ") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            self.matrix = Some((duration(words[0]), duration(words[4])));
        } else if let Some(text) = line.strip_prefix("expect string ") {
            let Ok(query) = Query::parse(text) else { panic!("not a string: {text}") };
            let Ok(Value::Text(text)) = query.instant(&Memory::new(), 0, &Limits::default()) else {
                panic!("not a string")
            };
            self.text = Some(text);
        } else if let Some(message) = line.strip_prefix("expected_fail_message ") {
            self.expects.push(("fail".into(), Expected::Message(message.trim().into())));
        } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp ") {
            self.expects.push(("fail".into(), Expected::Pattern(Regex::new(pattern.trim()).unwrap())));
        } else if let Some(rest) = line.strip_prefix("expect ") {
            let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let rest = rest.trim();
            let expected = if let Some(message) = rest.strip_prefix("msg:") {
                Expected::Message(message.trim().into())
            } else if let Some(pattern) = rest.strip_prefix("regex:") {
                Expected::Pattern(Regex::new(pattern.trim()).unwrap())
            } else {
                Expected::Anything
            };
            match kind {
                "ordered" => self.ordered = true,
                kind => self.expects.push((kind.to_owned(), expected)),
            }
        } else if let Some(value) = number(line) {
            self.scalar = Some(value);
        } else {
            self.series.push(series(line));
        }
    }

    fn expected(&self, kind: &str) -> Option<&Expected> {
        // A message says more than a bare `eval_fail`.
        self.expects.iter().rev().find(|(found, _)| found == kind).map(|(_, expected)| expected)
    }

    fn judge_error(&self, error: &str) -> Result<(), String> {
        match self.expected("fail") {
            Some(expected) if expected.fits(error) => Ok(()),
            Some(_) => Err(format!("it should fail with another message than: {error}")),
            None => Err(format!("it fails: {error}")),
        }
    }

    fn check(&self, query: &Query, memory: &Memory) -> Result<(), String> {
        let limits = Limits { delayed_name_removal: true, ..Limits::default() };
        let mut notes = Vec::new();
        if let Some(step) = self.step {
            let answer = query.range_noting(memory, self.from, self.to, step, &limits, &mut notes);
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => return self.judge_error(&error.to_string()),
            };
            self.judge_success(&notes)?;
            return self.compare_matrix(answer, self.from, step);
        }
        let answer = match query.instant_noting(memory, self.from, &limits, &mut notes) {
            Ok(answer) => answer,
            Err(error) => return self.judge_error(&error.to_string()),
        };
        self.judge_success(&notes)?;
        self.compare(answer)?;
        self.compare_with_range(query, memory, &limits)
    }

    /// As Prometheus's own runner: an instant answer must also be the middle of a range query.
    fn compare_with_range(&self, query: &Query, memory: &Memory, limits: &Limits) -> Result<(), String> {
        if self.ordered
            || self.text.is_some()
            || self.matrix.is_some()
            || self.expr.contains("start()")
            || self.expr.contains("end()")
            || self.expr.contains("range()")
            || self.expr.contains("step()")
        {
            return Ok(());
        }
        let minute = 60_000;
        let range = query.range(memory, self.from - minute, self.to + minute, minute, limits);
        // At another step of the range the labels may be ambiguous.
        let Ok(series) = range else { return Ok(()) };
        let at = |series: RangeSeries| {
            series.points.iter().find(|point| point.at == self.from).map(|point| (series.labels, point.value))
        };
        let vector: Vec<(Labels, f64)> = series.into_iter().filter_map(at).collect();
        let answer = match (self.scalar, vector.as_slice()) {
            (Some(_), [(_, value)]) => Value::Scalar(*value),
            _ => Value::Vector(vector),
        };
        self.compare(answer).map_err(|why| format!("as the middle of a range query: {why}"))
    }

    fn judge_success(&self, notes: &[Note]) -> Result<(), String> {
        if self.expected("fail").is_some() {
            return Err("it should fail".into());
        }
        for (kind, expected) in &self.expects {
            let warning = kind.ends_with("warn");
            let mut relevant = notes.iter().filter(|note| note.warning == warning);
            match kind.as_str() {
                "warn" | "info" if !relevant.any(|note| expected.fits(&note.message)) => {
                    return Err(format!("a note of kind {kind} is missing; there are {notes:?}"));
                }
                "no_warn" | "no_info" if relevant.next().is_some() => {
                    return Err(format!("there should be no such note: {notes:?}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn compare(&self, answer: Value) -> Result<(), String> {
        match (answer, &self.text, self.scalar) {
            (Value::Text(found), Some(expected), _) if found == *expected => Ok(()),
            (Value::Scalar(found), None, Some(expected)) if close(found, expected) => Ok(()),
            (Value::Vector(found), None, None) => self.compare_vector(&found),
            (Value::Matrix(found), None, None) if self.matrix.is_some() => {
                let (from, step) = self.matrix.unwrap();
                self.compare_matrix(found, from, step)
            }
            (found, text, scalar) => Err(format!("expected {text:?} {scalar:?}, found {found:?}")),
        }
    }

    fn compare_vector(&self, found: &[(Labels, f64)]) -> Result<(), String> {
        if found.len() != self.series.len() {
            return Err(format!("expected {:?}, found {found:?}", self.series));
        }
        for (index, (labels, values)) in self.series.iter().enumerate() {
            let other = if self.ordered { found.get(index) } else { found.iter().find(|(other, _)| other == labels) };
            match (other, values.first()) {
                (Some((other, value)), Some(Given::Float(expected))) if other == labels && close(*value, *expected) => {
                }
                (other, _) => return Err(format!("expected {labels} {values:?}, found {other:?} in {found:?}")),
            }
        }
        Ok(())
    }

    fn compare_matrix(&self, found: Vec<RangeSeries>, from: Millis, step: i64) -> Result<(), String> {
        let mut expected: BTreeMap<Labels, Vec<(Millis, f64)>> = BTreeMap::new();
        for (labels, values) in &self.series {
            let points = values.iter().enumerate().filter_map(|(index, value)| match value {
                Given::Float(value) => Some((from + index as i64 * step, *value)),
                Given::Native => Some((from + index as i64 * step, f64::INFINITY)),
                _ => None,
            });
            expected.insert(labels.clone(), points.collect());
        }
        if let Some(value) = self.scalar {
            let points = (from..=self.to).step_by(step as usize).map(|at| (at, value)).collect();
            expected.insert(Labels::empty(), points);
        }
        expected.retain(|_, points| !points.is_empty());
        for series in &found {
            let Some(points) = expected.remove(&series.labels) else {
                return Err(format!("not expected: {series:?}"));
            };
            let same = points.len() == series.points.len()
                && points.iter().zip(&series.points).all(|((at, value), p)| *at == p.at && close(*value, p.value));
            if !same {
                return Err(format!("{}: expected {points:?}, found {:?}", series.labels, series.points));
            }
        }
        if expected.is_empty() { Ok(()) } else { Err(format!("missing: {expected:?}")) }
    }
}

fn close(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < 1e-6
}

/// `5m`, `1h30m`, `10s53ms` or a bare number of seconds.
fn duration(text: &str) -> i64 {
    let Ok(query) = Query::parse(text) else { panic!("not a duration: {text}") };
    let Ok(Value::Scalar(seconds)) = query.instant(&Memory::new(), 0, &Limits::default()) else { panic!("{text}") };
    (seconds * 1000.0).round() as i64
}

/// A number as scripts write it.
fn number(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "+inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        other => match other.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(|value| value as f64),
            None => other.parse().ok(),
        },
    }
}

/// `metric{labels} values…`
fn series(line: &str) -> (Labels, Vec<Given>) {
    let end = match line.find('{') {
        Some(open) if line[..open].chars().all(|c| !c.is_whitespace()) => open + closing(&line[open..]) + 1,
        _ => line.find(char::is_whitespace).unwrap_or(line.len()),
    };
    let (name, rest) = line.split_at(end);
    (labels(name), values(rest))
}

/// Where the brace that the text begins with is closed, quotes considered.
fn closing(text: &str) -> usize {
    let mut quoted = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quoted, c) {
            _ if escaped => escaped = false,
            (Some('`'), '`') => quoted = None,
            (Some('`'), _) => {}
            (Some(_), '\\') => escaped = true,
            (Some(quote), c) if c == quote => quoted = None,
            (None, '"' | '\'' | '`') => quoted = Some(c),
            (None, '}') => return at,
            _ => {}
        }
    }
    panic!("a brace is missing: {text}");
}

fn labels(text: &str) -> Labels {
    if text.is_empty() || text == "{}" {
        return Labels::empty();
    }
    // A matcher that never matches empty lets the parser take any braces.
    let with = match text.split_once('{') {
        Some((name, rest)) if rest.trim_start().starts_with('}') => format!("{name}{{__test__=\"1\"}}"),
        Some((name, rest)) => format!("{name}{{__test__=\"1\",{rest}"),
        None => text.to_owned(),
    };
    let Ok(query) = Query::parse(&with) else { panic!("not a series: {text}") };
    let pairs =
        query.selectors().remove(0).into_iter().map(|matcher| (matcher.name().to_owned(), matcher.value().to_owned()));
    Labels::from_pairs(pairs.filter(|(name, _)| name != "__test__").collect::<Vec<_>>())
}

/// `1+2x3 _ stale {{…}}x2`
fn values(text: &str) -> Vec<Given> {
    let native = Regex::new(r"\{\{[^}]*\}\}(?:[+-]\{\{[^}]*\}\})?").unwrap();
    let text = native.replace_all(text, "NATIVE");
    let item = Regex::new(r"^(NATIVE|_|stale|[+-]?(?:[0-9.]+(?:[eE][+-]?[0-9]+)?|[iI]nf|[nN]a[nN]))(?:([+-][0-9.]+(?:[eE][+-]?[0-9]+)?))?(?:x([0-9]+))?$").unwrap();
    let mut out = Vec::new();
    for word in text.split_whitespace() {
        if word.starts_with('#') {
            break;
        }
        let Some(found) = item.captures(word) else { panic!("not a value: {word:?} in {text:?}") };
        let times: Option<usize> = found.get(3).map(|times| times.as_str().parse().unwrap());
        match &found[1] {
            "NATIVE" => out.extend(vec![Given::Native; times.map_or(1, |times| times + 1)]),
            "_" => out.extend(vec![Given::Missing; times.unwrap_or(1)]),
            "stale" => out.extend(vec![Given::Stale; times.map_or(1, |times| times + 1)]),
            value => {
                let value = number(value).unwrap();
                let step = found.get(2).map_or(0.0, |step| number(step.as_str()).unwrap());
                let mut current = value;
                for _ in 0..=times.unwrap_or(0) {
                    out.push(Given::Float(current));
                    current += step;
                }
            }
        }
    }
    out
}

#[test]
fn scripts_are_read_as_prometheus_reads_them() {
    let (labels, values) = series(r#"a{b="c}", d='e'} 1+2x2 _ _x2 stale -5x1 {{sum:1}}x1"#);
    assert_eq!(labels, Labels::from_pairs([(METRIC_NAME, "a"), ("b", "c}"), ("d", "e")]));
    assert_eq!(
        format!("{values:?}"),
        "[Float(1.0), Float(3.0), Float(5.0), Missing, Missing, Missing, Stale, Float(-5.0), Float(-5.0), Native, Native]"
    );
    assert_eq!(number("-0x10"), None);
    assert_eq!(duration("10s53ms"), 10_053);
}

#[test]
fn a_wrong_expectation_is_found() {
    let script =
        |expected: &str| format!("load 1m\n  m{{a=\"b\"}} 0+60x10\n\neval instant at 5m rate(m[5m])\n  {expected}\n");
    assert!(Script::run(&script("{a=\"b\"} 1"))[0].result.is_ok());
    assert!(Script::run(&script("{a=\"b\"} 2"))[0].result.is_err());
    assert!(Script::run(&script("{a=\"c\"} 1"))[0].result.is_err());
    assert!(Script::run(&script("expect fail"))[0].result.is_err());
    assert!(Script::run(&script(""))[0].result.is_err());
}
