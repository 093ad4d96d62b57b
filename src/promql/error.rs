//! Why a query was refused or could not be answered.

use crate::model::matcher::MatcherError;

/// Everything that can go wrong with a query. The text says what, where and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is larger than [`super::MAX_TEXT`].
    #[error("the expression is {len} bytes long; at most {max} are accepted: split it with recording rules")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// What is accepted.
        max: usize,
    },
    /// The text nests deeper than [`super::MAX_NESTING`], or chains longer than [`super::MAX_DEPTH`].
    #[error(
        "{place}: the expression nests deeper than {max} levels: split it with recording rules or use a regular expression instead of a long chain"
    )]
    TooDeep {
        /// Line and column.
        place: Place,
        /// What is accepted.
        max: usize,
    },
    /// The text is not PromQL.
    #[error("{place}: {message}")]
    Syntax {
        /// Line and column.
        place: Place,
        /// What is wrong and what was expected.
        message: String,
    },
    /// An operand or argument has the wrong type.
    #[error("{place}: {message}")]
    Type {
        /// Line and column.
        place: Place,
        /// What is wrong and what was expected.
        message: String,
    },
    /// PromQL that is not served here.
    #[error("{place}: {feature} is not supported: {hint}")]
    Unsupported {
        /// Line and column.
        place: Place,
        /// The function or feature.
        feature: String,
        /// Why, or what to write instead.
        hint: String,
    },
    /// A regular expression was refused.
    #[error("{place}: {source}")]
    Pattern {
        /// Line and column.
        place: Place,
        /// Why.
        source: MatcherError,
    },
    /// More points were looked at than allowed.
    #[error("the query looks at more than {limit} samples: select fewer series, shorten the range or enlarge the step")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// More points would be held at once than allowed.
    #[error("the query needs more than {limit} samples in memory at once: select fewer series or shorten the range")]
    TooManyHeld {
        /// The limit.
        limit: usize,
    },
    /// More series matched or came out than allowed.
    #[error("the query touches more than {limit} series: add a metric name or label matchers")]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// More steps than allowed.
    #[error("the query has {steps} steps, more than the limit of {limit}: enlarge the step or shorten the range")]
    TooManySteps {
        /// How many there would be.
        steps: u64,
        /// The limit.
        limit: usize,
    },
    /// The asked range is not a range.
    #[error(
        "the range from {from} to {to} with step {step} ms is not valid: the step must be positive and the end not before the start"
    )]
    BadRange {
        /// Start, unix milliseconds.
        from: i64,
        /// End, unix milliseconds.
        to: i64,
        /// Step in milliseconds.
        step: i64,
    },
    /// Two elements of a result have the same labels.
    #[error(
        "vector cannot contain metrics with the same labelset: keep a label that tells them apart, or aggregate first"
    )]
    DuplicateLabels,
    /// Two elements of one side fall into the same match group.
    #[error("{0}")]
    Matching(String),
    /// An argument has a value that the function does not accept.
    #[error("{0}")]
    BadArgument(String),
}

/// Where in the text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Place {
    /// The place of a byte position in a text.
    pub(super) fn of(text: &str, position: usize) -> Self {
        let before = text.as_bytes().get(..position).unwrap_or(text.as_bytes());
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        // Continuation bytes of UTF-8 do not begin a character.
        let column = before.get(line_start..).unwrap_or_default().iter().filter(|b| **b & 0xC0 != 0x80).count() + 1;
        Self { line: line as u32, column: column as u32 }
    }
}

impl QueryError {
    /// A finite name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "ExpressionTooLong",
            Self::TooDeep { .. } => "ExpressionTooDeep",
            Self::Syntax { .. } => "BadExpression",
            Self::Type { .. } => "BadType",
            Self::Unsupported { .. } => "NotSupported",
            Self::Pattern { source, .. } => source.reason(),
            Self::TooManySamples { .. } => "TooManySamples",
            Self::TooManyHeld { .. } => "TooManyHeldSamples",
            Self::TooManySeries { .. } => "TooManySeries",
            Self::TooManySteps { .. } => "TooManySteps",
            Self::BadRange { .. } => "BadRange",
            Self::DuplicateLabels => "DuplicateLabels",
            Self::Matching(_) => "BadMatching",
            Self::BadArgument(_) => "BadArgument",
        }
    }
}
