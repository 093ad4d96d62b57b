//! Numbers for people: the `humanize…` functions, to the digit as Prometheus writes them.

use std::fmt::Write as _;

use jiff::Timestamp;

/// Go's `%.<digits>g`.
pub(super) fn general(value: f64, digits: usize) -> String {
    if value.is_nan() || value.is_infinite() {
        return special(value);
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // The exponent after rounding: 999.96 at four digits is 1000.
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let exponent = exponent_of(&scientific);
    if exponent < -4 || exponent >= i32::try_from(digits).unwrap_or(i32::MAX) {
        return go_exponent(&scientific, true);
    }
    let after = usize::try_from(i32::try_from(digits).unwrap_or(0) - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.after$}")).to_owned()
}

/// Go's `%v` of a float: the shortest text that reads back equal, with an exponent from a million on.
pub(super) fn shortest(value: f64) -> String {
    if value.is_nan() || value.is_infinite() {
        return special(value);
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let exponent = exponent_of(&scientific);
    if (-4..6).contains(&exponent) { value.to_string() } else { go_exponent(&scientific, false) }
}

fn special(value: f64) -> String {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
    .to_owned()
}

fn exponent_of(scientific: &str) -> i32 {
    scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

/// `1.5e7` as Go writes it: `1.5e+07`.
fn go_exponent(scientific: &str, trim: bool) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let mantissa = if trim { trimmed(mantissa) } else { mantissa };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// `1234567` → `1.235M`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, 4);
    }
    if value.abs() >= 1.0 {
        return grown(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"]);
    }
    let (value, prefix) = shrunk(value);
    general(value, 4) + prefix
}

/// `1048576` → `1Mi`.
pub(super) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value, 4);
    }
    grown(value, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

fn grown(mut value: f64, base: f64, prefixes: &[&'static str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    general(value, 4) + prefix
}

fn shrunk(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

/// Seconds: `90000` → `1d 1h 0m 0s`, `0.1` → `100ms`.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return general(value, 4);
    }
    if value == 0.0 {
        return "0s".to_owned();
    }
    if value.abs() < 1.0 {
        let (value, prefix) = shrunk(value);
        return format!("{}{prefix}s", general(value, 4));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as i64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    let mut out = sign.to_owned();
    // Writing into a String cannot fail.
    let _ = match (days, hours, minutes) {
        (0, 0, 0) => write!(out, "{}s", general(value.abs(), 4)),
        (0, 0, _) => write!(out, "{minutes}m {seconds}s"),
        (0, _, _) => write!(out, "{hours}h {minutes}m {seconds}s"),
        _ => write!(out, "{days}d {hours}h {minutes}m {seconds}s"),
    };
    out
}

/// `0.1234567` → `12.35%`.
pub(super) fn humanize_percentage(value: f64) -> String {
    general(value * 100.0, 4) + "%"
}

/// Unix seconds: `1435065584.128` → `2015-06-23 13:19:44.128 +0000 UTC`.
pub(super) fn humanize_timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(general(value, 4));
    }
    let too_far = || format!("{} is not a time in seconds since 1970 that can be shown", shortest(value));
    let nanos = value * 1e9;
    if nanos.abs() > i64::MAX as f64 {
        return Err(too_far());
    }
    let time = Timestamp::from_millisecond((nanos as i64).div_euclid(1_000_000)).map_err(|_| too_far())?;
    let text = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let fraction = match time.subsec_millisecond() {
        0 => String::new(),
        millis => format!(".{millis:03}").trim_end_matches('0').to_owned(),
    };
    Ok(format!("{text}{fraction} +0000 UTC"))
}
