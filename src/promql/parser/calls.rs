//! Functions and aggregations: names, arguments, types.

use super::{Parsed, Parser, Sized};
use crate::model::matcher::{MatchOp, Matcher};
use crate::promql::ast::{Aggregate, AggregateOp, Call, Expr, Grouping, Type, is_reserved};
use crate::promql::error::QueryError;
use crate::promql::functions;
use crate::promql::lexer::Token;

impl Parser<'_> {
    pub(super) fn word(&mut self, word: String, position: usize) -> Parsed<Sized> {
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
        let first_place = self.place(args.first().map_or(position, |(_, at)| *at));
        let args: Vec<Expr> = args.into_iter().map(|(arg, _)| arg).collect();
        let pattern = self.check_text_arguments(function, &args, position)?;
        let call = Call { function, args, place: self.place(position), first_place, pattern };
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
        let first_place = self.place(args.first().map_or(position, |(_, at)| *at));
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
            first_place,
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
}
