//! What the terminal can do.

use std::io::IsTerminal as _;

use super::table::Style;

/// Whether standard output is a terminal that takes cursor movements.
#[must_use]
pub fn is_live() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Colours on a terminal, unless `NO_COLOR` (<https://no-color.org>) forbids them.
#[must_use]
pub fn style() -> Style {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if is_live() && !forbidden { Style::Colored } else { Style::Plain }
}

/// Columns and rows of the terminal; 80 × 24 where they are unknown.
#[must_use]
pub fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (usize::from(size.ws_col), usize::from(size.ws_row)),
        _ => (80, 24),
    }
}
