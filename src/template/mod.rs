//! Templates: Go's template language with Prometheus's functions, bounded in time and memory.
//!
//! A template is parsed once (every mistake that can be seen is reported then, with line and column) and rendered
//! many times. Rendering is pure: queries go through a function that the caller passes in.
//!
//! Two flavours share one language:
//! - [`Template::parse`]: a label or annotation of an alert rule, rendered with an [`AlertContext`]. It sees
//!   `.Labels`, `.Value`, `.ExternalLabels`, `.ExternalURL` and the variables `$labels`, `$value`,
//!   `$externalLabels`, `$externalURL`, as in Prometheus; and `{x}` in plain text, which is the label `x`, else the
//!   value of the metric `x`. Braces around anything else stay as they are.
//! - [`Template::parse_notification`]: the body of a message, rendered with Alertmanager's data
//!   (`.Status`, `.Alerts`, `.Alerts.Firing`, `.CommonLabels.SortedPairs`, …) by [`Template::render_json`].
//!
//! What Go does by calling methods (`.Alerts.Firing`, `.Labels.SortedPairs`, `.Names`, `.Values`) works here too.

mod balance;
mod budget;
mod data;
mod functions;
mod human;
mod strings;
mod tree;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use gotmpl::Value;

use crate::model::Labels;

/// Longest template text, in bytes.
pub const MAX_SOURCE: usize = 16 * 1024;
/// Longest rendered text, in bytes.
pub const MAX_OUTPUT: usize = 64 * 1024;
/// How many different queries one rendering may ask.
const MAX_QUERIES: usize = 16;
/// How many loop turns one rendering may take, all loops together.
const MAX_TURNS: u64 = 10_000;

/// What a template asks when it says `query "…"`: instant query in, samples out.
pub type QueryFn<'a> = dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String> + 'a;

/// What a template of an alert rule sees.
#[derive(Clone, Copy)]
pub struct AlertContext<'a> {
    /// The labels of the expression's result.
    pub labels: &'a Labels,
    /// The value of the expression's result.
    pub value: f64,
    /// Labels of the whole installation.
    pub external_labels: &'a Labels,
    /// Where people reach this installation's page.
    pub external_url: &'a str,
    /// Answers `query "…"` and `{metric}`; without it the first is an error and the second stays as written.
    pub query: Option<&'a QueryFn<'a>>,
}

/// Why a template was refused or could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is longer than [`MAX_SOURCE`].
    #[error("the template is {len} bytes long; at most {MAX_SOURCE} are accepted: shorten it")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// It is not a template.
    #[error("template, line {line}, column {column}: {what}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong and what to write instead.
        what: String,
    },
    /// A function was given what it cannot work with, or two values cannot be compared.
    #[error("template: {0}")]
    Failed(String),
    /// It would take too long or write too much.
    #[error("template: {0}")]
    TooMuch(String),
    /// A query inside it failed.
    #[error("template: query {expr:?}: {why}")]
    Query {
        /// What was asked.
        expr: String,
        /// What went wrong.
        why: String,
    },
}

impl TemplateError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "TemplateTooLong",
            Self::Syntax { .. } => "TemplateSyntax",
            Self::Failed(_) => "TemplateFailed",
            Self::TooMuch(_) => "TemplateTooMuch",
            Self::Query { .. } => "TemplateQueryFailed",
        }
    }
}

/// What a template is for: decides which names it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Labels and annotations of a rule.
    Alert,
    /// The body of a message.
    Notification,
}

/// A parsed template. Cheap to clone, may be rendered from many threads.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    /// None when the text has nothing to replace: then it is copied.
    parsed: Option<Arc<gotmpl::Template>>,
    asks: Arc<[String]>,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

impl Template {
    /// Parses a label's or annotation's template.
    ///
    /// # Errors
    /// Too long, bad syntax, or an unknown function, variable, template or field; with line and column.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::parse_as(text, Flavour::Alert)
    }

    /// Parses the template of a message's body.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_notification(text: &str) -> Result<Self, TemplateError> {
        Self::parse_as(text, Flavour::Notification)
    }

    fn parse_as(text: &str, flavour: Flavour) -> Result<Self, TemplateError> {
        if text.len() > MAX_SOURCE {
            return Err(TemplateError::TooLong { len: text.len() });
        }
        let source = Arc::from(text);
        if !text.contains('{') {
            return Ok(Self { source, parsed: None, asks: Arc::from([]) });
        }
        let built = tree::build(text, flavour)?;
        Ok(Self { source, parsed: Some(Arc::new(built.template)), asks: built.queries.into() })
    }

    /// The text that was parsed.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The literal expressions of `query "…"` in it, so that they can be checked before anything fires.
    #[must_use]
    pub fn queries(&self) -> &[String] {
        &self.asks
    }

    /// Renders a label or annotation.
    ///
    /// # Errors
    /// A function that cannot work with its arguments, a failed query, or a template that does too much.
    pub fn render(&self, context: &AlertContext<'_>) -> Result<String, TemplateError> {
        let Some(parsed) = &self.parsed else { return Ok(self.source.to_string()) };
        run(parsed, &data::alert(context), &budget::Scope::of_alert(context), context.query)
    }

    /// Renders the body of a message with Alertmanager's data: an object with `Status`, `Alerts`, `GroupLabels`,
    /// `CommonLabels`, `CommonAnnotations`, `ExternalURL`, …; every alert with `Status`, `Labels`, `Annotations`,
    /// `StartsAt`, `EndsAt`, `GeneratorURL`, `Fingerprint`.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_json(&self, data: &serde_json::Value) -> Result<String, TemplateError> {
        let Some(parsed) = &self.parsed else { return Ok(self.source.to_string()) };
        run(parsed, &data::json(data), &budget::Scope::of_notification(data), None)
    }
}

/// Renders, and answers queries between attempts: the template runs until it asks something that has no answer yet,
/// the question is put to the caller, and it runs again. So no function of the template holds on to the caller's data.
fn run(
    template: &gotmpl::Template,
    data: &Value,
    scope: &budget::Scope,
    query: Option<&QueryFn<'_>>,
) -> Result<String, TemplateError> {
    budget::begin(scope);
    let result = attempt(template, data, query);
    budget::end();
    result
}

fn attempt(template: &gotmpl::Template, data: &Value, query: Option<&QueryFn<'_>>) -> Result<String, TemplateError> {
    for _ in 0..=MAX_QUERIES {
        let mut out = budget::Output::default();
        let failure = match template.execute_template_fmt(&mut out, tree::MAIN, data) {
            Ok(()) => return Ok(out.text),
            Err(failure) => failure,
        };
        let Some(asked) = budget::take_question() else {
            return Err(explain(failure, &out));
        };
        // The answer may itself be rendered from a template: leave the thread's budget free meanwhile.
        let kept = budget::suspend();
        let answer = match query {
            Some(query) => query(&asked.expr),
            None => Err("queries are not possible here".to_owned()),
        };
        budget::resume(kept);
        match answer {
            Ok(samples) => budget::answer(asked, &samples),
            // `{x}` in plain text is a courtesy: where nothing answers, the text stays.
            Err(_) if asked.courtesy => budget::answer(asked, &[]),
            Err(why) => return Err(TemplateError::Query { expr: asked.expr, why }),
        }
    }
    Err(TemplateError::TooMuch(format!("it asks more than {MAX_QUERIES} different queries; ask fewer")))
}

fn explain(failure: gotmpl::TemplateError, out: &budget::Output) -> TemplateError {
    if out.full {
        return TemplateError::TooMuch(format!("it writes more than {MAX_OUTPUT} bytes; shorten what it prints"));
    }
    if budget::exhausted() {
        return TemplateError::TooMuch("it does too much work; use fewer loops and smaller values".to_owned());
    }
    match failure {
        gotmpl::TemplateError::RecursionLimit => TemplateError::TooMuch(
            "templates call each other too deeply; is there a circle of {{template}}?".to_owned(),
        ),
        gotmpl::TemplateError::RangeIterLimit => {
            TemplateError::TooMuch(format!("its loops take more than {MAX_TURNS} turns; loop over less"))
        }
        gotmpl::TemplateError::Exec(why) => TemplateError::Failed(why),
        other => TemplateError::Failed(other.to_string()),
    }
}
