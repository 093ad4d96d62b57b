//! Ranges, subqueries, offsets and `@`.

use super::{Parsed, Parser};
use crate::promql::ast::{At, Expr, Shift, Subquery, Type};
use crate::promql::error::QueryError;
use crate::promql::lexer::{MAX_DURATION, Token};

impl Parser<'_> {
    /// Behind `[`: a range or a subquery.
    pub(super) fn brackets(&mut self, expr: Expr, start: usize, shifted: bool) -> Parsed<Expr> {
        let position = self.position();
        let range = self.duration("a range such as 5m in [ ]")?;
        if range <= 0 {
            return Err(QueryError::Syntax {
                place: self.place(position),
                message: "a range must be longer than zero".into(),
            });
        }
        if self.take_sign(":") {
            let position = self.position();
            let step = if self.is_sign("]") { None } else { Some(self.duration("a step such as 1m after \":\"")?) };
            if step.is_some_and(|step| step <= 0) {
                return Err(QueryError::Syntax {
                    place: self.place(position),
                    message: "the step of a subquery must be longer than zero".into(),
                });
            }
            self.expect_sign("]", "after the subquery's step")?;
            if expr.kind() != Type::Vector {
                return Err(self
                    .mistyped(start, format!("a subquery needs an instant vector before it, not a {}", expr.kind())));
            }
            let subquery = Subquery { inner: expr, range, step, shift: Shift::default(), node: 0 };
            return Ok(Expr::Subquery(Box::new(subquery)));
        }
        if ["+", "-", "*", "/", "%", "^"].iter().any(|sign| self.is_sign(sign)) {
            return Err(self.unsupported(
                self.position(),
                "arithmetic in durations",
                "it is experimental in Prometheus; write the sum",
            ));
        }
        self.expect_sign("]", "after the range")?;
        match expr {
            Expr::Selector(_) if shifted => {
                Err(self.mistyped(position, "write @ and offset after the range: metric[5m] offset 1m"))
            }
            Expr::Selector(selector) => Ok(Expr::Range(selector, range)),
            _ => Err(self.mistyped(
                position,
                "a range is only allowed after a selector; write [5m:] to make a subquery of an expression",
            )),
        }
    }

    /// A length of time: `5m`, or a number of seconds.
    fn duration(&mut self, what: &str) -> Parsed<i64> {
        let position = self.position();
        match self.advance() {
            Token::Duration(millis) => Ok(millis),
            Token::Number(seconds) => self.seconds(seconds, position),
            other => {
                if self.looks_like_duration_arithmetic(&other) {
                    return Err(self.unsupported(
                        position,
                        "arithmetic in durations",
                        "it is experimental in Prometheus; write a plain duration such as 5m",
                    ));
                }
                Err(QueryError::Syntax {
                    place: self.place(position),
                    message: format!("expected {what}, found {other}"),
                })
            }
        }
    }

    fn looks_like_duration_arithmetic(&self, found: &Token) -> bool {
        match found {
            Token::Word(word) => {
                ["step", "range", "min", "max"].iter().any(|name| name.eq_ignore_ascii_case(word)) && self.is_sign("(")
            }
            Token::Sign(sign) => ["(", "-", "+"].contains(sign),
            _ => false,
        }
    }

    fn seconds(&self, seconds: f64, position: usize) -> Parsed<i64> {
        let millis = (seconds * 1000.0).round();
        if millis.is_nan() || millis.abs() > MAX_DURATION as f64 {
            return Err(QueryError::Syntax {
                place: self.place(position),
                message: format!("{seconds} seconds is not a duration; at most 100 years are accepted"),
            });
        }
        Ok(millis as i64)
    }

    pub(super) fn signed_duration(&mut self, what: &str) -> Parsed<i64> {
        let sign = if self.take_sign("-") {
            -1
        } else {
            self.take_sign("+");
            1
        };
        Ok(sign * self.duration(&format!("a duration such as 5m {what}"))?)
    }

    /// Behind `@`: a unix time in seconds, `start()` or `end()`.
    pub(super) fn at_time(&mut self) -> Parsed<At> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.take_word(word) {
                self.expect_sign("(", "after the word")?;
                self.expect_sign(")", "after \"(\"")?;
                return Ok(at);
            }
        }
        let sign = if self.take_sign("-") {
            -1.0
        } else {
            self.take_sign("+");
            1.0
        };
        let position = self.position();
        let seconds = match self.advance() {
            Token::Number(seconds) => seconds,
            Token::Duration(millis) => millis as f64 / 1000.0,
            Token::Word(word) if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan") => f64::NAN,
            other => {
                return Err(QueryError::Syntax {
                    place: self.place(position),
                    message: format!("expected a unix time in seconds, start() or end() after @, found {other}"),
                });
            }
        };
        let millis = (sign * seconds * 1000.0).round();
        // Times are bounded like durations (with room for today), so that adding them never overflows.
        if millis.is_nan() || millis.abs() > 2.0 * MAX_DURATION as f64 {
            return Err(QueryError::Syntax {
                place: self.place(position),
                message: "this time after @ is out of range; write unix seconds".into(),
            });
        }
        Ok(At::Time(millis as i64))
    }
}
