//! What is looked at before gotmpl reads a template: whether blocks and ends match, and how deep they nest.

use super::TemplateError;
use super::tree::MAX_NESTING;

/// Finds blocks without end and ends without block, which gotmpl reads over; and nesting that its parser, which calls
/// itself for every `{{else if}}`, could not take.
pub(super) fn check(source: &str) -> Result<(), TemplateError> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut elses: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(start) = source[at..].find("{{").map(|found| found + at) {
        let inner = source[start + 2..].strip_prefix('-').unwrap_or(&source[start + 2..]).trim_start();
        let word = &inner[..inner.bytes().take_while(u8::is_ascii_alphabetic).count()];
        match (word, elses.last_mut()) {
            ("if" | "range" | "with" | "define" | "block", _) => {
                open.push((start, word));
                elses.push(0);
            }
            ("else", Some(count)) => *count += 1,
            ("end" | "else", None) => {
                let what =
                    format!("{{{{{word}}}}} without a block; remove it, or open one with {{{{if}}}} or {{{{range}}}}");
                return Err(at_offset(source, start, what));
            }
            ("end", Some(_)) => {
                open.pop();
                elses.pop();
            }
            _ => {}
        }
        let rest = after_action(inner);
        let parentheses = inner[..inner.len() - rest.len()].matches('(').count();
        if open.len() + elses.iter().sum::<usize>() + parentheses > MAX_NESTING {
            let what = format!("blocks and parentheses nest deeper than {MAX_NESTING}; flatten them");
            return Err(at_offset(source, start, what));
        }
        at = source.len() - rest.len();
    }
    match open.last() {
        Some((start, word)) => {
            Err(at_offset(source, *start, format!("{{{{{word}}}}} has no {{{{end}}}}; add it where the block stops")))
        }
        None => Ok(()),
    }
}

/// What follows the action whose inside begins here; quotes and comments may hold closing braces.
fn after_action(inner: &str) -> &str {
    if let Some(comment) = inner.strip_prefix("/*") {
        return comment.find("*/").map_or("", |end| &comment[end..]);
    }
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '}' if inner[at..].starts_with("}}") => return &inner[at + 2..],
            '"' | '\'' | '`' => {
                while let Some((_, quoted)) = chars.next() {
                    if quoted == c {
                        break;
                    }
                    if quoted == '\\' && c != '`' {
                        chars.next();
                    }
                }
            }
            _ => {}
        }
    }
    ""
}

/// A mistake at a byte of the source.
pub(super) fn at_offset(source: &str, offset: usize, what: String) -> TemplateError {
    let before = source.get(..offset.min(source.len())).unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    TemplateError::Syntax {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        what,
    }
}
