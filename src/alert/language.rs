//! The language of labels and annotations: Go templates with Prometheus's functions, parsed once per text.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::alert::render::Expand;
use crate::model::Labels;
use crate::template::{AlertContext, QueryFn, Template};

/// Most parsed templates that are kept; beyond, all are parsed anew once.
const MAX_PARSED: usize = 2000;

/// Answers `query "…"` inside a template.
pub type Ask = Arc<dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String> + Send + Sync>;

/// Go templates.
pub struct GoTemplates {
    external_url: String,
    external_labels: Labels,
    ask: Option<Ask>,
    parsed: Mutex<HashMap<String, Template>>,
}

impl GoTemplates {
    /// Templates that see this address, these labels of the whole installation, and maybe answers to queries.
    #[must_use]
    pub fn new(external_url: &str, external_labels: Labels, ask: Option<Ask>) -> Self {
        Self { external_url: external_url.to_owned(), external_labels, ask, parsed: Mutex::default() }
    }

    fn parsed(&self, text: &str) -> Result<Template, String> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = parsed.get(text) {
            return Ok(template.clone());
        }
        let template = Template::parse(text).map_err(|why| why.to_string())?;
        if parsed.len() >= MAX_PARSED {
            parsed.clear();
        }
        parsed.insert(text.to_owned(), template.clone());
        Ok(template)
    }
}

impl Expand for GoTemplates {
    fn expand(&self, template: &str, labels: &Labels, value: f64) -> Result<String, String> {
        let context = AlertContext {
            labels,
            value,
            external_labels: &self.external_labels,
            external_url: &self.external_url,
            query: self.ask.as_deref().map(|ask| ask as &QueryFn<'_>),
        };
        self.parsed(template)?.render(&context).map_err(|why| why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_values_stand_where_the_template_asks_for_them() {
        let language = GoTemplates::new("", Labels::empty(), None);
        let labels = Labels::from_pairs([("disk", "sda")]);
        let said =
            language.expand("{{ $labels.disk }} is at {{ $value | humanizePercentage }}", &labels, 0.95).unwrap();
        assert_eq!(said, "sda is at 95%");
    }

    #[test]
    fn a_template_that_does_not_parse_says_why() {
        let language = GoTemplates::new("", Labels::empty(), None);
        assert!(language.expand("{{ nonsense", &Labels::empty(), 1.0).is_err());
    }
}
