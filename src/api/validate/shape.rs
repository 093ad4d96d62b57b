//! The shape of values: a structural schema made ready for checking, and the check.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use regex::Regex;
use serde_json::Value;

use super::rule::Rule;
use super::words::{cut, listed, nearest, shown};
use super::{MAX_PROBLEMS, Problem};
use crate::model::duration;

/// One node of a schema with its patterns compiled.
#[derive(Default)]
pub struct Shape {
    kind: Type,
    fields: BTreeMap<String, Self>,
    required: Vec<String>,
    entries: Option<Box<Self>>,
    items: Option<Box<Self>>,
    list_keys: Vec<String>,
    words: Vec<String>,
    pattern: Option<Pattern>,
    date_time: bool,
    length: (u64, u64),
    range: (i64, i64),
    default: Option<Value>,
    rules: Vec<Rule>,
}

/// A regular expression that is compiled when a value first needs it: most never do, and each costs memory.
struct Pattern(String);

/// The compiled ones, each once however many fields share it. There are as many as the schemas have, some thirty.
static PATTERNS: LazyLock<Mutex<BTreeMap<String, Option<Arc<Regex>>>>> = LazyLock::new(Mutex::default);

impl Pattern {
    /// Whether a text has it. A test compiles all patterns, so that none is void.
    fn fits(&self, text: &str) -> bool {
        let mut patterns = PATTERNS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let compiled = patterns.entry(self.0.clone()).or_insert_with(|| Regex::new(&self.0).ok().map(Arc::new)).clone();
        drop(patterns);
        compiled.is_none_or(|regex| regex.is_match(text))
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Type {
    #[default]
    Any,
    Object,
    Map,
    List,
    Text,
    Integer,
    Boolean,
    IntOrText,
}

impl Type {
    /// With its article, as a sentence needs it.
    fn called(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Object | Self::Map => "a map of fields",
            Self::List => "a list",
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::IntOrText => "a number or a percentage",
        }
    }
}

impl Shape {
    /// Reads a node of a structural schema.
    pub fn of(schema: &Value) -> Self {
        let number = |key: &str, or: u64| schema[key].as_u64().unwrap_or(or);
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (kind, length) = match schema["type"].as_str() {
            Some("object") if schema.get("additionalProperties").is_some() => {
                (Type::Map, (number("minProperties", 0), number("maxProperties", u64::MAX)))
            }
            Some("object") => (Type::Object, (0, u64::MAX)),
            Some("array") => (Type::List, (number("minItems", 0), number("maxItems", u64::MAX))),
            Some("string") => (Type::Text, (number("minLength", 0), number("maxLength", u64::MAX))),
            Some("integer") => (Type::Integer, (0, u64::MAX)),
            Some("boolean") => (Type::Boolean, (0, u64::MAX)),
            _ if schema["x-kubernetes-int-or-string"] == true => (Type::IntOrText, (0, number("maxLength", u64::MAX))),
            _ => (Type::Any, (0, u64::MAX)),
        };
        let (lowest, highest) =
            if schema["format"] == "int32" { (i64::from(i32::MIN), i64::from(i32::MAX)) } else { (i64::MIN, i64::MAX) };
        // CRDs carry bounds as floats; ours are all small whole numbers.
        let bound = |key: &str, or: i64| schema[key].as_f64().map_or(or, |value| value as i64);
        let pattern = schema["pattern"].as_str();
        Self {
            kind,
            fields: schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, child)| (name.clone(), Self::of(child)))
                .collect(),
            required: texts(&schema["required"]),
            entries: schema.get("additionalProperties").map(|child| Box::new(Self::of(child))),
            items: schema.get("items").map(|child| Box::new(Self::of(child))),
            list_keys: texts(&schema["x-kubernetes-list-map-keys"]),
            words: texts(&schema["enum"]),
            pattern: pattern.map(|text| Pattern(text.to_owned())),
            date_time: schema["format"] == "date-time",
            length,
            range: (bound("minimum", lowest), bound("maximum", highest)),
            default: schema.get("default").cloned(),
            // A test reads every rule, so none is lost here.
            rules: schema["x-kubernetes-validations"].as_array().into_iter().flatten().flat_map(Rule::read).collect(),
        }
    }

    /// The shape of field `spec`.
    pub fn spec(&self) -> &Self {
        static NOTHING: LazyLock<Shape> = LazyLock::new(Shape::default);
        self.fields.get("spec").unwrap_or(&NOTHING)
    }

    /// Adds every mistake of a value and of what is in it.
    pub fn check(&self, value: &Value, path: &str, out: &mut Vec<Problem>) {
        if out.len() >= MAX_PROBLEMS {
            return;
        }
        match (self.kind, value) {
            (_, Value::Null) => out.push(self.empty(path)),
            (Type::Object, Value::Object(map)) => self.check_fields(map, path, out),
            (Type::Map, Value::Object(map)) => {
                self.check_count(map.len(), path, "entries", out);
                for (name, child) in map {
                    if let Some(entries) = &self.entries {
                        entries.check(child, &format!("{path}.{name}"), out);
                    }
                }
            }
            (Type::List, Value::Array(list)) => self.check_list(list, path, out),
            (Type::Text, Value::String(text)) | (Type::IntOrText, Value::String(text)) => {
                self.check_text(text, path, out)
            }
            (Type::Integer | Type::IntOrText, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.check_number(number.as_i64().unwrap_or(i64::MAX), path, out);
            }
            (Type::Boolean, Value::Bool(_)) | (Type::Any, _) => {}
            (wanted, found) => out.push(self.wrong_type(wanted, found, path)),
        }
    }

    /// Writes defaults into what leaves them out, as the API server does before it looks at rules. An empty field counts as
    /// absent; the shape check has named it already.
    pub fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|_, child| !child.is_null());
                for (name, field) in &self.fields {
                    if let Some(default) = field.default.as_ref().filter(|_| !map.contains_key(name)) {
                        map.insert(name.clone(), default.clone());
                    }
                }
                for (name, child) in map {
                    if let Some(shape) = self.fields.get(name).or(self.entries.as_deref()) {
                        shape.fill(child);
                    }
                }
            }
            Value::Array(list) => {
                if let Some(shape) = &self.items {
                    list.iter_mut().for_each(|child| shape.fill(child));
                }
            }
            _ => {}
        }
    }

    /// Calls `broken` with the path and rule of every rule that a value breaks; false = it cannot be evaluated.
    pub fn rules<'s>(&'s self, value: &Value, path: &str, broken: &mut dyn FnMut(&str, &'s Rule, bool)) {
        for rule in &self.rules {
            match rule.holds(value) {
                Some(true) => {}
                Some(false) => broken(path, rule, true),
                None => broken(path, rule, false),
            }
        }
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(map) => {
                for (name, child) in map {
                    if let Some(shape) = self.fields.get(name).or(self.entries.as_deref()) {
                        shape.rules(child, &join(name), broken);
                    }
                }
            }
            Value::Array(list) => {
                // A list that is too long is told as such; its rules would cost time for nothing.
                let most = usize::try_from(self.length.1).unwrap_or(usize::MAX);
                for (index, child) in list.iter().enumerate().take(most) {
                    if let Some(shape) = &self.items {
                        shape.rules(child, &format!("{path}[{index}]"), broken);
                    }
                }
            }
            _ => {}
        }
    }

    fn check_fields(&self, map: &serde_json::Map<String, Value>, path: &str, out: &mut Vec<Problem>) {
        for (name, child) in map {
            match self.fields.get(name) {
                Some(field) => field.check(child, &format!("{path}.{name}"), out),
                None if out.len() < MAX_PROBLEMS => out.push(self.unknown(name, path)),
                None => return,
            }
        }
        for name in self.required.iter().filter(|name| !map.contains_key(*name)) {
            let remedy = format!("add `{name}:` below `{}`", last(path));
            out.push(Problem::new(&format!("{path}.{name}"), "Required", "is missing", remedy));
        }
    }

    fn check_list(&self, list: &[Value], path: &str, out: &mut Vec<Problem>) {
        self.check_count(list.len(), path, "entries", out);
        let Some(items) = &self.items else { return };
        // Beyond the limit nothing more is said: the count is the mistake.
        let limit = usize::try_from(self.length.1).unwrap_or(usize::MAX);
        let mut seen = std::collections::HashMap::new();
        for (index, item) in list.iter().enumerate().take(limit) {
            let at = format!("{path}[{index}]");
            items.check(item, &at, out);
            if self.list_keys.is_empty() {
                continue;
            }
            let key: Vec<String> = self.list_keys.iter().map(|name| item[name].to_string()).collect();
            if let Some(first) = seen.insert(key, index) {
                let names = self.list_keys.join(", ");
                let message = format!("has the same {names} as entry [{first}]");
                out.push(Problem::new(&at, "Duplicate", message, "remove one of them"));
            }
        }
    }

    fn check_text(&self, text: &str, path: &str, out: &mut Vec<Problem>) {
        let length = text.chars().count() as u64;
        if length > self.length.1 {
            let message = format!("is {length} characters long, at most {} are accepted", self.length.1);
            out.push(Problem::new(path, "TooLong", message, "shorten it"));
            return;
        }
        if length < self.length.0 {
            let (message, remedy) = if length == 0 {
                ("is empty".to_owned(), "write a value or remove the field".to_owned())
            } else {
                (format!("is {length} characters long, at least {} are needed", self.length.0), String::new())
            };
            out.push(Problem::new(path, "TooShort", message, remedy));
            return;
        }
        if !self.words.is_empty() && !self.words.iter().any(|word| word == text) {
            let meant = nearest(text, self.words.iter().map(String::as_str));
            let remedy = match meant {
                Some(word) => format!("write {word}"),
                None => format!("write one of {}", listed(self.words.iter().map(String::as_str))),
            };
            out.push(Problem::new(path, "NotSupported", format!("{:?} is not known here", cut(text)), remedy));
        }
        if self.date_time && text.parse::<jiff::Timestamp>().is_err() {
            let message = format!("{:?} is not a time", cut(text));
            out.push(Problem::new(path, "BadTime", message, "write it like 2026-01-31T22:00:00Z"));
        }
        if self.is_duration() {
            if let Err(bad) = duration::Span::parse(text) {
                out.push(Problem::new(path, "BadDuration", bad.to_string(), ""));
            }
        } else if let Some(pattern) = &self.pattern
            && !pattern.fits(text)
        {
            let message = format!("{:?} has not the right form", cut(text));
            out.push(Problem::new(path, "BadFormat", message, form(&pattern.0)));
        }
    }

    fn check_number(&self, number: i64, path: &str, out: &mut Vec<Problem>) {
        let (lowest, highest) = self.range;
        if number < lowest || number > highest {
            let allowed = match (lowest, highest) {
                (low, i64::MAX) => format!("write {low} or more"),
                (i64::MIN, high) => format!("write {high} or less"),
                (low, high) => format!("write a number from {low} to {high}"),
            };
            out.push(Problem::new(path, "OutOfRange", format!("{number} is out of range"), allowed));
        }
    }

    fn check_count(&self, count: usize, path: &str, what: &str, out: &mut Vec<Problem>) {
        let (count, (least, most)) = (count as u64, self.length);
        if count > most {
            let message = format!("has {count} {what}, at most {most} are accepted");
            out.push(Problem::new(path, "TooMany", message, "split it"));
        } else if count < least {
            let message = format!("has {count} {what}, at least {least} is needed");
            out.push(Problem::new(path, "TooFew", message, "add one or remove the field"));
        }
    }

    fn unknown(&self, name: &str, path: &str) -> Problem {
        let at = format!("{path}.{}", cut(name));
        let remedy = if let Some(meant) = nearest(name, self.fields.keys().map(String::as_str)) {
            format!("did you mean `{meant}`?")
        } else if let Some((home, _)) = self.fields.iter().find(|(_, field)| field.fields.contains_key(name)) {
            format!("it belongs below another field, such as `{home}`")
        } else {
            format!("remove it; known here: {}", listed(self.fields.keys().map(String::as_str)))
        };
        Problem::new(&at, "UnknownField", "there is no such field", remedy)
    }

    fn empty(&self, path: &str) -> Problem {
        let name = last(path);
        let remedy = match self.kind {
            Type::Object if self.required.is_empty() => format!("write `{name}: {{}}` or remove it"),
            Type::Object => format!("write `{}:` below it, or remove it", self.required[0]),
            _ => format!("write {} or remove it", self.kind.called()),
        };
        Problem::new(path, "Empty", "has no value", remedy)
    }

    fn wrong_type(&self, wanted: Type, found: &Value, path: &str) -> Problem {
        let message = format!("{} is not {}", shown(found), wanted.called());
        let remedy = match (wanted, found) {
            (Type::Text, Value::Number(number)) if self.is_duration() => format!("write a unit too: {number}s"),
            (Type::Text, Value::Number(_) | Value::Bool(_)) => format!("put it in quotes: \"{found}\""),
            (Type::Integer, Value::String(text)) if text.parse::<i64>().is_ok() => {
                format!("write {text} without quotes")
            }
            (Type::Boolean, Value::String(_)) => "write true or false without quotes".into(),
            (Type::List, _) => "write a list: each entry on its own line after `- `".into(),
            (Type::Object, _) => {
                format!(
                    "write fields below it, such as {}",
                    self.fields.keys().take(4).cloned().collect::<Vec<_>>().join(", ")
                )
            }
            _ => format!("write {}", wanted.called()),
        };
        Problem::new(path, "WrongType", message, remedy)
    }

    fn is_duration(&self) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.0 == duration::PATTERN)
    }
}

/// What a pattern asks for, in words where people should not have to read a regular expression.
fn form(pattern: &str) -> String {
    match pattern {
        "^/" => "write an absolute path, beginning with /".into(),
        r"^https?://[^/@\s]+(/.*)?$" => "write http:// or https:// and a host, without user or password".into(),
        r"^wss?://[^/@\s]+(/.*)?$" => "write ws:// or wss:// and a host, without user or password".into(),
        r"^-?[0-9]+(\.[0-9]+)?$" | r"^[0-9]+(\.[0-9]+)?$" => "write a decimal number in quotes, such as \"1.5\"".into(),
        "^(100|[1-9]?[0-9])%$" => "write a number such as 3, or a percentage such as \"80%\"".into(),
        r"^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$" => {
            "write a status code or a range, such as \"200\" or \"200-299\"".into()
        }
        "^[a-zA-Z_][a-zA-Z0-9_]*$" => "write letters, digits and _, not beginning with a digit".into(),
        other => match other.strip_prefix("^(").and_then(|rest| rest.strip_suffix(")$")) {
            Some(words) if words.chars().all(|c| c.is_ascii_alphanumeric() || "|-_".contains(c)) => {
                format!("write one of {}", words.replace('|', ", "))
            }
            _ => format!("it must match {other}"),
        },
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
