//! Numbers for people: a value with its unit, short enough for a tile.

/// A value in its unit: `91.5 %`, `1.25 GiB`, `350 ms`, `1.2 k`.
pub(super) fn human(value: f64, unit: &str) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
    }
    match unit {
        "percent" | "%" => format!("{} %", short(value)),
        "bytes" => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"]),
        "bytes/s" => format!("{}/s", scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])),
        "seconds" | "s" => seconds(value),
        "milliseconds" | "ms" => seconds(value / 1000.0),
        "" => scaled(value, 1000.0, &["", "k", "M", "G", "T", "P"]),
        other => format!("{} {other}", scaled(value, 1000.0, &["", "k", "M", "G", "T", "P"])),
    }
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut rest = value;
    let mut at = 0;
    // 999.95 would be written as 1000: it belongs to the next unit already.
    while rest.abs() >= base * 0.9995 && at + 1 < units.len() {
        rest /= base;
        at += 1;
    }
    format!("{} {}", short(rest), units[at]).trim_end().to_owned()
}

fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0 s".to_owned(),
        size if size < 0.001 => format!("{} µs", short(value * 1e6)),
        size if size < 1.0 => format!("{} ms", short(value * 1e3)),
        size if size < 120.0 => format!("{} s", short(value)),
        _ => crate::model::duration::age((value * 1000.0) as i64),
    }
}

/// Three digits that matter, no more.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.01 => 2,
        _ => return format!("{value:.1e}"),
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A duration of a run: `0.4 ms`, `85 ms`, `1.2 s`.
pub(super) fn duration(millis: f64) -> String {
    seconds(millis / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_their_unit() {
        for (value, unit, expected) in [
            (91.53, "percent", "91.5 %"),
            (100.0, "percent", "100 %"),
            (0.0, "", "0"),
            (1_342_177_280.0, "bytes", "1.25 GiB"),
            (1023.9, "bytes", "1 KiB"),
            (1500.0, "bytes/s", "1.46 KiB/s"),
            (0.35, "seconds", "350 ms"),
            (7200.0, "seconds", "120m"),
            (1234.0, "", "1.23 k"),
            (12.0, "req/s", "12 req/s"),
            (f64::NAN, "", "–"),
            (-3.5, "", "-3.5"),
        ] {
            assert_eq!(human(value, unit), expected);
        }
        assert_eq!(duration(0.42), "420 µs");
    }
}
