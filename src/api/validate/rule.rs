//! The rules of the resources, evaluated here: the part of CEL that they use, and nothing else.
//!
//! A whole CEL engine brings a parser generator's runtime: megabytes and a noticeable part of each start. What is served: `has()`,
//! `duration()`, `size()`, `matches()`, `in`, the macros `all`, `exists` and `filter`, list, text, whole-number and boolean
//! literals, `! && || == != < <= > >= +`. A test compiles every rule and compares the answers with those of kube's engine.

use std::cmp::Ordering;

use serde_json::Value;

use crate::model::Span;

/// A rule, read and ready.
pub struct Rule {
    /// What is said when it is broken.
    pub message: String,
    /// The field that is to blame, relative to where the rule stands; empty = the whole.
    pub field: String,
    /// As written.
    pub text: String,
    expr: Expr,
}

impl Rule {
    /// Reads one entry of `x-kubernetes-validations`.
    ///
    /// # Errors
    /// The rule uses something that is not served here.
    pub fn read(rule: &Value) -> Result<Self, String> {
        let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
        let expr = Reader { rest: rule["rule"].as_str().unwrap_or_default() }.whole()?;
        Ok(Self { message: text("message"), field: text("fieldPath"), text: text("rule"), expr })
    }

    /// Whether `this` keeps it; None when it cannot be evaluated because a value has the wrong type.
    pub fn holds(&self, this: &Value) -> Option<bool> {
        let scope = Scope { name: "self", value: &Val::Json(this), outer: None };
        match self.expr.eval(&scope) {
            Ok(Val::Bool(holds)) => Some(holds),
            _ => None,
        }
    }
}

enum Expr {
    Text(String),
    Number(i64),
    Bool(bool),
    Name(String),
    Field(Box<Expr>, String),
    Has(Box<Expr>, String),
    List(Vec<Expr>),
    Not(Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    Duration(Box<Expr>),
    Size(Box<Expr>),
    Matches(Box<Expr>, Box<Expr>),
    Each(Macro, Box<Expr>, String, Box<Expr>),
}

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Plus,
}

#[derive(Clone, Copy)]
enum Macro {
    All,
    Exists,
    Filter,
}

#[derive(Clone)]
enum Val<'a> {
    Json(&'a Value),
    Bool(bool),
    Number(i64),
    Text(String),
    Duration(Span),
    List(Vec<Val<'a>>),
}

struct Scope<'s, 'a> {
    name: &'s str,
    value: &'s Val<'a>,
    outer: Option<&'s Scope<'s, 'a>>,
}

impl<'a> Scope<'_, 'a> {
    fn find(&self, name: &str) -> Result<Val<'a>, Wrong> {
        if self.name == name { Ok(self.value.clone()) } else { self.outer.ok_or(Wrong)?.find(name) }
    }
}

/// A value has not the type that the rule expects.
struct Wrong;

impl<'a> Val<'a> {
    fn json(&self) -> Result<&'a Value, Wrong> {
        if let Self::Json(value) = self { Ok(value) } else { Err(Wrong) }
    }

    fn truth(&self) -> Result<bool, Wrong> {
        match self {
            Self::Bool(value) | Self::Json(Value::Bool(value)) => Ok(*value),
            _ => Err(Wrong),
        }
    }

    fn text(&self) -> Result<&str, Wrong> {
        match self {
            Self::Text(text) | Self::Json(Value::String(text)) => Ok(text),
            _ => Err(Wrong),
        }
    }

    fn number(&self) -> Result<i64, Wrong> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Json(Value::Number(number)) => number.as_i64().ok_or(Wrong),
            _ => Err(Wrong),
        }
    }

    fn entries(&self) -> Result<Vec<Self>, Wrong> {
        match self {
            Self::List(list) => Ok(list.clone()),
            Self::Json(Value::Array(list)) => Ok(list.iter().map(Val::Json).collect()),
            _ => Err(Wrong),
        }
    }

    fn equals(&self, other: &Self) -> bool {
        if let (Ok(a), Ok(b)) = (self.text(), other.text()) {
            return a == b;
        }
        if let (Ok(a), Ok(b)) = (self.number(), other.number()) {
            return a == b;
        }
        match (self, other) {
            (Self::Duration(a), Self::Duration(b)) => a == b,
            _ => matches!((self.truth(), other.truth()), (Ok(a), Ok(b)) if a == b),
        }
    }

    fn order(&self, other: &Self) -> Result<Ordering, Wrong> {
        match (self, other) {
            (Self::Duration(a), Self::Duration(b)) => Ok(a.cmp(b)),
            _ => match (self.number(), other.number()) {
                (Ok(a), Ok(b)) => Ok(a.cmp(&b)),
                _ => {
                    let (a, b) = (self.text()?, other.text()?);
                    // Fields of format date-time are times to the API server.
                    match (a.parse::<jiff::Timestamp>(), b.parse::<jiff::Timestamp>()) {
                        (Ok(a), Ok(b)) => Ok(a.cmp(&b)),
                        _ => Ok(a.cmp(b)),
                    }
                }
            },
        }
    }
}

impl Expr {
    fn eval<'a>(&self, scope: &Scope<'_, 'a>) -> Result<Val<'a>, Wrong> {
        Ok(match self {
            Self::Text(text) => Val::Text(text.clone()),
            Self::Number(number) => Val::Number(*number),
            Self::Bool(value) => Val::Bool(*value),
            Self::Name(name) => scope.find(name)?,
            Self::Field(of, name) => Val::Json(of.eval(scope)?.json()?.get(name.as_str()).ok_or(Wrong)?),
            Self::Has(of, name) => {
                let of = of.eval(scope)?.json()?.as_object().ok_or(Wrong)?;
                Val::Bool(of.contains_key(name.as_str()))
            }
            Self::List(list) => Val::List(list.iter().map(|item| item.eval(scope)).collect::<Result<_, _>>()?),
            Self::Not(of) => Val::Bool(!of.eval(scope)?.truth()?),
            Self::Binary(op, left, right) => return op.eval(left, right, scope),
            Self::Duration(of) => Val::Duration(Span::parse(of.eval(scope)?.text()?).map_err(|_| Wrong)?),
            Self::Size(of) => {
                let of = of.eval(scope)?;
                let size =
                    of.text().map(|text| text.chars().count()).or_else(|_| of.entries().map(|list| list.len()))?;
                Val::Number(i64::try_from(size).map_err(|_| Wrong)?)
            }
            Self::Matches(of, pattern) => {
                let (of, pattern) = (of.eval(scope)?, pattern.eval(scope)?);
                let regex = regex::RegexBuilder::new(pattern.text()?).size_limit(1 << 20).build().map_err(|_| Wrong)?;
                Val::Bool(regex.is_match(of.text()?))
            }
            Self::Each(what, of, name, body) => {
                let entries = of.eval(scope)?.entries()?;
                let test = |value: &Val<'a>| body.eval(&Scope { name, value, outer: Some(scope) })?.truth();
                match what {
                    Macro::All => decided(entries.iter().map(test), false)?,
                    Macro::Exists => decided(entries.iter().map(test), true)?,
                    Macro::Filter => {
                        let mut kept = Vec::new();
                        for value in entries {
                            if test(&value)? {
                                kept.push(value);
                            }
                        }
                        Val::List(kept)
                    }
                }
            }
        })
    }
}

/// `all` and `exists`: one deciding answer outweighs values that cannot be judged.
fn decided<'a>(answers: impl Iterator<Item = Result<bool, Wrong>>, decides: bool) -> Result<Val<'a>, Wrong> {
    let mut wrong = false;
    for answer in answers {
        match answer {
            Ok(answer) if answer == decides => return Ok(Val::Bool(decides)),
            Ok(_) => {}
            Err(Wrong) => wrong = true,
        }
    }
    if wrong { Err(Wrong) } else { Ok(Val::Bool(!decides)) }
}

impl Op {
    fn eval<'a>(self, left: &Expr, right: &Expr, scope: &Scope<'_, 'a>) -> Result<Val<'a>, Wrong> {
        if matches!(self, Self::And | Self::Or) {
            // Either side may decide alone, even if the other cannot be evaluated.
            let sides = [left, right].into_iter().map(|side| side.eval(scope)?.truth());
            return decided(sides, self == Self::Or);
        }
        let (left, right) = (left.eval(scope)?, right.eval(scope)?);
        Ok(Val::Bool(match self {
            Self::Equal => left.equals(&right),
            Self::NotEqual => !left.equals(&right),
            Self::Less => left.order(&right)?.is_lt(),
            Self::LessOrEqual => left.order(&right)?.is_le(),
            Self::Greater => left.order(&right)?.is_gt(),
            Self::GreaterOrEqual => left.order(&right)?.is_ge(),
            Self::In => match right.json() {
                Ok(Value::Object(map)) => map.contains_key(left.text()?),
                _ => right.entries()?.iter().any(|entry| entry.equals(&left)),
            },
            Self::Plus => return Ok(Val::Text(format!("{}{}", left.text()?, right.text()?))),
            Self::And | Self::Or => return Err(Wrong),
        }))
    }
}

/// Reads a rule, binary operators by precedence.
struct Reader<'t> {
    rest: &'t str,
}

const OPERATORS: [(&str, Op, u8); 10] = [
    ("||", Op::Or, 1),
    ("&&", Op::And, 2),
    ("==", Op::Equal, 3),
    ("!=", Op::NotEqual, 3),
    ("<=", Op::LessOrEqual, 3),
    (">=", Op::GreaterOrEqual, 3),
    ("<", Op::Less, 3),
    (">", Op::Greater, 3),
    ("in ", Op::In, 3),
    ("+", Op::Plus, 4),
];

impl<'t> Reader<'t> {
    fn whole(mut self) -> Result<Expr, String> {
        let expr = self.binary(0)?;
        if self.rest.trim().is_empty() { Ok(expr) } else { Err(format!("not understood from here: {}", self.rest)) }
    }

    fn binary(&mut self, least: u8) -> Result<Expr, String> {
        let mut left = self.unary()?;
        loop {
            let rest = self.rest.trim_start();
            let found = OPERATORS.iter().find(|(sign, ..)| rest.starts_with(sign));
            let Some((sign, op, rank)) = found.filter(|(.., rank)| *rank > least) else { return Ok(left) };
            self.rest = &rest[sign.len()..];
            let right = self.binary(*rank)?;
            left = Expr::Binary(*op, Box::new(left), Box::new(right));
        }
    }

    fn unary(&mut self) -> Result<Expr, String> {
        if self.takes("!") { Ok(Expr::Not(Box::new(self.unary()?))) } else { self.postfix() }
    }

    fn postfix(&mut self) -> Result<Expr, String> {
        let mut expr = self.primary()?;
        while self.takes(".") {
            let name = self.name()?;
            expr = if !self.takes("(") {
                Expr::Field(Box::new(expr), name)
            } else {
                let call = match name.as_str() {
                    "size" => Expr::Size(Box::new(expr)),
                    "matches" => Expr::Matches(Box::new(expr), Box::new(self.binary(0)?)),
                    macro_name => {
                        let what = match macro_name {
                            "all" => Macro::All,
                            "exists" => Macro::Exists,
                            "filter" => Macro::Filter,
                            other => return Err(format!("function {other} is not served")),
                        };
                        let variable = self.name()?;
                        self.expect(",")?;
                        Expr::Each(what, Box::new(expr), variable, Box::new(self.binary(0)?))
                    }
                };
                self.expect(")")?;
                call
            };
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, String> {
        if self.takes("(") {
            let expr = self.binary(0)?;
            self.expect(")")?;
            return Ok(expr);
        }
        if self.takes("[") {
            let mut list = Vec::new();
            while !self.takes("]") {
                list.push(self.binary(0)?);
                let _ = self.takes(",");
            }
            return Ok(Expr::List(list));
        }
        if self.takes("'") {
            let (text, rest) = self.rest.split_once('\'').ok_or("a text does not end")?;
            self.rest = rest;
            return if text.contains('\\') {
                Err("escapes are not served".into())
            } else {
                Ok(Expr::Text(text.into()))
            };
        }
        let digits = self.rest.trim_start();
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        if length > 0 {
            self.rest = &digits[length..];
            return digits[..length].parse().map(Expr::Number).map_err(|_| "a number is too large".into());
        }
        let name = self.name()?;
        match name.as_str() {
            "true" | "false" => Ok(Expr::Bool(name == "true")),
            "has" | "duration" if self.takes("(") => {
                let inner = self.binary(0)?;
                self.expect(")")?;
                match (name.as_str(), inner) {
                    ("duration", inner) => Ok(Expr::Duration(Box::new(inner))),
                    (_, Expr::Field(of, field)) => Ok(Expr::Has(of, field)),
                    _ => Err("has() wants a field".into()),
                }
            }
            _ => Ok(Expr::Name(name)),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let rest = self.rest.trim_start();
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        if length == 0 {
            return Err(format!("a name was expected here: {rest}"));
        }
        self.rest = &rest[length..];
        Ok(rest[..length].to_owned())
    }

    fn takes(&mut self, sign: &str) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            // `!=` is no negation.
            Some(rest) if sign != "!" || !rest.starts_with('=') => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(format!("{sign:?} was expected here: {}", self.rest)) }
    }
}
