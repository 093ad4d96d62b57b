//! Aligned columns, with colours where they are wanted.

use std::borrow::Cow;
use std::io::{self, Write};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::model::Health;
use crate::model::severity::Severity;

/// Blanks between two columns, as kubectl has them.
const GAP: usize = 3;

/// Whether colours are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// ANSI colours.
    Colored,
}

/// What a colour says. The words say it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    #[default]
    Usual,
    /// Works.
    Good,
    /// Look at it.
    Warn,
    /// Broken.
    Bad,
    /// Less important.
    Faint,
    /// A heading.
    Strong,
}

impl Tone {
    /// The tone of a health.
    #[must_use]
    pub fn of(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Good,
            Health::Degraded => Self::Warn,
            Health::Unhealthy => Self::Bad,
            Health::Unknown => Self::Faint,
        }
    }

    /// The tone of a severity's word.
    #[must_use]
    pub fn of_severity(word: &str) -> Self {
        match Severity::of(word) {
            Severity::Critical | Severity::High => Self::Bad,
            Severity::Medium => Self::Warn,
            Severity::Low | Severity::Info => Self::Usual,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "1;31",
            Self::Faint => "2",
            Self::Strong => "1",
        }
    }
}

impl Style {
    /// A text in a tone.
    #[must_use]
    pub fn paint<'a>(self, tone: Tone, text: &'a str) -> Cow<'a, str> {
        if self == Self::Plain || tone == Tone::Usual || text.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(format!("\x1b[{}m{text}\x1b[0m", tone.code()))
    }
}

/// A text without anything that could steer a terminal or break a line.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    let odd = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let plain = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if odd(c) => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.chars().map(plain).collect())
}

/// The beginning of a text that fits into `width` columns; `…` says that there was more.
#[must_use]
pub fn fitted(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

/// One cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone; an empty text becomes `-`.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        let text = clean(text.as_ref());
        Self { text: if text.is_empty() { "-".to_owned() } else { text.into_owned() }, tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Usual)
    }
}

/// Rows below headings.
#[derive(Debug, Default)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; missing cells stay empty.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table's lines. `width` cuts lines off; without it the last column is as long as it is.
    #[must_use]
    pub fn lines(&self, style: Style, width: Option<usize>) -> Vec<String> {
        let columns = self.headings.len();
        let widths: Vec<usize> = (0..columns)
            .map(|at| {
                let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width());
                cells.chain([self.headings[at].width()]).max().unwrap_or(0)
            })
            .collect();
        let headings: Vec<Cell> =
            self.headings.iter().map(|text| Cell { text: (*text).to_owned(), tone: Tone::Strong }).collect();
        let all = std::iter::once(&headings).chain(&self.rows);
        all.map(|row| line(row, &widths, style, width.unwrap_or(usize::MAX))).collect()
    }

    /// Writes the table.
    ///
    /// # Errors
    /// The output's own.
    pub fn write(&self, style: Style, out: &mut dyn Write) -> io::Result<()> {
        for line in self.lines(style, None) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

fn line(row: &[Cell], widths: &[usize], style: Style, limit: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for (at, cell) in row.iter().enumerate().take(widths.len()) {
        let room = limit.saturating_sub(used);
        if room == 0 {
            break;
        }
        let text = fitted(&cell.text, room);
        out.push_str(&style.paint(cell.tone, &text));
        used += text.width();
        if at + 1 < row.len() {
            let blanks = (widths[at].saturating_sub(text.width()) + GAP).min(limit.saturating_sub(used));
            out.extend(std::iter::repeat_n(' ', blanks));
            used += blanks;
        }
    }
    out.trim_end().to_owned()
}
