//! Small byte parsers for the kernel's text files. None panics, whatever the bytes are.

use crate::model::collector::CollectError;

/// The lines of a text, without their ends; the empty piece after the last newline is no line.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// The words of a line, separated by blanks and tabs.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty())
}

/// The first word and what follows it.
pub(crate) fn first_word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii_start();
    match line.iter().position(|byte| matches!(byte, b' ' | b'\t')) {
        Some(at) => line.split_at(at),
        None => (line, &[]),
    }
}

/// A whole number; none when it is not one or does not fit.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// A decimal number such as `0.21`.
pub(crate) fn decimal(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Text for a label: what is not UTF-8 is replaced.
pub(crate) fn label(text: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text)
}

/// An error that quotes the beginning of what was not understood.
pub(crate) fn misread(path: &'static str, expected: &str, found: &[u8]) -> CollectError {
    let found: String = label(found).chars().take(80).collect();
    CollectError::Parse { path: path.into(), what: format!("expected {expected}, found {found:?}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_separated_by_any_number_of_blanks() {
        assert_eq!(words(b"  a \t b  ").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(first_word(b"  intr 1 2"), (&b"intr"[..], &b" 1 2"[..]));
        assert_eq!(lines(b"a\n\nb\n").collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn a_number_that_does_not_fit_is_no_number() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(number(b"-1"), None);
        assert_eq!(number(b""), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            for line in lines(&text) {
                let _ = (words(line).count(), first_word(line), number(line), decimal(line), label(line));
            }
        }

        #[test]
        fn every_number_is_read_as_the_standard_library_reads_it(value in any::<u64>()) {
            prop_assert_eq!(number(value.to_string().as_bytes()), Some(value));
        }
    }
}
