//! Numbers as text: how every value is written where people or Prometheus read it, without touching the heap.

use std::io::Write as _;
use std::ops::Deref;

/// The longest text: a sign, 21 digits before the point or `0.000` and 17 digits after it, rounded up.
const ROOM: usize = 40;
/// Above this not every whole number has its own `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Numbers of at most this many digits survive a round trip through `f64`.
const FIFTEEN_DIGITS: f64 = 1e15;
/// Decimals that the fast path tries: microseconds.
const DECIMALS: usize = 6;
const SCALE: f64 = 1e6;

/// A number's text, on the stack.
#[derive(Clone, Copy)]
pub struct NumberText {
    bytes: [u8; ROOM],
    start: usize,
    end: usize,
}

impl NumberText {
    /// Its bytes, always ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn literal(text: &[u8]) -> Self {
        let mut bytes = [0; ROOM];
        bytes[..text.len()].copy_from_slice(text);
        Self { bytes, start: 0, end: text.len() }
    }
}

impl Deref for NumberText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// The shortest text that reads back equal, with Prometheus's words for the odd ones (`+Inf`, `NaN`) and its
/// two-digit exponents; whole numbers stay plain (`123456789`, where Go prints `1.23456789e+08`).
#[must_use]
pub fn text(value: f64) -> NumberText {
    let size = value.abs();
    if size < EXACT && value.trunc() == value {
        return decimal(size as u64, 0, value.is_sign_negative() && value != 0.0);
    }
    // Nearly all that the kernel tells has at most six decimals. With fifteen digits or fewer, the decimal that divides
    // back to the value is the only one of that length, so it is the shortest text.
    let scaled = (size * SCALE).round();
    if scaled < FIFTEEN_DIGITS && size >= 1e-4 && scaled / SCALE == size {
        return decimal(scaled as u64, DECIMALS, value < 0.0);
    }
    general(value)
}

/// Writes `digits / 10^decimals` without trailing zeros after the point.
fn decimal(mut digits: u64, mut decimals: usize, negative: bool) -> NumberText {
    while decimals > 0 && digits.is_multiple_of(10) {
        digits /= 10;
        decimals -= 1;
    }
    let mut bytes = [0; ROOM];
    let mut at = ROOM;
    let mut written = 0;
    loop {
        if written == decimals && decimals > 0 {
            at -= 1;
            bytes[at] = b'.';
        }
        at -= 1;
        bytes[at] = b'0' + (digits % 10) as u8;
        digits /= 10;
        written += 1;
        if digits == 0 && written > decimals {
            break;
        }
    }
    if negative {
        at -= 1;
        bytes[at] = b'-';
    }
    NumberText { bytes, start: at, end: ROOM }
}

fn general(value: f64) -> NumberText {
    if value.is_nan() {
        return NumberText::literal(b"NaN");
    }
    if value.is_infinite() {
        return NumberText::literal(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    let mut bytes = [0; ROOM];
    let mut rest = &mut bytes[..];
    if (1e-4..1e21).contains(&value.abs()) {
        // ROOM is enough for every value of this range, so writing cannot fail.
        let _ = write!(rest, "{value}");
    } else {
        // Rust writes 1e-7; Go writes 1e-07.
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        let _ = write!(rest, "{mantissa}e{sign}{digits:0>2}");
    }
    let left = rest.len();
    NumberText { bytes, start: 0, end: ROOM - left }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_stay_plain_and_fractions_lose_their_trailing_zeros() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-3.0, "-3"),
            (1.5, "1.5"),
            (-0.25, "-0.25"),
            (0.04, "0.04"),
            (100.0, "100"),
            (10_870.69, "10870.69"),
            (14.036_781, "14.036781"),
            (0.104_000_000_000_000_01, "0.10400000000000001"),
            (123_456_789.0, "123456789"),
            (1_784_000_000.123_456_7, "1784000000.1234567"),
            (1e21, "1e+21"),
            (2.5e-7, "2.5e-07"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(&*text(value), expected);
        }
        assert_eq!(&*text(f64::NAN), "NaN");
    }

    proptest! {
        #[test]
        fn every_number_reads_back_equal(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(text(value).parse::<f64>(), Ok(value));
        }

        #[test]
        fn the_fast_path_writes_what_the_shortest_form_is(whole in 0_u64..10_000_000_000, decimals in 0_i32..8) {
            let value = whole as f64 / 10_f64.powi(decimals);
            prop_assume!(value == 0.0 || value >= 1e-4);
            prop_assert_eq!(&*text(value), value.to_string());
        }

        #[test]
        fn products_with_a_thousandth_are_written_to_the_last_bit(ticks in any::<u32>()) {
            let value = f64::from(ticks) * 0.001;
            prop_assume!(value == 0.0 || value >= 1e-4);
            prop_assert_eq!(&*text(value), value.to_string());
        }
    }
}
