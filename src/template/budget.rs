//! What one rendering may spend, and what its functions share: kept per thread while a template runs.
//!
//! gotmpl's functions are `'static`, so the state of a rendering cannot be captured by them; a rendering never
//! leaves its thread, so the thread holds it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use gotmpl::Value;

use super::{AlertContext, MAX_OUTPUT};
use crate::model::Labels;

/// Work that one rendering may do: one unit a step, one for each byte or value that moves through a pipeline.
const FUEL: usize = 2 * 1024 * 1024;
/// Most samples that a query may bring into a template.
const MAX_SAMPLES: usize = 1000;

/// A question that a template asked.
#[derive(Clone)]
pub(super) struct Question {
    /// The expression.
    pub expr: String,
    /// Whether it comes from `{x}`: then no answer is an answer.
    pub courtesy: bool,
}

/// What functions may look at besides their arguments.
#[derive(Clone, Default)]
pub(super) struct Scope {
    /// The labels that `{x}` names.
    pub labels: BTreeMap<String, String>,
    /// The value that `{value}` names.
    pub value: Option<f64>,
    /// `externalURL`.
    pub external_url: String,
    /// Whether `{x}` may ask for a metric.
    pub metrics: bool,
}

impl Scope {
    pub(super) fn of_alert(context: &AlertContext<'_>) -> Self {
        Self {
            labels: context.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            value: Some(context.value),
            external_url: context.external_url.to_owned(),
            metrics: context.query.is_some(),
        }
    }

    pub(super) fn of_notification(data: &serde_json::Value) -> Self {
        let common = data.get("CommonLabels").and_then(serde_json::Value::as_object);
        Self {
            labels: common
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            value: None,
            external_url: data.get("ExternalURL").and_then(serde_json::Value::as_str).unwrap_or("").to_owned(),
            metrics: false,
        }
    }
}

/// The state of the rendering on this thread.
#[derive(Default)]
pub(super) struct State {
    scope: Scope,
    fuel: usize,
    dry: bool,
    answers: HashMap<String, Value>,
    question: Option<Question>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

pub(super) fn begin(scope: &Scope) {
    STATE.with_borrow_mut(|state| *state = State { scope: scope.clone(), fuel: FUEL, ..State::default() });
}

pub(super) fn end() {
    STATE.with_borrow_mut(|state| *state = State::default());
}

pub(super) fn suspend() -> State {
    STATE.take()
}

pub(super) fn resume(kept: State) {
    STATE.set(kept);
}

/// Whether the rendering stopped because it had spent everything.
pub(super) fn exhausted() -> bool {
    STATE.with_borrow(|state| state.dry)
}

pub(super) fn take_question() -> Option<Question> {
    STATE.with_borrow_mut(|state| state.question.take())
}

/// Keeps an answer, as the list of samples that templates see.
pub(super) fn answer(asked: Question, samples: &[(Labels, f64)]) {
    let list = samples.iter().take(MAX_SAMPLES).map(|(labels, value)| sample(labels, *value)).collect::<Vec<_>>();
    STATE.with_borrow_mut(|state| state.answers.insert(asked.expr, Value::List(list.into())));
}

fn sample(labels: &Labels, value: f64) -> Value {
    Value::Map(Arc::new(BTreeMap::from([
        (Arc::from("Labels"), labels_value(labels)),
        (Arc::from("Value"), Value::Float(value)),
    ])))
}

/// A label set as templates see it.
pub(super) fn labels_value(labels: &Labels) -> Value {
    Value::Map(Arc::new(labels.iter().map(|(n, v)| (Arc::from(n), Value::String(Arc::from(v)))).collect()))
}

/// The answer to a query, or the failure that makes the renderer ask it.
pub(super) fn ask(expr: &str, courtesy: bool) -> gotmpl::Result<Value> {
    STATE.with_borrow_mut(|state| match state.answers.get(expr) {
        Some(answer) => Ok(answer.clone()),
        None => {
            state.question = Some(Question { expr: expr.to_owned(), courtesy });
            Err(gotmpl::TemplateError::Exec("a query has no answer yet".to_owned()))
        }
    })
}

/// Reads the rendering's scope.
pub(super) fn scope<T>(read: impl FnOnce(&Scope) -> T) -> T {
    STATE.with_borrow(|state| read(&state.scope))
}

/// Spends work; an error when nothing is left.
pub(super) fn spend(units: usize) -> gotmpl::Result<()> {
    STATE.with_borrow_mut(|state| match state.fuel.checked_sub(units) {
        Some(left) => {
            state.fuel = left;
            Ok(())
        }
        None => {
            state.dry = true;
            Err(gotmpl::TemplateError::Exec("the work is spent".to_owned()))
        }
    })
}

/// Spends what a value weighs. Stops counting as soon as nothing is left: a value may be far larger than memory,
/// because lists may hold the same list many times.
pub(super) fn spend_on(value: &Value) -> gotmpl::Result<()> {
    match value {
        Value::String(text) => spend(1 + text.len()),
        Value::List(items) => {
            spend(1)?;
            items.iter().try_for_each(spend_on)
        }
        Value::Map(map) => {
            spend(1)?;
            map.iter().try_for_each(|(key, value)| {
                spend(key.len())?;
                spend_on(value)
            })
        }
        _ => spend(1),
    }
}

/// Collects the text, up to its limit.
#[derive(Default)]
pub(super) struct Output {
    pub text: String,
    pub full: bool,
}

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > MAX_OUTPUT {
            self.full = true;
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}
