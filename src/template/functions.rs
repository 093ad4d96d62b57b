//! The functions of templates: Prometheus's, a few of Alertmanager's, and the hidden ones that the parser puts in.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use gotmpl::{TemplateError, Value, ValueFunc};

use super::{budget, data, human, strings};
use crate::model::series::write_value;

/// Charges for a value that moves on, and makes a missing one empty, as Prometheus does.
pub(super) const CHARGE: &str = "__charge";
/// Charges for the steps of a block.
pub(super) const STEP: &str = "__step";
/// Writes a value as Go does.
pub(super) const SHOW: &str = "__show";
/// `.Alerts.Firing` and its kin.
pub(super) const METHOD: &str = "__method";
/// `{x}` in plain text.
pub(super) const BRACE: &str = "__brace";

/// Functions that gotmpl brings.
const BUILT_IN: [&str; 18] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice", "print", "println", "printf",
    "html", "js", "urlquery",
];
/// Largest width or precision in a format of `printf`.
const MAX_WIDTH: usize = 512;
/// Longest regular expression, in bytes, and its largest compiled form.
const MAX_PATTERN: usize = 4096;
const MAX_PROGRAM: usize = 256 * 1024;
/// What compiling an expression costs.
const REGEX_COST: usize = 20_000;

type Result<T> = gotmpl::Result<T>;

/// Whether templates may call a function of this name.
pub(super) fn exists(name: &str) -> bool {
    BUILT_IN.contains(&name) || (!name.starts_with("__") && TABLE.contains_key(name))
}

/// Names that a user may have meant, for the error.
pub(super) fn names() -> String {
    let mut all: Vec<&str> = TABLE.keys().map(String::as_str).filter(|name| !name.starts_with("__")).collect();
    all.extend(BUILT_IN);
    all.sort_unstable();
    all.join(", ")
}

/// All functions, to be given to a template.
pub(super) fn table() -> gotmpl::FuncMap {
    TABLE.clone()
}

static TABLE: LazyLock<gotmpl::FuncMap> = LazyLock::new(|| {
    let mut table = gotmpl::FuncMap::new();
    let mut add = |name: &str, arity: std::ops::RangeInclusive<usize>, call: fn(&[Value]) -> Result<Value>| {
        let owned = name.to_owned();
        let checked: ValueFunc = Arc::new(move |args: &[Value]| {
            budget::spend(1)?;
            if arity.contains(&args.len()) {
                return call(args);
            }
            let wanted = match (arity.start(), arity.end()) {
                (1, 1) => "one argument".to_owned(),
                (least, &usize::MAX) => format!("at least {least} arguments"),
                (least, most) if least == most => format!("{least} arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            Err(fail(format!("{owned} takes {wanted}, not {}", args.len())))
        });
        table.insert(name.to_owned(), checked);
    };
    add(CHARGE, 1..=1, |args| {
        budget::spend_on(&args[0])?;
        Ok(if matches!(args[0], Value::Nil) { text("") } else { args[0].clone() })
    });
    add(STEP, 1..=1, |args| {
        budget::spend(args[0].as_int().and_then(|steps| usize::try_from(steps).ok()).unwrap_or(1))?;
        Ok(text(""))
    });
    add(SHOW, 1..=1, |args| Ok(show(&args[0])));
    add(METHOD, 2..=2, |args| method(&args[0], &word(&args[1])));
    add(BRACE, 1..=1, |args| brace(&word(&args[0])));

    add("query", 1..=1, |args| budget::ask(&word(&args[0]), false));
    add("first", 1..=1, |args| {
        samples(&args[0])?.first().cloned().ok_or_else(|| fail("first: the query found nothing; test it with {{with}}"))
    });
    add("label", 2..=2, |args| {
        let labels = args[1].field("Labels").cloned().unwrap_or(Value::Nil);
        Ok(text(&labels.field(&word(&args[0])).map(word).unwrap_or_default()))
    });
    add("value", 1..=1, |args| {
        args[0]
            .field("Value")
            .cloned()
            .ok_or_else(|| fail("value wants one sample of a query, such as `query \"up\" | first | value`"))
    });
    add("strvalue", 1..=1, |args| {
        let labels = args[0].field("Labels").cloned().unwrap_or(Value::Nil);
        Ok(text(&labels.field("__value__").map(word).unwrap_or_default()))
    });
    add("sortByLabel", 2..=2, |args| {
        let name = word(&args[0]);
        let mut list = samples(&args[1])?.to_vec();
        let key = |sample: &Value| {
            sample.field("Labels").and_then(|labels| labels.field(&name)).map(word).unwrap_or_default()
        };
        list.sort_by_cached_key(key);
        Ok(Value::List(list.into()))
    });

    add("humanize", 1..=1, |args| Ok(text(&human::humanize(number(&args[0])?))));
    add("humanize1024", 1..=1, |args| Ok(text(&human::humanize1024(number(&args[0])?))));
    add("humanizeDuration", 1..=1, |args| Ok(text(&human::humanize_duration(number(&args[0])?))));
    add("humanizePercentage", 1..=1, |args| Ok(text(&human::humanize_percentage(number(&args[0])?))));
    add("humanizeTimestamp", 1..=1, |args| {
        human::humanize_timestamp(number(&args[0])?).map(|t| text(&t)).map_err(fail)
    });
    add("toTime", 1..=1, |args| human::humanize_timestamp(number(&args[0])?).map(|t| text(&t)).map_err(fail));
    add("parseDuration", 1..=1, |args| strings::parse_duration(&word(&args[0])).map(Value::Float).map_err(fail));

    add("title", 1..=1, |args| Ok(text(&strings::title(&word(&args[0])))));
    add("toUpper", 1..=1, |args| Ok(text(&word(&args[0]).to_uppercase())));
    add("toLower", 1..=1, |args| Ok(text(&word(&args[0]).to_lowercase())));
    add("trimSpace", 1..=1, |args| Ok(text(word(&args[0]).trim())));
    add("stripPort", 1..=1, |args| Ok(text(strings::strip_port(&word(&args[0])))));
    add("stripDomain", 1..=1, |args| Ok(text(&strings::strip_domain(&word(&args[0])))));
    add("safeHtml", 1..=1, |args| Ok(args[0].clone()));
    add("match", 2..=2, |args| {
        let (pattern, subject) = (regex(&word(&args[0]))?, word(&args[1]));
        budget::spend(subject.len())?;
        Ok(Value::Bool(pattern.is_match(&subject)))
    });
    add("reReplaceAll", 3..=3, |args| {
        let (pattern, with, subject) = (regex(&word(&args[0]))?, word(&args[1]), word(&args[2]));
        // The result may be much longer than what goes in: pay for the worst before making it.
        budget::spend((subject.len() + 1) * (with.len() + 1) + with.matches('$').count() * subject.len().pow(2))?;
        Ok(text(&pattern.replace_all(&subject, with.as_str())))
    });
    add("args", 0..=usize::MAX, |args| {
        let map = args.iter().enumerate().map(|(at, value)| (Arc::from(format!("arg{at}")), value.clone()));
        Ok(Value::Map(Arc::new(map.collect())))
    });
    add("stringSlice", 0..=usize::MAX, |args| Ok(Value::List(args.to_vec().into())));
    add("join", 2..=2, |args| {
        let Value::List(items) = &args[1] else { return Err(fail("join wants a separator and a list")) };
        let separator = word(&args[0]);
        budget::spend(items.len() * separator.len())?;
        Ok(text(&items.iter().map(word).collect::<Vec<_>>().join(&separator)))
    });
    add("toJson", 1..=1, |args| {
        serde_json::to_string(&data::to_json(&args[0])).map(|t| text(&t)).map_err(|error| fail(error.to_string()))
    });

    add("graphLink", 1..=1, |args| {
        Ok(text(&format!("/graph?g0.expr={}&g0.tab=0", gotmpl::url_encode(&word(&args[0])))))
    });
    add("tableLink", 1..=1, |args| {
        Ok(text(&format!("/graph?g0.expr={}&g0.tab=1", gotmpl::url_encode(&word(&args[0])))))
    });
    add("urlQueryEscape", 1..=1, |args| Ok(text(&gotmpl::url_encode(&word(&args[0])))));
    add("externalURL", 0..=0, |_| Ok(budget::scope(|scope| text(&scope.external_url))));
    add("pathPrefix", 0..=0, |_| Ok(budget::scope(|scope| text(path_of(&scope.external_url)))));
    add("printf", 1..=usize::MAX, printf);
    table
});

fn fail(why: impl Into<String>) -> TemplateError {
    TemplateError::Exec(why.into())
}

fn text(value: &str) -> Value {
    Value::String(Arc::from(value))
}

/// A value as text.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::Nil => String::new(),
        Value::Float(number) => human::shortest(*number),
        other => other.to_string(),
    }
}

fn number(value: &Value) -> Result<f64> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Uint(number) => Ok(*number as f64),
        Value::String(text) => {
            let odd = match text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
                "inf" | "infinity" => Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
                "nan" => Some(f64::NAN),
                _ => None,
            };
            match odd.or_else(|| text.parse().ok()) {
                Some(number) => Ok(number),
                None => Err(fail(format!("{:?} is not a number", shortened(text)))),
            }
        }
        other => Err(fail(format!("a number is wanted here, not a {}", other.type_name()))),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

fn samples(value: &Value) -> Result<&[Value]> {
    match value {
        Value::List(items) => Ok(items),
        other => Err(fail(format!("the result of a query is wanted here, not a {}", other.type_name()))),
    }
}

/// A value as Go prints it at the end of an action.
fn show(value: &Value) -> Value {
    match value {
        Value::Float(number) => text(&human::shortest(*number)),
        Value::List(items) => {
            text(&format!("[{}]", items.iter().map(|item| word(&show(item))).collect::<Vec<_>>().join(" ")))
        }
        Value::Map(map) => {
            let parts: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", word(&show(value)))).collect();
            text(&format!("map[{}]", parts.join(" ")))
        }
        other => other.clone(),
    }
}

/// What Alertmanager's data offers as methods.
fn method(value: &Value, name: &str) -> Result<Value> {
    match (value, name) {
        (Value::Map(map), _) if map.contains_key(name) => Ok(map[name].clone()),
        (Value::Map(map), "SortedPairs") => {
            // As Alertmanager: the name of the alert first.
            let first = map.iter().filter(|(key, _)| &***key == "alertname");
            let rest = map.iter().filter(|(key, _)| &***key != "alertname");
            Ok(Value::List(first.chain(rest).map(|(key, value)| pair(key, value)).collect()))
        }
        (Value::Map(map), "Names") => Ok(Value::List(map.keys().map(|key| Value::String(Arc::clone(key))).collect())),
        (Value::Map(map), "Values") => Ok(Value::List(map.values().cloned().collect())),
        (Value::List(items), "Firing" | "Resolved") => {
            let wanted = name.to_lowercase();
            let of = |alert: &&Value| alert.field("Status").is_some_and(|status| word(status) == wanted);
            Ok(Value::List(items.iter().filter(of).cloned().collect()))
        }
        (Value::Map(_) | Value::Nil, _) => Ok(text("")),
        (Value::String(empty), _) if empty.is_empty() => Ok(text("")),
        (other, _) => Err(fail(format!("a {} has no field {name}", other.type_name()))),
    }
}

fn pair(name: &Arc<str>, value: &Value) -> Value {
    Value::Map(Arc::new(BTreeMap::from([
        (Arc::from("Name"), Value::String(Arc::clone(name))),
        (Arc::from("Value"), value.clone()),
    ])))
}

/// `{x}`: the label, else the value, else the metric, else the text as it stands.
fn brace(name: &str) -> Result<Value> {
    let known = budget::scope(|scope| {
        let value = || (name == "value").then_some(scope.value).flatten().map(plain);
        scope.labels.get(name).cloned().or_else(value)
    });
    if let Some(known) = known {
        return Ok(text(&known));
    }
    let as_written = || text(&format!("{{{name}}}"));
    if !budget::scope(|scope| scope.metrics) {
        return Ok(as_written());
    }
    let answer = budget::ask(name, true)?;
    let found = samples(&answer)?;
    // Of several series the one that is about the same thing as the alert: no label says otherwise.
    let agrees = |sample: &&Value| {
        let Some(Value::Map(labels)) = sample.field("Labels") else { return false };
        budget::scope(|scope| {
            labels.iter().all(|(name, value)| match scope.labels.get(&**name) {
                Some(ours) => &**name == crate::model::labels::METRIC_NAME || *ours == word(value),
                None => true,
            })
        })
    };
    let chosen = found.iter().find(agrees).and_then(|sample| sample.field("Value")).and_then(Value::as_float);
    Ok(chosen.map_or_else(as_written, |value| text(&plain(value))))
}

/// A number without exponent, for people.
fn plain(value: f64) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

fn regex(pattern: &str) -> Result<regex::Regex> {
    budget::spend(REGEX_COST + 16 * pattern.len())?;
    if pattern.len() > MAX_PATTERN {
        return Err(fail(format!(
            "a regular expression of {} bytes is too long; at most {MAX_PATTERN}",
            pattern.len()
        )));
    }
    regex::RegexBuilder::new(pattern)
        .size_limit(MAX_PROGRAM)
        .dfa_size_limit(MAX_PROGRAM)
        .build()
        .map_err(|error| fail(format!("the regular expression {:?} is not valid: {error}", shortened(pattern))))
}

/// The path of a URL, without its closing slash.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
}

/// gotmpl's own `printf`, behind a look at the format: widths and repeated arguments must not fill the memory.
fn printf(args: &[Value]) -> Result<Value> {
    let format = word(&args[0]);
    let mut widest = 0;
    for digits in format.split(|c: char| !c.is_ascii_digit()) {
        widest = widest.max(digits.parse().unwrap_or(if digits.is_empty() { 0 } else { usize::MAX }));
    }
    if format.contains('*') {
        let numbers = args.iter().filter_map(Value::as_int);
        widest =
            widest.max(numbers.map(|n| usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX)).max().unwrap_or(0));
    }
    if widest > MAX_WIDTH {
        return Err(fail(format!("printf: a width above {MAX_WIDTH} is too large")));
    }
    let longest = args[1..].iter().filter_map(|arg| arg.as_str().map(str::len)).max().unwrap_or(0);
    budget::spend(format.matches('%').count() * (longest + widest.max(32)))?;
    let prepared: Vec<Value> = std::iter::once(text(&format)).chain(args[1..].iter().cloned()).collect();
    let call = PRINTF.get(args.len()).ok_or_else(|| fail("printf takes at most 15 values"))?;
    let mut out = String::new();
    call.execute_fmt(&mut out, &Value::List(prepared.into()))?;
    Ok(text(&out))
}

/// Templates that call gotmpl's `printf` with 0, 1, 2, … arguments: it offers no other way to its own functions.
static PRINTF: LazyLock<Vec<gotmpl::Template>> = LazyLock::new(|| {
    let call = |count: usize| {
        let arguments: String = (0..count).map(|at| format!(" (index . {at})")).collect();
        gotmpl::Template::new("printf").parse(&format!("{{{{printf{arguments}}}}}")).ok()
    };
    // A call without a format is refused before it gets here; index 0 only keeps the count.
    std::iter::once(gotmpl::Template::new("none")).chain((1..=16).filter_map(call)).collect()
});
