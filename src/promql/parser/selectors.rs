//! Selectors with their label matchers, and lists of labels.

use super::{Parsed, Parser};
use crate::model::labels::METRIC_NAME;
use crate::model::matcher::{MatchOp, Matcher};
use crate::promql::ast::{Expr, Selector, Shift, is_plain_label};
use crate::promql::error::QueryError;
use crate::promql::lexer::Token;

impl Parser<'_> {
    pub(super) fn label_list(&mut self) -> Parsed<Vec<String>> {
        self.expect_sign("(", "before a list of labels")?;
        let mut labels = Vec::new();
        while !self.take_sign(")") {
            let position = self.position();
            match self.advance() {
                Token::Word(word) if is_plain_label(&word) => labels.push(word),
                Token::Text(name) if !name.is_empty() => labels.push(name),
                other => {
                    return Err(QueryError::Syntax {
                        place: self.place(position),
                        message: format!("expected a label name or \")\", found {other}"),
                    });
                }
            }
            if !self.is_sign(")") {
                self.expect_sign(",", "between labels")?;
            }
        }
        labels.sort_unstable();
        labels.dedup();
        Ok(labels)
    }

    pub(super) fn selector(&mut self, name: Option<String>) -> Parsed<Expr> {
        let start = self.position();
        let mut matchers: Vec<Matcher> = Vec::new();
        let mut named = name.is_some();
        if let Some(name) = name {
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        if self.take_sign("{") {
            while !self.take_sign("}") {
                let position = self.position();
                let (label, quoted) = match self.advance() {
                    Token::Word(word) if is_plain_label(&word) => (word, false),
                    Token::Text(text) => (text, true),
                    other => {
                        return Err(QueryError::Syntax {
                            place: self.place(position),
                            message: format!("expected a label name or \"}}\", found {other}"),
                        });
                    }
                };
                if quoted && (self.is_sign(",") || self.is_sign("}")) {
                    if std::mem::replace(&mut named, true) {
                        return Err(self.mistyped(position, "the metric's name may be given only once"));
                    }
                    matchers.push(Matcher::equal(METRIC_NAME, label));
                } else {
                    matchers.push(self.matcher(label, position)?);
                }
                if !self.is_sign("}") {
                    self.expect_sign(",", "or \"}\" after a label matcher")?;
                }
            }
        }
        let names = matchers.iter().filter(|m| m.name() == METRIC_NAME && m.op() == MatchOp::Equal).count();
        if named && names > 1 {
            return Err(self.mistyped(start, "the metric's name may be given only once"));
        }
        if matchers.iter().all(Matcher::matches_empty) {
            return Err(
                self.mistyped(start, "a selector needs a metric name or a matcher that does not match the empty value")
            );
        }
        Ok(Expr::Selector(Selector { matchers, shift: Shift::default(), node: 0 }))
    }

    fn matcher(&mut self, label: String, position: usize) -> Parsed<Matcher> {
        let op = match self.advance() {
            Token::Sign("=") => MatchOp::Equal,
            Token::Sign("!=") => MatchOp::NotEqual,
            Token::Sign("=~") => MatchOp::Regex,
            Token::Sign("!~") => MatchOp::NotRegex,
            other => {
                return Err(QueryError::Syntax {
                    place: self.place(position),
                    message: format!("expected =, !=, =~ or !~ after label {label:?}, found {other}"),
                });
            }
        };
        let at = self.position();
        match self.advance() {
            Token::Text(value) => {
                Matcher::new(label, op, value).map_err(|source| QueryError::Pattern { place: self.place(at), source })
            }
            other => Err(QueryError::Syntax {
                place: self.place(at),
                message: format!("expected a quoted value for label {label:?}, found {other}"),
            }),
        }
    }
}
