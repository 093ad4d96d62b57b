//! Assertions on answers, compiled once: status ranges, bounded regular expressions, JSON paths.

use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use super::CheckError;

/// Largest compiled regular expression, in bytes: bounds what `(a{1000}){1000}` can cost.
const MAX_REGEX: usize = 1024 * 1024;
/// Longest JSON path, in steps.
const MAX_STEPS: usize = 64;

/// Compiles a regular expression that always runs in linear time and bounded memory.
pub(super) fn regex(field: &str, pattern: &str) -> Result<Regex, CheckError> {
    let built = RegexBuilder::new(pattern).size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX).nest_limit(64).build();
    built.map_err(|error| {
        let why = match error {
            regex::Error::CompiledTooBig(_) => {
                "the regular expression is too large once compiled; use fewer repetitions".into()
            }
            // The last line of the library's drawing is the sentence.
            other => other.to_string().lines().last().unwrap_or("not a regular expression").trim().to_owned(),
        };
        CheckError::field(field, format!("{why}; the syntax is that of RE2"))
    })
}

/// Accepted status codes.
#[derive(Debug)]
pub(super) struct StatusRanges(Vec<(u16, u16)>);

impl StatusRanges {
    /// Reads `200` and `200-299`; none at all means 200-299.
    pub(super) fn parse(field: &str, list: &[String]) -> Result<Self, CheckError> {
        if list.is_empty() {
            return Ok(Self(vec![(200, 299)]));
        }
        let bad = |text: &str| {
            CheckError::field(field, format!("{text:?} is not a status code or range; write \"200\" or \"200-299\""))
        };
        let code = |text: &str| text.parse::<u16>().ok().filter(|code| (100..600).contains(code));
        let range = |text: &String| {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            match (code(from), code(to)) {
                (Some(from), Some(to)) if from <= to => Ok((from, to)),
                _ => Err(bad(text)),
            }
        };
        list.iter().map(range).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

impl std::fmt::Display for StatusRanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (from, to)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            if from == to { write!(f, "{comma}{from}")? } else { write!(f, "{comma}{from}-{to}")? }
        }
        Ok(())
    }
}

/// A place in a JSON document: `$.items[0].name`, `$['odd name']`.
#[derive(Debug, PartialEq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, PartialEq)]
enum Step {
    Name(String),
    Index(usize),
}

impl JsonPath {
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, CheckError> {
        let bad = || {
            CheckError::field(
                field,
                format!("{text:?} is not a JSON path; write \"$.status\", \"$.items[0].name\" or \"$['odd name']\""),
            )
        };
        let mut rest = text.strip_prefix('$').ok_or_else(bad)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = Self::step(rest).ok_or_else(bad)?;
            steps.push(step);
            rest = after;
            if steps.len() > MAX_STEPS {
                return Err(bad());
            }
        }
        Ok(Self(steps))
    }

    fn step(text: &str) -> Option<(Step, &str)> {
        if let Some(rest) = text.strip_prefix('.') {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            return (end > 0).then(|| (Step::Name(rest[..end].to_owned()), &rest[end..]));
        }
        let rest = text.strip_prefix('[')?;
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let end = rest[1..].find(quote)? + 1;
            let after = rest[end + 1..].strip_prefix(']')?;
            return Some((Step::Name(rest[1..end].to_owned()), after));
        }
        let (digits, after) = rest.split_once(']')?;
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten().map(|index| (Step::Index(index), after))
    }

    pub(super) fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(document, |value, step| match step {
            Step::Name(name) => value.get(name),
            Step::Index(index) => value.get(index),
        })
    }
}

/// A JSON value as text: strings as they are, everything else as JSON writes it.
pub(super) fn json_text(value: &Value) -> std::borrow::Cow<'_, str> {
    match value {
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn ranges(list: &[&str]) -> Result<StatusRanges, CheckError> {
        StatusRanges::parse("f", &list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn status_codes_and_ranges_are_accepted() {
        let accepted = ranges(&["204", "300-302"]).unwrap();
        assert!(accepted.contain(204) && accepted.contain(301) && !accepted.contain(200));
        assert_eq!(accepted.to_string(), "204, 300-302");
        assert!(ranges(&[]).unwrap().contain(299));
        for bad in ["", "2xx", "99", "600", "300-200", "200-", "-200", "200-300-400"] {
            assert!(ranges(&[bad]).unwrap_err().to_string().contains("200-299"), "{bad}");
        }
    }

    #[test]
    fn a_json_path_finds_what_it_names() {
        let document = json!({"status": "UP", "items": [{"name": "a"}, {"name": "b"}], "odd name": {"x.y": true}});
        let text =
            |path: &str| JsonPath::parse("f", path).unwrap().find(&document).map(|value| json_text(value).into_owned());
        assert_eq!(text("$.status").as_deref(), Some("UP"));
        assert_eq!(text("$.items[1].name").as_deref(), Some("b"));
        assert_eq!(text("$['odd name'][\"x.y\"]").as_deref(), Some("true"));
        assert_eq!(text("$.items[2]"), None);
        assert_eq!(text("$.status.deeper"), None);
        assert_eq!(text("$.items[0]").as_deref(), Some(r#"{"name":"a"}"#));
        for bad in ["", "status", "$status", "$.", "$..a", "$[", "$[a]", "$[-1]", "$['a'", "$[99999999999999999999999]"]
        {
            assert!(JsonPath::parse("f", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_exploding_regular_expression_is_refused_before_it_runs() {
        for pattern in ["(a{1000}){1000}", "((((a{99}){99}){99}){99})", "(", "**"] {
            let error = regex("http.expect.bodyMatches", pattern).unwrap_err();
            assert!(error.to_string().starts_with("http.expect.bodyMatches: "), "{error}");
        }
        assert!(regex("f", "(a+)+$").unwrap().is_match(b"aaaa"));
    }

    proptest! {
        #[test]
        fn no_path_panics(text in ".{0,80}") {
            let _ = JsonPath::parse("f", &text);
            let _ = JsonPath::parse("f", &format!("${text}"));
            let _ = regex("f", &text);
        }
    }
}
