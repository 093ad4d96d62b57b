//! What the API server would say of an object, said here: the generated schema and its CEL rules, evaluated locally.

mod metadata;
mod rule;
mod shape;
mod words;

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value;

use super::Kind;
use shape::Shape;
pub use words::nearest;

/// Most problems that are named of one object: a hostile one could have a hundred thousand.
pub const MAX_PROBLEMS: usize = 100;

/// One mistake in one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as `spec.http.url` or `spec.targets[2].address`; empty for the object itself.
    pub path: String,
    /// A finite word.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead; empty when the message says it.
    pub remedy: String,
}

impl Problem {
    fn new(path: &str, reason: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), reason, message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// All mistakes of an object (whole: apiVersion, kind, metadata, spec), in the order of its fields; empty = the API server
/// would take it. A `status` is not looked at: the API server ignores it too.
#[must_use]
pub fn validate(kind: Kind, object: &Value) -> Vec<Problem> {
    let checker = checker(kind);
    let mut problems = Vec::new();
    metadata::check(kind, object, &mut problems);
    match object.get("spec") {
        Some(spec) => checker.spec().check(spec, "spec", &mut problems),
        None => problems.push(Problem::new("spec", "Required", "is missing", "add `spec:` with what is wanted")),
    }
    problems.extend(broken_rules(checker, object, &problems));
    problems.truncate(MAX_PROBLEMS);
    problems
}

/// The schema and the rules of one kind, made once.
fn checker(kind: Kind) -> &'static Shape {
    static CHECKERS: [OnceLock<Shape>; 7] = [const { OnceLock::new() }; 7];
    // A test proves that the committed schemas are the generated ones, so this cannot fail.
    CHECKERS[kind as usize].get_or_init(|| Shape::of(&serde_json::from_str(schema_text(kind)).unwrap_or_default()))
}

/// The schema as it was generated: making it anew at each start would cost more time and memory than everything else in it.
fn schema_text(kind: Kind) -> &'static str {
    match kind {
        Kind::HealthCheck => include_str!("schemas/healthchecks.json"),
        Kind::AlertRule => include_str!("schemas/alertrules.json"),
        Kind::Dashboard => include_str!("schemas/dashboards.json"),
        Kind::AlertReceiver => include_str!("schemas/alertreceivers.json"),
        Kind::Silence => include_str!("schemas/silences.json"),
        Kind::AgentReport => include_str!("schemas/agentreports.json"),
        Kind::VitalsConfig => include_str!("schemas/vitalsconfigs.json"),
    }
}

/// The rules that the object breaks. A rule about the whole of a map with an unknown field ("exactly one of …") is not
/// reported: it mostly fails only because the field's name is wrong. A rule that cannot be evaluated because a value has the
/// wrong type is not reported either: the type is.
fn broken_rules(checker: &Shape, object: &Value, found: &[Problem]) -> Vec<Problem> {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    checker.fill(&mut object);
    let mut broken = Vec::new();
    checker.rules(&object, "", &mut |home, rule, evaluated| {
        // With a sound shape every rule can be evaluated; if not, better refuse than let pass.
        if (evaluated || found.is_empty()) && broken.len() < MAX_PROBLEMS {
            let path = format!("{home}{}", rule.field);
            let path = path.trim_start_matches('.');
            let there = what_is_there(&rule.text, path, &object);
            broken.push(Problem::new(path, "RuleViolated", rule.message.clone(), there));
        }
    });
    broken.retain(|rule| !found.iter().any(|other| other.reason == "UnknownField" && parent(other) == rule.path));
    broken
}

/// For a rule of the form "exactly one of these": which of them there are.
fn what_is_there(rule: &str, path: &str, object: &Value) -> String {
    let Some(list) = rule.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return String::new() };
    let names = list.0.split(", ").filter_map(|part| part.strip_prefix("has(self.")?.strip_suffix(')'));
    let home = object.pointer(&format!("/{}", path.replace('.', "/")));
    let there: Vec<&str> = names.filter(|name| home.is_some_and(|home| home.get(*name).is_some())).collect();
    if there.is_empty() { "there is none".into() } else { format!("there are {}", there.join(" and ")) }
}

fn parent(problem: &Problem) -> &str {
    problem.path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests;
