//! Words for alerts: a rule's label and annotation templates, rendered for one episode.
//!
//! A broken template never costs an alert: its text is used as written and the error stands beside it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::alert::desk::{Wording, Words, value_text};
use crate::alert::episode::Episode;
use crate::alert::ledger::{SUMMARY, SUMMARY_LABEL};
use crate::model::Labels;
use crate::model::fleet_plan::FleetRule;
use crate::model::object::ObjectKey;

/// Annotations that may serve as the one-sentence message, best first.
const MESSAGE_ANNOTATIONS: [&str; 3] = ["message", "summary", "description"];
/// Labels that may say what an alert is about, best first.
const COMPONENT_LABELS: [&str; 3] = ["component", "check", "name"];
/// Longest rendered text, in bytes.
const LONGEST: usize = 4096;

/// A template language.
pub trait Expand: Send + Sync {
    /// Renders one template for a result's labels and value.
    ///
    /// # Errors
    /// What is wrong with the template, and where.
    fn expand(&self, template: &str, labels: &Labels, value: f64) -> Result<String, String>;
}

/// Renders through a template language.
pub struct Renderer<E> {
    expand: E,
}

impl<E: Expand> Renderer<E> {
    /// Words in this language.
    pub fn new(expand: E) -> Self {
        Self { expand }
    }

    fn text(&self, template: &str, what: &str, episode: &Episode, problem: &mut Option<String>) -> String {
        // Most labels and many annotations are plain text.
        let text = if template.contains('{') {
            self.expand.expand(template, &episode.labels, episode.value).unwrap_or_else(|why| {
                problem.get_or_insert_with(|| format!("{what} is used as written, its template is broken: {why}"));
                template.to_owned()
            })
        } else {
            template.to_owned()
        };
        shortened(text)
    }
}

impl<E: Expand> Words for Renderer<E> {
    fn word(&self, key: &ObjectKey, rule: &FleetRule, episode: &Episode) -> Wording {
        let mut problem = None;
        let mut pairs: BTreeMap<Cow<'_, str>, Cow<'_, str>> = BTreeMap::new();
        // A result's own namespace says more than the rule's.
        pairs.insert("namespace".into(), Cow::from(key.namespace.as_ref()));
        for (name, value) in episode.labels.iter() {
            pairs.insert(name.into(), value.into());
        }
        if !rule.rule.severity.is_empty() {
            pairs.insert("severity".into(), rule.rule.severity.as_str().into());
        }
        for (name, template) in &rule.labels {
            let value = self.text(template, &format!("label {name}"), episode, &mut problem);
            pairs.insert(name.into(), value.into());
        }
        pairs.insert("alertname".into(), rule.rule.name.as_str().into());
        let labels = Labels::from_pairs(pairs);
        let mut annotations = BTreeMap::new();
        for (name, template) in &rule.annotations {
            let text = self.text(template, &format!("annotation {name}"), episode, &mut problem);
            annotations.insert(name.clone(), text);
        }
        let message = match summary_of(rule, episode) {
            Some(message) => message,
            None => MESSAGE_ANNOTATIONS
                .iter()
                .find_map(|name| annotations.get(*name).filter(|text| !text.trim().is_empty()).cloned())
                .unwrap_or_else(|| plain_message(&rule.rule.name, episode)),
        };
        let component = COMPONENT_LABELS.iter().find_map(|name| labels.get(name)).unwrap_or_default().to_owned();
        let severity = labels.get("severity").unwrap_or_default().to_owned();
        Wording { name: rule.rule.name.clone(), severity, labels, annotations, message, component, problem }
    }
}

/// The message of the one alert that stands for those which had no place.
fn summary_of(rule: &FleetRule, episode: &Episode) -> Option<String> {
    if episode.fp != SUMMARY {
        return None;
    }
    let count = value_text(episode.value);
    let place = if episode.node.is_empty() { String::new() } else { format!(" on {}", episode.node) };
    Some(match episode.labels.get(SUMMARY_LABEL) {
        Some("report") => format!("{count} alerts{place} had no room in the report and are not shown"),
        _ => format!("{count} more results of {}{place} are above its limit of {}", rule.rule.name, rule.rule.limit),
    })
}

/// A sentence for a rule without annotations.
fn plain_message(name: &str, episode: &Episode) -> String {
    let labels = episode.labels.to_string();
    shortened(format!("{name} {labels} = {}", value_text(episode.value)))
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        let mut end = LONGEST - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::testing::{episode, rule};

    struct Braces;

    impl Expand for Braces {
        fn expand(&self, template: &str, labels: &Labels, _: f64) -> Result<String, String> {
            if template.contains("{broken") { Err("unclosed action".into()) } else { Ok(labels.to_string()) }
        }
    }

    #[test]
    fn a_broken_template_is_used_as_written_and_its_error_is_kept() {
        let mut rule = rule("Disk", 60);
        rule.annotations.insert("summary".into(), "full {{broken".into());
        let key = ObjectKey::new("shop", "disk");
        let wording = Renderer::new(Braces).word(&key, &rule, &episode(&key, "n1", "sda", 100));
        assert_eq!(wording.message, "full {{broken");
        assert!(wording.problem.unwrap().contains("annotation summary"));
    }

    #[test]
    fn a_rule_without_annotations_still_says_what_fires_where() {
        let key = ObjectKey::new("shop", "disk");
        let wording = Renderer::new(Braces).word(&key, &rule("Disk", 60), &episode(&key, "n1", "sda", 100));
        assert!(wording.message.contains("Disk") && wording.message.contains("n1"), "{}", wording.message);
        assert_eq!(wording.labels.get("alertname"), Some("Disk"));
        assert_eq!(wording.labels.get("namespace"), Some("shop"));
        assert_eq!(wording.severity, "high");
    }
}
