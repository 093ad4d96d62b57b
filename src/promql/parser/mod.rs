//! Reads PromQL into the tree, checks types as it goes, and refuses what is too deep or not served here.
//!
//! Written by hand rather than taken from a parser generator because the text comes from outside: depth is bounded
//! while reading, nothing in it can panic, and every refusal names line, column and what was expected.

mod calls;
mod selectors;
mod times;

use super::ast::{Binary, BinaryOp, Expr, Group, Grouping, Matching, Shift, Type};
use super::error::{Place, QueryError};
use super::lexer::{Lexeme, Token, lex};
use super::{MAX_DEPTH, MAX_NESTING};

type Parsed<T> = Result<T, QueryError>;

/// Reads a whole expression.
pub(super) fn parse(text: &str, experimental: bool) -> Parsed<Expr> {
    let tokens = lex(text)?;
    let mut parser = Parser { text, tokens, next: 0, experimental, depth: 0 };
    if parser.peek() == &Token::End {
        return Err(parser.bad("there is no expression; write one such as up == 0"));
    }
    let expr = parser.expression(0)?.0;
    match parser.peek() {
        Token::End => Ok(expr),
        other => {
            let message = format!("unexpected {other} after the end of the expression; is an operator missing?");
            Err(parser.bad(message))
        }
    }
}

/// Whether a name can stand for a metric without braces.
pub(super) fn is_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Lexeme>,
    next: usize,
    experimental: bool,
    /// How many calls of `expression` are open: bounds the stack.
    depth: usize,
}

/// An expression and the height of its tree, which bounds every later recursion over it.
type Sized = (Expr, usize);

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.next + ahead).map_or(&Token::End, |lexeme| &lexeme.token)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len());
        token
    }

    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |lexeme| lexeme.at)
    }

    fn place(&self, position: usize) -> Place {
        Place::of(self.text, position)
    }

    fn bad(&self, message: impl Into<String>) -> QueryError {
        QueryError::Syntax { place: self.place(self.position()), message: message.into() }
    }

    fn mistyped(&self, position: usize, message: impl Into<String>) -> QueryError {
        QueryError::Type { place: self.place(position), message: message.into() }
    }

    fn unsupported(&self, position: usize, feature: impl Into<String>, hint: impl Into<String>) -> QueryError {
        QueryError::Unsupported { place: self.place(position), feature: feature.into(), hint: hint.into() }
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.advance();
        }
        found
    }

    fn expect_sign(&mut self, sign: &str, after: &str) -> Parsed<()> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(self.bad(format!("expected {sign:?} {after}, found {}", self.peek())))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    /// One level higher, if the tree may be that high.
    fn grown(&self, height: usize, position: usize) -> Parsed<usize> {
        self.bounded(height + 1, MAX_DEPTH, position)
    }

    fn bounded(&self, depth: usize, max: usize, position: usize) -> Parsed<usize> {
        if depth > max {
            return Err(QueryError::TooDeep { place: self.place(position), max });
        }
        Ok(depth)
    }

    /// Operators that bind at least as tight as `floor`.
    fn expression(&mut self, floor: u8) -> Parsed<Sized> {
        self.depth = self.bounded(self.depth + 1, MAX_NESTING, self.position())?;
        let mut left = self.unary()?;
        while let Some(op) = self.operator() {
            if op.precedence() < floor {
                break;
            }
            let position = self.position();
            self.advance();
            let (as_bool, matching) = self.matching(op)?;
            // Only `^` binds to the right.
            let right = self.expression(op.precedence() + u8::from(op != BinaryOp::Pow))?;
            let height = self.grown(left.1.max(right.1), position)?;
            let binary = Binary { op, as_bool, left: left.0, right: right.0, matching, skips_right: false };
            self.check_binary(&binary, position)?;
            left = (Expr::Binary(Box::new(binary)), height);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<BinaryOp> {
        match self.peek() {
            Token::Sign(sign) => BinaryOp::ALL.into_iter().find(|op| op.as_str() == *sign),
            Token::Word(word) => BinaryOp::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(word)),
            _ => None,
        }
    }

    fn unary(&mut self) -> Parsed<Sized> {
        let position = self.position();
        let negate = match self.peek() {
            Token::Sign("-") => true,
            Token::Sign("+") => false,
            _ => return self.postfix(),
        };
        self.advance();
        // `-a ^ b` is `-(a ^ b)`, `-a * b` is `(-a) * b`.
        let (inner, height) = self.expression(BinaryOp::Pow.precedence())?;
        if !matches!(inner.kind(), Type::Scalar | Type::Vector) {
            return Err(self.mistyped(
                position,
                format!("a sign is only allowed before a scalar or an instant vector, not before a {}", inner.kind()),
            ));
        }
        let height = self.grown(height, position)?;
        Ok((if negate { Expr::Negate(Box::new(inner)) } else { inner }, height))
    }

    /// `bool`, `on`, `ignoring`, `group_left`, `group_right`.
    fn matching(&mut self, op: BinaryOp) -> Parsed<(bool, Matching)> {
        let position = self.position();
        let as_bool = self.take_word("bool");
        if as_bool && !op.is_comparison() {
            return Err(self.mistyped(
                position,
                format!("bool is only allowed after a comparison such as ==, not after {}", op.as_str()),
            ));
        }
        let mut matching = Matching::default();
        for (word, except) in [("on", false), ("ignoring", true)] {
            // `a on` with no parenthesis would be a metric called "on", which Prometheus refuses as well.
            if self.take_word(word) {
                matching.written = true;
                matching.labels = Grouping { except, labels: self.label_list()? };
                break;
            }
        }
        for (word, group) in [("group_left", Group::Left), ("group_right", Group::Right)] {
            let position = self.position();
            if self.take_word(word) {
                if !matching.written {
                    return Err(QueryError::Syntax {
                        place: self.place(position),
                        message: format!("{word} needs on(…) or ignoring(…) before it"),
                    });
                }
                if op.is_set() {
                    return Err(self.mistyped(position, format!("{word} is not allowed with {}", op.as_str())));
                }
                matching.group = group;
                if self.is_sign("(") {
                    matching.include = self.label_list()?;
                }
                if !matching.labels.except
                    && let Some(label) = matching.include.iter().find(|label| matching.labels.labels.contains(label))
                {
                    return Err(self.mistyped(
                        position,
                        format!("label {label:?} must not occur in on and {word} at once; remove it from {word}"),
                    ));
                }
                break;
            }
        }
        for word in ["fill", "fill_left", "fill_right"] {
            if self.is_word(word) && self.peek_at(1) == &Token::Sign("(") {
                return Err(self.unsupported(
                    self.position(),
                    format!("the modifier {word}"),
                    "it is experimental in Prometheus; use … or on(…) vector(0)",
                ));
            }
        }
        Ok((as_bool, matching))
    }

    fn check_binary(&self, binary: &Binary, position: usize) -> Parsed<()> {
        let (left, right) = (binary.left.kind(), binary.right.kind());
        let op = binary.op.as_str();
        for kind in [left, right] {
            if !matches!(kind, Type::Scalar | Type::Vector) {
                return Err(self.mistyped(
                    position,
                    format!("the operands of {op} must be scalars or instant vectors, not a {kind}"),
                ));
            }
        }
        let vectors = left == Type::Vector && right == Type::Vector;
        if binary.op.is_set() && !vectors {
            return Err(self.mistyped(
                position,
                format!("{op} needs an instant vector on both sides; wrap a number in vector(…)"),
            ));
        }
        if binary.matching.written && !vectors {
            return Err(self.mistyped(position, "on and ignoring are only allowed between two instant vectors"));
        }
        if binary.op.is_comparison() && !binary.as_bool && left == Type::Scalar && right == Type::Scalar {
            return Err(self.mistyped(position, format!("comparisons between scalars must use bool: write {op} bool")));
        }
        Ok(())
    }

    /// A primary with any `[…]`, `@` and `offset` behind it.
    fn postfix(&mut self) -> Parsed<Sized> {
        let start = self.position();
        let (mut expr, mut height) = self.primary()?;
        let (mut has_at, mut has_offset) = (false, false);
        loop {
            let position = self.position();
            if self.take_sign("[") {
                expr = self.brackets(expr, start, has_at || has_offset)?;
                height = self.grown(height, position)?;
                (has_at, has_offset) = (false, false);
            } else if self.take_sign("@") {
                let at = self.at_time()?;
                let Some(shift) = shift_of(&mut expr) else {
                    return Err(self.mistyped(position, "@ must follow a selector or a subquery"));
                };
                shift.at = at;
                if std::mem::replace(&mut has_at, true) {
                    return Err(self.mistyped(position, "@ may be given only once"));
                }
            } else if self.is_word("offset") {
                self.advance();
                let offset = self.signed_duration("after offset")?;
                let Some(shift) = shift_of(&mut expr) else {
                    return Err(self.mistyped(position, "offset must follow a selector or a subquery"));
                };
                shift.offset = offset;
                if std::mem::replace(&mut has_offset, true) {
                    return Err(self.mistyped(position, "offset may be given only once"));
                }
            } else {
                for word in ["smoothed", "anchored"] {
                    if self.is_word(word) {
                        return Err(self.unsupported(
                            position,
                            format!("the modifier {word}"),
                            "it is experimental in Prometheus; leave it out",
                        ));
                    }
                }
                return Ok((expr, height));
            }
        }
    }

    fn primary(&mut self) -> Parsed<Sized> {
        let position = self.position();
        match self.peek().clone() {
            Token::Number(value) => {
                self.advance();
                Ok((Expr::Number(value), 1))
            }
            Token::Duration(millis) => {
                self.advance();
                Ok((Expr::Number(millis as f64 / 1000.0), 1))
            }
            Token::Text(text) => {
                self.advance();
                Ok((Expr::Text(text), 1))
            }
            Token::Sign("(") => {
                self.advance();
                let (inner, height) = self.expression(0)?;
                self.expect_sign(")", "to close the parenthesis")?;
                Ok((Expr::Paren(Box::new(inner)), self.grown(height, position)?))
            }
            Token::Sign("{") => Ok((self.selector(None)?, 1)),
            Token::Word(word) => self.word(word, position),
            other => Err(self.bad(format!("expected an expression, found {other}"))),
        }
    }
}

/// Where `@` and `offset` of an expression go, if it can have them.
fn shift_of(expr: &mut Expr) -> Option<&mut Shift> {
    match expr {
        Expr::Selector(selector) | Expr::Range(selector, _) => Some(&mut selector.shift),
        Expr::Subquery(subquery) => Some(&mut subquery.shift),
        _ => None,
    }
}
