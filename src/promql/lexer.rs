//! Splits the text of an expression into words, numbers, durations, strings and signs.

use super::error::{Place, QueryError};

/// One word or sign of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, a keyword or a function, as written.
    Word(String),
    /// A number.
    Number(f64),
    /// A duration in milliseconds.
    Duration(i64),
    /// A string, unquoted.
    Text(String),
    /// An operator, bracket or comma.
    Sign(&'static str),
    /// The end of the text.
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{:?}", word.chars().take(64).collect::<String>()),
            Self::Number(number) => write!(f, "number {number}"),
            Self::Duration(_) => f.write_str("a duration"),
            Self::Text(text) => write!(f, "string {:?}", text.chars().take(64).collect::<String>()),
            Self::Sign(sign) => write!(f, "{sign:?}"),
            Self::End => f.write_str("the end of the expression"),
        }
    }
}

/// A token and where it begins, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub token: Token,
    pub at: usize,
}

/// Longest first, so that `==` is not read as `=`, `=`.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "=~", "!~", "(", ")", "{", "}", "[", "]", ",", "+", "-", "*", "/", "%", "^", "<", ">", "=",
    "@", ":",
];

/// Milliseconds of each unit, in the order in which they must be written.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];
/// A hundred years in milliseconds: longer durations are refused, so that arithmetic with times never overflows.
pub(super) const MAX_DURATION: i64 = 100 * 365 * 86_400_000;

/// Splits a text.
pub(super) fn lex(text: &str) -> Result<Vec<Lexeme>, QueryError> {
    let mut lexer = Lexer { text, at: 0, brackets: 0 };
    let mut out = Vec::new();
    loop {
        lexer.skip_blank();
        let at = lexer.at;
        let token = lexer.next()?;
        let end = token == Token::End;
        out.push(Lexeme { token, at });
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Inside `[…]` a colon is a sign; outside it is a letter of recorded names.
    brackets: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn bad(&self, at: usize, message: String) -> QueryError {
        QueryError::Syntax { place: Place::of(self.text, at), message }
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blank;
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn next(&mut self) -> Result<Token, QueryError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let second = rest.as_bytes().get(1).copied().unwrap_or(0);
        if first.is_ascii_digit() || (first == '.' && second.is_ascii_digit()) {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' || (first == ':' && self.brackets == 0) {
            let length = rest
                .bytes()
                .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || (*b == b':' && self.brackets == 0))
                .count();
            let word = rest.get(..length).unwrap_or("").to_owned();
            self.at += length;
            return Ok(Token::Word(word));
        }
        if matches!(first, '"' | '\'' | '`') {
            return self.string(first);
        }
        for sign in SIGNS {
            if rest.starts_with(sign) {
                match sign {
                    "[" => self.brackets += 1,
                    "]" => self.brackets = self.brackets.saturating_sub(1),
                    _ => {}
                }
                self.at += sign.len();
                return Ok(Token::Sign(sign));
            }
        }
        Err(self.bad(self.at, format!("unexpected character {first:?}")))
    }

    fn number(&mut self) -> Result<Token, QueryError> {
        let start = self.at;
        let rest = self.rest().as_bytes();
        let digits = |from: usize| rest.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
        let at = |index: usize| rest.get(index).copied().unwrap_or(0);
        if at(0) == b'0' && matches!(at(1), b'x' | b'X') {
            let length = 2 + rest.iter().skip(2).take_while(|b| b.is_ascii_alphanumeric()).count();
            let word = self.text.get(start..start + length).unwrap_or("");
            let value = u64::from_str_radix(word.get(2..).unwrap_or(""), 16)
                .map_err(|_| self.bad(start, format!("{word:?} is not a number")))?;
            self.at += length;
            return Ok(Token::Number(value as f64));
        }
        let mut length = digits(0);
        if matches!(at(length), b's' | b'm' | b'h' | b'd' | b'w' | b'y') {
            return self.duration();
        }
        if at(length) == b'.' {
            length += 1 + digits(length + 1);
        }
        if matches!(at(length), b'e' | b'E') {
            let sign = usize::from(matches!(at(length + 1), b'+' | b'-'));
            let exponent = digits(length + 1 + sign);
            if exponent > 0 {
                length += 1 + sign + exponent;
            }
        }
        if at(length).is_ascii_alphanumeric() || matches!(at(length), b'_' | b'.') {
            let end = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
            let word: String = self.rest().chars().take(end.min(64)).collect();
            return Err(self.bad(start, format!("{word:?} is neither a number nor a duration such as 5m")));
        }
        let word = self.text.get(start..start + length).unwrap_or("");
        // A leading zero means octal in Prometheus, unless a digit forbids it.
        let octal = word.len() > 1 && word.starts_with('0') && word.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let value = match octal {
            true => u64::from_str_radix(word, 8).map_or(f64::INFINITY, |value| value as f64),
            false => word.parse().map_err(|_| self.bad(start, format!("{word:?} is not a number")))?,
        };
        self.at += length;
        Ok(Token::Number(value))
    }

    fn duration(&mut self) -> Result<Token, QueryError> {
        let start = self.at;
        let end = self.rest().bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let word = self.text.get(start..start + end).unwrap_or("");
        match parse_duration(word) {
            Some(millis) => {
                self.at += end;
                Ok(Token::Duration(millis))
            }
            None => {
                let shown: String = word.chars().take(64).collect();
                Err(self.bad(
                    start,
                    format!(
                        "{shown:?} is not a duration; write units in the order y, w, d, h, m, s, ms, such as 1h30m (at most 100y)"
                    ),
                ))
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<Token, QueryError> {
        let start = self.at;
        self.at += 1;
        if quote == '`' {
            let Some(length) = self.rest().find('`') else {
                return Err(self.bad(start, "this string is not closed: a ` is missing".into()));
            };
            let value = self.rest().get(..length).unwrap_or("").to_owned();
            self.at += length + 1;
            return Ok(Token::Text(value));
        }
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else {
                return Err(self.bad(start, format!("this string is not closed: a {quote} is missing")));
            };
            match c {
                '\n' => {
                    return Err(self.bad(start, format!("this string is not closed on its line: a {quote} is missing")));
                }
                '\\' => {
                    let here = self.at;
                    let (length, escaped) = unescape(rest).ok_or_else(|| {
                        self.bad(here, "this escape sequence is not known; double the backslash to write one".into())
                    })?;
                    match escaped {
                        Escape::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                        Escape::Byte(b) => bytes.push(b),
                    }
                    self.at += length;
                }
                c if c == quote => {
                    self.at += 1;
                    return String::from_utf8(bytes)
                        .map(Token::Text)
                        .map_err(|_| self.bad(start, "this string is not valid UTF-8".into()));
                }
                c => {
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    self.at += c.len_utf8();
                }
            }
        }
    }
}

enum Escape {
    Char(char),
    Byte(u8),
}

/// Reads one escape sequence as Go does; gives its length in the text.
fn unescape(text: &str) -> Option<(usize, Escape)> {
    let kind = text.as_bytes().get(1).copied()?;
    let number = |from: usize, digits: usize, radix: u32| -> Option<u32> {
        let word = text.get(from..from + digits)?;
        word.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(word, radix).ok()).flatten()
    };
    let simple = match kind {
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'v' => '\u{b}',
        b'\\' => '\\',
        b'\'' => '\'',
        b'"' => '"',
        b'x' => return Some((4, Escape::Byte(u8::try_from(number(2, 2, 16)?).ok()?))),
        b'0'..=b'7' => return Some((4, Escape::Byte(u8::try_from(number(1, 3, 8)?).ok()?))),
        b'u' => return Some((6, Escape::Char(char::from_u32(number(2, 4, 16)?)?))),
        b'U' => return Some((10, Escape::Char(char::from_u32(number(2, 8, 16)?)?))),
        _ => return None,
    };
    Some((2, Escape::Char(simple)))
}

/// Reads `1h30m` as Prometheus does: units in falling order, each at most once.
fn parse_duration(word: &str) -> Option<i64> {
    let mut rest = word;
    let mut total: i64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = rest.get(..letters)?;
        let index = UNITS.iter().position(|(name, _)| *name == unit).filter(|index| *index >= next_unit)?;
        next_unit = index + 1;
        total = number.checked_mul(UNITS.get(index)?.1).and_then(|part| total.checked_add(part))?;
        rest = rest.get(letters..)?;
    }
    (total <= MAX_DURATION).then_some(total)
}

/// Writes a duration in the units of PromQL.
pub(super) fn write_duration(millis: i64, out: &mut impl std::fmt::Write) -> std::fmt::Result {
    if millis < 0 {
        out.write_char('-')?;
    }
    let mut rest = millis.unsigned_abs();
    if rest == 0 {
        return out.write_str("0s");
    }
    // Years are left out: a leap year is not 365 days, and days read as well.
    for (name, length) in UNITS.iter().skip(2) {
        let length = length.unsigned_abs();
        if rest >= length {
            write!(out, "{}{name}", rest / length)?;
            rest %= length;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        lex(text).unwrap().into_iter().map(|lexeme| lexeme.token).collect()
    }

    #[test]
    fn numbers_have_prometheus_notations() {
        let numbers =
            [("1", 1.0), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("0x1F", 31.0), ("0755", 493.0), ("08", 8.0)];
        for (text, value) in numbers {
            assert_eq!(tokens(text)[0], Token::Number(value), "{text}");
        }
        assert!(lex("1x").is_err());
        assert!(lex("1.2.3").is_err());
    }

    #[test]
    fn durations_need_their_units_in_falling_order() {
        assert_eq!(tokens("1h30m")[0], Token::Duration(5_400_000));
        assert_eq!(tokens("5m250ms")[0], Token::Duration(300_250));
        assert!(lex("30m1h").is_err());
        assert!(lex("99999999999999y").is_err());
    }

    #[test]
    fn strings_know_the_escapes_of_go() {
        assert_eq!(tokens(r#""a\n\x41\u00e9\101""#)[0], Token::Text("a\nAéA".into()));
        assert_eq!(tokens("`a\\n`")[0], Token::Text("a\\n".into()));
        assert!(lex(r#""\xff""#).is_err());
        assert!(lex("\"open").is_err());
    }

    #[test]
    fn a_colon_is_a_letter_outside_brackets_only() {
        assert_eq!(tokens("a:b")[0], Token::Word("a:b".into()));
        assert_eq!(tokens("x[5m:1m]")[3], Token::Sign(":"));
    }

    #[test]
    fn a_written_duration_reads_back_equal() {
        for millis in [1, 999, 1000, 61_000, 90_000_000, 700_000_001] {
            let mut text = String::new();
            write_duration(millis, &mut text).unwrap();
            assert_eq!(tokens(&text)[0], Token::Duration(millis), "{text}");
        }
    }
}
