//! Matchers: the four ways in which a query, a silence or a route selects by label.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::labels::Labels;

/// Longest regular expression that a matcher accepts, in bytes.
pub const MAX_PATTERN: usize = 4096;
/// Largest compiled program of one regular expression, in bytes; bounds what a hostile pattern costs.
const MAX_PROGRAM: usize = 256 * 1024;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MatchOp {
    /// `=`
    #[serde(rename = "=")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
    /// `=~`, anchored at both ends
    #[serde(rename = "=~")]
    Regex,
    /// `!~`, anchored at both ends
    #[serde(rename = "!~")]
    NotRegex,
}

impl MatchOp {
    /// The operator as written in a query.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A missing label has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

/// Why a matcher was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// The pattern is longer than [`MAX_PATTERN`].
    #[error("the regular expression for label {label:?} is {len} bytes long; at most {MAX_PATTERN} are accepted")]
    TooLong {
        /// The label.
        label: String,
        /// Its length in bytes.
        len: usize,
    },
    /// The pattern does not compile, or compiles to too large a program.
    #[error("the regular expression for label {label:?} is not accepted: {why}")]
    Bad {
        /// The label.
        label: String,
        /// The regex engine's words.
        why: String,
    },
}

impl MatcherError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "PatternTooLong",
            Self::Bad { .. } => "BadPattern",
        }
    }
}

impl Matcher {
    /// Builds a matcher; regular expressions are anchored and their size is bounded.
    ///
    /// # Errors
    /// A pattern that is too long, does not parse, or compiles to too large a program.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                if value.len() > MAX_PATTERN {
                    return Err(MatcherError::TooLong { label: name, len: value.len() });
                }
                let built = regex::RegexBuilder::new(&format!("^(?s:{value})$"))
                    .size_limit(MAX_PROGRAM)
                    .dfa_size_limit(MAX_PROGRAM)
                    .build();
                match built {
                    Ok(regex) => Some(regex),
                    Err(error) => return Err(MatcherError::Bad { label: name, why: error.to_string() }),
                }
            }
        };
        Ok(Self { name, op, value, regex })
    }

    /// A matcher for one exact value.
    #[must_use]
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// The label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label of this value is selected.
    #[must_use]
    pub fn matches_value(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => value == self.value,
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }

    /// Whether a label set is selected.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.name).unwrap_or(""))
    }

    /// Whether a series without this label is selected.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches_value("")
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl Eq for Matcher {}

impl std::hash::Hash for Matcher {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.op.hash(state);
        self.value.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_are_anchored_at_both_ends() {
        let matcher = Matcher::new("a", MatchOp::Regex, "b|c").unwrap();
        assert!(matcher.matches_value("b"));
        assert!(!matcher.matches_value("xb"));
        assert!(!matcher.matches_value("cx"));
    }

    #[test]
    fn a_pattern_that_explodes_is_refused_with_its_label() {
        let error = Matcher::new("a", MatchOp::Regex, "(a{1000}){1000}").unwrap_err();
        assert_eq!(error.reason(), "BadPattern");
        assert!(error.to_string().contains("\"a\""));
    }

    #[test]
    fn a_missing_label_has_the_empty_value() {
        assert!(Matcher::new("x", MatchOp::NotEqual, "1").unwrap().matches(&Labels::empty()));
        assert!(Matcher::equal("x", "").matches(&Labels::empty()));
    }
}
