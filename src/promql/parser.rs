//! Reads PromQL into the tree, checks types as it goes, and refuses what is too deep or not served here.
//!
//! Written by hand rather than taken from a parser generator because the text comes from outside: depth is bounded
//! while reading, nothing in it can panic, and every refusal names line, column and what was expected.

use super::MAX_DEPTH;
use super::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Expr, Group, Grouping, Matching, Selector, Shift, Subquery,
    Type, is_plain_label, is_reserved,
};
use super::error::{Place, QueryError};
use super::functions;
use super::lexer::{Lexeme, MAX_DURATION, Token, lex};
use crate::model::labels::METRIC_NAME;
use crate::model::matcher::{MatchOp, Matcher};

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

    fn grown(&self, height: usize, position: usize) -> Parsed<usize> {
        if height >= MAX_DEPTH {
            return Err(QueryError::TooDeep { place: self.place(position), max: MAX_DEPTH });
        }
        Ok(height + 1)
    }

    /// Operators that bind at least as tight as `floor`.
    fn expression(&mut self, floor: u8) -> Parsed<Sized> {
        self.depth = self.grown(self.depth, self.position())?;
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
            let binary = Binary { op, as_bool, left: left.0, right: right.0, matching };
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

    fn label_list(&mut self) -> Parsed<Vec<String>> {
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

    /// Behind `[`: a range or a subquery.
    fn brackets(&mut self, expr: Expr, start: usize, shifted: bool) -> Parsed<Expr> {
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
                let word = matches!(other, Token::Word(_) | Token::Sign("-" | "+" | "("));
                if word && self.looks_like_duration_arithmetic(&other) {
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
            Token::Word(word) => ["step", "range", "min", "max"].contains(&word.as_str()),
            _ => matches!(self.peek(), Token::Number(_) | Token::Duration(_) | Token::Word(_)),
        }
    }

    fn seconds(&self, seconds: f64, position: usize) -> Parsed<i64> {
        let millis = (seconds * 1000.0).round();
        if !(millis.abs() <= MAX_DURATION as f64) {
            return Err(QueryError::Syntax {
                place: self.place(position),
                message: format!("{seconds} seconds is not a duration; at most 100 years are accepted"),
            });
        }
        Ok(millis as i64)
    }

    fn signed_duration(&mut self, what: &str) -> Parsed<i64> {
        let sign = if self.take_sign("-") {
            -1
        } else {
            self.take_sign("+");
            1
        };
        Ok(sign * self.duration(&format!("a duration such as 5m {what}"))?)
    }

    /// Behind `@`: a unix time in seconds, `start()` or `end()`.
    fn at_time(&mut self) -> Parsed<At> {
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
        if !(millis.abs() <= 2.0 * MAX_DURATION as f64) {
            return Err(QueryError::Syntax {
                place: self.place(position),
                message: "this time after @ is out of range; write unix seconds".into(),
            });
        }
        Ok(At::Time(millis as i64))
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

    fn word(&mut self, word: String, position: usize) -> Parsed<Sized> {
        let grouped = matches!(self.peek_at(1), Token::Word(next) if next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without"));
        let called = self.peek_at(1) == &Token::Sign("(");
        if called || grouped {
            if let Some(op) = AggregateOp::find(&word) {
                self.advance();
                return self.aggregate(op, position);
            }
            if ["limitk", "limit_ratio"].iter().any(|name| name.eq_ignore_ascii_case(&word)) {
                return Err(self.unsupported(
                    position,
                    format!("the aggregation {}", word.to_ascii_lowercase()),
                    "it is experimental in Prometheus; use topk",
                ));
            }
        }
        for (name, value) in [("inf", f64::INFINITY), ("nan", f64::NAN)] {
            if word.eq_ignore_ascii_case(name) {
                self.advance();
                return Ok((Expr::Number(value), 1));
            }
        }
        if is_reserved(&word) {
            return Err(self.bad(format!("{word:?} is a keyword; a metric of this name is written {{\"{word}\"}}")));
        }
        self.advance();
        if called { self.call(&word, position) } else { Ok((self.selector(Some(word))?, 1)) }
    }

    fn arguments(&mut self) -> Parsed<(Vec<(Expr, usize)>, usize)> {
        self.expect_sign("(", "before the arguments")?;
        let mut args = Vec::new();
        let mut height = 0;
        if self.take_sign(")") {
            return Ok((args, height));
        }
        loop {
            let position = self.position();
            let (arg, arg_height) = self.expression(0)?;
            height = height.max(arg_height);
            args.push((arg, position));
            if self.take_sign(")") {
                return Ok((args, height));
            }
            self.expect_sign(",", "or \")\" after an argument")?;
        }
    }

    fn call(&mut self, name: &str, position: usize) -> Parsed<Sized> {
        let Some(function) = functions::find(name) else {
            return Err(match functions::missing(name) {
                Some(hint) => self.unsupported(position, format!("the function {name}"), hint),
                None => QueryError::Syntax {
                    place: self.place(position),
                    message: format!("there is no function {name:?}; see the list of PromQL functions"),
                },
            });
        };
        if function.experimental && !self.experimental {
            return Err(self.unsupported(
                position,
                format!("the function {name}"),
                "it is experimental in Prometheus and not switched on",
            ));
        }
        let (args, height) = self.arguments()?;
        let most = if function.repeats { usize::MAX } else { function.args.len() };
        let least = function.args.len() - function.optional - usize::from(function.repeats);
        if args.len() < least || args.len() > most {
            let wanted = match (least, most) {
                (least, usize::MAX) => format!("at least {least}"),
                (least, most) if least == most => format!("{least}"),
                (least, most) => format!("{least} to {most}"),
            };
            return Err(self.mistyped(position, format!("{name} takes {wanted} argument(s), {} given", args.len())));
        }
        let last = function.args.last().copied().unwrap_or(Type::Vector);
        for (index, (arg, at)) in args.iter().enumerate() {
            let wanted = function.args.get(index).copied().unwrap_or(last);
            if arg.kind() != wanted {
                let hint = if wanted == Type::Matrix { "; add a range such as [5m]" } else { "" };
                let message =
                    format!("argument {} of {name} must be a {wanted}, not a {}{hint}", index + 1, arg.kind());
                return Err(self.mistyped(*at, message));
            }
        }
        let args: Vec<Expr> = args.into_iter().map(|(arg, _)| arg).collect();
        let pattern = self.check_text_arguments(function, &args, position)?;
        let call = Call { function, args, place: self.place(position), pattern };
        Ok((Expr::Call(Box::new(call)), self.grown(height, position)?))
    }

    /// What can be known about string arguments before any data is seen.
    fn check_text_arguments(
        &self,
        function: &functions::Function,
        args: &[Expr],
        position: usize,
    ) -> Parsed<Option<regex::Regex>> {
        let text = |index: usize| match args.get(index).map(Expr::bare) {
            Some(Expr::Text(text)) => text.as_str(),
            _ => "",
        };
        let place = self.place(position);
        match function.op {
            functions::Op::LabelReplace | functions::Op::LabelJoin if text(1).is_empty() => {
                Err(QueryError::BadArgument(format!(
                    "{place}: {} needs a label name as its second argument",
                    function.name
                )))
            }
            functions::Op::LabelReplace => {
                // Compiled through a matcher, which bounds what a pattern may cost.
                Matcher::new(text(3), MatchOp::Regex, text(4))
                    .map_err(|source| QueryError::Pattern { place, source })?;
                Ok(regex::Regex::new(&format!("^(?s:{})$", text(4))).ok())
            }
            _ => Ok(None),
        }
    }

    fn aggregate(&mut self, op: AggregateOp, position: usize) -> Parsed<Sized> {
        let mut grouping = self.grouping()?;
        let (mut args, height) = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let wanted = 1 + usize::from(op.param().is_some());
        if args.len() != wanted {
            return Err(
                self.mistyped(position, format!("{} takes {wanted} argument(s), {} given", op.as_str(), args.len()))
            );
        }
        let Some((inner, inner_at)) = args.pop() else {
            return Err(self.bad("an aggregation needs an expression"));
        };
        if inner.kind() != Type::Vector {
            return Err(self
                .mistyped(inner_at, format!("{} aggregates an instant vector, not a {}", op.as_str(), inner.kind())));
        }
        let param = args.pop();
        if let (Some((param, at)), Some(wanted)) = (&param, op.param())
            && param.kind() != wanted
        {
            return Err(self.mistyped(
                *at,
                format!("the parameter of {} must be a {wanted}, not a {}", op.as_str(), param.kind()),
            ));
        }
        let aggregate = Aggregate {
            op,
            param: param.map(|(param, _)| param),
            inner,
            grouping: grouping.unwrap_or(Grouping { except: false, labels: Vec::new() }),
            place: self.place(position),
        };
        Ok((Expr::Aggregate(Box::new(aggregate)), self.grown(height, position)?))
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        for (word, except) in [("by", false), ("without", true)] {
            if self.take_word(word) {
                return Ok(Some(Grouping { except, labels: self.label_list()? }));
            }
        }
        Ok(None)
    }

    fn selector(&mut self, name: Option<String>) -> Parsed<Expr> {
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

/// Where `@` and `offset` of an expression go, if it can have them.
fn shift_of(expr: &mut Expr) -> Option<&mut Shift> {
    match expr {
        Expr::Selector(selector) | Expr::Range(selector, _) => Some(&mut selector.shift),
        Expr::Subquery(subquery) => Some(&mut subquery.shift),
        _ => None,
    }
}
